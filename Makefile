# Everything a person needs to know: `make run` starts Kontor, `make test` checks it.

PORT ?= 8080
WORKERS ?= 3
ARGS ?=

# The first Python of at least 3.11 that this machine offers; say `make PYTHON=…` to choose another.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)

PY := .venv/bin/python
PIP := $(PY) -m pip --disable-pip-version-check --quiet
PYBABEL := $(PY) -m babel.messages.frontend --quiet
KEYWORDS := -k _l -k lazy_gettext -k lazy_ngettext:1,2 -k lazy_pgettext:1c,2
CATALOGUES := $(patsubst %.po,%.mo,$(wildcard app/translations/*/LC_MESSAGES/*.po))

export TZ := UTC

.PHONY: help run test lint translations messages lock clean demo bench load pictures
.DEFAULT_GOAL := help

help:
	@echo "make run              starts Kontor with its demo company on http://localhost:$(PORT)  (PORT=… for another)"
	@echo "make test             checks the style, then runs every test  (ARGS='-k invoice' for a few)"
	@echo "make lint             checks the style only"
	@echo "make demo             fills a new demo with SIZE=1000000 accounts, a tenth of them Nordlicht's"
	@echo "make bench            measures Kontor beside plain Flask-AppBuilder with SIZE=1000000 accounts"
	@echo "make load             lets people work and export at once for MINUTES=5, with SIZE=100000 accounts"
	@echo "make pictures         takes the pictures of README and guide anew  (ARGS='plans portal' for a few)"
	@echo "make messages         brings the catalogues in app/translations up to the sentences in the code; then translate"
	@echo "make lock             brings requirements*.txt up to requirements*.in  (UPGRADE=--upgrade for newer releases)"
	@echo "make clean            removes what make can make again; never instance/, where the data is"

run: .venv/.installed translations
	@PORT=$(PORT) exec $(PY) run.py

test: lint translations
	@$(PY) -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

lint: .venv/.dev
	@$(PY) -m ruff check .

demo: translations
	@$(PY) -m flask --app app:create_app kontor prepare
	@$(PY) benchmarks/crowd.py $(or $(SIZE),1000000)

bench: .venv/.dev translations
	@$(PY) benchmarks/bench.py $(or $(SIZE),1000000) $(ARGS)

load: .venv/.dev translations
	@$(PY) benchmarks/load.py $(or $(MINUTES),5) $(or $(SIZE),100000) $(ARGS)

pictures: .venv/.dev translations
	@$(PY) docs/pictures.py $(ARGS)

translations: $(CATALOGUES)

%.mo: %.po | .venv/.installed
	@$(PYBABEL) compile --input-file $< --output-file $@

messages: .venv/.installed
	@$(PYBABEL) extract -F babel.cfg $(KEYWORDS) --add-location file -o .venv/messages.pot .
	@for catalogue in app/translations/*/LC_MESSAGES/messages.po; do \
		$(PYBABEL) update --no-fuzzy-matching --ignore-obsolete --ignore-pot-creation-date --no-wrap \
			-i .venv/messages.pot -o $$catalogue -l $$(basename $$(dirname $$(dirname $$catalogue))); done

# The libraries: pinned and hashed, installed once and again only when the lock changes.

.venv/.installed: requirements.txt
	@test -n "$(PYTHON)" || { echo "Kontor needs Python 3.11 or newer, and this machine offers none:" \
		"install it, or name it with  make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Kontor needs Python 3.11 or newer;" \
		"$(PYTHON) is `$(PYTHON) --version 2>&1`."; exit 1; }
	@$(PY) -c '' 2>/dev/null || $(PYTHON) -m venv --clear .venv || { echo "Python could not make a virtual" \
		"environment; on Debian and Ubuntu  apt install python3-venv  helps."; exit 1; }
	@echo "Installing Kontor's libraries into .venv (about a minute, only this once) …"
	@$(PIP) install --require-hashes -r requirements.txt
	@touch $@

.venv/.dev: .venv/.installed requirements-dev.txt
	@echo "Installing the tools for the tests into .venv (about a minute, only this once) …"
	@$(PIP) install --require-hashes -r requirements-dev.txt
	@touch $@

# pip-tools lives apart, so that it cannot bend what it pins.

COMPILE := CUSTOM_COMPILE_COMMAND="make lock" .venv/lock/bin/pip-compile --quiet $(UPGRADE) --generate-hashes --allow-unsafe \
	--strip-extras --no-emit-options

lock: .venv/.installed
	@test -x .venv/lock/bin/pip-compile || { $(PYTHON) -m venv .venv/lock && .venv/lock/bin/python -m pip --quiet install pip-tools; }
	@$(COMPILE) --output-file requirements.txt requirements.in
	@$(COMPILE) --output-file requirements-dev.txt requirements-dev.in

clean:
	@rm -rf .pytest_cache .ruff_cache .hypothesis $(CATALOGUES)
	@find app tests migrations benchmarks -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true

"""How long it takes to look at a file of many accounts, to write it, and to take it back.

    .venv/bin/python benchmarks/imports.py [rows=10000] [sqlite|postgresql …]

One partner with so many accounts and eight properties each; the file has 15 columns and changes three cells in every
row, or adds every row. Seconds; `look` is the dry run as the page does it: reading the file, comparing, keeping.
"""

from __future__ import annotations

import io
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flask_migrate import upgrade

sys.path.insert(0, str(Path(__file__).parent.parent))

import openpyxl  # noqa: E402

from app import create_app, importing, sheets  # noqa: E402
from app.extensions import db  # noqa: E402
from app.models import Kind, PropertyType, Role  # noqa: E402
from app.services import accounts, members, properties, signin  # noqa: E402
from app.tenancy import unscoped  # noqa: E402
from app.ui import workbook  # noqa: E402
from tests import cast, databases  # noqa: E402

T = PropertyType
KINDS = [T.TEXT, T.TEXT, T.INTEGER, T.DECIMAL, T.DATE, T.DATE, T.CHOICE, T.FLAG]
CHOICES = [{"label_en": label, "label_de": label} for label in ("Gold", "Silver", "None")]
PARTNER = cast.Person("p@p.example", "p")


def main() -> None:
    size = int(next((a for a in sys.argv[1:] if a.isdigit()), "10000"))
    for name in [a for a in sys.argv[1:] if not a.isdigit()] or ["sqlite", "postgresql"]:
        with tempfile.TemporaryDirectory() as folder:
            url = f"sqlite:///{folder}/bench.db"
            url = databases.create_postgres_database("bench") if name == "postgresql" else url
            app = create_app(SQLALCHEMY_DATABASE_URI=url, DATA_DIR=Path(folder), SECRET_KEY="b" * 32, TESTING=True)
            app.config.update(TRUSTED_HOSTS=["localhost"], MAIL_SERVER="")
            print(f"\n{name}, {size:,} rows")
            with app.app_context():
                upgrade()
                build()
                measure(size)
                db.session.remove()
                db.engine.dispose()
            if name == "postgresql":
                databases.drop_postgres_database("bench")


def build() -> None:
    with unscoped("building the benchmark"):
        root = accounts.open_operator("Operator", slug="o")
        partner = accounts.open_account("P", parent=root, by=None, slug="p")
        partner.kind = Kind.PARTNER
        user = signin.create_user(PARTNER.email, first_name="P", last_name="P", password=cast.PASSWORD)
        members.join(user, partner, role=Role.ADMINISTRATOR)
    with cast.acting_as(PARTNER) as by:
        for number, kind in enumerate(KINDS):
            more = {"choices": CHOICES} if kind.has_choices else {}
            properties.define(kind, by=by, label_en=f"{kind.value} {number}", **more)


def measure(size: int) -> None:
    browser = cast.browse(PARTNER)
    import_file(browser, new_file(size), "added")
    with took("export"):
        exported = browser.get("/accounts/export").data
    import_file(browser, edited(exported), "changed")


def import_file(browser: cast.Browser, file: bytes, what: str) -> None:
    with took(f"{what}: read"):
        sheets.read(file)
    with took(f"{what}: look"):
        answer = browser.post("/accounts/import/", data={"file": (io.BytesIO(file), "file.xlsx")})
    assert answer.status_code == 302, answer.status_code
    address = answer.headers["Location"].removeprefix(f"/a/{PARTNER.slug}")
    with took(f"{what}: page"):
        assert "k-button" not in browser.get(address).text
    for verb in ("start", "undo", None):
        if verb == "undo" and what == "added":
            break
        if verb:
            assert browser.post(f"{address}/{verb}").status_code == 302
            with took(f"{what}: {verb}"):
                importing.run_due()


@contextmanager
def took(what: str) -> Iterator[None]:
    clock, processor = time.perf_counter(), time.process_time()
    yield
    clock, processor = time.perf_counter() - clock, time.process_time() - processor
    print(f"{what:24}{clock:8.2f} s {processor:8.2f} s processor", flush=True)


def new_file(size: int) -> bytes:
    dice = random.Random(2026)
    labels = ["Name", "Contact", "E-mail", "Country", "Language", "Time zone", "Currency"]
    labels += [f"{kind.value} {number}" for number, kind in enumerate(KINDS)]
    rows = [
        [f"Account {n}", f"Person {n}", f"info@a{n}.example", "Germany", "German", "Europe/Berlin", "EUR", f"word {n}",
         f"more {n}", dice.randrange(1000), dice.randrange(10**6) / 100, "2026-03-31", "2027-03-31",
         dice.choice(["Gold", "Silver"]), dice.choice(["Yes", "No"])]
        for n in range(size)
    ]  # fmt: skip
    file, columns = io.BytesIO(), [workbook.SheetColumn(label) for label in labels]
    workbook.write(file, columns, rows, sheet_title="A", about=[], about_title="B")
    return file.getvalue()


def edited(exported: bytes) -> bytes:
    book = openpyxl.load_workbook(io.BytesIO(exported))
    sheet = book.worksheets[0]
    place = {cell.value: cell.column for cell in sheet[1]}
    for row in range(2, sheet.max_row + 1):
        sheet.cell(row, place["Contact"], f"Somebody {row}")
        sheet.cell(row, place["integer 2"], row)
        sheet.cell(row, place["text 0"], f"changed {row}")
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


if __name__ == "__main__":
    main()

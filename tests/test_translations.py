"""Both languages are complete: every sentence of the code, of the pages and of FAB has its German, and good German.

What fails here is mended in `app/translations/de/LC_MESSAGES/messages.po`, after `make messages` has added what is new.
"""

from __future__ import annotations

import ast
import io
import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from functools import cache
from gettext import GNUTranslations
from html.parser import HTMLParser
from inspect import signature
from pathlib import Path
from typing import Any

import flask_appbuilder
import jinja2
import openpyxl
import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.frontend import parse_keywords, parse_mapping_cfg
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from flask import Flask, render_template
from flask_babel import force_locale
from flask_wtf import FlaskForm
from sqlalchemy import inspect, select
from wtforms.i18n import messages_path

from app import audit
from app.extensions import db
from app.services import signin
from app.tenancy import unscoped
from app.ui import history
from app.ui.fields import LocalDateField, LocalDecimalField
from app.ui.formats import shown
from app.ui.view import BackOfficeView
from tests.cast import ALICE, BOB, DORA, account_id, acting_as, apart, browse
from tests.signing import Tab, give_second_factor, reset_link

ROOT = Path(__file__).parent.parent
APP = ROOT / "app"
TEMPLATES = sorted(p for p in (APP / "templates").rglob("*") if p.suffix in {".html", ".txt"})
MODULES = sorted(APP.rglob("*.py"))
GERMAN = APP / "translations/de/LC_MESSAGES/messages.po"
KEYWORDS = ["_l", "lazy_gettext", "lazy_ngettext:1,2", "lazy_pgettext:1c,2"]  # those of `make messages`

# Words that are the same in both languages.
SAME = {
    "Administrator", "Code", "Dashboard", "Filter", "Manager", "Maximum", "Minimum", "Name", "Partner", "Person",
    "Region", "Start", "Status", "Support", "Text", "Format", "Kontor ID", "API", "Position", "Cloud", "Domain",
    "Portal", "SaaS", "Terminals", "Version", "Test", "Webhook", "Webhooks", "ID", "Host", "%(count)s ms",
}  # fmt: skip

Key = tuple[str | None, str]  # context and sentence; of plural forms the first


# --- the catalogue ---------------------------------------------------------------------------------------------


def test_every_sentence_has_its_german():
    german = _german()

    silent = [key for key in _asked() if key not in german or not all(_forms(german[key].string))]

    assert not silent, f"make messages, then translate: {silent}"


def test_no_german_is_merely_guessed():
    assert not [m.id for m in _german().values() if m.fuzzy]


def test_the_catalogue_holds_nothing_that_nobody_asks_for():
    assert not sorted(map(str, set(_german()) - _asked()))
    assert not list(_catalogue().obsolete)


def test_both_languages_put_in_the_same_things():
    for english, german in _pairs():
        assert _placeholders(english) == _placeholders(german), (english, german)


def test_both_languages_end_and_begin_alike():
    for english, german in _pairs():
        assert _edges(english) == _edges(german), (english, german)


def test_no_english_is_left_over():
    same = {english for english, german in _pairs() if english == german and _letters(_without_placeholders(english))}

    assert not same - SAME


def test_people_are_addressed_as_sie():
    for _english, german in _pairs():
        assert not re.search(r"\b(du|dich|dir|dein\w*|euch|euer|eure\w*)\b", german, re.I), german


def test_german_is_set_as_german_is():
    """„…“ around what is quoted, an en dash between, an ellipsis of one character."""
    for english, german in _pairs():
        assert not re.search("[\"”‚‘’']|\\.\\.\\.| - | — ", german), german
        assert (english.count("“"), english.count("”")) == (german.count("„"), german.count("“")), german


def test_what_fab_says_it_says_in_german():
    spoken = _spoken()

    assert not [sentence for sentence in _asked_by_fab() if not spoken.get(sentence)]


# --- the code --------------------------------------------------------------------------------------------------

TAKES_WORDS = {"_", "_l", "gettext", "lazy_gettext", "ngettext", "lazy_ngettext", "pgettext", "lazy_pgettext"}
LAZY = {name for name in TAKES_WORDS if name.startswith(("_l", "lazy"))}
SHOWN_TO_PEOPLE = {"Action", "Cell", "Empty", "Link", "MenuGroup", "Refused", "Section", "ValidationError", "flash"}
TITLES = re.compile(r"(?:^|_)(?:title|label|lead|text|confirm|description|placeholder)$")


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(APP)))
def test_code_asks_for_whole_sentences(module):
    """What is marked for translation stands there in full, is said late enough, and is not glued to anything."""
    problems = list(_problems(ast.parse(module.read_text(encoding="utf-8"))))

    assert not problems, "\n".join(f"{module.relative_to(ROOT)}:{line}: {what}" for line, what in problems)


def _problems(tree: ast.Module) -> Iterator[tuple[int, str]]:
    in_functions = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.Lambda)
        for part in (node.body if isinstance(node.body, list) else [node.body])
        for inner in ast.walk(part)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield from _problems_of_call(node, id(node) in in_functions)
        if isinstance(node, ast.JoinedStr) and any(isinstance(part, ast.FormattedValue) and _says(part.value)
                                                   for part in node.values):  # fmt: skip
            yield node.lineno, "a translated text inside an f-string"
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add) and (_says(node.left) or _says(node.right)):
            yield node.lineno, "a sentence glued together with +"
        if isinstance(node, ast.keyword) and node.arg and TITLES.search(node.arg) and _is_words(node.value):
            yield node.value.lineno, f"{node.arg}={ast.unparse(node.value)}"
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value and id(node) not in in_functions:
            names = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(TITLES.search(getattr(name, "id", "")) for name in names) and _is_words(node.value):
                yield node.lineno, f"{ast.unparse(names[0])} = {ast.unparse(node.value)}"


def _problems_of_call(call: ast.Call, in_function: bool) -> Iterator[tuple[int, str]]:
    name = _name(call)
    if name in TAKES_WORDS:
        count = 2 if name.endswith(("ngettext", "pgettext")) else 1
        if not all(isinstance(a, ast.Constant) and isinstance(a.value, str) for a in call.args[:count]):
            yield call.lineno, f"{name}() of something that is no literal is never extracted"
        if name not in LAZY and not in_function:
            yield call.lineno, f"{name}() outside of functions speaks one language for ever; use _l"
    elif name in SHOWN_TO_PEOPLE:
        for argument in call.args[1:2] if name in {"Action", "Section"} else call.args[:1]:  # their key comes first
            if _is_words(argument):
                yield argument.lineno, f"{name}({ast.unparse(argument)})"


def _name(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")


def _says(node: ast.AST) -> bool:
    """Whether it is a translated text, perhaps inside str()."""
    if not isinstance(node, ast.Call):
        return False
    return _name(node) in TAKES_WORDS or (_name(node) == "str" and any(map(_says, node.args)))


def _is_words(node: ast.AST) -> bool:
    """Whether words stand there literally, which nobody will translate."""
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    return any(isinstance(p, ast.Constant) and isinstance(p.value, str) and _letters(p.value) for p in parts)


def test_history_has_words_for_every_deed(app):
    exports = {f"{view.noun}.exported" for view in app.appbuilder.baseviews if _exports(view)}
    watched = {f"{noun}.{deed}" for noun in audit.WATCHED.values() for deed in ("created", "updated", "deleted")}
    columns = {c.key for model in audit.WATCHED for c in inspect(model).columns} - audit.SILENT - {"id"}

    deeds, details = _recorded()

    assert not sorted((deeds | exports | watched) - set(history.ACTIONS))
    assert not sorted((details | columns) - set(history.FIELDS))


def _exports(view: Any) -> bool:
    return hasattr(view, "export") and "export" in view.include_route_methods


def _recorded() -> tuple[set[str], set[str]]:
    """The deeds the code writes down by name, and what it adds to them."""
    calls = [
        node
        for module in MODULES
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and _name(node) in {"record", "_note", "_note_factor"} and node.args
    ]
    deeds = {a.value for call in calls for a in ast.walk(call.args[0]) if isinstance(a, ast.Constant)}
    known = set(signature(audit.record).parameters)
    details = {k.arg for call in calls if _name(call) == "record" for k in call.keywords if k.arg} - known
    return {deed for deed in deeds if not deed.startswith(".")}, details


# --- the templates ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: str(path.relative_to(APP / "templates")))
def test_templates_say_nothing_untranslated(template):
    source = template.read_text(encoding="utf-8")
    markup = _markup(source)
    said = [markup] if template.suffix == ".txt" else _visible(markup)

    literal = [text.strip() for text in said if _letters(text)] + list(_literals_in_expressions(source))

    assert not literal


def _environment() -> jinja2.Environment:
    return jinja2.Environment(extensions=["jinja2.ext.do", "jinja2.ext.i18n"], autoescape=True)


def _markup(source: str) -> str:
    """The template with its expressions blanked out."""
    parts: list[str] = []
    source = re.sub(r"{%-? block \w+_class .*?endblock -?%}", "", source, flags=re.DOTALL)
    for _line, kind, value in _environment().lex(source):
        if kind == "data":
            parts.append(value)
        elif kind == "variable_begin":
            parts.append("div" if parts and parts[-1].endswith(("<", "</")) else "\ufffc")
    return "".join(parts)


def _literals_in_expressions(source: str) -> Iterator[str]:
    """Words in an expression that nobody translates, such as `x or "Untitled"`."""
    for text in _untranslated(_environment().parse(source)):
        if re.match(r"[A-ZÄÖÜ][a-zäöüß]+(?: |[.?!…:]|$)", text):
            yield text


def _untranslated(node: jinja2.nodes.Node) -> Iterator[str]:
    if isinstance(node, jinja2.nodes.Call) and getattr(node.node, "name", "") in TAKES_WORDS:
        return
    if isinstance(node, jinja2.nodes.Const) and isinstance(node.value, str):
        yield node.value
    for child in node.iter_child_nodes():
        yield from _untranslated(child)


# --- the pages -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["de", "en"])
@pytest.mark.parametrize("who", ["alice", "bob", "dora", "nobody"])
def test_every_page_speaks_one_language(app, who, language, request):
    """Nothing of the other language stands on any page, in any dialog, in any file."""
    alien = _alien_to(language)
    secret = _let_something_happen(app, language)
    person = None if who == "nobody" else request.getfixturevalue(who)
    client = browse(person).client if person else _half_signed_in(app)
    seen, problems = set(), []

    for address in _addresses(app, person, secret):
        dialog = {"HX-Request": "true"} if re.search("/(add|edit|related)(/|$)", address) else {}
        headers = {"Accept-Language": language, **dialog}
        answer = apart(client.get, address, headers=headers, buffered=True)
        problems += [(address, what) for what in _wrong_with(answer, language, alien)]
        seen |= {address} if answer.status_code == 200 else set()

    assert not problems
    assert len(seen) >= (20 if person else 3)


# A deed by the name it has in the code, as history shows what it has no words for.
UNSAID = re.compile(rf"\b(?:{'|'.join({deed.partition('.')[0] for deed in history.ACTIONS})})\.[a-z_]+\b")


def _wrong_with(answer: Any, language: str, alien: set[str]) -> Iterator[Any]:
    if 300 <= answer.status_code < 400:
        return
    if answer.status_code == 500:
        yield answer.status_code
    if "html" in answer.mimetype and "<html" in answer.text and f'<html lang="{language}"' not in answer.text:
        yield "another lang"
    told = _told(answer)
    yield from (words for words in alien if _occurs(words, told))
    yield from UNSAID.findall(told)


@pytest.mark.parametrize("language", ["de", "en"])
def test_every_mail_speaks_one_language(app, language):
    alien = _alien_to(language)
    app.jinja_env.undefined, before = jinja2.ChainableUndefined, app.jinja_env.undefined
    try:
        with app.test_request_context(), force_locale(language):
            for template in (p for p in TEMPLATES if p.parent.name == "mail" and p.stem != "base"):
                body = render_template(f"mail/{template.name}", name="N", brand="B", link="L", locale=language)
                told = body if template.suffix == ".txt" else "\n".join(_visible(body))
                assert not [words for words in alien if _occurs(words, told)], template.name
    finally:
        app.jinja_env.undefined = before


def test_what_is_refused_is_refused_in_german(app, alice):
    alien = _alien_to("de") | _english_of_wtforms()
    wrong = {"name": "x" * 200, "country": "??", "language": "??", "currency": "??", "time_zone": "??"}
    secret, tab = _let_something_happen(app, "de"), Tab(app)
    tab.get("/lang/de")

    answers = [
        browse(alice).post("/accounts/add", data={"email": "x"}, headers={"Accept-Language": "de"}),
        browse(alice).post("/accounts/add", data={"name": "Fjordline"}, headers={"Accept-Language": "de"}),
        browse(alice).post("/accounts/add", data=wrong, headers={"Accept-Language": "de"}),
        browse(alice).post("/settings/", data={"name": ""}, headers={"Accept-Language": "de"}),
        tab.post("/login/", email="", password=""),
        tab.post("/login/", email=alice.email, password="wrong"),
        tab.post("/forgot/", email=""),
        tab.post(f"/reset/{secret}", password="short", repeat="other"),
        tab.post(f"/reset/{secret}", password="short", repeat="short"),
    ]

    assert [answer.status_code for answer in answers] == [422] * len(answers)
    assert not [(n, what) for n, answer in enumerate(answers) for what in _wrong_with(answer, "de", alien)]


def test_dates_in_german_lists_look_german(alice):
    page = browse(alice).get("/accounts/list/", headers={"Accept-Language": "de"})

    rows = " ".join(_visible(page.text.split("<tbody", 1)[1]))
    assert re.search(r"\b\d\d\.\d\d\.\d{4}\b", rows)
    assert not re.search(r"\b\d{4}-\d\d-\d\d\b|\b[A-Z][a-z]{2} \d{1,2}, \d{4}\b", rows)


class _Form(FlaskForm):
    class Meta:
        csrf = False

    amount = LocalDecimalField()
    day = LocalDateField()


@pytest.mark.parametrize(
    ("language", "amount", "day"),
    [("de", "1.234,5", "22.11.2026"), ("de", "1234,5", "2026-11-22"), ("de", "1234.5", "22.11.2026"),
     ("en", "1,234.5", "2026-11-22"), ("en", "1234.5", "2026-11-22")],
)  # fmt: skip
def test_numbers_and_days_are_read_as_people_write_them(app, language, amount, day):
    data = {"amount": amount, "day": day}
    with app.test_request_context(method="POST", data=data), force_locale(language):
        form = _Form()
        assert form.validate(), form.errors
        assert (form.amount.data, form.day.data) == (Decimal("1234.5"), date(2026, 11, 22))


@pytest.mark.parametrize(
    ("value", "kind", "german", "english"),
    [(Decimal("1234567.5"), "number", "1.234.567,5", "1,234,567.5"), (date(2026, 11, 22), "date", "22.11.2026",
     "Nov 22, 2026"), (True, "flag", "Ja", "Yes"), (False, "flag", "Nein", "No")],
)  # fmt: skip
def test_values_are_shown_as_people_write_them(app, value, kind, german, english):
    for language, expected in (("de", german), ("en", english)):
        with app.test_request_context(), force_locale(language):
            assert shown(value, kind) == expected


def _let_something_happen(app: Flask, language: str) -> str:
    """Lines of history, an archived account, mails in the outbox, a second factor; answers the secret of a link."""
    with unscoped("Bob reads his mail in this language"):
        signin.choose_language(signin.find_user(BOB.email).id, language)
    browser = browse(ALICE)
    facts = {"name": "Küstenfunk", "contact": "Imke", "language": "de", "time_zone": "UTC", "currency": "EUR"}
    browser.post(f"/accounts/edit/{account_id('kuestenfunk')}", data=facts)
    browser.post("/accounts/action_post", data={"action": "archive", "rowid": account_id("deichbau")})
    browser.get("/accounts/export")
    give_second_factor(DORA)
    return reset_link(app, BOB).rpartition("/")[2]


def _half_signed_in(app: Flask) -> Any:
    """A browser that has passed Dora's password, and not yet her second factor."""
    tab = Tab(app)
    tab.sign_in(DORA)
    return tab.client


def _addresses(app: Flask, person: Any, secret: str) -> Iterator[str]:
    """Every address there is to look at; of rows the newest the person can see."""
    home = f"/a/{person.slug}" if person else ""
    yield f"{home}/there-is-no-such-page"
    for query in ("archived=1&_flt_0_kind=customer&q=k&sort=name&size=10", "q=nothing", "page=x&_flt_9_name=x&sort=x"):
        yield f"{home}/accounts/list/?{query}"
    for rule in app.url_map.iter_rules():
        if "GET" in rule.methods and rule.endpoint not in {"static", "appbuilder.static", "public.language"}:
            for values in _examples(app, rule, person):
                known = {"secret": secret, "token": secret, "code": "unknown", "key": "unknown", "pk": 1} | values
                path = rule.build({name: known.get(name, 1) for name in rule.arguments}, append_unknown=False)[1]
                yield path if rule.endpoint.startswith("public.") else home + path


def _examples(app: Flask, rule: Any, person: Any) -> list[dict[str, Any]]:
    """Arguments that make an address out of a rule."""
    view = next((v for v in app.appbuilder.baseviews if type(v).__name__ == rule.endpoint.split(".")[0]), None)
    if person is None or not isinstance(view, BackOfficeView) or "pk" not in rule.arguments:
        return [{}, {"secret": "unknown"}] if "secret" in rule.arguments else [{}]
    if "key" in rule.arguments:
        return [{"key": key, "pk": pk} for key, owner in view.related_keys.items() for pk in _keys(owner, person)]
    return [{"pk": pk} for pk in _keys(view.datamodel.obj, person)]


def _keys(model: type, person: Any) -> list[int]:
    with acting_as(person):
        return list(db.session.scalars(select(model.id).order_by(model.id.desc()).limit(2)))


def _told(answer: Any) -> str:
    """What a person reads in an answer."""
    if "spreadsheet" in answer.mimetype:
        sheets = openpyxl.load_workbook(io.BytesIO(answer.data)).worksheets
        headings = [[cell.value for cell in sheet[1]] for sheet in sheets] + list(sheets[-1].values)
        return "\n".join(str(value) for row in headings for value in row)
    return "\n".join(_visible(answer.text)) if "html" in answer.mimetype else ""


@cache
def _alien_to(language: str) -> set[str]:
    """The words of the other language that mean nothing in this one."""
    sides = [(_pieces(english), _pieces(german)) for english, german in _pairs()]
    own, other = (1, 0) if language == "de" else (0, 1)
    ours = "\n".join(piece for side in sides for piece in side[own])
    return {piece for side in sides for piece in side[other] if not _occurs(piece, ours)}


def _pieces(sentence: str) -> list[str]:
    """The parts between the placeholders, if there is enough of them to be told from other words."""
    pieces = [piece.strip(" .,:;!?…“”„") for piece in re.split(r"%\(\w+\)[sd]", sentence)]
    return [piece for piece in pieces if len(_letters(piece)) > 3]


def _occurs(words: str, text: str) -> bool:
    return words in text and re.search(rf"(?<!\w){re.escape(words)}(?!\w)", text) is not None


# --- reading ---------------------------------------------------------------------------------------------------


class _Reader(HTMLParser):
    """What is to be read of a page: its texts, and those in attributes."""

    ATTRIBUTES = {"alt", "aria-label", "aria-description", "label", "placeholder", "title", "data-confirm", "data-name"}

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.inside: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag in {"script", "style", "kbd", "pre", "code"}:  # for machines, or as machines say it
            self.inside.append(tag)
        is_words = dict(attributes).get("id") == "k-words"
        self.texts += [v for k, v in attributes if v and (k in self.ATTRIBUTES or (is_words and k.startswith("data-")))]

    def handle_endtag(self, tag: str) -> None:
        if self.inside and self.inside[-1] == tag:
            self.inside.pop()

    def handle_data(self, data: str) -> None:
        if not self.inside:
            self.texts.append(" ".join(data.split()))


def _visible(markup: str) -> list[str]:
    reader = _Reader()
    reader.feed(markup)
    reader.close()
    return [text for text in reader.texts if text]


@cache
def _asked() -> set[Key]:
    """Every sentence the code and the templates ask for."""
    with open(ROOT / "babel.cfg") as file:
        methods, options = parse_mapping_cfg(file)
    keywords = DEFAULT_KEYWORDS | parse_keywords(KEYWORDS)
    found = extract_from_dir(str(ROOT), methods, options, keywords)
    return {(context, _first(sentence)) for _file, _line, sentence, _comments, context in found}


@cache
def _asked_by_fab() -> set[str]:
    """Every sentence FAB asks for, and those its catalogue still has."""
    folder = Path(flask_appbuilder.__file__).parent
    methods = [("**.py", "python"), ("**/templates/**.html", "jinja2")]
    keywords = DEFAULT_KEYWORDS | parse_keywords(["__", "lazy_gettext"])
    found = {_first(sentence) for _f, _l, sentence, _c, _x in extract_from_dir(str(folder), methods, {}, keywords)}
    with open(folder / "translations/de/LC_MESSAGES/messages.po", "rb") as file:
        return found | {_first(message.id) for message in read_po(file) if message.id}


def _english_of_wtforms() -> set[str]:
    with open(Path(messages_path()) / "wtforms.pot", "rb") as file:
        return {
            piece for message in read_po(file) if message.id for form in _forms(message.id) for piece in _pieces(form)
        }


def _spoken() -> dict[str, str]:
    """What people get to see: FAB's compiled catalogue with ours above it."""
    compiled = io.BytesIO()
    write_mo(compiled, _catalogue())
    compiled.seek(0)
    with open(Path(flask_appbuilder.__file__).parent / "translations/de/LC_MESSAGES/messages.mo", "rb") as file:
        return GNUTranslations(file)._catalog | GNUTranslations(compiled)._catalog


@cache
def _catalogue() -> Catalog:
    with open(GERMAN, "rb") as file:
        return read_po(file, locale="de")


@cache
def _german() -> dict[Key, Message]:
    return {(message.context, _first(message.id)): message for message in _catalogue() if message.id}


def _pairs() -> Iterator[tuple[str, str]]:
    """English and German of every sentence, form by form."""
    for message in _german().values():
        yield from zip(_forms(message.id), _forms(message.string), strict=True)


def _first(sentence: str | tuple[str, ...] | list[str]) -> str:
    return sentence if isinstance(sentence, str) else sentence[0]


def _forms(sentence: str | tuple[str, ...] | list[str]) -> list[str]:
    return [sentence] if isinstance(sentence, str) else list(sentence)


def _placeholders(sentence: str) -> list[str]:
    return sorted(re.findall(r"%\(\w+\)[a-z]", sentence))


def _without_placeholders(sentence: str) -> str:
    return re.sub(r"%\(\w+\)[a-z]", "", sentence)


def _edges(sentence: str) -> tuple[str, str, str]:
    """The spaces around it and how it ends."""
    start, end = sentence[: -len(sentence.lstrip())], sentence[len(sentence.rstrip()) :]
    return start, end, re.sub(r"[^.,:;!?…)]", "", sentence.rstrip()[-1:])


def _letters(text: str) -> str:
    return "".join(filter(str.isalpha, text))

"""HTML made without a template is as careful as one made with it, and what is remembered is about nobody."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from flask_babel import force_locale
from jinja2 import Environment, meta

from app.ui.markup import badge, remembered, table_rows, value
from app.ui.page import Action, Cell, Choice, ColumnFilter, ListPage, Paging, Row

TEMPLATES = Path(__file__).parents[2] / "app" / "templates"
KINDS = [
    "text", "long", "number", "money", "date", "moment", "flag", "choice", "country", "language", "link", "email",
    "url", "phone", "masked",
]  # fmt: skip
HOSTILE = "https://x.example/\"'><script>alert(1)</script>"
SAYS_WHO = {"csrf", "flashes", "head", "paging", "action"}  # macros that ask who is reading, or where


def in_a_list(*cells: Cell, **facts: str) -> str:
    """The HTML of a list's only row, which can be chosen, opened and edited."""
    row = replace(Row("7", "Row", list(cells), url="/show/7", edit_url="/edit/7"), **facts)
    page = ListPage("List", "View", "/list/", [], [row], Paging(1, 1, 1, ""), actions=[Action("a", "A")])
    return table_rows(page, "form")


def told_to(template: str) -> set[str]:
    """The names under which the pages hand something to a part that is remembered."""
    pages = "".join(path.read_text() for path in TEMPLATES.glob("*.html"))
    calls = re.findall(rf'remembered\("{template}"((?:, \w+=[\w.]+)*)\)', pages)
    assert calls
    return {name for call in calls for name in re.findall(r"(\w+)=", call)}


def parts() -> list[str]:
    pages = "".join(path.read_text() for path in TEMPLATES.glob("*.html"))
    return sorted(set(re.findall(r'remembered\("([\w.]+)"', pages)))


@pytest.mark.parametrize("template", parts())
def test_what_is_remembered_knows_only_what_it_is_told(app, template):
    tree = Environment().parse((TEMPLATES / template).read_text())  # which has no globals such as `request`

    assert meta.find_undeclared_variables(tree) <= told_to(template) | {"_", "options"}
    assert not SAYS_WHO & set(re.findall(r"\bm\.(\w+)\(", (TEMPLATES / template).read_text()))
    assert "with context" not in (TEMPLATES / template).read_text()


def test_a_part_is_remembered_for_each_language(app):
    with force_locale("en"):
        english = remembered("_shortcuts.html")
        assert remembered("_shortcuts.html") is english
    with force_locale("de"):
        german = remembered("_shortcuts.html")

    assert "Search" in english and "Suche" in german


def test_a_filter_with_other_choices_is_another_one(app):
    some = ColumnFilter("_flt_0_x", "Colour", (Choice("", "All", True), Choice("r", "Red")))
    others = ColumnFilter("_flt_0_x", "Colour", (Choice("", "All", True), Choice("b", "Blue")))

    assert "Red" in remembered("_filter.html", filter=some, view="A")
    assert "Red" not in remembered("_filter.html", filter=others, view="A")


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_in_a_cell_becomes_html(app, kind):
    for cell in (
        Cell(HOSTILE, kind),
        Cell(HOSTILE, kind, url=HOSTILE),
        Cell(HOSTILE, kind, tone=HOSTILE),
        Cell("x", kind, texts=(HOSTILE, HOSTILE)),
    ):
        made = f"{in_a_list(cell, cell)} {value(cell)} {badge(HOSTILE, HOSTILE)}"
        assert "<script" not in made
        assert '"\'' not in made


@pytest.mark.parametrize("fact", ["pk", "label", "url", "edit_url", "verbs"])
def test_nothing_in_a_row_becomes_html(app, fact):
    made = in_a_list(Cell(""), Cell("x"), **{fact: HOSTILE})

    assert "<script" not in made
    assert '"\'' not in made


def test_a_row_offers_what_there_is_to_do(app):
    cells = Cell("Küstenfunk"), Cell("x")

    assert 'class="k-go" href="/show/7">Küstenfunk</a>' in in_a_list(*cells)
    assert 'href="/edit/7" data-modal data-edit aria-label="Edit Row"' in in_a_list(*cells)
    assert 'value="7" form="form" data-verbs="" aria-label="Choose Row"' in in_a_list(*cells)
    assert "data-edit" not in in_a_list(*cells, edit_url="")
    assert 'href="/elsewhere">Küstenfunk</a>' in in_a_list(Cell("Küstenfunk", url="/elsewhere"), Cell("x"))


def test_an_address_that_was_typed_leads_to_the_web_alone(app):
    assert "href" not in value(Cell("javascript:alert(1)", "url"))
    assert 'href="https://a.example" target="_blank"' in value(Cell("https://a.example", "url"))
    assert value(Cell("ftp://a.example", "url", url="/accounts/show/1")).startswith('<a class="k-ref" href="/accounts/')


def test_whoever_is_written_to_or_called_is_linked(app):
    assert 'href="mailto:a@b.example"' in value(Cell("a@b.example", "email"))
    assert 'href="tel:+49401234"' in value(Cell("+49 40 1234", "phone"))
    assert "href" not in value(Cell("a•••@b•••.example", "masked"))


def test_what_is_not_there_is_a_dash_and_what_is_long_is_told_in_full(app):
    assert "–" in value(Cell(""))
    assert "title=" not in in_a_list(Cell(""), Cell("x" * 36))
    assert f'title="{"x" * 37}"' in in_a_list(Cell(""), Cell("x" * 37))

"""HTML that a page has hundreds of, and parts that are the same on thousands of pages.

What is said here is a function of what it is given and of the reader's language, of nothing else: so it can be made
without a template, or made once and remembered.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from flask import current_app
from flask_babel import get_domain, get_locale
from flask_babel import gettext as _
from markupsafe import Markup, escape

from .page import Cell, Choice, ListPage, Row

STATIC = Path(__file__).parent.parent / "static"
_WEB = ("https://", "http://")
_LONG = 36  # characters of a cell that may be cut off on the screen


def remembered(template: str, **said: Any) -> Markup:
    """A part of a page that says what it is told here and no more: made once for all who are told the same.

    The template must not ask who is reading, or where (`tests/ui/test_markup.py`).
    """
    return _made(template, str(get_locale()), tuple(said.items()))


@lru_cache(maxsize=4096)
def _made(template: str, _language: str, said: tuple[tuple[str, Any], ...]) -> Markup:
    return Markup(current_app.jinja_env.get_template(template).render(said))  # noqa: S704 the template has escaped


def word(text: str, **variables: Any) -> Markup:
    """What `_` says in a template: Jinja's own looks the way to it up twice for each word."""
    said = Markup(get_domain().get_translations().ugettext(text))  # noqa: S704 one of our own
    return said % variables if variables or "%" in said else said


@lru_cache(maxsize=256)
def asset(name: str) -> str:
    """The address of a static file: the same in every account, new whenever the file is."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:10]
    return f"/static/{name}?v={digest}"


@lru_cache(maxsize=1024)
def icon(name: str, kind: str = "") -> Markup:
    html = Markup('<svg class="icon {}" aria-hidden="true" focusable="false"><use href="{}#i-{}"></use></svg>')
    return html.format(kind, asset("icons.svg"), name)


@lru_cache(maxsize=1024)
def options(choices: tuple[Choice, ...]) -> Markup:
    """The inside of a select: some, such as the countries, have hundreds."""
    html = Markup('<option value="{}"{}>{}</option>')
    return Markup().join(html.format(c.value, Markup(" selected") if c.selected else "", c.label) for c in choices)


def table_rows(page: ListPage, form: str) -> Markup:
    """The rows of a list; `form` is that in which some of them can be chosen."""
    choose, edit = _("Choose %(name)s") if page.actions else "", _("Edit %(name)s") if page.is_edited else ""
    return Markup("".join([_row(row, form, choose, edit) for row in page.rows]))  # noqa: S704 each has escaped it all


def value(cell: Cell) -> Markup:
    """What stands in a cell, or beside the name of a fact."""
    return Markup(_value(cell))  # noqa: S704 escaped


def badge(text: str, tone: str = "") -> Markup:
    return Markup(_badge(text, tone))  # noqa: S704 escaped


# --- plain strings of HTML, hundreds for a page: whatever comes in is escaped where it is put in ------------------


def _row(row: Row, form: str, choose: str, edit: str) -> str:
    first, *others = row.cells
    label, muted = escape(row.label), ' class="is-muted"' if row.muted else ""
    leads = f' data-href="{escape(row.url)}"' if row.url else ""
    return (
        f'<tr tabindex="-1" data-label="{label}"{leads}{muted}>\n'
        f"{_choosing(row, form, choose) if choose else ''}{_first(first, row)}"
        f"{''.join([_cell(cell) for cell in others])}{_editing(row, edit) if edit else ''}</tr>\n"
    )


def _choosing(row: Row, form: str, choose: str) -> str:
    said = f'value="{escape(row.pk)}" form="{escape(form)}" data-verbs="{escape(row.verbs)}"'
    name = escape(choose % {"name": row.label})
    return (
        '<td class="k-choose"><label><input type="checkbox" class="form-check-input" name="rowid" '
        f'{said} aria-label="{name}" autocomplete="off"></label></td>\n'
    )


def _first(cell: Cell, row: Row) -> str:
    """What the row is called; it leads to its page, unless it is a link to somewhere else."""
    indent = f" indent-{min(cell.indent, 8)}" if cell.indent else ""
    own = row.url and cell.url in {"", row.url}
    said = f'<a class="k-go" href="{escape(row.url)}">{escape(cell.text or row.label)}</a>' if own else _value(cell)
    return f'<th scope="row" class="k-first"><span class="k-cell{indent}"{_titled(cell)}>{said}</span></th>\n'


def _editing(row: Row, edit: str) -> str:
    if not row.edit_url:
        return '<td class="k-edit"></td>\n'
    name = escape(edit % {"name": row.label})
    link = f'<a href="{escape(row.edit_url)}" data-modal data-edit aria-label="{name}">{icon("pencil")}</a>'
    return f'<td class="k-edit">{link}</td>\n'


def _cell(cell: Cell) -> str:
    end = ' class="k-end"' if cell.kind in {"number", "money"} else ""
    return f'<td{end}><span class="k-cell"{_titled(cell)}>{_value(cell)}</span></td>\n'


def _titled(cell: Cell) -> str:
    return f' title="{escape(cell.text)}"' if len(cell.text) > _LONG else ""


def _value(cell: Cell) -> str:
    if not cell.text:
        return '<span class="k-muted" aria-hidden="true">–</span>'
    if cell.texts:
        return "".join([_badge(text, cell.tone) + " " for text in cell.texts])
    if cell.kind == "choice" or cell.tone:
        return _badge(cell.text, cell.tone)
    if cell.kind == "masked":
        why = escape(_("Masked: your role does not see contacts at once"))
        return f'<span class="k-muted" title="{why}">{escape(cell.text)}</span>'
    address = _address(cell)
    return _link(address, cell) if address else escape(cell.text)


@lru_cache(maxsize=1024)
def _badge(text: str, tone: str) -> str:
    return f'<span class="k-badge k-tone-{escape(tone or "secondary")}">{escape(text)}</span>'


def _link(address: str, cell: Cell) -> str:
    begun = f'<a class="k-ref" href="{escape(address)}"'
    if cell.kind != "url" or not address.startswith(_WEB):
        return f"{begun}>{escape(cell.text)}</a>"
    away = _("(opens in a new tab)")
    told = f'<span class="visually-hidden">{escape(away)}</span>'
    return f'{begun} target="_blank" rel="noopener noreferrer">{escape(cell.text)}{told}</a>'


def _address(cell: Cell) -> str:
    """Where a cell leads, if anywhere; of what was typed as an address those alone that are on the web."""
    if cell.url or cell.kind not in {"email", "phone", "url"}:
        return cell.url
    if cell.kind == "url":
        return cell.text if cell.text.startswith(_WEB) else ""
    return f"mailto:{cell.text}" if cell.kind == "email" else f"tel:{cell.text.replace(' ', '')}"


_PARTS = (asset, icon, remembered, options, table_rows, value, badge)
FOR_TEMPLATES = {"_": word} | {one.__name__: one for one in _PARTS}

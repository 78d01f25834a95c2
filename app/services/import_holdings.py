"""A file of articles to give: account, article number, quantity (X-3, M-11)."""

from __future__ import annotations

from functools import partial
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from .. import clock
from ..errors import Refused
from ..extensions import db
from ..models import Account, Article, Holding, Member
from ..sheets import Sheet
from . import licenses
from .import_columns import Column, in_all_languages, line
from .import_columns import number as number_of
from .import_plan import Row, by_hundreds
from .import_rows import ACCOUNT, Accounts, Rows, Values, account_column

ARTICLE, QUANTITY = "article_id", "quantity"  # as the refusals of `licenses` name them


def columns(_account_id: int) -> dict[str, Column]:
    """Everything a column can be."""
    numbers = ("Article", "Artikel", "SKU", *in_all_languages(_l("Article number")))
    amounts = ("Amount", "Anzahl", "Pieces", "Stück", *in_all_languages(_l("Quantity")))
    found = [
        account_column(required=True),
        Column(ARTICLE, numbers, _("Article number"), read=line, say=_said, required=True),
        Column(QUANTITY, amounts, _("Quantity"), read=_quantity, required=True),
    ]
    return {column.key: column for column in found}


def _said(kept: list[str] | None) -> str:
    """Number and name."""
    return " · ".join(kept or ())


def _quantity(cell: Any) -> int:
    """A whole number, typed or written out; with a point or a comma in it, it could be either language's."""
    text = f"{number_of(cell):f}" if isinstance(cell, float) else line(cell)
    if not (text.isdecimal() and text.isascii() and len(text) <= 10):
        raise Refused(_("A quantity is a whole number from 1 to 1,000,000,000."))
    return int(text)


def look(sheet: Sheet, mapping: list[str], *, by: Member) -> list[Row]:
    """What each account would be given, and what is wrong. Nothing is written."""
    rows = Rows(sheet, mapping, columns(by.account_id))
    known = Accounts(rows.texts(ACCOUNT), by.account)
    offered = _articles({*rows.texts(ARTICLE)})
    return rows.look(partial(_examine, rows, known, offered, by))


def _articles(numbers: set[str]) -> dict[str, Article]:
    found: dict[str, Article] = {}
    for some in by_hundreds(sorted(numbers)):
        found |= {one.number: one for one in db.session.scalars(select(Article).where(Article.number.in_(some)))}
    return found


def _examine(
    rows: Rows, known: Accounts, offered: dict[str, Article], by: Member, row: Row, values: Values
) -> None:
    account, article = known.find(values[ACCOUNT]), offered.get(values[ARTICLE])
    if article is None:
        raise _no_article(values[ARTICLE])
    licenses.examine(article, values[QUANTITY], to=account, by=by)
    rows.refuse_twice(row, (account.id, article.id), field=ARTICLE)
    row.name, row.parent_id = account.name, account.id
    row.cells = {ARTICLE: [None, [article.number, article.name]], QUANTITY: [None, values[QUANTITY]]}


def _no_article(number: str) -> Refused:
    return Refused(_("There is no article with the number “%(number)s”.", number=number[:60]), field=ARTICLE)


def write(row: Row, by: Member) -> bool:
    """Give the account what the row says, from today on."""
    to = db.session.get_one(Account, row.parent_id)
    number, quantity = row.cells[ARTICLE][1][0], row.cells[QUANTITY][1]
    article = db.session.scalars(select(Article).where(Article.number == number)).one_or_none()
    if article is None:  # it has another number by now
        raise _no_article(number)
    row.id = licenses.give(article, quantity, to=to, on=clock.today(to.time_zone), by=by).id
    row.opened = True
    return True


def undo(row: Row, by: Member) -> bool:
    """Take back what the row has given."""
    holding = db.session.get(Holding, row.id)
    if holding is None:
        raise Refused(_("It is no longer there."))
    licenses.take_back(holding, by=by)
    return True

"""How an account stands, as a column: active, on hold, archived; several at once where it is so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import ColumnElement, and_, case

from ..models import Account, Consent, HoldKind
from ..tenancy import current_scope
from .columns import TONES, Field
from .filters import Operator
from .page import Cell


class Standing(StrEnum):
    """The gravest first."""

    ADMINISTRATIVE = "administrative"
    FINANCIAL = "financial"
    ARCHIVED = "archived"
    ACTIVE = "active"
    CONSENT = "consent"  # a client that stands elsewhere in the tree and has let the acting account in

    @property
    def label(self) -> Any:
        return _LABELS[self]


_LABELS = {
    Standing.ADMINISTRATIVE: HoldKind.ADMINISTRATIVE.label,
    Standing.FINANCIAL: HoldKind.FINANCIAL.label,
    Standing.ARCHIVED: _l("Archived"),
    Standing.ACTIVE: _l("Active"),
    Standing.CONSENT: _l("By consent"),
}


def standings_of(account: Account) -> list[Standing]:
    """All that is true of it; active is what has nothing else to say."""
    holds, consents = account.holds, bool(current_scope().agreed(account.id))
    return _marked((HoldKind.ADMINISTRATIVE in holds, HoldKind.FINANCIAL in holds, account.is_archived, consents))


def _marked(marks: tuple[bool, ...]) -> list[Standing]:
    *own, consents = marks
    found = [standing for standing, mark in zip(_MARKS, own, strict=True) if mark] or [Standing.ACTIVE]
    return found + [Standing.CONSENT] * consents


def condition(standing: Standing) -> ColumnElement[bool]:
    """The same, asked of the database."""
    if standing is Standing.CONSENT:
        return Account.id.in_(sorted(current_scope().linked.get(Consent.VIEW, ())))
    return _MARKS.get(standing, and_(*(~mark for mark in _MARKS.values())))


_MARKS = {
    Standing.ADMINISTRATIVE: Account.administrative_hold_at.is_not(None),
    Standing.FINANCIAL: Account.financial_hold_at.is_not(None),
    Standing.ARCHIVED: Account.archived_at.is_not(None),
}


def badge(standing: Standing) -> Cell:
    return Cell(str(standing.label), "choice", tone=TONES[standing.value])


_GRAVEST_FIRST = [standing for standing in Standing if standing is not Standing.CONSENT]


@dataclass(frozen=True)
class StandingField(Field):
    """Sorted by what is gravest; filtered by what is true."""

    @property
    def order(self) -> Any:
        return case({condition(standing): n for n, standing in enumerate(_GRAVEST_FIRST)}, else_=len(Standing))

    def cell(self, row: Account, *, url: str = "", indent: int = 0) -> Cell:
        return self._worded(tuple(standings_of(row)))

    def _made(self, value: tuple[Standing, ...]) -> Cell:
        texts = tuple(str(standing.label) for standing in value)
        return Cell(", ".join(texts), "choice", tone=TONES[value[0].value], texts=texts)

    @property
    def parts(self) -> tuple[Any, ...]:
        return (*_MARKS.values(), condition(Standing.CONSENT))

    def plain(self, *marks_of_all: Sequence[bool]) -> list[str]:
        """Of many accounts at once, among which few things are true."""
        marked = [*zip(*marks_of_all, strict=True)]
        words = {marks: ", ".join(str(one.label) for one in _marked(marks)) for marks in set(marked)}
        return [words[marks] for marks in marked]


def standing_column(name: str, label: Any) -> StandingField:
    return StandingField(
        name=name,
        label=label,
        kind="choice",
        value=standings_of,
        expression=Account.archived_at,
        choices=list(Standing),
        operators=_OPERATORS,
    )


def _read(_field: Field, text: str) -> Standing:
    return Standing(text)


_OPERATORS = [
    Operator(_l("is"), _read, lambda _column, standing: condition(standing)),
    Operator(_l("is not"), _read, lambda _column, standing: ~condition(standing), negative=True),
]

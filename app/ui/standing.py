"""How an account stands, as a column: active, on hold, archived; several at once where it is so."""

from __future__ import annotations

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
    found = [Standing(kind.value) for kind in account.holds] + [Standing.ARCHIVED] * account.is_archived
    return (found or [Standing.ACTIVE]) + [Standing.CONSENT] * bool(current_scope().agreed(account.id))


def condition(standing: Standing) -> ColumnElement[bool]:
    """The same, asked of the database."""
    if standing is Standing.CONSENT:
        return Account.id.in_(sorted(current_scope().linked.get(Consent.VIEW, ())))
    marks = {
        Standing.ADMINISTRATIVE: Account.administrative_hold_at.is_not(None),
        Standing.FINANCIAL: Account.financial_hold_at.is_not(None),
        Standing.ARCHIVED: Account.archived_at.is_not(None),
    }
    return marks.get(standing, and_(*(~mark for mark in marks.values())))


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
        found = standings_of(row)
        texts = tuple(str(standing.label) for standing in found)
        return Cell(", ".join(texts), "choice", tone=TONES[found[0].value], texts=texts)

    def plain(self, row: Account) -> str:
        return ", ".join(str(standing.label) for standing in standings_of(row))


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
    Operator(_l("is not"), _read, lambda _column, standing: ~condition(standing)),
]

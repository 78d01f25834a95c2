"""What whoever acts in an account may know of those above it, which stand beyond their wall: the office of the one
that looks after it, and where the seller is.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from ..models import Account, Kind
from ..tenancy import unscoped


class Office(NamedTuple):
    """How a company is reached, as it says so itself; nothing of its people."""

    name: str
    contact: str
    email: str
    phone: str
    website: str
    language: str


def office_above(account_id: int) -> Office | None:
    """The office of whoever looks after that account; none above the operator's."""
    with _beyond_the_wall() as session:
        account = session.get(Account, account_id, options=[joinedload(Account.parent)])
        above = account.parent if account else None
        return above and Office(*(getattr(above, name) or "" for name in Office._fields))


def country_of_seller() -> str:
    """Where the operator is, which decides on the tax."""
    with _beyond_the_wall() as session:
        return session.scalar(select(Account.country).where(Account.kind == Kind.OPERATOR)) or ""


def _beyond_the_wall() -> Any:
    return unscoped("whoever looks after an account, and whoever sells, stands above the wall", writes=False)

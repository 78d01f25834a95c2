"""What whoever acts in an account may know of those above it, which stand beyond their wall: the office of the one
that looks after it, where the seller is, and what the operator asks of everybody.
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

    @property
    def in_words(self) -> str:
        """Its name and how it is reached, on one line."""
        ways = ", ".join(filter(None, [self.contact, self.email, self.phone]))
        return f"{self.name} ({ways})" if ways else self.name


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


def portal_needs_subscription() -> bool:
    """Whether the operator opens the customer portal to those alone who have a subscription that runs (L-13)."""
    with _beyond_the_wall() as session:
        asked = select(Account.portal_needs_subscription).where(Account.kind == Kind.OPERATOR)
        return bool(session.scalar(asked))


def _beyond_the_wall() -> Any:
    return unscoped("whoever looks after an account, and whoever sells, stands above the wall", writes=False)

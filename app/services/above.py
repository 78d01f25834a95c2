"""What whoever acts in an account may know of the account above it, which stands beyond their wall: its office."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy.orm import joinedload

from ..models import Account
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
    with unscoped("whoever looks after an account stands above the wall", writes=False) as session:
        account = session.get(Account, account_id, options=[joinedload(Account.parent)])
        above = account.parent if account else None
        return above and Office(*(getattr(above, name) or "" for name in Office._fields))

"""Whom a row belongs to (decision 2): every table inherits one of these, or is among `models.EXEMPT`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, declared_attr, mapped_column, relationship

if TYPE_CHECKING:
    from .accounts import Account

PATH = String(240, collation="C").with_variant(String(240), "sqlite")  # compared by range, so byte order counts


class OwnedByAccount:
    """Management data of one account: the account itself sees it, and every account above (M-5)."""

    @declared_attr
    def account_id(cls) -> Mapped[int]:
        return mapped_column(ForeignKey("account.id"), index=True)

    @declared_attr
    def account_path(cls) -> Mapped[str]:
        """A copy of the account's path, kept by the wall and never taken from a form.

        The database lets it follow when the account moves, and refuses one that is no account's path any more.
        """
        return mapped_column(PATH, ForeignKey("account.path", onupdate="CASCADE"), index=True)

    @declared_attr
    def account(cls) -> Mapped[Account]:
        return relationship("Account", foreign_keys=[cls.account_id])  # type: ignore[list-item]


class InsideAccount(OwnedByAccount):
    """Inside data: only the account itself sees it, nobody above (M-5)."""


class OwnInside(InsideAccount):
    """A person's own things in one account: seen by them alone, and only while they act there."""

    @declared_attr
    def user_id(cls) -> Mapped[int]:
        return mapped_column(ForeignKey("ab_user.id"), index=True)


class OfCatalogue(OwnedByAccount):
    """What the operator offers: read in every account, written in the operator's own alone (M-11)."""


class OwnedByUser:
    """A person's own things, the same in whichever account they act."""

    @declared_attr
    def user_id(cls) -> Mapped[int]:
        return mapped_column(ForeignKey("ab_user.id"), index=True)


class Sealed:
    """Secrets and counters: written by the program, read only by unscoped work that says why."""

"""Whom a row belongs to (decision 2): every table inherits one of these, or is among `models.EXEMPT`."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar

from flask_babel import lazy_gettext as _l
from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, declared_attr, mapped_column, relationship

if TYPE_CHECKING:
    from .accounts import Account

PATH = String(240, collation="C").with_variant(String(240), "sqlite")  # compared by range, so byte order counts


class Consent(StrEnum):
    """What a client can let a partner do that does not stand above it (L-4)."""

    VIEW = "view"  # part of every consent: what one manages one can name
    SUBSCRIPTIONS = "subscriptions"
    ORDERS = "orders"
    LICENSES = "licenses"
    BILLING = "billing"
    SUPPORT = "support"

    @property
    def label(self) -> Any:
        return _CONSENT_LABELS[self]

    @property
    def about(self) -> Any:
        """What it allows, as the client reads it before consenting."""
        return _CONSENT_MEANINGS[self]


_CONSENT_LABELS = {
    Consent.VIEW: _l("Company details"),
    Consent.SUBSCRIPTIONS: _l("Subscriptions"),
    Consent.ORDERS: _l("Orders"),
    Consent.LICENSES: _l("Licenses"),
    Consent.BILLING: _l("Billing"),
    Consent.SUPPORT: _l("Support login"),
}


_CONSENT_MEANINGS = {
    Consent.VIEW: _l("Company details: see name, address and contact"),
    Consent.SUBSCRIPTIONS: _l("Subscriptions: see, renew and change them"),
    Consent.ORDERS: _l("Orders: see them; together with “Subscriptions”, also order for the client"),
    Consent.LICENSES: _l("Licenses: see what was acquired and how much of it is in use"),
    Consent.BILLING: _l("Billing: see invoices and payments"),
    Consent.SUPPORT: _l("Support login: ask to be let in to help"),
}


class ByConsent:
    """What a class says of it: with which consent of its account (any of them) a partner elsewhere in the tree sees its
    rows, and whether the same consent lets the partner add and change them. Nothing is deleted by consent. Said once
    more to PostgreSQL (`migrations/walls.admit`).
    """

    opened_by: ClassVar[tuple[Consent, ...]] = ()
    consent_writes: ClassVar[bool] = False


class OwnedByAccount(ByConsent):
    """Management data of one account: the account itself sees it, and every account above (M-5)."""

    has_plain_index: ClassVar[bool] = True  # of paths alone; without it the class has one that knows more besides

    @declared_attr
    def account_id(cls) -> Mapped[int]:
        return mapped_column(ForeignKey("account.id"), index=True)

    @declared_attr
    def account_path(cls) -> Mapped[str]:
        """A copy of the account's path, kept by the wall and never taken from a form.

        The database lets it follow when the account moves, and refuses one that is no account's path any more.
        """
        return mapped_column(PATH, ForeignKey("account.path", onupdate="CASCADE"), index=cls.has_plain_index)

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


class BetweenAccounts(OwnedByAccount):
    """The affair of two accounts: each of the two sees it, and nobody above them. `account` is whose affair it is in
    the first place, `partner` the other.
    """

    @declared_attr
    def partner_id(cls) -> Mapped[int]:
        return mapped_column(ForeignKey("account.id"), index=True)

    @declared_attr
    def partner_path(cls) -> Mapped[str]:
        """A copy, like `account_path`."""
        return mapped_column(PATH, ForeignKey("account.path", onupdate="CASCADE"), index=True)


class OfCatalogue(OwnedByAccount):
    """What the operator offers: read in every account, written in the operator's own alone (M-11)."""


class OwnedByUser:
    """A person's own things, the same in whichever account they act."""

    @declared_attr
    def user_id(cls) -> Mapped[int]:
        return mapped_column(ForeignKey("ab_user.id"), index=True)


class Sealed:
    """Secrets and counters: written by the program, read only by unscoped work that says why."""

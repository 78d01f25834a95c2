"""The tree of accounts, the people in it, and how they come in."""

from __future__ import annotations

import secrets
from base64 import b32encode
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from flask_appbuilder import Model
from flask_appbuilder.security.sqla.models import User as FabUser
from flask_babel import lazy_gettext as _l
from flask_babel import lazy_pgettext
from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String, UniqueConstraint, false, inspect, text
from sqlalchemy.orm import Mapped, mapped_column, relationship, validates

from ..extensions import Moment
from .common import LONGEST_WORDS, sort_key, stored, words_of
from .ownership import PATH, ByConsent, Consent, OwnedByAccount

if TYPE_CHECKING:
    from .plans import Plan
    from .properties import PropertyValue

SEARCHED = ("name", "contact", "email", "phone", "city")  # an account's texts the quick search looks through
# What lists are sorted and filtered by beside names and properties.
_SHOWN = (
    "city", "contact", "email", "phone", "country", "kind", "created_at", "administrative_hold_at", "financial_hold_at",
    "parent_id",
)  # fmt: skip
_NO_PARENT = text("parent_id IS NULL")
_IN_FORCE = text("lifted_at IS NULL")
_IS_ARCHIVED = text("archived_at IS NOT NULL")
_IS_PENDING = text("status = 'pending'")


class KontorUser(FabUser):
    """A person who can sign in. The login is the e-mail address, in lower case, kept as `username` too."""

    locale: Mapped[str | None] = mapped_column(String(5))
    time_zone: Mapped[str | None] = mapped_column(String(40))
    last_account_id: Mapped[int | None] = mapped_column()
    # The TOTP secret is derived from the server's key and this nonce; a stolen database alone makes no codes.
    totp_nonce: Mapped[str | None] = mapped_column(String(32))
    totp_since: Mapped[datetime | None] = mapped_column(Moment)
    totp_last_step: Mapped[int | None] = mapped_column()

    @property
    def name(self) -> str:
        return f"{self.first_name} {self.last_name}".strip() or self.email

    @property
    def initials(self) -> str:
        return (self.first_name[:1] + self.last_name[:1]).upper() or self.email[:1].upper()

    @property
    def has_second_factor(self) -> bool:
        return self.totp_since is not None

    def __str__(self) -> str:
        return self.name


User = KontorUser  # FAB's registry already has a class named User


class Kind(StrEnum):
    OPERATOR = "operator"
    PARTNER = "partner"
    CUSTOMER = "customer"

    @property
    def label(self) -> Any:
        return _KIND_LABELS[self]

    @property
    def manages_accounts(self) -> bool:
        return self is not Kind.CUSTOMER


_KIND_LABELS = {Kind.OPERATOR: _l("Operator"), Kind.PARTNER: _l("Partner"), Kind.CUSTOMER: _l("Customer")}


class Role(StrEnum):
    """What a member may do; which verbs that is depends on the account's kind too (`permissions.py`)."""

    ADMINISTRATOR = "administrator"
    MANAGER = "manager"
    SALES = "sales"
    SUPPORT = "support"
    FINANCE = "finance"
    VIEWER = "viewer"

    @property
    def label(self) -> Any:
        return _ROLE_LABELS[self]


_ROLE_LABELS = {
    Role.ADMINISTRATOR: _l("Administrator"),
    Role.MANAGER: _l("Manager"),
    Role.SALES: lazy_pgettext("role", "Sales"),
    Role.SUPPORT: lazy_pgettext("role", "Support"),
    Role.FINANCE: lazy_pgettext("role", "Finance"),
    Role.VIEWER: lazy_pgettext("role", "Viewer"),
}


class HoldKind(StrEnum):
    """Why an account is held: on an administrative hold nothing is changed in it, a financial one is noted."""

    ADMINISTRATIVE = "administrative"
    FINANCIAL = "financial"

    @property
    def label(self) -> Any:
        return _HOLD_LABELS[self]


_HOLD_LABELS = {
    HoldKind.ADMINISTRATIVE: _l("Administrative hold"),
    HoldKind.FINANCIAL: _l("Financial hold"),
}


class Account(ByConsent, Model):
    """A company with data of its own, somewhere in the one tree whose root is the operator.

    `path` spells the way from the root ("k3…/9q…/"); all that is beneath starts with it, so a subtree is a range.
    """

    __tablename__ = "account"
    __table_args__ = (
        UniqueConstraint("parent_id", "name_key", name="uq_account_sibling_name"),
        Index("ix_account_name_sort", "name_sort", "id", "path", "archived_at"),
        Index("ix_account_created", "created_at", "id", "path", "archived_at"),  # the newest first
        Index("ix_account_live", "path", "archived_at", "id"),  # a subtree is counted in here alone
        Index("ix_account_archived", "path", "id", sqlite_where=_IS_ARCHIVED, postgresql_where=_IS_ARCHIVED),
        Index("ix_account_words", "path", "words", "id"),  # and searched in here
        Index("ix_account_shown", "path", "archived_at", *_SHOWN, "id"),  # sorted and filtered, without its rows
        # NULLs are distinct in a unique key, so the root needs one of its own: there is exactly one operator.
        Index("uq_account_root", "kind", unique=True, sqlite_where=_NO_PARENT, postgresql_where=_NO_PARENT),
        CheckConstraint("(parent_id IS NULL) = (kind = 'operator')", name="ck_account_operator_is_root"),
    )

    opened_by = (Consent.VIEW,)

    id: Mapped[int] = mapped_column(primary_key=True)
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("account.id"), index=True)
    path: Mapped[str] = mapped_column(PATH, unique=True)
    kind: Mapped[Kind] = mapped_column(stored(Kind), default=Kind.CUSTOMER)
    slug: Mapped[str] = mapped_column(String(60), unique=True)
    name: Mapped[str] = mapped_column(String(120))
    name_key: Mapped[str] = mapped_column(String(120))  # what makes it unique beside its siblings
    name_sort: Mapped[str] = mapped_column(String(120))  # where it stands in an alphabet, ä beside a
    contact: Mapped[str] = mapped_column(String(120), default="")
    email: Mapped[str] = mapped_column(String(320), default="")
    phone: Mapped[str] = mapped_column(String(40), default="")
    website: Mapped[str] = mapped_column(String(200), default="")
    vat_id: Mapped[str] = mapped_column(String(20), default="")
    street: Mapped[str] = mapped_column(String(200), default="")
    postal_code: Mapped[str] = mapped_column(String(20), default="")
    city: Mapped[str] = mapped_column(String(100), default="")
    words: Mapped[str] = mapped_column(String(LONGEST_WORDS), default="")  # by which it is searched: `SEARCHED`, folded
    country: Mapped[str] = mapped_column(String(2), default="")
    language: Mapped[str] = mapped_column(String(2), default="en")
    time_zone: Mapped[str] = mapped_column(String(40), default="Europe/Berlin")
    currency: Mapped[str] = mapped_column(String(3), default="EUR")
    created_at: Mapped[datetime] = mapped_column(Moment)
    archived_at: Mapped[datetime | None] = mapped_column(Moment)
    administrative_hold_at: Mapped[datetime | None] = mapped_column(Moment)  # since when; the rest says `Hold`
    financial_hold_at: Mapped[datetime | None] = mapped_column(Moment)
    second_factor_required: Mapped[bool] = mapped_column(default=False)
    portal_needs_subscription: Mapped[bool] = mapped_column(default=False, server_default=false())  # the operator's say
    has_links: Mapped[bool] = mapped_column(default=False, server_default=false())  # clients have let it in, once
    # use_alter: the plan belongs to an account, too, and one table has to be made first
    plan_id: Mapped[int | None] = mapped_column(
        ForeignKey("plan.id", name="fk_account_plan", use_alter=True), index=True
    )
    # What partners know of it besides: definition id → value. Always replaced, never changed in place.
    properties: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict, server_default="{}", active_history=True)

    parent: Mapped[Account | None] = relationship(remote_side=[id], foreign_keys=[parent_id])
    plan: Mapped[Plan | None] = relationship(foreign_keys=[plan_id])
    members: Mapped[list[Member]] = relationship(
        back_populates="account", foreign_keys="Member.account_id", viewonly=True
    )
    indexed: Mapped[list[PropertyValue]] = relationship(  # lists are sorted along it
        foreign_keys="PropertyValue.account_id", viewonly=True, lazy="raise"
    )

    @validates(*SEARCHED)
    def _keep_keys(self, field: str, text: str) -> str:
        if field == "name":
            text = " ".join(text.split())
            self.name_key, self.name_sort = _keys_of(text)
        known = vars(self).get if inspect(self).key is None else partial(getattr, self)  # a new row has no more to load
        self.words = words_of(*(text if name == field else known(name) for name in SEARCHED))
        return text

    @staticmethod
    def with_keys(facts: dict[str, Any]) -> dict[str, Any]:
        """The facts of a new account, and what is kept because of them; as if they had been set one by one."""
        name = " ".join(facts["name"].split())
        key, sort = _keys_of(name)
        words = words_of(name, *(facts.get(field) for field in SEARCHED[1:]))
        return {**facts, "name": name, "name_key": key, "name_sort": sort, "words": words}

    @property
    def depth(self) -> int:
        return self.path.count("/") - 1

    @property
    def is_archived(self) -> bool:
        return self.archived_at is not None

    @property
    def is_held(self) -> bool:
        """Whether nothing may be changed in it, and nothing used up: it is on administrative hold (M-3)."""
        return self.administrative_hold_at is not None

    @property
    def holds(self) -> list[HoldKind]:
        """The holds in force, the gravest first."""
        return [kind for kind in HoldKind if self.held_since(kind)]

    def held_since(self, kind: HoldKind) -> datetime | None:
        return self.administrative_hold_at if kind is HoldKind.ADMINISTRATIVE else self.financial_hold_at

    def is_within(self, other: Account) -> bool:
        """Whether it is that account or somewhere beneath it."""
        return self.path.startswith(other.path)

    def __str__(self) -> str:
        return self.name


def _keys_of(name: str) -> tuple[str, str]:
    return name.casefold()[:120], sort_key(name)[:120]


def new_path(parent: Account | None) -> str:
    """A fresh place beneath that parent. Random, so that it tells nobody how many accounts there are."""
    label = b32encode(secrets.token_bytes(5)).decode().lower()
    return f"{parent.path if parent else ''}{label}/"


class Hold(OwnedByAccount, Model):
    """A hold put on an account from above: why, since when and by whom, and how it ended (M-3)."""

    __tablename__ = "hold"
    __table_args__ = (
        Index(
            "uq_hold_in_force", "account_id", "kind", unique=True,
            sqlite_where=_IN_FORCE, postgresql_where=_IN_FORCE,
        ),
    )  # fmt: skip

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[HoldKind] = mapped_column(stored(HoldKind))
    reason: Mapped[str] = mapped_column(String(300))
    set_at: Mapped[datetime] = mapped_column(Moment)
    set_by: Mapped[str] = mapped_column(String(140))
    set_by_account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))  # it, or one above, lifts it
    lifted_at: Mapped[datetime | None] = mapped_column(Moment)
    lifted_by: Mapped[str] = mapped_column(String(140), default="")
    lift_reason: Mapped[str] = mapped_column(String(300), default="")

    def __str__(self) -> str:
        return str(self.kind.label)


class Member(OwnedByAccount, Model):
    """A person in an account, with the role they have there."""

    __tablename__ = "member"
    __table_args__ = (UniqueConstraint("account_id", "user_id", name="uq_member_person"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("ab_user.id"), index=True)
    role: Mapped[Role] = mapped_column(stored(Role))
    created_at: Mapped[datetime] = mapped_column(Moment)
    # How they look at lists: list → their usual view and page size. Always replaced, never changed in place.
    habits: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict, server_default="{}")

    user: Mapped[KontorUser] = relationship(foreign_keys=[user_id])
    account: Mapped[Account] = relationship(back_populates="members", foreign_keys="Member.account_id")

    @property
    def is_administrator(self) -> bool:
        return self.role is Role.ADMINISTRATOR

    def __str__(self) -> str:
        return str(self.user)


class InvitationStatus(StrEnum):
    PENDING = "pending"
    ACCEPTED = "accepted"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"  # never kept: what is pending is expired from a certain moment on

    @property
    def label(self) -> Any:
        return _INVITATION_LABELS[self]


_INVITATION_LABELS = {
    InvitationStatus.PENDING: _l("Pending"),
    InvitationStatus.ACCEPTED: _l("Accepted"),
    InvitationStatus.WITHDRAWN: _l("Withdrawn"),
    InvitationStatus.EXPIRED: _l("Expired"),
}


class Invitation(OwnedByAccount, Model):
    """The offer to an e-mail address to become a member of an account, in a role.

    The inviter may act in an account above. Of its links only the one whose token it names is good for anything.
    """

    __tablename__ = "invitation"
    __table_args__ = (
        Index(
            "uq_invitation_pending", "account_id", "email", unique=True,
            sqlite_where=_IS_PENDING, postgresql_where=_IS_PENDING,
        ),
    )  # fmt: skip

    MOVES: ClassVar = {
        InvitationStatus.PENDING: {InvitationStatus.ACCEPTED, InvitationStatus.WITHDRAWN},
        InvitationStatus.ACCEPTED: set(),
        InvitationStatus.WITHDRAWN: set(),
    }

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(320))
    role: Mapped[Role] = mapped_column(stored(Role))
    locale: Mapped[str] = mapped_column(String(5))  # of its mails
    status: Mapped[InvitationStatus] = mapped_column(stored(InvitationStatus), default=InvitationStatus.PENDING)
    token_id: Mapped[int] = mapped_column(ForeignKey("token.id"), unique=True, index=True)
    # Who answers for it: a person and the account they acted in, so that their rights can be asked for again.
    inviter_id: Mapped[int] = mapped_column(ForeignKey("ab_user.id"))
    inviter_account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    inviter: Mapped[str] = mapped_column(String(140))
    created_at: Mapped[datetime] = mapped_column(Moment)
    expires_at: Mapped[datetime] = mapped_column(Moment)
    accepted_at: Mapped[datetime | None] = mapped_column(Moment)
    accepted_by_id: Mapped[int | None] = mapped_column(ForeignKey("ab_user.id"))

    def may_become(self, status: InvitationStatus) -> bool:
        return status in self.MOVES[self.status]

    def status_at(self, moment: datetime) -> InvitationStatus:
        """How it stands then, expired ones told from those that can still be accepted."""
        if self.status is InvitationStatus.PENDING and self.expires_at <= moment:
            return InvitationStatus.EXPIRED
        return self.status

    def __str__(self) -> str:
        return self.email

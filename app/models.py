"""The schema on one page: what there is, what may become of it, what one can ask it. No query, no request.

Every table says whom it belongs to (decision 2):
`OwnedByAccount` management data, seen from the account and from above · `InsideAccount` seen from the account
alone · `OfCatalogue` the operator's offers, seen from everywhere · `OwnedByUser` seen by its person alone ·
`Sealed` never seen from within a scope.
"""

from __future__ import annotations

import secrets
import unicodedata
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar

from flask_appbuilder import Model
from flask_appbuilder.security.sqla.models import User as FabUser
from flask_babel import get_locale, lazy_pgettext
from flask_babel import lazy_gettext as _l
from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Enum,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, declared_attr, mapped_column, relationship, validates

from . import clock, money
from .extensions import Moment, Number

PATH = String(240, collation="C").with_variant(String(240), "sqlite")  # compared by range, so byte order counts
WORDS = String(200, collation="C").with_variant(String(200), "sqlite")  # folded by `sort_key`, so byte order is right
SEARCHED = ("name", "contact", "email", "phone", "city")  # an account's texts the quick search looks through
_NO_PARENT = text("parent_id IS NULL")
_IN_FORCE = text("lifted_at IS NULL")
_IS_ARCHIVED = text("archived_at IS NOT NULL")
_HAS_REST = text("rest IS NOT NULL")
_IS_PENDING = text("status = 'pending'")


def _stored(enum: type[StrEnum]) -> Enum:
    return Enum(enum, native_enum=False, length=24, values_callable=lambda members: [m.value for m in members])


# --- whom a row belongs to -------------------------------------------------------------------------------------


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


class OfCatalogue(OwnedByAccount):
    """What the operator offers: read in every account, written in the operator's own alone (M-11)."""


class OwnedByUser:
    """A person's own things, the same in whichever account they act."""

    @declared_attr
    def user_id(cls) -> Mapped[int]:
        return mapped_column(ForeignKey("ab_user.id"), index=True)


class Sealed:
    """Secrets and counters: written by the program, read only by unscoped work that says why."""


# --- people and accounts ---------------------------------------------------------------------------------------


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


class Account(Model):
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
        # NULLs are distinct in a unique key, so the root needs one of its own: there is exactly one operator.
        Index("uq_account_root", "kind", unique=True, sqlite_where=_NO_PARENT, postgresql_where=_NO_PARENT),
        CheckConstraint("(parent_id IS NULL) = (kind = 'operator')", name="ck_account_operator_is_root"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("account.id"), index=True)
    path: Mapped[str] = mapped_column(PATH, unique=True)
    kind: Mapped[Kind] = mapped_column(_stored(Kind), default=Kind.CUSTOMER)
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
    words: Mapped[str] = mapped_column(String(400), default="")  # by which it is searched: `SEARCHED`, folded
    country: Mapped[str] = mapped_column(String(2), default="")
    language: Mapped[str] = mapped_column(String(2), default="en")
    time_zone: Mapped[str] = mapped_column(String(40), default="Europe/Berlin")
    currency: Mapped[str] = mapped_column(String(3), default="EUR")
    created_at: Mapped[datetime] = mapped_column(Moment)
    archived_at: Mapped[datetime | None] = mapped_column(Moment)
    administrative_hold_at: Mapped[datetime | None] = mapped_column(Moment)  # since when; the rest says `Hold`
    financial_hold_at: Mapped[datetime | None] = mapped_column(Moment)
    second_factor_required: Mapped[bool] = mapped_column(default=False)
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
            self.name_key, self.name_sort = text.casefold()[:120], sort_key(text)[:120]
        self.words = words_of(*({name: getattr(self, name) for name in SEARCHED} | {field: text}).values())
        return text

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


def sort_key(text: str) -> str:
    """The text as dictionaries order it: case and accents aside."""
    return "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))


def words_of(*texts: str | None) -> str:
    """What the quick search looks through: the texts, folded, each a line."""
    return "\n".join(sort_key(text or "") for text in texts)[:400]


def new_path(parent: Account | None) -> str:
    """A fresh place beneath that parent. Random, so that it tells nobody how many accounts there are."""
    label = "".join(secrets.choice("abcdefghijklmnopqrstuvwxyz234567") for _ in range(8))
    return f"{parent.path if parent else ''}{label}/"


def public_id(prefix: str) -> str:
    """A name for people to say and type, telling nobody how many there are: `LIC-2026-7F3K9QXM`."""
    word = "".join(secrets.choice("0123456789ABCDEFGHJKMNPQRSTVWXYZ") for _ in range(8))
    return f"{prefix}-{clock.today().year}-{word}"


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
    kind: Mapped[HoldKind] = mapped_column(_stored(HoldKind))
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
    role: Mapped[Role] = mapped_column(_stored(Role))
    created_at: Mapped[datetime] = mapped_column(Moment)

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
    role: Mapped[Role] = mapped_column(_stored(Role))
    locale: Mapped[str] = mapped_column(String(5))  # of its mails
    status: Mapped[InvitationStatus] = mapped_column(_stored(InvitationStatus), default=InvitationStatus.PENDING)
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


# --- properties ------------------------------------------------------------------------------------------------


class PropertyType(StrEnum):
    """What a property's values are; decides input, check, filter, order and Excel type."""

    TEXT = "text"
    LONG = "long"
    INTEGER = "integer"
    DECIMAL = "decimal"
    MONEY = "money"
    DATE = "date"
    FLAG = "flag"
    CHOICE = "choice"
    CHOICES = "choices"
    URL = "url"
    EMAIL = "email"
    PHONE = "phone"
    MEMBER = "member"

    @property
    def label(self) -> Any:
        return _PROPERTY_TYPE_LABELS[self]

    @property
    def is_text(self) -> bool:
        return self in {self.TEXT, self.LONG, self.URL, self.EMAIL, self.PHONE}

    @property
    def is_number(self) -> bool:
        return self in {self.INTEGER, self.DECIMAL, self.MONEY}

    @property
    def has_limits(self) -> bool:
        return self.is_number or self is self.DATE

    @property
    def has_choices(self) -> bool:
        return self in {self.CHOICE, self.CHOICES}


_PROPERTY_TYPE_LABELS = {
    PropertyType.TEXT: _l("Text"),
    PropertyType.LONG: _l("Long text"),
    PropertyType.INTEGER: _l("Whole number"),
    PropertyType.DECIMAL: _l("Decimal number"),
    PropertyType.MONEY: _l("Amount of money"),
    PropertyType.DATE: _l("Date"),
    PropertyType.FLAG: _l("Yes or no"),
    PropertyType.CHOICE: _l("Single choice"),
    PropertyType.CHOICES: _l("Multiple choice"),
    PropertyType.URL: _l("Web address"),
    PropertyType.EMAIL: _l("E-mail address"),
    PropertyType.PHONE: _l("Phone number"),
    PropertyType.MEMBER: _l("Member of your account"),
}


class ConversionStatus(StrEnum):
    """How far the worker is with giving a property's many values another type."""

    WAITING = "waiting"
    RUNNING = "running"
    FAILED = "failed"  # some values did not fit; nothing was changed


class Property(OwnedByAccount, Model):
    """What a partner wants to know of the accounts beneath: a column of its own, defined by itself (M-8).

    The owner is the account that defined it; the values stand on the accounts beneath (`Account.properties`).
    """

    __tablename__ = "property"
    __table_args__ = (
        UniqueConstraint("account_id", "key", name="uq_property_key"),
        UniqueConstraint("account_id", "label_en_key", name="uq_property_label_en"),
        UniqueConstraint("account_id", "label_de_key", name="uq_property_label_de"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(60))  # its name in the API and in Excel; never changes
    type: Mapped[PropertyType] = mapped_column(_stored(PropertyType))
    label_en: Mapped[str] = mapped_column(String(80))
    label_de: Mapped[str] = mapped_column(String(80))
    label_en_key: Mapped[str] = mapped_column(String(80))
    label_de_key: Mapped[str] = mapped_column(String(80))
    help_en: Mapped[str] = mapped_column(String(300), default="")
    help_de: Mapped[str] = mapped_column(String(300), default="")
    position: Mapped[int] = mapped_column(default=0)
    choices: Mapped[list[dict[str, str]]] = mapped_column(JSON, default=list)  # of key, label_en, label_de
    minimum: Mapped[str | None] = mapped_column(String(40))  # limits and default as values are kept
    maximum: Mapped[str | None] = mapped_column(String(40))
    max_length: Mapped[int | None] = mapped_column()
    default_value: Mapped[Any] = mapped_column(JSON, default=None, nullable=True)
    currency: Mapped[str] = mapped_column(String(3), default="")  # of amounts of money
    required: Mapped[bool] = mapped_column(default=False)
    visible_to_customer: Mapped[bool] = mapped_column(default=False)
    as_column: Mapped[bool] = mapped_column(default=True)
    conversion: Mapped[dict[str, Any] | None] = mapped_column(JSON)  # what it is to become, and how far that is
    conversion_status: Mapped[ConversionStatus | None] = mapped_column(_stored(ConversionStatus))
    conversion_at: Mapped[datetime | None] = mapped_column(Moment)  # of the last sign of life
    archived_at: Mapped[datetime | None] = mapped_column(Moment)

    @validates("label_en", "label_de")
    def _keep_keys(self, name: str, label: str) -> str:
        label = " ".join(label.split())
        setattr(self, f"{name}_key", label.casefold()[:80])
        return label

    @property
    def is_archived(self) -> bool:
        return self.archived_at is not None

    @property
    def is_being_converted(self) -> bool:
        return self.conversion_status in {ConversionStatus.WAITING, ConversionStatus.RUNNING}

    def label(self, language: str) -> str:
        return self.label_de if language.startswith("de") else self.label_en

    def help(self, language: str) -> str:
        return (self.help_de if language.startswith("de") else self.help_en) or self.help_en or self.help_de

    def choice_labels(self, language: str) -> dict[str, str]:
        """Key → label, in their order."""
        name = "label_de" if language.startswith("de") else "label_en"
        return {choice["key"]: choice[name] for choice in self.choices or []}

    def __str__(self) -> str:
        return self.label_en


class PropertyValue(OwnedByAccount, Model):
    """One value of `Account.properties`, once more, where the database finds it fast (decision 5).

    Kept by `properties.py` in the same flush and never read as the truth: it serves sorting and filtering alone.
    """

    __tablename__ = "property_value"
    __table_args__ = (
        UniqueConstraint("definition_id", "account_id", name="uq_property_value"),
        # With the path at the end, whatever the wall asks for is in the index, too: rows are not looked at.
        Index("ix_property_value_text", "definition_id", "text", "account_id", "account_path"),
        Index("ix_property_value_number", "definition_id", "number", "account_id", "account_path"),
        Index("ix_property_value_date", "definition_id", "date", "account_id", "account_path"),
        Index("ix_property_value_rest", "definition_id", sqlite_where=_HAS_REST, postgresql_where=_HAS_REST),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    # Without an index of its own, which would lead SQLite astray; so it follows a moving account by `moves.py`.
    account_path: Mapped[str] = mapped_column(PATH)
    definition_id: Mapped[int] = mapped_column(ForeignKey("property.id"))
    text: Mapped[str | None] = mapped_column(WORDS)
    rest: Mapped[str | None] = mapped_column(Text)  # the whole of a text too long for the index, for searching
    number: Mapped[Decimal | None] = mapped_column(Number)
    date: Mapped[date | None] = mapped_column()

    def stand(self, text: Any = None, rest: Any = None, number: Any = None, date: Any = None) -> None:
        """Take a place among the other values."""
        self.text, self.rest, self.number, self.date = text, rest, number, date


# --- the catalogue ---------------------------------------------------------------------------------------------


class Bilingual:
    """Named in both languages; people read theirs."""

    name_en: Mapped[str] = mapped_column(String(120), default="")  # one of the two is enough
    name_de: Mapped[str] = mapped_column(String(120), default="")

    @property
    def name(self) -> str:
        """In the language of whoever reads it now."""
        return in_language(self, "name")

    def __str__(self) -> str:
        return self.name


def in_language(row: Any, name: str) -> str:
    """`name_en` or `name_de` of a row, as the person at hand reads it."""
    return getattr(row, f"{name}_de" if str(get_locale() or "").startswith("de") else f"{name}_en")


class Archivable:
    """Put away when it is no longer offered; what was made of it stays."""

    archived_at: Mapped[datetime | None] = mapped_column(Moment)

    @property
    def is_archived(self) -> bool:
        return self.archived_at is not None


class Policy(StrEnum):
    """What happens at the quantity of a license: refused, allowed with a warning, or allowed up to a percentage."""

    HARD = "hard"
    SOFT = "soft"
    OVERAGE = "overage"

    @property
    def label(self) -> Any:
        return _POLICY_LABELS[self]


_POLICY_LABELS = {
    Policy.HARD: lazy_pgettext("policy", "Hard"),
    Policy.SOFT: lazy_pgettext("policy", "Soft"),
    Policy.OVERAGE: lazy_pgettext("policy", "Overage"),
}
LARGEST_QUANTITY = 1_000_000_000  # of anything counted; twice as many still fit into the column
LARGEST_USE = 2_000_000_000


class LicenseType(Bilingual, Archivable, OfCatalogue, Model):
    """A kind of right, what it is counted in, and how strictly (M-13)."""

    __tablename__ = "license_type"
    __table_args__ = (
        CheckConstraint("(policy = 'overage') = (overage_percent IS NOT NULL)", name="ck_license_type_overage"),
        CheckConstraint("overage_percent BETWEEN 1 AND 100", name="ck_license_type_percent"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(60), unique=True)  # its name in the API
    unit_en: Mapped[str] = mapped_column(String(40), default="")
    unit_de: Mapped[str] = mapped_column(String(40), default="")
    policy: Mapped[Policy] = mapped_column(_stored(Policy), default=Policy.HARD)
    overage_percent: Mapped[int | None] = mapped_column()

    @property
    def unit(self) -> str:
        return in_language(self, "unit")

    def ceiling(self, quantity: int) -> int:
        """The most that may be in use of a license over so many; part of a unit is none."""
        if self.policy is Policy.SOFT:
            return LARGEST_USE
        return quantity + quantity * (self.overage_percent or 0) // 100


class Article(Bilingual, Archivable, OfCatalogue, Model):
    """The commercial product that accounts acquire and orders and invoices name (M-11)."""

    __tablename__ = "article"

    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[str] = mapped_column(String(60), unique=True, default=lambda: public_id("ART"))
    description_en: Mapped[str] = mapped_column(Text, default="")
    description_de: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime] = mapped_column(Moment)

    grants: Mapped[list[Grant]] = relationship(
        back_populates="article", cascade="all, delete-orphan", order_by="Grant.id", lazy="selectin"
    )

    @property
    def description(self) -> str:
        return in_language(self, "description")


class Grant(OfCatalogue, Model):
    """What one piece of an article gives: so much of a right (M-12)."""

    __tablename__ = "article_grant"
    __table_args__ = (
        UniqueConstraint("article_id", "type_id", name="uq_article_grant"),
        CheckConstraint("quantity > 0", name="ck_article_grant_quantity"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    article_id: Mapped[int] = mapped_column(ForeignKey("article.id"))
    type_id: Mapped[int] = mapped_column(ForeignKey("license_type.id"), index=True)
    quantity: Mapped[int] = mapped_column()

    article: Mapped[Article] = relationship(back_populates="grants")
    type: Mapped[LicenseType] = relationship(lazy="joined", innerjoin=True)

    def __str__(self) -> str:
        return f"{self.quantity} × {self.type}"


class Cycle(StrEnum):
    """How often a plan's price is due."""

    MONTHLY = "monthly"
    YEARLY = "yearly"

    @property
    def label(self) -> Any:
        return _CYCLE_LABELS[self]


_CYCLE_LABELS = {Cycle.MONTHLY: lazy_pgettext("cycle", "Monthly"), Cycle.YEARLY: lazy_pgettext("cycle", "Yearly")}


class Plan(Bilingual, Archivable, OfCatalogue, Model):
    """A price model: what an account pays for the service, and how often (M-10)."""

    __tablename__ = "plan"
    __table_args__ = (CheckConstraint("price_minor >= 0", name="ck_plan_price"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(60), unique=True)  # its name in the API
    description_en: Mapped[str] = mapped_column(Text, default="")
    description_de: Mapped[str] = mapped_column(Text, default="")
    period: Mapped[Cycle] = mapped_column(_stored(Cycle), default=Cycle.MONTHLY)
    price_minor: Mapped[int] = mapped_column(BigInteger)  # in the currency's smallest unit
    currency: Mapped[str] = mapped_column(String(3), default="EUR")

    @property
    def price(self) -> Decimal:
        return money.from_minor(self.price_minor, self.currency)

    @property
    def description(self) -> str:
        return in_language(self, "description")


# --- what accounts have of it ----------------------------------------------------------------------------------


class Source(StrEnum):
    """How an account came by an article."""

    GIVEN = "given"  # by the operator, without an order

    @property
    def label(self) -> Any:
        return _SOURCE_LABELS[self]


_SOURCE_LABELS = {Source.GIVEN: _l("Given by the operator")}


class Holding(OwnedByAccount, Model):
    """So many pieces of an article that an account has acquired; its grants became licenses (M-11, M-12)."""

    __tablename__ = "holding"
    __table_args__ = (
        UniqueConstraint("account_id", "id", name="uq_holding_of_account"),
        CheckConstraint("quantity > 0", name="ck_holding_quantity"),
        CheckConstraint("valid_until > acquired_on", name="ck_holding_days"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    article_id: Mapped[int] = mapped_column(ForeignKey("article.id"), index=True)
    quantity: Mapped[int] = mapped_column(default=1)
    acquired_on: Mapped[date] = mapped_column()
    valid_until: Mapped[date | None] = mapped_column()  # the first day on which its licenses count no longer
    note: Mapped[str] = mapped_column(String(200), default="")
    source: Mapped[Source] = mapped_column(_stored(Source), default=Source.GIVEN)
    created_at: Mapped[datetime] = mapped_column(Moment)

    article: Mapped[Article] = relationship()

    def __str__(self) -> str:
        return f"{self.quantity} × {self.article}"


class LicenseStatus(StrEnum):
    UPCOMING = "upcoming"  # never kept: what is active is upcoming before its first day
    ACTIVE = "active"
    SUSPENDED = "suspended"
    EXPIRED = "expired"
    REVOKED = "revoked"

    @property
    def label(self) -> Any:
        return _LICENSE_LABELS[self]


_LICENSE_LABELS = {
    LicenseStatus.UPCOMING: lazy_pgettext("license", "Upcoming"),
    LicenseStatus.ACTIVE: lazy_pgettext("license", "Active"),
    LicenseStatus.SUSPENDED: lazy_pgettext("license", "Suspended"),
    LicenseStatus.EXPIRED: lazy_pgettext("license", "Expired"),
    LicenseStatus.REVOKED: lazy_pgettext("license", "Revoked"),
}


class License(OwnedByAccount, Model):
    """The right of an account to use so much of something, until it ends, is suspended or revoked (M-13).

    `in_use` is moved by one conditional UPDATE alone (`services/licenses.py`); `ceiling` is what the policy of its
    type makes of the quantity, kept here so that the database itself can hold the one against the other.
    """

    __tablename__ = "license"
    __table_args__ = (
        ForeignKeyConstraint(["account_id", "holding_id"], ["holding.account_id", "holding.id"]),
        UniqueConstraint("account_id", "id", name="uq_license_of_account"),
        CheckConstraint("quantity > 0 AND ceiling >= quantity", name="ck_license_quantity"),
        CheckConstraint("in_use >= 0 AND in_use <= ceiling", name="ck_license_use"),
        CheckConstraint("valid_until > valid_from", name="ck_license_days"),
        Index("ix_license_ending", "status", "valid_until"),
    )

    MOVES: ClassVar = {
        LicenseStatus.ACTIVE: {LicenseStatus.SUSPENDED, LicenseStatus.EXPIRED, LicenseStatus.REVOKED},
        LicenseStatus.SUSPENDED: {LicenseStatus.ACTIVE, LicenseStatus.EXPIRED, LicenseStatus.REVOKED},
        LicenseStatus.EXPIRED: set(),
        LicenseStatus.REVOKED: set(),
    }

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(String(60), unique=True)
    type_id: Mapped[int] = mapped_column(ForeignKey("license_type.id"), index=True)
    article_id: Mapped[int | None] = mapped_column(ForeignKey("article.id"), index=True)
    holding_id: Mapped[int | None] = mapped_column(index=True)
    quantity: Mapped[int] = mapped_column()
    ceiling: Mapped[int] = mapped_column()
    in_use: Mapped[int] = mapped_column(default=0)
    told: Mapped[int] = mapped_column(default=0)  # the highest mark its administrators have been told of, in percent
    valid_from: Mapped[date] = mapped_column()
    valid_until: Mapped[date | None] = mapped_column()  # the first day on which it counts no longer
    status: Mapped[LicenseStatus] = mapped_column(_stored(LicenseStatus), default=LicenseStatus.ACTIVE)
    reason: Mapped[str] = mapped_column(String(300), default="")  # of being suspended or revoked
    suspended_by_id: Mapped[int | None] = mapped_column(ForeignKey("account.id"))
    created_at: Mapped[datetime] = mapped_column(Moment)

    type: Mapped[LicenseType] = relationship(lazy="joined", innerjoin=True)
    article: Mapped[Article | None] = relationship()
    holding: Mapped[Holding | None] = relationship(
        primaryjoin="License.holding_id == Holding.id", foreign_keys="License.holding_id"
    )

    @property
    def available(self) -> int:
        """How much of the quantity is left; what a policy tolerates above it is not counted."""
        return max(0, self.quantity - self.in_use)

    @property
    def limit(self) -> int | None:
        """The most that may be in use; `None` where the policy only warns."""
        return None if self.type.policy is Policy.SOFT else self.ceiling

    def may_become(self, status: LicenseStatus) -> bool:
        return status in self.MOVES[self.status]

    def status_on(self, day: date) -> LicenseStatus:
        """How it stands on that day, whether or not anybody has noted that it has ended."""
        if self.status is LicenseStatus.REVOKED:
            return self.status
        if self.status is LicenseStatus.EXPIRED or (self.valid_until is not None and self.valid_until <= day):
            return LicenseStatus.EXPIRED
        if self.status is LicenseStatus.ACTIVE and day < self.valid_from:
            return LicenseStatus.UPCOMING
        return self.status

    def __str__(self) -> str:
        return self.public_id


class MovementKind(StrEnum):
    CONSUMED = "consumed"
    RELEASED = "released"

    @property
    def label(self) -> Any:
        return _MOVEMENT_LABELS[self]


_MOVEMENT_LABELS = {MovementKind.CONSUMED: _l("Taken into use"), MovementKind.RELEASED: _l("Released")}


class LicenseMovement(OwnedByAccount, Model):
    """Some of a license taken into use or released, by what, and how much was in use then. Only added to."""

    __tablename__ = "license_movement"
    __table_args__ = (
        ForeignKeyConstraint(["account_id", "license_id"], ["license.account_id", "license.id"]),
        UniqueConstraint("license_id", "key", name="uq_license_movement_key"),
        CheckConstraint("quantity > 0", name="ck_license_movement_quantity"),
        Index("ix_license_movement_license", "license_id", "at"),
        Index("ix_license_movement_reference", "license_id", "reference"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    license_id: Mapped[int] = mapped_column()
    at: Mapped[datetime] = mapped_column(Moment, index=True)
    kind: Mapped[MovementKind] = mapped_column(_stored(MovementKind))
    quantity: Mapped[int] = mapped_column()
    in_use: Mapped[int] = mapped_column()  # of the license, afterwards
    reference: Mapped[str] = mapped_column(String(200))  # who or what uses it
    actor: Mapped[str] = mapped_column(String(140))
    key: Mapped[str | None] = mapped_column(String(120))  # the caller's, so that a repeated call has no effect
    answer: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))  # to be said again to that key

    license: Mapped[License] = relationship(
        primaryjoin="LicenseMovement.license_id == License.id", foreign_keys="LicenseMovement.license_id"
    )

    def __str__(self) -> str:
        return f"{self.quantity} · {self.reference}"


# --- signing in ------------------------------------------------------------------------------------------------


class Login(OwnedByUser, Model):
    """One signed-in browser. The cookie carries a secret, the row its hash; an ended login opens nothing."""

    __tablename__ = "login"

    id: Mapped[int] = mapped_column(primary_key=True)
    key_hash: Mapped[str] = mapped_column(String(64), unique=True)
    device: Mapped[str] = mapped_column(String(80), default="")
    ip: Mapped[str] = mapped_column(String(45), default="")
    second_factor: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(Moment)
    seen_at: Mapped[datetime] = mapped_column(Moment)
    ended_at: Mapped[datetime | None] = mapped_column(Moment)

    user: Mapped[KontorUser] = relationship()


class RecoveryCode(OwnedByUser, Model):
    """One of the codes that stand in for the second factor when the device is lost; each works once."""

    __tablename__ = "recovery_code"

    id: Mapped[int] = mapped_column(primary_key=True)
    code_hash: Mapped[str] = mapped_column(String(64))
    used_at: Mapped[datetime | None] = mapped_column(Moment)


class Purpose(StrEnum):
    """What a token is good for; it opens nothing else."""

    RESET = "reset"
    INVITATION = "invitation"
    SECOND_FACTOR = "second-factor"


class Token(Sealed, Model):
    """A one-time secret. Only its hash is kept; one conditional UPDATE redeems it (`tokens.py`)."""

    __tablename__ = "token"

    id: Mapped[int] = mapped_column(primary_key=True)
    purpose: Mapped[Purpose] = mapped_column(_stored(Purpose))
    nonce: Mapped[str] = mapped_column(String(32))
    secret_hash: Mapped[str] = mapped_column(String(64), unique=True)
    account_id: Mapped[int | None] = mapped_column(ForeignKey("account.id"), index=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("ab_user.id"), index=True)
    email: Mapped[str] = mapped_column(String(320), default="")
    created_at: Mapped[datetime] = mapped_column(Moment)
    expires_at: Mapped[datetime] = mapped_column(Moment)
    used_at: Mapped[datetime | None] = mapped_column(Moment)
    revoked_at: Mapped[datetime | None] = mapped_column(Moment)
    attempts: Mapped[int] = mapped_column(default=0)
    max_attempts: Mapped[int] = mapped_column(default=5)


class Throttle(Sealed, Model):
    """How often something was tried in a window of time: a sign-in, a mail to an address."""

    __tablename__ = "throttle"
    __table_args__ = (UniqueConstraint("bucket", "window", name="uq_throttle_window"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    bucket: Mapped[str] = mapped_column(String(120))
    window: Mapped[int] = mapped_column()
    tries: Mapped[int] = mapped_column(default=0)


# --- programs --------------------------------------------------------------------------------------------------


class ApiKeyStatus(StrEnum):
    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"

    @property
    def label(self) -> Any:
        return _API_KEY_LABELS[self]


_API_KEY_LABELS = {
    ApiKeyStatus.ACTIVE: lazy_pgettext("API key", "Active"),
    ApiKeyStatus.EXPIRED: _l("Expired"),
    ApiKeyStatus.REVOKED: lazy_pgettext("API key", "Revoked"),
}


class ApiKey(InsideAccount, Model):
    """What a program carries: it acts in the account for the member who made it, and no further than its scopes."""

    __tablename__ = "api_key"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80))
    prefix: Mapped[str] = mapped_column(String(16))  # by which people tell keys apart
    secret_hash: Mapped[str] = mapped_column(String(64), unique=True)
    scopes: Mapped[list[str]] = mapped_column(JSON, default=list)  # permissions, as `permissions.TABLE` names them
    created_by_id: Mapped[int] = mapped_column(ForeignKey("ab_user.id"))
    created_by: Mapped[str] = mapped_column(String(140))
    created_at: Mapped[datetime] = mapped_column(Moment)
    expires_at: Mapped[datetime] = mapped_column(Moment)
    last_used_at: Mapped[datetime | None] = mapped_column(Moment)
    revoked_at: Mapped[datetime | None] = mapped_column(Moment)

    def status_at(self, moment: datetime) -> ApiKeyStatus:
        if self.revoked_at is not None:
            return ApiKeyStatus.REVOKED
        return ApiKeyStatus.EXPIRED if self.expires_at <= moment else ApiKeyStatus.ACTIVE

    def __str__(self) -> str:
        return self.name


class ApiAnswer(InsideAccount, Model):
    """What a program was told when it asked for something under a key of its own, to be told again (security 5.6)."""

    __tablename__ = "api_answer"
    __table_args__ = (UniqueConstraint("account_id", "caller", "route", "key", name="uq_api_answer_key"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    caller: Mapped[str] = mapped_column(String(40))  # the API key, or the person in a browser
    route: Mapped[str] = mapped_column(String(200))
    key: Mapped[str] = mapped_column(String(200))
    request_hash: Mapped[str] = mapped_column(String(64))
    status: Mapped[int] = mapped_column()
    location: Mapped[str] = mapped_column(String(300), default="")
    body: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(Moment, index=True)


# --- what is written down --------------------------------------------------------------------------------------


class LogEntry(OwnedByAccount, Model):
    """One line of history: who, on whose behalf, what, from where, old and new. Never changed, never deleted."""

    __tablename__ = "log_entry"
    __table_args__ = (
        Index("ix_log_entry_account_at", "account_id", "at"),
        Index("ix_log_entry_subject", "subject_type", "subject_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(Moment, index=True)
    action: Mapped[str] = mapped_column(String(60))
    inside: Mapped[bool] = mapped_column(default=False)  # for the account's own eyes only
    actor_id: Mapped[int | None] = mapped_column(ForeignKey("ab_user.id"))
    actor: Mapped[str] = mapped_column(String(140), default="")
    acting_account: Mapped[str] = mapped_column(String(120), default="")
    on_behalf_of: Mapped[str] = mapped_column(String(140), default="")
    via: Mapped[str] = mapped_column(String(80), default="", server_default="")  # the API key a program did it with
    subject_type: Mapped[str] = mapped_column(String(40), default="")
    subject_id: Mapped[int | None] = mapped_column()
    subject: Mapped[str] = mapped_column(String(200), default="")
    changes: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    ip: Mapped[str] = mapped_column(String(45), default="")

    def __str__(self) -> str:
        return f"{self.action} {self.subject}".strip()


class MessageStatus(StrEnum):
    WAITING = "waiting"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"

    @property
    def label(self) -> Any:
        return _MESSAGE_LABELS[self]


_MESSAGE_LABELS = {
    MessageStatus.WAITING: _l("Waiting"),
    MessageStatus.SENDING: _l("Sending"),
    MessageStatus.SENT: _l("Sent"),
    MessageStatus.FAILED: _l("Failed"),
}


class Message(InsideAccount, Model):
    """A mail in the outbox, written with the deed and sent afterwards. Links with secrets are put in on sending."""

    __tablename__ = "message"
    __table_args__ = (Index("ix_message_due", "status", "next_try_at"),)

    MOVES: ClassVar = {
        MessageStatus.WAITING: {MessageStatus.SENDING},
        MessageStatus.SENDING: {MessageStatus.SENT, MessageStatus.WAITING, MessageStatus.FAILED},
        MessageStatus.SENT: {MessageStatus.WAITING},
        MessageStatus.FAILED: {MessageStatus.WAITING},
    }

    id: Mapped[int] = mapped_column(primary_key=True)
    message_id: Mapped[str] = mapped_column(String(120), unique=True)
    recipient: Mapped[str] = mapped_column(String(320))
    locale: Mapped[str] = mapped_column(String(5))
    subject: Mapped[str] = mapped_column(String(200))
    body_text: Mapped[str] = mapped_column(Text)
    body_html: Mapped[str] = mapped_column(Text)
    token_id: Mapped[int | None] = mapped_column(ForeignKey("token.id"))
    status: Mapped[MessageStatus] = mapped_column(_stored(MessageStatus), default=MessageStatus.WAITING)
    attempts: Mapped[int] = mapped_column(default=0)
    next_try_at: Mapped[datetime] = mapped_column(Moment)
    error: Mapped[str] = mapped_column(String(300), default="")
    created_at: Mapped[datetime] = mapped_column(Moment)
    sent_at: Mapped[datetime | None] = mapped_column(Moment)

    def may_become(self, status: MessageStatus) -> bool:
        return status in self.MOVES[self.status]

    def __str__(self) -> str:
        return self.subject


# --- what has an owner by other means --------------------------------------------------------------------------

# Tables without `account_id`, each with its reason; the schema test demands one or the other (decision 2).
EXEMPT = {
    "account": "is the tree itself: its own path says where it stands",
    "ab_user": "a person is reached through members of visible accounts only",
    "throttle": "counts tries before anybody is known",
    "login": "belongs to its person",
    "recovery_code": "belongs to its person",
}

"""The schema on one page: what there is, what may become of it, what one can ask it. No query, no request.

Every table says whom it belongs to (decision 2):
`OwnedByAccount` management data, seen from the account and from above · `InsideAccount` seen from the account
alone · `OwnInside` seen by its person alone, acting there · `OwnedByUser` seen by its person alone · `Sealed` never
seen from within a scope.
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
from flask_babel import lazy_gettext as _l
from flask_babel import lazy_pgettext
from sqlalchemy import (
    JSON,
    CheckConstraint,
    Enum,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, declared_attr, mapped_column, relationship, validates

from .extensions import Moment, Number

PATH = String(240, collation="C").with_variant(String(240), "sqlite")  # compared by range, so byte order counts
WORDS = String(200, collation="C").with_variant(String(200), "sqlite")  # folded by `sort_key`, so byte order is right
_NO_PARENT = text("parent_id IS NULL")
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
        """A copy of the account's path, kept by the wall and never taken from a form."""
        return mapped_column(PATH, index=True)

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


class Account(Model):
    """A company with data of its own, somewhere in the one tree whose root is the operator.

    `path` spells the way from the root ("k3…/9q…/"); all that is beneath starts with it, so a subtree is a range.
    """

    __tablename__ = "account"
    __table_args__ = (
        UniqueConstraint("parent_id", "name_key", name="uq_account_sibling_name"),
        Index("ix_account_name_sort", "name_sort"),
        Index("ix_account_live", "path", "archived_at", "id"),  # a subtree is counted in here alone
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
    country: Mapped[str] = mapped_column(String(2), default="")
    language: Mapped[str] = mapped_column(String(2), default="en")
    time_zone: Mapped[str] = mapped_column(String(40), default="Europe/Berlin")
    currency: Mapped[str] = mapped_column(String(3), default="EUR")
    created_at: Mapped[datetime] = mapped_column(Moment)
    archived_at: Mapped[datetime | None] = mapped_column(Moment)
    second_factor_required: Mapped[bool] = mapped_column(default=False)
    # What partners know of it besides: definition id → value. Always replaced, never changed in place.
    properties: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict, server_default="{}", active_history=True)

    parent: Mapped[Account | None] = relationship(remote_side=[id], foreign_keys=[parent_id])
    members: Mapped[list[Member]] = relationship(back_populates="account", viewonly=True)
    indexed: Mapped[list[PropertyValue]] = relationship(viewonly=True, lazy="raise")  # lists are sorted along it

    @validates("name")
    def _keep_keys(self, _key: str, name: str) -> str:
        name = " ".join(name.split())
        self.name_key, self.name_sort = name.casefold()[:120], sort_key(name)[:120]
        return name

    @property
    def depth(self) -> int:
        return self.path.count("/") - 1

    @property
    def is_archived(self) -> bool:
        return self.archived_at is not None

    def is_within(self, other: Account) -> bool:
        """Whether it is that account or somewhere beneath it."""
        return self.path.startswith(other.path)

    def __str__(self) -> str:
        return self.name


def sort_key(text: str) -> str:
    """The text as dictionaries order it: case and accents aside."""
    return "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))


def new_path(parent: Account | None) -> str:
    """A fresh place beneath that parent. Random, so that it tells nobody how many accounts there are."""
    label = "".join(secrets.choice("abcdefghijklmnopqrstuvwxyz234567") for _ in range(8))
    return f"{parent.path if parent else ''}{label}/"


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
    default_value: Mapped[Any] = mapped_column(JSON, default=None)
    currency: Mapped[str] = mapped_column(String(3), default="")  # of amounts of money
    required: Mapped[bool] = mapped_column(default=False)
    visible_to_customer: Mapped[bool] = mapped_column(default=False)
    as_column: Mapped[bool] = mapped_column(default=True)
    archived_at: Mapped[datetime | None] = mapped_column(Moment)

    @validates("label_en", "label_de")
    def _keep_keys(self, name: str, label: str) -> str:
        label = " ".join(label.split())
        setattr(self, f"{name}_key", label.casefold()[:80])
        return label

    @property
    def is_archived(self) -> bool:
        return self.archived_at is not None

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
        Index("ix_property_value_text", "definition_id", "text", "account_id"),
        Index("ix_property_value_number", "definition_id", "number", "account_id"),
        Index("ix_property_value_date", "definition_id", "date", "account_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    definition_id: Mapped[int] = mapped_column(ForeignKey("property.id"))
    text: Mapped[str | None] = mapped_column(WORDS)
    rest: Mapped[str | None] = mapped_column(Text)  # the whole of a text too long for the index, for searching
    number: Mapped[Decimal | None] = mapped_column(Number)
    date: Mapped[date | None] = mapped_column()

    def stand(self, text: Any = None, rest: Any = None, number: Any = None, date: Any = None) -> None:
        """Take a place among the other values."""
        self.text, self.rest, self.number, self.date = text, rest, number, date


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


# --- files that come and go --------------------------------------------------------------------------------------


class ExportStatus(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"

    @property
    def label(self) -> Any:
        return _EXPORT_LABELS[self]


_EXPORT_LABELS = {
    ExportStatus.WAITING: _l("Waiting"),
    ExportStatus.RUNNING: _l("Being made"),
    ExportStatus.DONE: _l("Ready"),
    ExportStatus.FAILED: _l("Failed"),
}


class Export(OwnInside, Model):
    """A list as a file, made by the worker while the person goes on, and kept for a day.

    `query` is the address of the list as it stood on the screen; whoever makes the file asks the same view with it.
    """

    __tablename__ = "export"
    __table_args__ = (Index("ix_export_due", "status", "lease_until"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    view: Mapped[str] = mapped_column(String(60))
    noun: Mapped[str] = mapped_column(String(40))
    query: Mapped[str] = mapped_column(Text, default="")
    title: Mapped[str] = mapped_column(String(120))
    filter: Mapped[str] = mapped_column(Text, default="")
    format: Mapped[str] = mapped_column(String(4))
    locale: Mapped[str] = mapped_column(String(5))
    status: Mapped[ExportStatus] = mapped_column(_stored(ExportStatus), default=ExportStatus.WAITING)
    total: Mapped[int] = mapped_column(default=0)  # rows to write, and written
    written: Mapped[int] = mapped_column(default=0)
    size: Mapped[int] = mapped_column(default=0)  # bytes
    file: Mapped[str] = mapped_column(String(80))  # its name in the folder (`files.py`); unguessable
    error: Mapped[str] = mapped_column(String(300), default="")
    attempts: Mapped[int] = mapped_column(default=0)
    lease_until: Mapped[datetime] = mapped_column(Moment)  # until when a worker has it to itself
    created_at: Mapped[datetime] = mapped_column(Moment)
    finished_at: Mapped[datetime | None] = mapped_column(Moment)
    expires_at: Mapped[datetime] = mapped_column(Moment)

    @property
    def is_under_way(self) -> bool:
        return self.status in {ExportStatus.WAITING, ExportStatus.RUNNING}

    def __str__(self) -> str:
        return self.title


class ImportStatus(StrEnum):
    UPLOADED = "uploaded"
    CHECKED = "checked"
    IMPORTING = "importing"
    DONE = "done"
    UNDOING = "undoing"
    UNDONE = "undone"

    @property
    def label(self) -> Any:
        return _IMPORT_LABELS[self]


_IMPORT_LABELS = {
    ImportStatus.UPLOADED: _l("Uploaded"),
    ImportStatus.CHECKED: _l("Checked"),
    ImportStatus.IMPORTING: _l("Being imported"),
    ImportStatus.DONE: _l("Imported"),
    ImportStatus.UNDOING: _l("Being undone"),
    ImportStatus.UNDONE: _l("Undone"),
}


class AccountImport(InsideAccount, Model):
    """A file with accounts on its way in: uploaded, looked at, written by the worker, and for an hour undone again."""

    __tablename__ = "account_import"
    __table_args__ = (Index("ix_account_import_due", "status", "lease_until"),)

    MOVES: ClassVar = {
        ImportStatus.UPLOADED: {ImportStatus.CHECKED},
        ImportStatus.CHECKED: {ImportStatus.CHECKED, ImportStatus.IMPORTING},
        ImportStatus.IMPORTING: {ImportStatus.CHECKED, ImportStatus.DONE},
        ImportStatus.DONE: {ImportStatus.UNDOING},
        ImportStatus.UNDOING: {ImportStatus.DONE, ImportStatus.UNDONE},
        ImportStatus.UNDONE: set(),
    }

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("ab_user.id"), index=True)
    by: Mapped[str] = mapped_column(String(140))
    file_name: Mapped[str] = mapped_column(String(200))
    sheet: Mapped[str] = mapped_column(String(120), default="")
    content: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)  # the cells, as `sheets.pack` keeps them
    mapping: Mapped[list[str]] = mapped_column(JSON, default=list)  # for each column of the file: what it is
    clears: Mapped[bool] = mapped_column(default=False)  # whether an empty cell empties the value
    overwrites: Mapped[bool] = mapped_column(default=False)  # whether the file wins over changes made meanwhile
    plan: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)  # what the dry run found, row by row
    counts: Mapped[dict[str, int]] = mapped_column(JSON, default=dict)
    status: Mapped[ImportStatus] = mapped_column(_stored(ImportStatus), default=ImportStatus.UPLOADED)
    error: Mapped[str] = mapped_column(Text, default="")
    locale: Mapped[str] = mapped_column(String(5))
    attempts: Mapped[int] = mapped_column(default=0)
    lease_until: Mapped[datetime] = mapped_column(Moment)
    created_at: Mapped[datetime] = mapped_column(Moment)
    checked_at: Mapped[datetime | None] = mapped_column(Moment)
    done_at: Mapped[datetime | None] = mapped_column(Moment)

    @property
    def is_under_way(self) -> bool:
        return self.status in {ImportStatus.IMPORTING, ImportStatus.UNDOING}

    def may_become(self, status: ImportStatus) -> bool:
        return status in self.MOVES[self.status]

    def __str__(self) -> str:
        return self.file_name


# --- what has an owner by other means --------------------------------------------------------------------------

# Tables without `account_id`, each with its reason; the schema test demands one or the other (decision 2).
EXEMPT = {
    "account": "is the tree itself: its own path says where it stands",
    "ab_user": "a person is reached through members of visible accounts only",
    "throttle": "counts tries before anybody is known",
    "login": "belongs to its person",
    "recovery_code": "belongs to its person",
}

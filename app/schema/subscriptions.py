"""Running agreements: subscriptions, their resource groups, upfront requests, and how every amount came about."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar

from flask_appbuilder import Model
from flask_babel import lazy_gettext as _l
from flask_babel import lazy_pgettext
from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship, validates

from .. import money
from ..extensions import Moment
from .common import Archivable, sort_key, stored
from .ownership import Consent, OwnedByAccount
from .plans import DataLocation, Meter, PaymentMode, Plan

_IS_OPEN = text("status IN ('requested', 'called', 'paid', 'sent')")


class Calculation(OwnedByAccount, Model):
    """How an amount came about: what preview, order and invoice all show (X-4). Written once, never changed.

    Each line is what `pricing` says of it, exactly: what, quantity × unit price, period, days of days, amount.
    """

    __tablename__ = "calculation"
    opened_by = (Consent.SUBSCRIPTIONS, Consent.ORDERS)
    consent_writes = True

    id: Mapped[int] = mapped_column(primary_key=True)
    currency: Mapped[str] = mapped_column(String(3))
    lines: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    net_minor: Mapped[int] = mapped_column(BigInteger)
    tax_minor: Mapped[int] = mapped_column(BigInteger)
    gross_minor: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(Moment)

    @property
    def net(self) -> Decimal:
        return money.from_minor(self.net_minor, self.currency)

    @property
    def tax(self) -> Decimal:
        return money.from_minor(self.tax_minor, self.currency)

    @property
    def gross(self) -> Decimal:
        return money.from_minor(self.gross_minor, self.currency)

    def __str__(self) -> str:
        return f"{self.net} {self.currency}"


class SubscriptionStatus(StrEnum):
    PENDING = "pending"  # asked for, not running yet
    TRIAL = "trial"  # free until the customer says pay or cancel
    ACTIVE = "active"
    SUSPENDED = "suspended"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    DELETED = "deleted"

    @property
    def label(self) -> Any:
        return _SUBSCRIPTION_LABELS[self]


_SUBSCRIPTION_LABELS = {
    SubscriptionStatus.PENDING: lazy_pgettext("subscription", "Awaiting activation"),
    SubscriptionStatus.TRIAL: lazy_pgettext("subscription", "Free month"),
    SubscriptionStatus.ACTIVE: lazy_pgettext("subscription", "Active"),
    SubscriptionStatus.SUSPENDED: lazy_pgettext("subscription", "Suspended"),
    SubscriptionStatus.EXPIRED: lazy_pgettext("subscription", "Expired"),
    SubscriptionStatus.CANCELLED: lazy_pgettext("subscription", "Cancelled"),
    SubscriptionStatus.DELETED: lazy_pgettext("subscription", "Deleted"),
}


class SuspensionCause(StrEnum):
    TRIAL_ENDED = "trial-ended"
    BY_HAND = "by-hand"

    @property
    def label(self) -> Any:
        return _CAUSE_LABELS[self]


_CAUSE_LABELS = {SuspensionCause.TRIAL_ENDED: _l("Trial ended"), SuspensionCause.BY_HAND: _l("Suspended by hand")}


class Subscription(OwnedByAccount, Model):
    """An account's running agreement about a plan (L-5).

    Its terms are half open, `starts_on` … `ends_on`, and counted from `anchored_on`: 31 Jan, 28 Feb, 31 Mar (I-9).
    Every change is one UPDATE under the condition that nobody else has changed it meanwhile (`version`).
    """

    __tablename__ = "subscription"
    __table_args__ = (
        UniqueConstraint("account_id", "id", name="uq_subscription_of_account"),
        UniqueConstraint("account_id", "title_key", name="uq_subscription_title"),
        CheckConstraint("users >= 0 AND terminals >= 0 AND disk >= 0", name="ck_subscription_quantities"),
        CheckConstraint("ends_on > starts_on", name="ck_subscription_days"),
        CheckConstraint(
            "(starts_on IS NULL) = (ends_on IS NULL) AND (starts_on IS NULL) = (anchored_on IS NULL)",
            name="ck_subscription_term",
        ),
        CheckConstraint("starts_on IS NOT NULL OR status IN ('pending', 'cancelled')", name="ck_subscription_started"),
        CheckConstraint(
            "status NOT IN ('cancelled', 'deleted') OR delete_on IS NOT NULL", name="ck_subscription_delete"
        ),
        Index("ix_subscription_ending", "status", "ends_on"),
        Index("ix_subscription_list", "account_path", "status", "id"),
    )

    MOVES: ClassVar = {
        SubscriptionStatus.PENDING: {
            SubscriptionStatus.TRIAL, SubscriptionStatus.ACTIVE, SubscriptionStatus.CANCELLED,
        },
        SubscriptionStatus.TRIAL: {
            SubscriptionStatus.ACTIVE, SubscriptionStatus.SUSPENDED, SubscriptionStatus.CANCELLED,
        },
        SubscriptionStatus.ACTIVE: {
            SubscriptionStatus.SUSPENDED, SubscriptionStatus.EXPIRED, SubscriptionStatus.CANCELLED,
        },
        SubscriptionStatus.SUSPENDED: {
            SubscriptionStatus.TRIAL, SubscriptionStatus.ACTIVE, SubscriptionStatus.EXPIRED,
            SubscriptionStatus.CANCELLED,
        },
        SubscriptionStatus.EXPIRED: {SubscriptionStatus.ACTIVE, SubscriptionStatus.CANCELLED},
        SubscriptionStatus.CANCELLED: {SubscriptionStatus.DELETED},
        SubscriptionStatus.DELETED: set(),
    }  # fmt: skip

    opened_by = (Consent.SUBSCRIPTIONS,)
    consent_writes = True

    id: Mapped[int] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(Integer)
    public_id: Mapped[str] = mapped_column(String(60), unique=True)
    title: Mapped[str] = mapped_column(String(120))
    title_key: Mapped[str] = mapped_column(String(120))  # what makes it unique in its account
    plan_id: Mapped[int] = mapped_column(ForeignKey("plan.id"), index=True)
    currency: Mapped[str] = mapped_column(String(3))
    payment_mode: Mapped[PaymentMode] = mapped_column(stored(PaymentMode))
    location: Mapped[DataLocation | None] = mapped_column(stored(DataLocation))
    users: Mapped[int] = mapped_column(default=0)
    terminals: Mapped[int] = mapped_column(default=0)
    disk: Mapped[int] = mapped_column(default=0)  # GB
    status: Mapped[SubscriptionStatus] = mapped_column(stored(SubscriptionStatus))
    anchored_on: Mapped[date | None] = mapped_column()
    starts_on: Mapped[date | None] = mapped_column()
    ends_on: Mapped[date | None] = mapped_column()  # the first day that is not covered any more
    billed_from: Mapped[date | None] = mapped_column()  # postponed billing: later than its start (I-6)
    trial_ends_on: Mapped[date | None] = mapped_column()  # the first day that is not free any more
    upfront_on: Mapped[date | None] = mapped_column()  # since when only the infrastructure is charged (L-8)
    cause: Mapped[SuspensionCause | None] = mapped_column(stored(SuspensionCause))
    reason: Mapped[str] = mapped_column(String(300), default="")
    suspended_by_id: Mapped[int | None] = mapped_column(ForeignKey("account.id"))
    cancelled_on: Mapped[date | None] = mapped_column()
    delete_on: Mapped[date | None] = mapped_column()
    reminded: Mapped[int | None] = mapped_column(SmallInteger)  # of this term: the last reminder's days before the end
    previous_id: Mapped[int | None] = mapped_column(ForeignKey("subscription.id"), index=True)  # which it replaces
    calculation_id: Mapped[int | None] = mapped_column(ForeignKey("calculation.id"))  # of a period of this term
    remark: Mapped[str] = mapped_column(String(300), default="")
    created_at: Mapped[datetime] = mapped_column(Moment)
    created_by: Mapped[str] = mapped_column(String(140), default="")

    plan: Mapped[Plan] = relationship()
    calculation: Mapped[Calculation | None] = relationship()
    groups: Mapped[list[ResourceGroup]] = relationship(
        back_populates="subscription", order_by="ResourceGroup.id", viewonly=True
    )

    __mapper_args__: ClassVar = {"version_id_col": version}

    @validates("title")
    def _keep_key(self, _name: str, title: str) -> str:
        title = " ".join(title.split())
        self.title_key = sort_key(title)[:120]
        return title

    def may_become(self, status: SubscriptionStatus) -> bool:
        return status in self.MOVES[self.status]

    def quantity(self, meter: Meter) -> int:
        return getattr(self, meter)

    @property
    def is_running(self) -> bool:
        """Whether what it is about may be used."""
        return self.status in {SubscriptionStatus.TRIAL, SubscriptionStatus.ACTIVE}

    @property
    def is_over(self) -> bool:
        return self.status in {SubscriptionStatus.CANCELLED, SubscriptionStatus.DELETED}

    def __str__(self) -> str:
        return self.public_id


class ResourceGroup(Archivable, OwnedByAccount, Model):
    """A named part of a subscription, a site, a branch or an instance, to which licenses belong (L-11)."""

    __tablename__ = "resource_group"
    __table_args__ = (
        ForeignKeyConstraint(["account_id", "subscription_id"], ["subscription.account_id", "subscription.id"]),
        UniqueConstraint("subscription_id", "name_key", name="uq_resource_group_name"),
    )

    opened_by = (Consent.SUBSCRIPTIONS,)
    consent_writes = True

    id: Mapped[int] = mapped_column(primary_key=True)
    subscription_id: Mapped[int] = mapped_column()
    name: Mapped[str] = mapped_column(String(120))
    name_key: Mapped[str] = mapped_column(String(120))
    description: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime] = mapped_column(Moment)

    subscription: Mapped[Subscription] = relationship(
        back_populates="groups",
        primaryjoin="ResourceGroup.subscription_id == Subscription.id",
        foreign_keys="ResourceGroup.subscription_id",
    )

    @validates("name")
    def _keep_key(self, _name: str, name: str) -> str:
        name = " ".join(name.split())
        self.name_key = sort_key(name)[:120]
        return name

    def __str__(self) -> str:
        return self.name


MOST_USERS = 1_000_000  # user accounts that can be reported


class UsageSource(StrEnum):
    API = "api"
    BY_HAND = "by-hand"

    @property
    def label(self) -> Any:
        return _SOURCE_LABELS[self]


_SOURCE_LABELS = {UsageSource.API: _l("API"), UsageSource.BY_HAND: lazy_pgettext("usage", "By hand")}


class UsageReport(OwnedByAccount, Model):
    """How many user accounts a subscription had at a moment, as somebody or a program reported (I-4). Only added to.

    It holds until the next one; what a month is charged for is worked out from it (`services/usage.py`).
    """

    __tablename__ = "usage_report"
    __table_args__ = (
        ForeignKeyConstraint(["account_id", "subscription_id"], ["subscription.account_id", "subscription.id"]),
        CheckConstraint(f"users BETWEEN 0 AND {MOST_USERS}", name="ck_usage_report_users"),
        Index("ix_usage_report_subscription", "subscription_id", "at"),
    )

    opened_by = (Consent.SUBSCRIPTIONS,)
    consent_writes = True

    id: Mapped[int] = mapped_column(primary_key=True)
    subscription_id: Mapped[int] = mapped_column()
    users: Mapped[int] = mapped_column()
    at: Mapped[datetime] = mapped_column(Moment, index=True)  # when there were so many, not when it was said
    source: Mapped[UsageSource] = mapped_column(stored(UsageSource))
    actor: Mapped[str] = mapped_column(String(140))

    subscription: Mapped[Subscription] = relationship(
        primaryjoin="UsageReport.subscription_id == Subscription.id", foreign_keys="UsageReport.subscription_id"
    )

    def __str__(self) -> str:
        return str(self.subscription)


class UpfrontStatus(StrEnum):
    """How far a request to pay the software once has come; what is requested is a call to be made."""

    REQUESTED = "requested"
    CALLED = "called"
    PAID = "paid"
    SENT = "sent"
    ACTIVE = "active"
    WITHDRAWN = "withdrawn"

    @property
    def label(self) -> Any:
        return _UPFRONT_LABELS[self]


_UPFRONT_LABELS = {
    UpfrontStatus.REQUESTED: lazy_pgettext("upfront request", "Call to be made"),
    UpfrontStatus.CALLED: lazy_pgettext("upfront request", "Payment awaited"),
    UpfrontStatus.PAID: lazy_pgettext("upfront request", "Paid"),
    UpfrontStatus.SENT: lazy_pgettext("upfront request", "Activation link sent"),
    UpfrontStatus.ACTIVE: lazy_pgettext("upfront request", "Activated"),
    UpfrontStatus.WITHDRAWN: lazy_pgettext("upfront request", "Withdrawn"),
}


class UpfrontRequest(OwnedByAccount, Model):
    """The wish to pay the software of a subscription once, and the way there (L-8).

    Requested it is a call task of the operator's; paid, a link goes to the registered address; clicked, it is active.
    """

    __tablename__ = "upfront_request"
    __table_args__ = (
        ForeignKeyConstraint(["account_id", "subscription_id"], ["subscription.account_id", "subscription.id"]),
        Index(
            "uq_upfront_request_open", "subscription_id", unique=True,
            sqlite_where=_IS_OPEN, postgresql_where=_IS_OPEN,
        ),
        CheckConstraint("amount_minor >= 0", name="ck_upfront_request_amount"),
    )  # fmt: skip

    MOVES: ClassVar = {
        UpfrontStatus.REQUESTED: {UpfrontStatus.CALLED, UpfrontStatus.PAID, UpfrontStatus.WITHDRAWN},
        UpfrontStatus.CALLED: {UpfrontStatus.PAID, UpfrontStatus.WITHDRAWN},
        UpfrontStatus.PAID: {UpfrontStatus.SENT, UpfrontStatus.WITHDRAWN},
        UpfrontStatus.SENT: {UpfrontStatus.SENT, UpfrontStatus.ACTIVE, UpfrontStatus.WITHDRAWN},
        UpfrontStatus.ACTIVE: set(),
        UpfrontStatus.WITHDRAWN: set(),
    }

    opened_by = (Consent.SUBSCRIPTIONS,)
    consent_writes = True

    id: Mapped[int] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(Integer)
    subscription_id: Mapped[int] = mapped_column(index=True)
    status: Mapped[UpfrontStatus] = mapped_column(stored(UpfrontStatus))
    currency: Mapped[str] = mapped_column(String(3))
    amount_minor: Mapped[int] = mapped_column(BigInteger)  # net
    calculation_id: Mapped[int] = mapped_column(ForeignKey("calculation.id"))
    remark: Mapped[str] = mapped_column(String(300), default="")  # of who asks for it
    requested_at: Mapped[datetime] = mapped_column(Moment)
    requested_by: Mapped[str] = mapped_column(String(140))
    called_at: Mapped[datetime | None] = mapped_column(Moment)
    called_by: Mapped[str] = mapped_column(String(140), default="")
    call_note: Mapped[str] = mapped_column(String(300), default="")
    paid_on: Mapped[date | None] = mapped_column()
    payment_reference: Mapped[str] = mapped_column(String(120), default="")
    email: Mapped[str] = mapped_column(String(320), default="")  # to which the link went
    token_id: Mapped[int | None] = mapped_column(ForeignKey("token.id"), unique=True)
    sent_at: Mapped[datetime | None] = mapped_column(Moment)
    expires_at: Mapped[datetime | None] = mapped_column(Moment)  # of the link
    activated_at: Mapped[datetime | None] = mapped_column(Moment)
    withdrawn_at: Mapped[datetime | None] = mapped_column(Moment)
    told_at: Mapped[datetime | None] = mapped_column(Moment)  # when the operator's staff were told of it

    subscription: Mapped[Subscription] = relationship(
        primaryjoin="UpfrontRequest.subscription_id == Subscription.id",
        foreign_keys="UpfrontRequest.subscription_id",
    )
    calculation: Mapped[Calculation] = relationship()

    __mapper_args__: ClassVar = {"version_id_col": version}

    def may_become(self, status: UpfrontStatus) -> bool:
        return status in self.MOVES[self.status]

    @property
    def is_open(self) -> bool:
        return bool(self.MOVES[self.status])

    @property
    def amount(self) -> Decimal:
        return money.from_minor(self.amount_minor, self.currency)

    def __str__(self) -> str:
        return str(self.subscription)

"""Purchases: orders with their lines, and the fulfilment of each line."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar

from flask_appbuilder import Model
from flask_babel import lazy_pgettext
from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from .. import money
from ..extensions import Moment
from .catalog import Article
from .common import in_language, stored
from .ownership import Consent, OwnedByAccount
from .plans import DataLocation, Operation, PaymentMode, Plan, ProductType
from .subscriptions import Calculation, ResourceGroup, Subscription


class OrderKind(StrEnum):
    """What is bought: something new, more time, another plan, or licenses."""

    SUBSCRIBE = "subscribe"
    RENEW = "renew"
    UPGRADE = "upgrade"
    LICENSES = "licenses"

    @property
    def label(self) -> Any:
        return _KIND_LABELS[self]

    @property
    def operation(self) -> Operation | None:
        """Which of a product's operations it is; articles have none (I-1)."""
        return _OPERATIONS.get(self)


_KIND_LABELS = {
    OrderKind.SUBSCRIBE: lazy_pgettext("order", "New subscription"),
    OrderKind.RENEW: lazy_pgettext("order", "Renewal"),
    OrderKind.UPGRADE: lazy_pgettext("order", "Upgrade"),
    OrderKind.LICENSES: lazy_pgettext("order", "Licenses"),
}
_OPERATIONS = {
    OrderKind.SUBSCRIBE: Operation.SELL,
    OrderKind.RENEW: Operation.RENEW,
    OrderKind.UPGRADE: Operation.UPGRADE,
}


class OrderStatus(StrEnum):
    DRAFT = "draft"
    PLACED = "placed"
    IN_FULFILMENT = "in-fulfilment"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def label(self) -> Any:
        return _ORDER_LABELS[self]


_ORDER_LABELS = {
    OrderStatus.DRAFT: lazy_pgettext("order", "Draft"),
    OrderStatus.PLACED: lazy_pgettext("order", "Placed"),
    OrderStatus.IN_FULFILMENT: lazy_pgettext("order", "In fulfilment"),
    OrderStatus.COMPLETED: lazy_pgettext("order", "Completed"),
    OrderStatus.FAILED: lazy_pgettext("order", "Failed"),
    OrderStatus.CANCELLED: lazy_pgettext("order", "Cancelled"),
}


class Order(OwnedByAccount, Model):
    """One purchase (L-9, I-3): a draft in the account that writes it, an order of the customer's once it is placed.

    What a draft says so far are its `answers`; placing it makes lines of them, at the prices of that moment. Every
    move is one UPDATE under the condition that nobody else has changed it meanwhile (`version`).
    """

    __tablename__ = "purchase"  # "order" is a word of SQL's own
    __table_args__ = (
        UniqueConstraint("account_id", "id", name="uq_purchase_of_account"),
        UniqueConstraint("author_account_id", "form_key", name="uq_purchase_key"),
        CheckConstraint(
            "status = 'draft' OR (placed_at IS NOT NULL AND net_minor IS NOT NULL AND gross_minor IS NOT NULL)",
            name="ck_purchase_placed",
        ),
        Index("ix_purchase_list", "account_path", "status", "id"),
        Index("ix_purchase_due", "status", "delete_on"),
    )

    MOVES: ClassVar = {
        OrderStatus.DRAFT: {OrderStatus.PLACED},
        OrderStatus.PLACED: {OrderStatus.IN_FULFILMENT, OrderStatus.CANCELLED},
        OrderStatus.IN_FULFILMENT: {
            OrderStatus.PLACED, OrderStatus.COMPLETED, OrderStatus.FAILED, OrderStatus.CANCELLED,
        },
        OrderStatus.COMPLETED: set(),
        OrderStatus.FAILED: {OrderStatus.PLACED, OrderStatus.IN_FULFILMENT, OrderStatus.CANCELLED},
        OrderStatus.CANCELLED: set(),
    }  # fmt: skip

    opened_by = (Consent.ORDERS,)
    consent_writes = True

    id: Mapped[int] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(Integer)
    public_id: Mapped[str] = mapped_column(String(60), unique=True)
    form_key: Mapped[str] = mapped_column(String(60))  # of the form it came from: sent twice, it is one order
    kind: Mapped[OrderKind] = mapped_column(stored(OrderKind))
    product_type: Mapped[ProductType | None] = mapped_column(stored(ProductType))
    status: Mapped[OrderStatus] = mapped_column(stored(OrderStatus), default=OrderStatus.DRAFT)
    answers: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)  # always replaced, never changed in place
    customer: Mapped[str] = mapped_column(String(120), default="")  # for whom, by name; also before it is an account

    author_id: Mapped[int] = mapped_column(ForeignKey("ab_user.id"))
    author: Mapped[str] = mapped_column(String(140))
    author_account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    ordered_by: Mapped[str] = mapped_column(String(120))  # that account's name, which the customer's eyes may read

    plan_id: Mapped[int | None] = mapped_column(ForeignKey("plan.id"))
    subscription_id: Mapped[int | None] = mapped_column(ForeignKey("subscription.id"), index=True)
    resource_group_id: Mapped[int | None] = mapped_column(ForeignKey("resource_group.id"))
    previous_id: Mapped[int | None] = mapped_column(ForeignKey("purchase.id"), index=True)
    replaces_id: Mapped[int | None] = mapped_column(ForeignKey("purchase.id"))  # the order it is to change
    payment_mode: Mapped[PaymentMode | None] = mapped_column(stored(PaymentMode))
    location: Mapped[DataLocation | None] = mapped_column(stored(DataLocation))
    postponed: Mapped[bool] = mapped_column(default=False)  # billing, until the free time is over (I-6)
    domain: Mapped[str] = mapped_column(String(253), default="")
    claimed_domain: Mapped[str | None] = mapped_column(String(253), unique=True)  # the same, as long as it is taken
    administrator: Mapped[str] = mapped_column(String(60), default="")
    credentials_to: Mapped[list[str]] = mapped_column(JSON, default=list)  # e-mail addresses (I-7)
    reference: Mapped[str] = mapped_column(String(120), default="")  # the buyer's own
    remark: Mapped[str] = mapped_column(String(500), default="")

    currency: Mapped[str] = mapped_column(String(3), default="")
    net_minor: Mapped[int | None] = mapped_column(BigInteger)
    gross_minor: Mapped[int | None] = mapped_column(BigInteger)
    calculation_id: Mapped[int | None] = mapped_column(ForeignKey("calculation.id"))  # how these came about

    created_at: Mapped[datetime] = mapped_column(Moment)
    placed_at: Mapped[datetime | None] = mapped_column(Moment, index=True)
    started_at: Mapped[datetime | None] = mapped_column(Moment)
    ended_at: Mapped[datetime | None] = mapped_column(Moment)  # completed, failed or cancelled
    reason: Mapped[str] = mapped_column(String(300), default="")  # of being cancelled, or of having failed
    delete_on: Mapped[date | None] = mapped_column()  # what was begun of an instance, cancelled (I-9)

    plan: Mapped[Plan | None] = relationship()
    subscription: Mapped[Subscription | None] = relationship()
    resource_group: Mapped[ResourceGroup | None] = relationship()
    calculation: Mapped[Calculation | None] = relationship()
    lines: Mapped[list[OrderLine]] = relationship(back_populates="order", order_by="OrderLine.position", viewonly=True)

    __mapper_args__: ClassVar = {"version_id_col": version}

    def may_become(self, status: OrderStatus) -> bool:
        return status in self.MOVES[self.status]

    @property
    def net(self) -> Decimal | None:
        return self._amount(self.net_minor)

    @property
    def gross(self) -> Decimal | None:
        return self._amount(self.gross_minor)

    def _amount(self, units: int | None) -> Decimal | None:
        return None if units is None else money.from_minor(units, self.currency)

    @property
    def timeline(self) -> list[Milestone]:
        """What it has come to, and what is ahead of it."""
        ends = self.status if self.status in {OrderStatus.FAILED, OrderStatus.CANCELLED} else OrderStatus.COMPLETED
        return [
            Milestone(OrderStatus.DRAFT, self.created_at, self.status is OrderStatus.DRAFT),
            Milestone(OrderStatus.PLACED, self.placed_at, self.status is OrderStatus.PLACED),
            Milestone(OrderStatus.IN_FULFILMENT, self.started_at, self.status is OrderStatus.IN_FULFILMENT),
            Milestone(ends, self.ended_at, self.status is ends),
        ]

    def __str__(self) -> str:
        return self.public_id


@dataclass(frozen=True)
class Milestone:
    """One stop on the way of an order; without a moment it has not come there, or was never there."""

    status: OrderStatus
    at: datetime | None
    is_now: bool


class OrderLine(OwnedByAccount, Model):
    """One thing ordered: so many of an article, or a period of a plan. Its price is that of the day it was placed."""

    __tablename__ = "order_line"
    __table_args__ = (
        ForeignKeyConstraint(["account_id", "order_id"], ["purchase.account_id", "purchase.id"]),
        UniqueConstraint("order_id", "position", name="uq_order_line_position"),
        UniqueConstraint("account_id", "id", name="uq_order_line_of_account"),
        CheckConstraint("quantity > 0", name="ck_order_line_quantity"),
        CheckConstraint("(article_id IS NULL) <> (plan_id IS NULL)", name="ck_order_line_what"),
    )

    opened_by = (Consent.ORDERS,)
    consent_writes = True

    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(index=True)
    position: Mapped[int] = mapped_column()
    article_id: Mapped[int | None] = mapped_column(ForeignKey("article.id"))
    plan_id: Mapped[int | None] = mapped_column(ForeignKey("plan.id"))
    name_en: Mapped[str] = mapped_column(String(120))  # as it was called when it was ordered
    name_de: Mapped[str] = mapped_column(String(120))
    quantity: Mapped[int] = mapped_column()
    currency: Mapped[str] = mapped_column(String(3))
    unit_minor: Mapped[int] = mapped_column(BigInteger)
    net_minor: Mapped[int] = mapped_column(BigInteger)

    order: Mapped[Order] = relationship(
        back_populates="lines", primaryjoin="OrderLine.order_id == Order.id", foreign_keys="OrderLine.order_id"
    )
    article: Mapped[Article | None] = relationship()
    plan: Mapped[Plan | None] = relationship()
    fulfilment: Mapped[Fulfilment | None] = relationship(back_populates="line", viewonly=True)

    @property
    def name(self) -> str:
        return in_language(self, "name")

    @property
    def unit_price(self) -> Decimal:
        return money.from_minor(self.unit_minor, self.currency)

    @property
    def net(self) -> Decimal:
        return money.from_minor(self.net_minor, self.currency)

    def __str__(self) -> str:
        return f"{self.quantity} × {self.name}"


class FulfilmentStatus(StrEnum):
    PENDING = "pending"
    IN_PROGRESS = "in-progress"
    FULFILLED = "fulfilled"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def label(self) -> Any:
        return _FULFILMENT_LABELS[self]


_FULFILMENT_LABELS = {
    FulfilmentStatus.PENDING: lazy_pgettext("fulfilment", "Pending"),
    FulfilmentStatus.IN_PROGRESS: lazy_pgettext("fulfilment", "In progress"),
    FulfilmentStatus.FULFILLED: lazy_pgettext("fulfilment", "Fulfilled"),
    FulfilmentStatus.FAILED: lazy_pgettext("fulfilment", "Failed"),
    FulfilmentStatus.CANCELLED: lazy_pgettext("fulfilment", "Cancelled"),
}


class Fulfilment(OwnedByAccount, Model):
    """The work that makes an order line come true, done by a person or by a connector (I-10)."""

    __tablename__ = "fulfilment"
    __table_args__ = (
        ForeignKeyConstraint(["account_id", "order_id"], ["purchase.account_id", "purchase.id"]),
        ForeignKeyConstraint(["account_id", "line_id"], ["order_line.account_id", "order_line.id"]),
        UniqueConstraint("line_id", name="uq_fulfilment_line"),
        CheckConstraint("status <> 'failed' OR reason <> ''", name="ck_fulfilment_reason"),
        Index("ix_fulfilment_board", "status", "id"),
    )

    MOVES: ClassVar = {
        FulfilmentStatus.PENDING: {FulfilmentStatus.IN_PROGRESS, FulfilmentStatus.CANCELLED},
        FulfilmentStatus.IN_PROGRESS: {
            FulfilmentStatus.PENDING, FulfilmentStatus.FULFILLED, FulfilmentStatus.FAILED, FulfilmentStatus.CANCELLED,
        },
        FulfilmentStatus.FAILED: {FulfilmentStatus.PENDING, FulfilmentStatus.CANCELLED},
        FulfilmentStatus.FULFILLED: set(),
        FulfilmentStatus.CANCELLED: set(),
    }  # fmt: skip

    opened_by = (Consent.ORDERS,)
    consent_writes = True

    id: Mapped[int] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(Integer)
    order_id: Mapped[int] = mapped_column(index=True)
    line_id: Mapped[int] = mapped_column()
    status: Mapped[FulfilmentStatus] = mapped_column(stored(FulfilmentStatus), default=FulfilmentStatus.PENDING)
    attempts: Mapped[int] = mapped_column(default=0)
    taken_by: Mapped[str] = mapped_column(String(140), default="")
    taken_by_id: Mapped[int | None] = mapped_column(ForeignKey("ab_user.id"))
    taken_at: Mapped[datetime | None] = mapped_column(Moment)
    ended_at: Mapped[datetime | None] = mapped_column(Moment)  # fulfilled, failed or cancelled
    reason: Mapped[str] = mapped_column(String(300), default="")
    address: Mapped[str] = mapped_column(String(300), default="")  # where the instance answers
    created_at: Mapped[datetime] = mapped_column(Moment)

    order: Mapped[Order] = relationship(
        primaryjoin="Fulfilment.order_id == Order.id", foreign_keys="Fulfilment.order_id"
    )
    line: Mapped[OrderLine] = relationship(
        back_populates="fulfilment", primaryjoin="Fulfilment.line_id == OrderLine.id",
        foreign_keys="Fulfilment.line_id",
    )  # fmt: skip

    __mapper_args__: ClassVar = {"version_id_col": version}

    def may_become(self, status: FulfilmentStatus) -> bool:
        return status in self.MOVES[self.status]

    def __str__(self) -> str:
        return f"{self.order} · {self.line}"


class Credential(OwnedByAccount, Model):
    """The password of an instance's administrator on its way to the instance: a hash, chosen by whom a link was sent.

    The connector takes the hash along once it is there; nobody ever sees a password (I-7).
    """

    __tablename__ = "credential"
    __table_args__ = (
        ForeignKeyConstraint(["account_id", "order_id"], ["purchase.account_id", "purchase.id"]),
        UniqueConstraint("order_id", "email", name="uq_credential_recipient"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column()
    email: Mapped[str] = mapped_column(String(320))
    token_id: Mapped[int] = mapped_column(ForeignKey("token.id"), unique=True)
    password_hash: Mapped[str] = mapped_column(String(200), default="")
    sent_at: Mapped[datetime] = mapped_column(Moment)
    set_at: Mapped[datetime | None] = mapped_column(Moment)

    order: Mapped[Order] = relationship(
        primaryjoin="Credential.order_id == Order.id", foreign_keys="Credential.order_id"
    )

    def __str__(self) -> str:
        return self.email


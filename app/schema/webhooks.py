"""Webhooks: whom an account lets be told of its orders, and every telling of it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

from flask_appbuilder import Model
from flask_babel import lazy_pgettext
from sqlalchemy import JSON, ForeignKey, ForeignKeyConstraint, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ..extensions import Moment
from .common import stored
from .orders import OrderStatus
from .ownership import InsideAccount, Sealed


class EventKind(StrEnum):
    """What programs are told of, by the name they know it by."""

    PLACED = "order.placed"
    IN_FULFILMENT = "order.in_fulfilment"
    PUT_BACK = "order.put_back"
    LINE_FULFILLED = "order.line_fulfilled"
    LINE_FAILED = "order.line_failed"
    COMPLETED = "order.completed"
    FAILED = "order.failed"
    CANCELLED = "order.cancelled"
    TEST = "webhook.test"

    @property
    def label(self) -> Any:
        return _EVENT_LABELS[self]

    @classmethod
    def of(cls, before: OrderStatus, status: OrderStatus) -> EventKind:
        """What it is called that an order moves so."""
        if status is OrderStatus.PLACED and before is not OrderStatus.DRAFT:
            return cls.PUT_BACK
        return _EVENTS[status]


_EVENT_LABELS = {
    EventKind.PLACED: lazy_pgettext("event", "Order placed"),
    EventKind.IN_FULFILMENT: lazy_pgettext("event", "Fulfilment of an order begun"),
    EventKind.PUT_BACK: lazy_pgettext("event", "Order back to placed"),
    EventKind.LINE_FULFILLED: lazy_pgettext("event", "Line of an order fulfilled"),
    EventKind.LINE_FAILED: lazy_pgettext("event", "Line of an order failed"),
    EventKind.COMPLETED: lazy_pgettext("event", "Order completed"),
    EventKind.FAILED: lazy_pgettext("event", "Order failed"),
    EventKind.CANCELLED: lazy_pgettext("event", "Order cancelled"),
    EventKind.TEST: lazy_pgettext("event", "Test"),
}
_EVENTS = {
    OrderStatus.PLACED: EventKind.PLACED,
    OrderStatus.IN_FULFILMENT: EventKind.IN_FULFILMENT,
    OrderStatus.COMPLETED: EventKind.COMPLETED,
    OrderStatus.FAILED: EventKind.FAILED,
    OrderStatus.CANCELLED: EventKind.CANCELLED,
}


class WebhookStatus(StrEnum):
    ON = "on"
    OFF = "off"
    STOPPED = "stopped"

    @property
    def label(self) -> Any:
        return _WEBHOOK_LABELS[self]


_WEBHOOK_LABELS = {
    WebhookStatus.ON: lazy_pgettext("webhook", "On"),
    WebhookStatus.OFF: lazy_pgettext("webhook", "Off"),
    WebhookStatus.STOPPED: lazy_pgettext("webhook", "Stopped after errors"),
}


class Webhook(InsideAccount, Model):
    """An address that is told of what happens to the orders in sight of the account.

    The secret that signs is made from the server's key and `nonce`; the one before it signs as well for a while.
    """

    __tablename__ = "webhook"
    __table_args__ = (UniqueConstraint("account_id", "id", name="uq_webhook_of_account"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80))
    url: Mapped[str] = mapped_column(String(500))  # it may hold a secret of the receiver's: history names the host
    events: Mapped[list[str]] = mapped_column(JSON, default=list)
    status: Mapped[WebhookStatus] = mapped_column(stored(WebhookStatus), default=WebhookStatus.ON)
    nonce: Mapped[str] = mapped_column(String(32))
    former_nonce: Mapped[str | None] = mapped_column(String(32))
    former_until: Mapped[datetime | None] = mapped_column(Moment)
    created_by: Mapped[str] = mapped_column(String(140))
    created_at: Mapped[datetime] = mapped_column(Moment)
    delivered_at: Mapped[datetime | None] = mapped_column(Moment)  # the last time it went well
    failing_since: Mapped[datetime | None] = mapped_column(Moment)  # the first try that went wrong since

    @property
    def is_on(self) -> bool:
        return self.status is WebhookStatus.ON

    def nonces_at(self, moment: datetime) -> list[str]:
        """Of the secrets that sign at that moment, the newest first."""
        former = self.former_nonce if self.former_until and moment < self.former_until else None
        return [self.nonce, former] if former else [self.nonce]

    def __str__(self) -> str:
        return self.name


class WebhookEvent(Sealed, Model):
    """What has happened to an order, written with the deed; gone as soon as it is known whom to tell."""

    __tablename__ = "webhook_event"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)  # made here: whoever writes it cannot read it back
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"), index=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("purchase.id"))
    kind: Mapped[EventKind] = mapped_column(stored(EventKind))
    body: Mapped[str] = mapped_column(Text)  # the order as it was at that moment
    at: Mapped[datetime] = mapped_column(Moment, index=True)


class DeliveryStatus(StrEnum):
    WAITING = "waiting"
    SENDING = "sending"
    DELIVERED = "delivered"
    FAILED = "failed"

    @property
    def label(self) -> Any:
        return _DELIVERY_LABELS[self]


_DELIVERY_LABELS = {
    DeliveryStatus.WAITING: lazy_pgettext("delivery", "Waiting"),
    DeliveryStatus.SENDING: lazy_pgettext("delivery", "Under way"),
    DeliveryStatus.DELIVERED: lazy_pgettext("delivery", "Delivered"),
    DeliveryStatus.FAILED: lazy_pgettext("delivery", "Failed"),
}


class Outcome(StrEnum):
    """How a try went."""

    OK = "ok"
    REFUSED = "refused"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    INSECURE = "insecure"
    INTERNAL = "internal"
    HIDDEN = "hidden"
    OFF = "off"

    @property
    def label(self) -> Any:
        return _OUTCOME_LABELS[self]


_OUTCOME_LABELS = {
    Outcome.OK: lazy_pgettext("delivery", "Accepted"),
    Outcome.REFUSED: lazy_pgettext("delivery", "The receiver did not accept it"),
    Outcome.TIMEOUT: lazy_pgettext("delivery", "The receiver took too long"),
    Outcome.UNREACHABLE: lazy_pgettext("delivery", "The receiver cannot be reached"),
    Outcome.INSECURE: lazy_pgettext("delivery", "The receiver's certificate is not valid"),
    Outcome.INTERNAL: lazy_pgettext("delivery", "The address leads into a private network"),
    Outcome.HIDDEN: lazy_pgettext("delivery", "The order may no longer be seen"),
    Outcome.OFF: lazy_pgettext("delivery", "The webhook was switched off"),
}


class WebhookDelivery(InsideAccount, Model):
    """One event on its way to one webhook, with every try. What is sent stays the same, and so does `message_id`."""

    __tablename__ = "webhook_delivery"
    __table_args__ = (
        ForeignKeyConstraint(["account_id", "webhook_id"], ["webhook.account_id", "webhook.id"]),
        Index("ix_webhook_delivery_due", "status", "next_try_at"),
        Index("ix_webhook_delivery_list", "webhook_id", "id"),
    )

    MOVES: ClassVar = {
        DeliveryStatus.WAITING: {DeliveryStatus.SENDING, DeliveryStatus.FAILED},
        DeliveryStatus.SENDING: {DeliveryStatus.DELIVERED, DeliveryStatus.WAITING, DeliveryStatus.FAILED},
        DeliveryStatus.DELIVERED: {DeliveryStatus.WAITING},
        DeliveryStatus.FAILED: {DeliveryStatus.WAITING},
    }

    id: Mapped[int] = mapped_column(primary_key=True)
    webhook_id: Mapped[int] = mapped_column()
    message_id: Mapped[str] = mapped_column(String(60), unique=True)
    event: Mapped[EventKind] = mapped_column(stored(EventKind))
    order_id: Mapped[int | None] = mapped_column(ForeignKey("purchase.id"), index=True)  # none: a test
    order_number: Mapped[str] = mapped_column(String(60), default="")
    body: Mapped[str] = mapped_column(Text)
    status: Mapped[DeliveryStatus] = mapped_column(stored(DeliveryStatus), default=DeliveryStatus.WAITING)
    attempts: Mapped[int] = mapped_column(default=0)  # in all; the number of the try under way
    round: Mapped[int] = mapped_column(default=0)  # tries since it was last put in line
    next_try_at: Mapped[datetime | None] = mapped_column(Moment)
    created_at: Mapped[datetime] = mapped_column(Moment, index=True)
    delivered_at: Mapped[datetime | None] = mapped_column(Moment)
    outcome: Mapped[Outcome | None] = mapped_column(stored(Outcome))  # of the last try, and so the next three
    code: Mapped[int | None] = mapped_column()
    duration: Mapped[int | None] = mapped_column()  # milliseconds
    answer: Mapped[str] = mapped_column(String(1000), default="")  # how it began
    tries: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list)  # the newest last; always replaced

    webhook: Mapped[Webhook] = relationship(
        primaryjoin="WebhookDelivery.webhook_id == Webhook.id", foreign_keys="WebhookDelivery.webhook_id"
    )

    def may_become(self, status: DeliveryStatus) -> bool:
        return status in self.MOVES[self.status]

    def __str__(self) -> str:
        return f"{self.event.label} {self.order_number}".strip()

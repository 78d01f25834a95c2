"""The verbs of fulfilment: a line of an order is taken, put back, fulfilled, failed, tried again (I-10).

Whoever takes a task has it alone, a person of the operator's or a connector with an API key. What is fulfilled takes
effect in the same transaction: articles become licenses (M-12), subscriptions start, and with them billing.
"""

from __future__ import annotations

from flask_babel import gettext as _

from .. import clock, property_types
from ..audit import record
from ..errors import Conflict, Refused
from ..extensions import db
from ..models import EventKind, Fulfilment, FulfilmentStatus, Member, Meter, Order, OrderKind, OrderStatus
from ..periods import period_of
from . import credentials, licenses, orders, quotes, subscriptions, webhooks

LONGEST_REASON = 300
_OVER = {OrderStatus.COMPLETED, OrderStatus.FAILED, OrderStatus.CANCELLED}


def take(task: Fulfilment, *, by: Member) -> None:
    """Take a task on. Of two at once one gets it; the other is told who has it."""
    _hold(task)
    if task.status is FulfilmentStatus.IN_PROGRESS:
        raise Conflict(_("%(task)s has been taken by %(who)s.", task=task, who=task.taken_by))
    _move(task, FulfilmentStatus.IN_PROGRESS)
    task.taken_by, task.taken_by_id, task.taken_at = by.user.name[:140], by.user_id, clock.now()
    task.attempts += 1
    record("fulfilment.taken", task)
    _settle(task)


def put_back(task: Fulfilment, *, by: Member) -> None:
    """Leave a task to others."""
    _hold(task)
    _move(task, FulfilmentStatus.PENDING)
    task.taken_by, task.taken_by_id, task.taken_at = "", None, None
    record("fulfilment.put_back", task)
    _settle(task)


def fulfil(task: Fulfilment, *, address: str = "", by: Member) -> None:
    """It is done, and takes effect. Of a new instance `address` is where it answers; without word its domain."""
    _hold(task)
    address = _address(task, address)
    _move(task, FulfilmentStatus.FULFILLED)
    record("fulfilment.fulfilled", task)
    task.address, task.ended_at, task.reason = address, clock.now(), ""
    _take_effect(task, by)
    webhooks.tell(EventKind.LINE_FULFILLED, task.order, task.line)
    _settle(task)
    if task.order.status is OrderStatus.COMPLETED:
        _tell_of_completion(task.order, address, by)


def _tell_of_completion(order: Order, address: str, by: Member) -> None:
    """Of a new instance its credentials go out; who gets none reads that the order is done (I-7)."""
    credited: list[str] = []
    if order.kind is OrderKind.SUBSCRIBE:
        credentials.send(order, address=address, by=by)
        credited = order.credentials_to
    orders.tell(order, "order_completed", by, but=credited)


def fail(task: Fulfilment, *, reason: str, by: Member) -> None:
    """It cannot be done; everybody who sees the order reads why."""
    reason = " ".join(reason.replace("\x00", "").split())
    if not reason or len(reason) > LONGEST_REASON:
        raise Refused(_("Give a reason, in up to 300 characters."), field="reason")
    _hold(task)
    _move(task, FulfilmentStatus.FAILED)
    task.reason, task.ended_at = reason, clock.now()
    record("fulfilment.failed", task, reason=reason)
    webhooks.tell(EventKind.LINE_FAILED, task.order, task.line)
    _settle(task)
    orders.tell(task.order, "order_failed", by, task=str(task.line), reason=reason)


def retry(task: Fulfilment, *, by: Member) -> None:
    """Put a task that has failed back in line."""
    _hold(task)
    _move(task, FulfilmentStatus.PENDING)
    task.taken_by, task.taken_by_id, task.taken_at, task.ended_at, task.reason = "", None, None, None, ""
    record("fulfilment.retried", task)
    _settle(task)


# --- guards --------------------------------------------------------------------------------------------------------


def _hold(task: Fulfilment) -> None:
    """The order, kept from others until this is done, and the task as it is now."""
    orders.hold(task.order)
    db.session.refresh(task)


def _move(task: Fulfilment, status: FulfilmentStatus) -> None:
    if not task.may_become(status):
        raise Conflict(_("%(task)s is %(status)s; this cannot be done now.", task=task, status=task.status.label))
    task.status = status


def _address(task: Fulfilment, address: str) -> str:
    if task.order.kind is not OrderKind.SUBSCRIBE:
        return ""
    try:
        return property_types.web_address(address.strip() or task.order.domain)[:300]
    except Refused as refusal:
        raise Refused(refusal.sentence, field="address") from refusal


# --- effects -------------------------------------------------------------------------------------------------------


def _take_effect(task: Fulfilment, by: Member) -> None:
    order = task.order
    match order.kind:
        case OrderKind.SUBSCRIBE:
            record("subscription.started", order.subscription)
            subscriptions.start(order.subscription, postponed=order.postponed)
        case OrderKind.RENEW:
            subscriptions.renew(order.subscription, seen=order.subscription.version)
        case OrderKind.UPGRADE:
            _upgrade(order)
        case OrderKind.LICENSES:
            day = clock.today(order.account.time_zone)
            line, note = task.line, order.reference
            licenses.give(line.article, line.quantity, to=order.account, on=day, note=note, line=line, by=by)


def _upgrade(order: Order) -> None:
    """The subscription has the new plan from today on; where that has other periods, its term is one of those."""
    subscription, plan = order.subscription, order.plan
    today = subscriptions.today_of(subscription)
    record("subscription.upgraded", subscription, plan=(subscription.plan.key, plan.key))
    quantities = {meter: max(subscription.quantity(meter), plan.included(meter)) for meter in Meter}
    term = period_of(subscription.anchored_on, plan.period.months, today)
    subscription.plan, subscription.ends_on, subscription.reminded = plan, term.beyond, None
    for meter, quantity in quantities.items():
        setattr(subscription, meter.value, quantity)
    amount = quotes.of_periods(
        plan, [term], currency=subscription.currency, quantities=quantities, account=subscription.account
    )
    subscription.calculation = quotes.keep(amount, subscription.account)
    subscriptions.save(subscription)


def _settle(task: Fulfilment) -> None:
    """The order stands as its tasks do."""
    db.session.flush()
    order, before = task.order, task.order.status
    status = _status_of({one.status for one in orders.tasks_of(order)})
    if status is before:
        return
    if not order.may_become(status):
        raise Conflict(_("%(order)s is %(status)s.", order=order, status=before.label))
    order.status = status
    order.started_at = None if status is OrderStatus.PLACED else order.started_at or clock.now()
    order.ended_at = clock.now() if status in _OVER else None
    order.reason = task.reason if status is OrderStatus.FAILED else ""
    record(_TOLD_AS[status], order)
    orders.save(order)
    webhooks.tell(EventKind.of(before, status), order)


def _status_of(found: set[FulfilmentStatus]) -> OrderStatus:
    if FulfilmentStatus.FAILED in found:
        return OrderStatus.FAILED
    if found == {FulfilmentStatus.FULFILLED}:
        return OrderStatus.COMPLETED
    return OrderStatus.PLACED if found == {FulfilmentStatus.PENDING} else OrderStatus.IN_FULFILMENT


_TOLD_AS = {
    OrderStatus.PLACED: "order.put_back",
    OrderStatus.IN_FULFILMENT: "order.started",
    OrderStatus.COMPLETED: "order.completed",
    OrderStatus.FAILED: "order.failed",
}

"""The worker's side of webhooks: whom to tell, what is due, how a try has gone. Unscoped, but for what may be seen.

Whatever is sent has been looked at with the eyes of an administrator of the webhook's account just before: an order
that the account may not see, or no longer, is not told. At least once, and always under the same id.
"""

from __future__ import annotations

import base64
import hmac
from dataclasses import dataclass
from datetime import timedelta
from secrets import SystemRandom

from sqlalchemy import and_, delete, or_, select, update
from sqlalchemy.orm import aliased

from .. import clock, outbox
from ..audit import record
from ..extensions import db
from ..models import (
    Account,
    DeliveryStatus,
    Order,
    Outcome,
    Relationship,
    Webhook,
    WebhookDelivery,
    WebhookEvent,
    WebhookStatus,
)
from ..outgoing import Answer
from ..permissions import allows
from ..tenancy import Scope, acting, scope_for
from . import webhooks
from .members import administrators_of

_MINUTES = (1, 5, 30, 2 * 60, 5 * 60, 10 * 60, 14 * 60, 20 * 60, 24 * 60)
RETRY_AFTER = [timedelta(minutes=minutes) for minutes in _MINUTES]  # more than three days in all
JITTER = 0.2  # of a pause, one way or the other: receivers that come back are not run over
LONGEST_PAUSE = timedelta(days=1)  # that a receiver can ask for
LEASE = timedelta(minutes=2)  # a worker that has not come back by then is taken to be dead
PATIENCE = timedelta(days=5)  # without a single success, then a webhook is stopped
KEPT, TRIES_KEPT = timedelta(days=30), 30


@dataclass(frozen=True)
class Call:
    """One try: what to send where, and who looks at it first."""

    delivery_id: int
    attempt: int
    url: str
    body: bytes
    headers: dict[str, str]
    order_id: int | None
    eyes: Scope | None


# --- whom to tell --------------------------------------------------------------------------------------------------


def untold(limit: int = 100) -> list[str]:
    """Events nobody has looked at yet, the oldest first."""
    return list(db.session.scalars(select(WebhookEvent.id).order_by(WebhookEvent.at).limit(limit)))


def interested(event_id: str) -> list[tuple[int, int, Scope]]:
    """The webhooks that may want to hear of it: number, the order's, and the eyes to look at the order with."""
    event = db.session.get(WebhookEvent, event_id)
    if event is None:
        return []
    path = db.session.scalar(select(Account.path).where(Account.id == event.account_id))
    above = [path[: end + 1] for end, letter in enumerate(path) if letter == "/"]
    linked = select(Relationship.partner_id).where(
        Relationship.account_id == event.account_id, Relationship.ended_at.is_(None)
    )
    found = db.session.scalars(
        select(Webhook)
        .join(Webhook.account)
        .where(Webhook.status == WebhookStatus.ON, Webhook.created_at <= event.at, Account.archived_at.is_(None))
        .where(or_(Account.path.in_(above), Account.id.in_(linked)))
        .order_by(Webhook.id)
    ).all()
    eyes = {webhook.id: _eyes_of(webhook.account) for webhook in found if event.kind in webhook.events}
    return [(number, event.order_id, scope) for number, scope in eyes.items() if scope]


def sees(scope: Scope | None, order_id: int) -> bool:
    """Whether the API would tell them of that order; asked behind their own wall, in a unit of its own."""
    if scope is None or not allows(scope.kind, scope.role, "order.show", held=scope.held):
        return False
    with acting(scope, writes=False) as session:
        return session.get(Order, order_id) is not None


def spread(event_id: str, numbers: list[int]) -> None:
    """Put an event in line for those webhooks. It is over with that, so of two workers one does it."""
    event = db.session.get(WebhookEvent, event_id)
    gone = delete(WebhookEvent).where(WebhookEvent.id == event_id)
    done = db.session.execute(gone, execution_options={"synchronize_session": False})
    if event is None or done.rowcount != 1:
        return
    order = db.session.get(Order, event.order_id)
    for webhook in db.session.scalars(select(Webhook).where(Webhook.id.in_(numbers)).order_by(Webhook.id)):
        webhooks.enlist(webhook, event.kind, event.body, order_id=order.id, order_number=order.public_id)


def _eyes_of(account: Account) -> Scope | None:
    """An administrator of the account, who is whoever may have webhooks; as good as always there is one."""
    found = administrators_of(account.id)
    return scope_for(found[0]) if found and not account.is_archived else None


# --- one try -------------------------------------------------------------------------------------------------------


def due(limit: int = 100) -> list[int]:
    """The webhooks for which something is due; what a dead worker has left behind among it."""
    waiting = select(WebhookDelivery.webhook_id).join(WebhookDelivery.webhook)
    waiting = waiting.where(_is_due(), Webhook.status == WebhookStatus.ON)
    return list(db.session.scalars(waiting.distinct().limit(limit)))


def claim(webhook_id: int) -> Call | None:
    """Take the oldest due delivery of a webhook to send it. One at a time: a receiver is not asked twice at once."""
    webhook = _held(webhook_id)
    if webhook is None or not webhook.is_on or webhook.account.is_archived or _is_busy(webhook_id):
        return None
    found = select(WebhookDelivery).where(WebhookDelivery.webhook_id == webhook_id, _is_due())
    delivery = db.session.scalar(found.order_by(WebhookDelivery.id).limit(1))
    if delivery is None:
        return None
    delivery.status, delivery.next_try_at = DeliveryStatus.SENDING, clock.now() + LEASE
    delivery.attempts, delivery.round = delivery.attempts + 1, delivery.round + 1
    db.session.flush()
    body = delivery.body.encode()
    return Call(
        delivery.id, delivery.attempts, webhook.url, body, _headers(webhook, delivery.message_id, body),
        delivery.order_id, _eyes_of(webhook.account),
    )  # fmt: skip


def _held(webhook_id: int) -> Webhook | None:
    """The webhook as it is now, kept from others until this is done."""
    found = select(Webhook).where(Webhook.id == webhook_id).with_for_update(of=Webhook)
    return db.session.scalar(found.execution_options(populate_existing=True))


def _is_due():
    open_ = WebhookDelivery.status.in_([DeliveryStatus.WAITING, DeliveryStatus.SENDING])
    return and_(open_, WebhookDelivery.next_try_at <= clock.now())


def _is_busy(webhook_id: int) -> bool:
    other = aliased(WebhookDelivery)
    under_way = (other.status == DeliveryStatus.SENDING) & (other.next_try_at > clock.now())
    return db.session.scalar(select(other.id).where(other.webhook_id == webhook_id, under_way).limit(1)) is not None


def _headers(webhook: Webhook, message_id: str, body: bytes) -> dict[str, str]:
    """As the Standard Webhooks have them: the id stays, the moment is that of the try."""
    now = clock.now()
    stamp = str(int(now.timestamp()))
    signed = f"{message_id}.{stamp}.".encode() + body
    signatures = [_signature(webhooks.key_of(nonce), signed) for nonce in webhook.nonces_at(now)]
    return {
        "Content-Type": "application/json",
        "User-Agent": "Kontor",
        "webhook-id": message_id,
        "webhook-timestamp": stamp,
        "webhook-signature": " ".join(signatures),
    }


def _signature(key: bytes, signed: bytes) -> str:
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


# --- how it went ---------------------------------------------------------------------------------------------------


def settle(delivery_id: int, attempt: int, answer: Answer) -> None:
    """Note how a try went, unless the lease ran out and somebody else has it by now."""
    delivery = db.session.get(WebhookDelivery, delivery_id, populate_existing=True)
    webhook = _held(delivery.webhook_id) if delivery else None
    if webhook is None or delivery.status is not DeliveryStatus.SENDING or delivery.attempts != attempt:
        return
    _note(delivery, answer)
    if answer.outcome is Outcome.OK:
        delivery.status, delivery.delivered_at, delivery.next_try_at = DeliveryStatus.DELIVERED, clock.now(), None
        webhook.delivered_at, webhook.failing_since = clock.now(), None
    elif answer.outcome is Outcome.HIDDEN:
        delivery.status, delivery.next_try_at = DeliveryStatus.FAILED, None  # no fault of the receiver's
    else:
        _try_again(delivery)
        _let_rest(webhook, min(answer.pause, LONGEST_PAUSE))
        webhook.failing_since = webhook.failing_since or clock.now()
        if answer.is_gone or clock.now() - webhook.failing_since >= PATIENCE:
            _stop(webhook)
    db.session.flush()


def _note(delivery: WebhookDelivery, answer: Answer) -> None:
    delivery.outcome, delivery.code, delivery.duration = answer.outcome, answer.code, answer.duration
    delivery.answer = answer.text
    told = {"at": clock.now().isoformat(), "outcome": answer.outcome.value, "code": answer.code}
    told |= {"duration": answer.duration, "answer": answer.text}
    delivery.tries = [*delivery.tries, told][-TRIES_KEPT:]


def _try_again(delivery: WebhookDelivery) -> None:
    """Later, and later each time; after the last try it is over until somebody sends it again."""
    if delivery.round > len(RETRY_AFTER):
        delivery.status, delivery.next_try_at = DeliveryStatus.FAILED, None
        return
    pause = RETRY_AFTER[delivery.round - 1] * (1 + SystemRandom().uniform(-JITTER, JITTER))
    delivery.status, delivery.next_try_at = DeliveryStatus.WAITING, clock.now() + pause


def _let_rest(webhook: Webhook, rest: timedelta) -> None:
    """Nothing that waits goes to a receiver before the pause it has asked for is over; what happens meanwhile does."""
    db.session.flush()
    waiting, until = WebhookDelivery.status == DeliveryStatus.WAITING, clock.now() + rest
    sooner = update(WebhookDelivery).where(
        WebhookDelivery.webhook_id == webhook.id, waiting, WebhookDelivery.next_try_at < until
    )
    db.session.execute(sooner.values(next_try_at=until), execution_options={"synchronize_session": False})


def _stop(webhook: Webhook) -> None:
    """Nobody has listened for days, or the receiver says it is gone: leave it alone, and tell its administrators."""
    record("webhook.stopped", webhook, inside=True)
    webhooks.silence(webhook, WebhookStatus.STOPPED)
    account = webhook.account
    for member in administrators_of(account.id):
        outbox.write(
            "webhook_stopped", to=member.user.email, locale=member.user.locale or account.language,
            account_id=account.id, webhook=webhook.name, account=account.name,
            link_path=f"a/{account.slug}/webhooks/show/{webhook.id}",
        )  # fmt: skip


def forget_old(most: int) -> int:
    """Clear away some deliveries that are long over; how many it were (`jobs.py`)."""
    over = WebhookDelivery.status.in_([DeliveryStatus.DELIVERED, DeliveryStatus.FAILED])
    old = select(WebhookDelivery.id).where(over, WebhookDelivery.created_at < clock.now() - KEPT).limit(most)
    return db.session.execute(
        delete(WebhookDelivery).where(WebhookDelivery.id.in_(old)), execution_options={"synchronize_session": False}
    ).rowcount

"""The demo's webhooks: Nordlicht's warehouse program, which missed a day, and one that is switched off."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta

from sqlalchemy import select

from . import announcing, clock
from .extensions import db
from .handover import worker_unit
from .models import EventKind, Member, Outcome, Webhook, WebhookDelivery, WebhookEvent
from .outgoing import Answer
from .services import deliveries, webhooks

As = Callable[[str], AbstractContextManager[Member]]
ALICE = "alice@nordlicht.example"
TAKEN, BROKEN = Answer(Outcome.OK, 202, '{"queued": true}', 84), Answer(Outcome.REFUSED, 503, "Wartung bis 14 Uhr", 31)
UNKNOWN = Answer(Outcome.REFUSED, 422, '{"error": "unknown event type webhook.test"}', 12)


def add(as_: As) -> None:
    """Both, from before the first order."""
    everything = [kind.value for kind in webhooks.EVENTS]
    with clock.back_then(clock.now() - timedelta(days=120)), as_(ALICE) as alice:
        url = "https://lager.nordlicht.example/kontor"
        webhooks.add("Lagerverwaltung", url=url, events=everything, by=alice)
        done = [EventKind.COMPLETED.value, EventKind.FAILED.value]
        chat = webhooks.add("Chat des Vertriebs", url="https://chat.nordlicht.example/hooks/7", events=done, by=alice)
        webhooks.switch_off(chat)


def tell(as_: As) -> None:
    """What has happened since, told at its time; what failed once came through minutes later, but for a test."""
    with worker_unit(writes=False):
        events = [(event.id, event.at) for event in db.session.scalars(select(WebhookEvent).order_by(WebhookEvent.at))]
        (number,) = db.session.scalars(select(Webhook.id).where(Webhook.name == "Lagerverwaltung"))
    _test_in_vain(as_, number)
    for turn, (event_id, at) in enumerate(events):
        with clock.back_then(at):
            announcing.announce(event_id)
            _deliver(number, BROKEN if turn == 4 else TAKEN)
        with clock.back_then(at + timedelta(minutes=2)):
            _deliver(number, TAKEN)


def _test_in_vain(as_: As, number: int) -> None:
    """A test event the receiver does not know, tried until the end."""
    at = clock.now() - timedelta(hours=80)
    with clock.back_then(at), as_(ALICE):
        webhooks.send_test(db.session.get(Webhook, number))
    for pause in [timedelta(0), *deliveries.RETRY_AFTER]:
        at += pause * 1.02
        with clock.back_then(at):
            with worker_unit():
                _make_due(number)
            _deliver(number, UNKNOWN)


def _make_due(number: int) -> None:
    """Let the next try be now, whatever the dice have added to its pause."""
    for delivery in db.session.scalars(select(WebhookDelivery).where(WebhookDelivery.webhook_id == number)):
        if delivery.next_try_at is not None:
            delivery.next_try_at = clock.now()


def _deliver(number: int, answer: Answer) -> None:
    """As the worker does it, but that nobody is asked."""
    with worker_unit():
        call = deliveries.claim(number)
    if call is not None:
        with worker_unit():
            deliveries.settle(call.delivery_id, call.attempt, answer)

"""The verbs of webhooks: added, changed, switched, told of an order, tested, sent again (issue 5).

A webhook hears of what happens to the orders its account sees. What has happened is written with the deed (`tell`) as
the API tells the order at that moment; the worker finds out whom to tell, and tells them (`deliveries.py`).
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Collection
from datetime import timedelta
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import delete, func, select, update

from .. import clock, outgoing, tokens
from ..audit import record
from ..errors import Refused
from ..extensions import db
from ..handover import as_told, hand_over
from ..models import (
    Account,
    DeliveryStatus,
    EventKind,
    Member,
    Order,
    OrderLine,
    Outcome,
    Webhook,
    WebhookDelivery,
    WebhookEvent,
    WebhookStatus,
)

EVENTS = [kind for kind in EventKind if kind is not EventKind.TEST]
MARK = "whsec_"  # how the Standard Webhooks mark a secret
OVERLAP = timedelta(hours=24)  # a former secret still signs for so long
MOST = 20  # webhooks of one account


# --- kept ----------------------------------------------------------------------------------------------------------


def add(name: str, *, url: str, events: Collection[str], by: Member) -> Webhook:
    """A new webhook, switched on. Its secret is `secret_of(webhook)`, told whoever made it and nobody afterwards."""
    _hold(by)
    _refuse_too_many(by)
    webhook = Webhook(
        account=by.account, nonce=secrets.token_hex(16), status=WebhookStatus.ON, created_by=by.user.name[:140],
        created_at=clock.now(), **_facts(name, url, events, by=by),
    )  # fmt: skip
    db.session.add(webhook)
    record("webhook.added", webhook, inside=True, host=outgoing.host_of(webhook.url))
    db.session.flush()
    return webhook


def change(webhook: Webhook, *, name: str, url: str, events: Collection[str], by: Member) -> None:
    """Give it another name, address or other events. What waits goes to the new address."""
    _hold(by)
    facts = _facts(name, url, events, by=by, webhook=webhook)
    hosts = outgoing.host_of(webhook.url), outgoing.host_of(facts["url"])
    moved = {"host": hosts} if hosts[0] != hosts[1] else {}
    record("webhook.changed", webhook, inside=True, **moved)
    for fact, value in facts.items():
        setattr(webhook, fact, value)
    db.session.flush()


def remove(webhook: Webhook) -> None:
    """Take it away, with the log of what it was told."""
    theirs = delete(WebhookDelivery).where(WebhookDelivery.webhook_id == webhook.id)
    db.session.execute(theirs, execution_options={"synchronize_session": False})
    record("webhook.removed", webhook, inside=True)
    db.session.delete(webhook)
    db.session.flush()


def _facts(
    name: str, url: str, events: Collection[str], *, by: Member, webhook: Webhook | None = None
) -> dict[str, Any]:
    """What was typed, as it is kept. Raises `Refused`, at the field."""
    name, known = " ".join(name.split()), {kind.value for kind in EVENTS}
    if not name:
        raise Refused(_("Please fill this in."), field="name")
    if len(name) > 80:
        raise Refused(_("At most %(count)s characters.", count=80), field="name")
    twins = select(Webhook).where(Webhook.account_id == by.account_id, func.lower(Webhook.name) == name.lower())
    if any(twin is not webhook for twin in db.session.scalars(twins)):
        raise Refused(_("There is a webhook named “%(name)s” already.", name=name), field="name")
    if not events or not set(events) <= known:
        raise Refused(_("Choose what it is told of."), field="events")
    return {"name": name, "url": outgoing.accepted(url), "events": [k.value for k in EVENTS if k.value in events]}


def _hold(by: Member) -> None:
    """One webhook of an account at a time is written, so that two cannot have one name."""
    db.session.execute(select(Account.id).where(Account.id == by.account_id).with_for_update())


def _refuse_too_many(by: Member) -> None:
    if db.session.scalar(select(func.count()).select_from(Webhook).where(Webhook.account_id == by.account_id)) >= MOST:
        raise Refused(_("An account has at most %(count)s webhooks; remove one first.", count=MOST))


# --- the secret ----------------------------------------------------------------------------------------------------


def secret_of(webhook: Webhook) -> str:
    """What the receiver checks signatures with: `whsec_` and 32 bytes, made anew from the server's key."""
    return MARK + base64.b64encode(key_of(webhook.nonce)).decode()


def key_of(nonce: str) -> bytes:
    return base64.urlsafe_b64decode(tokens.derived(f"webhook:{nonce}") + "=")


def renew_secret(webhook: Webhook) -> str:
    """A new secret; the one before it signs besides for `OVERLAP`, until the receiver knows the new one."""
    record("webhook.secret_renewed", webhook, inside=True)
    webhook.former_nonce, webhook.former_until = webhook.nonce, clock.now() + OVERLAP
    webhook.nonce = secrets.token_hex(16)
    db.session.flush()
    return secret_of(webhook)


# --- on and off ----------------------------------------------------------------------------------------------------


def switch_on(webhook: Webhook) -> None:
    """Tell it again of what happens from now on; what it has missed can be sent again."""
    if webhook.is_on:
        raise Refused(_("“%(name)s” is on already.", name=webhook.name))
    record("webhook.switched_on", webhook, inside=True)
    webhook.status, webhook.failing_since = WebhookStatus.ON, None
    db.session.flush()


def switch_off(webhook: Webhook) -> None:
    """Tell it nothing any more; what waits is not sent."""
    if not webhook.is_on:
        raise Refused(_("“%(name)s” is off already.", name=webhook.name))
    record("webhook.switched_off", webhook, inside=True)
    silence(webhook, WebhookStatus.OFF)


def silence(webhook: Webhook, status: WebhookStatus) -> None:
    """No more deliveries; those that wait are over."""
    webhook.status = status
    db.session.flush()
    db.session.execute(
        update(WebhookDelivery)
        .where(WebhookDelivery.webhook_id == webhook.id, WebhookDelivery.status == DeliveryStatus.WAITING)
        .values(status=DeliveryStatus.FAILED, outcome=Outcome.OFF, next_try_at=None),
        execution_options={"synchronize_session": False},
    )


# --- what has happened ---------------------------------------------------------------------------------------------


def tell(kind: EventKind, order: Order, line: OrderLine | None = None) -> None:
    """Write down that something has happened to an order, for whoever wants to be told, in the deed's transaction."""
    db.session.flush()
    about = {"order": as_told(order)} | ({"line": line.position} if line else {})
    event = WebhookEvent(
        id=secrets.token_hex(16), account_id=order.account_id, order_id=order.id, kind=kind, at=clock.now(),
        body=_body(kind, about),
    )  # fmt: skip
    db.session.add(event)
    db.session.flush()
    hand_over("announce", event.id)


def send_test(webhook: Webhook) -> WebhookDelivery:
    """An event that says nothing, to see whether it arrives."""
    _refuse_off(webhook)
    waiting = select(WebhookDelivery.id).where(
        WebhookDelivery.webhook_id == webhook.id, WebhookDelivery.event == EventKind.TEST,
        WebhookDelivery.status.in_([DeliveryStatus.WAITING, DeliveryStatus.SENDING]),
    )  # fmt: skip
    if db.session.scalar(waiting.limit(1)):
        raise Refused(_("A test event is on its way already; look at the deliveries."))
    record("webhook.tested", webhook, inside=True)
    return enlist(webhook, EventKind.TEST, _body(EventKind.TEST, {"webhook": webhook.name}))


def replay(delivery: WebhookDelivery) -> None:
    """Send it once more, the same under the same id, as if for the first time."""
    _refuse_off(delivery.webhook)
    if not delivery.may_become(DeliveryStatus.WAITING):
        raise Refused(_("“%(delivery)s” is waiting to be sent already.", delivery=delivery))
    told = f"{delivery.event.value} {delivery.order_number}".strip()
    record("webhook.replayed", delivery.webhook, inside=True, delivery=told)
    delivery.status, delivery.round, delivery.next_try_at = DeliveryStatus.WAITING, 0, clock.now()
    db.session.flush()
    hand_over("deliver_to", delivery.webhook_id)


def enlist(webhook: Webhook, kind: EventKind, body: str, **about: Any) -> WebhookDelivery:
    """Put an event in line for one webhook; `about` are the order's id and number."""
    delivery = WebhookDelivery(
        account=webhook.account, webhook_id=webhook.id, message_id=f"msg_{secrets.token_hex(16)}", event=kind,
        body=body, created_at=clock.now(), next_try_at=clock.now(), **about,
    )  # fmt: skip
    db.session.add(delivery)
    db.session.flush()
    hand_over("deliver_to", webhook.id)
    return delivery


def _body(kind: EventKind, about: dict[str, Any]) -> str:
    """What is sent and signed: text from here on, since to write JSON twice is to change it."""
    said = {"type": kind.value, "timestamp": clock.now().isoformat(), "data": about}
    return json.dumps(said, ensure_ascii=False, separators=(",", ":"))


def _refuse_off(webhook: Webhook) -> None:
    if not webhook.is_on:
        raise Refused(_("“%(name)s” is off; switch it on first.", name=webhook.name))

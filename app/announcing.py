"""The worker's part in webhooks: events are spread to those they concern, and each is told, one try at a time.

No unit of work is open while a receiver is being asked, and none that writes while it is found out who may see what.
"""

from __future__ import annotations

from flask import current_app

from .handover import worker_unit
from .models import Outcome
from .outgoing import Answer, post
from .services import deliveries

AT_ONCE = 50  # deliveries to one webhook before others have their turn


def announce_due() -> None:
    """Every event nobody has looked at; and the word to whoever tells the webhooks that something is due."""
    with worker_unit(writes=False):
        waiting = deliveries.untold()
    for event_id in waiting:
        announce(event_id)
    with worker_unit(writes=False):
        found = deliveries.due()
    for webhook_id in found:
        current_app.extensions["deliver_to"](webhook_id)  # a task each: no slow receiver holds up the clockwork


def announce(event_id: str) -> None:
    """Put an event in line for every webhook whose account may see the order."""
    with worker_unit(writes=False):
        asking = deliveries.interested(event_id)
    numbers = [webhook_id for webhook_id, order_id, eyes in asking if deliveries.sees(eyes, order_id)]
    with worker_unit():
        deliveries.spread(event_id, numbers)


def deliver_to(webhook_id: int) -> None:
    """What is due for a webhook, one after the other, until nothing is left or one goes wrong."""
    for _number in range(AT_ONCE):
        if not _deliver_one(webhook_id):
            break


def _deliver_one(webhook_id: int) -> bool:
    """Claim, look, send, settle; whether it went well, and there may be more."""
    with worker_unit():
        call = deliveries.claim(webhook_id)
    if call is None:
        return False
    if call.order_id is not None and not deliveries.sees(call.eyes, call.order_id):
        answer = Answer(Outcome.HIDDEN)
    else:
        answer = post(call.url, call.body, call.headers)
    with worker_unit():
        deliveries.settle(call.delivery_id, call.attempt, answer)
    return answer.outcome in {Outcome.OK, Outcome.HIDDEN}

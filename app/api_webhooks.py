"""The resources of the REST API about webhooks: whom to tell of orders, and what became of it."""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext as _l

from .models import Webhook, WebhookDelivery
from .pages.webhooks import DeliveriesView, WebhooksView
from .services import webhooks
from .ui.acting import me
from .ui.interface import Table
from .ui.rest.api import BackOfficeApi, verb
from .ui.rest.shapes import Shape, of_object

WORDS: Shape = {"type": "string"}
INPUTS: dict[str, Shape] = {
    "name": {"type": "string", "minLength": 1, "maxLength": 80},
    "url": {"type": "string", "minLength": 1, "maxLength": 500},
    "events": {"type": "array", "minItems": 1, "items": {"type": "string", "enum": [*map(str, webhooks.EVENTS)]}},
}


class WebhookApi(BackOfficeApi):
    """The webhooks of the acting account. Adding one tells no secret: `renew_secret` does, and keeps no answer."""

    resource_name = "webhook"
    datamodel = Table(Webhook)
    noun = "webhook"
    looking = "show"
    description = _l("Addresses that are told of orders. The secret is told by renew_secret alone, each a new one.")
    label_columns = WebhooksView.label_columns
    list_columns = [
        "id", "name", "url", "events", "status", "delivered_at", "failing_since", "former_until", "created_by",
        "created_at",
    ]  # fmt: skip
    order = ("name",)
    include_route_methods = {"info", "get_list", "get", "post", "put", "delete"}

    def shape_to_add(self) -> Shape:
        return of_object(INPUTS)

    def shape_to_edit(self) -> Shape:
        return of_object(INPUTS, [])

    def create(self, sent: dict[str, Any]) -> Webhook:
        return webhooks.add(sent["name"], url=sent["url"], events=sent["events"], by=me())

    def change(self, row: Webhook, sent: dict[str, Any]) -> None:
        webhooks.change(row, **{name: getattr(row, name) for name in INPUTS} | sent, by=me())

    def remove(self, row: Webhook) -> None:
        webhooks.remove(row)

    @verb("renew_secret", _l("Make a new secret and tell it; the one before signs besides for 24 hours"),
          permission="edit", sends=of_object({}), tells=of_object({"secret": WORDS}), once=False)  # fmt: skip
    def renew_secret(self, webhook: Webhook, _sent: dict[str, Any]) -> dict[str, Any]:
        return {"secret": webhooks.renew_secret(webhook)}

    @verb("switch_on", _l("Tell it again of what happens from now on"), permission="edit")
    def switch_on(self, webhook: Webhook) -> None:
        webhooks.switch_on(webhook)

    @verb("switch_off", _l("Tell it nothing any more"), permission="edit")
    def switch_off(self, webhook: Webhook) -> None:
        webhooks.switch_off(webhook)

    @verb("test", _l("Send a test event"), permission="send")
    def test(self, webhook: Webhook) -> None:
        webhooks.send_test(webhook)


class DeliveryApi(BackOfficeApi):
    """What webhooks were told, and what came back."""

    resource_name = "webhook_delivery"
    datamodel = Table(WebhookDelivery)
    noun = "webhook"
    looking = "show"
    description = _l("What your webhooks were told in the last 30 days, and what came back, try by try.")
    label_columns = DeliveriesView.label_columns | {
        "webhook.id": _l("Webhook, by its number"), "order_id": _l("Order, by its number"),
        "tries": _l("Tries, one by one"),
    }  # fmt: skip
    list_columns = [
        "id", "webhook.id", "webhook.name", "message_id", "event", "order_id", "order_number", "status", "outcome",
        "code", "duration", "attempts", "tries", "created_at", "next_try_at", "delivered_at",
    ]  # fmt: skip
    order = ("-created_at",)

    @verb("replay", _l("Send it again, under the same ID"), permission="send")
    def replay(self, delivery: WebhookDelivery) -> None:
        webhooks.replay(delivery)

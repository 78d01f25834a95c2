"""The resources of the REST API about orders: what is ordered, and what a connector does about it."""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from .errors import Refused
from .extensions import db
from .models import LARGEST_QUANTITY, Article, Fulfilment, Order, OrderKind, OrderLine, OrderStatus
from .pages.orders import FulfilmentsView, OrdersView
from .services import credentials, fulfilment, offers, orders
from .ui.acting import me
from .ui.columns import Field, changed
from .ui.interface import Table
from .ui.rest.api import BackOfficeApi, idempotency_key, query, verb
from .ui.rest.bodies import plain
from .ui.rest.shapes import LARGEST, Shape, of_object

WHOSE = ["account.id", "account.name"]
WORDS: Shape = {"type": "string"}
WHOLE: Shape = {"type": "integer", "minimum": 1, "maximum": LARGEST_QUANTITY}
REASON = of_object({"reason": {"type": "string", "minLength": 1, "maxLength": orders.LONGEST_REASON}})
LINES = {
    "type": "array",
    "minItems": 1,
    "maxItems": offers.MOST_LINES,
    "items": of_object({"article": WORDS, "quantity": WHOLE}, ["article", "quantity"]),
}
INSTANCE = of_object({"address": {"type": "string", "maxLength": 300}}, [])
HASH = of_object({"user_name": WORDS, "password_hash": {"type": ["string", "null"]}})


class OrderApi(BackOfficeApi):
    """What has been ordered, and licenses to be ordered by programs (L-9, L-10)."""

    resource_name = "order"
    datamodel = Table(Order)
    noun = "order"
    looking = "show"
    description = _l("What has been ordered. Licenses can be ordered here: begun, then placed at the price you saw.")
    label_columns = OrdersView.label_columns | {
        "plan.key": _l("Plan"), "subscription.public_id": _l("Subscription"), "lines": _l("Lines"),
        "quote": _l("What it costs now"),
    }  # fmt: skip
    list_columns = [
        "id", "public_id", *WHOSE, "kind", "customer", "status", "gross", "currency", "plan.key",
        "subscription.public_id", "domain", "administrator", "reference", "remark", "author", "ordered_by", "reason",
        "created_at", "placed_at", "ended_at", "delete_on",
    ]  # fmt: skip
    order = ("-created_at",)
    include_route_methods = {"info", "get_list", "get", "post"}

    def fields(self) -> dict[str, Field]:
        fields = changed(super().fields(), gross={"kind": "money"})
        lines = Field("lines", self.label_columns["lines"], "json", _lines_of)
        return fields | {"lines": lines, "quote": Field("quote", self.label_columns["quote"], "json", _quote_of)}

    def usual(self, fields: dict[str, Field]) -> list[str]:
        """Without what takes a question for each row; asked for by name, it is told."""
        return [name for name in fields if name not in {"lines", "quote"}]

    def as_told(self, order: Order) -> dict[str, Any]:
        """An order with its lines, as it is told to webhooks."""
        fields = self.fields()
        return self.shown(order, [*self.usual(fields), "lines"], fields)

    def shape_to_add(self) -> Shape:
        number = {"type": "integer", "minimum": 1, "maximum": LARGEST}
        words = {name: {"type": "string", "maxLength": most} for name, most in (("reference", 120), ("remark", 500))}
        about = {"subscription_id": number, "resource_group_id": number, "lines": LINES, **words}
        return of_object(about, ["subscription_id", "lines"])

    def create(self, sent: dict[str, Any]) -> Order:
        """A draft over licenses; `place` orders it."""
        order = orders.begin(OrderKind.LICENSES, form_key=idempotency_key(), by=me())
        numbers = {article.number: article.id for article in db.session.scalars(select(Article))}
        lines = [(numbers.get(line["article"]), line["quantity"]) for line in sent.pop("lines")]
        facts = sent | {"group_id": sent.pop("resource_group_id", None), "lines": lines}
        orders.answer(order, "products", facts, by=me())
        return order

    @verb("place", _l("Order what the draft says, at the total you have seen"), permission="add",
          sends=of_object({"total": {"type": "string", "maxLength": 40}}))  # fmt: skip
    def place(self, order: Order, sent: dict[str, Any]) -> None:
        orders.place(order, seen=sent["total"], by=me())

    @verb("cancel", _l("Take the order back, as long as nothing of it is fulfilled"), sends=REASON)
    def cancel(self, order: Order, sent: dict[str, Any]) -> None:
        orders.cancel(order, reason=sent["reason"], by=me())


class FulfilmentApi(BackOfficeApi):
    """For the connector that fulfils orders: find, claim, do, say how it ended (I-10)."""

    resource_name = "fulfilment"
    datamodel = Table(Fulfilment)
    noun = "fulfilment"
    description = _l("The tasks orders have brought. Claim one before you work on it; say how it ended.")
    label_columns = FulfilmentsView.label_columns | {
        "order.id": _l("Order, by its number"), "order.kind": _l("Kind"), "order.domain": _l("Domain"),
        "order.administrator": _l("User name of the administrator"), "order.location": _l("Data location"),
    }  # fmt: skip
    list_columns = [
        "id", *WHOSE, "status", "order.id", "order.public_id", "order.kind", "order.domain", "order.administrator",
        "order.location", "line.quantity", "taken_by", "taken_at", "attempts", "reason", "address", "created_at",
        "ended_at",
    ]  # fmt: skip
    order = ("id",)

    @verb("claim", _l("Take the task; of two at once one gets it"), permission="fulfil")
    def claim(self, task: Fulfilment) -> None:
        fulfilment.take(task, by=me())

    @verb("put_back", _l("Leave the task to others"), permission="fulfil")
    def put_back(self, task: Fulfilment) -> None:
        fulfilment.put_back(task, by=me())

    @verb("fulfil", _l("It is done, and takes effect"), sends=INSTANCE)
    def fulfil(self, task: Fulfilment, sent: dict[str, Any]) -> None:
        fulfilment.fulfil(task, address=sent.get("address", ""), by=me())

    @verb("fail", _l("It cannot be done, and why"), permission="fulfil", sends=REASON)
    def fail(self, task: Fulfilment, sent: dict[str, Any]) -> None:
        fulfilment.fail(task, reason=sent["reason"], by=me())

    @verb("retry", _l("Put a failed task back in line"), permission="fulfil")
    def retry(self, task: Fulfilment) -> None:
        fulfilment.retry(task, by=me())

    @query("credentials", _l("The password hash that was chosen for the instance's administrator"),
           permission="fulfil", sends=of_object({}, []), tells=HASH)  # fmt: skip
    def credentials(self, task: Fulfilment, _asked: dict[str, Any]) -> dict[str, Any]:
        return {"user_name": task.order.administrator, "password_hash": credentials.newest_hash(task.order) or None}


def _lines_of(order: Order) -> list[dict[str, Any]]:
    found = select(OrderLine).where(OrderLine.order_id == order.id).order_by(OrderLine.position)
    return [
        {
            "position": line.position,
            "article": line.article.number if line.article else None,
            "plan": line.plan.key if line.plan else None,
            "quantity": line.quantity,
            "unit_price": plain(line.unit_price),
            "net": plain(line.net),
            "status": line.fulfilment.status.value if line.fulfilment else None,
        }
        for line in db.session.scalars(found)
    ]


def _quote_of(order: Order) -> dict[str, Any] | None:
    """What a draft comes to at this moment; `total` is what placing it asks to have been seen."""
    if order.status is not OrderStatus.DRAFT:
        return None
    try:
        amount = offers.of(order, by=me()).amount
    except Refused:
        return None
    parts = {"net": amount.net, "tax": amount.tax, "total": amount.gross}
    return {name: plain(value) for name, value in parts.items()} | {"currency": amount.currency}

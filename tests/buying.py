"""Orders as tests meet them: drafts answered, placed and fulfilled through the services."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import select

from app import clock
from app.extensions import db
from app.models import Article, Fulfilment, Order, OrderKind, Plan, ProductType, ResourceGroup, Subscription
from app.services import fulfilment, offers, orders, plans, resource_groups, subscriptions
from app.tenancy import unscoped
from tests import stock
from tests.cast import ALICE, DORA, Person, account_called, acting_as

NEUFUNK = {
    "name": "Neufunk", "contact": "Nina Neu", "email": "nina@neufunk.example", "country": "DE", "language": "de",
    "street": "Kai 1", "postal_code": "20457", "city": "Hamburg",
}  # fmt: skip


def plan_of(type_: str = "cloud", key: str = "", **facts: Any) -> int:
    """A plan of a product of that type, with a price since more than a year; its number."""
    key = key or f"{type_}-plan"
    with clock.back_then(clock.now() - timedelta(days=400)):
        product = stock.product(f"{type_}-product", type=type_, locations=["eu", "us"])
        return stock.plan(key, product=product, **{"trial_months": 1, "postpaid": True, "limit_users": 50} | facts)


def terms(plan: int, **facts: Any) -> dict[str, Any]:
    usual = {"payment_mode": "prepaid", "location": "eu", "postponed": False, "currency": "EUR", "users": 5}
    return {"plan_id": plan, **usual, **facts}


def instance(domain: str = "neufunk.example", **facts: Any) -> dict[str, Any]:
    return {"domain": domain, "administrator": "Admin", "to_customer": True, "to_author": True, **facts}


def begun(kind: OrderKind = OrderKind.SUBSCRIBE, *, by: Person = ALICE, key: str = "", type_: str = "cloud") -> int:
    product_type = ProductType(type_) if kind is OrderKind.SUBSCRIBE else None
    with acting_as(by) as member:
        order = orders.begin(kind, form_key=key, by=member, product_type=product_type)
        db.session.flush()
        return order.id


def answer(order: int, step: str, *, by: Person = ALICE, **facts: Any) -> None:
    with acting_as(by) as member:
        orders.answer(db.session.get(Order, order), step, facts, by=member)


def draft(plan: int, *, by: Person = ALICE, new: dict[str, Any] | None = None, slug: str = "", **facts: Any) -> int:
    """A cloud order that lacks nothing but being placed: for somebody new, or for the account of that slug."""
    order = begun(by=by)
    answer(order, "plan", by=by, **terms(plan))
    with acting_as(by):
        customer = {"account_id": account_called(slug).id} if slug else new or NEUFUNK
    answer(order, "customer", by=by, **customer)
    answer(order, "instance", by=by, **instance(**facts))
    return order


def place(order: int, *, by: Person = ALICE, seen: str = "") -> int:
    """Place a draft, having seen what it costs now."""
    with acting_as(by) as member:
        row = db.session.get(Order, order)
        total = seen or str(offers.of(row, by=member).amount.gross)
        orders.place(row, seen=total, by=member)
    return order


def placed(plan: int, **facts: Any) -> int:
    return place(draft(plan, **facts), by=facts.get("by", ALICE))


def tasks(order: int) -> list[int]:
    with unscoped("the tasks of a test's order", writes=False):
        return [task.id for task in orders.tasks_of(db.session.get(Order, order))]


def work(verb: str, task: int, *, by: Person = DORA, **facts: Any) -> None:
    with acting_as(by) as member:
        getattr(fulfilment, verb)(db.session.get(Fulfilment, task), by=member, **facts)


def fulfilled(order: int) -> int:
    """The order with all its lines taken and fulfilled."""
    for task in tasks(order):
        work("take", task)
        work("fulfil", task)
    return order


def subscription(plan: int, slug: str = "kuestenfunk", *, group: str = "", **facts: Any) -> int:
    """A subscription that runs from today on; its number. With a resource group of that name."""
    with acting_as(DORA) as by:
        row = db.session.get(Plan, plan)
        said = subscriptions.Terms(**{
            "plan": row, "currency": "EUR", "payment_mode": row.payment_modes[0], "location": None,
            "quantities": {meter: row.included(meter) for meter in offers.Meter},
            **({"location": row.product.data_locations[0]} if row.product.locations else {}), **facts,
        })  # fmt: skip
        found = subscriptions.add(account_called(slug), said, title=f"Subscription {plan}", by=by)
        if group:
            resource_groups.add(found, group)
        return found.id


def priced(number: str, price: str = "10", *, grants: dict[int, int] | None = None, currency: str = "EUR") -> int:
    """An article with a price; its number."""
    pk = stock.article(number, grants=grants)
    with acting_as(DORA) as by:
        on = stock.today()
        plans.set_price(db.session.get(Article, pk), currency, on=on, amounts={"unit": Decimal(price)}, by=by)
    return pk


def read(model: type, pk: int) -> Any:
    """The row as it stands, past the wall."""
    with unscoped("looking at what a test has done", writes=False) as session:
        return session.get(model, pk)


def group_of(subscription_id: int) -> int:
    with unscoped("the resource group of a subscription", writes=False) as session:
        found = select(ResourceGroup.id).where(ResourceGroup.subscription_id == subscription_id)
        return session.scalars(found).one()


def subscription_of(order: int) -> Subscription:
    return read(Subscription, read(Order, order).subscription_id)

"""The demo's orders, one in every state an order can be in: written by Alice, fulfilled by Dora."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import or_, select

from . import clock
from .extensions import db
from .models import Account, Article, Fulfilment, Member, Order, OrderKind, Plan, ProductType, Subscription
from .services import fulfilment, offers, orders, plans

As = Callable[[str], AbstractContextManager[Member]]
ALICE, DORA = "alice@nordlicht.example", "dora@kontor.example"
PRICES = {  # in euros, of one piece
    "MON-START": "290", "MON-PRO": "1490", "LOG-50": "240", "USR-5": "95", "VOL-100": "60", "ALARM": "49",
    "SERVICE-DAY": "980",
}  # fmt: skip
RATES = {"EUR": Decimal(1), "CHF": Decimal("1.1"), "GBP": Decimal("0.9"), "NOK": Decimal(11)}


def price(dora: Member) -> None:
    """What each article costs, in four currencies, from that day on."""
    for article in db.session.scalars(select(Article).order_by(Article.id)):
        for currency, rate in RATES.items():
            amount = (Decimal(PRICES[article.number]) * rate).quantize(Decimal("0.1"))
            day = clock.today(dora.account.time_zone)
            plans.set_price(article, currency, on=day, amounts={"unit": amount}, by=dora)


def build(as_: As) -> None:
    """Completed, for a client by consent too, placed, in fulfilment, failed, cancelled, and a draft to go on with."""
    done = _new(as_, 34, "deichbau", "cloud-team", "deichbau.field.example")
    _work(as_, 33, done, "take", "fulfil")
    client = _new(as_, 20, "Gletscherbahnen Sölden", "cloud-team", "bergbahn.field.example")  # by its consent
    _work(as_, 19, client, "take", "fulfil")
    _new(as_, 1, "Windpark Nordstrand", "professional", "nordstrand.field.example", payment_mode="postpaid")
    failed = _new(as_, 3, "Sensorik Lübeck", "cloud-group", "sensorik.field.example")
    _work(as_, 2, failed, "take")
    _work(as_, 2, failed, "fail", reason="Das Rechenzentrum meldet: kein freier Adressraum")
    cancelled = _new(as_, 9, "Yachtbau Glückstadt", "basic", "yachtbau.field.example", postponed=True)
    with _at(as_, 8, ALICE) as alice:
        orders.cancel(db.session.get(Order, cancelled), reason="Doppelt bestellt", by=alice)
    partly = _licenses(as_, 2, "kuestenfunk", "Hafenüberwachung", {"USR-5": 2, "LOG-50": 1})
    _work(as_, 1, partly, "take")
    _work(as_, 1, partly, "fulfil", only=1)
    _renewal(as_, 1, "kuestenfunk", "Leitrechner Schleuse")
    with _at(as_, 0, ALICE) as alice:
        draft = orders.begin(OrderKind.SUBSCRIBE, form_key="demo-draft", by=alice, product_type=ProductType.CLOUD)
        _answer(draft, alice, plan=_terms(_plan("cloud-team")))


@contextmanager
def _at(as_: As, days: int, email: str) -> Iterator[Member]:
    """As that person, so many days ago."""
    with clock.back_then(clock.now() - timedelta(days=days, minutes=7)), as_(email) as member:
        yield member


def _new(as_: As, days: int, whose: str, plan: str, domain: str, **terms: Any) -> int:
    with _at(as_, days, ALICE) as alice:
        account, offered = _account(whose), _plan(plan)
        order = orders.begin(
            OrderKind.SUBSCRIBE, form_key=domain, by=alice, product_type=offered.product.type
        )
        access = {"domain": domain, "administrator": "Admin", "to_customer": bool(account.email), "to_author": True}
        _answer(order, alice, plan=_terms(offered) | terms, customer={"account_id": account.id}, instance=access)
        return _place(order, alice)


def _licenses(as_: As, days: int, whose: str, title: str, lines: dict[str, int]) -> int:
    with _at(as_, days, ALICE) as alice:
        subscription = _subscription(whose, title)
        order = orders.begin(OrderKind.LICENSES, form_key=title, by=alice)
        numbers = {article.number: article.id for article in db.session.scalars(select(Article))}
        wanted = [(numbers[number], quantity) for number, quantity in lines.items()]
        about = {"subscription_id": subscription.id, "group_id": subscription.groups[0].id, "reference": "PO 4719"}
        _answer(order, alice, products=about | {"lines": wanted})
        return _place(order, alice)


def _renewal(as_: As, days: int, whose: str, title: str) -> int:
    with _at(as_, days, ALICE) as alice:
        order = orders.begin(OrderKind.RENEW, form_key=title, by=alice, product_type=ProductType.ON_PREMISE)
        _answer(order, alice, subscription={"subscription_id": _subscription(whose, title).id})
        return _place(order, alice)


def _answer(order: Order, alice: Member, **steps: dict[str, Any]) -> None:
    for step, facts in steps.items():
        orders.answer(order, step, facts, by=alice)


def _place(order: Order, alice: Member) -> int:
    orders.place(order, seen=str(offers.of(order, by=alice).amount.gross), by=alice)
    return order.id


def _work(as_: As, days: int, order: int, *verbs: str, only: int = 0, **facts: Any) -> None:
    """Do so with its tasks, with the first so many alone where that is said."""
    with _at(as_, days, DORA) as dora:
        tasks = list(db.session.scalars(select(Fulfilment).where(Fulfilment.order_id == order)))
        for task in tasks[:only] if only else tasks:
            for verb in verbs:
                getattr(fulfilment, verb)(task, by=dora, **facts)


def _terms(plan: Plan) -> dict[str, Any]:
    place = plan.product.locations[0] if plan.product.locations else None
    return {"plan_id": plan.id, "payment_mode": "prepaid", "location": place, "currency": "EUR"}


def _plan(key: str) -> Plan:
    return db.session.scalars(select(Plan).where(Plan.key == key)).one()


def _account(whose: str) -> Account:
    return db.session.scalars(select(Account).where(or_(Account.slug == whose, Account.name == whose))).one()


def _subscription(whose: str, title: str) -> Subscription:
    mine = select(Subscription).where(Subscription.account_id == _account(whose).id, Subscription.title == title)
    return db.session.scalars(mine).one()

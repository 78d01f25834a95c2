"""The demo's products, plans and prices, and what its accounts have agreed on: every state a subscription can be in."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import or_, select

from . import clock
from .extensions import db
from .models import (
    Account,
    Cycle,
    DataLocation,
    Member,
    Meter,
    PaymentMode,
    Plan,
    Subscription,
    UpfrontRequest,
    UsageSource,
)
from .periods import add_months
from .services import plans, resource_groups, subscription_clock, subscriptions, upfront, usage
from .services.subscriptions import Terms
from .tenancy import unscoped

As = Callable[[str], AbstractContextManager[Member]]
EUROPE = [DataLocation.EU]
BOTH = [DataLocation.EU, DataLocation.US]
TITLES = {"en": "Main contract", "de": "Hauptvertrag"}
RATES = {"EUR": Decimal(1), "CHF": Decimal("1.1"), "GBP": Decimal("0.9"), "NOK": Decimal(11)}  # list prices, not rates

PRODUCTS = [
    ("monitoring", "saas", EUROPE, "Monitoring", "Monitoring",
     "Sites, loggers and alarms, run by us.", "Standorte, Logger und Alarme, von uns betrieben."),
    ("cloud", "cloud", BOTH, "Field Cloud", "Field Cloud",
     "An instance of your own, in the region of your choice.", "Eine eigene Instanz, in der Region Ihrer Wahl."),
    ("edge", "on-premise", [], "Edge Server", "Edge-Server",
     "For machines that stay where they are.", "Für Anlagen, die bleiben, wo sie sind."),
]  # fmt: skip
MONTHLY = {"period": Cycle.MONTHLY, "trial_months": 1}
YEARLY = {"period": Cycle.YEARLY}
PLANS: list[tuple[str, str, str, str, str, str, dict[str, Any], dict[str, str]]] = [
    ("basic", "monitoring", "Basic", "Basis", "Monitoring for small sites.", "Überwachung für kleine Standorte.",
     MONTHLY | {"included_users": 3, "limit_users": 10, "included_disk": 5, "limit_disk": 20, "beyond": "upgrade",
                "included_terminals": 1, "limit_terminals": 1},
     {"base": "19", "users": "4", "disk": "0.5"}),
    ("professional", "monitoring", "Professional", "Professional", "All functions, support on working days.",
     "Alle Funktionen, Support an Werktagen.",
     MONTHLY | {"included_users": 15, "limit_users": 100, "included_disk": 50, "limit_disk": 500, "beyond": "upgrade",
                "included_terminals": 5, "limit_terminals": 25, "postpaid": True},
     {"base": "99", "users": "3.5", "terminals": "6", "disk": "0.4"}),
    ("enterprise", "monitoring", "Enterprise", "Enterprise", "All functions, support around the clock.",
     "Alle Funktionen, Support rund um die Uhr.",
     YEARLY | {"included_users": 250, "included_disk": 1000, "included_terminals": 100, "postpaid": True},
     {"base": "4990", "users": "30", "terminals": "48", "disk": "3.6"}),
    ("cloud-team", "cloud", "Cloud Team", "Cloud Team", "One instance for a company.",
     "Eine Instanz für ein Unternehmen.",
     YEARLY | {"included_users": 25, "limit_users": 100, "included_disk": 100, "limit_disk": 1000, "beyond": "upgrade",
               "included_terminals": 10, "limit_terminals": 50},
     {"base": "1490", "users": "36", "terminals": "60", "disk": "4", "upfront": "3900", "infrastructure": "590"}),
    ("cloud-group", "cloud", "Cloud Group", "Cloud Group", "Several sites, one instance.",
     "Mehrere Standorte, eine Instanz.",
     YEARLY | {"included_users": 100, "included_disk": 500, "included_terminals": 50},
     {"base": "3990", "users": "30", "terminals": "48", "disk": "3.5", "upfront": "9900", "infrastructure": "1490"}),
    ("edge", "edge", "Edge maintenance", "Edge-Wartung", "Updates and support for a year.",
     "Aktualisierungen und Support für ein Jahr.", YEARLY | {"renewal": "later", "renewal_window": 90},
     {"base": "690"}),
]  # fmt: skip


def catalogue(dora: Member) -> None:
    """Products and plans, sold in four currencies; one price has risen since, and one will."""
    products = {
        key: plans.define_product(
            key, type=type_, locations=where, name_en=en, name_de=de, description_en=about_en,
            description_de=about_de, by=dora,
        )
        for key, type_, where, en, de, about_en, about_de in PRODUCTS
    }  # fmt: skip
    for key, product, en, de, about_en, about_de, facts, amounts in PLANS:
        plan = plans.define_plan(
            key, product=products[product], name_en=en, name_de=de, description_en=about_en, description_de=about_de,
            currency="EUR", amounts=_in("EUR", amounts), by=dora, **facts,
        )  # fmt: skip
        for currency in ("CHF", "GBP", "NOK"):
            plans.set_price(plan, currency, on=_today(), amounts=_in(currency, amounts), by=dora)
    soon = add_months(_today(), 24).replace(day=1)  # the catalogue is a year and a half old
    raised = {"base": "109", "users": "3.9", "terminals": "6.5", "disk": "0.4"}
    plan = db.session.scalars(select(Plan).where(Plan.key == "professional")).one()
    plans.set_price(plan, "EUR", on=soon, amounts=_in("EUR", raised), by=dora)


def _in(currency: str, amounts: dict[str, str]) -> dict[str, Decimal]:
    """List prices in another currency: whole ones stay whole."""
    return {name: (Decimal(amount) * RATES[currency]).quantize(Decimal("0.1")) for name, amount in amounts.items()}


def build(dice: random.Random, as_: As) -> None:
    """Most customers have one, some two; Küstenfunk has one of each kind that needs somebody to do something."""
    with unscoped("who there is", writes=False) as session:
        customers = session.execute(
            select(Account.slug, Account.created_at, Account.language)
            .where(Account.archived_at.is_(None), Account.kind == "customer", Account.slug != "kuestenfunk")
            .order_by(Account.id)
        ).all()
    for slug, since, language in customers:
        if dice.random() < 0.8:
            _some(slug, since, TITLES[language], dice, as_)
    _kuestenfunk(as_)
    _upfront(as_)
    with unscoped("the clock has struck every hour since"):
        subscription_clock.run()


def _some(slug: str, since: datetime, title: str, dice: random.Random, as_: As) -> None:
    """One that began with the account, and is renewed to this day where its term was a month."""
    key = dice.choice(("basic", "basic", "professional", "professional", "enterprise", "cloud-team"))
    first = max(since, clock.now() - timedelta(days=dice.randint(40, 355)))
    users = dice.choice((2, 3, 5, 8)) if key == "basic" else dice.choice((12, 18, 25, 40))
    number = _add(as_, slug, key, title, first, users=users)
    with as_("dora@kontor.example"):
        subscription = db.session.get(Subscription, number)
        if subscriptions.can_be_renewed(subscription) and dice.random() < 0.85:
            subscriptions.renew(subscription, seen=subscription.version)


def _kuestenfunk(as_: As) -> None:
    now = clock.now()
    _add(as_, "kuestenfunk", "professional", "Testbetrieb Kaikante", now - timedelta(days=26), postponed=True, users=5)
    running = _add(
        as_, "kuestenfunk", "enterprise", "Hafenüberwachung", _a_year_before(20), users=260, terminals=12,
        mode=PaymentMode.POSTPAID,
    )  # fmt: skip
    ending = _add(as_, "kuestenfunk", "edge", "Leitrechner Schleuse", _a_year_before(-12))
    gone = _add(as_, "kuestenfunk", "basic", "Pilot Nordmole", now - timedelta(days=25))
    with as_("bob@kuestenfunk.example") as bob:
        for name in ("Pier 4", "Kühlhaus", "Leitwarte"):
            resource_groups.add(db.session.get(Subscription, running), name)
        subscriptions.cancel(db.session.get(Subscription, gone), by=bob, reason="Mole wird umgebaut")
    _usage(running, as_)
    with as_("alice@nordlicht.example"):
        subscription = db.session.get(Subscription, ending)
        subscriptions.edit(subscription, title=subscription.title, remark="PO 4711")


def _usage(number: int, as_: As) -> None:
    """Its users, counted every few days by a program and now and then by hand; more in the season."""
    counted = {75: 244, 61: 251, 48: 258, 40: 273, 33: 266, 26: 262, 12: 268, 9: 281, 3: 264}
    for days, users in counted.items():
        source = UsageSource.BY_HAND if days in {48, 9} else UsageSource.API
        with clock.back_then(clock.now() - timedelta(days=days)), as_("bob@kuestenfunk.example") as bob:
            usage.report(db.session.get(Subscription, number), users, by=bob, source=source)


def _a_year_before(days: int) -> datetime:
    """When a yearly one began that ends in so many days."""
    ends = clock.now() + timedelta(days=days)
    return datetime.combine(add_months(ends.date(), -12), ends.timetz())


def _upfront(as_: As) -> None:
    """Three who want to pay the software once: to be called, to be waited for, and with a link in their mailbox."""
    now, requests = clock.now(), []
    for slug, asks, days in (
        ("kuestenfunk", "bob@kuestenfunk.example", 1),
        ("deichbau", "alice@nordlicht.example", 6),
        ("Weingut Wachau", "charlie@alpenwerk.example", 9),
    ):
        number = _add(as_, slug, "cloud-team", "Field Cloud", now - timedelta(days=days), pending=True, users=25)
        with clock.back_then(now - timedelta(days=days)), as_(asks) as by:
            requests.append(upfront.ask(db.session.get(Subscription, number), by=by).id)
    _called(requests, as_)


def _called(requests: list[int], as_: As) -> None:
    from_today = clock.now()
    with clock.back_then(from_today - timedelta(days=4)), as_("dora@kontor.example") as dora:
        for number in requests[1:]:
            upfront.note_call(_request(number), note="Zahlt per Überweisung", by=dora)
    with clock.back_then(from_today - timedelta(days=2)), as_("dora@kontor.example") as dora:
        day = clock.today(dora.account.time_zone)
        upfront.note_payment(_request(requests[2]), on=day, reference="Kontoauszug 117", by=dora)


def _request(number: int) -> UpfrontRequest:
    return db.session.get(UpfrontRequest, number)


def _add(as_: As, whose: str, key: str, title: str, at: datetime, *, pending: bool = False, **facts: Any) -> int:
    """A subscription that began that day; its number."""
    with clock.back_then(at), as_("dora@kontor.example") as dora:
        account = db.session.scalars(select(Account).where(or_(Account.slug == whose, Account.name == whose))).one()
        plan = db.session.scalars(select(Plan).where(Plan.key == key)).one()
        postponed, mode = facts.pop("postponed", False), facts.pop("mode", PaymentMode.PREPAID)
        quantities = {meter: facts.get(meter.value, 0) for meter in Meter}
        currency = account.currency if account.currency in RATES else "EUR"
        place = plan.product.data_locations[0] if plan.product.locations else None
        today = clock.today(account.time_zone)
        starts = today - timedelta(days=1) if key == "edge" else None  # which is not sold anew
        terms = Terms(plan, currency, mode, quantities, place, starts, postponed)
        return subscriptions.add(account, terms, title=title, by=dora, pending=pending).id


def _today() -> date:
    return clock.today("Europe/Berlin")

"""A contract from its first day to the deletion of what it was about, and licenses over a year (L-5, L-8 … L-12, I-9).

Küstenfunk's, who order on a leap day. Where something is due, time goes by day by day and the clockwork is at work.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import pytest
from sqlalchemy import select

from app import clock
from app.errors import Refused
from app.extensions import db
from app.handover import worker_unit
from app.models import License, LogEntry, Message, Order, OrderKind, Subscription, SubscriptionStatus
from app.services import licenses, orders, subscription_clock, subscriptions, surrenders
from app.tenancy import unscoped
from tests import buying, stock
from tests.buying import answer, begun, fulfilled, place, placed, plan_of, read
from tests.cast import ALICE, BOB, DORA, acting_as

LEAP_DAY = date(2028, 2, 29)


@pytest.fixture
def leap_day(app):
    move_to(LEAP_DAY)


def move_to(day: date) -> None:
    clock.move(datetime.combine(day, time(12), UTC) - clock.now())


def live_until(day: date) -> None:
    """Every day at noon what the clockwork does each hour; twice, as a second worker would."""
    while clock.today() < day:
        move_to(clock.today() + timedelta(days=1))
        for deed in (subscription_clock.run, orders.release_domains) * 2:
            with worker_unit():
                deed()


def mails_to(person, since: int = 0) -> list[tuple[str, date]]:
    """What somebody got, and when; of what came after so many."""
    with unscoped("reading a test's mails", writes=False) as session:
        found = session.scalars(select(Message).where(Message.recipient == person.email).order_by(Message.id)).all()
        return [(message.subject, message.created_at.date()) for message in found[since:]]


def deeds(subscription: int) -> list[str]:
    """What history tells of the subscription."""
    with unscoped("reading a test's history", writes=False) as session:
        told = select(LogEntry.action).where(LogEntry.subject_id == subscription).order_by(LogEntry.id)
        return list(session.scalars(told.where(LogEntry.action.startswith("subscription."))))


def renew(subscription: int) -> None:
    with acting_as(ALICE):
        row = db.session.get(Subscription, subscription)
        subscriptions.renew(row, seen=row.version)


def test_a_contract_of_a_leap_day_is_renewed_every_year_and_leaves_its_domain_to_the_next(leap_day):
    plan = plan_of(period="yearly", renewal_window=60)
    order = fulfilled(placed(plan, slug="kuestenfunk", domain="kueste.example"))
    contract = buying.subscription_of(order)
    assert (contract.starts_on, contract.ends_on, contract.status) == (LEAP_DAY, date(2029, 2, 28), "active")

    # The window opens 60 days before the end; a month and a week before it Bob is reminded, once each.
    move_to(date(2028, 12, 29))
    with pytest.raises(Refused, match="can be renewed from"):
        renew(contract.id)
    told = len(mails_to(BOB))
    move_to(date(2029, 1, 26))
    live_until(date(2029, 2, 22))
    assert [day for _subject, day in mails_to(BOB, told)] == [date(2029, 1, 29), date(2029, 2, 21)]

    renew(contract.id)
    assert read(Subscription, contract.id).ends_on == date(2030, 2, 28)
    for year in (2030, 2031):
        move_to(date(year, 2, 1))
        renew(contract.id)
    assert read(Subscription, contract.id).ends_on == LEAP_DAY.replace(year=2032)  # the day it was agreed on, again

    # It is cancelled at once. What is stored stays two weeks, of whose end Bob is reminded; then it is gone.
    move_to(date(2031, 6, 1))
    with acting_as(ALICE) as alice:
        subscriptions.cancel(db.session.get(Subscription, contract.id), by=alice, reason="The pier is closed")
    told = len(mails_to(BOB))
    live_until(date(2031, 6, 14))
    assert read(Subscription, contract.id).status is SubscriptionStatus.CANCELLED
    assert [day for _subject, day in mails_to(BOB, told)] == [date(2031, 6, 12)]
    with pytest.raises(Refused, match="kueste.example is taken"):
        placed(plan, slug="deichbau", domain="kueste.example", to_customer=False)

    live_until(date(2031, 6, 15))
    assert read(Subscription, contract.id).status is SubscriptionStatus.DELETED
    assert read(Order, placed(plan, slug="deichbau", domain="kueste.example", to_customer=False)).claimed_domain
    assert deeds(contract.id) == [
        "subscription.added", "subscription.started", *["subscription.renewed"] * 3,
        "subscription.cancelled", "subscription.deletion_took_effect",
    ]  # fmt: skip


def test_licenses_are_bought_used_given_back_and_bought_again(leap_day):
    plan = plan_of(period="yearly")
    contract = buying.subscription_of(fulfilled(placed(plan, slug="kuestenfunk", domain="kueste.example"))).id
    with acting_as(DORA):
        group = buying.resource_groups.add(db.session.get(Subscription, contract), "Pier 3").id
    loggers = buying.priced("LOG-10", "365", grants={stock.license_type(): 10})

    def buy(packs: int) -> int:
        order = begun(OrderKind.LICENSES)
        answer(order, "products", subscription_id=contract, group_id=group, lines=[(loggers, packs)])
        fulfilled(place(order))
        with unscoped("the license of a test's order", writes=False) as session:
            return session.scalars(select(License.id).order_by(License.id.desc())).first()

    def use(number: int, quantity: int) -> bool:
        with acting_as(BOB) as bob:
            return licenses.consume(db.session.get(License, number), quantity, reference="Pier 3", by=bob).allowed

    def give_back(number: int, quantity: int) -> int:
        with acting_as(BOB) as bob:
            return surrenders.surrender(db.session.get(License, number), quantity, by=bob).left

    bought = buy(2)
    assert use(bought, 12) and not use(bought, 9)

    move_to(date(2028, 8, 29))
    assert give_back(bought, 5) == 15
    with pytest.raises(Refused, match="only what is not in use"):
        give_back(bought, 4)
    assert not use(bought, 4) and use(bought, 3)

    move_to(date(2028, 12, 1))
    another = buy(1)
    assert another != bought and use(another, 10)
    with acting_as(BOB) as bob:
        row = db.session.get(License, bought)
        assert licenses.release(row, 15, reference="Pier 3", by=bob).allowed
        assert (row.quantity, row.in_use, row.available) == (15, 0, 15)

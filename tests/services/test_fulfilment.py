"""Fulfilment: taken by one, fulfilled once, failed with a reason, tried again; what it brings about."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from app import clock, outbox, passwords
from app.errors import Conflict, Refused
from app.extensions import db
from app.models import (
    Article,
    Credential,
    Fulfilment,
    FulfilmentStatus,
    Holding,
    License,
    LogEntry,
    Message,
    Order,
    OrderKind,
    OrderStatus,
    Role,
    Source,
    Subscription,
    SubscriptionStatus,
    Token,
)
from app.services import catalog, credentials, orders
from app.tenancy import unscoped
from tests import buying, stock
from tests.buying import answer, begun, place, placed, plan_of, read, tasks, work
from tests.cast import ALICE, BOB, acting_as, hire
from tests.crowd import at_once


def bought(*quantities, grants=10):
    """An order of Küstenfunk's over so many lines."""
    type_ = stock.license_type()
    subscription = buying.subscription(plan_of(), group="Husum")
    lines = [(buying.priced(f"A-{n}", "5", grants={type_: grants}), q) for n, q in enumerate(quantities)]
    order = begun(OrderKind.LICENSES)
    answer(order, "products", subscription_id=subscription, group_id=buying.group_of(subscription), lines=lines)
    return place(order)


# --- the way of a task ----------------------------------------------------------------------------------------------


def test_an_order_stands_as_its_tasks_do(dora):
    order = bought(1, 2)
    first, second = tasks(order)
    seen = [read(Order, order).status]
    for verb, task, facts in [
        ("take", first, {}), ("put_back", first, {}), ("take", first, {}), ("fulfil", first, {}), ("take", second, {}),
        ("fail", second, {"reason": "No stock"}), ("retry", second, {}), ("take", second, {}), ("fulfil", second, {}),
    ]:  # fmt: skip
        work(verb, task, **facts)
        seen.append(read(Order, order).status)

    P, I, F, C = OrderStatus.PLACED, OrderStatus.IN_FULFILMENT, OrderStatus.FAILED, OrderStatus.COMPLETED  # noqa: E741
    assert seen == [P, I, P, I, I, I, F, I, I, C]


def test_a_failure_is_read_by_everybody_who_sees_the_order(bob, dora):
    order = bought(1)
    (task,) = tasks(order)
    work("take", task)

    work("fail", task, reason="No data center has room")

    with acting_as(bob):
        assert db.session.get(Order, order).reason == "No data center has room"


def subjects(order):
    """Of the mails about an order, by recipient."""
    name = read(Order, order).public_id
    with unscoped("looking at the mails of a test", writes=False) as session:
        found = session.scalars(select(Message).where(Message.subject.contains(name)).order_by(Message.id))
        return {message.recipient: message.subject for message in found}


def test_author_and_customer_are_told_when_it_is_completed(dora):
    order = bought(1)
    buying.fulfilled(order)

    told = subjects(order)
    assert set(told) == {"alice@nordlicht.example", "info@kuestenfunk.example"}
    assert all("abgeschlossen" in subject or "is completed" in subject for subject in told.values())


def test_author_and_customer_are_told_of_a_failure_and_its_reason(dora):
    order = bought(1)
    (task,) = tasks(order)
    work("take", task)
    work("fail", task, reason="No data center has room")

    assert set(subjects(order)) == {"alice@nordlicht.example", "info@kuestenfunk.example"}
    with unscoped("looking at the mails of a test", writes=False) as session:
        newest = session.scalars(select(Message).order_by(Message.id.desc())).first()
        assert "No data center has room" in newest.body_text


def test_whoever_gets_credentials_gets_no_second_mail(dora):
    order = buying.fulfilled(buying.placed(buying.plan_of(), slug="kuestenfunk", to_author=False))

    told = subjects(order)
    assert "is completed" in told["alice@nordlicht.example"] or "abgeschlossen" in told["alice@nordlicht.example"]
    assert "is completed" not in told["info@kuestenfunk.example"]
    assert "abgeschlossen" not in told["info@kuestenfunk.example"]


@pytest.mark.parametrize("reason", ["", "  ", "x" * 301])
def test_a_failure_needs_a_reason(dora, reason):
    (task,) = tasks(bought(1))
    work("take", task)

    with pytest.raises(Refused) as raised:
        work("fail", task, reason=reason)

    assert raised.value.field == "reason"


@pytest.mark.parametrize("verb", ["fulfil", "put_back"])
def test_what_nobody_has_taken_is_not_done(dora, verb):
    (task,) = tasks(bought(1))

    with pytest.raises(Conflict):
        work(verb, task)


def test_what_is_fulfilled_is_not_fulfilled_again(dora):
    order = buying.fulfilled(bought(1))
    (task,) = tasks(order)

    for verb in ("take", "fulfil", "retry"):
        with pytest.raises(Conflict):
            work(verb, task)

    with acting_as(dora):
        assert len(db.session.scalars(select(Holding)).all()) == 1


def test_what_is_cancelled_meanwhile_is_not_fulfilled(alice, dora):
    order = bought(1)
    (task,) = tasks(order)
    work("take", task)
    with acting_as(alice) as by:
        orders.cancel(db.session.get(Order, order), reason="Too late", by=by)

    with pytest.raises(Conflict):
        work("fulfil", task)

    assert read(Fulfilment, task).status is FulfilmentStatus.CANCELLED


def test_history_names_what_was_done(dora):
    order = buying.fulfilled(bought(1))

    with acting_as(dora):
        public_id = db.session.get(Order, order).public_id
        found = select(LogEntry.action).where(LogEntry.subject.startswith(public_id)).order_by(LogEntry.id)
        assert list(db.session.scalars(found)) == [
            "order.begun", "order.edited", "order.placed", "fulfilment.taken", "order.started",
            "fulfilment.fulfilled", "order.completed",
        ]  # fmt: skip


# --- what it brings about -------------------------------------------------------------------------------------------


def test_articles_become_licenses_of_the_part_they_were_ordered_for(bob, dora):
    order = buying.fulfilled(bought(3))

    with acting_as(bob):
        (holding,) = db.session.scalars(select(Holding)).all()
        (license,) = db.session.scalars(select(License)).all()
    assert (holding.source, holding.quantity) == (Source.ORDERED, 3)
    assert license.quantity == 30 and license.resource_group_id == read(Order, order).resource_group_id


def test_what_was_ordered_is_given_though_it_is_archived_by_now(dora):
    order = bought(1)
    with acting_as(dora) as by:
        for article in db.session.scalars(select(Article)):
            catalog.archive(article, by=by)

    buying.fulfilled(order)

    assert read(Order, order).status is OrderStatus.COMPLETED


def test_a_line_is_granted_once_says_the_database(dora):
    order = buying.fulfilled(bought(1))
    with acting_as(dora):
        given = db.session.scalars(select(Holding)).one()
        facts = {"account_id": given.account_id, "article_id": given.article_id, "acquired_on": given.acquired_on}

    with pytest.raises(IntegrityError), acting_as(dora):
        db.session.add(Holding(**facts, order_line_id=given.order_line_id, created_at=clock.now()))

    assert read(Order, order).status is OrderStatus.COMPLETED


def test_billing_starts_with_fulfilment(alice, dora):
    order = placed(plan_of())
    assert buying.subscription_of(order).starts_on is None

    with clock.back_then(clock.now() + timedelta(days=3)):
        buying.fulfilled(order)
        today = stock.today()

    found = buying.subscription_of(order)
    assert (found.status, found.starts_on, found.billed_from) == (SubscriptionStatus.ACTIVE, today, today)


def test_a_renewal_takes_effect_when_it_is_fulfilled(alice, dora):
    plan = plan_of("on-premise", period="yearly", renewal_window=366)
    subscription = buying.subscription(plan, starts_on=stock.today() - timedelta(days=1))
    before = read(Subscription, subscription).ends_on
    order = begun(OrderKind.RENEW)
    answer(order, "subscription", subscription_id=subscription)
    place(order)
    assert read(Subscription, subscription).ends_on == before

    buying.fulfilled(order)

    assert read(Subscription, subscription).ends_on == before.replace(year=before.year + 1)


# --- credentials ----------------------------------------------------------------------------------------------------


def ready():
    """An order whose instance runs; and the secrets in the links that were mailed, by recipient."""
    order = buying.fulfilled(placed(plan_of()))
    with unscoped("reading what a test's people were mailed", writes=False) as session:
        messages = session.scalars(select(Message).where(Message.token_id.is_not(None))).all()
        found = {m.recipient: outbox.bodies(m, session.get(Token, m.token_id))[0] for m in messages}
    return order, {to: re.search(r"/credentials/([\w-]+)", text).group(1) for to, text in found.items()}


def test_each_recipient_gets_a_link_and_nobody_a_password(alice, dora):
    order, links = ready()

    assert set(links) == {"alice@nordlicht.example", "nina@neufunk.example"}
    with acting_as(dora):
        for message in db.session.scalars(select(Message).where(Message.token_id.is_not(None))):
            assert "https://neufunk.example" in message.body_text and "Admin" in message.body_text
    assert links["alice@nordlicht.example"] != links["nina@neufunk.example"]
    assert read(Order, order).status is OrderStatus.COMPLETED


def test_a_link_sets_the_password_once_and_the_last_one_counts(alice, dora):
    order, links = ready()
    first, second = links.values()

    for secret, password in ((first, "fjord und elbe 7"), (second, "ebbe und flut 8")):
        with unscoped("whoever holds the link"):
            assert credentials.choose(secret, passwords.hashed(password)).id == order
        clock.move(timedelta(seconds=1))
    with unscoped("whoever holds the link"):
        assert credentials.choose(first, passwords.hashed("something else 9")) is None

    with acting_as(dora):
        kept = credentials.newest_hash(db.session.get(Order, order))
    assert passwords.fits("ebbe und flut 8", kept) and not passwords.fits("fjord und elbe 7", kept)


def test_a_link_works_for_two_weeks(alice, dora):
    _order, links = ready()

    with clock.back_then(clock.now() + timedelta(days=15)), unscoped("whoever holds the link"):
        assert all(credentials.find(secret) is None for secret in links.values())


def test_the_database_keeps_no_secret(alice, dora):
    _order, links = ready()

    with unscoped("looking for secrets", writes=False) as session:
        kept = [row.password_hash for row in session.scalars(select(Credential))]
    assert kept == ["", ""] and links


# --- at the same moment ---------------------------------------------------------------------------------------------


def test_of_two_who_take_a_task_at_once_one_has_it(dora):
    (task,) = tasks(bought(1))
    dirk = hire("dirk@kontor.example", "kontor", Role.SUPPORT, "Dirk Damm")

    found = at_once(lambda: work("take", task), lambda: work("take", task, by=dirk))

    assert sorted(type(one).__name__ for one in found) == ["Conflict", "NoneType"]
    assert read(Fulfilment, task).attempts == 1


def test_fulfilled_by_two_at_once_it_takes_effect_once(dora):
    (task,) = tasks(bought(1))
    work("take", task)

    found = at_once(*[lambda: work("fulfil", task)] * 2)

    assert sorted(type(one).__name__ for one in found) == ["Conflict", "NoneType"]
    with acting_as(dora):
        assert db.session.scalars(select(Holding)).one().quantity == 1


def test_of_cancelling_and_fulfilling_at_once_one_counts(alice, dora):
    order = bought(1)
    (task,) = tasks(order)
    work("take", task)

    def cancel():
        with acting_as(ALICE) as by:
            orders.cancel(db.session.get(Order, order), reason="Too late", by=by)

    found = at_once(cancel, lambda: work("fulfil", task))

    assert len([one for one in found if one is None]) == 1
    with acting_as(dora):
        held = db.session.scalars(select(Holding)).all()
    assert (read(Order, order).status is OrderStatus.COMPLETED) == bool(held)


def test_partners_and_customers_fulfil_nothing_themselves(alice, bob):
    (task,) = tasks(bought(1))
    work("take", task)

    for person in (ALICE, BOB):
        with pytest.raises(Refused, match="Only the operator"):
            work("fulfil", task, by=person)


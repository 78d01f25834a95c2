"""Subscriptions (L-5, L-6, I-1, I-6, I-9): added, renewed, decided about, suspended, cancelled, and what time does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from app.errors import Conflict, OutsideScope, Refused
from app.extensions import db
from app.models import (
    Account,
    Calculation,
    DataLocation,
    Message,
    Meter,
    Plan,
    PlanPrice,
    ResourceGroup,
    Subscription,
    SubscriptionStatus,
)
from app.periods import add_months
from app.services import deadlines, plans, quotes, resource_groups, subscription_clock, subscriptions
from app.tenancy import unscoped
from tests import crowd, stock
from tests.cast import ALICE, BOB, CHARLIE, DORA, FRIDA, Person, account_called, acting_as
from tests.signing import history

DAY = timedelta(days=1)
NOON = " 12:00:00"


@contextmanager
def on(day: str | date) -> Iterator[None]:
    with time_machine.travel(f"{day}{NOON}", tick=False):
        yield


def the(number: int) -> Subscription:
    with unscoped("looking", writes=False) as session:
        return session.get(Subscription, number)


def do(number: int, deed: Any, by: Person = ALICE, **facts: Any) -> Any:
    with acting_as(by):
        return deed(db.session.get(Subscription, number), **facts)


def renew(number: int, by: Person = ALICE) -> None:
    do(number, lambda subscription: subscriptions.renew(subscription, seen=subscription.version), by)


def tick() -> int:
    with unscoped("the clock strikes"):
        return subscription_clock.run()


def mails() -> list[tuple[str, str]]:
    """To whom, and about what, in the order they were written."""
    with unscoped("looking", writes=False) as session:
        return [(m.recipient, m.subject) for m in session.scalars(select(Message).order_by(Message.id))]


def yearly(**facts: Any) -> int:
    return stock.plan("yearly", period="yearly", **facts)


# --- adding ------------------------------------------------------------------------------------------------------


def test_it_runs_from_today_and_says_what_a_period_costs(app):
    amounts = {"base": Decimal(49), "users": Decimal("4.90")}
    with on("2026-01-31"):
        plan = stock.plan(amounts=amounts, included_users=10)
        number = stock.subscription(plan, users=12)

    kept = the(number)
    assert (kept.starts_on, kept.ends_on, kept.status) == (date(2026, 1, 31), date(2026, 2, 28), "active")
    assert kept.public_id.startswith("SUB-2026-") and kept.title == "Harbour"
    with unscoped("looking", writes=False) as session:
        told = quotes.read(session.get(Calculation, kept.calculation_id))
    assert (told.net, [line.what for line in told.lines]) == (Decimal("58.80"), ["base", "users"])


def test_what_is_previewed_is_what_is_kept(app, alice):
    plan = stock.plan(amounts={"base": Decimal("33.33"), "disk": Decimal("0.07")})
    with acting_as(alice) as by:
        account, terms = account_called("kuestenfunk"), stock.terms(plan, disk=33)
        asked = subscriptions.preview(terms, account, by=by)
        kept = subscriptions.add(account, terms, title="Silo", by=by)

    assert quotes.read(kept.calculation) == asked
    assert kept.calculation.gross == asked.gross


def test_a_calculation_is_never_changed(app):
    stock.subscription(stock.plan())

    with pytest.raises(Exception, match="only added to"), unscoped("trying to") as session:
        session.execute(update(Calculation).values(net_minor=1))


@pytest.mark.parametrize("title", ["", "   ", "harbour", "HARBOUR ", "x" * 121], ids=repr)
def test_its_title_is_its_own_in_the_account(app, title):
    plan = stock.plan()
    stock.subscription(plan, title="Harbour")

    with pytest.raises(Refused) as refusal:
        stock.subscription(plan, title=title)
    assert refusal.value.field == "title"
    assert stock.subscription(plan, "deichbau", title="Harbour")


@pytest.mark.parametrize(
    ("facts", "field"),
    [
        ({"currency": "USD"}, "currency"),
        ({"payment_mode": "postpaid"}, "payment_mode"),
        ({"location": DataLocation.US}, "location"),
        ({"location": None}, "location"),
        ({"postponed": True}, "postponed"),
        ({"users": -1}, "users"),
        ({"users": 21}, "users"),
        ({"disk": 10**308}, "disk"),
        ({"starts_on": date(2099, 1, 1)}, "starts_on"),
    ],
    ids=str,
)
def test_what_the_plan_does_not_offer_is_refused_at_its_field(app, facts, field):
    plan = stock.plan(limit_users=20)

    with pytest.raises(Refused) as refusal:
        stock.subscription(plan, **facts)
    assert refusal.value.field == field


def test_above_the_limits_the_plan_may_offer_a_larger_one(app):
    with pytest.raises(Refused, match="larger plan"):
        stock.subscription(stock.plan(limit_users=5, beyond="upgrade"), users=6)


def test_on_premise_is_not_sold_anew_but_what_exists_is_entered_by_the_operator(app, alice):
    plan = stock.plan(product=stock.product("box", type="on-premise"))
    with unscoped("a price of old") as session:
        session.execute(update(PlanPrice).values(valid_from=date(2020, 1, 1)))

    with pytest.raises(Refused, match="not sold anew"):
        stock.subscription(plan)
    start = stock.today() - timedelta(days=400)
    with pytest.raises(Refused, match="by the operator"), acting_as(alice) as by:
        subscriptions.add(account_called("kuestenfunk"), stock.terms(plan, starts_on=start), title="Box", by=by)
    kept = the(stock.subscription(plan, starts_on=start))
    assert kept.starts_on == start < stock.today() < kept.ends_on <= add_months(stock.today(), 1)


def test_a_stranger_adds_none(app, charlie):
    plan = stock.plan()
    with unscoped("looking", writes=False):
        account = account_called("kuestenfunk")

    with pytest.raises(OutsideScope), acting_as(charlie) as by:
        subscriptions.add(account, stock.terms(plan), title="Mine", by=by)


def test_the_database_itself_keeps_days_and_titles_right(app):
    number = stock.subscription(stock.plan())

    with pytest.raises(IntegrityError), unscoped("trying to") as session:
        session.execute(update(Subscription).where(Subscription.id == number).values(ends_on=date(2000, 1, 1)))


def test_its_name_and_remark_can_be_changed_and_history_says_so(app, alice):
    number = stock.subscription(stock.plan())
    do(number, subscriptions.edit, title="Pier 4", remark="PO 4711")

    assert (the(number).title, the(number).remark) == ("Pier 4", "PO 4711")
    assert history()[-1] == "subscription.edited"


# --- renewing ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "day", "ends_on"),
    [
        ("from-end", "2026-12-15", "2028-01-31"),
        ("from-end", "2027-03-15", "2028-01-31"),
        ("from-end", "2028-02-15", "2029-01-31"),
        ("from-today", "2026-12-15", "2027-12-15"),
        ("from-today", "2027-03-15", "2028-03-15"),
        ("later", "2026-12-15", "2028-01-31"),
        ("later", "2027-03-15", "2028-03-15"),
    ],
    ids=lambda value: value,
)
def test_the_new_end_counts_as_the_plan_says(app, rule, day, ends_on):
    with on("2026-01-31"):
        number = stock.subscription(yearly(renewal=rule))
    with on(day):
        tick()
        renew(number)

    assert (the(number).ends_on.isoformat(), the(number).status) == (ends_on, "active")


def test_renewed_very_late_every_period_since_is_charged(app):
    with on("2026-01-31"):
        number = stock.subscription(stock.plan())
    with on("2026-05-02"):
        renew(number)

    with unscoped("looking", writes=False) as session:
        calculation = session.get(Calculation, the(number).calculation_id)
    periods = [line["period"] for line in calculation.lines[:-1]]
    assert periods == [
        ["2026-02-28", "2026-03-31"], ["2026-03-31", "2026-04-30"], ["2026-04-30", "2026-05-31"],
    ]  # fmt: skip
    assert calculation.net == Decimal("147.00")


def test_it_is_refused_before_the_window_and_says_from_when(app):
    with on("2026-01-31"):
        number = stock.subscription(yearly(renewal_window=30))

    with on("2026-12-31"), pytest.raises(Refused, match="January 1, 2027"):
        renew(number)
    with on("2027-01-01"):
        renew(number)
    with on("2027-01-02"), pytest.raises(Refused, match="January 1, 2028"):
        renew(number)


def test_what_is_sent_twice_is_done_once(app):
    number = stock.subscription(stock.plan())
    seen = the(number).version
    do(number, subscriptions.renew, seen=seen)

    with pytest.raises(Conflict):
        do(number, subscriptions.renew, seen=seen)


def test_of_three_processes_renewing_at_once_one_does(app):
    number = stock.subscription(stock.plan())
    before = the(number)

    done = crowd.compete(app, crowd.renew, (number, before.version), 3)

    assert sorted(done) == [False] * 2 + [True]
    assert the(number).ends_on == add_months(before.starts_on, 2)
    with unscoped("looking", writes=False) as session:
        assert len(session.scalars(select(Calculation.id)).all()) == 2


def test_of_two_who_read_the_same_the_second_to_write_is_told(app, alice):
    number = stock.subscription(stock.plan())
    with pytest.raises(Conflict), acting_as(alice):
        mine = db.session.get(Subscription, number)
        db.session.commit()
        do(number, subscriptions.edit, by=BOB, title="Bob's", remark="")
        subscriptions.renew(mine, seen=mine.version)


def test_a_renewal_costs_the_price_of_its_first_day(app, dora):
    with on("2026-06-10"):
        plan = stock.plan()
        number = stock.subscription(plan)
        with acting_as(dora) as by:
            price = {"currency": "EUR", "on": date(2026, 7, 10), "amounts": {"base": Decimal(59)}}
            plans.set_price(db.session.get(Plan, plan), by=by, **price)
        renew(number)

    with unscoped("looking", writes=False) as session:
        assert session.get(Calculation, the(number).calculation_id).net == Decimal(59)


# --- the free month ----------------------------------------------------------------------------------------------


def trial(**facts: Any) -> int:
    return stock.subscription(stock.plan(trial_months=1, **facts), postponed=True)


def test_without_a_decision_it_is_suspended_and_never_charged(app):
    with on("2026-01-31"):
        number = trial()
        assert the(number).status == "trial"
    for day, expected in [("2026-02-20", 0), ("2026-02-21", 1), ("2026-02-22", 0), ("2026-02-26", 1)]:
        with on(day):
            assert (tick(), tick()) == (expected, 0), day
    with on("2026-02-28"):
        assert (tick(), tick()) == (1, 0)

    kept = the(number)
    assert (kept.status, kept.cause, kept.billed_from) == ("suspended", "trial-ended", None)
    said = "Harbour: the free month ends on February 28, 2026"
    assert mails() == [
        ("bob@kuestenfunk.example", said), ("bob@kuestenfunk.example", said),
        ("bob@kuestenfunk.example", "Harbour is suspended: the free month has ended"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("decided", "billed_from", "ends_on"),
    [("2026-02-10", "2026-02-28", "2026-03-31"), ("2026-03-15", "2026-03-15", "2026-04-15")],
    ids=["in time", "late"],
)
def test_whoever_decides_to_pay_is_charged_from_then_on(app, decided, billed_from, ends_on):
    with on("2026-01-31"):
        number = trial()
    with on(decided):
        tick()
        do(number, subscriptions.pay, by=BOB)

    kept = the(number)
    assert (kept.status, kept.billed_from.isoformat(), kept.ends_on.isoformat()) == ("active", billed_from, ends_on)
    with pytest.raises(Refused, match="nothing to decide"):
        do(number, subscriptions.pay, by=BOB)


def test_what_ended_undecided_is_not_simply_reinstated(app):
    with on("2026-01-31"):
        number = trial()
    with on("2026-03-01"):
        tick()
        with pytest.raises(Refused, match="pay or cancel"):
            _reinstate(number)


def _reinstate(number: int, by: Person = ALICE) -> None:
    with acting_as(by) as member:
        subscriptions.reinstate(db.session.get(Subscription, number), by=member)


def _suspend(number: int, by: Person = ALICE, reason: str = "Papers are missing.") -> None:
    with acting_as(by) as member:
        subscriptions.suspend(db.session.get(Subscription, number), reason=reason, by=member)


def _cancel(number: int, by: Person = ALICE, **facts: Any) -> None:
    with acting_as(by) as member:
        subscriptions.cancel(db.session.get(Subscription, number), by=member, **facts)


# --- suspending, cancelling, ending ------------------------------------------------------------------------------


def test_who_suspends_or_an_account_above_reinstates(app):
    number = stock.subscription(stock.plan())
    _suspend(number, DORA)

    assert the(number).reason == "Papers are missing."
    with pytest.raises(Refused, match="above yours"):
        _reinstate(number, ALICE)
    with pytest.raises(Refused, match="Only accounts above"):
        _reinstate(number, BOB)
    _reinstate(number, DORA)
    assert (the(number).status, the(number).reason) == ("active", "")


def test_suspended_in_its_free_month_it_comes_back_to_it(app):
    with on("2026-01-31"):
        number = trial()
        _suspend(number)
        _reinstate(number)

    assert the(number).status == "trial"


def test_a_cancellation_names_the_day_of_deletion_which_comes(app):
    with on("2026-01-31"):
        number = stock.subscription(stock.plan())
    with on("2026-02-10"):
        _cancel(number, BOB, reason="Site closed")
        assert (the(number).status, the(number).delete_on) == ("cancelled", date(2026, 2, 24))
        with pytest.raises(Refused, match="any more"):
            _cancel(number)
    with on("2026-02-20"):
        assert tick() == 0
    with on("2026-02-23"):
        assert (tick(), tick()) == (1, 0)  # the reminder
    with on("2026-02-24"):
        assert (tick(), tick()) == (1, 0)

    assert the(number).status == "deleted"
    told = ["Harbour is cancelled", "Harbour is deleted on February 24, 2026"]
    assert mails() == [("bob@kuestenfunk.example", subject) for subject in told]
    with unscoped("looking", writes=False) as session:
        assert all("February 24, 2026" in text for text in session.scalars(select(Message.body_text)))


def test_cancelled_to_the_end_it_runs_till_then_and_is_not_renewed(app):
    with on("2026-01-31"):
        number = stock.subscription(stock.plan())
        _cancel(number, at_end=True)
        assert the(number).status == "active"
        with pytest.raises(Refused, match="keep it first"):
            renew(number)
    with on("2026-02-22"):
        assert tick() == 0  # nobody is reminded of what has been decided
    with on("2026-02-28"):
        assert tick() == 1

    assert (the(number).status, the(number).delete_on) == ("cancelled", date(2026, 3, 14))


def test_until_then_it_can_be_kept(app):
    number = stock.subscription(stock.plan())
    _cancel(number, at_end=True)
    do(number, subscriptions.keep)

    assert (the(number).cancelled_on, the(number).delete_on) == (None, None)
    with pytest.raises(Refused, match="not about to be"):
        do(number, subscriptions.keep)


def test_reminders_come_once_at_each_mark_and_again_in_the_next_term(app):
    with on("2026-03-10"):
        number = stock.subscription(yearly())
    done = {}
    for day in (31, 30, 29, 7, 6, 1):
        with on(date(2027, 3, 10) - timedelta(days=day)):
            done[day] = (tick(), tick())
    with on("2027-03-10"):
        renew(number)
        assert (the(number).ends_on, the(number).reminded) == (date(2028, 3, 10), None)

    assert done == {31: (0, 0), 30: (1, 0), 29: (0, 0), 7: (1, 0), 6: (0, 0), 1: (0, 0)}
    assert mails() == [("bob@kuestenfunk.example", "Harbour ends on March 10, 2027")] * 2


def test_a_clock_that_slept_reminds_once_and_not_for_every_mark(app):
    with on("2026-03-10"):
        stock.subscription(yearly())
    with on("2027-03-08"):
        assert (tick(), tick()) == (1, 0)

    assert len(mails()) == 1


def test_mail_is_in_the_readers_language_and_stands_in_the_outbox_above(app):
    with unscoped("Bob reads German") as session:
        session.execute(update(Account).values(language="de"))
    with on("2026-01-31"):
        stock.subscription(stock.plan())
    with on("2026-02-28"):
        tick()

    assert mails() == [("bob@kuestenfunk.example", "Harbour ist abgelaufen")]
    with acting_as(ALICE) as by:
        assert db.session.scalars(select(Message.account_id)).all() == [by.account_id]


def test_it_ends_where_its_account_is(app):
    """At noon in London it is midnight in Auckland."""
    with on("2026-01-31"):
        number = stock.subscription(stock.plan())
    with unscoped("moving them to the other side of the world") as session:
        session.execute(update(Account).where(Account.slug == "kuestenfunk").values(time_zone="Pacific/Auckland"))
    with on("2026-02-27"):
        assert tick() == 1

    assert the(number).status == "expired"


ENDS = {"pending", "trial", "active", "suspended", "expired", "cancelled", "deleted"}


@pytest.mark.parametrize("status", sorted(ENDS))
def test_every_verb_keeps_to_the_table_of_moves(app, status):
    """All states × verbs: what the table forbids is refused in words, and what is refused changes nothing."""
    deeds = {
        "suspended": lambda row, by: subscriptions.suspend(row, reason="x", by=by),
        "cancelled": lambda row, by: subscriptions.cancel(row, by=by),
    }
    for target, deed in deeds.items():
        number = stock.subscription(_plan_once(), title=f"{status} {target}", pending=status == "pending")
        _force(number, status)
        before = the(number).status
        allowed = SubscriptionStatus(target) in Subscription.MOVES[SubscriptionStatus(status)]
        try:
            with acting_as(DORA) as by:
                deed(db.session.get(Subscription, number), by)
        except Refused:
            assert not allowed and the(number).status is before
        else:
            assert allowed and the(number).status == target


def _plan_once() -> int:
    with unscoped("looking", writes=False) as session:
        known = session.scalar(select(Plan.id))
    return known or stock.plan()


def _force(number: int, status: str) -> None:
    if status == "pending":
        return
    facts = {"status": SubscriptionStatus(status)}
    facts |= {"delete_on": date(2099, 1, 1)} if status in {"cancelled", "deleted"} else {}
    with unscoped("as if it had come to this") as session:
        session.execute(update(Subscription).where(Subscription.id == number).values(**facts))


# --- changing the plan -------------------------------------------------------------------------------------------


def test_an_upgrade_credits_the_rest_and_charges_the_rest(app):
    with on("2026-01-01"):
        small = stock.plan("small", amounts={"base": Decimal(31)})
        large = stock.plan("large", amounts={"base": Decimal(62)})
        number = stock.subscription(small)
    with on("2026-01-11"), acting_as(ALICE):
        subscription = db.session.get(Subscription, number)
        held = {meter: 0 for meter in Meter}
        amount = quotes.of_change(subscription, db.session.get(Plan, large), quantities=held, on=date(2026, 1, 11))

    assert [(line.credit, line.amount, line.part.days) for line in amount.lines] == [
        (True, Decimal("-21.00"), 21), (False, Decimal("42.00"), 21),
    ]  # fmt: skip
    assert amount.net == Decimal(21)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(price=st.integers(1, 10**7), days=st.integers(0, 30))
def test_a_change_to_the_same_costs_nothing_whatever_the_day(app, price, days):
    with unscoped("one world for all examples") as session:
        known = session.scalar(select(Subscription.id))
    with on("2026-01-31"):
        number = known or stock.subscription(stock.plan())
    with unscoped("another price") as session:
        session.execute(update(PlanPrice).values(base_minor=price))
    with acting_as(ALICE):
        subscription = db.session.get(Subscription, number)
        day = min(subscription.starts_on + timedelta(days=days), subscription.ends_on - DAY)
        held = {meter: 0 for meter in Meter}
        amount = quotes.of_change(subscription, subscription.plan, quantities=held, on=day)

    assert (amount.net, amount.tax, amount.gross) == (0, 0, 0)


# --- parts, deadlines --------------------------------------------------------------------------------------------


def test_a_resource_group_is_named_once_in_its_subscription(app):
    plan = stock.plan()
    number, other = stock.subscription(plan), stock.subscription(plan, title="Other")
    do(number, resource_groups.add, by=BOB, name="Pier 4")

    for name in ("", "pier  4", "x" * 121):
        with pytest.raises(Refused) as refusal:
            do(number, resource_groups.add, by=BOB, name=name)
        assert refusal.value.field == "name"
    do(other, resource_groups.add, by=BOB, name="Pier 4")
    with pytest.raises(Refused, match="already"), acting_as(BOB):
        second = resource_groups.add(db.session.get(Subscription, number), "Pier 5")
        resource_groups.change(second, "Pier 4")


def test_a_part_cannot_be_hung_under_another_accounts_subscription(app):
    """The composite key says so to the database, whoever asks."""
    plan = stock.plan()
    foreign = stock.subscription(plan, "deichbau")
    with pytest.raises(IntegrityError), unscoped("trying to") as session:
        account = account_called("kuestenfunk")
        day = the(foreign).created_at
        session.add(ResourceGroup(account=account, subscription_id=foreign, name="x", created_at=day))
        session.flush()


def test_the_deadlines_ahead_are_those_of_the_scope(app):
    with on("2026-01-31"):
        plan, free = stock.plan(), stock.plan("free", trial_months=1)
        stock.subscription(plan, title="Ends")
        stock.subscription(free, title="Free", postponed=True)
        stock.subscription(plan, "bergen", title="Cancelled")
        stock.subscription(plan, "gletscherbau", title="A stranger's")
        with unscoped("looking", writes=False) as session:
            cancelled = session.scalar(select(Subscription.id).where(Subscription.title == "Cancelled"))
        _cancel(cancelled, FRIDA)
        found = {}
        for person in (ALICE, BOB, CHARLIE):
            with acting_as(person):
                told = deadlines.ahead(zone="Europe/Berlin", may=lambda right: right == "subscription.list")
                found[person.slug] = [(one.on.isoformat(), one.what, one.whose) for one in told]

    assert found["nordlicht"] == [
        ("2026-02-14", "What is stored in Cancelled is deleted", "Bergen Sensor"),
        ("2026-02-28", "Ends ends: renew it", "Küstenfunk"),
        ("2026-02-28", "The free month of Free ends: pay or cancel", "Küstenfunk"),
    ]
    assert [what for _day, what, _whose in found["kuestenfunk"]] == [what for _d, what, _w in found["nordlicht"][1:]]
    assert [what for _day, what, _whose in found["alpenwerk"]] == ["A stranger's ends: renew it"]


def test_a_cancellation_ahead_is_a_deadline_and_what_is_over_is_none(app):
    with on("2026-01-31"):
        plan = stock.plan()
        ahead, over = stock.subscription(plan, title="Ahead"), stock.subscription(plan, title="Over")
        with acting_as(BOB) as bob:
            subscriptions.cancel(db.session.get(Subscription, ahead), by=bob, at_end=True)
        _cancel(over)
    with on("2026-02-15"):
        assert tick() == 1
        with acting_as(BOB):
            told = deadlines.ahead(zone="Europe/Berlin", may=lambda right: right == "subscription.list")
    assert [one.what for one in told] == ["The cancellation of Ahead takes effect"]


def test_before_what_is_stored_is_deleted_its_readers_are_told_once(app):
    """The date stands in the mail of the cancellation, and once more when it is near (I-9)."""
    with on("2026-01-31"):
        _cancel(stock.subscription(stock.plan(), title="Gone soon"))
    for day, told in [("2026-02-10", 0), ("2026-02-11", 1), ("2026-02-12", 1), ("2026-02-13", 1)]:
        with on(day):
            tick()
        assert sum("is deleted on" in subject for _to, subject in mails()) == told, day
    with on("2026-02-14"):
        assert tick() == 1


def test_a_cancellation_that_takes_effect_is_told(app):
    with on("2026-01-31"):
        number = stock.subscription(stock.plan(), title="Ahead")
        with acting_as(BOB) as bob:
            subscriptions.cancel(db.session.get(Subscription, number), by=bob, at_end=True)
    with on("2026-02-28"):
        tick()
    assert sum(subject == "Ahead is cancelled" for _to, subject in mails()) == 2

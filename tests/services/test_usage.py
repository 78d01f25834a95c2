"""Reported usage (I-4): what is taken, what is refused, and the most of a billing month with its day."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import time_machine
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, select, update
from sqlalchemy.exc import DatabaseError, IntegrityError

from app.errors import Refused
from app.extensions import db
from app.models import PaymentMode, Subscription, UsageReport, UsageSource
from app.periods import Period
from app.services import subscriptions, usage
from app.services.usage import Peak, peak_among
from app.tenancy import unscoped
from tests import stock
from tests.cast import ALICE, BOB, CHARLIE, DORA, account_called, acting_as
from tests.signing import history

BERLIN = "Europe/Berlin"
MARCH = Period(date(2026, 3, 1), date(2026, 4, 1))


def at(text: str, zone: str = BERLIN) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


@contextmanager
def it_is(text: str):
    with time_machine.travel(at(text).astimezone(UTC), tick=False):
        yield


@pytest.fixture
def harbour(app) -> int:
    """Küstenfunk's, since 31 January, in Hamburg."""
    with it_is("2026-01-31 08:00"):
        return stock.subscription(stock.plan(period="yearly", postpaid=True), payment_mode=PaymentMode.POSTPAID)


def report(number: int, users: int, when: str = "", by=BOB, **facts) -> None:
    with acting_as(by) as who:
        moment = {"at": at(when)} if when else {}
        usage.report(db.session.get(Subscription, number), users, by=who, **moment, **facts)


def peak(number: int, month: Period = MARCH) -> Peak | None:
    with acting_as(BOB):
        return usage.peak_of(db.session.get(Subscription, number), month)


def kept() -> list[UsageReport]:
    with unscoped("looking", writes=False) as session:
        return list(session.scalars(select(UsageReport).order_by(UsageReport.id)))


# --- reporting ---------------------------------------------------------------------------------------------------


def test_a_report_says_how_many_when_by_whom_and_how(harbour):
    with it_is("2026-03-14 09:30"):
        report(harbour, 57)
        report(harbour, 60, "2026-03-13 18:00", by=ALICE, source=UsageSource.API)

    told = [(one.users, one.at, one.source, one.actor) for one in kept()]
    assert told == [
        (57, at("2026-03-14 09:30"), "by-hand", "Bob Brandt"),
        (60, at("2026-03-13 18:00"), "api", "Alice Ahrens"),
    ]
    assert history().count("usage_report.reported") == 2


@pytest.mark.parametrize("users", [0, 1_000_000])
def test_the_outermost_numbers_are_taken(harbour, users):
    with it_is("2026-03-14 09:30"):
        report(harbour, users)

    assert [one.users for one in kept()] == [users]


@pytest.mark.parametrize(
    ("users", "when", "field"),
    [
        (-1, "", "users"),
        (1_000_001, "", "users"),
        (5, "2026-03-14 09:31", "at"),
        (5, "2026-01-30 23:59:59", "at"),
        (5, "0001-01-01 00:00", "at"),
        (5, "9999-12-31 23:59", "at"),
    ],
)
def test_what_cannot_be_is_refused_at_its_field(harbour, users, when, field):
    with it_is("2026-03-14 09:30"), pytest.raises(Refused) as refusal:
        report(harbour, users, when)

    assert refusal.value.field == field and kept() == []


def test_from_the_first_moment_of_its_first_day_on_usage_is_reported(harbour):
    with it_is("2026-03-14 09:30"):
        report(harbour, 5, "2026-01-31 00:00")

    assert len(kept()) == 1


def test_what_does_not_run_has_no_usage(app, harbour):
    waiting = stock.subscription(stock.plan("other"), title="Waiting", pending=True)
    with it_is("2026-03-14 09:30"):
        with acting_as(ALICE) as alice:
            subscriptions.suspend(db.session.get(Subscription, harbour), reason="x", by=alice)
        for number in (harbour, waiting):
            with pytest.raises(Refused, match="no usage to report"):
                report(number, 5)

    assert kept() == []


def test_reports_are_only_added_to(harbour):
    with it_is("2026-03-14 09:30"):
        report(harbour, 5)

    for deed in (update(UsageReport).values(users=1), delete(UsageReport)):
        with pytest.raises(DatabaseError, match="only added to"), unscoped("trying to") as session:
            session.execute(deed)


def test_the_database_itself_takes_no_number_beyond(harbour):
    with pytest.raises(IntegrityError, match="ck_usage_report_users"), unscoped("trying to") as session:
        account = account_called("kuestenfunk")
        told = UsageReport(account=account, subscription_id=harbour, at=at("2026-03-01"), users=1_000_001, actor="")
        told.source = UsageSource.API
        session.add(told)
        session.flush()


def test_strangers_see_no_reports(harbour):
    with it_is("2026-03-14 09:30"):
        report(harbour, 5)

    for person, seen in ((BOB, 1), (ALICE, 1), (DORA, 1), (CHARLIE, 0)):
        with acting_as(person):
            assert len(db.session.scalars(select(UsageReport)).all()) == seen


def test_a_day_counted_by_hand_is_taken_at_its_noon_and_today_at_once(harbour):
    with it_is("2026-03-14 09:30"), acting_as(BOB):
        row = db.session.get(Subscription, harbour)
        assert usage.moment_of(row, date(2026, 3, 13)) == at("2026-03-13 12:00")
        assert usage.moment_of(row, date(2026, 3, 14)) == at("2026-03-14 09:30")


# --- the most of a month -----------------------------------------------------------------------------------------


def test_a_billing_month_counts_from_the_day_of_the_contract(harbour):
    with acting_as(BOB):
        row = db.session.get(Subscription, harbour)
        months = [usage.month_of(row, date(2026, 2, day)) for day in (27, 28)]

    assert months == [
        Period(date(2026, 1, 31), date(2026, 2, 28)),
        Period(date(2026, 2, 28), date(2026, 3, 31)),
    ]


def test_the_peak_is_the_highest_number_and_its_first_day(harbour):
    with it_is("2026-04-14 09:30"):
        for when, users in (("03-05 10:00", 40), ("03-09 10:00", 57), ("03-09 11:00", 12), ("03-20 10:00", 57)):
            report(harbour, users, f"2026-{when}")

    assert peak(harbour) == Peak(57, date(2026, 3, 9))


def test_of_equal_peaks_the_first_day_counts_in_whichever_order_they_came_in(harbour):
    with it_is("2026-04-14 09:30"):
        for day in (20, 9, 12):
            report(harbour, 57, f"2026-03-{day:02} 10:00")

    assert peak(harbour) == Peak(57, date(2026, 3, 9))


def test_a_month_begins_with_what_was_reported_last_before_it(harbour):
    with it_is("2026-04-14 09:30"):
        report(harbour, 90, "2026-02-10 10:00")
        report(harbour, 57, "2026-02-20 10:00")
        report(harbour, 12, "2026-03-20 10:00")

    assert peak(harbour) == Peak(57, date(2026, 3, 1))
    assert peak(harbour, Period(date(2026, 4, 1), date(2026, 5, 1))) == Peak(12, date(2026, 4, 1))


def test_what_is_reported_with_the_first_moment_takes_the_place_of_what_was_before(harbour):
    with it_is("2026-04-14 09:30"):
        report(harbour, 90, "2026-02-20 10:00")
        report(harbour, 80, "2026-03-01 00:00")
        report(harbour, 12, "2026-03-01 00:00")

    assert peak(harbour) == Peak(12, date(2026, 3, 1))


def test_where_nothing_was_reported_there_is_no_peak(harbour):
    assert peak(harbour) is None
    with it_is("2026-04-14 09:30"):
        report(harbour, 5, "2026-04-01 00:00")

    assert peak(harbour) is None  # what came afterwards says nothing of it
    assert peak(harbour, Period(date(2026, 4, 1), date(2026, 5, 1))) == Peak(5, date(2026, 4, 1))


@pytest.mark.parametrize(
    ("when", "march"),
    [
        ("2026-02-28 23:59:59.999999", Peak(70, date(2026, 3, 1))),  # holds on
        ("2026-03-01 00:00", Peak(70, date(2026, 3, 1))),
        ("2026-03-29 03:00", Peak(70, date(2026, 3, 29))),  # an hour after the clocks went forward
        ("2026-03-31 23:59:59.999999", Peak(70, date(2026, 3, 31))),  # summer time: 21:59:59 UTC
        ("2026-04-01 00:00", Peak(10, date(2026, 3, 2))),  # 22:00 UTC of 31 March
    ],
)
def test_a_month_ends_at_midnight_where_the_account_is(harbour, when, march):
    with it_is("2026-04-14 09:30"):
        if when > "2026-03-02":
            report(harbour, 10, "2026-03-02 10:00")
        report(harbour, 70, when)

    assert peak(harbour) == march


@pytest.mark.parametrize(
    ("zone", "day"), [("Pacific/Auckland", 11), ("Europe/Berlin", 10), ("America/Los_Angeles", 9)]
)
def test_its_day_is_the_one_it_was_there(app, harbour, zone, day):
    with it_is("2026-04-14 09:30"):
        with acting_as(DORA):
            account_called("kuestenfunk").time_zone = zone
            db.session.flush()
        with acting_as(BOB) as bob:
            moment = {"Europe/Berlin": 10, "Pacific/Auckland": 15, "America/Los_Angeles": 3}[zone]
            when = datetime(2026, 3, 10, moment, tzinfo=UTC)
            usage.report(db.session.get(Subscription, harbour), 7, at=when, by=bob)

    assert peak(harbour) == Peak(7, date(2026, 3, day))


def test_a_day_without_midnight_begins_when_it_begins():
    """In Santiago the clocks go from 23:59:59 on 5 September 2026 to 1:00."""
    zone, month = "America/Santiago", Period(date(2026, 9, 6), date(2026, 10, 6))
    last, first = datetime(2026, 9, 6, 3, 59, 59, tzinfo=UTC), datetime(2026, 9, 6, 4, 0, tzinfo=UTC)

    assert peak_among([(first, 9)], month, zone) == Peak(9, date(2026, 9, 6))
    assert peak_among([(last, 5), (first, 5)], month, zone) == Peak(5, date(2026, 9, 6))
    assert peak_among([(last, 9)], Period(date(2026, 8, 6), date(2026, 9, 6)), zone) == Peak(9, date(2026, 9, 5))


HOURS = st.integers(0, 24 * 100)
REPORTED = st.lists(st.tuples(HOURS, st.integers(0, 5)), max_size=12, unique_by=lambda one: one[0])


@given(reported=REPORTED)
def test_the_arithmetic_is_that_of_looking_at_every_hour(reported):
    begin = datetime(2026, 1, 31, tzinfo=UTC)
    reports = [(begin + timedelta(hours=hour), users) for hour, users in reported]

    held: dict[date, list[int]] = {}
    users, told = None, dict(reports)
    for hour in range(24 * 101):
        moment = begin + timedelta(hours=hour)
        users = told.get(moment, users)
        if users is not None:
            held.setdefault(moment.astimezone(ZoneInfo(BERLIN)).date(), []).append(users)
    most = {day: max(seen) for day, seen in held.items() if day in MARCH}
    expected = None
    if most:
        highest = max(most.values())
        expected = Peak(highest, min(day for day, users in most.items() if users == highest))

    assert peak_among(reports, MARCH, BERLIN) == expected

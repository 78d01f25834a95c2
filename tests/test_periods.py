"""The calendar of agreements (I-9), with PostgreSQL's own date arithmetic as the judge."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from itertools import pairwise

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import make_url

from app.periods import Period, add_months, is_anchored, next_end, period_at, period_of, periods_until
from tests import databases

DAYS = st.dates(date(1990, 1, 1), date(2190, 12, 31))
LENGTHS = st.sampled_from([1, 3, 12])


@pytest.fixture(scope="module")
def judge() -> Iterator[psycopg.Connection]:
    url = make_url(databases.postgres_admin_url()).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(DAYS, st.integers(-600, 600)), min_size=1, max_size=50))
def test_months_are_added_as_postgresql_adds_them(judge, cases):
    days, months = map(list, zip(*cases, strict=True))
    asked = "SELECT (day + make_interval(months => n))::date FROM unnest(%s::date[], %s::int[]) AS t(day, n)"

    assert [add_months(*case) for case in cases] == [row[0] for row in judge.execute(asked, [days, months])]


@settings(max_examples=40, deadline=None)
@given(DAYS, LENGTHS, st.integers(0, 40))
def test_a_contracts_periods_are_those_of_postgresql(judge, anchor, months, count):
    asked = "SELECT (%s::date + make_interval(months => n * %s))::date FROM generate_series(0, %s) AS n"
    starts = [row[0] for row in judge.execute(asked, [anchor, months, count])]

    assert [period_at(anchor, months, n).first for n in range(count + 1)] == starts


@settings(max_examples=40, deadline=None)
@given(DAYS, LENGTHS, st.integers(0, 20_000))
def test_periods_have_as_many_days_as_postgresql_counts(judge, anchor, months, later):
    period = period_of(anchor, months, anchor + timedelta(days=later))
    (counted,) = judge.execute("SELECT %s::date - %s::date", [period.beyond, period.first]).fetchone()

    assert period.days == counted


@given(DAYS, LENGTHS, st.integers(-20_000, 20_000))
def test_every_day_is_in_the_one_period_that_is_said_to_hold_it(anchor, months, away):
    day = anchor + timedelta(days=away)
    period = period_of(anchor, months, day)

    assert day in period
    assert is_anchored(anchor, period.first) and is_anchored(anchor, period.beyond)


@given(DAYS, LENGTHS, st.integers(1, 60))
def test_periods_follow_one_another_without_gap_and_without_drift(anchor, months, count):
    ends = [anchor]
    for _number in range(count):
        ends.append(next_end(anchor, ends[-1], months))

    assert all(earlier < later for earlier, later in pairwise(ends))
    assert ends[-1] == add_months(anchor, months * count)


@given(DAYS, LENGTHS, st.integers(0, 30), st.integers(-400, 2000))
def test_renewed_late_it_reaches_beyond_the_day_and_not_a_period_further(anchor, months, number, later):
    end = add_months(anchor, months * number)
    day = end + timedelta(days=later)
    periods = periods_until(anchor, end, months, day)

    assert periods[0].first == end and periods[-1].beyond > day
    assert len(periods) == 1 or periods[-1].first <= day
    assert all(earlier.beyond == later.first for earlier, later in pairwise(periods))


@pytest.mark.parametrize(
    ("anchor", "months", "ends"),
    [
        ("2026-01-31", 1, ["2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31"]),
        ("2027-12-30", 1, ["2028-01-30", "2028-02-29", "2028-03-30"]),
        ("2024-02-29", 12, ["2025-02-28", "2026-02-28", "2027-02-28", "2028-02-29"]),
    ],
    ids=["the last of January", "a leap year's February", "a leap day"],
)
def test_a_contract_comes_back_to_its_day(anchor, months, ends):
    day, found = date.fromisoformat(anchor), []
    for _end in ends:
        found.append(next_end(date.fromisoformat(anchor), found[-1] if found else day, months))

    assert [end.isoformat() for end in found] == ends


def test_an_end_that_was_agreed_otherwise_counts_by_itself():
    assert next_end(date(2026, 1, 31), date(2026, 3, 15), 1) == date(2026, 4, 15)


def test_a_period_holds_its_first_day_and_not_the_one_beyond():
    period = Period(date(2026, 2, 1), date(2026, 3, 1))

    assert (period.days, period.first in period, period.beyond in period) == (28, True, False)

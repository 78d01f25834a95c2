"""What comes up, for whom, and how near it is (X-7)."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine

from app import clock
from app.models import Consent, Role
from app.services import deadlines, invitations
from app.services.deadlines import Deadline, Span
from tests import stock
from tests.cast import ALICE, BOB, CHARLIE, account_called, acting_as
from tests.linking import link


def ahead_of(person, *rights, **how):
    with acting_as(person):
        return deadlines.ahead(zone="Europe/Berlin", may=lambda right: not rights or right in rights, **how)


def nouns(person, *rights):
    return [one.noun for one in ahead_of(person, *rights)]


def furnish():
    stock.license_of("kuestenfunk", days=40)
    stock.license_of("kuestenfunk")  # without end
    with acting_as(ALICE) as alice:
        invitations.invite("new@kuestenfunk.example", role=Role.VIEWER, account=account_called("kuestenfunk"), by=alice)
    link(CHARLIE, BOB.email, Consent.LICENSES, ends_on=clock.today() + timedelta(days=20))


def test_what_ends_stands_on_the_board_the_nearest_first(app):
    furnish()

    assert nouns(BOB) == ["invitation", "manager", "license"]
    assert nouns(ALICE) == ["invitation", "license"]
    assert nouns(CHARLIE) == ["relationship", "license"]  # by consent


def test_nobody_reads_of_more_than_they_may_see_lists_of(app):
    furnish()

    assert nouns(BOB, "license.list") == ["license"]
    assert ahead_of(BOB, most=1)[0].noun == "invitation"


def test_what_is_over_comes_up_no_more(app):
    stock.license_of("kuestenfunk", since=30, days=10)

    assert ahead_of(BOB) == []


def test_a_source_takes_one_function(app, monkeypatch):
    """As subscriptions and their trials add theirs."""
    monkeypatch.setattr(deadlines, "SOURCES", {})
    day = clock.today() + timedelta(days=3)

    @deadlines.source("trial")
    def _trials(until, zone):
        assert until > day and zone == "Europe/Berlin"
        yield Deadline(day, "The trial ends", "Küstenfunk", "trial", 1)

    assert [one.what for one in ahead_of(BOB)] == ["The trial ends"]


@pytest.mark.parametrize(
    ("day", "span"),
    [
        (date(2026, 11, 18), Span.WEEK),
        (date(2026, 11, 25), Span.WEEK),
        (date(2026, 11, 26), Span.MONTH),
        (date(2026, 12, 18), Span.MONTH),
        (date(2026, 12, 19), Span.LATER),
    ],
)
def test_a_week_is_seven_days_from_today_and_a_month_thirty(day, span):
    with time_machine.travel(datetime(2026, 11, 18, 12, tzinfo=UTC)):
        board = deadlines.spans([Deadline(day, "x", "x", "x", 1)], zone="Europe/Berlin")

    assert [found for found, ones in board.items() if ones] == [span]

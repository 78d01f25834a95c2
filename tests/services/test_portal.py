"""Whether the customer portal is open: the operator's wish, and what runs in the account (L-13)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app import clock
from app.extensions import db
from app.models import Subscription, SubscriptionStatus
from app.services import portal, subscription_clock, subscriptions
from app.tenancy import unscoped
from tests import stock
from tests.cast import BOB, FRIDA, account_called, acting_as
from tests.services.test_licenses import now_of, use

CLOSED = "No subscription of Küstenfunk is running."


@pytest.fixture
def demanding(app) -> None:
    """The operator asks for a subscription that runs."""
    with unscoped("the operator's switch"):
        account_called("kontor").portal_needs_subscription = True


def why_closed(person=BOB) -> str:
    with acting_as(person, writes=False) as member:
        return portal.why_closed(member.account, portal.subscriptions_of(member.account))


def become(number: int, status: SubscriptionStatus) -> None:
    with unscoped("time goes by") as session:
        subscription = session.get(Subscription, number)
        subscription.status = status
        if subscription.is_over:
            subscription.cancelled_on = subscription.delete_on = stock.today()


def test_unless_the_operator_says_otherwise_it_is_open_to_everybody(app):
    assert why_closed() == ""


def test_the_wish_of_anybody_but_the_operator_closes_nothing(app):
    with unscoped("a switch that is not theirs"):
        for slug in ("nordlicht", "kuestenfunk"):
            account_called(slug).portal_needs_subscription = True

    assert why_closed() == ""


def test_before_the_first_subscription_it_is_closed_where_the_operator_demands_one(demanding):
    assert why_closed() == CLOSED


@pytest.mark.parametrize("status", SubscriptionStatus)
def test_it_is_open_while_a_subscription_may_be_used(demanding, status):
    become(stock.subscription(stock.plan()), status)

    opens = status in {SubscriptionStatus.ACTIVE, SubscriptionStatus.TRIAL}
    assert why_closed() == ("" if opens else CLOSED)


def test_one_that_runs_is_enough(demanding):
    plan = stock.plan()
    become(stock.subscription(plan, title="Old"), SubscriptionStatus.EXPIRED)
    stock.subscription(plan, title="New")

    assert why_closed() == ""


def test_one_that_runs_is_found_among_more_than_the_page_tells(demanding, monkeypatch):
    monkeypatch.setattr(portal, "MOST", 2)
    plan = stock.plan()
    for title in ("A", "B", "C"):
        become(stock.subscription(plan, title=title), SubscriptionStatus.EXPIRED)
    stock.subscription(plan, title="Z")

    assert why_closed() == ""
    with acting_as(BOB, writes=False) as member:
        assert [one.title for one in portal.subscriptions_of(member.account)] == ["A", "Z"]


def test_that_of_another_account_opens_nothing(demanding):
    plan = stock.plan()
    for slug in ("deichbau", "nordlicht", "bergen"):
        stock.subscription(plan, slug)

    assert why_closed() == CLOSED


def test_what_runs_beneath_an_account_is_not_its_own(demanding):
    stock.subscription(stock.plan(), "bergen")

    assert why_closed(FRIDA) == "No subscription of Fjordline is running."


def test_it_closes_with_the_free_month_and_opens_with_the_decision(demanding):
    number = stock.subscription(stock.plan(trial_months=1), postponed=True)
    assert why_closed() == ""

    with clock.back_then(clock.now() + timedelta(days=40)):
        with unscoped("the clock strikes"):
            subscription_clock.run()
        assert why_closed() == CLOSED
        with acting_as(BOB):
            subscriptions.pay(db.session.get(Subscription, number))
        assert why_closed() == ""


def test_licenses_go_on_where_it_is_closed(demanding):
    number = stock.license_of(quantity=10)
    use(number, 4)

    assert why_closed() == CLOSED and now_of(number).in_use == 4

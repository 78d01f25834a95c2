"""Orders: begun, answered, placed once, changed, cancelled; what cannot be ordered is said at the field."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import func, select

from app import clock, domains, pricing
from app.errors import Conflict, OutsideScope, Refused
from app.extensions import db
from app.models import (
    Account,
    Calculation,
    Fulfilment,
    FulfilmentStatus,
    LogEntry,
    Message,
    Order,
    OrderKind,
    OrderLine,
    OrderStatus,
    Plan,
    Subscription,
    SubscriptionStatus,
)
from app.services import catalog, holds, offers, orders, plans
from app.tenancy import unscoped
from tests import buying, stock
from tests.buying import NEUFUNK, answer, begun, draft, instance, place, placed, plan_of, read, tasks, terms, work
from tests.cast import ALICE, BOB, CHARLIE, FRIDA, account_called, account_id, acting_as
from tests.crowd import at_once


def refusal(deed, field, words=""):
    with pytest.raises(Refused, match=words or None) as raised:
        deed()
    assert raised.value.field == field


def counted(model):
    with unscoped("counting rows", writes=False) as session:
        return session.scalar(select(func.count()).select_from(model))


# --- from draft to order -------------------------------------------------------------------------------------------


def test_a_cloud_order_opens_the_customer_and_waits_for_its_fulfilment(alice):
    order = placed(plan_of())

    row = read(Order, order)
    assert (row.status, row.customer, row.domain) == (OrderStatus.PLACED, "Neufunk", "neufunk.example")
    assert row.account_id == account_id_called("Neufunk")
    assert buying.subscription_of(order).status is SubscriptionStatus.PENDING
    with acting_as(alice):
        (task,) = db.session.scalars(select(Fulfilment)).all()
        (line,) = db.session.scalars(select(OrderLine)).all()
        assert task.status is FulfilmentStatus.PENDING
        assert (line.name, line.quantity, line.net) == ("Standard", 1, Decimal("49.00"))


def account_id_called(name):
    with unscoped("looking a number up", writes=False) as session:
        return session.scalar(select(Account.id).where(Account.name == name))


def test_what_was_placed_carries_how_its_price_came_about(alice):
    order = placed(plan_of(amounts={"base": Decimal(49), "users": Decimal(5)}, included_users=3))

    row = read(Order, order)
    kept = read(Calculation, row.calculation_id)
    amount = pricing.from_json(kept.lines, kept.currency)
    assert [(line.what, line.quantity, line.amount) for line in amount.lines] == [
        ("base", 1, Decimal("49.00")), ("users", 2, Decimal("10.00")),
    ]  # fmt: skip
    assert (row.net, row.gross) == (amount.net, amount.gross) == (kept.net, kept.gross)


def test_preview_and_order_say_the_same(alice):
    order = draft(plan_of())
    with acting_as(alice) as by:
        seen = offers.of(db.session.get(Order, order), by=by).amount

    place(order)

    assert read(Order, order).gross == seen.gross


def test_a_draft_is_the_author_s_account_s_and_the_order_is_the_customer_s(alice, bob):
    order = draft(plan_of(), slug="kuestenfunk")
    with acting_as(bob):
        assert db.session.get(Order, order) is None

    place(order)

    with acting_as(bob):
        assert db.session.get(Order, order).ordered_by == "Nordlicht"


def test_author_and_customer_are_told_the_number(alice):
    order = placed(plan_of())

    with acting_as(alice):
        found = {m.recipient: m for m in db.session.scalars(select(Message))}
    assert set(found) == {"alice@nordlicht.example", "nina@neufunk.example"}
    assert all(read(Order, order).public_id in message.subject for message in found.values())


def test_history_tells_who_ordered_what_for_how_much(alice):
    placed(plan_of())

    with acting_as(alice):
        entry = db.session.scalars(select(LogEntry).where(LogEntry.action == "order.placed")).one()
        assert entry.account.name == "Neufunk" and entry.actor.startswith("Alice Ahrens")
        assert entry.changes["total"][1].endswith("EUR") and entry.changes["status"] == ["draft", "placed"]


def test_the_same_form_sent_twice_begins_one_order(alice):
    assert begun(key="form-1") == begun(key="form-1")
    assert counted(Order) == 1


def test_placed_twice_it_is_ordered_once(alice):
    order = placed(plan_of())

    with pytest.raises(Conflict):
        place(order, seen="0")

    assert counted(OrderLine) == counted(Subscription) == 1


def test_a_price_that_has_changed_since_it_was_seen_is_asked_about_again(alice, dora):
    plan = plan_of()
    order = draft(plan)
    with acting_as(dora) as by:
        plans.set_price(db.session.get(Plan, plan), "EUR", on=stock.today(), amounts={"base": Decimal(99)}, by=by)

    refusal(lambda: place(order, seen="58.31"), "seen", "price has changed")

    assert read(Order, order).status is OrderStatus.DRAFT and account_id_called("Neufunk") is None


def test_postponed_billing_is_ordered_and_begins_with_a_free_month(alice):
    plan = plan_of()
    order = draft(plan)
    answer(order, "plan", **terms(plan, postponed=True))

    buying.fulfilled(place(order))

    found = buying.subscription_of(order)
    assert found.status is SubscriptionStatus.TRIAL and found.billed_from is None


# --- what cannot be ordered ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "field"),
    [
        ({"plan_id": 99999}, "plan_id"),
        ({"plan_id": "1; DROP"}, "plan_id"),
        ({"currency": "JPY"}, "currency"),
        ({"currency": None}, "currency"),
        ({"payment_mode": "gift"}, "payment_mode"),
        ({"location": "moon"}, "location"),
        ({"location": None}, "location"),
        ({"users": -1}, "users"),
        ({"users": 51}, "users"),
        ({"users": 10**308}, "users"),
        ({"users": 1.5}, "users"),
    ],
)
def test_terms_that_are_none_are_refused_at_their_field(alice, facts, field):
    plan, order = plan_of(), begun()

    refusal(lambda: answer(order, "plan", **terms(plan) | facts), field)

    assert read(Order, order).answers == {}


def test_a_plan_of_another_type_cannot_be_slipped_in(alice):
    order, saas = begun(type_="cloud"), plan_of("saas")

    refusal(lambda: answer(order, "plan", **terms(saas)), "plan_id")


def test_on_premise_is_not_sold_anew(alice):
    with pytest.raises(Refused, match="not sold anew"):
        begun(type_="on-premise")


@pytest.mark.parametrize(
    ("domain", "words"),
    [
        ("", "fill this in"), ("neufunk", "not a domain"), ("neu funk.example", "not a domain"),
        ("https://neufunk.example", "not a domain"), ("-x.example", "not a domain"), ("10.0.0.1", "not a domain"),
        ("a" * 64 + ".example", "not a domain"), ("x.example/../", "not a domain"), ("neu..example", "not a domain"),
    ],
)  # fmt: skip
def test_a_domain_that_is_none_is_refused_at_its_field(alice, domain, words):
    order = draft(plan_of())

    refusal(lambda: answer(order, "instance", **instance(domain)), "domain", words)


def test_a_domain_may_have_umlauts(alice):
    order = draft(plan_of(), domain="Küstenfunk-Süd.Example.")

    kept = read(Order, order).answers["instance"]["domain"]
    assert kept.startswith("xn--") and domains.shown(kept) == "küstenfunk-süd.example"


def test_a_domain_is_taken_whoever_has_it(alice, charlie):
    plan = plan_of()
    placed(plan, by=CHARLIE, slug="gletscherbau", domain="shop.example", to_customer=False)
    order = draft(plan)

    refusal(lambda: answer(order, "instance", **instance("SHOP.example")), "domain", "is taken")


def test_a_domain_taken_since_is_refused_when_placing_and_nothing_is_half_done(alice):
    plan = plan_of()
    first = draft(plan, domain="shop.example")
    second = draft(plan, slug="deichbau", domain="shop.example", to_customer=False)
    place(second)

    refusal(lambda: place(first), "domain", "is taken")

    assert account_id_called("Neufunk") is None and counted(Subscription) == 1


@pytest.mark.parametrize("slug", ["alpenwerk", "kontor"])
def test_nobody_orders_for_an_account_beside_or_above(alice, slug):
    order, foreign = begun(), account_id(slug)

    refusal(lambda: answer(order, "customer", account_id=foreign), "account_id")


def test_nothing_is_ordered_for_an_account_on_hold(alice):
    order = begun()
    with acting_as(alice) as by:
        account = account_called("deichbau")
        holds.put_on_hold(account, holds.HoldKind.ADMINISTRATIVE, reason="Papers", by=by)
        pk = account.id

    refusal(lambda: answer(order, "customer", account_id=pk), "account_id", "on hold")


@pytest.mark.parametrize(
    ("facts", "field"),
    [({"name": " "}, "name"), ({"name": "küstenfunk"}, "name"), ({"email": ""}, "email"), ({"email": "x"}, "email"),
     ({"vat_id": "DE1"}, "vat_id"), ({"phone": "call me"}, "phone")],
)  # fmt: skip
def test_a_new_customer_that_cannot_be_is_refused_at_the_field(alice, facts, field):
    order = begun()

    refusal(lambda: answer(order, "customer", **NEUFUNK | facts), field)


@pytest.mark.parametrize("name", ["", "1st", "a b", "x" * 41, "Rüdiger"])
def test_an_administrator_needs_a_plain_name(alice, name):
    order = draft(plan_of())

    refusal(lambda: answer(order, "instance", **instance(administrator=name)), "administrator")


def test_credentials_go_to_somebody(alice):
    order = draft(plan_of())

    refusal(lambda: answer(order, "instance", **instance(to_customer=False, to_author=False)), "to_customer")


def test_a_draft_is_written_by_its_own_account_alone(alice, frida, dora):
    order = begun(by=FRIDA)

    with pytest.raises(Refused):
        answer(order, "customer", by=ALICE, **NEUFUNK)
    with acting_as(CHARLIE):
        assert db.session.get(Order, order) is None


def test_an_incomplete_draft_is_not_placed(alice):
    order = begun()

    with pytest.raises(Refused, match="not complete"):
        place(order, seen="0")


def test_a_plan_archived_since_is_refused_when_placing(alice, dora):
    plan = plan_of()
    order = draft(plan)
    with acting_as(dora) as by:
        catalog.archive(db.session.get(Plan, plan), by=by)

    refusal(lambda: place(order, seen="1"), "plan_id")


# --- buying licenses -------------------------------------------------------------------------------------------------


def licenses_draft(lines, *, slug="kuestenfunk", **facts):
    subscription = buying.subscription(plan_of(), slug, group="Husum")
    order = begun(OrderKind.LICENSES)
    said = {"subscription_id": subscription, "group_id": buying.group_of(subscription), "reference": "PO 4711", **facts}
    answer(order, "products", lines=lines, **said)
    return order


def test_licenses_are_bought_for_a_subscription_and_a_part_of_it(alice):
    five, ten = buying.priced("A-5", "5"), buying.priced("A-10", "10.01")
    order = place(licenses_draft([(five, 3), (ten, 2)]))

    row = read(Order, order)
    with acting_as(alice):
        lines = db.session.scalars(select(OrderLine).order_by(OrderLine.position)).all()
    assert [(line.quantity, line.net) for line in lines] == [(3, Decimal("15.00")), (2, Decimal("20.02"))]
    assert (row.net, row.reference) == (Decimal("35.02"), "PO 4711")
    assert row.resource_group_id is not None and len(tasks(order)) == 2


@pytest.mark.parametrize("quantity", [0, -1, 10**9 + 1, 10**308, "3", 1.5, None])
def test_a_quantity_that_is_none_is_refused(alice, quantity):
    article = buying.priced("A-5", "5")

    refusal(lambda: licenses_draft([(article, quantity)]), "lines", "quantity")


def test_an_article_without_a_price_in_the_currency_is_refused(alice):
    article = buying.priced("A-5", "5", currency="CHF")

    refusal(lambda: licenses_draft([(article, 1)]), "lines", "not sold in EUR")


def test_more_than_any_column_holds_is_refused(alice):
    article = buying.priced("A-5", "9999999999")

    refusal(lambda: licenses_draft([(article, 10**9)]), "lines", "too much")


def test_licenses_are_not_bought_for_a_foreign_subscription(alice, charlie):
    article, foreign = buying.priced("A-5", "5"), buying.subscription(plan_of(), "gletscherbau")
    order = begun(OrderKind.LICENSES)

    refusal(lambda: answer(order, "products", subscription_id=foreign, lines=[(article, 1)]), "subscription_id")


# --- renewing and upgrading ------------------------------------------------------------------------------------------


def test_an_on_premise_renewal_points_to_the_order_before_it(alice, dora):
    plan = plan_of("on-premise", period="yearly", renewal_window=366)
    subscription = buying.subscription(plan, starts_on=stock.today() - timedelta(days=20))
    first = renew(subscription)
    buying.fulfilled(first)

    with clock.back_then(clock.now() + timedelta(days=400)):
        second = renew(subscription)

    assert read(Order, second).previous_id == first
    assert read(Order, first).previous_id is None


def renew(subscription):
    order = begun(OrderKind.RENEW)
    answer(order, "subscription", subscription_id=subscription)
    return place(order)


def test_a_renewal_outside_the_window_is_refused(alice):
    plan = plan_of("on-premise", period="yearly", renewal_window=30)
    subscription = buying.subscription(plan, starts_on=stock.today() - timedelta(days=20))
    order = begun(OrderKind.RENEW)

    refusal(lambda: answer(order, "subscription", subscription_id=subscription), "", "can be renewed from")


def test_an_upgrade_charges_the_rest_of_the_period_and_changes_the_plan(alice):
    small, large = plan_of(key="small"), plan_of(key="large", amounts={"base": Decimal(149)})
    subscription = buying.subscription(small)
    order = begun(OrderKind.UPGRADE)
    answer(order, "subscription", subscription_id=subscription, plan_id=large)

    buying.fulfilled(place(order))

    assert read(Order, order).net == Decimal("100.00")
    assert read(Subscription, subscription).plan_id == large


def test_an_upgrade_to_a_cheaper_plan_is_refused(alice):
    small, large = plan_of(key="small"), plan_of(key="large", amounts={"base": Decimal(149)})
    subscription = buying.subscription(large)
    order = begun(OrderKind.UPGRADE)

    refusal(lambda: answer(order, "subscription", subscription_id=subscription, plan_id=small), "plan_id", "costs less")


# --- changing and cancelling -----------------------------------------------------------------------------------------


def cancel(order, *, by=ALICE, reason="Ordered by mistake"):
    with acting_as(by) as member:
        orders.cancel(db.session.get(Order, order), reason=reason, by=member)


def test_a_cancelled_order_gives_its_domain_free_and_its_tasks_up(alice):
    plan = plan_of()
    order = placed(plan)

    cancel(order)

    assert read(Order, order).status is OrderStatus.CANCELLED and read(Order, order).delete_on is None
    assert read(Fulfilment, tasks(order)[0]).status is FulfilmentStatus.CANCELLED
    assert buying.subscription_of(order).status is SubscriptionStatus.CANCELLED
    placed(plan, new=NEUFUNK | {"name": "Neufunk II"})


def test_what_was_begun_is_deleted_after_two_weeks_and_its_domain_free_then(alice):
    order = placed(plan_of())
    work("take", tasks(order)[0])

    cancel(order)

    row = read(Order, order)
    assert row.delete_on == stock.today() + timedelta(days=14) and row.claimed_domain == "neufunk.example"
    with acting_as(alice):
        told = db.session.scalars(select(Message).where(Message.subject.contains("storniert"))).all()
        assert told and all(str(row.delete_on.year) in message.body_text for message in told)
    with clock.back_then(clock.now() + timedelta(days=15)), unscoped("the clockwork of a test"):
        orders.release_domains()
    assert read(Order, order).claimed_domain is None


def test_nothing_is_cancelled_once_something_is_fulfilled(alice):
    article = buying.priced("A-5", "5")
    order = place(licenses_draft([(article, 1), (article, 2)]))
    first, _second = tasks(order)
    work("take", first)
    work("fulfil", first)

    with pytest.raises(Refused, match="fulfilled already"):
        cancel(order)


def test_the_customer_does_not_cancel_what_their_partner_has_ordered(alice, bob):
    order = placed(plan_of(), slug="kuestenfunk", to_customer=False)

    with pytest.raises(Refused, match="Whoever has placed"):
        cancel(order, by=BOB)


def test_a_changed_order_takes_the_place_of_the_first(alice):
    plan = plan_of()
    first = placed(plan)
    with acting_as(alice) as by:
        second = orders.change(db.session.get(Order, first), form_key="change-1", by=by).id
    answer(second, "plan", **terms(plan, users=9))

    place(second)

    assert read(Order, first).status is OrderStatus.CANCELLED and read(Order, second).status is OrderStatus.PLACED
    assert read(Order, second).claimed_domain == "neufunk.example" and read(Order, first).claimed_domain is None


def test_a_draft_is_thrown_away(alice):
    order = begun()
    with acting_as(alice) as by:
        orders.discard(db.session.get(Order, order), by=by)

    assert read(Order, order) is None


# --- at the same moment ----------------------------------------------------------------------------------------------


def test_of_two_who_place_at_once_one_does(alice):
    order = draft(plan_of())
    with acting_as(alice) as by:
        seen = str(offers.of(db.session.get(Order, order), by=by).amount.gross)

    found = at_once(*[lambda: place(order, seen=seen)] * 2)

    assert sorted(type(one).__name__ for one in found) == ["Conflict", "NoneType"]
    assert counted(OrderLine) == counted(Subscription) == 1


def test_of_two_who_want_a_domain_at_once_one_gets_it(alice, charlie):
    plan = plan_of()
    drafts = [
        (draft(plan, domain="shop.example"), ALICE),
        (draft(plan, by=CHARLIE, slug="gletscherbau", domain="shop.example", to_customer=False), CHARLIE),
    ]

    found = at_once(*[lambda order=order, by=by: place(order, by=by) for order, by in drafts])

    assert sorted(type(one).__name__ for one in found) == ["NoneType", "Refused"]
    with unscoped("counting rows", writes=False) as session:
        assert session.scalar(select(func.count()).where(Order.claimed_domain == "shop.example")) == 1


def test_strangers_reach_no_order(alice, charlie):
    order = placed(plan_of())

    with acting_as(charlie):
        assert db.session.get(Order, order) is None
        assert not db.session.scalars(select(Order)).all()
    with pytest.raises((OutsideScope, AttributeError)):
        cancel(order, by=CHARLIE)


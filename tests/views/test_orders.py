"""What must not be ordered, through the wizard's forms and through the API: a clear message, nothing half done."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from app.extensions import db
from app.models import Account, Fulfilment, Order, OrderKind, OrderLine, OrderStatus, Subscription
from app.tenancy import unscoped
from tests import buying, stock
from tests.cast import ALICE, CHARLIE, account_id, browse, program

MADE_BY_PLACING = (Account, Subscription, OrderLine, Fulfilment)


@pytest.fixture
def plan(app) -> int:
    return buying.plan_of()


@pytest.fixture
def made():
    """How many rows there are of what placing an order makes; asked again later, it must be as many."""

    def counted() -> list[int]:
        with unscoped("counting", writes=False) as session:
            return [session.scalar(select(func.count()).select_from(model)) for model in MADE_BY_PLACING]

    return counted


def planned(plan: int) -> int:
    """A draft that says its plan, for Küstenfunk."""
    order = buying.begun()
    buying.answer(order, "plan", **buying.terms(plan))
    buying.answer(order, "customer", account_id=account_id("kuestenfunk"))
    return order


def post(step: str, order: int, **typed):
    return browse(ALICE).post(f"/orders/{step}/{order}", data=typed)


def refused(answer, said: str, *kept: str) -> None:
    """Said where it is wrong, with everything typed still there."""
    assert answer.status_code == 422, answer.status_code
    assert said in answer.text
    assert all(f'value="{word}"' in answer.text for word in kept)


# --- the wizard --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("domain", ["no domain", "-x.example", "localhost", "a..example", "x" * 64 + ".example"])
def test_an_invalid_domain_is_said_at_its_field(plan, domain):
    answer = post("instance", planned(plan), domain=domain, administrator="Root", to_author="y")

    refused(answer, "domain-error", domain, "Root")


def test_a_taken_domain_is_said_at_its_field_whoever_has_it(plan):
    buying.placed(plan, by=CHARLIE, slug="gletscherbau", domain="ours.example", to_customer=False)

    answer = post("instance", planned(plan), domain="OURS.example", administrator="Root", to_author="y")

    refused(answer, "ours.example is taken; choose another one.", "OURS.example", "Root")


@pytest.mark.parametrize("users", ["-1", "1e308", "many", "51", "1.5"])
def test_so_many_users_cannot_be_ordered(plan, users):
    order = buying.begun()

    answer = post("plan", order, plan_id=plan, payment_mode="prepaid", location="eu", currency="EUR", users=users)

    refused(answer, "users-error", users)
    assert "plan" not in buying.read(Order, order).answers


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"plan_id": "999999"}, "plan_id-error"),
        ({"plan_id": "x"}, "plan_id-error"),
        ({"currency": "USD"}, "is not sold in USD."),
        ({"payment_mode": "free"}, "payment_mode-error"),
        ({"location": "mars"}, "location-error"),
    ],
    ids=str,
)
def test_a_plan_or_term_that_is_not_offered_is_refused(plan, typed, said):
    usual = {"plan_id": plan, "payment_mode": "prepaid", "location": "eu", "currency": "EUR", "users": "5"}

    refused(post("plan", buying.begun(), **usual | typed), said)


def test_a_plan_of_another_type_cannot_be_slipped_in(plan):
    other = buying.plan_of("saas")
    usual = {"payment_mode": "prepaid", "location": "eu", "currency": "EUR", "users": "5"}

    refused(post("plan", buying.begun(), plan_id=other, **usual), "plan_id-error")


@pytest.mark.parametrize("quantity", ["0", "-1", "1e308", "1,5", "", "1000000001"])
def test_a_quantity_that_is_none_is_refused(plan, made, quantity):
    running, article = buying.subscription(plan), buying.priced("ART-Q")
    order, before = buying.begun(OrderKind.LICENSES), made()

    answer = post("products", order, subscription_id=running, article=article, quantity=quantity, reference="PO 7")

    refused(answer, "A quantity is a whole number from 1 to 1,000,000,000.", "PO 7")
    assert made() == before and buying.read(Order, order).answers == {}


def test_a_price_that_is_typed_in_is_not_looked_at(plan):
    """Nothing a form says about prices counts; the server's do, and a total that was never shown places nothing."""
    running, article = buying.subscription(plan), buying.priced("ART-Q", "10")
    order = buying.begun(OrderKind.LICENSES)
    tampered = {"unit_price": "0.01", "price": "0.01", "net": "0.01", "currency": "JPY"}
    post("products", order, subscription_id=running, article=article, quantity="2", **tampered)

    answer = post("summary", order, seen="0.01", gross="0.01")

    refused(answer, "The price has changed since you looked; please check it once more.")
    assert buying.read(Order, order).status is OrderStatus.DRAFT
    assert post("summary", order, seen="20.00", gross="0.01").status_code == 302
    assert buying.read(Order, order).gross_minor == 2000


def test_a_renewal_outside_its_window_says_from_when(app):
    yearly = buying.plan_of(key="yearly", period="yearly")
    running, order = buying.subscription(yearly), buying.begun(OrderKind.RENEW)

    answer = post("subscription", order, subscription_id=running, reference="PO 7", remark="")

    refused(answer, "can be renewed from", "PO 7")


@pytest.mark.parametrize("slug", ["gletscherbau", "alpenwerk", "kontor"])
def test_for_an_account_beside_or_above_nothing_is_ordered(plan, slug):
    order = buying.begun()
    buying.answer(order, "plan", **buying.terms(plan))

    answer = post("customer", order, who="existing", account_id=account_id(slug))

    refused(answer, "There is no such account.")
    assert "customer" not in buying.read(Order, order).answers


def test_a_strangers_draft_and_subscription_do_not_exist(plan):
    theirs = buying.begun(by=CHARLIE)
    foreign = buying.subscription(plan, "gletscherbau")
    order, article = buying.begun(OrderKind.LICENSES), buying.priced("ART-Q")

    for step in ("plan", "customer", "instance", "summary", "discard"):
        assert post(step, theirs).status_code == 404, step
    answer = post("products", order, subscription_id=foreign, article=article, quantity="1")
    assert answer.status_code == 422 and "gletscherbau" not in answer.text.lower()
    assert buying.read(Order, order).answers == {}


def test_placed_twice_it_is_ordered_once(plan, made):
    order = buying.draft(plan, slug="kuestenfunk")
    with unscoped("what the page shows", writes=False):
        assert db.session.get(Order, order).status is OrderStatus.DRAFT
    shown = browse(ALICE).get(f"/orders/summary/{order}").text
    seen = shown.partition('name="seen" value="')[2].partition('"')[0]

    first, before = post("summary", order, seen=seen), None
    before = made()
    second = post("summary", order, seen=seen)

    assert {first.status_code, second.status_code} == {302} and made() == before


def test_lists_show_what_has_no_plan(plan):
    """An order of licenses stands in the list beside one with a plan, and so does an account that has chosen none."""
    buying.placed(plan, slug="kuestenfunk")
    running, article = buying.subscription(plan), buying.priced("ART-Q")
    order = buying.begun(OrderKind.LICENSES)
    lines = {"subscription_id": running, "group_id": None, "new_group": "", "lines": [[article, 1]]}
    buying.answer(order, "products", **lines)
    buying.place(order)

    page = browse(ALICE).get("/orders/list/").text
    assert buying.read(Order, order).public_id in page and "neufunk.example" in page
    assert "Küstenfunk" in browse(ALICE).get("/accounts/list/?cols=name,plan.name").text


# --- the API -----------------------------------------------------------------------------------------------------


@pytest.fixture
def licenses(plan):
    """What a program says to buy licenses for a running subscription."""
    running, _article = buying.subscription(plan), buying.priced("ART-Q", "10")
    return {"subscription_id": running, "lines": [{"article": "ART-Q", "quantity": 2}]}


@pytest.fixture
def warehouse(app):
    return program(ALICE)


@pytest.mark.parametrize("quantity", [0, -1, 1e308, 1.5, "2", None, 10**10])
def test_a_program_orders_no_quantity_that_is_none(licenses, warehouse, quantity):
    answer = warehouse.post("/api/v1/order/", json=licenses | {"lines": [{"article": "ART-Q", "quantity": quantity}]})

    assert answer.status_code == 422, answer.text
    assert buying.read(Order, 1) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"lines": []},
        {"lines": [{"article": "ART-0", "quantity": 1}]},
        {"lines": [{"article": "ART-Q", "quantity": 1, "unit_price": "0.01"}]},
        {"subscription_id": 999_999},
        {"total": "0.01"},
    ],
    ids=str,
)
def test_a_program_cannot_slip_anything_in(licenses, warehouse, wrong):
    assert warehouse.post("/api/v1/order/", json=licenses | wrong).status_code == 422
    assert buying.read(Order, 1) is None


def test_a_program_pays_the_servers_price(licenses, warehouse, made):
    order = warehouse.post("/api/v1/order/", json=licenses).json["id"]
    before = made()

    tampered = warehouse.post(f"/api/v1/order/{order}/place", json={"total": "0.01"})

    assert tampered.status_code in {409, 422} and "price has changed" in tampered.text and made() == before
    assert warehouse.post(f"/api/v1/order/{order}/place", json={"total": "20.00"}).status_code == 200
    assert warehouse.post(f"/api/v1/order/{order}/place", json={"total": "20.00"}).status_code == 409


def test_a_program_orders_for_no_stranger(plan, warehouse):
    foreign, _article = buying.subscription(plan, "gletscherbau"), buying.priced("ART-Q")
    wanted = {"subscription_id": foreign, "lines": [{"article": "ART-Q", "quantity": 1}]}

    assert warehouse.post("/api/v1/order/", json=wanted).status_code == 422


def test_a_program_renews_within_the_window_alone(warehouse):
    running = buying.subscription(buying.plan_of(key="yearly", period="yearly"))

    answer = warehouse.post(f"/api/v1/subscription/{running}/renew", json={"version": 1})

    assert answer.status_code in {409, 422} and "can be renewed from" in answer.text


def test_an_article_not_sold_in_the_currency_is_refused(plan, warehouse):
    running = buying.subscription(plan)
    stock.article("ART-Y")

    answer = warehouse.post(
        "/api/v1/order/", json={"subscription_id": running, "lines": [{"article": "ART-Y", "quantity": 1}]}
    )

    assert answer.status_code == 422 and "not sold in EUR" in answer.text

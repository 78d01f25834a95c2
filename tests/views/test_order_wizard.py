"""The wizard of orders as its author meets it: drafts that stay, what is offered, and a no at the right place."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal

import pytest
import time_machine
from sqlalchemy import func, select

from app import clock
from app.extensions import db
from app.models import Account, Consent, Message, Order, OrderKind, OrderLine, OrderStatus, Plan, Role, Subscription
from app.services import catalog, plans
from app.tenancy import unscoped
from tests import buying, linking, stock
from tests.cast import ALICE, BOB, CHARLIE, DORA, FRIDA, account_id, acting_as, browse, hire

USUAL = {"payment_mode": "prepaid", "location": "eu", "currency": "EUR", "users": "5"}


@pytest.fixture
def plan(app) -> int:
    return buying.plan_of()


def post(step: str, order: int, *, by=ALICE, **typed):
    return browse(by).post(f"/orders/{step}/{order}", data=typed)


def page(step: str, order: int, *, by=ALICE) -> str:
    return browse(by).get(f"/orders/{step}/{order}").text


def price(order: int, step: str, **typed) -> str:
    """What stands beside the step as the form is typed."""
    return browse(ALICE).post(f"/orders/preview/{order}?step={step}", data=typed).text


def answers(order: int) -> dict:
    return buying.read(Order, order).answers


def placed_rows() -> list[int]:
    """How much there is of what placing makes."""
    with unscoped("counting", writes=False) as session:
        made = (Account, Subscription, OrderLine, Message)
        return [session.scalar(select(func.count()).select_from(model)) for model in made]


def planned(plan: int) -> int:
    order = buying.begun()
    buying.answer(order, "plan", **buying.terms(plan))
    return order


def for_kuestenfunk(plan: int) -> int:
    order = planned(plan)
    buying.answer(order, "customer", account_id=account_id("kuestenfunk"))
    return order


# --- drafts ------------------------------------------------------------------------------------------------------


def test_an_answer_is_there_after_a_reload_and_on_a_colleagues_computer(plan):
    svea = hire("svea@nordlicht.example", "nordlicht", Role.MANAGER)
    order = buying.begun()

    answer = post("plan", order, plan_id=plan, **USUAL | {"users": "7"})

    assert answer.status_code == 302 and answer.location.endswith(f"/orders/customer/{order}")
    assert 'value="7"' in page("plan", order)
    assert 'value="7"' in page("plan", order, by=svea)
    assert f"/orders/customer/{order}" in browse(svea).get("/orders/new").text  # goes on where it stopped


def test_what_is_wrong_is_not_kept_and_the_answer_before_it_is(plan):
    order = planned(plan)

    assert post("plan", order, plan_id=plan, **USUAL | {"users": "1e308"}).status_code == 422

    assert answers(order)["plan"]["users"] == 5


def test_a_later_step_cannot_be_reached_over_what_is_missing(plan):
    order = planned(plan)

    assert browse(ALICE).get(f"/orders/summary/{order}").location.endswith(f"/orders/customer/{order}")
    assert post("summary", order, seen="49.00").location.endswith(f"/orders/customer/{order}")
    assert buying.read(Order, order).status is OrderStatus.DRAFT


@pytest.mark.parametrize("step", ["products", "subscription"])
def test_a_step_of_another_kind_of_order_is_not_there(plan, step):
    assert browse(ALICE).get(f"/orders/{step}/{planned(plan)}").status_code == 404


def test_whoever_comes_back_to_an_order_that_was_placed_is_led_to_it(plan):
    order = buying.placed(plan, slug="kuestenfunk")

    for step in ("plan", "customer", "instance", "summary"):
        assert post(step, order, plan_id=plan, **USUAL).location.endswith(f"/orders/show/{order}"), step


def test_who_only_looks_on_writes_no_draft(plan):
    """Frida's draft is seen by Nordlicht above her, and stays hers; a customer does not order at all."""
    theirs = buying.begun(by=FRIDA)

    assert post("plan", theirs, plan_id=plan, **USUAL).status_code == 403
    assert browse(BOB).get("/orders/new").status_code == 403
    assert answers(theirs) == {}


# --- plan and terms ----------------------------------------------------------------------------------------------


def test_nothing_is_offered_that_no_plan_has(app):
    plan = buying.plan_of(postpaid=False)
    order = buying.begun()

    assert "Pre-paid" in page("plan", order) and 'value="postpaid"' not in page("plan", order)
    answer = post("plan", order, plan_id=plan, **USUAL | {"payment_mode": "postpaid"})
    assert answer.status_code == 422 and "payment_mode-error" in answer.text


def test_a_place_the_data_cannot_lie_in_is_refused(app):
    here = stock.plan("here", product=stock.product("here", type="cloud", locations=["eu"]))
    order = buying.begun()

    assert 'value="us"' not in page("plan", order)
    answer = post("plan", order, plan_id=here, **USUAL | {"location": "us"})
    assert answer.status_code == 422 and "location-error" in answer.text and answers(order) == {}


def test_nobody_orders_for_nobody(plan):
    with acting_as(DORA):
        db.session.get(Plan, plan).included_users = 3
    order = buying.begun()

    answer = post("plan", order, plan_id=plan, **USUAL | {"users": "0"})

    assert answer.status_code == 422 and "At least 1, please." in answer.text and 'value="0"' in answer.text
    assert answers(order) == {}


def test_left_empty_there_are_as_many_users_as_the_plan_includes(plan):
    with acting_as(DORA):
        db.session.get(Plan, plan).included_users = 3
    order = buying.begun()

    assert post("plan", order, plan_id=plan, **USUAL | {"users": ""}).status_code == 302
    buying.answer(order, "customer", account_id=account_id("kuestenfunk"))
    buying.answer(order, "instance", **buying.instance())

    assert re.search(r"<dt>Named users</dt><dd>3</dd>", page("summary", order))


def test_what_cannot_be_read_has_no_price(plan):
    said = price(buying.begun(), "plan", plan_id=plan, **USUAL | {"users": "1e308"})

    assert "A whole number, please." in said and "49" not in said


def test_a_preview_saves_nothing(plan):
    order = buying.begun()

    assert "€49.00" in price(order, "plan", plan_id=plan, **USUAL)
    assert answers(order) == {}


def test_a_plan_not_sold_in_the_currency_has_no_price_and_is_not_kept(plan):
    order = buying.begun()
    typed = {"plan_id": plan, **USUAL, "currency": "NOK"}

    assert "is not sold in NOK." in price(order, "plan", **typed)
    answer = post("plan", order, **typed)
    assert answer.status_code == 422 and "currency-error" in answer.text and answers(order) == {}


# --- customer ----------------------------------------------------------------------------------------------------

NEW = {"who": "new", "name": "Neufunk", "email": "nina@neufunk.example", "country": "DE", "language": "de"}


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": " "}, "name"),
        ({"name": "KÜSTENFUNK"}, "name"),  # there is one beneath Nordlicht
        ({"email": "nina@"}, "email"),
        ({"vat_id": "DE000"}, "vat_id"),
        ({"country": "XX"}, "country"),
    ],
    ids=str,
)
def test_a_new_customer_that_cannot_be_is_said_at_the_field_and_nobody_is_opened(plan, wrong, field):
    order, before = planned(plan), placed_rows()

    answer = post("customer", order, **NEW | {"city": "Husum"} | wrong)

    assert answer.status_code == 422 and f'id="{field}-error"' in answer.text and 'value="Husum"' in answer.text
    assert placed_rows() == before and "customer" not in answers(order)


def test_all_that_is_wrong_with_a_new_customer_is_said_at_once(plan):
    wrong = {"name": "", "email": "nina@", "phone": "call me", "vat_id": "DE000"}

    answer = post("customer", planned(plan), **NEW | wrong)

    assert answer.status_code == 422
    for field in wrong:
        assert f'id="{field}-error"' in answer.text


def test_a_new_customer_is_opened_with_the_order_and_not_before(plan):
    order, before = planned(plan), placed_rows()
    assert post("customer", order, **NEW).status_code == 302
    assert post("instance", order, domain="neufunk.example", administrator="Admin", to_author="y").status_code == 302
    assert placed_rows() == before

    buying.place(order)

    assert placed_rows()[0] == before[0] + 1


def test_nobody_chosen_is_said(plan):
    answer = post("customer", planned(plan), who="existing")

    assert answer.status_code == 422 and "Choose an account." in answer.text


@pytest.mark.parametrize("scopes", [[Consent.LICENSES], [Consent.SUBSCRIPTIONS], [Consent.ORDERS]], ids=str)
def test_for_a_client_nothing_is_ordered_without_its_consent(plan, scopes):
    """Linked, but not with both subscriptions and orders."""
    linking.link(CHARLIE, BOB.email, *scopes)
    order = buying.begun(by=CHARLIE)
    buying.answer(order, "plan", by=CHARLIE, **buying.terms(plan))

    answer = post("customer", order, by=CHARLIE, who="existing", account_id=account_id("kuestenfunk"))

    assert answer.status_code == 422 and "Küstenfunk has not agreed to your ordering for it." in answer.text
    assert "customer" not in answers(order)


# --- domain and access -------------------------------------------------------------------------------------------


def test_a_domain_taken_between_the_step_and_the_order_is_said_with_the_way_to_mend_it(plan):
    order = for_kuestenfunk(plan)
    buying.answer(order, "instance", **buying.instance("ours.example"))
    seen = re.search(r'name="seen" value="([^"]+)"', page("summary", order))[1]
    buying.placed(plan, by=CHARLIE, slug="gletscherbau", domain="ours.example", to_customer=False)
    before = placed_rows()

    answer = post("summary", order, seen=seen)

    assert answer.status_code == 422 and "ours.example is taken" in answer.text
    assert f'href="/a/nordlicht/orders/instance/{order}"' in answer.text
    assert placed_rows() == before and buying.read(Order, order).status is OrderStatus.DRAFT


def test_credentials_that_go_to_nobody_are_refused(plan):
    order = for_kuestenfunk(plan)

    answer = post("instance", order, domain="neufunk.example", administrator="Root")

    assert answer.status_code == 422 and 'value="neufunk.example"' in answer.text and 'value="Root"' in answer.text
    assert "instance" not in answers(order)


# --- the summary -------------------------------------------------------------------------------------------------


def complete(plan: int) -> int:
    order = for_kuestenfunk(plan)
    buying.answer(order, "instance", **buying.instance())
    return order


def test_a_plan_archived_since_is_said_before_anybody_orders_it(plan):
    order = complete(plan)
    with acting_as(DORA) as by:
        catalog.archive(db.session.get(Plan, plan), by=by)

    shown = page("summary", order)

    assert "Order subscription" not in shown and f'href="/a/nordlicht/orders/plan/{order}"' in shown
    assert post("summary", order, seen="49.00").status_code == 422


def test_a_price_raised_meanwhile_is_shown_anew_and_ordered_with_the_next_click(plan):
    order = complete(plan)
    seen = re.search(r'name="seen" value="([^"]+)"', page("summary", order))[1]
    with time_machine.travel(clock.now() + timedelta(days=1)):
        with acting_as(DORA) as by:
            plans.set_price(db.session.get(Plan, plan), "EUR", on=stock.today(), amounts={"base": Decimal(60)}, by=by)

        refused = post("summary", order, seen=seen)
        now = re.search(r'name="seen" value="([^"]+)"', refused.text)[1]

        assert refused.status_code == 422 and "The price has changed since you looked" in refused.text
        assert now != seen and post("summary", order, seen=now).status_code == 302
    assert buying.read(Order, order).status is OrderStatus.PLACED


# --- what exists already -----------------------------------------------------------------------------------------


def test_what_can_be_renewed_stands_first_and_what_cannot_is_said_at_the_field(app):
    later = buying.subscription(buying.plan_of(key="yearly", period="yearly"))
    now = buying.subscription(buying.plan_of(key="monthly", period="monthly"))
    order = buying.begun(OrderKind.RENEW)

    offered = re.findall(r'<option (?:selected )?value="(\d+)"', page("subscription", order))
    answer = post("subscription", order, subscription_id=later, reference="", remark="")

    assert offered == [str(now), str(later)]
    assert answer.status_code == 422
    assert "can be renewed from" in answer.text.split('id="subscription_id-error"')[1].split("</div>")[0]


def test_an_upgrade_offers_another_plan_than_the_one_there_is(plan):
    larger = buying.plan_of(key="larger")
    buying.subscription(plan)
    order = buying.begun(OrderKind.UPGRADE)

    assert re.search(rf'<option selected value="{larger}"', page("subscription", order))


def test_an_upgrade_to_a_plan_of_another_type_cannot_be_slipped_in(plan):
    running, other = buying.subscription(plan), buying.plan_of("saas")
    order = buying.begun(OrderKind.UPGRADE)

    answer = post("subscription", order, subscription_id=running, plan_id=other, reference="PO 7", remark="")

    assert answer.status_code == 422 and 'value="PO 7"' in answer.text and answers(order) == {}


def test_products_are_told_in_the_language_of_whoever_orders(plan):
    running, article = buying.subscription(plan), buying.priced("ART-Q")
    order = buying.begun(OrderKind.LICENSES)
    lines = {"subscription_id": running, "group_id": None, "new_group": "", "lines": [[article, 2]]}
    buying.answer(order, "products", **lines)
    with unscoped("the names of an article", writes=False):
        names = buying.read(stock.Article, article)

    german = browse(ALICE).get(f"/orders/summary/{order}", headers={"Accept-Language": "de"}).text

    assert f"2 × {names.name_de}" in german and names.name_en not in german


def test_history_tells_of_an_order_in_words(plan):
    buying.begun(OrderKind.RENEW)

    told = browse(ALICE).get("/history/list/", headers={"Accept-Language": "de"}).text

    assert "Verlängerung" in told and "Art: renew" not in told

"""Subscriptions, plans and upfront requests on the screen: what is wrong is said at the field, nothing half done."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import event, select

from app import clock, tokens
from app.extensions import db
from app.models import Calculation, PaymentMode, PlanPrice, Subscription, Token, UpfrontRequest, UsageReport
from app.services import upfront, usage
from app.tenancy import unscoped
from tests import stock
from tests.cast import ALICE, BOB, _csrf_token, account_id, acting_as, apart, browse, program

AMOUNTS = {"base": Decimal("49.90"), "users": Decimal("3.33"), "upfront": Decimal(900), "infrastructure": Decimal(9)}


def typed(plan: int, **facts) -> dict[str, str]:
    return {
        "title": "Pier 4", "plan_id": str(plan), "currency": "EUR", "payment_mode": "prepaid", "location": "eu",
        "users": "2", "terminals": "", "disk": "", "remark": "PO 4711", **facts,
    }  # fmt: skip


def add(person, data, slug: str = "kuestenfunk"):
    return browse(person).post(f"/subscriptions/add?account={account_id(slug)}", data=data)


def all_of(model) -> list:
    with unscoped("looking", writes=False) as session:
        return list(session.scalars(select(model)))


def test_a_partner_adds_one_for_a_customer(alice):
    assert add(alice, typed(stock.plan())).status_code == 302

    (kept,) = all_of(Subscription)
    assert (kept.title, kept.users, kept.remark, kept.account_id) == ("Pier 4", 2, "PO 4711", account_id("kuestenfunk"))


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"title": "  "}, "Please give it a name."),
        ({"users": "-1"}, "A whole number from 0 to"),
        ({"users": "1e308"}, "whole number"),
        ({"users": "21"}, "Named users: Standard goes up to 20."),
        ({"currency": "USD"}, "Standard is not sold in USD."),
        ({"payment_mode": "postpaid"}, "Standard cannot be paid like this."),
        ({"payment_mode": "free"}, "Not a valid choice"),
        ({"plan_id": "999"}, "Not a valid choice"),
        ({"plan_id": "x"}, "Invalid Choice"),
        ({"postponed": "y"}, "Standard has no free month."),
    ],
    ids=str,
)
def test_what_is_wrong_is_said_and_what_was_typed_is_kept(alice, facts, said):
    answer = add(alice, typed(stock.plan(limit_users=20), **facts))

    assert answer.status_code == 422 and said in answer.text
    assert 'value="PO 4711"' in answer.text
    assert all_of(Subscription) == [] and all_of(Calculation) == []


def test_a_price_put_into_the_form_counts_for_nothing(alice):
    add(alice, typed(stock.plan(), price="0.01", base_minor="1", net_minor="1", account_id=account_id("alpenwerk")))

    assert [(one.net_minor, one.account_id) for one in all_of(Calculation)] == [(4900, account_id("kuestenfunk"))]


def test_it_cannot_be_added_for_an_account_one_does_not_manage(alice, bob):
    plan = stock.plan()

    assert add(alice, typed(plan), "gletscherbau").status_code == 404
    assert add(bob, typed(plan)).status_code == 403
    assert all_of(Subscription) == []


def test_the_preview_costs_what_the_deed_will(alice):
    data = typed(stock.plan(amounts=AMOUNTS))
    asked = {**data, "account": account_id("kuestenfunk")}

    shown = browse(alice).get("/subscriptions/preview", query_string=asked).text
    add(alice, data)

    assert all_of(Calculation)[0].net_minor == 5656 and "€56.56" in shown and "2 × €3.33" in shown
    assert len(all_of(Subscription)) == 1


@pytest.mark.parametrize("query", ["", "&users=x", "&plan_id=99999999999999", "&users=-3&plan_id=1&currency=EUR"])
def test_a_half_typed_form_is_no_fault(alice, query):
    stock.plan()

    assert browse(alice).get(f"/subscriptions/preview?account={account_id('kuestenfunk')}{query}").status_code == 200


def test_it_is_renewed_once_however_often_the_button_is_pressed(bob):
    number = stock.subscription(stock.plan())
    browser = browse(bob)
    page = browser.get(f"/subscriptions/renew/{number}").text
    assert 'name="seen" type="hidden" value="1"' in page

    answers = [browser.post(f"/subscriptions/renew/{number}", data={"seen": "1"}).status_code for _ in range(3)]

    assert answers == [302, 409, 409]
    assert len(all_of(Calculation)) == 2


@pytest.mark.parametrize("seen", ["", "x", "-1", "1e9", "9" * 40])
def test_what_was_not_shown_cannot_be_agreed_to(bob, seen):
    number = stock.subscription(stock.plan())

    assert browse(bob).post(f"/subscriptions/renew/{number}", data={"seen": seen}).status_code == 409


def test_outside_its_window_it_says_from_when(bob):
    number = stock.subscription(stock.plan(period="yearly"))
    answer = browse(bob).get(f"/subscriptions/renew/{number}")

    assert answer.status_code == 409 and "can be renewed from" in answer.text


def test_after_the_free_month_whoever_decides_to_pay_is_charged_once(bob):
    number = stock.subscription(stock.plan(trial_months=1, amounts=AMOUNTS), postponed=True, users=2)
    browser, path = browse(bob), f"/subscriptions/pay/{number}"

    asked = browser.get(path)
    assert asked.status_code == 200 and "Go on with Harbour and pay" in asked.text and "€" in asked.text
    assert all_of(Subscription)[0].billed_from is None

    seen = {"seen": str(all_of(Subscription)[0].version)}
    assert [browser.post(path, data=seen).status_code for _twice in range(2)] == [302, 409]
    row = all_of(Subscription)[0]
    assert row.billed_from == row.trial_ends_on and browser.get(path).status_code == 409


def test_the_question_names_what_is_cancelled_and_the_day_of_deletion_is_shown(bob):
    number = stock.subscription(stock.plan())
    browser = browse(bob)
    assert "Cancel Harbour" in browser.get(f"/subscriptions/cancel/{number}").text
    assert browser.post(f"/subscriptions/cancel/{number}", data={"when": "never"}).status_code == 422
    assert browser.post(f"/subscriptions/cancel/{number}", data={"when": "now"}).status_code == 302

    deletion = (stock.today() + timedelta(days=14)).strftime("%b %-d, %Y")
    assert f"deleted on {deletion}" in browser.get(f"/subscriptions/show/{number}").text


def test_the_customers_own_hands_do_not_suspend(bob):
    number = stock.subscription(stock.plan())

    assert browse(bob).post(f"/subscriptions/suspend/{number}", data={"reason": "x"}).status_code == 403


def test_plans_stand_side_by_side_in_the_currency_asked_for(alice, dora):
    number = stock.plan(amounts=AMOUNTS, included_users=10, limit_users=50)
    price = {"currency": "CHF", "valid_from": stock.today().isoformat(), "base": "55.50"}
    assert browse(dora).post(f"/plans/price/{number}", data=price).status_code == 302

    page = browse(alice).get("/plans/compare").text
    assert "€49.90" in page and "10 included" in page and "up to 50" in page and "CHF\u00a055.50" not in page
    assert "CHF\u00a055.50" in browse(alice).get("/plans/compare?currency=CHF").text
    assert browse(alice).get("/plans/compare?currency=XXX").status_code == 200


def compared(person) -> dict[str, list[str]]:
    """What *View plans* says beneath the headings of the one plan there is, line by line."""
    page = browse(person).get("/plans/compare").text
    parts = re.findall(r'<div class="k-offer-part">\s*<h4>(.*?)</h4>(.*?)\n      </div>', page, re.S)
    lines = re.compile(r"(?:<div><dt>|<li>)(.*?)(?:</div>|</li>)", re.S)
    return {title: [" ".join(re.sub("<[^>]*>", " ", one).split()) for one in lines.findall(part)]
            for title, part in parts}  # fmt: skip


def test_it_says_what_a_plan_grants_how_far_that_goes_and_on_which_terms(alice):
    amounts = AMOUNTS | {"disk": Decimal("0.30")}
    stock.plan(amounts=amounts, included_users=10, limit_users=50, included_terminals=2, limit_terminals=2,
               included_disk=25, beyond="upgrade", trial_months=1, postpaid=True)  # fmt: skip

    assert compared(alice) == {
        "What it grants": [
            "Named users 10 included up to 50 · €3.33 for each more",
            "Terminals 2 included up to 2",
            "Disk space in GB 25 included without limit · €0.30 for each more",
            "First month free",
            "Data in: European Union",
        ],
        "Terms": [
            "Payment: Pre-paid / Post-paid",
            "Or pay the software once: €900.00, then €9.00 for the infrastructure",
            "Above the limits: An upgrade is offered",
        ],
    }


def test_of_what_a_plan_does_not_give_it_says_nothing(alice):
    stock.plan(limit_terminals=0, product=stock.product("archive", name_en="Archive", locations=[]))

    assert compared(alice) == {
        "What it grants": ["The use of Archive"],
        "Terms": ["Payment: Pre-paid", "Above the limits: Refused"],
    }


@pytest.mark.parametrize(
    ("facts", "field"),
    [({"valid_from": "2020-01-01"}, "valid_from"), ({"base": "-1"}, "base"), ({"base": "0.001"}, "base"),
     ({"base": "1e308"}, "base"), ({"upfront": "900"}, "infrastructure"), ({"valid_from": "soon"}, "valid_from")],
    ids=str,
)  # fmt: skip
def test_a_price_that_cannot_be_is_refused_at_its_field(dora, facts, field):
    number = stock.plan()
    data = {"currency": "EUR", "valid_from": stock.today().isoformat(), "base": "55"} | facts
    answer = browse(dora).post(f"/plans/price/{number}", data=data)

    assert answer.status_code == 422 and f'id="{field}-error"' in answer.text
    assert [price.base_minor for price in all_of(PlanPrice)] == [4900]


def test_the_activation_link_is_looked_at_by_scanners_and_clicked_by_people(app, alice, dora):
    number = stock.subscription(stock.plan(amounts=AMOUNTS))
    with acting_as(ALICE) as by:
        request = upfront.ask(db.session.get(Subscription, number), by=by).id
    data = {"on": stock.today().isoformat(), "reference": ""}
    assert browse(dora).post(f"/upfront/payment/{request}", data=data).status_code == 302
    with unscoped("reading the mail", writes=False) as session:
        secret = tokens.secret_of(session.get(Token, session.get(UpfrontRequest, request).token_id))
    client, path = app.test_client(), f"/activate/{secret}"
    with client.session_transaction() as session:
        session["csrf_token"] = "00" * 16

    looked = [apart(client.get, path).status_code for _ in range(3)]
    assert looked == [200] * 3 and all_of(Subscription)[0].upfront_on is None
    assert apart(client.post, path).status_code == 400  # without the form's token
    browser = browse(dora)
    sent = [apart(browser.client.post, path, headers=_csrf(browser)) for _ in range(2)]
    assert [answer.status_code for answer in sent] == [200, 404]
    assert "is running" in sent[0].text and "Sign in to see whether your subscription is active" in sent[1].text
    assert all_of(Subscription)[0].upfront_on == clock.today("Europe/Berlin")


def _csrf(browser) -> dict[str, str]:
    return {"X-CSRFToken": _csrf_token(browser.cookie_secret)}


# --- usage -------------------------------------------------------------------------------------------------------


def postpaid() -> int:
    return stock.subscription(stock.plan(postpaid=True), payment_mode=PaymentMode.POSTPAID)


def reported() -> list[int]:
    return [one.users for one in all_of(UsageReport)]


def test_usage_is_reported_by_hand_and_its_peak_stands_on_the_page(bob):
    number, browser = postpaid(), browse(bob)
    assert "No usage has been reported yet." in browser.get(f"/subscriptions/show/{number}").text

    for users in ("1,057", "12"):
        answer = browser.post(f"/subscriptions/report-usage/{number}", data={"users": users, "at": ""})
        assert answer.status_code == 302

    page = browser.get(f"/subscriptions/show/{number}").text
    assert reported() == [1057, 12]
    assert '<p class="k-figure">1,057</p>' in page and "user accounts at most" in page
    assert "the highest number of the month is charged" in page
    assert "1,057" in browser.get(f"/usage-reports/related/subscription_id/{number}").text


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"users": "-1"}, "A whole number from 0 to 1,000,000, please."),
        ({"users": "1000001"}, "A whole number from 0 to 1,000,000, please."),
        ({"users": "some"}, "A whole number, please."),
        ({"users": ""}, "Please fill this in."),
        ({"users": "777", "at": "2099-01-01"}, "That moment is still to come."),
        ({"users": "777", "at": "1999-01-01"}, "The subscription has run since"),
        ({"users": "777", "at": "soon"}, "Not a date."),
    ],
    ids=str,
)
def test_usage_that_cannot_be_is_said_and_what_was_typed_is_kept(bob, data, said):
    answer = browse(bob).post(f"/subscriptions/report-usage/{postpaid()}", data={"at": "", **data})

    assert answer.status_code == 422 and said in answer.text
    assert not data["users"] or f'value="{data["users"]}"' in answer.text
    assert reported() == []


def test_a_program_reports_usage_once_and_is_told_the_month(app):
    number, caller, today = postpaid(), program(BOB), stock.today()
    where = f"/api/v1/subscription/{number}/usage"

    assert caller.get(where).json["peak"] is None
    told = [caller.post(where, json={"users": 57}, headers={"X-Idempotency-Key": "k"}).json for _twice in range(2)]

    assert told[0] == told[1] == caller.get(where).json == caller.get(f"{where}?day={today}").json
    assert told[0]["peak"] == {"users": 57, "day": today.isoformat()}
    assert told[0]["month"]["first"] == today.isoformat()
    assert [(one["users"], one["source"]) for one in told[0]["reports"]] == [(57, "api")] and reported() == [57]


@pytest.mark.parametrize(
    ("sent", "field"),
    [({"users": -1}, "users"), ({"users": 1_000_001}, "users"), ({"users": "5"}, "users"), ({"users": 1.5}, "users"),
     ({}, "users"), ({"users": 5, "at": "2099-01-01T00:00:00Z"}, "at"), ({"users": 5, "at": "yesterday"}, "at"),
     ({"users": 5, "at": "2026-01-01T00:00:00"}, "at"), ({"users": 5, "at": "0001-01-01T00:00:00+14:00"}, "at")],
    ids=str,
)  # fmt: skip
def test_a_program_is_told_what_is_wrong_with_its_report(app, sent, field):
    answer = program(BOB).post(f"/api/v1/subscription/{postpaid()}/usage", json=sent)

    assert answer.status_code == 422 and answer.json["errors"][0]["field"] == field
    assert reported() == []


@pytest.mark.parametrize("day", ["soon", "2026-02-31", "9999-12-31", "1999-01-01", "20260314"])
def test_a_month_it_did_not_run_in_is_not_told(app, day):
    assert program(BOB).get(f"/api/v1/subscription/{postpaid()}/usage?day={day}").status_code == 400


def test_a_program_needs_the_scope_and_the_subscription_to_run(app):
    number, waiting = postpaid(), stock.subscription(stock.plan("other"), title="Waiting", pending=True)

    looking, caller = program(BOB, "subscription.show", name="Looking"), program(BOB)

    assert looking.get(f"/api/v1/subscription/{number}/usage").status_code == 200
    assert looking.post(f"/api/v1/subscription/{number}/usage", json={"users": 5}).status_code == 403
    assert caller.post(f"/api/v1/subscription/{waiting}/usage", json={"users": 5}).status_code == 409
    assert caller.get(f"/api/v1/subscription/{waiting}/usage").status_code == 409
    assert reported() == []


def test_a_list_of_usage_needs_few_statements_whatever_the_rows(app, dora):
    for slug in ("kuestenfunk", "deichbau"):
        number = stock.subscription(stock.plan(f"plan-{slug}"), slug)
        with acting_as(dora) as by:
            for users in range(5):
                usage.report(db.session.get(Subscription, number), users, by=by)
    browser, statements = browse(dora), []
    browser.get("/usage-reports/list/")

    event.listen(db.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    assert "Küstenfunk" in browser.get("/usage-reports/list/").text
    assert len(statements) <= 10, "\n".join(statements)


LISTS = ["/subscriptions/list/", "/resource-groups/list/", "/upfront/list/", "/plans/list/", "/products/list/"]


@pytest.mark.parametrize("path", [*LISTS, "/plans/compare", "/plans/show/1"])
def test_a_page_needs_few_statements_whatever_the_rows(app, dora, path):
    for n in range(4):
        plan = stock.plan(f"p{n}", amounts=AMOUNTS, product=stock.product(f"product-{n}"))
        for slug in ("kuestenfunk", "deichbau"):
            number = stock.subscription(plan, slug, title=f"Site {n}")
            with acting_as(dora) as by:
                upfront.ask(db.session.get(Subscription, number), by=by)
    browser = browse(dora)
    browser.get(path)
    statements = []

    event.listen(db.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    assert browser.get(path).status_code == 200
    assert len(statements) <= 10, "\n".join(statements)

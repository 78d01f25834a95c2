"""The customer portal (L-13) and the hat that leads to it (L-1)."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from sqlalchemy import event, select

from app import clock
from app.extensions import db
from app.models import Kind, License, LogEntry, Role, Subscription, SubscriptionStatus
from app.services import subscriptions, surrenders
from app.tenancy import unscoped
from tests import stock
from tests.cast import ALICE, BOB, DORA, FRIDA, account_called, account_id, acting_as, browse, hire, program
from tests.services.test_licenses import free, now_of, use
from tests.signing import Tab


def portal(person=BOB) -> str:
    answer = browse(person).get("/portal/")
    assert answer.status_code == 200
    return answer.text


def test_a_customers_account_begins_with_the_portal_a_partners_with_the_dashboard(bob, alice):
    assert browse(bob).get("/").location == "/a/kuestenfunk/portal/"
    assert browse(alice).get("/").status_code == 200
    assert browse(alice).get("/portal/").status_code == 403


def test_a_customer_is_told_whom_to_ask_to_order(bob):
    """Partners order for their customers (L-9, I-3); who does stands on the portal and on the list of orders."""
    with unscoped("an office one can write to"):
        account_called("nordlicht").email = "office@nordlicht.example"

    assert "To order subscriptions or licenses, please ask here." in portal()
    for page in (browse(bob).get("/orders/list/").text, browse(bob).get("/orders/list/?q=").text):
        assert "Nordlicht (Alice Ahrens, office@nordlicht.example) orders for you." in page
    assert "/orders/new" not in page and browse(bob).get("/orders/new").status_code == 403


def test_the_tick_chooses_between_portal_and_partner_account_and_grants_nothing(app):
    hire(BOB.email, "fjordline", Role.VIEWER)

    assert Tab(app).sign_in(BOB).location == "/a/kuestenfunk/"
    assert Tab(app).sign_in(BOB, as_partner="y").location == "/a/fjordline/"


def test_it_shows_what_the_account_has_and_nothing_of_others(bob):
    own, strange = stock.license_of(quantity=40), stock.license_of("deichbau")
    plan = stock.plan()
    stock.subscription(plan, title="Harbour")
    stock.subscription(plan, "deichbau", title="Dike")
    use(own, 15)

    page = portal()

    assert "15 of 40 in use, 25 available" in page and "Harbour" in page and "Monitoring · Standard" in page
    assert now_of(own).public_id in page and now_of(strange).public_id not in page and "Dike" not in page
    assert "Bob Brandt" in page and ALICE.email not in page


def test_a_former_partner_reads_of_its_own_and_not_of_accounts_beneath(app, frida):
    own, beneath = stock.license_of("fjordline"), stock.license_of("bergen")
    with unscoped("partner management was switched off"):
        account_called("fjordline").kind = Kind.CUSTOMER

    page = portal(FRIDA)

    assert now_of(own).public_id in page and now_of(beneath).public_id not in page


def test_use_is_that_of_this_month(bob):
    number = stock.license_of(quantity=40, since=70)
    with clock.back_then(clock.now() - timedelta(days=60)):
        use(number, 10)
    assert "Not moved this month" in portal()

    use(number, 5)
    free(number, 2)

    assert "This month: 5 taken into use, 2 released, at most 15 in use" in portal()


def test_it_says_who_looks_after_the_account_and_nothing_of_their_people(bob):
    with unscoped("the partner has an office"):
        account_called("nordlicht").phone = "+49 40 5555100"

    page = portal()

    assert "Nordlicht" in page and "+49 40 5555100" in page
    assert ALICE.email not in page


def test_without_anything_to_do_it_says_so(bob):
    hire("britta@kuestenfunk.example", "kuestenfunk", Role.VIEWER)

    assert "Nothing is waiting for you." in portal()


def test_what_wants_to_be_done_leads_to_where_it_is_done(bob):
    number, free_month = stock.license_of(quantity=10), stock.plan("trial", trial_months=1)
    use(number, 10)
    subscription = stock.subscription(free_month, title="Trial", postponed=True)

    page = portal()

    assert "Go on and pay, or cancel." in page and f"/subscriptions/show/{subscription}" in page
    assert "nothing is left of" in page and f"/licenses/show/{number}" in page
    assert "You are alone here." in page


def test_a_viewer_is_not_asked_to_invite_or_to_give_back(app):
    stock.license_of(quantity=10)
    with unscoped("Bob goes, a viewer stays"):
        db.session.delete(next(iter(account_called("kuestenfunk").members)))
    vera = hire("vera@kuestenfunk.example", "kuestenfunk", Role.VIEWER)

    page = portal(vera)

    assert "You are alone here." not in page and "/surrender/" not in page


def test_a_license_that_has_ended_stands_there_no_longer(bob):
    number = stock.license_of(quantity=10)
    with acting_as(BOB) as by:
        surrenders.surrender(db.session.get(License, number), 10, by=by)

    assert "No licenses yet" in portal()


@pytest.mark.parametrize("rows", [1, 12])
def test_it_needs_few_statements_whatever_the_rows(app, bob, rows):
    demand()
    plan = stock.plan()
    for n in range(rows):
        use(stock.license_of(quantity=40), 3)
        stock.subscription(plan, title=f"Site {n}")
    browser, statements = browse(bob), []
    event.listen(db.engine, "before_cursor_execute", lambda *said: statements.append(said[2]))
    browser.get("/portal/")

    asked = [one for one in statements if one.lstrip().startswith(("SELECT", "WITH"))]
    assert len(asked) <= 10, "\n".join(asked)


# --- where the operator demands a subscription that runs ----------------------------------------------------------

KONTOR = {"name": "Kontor GmbH", "country": "DE", "language": "en", "time_zone": "Europe/Berlin", "currency": "EUR"}


def demand(**facts: str) -> None:
    data = KONTOR | {"portal_needs_subscription": "y"} | facts
    assert browse(DORA).post("/settings/", data=data).status_code == 302


def test_the_operator_alone_closes_portals_and_the_history_says_so(dora, alice):
    switch = 'name="portal_needs_subscription"'
    assert switch in browse(dora).get("/settings/").text and switch not in browse(alice).get("/settings/").text
    browse(alice).post("/settings/", data=KONTOR | {"name": "Nordlicht", "portal_needs_subscription": "y"})
    assert "No subscriptions yet" in portal()

    demand()

    with unscoped("reading history", writes=False) as session:
        lines = session.execute(select(LogEntry.account_id, LogEntry.actor, LogEntry.changes)
                                .where(LogEntry.action == "account.updated")).all()  # fmt: skip
    told = [(home, actor, changes["portal_needs_subscription"])
            for home, actor, changes in lines if "portal_needs_subscription" in changes]  # fmt: skip
    assert told == [(account_id("kontor"), "Dora Dorn <dora@kontor.example>", [False, True])]


def test_a_closed_portal_says_why_and_whom_to_ask_and_shows_nothing_else(bob):
    held = stock.license_of(quantity=40)
    use(held, 40)
    number = stock.subscription(stock.plan(), title="Harbour")
    with acting_as(DORA) as by:
        subscriptions.suspend(db.session.get(Subscription, number), reason="Unpaid", by=by)
    demand()

    page = portal()

    assert "The portal is closed for the time being" in page and "No subscription of Küstenfunk is running." in page
    assert "Please ask Nordlicht (Alice Ahrens)." in page
    assert now_of(held).public_id not in page and "Licenses and their use" not in page
    assert "Harbour is suspended." in page and "nothing is left of" not in page
    ways = re.findall(r'href="/a/kuestenfunk(.*?)"', page.partition('<ul class="k-next">')[2].partition("</ul>")[0])
    assert ways == [f"/subscriptions/show/{number}", "/managers/list/", "/members/list/", "/security/"]
    assert [browse(bob).get(way).status_code for way in ways] == [200] * 4


def test_it_opens_with_a_subscription_that_runs_and_with_the_operators_word(bob):
    demand()
    assert "The portal is closed" in portal()

    stock.subscription(stock.plan(), title="Harbour")
    assert "The portal is closed" not in portal() and "Harbour" in portal()

    with unscoped("it ended") as session:
        session.scalars(select(Subscription)).one().status = SubscriptionStatus.EXPIRED
    assert "Harbour ended on" in portal() and "The portal is closed" in portal()

    demand(portal_needs_subscription="")
    assert "The portal is closed" not in portal()


def test_programs_and_licenses_go_on_where_it_is_closed(bob):
    number = stock.license_of(quantity=10)
    demand()
    sensors = program(BOB, "license.list", "license.show", "license.use", name="Sensors")
    path, sent = f"/api/v1/license/{number}", {"quantity": 4, "reference": "plant 7"}

    assert sensors.get(f"{path}/check?quantity=4").json["allowed"] is True
    assert sensors.post(f"{path}/consume", json=sent).json["in_use"] == 4
    assert sensors.post(f"{path}/release", json=sent).json["in_use"] == 0

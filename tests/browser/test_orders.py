"""Orders in a browser: from a tile to a running subscription, licenses, a renewal, and a failure that is mended."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from playwright.sync_api import Page, expect

from app import outbox
from app.extensions import db
from app.models import Message, Plan, Subscription, Token
from app.periods import add_months
from app.services import plans
from app.tenancy import unscoped
from tests import buying, stock
from tests.browser.steps import dialog, expect_flash, in_both_languages, sign_in
from tests.cast import ALICE, DORA, acting_as

NEW = "/a/nordlicht/orders/new"
BOARD = "/a/kontor/fulfilments/board"


@pytest.fixture
def alices(page: Page) -> Page:
    sign_in(page, ALICE)
    return page


@pytest.fixture
def doras(new_browser) -> Page:
    page = new_browser()
    sign_in(page, DORA)
    return page


def begin(page: Page, label: str, step: str) -> None:
    page.goto(NEW)
    page.get_by_role("button", name=label, exact=True).first.click()
    page.wait_for_url(re.compile(rf"/orders/{step}/\d+"))


def go_on(page: Page, say, step: str) -> None:
    page.get_by_role("button", name=say("Continue"), exact=True).click()
    page.wait_for_url(re.compile(rf"/orders/{step}/\d+"))


def card(page: Page, text: str):
    return page.locator(".k-board-card").filter(has_text=text)


def work(page: Page, say, text: str, label: str) -> None:
    card(page, text).get_by_role("button", name=re.compile(f"^{re.escape(say(label))}")).click()


def test_a_step_that_is_refused_begins_with_what_is_wrong(app, alices):
    """With everything that was typed: a browser's own input for numbers would drop it."""
    buying.plan_of("cloud")
    begin(alices, "Order cloud", "plan")
    alices.locator("[name=users]").fill("1.5x")

    alices.get_by_role("button", name="Continue", exact=True).click()

    expect(alices.locator("[name=users]")).to_be_focused()
    expect(alices.locator("[name=users]")).to_have_value("1.5x")
    expect(alices.locator("#users-error")).to_have_text("A whole number, please.")


@in_both_languages
def test_a_cloud_order_from_the_tile_to_the_password(app, alices, doras, new_browser, say):
    buying.plan_of("cloud")
    begin(alices, say("Order cloud"), "plan")
    price = alices.locator("#price")
    expect(price.locator(".k-figure")).to_contain_text("49")
    alices.locator("[name=users]").fill("51")
    expect(price).to_contain_text("50")  # the plan ends there
    alices.locator("[name=users]").fill("7")
    expect(price.locator(".k-figure")).to_contain_text("49")
    go_on(alices, say, "customer")

    alices.reload()
    alices.goto(NEW)
    alices.get_by_role("link", name=re.compile(re.escape(say("Next: %(step)s", step=say("Customer"))))).click()
    alices.get_by_text(say("A new customer"), exact=True).click()
    alices.locator("[name=name]").fill("Neufunk")
    alices.locator("[name=email]").fill("nina@neufunk.example")
    go_on(alices, say, "instance")

    assert alices.locator("[name=administrator]").input_value() == "Admin"
    alices.locator("[name=domain]").fill("no domain")
    alices.get_by_role("button", name=say("Continue"), exact=True).click()
    expect(alices.locator("#domain-error")).to_be_visible()
    alices.locator("[name=domain]").fill("neufunk.example")
    go_on(alices, say, "summary")

    expect(alices.locator(".k-sum-total")).to_contain_text("49")
    alices.get_by_role("button", name=say("Order subscription")).click()
    alices.wait_for_url(re.compile(r"/orders/show/\d+"))
    expect(alices.locator(".k-milestones .is-here")).to_contain_text(say_of(say, "Placed"))

    fulfil(doras, say, "neufunk.example")
    alices.reload()
    expect(alices.locator(".k-milestones .is-here")).to_contain_text(say_of(say, "Completed"))

    choose_password(new_browser(), say)


def say_of(say, word: str) -> str:
    """A word of orders; the catalogue keeps it apart by its context."""
    return say.catalogue.pgettext("order", word)


def fulfil(page: Page, say, text: str) -> None:
    page.goto(BOARD)
    work(page, say, text, "Take")
    card(page, text).get_by_role("link", name=re.compile(f"^{re.escape(say('Fulfil'))}")).click()
    dialog(page).get_by_role("button", name=say("Fulfil")).click()
    expect(page.locator("#column-fulfilled + ul .k-board-card").filter(has_text=text)).to_be_visible()


def choose_password(page: Page, say) -> None:
    page.goto(credentials_of("nina@neufunk.example"))
    page.locator("[name=password]").fill("ebbe und flut 8")
    page.locator("[name=repeat]").fill("ebbe und flut 8")
    page.get_by_role("button", name=say("Set password")).click()
    expect(page.get_by_role("heading", name=say("The password is set"))).to_be_visible()


def credentials_of(email: str) -> str:
    with unscoped("reading what a test's people were mailed", writes=False) as session:
        mails = session.scalars(db.select(Message).where(Message.recipient == email, Message.token_id.is_not(None)))
        text = outbox.bodies(mail := mails.one(), session.get(Token, mail.token_id))[0]
    return re.search(r"https?://\S+/credentials/\S+", text).group()


@in_both_languages
def test_a_saas_order_in_another_currency_for_a_customer_found_by_name(app, alices, doras, say):
    plan = buying.plan_of("saas")
    with_franc(plan)
    begin(alices, say("Order SaaS"), "plan")
    alices.locator("[name=currency]").select_option("CHF")
    expect(alices.locator("#price .k-figure")).to_contain_text("CHF")
    go_on(alices, say, "customer")
    alices.get_by_label(say("Find an account")).fill("küsten")
    expect(alices.locator(".k-account-choice label")).to_have_count(1)
    alices.locator(".k-account-choice label").click()
    go_on(alices, say, "instance")
    alices.locator("[name=domain]").fill("kuestenfunk.example")
    go_on(alices, say, "summary")
    alices.get_by_role("button", name=say("Order subscription")).click()

    alices.wait_for_url(re.compile(r"/orders/show/\d+"))
    expect(alices.locator(".k-total")).to_contain_text("CHF")
    number = alices.get_by_role("heading", level=1).inner_text().split()[0]
    assert number.startswith("ORD-") and number in confirmation_to(ALICE.email)

    fulfil(doras, say, "kuestenfunk.example")
    alices.get_by_role("link", name=say("Subscription"), exact=True).click()
    expect(alices.locator(".k-badges")).to_have_text(say.catalogue.pgettext("subscription", "Active"))


def confirmation_to(email: str) -> str:
    with unscoped("reading what a test's people were mailed", writes=False) as session:
        return session.scalars(db.select(Message.body_text).where(Message.recipient == email)).one()


def with_franc(plan: int) -> None:
    with acting_as(DORA) as by:
        amounts = {"base": Decimal(55)}
        plans.set_price(db.session.get(Plan, plan), "CHF", on=stock.today(), amounts=amounts, by=by)


@in_both_languages
def test_licenses_are_bought_become_licenses_and_some_are_surrendered(app, alices, doras, say):
    article = buying.priced("USR-5", "95", grants={stock.license_type(): 5})
    buying.subscription(buying.plan_of("cloud"), group="Husum")
    begin(alices, say("Buy licenses"), "products")
    alices.locator("[name=article]").first.select_option(str(article))
    alices.locator("[name=quantity]").first.fill("0")
    alices.get_by_role("button", name=say("Continue"), exact=True).click()
    expect(alices.locator("#lines-error")).to_be_visible()
    expect(alices.locator("[name=quantity]").first).to_have_value("0")
    alices.locator("[name=quantity]").first.fill("3")
    expect(alices.locator("#price .k-sum-total")).to_contain_text("€")
    alices.locator("[name=group_id]").select_option(label="Husum")
    alices.locator("[name=reference]").fill("PO 4711")
    go_on(alices, say, "summary")
    alices.get_by_role("button", name=say("Place order")).click()
    alices.wait_for_url(re.compile(r"/orders/show/\d+"))

    fulfil(doras, say, "3 ×")

    alices.goto("/a/nordlicht/licenses/list/")
    expect(alices.locator("tbody tr")).to_contain_text("15")
    alices.locator("tbody tr th a").click()
    alices.get_by_role("link", name=say("Surrender"), exact=True).click()
    dialog(alices).get_by_label(say("Give back")).fill("6")
    dialog(alices).get_by_role("button", name=say("See what it means")).click()
    expect(dialog(alices)).to_contain_text(say("Give these back for good?"))
    dialog(alices).locator("button.btn-danger").click()
    expect_flash(alices, "6 × ")
    alices.goto("/a/nordlicht/licenses/list/")
    expect(alices.locator("tbody tr")).to_contain_text("9")


@in_both_languages
def test_an_on_premise_license_is_renewed_and_never_sold_anew(app, alices, doras, say):
    plan = buying.plan_of("on-premise", period="yearly", renewal_window=366)
    running = buying.subscription(plan, starts_on=stock.today() - timedelta(days=20))
    ends_on = buying.read(Subscription, running).ends_on
    alices.goto(NEW)
    tile = alices.locator(".k-order-tile").filter(has_text=say.catalogue.pgettext("product type", "On-premise"))
    expect(tile.get_by_role("button")).to_have_count(2)
    tile.get_by_role("button", name=say("Renew")).click()
    alices.wait_for_url(re.compile(r"/orders/subscription/\d+"))
    expect(alices.locator("#price .k-figure")).to_contain_text("€")
    go_on(alices, say, "summary")
    alices.get_by_role("button", name=say("Place order")).click()

    alices.wait_for_url(re.compile(r"/orders/show/\d+"))
    expect(alices.get_by_role("heading", level=1)).to_contain_text("ORD-")
    assert buying.read(Subscription, running).ends_on == ends_on  # not before it is fulfilled

    fulfil(doras, say, "Küstenfunk")
    assert buying.read(Subscription, running).ends_on == add_months(ends_on, 12)


@in_both_languages
def test_a_failure_is_seen_with_its_reason_and_mended(app, alices, doras, say):
    order = buying.placed(buying.plan_of("cloud"))
    doras.goto(BOARD)
    work(doras, say, "neufunk.example", "Take")
    card(doras, "neufunk.example").get_by_role("link", name=re.compile(f"^{re.escape(say('Failed'))}")).click()
    dialog(doras).locator("[name=reason]").fill("No data center has room")
    dialog(doras).get_by_role("button", name=say("Note failure")).click()
    expect(doras.locator("#column-failed + ul")).to_contain_text("No data center has room")
    alices.goto(f"/a/nordlicht/orders/show/{order}")
    expect(alices.get_by_text(say("Failed: %(reason)s", reason="No data center has room"))).to_be_visible()

    work(doras, say, "neufunk.example", "Try again")
    expect_flash(doras, say.catalogue.ngettext("One task is in line again.", "", 1))
    fulfil(doras, say, "neufunk.example")

    alices.reload()
    expect(alices.locator(".k-milestones .is-here")).to_contain_text(say_of(say, "Completed"))

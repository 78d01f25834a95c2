"""Subscriptions in a browser, in both languages: paid upfront from the wish to the click, and amounts that explain."""

from __future__ import annotations

import re
from decimal import Decimal

from playwright.sync_api import Page, expect
from sqlalchemy import select

from app.models import Subscription
from app.tenancy import unscoped
from tests import buying, stock
from tests.browser.steps import dialog, expect_flash, in_both_languages, sign_in
from tests.cast import ALICE, BOB, DORA

AMOUNTS = {"base": Decimal(99), "users": Decimal("4.90"), "upfront": Decimal(1200), "infrastructure": Decimal(29)}


def subscribed(**facts) -> int:
    return stock.subscription(stock.plan(amounts=AMOUNTS, included_users=10), users=12, **facts)


def activated(number: int) -> bool:
    with unscoped("looking", writes=False) as session:
        return session.scalar(select(Subscription.upfront_on).where(Subscription.id == number)) is not None


@in_both_languages
def test_paid_upfront_from_the_wish_to_the_click(app, page, new_browser, say):
    number = subscribed()
    sign_in(page, BOB)
    page.goto(f"/a/kuestenfunk/subscriptions/show/{number}")
    page.get_by_role("button", name=say("More"), exact=True).click()
    page.get_by_role("link", name=say("Pay upfront")).click()
    expect(dialog(page)).to_contain_text(re.compile(r"1[,.]200"))
    dialog(page).get_by_label(say("Remark")).fill("Please call before noon")
    dialog(page).get_by_role("button", name=say("Request"), exact=True).click()
    expect_flash(page, say("Requested. You will be called about the payment of %(title)s.", title="Harbour"))

    link = the_operators_part(new_browser(), say)

    somebody = new_browser()  # not signed in: the link is the right
    somebody.goto(link)
    assert not activated(number)
    somebody.get_by_role("button", name=say("Activate"), exact=True).click()
    expect(somebody.get_by_role("heading", level=1)).to_have_text(say("%(title)s is active", title="Harbour"))
    assert activated(number)
    somebody.goto(link)
    expect(somebody.get_by_role("heading", level=1)).to_have_text(say("This link no longer works"))

    page.reload()
    expect(page.locator(".k-timeline")).to_contain_text(say("Subscription activated, paid upfront"))


@in_both_languages
def test_a_price_is_set_in_another_currency(app, page, say):
    article = buying.priced("ART-P", "19.90")
    stock.price_article(article, "22", currency="CHF")
    sign_in(page, DORA)
    page.goto(f"/a/kontor/articles/show/{article}")
    page.get_by_role("link", name=say("Set price")).click()
    unit = dialog(page).locator("[name=unit]")
    expect(unit).to_have_value(re.compile(r"19[.,]9"))
    expect(page.locator(".ts-dropdown:visible")).to_have_count(0)

    dialog(page).locator(".ts-control").first.click()
    page.locator(".ts-dropdown [data-value=CHF]").click()
    expect(unit).to_have_value("22")
    expect(unit).to_be_focused()
    unit.fill("23")
    dialog(page).get_by_role("button", name=say("Set price")).click()

    expect(dialog(page)).to_have_count(0)
    expect(page.get_by_role("rowheader", name="CHF").first).to_be_visible()
    expect(page.locator("main")).to_contain_text(re.compile(r"23[.,]00"))


def the_operators_part(page: Page, say) -> str:
    """The call, the payment, and the link as the outbox shows it where no mail leaves."""
    sign_in(page, DORA)
    page.goto("/a/kontor/upfront/list/")
    page.get_by_role("link", name=say("Calls to make")).click()
    page.get_by_role("link", name="Harbour", exact=True).click()
    page.get_by_role("link", name=say("Note call")).click()
    dialog(page).get_by_label(say("Note")).fill("Pays on Friday")
    dialog(page).get_by_role("button", name=say("Note call")).click()
    expect(page.locator(".k-badges")).to_have_text(say.catalogue.pgettext("upfront request", "Payment awaited"))
    page.get_by_role("link", name=say("Note payment")).click()
    dialog(page).get_by_role("button", name=say("Note payment")).click()
    expect(page.locator(".k-badges")).to_have_text(say.catalogue.pgettext("upfront request", "Activation link sent"))
    page.goto("/a/kontor/outbox/list/")
    page.locator("tbody tr th a").first.click()
    return page.locator("a[href*='/activate/']").first.get_attribute("href")


@in_both_languages
def test_an_amount_explains_itself_by_mouse_and_by_keys(app, page, say):
    number = subscribed()
    sign_in(page, BOB)
    page.goto(f"/a/kuestenfunk/subscriptions/show/{number}")

    why = page.locator(".k-why-button")
    why.focus()
    page.keyboard.press("Enter")
    box = page.get_by_role("dialog", name=say("How this amount came about"))
    expect(box).to_be_visible()
    expect(box).to_contain_text(say("%(ordered)s ordered, %(included)s included", ordered="12", included="10"))
    page.keyboard.press("Escape")
    expect(box).to_be_hidden()
    expect(why).to_be_focused()


@in_both_languages
def test_from_the_plans_side_by_side_to_a_subscription(app, page, say):
    stock.plan(amounts=AMOUNTS, included_users=10, trial_months=1)
    stock.plan("large", name_en="Large", name_de="Groß")
    sign_in(page, ALICE)
    page.goto("/a/nordlicht/plans/compare")
    page.get_by_role("link", name=say("Add subscription: %(plan)s", plan="Standard")).click()
    dialog(page).get_by_role("link", name="Küstenfunk").click()
    dialog(page).get_by_label(say("Title")).fill("Pier 4")
    dialog(page).get_by_label(say("Named users")).fill("12")
    expect(page.locator("#price")).to_contain_text(re.compile(r"108[,.]80"))  # as one types
    dialog(page).get_by_role("button", name=say("Add subscription")).click()
    expect(page.locator("#flashes")).to_contain_text("Pier 4")

    with unscoped("looking", writes=False) as session:
        assert session.scalars(select(Subscription.title)).all() == ["Pier 4"]

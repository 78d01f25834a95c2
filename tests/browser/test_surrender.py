"""Giving licenses back in a browser, in both languages: from the portal by the preview to what is left."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from app.extensions import db
from app.models import License
from app.services import licenses
from app.tenancy import unscoped
from tests import stock
from tests.browser.steps import dialog, expect_flash, expect_path, in_both_languages, sign_in
from tests.cast import BOB, acting_as


@pytest.fixture
def loggers(app) -> License:
    """Ten of a license in a running subscription, four of them in use; a piece costs ninety euros a month."""
    article = stock.article(grants={stock.license_type("loggers"): 1})
    stock.price_article(article, "90")
    number = stock.licenses_in(stock.subscription(stock.plan()), stock.give(article, "kuestenfunk", 10))[0]
    with acting_as(BOB) as by:
        licenses.consume(db.session.get(License, number), 4, reference="Pier 4", by=by)
    return now(number)


def now(number: int) -> License:
    with unscoped("looking at a license", writes=False):
        return licenses.as_it_is(db.session.get(License, number))


@in_both_languages
def test_from_the_portal_by_the_preview_to_what_is_left(page: Page, loggers: License, say, locale):
    sign_in(page, BOB)
    expect_path(page, "/a/kuestenfunk/portal/")
    page.get_by_role("link", name=say("Surrender licenses")).click()
    window = dialog(page)
    amount = window.get_by_label(say("Give back"))

    amount.fill("7")
    window.get_by_role("button", name=say("See what it means")).click()
    expect(window).to_contain_text(
        say("Of %(license)s only what is not in use can be given back: %(available)s.", license=loggers, available=6)
    )
    expect(amount).to_have_value("7")

    amount.fill("6")
    window.get_by_role("button", name=say("See what it means")).click()
    expect(window).to_contain_text(say("Give these back for good?"))
    expect(window).to_contain_text("€540.00" if locale == "en" else "540,00")
    assert now(loggers.id).quantity == 10

    window.get_by_role("button", name=say("Change"), exact=True).click()
    expect(amount).to_have_value("6")
    amount.fill("5")
    window.get_by_role("button", name=say("See what it means")).click()
    window.locator(".k-why-button").click()
    expect(window.locator(".k-why-box")).to_contain_text("€450.00" if locale == "en" else "450,00")
    page.keyboard.press("Escape")

    window.get_by_role("button", name=say("Surrender %(quantity)s of %(license)s", quantity=5, license=loggers)).click()
    expect_flash(page, say("Given back: %(what)s.", what=f"5 × {loggers}"))
    expect_path(page, "/a/kuestenfunk/portal/")
    numbers = say("%(in_use)s of %(quantity)s in use, %(available)s available", in_use=4, quantity=5, available=1)
    expect(page.locator("main")).to_contain_text(numbers)
    assert now(loggers.id).quantity == 5

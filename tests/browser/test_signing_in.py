"""Signing in and out as people do it: passwords, links from mails, second factors, several browsers."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import Page, expect
from pyotp import TOTP

from app.services.second_factor import STEP
from tests.browser.steps import expect_flash, expect_path, in_both_languages, row, sign_in, sign_out
from tests.cast import ALICE, DORA, PASSWORD

NEW = "fjord und elbe 7"
SECURITY = "/a/nordlicht/security/"


@in_both_languages
def test_a_wrong_password_and_an_unknown_address_are_told_the_same(page, say):
    for email in (ALICE.email, "nobody@nowhere.example"):
        page.goto("/login/")
        page.locator("[name=email]").fill(email)
        page.locator("[name=password]").fill("not the one")
        page.get_by_role("button", name=say("Sign in"), exact=True).click()
        expect(page.get_by_role("alert")).to_have_text(say("E-mail address or password is wrong."))
        expect(page.locator("[name=email]")).to_have_value(email)


def test_the_password_can_be_looked_at(page):
    page.goto("/login/")
    page.locator("[name=password]").fill("secret")

    page.get_by_role("button", name="Show password").click()

    expect(page.locator("[name=password]")).to_have_attribute("type", "text")


@in_both_languages
def test_a_forgotten_password_is_replaced_by_the_link_in_the_outbox(new_browser, say):
    """Without a mail server the operator's outbox holds the link; with one it is the recipient's alone."""
    doras, page = new_browser(), new_browser()
    page.goto("/login/")
    page.get_by_role("link", name=say("Forgot your password?")).click()
    page.locator("[name=email]").fill(DORA.email)
    page.get_by_role("button", name=say("Send link")).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(say("Look into your mailbox"))

    sign_in(doras, DORA)
    doras.get_by_role("link", name=say("Outbox"), exact=True).click()
    expect(doras.get_by_role("heading", level=1)).to_have_text(say("Outbox"))
    doras.locator("tbody tr").first.get_by_role("rowheader").click()
    link = doras.get_by_role("link", name="/reset/").first.get_attribute("href")
    page.goto(link)
    page.locator("[name=password]").fill(NEW)
    page.locator("[name=repeat]").fill(NEW)
    page.get_by_role("button", name=say("Save password")).click()
    expect_flash(page, say("Your password was changed. Please sign in with it."))
    sign_in(page, DORA, NEW)
    expect_path(page, "/a/kontor/")

    assert page.goto(link).status == 404
    expect(page.get_by_role("heading", level=1)).to_have_text(say("This link no longer works"))
    doras.reload()
    expect_path(doras, "/login/")


@in_both_languages
def test_a_second_factor_is_turned_on_used_and_replaced_by_a_recovery_code(page, say):
    sign_in(page, ALICE)
    page.goto(SECURITY)
    page.get_by_role("link", name=say("Turn on")).click()
    secret = page.locator("#secret").inner_text().replace(" ", "")
    page.locator("[name=code]").fill(TOTP(secret).now())
    page.locator("[name=current]").fill(PASSWORD)
    page.get_by_role("button", name=say("Turn on")).click()
    expect(page.locator("#codes li")).to_have_count(10)
    codes = page.locator("#codes li").all_inner_texts()
    sign_out(page, say)

    enter(page, codes[0])
    expect(page.get_by_role("heading", level=1)).to_contain_text("Alice")
    sign_out(page, say)
    enter(page, codes[0])
    expect(page.locator(".invalid-feedback")).to_have_text(say("This code is wrong, or it has been used already."))

    page.locator("[name=code]").fill(TOTP(secret).at(time.time() + STEP))  # the one of now was used to turn it on
    page.get_by_role("button", name=say("Continue")).click()
    page.wait_for_url("**/a/nordlicht/")


def enter(page: Page, code: str) -> None:
    sign_in(page, ALICE)
    page.locator("[name=code]").fill(code)
    page.locator("[name=code]").press("Enter")


@in_both_languages
def test_signing_out_everywhere_ends_the_other_browser_at_its_next_click(new_browser, say):
    here, there = new_browser(), new_browser()
    sign_in(there, ALICE)
    sign_in(here, ALICE)
    here.goto(SECURITY)
    expect(here.locator(".k-devices li")).to_have_count(2)

    here.get_by_role("button", name=say("Sign out everywhere")).click()
    here.locator("#confirm").get_by_role("button", name=say("Sign out everywhere")).click()
    expect_flash(here, say("You are signed out everywhere."))

    there.get_by_role("link", name=say("Accounts"), exact=True).first.click()
    there.wait_for_url("**/login/")


@pytest.mark.parametrize("deed", ["dialog", "section"])
def test_a_session_that_ended_meanwhile_leads_to_sign_in_from_within_a_page(new_browser, deed):
    page, other = new_browser(), new_browser()
    sign_in(page, ALICE)
    page.goto("/a/nordlicht/accounts/list/")
    sign_in(other, ALICE)
    other.goto(SECURITY)
    other.locator(".k-devices form button").first.click()
    expect_flash(other, "That browser is signed out.")

    if deed == "dialog":
        page.get_by_role("link", name="Add account").click()
    else:
        page.get_by_role("link", name="Name", exact=True).click()

    page.wait_for_url("**/login/")


def test_going_back_after_signing_out_shows_nothing(page, say):
    sign_in(page, ALICE)
    page.goto("/a/nordlicht/accounts/list/")
    sign_out(page, say)

    page.go_back()

    expect_path(page, "/login/")
    expect(page.locator("[name=password]")).to_be_visible()
    assert "Küstenfunk" not in page.content()


def test_a_cookie_copied_before_signing_out_opens_nothing_afterwards(new_browser, say):
    page, thief = new_browser(), new_browser()
    sign_in(page, ALICE)
    thief.context.add_cookies(page.context.cookies())
    thief.goto("/a/nordlicht/accounts/list/")
    expect(row(thief, "Küstenfunk")).to_be_visible()

    sign_out(page, say)

    thief.goto("/a/nordlicht/accounts/list/")
    expect_path(thief, "/login/")


def test_signing_in_leads_on_to_the_page_asked_for(page):
    page.goto("/a/nordlicht/accounts/list/?q=funk")
    page.wait_for_url("**/login/")
    page.locator("[name=email]").fill(ALICE.email)
    page.locator("[name=password]").fill(PASSWORD)
    page.keyboard.press("Enter")

    page.wait_for_url("**/a/nordlicht/accounts/list/?q=funk")

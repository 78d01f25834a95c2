"""What people do in Kontor from one end to the other, in a browser, in both languages."""

from __future__ import annotations

import openpyxl
import pytest
from playwright.sync_api import Page, expect

from app.models import Role
from tests import cast
from tests.browser.steps import (
    dialog,
    expect_flash,
    expect_names,
    expect_path,
    in_both_languages,
    question,
    row,
    sign_in,
)
from tests.cast import ALICE, BOB

LIST = "/a/nordlicht/accounts/list/"
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


@pytest.fixture
def alices(page: Page) -> Page:
    """Alice's browser: signed in, at her accounts."""
    sign_in(page, ALICE)
    page.goto(LIST)
    return page


@in_both_languages
def test_alice_signs_in_and_finds_her_accounts(page, say):
    page.goto("/")
    page.get_by_label(say("E-mail")).fill("Alice@NORDLICHT.Example")
    page.locator("[name=password]").fill(cast.PASSWORD)
    page.keyboard.press("Enter")
    page.get_by_role("link", name=say("Accounts"), exact=True).first.click()

    expect(page.get_by_role("heading", level=1)).to_have_text(say("Accounts"))
    expect_names(page, "Bergen Sensor", "Deichbau", "Fjordline", "Küstenfunk")


@in_both_languages
def test_an_account_opens_with_its_sections_fetched_as_they_come_into_sight(alices, say):
    fetched = []
    alices.on("request", lambda request: fetched.append(request.url) if "/related/" in request.url else None)
    alices.set_viewport_size({"width": 1440, "height": 500})

    row(alices, "Fjordline").click()

    expect(alices.get_by_role("heading", level=1)).to_contain_text("Fjordline")
    alices.wait_for_load_state("networkidle")
    assert not any("/history/" in url for url in fetched)
    alices.get_by_role("navigation", name=say("Sections")).get_by_role("link", name=say("History")).click()
    section = alices.get_by_role("region", name=say("History"))
    expect(section.get_by_role("cell", name=say("Account added")).first).to_be_visible()
    alices.locator("#accounts").scroll_into_view_if_needed()
    expect(row(alices, "Bergen Sensor")).to_be_visible()


@in_both_languages
def test_alice_adds_an_account_in_the_dialog(alices, say):
    alices.get_by_role("link", name=say("Add account")).click()
    form = dialog(alices)
    expect(form.get_by_role("heading")).to_have_text(say("Add account"))
    expect(form.locator("[name=name]")).to_be_focused()

    form.locator("[name=name]").fill("küstenfunk")
    form.locator("[name=contact]").fill("Gesa Gerdes")
    form.get_by_role("button", name=say("Save")).click()
    expect(form.locator(".invalid-feedback")).to_have_text(
        say("There is an account named “%(name)s” here already.", name="küstenfunk")
    )
    expect(form.locator("[name=name]")).to_be_focused()
    expect(form.locator("[name=contact]")).to_have_value("Gesa Gerdes")

    form.locator("[name=name]").fill("Neufunk")
    form.locator("[name=name]").press("Enter")
    expect_flash(alices, say("“%(name)s” was added.", name="Neufunk"))
    expect_path(alices, LIST)
    expect(row(alices, "Neufunk")).to_contain_text("Gesa Gerdes")


def test_a_country_is_found_by_typing(alices, say):
    alices.get_by_role("link", name=say("Add account")).click()
    dialog(alices).locator("[name=name]").fill("Nordfunk")
    country = dialog(alices).get_by_role("combobox", name=say("Country"))
    country.focus()
    country.press_sequentially("norw")
    country.press("Enter")
    dialog(alices).get_by_role("button", name=say("Save")).click()

    expect(row(alices, "Nordfunk")).to_contain_text("Norway")


@in_both_languages
def test_alice_edits_an_account(alices, say):
    row(alices, "Küstenfunk").get_by_role("link", name=say("Edit %(name)s", name="Küstenfunk")).click()
    expect(dialog(alices).get_by_role("heading")).to_have_text(say("Edit %(name)s", name="Küstenfunk"))
    dialog(alices).locator("[name=contact]").fill("Bob Brandt")
    dialog(alices).get_by_role("button", name=say("Save")).click()

    expect_flash(alices, say("“%(name)s” was saved.", name="Küstenfunk"))
    expect(alices.locator("#overview")).to_contain_text("Bob Brandt")


@in_both_languages
def test_alice_archives_an_account_after_a_question_and_restores_it(alices, say):
    bar = alices.get_by_role("form", name=say("Actions on the chosen rows"))
    row(alices, "Deichbau").get_by_role("checkbox").check()
    expect(bar).to_contain_text(say("%(count)s chosen", count="1"))

    bar.get_by_role("button", name=say("Archive"), exact=True).click()
    expect(question(alices)).to_contain_text(say("Archive"))
    expect(question(alices).get_by_role("listitem")).to_have_text("Deichbau")
    alices.keyboard.press("Escape")
    expect(question(alices)).to_have_count(0)
    expect(row(alices, "Deichbau")).to_be_visible()

    bar.get_by_role("button", name=say("Archive"), exact=True).click()
    question(alices).get_by_role("button", name=say("Archive"), exact=True).click()
    expect_flash(alices, say("One account was archived."))
    expect(row(alices, "Deichbau")).to_have_count(0)

    alices.get_by_role("link", name=say("Show archived")).first.click()
    row(alices, "Deichbau").get_by_role("checkbox").check()
    bar.get_by_role("button", name=say("Restore"), exact=True).click()
    expect_flash(alices, say("One account was restored."))
    alices.goto(LIST)
    expect(row(alices, "Deichbau")).to_be_visible()


def test_the_language_changes_and_the_page_stays(alices):
    alices.goto(LIST + "?q=funk")
    alices.get_by_role("button", name="Language").click()
    alices.get_by_role("link", name="Deutsch").click()

    expect(alices.locator("html")).to_have_attribute("lang", "de")
    alices.wait_for_url(f"**{LIST}?q=funk")
    expect_names(alices, "Küstenfunk")
    expect(alices.get_by_role("link", name="Einstellungen")).to_be_visible()
    alices.get_by_role("button", name="Sprache").click()
    alices.get_by_role("link", name="English").click()
    expect(alices.locator("html")).to_have_attribute("lang", "en")
    alices.wait_for_url(f"**{LIST}?q=funk")


@in_both_languages
def test_alice_sorts_filters_and_searches(alices, say):
    alices.get_by_role("link", name=say("Name"), exact=True).click()
    expect(alices.get_by_role("columnheader", name=say("Name"))).to_have_attribute("aria-sort", "descending")
    expect_names(alices, "Küstenfunk", "Fjordline", "Deichbau", "Bergen Sensor")

    alices.get_by_role("button", name=say("Filter")).click()
    alices.get_by_role("combobox", name=say("Kind"), exact=True).fill(say("Partner"))
    alices.keyboard.press("Enter")
    alices.keyboard.press("Tab")
    expect_names(alices, "Fjordline")
    chips = alices.get_by_role("list", name=say("Filters in force"))
    expect(chips).to_contain_text(say("Partner"))

    chips.get_by_role("link", name=say("Remove filter: %(label)s", label=say("Kind"))).click()
    expect(alices.locator("tbody tr")).to_have_count(4)
    alices.get_by_role("searchbox", name=say("Search"), exact=True).fill("INFO@kö")
    alices.keyboard.press("Enter")
    expect(alices.get_by_text(say("Nothing matches"))).to_be_visible()
    alices.get_by_role("searchbox", name=say("Search"), exact=True).fill("INFO@kues")
    alices.keyboard.press("Enter")
    expect_names(alices, "Küstenfunk")


def test_a_filter_by_date_finds_what_was_made_since(alices):
    alices.get_by_role("button", name="Filter").click()
    alices.get_by_label("Created from").fill("2020-01-01")
    alices.wait_for_url("**_flt_1_created_at=2020-01-01**")
    expect(alices.locator("tbody tr")).to_have_count(4)

    alices.get_by_label("Created from").fill("2099-12-31")
    expect(alices.get_by_text("Nothing matches")).to_be_visible()


def test_every_number_on_the_dashboard_leads_to_its_list(alices):
    alices.goto("/a/nordlicht/")
    alices.locator("a.k-tile").last.wait_for()
    for number in range(alices.locator("a.k-tile").count()):
        alices.goto("/a/nordlicht/")
        tile = alices.locator("a.k-tile").nth(number)
        value = tile.locator(".k-tile-value").inner_text()
        tile.click()
        expect(alices.locator(".k-paging")).to_contain_text(f"of {value}")


@in_both_languages
def test_the_export_is_what_alice_sees(alices, say, tmp_path):
    alices.goto(LIST + "?sort=-name&q=e")
    columns = [text.strip() for text in alices.locator("thead th[scope=col]").all_inner_texts()[1:-1]]
    seen = alices.locator("tbody tr th").all_inner_texts()

    with alices.expect_download() as download:
        alices.get_by_role("link", name=say("Export"), exact=True).click()
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)

    header, *rows = openpyxl.load_workbook(file).worksheets[0].values
    assert file.suffix == ".xlsx"
    assert list(header[: len(columns)]) == columns  # behind them: the ID by which an import knows the row again
    assert [cells[0] for cells in rows] == seen


# --- with the keyboard alone -----------------------------------------------------------------------------------


def test_the_first_tab_offers_to_skip_the_menu(alices):
    alices.keyboard.press("Tab")
    expect(alices.locator(".k-skip")).to_be_focused()
    expect(alices.locator(".k-skip")).to_be_in_viewport()

    alices.keyboard.press("Enter")

    expect(alices.locator("#main")).to_be_focused()


def test_rows_are_walked_opened_and_searched_by_keys(alices):
    alices.keyboard.press("j")
    expect(row(alices, "Bergen Sensor")).to_be_focused()
    alices.keyboard.press("j")
    alices.keyboard.press("j")
    alices.keyboard.press("k")
    expect(row(alices, "Deichbau")).to_be_focused()
    alices.keyboard.press("x")
    expect(row(alices, "Deichbau").get_by_role("checkbox")).to_be_checked()
    alices.keyboard.press("Escape")
    expect(row(alices, "Deichbau").get_by_role("checkbox")).not_to_be_checked()

    alices.keyboard.press("Enter")
    expect(alices.get_by_role("heading", level=1)).to_have_text("Deichbau")
    alices.go_back()
    expect(alices.locator("tbody tr")).to_have_count(4)
    alices.keyboard.press("/")
    alices.keyboard.type("fjord")
    alices.keyboard.press("Enter")
    alices.wait_for_url("**q=fjord**")
    expect_names(alices, "Fjordline")


def test_the_dialog_keeps_the_focus_and_gives_it_back(alices):
    add = alices.get_by_role("link", name="Add account")
    add.focus()
    alices.keyboard.press("Enter")
    expect(dialog(alices).locator("[name=name]")).to_be_focused()

    for _n in range(15):
        alices.keyboard.press("Tab")
        assert alices.evaluate("document.activeElement === document.body || !!document.activeElement.closest('dialog')")
    alices.keyboard.press("Escape")

    expect(dialog(alices)).to_have_count(0)
    expect(add).to_be_focused()


@in_both_languages
def test_escape_asks_before_it_throws_away_what_was_typed(alices, say):
    alices.keyboard.press("n")
    expect(dialog(alices).locator("[name=name]")).to_be_focused()
    alices.keyboard.type("Half a name")

    alices.keyboard.press("Escape")
    expect(question(alices)).to_contain_text(say("Discard your changes?"))
    question(alices).get_by_role("button", name=say("Cancel")).click()
    expect(dialog(alices).locator("[name=name]")).to_have_value("Half a name")

    alices.keyboard.press("Escape")
    question(alices).get_by_role("button", name=say("Discard")).click()
    expect(dialog(alices)).to_have_count(0)


def test_keys_can_be_read_up_on_and_switched_off(alices):
    alices.keyboard.press("?")
    expect(alices.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    alices.get_by_label("Use keyboard shortcuts").uncheck()
    alices.keyboard.press("Escape")
    alices.reload()

    alices.keyboard.press("j")

    expect(row(alices, "Bergen Sensor")).not_to_be_focused()


# --- two accounts ----------------------------------------------------------------------------------------------


def test_two_tabs_act_in_two_accounts_and_each_form_lands_in_its_own(app, alices, say):
    cast.hire(ALICE.email, "alpenwerk", Role.ADMINISTRATOR)
    alices.reload()
    alices.get_by_role("link", name=say("Add account")).click()
    dialog(alices).locator("[name=name]").fill("Of the first tab")
    other = alices.context.new_page()
    other.goto("/a/nordlicht/")
    other.locator("button.k-account").click()
    other.get_by_role("link", name="Alpenwerk").click()
    other.wait_for_url("**/a/alpenwerk/")
    other.goto("/a/alpenwerk/accounts/list/")
    expect_names(other, "Gletscherbau")

    dialog(alices).get_by_role("button", name=say("Save")).click()
    expect(row(alices, "Of the first tab")).to_be_visible()
    expect_path(alices, LIST)
    other.reload()
    expect_names(other, "Gletscherbau")


# --- strangers, customers --------------------------------------------------------------------------------------


@in_both_languages
def test_bob_has_no_partner_menu_and_finds_no_accounts(page, say):
    sign_in(page, BOB)
    menu = page.get_by_role("navigation", name=say("Main menu"))
    expect(menu.get_by_role("link", name=say("Members"))).to_be_visible()
    expect(menu.get_by_role("link", name=say("Accounts"))).to_have_count(0)

    answer = page.goto(f"/a/kuestenfunk/accounts/show/{1}")
    assert answer.status in {403, 404}
    elsewhere = page.goto(LIST)

    assert elsewhere.status == 404
    expect(page.get_by_role("heading", level=1)).to_have_text(say("Not found"))
    page.get_by_role("link", name=say("To the start page")).click()
    page.wait_for_url("**/a/kuestenfunk/portal/")


@in_both_languages
def test_what_a_role_does_not_include_is_said_on_a_page_of_ours(app, page, say):
    vera = cast.hire("vera@nordlicht.example", "nordlicht", Role.VIEWER)
    sign_in(page, vera)
    expect(page.get_by_role("link", name=say("Settings"))).to_have_count(0)

    answer = page.goto("/a/nordlicht/settings/")

    assert answer.status == 403
    expect(page.get_by_role("heading", level=1)).to_have_text(say("Not allowed"))
    expect(page.get_by_role("navigation", name=say("Main menu"))).to_be_visible()
    page.goto(LIST)
    expect(page.get_by_role("link", name=say("Add account"))).to_have_count(0)
    expect(page.locator("[data-edit]")).to_have_count(0)


# --- without scripts, on a phone -------------------------------------------------------------------------------


@in_both_languages
def test_everything_needed_works_without_scripts(new_browser, say):
    page = new_browser(java_script_enabled=False)
    sign_in(page, ALICE)
    page.get_by_role("link", name=say("Accounts"), exact=True).first.click()
    page.get_by_role("search").get_by_label(say("Kind"), exact=True).select_option(label=say("Partner"))
    page.get_by_role("button", name=say("Apply")).click()
    expect_names(page, "Fjordline")

    page.get_by_role("link", name=say("Add account")).click()
    page.locator("[name=name]").fill("Without scripts")
    page.get_by_role("button", name=say("Save")).click()

    expect_flash(page, say("“%(name)s” was added.", name="Without scripts"))
    expect(row(page, "Without scripts")).to_be_visible()
    row(page, "Without scripts").get_by_role("checkbox").check()
    page.get_by_role("button", name=say("Archive"), exact=True).click()
    expect_flash(page, say("One account was archived."))


@in_both_languages
def test_alice_works_on_her_phone(new_browser, say):
    page = new_browser(**PHONE)
    sign_in(page, ALICE)
    page.get_by_role("button", name=say("Menu"), exact=True).tap()
    page.get_by_role("dialog", name=say("Main menu")).get_by_role("link", name=say("Accounts")).tap()
    page.wait_for_url(f"**{LIST}")
    expect(page.locator("tbody tr")).to_have_count(4)

    page.get_by_role("link", name=say("Add account")).tap()
    expect(dialog(page).locator("[name=name]")).to_be_visible()
    box = dialog(page).bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= 390 and box["y"] + box["height"] <= 844
    dialog(page).locator("[name=name]").fill("Vom Telefon")
    dialog(page).get_by_role("button", name=say("Save")).tap()

    expect(row(page, "Vom Telefon")).to_be_visible()

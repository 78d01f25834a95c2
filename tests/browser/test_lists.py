"""Lists in a browser, in both languages: columns, shared views, the keyboard, a verb on all that match."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from app.models import Role
from tests.browser.steps import (
    dialog,
    expect_flash,
    expect_names,
    expect_path,
    flash,
    in_both_languages,
    question,
    row,
    sign_in,
)
from tests.cast import ALICE, hire

LIST = "/a/nordlicht/accounts/list/"


@pytest.fixture
def alices(page: Page) -> Page:
    sign_in(page, ALICE)
    page.goto(LIST)
    return page


def tab(page: Page, say, name: str) -> Locator:
    return page.get_by_role("navigation", name=say("Saved views")).get_by_role("link", name=name)


def header(page: Page) -> list[str]:
    cells = page.locator("thead th:not(.k-choose, .k-edit)")
    return [re.sub(r"\d", "", text).strip() for text in cells.all_inner_texts()]


@in_both_languages
def test_a_shared_view_is_opened_by_a_colleague(app, alices, new_browser, say):
    victor = hire("victor@nordlicht.example", "nordlicht", Role.VIEWER, "Victor Voss")
    alices.get_by_role("link", name=say("Name"), exact=True).click()
    alices.wait_for_url("**sort=**")
    alices.goto(f"{alices.url}&_flt_0_kind=customer&size=2")
    alices.get_by_role("link", name=say("Save view")).click()
    dialog(alices).locator("[name=name]").fill("Our customers")
    dialog(alices).get_by_label(say("Share with the account")).check()
    dialog(alices).get_by_role("button", name=say("Save")).click()
    expect_flash(alices, say("The view was saved."))
    expect(tab(alices, say, "Our customers")).to_have_attribute("aria-current", "page")

    victors = new_browser()
    sign_in(victors, victor)
    victors.goto(LIST)
    tab(victors, say, "Our customers").click()

    expect_names(victors, "Küstenfunk", "Deichbau")
    victors.get_by_role("link", name=say("City"), exact=True).click()
    expect(victors.locator(".k-changed")).to_be_visible()
    expect(victors.get_by_role("button", name=say("Save changes"))).to_have_count(0)
    victors.get_by_role("link", name=say("Undo")).click()
    expect_names(victors, "Küstenfunk", "Deichbau")
    opens_first_and_goes(victors, say)


def opens_first_and_goes(page: Page, say) -> None:
    """A usual view of one's own choice; the whole list is one click away."""
    page.locator(".k-view-deeds .dropdown > button").click()
    page.get_by_role("button", name=say("Open first")).click()
    expect_flash(page, say("The list opens with “%(name)s” from now on.", name="Our customers"))
    page.goto(LIST)
    expect_names(page, "Küstenfunk", "Deichbau")
    tab(page, say, say("All")).click()
    expect_names(page, "Bergen Sensor", "Deichbau", "Fjordline", "Küstenfunk")


@in_both_languages
def test_columns_are_chosen_and_ordered_by_keyboard_and_by_dragging(alices, say):
    alices.get_by_role("button", name=say("Columns")).click()
    box = alices.locator(".k-columns-dialog[open]")
    for name in ("Kind", "Status", "Beneath", "Contact", "E-mail", "Created", "Phone"):
        box.get_by_role("checkbox", name=say(name), exact=True).uncheck()
    box.get_by_role("checkbox", name=say("VAT ID"), exact=True).check()
    up = box.get_by_role("button", name=say("Move %(name)s up", name=say("Country")))
    up.focus()
    for _once in range(8):
        alices.keyboard.press("Enter")
    box.locator("[data-id=vat_id]").drag_to(box.locator("[data-id=country]"), target_position={"x": 40, "y": 4})
    box.get_by_role("button", name=say("Apply")).click()

    alices.wait_for_url("**cols=**")
    assert header(alices) == [say("VAT ID"), say("Country"), say("Name"), say("City")]
    assert "cols=vat_id%2Ccountry%2Cname%2Ccity" in alices.url
    alices.get_by_role("button", name=say("Columns")).click()
    alices.get_by_role("link", name=say("Usual columns")).click()
    expect(alices.get_by_role("columnheader", name=say("Kind"), exact=True)).to_be_visible()
    assert "cols" not in alices.url


@in_both_languages
def test_a_list_is_worked_through_by_keyboard(alices, say):
    alices.locator("tbody tr").first.wait_for()
    for key in "jjkjx":
        alices.keyboard.press(key)
    expect(row(alices, "Deichbau")).to_be_focused()
    expect(row(alices, "Deichbau").locator("[name=rowid]")).to_be_checked()
    expect(alices.locator("[data-count]")).to_have_text(say("%(count)s chosen", count=1))

    alices.keyboard.press("/")
    expect(alices.locator("[data-search]")).to_be_focused()
    alices.keyboard.type("jk?x")
    expect(alices.locator("[data-search]")).to_have_value("jk?x")
    expect(alices.locator("#shortcuts[open]")).to_have_count(0)
    alices.locator("h1").click()
    alices.keyboard.press("?")
    expect(alices.locator("#shortcuts[open]")).to_be_visible()
    alices.keyboard.press("Escape")

    alices.keyboard.press("j")
    alices.keyboard.press("Enter")
    expect(alices.locator("h1")).to_contain_text("Bergen Sensor")


def panel(page: Page, say, label: str) -> Locator:
    """The part of the panel that asks about a column."""
    return page.get_by_role("group", name=say(label), exact=True)


@in_both_languages
def test_a_list_is_filtered_in_every_way_the_panel_offers(alices, say):
    alices.keyboard.press("f")
    name, chips = panel(alices, say, "Name"), alices.get_by_role("list", name=say("Filters in force"))
    name.get_by_role("textbox").fill("e")
    alices.keyboard.press("Enter")
    alices.wait_for_url("**_flt_0_name=e**")
    expect_names(alices, "Bergen Sensor", "Deichbau", "Fjordline", "Küstenfunk")

    name.get_by_role("combobox").select_option(label=say("does not contain"))
    alices.wait_for_url("**_flt_4_name=e**")
    expect(alices.get_by_text(say("Nothing matches"))).to_be_visible()
    chips.get_by_role("button").click()
    expect(name.get_by_role("textbox")).to_be_focused()
    alices.keyboard.type("en")
    alices.keyboard.press("Enter")
    alices.wait_for_url("**_flt_4_name=en**")
    expect_names(alices, "Deichbau", "Fjordline")

    name.get_by_role("combobox").select_option(label=say("is not empty"))
    alices.wait_for_url("**_flt_0_name=%7Efilled**")
    expect(name.get_by_role("textbox")).to_have_count(0)
    expect_names(alices, "Bergen Sensor", "Deichbau", "Fjordline", "Küstenfunk")


@in_both_languages
def test_several_choices_are_picked_and_turned_around(alices, say):
    alices.keyboard.press("f")
    alices.get_by_role("searchbox", name=say("Find a column")).fill(say("Kind"))
    expect(panel(alices, say, "Name")).to_be_hidden()
    kind, picker = panel(alices, say, "Kind"), alices.get_by_role("combobox", name=say("Kind"), exact=True)
    picker.click()
    for choice in ("Partner", "Customer"):
        alices.get_by_role("option", name=say(choice), exact=True).click()
    alices.locator("h1").click()
    alices.wait_for_url("**_flt_0_kind=partner&_flt_0_kind=customer**")
    expect_names(alices, "Bergen Sensor", "Deichbau", "Fjordline", "Küstenfunk")

    kind.get_by_role("combobox").first.select_option(label=say("is not"))
    alices.wait_for_url("**_flt_1_kind=partner&_flt_1_kind=customer**")
    expect(alices.get_by_text(say("Nothing matches"))).to_be_visible()
    kind.locator(".remove").first.click()
    alices.wait_for_url("**list/?_flt_1_kind=customer")
    expect_names(alices, "Fjordline")


@in_both_languages
def test_shift_sorts_by_one_column_more(alices, say):
    alices.get_by_role("link", name=say("Kind"), exact=True).click(modifiers=["Shift"])
    alices.wait_for_url("**sort=name**kind**")
    expect(alices.locator(".k-rank")).to_have_count(2)
    link = alices.get_by_role("columnheader", name=say("Name")).get_by_role("link")
    link.focus()
    link.press("Shift+Enter")
    alices.wait_for_url("**sort=-name**kind**")

    expect_names(alices, "Küstenfunk", "Fjordline", "Deichbau", "Bergen Sensor")


@in_both_languages
def test_all_that_match_are_archived_at_once(alices, say):
    alices.goto(f"{LIST}?size=2&_flt_0_kind=customer")
    alices.locator("[data-choose-all]").check()
    alices.get_by_role("button", name=say("Choose all %(count)s that match", count=3)).click()
    expect(alices.locator("[data-count]")).to_have_text(say("All %(count)s chosen", count=3))
    alices.locator(".k-bulk").get_by_role("button", name=say("Archive")).click()
    sentence = say("This concerns all %(count)s rows that match, not only those on this page.", count=3)
    expect(question(alices)).to_contain_text(sentence)
    question(alices).get_by_role("button", name=say("Archive")).click()

    expect(flash(alices)).to_contain_text("3")
    expect_path(alices, LIST)
    expect(alices.get_by_text(say("Nothing matches"))).to_be_visible()
    alices.get_by_role("link", name=say("Remove filters"), exact=True).click()
    expect_names(alices, "Fjordline")

"""A partner's day in a browser, in both languages: columns of one's own, values, order, filters, a first member."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Locator, Page, expect
from sqlalchemy import select

from app.models import Property, PropertyType
from app.tenancy import unscoped
from tests import stock
from tests.browser.steps import (
    dialog,
    expect_flash,
    expect_names,
    flash,
    in_both_languages,
    question,
    row,
    sign_in,
)
from tests.cast import ALICE, DORA

T = PropertyType
LIST = "/a/nordlicht/accounts/list/"
NINA, SECRET = "nina@neufunk.example", "fjord und elbe 7"

# What is typed into Neufunk's form, and how it stands in the list in English and in German.
TYPED: dict[PropertyType, tuple[str, str, str]] = {
    T.TEXT: ("Offshore", "Offshore", "Offshore"),
    T.LONG: ("Two sites.", "Two sites.", "Two sites."),
    T.INTEGER: ("1200", "1,200", "1.200"),
    T.DECIMAL: ("12,5", "12.5", "12,5"),
    T.MONEY: ("990,50", "€990.50", "990,50"),
    T.DATE: ("2026-01-31", "Jan 31, 2026", "31.01.2026"),
    T.FLAG: ("1", "Yes", "Ja"),
    T.CHOICE: ("gold", "Gold", "Gold"),
    T.CHOICES: ("Silver", "Silver", "Silver"),
    T.URL: ("neufunk.example", "neufunk.example", "neufunk.example"),
    T.EMAIL: ("post@neufunk.example", "post@neufunk.example", "post@neufunk.example"),
    T.PHONE: ("+49 40 123456", "+49 40 123456", "+49 40 123456"),
    T.MEMBER: ("Alice Ahrens", "Alice Ahrens", "Alice Ahrens"),
}


@pytest.fixture
def alices(page: Page) -> Page:
    sign_in(page, ALICE)
    page.goto(LIST)
    return page


@in_both_languages
def test_from_a_new_account_to_its_first_member(app, alices, new_browser, say, locale):
    add_account(alices, say)
    for type_ in PropertyType:
        define(alices, say, type_)
    close(alices, say)
    fill_in(alices, say, locale)
    see_sort_and_filter(alices, say, locale)
    link = invite(alices, say)

    ninas = new_browser()
    ninas.goto(link)
    register(ninas, say)

    expect(ninas.get_by_role("banner")).to_contain_text("Neufunk")
    menu = ninas.get_by_role("navigation", name=say("Main menu"))
    expect(menu.get_by_role("link", name=say("Members"))).to_be_visible()
    expect(menu.get_by_role("link", name=say("Accounts"))).to_have_count(0)
    assert ninas.goto(LIST).status == 404

    give_article(new_browser(), say)
    key = create_key(ninas, say)
    use_license(ninas, key, say)


def add_account(page: Page, say) -> None:
    page.get_by_role("link", name=say("Add account")).click()
    dialog(page).locator("[name=name]").fill("Neufunk")
    dialog(page).get_by_role("button", name=say("Save")).click()
    expect_flash(page, say("“%(name)s” was added.", name="Neufunk"))


def define(page: Page, say, type_: PropertyType) -> None:
    """One property of that type; the dialog *Edit table* stays open over the list."""
    if dialog(page).count() == 0:
        page.get_by_role("link", name=say("Edit table")).click()
    dialog(page).get_by_role("link", name=say("Add property")).click()
    dialog(page).locator(f"a[href$='type={type_.value}']").click()
    expect(dialog(page).locator("[name=label_en]")).to_be_focused()
    dialog(page).locator("[name=label_en]").fill(f"A {type_.value}")
    if type_.has_choices:
        for number, name in enumerate(("Gold", "Silver")):
            dialog(page).locator("[name=choice_en]").nth(number).fill(name)
    dialog(page).get_by_role("button", name=say("Save")).click()
    expect(line(page, f"A {type_.value}")).to_be_visible()


def line(page: Page, label: str) -> Locator:
    return dialog(page).locator(".k-properties li").filter(has=page.get_by_text(label, exact=True))


def close(page: Page, say) -> None:
    dialog(page).get_by_role("button", name=say("Close")).last.click()
    expect(page.get_by_role("columnheader", name="A text")).to_be_visible()


def fill_in(page: Page, say, locale: str) -> None:
    row(page, "Neufunk").get_by_role("link", name=say("Edit %(name)s", name="Neufunk")).click()
    names = dict(inputs())
    expect(dialog(page).locator("[name=name]")).to_be_focused()
    for type_, (typed, _english, _german) in TYPED.items():
        field = dialog(page).locator(f"[name={names[type_]}]")
        if type_ is T.CHOICES:
            picker = dialog(page).get_by_role("combobox", name="A choices")
            picker.press_sequentially(typed)
            picker.press("Enter")
        elif type_ is T.MEMBER:
            field.select_option(label=typed)
        elif type_ in {T.FLAG, T.CHOICE}:
            field.select_option(typed)
        else:
            field.fill(typed if locale == "de" else typed.replace(",", "."))
    dialog(page).get_by_role("button", name=say("Save")).click()
    expect_flash(page, say("“%(name)s” was saved.", name="Neufunk"))
    page.goto(LIST)


def inputs() -> Iterator[tuple[PropertyType, str]]:
    with unscoped("the names of the inputs", writes=False) as session:
        for number, type_ in session.execute(select(Property.id, Property.type)):
            yield type_, f"prop_{number}"


def see_sort_and_filter(page: Page, say, locale: str) -> None:
    names = dict(inputs())
    for _typed, english, german in TYPED.values():
        expect(row(page, "Neufunk")).to_contain_text(german if locale == "de" else english)
    for type_ in (T.TEXT, T.MONEY, T.DATE, T.CHOICE):
        page.goto(f"{LIST}?sort={names[type_]}")
        expect_names(page, "Neufunk", "Bergen Sensor", "Deichbau", "Fjordline", "Küstenfunk")

    page.goto(f"{LIST}?_flt_0_{names[T.TEXT]}=~empty")
    expect_names(page, "Bergen Sensor", "Deichbau", "Fjordline", "Küstenfunk")
    chips = page.get_by_role("list", name=say("Filters in force"))
    expect(chips).to_contain_text(say("is empty"))
    chips.get_by_role("link", name=say("Remove filter: %(label)s", label="A text")).click()
    expect(page.locator("tbody tr")).to_have_count(5)
    page.get_by_role("button", name=say("Filter")).click()
    page.get_by_role("combobox", name="A choice", exact=True).click()
    page.get_by_role("option", name="Gold", exact=True).click()
    page.locator("h1").click()  # there could be more to choose
    expect_names(page, "Neufunk")
    page.get_by_role("searchbox", name=say("Search"), exact=True).fill("offsh")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=offsh**")
    expect_names(page, "Neufunk")


def invite(page: Page, say) -> str:
    row(page, "Neufunk").click()
    page.get_by_role("link", name=say("Invite member")).first.click()
    dialog(page).locator("[name=email]").fill(NINA)
    dialog(page).locator("[name=role]").select_option("administrator")
    dialog(page).get_by_role("button", name=say("Send invitation")).click()
    expect_flash(page, say("%(email)s is invited.", email=NINA))
    page.get_by_role("link", name=say("Outbox"), exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(say("Outbox"))
    page.locator("tbody tr").first.get_by_role("rowheader").click()
    return page.get_by_role("link", name="/join/").first.get_attribute("href")


def register(page: Page, say) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text(say("Join %(account)s", account="Neufunk"))
    for name, typed in [("first_name", "Nina"), ("last_name", "Neu"), ("password", SECRET), ("repeat", SECRET)]:
        page.locator(f"[name={name}]").fill(typed)
    page.get_by_role("button", name=say("Accept invitation")).click()
    page.wait_for_url(re.compile(r"/a/neufunk-\w+/portal/$"))


def give_article(page: Page, say) -> None:
    """The operator lets Neufunk have an article; nobody has ordered anything."""
    stock.article(grants={stock.license_type(): 20})
    sign_in(page, DORA)
    page.goto("/a/kontor/accounts/list/?q=Neufunk")
    row(page, "Neufunk").click()
    page.get_by_role("link", name=say("Give article")).first.click()
    dialog(page).locator("[name=article_id]").select_option(index=0)
    dialog(page).locator("[name=quantity]").fill("2")
    dialog(page).locator("button[type=submit]").click()
    expect(flash(page)).to_contain_text("Neufunk")


def create_key(page: Page, say) -> str:
    page.goto("/")
    page.get_by_role("navigation", name=say("Main menu")).get_by_role("link", name=say("API keys")).click()
    page.get_by_role("link", name=say("Create key")).first.click()
    dialog(page).locator("[name=name]").fill("Greenhouses")
    dialog(page).get_by_role("button", name=say("Read and write everything")).click()
    dialog(page).get_by_role("button", name=say("Create key")).click()
    secret = dialog(page).locator("#secret").inner_text()
    dialog(page).get_by_role("button", name=say("I have kept it")).click()
    return secret


def use_license(page: Page, key: str, say) -> None:
    """A program of Neufunk's takes three of the forty into use; Nina sees it."""
    page.get_by_role("navigation", name=say("Main menu")).get_by_role("link", name=say("Licenses"), exact=True).click()
    page.locator("tbody tr").first.get_by_role("rowheader").click()
    number = re.search(r"/licenses/show/(\d+)", page.url)[1]
    wanted = json.dumps({"quantity": 3, "reference": "Greenhouse 4"}).encode()
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json", "X-Idempotency-Key": "first"}
    host = re.match(r"https?://[^/]+", page.url)[0]
    asked = Request(f"{host}/api/v1/license/{number}/consume", wanted, headers, method="POST")
    with urlopen(asked, timeout=10) as answer:
        assert json.load(answer)["allowed"]

    page.reload()
    numbers = page.locator(".k-numbers dd")
    expect(numbers.nth(0)).to_have_text("3")
    expect(numbers.nth(1)).to_have_text("37")
    expect(page.locator(".k-uses")).to_contain_text("Greenhouse 4")


# --- Edit table --------------------------------------------------------------------------------------------------


@in_both_languages
def test_columns_are_ordered_by_dragging_and_by_keys_archived_and_restored(alices, say):
    for type_ in (T.TEXT, T.DATE, T.FLAG):
        define(alices, say, type_)
    labels = dialog(alices).locator("ol.k-properties strong")
    expect(labels).to_have_text(["A text", "A date", "A flag"])

    line(alices, "A flag").drag_to(line(alices, "A text"), target_position={"x": 20, "y": 2})
    expect(labels).to_have_text(["A flag", "A text", "A date"])
    expect(dialog(alices).locator("[aria-live]").first).to_contain_text(re.compile(r"1\D+3"))
    up = dialog(alices).get_by_role("button", name=say("Move %(name)s up", name="A date"))
    up.focus()
    alices.keyboard.press("Enter")
    expect(labels).to_have_text(["A flag", "A date", "A text"])
    expect(up).to_be_focused()
    expect(dialog(alices).locator("[aria-live]").first).to_contain_text(re.compile(r"2\D+3"))

    dialog(alices).get_by_role("button", name=say("Archive %(name)s", name="A date")).click()
    question(alices).get_by_role("button", name=say("Archive")).click()
    expect(labels).to_have_text(["A flag", "A text"])
    dialog(alices).locator(".k-archived summary").click()
    dialog(alices).get_by_role("button", name=say("Restore %(name)s", name="A date")).click()
    expect(labels).to_have_text(["A flag", "A date", "A text"])


@in_both_languages
def test_what_is_wrong_is_said_at_the_field_and_what_was_typed_is_kept(alices, say):
    define(alices, say, T.TEXT)
    dialog(alices).get_by_role("link", name=say("Add property")).click()
    dialog(alices).locator("a[href$='type=integer']").click()
    dialog(alices).locator("[name=label_en]").fill("a TEXT")
    dialog(alices).locator("[name=minimum]").fill("5")
    dialog(alices).get_by_role("button", name=say("Save")).click()

    expect(dialog(alices).locator("#label_en-error")).to_have_text(
        say("There is a property named “%(name)s” already.", name="A text")
    )
    expect(dialog(alices).locator("[name=label_en]")).to_be_focused()
    expect(dialog(alices).locator("[name=minimum]")).to_have_value("5")


@in_both_languages
def test_a_conversion_lists_what_does_not_fit_with_links_to_the_accounts(alices, say):
    define(alices, say, T.TEXT)
    close(alices, say)
    row(alices, "Küstenfunk").get_by_role("link", name=say("Edit %(name)s", name="Küstenfunk")).click()
    dialog(alices).get_by_label("A text").fill("twelve")
    dialog(alices).get_by_role("button", name=say("Save")).click()
    expect_flash(alices, say("“%(name)s” was saved.", name="Küstenfunk"))
    alices.goto(LIST)
    alices.get_by_role("link", name=say("Edit table")).click()

    dialog(alices).get_by_role("link", name=say("Change the type of %(name)s", name="A text")).click()
    dialog(alices).locator("a[href$='type=integer']").click()
    dialog(alices).get_by_role("button", name=say("Save")).click()

    expect(dialog(alices).locator(".k-misfits tbody")).to_contain_text("twelve")
    dialog(alices).get_by_role("link", name="Küstenfunk").click()
    expect(alices.get_by_role("heading", level=1)).to_contain_text("Küstenfunk")

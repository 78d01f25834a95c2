"""Properties on the screen: columns of the account list, inputs of its forms, the dialog *Edit table* (M-8, M-9)."""

from __future__ import annotations

import io
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from html import unescape

import openpyxl
import pytest
import time_machine
from sqlalchemy import event, select

from app import properties as values
from app.extensions import db
from app.models import Account, Property, PropertyType, PropertyValue, Role, User
from app.services import accounts, properties
from app.tenancy import unscoped
from app.ui import finding
from tests.cast import account_called, account_id, acting_as, browse, hire

T = PropertyType
HTMX = {"HX-Request": "true"}
STATES = [{"label_en": "Lead", "label_de": "Anfrage"}, {"label_en": "Won", "label_de": "Gewonnen"}]
REST = {"name": "Küstenfunk", "language": "de", "time_zone": "Europe/Berlin", "currency": "EUR"}


def define(person, type_, label, given=None, **facts):
    """A property with values: account's slug → value. Answers its column's name."""
    with acting_as(person) as by:
        definition = properties.define(type_, by=by, **{"label_en": label, **facts})
        for slug, value in (given or {}).items():
            values.write(account_called(slug), {definition: by.id if value == "me" else value})
        return f"prop_{definition.id}"


@pytest.fixture
def german(alice):
    with unscoped("Alice reads German") as session:
        session.scalar(select(User).where(User.email == alice.email)).locale = "de"
    return browse(alice)


def names(page):
    return [unescape(name) for name in re.findall(r'<tr [^>]*data-label="([^"]*)"', page.text)]


def text_of(answer):
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.text)))


def sheet_of(answer):
    return list(openpyxl.load_workbook(io.BytesIO(answer.data)).worksheets[0].iter_rows())


# --- shown -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("type_", "value", "facts", "english", "german"),
    [
        (T.TEXT, "Wind", {}, "Wind", "Wind"),
        (T.DECIMAL, Decimal("1234.5"), {}, "1,234.5", "1.234,5"),
        (T.MONEY, Decimal("1234.5"), {"currency": "EUR"}, "€1,234.50", "1.234,50 €"),
        (T.DATE, date(2026, 1, 31), {}, "Jan 31, 2026", "31.01.2026"),
        (T.FLAG, True, {}, "Yes", "Ja"),
        (T.CHOICE, "won", {"choices": STATES}, "Won", "Gewonnen"),
        (T.CHOICES, ["won", "lead"], {"choices": STATES}, "Lead Won", "Anfrage Gewonnen"),
        (T.MEMBER, "me", {}, "Alice Ahrens", "Alice Ahrens"),
    ],
)
def test_a_value_is_shown_in_the_readers_language(alice, type_, value, facts, english, german):
    define(alice, type_, "Thing", {"kuestenfunk": value}, label_de="Ding", **facts)
    browser = browse(alice)

    for code, label, said in (("en", "Thing", english), ("de", "Ding", german)):
        with unscoped("Alice's language") as session:
            session.scalar(select(User).where(User.email == alice.email)).locale = code
        page = text_of(browser.get("/accounts/list/")).replace("\xa0", " ")
        assert label in page
        assert said in page
        detail = text_of(browser.get(f"/accounts/show/{account_id('kuestenfunk')}")).replace("\xa0", " ")
        assert said in detail


def test_a_web_address_is_a_link_and_several_choices_are_badges(alice):
    define(alice, T.URL, "Site", {"kuestenfunk": "example.org"})
    define(alice, T.CHOICES, "Stages", {"kuestenfunk": ["lead", "won"]}, choices=STATES)
    page = browse(alice).get("/accounts/list/").text

    assert 'href="https://example.org" target="_blank"' in page
    assert len(re.findall(r'k-badge k-tone-secondary">(?:Lead|Won)<', page)) == 2


def test_what_is_no_column_stands_on_the_account_page_alone(alice):
    define(alice, T.TEXT, "Backstage", {"kuestenfunk": "hidden-word"}, as_column=False)
    browser = browse(alice)

    assert "Backstage" not in browser.get("/accounts/list/").text
    assert "hidden-word" in browser.get(f"/accounts/show/{account_id('kuestenfunk')}").text


# --- sorted ------------------------------------------------------------------------------------------------------

SORTED = [
    (T.TEXT, {"kuestenfunk": "Ähre", "deichbau": "zebra", "bergen": "b"}, ["Küstenfunk", "Bergen Sensor", "Deichbau"]),
    (T.INTEGER, {"kuestenfunk": 9, "deichbau": 10, "bergen": -1}, ["Bergen Sensor", "Küstenfunk", "Deichbau"]),
    (T.DATE, {"kuestenfunk": date(2026, 2, 1), "deichbau": date(2025, 12, 31)}, ["Deichbau", "Küstenfunk"]),
    (T.FLAG, {"kuestenfunk": True, "deichbau": False}, ["Deichbau", "Küstenfunk"]),
    (T.CHOICE, {"kuestenfunk": "won", "deichbau": "lead"}, ["Deichbau", "Küstenfunk"]),
]  # fmt: skip


@pytest.mark.both_databases
@pytest.mark.parametrize("few", [5_000, 0], ids=["sorted", "along the index"])
@pytest.mark.parametrize(("type_", "given", "order"), SORTED)
def test_the_list_is_sorted_by_a_property_and_what_has_none_comes_last_by_name(
    alice, monkeypatch, few, type_, given, order
):
    monkeypatch.setattr(finding, "FEW", few)
    column = define(alice, type_, "Thing", given, **({"choices": STATES} if type_.has_choices else {}))
    browser = browse(alice)
    rest = sorted({"Küstenfunk", "Deichbau", "Fjordline", "Bergen Sensor"} - set(order))
    for sort, sorted_ in ((column, order), (f"-{column}", order[::-1])):
        found = names(browser.get(f"/accounts/list/?sort={sort}"))
        if not few:  # very many that have no value come in any order
            found[len(order) :] = sorted(found[len(order) :])
        assert found == sorted_ + rest
    assert names(browser.get(f"/accounts/list/?sort={column},-name&_flt_1_name=Deichbau")) == ["Deichbau"]


@pytest.mark.both_databases
@pytest.mark.parametrize("few", [5_000, 0], ids=["sorted", "along the index"])
def test_pages_of_a_sorted_list_neither_repeat_nor_lose_a_row(alice, monkeypatch, few):
    monkeypatch.setattr(finding, "FEW", few)
    with acting_as(alice) as by:
        definition = properties.define(T.INTEGER, by=by, label_en="Thing")
        for number in range(31):
            account = accounts.open_account(f"Account {number:02}", parent=by.account, by=by)
            if number % 3:
                values.write(account, {definition: number % 4})
    browser = browse(alice)
    for sort in (f"prop_{definition.id}", f"-prop_{definition.id}"):
        pages = [names(browser.get(f"/accounts/list/?sort={sort}&size=10&page={n}")) for n in (1, 2, 3, 4)]
        assert [len(page) for page in pages] == [10, 10, 10, 5]
        assert len(set(sum(pages, []))) == 35


# --- filtered and searched ---------------------------------------------------------------------------------------


@pytest.mark.both_databases
@pytest.mark.parametrize("few", [5_000, 0], ids=["looked up", "tested"])
@pytest.mark.parametrize(
    ("type_", "value", "finds", "misses"),
    [
        (T.TEXT, "Große Ährenweg 100%", ["_flt_0_={}ÄHREN", "_flt_1_=grosse ahrenweg 100%", "_flt_2_=GROSSE"],
         ["_flt_0_=1%0", "_flt_1_=Große", "_flt_2_=Ähren"]),
        (T.LONG, "x" * 300 + " end", ["_flt_0_=X end", "_flt_2_=xxx"], ["_flt_0_=nope", "_flt_1_=" + "x" * 200]),
        (T.DECIMAL, Decimal("1.1"), ["_flt_0_=1.1", "_flt_1_=1.1", "_flt_2_=1.1"],
         ["_flt_1_=1.2", "_flt_2_=1", "_flt_0_=1.11"]),
        (T.DATE, date(2026, 1, 31), ["_flt_0_=2026-01-31", "_flt_1_=2026-01-31"],
         ["_flt_1_=2026-02-01", "_flt_2_=2026-01-30"]),
        (T.FLAG, False, ["_flt_0_=0"], ["_flt_0_=1"]),
        (T.CHOICE, "won", ["_flt_0_=won"], ["_flt_0_=lead", "_flt_1_=won"]),
        (T.CHOICES, ["won"], ["_flt_0_=won"], ["_flt_0_=lead"]),
    ],
)  # fmt: skip
def test_a_filter_finds_what_fits_and_nothing_else(alice, monkeypatch, few, type_, value, finds, misses):
    monkeypatch.setattr(finding, "FEW", few)
    given = {"kuestenfunk": value}
    column = define(alice, type_, "Thing", given, **({"choices": STATES} if type_.has_choices else {}))
    browser = browse(alice)

    def found(filter_):
        name, _equals, text = filter_.replace("{}", "").partition("=")
        page = browser.get("/accounts/list/", query_string={name + column: text})
        assert "was not understood" not in page.text
        return names(page)

    for filter_ in finds:
        assert found(filter_) == ["Küstenfunk"], filter_
    for filter_ in misses:
        assert "Küstenfunk" not in found(filter_), filter_


@pytest.mark.both_databases
@pytest.mark.parametrize("few", [5_000, 0], ids=["looked up", "tested"])
@pytest.mark.parametrize(
    ("type_", "given", "asked", "left"),
    [
        (T.TEXT, {"kuestenfunk": "Große Ähre", "deichbau": "Ähren"}, ["_flt_3_{}=GROSSE ähre"], {"Küstenfunk"}),
        (T.TEXT, {"kuestenfunk": "Große Ähre", "deichbau": "Ähren"}, ["_flt_4_{}=ähre"], {"Küstenfunk", "Deichbau"}),
        (T.TEXT, {"kuestenfunk": "Große Ähre", "deichbau": "Ähren"}, ["_flt_3_{}=große ähre", "_flt_4_{}=ähren"],
         {"Küstenfunk", "Deichbau"}),
        (T.LONG, {"kuestenfunk": "x" * 300 + " end"}, ["_flt_4_{}=X end"], {"Küstenfunk"}),
        (T.CHOICE, {"kuestenfunk": "won", "deichbau": "lead"}, ["_flt_1_{}=won"], {"Küstenfunk"}),
        (T.CHOICE, {"kuestenfunk": "won", "deichbau": "lead"}, ["_flt_1_{}=won", "_flt_1_{}=lead"],
         {"Küstenfunk", "Deichbau"}),
        (T.CHOICE, {"kuestenfunk": "won", "deichbau": "lead"}, ["_flt_1_{}=won", "_flt_0_{}=~filled"],
         {"Küstenfunk", "Fjordline", "Bergen Sensor"}),
        (T.CHOICES, {"kuestenfunk": ["won", "lead"], "deichbau": ["lead"]}, ["_flt_1_{}=won"], {"Küstenfunk"}),
    ],
)  # fmt: skip
def test_what_a_property_is_not_is_found_where_there_is_none_too(alice, monkeypatch, few, type_, given, asked, left):
    monkeypatch.setattr(finding, "FEW", few)
    column = define(alice, type_, "Thing", given, **({"choices": STATES} if type_.has_choices else {}))
    query = "&".join(asked).replace("{}", column)
    wanted = {"Küstenfunk", "Deichbau", "Fjordline", "Bergen Sensor"} - left
    browser = browse(alice)

    for sort in ("name", column, f"-{column}"):
        page = browser.get(f"/accounts/list/?{query}&sort={sort}")
        assert "was not understood" not in page.text
        assert sorted(names(page)) == sorted(wanted), sort
        assert f"of {len(wanted)}</span>" in page.text


SOME = {
    T.TEXT: "word", T.LONG: "x" * 300, T.INTEGER: 7, T.DECIMAL: Decimal("1.5"), T.MONEY: Decimal("1.50"),
    T.DATE: date(2026, 1, 31), T.FLAG: False, T.CHOICE: "won", T.CHOICES: ["won"], T.URL: "x.example",
    T.EMAIL: "x@y.example", T.PHONE: "+49 40 1", T.MEMBER: "me",
}  # fmt: skip


@pytest.mark.both_databases
@pytest.mark.parametrize("few", [5_000, 0], ids=["looked up", "tested"])
def test_every_type_can_be_asked_for_what_is_empty_and_what_is_not(alice, monkeypatch, few):
    monkeypatch.setattr(finding, "FEW", few)
    wanted = {
        type_: define(alice, type_, type_, {"deichbau": value}, **({"choices": STATES} if type_.has_choices else {}))
        for type_, value in SOME.items()
    }
    browser = browse(alice)

    for type_, column in wanted.items():
        page = browser.get(f"/accounts/list/?_flt_0_{column}=~filled")
        assert names(page) == ["Deichbau"], type_
        assert f"{type_.value}: is not empty" in text_of(page)
        empty = names(browser.get(f"/accounts/list/?_flt_0_{column}=~empty&sort={column}"))
        assert sorted(empty) == ["Bergen Sensor", "Fjordline", "Küstenfunk"], type_


@pytest.mark.parametrize(("column", "empty"), [("contact", 4), ("email", 3), ("country", 3), ("created_at", 0)])
def test_so_can_the_columns_that_are_there_anyway(alice, column, empty):
    browser = browse(alice)

    assert len(names(browser.get(f"/accounts/list/?_flt_0_{column}=~empty"))) == empty
    assert len(names(browser.get(f"/accounts/list/?_flt_0_{column}=~filled"))) == 4 - empty


@pytest.mark.both_databases
@pytest.mark.parametrize(
    ("word", "finds"),
    [
        ("~today", ["today"]),
        ("~last7", ["6 ago", "today"]),
        ("~last30", ["29 ago", "6 ago", "starts", "today"]),
        ("~month", ["6 ago", "ends", "starts", "today"]),
        ("~next30", ["29 ahead", "ends", "today"]),
    ],
)
def test_days_are_counted_from_the_persons_today(alice, word, finds):
    days = {
        "30 ago": date(2026, 1, 19), "29 ago": date(2026, 1, 20), "starts": date(2026, 2, 1),
        "6 ago": date(2026, 2, 12), "today": date(2026, 2, 18), "ends": date(2026, 2, 28),
        "29 ahead": date(2026, 3, 19), "30 ahead": date(2026, 3, 20),
    }  # fmt: skip
    with acting_as(alice) as by:
        definition = properties.define(T.DATE, by=by, label_en="Day")
        for name, day in days.items():
            values.write(accounts.open_account(name, parent=by.account, by=by), {definition: day})
    with time_machine.travel(datetime(2026, 2, 17, 23, 30, tzinfo=UTC), tick=False):  # past midnight in Berlin
        found = names(browse(alice).get(f"/accounts/list/?_flt_0_prop_{definition.id}={word}"))

    assert sorted(found) == finds


def test_german_numbers_and_days_are_understood_in_filters(german, alice):
    amount = define(alice, T.MONEY, "Amount", {"kuestenfunk": Decimal("1234.50")}, currency="EUR")
    day = define(alice, T.DATE, "Day", {"kuestenfunk": date(2026, 1, 31)})

    assert names(german.get(f"/accounts/list/?_flt_0_{amount}=1.234,50")) == ["Küstenfunk"]
    assert names(german.get(f"/accounts/list/?_flt_0_{day}=31.01.2026")) == ["Küstenfunk"]


@pytest.mark.both_databases
@pytest.mark.parametrize(
    ("type_", "value", "q"),
    [
        (T.TEXT, "Offshore-Wind", "shore-w"), (T.LONG, "x" * 300 + "needle", "NEEDLE"), (T.EMAIL, "q@x.example", "q@x"),
        (T.CHOICE, "won", "wo"), (T.CHOICES, ["won"], "won"), (T.MEMBER, "me", "ahrens"),
    ],
)  # fmt: skip
def test_the_quick_search_looks_through_what_reads_like_text(alice, type_, value, q):
    given = {"deichbau": value}
    define(alice, type_, "Thing", given, **({"choices": STATES} if type_.has_choices else {}))

    assert "Deichbau" in names(browse(alice).get("/accounts/list/", query_string={"q": q}))


@pytest.mark.parametrize("query", ["_flt_0_{}=x", "_flt_0_{}=1e999999", "_flt_0_{}=NaN", "_flt_9_{}=1", "_flt_1_{}=²"])
def test_a_filter_that_cannot_be_meant_is_left_out_with_a_message(alice, query):
    column = define(alice, T.INTEGER, "Thing")
    page = browse(alice).get(f"/accounts/list/?{query.format(column)}")

    assert "was not understood" in page.text
    assert len(names(page)) == 4


# --- exported ----------------------------------------------------------------------------------------------------


def test_the_export_has_them_typed(alice):
    define(alice, T.MONEY, "Volume", {"kuestenfunk": Decimal("1234.5")}, currency="EUR")
    define(alice, T.DATE, "Until", {"kuestenfunk": date(2026, 1, 31)})
    define(alice, T.CHOICES, "Stages", {"kuestenfunk": ["lead", "won"]}, choices=STATES)
    column = define(alice, T.TEXT, "Formula", {"kuestenfunk": "=1+1"})

    header, row, *rest = sheet_of(browse(alice).get(f"/accounts/export?sort={column}"))
    told = {cell.value: row[place] for place, cell in enumerate(header)}

    assert (told["Volume"].value, told["Volume"].number_format) == (1234.5, '#,##0.00 "EUR"')
    assert told["Until"].value.date() == date(2026, 1, 31)
    assert told["Stages"].value == "Lead, Won"
    assert (told["Formula"].value, told["Formula"].data_type) == ("=1+1", "s")
    assert len(rest) == 3


# --- edited ------------------------------------------------------------------------------------------------------


def test_the_form_has_the_input_of_each_type(alice):
    for type_ in T:
        define(alice, type_, f"A {type_.value}", required=True, **({"choices": STATES} if type_.has_choices else {}))
    page = browse(alice).get("/accounts/add", headers=HTMX).text

    for tag in ('type="date"', 'inputmode="decimal"', 'type="url"', 'type="tel"', "<textarea", "multiple", "Alice A"):
        assert tag in page
    assert 'type="number"' not in page


def test_an_account_is_added_with_its_properties_and_defaults_are_proposed(german, alice):
    amount = define(alice, T.DECIMAL, "Amount", default_value=Decimal("2.5"))
    form = german.get("/accounts/add", headers=HTMX)
    assert 'value="2,5"' in form.text

    answer = german.post("/accounts/add", data={**REST, "name": "Neufunk", amount: "1.234,75"}, headers=HTMX)

    assert answer.status_code == 204
    assert "1.234,75" in german.get("/accounts/list/").text


def test_values_are_changed_and_taken_away(german, alice):
    amount = define(alice, T.DECIMAL, "Amount", {"kuestenfunk": Decimal("1.5")})
    flag = define(alice, T.FLAG, "Flag", {"kuestenfunk": True})
    day = define(alice, T.DATE, "Day", {"kuestenfunk": date(2026, 1, 31)})
    url = f"/accounts/edit/{account_id('kuestenfunk')}"
    form = german.get(url).text
    for shown in ('value="1,5"', '<option selected value="1">Ja', 'value="2026-01-31"'):
        assert shown in form

    german.post(url, data={**REST, amount: "", flag: "0", day: "2026-02-01"})

    with acting_as(alice):
        assert list(account_called("kuestenfunk").properties.values()) == [False, "2026-02-01"]


def test_every_error_stands_at_its_field_and_what_was_typed_is_still_there(german, alice):
    amount = define(alice, T.MONEY, "Amount", maximum=Decimal(100), currency="EUR")
    address = define(alice, T.EMAIL, "Address")
    needed = define(alice, T.TEXT, "Needed", required=True)
    number = define(alice, T.INTEGER, "Number")
    answer = german.post(
        f"/accounts/edit/{account_id('kuestenfunk')}",
        data={**REST, "contact": "Typed", amount: "100,01", address: "nobody", needed: "", number: "abc"},
    )

    assert answer.status_code == 422
    for name in (amount, address, needed, number):
        assert f'id="{name}-error"' in answer.text
    for typed in ("Typed", "100,01", "nobody", "abc"):
        assert f'value="{typed}"' in answer.text


def test_a_name_that_is_taken_is_refused_with_the_properties_still_there(alice):
    column = define(alice, T.TEXT, "Thing")
    answer = browse(alice).post("/accounts/add", data={**REST, column: "still here"})

    assert answer.status_code == 422
    assert 'value="still here"' in answer.text


# --- whose they are ----------------------------------------------------------------------------------------------


def test_another_partners_property_has_no_effect_anywhere(alice, charlie, frida, dora):
    column = define(alice, T.TEXT, "Nordlicht-Risk", {"bergen": "verysecret", "kuestenfunk": "verysecret"})
    for person in (charlie, frida, dora):
        browser = browse(person)
        plain = names(browser.get("/accounts/list/"))
        assert "Nordlicht-Risk" not in browser.get("/accounts/list/").text
        for query in (f"sort={column}", f"_flt_0_{column}=verysecret", f"_flt_1_{column}=x"):
            page = browser.get(f"/accounts/list/?{query}")
            assert names(page) == plain
            assert "k-note-warning" in page.text
        assert names(browser.get("/accounts/list/?q=verysecret")) == []
        assert "verysecret" not in str([[c.value for c in r] for r in sheet_of(browser.get("/accounts/export"))])
    for path in (f"/accounts/show/{account_id('bergen')}", "/history/list/", "/accounts/list/"):
        assert "verysecret" not in browse(frida).get(path).text
    assert "verysecret" not in browse(frida).get(f"/accounts/edit/{account_id('bergen')}").text


def test_a_form_cannot_write_a_foreign_property(alice, frida):
    column = define(alice, T.TEXT, "Risk", {"bergen": "low"})
    url = f"/accounts/edit/{account_id('bergen')}"

    browse(frida).post(url, data={**REST, "name": "Bergen Sensor", column: "written by Frida"})

    with acting_as(alice):
        assert list(account_called("bergen").properties.values()) == ["low"]


def test_the_partners_own_properties_stay_when_somebody_else_edits(alice, frida):
    define(alice, T.TEXT, "Risk", {"bergen": "low"})
    fish = define(frida, T.TEXT, "Fish")
    url = f"/accounts/edit/{account_id('bergen')}"

    browse(frida).post(url, data={**REST, "name": "Bergen Sensor", fish: "cod"})

    with acting_as(alice):
        assert sorted(account_called("bergen").properties.values()) == ["cod", "low"]


def test_from_above_a_partners_list_has_the_partners_columns(alice, dora):
    define(alice, T.TEXT, "Nordlicht-Risk", {"kuestenfunk": "from-below"})
    page = browse(dora).get(f"/accounts/related/parent_id/{account_id('nordlicht')}", headers=HTMX)

    assert "Nordlicht-Risk" in page.text and "from-below" in page.text


def test_the_account_page_tells_the_change_to_the_partner_and_not_to_the_account(alice, bob):
    define(alice, T.TEXT, "Risk", {"kuestenfunk": "low-risk"})
    key = account_id("kuestenfunk")

    assert "Risk: low-risk" in browse(alice).get(f"/history/related/account_id/{key}", headers=HTMX).text
    assert "low-risk" not in browse(bob).get("/history/list/").text


# --- how much it costs -------------------------------------------------------------------------------------------


@pytest.mark.both_databases
@pytest.mark.parametrize("query", ["", "sort={0},-{1}", "_flt_0_{0}=5&q=x", "sort=-{1}&page=2&size=10"])
def test_a_list_with_64_properties_needs_no_more_statements(app, alice, query):
    with acting_as(alice) as by:
        types = [t for t in T if t is not T.MEMBER] + [T.MEMBER]
        own = [
            properties.define(types[n % len(types)], by=by, label_en=f"Number {n}", choices=STATES) for n in range(64)
        ]
        values.write(account_called("kuestenfunk"), {d: by.id for d in own if d.type is T.MEMBER})
        values.write(account_called("kuestenfunk"), {d: 5 for d in own if d.type.is_number})
        numbers = [f"prop_{d.id}" for d in own if d.type is T.INTEGER]
    browser = browse(alice)
    statements = []
    event.listen(db.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))

    page = browser.get(f"/accounts/list/?{query.format(*numbers)}")

    assert page.status_code == 200
    assert "Number 63" in page.text
    assert len(statements) <= 10, "\n".join(statements)


# --- the dialog --------------------------------------------------------------------------------------------------


def own_labels(person):
    with acting_as(person) as by:
        return [definition.label_en for definition in values.definitions_of(by.account_id)]


def test_the_list_offers_its_dialog_to_those_who_may(alice):
    viewer = hire("vera@nordlicht.example", "nordlicht", Role.VIEWER)

    assert 'href="/a/nordlicht/properties/" data-modal' in browse(alice).get("/accounts/list/").text
    assert "/properties/" not in browse(viewer).get("/accounts/list/").text
    for path in ("/properties/", "/properties/add", "/properties/add?type=text"):
        assert browse(viewer).get(path).status_code in {302, 403}
    browse(viewer).post("/properties/add?type=text", data={"label_en": "Mine"})
    assert own_labels(alice) == []


@pytest.mark.parametrize("type_", list(T))
def test_a_property_of_each_type_is_defined_and_is_a_column(alice, type_):
    browser = browse(alice)
    assert f"type={type_.value}" in browser.get("/properties/add", headers=HTMX).text
    url = f"/properties/add?type={type_.value}"
    form = browser.get(url, headers=HTMX)
    assert "<html" not in form.text and 'name="label_en"' in form.text

    answer = browser.post(
        url,
        data={"label_en": "Branch", "label_de": "Branche", "as_column": "y", "currency": "CHF",
              "choice_key": ["", ""], "choice_en": ["One", "Two"], "choice_de": ["Eins", ""]},
        headers=HTMX,
    )  # fmt: skip

    assert answer.status_code == 200 and "data-changed" in answer.text
    assert "Branch" in browser.get("/accounts/list/").text


def test_a_definition_is_refused_at_its_field_with_everything_still_there(german):
    answer = german.post(
        "/properties/add?type=choice",
        data={"label_en": "Branch", "choice_key": ["", ""], "choice_en": ["Same", "same"], "choice_de": ["", "Andere"]},
        headers=HTMX,
    )

    assert answer.status_code == 422
    assert 'value="Branch"' in answer.text and 'value="Andere"' in answer.text


def test_a_definition_is_edited_with_its_limits(german, alice):
    column = define(alice, T.DECIMAL, "Amount", minimum=Decimal("0.5"), default_value=Decimal("1.5"))
    url = f"/properties/edit/{column.removeprefix('prop_')}"
    form = german.get(url, headers=HTMX).text
    assert 'value="0,5"' in form and 'value="1,5"' in form

    limits = {"minimum": "", "maximum": "2,5", "default_value": ""}
    german.post(url, data={"label_en": "Amount", "label_de": "Menge", **limits}, headers=HTMX)

    with acting_as(alice):
        found = db.session.scalar(select(Property))
        assert (found.label_de, found.minimum, found.maximum, found.default_value) == ("Menge", None, "2.5", None)


def test_the_arrows_and_the_drag_post_the_new_order(alice):
    ids = [define(alice, T.TEXT, name).removeprefix("prop_") for name in "abc"]
    browser = browse(alice)
    assert f'value="{ids[1]},{ids[0]},{ids[2]}"' in browser.get("/properties/", headers=HTMX).text

    answer = browser.post("/properties/order", data={"ids": ",".join(ids[::-1])}, headers=HTMX)

    assert answer.status_code == 200
    assert own_labels(alice) == ["c", "b", "a"]
    assert browser.post("/properties/order", data={"ids": "x,²"}, headers=HTMX).status_code == 400


def test_a_column_is_archived_and_restored(alice):
    column = define(alice, T.TEXT, "Branch", {"kuestenfunk": "offshore"})
    number = column.removeprefix("prop_")
    browser = browse(alice)

    assert "Archived" in browser.post(f"/properties/archive/{number}", headers=HTMX).text
    page = browser.get(f"/accounts/list/?sort={column}")
    assert "offshore" not in page.text and "k-note-warning" in page.text
    browser.post(f"/properties/restore/{number}", headers=HTMX)

    assert "offshore" in browser.get("/accounts/list/").text


def test_a_conversion_names_what_does_not_fit_and_converts_what_does(alice):
    column = define(alice, T.TEXT, "Size", {"kuestenfunk": "12", "deichbau": "<b>huge</b>"})
    url = f"/properties/convert/{column.removeprefix('prop_')}"
    browser = browse(alice)
    assert "type=integer" in browser.get(url, headers=HTMX).text

    refused = browser.post(f"{url}?type=integer", headers=HTMX)
    assert refused.status_code == 422
    assert "Deichbau" in refused.text and "&lt;b&gt;huge" in refused.text
    with acting_as(alice):
        values.write(account_called("deichbau"), {db.session.scalar(select(Property)): "1500"})
    assert browser.post(f"{url}?type=integer", headers=HTMX).status_code == 200

    assert "1,500" in browser.get("/accounts/list/").text


def test_words_become_choices(alice):
    column = define(alice, T.TEXT, "Branch", {"kuestenfunk": "Wind", "deichbau": "Water", "bergen": "wind"})
    form = browse(alice).get(f"/properties/convert/{column.removeprefix('prop_')}?type=choice", headers=HTMX).text

    assert re.findall(r'name="choice_en" value="([^"]+)"', form) == ["Water", "Wind"]


def test_definitions_of_others_are_not_there_to_be_changed(alice, charlie, frida):
    for owner in (charlie, frida):
        number = define(owner, T.TEXT, "Theirs").removeprefix("prop_")
        browser = browse(alice)
        assert "Theirs" not in browser.get("/properties/").text
        refused = 404 if owner is charlie else 403  # of an account beneath it is seen, and its own to change
        assert browser.get(f"/properties/edit/{number}").status_code == refused
        for path in (f"archive/{number}", f"restore/{number}", f"convert/{number}?type=long", f"edit/{number}"):
            assert browser.post(f"/properties/{path}", data={"label_en": "Mine"}).status_code == refused
        assert own_labels(owner) == ["Theirs"]


def test_everything_works_as_a_page_too(alice):
    column = define(alice, T.TEXT, "Branch")
    browser = browse(alice)
    own = [f"{path.format(column.removeprefix('prop_'))}" for path in ("edit/{}", "convert/{}", "convert/{}?type=long")]
    for path in ("", "add", "add?type=text", *own):
        page = browser.get(f"/properties/{path}")
        assert page.status_code == 200 and "<html" in page.text

    answer = browser.post("/properties/add?type=text", data={"label_en": "Another"})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/a/nordlicht/properties/")


def test_the_index_is_never_larger_than_the_values(alice):
    define(alice, T.TEXT, "Branch", {"kuestenfunk": "x"})

    with acting_as(alice):
        assert [v.account_id for v in db.session.scalars(select(PropertyValue))] == [account_id("kuestenfunk")]
        assert db.session.scalar(select(Account).where(Account.slug == "deichbau")).properties == {}

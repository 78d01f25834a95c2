"""Lists: what every one of them does, seen on the accounts."""

from __future__ import annotations

import io
import re
from decimal import Decimal
from html import unescape

import openpyxl
import pytest
from sqlalchemy import event

from app import properties as values
from app.errors import Refused
from app.extensions import db
from app.models import PropertyType, Role
from app.services import accounts, properties
from app.ui import bulk, totals
from tests import stock
from tests.cast import account_called, account_id, acting_as, browse, hire


def text_of(answer) -> str:
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.text)))


def test_alice_sees_the_accounts_beneath_hers(alice):
    page = browse(alice).get("/accounts/list/")

    assert page.status_code == 200
    for name in ("Küstenfunk", "Deichbau", "Fjordline", "Bergen Sensor"):
        assert name in page.text
    assert "Alpenwerk" not in page.text


def test_an_account_is_added_in_the_dialog_and_stands_in_the_list(alice):
    browser = browse(alice)

    form = browser.get("/accounts/add", headers={"HX-Request": "true"})
    assert "<html" not in form.text and 'name="name"' in form.text
    answer = browser.post(
        "/accounts/add",
        data={"name": "Neufunk", "language": "de", "time_zone": "Europe/Berlin", "currency": "EUR"},
        headers={"HX-Request": "true"},
    )

    assert answer.status_code == 204
    assert answer.headers["HX-Redirect"] == "/a/nordlicht/accounts/list/"
    assert "Neufunk" in browser.get("/accounts/list/").text


def test_a_name_that_is_taken_is_refused_at_the_field_with_everything_still_there(alice):
    answer = browse(alice).post(
        "/accounts/add",
        data={"name": " küstenFUNK ", "contact": "Somebody", "language": "de", "time_zone": "UTC", "currency": "EUR"},
    )

    assert answer.status_code == 422
    assert "There is an account named “küstenFUNK” here already." in text_of(answer)
    assert 'value="Somebody"' in answer.text


def test_the_account_page_opens_with_its_sections(alice):
    page = browse(alice).get(f"/accounts/show/{account_id('kuestenfunk')}")

    assert page.status_code == 200
    assert f"/a/nordlicht/members/related/account_id/{account_id('kuestenfunk')}" in page.text


def test_a_filter_and_a_search_narrow_the_list(alice):
    browser = browse(alice)

    assert "Deichbau" not in browser.get("/accounts/list/?_flt_0_name=küsten").text
    assert "Deichbau" not in browser.get("/accounts/list/?_flt_0_kind=partner").text.split("<tbody")[1]
    assert "Küstenfunk" in browser.get("/accounts/list/?q=INFO@kuesten").text


def test_where_nothing_is_yet_there_is_nothing_to_search(frida):
    browser, search = browse(frida), 'role="search"'

    assert search not in browser.get("/webhooks/list/").text
    assert search in browser.get("/webhooks/list/?q=nobody").text


@pytest.mark.parametrize(
    "query",
    [
        "page=x", "page=-1", "page=0", "page=999999999999999999999", "size=100000000", "size=²", "sort=nope",
        "sort=account.secret", "_flt_9_name=x", "_flt_0_nope=x", "_flt_x_name=x", "_flt_0_created_at=x",
        "_flt_1_created_at=x", "_flt_0_kind=nope", "_flt_=x", "_flt_0_=x", "q=%00", "_flt_0_name=%00",
        "_flt_0_name=%25_%5C", "sort=,,-", "_flt_²_name=x",
    ],
)  # fmt: skip
def test_what_cannot_be_understood_is_left_out_with_a_message(alice, query):
    page = browse(alice).get(f"/accounts/list/?{query}")

    assert page.status_code == 200


def test_the_export_is_the_list_in_excel(alice):
    answer = browse(alice).get("/accounts/export?_flt_0_name=küsten&sort=-name")

    sheet = openpyxl.load_workbook(io.BytesIO(answer.data)).worksheets[0]
    rows = list(sheet.values)
    assert [row[0] for row in rows] == ["Name", "Küstenfunk"]


# --- which columns, in which order -------------------------------------------------------------------------------


def header(page) -> list[str]:
    head = page.text.partition("<thead>")[2].partition("</thead>")[0]
    found = re.findall(r'<th scope="col" class="(?!k-choose|k-edit)[^"]*"[^>]*>(.*?)</th>', head, re.S)
    return [unescape(re.sub(r"<[^>]+>", "", label)).strip() for label in found]


def names(page) -> list[str]:
    return re.findall(r'data-label="([^"]*)"', page.text.partition("<tbody>")[2].partition("</tbody>")[0])


def test_a_list_shows_the_columns_asked_for_in_their_order(alice):
    browser = browse(alice)

    assert header(browser.get("/accounts/list/?cols=city,name,vat_id")) == ["City", "Name", "VAT ID"]
    assert header(browser.get("/accounts/list/?cols=city&cols=name")) == ["City", "Name"]
    assert header(browser.get("/members/list/?cols=role")) == ["Role"]
    assert header(browser.get("/accounts/list/"))[:3] == ["Name", "Kind", "Status"]


@pytest.mark.parametrize("cols", ["secret", "account.path", "name_key", ",,", "name" + ",x" * 3_000, "%00", "1;--"])
def test_columns_that_are_none_are_left_out_with_a_message(alice, cols):
    page = browse(alice).get(f"/accounts/list/?cols={cols}")

    assert page.status_code == 200 and header(page)[0] == "Name"
    assert ("no longer there" in page.text) == (cols != ",,")


def test_what_is_not_shown_is_searched_filtered_and_sorted_by_all_the_same(alice):
    browser = browse(alice)

    assert names(browser.get("/accounts/list/?cols=city&q=küsten")) == ["Küstenfunk"]
    assert names(browser.get("/accounts/list/?cols=city&_flt_0_parent.name=fjord")) == ["Bergen Sensor"]
    assert names(browser.get("/accounts/list/?cols=city&sort=parent.name,-name"))[0] == "Bergen Sensor"
    assert names(browser.get("/members/list/?cols=role&q=alice")) == ["Alice Ahrens"]


def test_the_export_has_the_chosen_columns_in_their_order(alice):
    answer = browse(alice).get("/accounts/export?_flt_0_name=küsten&cols=email,name")

    sheet = openpyxl.load_workbook(io.BytesIO(answer.data)).worksheets[0]
    chosen = [row[:2] for row in sheet.values]  # behind them stands the ID by which an import knows the row again
    assert chosen == [("E-mail", "Name"), ("info@kuestenfunk.example", "Küstenfunk")]


def test_the_panel_keeps_columns_order_and_filters_it_has_no_input_for(alice):
    two_of_one, after = "_flt_0_name=u&_flt_2_name=k", "_flt_3_created_at=2020-01-31"
    page = browse(alice).get(f"/accounts/list/?cols=name,city&sort=-name&{two_of_one}&{after}&_flt_0_country=DE").text
    form = page.partition('role="search"')[2].partition("</form>")[0]

    kept = [("cols", "name,city"), ("sort", "-name"), ("_flt_2_name", "k"), ("_flt_3_created_at", "2020-01-31")]
    for name, value in kept:
        assert f'<input type="hidden" name="{name}" value="{value}">' in form
    assert 'type="hidden" name="_flt_0_country"' not in form


# --- ways to ask about a column ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("_flt_0_kind=customer&_flt_0_kind=partner", {"Küstenfunk", "Deichbau", "Bergen Sensor", "Fjordline"}),
        ("_flt_1_kind=customer&_flt_1_kind=partner", set()),
        ("_flt_1_country=NO", {"Küstenfunk", "Deichbau", "Bergen Sensor"}),
        ("_flt_3_name=Deichbau", {"Küstenfunk", "Bergen Sensor", "Fjordline"}),
        ("_flt_4_name=FUNK&_flt_4_name=deich", {"Bergen Sensor", "Fjordline"}),
        ("_flt_4_contact=x", {"Küstenfunk", "Deichbau", "Bergen Sensor", "Fjordline"}),  # most have none
    ],
)
@pytest.mark.both_databases
def test_what_is_not_is_none_of_it_and_what_is_empty_is_not_it_either(alice, query, found):
    assert set(names(browse(alice).get(f"/accounts/list/?{query}"))) == found


def panel(page) -> dict[str, str]:
    """What the panel says about each column, by its name."""
    panel = page.text.partition('class="k-filters"')[2].partition("k-filters-end")[0]
    parts = re.split(r'data-narrow="([^"]*)"', panel)
    return dict(zip(map(unescape, parts[1::2]), parts[2::2], strict=True))


def ways(said: str) -> list[str]:
    return re.findall(r">([^<]*)</option>", said.partition("</select>")[0])


def test_the_panel_offers_the_ways_that_fit_and_shows_the_one_in_force(alice):
    said = panel(browse(alice).get("/accounts/list/?_flt_3_name=Deichbau&_flt_1_kind=partner&_flt_0_created_at=~month"))

    assert ways(said["Name"]) == [
        "contains", "is", "starts with", "is not", "does not contain", "is empty", "is not empty"
    ]  # fmt: skip
    assert re.search(r'data-name="_flt_3_name" class="k-jsonly" selected>is not<', said["Name"])
    assert re.search(r'name="_flt_3_name" value="Deichbau"', said["Name"])
    assert ways(said["Kind"])[:2] == ["is", "is not"]
    assert re.search(r'multiple name="_flt_1_kind".*<option value="partner" selected>', said["Kind"])
    assert ways(said["Created"])[:3] == ["between", "on", "today"] and "last month" in ways(said["Created"])
    assert re.search(r'value="~month" selected', said["Created"]) and said["Created"].count(" disabled") == 2
    assert " selected" not in said["City"].partition("is empty")[2] and "disabled" not in said["City"]


def test_exactly_one_number_stays_in_the_panel(bob):
    stock.license_of(quantity=100)
    said = panel(browse(bob).get("/licenses/list/?_flt_0_quantity=100"))["Quantity"]

    assert re.search(r'name="_flt_0_quantity" value="100"', said)
    assert re.search(r'name="_flt_2_quantity" value=""[^>]* disabled', said)


def test_what_is_archived_is_shown_in_the_list_as_it_stands(alice):
    browser = browse(alice)
    query = "_flt_1_kind=partner&q=e&sort=-name&cols=name%2Ccity"

    def leads(query: str, label: str) -> str:
        return unescape(re.search(rf'href="([^"]*)"[^>]*>(<svg.*?</svg>)?{label}', browser.get(query).text)[1])

    there = leads(f"/accounts/list/?{query}&page=2", "Show archived")
    assert there == f"/a/nordlicht/accounts/list/?{query}&archived=1"
    assert leads(there.removeprefix("/a/nordlicht"), "Hide archived") == f"/a/nordlicht/accounts/list/?{query}"
    assert leads("/accounts/list/?_flt_0_standing=archived&q=e", "Hide archived").endswith("/list/?q=e")


def test_a_column_is_added_to_the_order_turned_around_and_taken_out_again(alice):
    browser = browse(alice)

    def also(query: str) -> str:
        page = browser.get(f"/accounts/list/?{query}").text
        return unescape(re.search(r'data-also="[^"]*\?([^"]*)"[^>]*>Kind', page)[1])

    assert also("") == "sort=name%2Ckind"
    assert also("sort=name,kind") == "sort=name%2C-kind"
    assert also("sort=name,-kind") == "sort=name"
    assert re.findall(r'</span>(\d)</span></a>', browser.get("/accounts/list/?sort=kind,-name").text) == ["2", "1"]
    assert 'class="k-rank"' not in browser.get("/accounts/list/?sort=-name").text


# --- what its numbers come to ------------------------------------------------------------------------------------


def foot(page) -> list[str]:
    foot = page.text.partition("<tfoot>")[2].partition("</tfoot>")[0]
    return [text.strip() for text in unescape(re.sub(r"<[^>]+>", "\n", foot)).split("\n") if text.strip()]


def numbers(alice, **kept) -> str:
    """A column of amounts and one of decimals, with a value in each account; their names."""
    with acting_as(alice) as by:
        money = properties.define(PropertyType.MONEY, by=by, label_en="Volume", currency="EUR")
        number = properties.define(PropertyType.DECIMAL, by=by, label_en="Share")
        for slug, value in kept.items():
            values.write(account_called(slug), {money: Decimal(value), number: Decimal(value)})
        return f"cols=name,prop_{money.id},prop_{number.id}"


@pytest.mark.both_databases
@pytest.mark.parametrize("size", [25, 1], ids=["on the page", "by a statement"])
def test_totals_are_exact_and_of_the_rows_that_match(alice, size):
    cols = numbers(alice, kuestenfunk="0.1", deichbau="0.2", bergen="1000000000000.07")
    browser = browse(alice)

    assert foot(browser.get(f"/accounts/list/?{cols}&size={size}")) == [
        "Total", "€1,000,000,000,000.37", "1,000,000,000,000.37"
    ]  # fmt: skip
    found = browser.get(f"/accounts/list/?{cols}&size={size}&_flt_0_kind=customer&q=b")
    assert foot(found)[1] == "€1,000,000,000,000.27"
    assert foot(browser.get(f"/accounts/list/?{cols}&size={size}&q=u")) == ["Total", "€0.30", "0.3"]
    assert foot(browser.get(f"/accounts/list/?{cols}&_flt_0_name=fjord&size={size}")) == ["Total"]
    assert foot(browser.get("/accounts/list/?cols=name")) == []


@pytest.mark.both_databases
@pytest.mark.parametrize("size", [25, 1])
def test_totals_of_licenses_are_added_up_too(app, bob, size):
    stock.license_of(quantity=100)
    stock.license_of(quantity=11)

    page = browse(bob).get(f"/licenses/list/?cols=public_id,quantity,available&size={size}")

    assert foot(page) == ["Total", "Assets", "111", "Assets", "111"]


@pytest.mark.both_databases
@pytest.mark.parametrize("size", [25, 1])
def test_rights_of_one_type_are_not_added_to_those_of_another(app, bob, monkeypatch, size):
    for name, quantity in [("Assets", 100), ("Users", 11), ("Assets", 1)]:
        monkeypatch.setitem(stock.NAMES, "name_en", name)
        stock.license_of(quantity=quantity)
    path = f"/licenses/list/?cols=public_id,quantity&size={size}"

    assert foot(browse(bob).get(path)) == ["Total", "Assets", "101", "Users", "11"]
    monkeypatch.setattr(totals, "MOST_UNITS", 1)
    assert foot(browse(bob).get(path)) == ["Total", "–"]


@pytest.mark.both_databases
@pytest.mark.parametrize("size", [25, 1])
def test_amounts_are_added_up_by_their_currency(app, dora, size):
    for key, amount, currency in [("one", "49.50", "EUR"), ("two", "0.55", "EUR"), ("three", "7000", "JPY")]:
        plan = stock.plan(key, amounts={"base": Decimal(amount)}, currency=currency)
        stock.subscription(plan, title=key, currency=currency)

    page = browse(dora).get(f"/subscriptions/list/?cols=title,calculation.net&size={size}")

    assert foot(page) == ["Total", "Monthly", "€50.05", "Monthly", "¥7,000"]


@pytest.mark.both_databases
@pytest.mark.parametrize("size", [25, 1])
def test_what_is_paid_by_the_month_is_not_added_to_what_is_paid_by_the_year(app, dora, size):
    for key, amount, period in [("one", "49.50", "monthly"), ("two", "0.55", "monthly"), ("three", "500", "yearly")]:
        plan = stock.plan(key, amounts={"base": Decimal(amount)}, period=period)
        stock.subscription(plan, title=key)
    browser = browse(dora)

    page = browser.get(f"/subscriptions/list/?cols=title,calculation.net&size={size}")
    assert foot(page) == ["Total", "Monthly", "€50.05", "Yearly", "€500.00"]
    page = browser.get(f"/subscriptions/list/?_flt_0_plan.period=yearly&size={size}")
    assert foot(page) == ["Total", "Yearly", "€500.00"] and "Billed" in header(page)


def test_a_long_list_is_added_up_when_somebody_asks(alice, monkeypatch):
    monkeypatch.setattr(totals, "LIGHT", 2)
    cols = numbers(alice, kuestenfunk="0.1", deichbau="0.2")
    browser = browse(alice)
    page = browser.get(f"/accounts/list/?{cols}")
    asked = unescape(re.search(r'href="[^"]*(\?[^"]*totals=1[^"]*)"', page.text)[1])

    assert foot(page) == ["Show totals"]
    assert foot(browser.get(f"/accounts/list/{asked}"))[2:] == ["€0.30", "0.3"]


# --- verbs on all rows that match --------------------------------------------------------------------------------


def test_a_verb_is_done_to_all_that_match_and_to_no_other(alice, charlie):
    browser = browse(alice)
    answer = browser.post("/accounts/action_post?_flt_0_kind=customer&size=1", data={"action": "archive", "all": "3"})

    assert answer.status_code == 302
    page = browser.get("/accounts/list/")
    assert names(page) == ["Fjordline"] and "Archive: done to 3 rows." in text_of(page)
    assert names(browse(charlie).get("/accounts/list/")) == ["Gletscherbau"]


def test_those_refused_are_named_and_the_others_done(alice):
    with acting_as(alice) as by:
        accounts.archive(account_called("deichbau"), by=by)
    browser = browse(alice)
    browser.post("/accounts/action_post?archived=1", data={"action": "archive", "all": "4"})

    said = text_of(browser.get("/accounts/list/?archived=1"))
    assert "Archive: done to 3 rows." in said
    assert "Archive: not done to one row. Deichbau: It cannot be done to this row." in said


def test_what_a_rule_refuses_is_told_with_its_reason(dora, alice, monkeypatch):
    def archive(account, *, by):
        if account.slug == "deichbau":
            raise Refused("Not this one.")
        real(account, by=by)

    real = accounts.archive
    monkeypatch.setattr(accounts, "archive", archive)
    browser = browse(alice)
    browser.post("/accounts/action_post?_flt_0_kind=customer", data={"action": "archive", "all": "3"})

    page = browser.get("/accounts/list/")
    assert names(page) == ["Deichbau", "Fjordline"]
    assert "Archive: not done to one row. Deichbau: Not this one." in text_of(page)


@pytest.mark.parametrize("agreed", ["2", "4", "x", "²", "9" * 30])
def test_nothing_is_done_where_other_rows_match_than_agreed(alice, agreed):
    browser = browse(alice)
    browser.post("/accounts/action_post?_flt_0_kind=customer", data={"action": "archive", "all": agreed})

    page = browser.get("/accounts/list/")
    assert len(names(page)) == 4 and "Meanwhile other rows match" in text_of(page)


def test_there_is_a_limit_to_what_is_done_at_once(alice, monkeypatch):
    monkeypatch.setattr(bulk, "MOST", 2)
    browser = browse(alice)
    browser.post("/accounts/action_post?_flt_0_kind=customer", data={"action": "archive", "all": "3"})

    page = browser.get("/accounts/list/?size=1")
    assert "At most 2 rows at once; filter the list further." in text_of(page)
    assert "Filter to 10,000 rows or fewer" in text_of(page) and len(names(browser.get("/accounts/list/"))) == 4


def test_many_are_done_in_parts(alice, monkeypatch):
    monkeypatch.setattr(bulk, "PART", 2)
    browser = browse(alice)
    browser.post("/accounts/action_post?_flt_0_kind=customer", data={"action": "archive", "all": "3"})

    assert names(browser.get("/accounts/list/")) == ["Fjordline"]


def test_a_verb_one_has_no_right_to_is_not_done_to_all_either(app):
    victor = hire("victor@nordlicht.example", "nordlicht", Role.VIEWER)

    assert browse(victor).post("/accounts/action_post", data={"action": "archive", "all": "4"}).status_code == 403


# --- how much it costs -------------------------------------------------------------------------------------------

PAGES = ["/", "/accounts/list/", "/members/list/", "/history/list/", "/outbox/list/", "/roles/", "/settings/",
         "/licenses/list/", "/accounts/list/?cols=name,plan.name,website&sort=parent.name",
         "/relationships/list/", "/deadlines/", "/subscriptions/list/", "/orders/list/", "/resource-groups/list/",
         "/upfront/list/", "/plans/compare"]  # fmt: skip


@pytest.mark.parametrize("path", PAGES)
def test_a_list_page_needs_few_statements(app, alice, path):
    browser = browse(alice)
    browser.get(path)
    statements = []

    event.listen(db.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    assert browser.get(path).status_code == 200

    most = 12 if path == "/deadlines/" else 10  # that one asks once for each kind of thing that ends
    assert len(statements) <= most, "\n".join(statements)

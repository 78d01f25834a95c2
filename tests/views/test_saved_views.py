"""Saved views above a list: tabs, what can be done with the one at hand, addresses that go on working."""

from __future__ import annotations

import io
import re
from html import unescape

import openpyxl
import pytest

from app.extensions import db
from app.models import Property, PropertyType, Role
from app.services import properties, saved_views
from tests.cast import acting_as, browse, hire

LIST = "/accounts/list/"
GERMAN = "_flt_0_country=DE&size=25&sort=-name"


@pytest.fixture
def victor(app):
    return hire("victor@nordlicht.example", "nordlicht", Role.VIEWER, "Victor Voss")


def save(person, name="German accounts", *, shared=False, query=GERMAN):
    with acting_as(person) as by:
        return saved_views.save(name, of_list="accounts", query=query, shared=shared, by=by).id


def names(page) -> list[str]:
    body = page.text.partition("<tbody>")[2].partition("</tbody>")[0]
    return [unescape(name) for name in re.findall(r'data-label="([^"]*)"', body)]


def tabs(page) -> list[str]:
    nav = page.text.partition('class="k-view-tabs"')[2].partition("</nav>")[0]
    return [unescape(re.sub(r"<[^>]+>", "", tab)).strip() for tab in re.findall(r"<a .*?</a>", nav, re.S)]


def chips(page) -> list[str]:
    return re.findall(r"<strong>([^<]*)</strong></button><a href", page.text)


def test_without_views_there_are_no_tabs_and_a_changed_list_can_be_saved(alice):
    browser = browse(alice)

    assert tabs(browser.get(LIST)) == []
    assert "Save view" not in browser.get(LIST).text
    assert "Save view" in browser.get(f"{LIST}?sort=-name").text


def test_a_view_is_saved_in_the_dialog_and_opens_by_its_address(alice):
    browser = browse(alice)
    answer = browser.post(
        "/views/add", headers={"HX-Request": "true"},
        data={"list": "accounts", "state": f"{GERMAN}&page=7&back=//evil.example", "name": "German accounts"},
    )  # fmt: skip

    assert answer.status_code == 204
    address = answer.headers["HX-Redirect"].removeprefix("/a/nordlicht")
    page = browser.get(address)
    assert re.fullmatch(r"/accounts/list/\?view=\d+", address)
    assert tabs(page) == ["All", "German accounts"]
    assert chips(page) == ["is Germany"] and "Save changes" not in page.text
    with acting_as(alice) as by:
        assert [view.query for view in saved_views.views_of("accounts", by=by)] == [GERMAN]


def test_a_refused_name_is_said_at_the_field_and_everything_stays(alice):
    save(alice)
    answer = browse(alice).post(
        "/views/add", data={"list": "accounts", "state": GERMAN, "name": "german accounts", "usual": "y"}
    )

    assert answer.status_code == 422
    assert "There is a view of this name already." in answer.text
    assert 'value="german accounts"' in answer.text and re.search(r"checked[^>]*name=\"usual\"", answer.text)


def test_every_link_of_an_opened_view_spells_it_out(alice):
    pk = save(alice, query="_flt_0_country=NO&size=25&sort=-name")
    page = unescape(browse(alice).get(f"{LIST}?view={pk}").text)

    spelled_out = f"_flt_0_country=NO&size=25&based={pk}&sort=city"
    assert f'href="/a/nordlicht/accounts/list/?{spelled_out}"' in page
    assert f"based={pk}" in re.search(r'href="([^"]*accounts/export[^"]*)"', page)[1]


def test_what_is_changed_since_can_be_kept_or_undone(alice):
    pk = save(alice)
    browser = browse(alice)
    page = browser.get(f"{LIST}?{GERMAN.replace('-name', 'city')}&based={pk}")

    assert "Save changes" in page.text and f'href="/a/nordlicht/accounts/list/?view={pk}">Undo' in page.text
    state = unescape(re.search(r'name="state" value="([^"]*)"', page.text)[1])
    answer = browser.post(f"/views/keep/{pk}", data={"state": state})

    assert answer.location == f"/a/nordlicht/accounts/list/?view={pk}"
    with acting_as(alice) as by:
        assert saved_views.get(pk, by=by).query == "_flt_0_country=DE&size=25&sort=city"


def test_a_view_is_changed_by_taking_its_filter_away(alice):
    pk = save(alice, query="_flt_0_country=DE&size=25")

    page = browse(alice).get(f"{LIST}?size=25&based={pk}")

    assert chips(page) == [] and "Save changes" in page.text


def test_a_colleague_opens_a_shared_view_and_cannot_change_it(alice, victor):
    pk = save(alice, shared=True)
    browser = browse(victor)
    page = browser.get(f"{LIST}?view={pk}&sort=city")

    assert chips(page) == ["is Germany"]
    for deed in ("Save changes", "Delete view", "Rename or share"):
        assert deed not in page.text
    assert "Save as new view" in page.text
    assert "Share with the account" not in browser.get("/views/add?list=accounts").text
    for deed in ("edit", "keep", "delete"):
        assert browser.post(f"/views/{deed}/{pk}", data={"name": "Mine"}).status_code == 403


def test_a_foreign_view_in_the_address_is_as_one_that_never_was(alice, charlie, victor):
    own, shared = save(alice), save(alice, "Shared", shared=True)

    for person, pk in ((victor, own), (charlie, own), (charlie, shared)):
        page = browse(person).get(f"{LIST}?view={pk}")
        assert page.status_code == 200 and "no longer there" in page.text and chips(page) == []
        assert browse(person).post(f"/views/delete/{pk}").status_code == 404


@pytest.mark.parametrize("view", ["999999", "x", "-1", "9" * 40, "%00"])
def test_a_view_that_is_none_shows_the_whole_list_with_a_message(alice, view):
    page = browse(alice).get(f"{LIST}?view={view}")

    assert page.status_code == 200 and "This view is no longer there" in page.text
    assert "Deichbau" in page.text


def test_the_list_opens_with_ones_usual_view_and_the_tab_all_leads_out_of_it(alice, victor):
    pk = save(alice, shared=True)
    browser = browse(alice)
    browser.post(f"/views/open-with/{pk}", data={"usual": "1"})

    assert chips(browser.get(LIST)) == ["is Germany"]
    assert chips(browser.get(f"{LIST}?view=all")) == []
    assert chips(browser.get(f"{LIST}?_flt_0_kind=partner")) == ["is Partner"]
    assert chips(browse(victor).get(LIST)) == []

    browser.post(f"/views/open-with/{pk}", data={"usual": "0"})
    assert chips(browser.get(LIST)) == []


def test_when_ones_usual_view_is_deleted_the_whole_list_comes_back(alice):
    pk = save(alice)
    browser = browse(alice)
    browser.post(f"/views/open-with/{pk}", data={"usual": "1"})
    browser.post(f"/views/delete/{pk}")

    page = browser.get(LIST)
    assert page.status_code == 200 and chips(page) == [] and tabs(page) == []


def test_clearing_the_filters_of_a_view_stays_clear_though_it_is_the_usual_one(alice):
    pk = save(alice, query="_flt_0_country=FR&sort=-name")
    browser = browse(alice)
    browser.post(f"/views/open-with/{pk}", data={"usual": "1"})
    page = browser.get(LIST)
    clear = unescape(re.search(r'href="([^"]*)"><svg[^>]*><use[^>]*></use></svg>Remove filters', page.text)[1])

    assert "Deichbau" in browser.get(clear.removeprefix("/a/nordlicht")).text


def test_clearing_a_filter_of_ones_own_does_not_bring_the_usual_view_back(alice):
    pk = save(alice)
    browser = browse(alice)
    browser.post(f"/views/open-with/{pk}", data={"usual": "1"})
    page = unescape(browser.get(f"{LIST}?_flt_0_kind=partner").text)
    clear = re.search(r'href="/a/nordlicht([^"]*)">Clear all', page)[1]

    assert chips(browser.get(clear)) == []


def test_a_view_with_columns_that_are_gone_shows_the_others_and_says_so(alice, victor):
    with acting_as(alice) as by:
        gone = properties.define(PropertyType.MONEY, by=by, label_en="Volume", currency="EUR")
        column = f"prop_{gone.id}"
    pk = save(alice, shared=True, query=f"_flt_1_{column}=5&cols=name,{column},city&sort=-{column}")
    assert "Volume" in browse(victor).get(f"{LIST}?view={pk}").text
    with acting_as(alice) as by:
        properties.archive(db.session.get(Property, gone.id), by=by)

    page = browse(victor).get(f"{LIST}?view={pk}")

    assert page.status_code == 200
    assert "One column of this view is no longer there" in page.text
    assert "was not understood and left out" in page.text
    assert len(names(page)) == 4 and "Volume" not in page.text


def test_the_export_of_a_view_is_what_the_view_shows(alice):
    pk = save(alice, query="cols=city,name&_flt_0_name=küsten&sort=-name")
    answer = browse(alice).get(f"/accounts/export?view={pk}")

    sheet = openpyxl.load_workbook(io.BytesIO(answer.data)).worksheets[0]
    assert [row[1] for row in sheet.values] == ["Name", "Küstenfunk"]
    assert sheet["A1"].value == "City"


def test_the_file_of_a_view_says_which_one_it_is(alice, victor):
    mine, theirs = save(alice), save(victor, "Victor's own")
    said = {}
    for number, query in [(mine, ""), (mine, "&size=10"), (mine, "&q=e"), (theirs, ""), ("9" * 30, ""), ("x", "")]:
        kept = f"based={number}&{GERMAN}{query}".replace("&size=25", "")
        file = browse(alice).get(f"/accounts/export?{kept}")
        about = openpyxl.load_workbook(io.BytesIO(file.data)).worksheets[1]
        said[number, query] = dict(row[:2] for row in about.values).get("View")

    assert said.pop((mine, "")) == said.pop((mine, "&size=10")) == "German accounts"
    assert said.pop((mine, "&q=e")) == "German accounts (changed)"
    assert set(said.values()) == {None}


def test_the_rows_of_a_page_are_remembered_for_oneself(alice, victor):
    browser = browse(alice)
    answer = browser.post("/views/page-size", data={"list": "accounts", "size": "10", "state": "sort=-name"})

    assert answer.location == "/a/nordlicht/accounts/list/?sort=-name"
    assert "10 per page" in re.search(r"dropdown-toggle[^<]*>[^<]*", browser.get(LIST).text.split("k-paging-end")[1])[0]
    assert "25 per page" in browse(victor).get(LIST).text.split("k-paging-end")[1].split("</button>")[0]


@pytest.mark.parametrize(
    "data", [{"list": "accounts", "size": "7"}, {"list": "nope", "size": "10"}, {"list": "plans/..", "size": "10"}]
)
def test_a_size_that_is_not_offered_and_a_list_that_is_none_are_not_found(alice, data):
    assert browse(alice).post("/views/page-size", data=data).status_code == 404


def test_a_list_one_may_not_see_has_no_views(bob):
    browser = browse(bob)

    assert browser.get("/views/add?list=accounts").status_code == 404
    assert browser.post("/views/add", data={"list": "accounts", "name": "x"}).status_code == 404
    assert browser.get("/views/add?list=members").status_code == 200

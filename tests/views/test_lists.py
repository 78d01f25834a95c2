"""Lists: what every one of them does, seen on the accounts."""

from __future__ import annotations

import io
import re
from html import unescape

import openpyxl
import pytest
from sqlalchemy import event

from app.extensions import db
from tests.cast import account_id, browse


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


PAGES = ["/", "/accounts/list/", "/members/list/", "/history/list/", "/outbox/list/", "/roles/", "/settings/"]


@pytest.mark.parametrize("path", PAGES)
def test_a_list_page_needs_few_statements(app, alice, path):
    browser = browse(alice)
    browser.get(path)
    statements = []

    event.listen(db.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    assert browser.get(path).status_code == 200

    assert len(statements) <= 10, "\n".join(statements)

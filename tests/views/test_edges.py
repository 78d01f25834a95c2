"""What happens at the edges: forged hosts, missing tokens, stale tabs, faults. Nothing leaks, nothing is lost."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from app.extensions import db
from app.models import Account
from app.services import accounts
from tests.cast import account_called, account_id, acting_as, apart, browse


def test_a_forged_host_is_refused(app):
    answer = apart(app.test_client().get, "/login/", headers={"Host": "evil.example"})

    assert answer.status_code == 400


@pytest.mark.parametrize("path", ["/login/", "/a/nordlicht/", "/a/nordlicht/accounts/list/", "/a/nowhere/"])
def test_every_answer_carries_the_security_headers(alice, path):
    answer = apart(browse(alice).client.get, path)

    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-store"


def test_static_files_have_one_address_for_all_accounts(alice):
    page = browse(alice).get("/accounts/list/")

    links = re.findall(r'(?:src|href)="([^"]+\.(?:js|css|svg)[^"]*)"', page.text)
    assert links and all(link.startswith("/static/") for link in links)


def test_a_form_without_its_token_changes_nothing(app, alice):
    browser = browse(alice)

    answer = browser.post("/accounts/add", data={"name": "Neufunk"}, headers={"X-CSRFToken": ""})

    assert answer.status_code == 400
    with acting_as(alice):
        assert account_called("neufunk") is None


def test_nothing_is_changed_by_looking(alice):
    pk = account_id("kuestenfunk")

    answer = browse(alice).get(f"/accounts/action_post?action=archive&rowid={pk}")

    assert answer.status_code == 405
    with acting_as(alice):
        assert not account_called("kuestenfunk").is_archived


def test_a_form_of_a_stale_tab_works_in_its_own_account(alice):
    browser = browse(alice)
    with acting_as(alice) as by:
        accounts.open_account("Nebenher", parent=by.account, by=by, slug="nebenher")
    browser.get("/")  # the other tab moves on to another account
    apart(browser.client.get, "/a/nebenher/")

    answer = browser.post("/accounts/add", data={"name": "Neufunk", "language": "de", "time_zone": "UTC",
                                                 "currency": "EUR"})  # fmt: skip

    assert answer.headers["Location"] == "/a/nordlicht/accounts/list/"
    with acting_as(alice) as by:
        made = db.session.scalars(select(Account).where(Account.name == "Neufunk")).one()
        assert made.parent_id == by.account_id


def test_an_address_without_account_leads_to_the_own_one(alice):
    answer = apart(browse(alice).client.get, "/accounts/list/?q=funk")

    assert answer.headers["Location"].endswith("/a/nordlicht/accounts/list/?q=funk")


def test_an_account_of_strangers_looks_like_one_that_is_not_there(alice):
    browser = browse(alice)

    foreign = apart(browser.client.get, "/a/alpenwerk/accounts/list/")
    missing = apart(browser.client.get, "/a/nowhere/accounts/list/")

    assert foreign.status_code == missing.status_code == 404
    assert _without_nonces(foreign.text).replace("alpenwerk", "nowhere") == _without_nonces(missing.text)


def _without_nonces(text: str) -> str:
    return re.sub(r'(nonce|content|value)="[^"]+"', "", text)


def test_a_customer_has_no_partner_menu_and_no_accounts_page(bob):
    page = browse(bob).get("/")
    accounts_page = browse(bob).get("/accounts/list/")

    assert "/accounts/list/" not in page.text
    assert accounts_page.status_code == 403


@pytest.mark.parametrize("fault", [RuntimeError("a secret"), IntegrityError("SELECT secret", {}, Exception())])
def test_a_fault_shows_neither_sql_nor_a_trace(alice, monkeypatch, fault):
    def fail(*_args, **_kwargs):
        raise fault

    monkeypatch.setattr(accounts, "open_account", fail)

    answer = browse(alice).post(
        "/accounts/add", data={"name": "X", "language": "de", "time_zone": "UTC", "currency": "EUR"}
    )

    assert answer.status_code in {409, 500}
    assert "secret" not in answer.text and "Traceback" not in answer.text and "SELECT" not in answer.text


def test_what_was_done_before_a_refusal_is_undone_with_it(alice, monkeypatch):
    """One request, one transaction: the second of two archivings is refused, so the first has not happened."""
    browser = browse(alice)
    with acting_as(alice) as by:
        accounts.archive(account_called("deichbau"), by=by)

    answer = browser.post(
        "/accounts/action_post",
        data={"action": "archive", "rowid": [account_id("kuestenfunk"), account_id("deichbau")]},
        follow_redirects=True,
    )

    assert "archived already" in answer.text
    with acting_as(alice):
        assert not account_called("kuestenfunk").is_archived


def test_a_page_of_an_ended_session_leads_to_the_sign_in(app):
    answer = apart(app.test_client().get, "/a/nordlicht/accounts/list/")

    assert answer.status_code == 302 and answer.headers["Location"] == "/login/"
    db.session.remove()


@pytest.mark.parametrize("path", ["/accounts/show/99999999999999999999", "/accounts/show/0", "/accounts/show/-1",
                                  "/accounts/show/x", "/accounts/show/1%00", "/accounts/related/nope/1"])  # fmt: skip
def test_odd_numbers_are_not_there(alice, path):
    assert browse(alice).get(path).status_code == 404


def test_a_verb_on_an_accounts_own_page_asks_by_name_and_comes_back(alice):
    browser, pk = browse(alice), account_id("kuestenfunk")
    page = browser.get(f"/accounts/show/{pk}")
    assert "Archive “Küstenfunk”?" in page.text

    url = re.search(r'action="/a/nordlicht(/accounts/action_post[^"]+)"', page.text).group(1).replace("&amp;", "&")
    answer = browser.post(url, data={"action": "archive"})

    assert answer.headers["Location"] == f"/a/nordlicht/accounts/show/{pk}"
    with acting_as(alice):
        assert account_called("kuestenfunk").is_archived

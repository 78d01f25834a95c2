"""How many rows a list has, and page by page through them, also where they are many."""

from __future__ import annotations

import random
import re
from html import unescape

import pytest
from sqlalchemy import select, update

from app import clock
from app.models import Account, PropertyType, User
from app.services import properties
from app.tenancy import unscoped
from app.ui import finding, listing
from benchmarks import crowd as crowds
from tests.cast import account_id, acting_as, browse, program


def crowd(size: int) -> None:
    """Exactly so many accounts in Alice's list."""
    crowds.settle(account_id("nordlicht"), size + size // 50, random.Random(1))
    with unscoped("as many as wanted") as session:
        own = session.get(Account, account_id("nordlicht"))
        beneath = Account.path.startswith(own.path), Account.id != own.id, Account.archived_at.is_(None)
        superfluous = select(Account.id).where(*beneath).order_by(Account.id).offset(size)
        ids = list(session.scalars(superfluous))
        session.execute(update(Account).where(Account.id.in_(ids)).values(archived_at=clock.now()))


def summary(page) -> str:
    """What stands below the table: "1–25 of 60", and the link to count if there is one."""
    part = re.search(r'class="k-paging"[^>]*>\s*<span>(.*?)</span>', page.text, re.S)[1]
    return unescape(re.sub(r"<[^>]+>", "", part)).strip()


def names(page) -> list[str]:
    return [unescape(name) for name in re.findall(r'<tr [^>]*data-label="([^"]*)"', page.text)]


def next_page(page) -> str:
    found = re.search(r'href="/a/nordlicht([^"]*)" rel="next"', page.text)
    return unescape(found[1]) if found else ""


def read_german(person) -> None:
    with unscoped("somebody reads German") as session:
        session.scalar(select(User).where(User.email == person.email)).locale = "de"


@pytest.fixture
def few(monkeypatch):
    """A list counts to three only."""
    monkeypatch.setattr(finding, "COUNTED", 3)
    monkeypatch.setattr(listing, "COUNTED", 3)


# --- how many ----------------------------------------------------------------------------------------------------


def test_ten_thousand_rows_are_counted_and_one_more_is_not(app, alice):
    crowd(10_000)
    browser = browse(alice)
    assert summary(browser.get("/accounts/list/")) == "1–25 of 10,000"

    with unscoped("one more") as session:
        hidden = session.scalar(select(Account).where(Account.archived_at.is_not(None)).limit(1))
        hidden.archived_at = None

    assert summary(browser.get("/accounts/list/")) == "1–25 of 10,000+ Count all"
    assert summary(browser.get("/accounts/list/?count=all")) == "1–25 of 10,001"
    assert summary(browser.get("/accounts/list/?page=401")) == "10,001–10,001 of 10,001"
    read_german(alice)
    assert summary(browser.get("/accounts/list/")) == "1–25 von 10.000+ Alle zählen"


def test_the_link_counts_this_list_and_a_new_question_is_counted_anew(alice, few):
    page = browse(alice).get("/accounts/list/?size=2&sort=-name")

    link = unescape(re.search(r'href="([^"]*)"[^>]*>Count all', page.text)[1])
    counted = browse(alice).get(link.removeprefix("/a/nordlicht"))

    assert summary(page) == "1–2 of 3+ Count all"
    assert summary(counted) == "1–2 of 4"
    assert names(counted) == names(page)
    assert "count=all" in next_page(counted)
    sorting = re.findall(r'class="k-sort" href="([^"]*)"', counted.text)
    assert sorting
    assert not [url for url in sorting if "count=" in url]
    assert "count=" not in re.search(r'href="([^"]*/export[^"]*)"', counted.text)[1]


def test_programs_are_told_the_exact_number(alice, few):
    assert program(alice).get("/api/v1/account/").json["count"] == 4


@pytest.mark.parametrize("query", ["", "q=e", "_flt_0_name=e", "_flt_0_kind=customer", "archived=1", "sort=-email"])
def test_however_a_list_is_asked_for_it_counts_no_further(alice, few, query):
    crowd(5)

    assert summary(browse(alice).get(f"/accounts/list/?size=2&{query}")).startswith("1–2 of 3+")


@pytest.mark.both_databases
@pytest.mark.parametrize("few_rows", [5_000, 0], ids=["sorted", "along the index"])
@pytest.mark.parametrize(
    "query",
    ["", "sort={p}", "sort=-{p}", "_flt_1_{p}=100", "_flt_1_{p}=100&sort={p}", "q=e", "_flt_0_{p}=~empty",
     "_flt_0_{p}=~empty&sort={p}", "archived=1&sort={p}", "sort=kind", "sort=-kind&_flt_0_name=e",
     "_flt_0_{p}=~filled&_flt_0_kind=customer"],
)  # fmt: skip
def test_page_by_page_every_row_is_seen_once(alice, few, monkeypatch, few_rows, query):
    monkeypatch.setattr(finding, "FEW", few_rows)
    monkeypatch.setattr(listing, "FEW", few_rows)
    with acting_as(alice) as by:
        own = properties.define(PropertyType.INTEGER, by=by, label_en="Number")
    crowd(13)
    with unscoped("some archived ones, too") as session:
        session.scalar(select(Account).where(Account.slug == "deichbau")).archived_at = clock.now()
    browser, url = browse(alice), f"/accounts/list/?size=3&{query.format(p=f'prop_{own.id}')}"
    everything = browser.get(url.replace("size=3", "size=100"))

    seen, url = [], url.replace("size=3", "size=3&page=1")
    while url:
        page = browser.get(url)
        seen += names(page)
        assert names(browser.get(re.sub(r"&after=\d+", "", url))) == names(page)
        url = next_page(page)
        assert ("after=" in url) == (few_rows == 0 and bool(url))

    assert seen == names(everything)
    assert len(seen) > 2
    assert summary(page).endswith(f"–{len(seen)} of {len(seen)}")  # the last page knows


# --- where they are many -----------------------------------------------------------------------------------------


def test_a_page_beyond_the_last_is_the_last(alice, few):
    page = browse(alice).get("/accounts/list/?size=3&page=999999")

    assert names(page) == names(browse(alice).get("/accounts/list/?size=3&page=2"))
    assert summary(page) == "4–4 of 4"
    assert not next_page(page)


@pytest.mark.parametrize("after", ["999999", "x", "-1", "²", "99999999999999999999"])
def test_a_page_that_follows_a_row_that_is_gone_is_counted_off(alice, few, monkeypatch, after):
    monkeypatch.setattr(finding, "FEW", 0)

    page = browse(alice).get(f"/accounts/list/?size=3&page=2&after={after}")

    assert names(page) == names(browse(alice).get("/accounts/list/?size=3&page=2"))


def test_a_page_that_follows_a_strangers_row_tells_nothing_of_it(alice, few, monkeypatch):
    monkeypatch.setattr(finding, "FEW", 0)

    page = browse(alice).get(f"/accounts/list/?size=3&page=2&after={account_id('gletscherbau')}")

    assert names(page) == names(browse(alice).get("/accounts/list/?size=3&page=2"))


def test_the_pages_offered_go_on_without_an_end_until_it_is_known(alice, few):
    crowd(12)
    number = re.compile(r'class="k-page-number">(?:<[^>]+>)?([^<]+)')

    pages = [browse(alice).get(f"/accounts/list/?size=2{more}") for more in ("", "&page=4", "&count=all")]

    offered = [number.findall(page.text) for page in pages]
    assert offered == [["1", "2", "…"], ["1", "…", "3", "4", "5", "…"], ["1", "2", "…", "6"]]


def test_nothing_at_all_is_no_page(alice, few):
    page = browse(alice).get("/accounts/list/?q=nowhere&page=7")

    assert page.status_code == 200
    assert "Nothing matches" in page.text

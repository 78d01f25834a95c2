"""Prices of articles on the screen: the operator sets them by currency and day, partners read them (M-11)."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select

from app.models import ArticlePrice, LogEntry, User
from app.tenancy import unscoped
from tests import buying, stock
from tests.cast import ALICE, BOB, DORA, browse


@pytest.fixture
def article(app) -> int:
    return buying.priced("ART-P", "19.90")


def typed(**facts) -> dict[str, str]:
    return {"currency": "EUR", "valid_from": stock.today().isoformat(), "unit": "21.50", **facts}


def prices() -> list[tuple[str, str, Decimal]]:
    with unscoped("looking", writes=False) as session:
        found = session.scalars(select(ArticlePrice).order_by(ArticlePrice.id))
        return [(one.currency, one.valid_from.isoformat(), one.amount("unit")) for one in found]


def test_a_price_counts_from_its_day_on_and_history_tells(article, dora):
    later = (stock.today() + timedelta(days=30)).isoformat()

    assert browse(dora).post(f"/articles/price/{article}", data=typed(valid_from=later)).status_code == 302

    assert prices() == [("EUR", stock.today().isoformat(), Decimal("19.90")), ("EUR", later, Decimal("21.50"))]
    page = browse(ALICE).get(f"/articles/show/{article}").text
    assert "€19.90" in page and "€21.50" in page and "to come" in page
    with unscoped("looking", writes=False) as session:
        line = session.scalars(select(LogEntry).where(LogEntry.action == "article.priced")).all()[-1]
        assert line.changes["price"][1].startswith(f"EUR {later}: unit 21.50")


def test_what_counts_now_is_proposed_and_shown_in_the_list(article, dora):
    assert 'value="19.9"' in browse(dora).get(f"/articles/price/{article}").text
    assert "€19.90" in browse(ALICE).get("/articles/list/").text


def test_a_price_is_proposed_and_read_as_germans_write_it(article, dora):
    """In an input for text: the browser's own for numbers throws a comma away."""
    with unscoped("dora reads German", writes=False) as session:
        session.scalars(select(User).where(User.email == dora.email)).one().locale = "de"
        session.commit()
    proposed = re.search(r'<input[^>]* name="unit"[^>]*>', browse(dora).get(f"/articles/price/{article}").text)[0]
    assert 'value="19,9"' in proposed and 'type="text"' in proposed and 'inputmode="decimal"' in proposed

    assert browse(dora).post(f"/articles/price/{article}", data=typed(unit="1.021,50")).status_code == 302

    assert prices()[-1][2] == Decimal("1021.50")


def test_of_several_currencies_the_own_one_is_proposed(article, dora):
    browse(dora).post(f"/articles/price/{article}", data=typed(currency="CHF", unit="22"))

    page = browse(dora).get(f"/articles/price/{article}").text

    assert re.search(r'<option selected value="EUR"', page) and 'value="19.9"' in page


def test_another_currency_brings_its_own_amounts_and_keeps_what_was_typed(article, dora):
    browse(dora).post(f"/articles/price/{article}", data=typed(currency="CHF", unit="22"))

    def unit_in(**query) -> str:
        asked = {"valid_from": "2099-01-31", **query}
        dialog = browse(dora).get(f"/articles/price/{article}", query_string=asked, headers={"HX-Request": "true"})
        assert 'value="2099-01-31"' in dialog.text
        assert re.search(rf'<option selected value="{query["currency"]}"', dialog.text)
        assert f'was={query["currency"]}"' in dialog.text
        return re.search(r'name="unit"[^>]* value="([^"]*)"', dialog.text)[1]

    assert unit_in(was="EUR", currency="CHF", unit="19.9") == "22"
    assert unit_in(was="CHF", currency="NOK", unit="22") == ""
    assert unit_in(was="EUR", currency="CHF", unit="21.50") == "21.50"
    assert unit_in(was="EUR", currency="CHF", unit="much") == "much"


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"unit": ""}, "Please fill this in."),
        ({"unit": "-1"}, "A price is not below zero."),
        ({"unit": "1e308"}, "This is too much."),
        ({"unit": "1.005"}, "EUR has 2 decimal places."),
        ({"valid_from": "2020-01-01"}, "A price counts from today on at the earliest."),
        ({"currency": "XXX"}, "Not a valid choice"),
    ],
    ids=str,
)
def test_what_is_wrong_is_said_at_the_field_and_nothing_changes(article, dora, facts, said):
    before = prices()

    answer = browse(dora).post(f"/articles/price/{article}", data=typed(**facts))

    assert answer.status_code == 422 and said in answer.text
    assert prices() == before


def test_the_operator_alone_sets_them(article):
    assert f"/articles/price/{article}" in browse(DORA).get(f"/articles/show/{article}").text
    assert f"/articles/price/{article}" not in browse(ALICE).get(f"/articles/show/{article}").text
    for person in (ALICE, BOB):
        assert browse(person).post(f"/articles/price/{article}", data=typed()).status_code == 403


def test_an_article_without_a_price_can_be_given_its_first(dora):
    number = stock.article("ART-N")

    assert browse(dora).post(f"/articles/price/{number}", data=typed(currency="JPY", unit="1200")).status_code == 302

    assert prices()[-1] == ("JPY", stock.today().isoformat(), Decimal(1200))

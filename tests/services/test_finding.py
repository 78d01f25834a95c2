"""Rows looked up by thousands of numbers at once, or by a text, on both databases and behind the wall."""

from __future__ import annotations

import pytest
from sqlalchemy import select, text

from app.extensions import db, is_one_of
from app.models import Account
from app.services.accounts import open_account
from app.tenancy import unscoped
from app.ui.filters import OPERATORS
from tests.cast import ALICE, acting_as


def ids_of(*slugs: str) -> list[int]:
    with unscoped("numbers to ask for", writes=False) as session:
        return [session.scalar(select(Account.id).where(Account.slug == slug)) for slug in slugs]


def names(numbers: list[int]) -> list[str]:
    with acting_as(ALICE):
        asked = select(Account.slug).where(is_one_of(Account.id, numbers)).order_by(Account.slug)
        return list(db.session.scalars(asked))


def test_rows_are_found_by_their_numbers_however_many(app):
    many = list(range(1_000_000, 1_040_000))  # more than SQLite takes as parameters

    assert names([*many, *ids_of("kuestenfunk", "nordlicht")]) == ["kuestenfunk", "nordlicht"]
    assert names(ids_of("kuestenfunk")) == ["kuestenfunk"]
    assert names([]) == []


def test_a_number_of_a_row_beyond_the_wall_finds_nothing(app):
    assert names(ids_of("alpenwerk", "kuestenfunk")) == ["kuestenfunk"]


@pytest.mark.parametrize(
    ("setting", "kept"),
    [("enable_mergejoin", "off"), ("max_parallel_workers_per_gather", "0"), ("plan_cache_mode", "force_custom_plan")],
)
def test_postgresql_works_as_it_is_told_to(app, database, setting, kept):
    if database == "sqlite":
        pytest.skip("SQLite knows neither")

    with acting_as(ALICE):
        assert db.session.scalar(text(f"SHOW {setting}")) == kept
    with acting_as(ALICE):  # in the next transaction of the same connection, too
        assert db.session.scalar(text(f"SHOW {setting}")) == kept


# --- texts looked for in the folded words of a row first --------------------------------------------------------

NAMES = [
    "Müller & Söhne", "MÜLLER", "Straße 7", "STRASSE", "İstanbul", "ΟΔΟΣ", "οδός", "ﬁnanz", "Kelvin \u212a", "50 % off",
    "a_b", "back\\slash", "日本語の名前", "e\u0301cole", "École", "X" * 99,
]  # fmt: skip
ASKED = [
    *NAMES, "müller", "ü", "ss", "ß", "straße", "i", "İ", "i̇", "σ", "ς", "fi", "k", "K", "%", "_", "\\", "é",
    "e", "x" * 99,
]  # fmt: skip


@pytest.fixture
def oddly_named(app):
    """Accounts of Alice's with such names; and the words of one do not reach to its city."""
    with acting_as(ALICE) as by:
        for number, name in enumerate(NAMES):
            open_account(name, parent=by.account, by=by, city=name, slug=f"odd-{number}")
        far = {"contact": "c" * 120, "email": f"{'e' * 300}@x.example"}
        open_account("Far away", parent=by.account, by=by, slug="far", city="Ende der Welt", **far)


def slugs(condition):
    with acting_as(ALICE):
        return sorted(db.session.scalars(select(Account.slug).where(condition)))


@pytest.mark.parametrize("column", ["name", "city"])
def test_a_filter_finds_what_the_column_itself_has_whatever_the_words_of_the_row_are(oddly_named, column):
    column = getattr(Account, column)
    contains, is_it, begins, is_not, lacks = (one.condition for one in OPERATORS["text"])

    for words in ASKED:
        assert slugs(contains(column, words)) == slugs(column.icontains(words, autoescape=True)), words
        assert slugs(begins(column, words)) == slugs(column.istartswith(words, autoescape=True)), words
        assert slugs(is_it(column, words)) == slugs(column == words), words
        assert slugs(is_not(column, words)) == slugs(column.is_(None) | (column != words)), words
        without = column.is_(None) | ~column.icontains(words, autoescape=True)
        assert slugs(lacks(column, words)) == slugs(without), words
    assert slugs(contains(Account.name, "üller")) == ["odd-0", "odd-1"]


def test_words_that_were_cut_off_hide_nothing_from_a_filter(oddly_named):
    contains, *_others = (one.condition for one in OPERATORS["text"])

    assert slugs(contains(Account.city, "der Welt")) == ["far"]
    assert slugs(contains(Account.name, "der Welt")) == []

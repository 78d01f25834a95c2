"""Rows looked up by thousands of numbers at once, on both databases and behind the wall."""

from __future__ import annotations

import pytest
from sqlalchemy import select, text

from app.extensions import db, is_one_of
from app.models import Account
from app.tenancy import unscoped
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

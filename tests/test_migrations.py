"""A database that is at work is brought up to date: what was in it is in it afterwards, and means the same."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask import Flask
from flask_appbuilder import Model
from flask_migrate import downgrade, upgrade
from sqlalchemy import Connection, MetaData, Table, func, insert, select, text
from sqlalchemy.exc import DatabaseError

from app import create_app
from app.extensions import db
from app.models import Account, License, LicenseMovement, Plan, PlanPrice, Product
from app.tenancy import unscoped
from migrations.searching import is_in_models
from tests import databases
from tests.conftest import SETTINGS, _worker, put_into_one_file

pytestmark = pytest.mark.both_databases

COMPARED = {"compare_type": True, "include_name": is_in_models}
NOW, DAY = datetime(2026, 3, 1, 9, 30), date(2026, 3, 1)
ROOT, CUSTOMER = "aaaa/", "aaaa/bbbb/"
SALE = {"account_id": 1, "account_path": ROOT}
OWNED = {"account_id": 2, "account_path": CUSTOMER}
NAMES = {"name_en": "It", "name_de": "Es"}
TEXTS = NAMES | {"description_en": "", "description_de": ""}
ACCOUNT = {
    **dict.fromkeys(("contact", "email", "phone", "website", "vat_id", "street", "postal_code", "city"), ""),
    "country": "DE", "language": "de", "time_zone": "Europe/Berlin", "currency": "EUR", "created_at": NOW,
    "second_factor_required": False, "words": "", "properties": {},
}  # fmt: skip

# What stood in a database before there were products, by table, in the order of the references.
BEFORE_PRODUCTS: list[tuple[str, dict[str, Any]]] = [
    ("account", ACCOUNT | {"id": 1, "path": ROOT, "kind": "operator", "slug": "root", **dict.fromkeys(
        ("name", "name_key", "name_sort"), "root")}),
    ("plan", {"id": 1, "key": "standard", "price_minor": 4900, "currency": "EUR", "period": "monthly",
              **TEXTS, **SALE}),
    ("plan", {"id": 2, "key": "tokyo", "price_minor": 5000, "currency": "JPY", "period": "yearly", "archived_at": NOW,
              **TEXTS, **SALE}),
    ("account", ACCOUNT | {"id": 2, "parent_id": 1, "path": CUSTOMER, "kind": "customer", "slug": "fish", "plan_id": 2,
                           **dict.fromkeys(("name", "name_key", "name_sort"), "fish")}),
    ("license_type", {"id": 1, "key": "assets", "policy": "hard", "unit_en": "", "unit_de": "", **NAMES, **SALE}),
    ("article", {"id": 1, "number": "ART-1", "created_at": NOW, **TEXTS, **SALE}),
    ("article_grant", {"id": 1, "article_id": 1, "type_id": 1, "quantity": 5, **SALE}),
    ("holding", {"id": 1, "article_id": 1, "quantity": 2, "acquired_on": DAY, "note": "", "source": "given",
                 "created_at": NOW, **OWNED}),
    ("license", {"id": 1, "public_id": "LIC-1", "type_id": 1, "article_id": 1, "holding_id": 1, "quantity": 10,
                 "ceiling": 10, "in_use": 3, "told": 0, "valid_from": DAY, "status": "active", "reason": "",
                 "created_at": NOW, **OWNED}),
    ("license_movement", {"id": 1, "license_id": 1, "at": NOW, "kind": "consumed", "quantity": 3, "in_use": 3,
                          "reference": "Greenhouse", "actor": "Bob", "key": "k", **OWNED}),
]  # fmt: skip


# The same of the time before the texts of the search were kept.
SEARCHED: list[tuple[str, dict[str, Any]]] = [
    (table, row | {"portal_needs_subscription": False, "has_links": False, "words": words, "plan_id": None})
    for (table, row), words in zip(
        [one for one in BEFORE_PRODUCTS if one[0] == "account"], ("root", "fish\nmarket"), strict=True
    )
] + [
    ("property", {"id": 1, "key": "note", "type": "long", "position": 0, "choices": [], "currency": "", "help_en": "",
                  "help_de": "", "required": False, "visible_to_customer": False, "as_column": True, **dict.fromkeys(
                      ("label_en", "label_de", "label_en_key", "label_de_key"), "note"), **SALE}),
    ("property_value", {"id": 1, "definition_id": 1, "text": "x" * 200, "rest": "x" * 300, **OWNED}),
    ("property_value", {"id": 2, "definition_id": 1, "number": 1.0, **SALE}),
]  # fmt: skip


@pytest.fixture
def empty(database: str, tmp_path: Path) -> Iterator[Flask]:
    """An installation without tables, its context pushed."""
    with _installed(tmp_path, _new(database, tmp_path)) as app:
        yield app
    _remove(database)


@pytest.fixture
def at_work(database: str, home: Path, tmp_path: Path) -> Iterator[Flask]:
    """A database of the time before products, with accounts, plans and licenses in it; brought up to date."""
    if database == "postgresql":
        url = _new(database, tmp_path, databases.postgres_template("migrated", lambda url: _migrate(url, home)))
    else:
        shutil.copyfile(_migrated(home), tmp_path / "kontor.db")
        url = _new(database, tmp_path)
    with _installed(tmp_path, url) as app:
        yield app
    _remove(database)


def _new(database: str, folder: Path, template: str | None = None) -> str:
    if database == "postgresql":
        return databases.create_postgres_database(f"migrated_{_worker()}", template)
    return f"sqlite:///{folder / 'kontor.db'}"


def _remove(database: str) -> None:
    if database == "postgresql":
        databases.drop_postgres_database(f"migrated_{_worker()}")


@contextmanager
def _installed(folder: Path, url: str) -> Iterator[Flask]:
    app = create_app(SQLALCHEMY_DATABASE_URI=url, DATA_DIR=folder, **SETTINGS)
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()


@cache
def _migrated(home: Path) -> Path:
    """The file of a database that was filled once and brought up to date."""
    folder = home / "migrated"
    folder.mkdir()
    _migrate(_new("sqlite", folder), folder)
    return folder / "kontor.db"


def _migrate(url: str, folder: Path) -> None:
    with _installed(folder, url):
        upgrade(revision="0010")
        fill(BEFORE_PRODUCTS)
        upgrade()
        put_into_one_file()


def fill(rows: list[tuple[str, dict[str, Any]]]) -> None:
    with db.engine.begin() as connection:
        open_the_wall(connection)
        tables = MetaData()
        for name, row in rows:
            connection.execute(insert(Table(name, tables, autoload_with=connection)).values(row))


def open_the_wall(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        for name, value in {"low": "", "high": "~", "inside": "~", "user": "0"}.items():
            connection.execute(select(func.set_config(f"kontor.{name}", value, True)))


def revision() -> str:
    with db.engine.connect() as connection:
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()


def test_plans_that_were_there_are_of_one_product_and_cost_what_they_did(at_work):
    with unscoped("looking at what became of it", writes=False) as session:
        product = session.scalars(select(Product)).one()
        standard, tokyo = session.scalars(select(Plan).order_by(Plan.id)).all()
        prices = session.scalars(select(PlanPrice).order_by(PlanPrice.plan_id)).all()

        assert (product.key, product.account_id, product.account_path) == ("service", 1, ROOT)
        assert (product.name_en, product.name_de, product.locations) == ("Service", "Dienst", [])
        assert standard.product is product and tokyo.product is product
        assert standard.price_on(DAY, "EUR").amount("base") == Decimal("49.00")
        assert tokyo.price_on(DAY, "JPY").amount("base") == Decimal(5000) and tokyo.price_on(DAY, "EUR") is None
        assert tokyo.is_archived and not standard.is_archived
        assert [(one.account_path, one.amount("users")) for one in prices] == [(ROOT, 0), (ROOT, 0)]
        assert session.get(Account, 2).plan is tokyo


def test_plans_that_were_there_are_paid_before_each_period_without_free_months_or_limits(at_work):
    with unscoped("looking at what became of it", writes=False) as session:
        for plan in session.scalars(select(Plan)):
            assert (plan.prepaid, plan.postpaid, plan.trial_months, plan.renewal_window) == (True, False, 0, 60)
            assert (plan.included_users, plan.limit_users, plan.limit_disk) == (0, None, None)


def test_licenses_and_their_movements_stay_what_they_were(at_work):
    with unscoped("looking at what became of it", writes=False) as session:
        license, movement = session.scalars(select(License)).one(), session.scalars(select(LicenseMovement)).one()

        assert (license.quantity, license.in_use, license.resource_group_id) == (10, 3, None)
        assert license.article.grants[0].quantity == 5 and license.holding_id == 1
        assert (movement.quantity, movement.reference, movement.calculation_id) == (3, "Greenhouse", None)
    with pytest.raises(DatabaseError, match="only added to"), unscoped("trying to rewrite it") as session:
        session.execute(text("UPDATE license_movement SET quantity = 1"))


def test_a_database_with_rows_in_it_becomes_what_the_models_say(at_work):
    with db.engine.connect() as connection:
        found = compare_metadata(MigrationContext.configure(connection, opts=COMPARED), Model.metadata)

    assert not found, "\n".join(map(str, found))


def test_without_plans_there_is_no_product_to_begin_with(empty):
    upgrade()

    with unscoped("looking into an empty catalogue", writes=False) as session:
        assert session.scalars(select(Product)).all() == []


def test_where_something_would_be_lost_there_is_no_way_back_and_nothing_is_touched(at_work, caplog):
    with pytest.raises(SystemExit):
        downgrade(revision="0011")

    assert "what was credited is kept" in caplog.text
    assert revision() >= "0014"  # what came after it may have gone; PostgreSQL takes that back, too
    with unscoped("looking at what is left", writes=False) as session:
        assert session.scalars(select(Plan.key).order_by(Plan.id)).all() == ["standard", "tokyo"]


def test_relationships_are_taken_back_and_made_again(empty):
    upgrade(revision="0010")
    fill(BEFORE_PRODUCTS)

    for goal in ("0011", "0010", "0011"):
        (upgrade if goal > revision() else downgrade)(revision=goal)
        assert revision() == goal
    upgrade()

    with unscoped("looking at what became of it", writes=False) as session:
        assert [one.has_links for one in session.scalars(select(Account))] == [False, False]


def test_what_stood_there_is_found_by_the_search_and_the_way_back_leaves_nothing_of_it(empty):
    upgrade(revision="0018")
    fill(SEARCHED)

    for goal in ("0019", "0018", "0019"):
        (upgrade if goal > revision() else downgrade)(revision=goal)
        assert revision() == goal

    with db.engine.connect() as connection:
        open_the_wall(connection)
        kept = connection.execute(text("SELECT account_id, definition_id, words FROM searched_text ORDER BY id")).all()
        on_postgresql = connection.dialect.name == "postgresql"
        asking = "SELECT key FROM found_by_parts('{fis,ish}', 'fish', '{}', 9)"
        asked = asking if on_postgresql else """SELECT rowid FROM searched_text_parts('"fis" "ish"')"""
        assert connection.execute(text(asked)).scalars().all() == [2]
    assert kept == [(1, None, "root"), (2, None, "fish\nmarket"), (2, 1, "x" * 300)]


def test_the_wall_asks_its_settings_once_or_again_for_each_row(empty, database):
    if database == "sqlite":
        pytest.skip("SQLite has no second wall")
    upgrade()
    asked = [walls()]

    for goal in ("0019", "0020"):
        (upgrade if goal > revision() else downgrade)(revision=goal)
        asked.append(walls())

    assert asked[0] == asked[2] and asked[1].keys() == asked[0].keys()
    changed = {table for table, rule in asked[0].items() if asked[1][table] != rule}
    assert changed == {table for table, rule in asked[0].items() if "SELECT" in rule}
    assert all(rule == asked[1]["member"] for table, rule in asked[1].items() if table in changed - {"account"})


def walls() -> dict[str, str]:
    """Table → what PostgreSQL's own wall asks of its rows, to see them and to write them."""
    with db.engine.connect() as connection:
        rules = text("SELECT tablename, qual || ' / ' || with_check FROM pg_policies WHERE policyname = 'wall'")
        return dict(map(tuple, connection.execute(rules)))

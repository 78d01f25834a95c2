"""Every table has an owner, and the database itself keeps strangers out of it."""

from __future__ import annotations

import re

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask_appbuilder import Model
from sqlalchemy import func, select, text
from sqlalchemy.exc import DatabaseError

from app.extensions import db
from app.models import EXEMPT, BetweenAccounts, InsideAccount, OfCatalogue, OwnedByAccount, OwnedByUser
from app.tenancy import unscoped
from migrations.searching import is_in_models

TABLES = Model.metadata.tables
OURS = sorted(name for name in TABLES if not name.startswith("ab_") or name == "ab_user")
MAPPERS = {mapper.local_table.name: mapper.class_ for mapper in Model.registry.mappers}
OWNED = sorted(name for name, cls in MAPPERS.items() if issubclass(cls, OwnedByAccount | OwnedByUser))
PROTECTED = ["account", *OWNED]
ELSEWHERE = InsideAccount | BetweenAccounts | OfCatalogue | OwnedByUser
BENEATH = [name for name in PROTECTED if not issubclass(MAPPERS[name], ELSEWHERE)]  # seen from above
COMPARED = {"compare_type": True, "include_name": is_in_models}


@pytest.mark.parametrize("table", OURS)
def test_every_table_says_whom_it_belongs_to(table):
    assert "account_id" in TABLES[table].columns or EXEMPT.get(table)


def test_no_exemption_is_left_over():
    assert set(EXEMPT) <= {name for name in OURS if "account_id" not in TABLES[name].columns}


@pytest.mark.parametrize("table", [name for name in OWNED if "account_id" in TABLES[name].columns])
def test_what_an_account_owns_carries_its_path(table):
    columns = TABLES[table].columns

    assert not columns.account_id.nullable and not columns.account_path.nullable
    assert "account" in {key.column.table.name for key in columns.account_id.foreign_keys}


def test_flask_appbuilders_own_tables_stay_empty(app):
    with unscoped("looking into tables nobody uses", writes=False) as session:
        for name in set(TABLES) - set(OURS):
            assert session.scalar(select(func.count()).select_from(TABLES[name])) == 0, name


def test_no_row_goes_with_another_behind_our_backs():
    """A cascade in the database would delete what the person cannot see."""
    assert not [key for name in OURS for key in TABLES[name].foreign_keys if key.ondelete]


@pytest.fixture
def server(database, app):
    """The connection of a PostgreSQL server, as the application has it; SQLite has no second wall."""
    if database == "sqlite":
        pytest.skip("SQLite keeps no rows from whom it lets in")
    with db.engine.connect() as connection:
        yield connection


@pytest.mark.parametrize("table", PROTECTED)
def test_the_database_has_a_wall_around_it(server, table):
    flags = text("SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE oid = CAST(:table AS regclass)")

    assert server.execute(flags, {"table": table}).one() == (True, True)


@pytest.mark.parametrize("table", ["account", "member", "log_entry"])
def test_who_says_nothing_sees_nothing(server, table):
    assert server.execute(text(f"SELECT count(*) FROM {table}")).scalar() == 0


@pytest.mark.parametrize("table", BENEATH)
def test_for_whom_a_statement_works_is_asked_once_and_not_for_each_row(server, table):
    rule = text("SELECT qual FROM pg_policies WHERE policyname = 'wall' AND tablename = :table")

    asked = server.execute(rule, {"table": table}).scalar_one()

    assert asked.count("current_setting(") == len(re.findall(r"\( SELECT current_setting\(", asked)) == 2


def test_postgresql_does_not_expect_the_wall_to_leave_few_rows(server):
    server.execute(text("ANALYZE member"))
    rows = server.execute(text("SELECT reltuples FROM pg_class WHERE relname = 'member'")).scalar_one()

    plan = server.execute(text("EXPLAIN (FORMAT JSON) SELECT FROM member")).scalar_one()[0]["Plan"]

    assert plan["Plan Rows"] == rows > 1


def test_the_application_is_no_superuser(server):
    role = text("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user")

    assert server.execute(role).scalar() is False


@pytest.mark.parametrize("deed", ["UPDATE log_entry SET actor = 'Nobody'", "DELETE FROM log_entry"])
def test_history_is_only_added_to(app, deed):
    with pytest.raises(DatabaseError, match="only added to"), unscoped("trying to rewrite history") as session:
        session.execute(text(deed))


def test_history_cannot_be_emptied(server):
    with pytest.raises(DatabaseError, match="only added to"):
        server.execute(text("TRUNCATE log_entry"))


def test_the_migrations_make_what_the_models_say(app):
    """Tables, columns with type and nullability, indexes, unique and foreign keys."""
    with db.engine.connect() as connection:
        found = compare_metadata(MigrationContext.configure(connection, opts=COMPARED), Model.metadata)

    assert not found, "\n".join(map(str, found))


def test_copies_of_a_path_follow_their_account():
    for name in OWNED:
        for column in TABLES[name].columns:
            if column.name == "account_path" and name != "property_value":  # led by `moves.py`, tests/services
                (key,) = column.foreign_keys
                assert (str(key.column), key.onupdate) == ("account.path", "CASCADE"), name

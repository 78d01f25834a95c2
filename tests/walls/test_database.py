"""PostgreSQL's own wall, with nothing of ours in front of it."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from app.extensions import db
from app.tenancy import unscoped
from tests import stock
from tests.cast import BOB, CHARLIE, DORA, account_id, acting_as


@pytest.fixture(autouse=True)
def _on_postgresql(database):
    if database == "sqlite":
        pytest.skip("SQLite has no wall of its own")


@pytest.fixture
def foreign(app):
    return account_id("kuestenfunk")


def all_of(statement, **values):
    return db.session.execute(text(statement), values).scalars().all()


def test_raw_sql_sees_the_subtree_alone(charlie, python_down):
    with acting_as(charlie):
        assert sorted(all_of("SELECT name FROM account")) == ["Alpenwerk", "Gletscherbau"]
        assert all_of("SELECT count(*) FROM member") == [1]
        assert all_of("SELECT DISTINCT account_id FROM log_entry") == all_of("SELECT id FROM account WHERE true")


def test_a_person_sees_their_own_browsers_alone(charlie, alice, python_down):
    with unscoped("two people sign in") as session:
        for user in all_of("SELECT id FROM ab_user"):
            row = {"user": user, "hash": f"{user}"}
            session.execute(
                text(
                    "INSERT INTO login(user_id, key_hash, device, ip, second_factor, created_at, seen_at) "
                    "VALUES (:user, :hash, '', '', false, now(), now())"
                ),
                row,
            )

    with acting_as(charlie) as me:
        assert all_of("SELECT user_id FROM login") == [me.user_id]


def test_inside_data_is_not_seen_from_above(alice, bob, foreign, python_down):
    with acting_as(bob):
        db.session.execute(text(MESSAGE), {"account": foreign, "path": all_of("SELECT path FROM account")[0]})

    with acting_as(bob):
        assert all_of("SELECT count(*) FROM message") == [1]
    with acting_as(alice):
        assert all_of("SELECT count(*) FROM message") == [0]


MESSAGE = (
    "INSERT INTO message(account_id, account_path, message_id, recipient, locale, subject, body_text, body_html, "
    "status, attempts, next_try_at, error, created_at) "
    "VALUES (:account, :path, 'x', 'x', 'de', 'x', '', '', 'waiting', 0, now(), '', now())"
)


@pytest.mark.parametrize(
    "deed", ["UPDATE account SET contact = 'x' WHERE id = :id", "DELETE FROM member WHERE account_id = :id"]
)
def test_a_foreign_row_is_not_there_to_be_changed(charlie, foreign, python_down, deed):
    with acting_as(charlie):
        assert db.session.execute(text(deed), {"id": foreign}).rowcount == 0


def test_a_row_cannot_be_put_into_a_foreign_account(charlie, foreign, python_down):
    with unscoped("reading a foreign path", writes=False):
        path = all_of("SELECT path FROM account WHERE id = :id", id=foreign)[0]

    with pytest.raises(DatabaseError, match="row-level security"), acting_as(charlie):
        db.session.execute(text(MESSAGE), {"account": foreign, "path": path})


def test_an_own_row_cannot_be_moved_away(charlie, python_down):
    with pytest.raises(DatabaseError, match="row-level security"), acting_as(charlie):
        db.session.execute(text("UPDATE account SET path = 'elsewhere/' WHERE slug = 'gletscherbau'"))


def test_what_was_said_for_one_transaction_does_not_hold_in_the_next(charlie, python_down):
    with acting_as(charlie):
        assert len(all_of("SELECT 1 FROM account")) == 2

    with db.engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM account")).scalar() == 0


@pytest.mark.parametrize("person", [CHARLIE, BOB], ids=["a partner", "a customer"])
@pytest.mark.parametrize(
    "deed", ["UPDATE article SET name_en = 'x'", "DELETE FROM article_grant", "UPDATE plan_price SET base_minor = 0"]
)
def test_everybody_reads_the_catalogue_and_nobody_but_the_operator_changes_it(app, python_down, person, deed):
    stock.article(grants={stock.license_type(): 5})
    stock.plan()

    with acting_as(person):
        assert all_of("SELECT name_en FROM article") == ["Starter pack"]
        assert db.session.execute(text(deed)).rowcount == 0
    with acting_as(DORA):
        assert db.session.execute(text(deed)).rowcount == 1


@pytest.mark.parametrize("whose", ["kontor", "alpenwerk"])
def test_nobody_else_adds_to_the_catalogue_under_any_name(app, python_down, whose):
    with unscoped("reading a path", writes=False):
        named = text("SELECT id, path FROM account WHERE slug = :slug")
        account, path = db.session.execute(named, {"slug": whose}).one()

    with pytest.raises(DatabaseError, match="row-level security"), acting_as(CHARLIE):
        db.session.execute(text(TYPE), {"account": account, "path": path})


TYPE = (
    "INSERT INTO license_type(account_id, account_path, key, name_en, name_de, unit_en, unit_de, policy) "
    "VALUES (:account, :path, 'x', 'x', 'x', 'x', 'x', 'hard')"
)


@pytest.mark.parametrize("table", ["article", "article_grant", "license_type", "plan"])
def test_who_says_nothing_sees_nothing_of_the_catalogue(app, table):
    stock.article(grants={stock.license_type(): 5})
    stock.plan()

    with db.engine.connect() as connection:
        assert connection.execute(text(f"SELECT count(*) FROM {table}")).scalar() == 0


def test_what_is_searched_is_asked_below_the_wall_and_the_question_forgotten(app, foreign, python_down):
    asking = "SELECT key FROM found_by_parts(ARRAY['kus', 'ten'], 'kustenfunk', '{}', 10)"
    everything = "SELECT count(*) FROM searched_text"

    with acting_as(CHARLIE):
        assert (all_of(asking), all_of(everything)) == ([], [2])
    with acting_as(BOB):
        assert (all_of(asking), all_of(everything)) == ([foreign], [1])
    with db.engine.connect() as nobody:
        assert nobody.execute(text(asking)).all() == []


def test_a_question_takes_rows_away_and_adds_none(charlie, python_down):
    with acting_as(CHARLIE):
        for question, seen in (("{}", 2), ("{gle}", 1), ("{kus,ten}", 0), ("", 2)):
            db.session.execute(text("SELECT set_config('kontor.sought', :question, true)"), {"question": question})
            assert all_of("SELECT count(*) FROM searched_text") == [seen]

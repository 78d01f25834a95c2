"""The wall in the session: whichever way one reaches for a foreign row, it is not there."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import event, exists, func, insert, select, text, update
from sqlalchemy.orm import aliased, joinedload, selectinload

from app import tenancy
from app.errors import NoScope, OutsideScope
from app.extensions import db
from app.models import Account, LogEntry, Member, Message, User
from app.services import accounts
from app.tenancy import enter, unscoped
from tests.cast import account_called, account_id, acting_as


def names(rows):
    return sorted(row.name for row in rows)


def test_a_partner_sees_the_own_subtree_and_nothing_else(alice):
    with acting_as(alice):
        seen = db.session.scalars(select(Account)).all()

    assert names(seen) == ["Bergen Sensor", "Deichbau", "Fjordline", "Küstenfunk", "Nordlicht"]


def test_a_stranger_sees_none_of_it(charlie):
    with acting_as(charlie):
        assert names(db.session.scalars(select(Account))) == ["Alpenwerk", "Gletscherbau"]
        assert account_called("kuestenfunk") is None


def test_people_are_seen_through_visible_members_only(charlie):
    with acting_as(charlie):
        assert [user.email for user in db.session.scalars(select(User))] == ["charlie@alpenwerk.example"]


@pytest.mark.parametrize("way", ["alias", "join", "loaded", "subquery", "counted", "by number"])
def test_people_are_seen_so_whichever_way_they_are_asked_for(charlie, bob, way):
    own, foreign = {"charlie@alpenwerk.example"}, user_id(bob.email)
    other = aliased(User, name="other")
    people = select(User.email).subquery()
    asked = {
        "alias": lambda ask: set(ask(select(other.email))),
        "join": lambda ask: set(ask(select(User.email).join(Member, Member.user_id == User.id))),
        "loaded": lambda ask: {one.user.email for one in ask(select(Member).options(joinedload(Member.user)))},
        "subquery": lambda ask: set(ask(select(people.c.email))),
        "counted": lambda ask: own if list(ask(select(func.count(User.id)))) == [1] else set(),
        "by number": lambda ask: own if db.session.get(User, foreign) is None else set(),
    }[way]

    with acting_as(charlie):
        assert asked(db.session.scalars) == own


def test_of_people_only_the_members_of_those_met_are_looked_at(charlie, database):
    if database == "postgresql":
        pytest.skip("PostgreSQL chooses by what there is, which here is next to nothing")
    steps = []
    with acting_as(charlie):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(db.engine.dialect, "do_execute", explaining(db.engine.dialect.do_execute, steps))
            db.session.scalars(select(User).where(User.email == charlie.email)).all()

    assert any("SEARCH member USING INDEX" in step and "user_id=?" in step for step in steps), steps
    assert not any("LIST SUBQUERY" in step for step in steps), steps  # all the members there are beneath


def explaining(execute, steps):
    """The same as before, noting how SQLite goes about it."""

    def do_execute(cursor, statement, parameters, context=None):
        if statement.startswith("SELECT"):
            plan = cursor.connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            steps.extend(step for *_numbers, step in plan)
        execute(cursor, statement, parameters, context)

    return do_execute


def user_id(email):
    with unscoped("somebody's number", writes=False) as session:
        return session.scalar(select(User.id).where(User.email == email))


def test_without_a_scope_everything_is_closed(app):
    with pytest.raises(NoScope):
        db.session.scalars(select(Account)).all()


def test_a_session_has_one_scope_for_life(alice):
    with acting_as(alice):
        with pytest.raises(NoScope):
            enter(db.session().info["scope"])


def test_get_finds_no_foreign_row(charlie):
    foreign = account_id("kuestenfunk")

    with acting_as(charlie):
        assert db.session.get(Account, foreign) is None


def test_a_foreign_row_cannot_be_carried_in_from_another_session(alice, charlie):
    with unscoped("a foreign row at hand", writes=False) as session:
        foreign = account_called("kuestenfunk")
        session.expunge(foreign)

    with pytest.raises(OutsideScope), acting_as(charlie):
        db.session.add(foreign)


def test_counts_count_what_one_sees(charlie):
    with acting_as(charlie):
        assert db.session.scalar(select(func.count()).select_from(Account)) == 2
        assert db.session.scalar(select(func.count(Member.id))) == 1


def test_aliases_subqueries_and_unions_are_behind_the_wall_too(charlie):
    with acting_as(charlie):
        assert names(db.session.scalars(select(aliased(Account)))) == ["Alpenwerk", "Gletscherbau"]
        inner = select(Account.id).subquery()
        assert db.session.scalar(select(func.count()).select_from(inner)) == 2
        both = select(Account.name).union_all(select(Account.name))
        assert len(db.session.execute(both).all()) == 4


OF_ALL_ACCOUNTS = {
    "join": lambda: select(Member.id, Account.id).join(Member.account),
    "join to an alias": lambda: select(Member.id).join(Member.account.of_type(aliased(Account, name="other"))),
    "join by hand": lambda: select(Member.id).join(Account, Account.id == Member.account_id),
    "join the other way": lambda: select(Account.id).join(Account.members),
    "exists": lambda: select(Member.id).where(Member.account.has(Account.name != "x")),
    "exists by hand": lambda: select(Member.id).where(exists().where(Account.id == Member.account_id)),
    "in a subquery": lambda: select(Member.id).where(Member.account_id.in_(select(Account.id))),
    "in a subquery's subquery": lambda: select(Member.id).where(Member.account_id.in_(select(_ids().c.id))),
    "from a subquery": lambda: select(_ids()),
    "a cte": lambda: select(select(Account.id).cte()),
    "scalar subquery": lambda: select(select(func.count(Account.id)).scalar_subquery()),
    "loaded with the row": lambda: select(Member).options(joinedload(Member.account), joinedload(Member.user)),
    "loaded after the row": lambda: select(Member).options(selectinload(Member.account).selectinload(Account.members)),
    "an outer join": lambda: select(Account.id).join(Account.parent.of_type(aliased(Account)), isouter=True),
}


def _ids():
    return select(Account.id).subquery()


@pytest.mark.parametrize("way", OF_ALL_ACCOUNTS)
def test_each_table_a_statement_names_is_behind_the_wall(charlie, way):
    """The range of paths stands once for each time a table of accounts or members is named."""
    said = []
    with acting_as(charlie):
        event.listen(db.engine, "before_cursor_execute", lambda *args: said.append(args[2]))
        db.session.expunge_all()
        rows = db.session.execute(OF_ALL_ACCOUNTS[way]()).all()

    for sql in said:
        named = set(re.findall(r"(?:FROM|JOIN|,) (account|member)(?: AS (\w+))?\b(?!\.)", sql))
        for table, alias in named:
            path = "path" if table == "account" else "account_path"
            assert re.search(rf"\b{alias or table}\.{path} < ", sql), sql
    assert said
    assert rows


def test_a_class_that_is_overlooked_is_refused_not_shown(charlie, monkeypatch):
    with acting_as(charlie), pytest.raises(OutsideScope):
        monkeypatch.setattr(tenancy, "_mappers_of", lambda _part: iter(()))
        db.session.scalar(select(func.count(Account.id)))


@pytest.mark.parametrize(
    "statement",
    [
        text("SELECT name FROM account"),
        select(Account.__table__),
        update(Account.__table__).values(name="x"),
        insert(Account.__table__).values(name="x"),
    ],
    ids=["text", "core select", "core update", "core insert"],
)
def test_sql_that_came_another_way_is_refused(charlie, statement):
    with pytest.raises(OutsideScope), acting_as(charlie):
        db.session.connection().execute(statement)


def test_bulk_writes_are_refused(charlie):
    foreign = account_id("kuestenfunk")

    with pytest.raises(OutsideScope), acting_as(charlie):
        db.session.execute(update(Account), [{"id": foreign, "name": "x"}])
    with pytest.raises(OutsideScope), acting_as(charlie):
        db.session.execute(insert(Account), [{"name": "x"}])


def test_an_update_by_condition_reaches_the_own_subtree_only(charlie):
    with acting_as(charlie):
        db.session.execute(update(Account).values(contact="changed"))

    with unscoped("looking at everybody", writes=False) as session:
        changed = session.scalars(select(Account).where(Account.contact == "changed")).all()
    assert names(changed) == ["Alpenwerk", "Gletscherbau"]


def test_a_new_row_cannot_be_put_into_a_foreign_account(charlie):
    foreign = account_id("kuestenfunk")

    with pytest.raises(OutsideScope), acting_as(charlie) as me:
        db.session.add(Member(account_id=foreign, user_id=me.user_id, role=me.role, created_at=me.created_at))
        db.session.flush()


def test_an_own_row_cannot_be_moved_to_a_foreign_account(charlie):
    foreign = account_id("kuestenfunk")

    with pytest.raises(OutsideScope), acting_as(charlie):
        account_called("gletscherbau").parent_id = foreign
        db.session.flush()


def test_what_is_inside_an_account_is_not_seen_from_above(alice, bob):
    with acting_as(bob) as me:
        db.session.add(
            Message(
                account=me.account, message_id="<1@x>", recipient="x@y.example", locale="de", subject="Inside",
                body_text="", body_html="", created_at=me.created_at, next_try_at=me.created_at,
            )  # fmt: skip
        )

    with acting_as(bob):
        assert db.session.scalar(select(func.count(Message.id))) == 1
    with acting_as(alice):
        assert db.session.scalar(select(func.count(Message.id))) == 0


def test_opening_an_account_leaves_a_line_of_history_with_its_number(alice):
    with acting_as(alice) as by:
        account = accounts.open_account("Neufunk", parent=by.account, by=by)

    with acting_as(alice):
        line = db.session.scalars(select(LogEntry).where(LogEntry.subject_id == account.id)).one()
        assert (line.action, line.subject, line.account_id) == ("account.created", "Neufunk", account.id)
        assert line.actor == "Alice Ahrens <alice@nordlicht.example>"
        assert line.changes["name"] == [None, "Neufunk"]


def test_history_cannot_be_changed_even_by_the_program(alice):
    with acting_as(alice) as by:
        accounts.open_account("Neufunk", parent=by.account, by=by)

    with pytest.raises(Exception, match="only added to"), unscoped("trying to rewrite history") as session:
        session.execute(update(LogEntry).values(actor="Nobody"))


def test_a_unit_within_a_unit_has_a_wall_of_its_own(alice, charlie):
    with unscoped("looking at everybody", writes=False):
        assert db.session.scalar(select(func.count(Account.id))) == 8
        with acting_as(charlie):
            assert db.session.scalar(select(func.count(Account.id))) == 2
        assert db.session.scalar(select(func.count(Account.id))) == 8

"""The ways into the database that SQLAlchemy offers (fab-notes 2.2): none leads to a foreign row, none changes one."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import bindparam, delete, exists, func, insert, literal_column, select, text, update
from sqlalchemy.exc import IntegrityError, InvalidRequestError
from sqlalchemy.orm import aliased, joinedload, selectinload, subqueryload

from app import clock
from app.errors import OutsideScope
from app.extensions import db
from app.models import Account, LogEntry, Member, Role, Throttle, User, new_path
from app.tenancy import unscoped
from tests.cast import account_called, account_id, acting_as

T = Account.__table__
SECRET = Account.slug == "kuestenfunk"
OTHER = aliased(Account)


def entity(statement: Any) -> Any:
    return lambda session: session.scalars(statement).all()


def number(statement: Any) -> Any:
    return lambda session: session.scalar(statement)


def foreign_id() -> int:
    return account_id("kuestenfunk")


# Each way answers what it found of Küstenfunk, of which a stranger finds nothing: no row, a count of 0, no sum.
READS = {
    # --- ORM statements ---
    "entity": entity(select(Account).where(SECRET)),
    "column": entity(select(Account.name).where(SECRET)),
    "alias": entity(select(OTHER).where(OTHER.slug == "kuestenfunk")),
    "column of an alias": entity(select(OTHER.name).where(OTHER.slug == "kuestenfunk")),
    "subquery": entity(select(select(Account.name).where(SECRET).subquery().c.name)),
    "cte": entity(select(select(Account.name).where(SECRET).cte().c.name)),
    "union": entity(select(Account.name).where(SECRET).union(select(Account.contact).where(SECRET))),
    "join": entity(select(Member.id).join(Member.account).where(SECRET)),
    "outer join": entity(select(Account.name).select_from(Member).outerjoin(Account, SECRET).where(SECRET)),
    "where alone": entity(select(Member.id).where(Member.account_id != Account.id, SECRET)),
    "scalar subquery": number(select(select(Account.name).where(SECRET).scalar_subquery())),
    "in": entity(select(Member.id).where(Member.id.in_(select(Member.id).join(Member.account).where(SECRET)))),
    "exists": entity(select(Member.id).where(exists().where(SECRET))),
    "any": entity(select(Account).where(Account.members.any(Member.account.has(SECRET)))),
    "has": entity(select(Member).where(Member.account.has(SECRET))),
    "for update": entity(select(Account).where(SECRET).with_for_update()),
    "people": entity(select(User).where(User.email == "bob@kuestenfunk.example")),
    "members' people": entity(
        select(User.email).join(Member, Member.user_id == User.id).join(Member.account).where(SECRET)
    ),
    "history": entity(select(LogEntry).where(LogEntry.subject == "Küstenfunk")),
    # --- counts and sums ---
    "count of rows": number(select(func.count()).select_from(Account).where(SECRET)),
    "count of a column": number(select(func.count(Account.id)).where(SECRET)),
    "sum": number(select(func.sum(Account.id)).where(SECRET)),
    "max": number(select(func.max(Account.name)).where(SECRET)),
    "query count": lambda session: session.query(Account).filter(SECRET).count(),
    # --- by key ---
    "get": lambda session: session.get(Account, foreign_id()),
    "get anew": lambda session: session.get(Account, foreign_id(), populate_existing=True),
    "get to change": lambda session: session.get(Account, foreign_id(), with_for_update=True),
    "query get": lambda session: session.query(Account).filter_by(id=foreign_id()).one_or_none(),
    # --- from a row of one's own to another's ---
    "lazy parent": lambda session: account_called("alpenwerk").parent,
    "joined parent": lambda session: session.scalars(_own(joinedload(Account.parent))).one().parent,
    "selectin parent": lambda session: session.scalars(_own(selectinload(Account.parent))).one().parent,
    "subquery parent": lambda session: session.scalars(_own(subqueryload(Account.parent))).one().parent,
    # --- SQL that is not the ORM's ---
    "text": lambda session: session.execute(text("SELECT name FROM account WHERE slug = 'kuestenfunk'")).all(),
    "text of a schema": lambda session: session.execute(text(f"SELECT 1 FROM {_schema(session)}.account")).all(),
    "text as entity": entity(select(Account).from_statement(text("SELECT * FROM account WHERE slug = 'kuestenfunk'"))),
    "text as column": entity(select(Account.name).from_statement(text("SELECT name FROM account WHERE id > 1"))),
    "text as people": entity(select(User).from_statement(text("SELECT * FROM ab_user"))),
    "text in a condition": entity(select(Member.id).where(text("EXISTS (SELECT 1 FROM account WHERE id > 1)"))),
    "literal column": entity(select(literal_column("(SELECT name FROM account WHERE slug = 'kuestenfunk')"))),
    "literal beside a class": entity(select(literal_column("(SELECT max(id) FROM account)")).select_from(Member)),
    "from text": number(select(func.count()).select_from(text("account"))),
    "core": entity(select(T.c.name).where(T.c.slug == "kuestenfunk")),
    "core beside a class": entity(select(T.c.name).select_from(Member).join(T, T.c.id != Member.account_id)),
    "core in a subquery": entity(select(Member.id).where(exists(select(T.c.id).where(T.c.slug == "kuestenfunk")))),
    "core as scalar": number(select(select(func.count()).select_from(T).scalar_subquery()).select_from(Member)),
    "core in a union": entity(select(Account.name).where(SECRET).union(select(T.c.name))),
    "core in a cte": entity(select(select(T.c.name).cte().c.name)),
    "core of an alias": entity(select(T.alias().c.name)),
    "connection": lambda session: session.connection().execute(select(T.c.name)).all(),
    "connection with text": lambda session: session.connection().execute(text('SELECT name FROM "account"')).all(),
    "driver": lambda session: session.connection().exec_driver_sql("SELECT name FROM account").all(),
}  # fmt: skip


def _own(load: Any) -> Any:
    return select(Account).where(Account.slug == "alpenwerk").options(load)


def _schema(session: Any) -> str:
    return "main" if session.get_bind().dialect.name == "sqlite" else "public"


@pytest.mark.parametrize("way", READS)
def test_no_way_of_reading_leads_to_a_foreign_row(charlie, way):
    with suppress(OutsideScope), acting_as(charlie):
        assert not READS[way](db.session())


@pytest.mark.parametrize("way", [way for way in READS if "parent" not in way])
def test_the_same_way_is_open_to_whom_the_row_belongs(alice, way):
    """The control: those that are the ORM's own find it, the others are refused to everybody."""
    refused = way in READS_PAST_THE_WALL
    try:
        with acting_as(alice):
            found = READS[way](db.session())
    except OutsideScope:
        assert refused
    else:
        assert found and not refused


READS_PAST_THE_WALL = set(READS) - set(list(READS)[: list(READS).index("text")])


def _member(account: int) -> dict[str, Any]:
    with unscoped("a path nobody is told", writes=False):
        path = db.session.get(Account, account).path
    return {"account_id": account, "account_path": path, "user_id": 1, "role": Role.VIEWER, "created_at": clock.now()}


def _detached(row: type, **where: Any) -> Any:
    """A row of Küstenfunk out of another session."""
    with unscoped("a foreign row at hand", writes=False) as session:
        found = session.scalars(select(row).filter_by(**where)).one()
        session.expunge(found)
    return found


def _kuestenfunk() -> Account:
    return _detached(Account, slug="kuestenfunk")


def _bob() -> Member:
    return _detached(Member, account_id=foreign_id())


def _change(row: Any, **values: Any) -> None:
    for name, value in values.items():
        setattr(row, name, value)


WRITES = {
    "update": lambda s: s.execute(update(Account).where(SECRET).values(contact="x")),
    "update with fetch": lambda s: s.execute(
        update(Account).where(SECRET).values(contact="x"), execution_options={"synchronize_session": "fetch"}
    ),
    "update of a query": lambda s: s.query(Account).filter(SECRET).update({"contact": "x"}),
    "update of everything": lambda s: s.execute(update(Account).values(contact="x")),
    "update by key": lambda s: s.execute(update(Account), [{"id": foreign_id(), "contact": "x"}]),
    "update of the table": lambda s: s.execute(update(T).values(contact="x")),
    "update by key of the table": lambda s: s.execute(
        update(T).where(T.c.id == bindparam("which")), [{"which": foreign_id(), "contact": "x"}]
    ),
    "delete": lambda s: s.execute(delete(Member).where(Member.account_id == foreign_id())),
    "delete with fetch": lambda s: s.execute(
        delete(Member).where(Member.id > 0, Member.account_id == foreign_id()),
        execution_options={"synchronize_session": "fetch"},
    ),
    "delete of a query": lambda s: s.query(Member).filter(Member.account_id == foreign_id()).delete(),
    "delete of the table": lambda s: s.execute(delete(Member.__table__)),
    "delete of a carried row": lambda s: s.delete(_bob()),
    "bulk update mappings": lambda s: s.bulk_update_mappings(Account, [{"id": foreign_id(), "contact": "x"}]),
    "bulk insert mappings": lambda s: s.bulk_insert_mappings(Member, [_member(foreign_id())]),
    "bulk save": lambda s: s.bulk_save_objects([Member(**_member(foreign_id()))]),
    "bulk save of a carried row": lambda s: s.bulk_save_objects([_changed(_kuestenfunk(), contact="x")], False),
    "insert": lambda s: s.execute(insert(Member), [_member(foreign_id())]),
    "insert into the table": lambda s: s.execute(insert(Member.__table__).values(_member(foreign_id()))),
    "text": lambda s: s.execute(text("UPDATE account SET contact = 'x'")),
    "text with brackets": lambda s: s.execute(
        text("INSERT INTO throttle(bucket, \"window\", tries) VALUES ('x', 1, 1)")
    ),
    "connection": lambda s: s.connection().execute(text("DELETE FROM member")),
    "merge by key": lambda s: s.merge(Account(id=foreign_id(), contact="x")),
    "merge of a carried row": lambda s: s.merge(_changed(_kuestenfunk(), contact="x")),
    "carried row": lambda s: s.add(_changed(_kuestenfunk(), contact="x")),
    "new row": lambda s: s.add(Member(**_member(foreign_id()))),
    "new row with a lying path": lambda s: s.add(
        Member(**_member(foreign_id()) | {"account_path": account_called("alpenwerk").path})
    ),
    "new row of a carried account": lambda s: s.add(
        Member(account=_kuestenfunk(), user_id=1, role=Role.VIEWER, created_at=clock.now())
    ),
    "new account beneath": lambda s: s.add(
        Account(name="X", slug="x", parent_id=foreign_id(), created_at=clock.now())
    ),
    "new account with a foreign path": lambda s: s.add(
        Account(name="X", slug="x", parent=account_called("alpenwerk"), path=new_path(None), created_at=clock.now())
    ),
    "move of an account": lambda s: _change(account_called("gletscherbau"), parent_id=foreign_id()),
    "move of a path": lambda s: _change(account_called("gletscherbau"), path=new_path(None)),
    "move of a member": lambda s: _change(s.scalars(select(Member)).first(), account_id=foreign_id()),
    "move of a member's path": lambda s: _change(
        s.scalars(select(Member)).first(), account_path=_kuestenfunk().path
    ),
    "foreign person": lambda s: _change(s.scalars(select(Member)).first(), user_id=_bob().user_id),
}  # fmt: skip


def _changed(row: Any, **values: Any) -> Any:
    _change(row, **values)
    return row


def _everything() -> list[Any]:
    """All that may not change: where accounts stand, what foreign ones say, who is a member of what, secrets."""
    with unscoped("looking at everybody", writes=False) as session:
        places = session.execute(select(T.c.id, T.c.parent_id, T.c.path)).all()
        foreign = session.execute(select(T).where(~T.c.slug.in_(["alpenwerk", "gletscherbau"]))).all()
        members = session.execute(select(Member.__table__)).all()
        secrets = session.execute(select(Throttle.__table__)).all()
    return [sorted(rows, key=str) for rows in (places, foreign, members, secrets)]


@pytest.mark.parametrize("way", WRITES)
def test_no_way_of_writing_changes_a_foreign_row(charlie, way):
    before = _everything()

    with suppress(OutsideScope, IntegrityError), acting_as(charlie):
        WRITES[way](db.session())
        db.session.flush()

    assert _everything() == before


@pytest.mark.parametrize("way", READS)
def test_with_the_walls_down_every_way_of_reading_is_open(app, charlie, walls_down, way):
    """The control: it is the wall that closes them."""
    with acting_as(charlie):
        assert READS[way](db.session())


@pytest.mark.parametrize("way", WRITES)
def test_with_the_walls_down_every_way_of_writing_is_open(app, charlie, walls_down, way):
    before = _everything()

    with acting_as(charlie):
        WRITES[way](db.session())
        db.session.flush()

    assert _everything() != before


# --- a row that was one's own a moment ago -----------------------------------------------------------------------


def _sold() -> None:
    """Gletscherbau goes to Nordlicht while Charlie works on it."""
    with unscoped("selling an account"):
        buyer, sold = account_called("nordlicht"), account_called("gletscherbau")
        sold.parent, sold.path = buyer, new_path(buyer)


STALE = {
    "refresh": lambda session, row: session.refresh(row),
    "expired": lambda session, row: (session.expire(row), row.name)[1],
    "get anew": lambda session, row: session.get(Account, row.id, populate_existing=True),
    "select": lambda session, row: session.scalars(select(Account).where(Account.slug == "gletscherbau")).all(),
}


@pytest.mark.parametrize("way", STALE)
def test_a_row_that_has_left_is_not_read_again(charlie, way):
    with suppress(OutsideScope, InvalidRequestError), acting_as(charlie):
        row = account_called("gletscherbau")
        db.session.commit()
        _sold()
        assert not STALE[way](db.session(), row)

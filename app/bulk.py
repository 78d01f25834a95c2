"""Many rows in few statements: what a flush would write is worked out beforehand, while others go on working.

A unit of work that writes keeps others waiting, on SQLite all of them. So thousands of rows are made ready in a unit
that only reads: `work_out` shows them to everybody who looks at a flush (the wall, history, the index of values) and
keeps what would be written, bound as the driver takes it. `Work.write` writes it, in a unit of the same scope: new rows
get their numbers there. Whether all that it rests on is still so by then is for its caller to see, under the lock.
"""

from __future__ import annotations

import gc
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count, groupby
from operator import attrgetter
from typing import Any, TypeVar

from sqlalchemy import Column, Dialect, Table, func, inspect, select
from sqlalchemy.orm import RelationshipDirection
from sqlalchemy.orm import Session as AnySession

from .audit import line_about
from .errors import OutsideScope
from .extensions import Columns, db, insert_bound, looked_at, plan_once, update_bound
from .models import Account, LogEntry, PropertyValue
from .properties import index_row, leave_index

Row = TypeVar("Row")


@dataclass
class Change:
    """What becomes of a row there is: column → value."""

    row: Any
    old: dict[str, Any]
    new: dict[str, Any]


@dataclass
class Work:
    """What a flush would have written."""

    scope: Any
    new: dict[type, list[Any]]
    changes: list[Change]
    values: list[Any]
    inserts: list[Insert]

    def write(self) -> None:
        """Write it in the unit of work at hand; rows that are new have their numbers afterwards."""
        session = db.session()
        if session.info["scope"] != self.scope:
            raise OutsideScope("work of another scope")
        plan_once(session.connection())
        with looked_at():
            for model, rows in self.new.items():
                _number(session, model.__table__, rows)
            for _names, some in groupby(sorted(self.changes, key=_alike), key=_alike):
                _update(session, [*some])
            leave_index(session, self.values)
            for insert in self.inserts:
                insert.write(session)


def row_of(model: type[Row], **facts: Any) -> Row:
    """A new row for `work_out`, of its own facts and the rows it refers to.

    Nobody is told when they are set, which of thousands of rows takes longer than all else: what the model makes of a
    fact is among the facts, and the session does not know of the row.
    """
    mapper = inspect(model)
    row = mapper.class_manager.new_instance()
    inspect(row).dict.update(dict.fromkeys(mapper.columns.keys()), **facts)
    return row


def work_out(made: list[Any] | None = None) -> Work:
    """What a flush would write now, and with it those rows (`row_of`), which all are shown like the session's own.

    Nothing is written, and the session forgets all its rows.
    """
    session = db.session()
    with session.no_autoflush:
        session.dispatch.before_flush(session, None, made)
        changes = [_change(row) for row in session.dirty if session.is_modified(row)]
    new: dict[type, list[Any]] = defaultdict(list)
    for row in [*session.new, *(made or ())]:
        new[type(row)].append(row)
    lines, values = session.info.pop("lines"), session.info.pop("values_to_index")
    dialect = session.get_bind().dialect
    inserts = [_of_rows(model, rows, dialect) for model, rows in new.items()]
    inserts += [_of_lines(lines, dialect), _of_values([one for one in values if one.index], dialect)]
    session.expunge_all()
    return Work(session.info["scope"], new, changes, values, inserts)


@contextmanager
def keeping_all() -> Iterator[None]:
    """While thousands of rows are made, none of them is rubbish: looking for some takes a fifth of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


# --- rows there are ----------------------------------------------------------------------------------------------


def _change(row: Any) -> Change:
    old = {name: value for name, value in inspect(row).committed_state.items() if name in inspect(row).mapper.columns}
    return Change(row, old, {name: getattr(row, name) for name in old})


def _alike(change: Change) -> tuple[str, tuple[str, ...]]:
    return type(change.row).__name__, tuple(change.new)


def _update(session: AnySession, changes: list[Change]) -> None:
    """Rows of one class of which the same columns change."""
    connection, table = session.connection(), type(changes[0].row).__table__
    given = {"id": [change.row.id for change in changes]} | _columns([*changes[0].new], [one.new for one in changes])
    update_bound(connection, table, {name: _bound(table.c[name], given[name], connection.dialect) for name in given})


# --- new rows ----------------------------------------------------------------------------------------------------


class Insert:
    """New rows of one table, bound while nobody waits: under the lock they lack nothing but numbers."""

    def __init__(self, table: Table, columns: Columns, dialect: Dialect, **waiting: list[Any]) -> None:
        """`waiting`: column → for each row the one whose number will stand there as soon as it has one, or none."""
        self.table, self.waiting = table, {name: rows for name, rows in waiting.items() if any(rows)}
        self.columns = {name: _bound(table.c[name], columns[name], dialect, is_new=True) for name in columns}

    def write(self, session: AnySession) -> None:
        if any(self.columns.values()):
            numbers = {name: self._numbers(name) for name in self.waiting}
            insert_bound(session.connection(), self.table, self.columns | numbers)

    def _numbers(self, name: str) -> list[int]:
        known = zip(self.columns[name], self.waiting[name], strict=True)
        return [number if row is None else row.id for number, row in known]


def _of_rows(model: type, rows: list[Any], dialect: Dialect) -> Insert:
    """What they refer to may be as new as themselves."""
    mapper, facts = inspect(model), [inspect(row).dict for row in rows]
    waiting = {column: [one.get(relation) for one in facts] for column, relation in _leading_on(mapper)}
    return Insert(model.__table__, _columns(mapper.columns.keys(), facts), dialect, id=rows, **waiting)


def _leading_on(mapper: Any) -> list[tuple[str, str]]:
    """Column and relation of what a row may refer to."""
    relations = (one for one in mapper.relationships if one.direction is RelationshipDirection.MANYTOONE)
    return [(one.local_remote_pairs[0][0].name, one.key) for one in relations]


def _of_lines(told: list[tuple[dict[str, Any], Any]], dialect: Dialect) -> Insert:
    """Lines of history, with the rows they are about."""
    columns = _columns(_all_but_id(LogEntry), [line_about(*one) for one in told])
    homes = [row if isinstance(row, Account) else inspect(row).dict.get("account") for _line, row in told]
    about = {"subject_id": [row for _line, row in told], "account_id": homes}
    waiting = {name: _where_nothing_is(columns[name], rows) for name, rows in about.items()}
    return Insert(LogEntry.__table__, columns, dialect, **waiting)


def _of_values(places: list[Any], dialect: Dialect) -> Insert:
    """Places in the index, in whose order they stand together."""
    places = sorted(places, key=attrgetter("definition_id"))
    columns = _columns(_all_but_id(PropertyValue), [index_row(one) for one in places])
    return Insert(PropertyValue.__table__, columns, dialect, account_id=[one.account for one in places])


def _all_but_id(model: type) -> list[str]:
    """The columns of rows to which nothing refers: the database numbers them."""
    return [column.name for column in model.__table__.columns if column.name != "id"]


def _columns(names: Iterable[str], rows: list[dict[str, Any]]) -> Columns:
    return {name: [row.get(name) for row in rows] for name in names}


def _where_nothing_is(column: list[Any], rows: list[Any]) -> list[Any]:
    return [row if value is None else None for value, row in zip(column, rows, strict=True)]


def _bound(column: Column[Any], values: list[Any], dialect: Dialect, *, is_new: bool = False) -> list[Any]:
    """The values as the driver takes them. Most repeat themselves, so each different one is bound once."""
    if is_new and column.default is not None:
        default = column.default.arg if column.default.is_callable else lambda _context: column.default.arg
        values = [default(None) if value is None else value for value in values]
    make = column.type.dialect_impl(dialect).bind_processor(dialect)
    if make is None:
        return values
    if not column.type.hashable:
        return [None if value is None else make(value) for value in values]
    made = {value: make(value) for value in {*values} - {None}} | {None: None}
    return [made[value] for value in values]


def _number(session: AnySession, table: Table, rows: list[Any]) -> None:
    """Give new rows their numbers. PostgreSQL hands numbers out; on SQLite, whoever writes is alone."""
    connection = session.connection()
    if connection.dialect.name == "postgresql":
        next_one = func.nextval(func.pg_get_serial_sequence(table.name, "id"))
        numbers = iter(connection.scalars(select(next_one).select_from(func.generate_series(1, len(rows)))).all())
    else:
        numbers = count((connection.scalar(select(func.max(table.c.id))) or 0) + 1)
    for row, number in zip(rows, numbers, strict=False):
        row.id = number

"""Many rows in few statements: what a flush would write is worked out beforehand, while others go on working.

A unit of work that writes keeps others waiting, on SQLite all of them. So thousands of rows are made ready in a unit
that only reads: `work_out` shows them to everybody who looks at a flush (the wall, history, the index of values) and
keeps what would be written, bound as the driver takes it. `Work.write` writes it, in a unit of the same scope: new rows
get their numbers there. Whether all that it rests on is still so by then is for its caller to see, under the lock.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count, groupby
from typing import Any

from sqlalchemy import Column, Dialect, Table, func, inspect, select
from sqlalchemy.orm import RelationshipDirection
from sqlalchemy.orm import Session as AnySession

from .audit import line_about
from .errors import OutsideScope
from .extensions import db, insert_bound, looked_at, update_bound
from .models import Account, LogEntry, PropertyValue
from .properties import index_row, leave_index


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
        with looked_at():
            for model, rows in self.new.items():
                _number(session, model.__table__, rows)
            for _names, some in groupby(sorted(self.changes, key=_alike), key=_alike):
                _update(session, [*some])
            leave_index(session, self.values)
            for insert in self.inserts:
                insert.write(session)


def work_out() -> Work:
    """What a flush would write now. Nothing is written, and the session forgets all its rows."""
    session = db.session()
    with session.no_autoflush:
        session.dispatch.before_flush(session, None, None)
        changes = [_change(row) for row in session.dirty if session.is_modified(row)]
    lines, values = session.info.pop("lines"), session.info.pop("values_to_index")
    new = {model: [row for row in session.new if type(row) is model] for model in dict.fromkeys(map(type, session.new))}
    inserts = [Insert(session, model.__table__, map(_row, rows)) for model, rows in new.items()]
    inserts.append(Insert(session, LogEntry.__table__, (_line(*one) for one in lines)))
    inserts.append(Insert(session, PropertyValue.__table__, (_place(one) for one in values if one.index)))
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
    bound = _binder([table.c.id, *(table.c[name] for name in changes[0].new)], connection.dialect, are_new=False)
    update_bound(connection, table, [bound({"id": change.row.id} | change.new) for change in changes])


# --- new rows ----------------------------------------------------------------------------------------------------

Values = dict[str, Any]  # column → what stands there
Waits = dict[str, Any]  # column → the row whose number will, as soon as it has one


class Insert:
    """New rows of one table, bound while nobody waits: under the lock they lack nothing but numbers."""

    def __init__(self, session: AnySession, table: Table, rows: Iterable[tuple[Values, Waits]]) -> None:
        dialect = session.get_bind().dialect
        bound = _binder([*table.columns], dialect, are_new=True)
        self.rows = [(bound(values), [(n, row) for n, row in waits.items() if not values[n]]) for values, waits in rows]
        self.table = table

    def write(self, session: AnySession) -> None:
        for values, waits in self.rows:
            for name, row in waits:
                values[name] = row.id
        if self.rows:
            insert_bound(session.connection(), self.table, [values for values, _waits in self.rows])


def _row(row: Any) -> tuple[Values, Waits]:
    """A new row; what it refers to may be as new as itself."""
    state = inspect(row)
    waits, values = {"id": row}, {name: state.dict.get(name) for name in state.mapper.columns.keys()}
    for name, relation in _leading_on(state.mapper):
        if (other := state.dict.get(relation)) is not None:
            values[name], waits[name] = other.id, other
    return values, waits


def _leading_on(mapper: Any) -> list[tuple[str, str]]:
    """Column and relation of what a row may refer to."""
    relations = (one for one in mapper.relationships if one.direction is RelationshipDirection.MANYTOONE)
    return [(one.local_remote_pairs[0][0].name, one.key) for one in relations]


def _line(line: Values, row: Any) -> tuple[Values, Waits]:
    home = row if isinstance(row, Account) else inspect(row).dict.get("account")
    return line_about(line, row), {"subject_id": row, "account_id": home}


def _place(place: Any) -> tuple[Values, Waits]:
    return index_row(place), {"account_id": place.account}


def _binder(columns: list[Column[Any]], dialect: Dialect, *, are_new: bool) -> Callable[[Values], Values]:
    """What makes of a row's values what the driver takes. The numbers of rows that nothing refers to are left out."""
    nothing, defaults = dict.fromkeys(c.name for c in columns), [_default(c) if are_new else None for c in columns]
    makers = [c.type.dialect_impl(dialect).bind_processor(dialect) for c in columns]
    known = [(c.name, default, make) for c, default, make in zip(columns, defaults, makers, strict=True)]
    not_as_it_is = [(name, default, make) for name, default, make in known if default or make]

    def bound(values: Values) -> Values:
        found = nothing | values
        for name, default, make in not_as_it_is:
            value = found[name]
            if value is None and default is not None:
                value = default()
            found[name] = value if make is None or value is None else make(value)
        if "id" not in values:
            del found["id"]
        return found

    return bound


def _default(column: Column[Any]) -> Callable[[], Any] | None:
    if column.default is None:
        return None
    return partial(column.default.arg, None) if column.default.is_callable else lambda: column.default.arg


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

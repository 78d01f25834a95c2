"""Many rows in few statements: what a flush would write is worked out beforehand, while others go on working.

A unit of work that writes keeps others waiting, on SQLite all of them. So thousands of rows are made ready in a unit
that only reads: `work_out` shows them to everybody who looks at a flush (the wall, history, the index of values) and
keeps what would be written. `Work.write` writes it, in a unit of the same scope. Whether all that it rests on is still
so by then is for its caller to see, under the lock.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sqlalchemy import bindparam, inspect
from sqlalchemy.orm import RelationshipDirection
from sqlalchemy.orm import Session as AnySession

from .audit import write_lines
from .errors import OutsideScope
from .extensions import db, looked_at
from .properties import write_index


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
    new: list[Any]
    changes: list[Change]
    lines: list[Any]
    values: list[Any]

    def write(self) -> None:
        """Write it in the unit of work at hand; rows that are new have their numbers afterwards."""
        session = db.session()
        if session.info["scope"] != self.scope:
            raise OutsideScope("work of another scope")
        with looked_at():
            for model in dict.fromkeys(map(type, self.new)):
                _insert(session, [row for row in self.new if type(row) is model])
            for _names, some in groupby(sorted(self.changes, key=_alike), key=_alike):
                _update(session, [*some])
            write_lines(session, self.lines)
            write_index(session, self.values)


def work_out() -> Work:
    """What a flush would write now. Nothing is written, and the session forgets all its rows."""
    session = db.session()
    with session.no_autoflush:
        session.dispatch.before_flush(session, None, None)
        changes = [_change(row) for row in session.dirty if session.is_modified(row)]
    lines, values = session.info.pop("lines"), session.info.pop("values_to_index")
    work = Work(session.info["scope"], [*session.new], changes, lines, values)
    session.expunge_all()
    return work


def _change(row: Any) -> Change:
    old = {name: value for name, value in inspect(row).committed_state.items() if name in inspect(row).mapper.columns}
    return Change(row, old, {name: getattr(row, name) for name in old})


def _alike(change: Change) -> tuple[str, tuple[str, ...]]:
    return type(change.row).__name__, tuple(change.new)


def _insert(session: AnySession, rows: list[Any]) -> None:
    table = type(rows[0]).__table__
    statement = table.insert().returning(table.c.id, sort_by_parameter_order=True)
    numbers = session.connection().execute(statement, [_values(row) for row in rows]).scalars()
    for row, number in zip(rows, numbers, strict=True):
        row.id = number


def _values(row: Any) -> dict[str, Any]:
    """The columns of a new row; what it refers to has its number by now."""
    mapper = inspect(type(row))
    for relation in mapper.relationships:
        if relation.direction is RelationshipDirection.MANYTOONE and row.__dict__.get(relation.key) is not None:
            [(own, its)] = relation.local_remote_pairs
            setattr(row, own.name, getattr(row.__dict__[relation.key], its.name))
    values = {column.name: row.__dict__.get(column.name) for column in mapper.columns if not column.primary_key}
    return {name: _default(mapper.columns[name]) if value is None else value for name, value in values.items()}


def _default(column: Any) -> Any:
    if column.default is None:
        return None
    return column.default.arg if column.default.is_scalar else column.default.arg(None)


def _update(session: AnySession, changes: list[Change]) -> None:
    """Rows of one class of which the same columns change."""
    table = type(changes[0].row).__table__
    wanted = {name: bindparam(f"new_{name}") for name in changes[0].new}
    statement = table.update().where(table.c.id == bindparam("its_id")).values(wanted)
    rows = [{f"new_{name}": value for name, value in change.new.items()} for change in changes]
    its = [{"its_id": change.row.id} for change in changes]
    session.connection().execute(statement, [row | one for row, one in zip(rows, its, strict=True)])

"""The libraries we stand on, made once and bound to the application in `create_app`."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from decimal import Decimal
from itertools import chain
from types import SimpleNamespace
from typing import Any

import flask_babel
import psycopg
from flask.globals import _cv_app
from flask_appbuilder import Model
from flask_appbuilder.models.sqla.base import SQLA
from flask_mail import Mail
from flask_migrate import Migrate
from flask_sqlalchemy.session import Session as FlaskSession
from flask_wtf.csrf import CSRFProtect
from sqlalchemy import (
    ARRAY,
    Boolean,
    Connection,
    DateTime,
    Double,
    Engine,
    Integer,
    Select,
    String,
    Table,
    Text,
    bindparam,
    column,
    event,
    func,
    inspect,
    select,
)
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler, SQLiteDialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm.attributes import PASSIVE_NO_INITIALIZE
from sqlalchemy.sql.functions import GenericFunction
from sqlalchemy.types import TypeDecorator


class Session(FlaskSession):
    """The session of one unit of work. `tenancy` puts the wall around it; what a flush writes it has looked at."""

    def flush(self, objects: Any = None) -> None:
        with looked_at():
            super().flush(objects)

    def is_modified(self, instance: Any, include_collections: bool = True) -> bool:
        """As SQLAlchemy's own, but asking the attributes that were set, not all there are: an import asks for
        thousands of rows, and each of the session's listeners asks again."""
        if not include_collections:
            return super().is_modified(instance, include_collections=False)
        state = inspect(instance)
        return any(state.get_history(name, PASSIVE_NO_INITIALIZE).has_changes() for name in state.committed_state)


flushing: ContextVar[bool] = ContextVar("flushing", default=False)


@contextmanager
def looked_at() -> Iterator[None]:
    """While statements run whose rows the wall has looked at one by one."""
    mark = flushing.set(True)
    try:
        yield
    finally:
        flushing.reset(mark)


PLACES = 16_000  # values in one statement, of which SQLite takes 32,766

Columns = dict[str, list[Any]]  # name → what stands there, row by row, as the driver takes it


def insert_bound(connection: Connection, table: Table, columns: Columns) -> None:
    """Insert rows, many at a time."""
    names = ", ".join(_names(connection, table, columns))
    for rows, values in _together(connection, table, columns):
        connection.exec_driver_sql(f"INSERT INTO {table.name} ({names}) {rows}", values)  # noqa: S608 names of the model


def update_bound(connection: Connection, table: Table, columns: Columns) -> None:
    """Put such values into rows there are; the first column is their `id`."""
    _id, *names = _names(connection, table, columns)
    new = ", ".join(f"{name} = given.column{place}" for place, name in enumerate(names, 2))
    for rows, values in _together(connection, table, columns):
        of = f"FROM ({rows}) AS given WHERE {table.name}.id = given.column1"
        connection.exec_driver_sql(f"UPDATE {table.name} SET {new} {of}", values)  # noqa: S608 names of the model


def _names(connection: Connection, table: Table, columns: Columns) -> list[str]:
    return [connection.dialect.identifier_preparer.format_column(table.c[name]) for name in columns]


def _together(connection: Connection, table: Table, columns: Columns) -> Iterator[tuple[str, Any]]:
    """As many rows as one statement takes, in the words of the database, and their values.

    PostgreSQL takes each column as one value: an array, and in binary, since quoting what stands in thousands of texts
    takes the driver seconds. SQLite takes rows by the hundred: with each statement, it writes its index of the parts of
    words to the disk.
    """
    if connection.dialect.name == "postgresql":
        arrays = ", ".join(f"%b::{_array(table.c[name].type, connection)}" for name in columns)
        numbered = ", ".join(f"column{place}" for place in range(1, len(columns) + 1))
        yield f"SELECT * FROM unnest({arrays}) AS given ({numbered})", (*columns.values(),)  # noqa: S608 marks and types
        return
    rows, most = [*zip(*columns.values(), strict=True)], PLACES // len(columns)
    row = f"({', '.join('?' * len(columns))})"
    for first in range(0, len(rows), most):
        some = rows[first : first + most]
        yield f"VALUES {', '.join([row] * len(some))}", (*chain.from_iterable(some),)


def _array(type_: Any, connection: Connection) -> str:
    """The type of a column's values together; a text's length and order are the column's own affair."""
    return ARRAY(Text() if isinstance(type_, String) else type_).compile(connection.dialect)


def look_at(unit: FlaskSession, *tables: str) -> None:
    """Let PostgreSQL know its tables now that thousands of rows have come; it would look by itself some minutes later,
    and until then go through all rows for each of them. SQLite looks when a connection is closed."""
    connection = unit.connection()
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"ANALYZE {', '.join(tables)}")


def set_for_now(connection: Connection, settings: dict[str, str]) -> None:
    """Tell PostgreSQL settings for the rest of the transaction; in so many words, since each page asks it twice."""
    said = ", ".join("set_config(%s, %s, true)" for _setting in settings)
    connection.exec_driver_sql(f"SELECT {said}", tuple(chain(*settings.items())))


def plan_once(connection: Connection) -> None:
    """Let PostgreSQL keep its plans for the rest of the transaction: foreign keys and triggers follow each of thousands
    of rows, and to plan them anew (`_prepare_postgresql`) takes longer than they do."""
    if connection.dialect.name == "postgresql":
        set_for_now(connection, {"plan_cache_mode": "auto"})


# Whether the unit of work at hand may write. SQLite then takes its write lock at BEGIN: a transaction that
# reads first and writes later fails with "database is locked" however long it is willing to wait.
writing: ContextVar[bool] = ContextVar("writing", default=True)

# expire_on_commit off: what a page shows after the commit is what was written, without asking again.
db = SQLA(
    model_class=Model,
    session_options={
        "class_": Session,
        "expire_on_commit": False,
        "scopefunc": lambda: id(_cv_app.get()),  # as Flask-SQLAlchemy's own, without its proxy: each row asks for it
    },
)


def is_sqlite() -> bool:
    """Whether the session's database is SQLite; otherwise it is PostgreSQL."""
    return db.session.get_bind().dialect.name == "sqlite"


migrate = Migrate()
mail = Mail()
csrf = CSRFProtect()


class Moment(TypeDecorator[datetime]):
    """A point in time: aware and UTC in Python, without zone in the database, on SQLite and PostgreSQL alike."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment without a time zone")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


class Number(TypeDecorator[Decimal]):
    """A number of up to 15 digits, to sort and filter by: a double, which tells any two such numbers apart.

    PostgreSQL may look a double up in an index below row-level security, a NUMERIC not (docs/decisions/0009).
    """

    impl = Double
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Any) -> Any:
        return None if value is None else float(value)

    def process_result_value(self, value: Any, dialect: Any) -> Decimal | None:
        return None if value is None else Decimal(str(value))


class holds(GenericFunction[bool]):  # noqa: N801 read as a function
    """Whether the first text has the second in it, letter by letter; without the price of a pattern."""

    type = Boolean()
    inherit_cache = True


@compiles(holds)
def _holds(element: Any, compiler: Any, **kwargs: Any) -> str:
    name = "instr" if compiler.dialect.name == "sqlite" else "strpos"
    return f"({name}({compiler.process(element.clauses, **kwargs)}) > 0)"


class _Numbers(TypeDecorator[list[int]]):
    """Numbers in one parameter: as thousands of parameters they take longer to hand over than to look up."""

    impl = String
    cache_ok = True

    def load_dialect_impl(self, dialect: Any) -> Any:
        return dialect.type_descriptor(ARRAY(Integer) if dialect.name == "postgresql" else String())

    def process_bind_param(self, value: list[int] | None, dialect: Any) -> Any:
        return value if dialect.name == "postgresql" else json.dumps(value)

    def process_result_value(self, value: Any, dialect: Any) -> list[int]:
        return (value or []) if dialect.name == "postgresql" else json.loads(value)


class _is_one_of(GenericFunction[bool]):  # noqa: N801 read as a function
    type = Boolean()
    inherit_cache = True

    def self_group(self, against: Any = None) -> Any:
        """Without the `= 1` that SQLite is otherwise told of a boolean, and which keeps it from looking them up."""
        return self


def is_one_of(column: Any, numbers: list[int]) -> Any:
    """Whether a number is among those, however many they are."""
    return _is_one_of(column, bindparam("numbers", numbers, type_=_Numbers(), unique=True))


@compiles(_is_one_of)
def _in_json(element: Any, compiler: Any, **kwargs: Any) -> str:
    column, numbers = (compiler.process(one, **kwargs) for one in element.clauses)
    return f"({column} IN (SELECT value FROM json_each({numbers})))"  # noqa: S608 a parameter's mark


@compiles(_is_one_of, "postgresql")
def _in_array(element: Any, compiler: Any, **kwargs: Any) -> str:
    column, numbers = (compiler.process(one, **kwargs) for one in element.clauses)
    return f"({column} = ANY({numbers}))"


class _Parts(TypeDecorator[list[str]]):
    """Parts of words in one parameter, as a question in the language of SQLite's FTS5."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: list[str] | None, dialect: Any) -> Any:
        return value and " ".join('"{}"'.format(part.replace('"', '""')) for part in value)


def having_parts(parts: list[str]) -> Any:
    """On SQLite the rows of `searched_text` that have all those parts, by their number; from an index of them."""
    wanted = bindparam("parts", parts, type_=_Parts(), unique=True)
    return func.searched_text_parts(wanted).table_valued(column("rowid", Integer))


def found_by_parts(parts: list[str], words: str, definitions: list[int], most: int) -> Any:
    """On PostgreSQL the accounts in whose texts those words stand, their own or those of such properties, as far as the
    wall lets them through; none is looked at that lacks one of the parts."""
    known = bindparam(None, parts, type_=ARRAY(Text)), words, bindparam(None, definitions, type_=ARRAY(Integer)), most
    return func.found_by_parts(*known).table_valued(column("key", Integer))


class _all_of(GenericFunction[list[int]]):  # noqa: N801 read as a function
    type = _Numbers()
    inherit_cache = True


@compiles(_all_of)
def _as_json(element: Any, compiler: Any, **kwargs: Any) -> str:
    return f"json_group_array({compiler.process(element.clauses, **kwargs)})"


@compiles(_all_of, "postgresql")
def _as_array(element: Any, compiler: Any, **kwargs: Any) -> str:
    return f"array_agg({compiler.process(element.clauses, **kwargs)})"


def listed(keys: Select[Any]) -> list[int]:
    """The numbers that a statement finds, as one value: thousands of rows take SQLAlchemy three times as long."""
    (key,) = keys.subquery().c
    return db.session.scalar(select(_all_of(key)))


class Words(flask_babel.Domain):
    """The translations of a request, looked up once for each language and not once for each word (decision 0014)."""

    def get_translations(self) -> Any:
        at_hand = _babel_at_hand()
        try:
            locale, words = at_hand.words
            if at_hand.babel_locale is locale:
                return words
        except AttributeError:  # the first word, or nobody is asking
            pass
        words = super().get_translations()
        if at_hand is not None:
            at_hand.words = flask_babel.get_locale(), words
        return words


def _babel_at_hand() -> Any:
    """Flask-Babel's own notes in `g`. Its way there is through a proxy, four times for each word on a page."""
    context = _cv_app.get(None)
    if context is None:
        return None
    try:
        return context.g._flask_babel
    except AttributeError:
        context.g._flask_babel = SimpleNamespace()
        return context.g._flask_babel


flask_babel._get_current_context = _babel_at_hand


class _Exact(TypeDecorator[Decimal]):
    """A number as the database's exact arithmetic gives it."""

    impl = String
    cache_ok = True

    def process_result_value(self, value: Any, dialect: Any) -> Decimal | None:
        return None if value is None else Decimal(value)


class exact_sum(GenericFunction[Decimal]):  # noqa: N801 read as a function
    """What numbers come to, to the last digit: doubles are added up as the decimals they stand for."""

    type = _Exact()
    inherit_cache = True


@compiles(exact_sum, "postgresql")
def _exact_sum(element: Any, compiler: Any, **kwargs: Any) -> str:
    return f"sum(CAST({compiler.process(element.clauses, **kwargs)} AS NUMERIC))"


class _ExactSum:
    """The same for SQLite, whose own sum of doubles is a double."""

    def __init__(self) -> None:
        self.numbers: list[float | int | None] = []
        self.step = self.numbers.append  # called for every row

    def finalize(self) -> str | None:
        known = [Decimal(repr(number)) for number in self.numbers if number is not None]
        return str(sum(known)) if known else None


class _HintedCompiler(SQLiteCompiler):
    """SQLite takes hints (`INDEXED BY`); SQLAlchemy's compiler for it does not hand them on."""

    def get_from_hint_text(self, table: Any, text: str | None) -> str | None:
        return text


SQLiteDialect.statement_compiler = _HintedCompiler


@event.listens_for(Engine, "connect")
def _prepare_sqlite(connection: Any, _record: Any) -> None:
    if not isinstance(connection, sqlite3.Connection):
        return
    connection.isolation_level = None  # we say BEGIN ourselves, see below
    # SQLite's own knows the case of ASCII letters alone; searching and sorting know every letter's.
    connection.create_function("lower", 1, _lower, deterministic=True)
    connection.create_aggregate("exact_sum", 1, _ExactSum)
    pragmas = ("foreign_keys=ON", "journal_mode=WAL", "synchronous=FULL", "busy_timeout=5000")
    for pragma in (*pragmas, "cache_size=-16000"):  # of the pages that a search touches 16 MB stay at hand
        connection.execute(f"PRAGMA {pragma}")


@event.listens_for(Engine, "connect")
def _prepare_postgresql(connection: Any, _record: Any) -> None:
    """No merge joins: of a small table PostgreSQL believes that they end early, as long as it has not looked at the
    newest rows, and then walks through a million accounts to find the thirty of a member. No helpers: a page is
    answered before they have started, and the other cores answer other pages. And each question its own way,
    the tenth time, too: one for all cannot know how many accounts lie in a subtree, and took 20 times as long.
    """
    if isinstance(connection, psycopg.Connection):
        connection.execute("SET enable_mergejoin = off")
        connection.execute("SET max_parallel_workers_per_gather = 0")
        connection.execute("SET plan_cache_mode = force_custom_plan")
        connection.commit()


@event.listens_for(Engine, "close")
def _look_at_the_tables(connection: Any, _record: Any) -> None:
    """SQLite chooses its ways by what it last knew of its tables; PostgreSQL looks at its own by itself."""
    if isinstance(connection, sqlite3.Connection):
        with suppress(sqlite3.Error):  # somebody else is writing; there will be another time
            connection.executescript("PRAGMA busy_timeout=0; PRAGMA analysis_limit=1000; PRAGMA optimize")


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


@event.listens_for(Engine, "begin")
def _begin_on_sqlite(connection: Any) -> None:
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing.get() else "BEGIN")

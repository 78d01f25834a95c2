"""A crowd: any number of accounts with properties, a member and a line of history each, poured into the database past
the services.

For trying out what many rows do: the large demo (`make demo SIZE=…`) and the benchmarks. One after the other through
`services.accounts` a million of them would take hours.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, func, select

sys.path.insert(0, str(Path(__file__).parent.parent))

from app import clock, create_app, properties
from app.extensions import db
from app.models import (
    Account,
    Kind,
    LogEntry,
    Member,
    Property,
    PropertyType,
    PropertyValue,
    Role,
    User,
    sort_key,
    words_of,
)
from app.tenancy import unscoped

T = PropertyType
AT_ONCE = 20_000
LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
STRIDE = 0x9E3779B1  # odd, so that no two of 2**40 numbers get the same path
TRADES = "Bakery Brewery Clinic Dairy Farm Foundry Freight Garage Hotel Laundry Mill Nursery Pharmacy Quarry".split()
TOWNS = "Bremen Cuxhaven Emden Flensburg Hamburg Husum Kiel Leer Oldenburg Rostock Stade Wismar".split()
PEOPLE = "Anke Birgit Cem Dirk Elif Femke Gesa Hauke Imke Jonas Katrin Lasse Merle Nils Ole Petra Ruth Silke".split()
WORDS = "amber birch cedar delta ember fjord grove harbor iris jade kelp lagoon maple north opal pine".split()
DAYS = [(date(2020, 1, 1) + timedelta(days=number)).isoformat() for number in range(3000)]
ARCHIVED = 200  # one of so many is
BEYOND = 1_000_000_000  # no person who comes in later has so high a number


def settle(partner_id: int, size: int, dice: random.Random) -> None:
    """So many customers beneath that partner, each with a value of every property the partner has defined."""
    with unscoped("a crowd for trying out") as session:
        partner = session.get(Account, partner_id)
        own = [one for one in properties.definitions_of(partner_id) if one.type is not T.MEMBER]
        connection, first = session.connection(), (session.scalar(select(func.max(Account.id))) or 0) + 1
        for start in range(first, first + size, AT_ONCE):
            numbers = range(start, min(start + AT_ONCE, first + size))
            _pour_in(connection, partner, own, numbers, dice)
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("SELECT setval(pg_get_serial_sequence('account', 'id'), max(id)) FROM account")


@contextmanager
def without_indexes() -> Iterator[None]:
    """While a crowd moves in; made once from all rows, an index takes a fraction of the time."""
    indexes = [*Account.__table__.indexes, *PropertyValue.__table__.indexes]
    plain = [index for index in indexes if not index.unique and ("property" in index.name or "words" in index.name)]
    with unscoped("indexes off"):
        for index in plain:
            index.drop(db.session.connection())
    yield
    with unscoped("indexes on"):
        for index in plain:
            index.create(db.session.connection())


def look_around() -> None:
    """Let the database know its tables, as PostgreSQL's autovacuum and SQLite's optimizer do after a while."""
    with db.engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("VACUUM ANALYZE")
        else:
            connection.exec_driver_sql("COMMIT")
            connection.exec_driver_sql("PRAGMA analysis_limit=1000")
            connection.exec_driver_sql("ANALYZE")
            connection.exec_driver_sql("BEGIN")


def _pour_in(connection: Connection, partner: Account, own: list[Property], numbers: range, dice: Any) -> None:
    paths = {number: f"{partner.path}{_label(number)}/" for number in numbers}
    values = {number: [(one, value_of(one, dice)) for one in own] for number in numbers}
    accounts = (_account(number, paths[number], partner, values[number], dice) for number in numbers)
    _pour(connection, Account.__table__, ACCOUNT, accounts)
    for table, columns, row_of in ((User.__table__, USER, _user), (Member.__table__, MEMBER, _member)):
        _pour(connection, table, columns, (row_of(number, paths[number]) for number in numbers))
    _pour(connection, LogEntry.__table__, LINE, (_line(number, paths[number], partner) for number in numbers))
    # property by property, in order: an index takes neighbors faster than strangers
    for place, definition in enumerate(own):
        rows = [_indexed(number, paths[number], definition, values[number][place][1]) for number in numbers]
        _pour(connection, PropertyValue.__table__, VALUE, rows)


ACCOUNT = (
    "id", "parent_id", "path", "kind", "slug", "name", "name_key", "name_sort", "contact", "email", "phone", "website",
    "vat_id", "street", "postal_code", "city", "words", "country", "language", "time_zone", "currency", "created_at",
    "archived_at", "second_factor_required", "properties",
)  # fmt: skip
USER = ("id", "first_name", "last_name", "username", "password", "active", "email")
MEMBER = ("user_id", "role", "created_at", "account_id", "account_path")
LINE = (
    "at", "action", "inside", "actor", "acting_account", "subject_type", "subject_id", "subject", "on_behalf_of", "ip",
    "changes", "account_id", "account_path",
)  # fmt: skip
VALUE = ("account_id", "account_path", "definition_id", "text", "rest", "number", "date")


def _account(number: int, path: str, partner: Account, values: Any, dice: random.Random) -> tuple[Any, ...]:
    town, contact = dice.choice(TOWNS), f"{dice.choice(PEOPLE)} {dice.choice(PEOPLE)}sen"
    name = f"{dice.choice(TRADES)} {town} {dice.randrange(10**6):06} {number}"
    email, phone = f"office{number}@{town.lower()}.example", f"+49 40 {dice.randrange(10**6):06}"
    opened = str((clock.now() - timedelta(seconds=dice.randrange(540 * 86_400))).replace(tzinfo=None))
    kept = json.dumps({str(definition.id): value for definition, value in values})
    return (
        number, partner.id, path, Kind.CUSTOMER.value, f"a{number}", name, name.casefold(), sort_key(name), contact,
        email, phone, "", "", "", "", town, words_of(name, contact, email, phone, town), "DE", "de", "Europe/Berlin",
        partner.currency, opened, None if number % ARCHIVED else opened, False, kept,
    )  # fmt: skip


def _user(number: int, _path: str) -> tuple[Any, ...]:
    email = f"person{number}@crowd.example"
    return number + BEYOND, PEOPLE[number % len(PEOPLE)], f"Person {number}", email, "", True, email


def _member(number: int, path: str) -> tuple[Any, ...]:
    return number + BEYOND, Role.ADMINISTRATOR.value, _moment(number), number, path


def _line(number: int, path: str, partner: Account) -> tuple[Any, ...]:
    said = "account.add", False, "crowd", partner.name, "account", number, str(number), "", ""
    return _moment(number), *said, "{}", number, path


def _moment(number: int) -> str:
    """In the last year and a half, the same whenever it is asked for."""
    return str((clock.now() - timedelta(seconds=number * STRIDE % (540 * 86_400))).replace(tzinfo=None, microsecond=0))


def _indexed(number: int, path: str, definition: Property, value: Any) -> tuple[Any, ...]:
    place = properties.index_of(definition, value)
    number_, day = place.get("number"), place.get("date")
    return (
        number, path, definition.id, place.get("text"), place.get("rest"),
        None if number_ is None else float(number_), day and day.isoformat(),
    )  # fmt: skip


def value_of(definition: Property, dice: random.Random) -> Any:
    """A value as it is kept; of choices the first is common and the last is rare."""
    match definition.type:
        case T.INTEGER:
            return str(dice.randrange(1000))
        case T.DECIMAL | T.MONEY:
            return f"{dice.randrange(10**6) / 100:.2f}"
        case T.DATE:
            return dice.choice(DAYS)
        case T.FLAG:
            return dice.random() < 0.5
        case T.CHOICE | T.CHOICES:
            keys = list(definition.choice_labels("en"))
            chosen = dice.choices(keys, [4.0**-n for n in range(len(keys))])
            return chosen[0] if definition.type is T.CHOICE else chosen
    return _text(definition.type, dice)


def _text(type_: PropertyType, dice: random.Random) -> str:
    word = f"{dice.choice(WORDS)} {dice.randrange(5000)}"
    match type_:
        case T.EMAIL:
            return f"{word.replace(' ', '')}@somewhere.example"
        case T.URL:
            return f"https://{word.replace(' ', '')}.example"
        case T.PHONE:
            return f"+49 40 {dice.randrange(10**6):06}"
    return word


def _label(number: int) -> str:
    """A place beneath the parent that looks like any other (`models.new_path`)."""
    number = number * STRIDE % 2**40
    return "".join(LETTERS[number >> 5 * place & 31] for place in range(8))


def _pour(connection: Connection, table: Table, columns: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> None:
    names, raw = ", ".join(columns), connection.connection.driver_connection
    if connection.dialect.name == "sqlite":
        raw.execute("PRAGMA cache_size=-1000000")
        raw.executemany(f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * len(columns))})", rows)  # noqa: S608
        return
    with raw.cursor() as cursor:  # COPY stops at row-level security, so it ends in a table of its own
        cursor.execute(f"CREATE TEMP TABLE crowd AS SELECT {names} FROM {table} WITH NO DATA")  # noqa: S608
        with cursor.copy(f"COPY crowd ({names}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        cursor.execute(f"INSERT INTO {table} ({names}) SELECT {names} FROM crowd")  # noqa: S608
        cursor.execute("DROP TABLE crowd")


def main() -> None:
    """The large demo: a tenth of the crowd beneath Nordlicht, the rest beneath the two other partners."""
    size, dice, app = int(sys.argv[1]), random.Random(2026), create_app()
    assert app.config["KONTOR_ENV"] == "demo", "a crowd is for demos only"
    with app.app_context():
        with unscoped("who gets a crowd", writes=False) as session:
            partners = dict(session.execute(select(Account.slug, Account.id).where(Account.kind == Kind.PARTNER)).all())
        with without_indexes():
            settle(partners["nordlicht"], size // 10, dice)
            for slug in ("alpenwerk", "harbour"):
                settle(partners[slug], size * 9 // 20, dice)
        look_around()


if __name__ == "__main__":
    main()

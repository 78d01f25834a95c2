"""How fast a partner's list is by its own properties, against the same list over plain JSON expressions.

    .venv/bin/python benchmarks/properties.py [accounts=100000] [sqlite|postgresql …]

One partner with so many accounts and eight properties each, and half as many accounts of another partner beside it;
medians in ms, counting included; `page` is the whole page through the application. SQLite works within the process, so
its times are the processor's and a busy machine does not matter; PostgreSQL's are the clock's. The same run measures
both ways, on the same rows and through the same wall: read the ratio.
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from flask import current_app
from flask_migrate import upgrade
from sqlalchemy import Integer, String, cast, insert, or_
from werkzeug.datastructures import MultiDict

sys.path.insert(0, str(Path(__file__).parent.parent))

from app import clock, create_app, properties  # noqa: E402
from app.extensions import db  # noqa: E402
from app.models import Account, Kind, Property, PropertyType, PropertyValue, Role, sort_key, words_of  # noqa: E402
from app.services import accounts, members, signin  # noqa: E402
from app.services import properties as verbs  # noqa: E402
from app.tenancy import acting, scope_for, unscoped  # noqa: E402
from app.ui.columns import Field  # noqa: E402
from app.ui.listing import Listing  # noqa: E402
from app.ui.properties import _CHOICE, columns  # noqa: E402
from app.views import AccountsView  # noqa: E402
from tests import cast as people  # noqa: E402
from tests import databases  # noqa: E402

T = PropertyType
KINDS = [T.TEXT, T.INTEGER, T.MONEY, T.DATE, T.CHOICE, T.FLAG, T.EMAIL, T.DECIMAL]
CHOICES = [{"label_en": label, "label_de": label} for label in ("Common", "Usual", "Some", "Few", "Rare")]
CHUNK = 2_000
RUNS = 7


@dataclass(frozen=True)
class JsonField(Field):
    """What a list without the index table has: an expression over the JSON column."""

    @property
    def order(self) -> Any:
        return self.expression

    def ordered(self, direction: str) -> Any:
        return getattr(self.expression, direction)().nulls_last()


class PlainListing(Listing):
    """A list that searches its columns one by one, as a list without an index of words does."""

    def _search(self) -> None:
        return None

    def _searched_in_rows(self) -> list[Any]:
        searched = [field for name, field in self.fields.items() if field.searched or name in AccountsView.search]
        return [or_(*(field.contains(self.q) for field in searched))] if self.q else []


def main() -> None:
    size = int(next((a for a in sys.argv[1:] if a.isdigit()), "100000"))
    for name in [a for a in sys.argv[1:] if not a.isdigit()] or ["sqlite", "postgresql"]:
        with tempfile.TemporaryDirectory() as folder:
            url = f"sqlite:///{folder}/bench.db"
            url = databases.create_postgres_database("bench") if name == "postgresql" else url
            measure(name, size, create_app(SQLALCHEMY_DATABASE_URI=url, DATA_DIR=Path(folder), SECRET_KEY="b" * 32))
            if name == "postgresql":
                databases.drop_postgres_database("bench")


def measure(name: str, size: int, app: Any) -> None:
    app.config.update(TRUSTED_HOSTS=["localhost"], MAIL_SERVER="")
    with app.app_context():
        began = time.perf_counter()
        upgrade()
        scope, own = build(size)
        print(f"\n{name}: {size:,} accounts of the partner, {size * 3 // 2:,} in all, {len(own)} properties each"
              f" (built in {time.perf_counter() - began:.0f} s)")  # fmt: skip
        print(f"{'':44}{'index':>9}{'JSON':>9}{'ratio':>8}{'page':>9}")
        browser = people.browse(people.Person("p@p.example", "p"), app)
        by_type = {definition.type: f"prop_{definition.id}" for definition in own}
        for title, query in questions(by_type):
            ways = [lambda way=way, query=query: ask(scope, way, query) for way in (columns, json_columns)]
            index, plain = map(timed, ways)
            page = timed(lambda query=query: browser.get(f"/accounts/list/?{query}"), 5)
            print(f"{title:44}{index:9.2f}{plain:9.1f}{plain / index:7.1f}×{page:9.1f}", flush=True)
        db.session.remove()
        db.engine.dispose()


def questions(by_type: dict[PropertyType, str]) -> list[tuple[str, str]]:
    text, number, money, day, choice, flag, email, _decimal = (by_type[t] for t in KINDS)
    return [
        ("no property at all", ""),
        ("sort by text", f"sort={text}"),
        ("sort by text, descending", f"sort=-{text}"),
        ("sort by amount", f"sort={money}"),
        ("sort by date", f"sort={day}"),
        ("sort by choice", f"sort={choice}"),
        ("filter by a rare value", f"_flt_1_{text}=word+77"),
        ("filter by a rare choice", f"_flt_0_{choice}=rare"),
        ("filter by a common choice", f"_flt_0_{choice}=common"),
        ("common choice, sort by amount", f"_flt_0_{choice}=common&sort={money}"),
        ("common choice, sort by name", f"_flt_0_{choice}=common&sort=-name"),
        ("yes, sort by date", f"_flt_0_{flag}=1&sort=-{day}"),
        ("number range, sort by text", f"_flt_1_{number}=200&_flt_2_{number}=400&sort={text}"),
        ("narrow range, sort by amount", f"_flt_1_{number}=200&_flt_2_{number}=204&sort={money}"),
        ("text contains", f"_flt_0_{text}=d+77"),
        ("page 1,000 by amount", f"sort={money}&page=1000"),
        ("last page by amount (half have none)", f"sort={money}&page=1000000"),
        ("quick search", "q=word+77"),
        ("quick search, one hit", "q=box4711@"),
        ("quick search, no hit", "q=nowhere"),
        ("quick search, two characters", "q=77"),
    ]


def ask(scope: Any, way: Callable[[Any], dict[str, Field]], query: str) -> None:
    """What a list page asks of the database."""
    with acting(scope, writes=False):
        own = properties.definitions_of(scope.account_id)
        view = next(view for view in current_app.appbuilder.baseviews if isinstance(view, AccountsView))
        fields = {n: f for n, f in super(AccountsView, view).fields().items()} | way(own)
        args = MultiDict(pair.split("=") for pair in query.replace("+", " ").split("&") if pair)
        beneath = (Account.id != scope.account_id, Account.archived_at.is_(None))
        left_out = tuple(~one for one in beneath) if way is columns else ()
        kind = Listing if way is columns else PlainListing
        listing = kind(Account, fields, ("name",), args, "", beneath, left_out)
        assert not listing.notices, listing.notices
        pages = max(1, -(-listing.count() // listing.size))
        listing.page = min(listing.page, pages)
        listing.rows()


def json_columns(own: list[Property]) -> dict[str, Field]:
    found = {}
    for name, indexed in columns(own).items():
        value = Account.properties[name.removeprefix("prop_")]
        expression = value.as_string()
        if indexed.kind in {"number", "money"}:
            expression = cast(expression, Integer) if indexed.kind == "number" else value.as_numeric(18, 2)
        if indexed.kind == "flag":
            expression = value.as_boolean()
        operators = {"choice": _choice_operators}.get(indexed.kind, tuple)()
        searched = indexed.kind in {"text", "email"}
        found[name] = JsonField(name, indexed.label, indexed.kind, indexed.value, expression, indexed.choices,
                                operators=operators, searched=searched)  # fmt: skip
        if indexed.kind == "date":  # ISO text sorts and compares as it is
            found[name] = JsonField(name, indexed.label, "date", indexed.value, cast(expression, String))
    return found


def _choice_operators() -> Any:
    return [operator._replace(condition=lambda column, option: column == option.value) for operator in _CHOICE[:1]]


def clock_of() -> float:
    return time.process_time() if db.engine.dialect.name == "sqlite" else time.perf_counter()


def timed(do: Callable[[], Any], runs: int = RUNS) -> float:
    do()
    took = []
    for _ in range(runs):
        began = clock_of()
        do()
        took.append((clock_of() - began) * 1000)
    return statistics.median(took)


# --- the accounts ---------------------------------------------------------------------------------------------------


def build(size: int) -> tuple[Any, list[Property]]:
    with unscoped("building the benchmark"):
        root = accounts.open_operator("Operator", slug="o")
        for slug in ("p", "q"):
            partner = accounts.open_account(slug.upper(), parent=root, by=None, slug=slug)
            partner.kind = Kind.PARTNER
            login, name = f"{slug}@{slug}.example", {"first_name": slug, "last_name": "x"}
            user = signin.create_user(login, **name, password=people.PASSWORD)
            members.join(user, partner, role=Role.ADMINISTRATOR)
    scopes, own = {}, {}
    for slug in ("p", "q"):
        with people.acting_as(people.Person(f"{slug}@{slug}.example", slug)) as by:
            scopes[slug] = scope_for(by)
            own[slug] = [
                verbs.define(kind, by=by, label_en=kind.value, **({"choices": CHOICES} if kind.has_choices else {}))
                for kind in KINDS
            ]
            assert by.account.name
    dice = random.Random(2026)
    with unscoped("filling the benchmark") as session:
        for n, slug in enumerate(("p", "q")):
            fill(session, scopes[slug], own[slug], size // (n + 1), 10 + n * size, dice)
        session.connection().exec_driver_sql("ANALYZE")
    if db.engine.dialect.name == "postgresql":  # as autovacuum does after a while
        with db.engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("VACUUM")
    return scopes["p"], own["p"]


def fill(session: Any, scope: Any, own: list[Property], size: int, first: int, dice: random.Random) -> None:
    connection = session.connection()
    for start in range(0, size, CHUNK):
        rows, index = [], []
        for number in range(first + start, first + min(start + CHUNK, size)):
            name, path = f"Account {dice.randrange(10**6):06} {number}", f"{scope.path}{number:08}/"
            kept = {definition: value for definition in own if (value := some(definition, dice)) is not None}
            rows.append({
                "id": number, "parent_id": scope.account_id, "path": path, "kind": Kind.CUSTOMER, "slug": f"a{number}",
                "name": name, "name_key": name.lower(), "name_sort": sort_key(name), "contact": "", "email": "",
                "words": words_of(name), "archived_at": None if number % 200 else clock.now(),
                "country": "DE", "language": "de", "time_zone": "Europe/Berlin", "currency": "EUR",
                "created_at": clock.now(), "second_factor_required": False,
                "properties": {str(definition.id): value for definition, value in kept.items()},
            })  # fmt: skip
            index += [
                {"account_id": number, "account_path": path, "definition_id": definition.id, "text": None, "rest": None,
                 "number": None, "date": None} | properties.index_of(definition, value)
                for definition, value in kept.items()
            ]  # fmt: skip
        connection.execute(insert(Account.__table__), rows)
        connection.execute(insert(PropertyValue.__table__), index)


def some(definition: Property, dice: random.Random) -> Any:
    match definition.type:
        case T.TEXT:
            return f"word {dice.randrange(2000)}"
        case T.EMAIL:
            return f"box{dice.randrange(100_000)}@somewhere.example"
        case T.INTEGER:
            return str(dice.randrange(1000))
        case T.DECIMAL:
            return f"{dice.randrange(10_000) / 100:.2f}"
        case T.MONEY:
            return f"{Decimal(dice.randrange(10**6)) / 100:.2f}" if dice.random() < 0.5 else None
        case T.DATE:
            return (date(2020, 1, 1) + timedelta(days=dice.randrange(3000))).isoformat()
        case T.FLAG:
            return dice.random() < 0.5
    return dice.choices(["common", "usual", "some", "few", "rare"], [60, 20, 15, 4.5, 0.5])[0]


if __name__ == "__main__":
    main()

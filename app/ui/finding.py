"""Which rows a list has, and in which order, by a statement that looks at as few of them as it can.

Properties are asked for in their index (`PropertyValue`), which knows all that counting and ordering take; the account
itself is fetched when it is shown. Of many rows the order drives: they are read along its index, and everything else
is tested of each. Of few, the rarest filter drives, and what it finds is sorted.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, repeat
from typing import Any

from sqlalchemy import JSON, Select, Text, cast, func, inspect, select, union_all
from sqlalchemy.orm import aliased, contains_eager

from ..extensions import db, is_one_of, is_sqlite, listed
from .columns import Field, alias_of, is_there
from .filters import Applied, Together
from .searching import Search

FEW = 5_000  # rows that are sorted faster than an index is read past those a filter leaves out
RARE = 1_000  # hits of a filter that are looked up before anything else is
COUNTED = 10_000  # rows that are counted without being asked
LOOKED = 520  # hits of a search looked up before the list is walked through: 500, and some that it leaves out
STEPS = 2_500  # rows of the list that are looked at to meet a page of hits
AT_ONCE = 2_000  # rows read together where all are wanted
AT_FIRST = 100  # and at first, as somebody waits for them

Order = list[tuple[Field, str]]


@dataclass(frozen=True)
class Finding:
    """What is wanted of a table."""

    model: type
    order: Order  # asked for; may be empty
    usual_order: Order
    conditions: tuple[Any, ...] = ()  # on the rows themselves
    left_out: tuple[Any, ...] = ()  # where known: the few rows that `conditions` leave out, by what they are
    filters: tuple[Applied, ...] = ()
    search: Search | None = None
    relations: tuple[str, ...] = ()  # of which columns show something
    searched_relations: frozenset[str] = frozenset()  # of which the conditions say something
    after: int | None = None  # the row that the page wanted follows, if it is known

    # --- how many ---

    @cached_property
    def count(self) -> int:
        """How many rows there are in all."""
        known = vars(self).get("counted", COUNTED + 1)
        return known if known <= COUNTED else self._count()

    @cached_property
    def counted(self) -> int:
        """How many rows there are, as far as a page counts: one more than `COUNTED` means that there are `least`."""
        if "count" in vars(self):
            return min(self.count, COUNTED + 1)
        return COUNTED + 1 if self._has_many else self._count(COUNTED + 1)

    @property
    def least(self) -> int:
        """How many rows there are at least, where they are not counted."""
        return len(self._first_sought) // 100 * 100 if self._has_many else COUNTED

    def _count(self, most: int | None = None) -> int:
        if self._first_hits is not None and (most is not None or len(self._first_hits) <= COUNTED):
            return len(self._first_hits)
        if lacking := next((one for one in self.filters if one.field.drives and one.lacks), None):
            others = tuple(one for one in self.filters if one is not lacking)
            having = replace(self, filters=(*others, lacking.opposite())).count
            return replace(self, filters=others).count - having
        if self._driver is not None:
            return _at_most(most, self._driven())
        keys = self._table(select(self._key))
        if most and self.left_out and not self._on_row:  # else PostgreSQL looks for a few among all there are
            keys = keys.order_by(self.model.path)
        return _at_most(most, keys)

    # --- which ---

    def rows(self, size: int, offset: int) -> list[Any]:
        """The rows of one page; none where there are not so many."""
        if self.counted <= FEW:
            return list(db.session.scalars(self._sorted().limit(size).offset(offset)))
        if self._has_many and (near := self._met(size, offset)) is not None:
            return self._of_keys(near)
        if self._hits is not None:
            return self._of_keys(list(db.session.scalars(self._sorted_keys().limit(size).offset(offset))))
        if self.order and self.order[0][0].drives:
            return self._of_keys(self._along_the_index(size, offset))
        keys = self._in_order(self._table(self._walking(select(self._key))))
        if self.after is not None and self._is_steady:
            keys, offset = keys.where(*self._behind(*self._order[0])), 0
        return self._of_keys(list(db.session.scalars(keys.limit(size).offset(offset))))

    def all_values(self, *wanted: Any) -> Iterator[list[Sequence[Any]]]:
        """Columns of every row, or the rows themselves, `AT_ONCE` of them at a time: for exports.

        Their keys come first: an index has what that takes, so nothing large is sorted, and the first are here at once.
        """
        keys = db.session.scalars(self._sorted_keys().execution_options(yield_per=AT_ONCE))
        rows = self._loading(self._key, *map(_as_text, wanted))
        sizes = chain([AT_FIRST], repeat(AT_ONCE))
        while some := keys.fetchmany(next(sizes)):
            found = {row[0]: row for row in db.session.execute(rows.where(is_one_of(self._key, some)))}
            if found:
                in_order = (found[key] for key in some if key in found)  # but for what has gone meanwhile
                _keys, *columns = zip(*in_order, strict=True)
                yield [*map(_decoded, wanted, columns)]

    def of_all(self, statement: Select[Any], *relations: str) -> Select[Any]:
        """A statement about the table and those relations, asked of all the rows there are, in no order."""
        statement = self._related(statement, tuple(sorted({*self._tested, *relations})))
        if self._hits is not None:
            return self._by_number(statement)
        statement = statement.where(*self._all_tests(self._driver))
        return statement if self._driver is None else statement.where(self._key.in_(self._driver.keys()))

    def keys(self) -> Select[Any]:
        """The numbers of all the rows there are."""
        return self.of_all(select(self._key.label("key")))

    def _sorted(self) -> Select[Any]:
        """All of them: looked up by their rarest filter, or tested one by one where there is none."""
        return self._chosen(self._in_order(self._loading(), self.relations))

    def _sorted_keys(self) -> Select[Any]:
        """Their keys alone, in the same order."""
        return self._chosen(self._in_order(self._related(select(self._key))))

    def _chosen(self, rows: Select[Any]) -> Select[Any]:
        if self._hits is not None:
            return self._by_number(rows)
        rows = rows.where(*self._all_tests(self._driver))
        if self._driver is not None:
            return rows.where(self._key.in_(self._driver.keys()))
        return self._walking(rows) if self.counted > FEW else rows

    def _met(self, size: int, offset: int) -> list[int] | None:
        """A page of what a search finds again and again, met on the way through the list; none where the way is long,
        and all it finds is wanted after all. The rows come as they are met: nothing is sorted twice.
        """
        way = self._in_order(self._walking(self._related(select(self._key.label("key"))).where(*self.conditions)))
        if self.after is not None and self._is_steady:
            way, offset = way.where(*self._behind(*self._order[0])), 0
        steps = way.limit(STEPS).subquery()
        met = select(steps.c.key).where(self.search.of(steps.c.key)).limit(size).offset(offset)
        keys = list(db.session.scalars(met)) if offset <= LOOKED else []
        if len(keys) == size:
            return keys
        vars(self).pop("counted", None)
        vars(self)["_has_many"] = False
        return None

    def _by_number(self, statement: Select[Any]) -> Select[Any]:
        """The hits, each looked up by its number, though SQLite thinks thousands of them too many for that."""
        return statement.where(is_one_of(self._key, self._hits)).with_hint(self.model, "NOT INDEXED", "sqlite")

    def _along_the_index(self, size: int, offset: int) -> list[int]:
        """Keys, in the order of a column that not all rows have a value of: those along its index, then the rest."""
        field, direction = self.order[0]
        filters = [one for one in self._indexed if one is not self._sought]
        value, own = field.index, [one for one in filters if one.field.name == field.name and not one.is_negative]
        if any(one.lacks for one in own):
            return self._lacking(field, size, offset)
        mine = [field.of(value), field.order.is_not(None), *(one.condition(value) for one in own)]
        having = select(value.account_id).where(*mine, *self._beside(value.account_id, *own))
        further = [self._looked_up(wanted, to, value) for wanted, to in self.order[1:]]
        clauses = [getattr(field.order, direction)(), *further, getattr(value.account_id, direction)()]
        begun, skipped = having, offset
        if self.after is not None and not further:
            begun, skipped = having.where(*self._behind_in_index(field, direction)), 0
        keys = list(db.session.scalars(begun.order_by(*clauses).limit(size).offset(skipped)))
        if len(keys) == size or own:
            return keys
        passed = _at_most(None, having)
        return keys + self._lacking(field, size - len(keys), offset + len(keys) - passed, passed)

    # --- from one page to the next, however far it is from the first ---

    @property
    def _is_steady(self) -> bool:
        """Whether a row's place follows from a column of its own that is never empty."""
        first = self._order[0][0]
        column = inspect(self.model).local_table.columns.get(getattr(first.order, "key", None))
        return len(self._order) == 1 and "." not in first.name and column is not None and not column.nullable

    def _behind(self, field: Field, direction: str) -> list[Any]:
        row = aliased(self.model, name="last")
        there = select(getattr(row, field.order.key)).where(getattr(row, self._key.key) == self.after)
        return _beyond(field.order, there, direction, self._key > self.after)

    def _behind_in_index(self, field: Field, direction: str) -> list[Any]:
        value, last = field.index, aliased(type(field).indexed_in, name="last")
        there = select(getattr(last, field.order.key)).where(field.of(last), last.account_id == self.after)
        next_key = value.account_id > self.after if direction == "asc" else value.account_id < self.after
        return _beyond(field.order, there, direction, next_key)

    def _lacking(self, field: Field, size: int, offset: int, passed: int = 0) -> list[int]:
        """Keys of rows without a value of it, in the order an index has ready; from the end where that is nearer."""
        keys, path = self._table(select(self._key)).where(~field.among(self._key)), self.model.path
        if offset <= COUNTED or offset <= (self.count - passed) // 2:
            return list(db.session.scalars(keys.order_by(path).limit(size).offset(offset)))
        behind = self.count - passed - offset
        size = min(size, behind)
        keys = keys.order_by(path.desc()).limit(size).offset(behind - size)
        return list(db.session.scalars(keys))[::-1] if size > 0 else []

    def _looked_up(self, wanted: Field, direction: str, value: Any) -> Any:
        """Another column to sort by, of the row the index points at."""
        other = wanted.joined(self._related(select(wanted.order).select_from(self.model), relations_of([wanted.name])))
        other = other.where(self._key == value.account_id).correlate(value).scalar_subquery()
        return getattr(other, direction)().nulls_last()

    def _of_keys(self, keys: list[int]) -> list[Any]:
        if not keys:
            return []
        rows = {inspect(row).identity[0]: row for row in db.session.scalars(self._loading().where(self._key.in_(keys)))}
        return [rows[key] for key in keys]

    # --- what is looked up, and what is tested of each ---

    @cached_property
    def _indexed(self) -> list[Any]:
        """What has an index of its own to be looked up in: filters by each property, and the search."""
        by_field: dict[str, list[Applied]] = {}
        for one in self.filters:
            if one.field.drives:
                by_field.setdefault(f"{one.field.name} {one.lacks} {one.operator.negative}", []).append(one)
        return [Together(*some) for some in by_field.values()] + ([self._sought] if self._sought else [])

    @cached_property
    def _sought(self) -> Search | None:
        """The search; with its hits where these are not too many to be kept."""
        if self.search is None or not self.search.has_parts:
            return self.search
        found, is_all = self._look
        if not is_all and not self.filters:
            found, is_all = self.search.look(COUNTED)
        return replace(self.search, known=found) if is_all else self.search

    @cached_property
    def _look(self) -> tuple[list[int], bool]:
        """The first of what the search finds, and whether that is all of it."""
        return self.search.look(LOOKED)

    @cached_property
    def _first_sought(self) -> list[int]:
        """Of what a look at the search has found, the list's own rows."""
        found = replace(self.search, known=self._look[0]).keys().subquery()
        return listed(select(found.c.key).where(*self._of_list(found.c.key)))

    @cached_property
    def _has_many(self) -> bool:
        """Whether a search by itself finds so much that the first of it are best met on the way through the list."""
        if self.search is None or self.filters or not self._way:
            return False
        found, is_all = self._look
        return not is_all and len(found) >= 100 and len(self._first_sought) >= 100

    @cached_property
    def _driver(self) -> Any:
        """The one of them that leaves the least to be tested; what is rare is told by counting so far."""
        able = [one for one in self._indexed if not one.lacks]
        if len(able) < 2:
            return next(iter(able), None)
        if self._sought is not None and self._sought.known is not None:
            return self._sought
        filters = [one for one in able if one is not self._sought]
        hits = [_at_most(RARE + 1, one.keys()) for one in filters]
        rarest = filters[hits.index(min(hits))]
        return rarest if min(hits) <= RARE or self._sought is None else self._sought

    @cached_property
    def _hits(self) -> list[int] | None:
        """All there is, where it has to be looked for and is little enough to be kept."""
        most = FEW if self._driver is None else COUNTED
        return self._first_hits if self._first_hits is not None and len(self._first_hits) <= most else None

    @cached_property
    def _first_hits(self) -> list[int] | None:
        """What has to be looked for row by row is so once, for the count and for the rows."""
        if self._driver is None and self.filters and is_sqlite():  # an index tells which; else each row is read
            return listed(self._table(select(self._key)).limit(COUNTED + 1))
        if self._driver is not None and self._driver.looks_through:
            return listed(self._driven().limit(COUNTED + 1))
        return None

    def _driven(self, *asked: Any) -> Select[Any]:
        """What the driver finds, with everything else tested of it."""
        found = self._driver.keys().subquery()
        return select(*(asked or [found.c.key])).select_from(found).where(*self._beside(found.c.key, self._driver))

    @property
    def _on_row(self) -> list[Any]:
        return [one.field.where(one.condition) for one in self.filters if not one.field.drives]

    def _table(self, statement: Select[Any], besides: Any = None) -> Select[Any]:
        """A statement about the table itself, with everything tested of its rows."""
        return self._related(statement).where(*self._all_tests(besides))

    def _all_tests(self, besides: Any = None) -> list[Any]:
        return [*self.conditions, *self._on_row, *(one.of(self._key) for one in self._indexed if one is not besides)]

    def _beside(self, key: Any, *besides: Any) -> list[Any]:
        """What is tested where nothing but a row's key is at hand."""
        return [*self._of_list(key), *(one.of(key) for one in self._indexed if one not in besides)]

    def _of_list(self, key: Any) -> list[Any]:
        """Whether the row of that key is one of the list's, as far as that is to be asked of the row."""
        if self.left_out and not self._on_row:
            return [key.not_in(union_all(*(select(self._key).where(one) for one in self.left_out)))]
        row = self._related(select(self._key)).where(self._key == key, *self.conditions, *self._on_row)
        return [is_there(row.correlate_except(*self._froms()))]

    # --- the statement's parts ---

    @property
    def _order(self) -> Order:
        return self.order or self.usual_order

    @property
    def _key(self) -> Any:
        return getattr(self.model, inspect(self.model).primary_key[0].key)

    def _loading(self, *wanted: Any) -> Select[Any]:
        """Of each row what is wanted; the row itself comes with the relations of which something is shown."""
        rows = select(*(wanted or [self.model])).select_from(self.model)
        if not wanted or any(one is self.model for one in wanted):
            rows = rows.options(*(contains_eager(self._relation(name)) for name in self.relations))
        return self._related(rows, self.relations)

    def _walking(self, statement: Select[Any]) -> Select[Any]:
        """Along the index of what it is sorted by. SQLite does not count on there being many rows in a subtree."""
        name = self._way
        return statement.with_hint(self.model, f"INDEXED BY {name}", "sqlite") if name else statement

    @property
    def _way(self) -> str:
        """The index along which the rows stand in that order; none: they have to be sorted."""
        field, _direction = self._order[0]
        if "." in field.name:
            return ""
        column, indexes = getattr(field.order, "key", ""), inspect(self.model).local_table.indexes
        whole = (index for index in indexes if index.dialect_options["sqlite"]["where"] is None)
        return next((index.name for index in whole if index.columns[0].key == column), "")

    def _clauses(self) -> list[Any]:
        clauses = [wanted.ordered(direction) for wanted, direction in self._order]
        if self._order[0][0].drives:  # what lacks it comes last, in the list's own order
            clauses += [wanted.ordered(direction) for wanted, direction in self.usual_order]
        return [*clauses, self._key]

    def _in_order(self, statement: Select[Any], joined: tuple[str, ...] | None = None) -> Select[Any]:
        """The statement, which has some relations joined already, with its rows in the order wanted."""
        joined = self._tested if joined is None else joined
        orders = {wanted.name: wanted for wanted, _direction in [*self.order, *self.usual_order]}
        statement = self._related(statement, tuple(name for name in relations_of(orders) if name not in joined))
        for wanted in orders.values():
            statement = wanted.joined(statement)
        return statement.order_by(*self._clauses())

    def _related(self, statement: Select[Any], names: tuple[str, ...] | None = None) -> Select[Any]:
        """The statement with relations joined: those of which something is tested, unless others are named."""
        for name in self._tested if names is None else names:
            statement = statement.join(self._relation(name), isouter=True)
        return statement

    @cached_property
    def _tested(self) -> tuple[str, ...]:
        """The relations of which something is asked of each row."""
        return tuple(sorted({*relations_of(one.field.name for one in self.filters), *self.searched_relations}))

    def _relation(self, name: str) -> Any:
        return getattr(self.model, name).of_type(alias_of(self.model, name))

    def _froms(self) -> list[Any]:
        return [self.model, *(alias_of(self.model, name) for name in self._tested)]


def relations_of(columns: Iterable[str]) -> tuple[str, ...]:
    """The relations that columns of those names lead through."""
    return tuple(sorted({name.split(".")[0] for name in columns if "." in name}))


def _beyond(column: Any, last: Select[Any], direction: str, next_key: Any) -> list[Any]:
    """What comes after the last row's value, or beside it with a later key; so spelled that an index is entered there.

    Where the last row is gone or has no value, nothing does.
    """
    value = last.scalar_subquery()
    later, here = (column > value, column >= value) if direction == "asc" else (column < value, column <= value)
    return [here, later | next_key]


def _as_text(wanted: Any) -> Any:
    """JSON comes as it is written: `_decoded` reads that of many rows at once, which takes a third of the time.

    By a name of its own: without one SQLAlchemy does not find it again beside a whole row.
    """
    return cast(wanted, Text).label(f"{wanted.key}_as_text") if _is_json(wanted) else wanted


def _decoded(wanted: Any, values: Sequence[Any]) -> Sequence[Any]:
    if not _is_json(wanted):
        return values
    return json.loads(f"[{','.join([value or 'null' for value in values])}]")


def _is_json(wanted: Any) -> bool:
    return isinstance(getattr(wanted, "type", None), JSON)


def _number(statement: Select[Any]) -> int:
    return db.session.scalar(statement) or 0


def counted(keys: Select[Any]) -> int:
    """How many there are, as far as a page counts: one more than `COUNTED` means that there are more."""
    return _at_most(COUNTED + 1, keys)


def _at_most(most: int | None, keys: Select[Any]) -> int:
    """How many keys there are, counted no further than that."""
    return _number(select(func.count()).select_from(keys.limit(most).subquery()))

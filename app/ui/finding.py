"""Which rows a list has, and in which order, by a statement that looks at as few of them as it can.

Properties are asked for in their index (`PropertyValue`), which knows all that counting and ordering take; the account
itself is fetched when it is shown. Of many rows the order drives: they are read along its index, and everything else
is tested of each. Of few, the rarest filter drives, and what it finds is sorted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from sqlalchemy import Select, func, inspect, select, union, union_all
from sqlalchemy.orm import contains_eager

from ..extensions import db
from .columns import Field, alias_of
from .filters import Applied, Together
from .searching import Search

FEW = 5_000  # rows that are sorted faster than an index is read past those a filter leaves out
RARE = 1_000  # hits of a filter that are looked up before anything else is

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

    # --- how many ---

    @cached_property
    def count(self) -> int:
        """How many rows there are in all."""
        if lacking := next((one for one in self.filters if one.field.drives and one.lacks), None):
            others = tuple(one for one in self.filters if one is not lacking)
            return replace(self, filters=others).count - replace(self, filters=(*others, lacking.opposite())).count
        if self._hits is not None:
            return len(self._hits)
        if self.left_out and not self._on_row and len(self._indexed) < 2:
            return self._with_those_left_out() - self._left_out_of_them()
        driven = self._driver and self._driven(func.count())
        return _number(self._table(select(func.count()).select_from(self.model)) if driven is None else driven)

    def _with_those_left_out(self) -> int:
        """All that the indexes know; nothing is asked of a row."""
        if self._driver is None:
            return _number(select(func.count()).select_from(self.model))
        found = self._driver.keys().subquery()
        tests = [one.of(found.c.key) for one in self._indexed if one is not self._driver]
        return _number(select(func.count()).select_from(found).where(*tests))

    def _left_out_of_them(self) -> int:
        out = union(*(select(self._key.label("key")).where(one) for one in self.left_out)).subquery()
        return _number(select(func.count()).select_from(out).where(*(one.of(out.c.key) for one in self._indexed)))

    # --- which ---

    def rows(self, size: int, offset: int) -> list[Any]:
        """The rows of one page."""
        if self.count <= FEW:
            return list(db.session.scalars(self._sorted().limit(size).offset(offset)))
        if self.order and self.order[0][0].drives:
            return self._of_keys(self._along_the_index(size, offset))
        keys = self._joins(self._table(self._walking(select(self._key)))).order_by(*self._clauses())
        return self._of_keys(list(db.session.scalars(keys.limit(size).offset(offset))))

    def all_rows(self) -> Iterator[Any]:
        """Every row, a thousand at a time: for exports."""
        for row in db.session.scalars(self._sorted().execution_options(yield_per=1000)):
            yield row
            db.session.expunge(row)

    def of_all(self, statement: Select[Any]) -> Select[Any]:
        """A statement about the table, asked of all the rows there are, in no order."""
        statement = self._related(statement)
        if self._hits is not None:
            return statement.where(self._key.in_(self._hits))
        statement = statement.where(*self._all_tests(self._driver))
        return statement if self._driver is None else statement.where(self._key.in_(self._driver.keys()))

    def keys(self) -> Select[Any]:
        """The numbers of all the rows there are."""
        return self.of_all(select(self._key.label("key")))

    def _sorted(self) -> Select[Any]:
        """All of them: looked up by their rarest filter, or tested one by one where there is none."""
        rows = self._joins(self._loading()).order_by(*self._clauses())
        if self._hits is not None:
            return rows.where(self._key.in_(self._hits))
        rows = rows.where(*self._all_tests(self._driver))
        return rows if self._driver is None else rows.where(self._key.in_(self._driver.keys()))

    def _along_the_index(self, size: int, offset: int) -> list[int]:
        """Keys, in the order of a column that not all rows have a value of: those along its index, then the rest."""
        field, direction = self.order[0]
        value, own = field.index, [one for one in self._indexed if one is not self.search and one.field == field]
        if any(one.lacks for one in own):
            return self._lacking(field, size, offset, self.count)
        mine = [field.of(value), field.order.is_not(None), *(one.condition(value) for one in own)]
        having = select(value.account_id).where(*mine, *self._beside(value.account_id, *own))
        further = [self._looked_up(wanted, to, value) for wanted, to in self.order[1:]]
        clauses = [getattr(field.order, direction)(), *further, getattr(value.account_id, direction)()]
        keys = list(db.session.scalars(having.order_by(*clauses).limit(size).offset(offset)))
        if len(keys) == size or own:
            return keys
        passed = _number(select(func.count()).select_from(having.subquery()))
        return keys + self._lacking(field, size - len(keys), offset + len(keys) - passed, self.count - passed)

    def _lacking(self, field: Field, size: int, offset: int, there_are: int) -> list[int]:
        """Keys of rows without a value of it, in the order an index has ready; from the end where that is nearer."""
        keys, path = self._table(select(self._key)).where(~field.among(self._key)), self.model.path
        size = min(size, there_are - offset)
        if offset <= there_are // 2:
            return list(db.session.scalars(keys.order_by(path).limit(size).offset(offset)))
        keys = keys.order_by(path.desc()).limit(size).offset(there_are - offset - size)
        return list(db.session.scalars(keys))[::-1]

    def _looked_up(self, wanted: Field, direction: str, value: Any) -> Any:
        """Another column to sort by, of the row the index points at."""
        other = wanted.joined(self._related(select(wanted.order).select_from(self.model)))
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
                by_field.setdefault(f"{one.field.name} {one.lacks}", []).append(one)
        return [Together(*some) for some in by_field.values()] + ([self.search] if self.search else [])

    @cached_property
    def _driver(self) -> Any:
        """The one of them that leaves the least to be tested; what is rare is told by counting so far."""
        able = [one for one in self._indexed if not one.lacks]
        if len(able) < 2:
            return next(iter(able), None)
        filters = [one for one in able if one is not self.search]
        hits = [_at_most(RARE + 1, one.keys()) for one in filters]
        rarest = filters[hits.index(min(hits))]
        return rarest if min(hits) <= RARE or self.search is None else self.search

    @cached_property
    def _hits(self) -> list[int] | None:
        """What a driver that looks through words finds, where that is little: it does so once."""
        if self._driver is None or not self._driver.looks_through:
            return None
        hits = list(db.session.scalars(self._driven().limit(FEW + 1)))
        return hits if len(hits) <= FEW else None

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
        tests = [one.of(key) for one in self._indexed if one not in besides]
        if self.left_out and not self._on_row:
            return [key.not_in(union_all(*(select(self._key).where(one) for one in self.left_out))), *tests]
        row = self._related(select(self._key)).where(self._key == key, *self.conditions, *self._on_row)
        return [row.correlate_except(*self._froms()).exists(), *tests]

    # --- the statement's parts ---

    @property
    def _key(self) -> Any:
        return getattr(self.model, inspect(self.model).primary_key[0].key)

    def _loading(self) -> Select[Any]:
        loads = [contains_eager(self._relation(name)) for name in self.relations]
        return self._related(select(self.model).options(*loads), self.relations)

    def _walking(self, statement: Select[Any]) -> Select[Any]:
        """Along the index of what it is sorted by. SQLite does not count on there being many rows in a subtree."""
        field, _direction = (self.order or self.usual_order)[0]
        column, indexes = getattr(field.order, "key", ""), inspect(self.model).local_table.indexes
        names = [index.name for index in indexes if index.columns[0].key == column]
        return statement.with_hint(self.model, f"INDEXED BY {names[0]}", "sqlite") if names else statement

    def _clauses(self) -> list[Any]:
        order = self.order or self.usual_order
        clauses = [wanted.ordered(direction) for wanted, direction in order]
        if order[0][0].drives:  # what lacks it comes last, in the list's own order
            clauses += [wanted.ordered(direction) for wanted, direction in self.usual_order]
        return [*clauses, self._key]

    def _joins(self, statement: Select[Any]) -> Select[Any]:
        for wanted in {wanted.name: wanted for wanted, _direction in [*self.order, *self.usual_order]}.values():
            statement = wanted.joined(statement)
        return statement

    def _related(self, statement: Select[Any], names: tuple[str, ...] | None = None) -> Select[Any]:
        """The statement with relations joined: those that are asked about, unless others are named."""
        for name in self._asked_about if names is None else names:
            statement = statement.join(self._relation(name), isouter=True)
        return statement

    @cached_property
    def _asked_about(self) -> tuple[str, ...]:
        fields = [one.field for one in self.filters] + [wanted for wanted, _to in self.order or self.usual_order]
        return tuple(sorted({one.name.split(".")[0] for one in fields if "." in one.name} | self.searched_relations))

    def _relation(self, name: str) -> Any:
        return getattr(self.model, name).of_type(alias_of(self.model, name))

    def _froms(self) -> list[Any]:
        return [self.model, *(alias_of(self.model, name) for name in self._asked_about)]


def _number(statement: Select[Any]) -> int:
    return db.session.scalar(statement) or 0


def _at_most(most: int, keys: Select[Any]) -> int:
    return _number(select(func.count()).select_from(keys.limit(most).subquery()))

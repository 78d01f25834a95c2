"""A list: which rows, in which order, how many; the same for the page, its sections and the export.

Everything a list does is in its URL: `q`, `_flt_…`, `sort=name,-created_at`, `page`, `size`. What cannot be
understood is left out with a message, never an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from flask_babel import gettext as _
from sqlalchemy import Select, func, inspect, or_, select
from sqlalchemy.orm import contains_eager
from werkzeug.datastructures import MultiDict

from ..extensions import db
from .columns import Field, alias_of
from .filters import Applied, filter_row, parse
from .formats import shown
from .page import Chip, Column, Link, Paging

FEW = 5_000  # rows that are sorted faster than an index is read past those a filter leaves out
SIZES = (10, 25, 50, 100)
DEFAULT_SIZE = 25
LAST_PAGE = 1_000_000


@dataclass
class Listing:
    """What a request asks of a list, understood as far as it can be."""

    model: type
    fields: dict[str, Field]
    order: tuple[str, ...]
    args: MultiDict[str, str]
    url: str
    conditions: tuple[Any, ...] = ()
    search: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()  # URL arguments with a meaning to this list alone
    notices: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page = self._number("page", 1, LAST_PAGE)
        self.size = self._number("size", DEFAULT_SIZE, SIZES[-1])
        self.q = self.args.get("q", "").strip()[:200]
        self.sort = self._sort()
        self.filters = self._filters()
        self.total = 0  # as last counted

    def _number(self, name: str, default: int, most: int) -> int:
        text = self.args.get(name, "")
        if not text:
            return default
        if not text.isdecimal() or not text.isascii() or not 1 <= int(text[:12]) <= most:
            self.notices.append(_("“%(text)s” is not a page; the first one is shown.", text=text[:40]))
            return default
        return int(text)

    def _sort(self) -> list[tuple[Field, str]]:
        found = []
        for name in filter(None, self.args.get("sort", "").split(",")):
            wanted = self.fields.get(name.removeprefix("-"))
            if wanted is None or wanted.expression is None:
                self.notices.append(_("This list cannot be sorted by “%(name)s”.", name=name[:40]))
            else:
                found.append((wanted, "desc" if name.startswith("-") else "asc"))
        return found

    def _filters(self) -> list[Applied]:
        found = []
        for key in [key for key in self.args if key.startswith("_flt_")]:
            try:
                applied = parse(key, self.args.getlist(key), self.fields)
            except ValueError:
                self.notices.append(
                    _("The filter “%(text)s” was not understood and left out.", text=self.args[key][:40])
                )
                continue
            if applied is not None:
                found.append(applied)
        return found

    # --- the rows ---

    def count(self) -> int:
        """How many rows there are in all."""
        self.total = db.session.scalar(self._narrowed(select(func.count()).select_from(self.model))) or 0
        return self.total

    def rows(self) -> list[Any]:
        """The rows of the page asked for."""
        offset = (self.page - 1) * self.size
        many = self.total > FEW
        if many and self.sort and self.sort[0][0].drives:
            return self._along_the_index(offset)
        return list(db.session.scalars(self._ordered(tested=many).limit(self.size).offset(offset)))

    def _along_the_index(self, offset: int) -> list[Any]:
        """Many rows, sorted by a column that not all of them have: those along its index, then the rest.

        Keys first, from the index alone and each row only looked at: whatever SQL may join, it may start with.
        """
        first, direction = self.sort[0]
        here = self._narrowed(select(self._key()), tested=True)
        having = first.having(here.where(self._key() == first.key))
        further = [self._looked_up(wanted, to, first) for wanted, to in self.sort[1:]]
        keys = having.order_by(first.ordered(direction), *further, getattr(first.key, direction)())
        rows = self._of_keys(list(db.session.scalars(keys.limit(self.size).offset(offset))))
        if len(rows) == self.size:
            return rows
        passed = db.session.scalar(select(func.count()).select_from(having.subquery())) or 0
        rest = here.where(first.missing()).order_by(*first.rest()).offset(max(0, offset - passed))
        return rows + self._of_keys(list(db.session.scalars(rest.limit(self.size - len(rows)))))

    def _looked_up(self, wanted: Field, direction: str, first: Field) -> Any:
        """Another column to sort by, of the row the index points at."""
        value = wanted.joined(self._related(select(wanted.order).select_from(self.model)))
        value = value.where(self._key() == first.key).correlate(first.index).scalar_subquery()
        return getattr(value, direction)().nulls_last()

    def _of_keys(self, keys: list[int]) -> list[Any]:
        rows = {inspect(row).identity[0]: row for row in db.session.scalars(self._loaded(self._key().in_(keys)))}
        return [rows[key] for key in keys] if keys else []

    def all_rows(self) -> Iterator[Any]:
        """Every row, a thousand at a time: for exports."""
        for row in db.session.scalars(self._ordered().execution_options(yield_per=1000)):
            yield row
            db.session.expunge(row)

    def _ordered(self, *, tested: bool = False) -> Select[Any]:
        order = self.sort or self._defaults()
        clauses = [wanted.ordered(direction) for wanted, direction in order]
        if order[0][0].drives:  # what lacks it comes last, in the list's own order
            clauses += [wanted.ordered(direction) for wanted, direction in self._defaults()]
        statement = self._joins(self._loaded(*self._conditions(tested)), [*order, *self._defaults()])
        return statement.order_by(*clauses, self._key())

    def _loaded(self, *conditions: Any) -> Select[Any]:
        loads = [contains_eager(self._joined(name)) for name in self._relations()]
        return self._related(select(self.model).options(*loads)).where(*conditions)

    def _joins(self, statement: Select[Any], order: list[tuple[Field, str]]) -> Select[Any]:
        for wanted in {wanted.name: wanted for wanted, _direction in order}.values():
            statement = wanted.joined(statement)
        return statement

    def _key(self) -> Any:
        return getattr(self.model, inspect(self.model).primary_key[0].key)

    def _defaults(self) -> list[tuple[Field, str]]:
        return [self._default(name) for name in self.order]

    def _default(self, name: str) -> tuple[Field, str]:
        return self.fields[name.removeprefix("-")], "desc" if name.startswith("-") else "asc"

    def _narrowed(self, statement: Select[Any], *, tested: bool = False) -> Select[Any]:
        return self._related(statement).where(*self._conditions(tested))

    def _conditions(self, tested: bool) -> list[Any]:
        conditions = [*self.conditions, *(applied.condition(tested=tested) for applied in self.filters)]
        if self.q:
            searched = [f for name, f in self.fields.items() if name in self.search or f.searched]
            conditions.append(or_(*(f.contains(self.q, tested=tested) for f in searched)))
        return conditions

    def _related(self, statement: Select[Any]) -> Select[Any]:
        for name in self._relations():
            statement = statement.join(self._joined(name), isouter=True)
        return statement

    def _joined(self, relation: str) -> Any:
        return getattr(self.model, relation).of_type(alias_of(self.model, relation))

    def _relations(self) -> list[str]:
        return sorted({name.split(".")[0] for name in self.fields if "." in name})

    # --- what the page shows of it ---

    @property
    def is_filtered(self) -> bool:
        return bool(self.filters or self.q)

    def columns(self) -> list[Column]:
        return [
            Column(f.name, str(f.label), f.kind, self._sort_url(f), self._sorted(f), filter_row(f, self.args))
            for f in self.fields.values()
        ]

    def _sorted(self, wanted: Field) -> str:
        order = self.sort or [self._default(name) for name in self.order[:1]]
        return next((direction for f, direction in order if f.name == wanted.name), "")

    def _sort_url(self, wanted: Field) -> str:
        if wanted.expression is None:
            return ""
        name = f"-{wanted.name}" if self._sorted(wanted) == "asc" else wanted.name
        return self.url_with(sort=name, page=None)

    def chips(self) -> list[Chip]:
        found = [Chip(_("Search"), self.q, self.url_with(q=None, page=None))] if self.q else []
        for applied in self.filters:
            without = self.url_with(**{applied.key: None}, page=None)
            found.append(Chip(str(applied.field.label), applied.in_words(), without))
        return found

    def kept(self) -> list[tuple[str, str]]:
        """The URL arguments that a new search or filter keeps."""
        return [(name, self.args[name]) for name in ("sort", "size", *self.extra) if self.args.get(name)]

    def paging(self, count: int) -> Paging:
        pages = max(1, -(-count // self.size))
        first, last = (self.page - 1) * self.size + 1, min(self.page * self.size, count)
        return Paging(
            page=self.page,
            pages=pages,
            count=count,
            summary=_("%(first)s–%(last)s of %(count)s", **{k: shown(v, "number") for k, v in
                      {"first": min(first, count), "last": last, "count": count}.items()}),  # fmt: skip
            previous_url=self.url_with(page=str(self.page - 1)) if self.page > 1 else "",
            next_url=self.url_with(page=str(self.page + 1)) if self.page < pages else "",
            numbers=[self._page_link(n) for n in _nearby(self.page, pages)],
            sizes=[Link(str(n), self.url_with(size=str(n), page=None), active=n == self.size) for n in SIZES],
        )

    def _page_link(self, number: int | None) -> Link:
        if number is None:
            return Link("…", "")
        return Link(str(number), self.url_with(page=str(number)), active=number == self.page)

    def url_with(self, **changed: str | None) -> str:
        """This list's address with some arguments changed; `None` takes one out."""
        kept = [(k, v) for k, v in self.args.items(multi=True) if k not in changed and v]
        query = urlencode(kept + [(k, v) for k, v in changed.items() if v])
        return f"{self.url}?{query}" if query else self.url


def _nearby(page: int, pages: int) -> list[int | None]:
    """Page numbers worth offering: the first, the last and those around; `None` is a gap."""
    wanted = sorted({1, pages, *range(max(1, page - 1), min(pages, page + 1) + 1)})
    numbers: list[int | None] = []
    for number in wanted:
        if numbers and numbers[-1] is not None and number - numbers[-1] > 1:
            numbers.append(None)
        numbers.append(number)
    return numbers

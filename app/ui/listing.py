"""A list: which rows, in which order, how many; the same for the page, its sections and the export.

Everything a list does is in its URL: `q`, `_flt_…`, `sort=name,-created_at`, `cols=name,city`, `page`, `size`,
`count=all`. What cannot be understood is left out with a message, never an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any
from urllib.parse import quote_plus, urlencode

from flask_babel import gettext as _
from sqlalchemy import false, inspect, or_
from werkzeug.datastructures import MultiDict

from . import choosing
from .columns import Field
from .filters import Applied, offer, parse
from .finding import COUNTED, FEW, Finding, relations_of
from .formats import shown
from .page import Chip, Column, ColumnFilter, Link, Paging
from .searching import Search

SIZES = (10, 25, 50, 100)
DEFAULT_SIZE = 25
LAST_PAGE = 1_000_000


@dataclass
class Listing:
    """What a request asks of a list, understood as far as it can be."""

    model: type
    fields: dict[str, Field]  # all there could be; from then on those shown, in their order
    order: tuple[str, ...]
    args: MultiDict[str, str]
    url: str
    conditions: tuple[Any, ...] = ()
    left_out: tuple[Any, ...] = ()  # the few rows that the conditions leave out, where that is known
    search: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()  # URL arguments with a meaning to this list alone
    usual_size: int = DEFAULT_SIZE
    notices: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page = self._number("page", 1, LAST_PAGE)
        self.size = self._number("size", self.usual_size, SIZES[-1])
        after = self.args.get("after", "")
        self.after = int(after) if after.isascii() and after.isdecimal() and len(after) < 10 else None
        self.q = self.args.get("q", "").strip()[:200]
        self.available = self.fields
        self.fields = choosing.chosen(self.args, self.available, self.notices)
        self.search = tuple(name for name in self.search if name in self.available)  # a view may leave columns out
        self.sort = self._sort()
        self.filters = self._filters()

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
            wanted = self.available.get(name.removeprefix("-"))
            if wanted is None or wanted.expression is None:
                self.notices.append(_("This list cannot be sorted by “%(name)s”.", name=name[:40]))
            else:
                found.append((wanted, "desc" if name.startswith("-") else "asc"))
        return found

    def _filters(self) -> list[Applied]:
        found = []
        for key in [key for key in self.args if key.startswith("_flt_")]:
            try:
                applied = parse(key, self.args.getlist(key), self.available)
            except ValueError:
                self.notices.append(self._left_out(key))
                continue
            if applied is not None:
                found.append(applied)
        return found

    def _left_out(self, key: str) -> str:
        """Leave a filter out, from every link of the page too; of a masked column nothing that it asks for is said."""
        masked = self.available.get(key.split("_", 3)[-1])
        texts = self.args.poplist(key)
        if masked is not None and masked.expression is None:
            return _("This list cannot be filtered by “%(name)s”; the filter was left out.", name=masked.label)
        return _("The filter “%(text)s” was not understood and left out.", text=texts[0][:40])

    # --- the rows ---

    def count(self) -> int:
        """How many rows there are in all."""
        return self.finding.count

    def rows(self) -> list[Any]:
        """The rows of the page asked for."""
        return self.finding.rows(self.size, self._before)

    def turn_to_page(self) -> list[Any]:
        """The rows of the page asked for; of the last one where there are not so many."""
        if self._counts_all:
            self.count()  # which knows how far a page counts, too
        if self.finding.counted <= COUNTED:
            self.page = min(self.page, max(1, -(-self.finding.counted // self.size)))
        found = self.finding.rows(self.size + 1, self._before) if self.finding.counted else []
        if not found and self.after is not None:  # the row it was to follow is gone
            self.finding = replace(self.finding, after=None)
            found = self.finding.rows(self.size + 1, self._before)
        if not found and self.page > 1:
            self.page = max(1, -(-self.count() // self.size))
            found = self.rows()
        self.goes_on = len(found) > self.size
        self.next_after = str(inspect(found[self.size - 1]).identity[0]) if self.goes_on else None
        self.last = self._before + min(len(found), self.size)
        return found[: self.size]

    @property
    def _before(self) -> int:
        return (self.page - 1) * self.size

    def all_values(self, *wanted: Any) -> Iterator[list[Sequence[Any]]]:
        """What is wanted of every row, column by column, some hundred rows at a time: for exports."""
        return self.finding.all_values(*wanted)

    @cached_property
    def finding(self) -> Finding:
        return Finding(
            model=self.model,
            order=self.sort,
            usual_order=[self._default(name) for name in self.order],
            conditions=(*self.conditions, *self._searched_in_rows()),
            left_out=self.left_out,
            filters=tuple(self.filters),
            search=self._search(),
            relations=relations_of(self._needed()),
            after=self.after,
            searched_relations=frozenset(relations_of(self.search) if self.q else ()),
        )

    def _needed(self) -> set[str]:
        """The columns a statement has to do with: those shown, and those it is asked about."""
        asked = {f.name for f, _direction in self.sort} | {one.field.name for one in self.filters}
        usual_order = {name.removeprefix("-") for name in self.order}
        added_by = {f.per for f in self.fields.values() if f.per}
        return {*self.fields, *added_by, *asked, *usual_order, *(self.search if self.q else ())}

    def _search(self) -> Search | None:
        """Of what has words to be searched by, and properties beside them."""
        if not self.q or not hasattr(self.model, "words"):
            return None
        return Search(self.model, self.q, tuple(field for field in self.available.values() if field.searched))

    def _searched_in_rows(self) -> list[Any]:
        if not self.q or hasattr(self.model, "words"):
            return []
        columns = [self.available[name] for name in self.search]
        asked = [field for field in columns if field.expression is not None]  # not masked
        return [or_(false(), *(field.contains(self.q) for field in asked))]

    def _default(self, name: str) -> tuple[Field, str]:
        return self.available[name.removeprefix("-")], "desc" if name.startswith("-") else "asc"

    # --- what the page shows of it ---

    @property
    def is_filtered(self) -> bool:
        return bool(self.filters or self.q)

    def columns(self) -> list[Column]:
        return [self._column(field) for field in self.fields.values()]

    @cached_property
    def filters_offered(self) -> list[ColumnFilter]:
        """Every column that can be filtered by: those shown, then the others."""
        others = [field for name, field in self.available.items() if name not in self.fields]
        offered = (offer(field, self.args) for field in [*self.fields.values(), *others])
        return [one for one in offered if one]

    def _column(self, f: Field) -> Column:
        return Column(
            name=f.name,
            label=str(f.label),
            kind=f.kind,
            sort_url=self._sort_url(f),
            also_sort_url=self._also_sort_url(f),
            sorted=self._sorted(f),
            rank=self._rank(f),
        )

    @property
    def _order(self) -> list[tuple[Field, str]]:
        """The order as the header shows it."""
        return self.sort or [self._default(name) for name in self.order[:1]]

    def _sorted(self, wanted: Field) -> str:
        return next((direction for f, direction in self._order if f.name == wanted.name), "")

    def _rank(self, wanted: Field) -> int:
        """Which of several columns in the order it is, from 1; of a single one nobody need be told."""
        names = [f.name for f, _direction in self._order]
        return names.index(wanted.name) + 1 if len(names) > 1 and wanted.name in names else 0

    def _sort_url(self, wanted: Field) -> str:
        if wanted.expression is None:
            return ""
        return self._sorted_by(f"-{wanted.name}" if self._sorted(wanted) == "asc" else wanted.name)

    def _also_sort_url(self, wanted: Field) -> str:
        """To sort by it besides: upwards, then downwards, then not at all."""
        if wanted.expression is None:
            return ""
        turned = {"asc": f"-{wanted.name}", "desc": None}
        names = [_spelled(f, to) if f.name != wanted.name else turned[to] for f, to in self._order]
        if not self._sorted(wanted):
            names.append(wanted.name)
        return self._sorted_by(*filter(None, names))

    def _sorted_by(self, *names: str) -> str:
        return self._sorted_at + quote_plus(",".join(names)) if names else self.url_with(sort=None, page=None)

    @cached_property
    def _sorted_at(self) -> str:
        """The list's address, up to the columns it is sorted by: each of a page's columns has two of those."""
        return self.url_with(sort="-", page=None).removesuffix("-")

    def chips(self) -> list[Chip]:
        found = [Chip(_("Search"), self.q, self.url_with(q=None, page=None), "q")] if self.q else []
        for applied in self.filters:
            without = self.url_with(**{applied.key: None}, page=None)
            found.append(Chip(str(applied.field.label), applied.in_words(), without, applied.key))
        return found

    def kept(self) -> list[tuple[str, str]]:
        """The URL arguments that a new search or filter keeps; filters, too, that the panel has no input for."""
        names = ("sort", "size", "cols", "view", "based", "totals", *self.extra)
        said = {name for offered in self.filters_offered for name in offered.names}
        unseen = [(one.key, text) for one in self.filters if one.key not in said for text in one.texts]
        return [(name, self.args[name]) for name in names if self.args.get(name)] + unseen

    def state_without(self, *names: str) -> list[tuple[str, str]]:
        """All the URL arguments but those; with `page` the whole paging goes."""
        left_out = {*names, "after", "count"} if "page" in names else {*names}
        return [(key, value) for key, value in self.args.items(multi=True) if key not in left_out and value]

    def clear_url(self) -> str:
        """The list without search and filters, its columns and order as they are."""
        filters = dict.fromkeys(key for key in self.args if key.startswith("_flt_"))
        return self.url_with(q=None, page=None, **filters)

    def paging(self) -> Paging:
        """Where the page turned to stands among the others; how many there are is told exactly up to `COUNTED`."""
        count, is_exact = self._known_count()
        pages = max(1, -(-count // self.size)) if is_exact else self.page + 1
        numbers = _nearby(self.page, pages) + ([] if is_exact else [None])
        return Paging(
            page=self.page,
            pages=pages,
            count=count,
            summary=self._summary(shown(count, "number") + ("" if is_exact else "+")),
            count_url="" if is_exact else self.url_with(count="all"),
            previous_url=self._page_url(self.page - 1) if self.page > 1 else "",
            next_url=self._page_url(self.page + 1) if self.goes_on else "",
            numbers=[self._page_link(n) for n in numbers],
            sizes=[Link(str(n), self.url_with(size=str(n), page=None), active=n == self.size) for n in SIZES],
        )

    def _known_count(self) -> tuple[int, bool]:
        """How many rows are known of, and whether these are all."""
        if self._counts_all:
            return self.count(), True
        if (counted := self.finding.counted) <= COUNTED:
            return counted, True
        return max(self.finding.least, self.last) if self.goes_on else self.last, not self.goes_on

    @property
    def _counts_all(self) -> bool:
        return self.args.get("count") == "all"

    def _summary(self, count: str) -> str:
        first, last = shown(min(self._before + 1, self.last), "number"), shown(self.last, "number")
        return _("%(first)s–%(last)s of %(count)s", first=first, last=last, count=count)

    def _page_link(self, number: int | None) -> Link:
        if number is None:
            return Link("…", "")
        return Link(str(number), self._page_url(number), active=number == self.page)

    def _page_url(self, number: int) -> str:
        """The next page of many rows says after which row it begins: so far on, counting there would take a while."""
        follows = self.goes_on and number == self.page + 1 and self.finding.counted > FEW
        return self.url_with(page=str(number), after=self.next_after if follows else None)

    def url_with(self, **changed: str | None) -> str:
        """This list's address with some arguments changed; `None` takes one out, `page=None` the whole paging."""
        if "page" in changed and not changed["page"]:
            changed = {"count": None, "after": None} | changed
        kept = [(k, v) for k, v in self.args.items(multi=True) if k not in changed and v]
        query = urlencode(kept + [(k, v) for k, v in changed.items() if v])
        return f"{self.url}?{query}" if query else self.url


def _spelled(field: Field, direction: str) -> str:
    return f"-{field.name}" if direction == "desc" else field.name


def _nearby(page: int, pages: int) -> list[int | None]:
    """Page numbers worth offering: the first, the last and those around; `None` is a gap."""
    wanted = sorted({1, pages, *range(max(1, page - 1), min(pages, page + 1) + 1)})
    numbers: list[int | None] = []
    for number in wanted:
        if numbers and numbers[-1] is not None and number - numbers[-1] > 1:
            numbers.append(None)
        numbers.append(number)
    return numbers

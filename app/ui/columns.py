"""Columns: what a list, a detail page, an export and an API know of one, told once.

A built-in column is read off the model; its kind decides how it is shown, filtered, sorted, typed and exported.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from operator import attrgetter
from typing import Any, ClassVar

from sqlalchemy import Boolean, Date, Enum, Integer, Numeric, Select, Text, func, inspect
from sqlalchemy.orm import aliased

from ..extensions import Moment, holds, is_sqlite
from ..models import LONGEST_WORDS, SEARCHED, sort_key
from .formats import CODES, language, shown
from .masks import CONTACTS, Mask, Masked, hides
from .page import Cell

TONES = {
    "operator": "purple", "partner": "azure", "customer": "secondary",
    "pending": "yellow", "accepted": "green", "expired": "red",
    "active": "green", "consent": "azure", "administrative": "red", "financial": "yellow", "archived": "yellow",
    "upcoming": "azure", "suspended": "yellow", "revoked": "red",
    "consumed": "azure", "released": "green", "surrendered": "secondary", "overage": "azure", "soft": "yellow",
    "trial": "azure", "cancelled": "red", "deleted": "secondary", "withdrawn": "secondary",
    "requested": "red", "called": "yellow", "paid": "azure",
    "draft": "secondary", "placed": "azure", "in-fulfilment": "blue", "completed": "green",
    "in-progress": "blue", "fulfilled": "green",
    "waiting": "yellow", "sending": "azure", "sent": "green", "failed": "red",
    "running": "azure", "done": "green", "uploaded": "secondary", "checked": "yellow", "importing": "azure",
    "undoing": "azure", "undone": "secondary", "on": "green", "off": "secondary", "stopped": "red",
    "delivered": "green", "ok": "green", "refused": "yellow", "timeout": "yellow", "unreachable": "yellow",
    "insecure": "red", "internal": "red", "hidden": "red",
}  # fmt: skip

WORDS = {"choice", "flag", *CODES}  # what has few values, each of them said in words
KINDS = {"email": "email", "recipient": "email", "phone": "phone", "website": "url"}  # texts with a meaning


@dataclass(frozen=True)
class Option:
    """One thing to choose: of a filter, a cell, an input. Its label is said in the language of whoever reads it."""

    value: str
    label: Any

    def __str__(self) -> str:
        return str(self.label)


@dataclass(frozen=True)
class Kept:
    """A value that SQL has in a column of its own: a file of many rows need not make objects of them to read it."""

    column: Any
    of: Callable[[Any], Any]  # the same, asked of a row
    said: Callable[[Any], Any] | None = None  # what a file makes of it, if not the value itself

    def __call__(self, row: Any) -> Any:
        return self.of(row)


@dataclass(frozen=True)
class Field:
    """One column of one view."""

    name: str
    label: Any
    kind: str
    value: Callable[[Any], Any]
    expression: Any = None  # what SQL sorts and filters by; none: it does neither
    choices: list[Any] = field(default_factory=list)
    currency: str = ""  # of every amount in it
    operators: Any = ()  # of its filter, where the kind's own do not fit
    searched: bool = False  # by the quick search, besides those the view names
    note: Any = ""  # what a file says about the column
    usual: bool = True  # whether the list shows it as long as nobody has chosen other columns
    totaled: bool = False  # whether the foot of a list says what it comes to
    per: str = ""  # the column that says of what it is so much, where what cannot be added up stands together
    minor: Any = None  # of amounts kept in smallest units: that column, and the one with the row's currency
    contact: str = ""  # what of a person stands in it, by the masks' names; empty: nothing (X-11)

    drives: ClassVar[bool] = False  # whether a list sorted by it is best read along an index of its own

    def __post_init__(self) -> None:
        """Contacts, for whoever may not see them: masked, and asked nothing, since order and hits would tell."""
        if hides(self.contact):
            value = self.value if isinstance(self.value, Masked) else Masked(self.value, self.contact)
            for name, fact in {"value": value, "expression": None, "searched": False}.items():
                object.__setattr__(self, name, fact)

    @property
    def order(self) -> Any:
        """What SQL sorts by: names by the alphabet, other words without regard to case."""
        if self.kind not in {"text", "long", "email"}:
            return self.expression
        by_alphabet = getattr(self.expression.class_, f"{self.expression.key}_sort", None)
        if by_alphabet is None:
            return func.lower(self.expression)
        return getattr(self.expression.parent.entity, f"{self.expression.key}_sort")

    def ordered(self, direction: str) -> Any:
        return getattr(self.order, direction)()

    def joined(self, statement: Any) -> Any:
        """The statement with what `order` needs."""
        return statement

    def where(self, condition: Callable[[Any], Any]) -> Any:
        """The condition on this column."""
        return condition(self.expression)

    def contains(self, text: str) -> Any:
        """What the quick search asks of this column."""
        return having(self.expression, text)

    def cell(self, row: Any, *, url: str = "", indent: int = 0) -> Cell:
        value = self.value(row)
        if self.kind in WORDS:
            said = self._worded(value)
            return said._replace(url=url, indent=indent) if url or indent else said
        return Cell(shown(value, self.kind, self.currency_of(row)), self.kind_of(value), url, "", indent)

    def _worded(self, value: Any) -> Cell:
        """Made once for each value: a field lives for a request, whose language does not change."""
        if value not in self._cells:
            self._cells[value] = self._made(value)
        return self._cells[value]

    def _made(self, value: Any) -> Cell:
        tone = TONES.get(str(getattr(value, "value", "")), "secondary") if self.kind == "choice" and value else ""
        return Cell(shown(value, self.kind), self.kind, tone=tone)

    @cached_property
    def _cells(self) -> dict[Any, Cell]:
        return {}

    def currency_of(self, row: Any) -> str:
        """That of the amount in this row; empty for what is no amount."""
        return getattr(row, self.minor[1].key) if self.minor else self.currency

    def kind_of(self, value: Any) -> str:
        """What a value is shown as; nobody writes to a mask, or calls it."""
        return "masked" if isinstance(value, Mask) else self.kind

    @property
    def is_masked(self) -> bool:
        """Whether contacts in it stand behind a mask; whose are open, only the row as a whole can tell."""
        return isinstance(self.value, Masked)

    @property
    def parts(self) -> tuple[Any, ...]:
        """The columns of SQL from which `plain` makes what a file holds; none: it takes the row as a whole."""
        return (self.value.column,) if isinstance(self.value, Kept) else ()

    def plain(self, found: Sequence[Any]) -> Sequence[Any]:
        """The values of many rows as a typed file holds them, from those parts; each word is looked up once."""
        values = self._values(found)
        if self.kind not in {"choice", *CODES}:
            return values
        words = {value: shown(value, self.kind) for value in set(values)}
        return [words[value] for value in values]

    def _values(self, found: Sequence[Any]) -> Sequence[Any]:
        if not isinstance(self.value, Kept):
            return [self.value(row) for row in found]
        return found if self.value.said is None else [self.value.said(one) for one in found]


def field_of(model: type, name: str, label: Any, **facts: Any) -> Field:
    """The column of that name: a mapped attribute, `relation.attribute`, or a property only Python knows."""
    relation, _dot, attribute = name.rpartition(".")
    owner = getattr(model, relation).property.mapper.class_ if relation else model
    contact = CONTACTS.get(owner, {}).get(attribute, "")
    value = _through(relation, attrgetter(attribute)) if relation else attrgetter(attribute)
    columns = inspect(owner).column_attrs
    mapped = columns.get(attribute) or columns.get(f"{attribute}_{language()}")  # of both languages, the person's
    if mapped is None:
        return Field(name, label, "text", value, contact=contact, **facts)
    kind, choices = _kind(mapped.columns[0].type, attribute)
    expression = getattr(alias_of(model, relation) if relation else model, mapped.key)
    value = Kept(expression, value) if attribute in columns else value
    return Field(name, label, kind, value, expression, choices, contact=contact, **facts)


def changed(fields: dict[str, Field], **changes: dict[str, Any]) -> dict[str, Field]:
    """The columns, those that are named with other facts: `changed(fields, price={"kind": "money"})`."""
    return {name: replace(f, **changes[name]) if name in changes else f for name, f in fields.items()}


@lru_cache(maxsize=256)
def alias_of(model: type, relation: str) -> Any:
    """The related class as lists join it, under a name of its own: an account's parent is an account, too."""
    return aliased(getattr(model, relation).property.mapper.class_, name=relation)


def having(column: Any, text: str) -> Any:
    """Whether a text stands in a column, whatever its case."""
    return narrowed(column, text, column.icontains(text, autoescape=True))


def beginning(column: Any, text: str) -> Any:
    """Whether a column begins with a text, whatever its case."""
    return narrowed(column, text, column.istartswith(text, autoescape=True))


def narrowed(column: Any, text: str, condition: Any) -> Any:
    """The condition, which only a column with that text in it fulfils. Where the row has folded words, SQLite is asked
    for them first: letter by letter that takes a tenth of the time, and leaves few rows to be looked at.
    """
    row = column.parent.entity
    if column.key not in SEARCHED or not hasattr(row, "words") or not is_sqlite():
        return condition
    return (holds(row.words, sort_key(text)) | (func.length(row.words) >= LONGEST_WORDS)) & condition


def is_there(rows: Select[Any]) -> Any:
    """Whether there is such a row, asked of each other row by itself.

    PostgreSQL takes what row-level security leaves for a twentieth of what it is, and would rather look all of it up
    beforehand; an OFFSET keeps it from that.
    """
    return rows.offset(0).exists()


def _through(relation: str, value: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda row: None if getattr(row, relation) is None else value(getattr(row, relation))


def _kind(type_: Any, name: str) -> tuple[str, list[Any]]:
    if isinstance(type_, Enum):
        return "choice", list(type_.enum_class)
    if isinstance(type_, Boolean):
        return "flag", []
    if isinstance(type_, Moment):
        return "moment", []
    if isinstance(type_, Date):
        return "date", []
    if isinstance(type_, Integer | Numeric):
        return "number", []
    if name in KINDS:
        return KINDS[name], []
    if name in CODES:
        return name, []
    return ("long" if isinstance(type_, Text) else "text"), []

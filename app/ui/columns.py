"""Columns: what a list, a detail page, an export and an API know of one, told once.

A built-in column is read off the model; its kind decides how it is shown, filtered, sorted, typed and exported.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, ClassVar

from sqlalchemy import Boolean, Date, Enum, Integer, Numeric, Text, func, inspect
from sqlalchemy.orm import aliased

from ..extensions import Moment
from .formats import CODES, language, shown
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
    "undoing": "azure", "undone": "secondary",
}  # fmt: skip

KINDS = {"email": "email", "recipient": "email", "phone": "phone", "website": "url"}  # texts with a meaning


@dataclass(frozen=True)
class Option:
    """One thing to choose: of a filter, a cell, an input. Its label is said in the language of whoever reads it."""

    value: str
    label: Any

    def __str__(self) -> str:
        return str(self.label)


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
    minor: Any = None  # of amounts kept in smallest units: that column, and the one with the row's currency

    drives: ClassVar[bool] = False  # whether a list sorted by it is best read along an index of its own

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
        return self.expression.icontains(text, autoescape=True)

    def cell(self, row: Any, *, url: str = "", indent: int = 0) -> Cell:
        value = self.value(row)
        tone = TONES.get(str(getattr(value, "value", "")), "secondary") if self.kind == "choice" and value else ""
        return Cell(shown(value, self.kind, self.currency), self.kind, url, tone, indent)

    def plain(self, row: Any) -> Any:
        """The value as a typed file holds it."""
        value = self.value(row)
        return shown(value, self.kind) if self.kind in {"choice", *CODES} else value


def field_of(model: type, name: str, label: Any) -> Field:
    """The column of that name: a mapped attribute, `relation.attribute`, or a property only Python knows."""
    if "." in name:
        relation, attribute = name.split(".")
        inner = field_of(getattr(model, relation).property.mapper.class_, attribute, label)
        expression = getattr(alias_of(model, relation), inner.expression.key)
        return Field(name, label, inner.kind, _through(relation, inner.value), expression, inner.choices)
    columns = inspect(model).column_attrs
    mapped = columns.get(name) or columns.get(f"{name}_{language()}")  # what both languages name, in the person's
    if mapped is None:
        return Field(name, label, "text", lambda row: getattr(row, name))
    kind, choices = _kind(mapped.columns[0].type, name)
    return Field(name, label, kind, lambda row: getattr(row, name), getattr(model, mapped.key), choices)


def changed(fields: dict[str, Field], **changes: dict[str, Any]) -> dict[str, Field]:
    """The columns, those that are named with other facts: `changed(fields, price={"kind": "money"})`."""
    return {name: replace(f, **changes[name]) if name in changes else f for name, f in fields.items()}


@lru_cache(maxsize=256)
def alias_of(model: type, relation: str) -> Any:
    """The related class as lists join it, under a name of its own: an account's parent is an account, too."""
    return aliased(getattr(model, relation).property.mapper.class_, name=relation)


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

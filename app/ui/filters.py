"""Filters that fit the column's kind, spelled `_flt_<operator>_<column>=value` in the URL.

The order of the operators is part of the address: links people keep depend on it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, time, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import ColumnElement, or_

from .columns import Field
from .formats import CODES, read_date, read_decimal, shown, time_zone
from .page import Choice, ColumnFilter, FilterInput


class Operator(NamedTuple):
    label: Any
    read: Callable[[Field, str], Any]  # raises ValueError for what cannot be meant
    condition: Callable[[Any, Any], ColumnElement[bool]]


class Applied(NamedTuple):
    """One filter in force."""

    key: str  # the URL argument
    field: Field
    operator: Operator
    values: list[Any]
    texts: list[str]  # as they stood in the URL

    def condition(self, *, tested: bool = False) -> ColumnElement[bool]:
        return self.field.where(self._any, tested=tested)

    def _any(self, column: Any) -> ColumnElement[bool]:
        return or_(*(self.operator.condition(column, value) for value in self.values))

    def in_words(self) -> str:
        kind = "date" if self.operator.read is _day else self.field.kind  # a moment is asked for by its day
        words = _(" or ").join(shown(value, kind, self.field.currency) for value in self.values)
        return f"{self.operator.label} {words}".strip()


# --- reading what stands in the URL ----------------------------------------------------------------------------


def _text(_field: Field, text: str) -> str:
    return text


def _choice(field: Field, text: str) -> Any:
    return next((choice for choice in field.choices if choice.value == text), None) or _fail(text)


def _code(field: Field, text: str) -> str:
    return text if text in CODES[field.kind]() else _fail(text)


def _fail(text: str) -> Any:
    raise ValueError(text)


def _flag(_field: Field, text: str) -> bool:
    return {"1": True, "0": False}.get(text) if text in {"1", "0"} else _fail(text)


def _number(_field: Field, text: str) -> Any:
    return read_decimal(text)


def _day(_field: Field, text: str) -> Any:
    day = read_date(text)
    return day if 1000 <= day.year <= 9000 else _fail(text)  # further than any calendar of ours


def _start_of(day: Any) -> datetime:
    return datetime.combine(day, time(), ZoneInfo(time_zone()))


# --- the operators ---------------------------------------------------------------------------------------------

_TEXT = [
    Operator(_l("contains"), _text, lambda column, value: column.icontains(value, autoescape=True)),
    Operator(_l("is"), _text, lambda column, value: column == value),
    Operator(_l("starts with"), _text, lambda column, value: column.istartswith(value, autoescape=True)),
]
_NUMBER = [
    Operator("=", _number, lambda column, value: column == value),
    Operator("≥", _number, lambda column, value: column >= value),
    Operator("≤", _number, lambda column, value: column <= value),
    Operator(">", _number, lambda column, value: column > value),
    Operator("<", _number, lambda column, value: column < value),
]
_DATE = [
    Operator(_l("on"), _day, lambda column, value: column == value),
    Operator(_l("from"), _day, lambda column, value: column >= value),
    Operator(_l("until"), _day, lambda column, value: column <= value),
    Operator(_l("after"), _day, lambda column, value: column > value),
    Operator(_l("before"), _day, lambda column, value: column < value),
]
_NEXT = timedelta(days=1)
_MOMENT = [
    Operator(_l("on"), _day, lambda column, day: (column >= _start_of(day)) & (column < _start_of(day + _NEXT))),
    Operator(_l("from"), _day, lambda column, day: column >= _start_of(day)),
    Operator(_l("until"), _day, lambda column, day: column < _start_of(day + _NEXT)),
    Operator(_l("after"), _day, lambda column, day: column >= _start_of(day + _NEXT)),
    Operator(_l("before"), _day, lambda column, day: column < _start_of(day)),
]
_CHOICE = [
    Operator(_l("is"), _choice, lambda column, value: column == value),
    Operator(_l("is not"), _choice, lambda column, value: column != value),
]
_CODE = [
    Operator(_l("is"), _code, lambda column, value: column == value),
    Operator(_l("is not"), _code, lambda column, value: column != value),
]
_FLAG = [Operator(_l("is"), _flag, lambda column, value: column.is_(value))]

OPERATORS = {
    "text": _TEXT, "long": _TEXT, "email": _TEXT, "url": _TEXT, "phone": _TEXT, "link": _TEXT,
    "number": _NUMBER, "money": _NUMBER, "date": _DATE, "moment": _MOMENT, "choice": _CHOICE, "flag": _FLAG,
    "country": _CODE, "language": _CODE,
}  # fmt: skip


def parse(key: str, texts: list[str], fields: dict[str, Field]) -> Applied | None:
    """The filter an URL argument spells, or `None` for an empty one.

    Raises `ValueError` where it spells no filter this list has.
    """
    _empty, _flt, number, name = key.split("_", 3)
    texts = [text for text in texts if text.strip()]
    if not texts:
        return None
    field = fields.get(name)
    operators = () if field is None or field.expression is None else field.operators or OPERATORS[field.kind]
    if not number.isdigit() or int(number) >= len(operators):
        raise ValueError(key)
    operator = operators[int(number)]
    return Applied(key, field, operator, [operator.read(field, text[:200]) for text in texts], texts)


# --- the filter row --------------------------------------------------------------------------------------------


def filter_row(field: Field, args: Any) -> ColumnFilter | None:
    """The inputs under a column, filled with what is in force."""
    if field.expression is None:
        return None
    if field.kind in {"choice", "choices", "member"}:
        return _select(field, args, [(choice.value, str(choice.label)) for choice in field.choices])
    if field.kind in CODES:
        return _select(field, args, list(CODES[field.kind]().items()))
    if field.kind == "flag":
        return _select(field, args, [("1", _("Yes")), ("0", _("No"))])
    label = str(field.label)
    if field.kind in {"date", "moment"}:
        between = [(1, _("%(label)s from", label=label)), (2, _("%(label)s until", label=label))]
        return _inputs(field, args, between, "date")
    if field.kind in {"number", "money"}:
        between = [(1, _("%(label)s at least", label=label)), (2, _("%(label)s at most", label=label))]
        return _inputs(field, args, between, "decimal")
    return _inputs(field, args, [(0, _("%(label)s contains", label=label))], "text")


def _inputs(field: Field, args: Any, wanted: list[tuple[int, str]], type_: str) -> ColumnFilter:
    inputs = [
        FilterInput(f"_flt_{number}_{field.name}", label, args.get(f"_flt_{number}_{field.name}", ""), type_)
        for number, label in wanted
    ]
    return ColumnFilter(inputs=inputs, label=str(field.label), active=any(i.value for i in inputs))


def _select(field: Field, args: Any, pairs: list[tuple[str, str]]) -> ColumnFilter:
    name = f"_flt_0_{field.name}"
    chosen = args.getlist(name)
    choices = [Choice("", _("All"), not chosen)] + [Choice(value, label, value in chosen) for value, label in pairs]
    return ColumnFilter(choices=choices, name=name, label=str(field.label), active=any(chosen))

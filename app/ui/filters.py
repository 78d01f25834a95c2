"""Filters that fit the column's kind, spelled `_flt_<operator>_<column>=value` in the URL.

The order of the operators is part of the address: links people keep depend on it. In place of a value, the first
operator of each takes a word with a tilde: `~empty`, `~filled`, and of days `~today`, `~last7` and their like.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from flask_babel import get_locale
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import ColumnElement, Enum, String, and_, false, or_, select, union
from werkzeug.datastructures import MultiDict

from .. import clock
from ..extensions import is_sqlite
from .columns import Field, beginning, having, narrowed
from .formats import CODES, read_date, read_decimal, shown, time_zone
from .page import Choice, ColumnFilter, FilterInput, Way


class Operator(NamedTuple):
    label: Any
    read: Callable[[Field, str], Any]  # raises ValueError for what cannot be meant
    condition: Callable[[Any, Any], ColumnElement[bool]]
    also: Callable[[Any, Any], ColumnElement[bool]] | None = None  # the same, asked of another index of a property
    negative: bool = False  # none of the values; of a property, `condition` then says what a row must not have


class Word(NamedTuple):
    """What stands for values nobody need type: none, any, days counted from today."""

    name: str
    label: Any
    days: Callable[[date], tuple[date, date]] | None = None  # the first and the last of them


def _month_of(day: date) -> tuple[date, date]:
    return day.replace(day=1), day.replace(day=monthrange(day.year, day.month)[1])


EMPTY, FILLED = Word("~empty", _l("is empty")), Word("~filled", _l("is not empty"))
PERIODS = [
    Word("~today", _l("today"), lambda today: (today, today)),
    Word("~last7", _l("last 7 days"), lambda today: (today - timedelta(days=6), today)),
    Word("~last30", _l("last 30 days"), lambda today: (today - timedelta(days=29), today)),
    Word("~last90", _l("last 90 days"), lambda today: (today - timedelta(days=89), today)),
    Word("~month", _l("this month"), _month_of),
    Word("~lastmonth", _l("last month"), lambda today: _month_of(today.replace(day=1) - timedelta(days=1))),
    Word("~year", _l("this year"), lambda today: (today.replace(month=1, day=1), today.replace(month=12, day=31))),
    Word("~next7", _l("next 7 days"), lambda today: (today, today + timedelta(days=6))),
    Word("~next30", _l("next 30 days"), lambda today: (today, today + timedelta(days=29))),
    Word("~next90", _l("next 90 days"), lambda today: (today, today + timedelta(days=89))),
]


def words_for(kind: str) -> list[Word]:
    return [*(PERIODS if kind in {"date", "moment"} else []), EMPTY, FILLED]


class Applied(NamedTuple):
    """One filter in force."""

    key: str  # the URL argument
    field: Field
    operator: Operator
    values: list[Any]
    texts: list[str]  # as they stood in the URL

    @property
    def lacks(self) -> bool:
        """Whether it finds the rows of which the index of properties has nothing, or nothing like that."""
        return self.values == [EMPTY] or (self.operator.negative and self.field.drives)

    def condition(self, column: Any) -> ColumnElement[bool]:
        """What it asks of a column; of a property, of a row in its index."""
        if isinstance(self.values[0], Word):
            return _worded(self.field, self.values[0], column)
        every = self.operator.negative and not self.field.drives
        found = (and_ if every else or_)(*(self.operator.condition(column, value) for value in self.values))
        return found if self.operator.also is None else found | self.also(column)

    def also(self, column: Any) -> ColumnElement[bool]:
        return or_(*(self.operator.also(column, value) for value in self.values)) if self.operator.also else false()

    def plainly(self, column: Any) -> ColumnElement[bool]:
        """The condition without what another index is asked."""
        return self._replace(operator=self.operator._replace(also=None)).condition(column)

    def opposite(self) -> Applied:
        """Of one that finds rows by what they lack, the one that finds all the others."""
        if self.operator.negative:
            return self._replace(operator=self.operator._replace(negative=False))
        return self._replace(values=[FILLED])

    def in_words(self) -> str:
        if isinstance(self.values[0], Word):
            return str(self.values[0].label)
        kind = "date" if self.operator.read is _day else self.field.kind  # a moment is asked for by its day
        words = _(" or ").join(shown(value, kind, self.field.currency) for value in self.values)
        return f"{self.operator.label} {words}".strip()


class Together:
    """Filters by one property, which one row of its index fulfils or none; of what is to be lacked, any of it."""

    def __init__(self, *filters: Applied) -> None:
        self.filters, self.field, self.lacks = filters, filters[0].field, filters[0].lacks
        self.is_negative = filters[0].operator.negative
        self.looks_through = filters[0].operator.also is not None

    def condition(self, value: Any) -> ColumnElement[bool]:
        return (or_ if self.lacks else and_)(*(one.condition(value) for one in self.filters))

    def keys(self) -> Any:
        """The rows they find, looked up: in two indexes where one does not know everything."""
        one, *more = self.filters
        if more or one.operator.also is None or isinstance(one.values[0], Word):
            return self.field.keys(self.condition)
        return select(union(self.field.keys(one.plainly), self.field.keys(one.also)).subquery().c.key)

    def of(self, key: Any) -> Any:
        """Whether they find the row of that key."""
        if self.lacks and is_sqlite():  # which keeps however long a list of the others
            return key.not_in(self.field.keys(self.condition))
        there = self.field.among(key, self.condition)
        return ~there if self.lacks else there


# --- reading what stands in the URL ----------------------------------------------------------------------------


def _worded(field: Field, word: Word, column: Any) -> ColumnElement[bool]:
    if word.days:
        first, last = word.days(clock.today(time_zone()))
        if field.kind == "moment":
            return (column >= _start_of(first)) & (column < _start_of(last + _NEXT))
        column = column.date if field.drives else column
        return (column >= first) & (column <= last)
    if field.drives:
        return field.known(column)
    is_text = isinstance(column.type, String) and not isinstance(column.type, Enum)
    empty = column.is_(None) | (column == "") if is_text else column.is_(None)
    return empty if word is EMPTY else ~empty


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
    Operator(_l("contains"), _text, having),
    Operator(_l("is"), _text, lambda column, value: narrowed(column, value, column == value)),
    Operator(_l("starts with"), _text, beginning),
    Operator(_l("is not"), _text, lambda column, value: column.is_distinct_from(value), negative=True),
    Operator(_l("does not contain"), _text, lambda column, text: ~having(column, text) | column.is_(None), None, True),
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
    Operator(_l("is not"), _choice, lambda column, value: column.is_distinct_from(value), negative=True),
]
_CODE = [
    Operator(_l("is"), _code, lambda column, value: column == value),
    Operator(_l("is not"), _code, lambda column, value: column.is_distinct_from(value), negative=True),
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
    operators = () if field is None or field.expression is None else operators_of(field)
    if not number.isdigit() or int(number) >= len(operators):
        raise ValueError(key)
    operator = operators[int(number)]
    words = [word for word in words_for(field.kind) if word.name in texts and number == "0"]
    return Applied(key, field, operator, words[:1] or [operator.read(field, text[:200]) for text in texts], texts)


# --- the panel -------------------------------------------------------------------------------------------------


def offer(field: Field, args: MultiDict[str, str]) -> ColumnFilter | None:
    """What the panel offers of a column, filled with what is in force."""
    if field.expression is None:
        return None
    labels = tuple(str(operator.label) for operator in operators_of(field))
    typed = tuple((key, text) for key in _keys(field.name, len(labels)) for text in args.getlist(key))
    return _offer(field.name, str(field.label), field.kind, labels, _pairs(field), typed, str(get_locale()))


RANGES = {"date": "date", "moment": "date", "number": "decimal", "money": "decimal"}  # kind → type of its inputs


def operators_of(field: Field) -> Any:
    return field.operators or OPERATORS[field.kind]


def _keys(name: str, count: int = 3) -> list[str]:
    return [f"_flt_{number}_{name}" for number in range(count)]


def _pairs(field: Field) -> tuple[tuple[str, str], ...] | None:
    """What there is to choose from; none where something is typed."""
    if field.choices or field.kind in {"choice", "choices", "member"}:
        return tuple((choice.value, str(choice.label)) for choice in field.choices)
    if field.kind in CODES:
        return tuple(CODES[field.kind]().items())
    return (("1", _("Yes")), ("0", _("No"))) if field.kind == "flag" else None


@lru_cache(maxsize=4096)
def _offer(
    name: str,
    label: str,
    kind: str,
    operators: tuple[str, ...],
    pairs: tuple[tuple[str, str], ...] | None,
    typed: tuple[tuple[str, str], ...],
    _language: str,
) -> ColumnFilter:
    """A page offers the same of nearly every column as the one before."""
    keys = _keys(name, len(operators))
    words = tuple((word.name, str(word.label)) for word in words_for(kind))
    if kind == "flag" or pairs == ():
        return _of_words(keys[0], label, (("", _("All")), *(pairs or ()), *words), typed)
    worded = next((text for key, text in typed if key == keys[0] and text in dict(words)), "")
    asked = [key for key in keys if any(text and key == one for one, text in typed)]
    ways = _ranging(keys, operators) if kind in RANGES else [*zip(keys, operators, strict=True)]
    at_hand = "" if worded else _at_hand(ways, asked, keys)
    offered = [*((key, "", said) for key, said in ways), *((keys[0], word, said) for word, said in words)]
    chosen = {text for key, text in typed if key == at_hand}
    inputs = () if pairs is not None else _inputs(label, kind, keys, at_hand, typed)
    return ColumnFilter(
        name=keys[0],
        label=label,
        ways=tuple(Way(key, word, said, word == worded and at_hand in {key, ""}) for key, word, said in offered),
        choices=tuple(Choice(value, said, value in chosen) for value, said in pairs or ()),
        control=at_hand if pairs else "",
        inputs=inputs,
        active=bool(asked),
    )


def _at_hand(ways: list[tuple[str, str]], asked: list[str], keys: list[str]) -> str:
    """The way in force; the end of a range alone is a range, too."""
    first = ways[0][0]
    if first == keys[1] and keys[2] in asked:
        return first
    return next((key for key, _said in ways if key in asked), first)


def _of_words(
    key: str, label: str, words: tuple[tuple[str, str], ...], typed: tuple[tuple[str, str], ...]
) -> ColumnFilter:
    """Nothing to be typed, and only one to be chosen."""
    said = _first(key, typed, words=True)
    ways = tuple(Way(key, word, text, word == said) for word, text in words)
    return ColumnFilter(key, label, ways, active=bool(said))


def _ranging(keys: list[str], operators: tuple[str, ...]) -> list[tuple[str, str]]:
    """From one value to another, or exactly one."""
    _is, least, *_most = keys
    return [(least, _("between")), (_is, operators[0])]


def _inputs(
    label: str, kind: str, keys: list[str], at_hand: str, typed: tuple[tuple[str, str], ...]
) -> tuple[FilterInput, ...]:
    """One to look for words, or two for the ends of a range; off where the way to ask has no need of them."""
    _is, least, most, *_others = keys
    if kind not in RANGES:
        return (FilterInput(at_hand or _is, label, _first(at_hand, typed), off=not at_hand),)
    type_, from_, until = RANGES[kind], _("%(label)s from", label=label), _("%(label)s until", label=label)
    if type_ == "decimal":
        from_, until = _("%(label)s at least", label=label), _("%(label)s at most", label=label)
    if at_hand == _is:
        from_ = label
    first = FilterInput(at_hand or least, from_, _first(at_hand, typed), type_, off=not at_hand)
    return first, FilterInput(most, until, _first(most, typed), type_, off=at_hand != least)


def _first(wanted: str, typed: tuple[tuple[str, str], ...], *, words: bool = False) -> str:
    return next((text for key, text in typed if key == wanted and (words or not text.startswith("~"))), "")

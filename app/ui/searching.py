"""The quick search through a table's words and those of its properties: looked up, or asked of one row.

Three letters that follow each other are a part. An index knows the parts of every text, and so which rows may have a
text somewhere; whether they do is asked of each. What is shorter than a part is looked for in all words.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field as fact
from functools import cached_property, lru_cache
from typing import Any, ClassVar

from sqlalchemy import Select, func, or_, select, union, union_all
from sqlalchemy.orm import aliased

from ..extensions import db, found_by_parts, having_parts, holds, is_one_of, is_sqlite, listed
from ..models import PropertyValue, SearchedText, sort_key
from ..tenancy import Scope
from .columns import is_there
from .masks import sees_contacts

PART = 3


@dataclass(frozen=True, eq=False)
class Search:
    """Rows of a table in whose words, or in whose properties, a text stands.

    There are contacts among an account's `words`, so to whom these are masked it is known by its name alone (X-11).
    """

    model: type
    text: str
    properties: tuple[Any, ...]  # the fields to look through
    within: str = fact(default_factory=lambda: "words" if sees_contacts() else "name_sort")
    known: list[int] | None = None  # all it finds, once that is known to be little

    lacks: ClassVar[bool] = False
    looks_through: ClassVar[bool] = True  # the words of all rows, one after the other

    def keys(self) -> Select[Any]:
        """The rows it finds, each once. An arm for each index, since no database reads two of them for one OR."""
        if self.known is not None:
            return select(self.model.id.label("key")).where(is_one_of(self.model.id, self.known))
        arms = [select(self.model.id.label("key")).where(self._holds(self.model))]
        return select(union(*arms, *self._by_value(self._conditions)).subquery().c.key)

    def look(self, most: int) -> tuple[list[int], bool]:
        """Rows it finds, not more than about so many, and whether these are all of them."""
        found = listed(self._looking(most).limit(most + 1))
        is_all = self.has_parts and len(found) <= most
        return self._seen(list(dict.fromkeys(found))), is_all

    def _looking(self, most: int) -> Select[Any]:
        """Their keys, some perhaps twice, at the price of those that are asked for."""
        if not self.has_parts:
            return select(self.model.id.label("key")).where(self._holds(self.model))
        parts, texts = _parts_of(self._folded, _place()), self._texts
        if not is_sqlite():  # which asks for the words itself
            known = select(found_by_parts(parts, self._folded, texts, most + 1).c.key)
        else:
            found, row = having_parts(parts), SearchedText
            known = select(row.account_id.label("key")).join_from(found, row, row.id == found.c.rowid)
            wanted = row.definition_id.is_(None) | row.definition_id.in_(texts)
            known = known.where(holds(row.words, self._folded), wanted)
            known = known.with_hint(row, "NOT INDEXED", "sqlite")
        return select(union_all(known, *self._by_value(self._chosen)).subquery().c.key)

    def _seen(self, keys: list[int]) -> list[int]:
        """Those of them that whoever asks may find so."""
        if self.within == "words" or not keys:
            return keys
        own = self.model.id
        return listed(select(own).where(is_one_of(own, keys), self.of(own)))

    @property
    def has_parts(self) -> bool:
        return bool(_parts_of(self._folded))

    def of(self, key: Any) -> Any:
        """Whether the row of that key is among them."""
        if self.known is not None:
            return is_one_of(key, self.known)
        row, value = aliased(self.model), _value(0)
        own = is_there(select(row.id).where(row.id == key, self._holds(row)).correlate_except(row))
        if not self.properties:
            return own
        in_words = value.definition_id.in_(self._texts) & holds(func.coalesce(value.rest, value.text), self._folded)
        found = or_(*(condition(value) for condition in self._chosen), in_words)
        further = select(value.id).where(value.account_id == key, found)
        return own | is_there(further.correlate_except(value))

    def _holds(self, row: Any) -> Any:
        return holds(getattr(row, self.within), self._folded)

    @cached_property
    def _folded(self) -> str:
        return sort_key(self.text)

    @property
    def _conditions(self) -> list[Callable[[Any], Any]]:
        """What to ask of a row in the index of values: words at once, of choices the keys whose labels fit."""
        folded, found = self._folded, list(self._chosen)
        if texts := self._texts:
            found += [
                lambda value: value.definition_id.in_(texts) & value.text.is_not(None) & holds(value.text, folded),
                lambda value: value.definition_id.in_(texts) & value.rest.is_not(None) & holds(value.rest, folded),
            ]
        return found

    @property
    def _texts(self) -> list[int]:
        return [field.definition.id for field in self.properties if not field.definition.type.has_choices]

    @cached_property
    def _chosen(self) -> list[Callable[[Any], Any]]:
        """The same of choices alone, as far as the text stands in the label of one."""
        folded = self._folded
        return [
            lambda value, field=field: field.of(value) & field.chosen(value, folded)
            for field in self.properties
            if field.definition.type.has_choices and any(folded in sort_key(one.label) for one in field.choices)
        ]

    @staticmethod
    def _by_value(conditions: list[Callable[[Any], Any]]) -> list[Select[Any]]:
        return [
            select(_value(number).account_id.label("key")).where(condition(_value(number)))
            for number, condition in enumerate(conditions)
        ]


@lru_cache(maxsize=64)
def _value(number: int) -> Any:
    return aliased(PropertyValue, name=f"searched_{number}")


def _place() -> str:
    """The part of a path by which all that is beneath the acting account is known; none where that is not all there is
    to see."""
    scope = db.session().info.get("scope")
    is_apart = isinstance(scope, Scope) and scope.path.count("/") > 1 and not scope.linked
    return scope.path.split("/")[-2][:PART] if is_apart else ""


def _parts_of(folded: str, *more: str) -> list[str]:
    """As few parts of a text as have every letter of it; a text that has it has them all, and that is looked at later.

    A control character stands in no word, and neither database takes all of them in a question.
    """
    last = len(folded) - PART
    places = [*range(0, last, PART), last] if last >= 0 else []
    found = (folded[n : n + PART] for n in places)
    return list(dict.fromkeys(part for part in (*found, *more) if len(part) == PART and "\0" not in part))

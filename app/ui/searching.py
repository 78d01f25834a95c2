"""The quick search through a table's words and those of its properties: looked up, or asked of one row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field as fact
from functools import lru_cache
from typing import Any, ClassVar

from sqlalchemy import Select, or_, select, union
from sqlalchemy.orm import aliased

from ..extensions import holds
from ..models import PropertyValue, sort_key
from .columns import is_there
from .masks import sees_contacts


@dataclass(frozen=True, eq=False)
class Search:
    """Rows of a table in whose words, or in whose properties, a text stands.

    There are contacts among an account's `words`, so to whom these are masked it is known by its name alone (X-11).
    """

    model: type
    text: str
    properties: tuple[Any, ...]  # the fields to look through
    within: str = fact(default_factory=lambda: "words" if sees_contacts() else "name_sort")

    lacks: ClassVar[bool] = False
    looks_through: ClassVar[bool] = True  # the words of all rows, one after the other

    def keys(self) -> Select[Any]:
        """The rows it finds, each once. An arm for each index, since no database reads two of them for one OR."""
        arms = [select(self.model.id.label("key")).where(self._holds(self.model))]
        for number, condition in enumerate(self._conditions()):
            value = _value(number)
            arms.append(select(value.account_id).where(condition(value)))
        return select(union(*arms).subquery().c.key)

    def of(self, key: Any) -> Any:
        """Whether the row of that key is among them."""
        row, value = aliased(self.model), _value(0)
        own = is_there(select(row.id).where(row.id == key, self._holds(row)).correlate_except(row))
        if not self.properties:
            return own
        found = or_(*(condition(value) for condition in self._conditions()))
        further = select(value.id).where(value.account_id == key, found)
        return own | is_there(further.correlate_except(value))

    def _holds(self, row: Any) -> Any:
        return holds(getattr(row, self.within), self._folded)

    @property
    def _folded(self) -> str:
        return sort_key(self.text)

    def _conditions(self) -> list[Callable[[Any], Any]]:
        """What to ask of a row in the index of values: words at once, of choices the keys whose labels fit."""
        folded, texts = self._folded, []
        found: list[Callable[[Any], Any]] = []
        for field in self.properties:
            if field.definition.type.has_choices:
                found.append(lambda value, field=field: field.of(value) & field.chosen(value, folded))
            else:
                texts.append(field.definition.id)
        if texts:
            found += [
                lambda value: value.definition_id.in_(texts) & value.text.is_not(None) & holds(value.text, folded),
                lambda value: value.definition_id.in_(texts) & value.rest.is_not(None) & holds(value.rest, folded),
            ]
        return found


@lru_cache(maxsize=64)
def _value(number: int) -> Any:
    return aliased(PropertyValue, name=f"searched_{number}")

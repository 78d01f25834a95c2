"""The quick search through a table's words and those of its properties: looked up, or asked of one row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from sqlalchemy import Select, or_, select, union
from sqlalchemy.orm import aliased

from ..extensions import holds
from ..models import PropertyValue, sort_key


@dataclass(frozen=True, eq=False)
class Search:
    """Rows of a table in whose `words`, or in whose properties, a text stands."""

    model: type
    text: str
    properties: tuple[Any, ...]  # the fields to look through

    lacks: ClassVar[bool] = False
    looks_through: ClassVar[bool] = True  # the words of all rows, one after the other

    def keys(self) -> Select[Any]:
        """The rows it finds, each once. An arm for each index, since no database reads two of them for one OR."""
        arms = [select(self.model.id.label("key")).where(holds(self.model.words, self._folded))]
        for number in range(len(self._conditions(PropertyValue))):
            value = aliased(PropertyValue)
            arms.append(select(value.account_id).where(self._conditions(value)[number]))
        return select(union(*arms).subquery().c.key)

    def of(self, key: Any) -> Any:
        """Whether the row of that key is among them."""
        row, value = aliased(self.model), aliased(PropertyValue)
        own = select(row.id).where(row.id == key, holds(row.words, self._folded)).correlate_except(row)
        further = select(value.id).where(value.account_id == key, or_(*self._conditions(value)))
        return own.exists() | further.correlate_except(value).exists() if self.properties else own.exists()

    @property
    def _folded(self) -> str:
        return sort_key(self.text)

    def _conditions(self, value: Any) -> list[Any]:
        """What to find in the index of values: typed words at once, of choices the keys whose labels fit."""
        choosing = [field for field in self.properties if field.definition.type.has_choices]
        texts = [field.definition.id for field in self.properties if field not in choosing]
        found = [field.of(value) & field.chosen(value, self._folded) for field in choosing]
        if texts:
            among = value.definition_id.in_(texts)
            found += [among & words.is_not(None) & holds(words, self._folded) for words in (value.text, value.rest)]
        return found

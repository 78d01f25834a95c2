"""Properties on the screen: the column, the filter and the input that fit a definition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import Any, ClassVar

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from sqlalchemy import exists, func, select
from sqlalchemy.orm import aliased
from wtforms import SelectField, SelectMultipleField, TextAreaField
from wtforms.validators import InputRequired, Optional, ValidationError

from .. import properties, property_types
from ..errors import Refused
from ..models import Account, Property, PropertyType, PropertyValue, sort_key
from .columns import Field
from .fields import EmailField, LocalDateField, LocalDecimalField, Trimmed
from .filters import OPERATORS, Operator
from .formats import shown
from .page import Cell

KINDS = {
    PropertyType.INTEGER: "number",
    PropertyType.DECIMAL: "number",
}  # every other type is a kind of that name


@dataclass(frozen=True)
class Option:
    """One thing to choose: of a filter, a cell, an input."""

    value: str
    label: str

    def __str__(self) -> str:
        return self.label


# --- the column --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PropertyField(Field):
    """A property as a column: shown from the account's own values, sorted and filtered by the index of them."""

    definition: Any = None
    drives: ClassVar[bool] = True

    @property
    def index(self) -> Any:
        return _alias(self.definition.id)

    @property
    def order(self) -> Any:
        return getattr(self.index, _sorted_by(self.definition.type))

    def ordered(self, direction: str) -> Any:
        return getattr(self.order, direction)().nulls_last()

    def joined(self, statement: Any) -> Any:
        return statement.outerjoin(self._own())

    @property
    def key(self) -> Any:
        """In the index, which row it points at."""
        return self.index.account_id

    def having(self, row: Any) -> Any:
        """The keys of the rows that have a value, each tested by a statement about the row itself."""
        own = (self.index.definition_id == self.definition.id) & self.order.is_not(None)
        return select(self.key).where(own, row.correlate(self.index).exists())

    def missing(self) -> Any:
        value = aliased(PropertyValue)
        return ~exists().where(*self._conditions(value)).correlate(Account)

    def rest(self) -> tuple[Any, ...]:
        """The order of many rows without a value: any that an index has ready."""
        return (Account.path,)

    def where(self, condition: Any, *, tested: bool = False) -> Any:
        value = aliased(PropertyValue)
        if tested:
            return exists().where(*self._conditions(value), condition(value)).correlate(Account)
        having = select(value.account_id).where(value.definition_id == self.definition.id, condition(value))
        return Account.id.in_(having.correlate(None))

    def contains(self, text: str, *, tested: bool = False) -> Any:
        return self.where(lambda value: self._has(value, text), tested=tested)

    def _has(self, value: Any, text: str) -> Any:
        if self.definition.type.has_choices:
            wanted = sort_key(text)
            keys = [option.value for option in self.choices if wanted in sort_key(option.label)]
            return value.text.in_(keys) if self.kind == "choice" else _any_of(value, keys)
        return _words(value).contains(sort_key(text), autoescape=True)

    def _own(self) -> Any:
        """By the relation: the wall's condition on an alias joined by hand would name the table itself."""
        return Account.indexed.of_type(self.index).and_(self.index.definition_id == self.definition.id)

    def _conditions(self, value: Any) -> tuple[Any, ...]:
        return value.account_id == Account.id, value.definition_id == self.definition.id

    def cell(self, row: Any, *, url: str = "", indent: int = 0) -> Cell:
        value = self.value(row)
        if not self.choices or value is None:
            return Cell(shown(value, self.kind, self.currency), self.kind)
        texts = self._labels(value)
        if self.kind == "member":
            return Cell(texts[0])
        return Cell(", ".join(texts), "choice", tone="secondary", texts=tuple(texts) if self.kind == "choices" else ())

    def plain(self, row: Any) -> Any:
        value = self.value(row)
        return ", ".join(self._labels(value)) if self.choices and value is not None else value

    def _labels(self, value: Any) -> list[str]:
        labels = {option.value: option.label for option in self.choices}
        keys = value if isinstance(value, list) else [str(value)]
        return [labels.get(key, _("Former member") if self.kind == "member" else key) for key in keys]


@lru_cache(maxsize=4096)
def _alias(definition_id: int) -> Any:
    return aliased(PropertyValue, name=f"prop_{definition_id}")


def _sorted_by(type_: PropertyType) -> str:
    if type_ is PropertyType.DATE:
        return "date"
    return "text" if type_.is_text or type_ is PropertyType.MEMBER else "number"


def columns(definitions: Sequence[Property]) -> dict[str, Field]:
    """The definitions as columns of the account list, `prop_<id>` each."""
    return {name(definition): _column(definition) for definition in definitions}


def name(definition: Property) -> str:
    return f"prop_{definition.id}"


def _column(definition: Property) -> Field:
    kind = KINDS.get(definition.type, str(definition.type.value))
    return PropertyField(
        name=name(definition),
        label=properties.label_of(definition),
        kind=kind,
        value=lambda row: properties.value_of(definition, row),
        expression=PropertyValue,
        choices=options_of(definition),
        currency=definition.currency,
        operators=_OPERATORS[kind],
        searched=definition.type.is_text or definition.type.has_choices or definition.type is PropertyType.MEMBER,
        definition=definition,
    )


def options_of(definition: Property) -> list[Option]:
    if definition.type.has_choices:
        return [Option(key, label) for key, label in definition.choice_labels(property_types.language()).items()]
    if definition.type is PropertyType.MEMBER:
        return [Option(str(number), name) for number, name in property_types.members_of(definition.account_id).items()]
    return []


# --- the filters -------------------------------------------------------------------------------------------------


def _words(value: Any) -> Any:
    return func.coalesce(value.rest, value.text)


def _any_of(value: Any, keys: list[str]) -> Any:
    words = _words(value)
    return words.in_([]) if not keys else _or([words.contains(f"|{key}|", autoescape=True) for key in keys])


def _or(conditions: list[Any]) -> Any:
    first, *others = conditions
    for other in others:
        first = first | other
    return first


def _folded(field: Field, text: str) -> str:
    return sort_key(text.strip())


def _is(value: Any, text: str) -> Any:
    begins = value.text == text[: properties.INDEXED]
    return begins & (_words(value) == text) if len(text) >= properties.INDEXED else begins


def _option(field: Field, text: str) -> Option:
    found = next((option for option in field.choices if option.value == text), None)
    if found is None:
        raise ValueError(text)
    return found


def _small(field: Field, text: str) -> Decimal:
    number = OPERATORS["number"][0].read(field, text)
    if number.adjusted() > 30:
        raise ValueError(text)  # further than any value there can be
    return number


_TEXT = [
    Operator(_l("contains"), _folded, lambda value, text: _words(value).contains(text, autoescape=True)),
    Operator(_l("is"), _folded, _is),
    Operator(_l("starts with"), _folded, lambda value, text: _words(value).startswith(text, autoescape=True)),
]
_NUMBER = [
    Operator("=", _small, lambda value, number: value.number == number),
    Operator("≥", _small, lambda value, number: value.number >= number),
    Operator("≤", _small, lambda value, number: value.number <= number),
    Operator(">", _small, lambda value, number: value.number > number),
    Operator("<", _small, lambda value, number: value.number < number),
]
_DATE = [
    Operator(of_date.label, of_date.read, lambda value, day, of=of_date: of.condition(value.date, day))
    for of_date in OPERATORS["date"]
]
_FLAG = [
    Operator(_l("is"), OPERATORS["flag"][0].read, lambda value, flag: value.number == int(flag)),
]
_CHOICE = [
    Operator(_l("is"), _option, lambda value, option: value.text == option.value),
    Operator(_l("is not"), _option, lambda value, option: value.text != option.value),
]
_CHOICES = [Operator(_l("includes"), _option, lambda value, option: _any_of(value, [option.value]))]
_MEMBER = [Operator(_l("is"), _option, lambda value, option: value.number == int(option.value))]
_OPERATORS = {
    "text": _TEXT, "long": _TEXT, "url": _TEXT, "email": _TEXT, "phone": _TEXT, "number": _NUMBER, "money": _NUMBER,
    "date": _DATE, "flag": _FLAG, "choice": _CHOICE, "choices": _CHOICES, "member": _MEMBER,
}  # fmt: skip


# --- the inputs --------------------------------------------------------------------------------------------------


def form_with(form: type[FlaskForm], definitions: Sequence[Property]) -> type[FlaskForm]:
    """The form with an input for each property."""
    if not definitions:
        return form
    return type(form.__name__, (form,), {name(definition): input_for(definition) for definition in definitions})


def proposed(definitions: Sequence[Property]) -> dict[str, Any]:
    """What an add form holds before anybody has typed."""
    return {name(d): as_input(d, properties.default_of(d)) for d in definitions}


def held(definitions: Sequence[Property], account: Account) -> dict[str, Any]:
    """What an edit form holds."""
    return {name(d): as_input(d, properties.value_of(d, account)) for d in definitions}


def typed(definitions: Sequence[Property], form: FlaskForm) -> dict[Property, Any]:
    """What the person made of it."""
    return {d: from_input(d, form[name(d)].data) for d in definitions}


def input_for(definition: Property, label: Any = None, *, checked: bool = True) -> Any:
    """The input that fits the type. Unchecked, it is for the definition's own limits and default."""
    needed = checked and definition.required
    validators: list[Any] = [InputRequired(_l("Please fill this in.")) if needed else Optional()]
    if checked:
        validators.append(_Fits(definition))
    common = {
        "label": label or properties.label_of(definition),
        "description": definition.help(property_types.language()) if checked else "",
        "validators": validators,
    }
    type_ = definition.type
    if type_.has_limits and type_ is not PropertyType.DATE:
        return LocalDecimalField(**common, render_kw={"type": "text", "inputmode": "decimal"})
    if type_ is PropertyType.DATE:
        return LocalDateField(**common)
    if type_ is PropertyType.CHOICES:
        return SelectMultipleField(**common, choices=_pairs(definition))
    if type_ in {PropertyType.FLAG, PropertyType.CHOICE, PropertyType.MEMBER}:
        return SelectField(**common, choices=[("", ""), *_pairs(definition)], validate_choice=False)
    longest = definition.max_length or property_types.LONGEST
    if type_ is PropertyType.LONG:
        return TextAreaField(**common, render_kw={"maxlength": longest, "rows": 4})
    if type_ is PropertyType.EMAIL:
        return EmailField(**common, render_kw={"type": "email", "maxlength": longest})
    html = {PropertyType.URL: "url", PropertyType.PHONE: "tel"}.get(type_, "text")
    return Trimmed(**common, render_kw={"type": html, "maxlength": longest})


def _pairs(definition: Property) -> list[tuple[str, str]]:
    if definition.type is PropertyType.FLAG:
        return [("1", _("Yes")), ("0", _("No"))]
    return [(option.value, option.label) for option in options_of(definition)]


def as_input(definition: Property, value: Any) -> Any:
    """A value as its input holds it."""
    if definition.type is PropertyType.FLAG:
        return "" if value is None else str(int(value))
    if definition.type is PropertyType.MEMBER:
        return "" if value is None else str(value)
    return value


def from_input(definition: Property, data: Any) -> Any:
    """The value an input holds."""
    if definition.type is PropertyType.FLAG:
        return {"1": True, "0": False}.get(data)
    if definition.type is PropertyType.MEMBER:
        return int(data) if data and data.isdecimal() and len(data) < 19 else None
    return data


class _Fits:
    """The check every value passes, said at the field."""

    def __init__(self, definition: Property) -> None:
        self.definition = definition

    def __call__(self, _form: Any, field: Any) -> None:
        if field.errors:
            return  # not even a number
        try:
            property_types.check(self.definition, from_input(self.definition, field.data))
        except Refused as refusal:
            raise ValidationError(refusal.sentence) from refusal


def as_kept(kept: Any) -> date | Decimal | None:
    """A limit as its input holds it."""
    if kept is None:
        return None
    return date.fromisoformat(kept) if kept[4:5] == "-" else Decimal(kept)

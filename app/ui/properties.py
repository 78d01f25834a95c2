"""Properties on the screen: the column, the filter and the input that fit a definition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cached_property, lru_cache
from typing import Any, ClassVar

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel.speaklater import LazyString
from flask_wtf import FlaskForm
from sqlalchemy import false, func, or_, select
from sqlalchemy.orm import aliased
from wtforms import SelectField, SelectMultipleField, TextAreaField
from wtforms.validators import InputRequired, Optional, ValidationError

from .. import properties, property_types
from ..errors import Refused
from ..extensions import holds
from ..models import Account, Property, PropertyType, PropertyValue, sort_key
from .columns import WORDS, Field, Option, is_there
from .fields import EmailField, LocalDateField, LocalDecimalField, Trimmed, choices
from .filters import OPERATORS, Operator
from .formats import shown
from .masks import PROPERTIES, Contact
from .page import Cell

LAST = "\U0010ffff"  # no text goes on with a letter behind it
_ASKED = aliased(PropertyValue)  # a row that is asked by itself; made once, since its columns take SQLAlchemy a while
KINDS = {
    PropertyType.INTEGER: "number",
    PropertyType.DECIMAL: "number",
}  # every other type is a kind of that name


# --- the column --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PropertyField(Field):
    """A property as a column: shown from the account's own values, sorted and filtered by the index of them."""

    definition: Any = None
    drives: ClassVar[bool] = True
    indexed_in: ClassVar[type] = PropertyValue

    @property
    def index(self) -> Any:
        return _alias(self.definition.id)

    @property
    def order(self) -> Any:
        return getattr(self.index, _sorted_by(self.definition.type))

    def ordered(self, direction: str) -> Any:
        return getattr(self.order, direction)().nulls_last()

    def joined(self, statement: Any) -> Any:
        """By the relation: the wall's condition on an alias joined by hand would name the table itself."""
        return statement.outerjoin(Account.indexed.of_type(self.index).and_(self.of(self.index)))

    def known(self, value: Any) -> Any:
        """Whether there is a value at all; said by the column it is sorted by, whose index knows all of them."""
        return getattr(value, _sorted_by(self.definition.type)).is_not(None)

    def of(self, value: Any) -> Any:
        """Whether a row of the index is about this property."""
        return value.definition_id == self.definition.id

    def keys(self, condition: Any) -> Any:
        """The rows whose value fulfils a condition, looked up."""
        return select(_ASKED.account_id.label("key")).where(self.of(_ASKED), condition(_ASKED))

    def among(self, key: Any, condition: Any = None) -> Any:
        """Whether the row of that key has a value, and one that fulfils a condition."""
        there = select(_ASKED.id).where(_ASKED.account_id == key, self.of(_ASKED))
        return is_there((there if condition is None else there.where(condition(_ASKED))).correlate_except(_ASKED))

    def chosen(self, value: Any, folded: str) -> Any:
        """Whether a value is one of the choices in whose label a text stands."""
        keys = [option.value for option in self.choices if folded in sort_key(option.label)]
        return value.text.in_(keys) if self.kind == "choice" else _any_of(value, keys)

    def cell(self, row: Any, *, url: str = "", indent: int = 0) -> Cell:
        value = self.value(row)
        if self.kind in WORDS:
            return self._worded(value)
        if not self.choices or value is None:
            return Cell(shown(value, self.kind, self.currency), self.kind_of(value))
        texts = self._labels(value)
        if self.kind == "member":
            return Cell(texts[0])
        return Cell(", ".join(texts), "choice", tone="secondary", texts=tuple(texts))

    def _made(self, value: Any) -> Cell:
        if self.kind == "flag" or value is None:
            return super()._made(value)
        return Cell(self._labels(value)[0], "choice", tone="secondary")

    @property
    def parts(self) -> tuple[Any, ...]:
        return () if self.is_masked else (Account.properties,)

    def plain(self, found: Sequence[Any]) -> Sequence[Any]:
        values = self._values(found) if self.is_masked else properties.values_of(self.definition, found)
        if not self.choices:
            return values
        if self.kind == "choices":
            return [None if value is None else ", ".join(self._labels(value)) for value in values]
        words = {value: self._labels(value)[0] for value in {*values} - {None}}
        return [words.get(value) for value in values]

    def _labels(self, value: Any) -> list[str]:
        keys = value if isinstance(value, list) else [str(value)]
        return [self._label_of.get(key, _("Former member") if self.kind == "member" else key) for key in keys]

    @cached_property
    def _label_of(self) -> dict[str, str]:
        """A field lives for a request, whose language does not change."""
        return {option.value: str(option.label) for option in self.choices}


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
        label=LazyString(lambda: properties.label_of(definition)),
        kind=kind,
        value=properties.reader_of(definition),
        expression=PropertyValue,
        choices=options_of(definition),
        currency=definition.currency,
        operators=_OPERATORS[kind],
        searched=definition.type.is_text or definition.type.has_choices or definition.type is PropertyType.MEMBER,
        totaled=kind in {"number", "money"},
        contact=PROPERTIES.get(definition.type, ""),
        definition=definition,
    )


def options_of(definition: Property) -> list[Option]:
    if definition.type.has_choices:
        return [Option(choice["key"], _choice_label(definition, choice["key"])) for choice in definition.choices or []]
    if definition.type is PropertyType.MEMBER:
        return [Option(str(number), name) for number, name in property_types.members_of(definition.account_id).items()]
    return []


def _choice_label(definition: Property, key: str) -> Any:
    return LazyString(lambda: definition.choice_labels(property_types.language())[key])


# --- the filters -------------------------------------------------------------------------------------------------


def _contains(value: Any, text: str) -> Any:
    """Asked of the index alone. Of longer texts it knows the beginning, so `_goes_on_with` is to be asked, too."""
    return value.text.is_not(None) & holds(value.text, text)


def _goes_on_with(value: Any, text: str) -> Any:
    return value.rest.is_not(None) & holds(value.rest, text)


def _begins(value: Any, text: str) -> Any:
    """As a range, which an index has ready."""
    beginning = text[: properties.INDEXED]
    there = (value.text >= beginning) & (value.text < beginning + LAST)
    return there if len(text) < properties.INDEXED else there & value.rest.startswith(text, autoescape=True)


def _any_of(value: Any, keys: list[str]) -> Any:
    return or_(false(), *(_contains(value, f"|{key}|") for key in keys))


def _any_further(value: Any, option: Option) -> Any:
    return _goes_on_with(value, f"|{option.value}|")


def _folded(field: Field, text: str) -> str:
    return sort_key(text.strip())


def _is(value: Any, text: str) -> Any:
    begins = value.text == text[: properties.INDEXED]
    return begins if len(text) < properties.INDEXED else begins & (func.coalesce(value.rest, value.text) == text)


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
    Operator(_l("contains"), _folded, _contains, _goes_on_with),
    Operator(_l("is"), _folded, _is),
    Operator(_l("starts with"), _folded, _begins),
    Operator(_l("is not"), _folded, _is, negative=True),
    Operator(_l("does not contain"), _folded, _contains, _goes_on_with, negative=True),
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
    Operator(_l("is not"), _option, lambda value, option: value.text == option.value, negative=True),
]
_CHOICES = [
    Operator(_l("includes"), _option, lambda value, option: _any_of(value, [option.value]), _any_further),
    Operator(
        _l("does not include"), _option, lambda value, option: _any_of(value, [option.value]), _any_further, True
    ),
]
_MEMBER = [
    Operator(_l("is"), _option, lambda value, option: value.number == int(option.value)),
    Operator(_l("is not"), _option, lambda value, option: value.number == int(option.value), negative=True),
]
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
    """What the person made of it; an input taken out of the form leaves the value alone."""
    return {d: from_input(d, form[name(d)].data) for d in definitions if name(d) in form}


def input_for(definition: Property, label: Any = None, *, checked: bool = True) -> Any:
    """The input that fits the type. Unchecked, it is for the definition's own limits and default."""
    needed = checked and definition.required
    validators: list[Any] = [InputRequired(_l("Please fill this in.")) if needed else Optional()]
    if checked:
        validators.append(_Fits(definition))
    if definition.type in PROPERTIES:
        validators.append(Contact(PROPERTIES[definition.type]))
    common = {
        "label": label or properties.label_of(definition),
        "description": definition.help(property_types.language()) if checked else "",
        "validators": validators,
    }
    type_ = definition.type
    if type_.has_limits and type_ is not PropertyType.DATE:
        return LocalDecimalField(**common)
    if type_ is PropertyType.DATE:
        return LocalDateField(**common)
    if type_ is PropertyType.CHOICES:
        return SelectMultipleField(**common, choices=choices(_pairs(definition)))
    if type_ in {PropertyType.FLAG, PropertyType.CHOICE, PropertyType.MEMBER}:
        return SelectField(**common, choices=choices([("", ""), *_pairs(definition)]), validate_choice=False)
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
    return [(option.value, str(option.label)) for option in options_of(definition)]


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

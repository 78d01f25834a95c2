"""Forms: the input that fits a column, in the person's language, with its error at the field."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from sqlalchemy import Boolean, Date, Enum, Integer, Numeric, String, Text, inspect, select
from wtforms import BooleanField, DateField, DecimalField, SelectChoice, SelectField, StringField, TextAreaField
from wtforms.validators import Email, InputRequired, Length, Optional, ValidationError
from wtforms.widgets import TextInput

from .. import vat
from ..errors import Refused
from ..extensions import Moment, db
from ..models import Article, Plan, Product, Role, sort_key
from ..permissions import may_grant
from ..property_types import phone_number, web_address
from ..regions import TIME_ZONES
from ..tenancy import current_scope
from .formats import country_names, currency_names, language_names, read_date, read_decimal, read_whole_number, shown
from .masks import CONTACTS, Contact


class LocalDecimalField(DecimalField):
    """A number typed as people write it in their language; the browser's own number input knows no comma."""

    widget, keys = TextInput(), "decimal"

    def __call__(self, **attributes: Any) -> Any:
        return super().__call__(**{"inputmode": self.keys} | attributes)

    def process_formdata(self, valuelist: list[str]) -> None:
        self.data = None if valuelist else self.data  # emptied is empty
        if valuelist and valuelist[0].strip():
            try:
                self.data = read_decimal(valuelist[0])
            except ValueError as error:
                raise ValueError(_("Not a number.")) from error

    def _value(self) -> str:
        return self.raw_data[0] if self.raw_data else shown(self.data, "number")


class WholeNumberField(LocalDecimalField):
    """A number without decimal places."""

    keys = "numeric"

    def process_formdata(self, valuelist: list[str]) -> None:
        self.data = None if valuelist else self.data
        if valuelist and valuelist[0].strip():
            try:
                self.data = read_whole_number(valuelist[0])
            except ValueError as error:
                raise ValueError(_("A whole number, please.")) from error


class LocalDateField(DateField):
    """A day from the browser's own input, or typed as people write it."""

    def process_formdata(self, valuelist: list[str]) -> None:
        self.data = None if valuelist else self.data
        if valuelist and valuelist[0].strip():
            try:
                self.data = read_date(valuelist[0])
            except ValueError as error:
                raise ValueError(_("Not a date.")) from error


class Trimmed(StringField):
    """Text without outer space; what was not sent, even with the whole form, is the empty text."""

    def process_data(self, value: str | None) -> None:
        self.data = value or ""

    def process_formdata(self, valuelist: list[str]) -> None:
        self.data = valuelist[0].strip().replace("\x00", "") if valuelist else ""


class EmailField(Trimmed):
    """An address; upper case is folded away, as in sign-in."""

    def process_formdata(self, valuelist: list[str]) -> None:
        super().process_formdata(valuelist)
        self.data = self.data.lower()


def reason_field(longest: int, about: Any) -> Trimmed:
    """Why something is done to somebody, who reads it."""
    validators = [InputRequired(_l("Please fill this in.")), Length(max=longest)]
    return Trimmed(_l("Reason"), validators, description=about)


def choices(pairs: Iterable[tuple[Any, Any]]) -> list[SelectChoice]:
    """Pairs of value and label as a select wants them."""
    return [SelectChoice(value, label) for value, label in pairs]


def countries() -> list[SelectChoice]:
    return choices([("", ""), *country_names().items()])


def languages() -> list[SelectChoice]:
    return choices(language_names().items())


def currencies() -> list[SelectChoice]:
    return choices(currency_names().items())


def time_zones() -> list[SelectChoice]:
    return choices((zone, zone.replace("_", " ")) for zone in TIME_ZONES)


def roles() -> list[SelectChoice]:
    """The roles the person may hand out (M-7)."""
    own = current_scope().role
    return choices((role.value, str(role.label)) for role in Role if may_grant(own, role))


def articles() -> list[SelectChoice]:
    """What can be acquired."""
    offered = db.session.scalars(select(Article).where(Article.archived_at.is_(None)))
    return choices((one.id, f"{one.name} ({one.number})") for one in _by_name(offered))


def products() -> list[SelectChoice]:
    """What plans can be of."""
    offered = db.session.scalars(select(Product).where(Product.archived_at.is_(None)))
    return choices((one.id, one.name) for one in _by_name(offered))


def plans() -> list[SelectChoice]:
    """What can be chosen; none is a choice, too."""
    offered = db.session.scalars(select(Plan).where(Plan.archived_at.is_(None)))
    return choices([("", ""), *((one.id, one.name) for one in _by_name(offered))])


def _by_name(offered: Any) -> list[Any]:
    return sorted(offered, key=lambda one: sort_key(one.name))


def _number_or_none(value: Any) -> int | None:
    return int(value) if value else None


SPECIAL = {
    "article_id": (SelectField, {"choices": articles, "coerce": int}),
    "product_id": (SelectField, {"choices": products, "coerce": int}),
    "plan_id": (SelectField, {"choices": plans, "coerce": _number_or_none}),
    "country": (SelectField, {"choices": countries}),
    "language": (SelectField, {"choices": languages}),
    "currency": (SelectField, {"choices": currencies}),
    "time_zone": (SelectField, {"choices": time_zones}),
    "role": (SelectField, {"choices": roles}),
}


class Checked:
    """What a rule says of an input by itself: at once with what is wrong in the others, not when they are mended.

    The deed asks the same rule again, and keeps what it makes of the text.
    """

    def __init__(self, rule: Callable[[str, Any], Any]) -> None:
        self.rule = rule

    def __call__(self, form: Any, field: Any) -> None:
        try:
            self.rule(field.data or "", form)
        except Refused as refusal:
            raise ValidationError(refusal.sentence) from refusal


RULES: dict[str, Callable[[str, Any], Any]] = {
    "phone": lambda text, _form: phone_number(text),
    "website": lambda text, _form: web_address(text),
    "vat_id": lambda text, form: vat.check(text, form.country.data or "" if "country" in form else ""),
}
HTML = {"phone": {"type": "tel"}, "website": {"type": "url"}}  # so that a phone shows the keys that fit


def form_for(model: type, names: list[str], labels: dict[str, Any], helps: dict[str, Any]) -> type[FlaskForm]:
    """A form class with the input that fits each column, required and bounded as the column is."""
    contacts = CONTACTS.get(model, {})
    body = {
        name: _input(inspect(model).columns[name], labels[name], helps.get(name, ""), contacts.get(name))
        for name in names
    }
    return type(f"{model.__name__}Form", (FlaskForm,), body)


def _input(column: Any, label: Any, help_text: Any, contact: str | None) -> Any:
    required = not column.nullable and column.default is None
    validators: list[Any] = [InputRequired(_l("Please fill this in."))] if required else [Optional()]
    validators += [Contact(contact)] if contact else []
    common = {"label": label, "description": help_text, "validators": validators, "name": column.key}
    if column.key in SPECIAL:
        kind, extra = SPECIAL[column.key]
        default = column.default.arg if column.default is not None else None
        if column.key in {"country", "time_zone"}:
            extra = {**extra, "render_kw": {"data-searchable": ""}}
        return kind(**common, default=default, **extra)
    type_ = column.type
    if isinstance(type_, Enum):
        return SelectField(**common, choices=choices((one.value, one.label) for one in type_.enum_class))
    if isinstance(type_, Boolean):
        return BooleanField(label=label, description=help_text)
    if isinstance(type_, Date | Moment):
        return LocalDateField(**common)
    if isinstance(type_, Integer):
        return WholeNumberField(**common)
    if isinstance(type_, Numeric):
        return LocalDecimalField(**common)
    if isinstance(type_, Text):
        return TextAreaField(**common)
    if isinstance(type_, String) and type_.length:
        validators.append(Length(max=type_.length))
    if column.key in RULES:
        validators.append(Checked(RULES[column.key]))
        return Trimmed(**common, render_kw=HTML.get(column.key, {}))
    if column.key == "email":
        validators.append(Email(_l("This is not an e-mail address.")))
        return EmailField(**common, render_kw={"type": "email"})
    return Trimmed(**common)

"""What a column looks like in JSON: the shape the OpenAPI document tells, and by which what comes in is checked.

One dictionary says both, so that the document cannot promise what the check refuses.
"""

from __future__ import annotations

from typing import Any

from email_validator import EmailNotValidError, validate_email
from flask_babel import gettext as _
from jsonschema import Draft202012Validator, FormatChecker
from sqlalchemy import Boolean, Date, Enum, Integer, Numeric, inspect

from ...extensions import Moment
from ..columns import Field
from ..fields import SPECIAL

LARGEST = 2**31 - 1  # PostgreSQL's INTEGER
LONGEST = 20_000  # characters of a text without a limit of its own
CODES = {"country", "language", "currency", "time_zone"}
Shape = dict[str, Any]


def of_input(model: type, name: str) -> Shape:
    """What may be sent for a column."""
    column = inspect(model).columns[name]
    shape = _of_code(name) if name in CODES else _of_type(column.type)
    if name == "email":
        shape["format"] = "email"
    if _is_required(column) and shape.get("type") == "string" and "enum" not in shape:
        shape["minLength"] = 1
    return {**shape, "type": [shape["type"], "null"]} if column.nullable else shape


def of_object(properties: dict[str, Shape], needed: list[str] | None = None) -> Shape:
    """Fields of those shapes and no others; those `needed` have to be there, without word all of them."""
    needed = [*properties] if needed is None else needed
    return {"type": "object", "properties": properties, "required": needed, "additionalProperties": False}


def required(model: type, names: list[str]) -> list[str]:
    columns = inspect(model).columns
    return [name for name in names if _is_required(columns[name])]


def _is_required(column: Any) -> bool:
    return not column.nullable and column.default is None


def _of_code(name: str) -> Shape:
    return {"type": "string", "enum": [choice.value for choice in SPECIAL[name][1]["choices"]()]}


def _of_type(type_: Any) -> Shape:
    if isinstance(type_, Enum):
        return {"type": "string", "enum": [choice.value for choice in type_.enum_class]}
    if isinstance(type_, Boolean):
        return {"type": "boolean"}
    if isinstance(type_, Moment):
        return {"type": "string", "format": "date-time"}
    if isinstance(type_, Date):
        return {"type": "string", "format": "date"}
    if isinstance(type_, Integer):
        return {"type": "integer", "minimum": -LARGEST, "maximum": LARGEST}
    if isinstance(type_, Numeric):
        return {"type": "string", "format": "decimal"}
    return {"type": "string", "maxLength": getattr(type_, "length", None) or LONGEST}


def of_output(field: Field) -> Shape:
    """What is told of a column. Enumerations are told in full; codes by the standard they are from."""
    if field.kind == "json":
        return {}
    type_ = getattr(field.expression, "type", None)
    if field.kind == "choice" and field.choices:
        shape: Shape = {"type": "string", "enum": [choice.value for choice in field.choices]}
    elif isinstance(type_, Integer) and field.kind == "number":
        shape = {"type": "integer"}
    else:
        shape = {"type": "string", **_FORMATS.get(field.kind, {})}
    if _may_be_null(field.expression):
        shape = {**shape, "type": [shape["type"], "null"]}
        if "enum" in shape:
            shape["enum"] = [*shape["enum"], None]
    return shape


def _may_be_null(expression: Any) -> bool:
    column = getattr(expression, "property", None)
    return column is None or column.columns[0].nullable


_FORMATS: dict[str, Shape] = {
    "moment": {"format": "date-time"},
    "date": {"format": "date"},
    "flag": {"type": "boolean"},
    "number": {"format": "decimal"},
    "money": {"format": "decimal"},
}


# --- checking what came in ---------------------------------------------------------------------------------------

_checker = FormatChecker(formats=())


@_checker.checks("email", raises=EmailNotValidError)
def _is_email(value: Any) -> bool:
    return not isinstance(value, str) or not value.strip() or bool(validate_email(value, check_deliverability=False))


def faults(shape: Shape, value: Any) -> list[tuple[str, str]]:
    """Where a value does not fit the shape, and why: (field, sentence)."""
    errors = Draft202012Validator(shape, format_checker=_checker).iter_errors(value)
    return [(field, sentence) for error in errors for field, sentence in _told(error)]


def _told(error: Any) -> list[tuple[str, str]]:
    place = [str(step) for step in error.absolute_path]
    if error.validator == "required":
        missing = [name for name in error.validator_value if name not in error.instance]
        return [(".".join([*place, name]), _("Please fill this in.")) for name in missing]
    if error.validator == "additionalProperties":
        unknown = sorted(set(error.instance) - set(error.schema.get("properties", {})))
        return [(".".join([*place, name[:60]]), _("There is no such field.")) for name in unknown]
    return [(".".join(place), _sentence(error.validator, error.validator_value))]


def _sentence(rule: str, limit: Any) -> str:
    match rule:
        case "enum":
            return _("Not one of the choices.")
        case "type":
            types = [limit] if isinstance(limit, str) else limit
            return _("Of another type; expected: %(type)s.", type=", ".join(types))
        case "maxLength":
            return _("At most %(count)s characters.", count=limit)
        case "minLength":
            return _("Please fill this in.")
        case "minimum":
            return _("At least %(value)s.", value=limit)
        case "maximum":
            return _("At most %(value)s.", value=limit)
        case "format" if limit == "email":
            return _("This is not an e-mail address.")
    return _("Not understood.")

"""What a program sends: JSON, exact numbers, within a shape; and what it is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

from flask import Response, request
from flask_babel import gettext as _

from ...errors import Refused
from ...models import Property, PropertyType
from .problems import Problem
from .shapes import Shape, faults


def given(shape: Shape) -> dict[str, Any]:
    """The body, of that shape; texts without outer space. Raises `Problem` with an error for each wrong field."""
    if not request.is_json:
        raise Problem(415)
    body = read_json(request.get_data())
    if not isinstance(body, dict):
        raise Problem(400, _("The body has to be a JSON object."))
    if wrong := faults(shape, body):
        raise Problem(422, errors=wrong)
    return {name: value.strip() if isinstance(value, str) else value for name, value in body.items()}


def read_json(text: bytes | str) -> Any:
    """What a JSON text says, numbers exact. Raises `Problem` (400) for what is none, or holds what no text may."""
    try:
        value = json.loads(text, parse_float=Decimal, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise Problem(400, _("This is not JSON.")) from error
    refuse_unwritable(value)
    return value


def refuse_unwritable(value: Any) -> None:
    """No database keeps a null character, and nothing writes half of a surrogate pair."""
    if any("\x00" in text or any("\ud800" <= c <= "\udfff" for c in text) for text in _texts(value)):
        raise Problem(400, _("There is a character in it that no text may have."))


def _texts(value: Any) -> Iterator[str]:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict):
            waiting += [*one, *one.values()]
        elif isinstance(one, list):
            waiting += one


def _refuse_constant(name: str) -> None:
    raise ValueError(name)  # NaN and Infinity are no JSON


def told(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """The answer, its order kept."""
    return Response(json.dumps(body, ensure_ascii=False), status, headers, mimetype="application/json")


def plain(value: Any) -> Any:
    """A value as JSON tells it: moments and days ISO, the moment with its zone; exact numbers as text."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime | date):
        return value.isoformat()
    return f"{value:f}" if isinstance(value, Decimal) else value


# --- the values of properties --------------------------------------------------------------------------------------


def plain_value(definition: Property, value: Any) -> Any:
    """A property's value as JSON tells it: whole numbers as numbers, others exact as text."""
    if definition.type is PropertyType.INTEGER and value is not None:
        return int(value)
    return plain(value)


def value_from(definition: Property, value: Any) -> Any:
    """A property's value as `properties.write` takes it. Raises `Refused` where JSON says something else."""
    if definition.type.is_number:
        return _number(value)
    match definition.type:
        case PropertyType.DATE:
            return _day(value)
        case PropertyType.CHOICES if value is not None and not isinstance(value, list):
            raise Refused(_("Send a list of keys."))
        case PropertyType.MEMBER if isinstance(value, bool):
            raise Refused(_("Not a member of this account."))
    return value


def _number(value: Any) -> Decimal | None:
    if value is None or value == "":
        return None
    try:
        if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
            raise ValueError(value)
        return Decimal(value)
    except (ValueError, ArithmeticError) as error:
        raise Refused(_("Not a number.")) from error


def _day(value: Any) -> date | None:
    if value is None or value == "":
        return None
    try:
        if not isinstance(value, str) or len(value) != 10:
            raise ValueError(value)
        return date.fromisoformat(value)
    except ValueError as error:
        raise Refused(_("Not a date.")) from error


def shape_of_value(definition: Property) -> Shape:
    """What a property's value looks like."""
    match definition.type:
        case PropertyType.INTEGER:
            return {"type": ["integer", "string", "null"]}
        case PropertyType.DECIMAL | PropertyType.MONEY:
            return {"type": ["string", "number", "null"]}
        case PropertyType.FLAG:
            return {"type": ["boolean", "null"]}
        case PropertyType.CHOICES:
            return {"type": ["array", "null"], "items": {"type": "string"}}
        case PropertyType.MEMBER:
            return {"type": ["integer", "null"]}
    return {"type": ["string", "null"]}

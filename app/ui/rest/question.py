"""What a program asks of a list: `?q=` in rison or JSON, as Flask-AppBuilder spells it.

Columns, filters, order and page become the same `Listing` that draws the screens, so both find the same rows as fast.
What cannot be understood is an error here: nobody would read a notice.
"""

from __future__ import annotations

import operator
from copy import deepcopy
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import prison
from flask import request
from flask_appbuilder.api.schemas import get_info_schema, get_item_schema, get_list_schema
from flask_babel import gettext as _
from prison.decoder import ParserException
from sqlalchemy import Integer
from werkzeug.datastructures import MultiDict

from ..columns import Field
from ..filters import Applied, Operator, operators_of
from ..listing import Listing
from .bodies import read_json, refuse_unwritable
from .problems import Problem
from .shapes import faults

LONGEST = 8_000  # characters of a question
PAGE_SIZE, LARGEST_PAGE = 20, 100
LAST_PAGE = 1_000_000

# How Flask-AppBuilder calls the operators of each kind, in the order `filters.OPERATORS` has them.
_TEXT, _ORDERED = ("ct", "eq", "sw", "neq", "nct"), ("eq", "ge", "le", "gt", "lt")
OPRS: dict[str, tuple[str, ...]] = {
    "text": _TEXT, "long": _TEXT, "email": _TEXT, "url": _TEXT, "phone": _TEXT, "link": _TEXT,
    "number": _ORDERED, "money": _ORDERED, "date": _ORDERED, "moment": _ORDERED,
    "choice": ("eq", "neq"), "country": ("eq", "neq"), "language": ("eq", "neq"),
    "flag": ("eq",), "choices": ("ct", "nct"), "member": ("eq", "neq"),
}  # fmt: skip


def _strict(schema: dict[str, Any]) -> dict[str, Any]:
    return {**deepcopy(schema), "additionalProperties": False}


OF_LIST, OF_ITEM, OF_INFO = _strict(get_list_schema), _strict(get_item_schema), _strict(get_info_schema)
OF_LIST["properties"]["page"] |= {"minimum": 0, "maximum": LAST_PAGE}
OF_LIST["properties"]["page_size"] |= {"minimum": 1, "maximum": LARGEST_PAGE}


def asked(shape: dict[str, Any]) -> dict[str, Any]:
    """The question of this request; nothing asked is an empty one. Raises `Problem` (400)."""
    text = request.args.get("q", "").strip()
    if not text:
        return {}
    if len(text) > LONGEST:
        raise Problem(400, _("The question q is too long."))
    question = read_json(text) if text.startswith("{") else _rison(text)
    if wrong := faults(shape, question):
        errors = [(f"q.{field}".rstrip("."), sentence) for field, sentence in wrong]
        raise Problem(400, _("The question q was not understood."), errors=errors)
    return question


def _rison(text: str) -> Any:
    try:
        value = prison.loads(text)
    except (ParserException, ValueError, IndexError, TypeError, RecursionError) as error:
        raise Problem(400, _("The question q is neither rison nor JSON.")) from error
    refuse_unwritable(value)
    return value


def listing(question: dict[str, Any], fields: dict[str, Field], **of_list: Any) -> Listing:
    """The rows asked for. `fields` are the columns by the names programs know them by."""
    found = Listing(fields={f.name: f for f in fields.values()}, args=MultiDict(), url="", **of_list)
    found.page, found.size = question.get("page", 0) + 1, question.get("page_size", PAGE_SIZE)
    found.filters = [_applied(wanted, fields) for wanted in question.get("filters", [])]
    if name := question.get("order_column"):
        found.sort = [(_sortable(name, fields), question.get("order_direction", "asc"))]
    return found


def _sortable(name: str, fields: dict[str, Field]) -> Field:
    field = fields.get(name)
    if field is None or field.expression is None:
        raise _not_so("order_column", _("This list cannot be sorted by “%(name)s”.", name=name[:40]))
    return field


def _applied(wanted: dict[str, Any], fields: dict[str, Field]) -> Applied:
    name, opr = wanted["col"], wanted["opr"]
    field = fields.get(name)
    if field is None or opr not in oprs(field):
        said = _("There is no filter “%(opr)s” on “%(name)s”.", opr=opr[:20], name=name[:40])
        raise _not_so("filters", said)
    number = oprs(field).index(opr)
    values = wanted["value"] if isinstance(wanted["value"], list) else [wanted["value"]]
    if not values or len(values) > LARGEST_PAGE:
        raise _not_so("filters", _("Between 1 and %(count)s values, please.", count=LARGEST_PAGE))
    try:
        read = [_read(field, number, value) for value in values]
        if len({type(value) for value in read}) > 1:
            raise ValueError(values)
    except (ValueError, InvalidOperation) as error:
        said = _("“%(value)s” is no value of “%(name)s”.", value=str(wanted["value"])[:40], name=name[:40])
        raise _not_so("filters", said) from error
    chosen = operators_of(field)[number]
    if field.kind == "moment" and isinstance(read[0], datetime):
        chosen = _AT_MOMENT[opr]
    return Applied(name, field, chosen, read, [str(value) for value in values])


def _not_so(part: str, said: str) -> Problem:
    return Problem(400, said, errors=[(f"q.{part}", said)])


def oprs(field: Field) -> tuple[str, ...]:
    """How a column can be filtered."""
    return OPRS[field.kind][: len(operators_of(field))] if field.expression is not None else ()


def _read(field: Field, number: int, value: Any) -> Any:
    """The value meant, as no language writes it: numbers with a point, days and moments ISO."""
    match field.kind:
        case "number" | "money":
            return _number(field, value)
        case "date":
            return _day(value)
        case "moment":
            return _day(value) if len(str(value)) == 10 else _moment(value)
        case "flag":
            if not isinstance(value, bool):
                raise ValueError(value)
            value = int(value)
    if isinstance(value, bool):
        raise ValueError(value)
    return operators_of(field)[number].read(field, str(value)[:200])


def _number(field: Field, value: Any) -> Decimal | int:
    if isinstance(value, bool):
        raise ValueError(value)
    number = Decimal(str(value))
    if not number.is_finite() or number.adjusted() > 17:
        raise ValueError(value)
    if isinstance(getattr(field.expression, "type", None), Integer):
        if number != int(number):
            raise ValueError(value)
        return int(number)
    return number


def _day(value: Any) -> date:
    day = date.fromisoformat(str(value))
    if not 1000 <= day.year <= 9000:
        raise ValueError(value)  # further than any calendar of ours
    return day


def _moment(value: Any) -> datetime:
    moment = datetime.fromisoformat(str(value))
    if moment.tzinfo is None or not 1000 <= moment.year <= 9000:
        raise ValueError(value)
    return moment


_AT_MOMENT = {opr: Operator(opr, _moment, getattr(operator, opr)) for opr in _ORDERED}

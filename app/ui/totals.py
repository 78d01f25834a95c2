"""Totals: what the numbers of all filtered rows come to, exactly, and apart what cannot be added up.

Such are currencies, amounts for a month and for a year, pieces of one article and of another.
Where all rows stand on the page they are added up there; otherwise by one statement, and only if a column with a total
is shown. That looks at every row, so in a list of more than `LIGHT` rows it is done when somebody asks (`totals=1`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from sqlalchemy import func, literal, select
from sqlalchemy.orm import aliased

from ..extensions import db, exact_sum
from ..models import PropertyValue
from ..money import from_minor
from .columns import Field
from .finding import Finding
from .formats import shown
from .listing import Listing
from .page import Sum, Totals

LIGHT = 2_000  # rows that are added up without being asked
MOST_UNITS = 6  # in which a column is added up

Unit = tuple[str, Any]  # an amount's currency, and what it is of: a month or a year, one article; mostly neither
Sums = dict[str, dict[Unit, Decimal]]  # a column's name → its total in each unit
Per = dict[str, Field | None]  # a column's name → the column that says of what each of its numbers is


def totals(listing: Listing, rows: list[Any], count: int) -> Totals | None:
    """The foot of the list, of which these rows stand on the page; none where nothing shown can be added up."""
    fields = [field for field in listing.fields.values() if field.totaled]
    if not fields or not rows:
        return None
    if count > LIGHT and listing.args.get("totals") != "1":
        return Totals({}, ask_url=listing.url_with(totals="1"))
    per = {field.name: listing.available.get(field.per) for field in fields}
    sums = of_these(rows, fields, per) if len(rows) == count else of_all(listing.finding, fields, per)
    hide_url = listing.url_with(totals=None) if count > LIGHT else ""
    return Totals({field.name: _in_words(field, sums.get(field.name, {})) for field in fields}, hide_url=hide_url)


def of_these(rows: list[Any], fields: list[Field], per: Per) -> Sums:
    """What the columns come to over rows at hand."""
    return {field.name: _added(_told(field, per[field.name], row) for row in rows) for field in fields}


def _told(field: Field, per: Field | None, row: Any) -> tuple[Unit, Any]:
    return (field.currency_of(row), per.value(row) if per else None), field.value(row)


def of_all(finding: Finding, fields: list[Field], per: Per) -> Sums:
    """What the columns come to over every row there is."""
    own = [field for field in fields if not field.drives]
    properties = [field for field in fields if field.drives]
    return (_of_rows(finding, own, per) if own else {}) | (_of_properties(finding, properties) if properties else {})


def _of_rows(finding: Finding, fields: list[Field], per: Per) -> Sums:
    currency = next((field.minor[1] for field in fields if field.minor), literal(""))
    apart = [one for one in map(per.get, (field.name for field in fields)) if one][:1]  # a list has one such column
    units = [currency, *(one.expression for one in apart)]
    summed = [func.sum(field.minor[0] if field.minor else field.expression) for field in fields]
    relations = {one.name.partition(".")[0] for one in [*fields, *apart] if "." in one.name}
    statement = finding.of_all(select(*units, *summed).select_from(finding.model), *relations).group_by(*units)
    found = db.session.execute(statement).all()
    return {
        field.name: _added((_unit(field, per, row), _amount(field, row[0], row[n])) for row in found)
        for n, field in enumerate(fields, len(units))
    }


def _unit(field: Field, per: Per, row: Any) -> Unit:
    return row[0] if field.minor else "", row[1] if per[field.name] else None


def _of_properties(finding: Finding, fields: list[Any]) -> Sums:
    """Of the index of properties, where only the rows' numbers are asked for."""
    value, names = aliased(PropertyValue), {field.definition.id: field.name for field in fields}
    sums = select(value.definition_id, exact_sum(value.number)).group_by(value.definition_id)
    sums = sums.where(value.definition_id.in_(names), value.account_id.in_(finding.keys()))
    return {names[number]: _added([(("", None), total)]) for number, total in db.session.execute(sums)}


def _amount(field: Field, currency: str, total: Any) -> Any:
    return from_minor(total, currency) if field.minor and total is not None else total


def _added(numbers: Iterable[tuple[Unit, Any]]) -> dict[Unit, Decimal]:
    """Unit → sum; where there is no number at all, nothing."""
    added: Counter[Unit] = Counter()
    for unit, number in numbers:
        if number is not None:
            added[unit] += Decimal(number)
    return dict(sorted(added.items(), key=lambda one: (one[0][0], str(one[0][1] or ""))))


def _in_words(field: Field, sums: dict[Unit, Decimal]) -> list[Sum]:
    """Without the zeros a double brings along; nothing where it would be a list of its own."""
    if len(sums) > MOST_UNITS:
        return [Sum("–")]
    return [_said(field, unit, Decimal(f"{total.normalize():f}")) for unit, total in sums.items()]


def _said(field: Field, unit: Unit, total: Decimal) -> Sum:
    currency, what_for = unit
    return Sum(shown(total, field.kind, currency or field.currency), shown(what_for, "choice"))

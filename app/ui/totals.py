"""Totals: what the numbers of all filtered rows come to, exactly, and amounts by their currency.

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
from .page import Totals

LIGHT = 2_000  # rows that are added up without being asked

Sums = dict[str, dict[str, Decimal]]  # a column's name → its total, of amounts by currency


def totals(listing: Listing, rows: list[Any], count: int) -> Totals | None:
    """The foot of the list, of which these rows stand on the page; none where nothing shown can be added up."""
    fields = [field for field in listing.fields.values() if field.totaled]
    if not fields or not rows:
        return None
    if count > LIGHT and listing.args.get("totals") != "1":
        return Totals({}, ask_url=listing.url_with(totals="1"))
    sums = of_these(rows, fields) if len(rows) == count else of_all(listing.finding, fields)
    hide_url = listing.url_with(totals=None) if count > LIGHT else ""
    return Totals({field.name: _in_words(field, sums.get(field.name, {})) for field in fields}, hide_url=hide_url)


def of_these(rows: list[Any], fields: list[Field]) -> Sums:
    """What the columns come to over rows at hand."""
    return {field.name: _added((field.currency_of(row), field.value(row)) for row in rows) for field in fields}


def of_all(finding: Finding, fields: list[Field]) -> Sums:
    """What the columns come to over every row there is."""
    own = [field for field in fields if not field.drives]
    properties = [field for field in fields if field.drives]
    return (_of_rows(finding, own) if own else {}) | (_of_properties(finding, properties) if properties else {})


def _of_rows(finding: Finding, fields: list[Field]) -> Sums:
    currency = next((field.minor[1] for field in fields if field.minor), literal(""))
    summed = [func.sum(field.minor[0] if field.minor else field.expression) for field in fields]
    relations = {field.name.partition(".")[0] for field in fields if "." in field.name}
    statement = finding.of_all(select(currency, *summed).select_from(finding.model), *relations).group_by(currency)
    found = db.session.execute(statement).all()
    return {
        field.name: _added((row[0] if field.minor else "", _amount(field, row[0], row[n])) for row in found)
        for n, field in enumerate(fields, 1)
    }


def _of_properties(finding: Finding, fields: list[Any]) -> Sums:
    """Of the index of properties, where only the rows' numbers are asked for."""
    value, names = aliased(PropertyValue), {field.definition.id: field.name for field in fields}
    sums = select(value.definition_id, exact_sum(value.number)).group_by(value.definition_id)
    sums = sums.where(value.definition_id.in_(names), value.account_id.in_(finding.keys()))
    return {names[number]: _added([("", total)]) for number, total in db.session.execute(sums)}


def _amount(field: Field, currency: str, total: Any) -> Any:
    return from_minor(total, currency) if field.minor and total is not None else total


def _added(numbers: Iterable[tuple[str, Any]]) -> dict[str, Decimal]:
    """Currency → sum; where there is no number at all, nothing."""
    added: Counter[str] = Counter()
    for currency, number in numbers:
        if number is not None:
            added[currency] += Decimal(number)
    return dict(sorted(added.items()))


def _in_words(field: Field, sums: dict[str, Decimal]) -> list[str]:
    """Without the zeros a double brings along."""
    plain = {currency: Decimal(f"{total.normalize():f}") for currency, total in sums.items()}
    return [shown(total, field.kind, currency or field.currency) for currency, total in plain.items()]

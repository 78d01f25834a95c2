"""Conversions of many values: the worker looks at all of them first, then writes them in one short transaction (M-9).

A definition says what it is to become, how far the work is, and what stood in the way. Until the end everybody goes on
seeing and writing the old values; whatever they write meanwhile is converted with the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from flask_babel import force_locale
from sqlalchemy import or_, select, update

from .. import clock
from .. import properties as values
from .. import property_types as types
from ..audit import record
from ..errors import Refused
from ..extensions import db
from ..models import Account, ConversionStatus, Member, Property, PropertyValue
from . import properties
from .properties import Misfits

CHUNK = 2_000  # values in memory
FORSAKEN = timedelta(minutes=10)  # after which another worker takes over; progress is a sign of life
SHOWN = 20  # misfits that are kept, to be looked at


def due() -> list[int]:
    """The definitions that wait for the worker, or were left behind by one."""
    return list(db.session.scalars(select(Property.id).where(_to_be_taken())))


def claim(definition_id: int) -> bool:
    """Take a conversion up; of several workers one gets it."""
    taken = update(Property).where(Property.id == definition_id, _to_be_taken())
    facts = {"conversion_status": ConversionStatus.RUNNING, "conversion_at": clock.now()}
    return db.session.execute(taken.values(facts), execution_options=_UNSEEN).rowcount == 1


def look(definition_id: int, after: int) -> int | None:
    """Try some values, from an account on; answers the last account looked at, `None` when that was all of them."""
    definition = db.session.get(Property, definition_id)
    afresh = {} if after else {"done": 0, "misfits": 0, "found": []}  # another worker may have begun
    told, last = definition.conversion | afresh, after
    with _in_words_of(definition):
        wanted, found, pairs = properties.wanted_of(definition), list(told["found"]), _some(definition, after)
        for account, _value_id in pairs:
            try:
                types.recast(definition, wanted, values.value_of(definition, account))
            except Refused:
                told["misfits"] += 1
                found.append([account.id, account.name, _said(definition, account)])
            last = account.id
    told |= {"done": told["done"] + len(pairs), "found": found[:SHOWN]}
    _tell(definition_id, conversion=told, conversion_at=clock.now())
    return last if len(pairs) == CHUNK else None


def finish(definition_id: int) -> None:
    """Write all of it, unless something did not fit, or does not any more; then say so and leave all as it was."""
    definition = db.session.scalar(select(Property).where(Property.id == definition_id).with_for_update())
    told = definition.conversion
    if told["misfits"]:
        _tell(definition_id, conversion_status=ConversionStatus.FAILED)
        return
    with _in_words_of(definition):
        wanted = properties.wanted_of(definition)
        for rows in _rewritten(definition, wanted):
            _write(rows)
        properties.take_over(definition, wanted)
    by = db.session.get(Member, told["by"])
    record("property.converted", definition, actor=by.user.name if by else "", actor_id=by.user_id if by else None)


def _rewritten(definition: Property, wanted: Property) -> Iterator[list[tuple[dict[str, Any], dict[str, Any]]]]:
    """Rows of accounts and of the index as they are to be. Raises `Misfits` for a value written since it was looked."""
    last = 0
    while pairs := _some(definition, last, locked=True):
        rows = []
        for account, value_id in pairs:
            try:
                kept = types.recast(definition, wanted, values.value_of(definition, account))
            except Refused as refusal:
                found = [(account.id, account.name, _said(definition, account))]
                raise Misfits(refusal.sentence, found) from refusal
            told = {**account.properties, str(definition.id): kept}
            stand = dict.fromkeys(("text", "rest", "number", "date")) | values.index_of(wanted, kept)
            rows.append(({"id": account.id, "properties": told}, {"id": value_id, **stand}))
        last = pairs[-1][0].id
        yield rows


def fail(definition_id: int, found: list[Any]) -> None:
    """Say which values have come to stand in the way while it was under way."""
    told = {**db.session.get(Property, definition_id).conversion, "found": [list(one) for one in found]}
    _tell(definition_id, conversion={**told, "misfits": len(found)}, conversion_status=ConversionStatus.FAILED)


def _some(definition: Property, after: int, *, locked: bool = False) -> list[Any]:
    """Accounts with a value, from one on, without the weight of a row that is watched."""
    pairs = (
        select(Account.id, Account.name, Account.properties, PropertyValue.id.label("value_id"))
        .join(PropertyValue, PropertyValue.account_id == Account.id)
        .where(PropertyValue.definition_id == definition.id, Account.id > after)
        .order_by(PropertyValue.account_id)
        .limit(CHUNK)
    )
    pairs = pairs.with_for_update(of=Account) if locked else pairs
    return [(row, row.value_id) for row in db.session.execute(pairs)]


def _write(rows: list[Any]) -> None:
    """By key and all at once, past history and the keeping of the index: both are seen to here."""
    db.session.execute(update(Account), [account for account, _value in rows])
    db.session.execute(update(PropertyValue), [value for _account, value in rows])


def _said(definition: Property, account: Any) -> str:
    return types.as_text(definition, values.value_of(definition, account))[:200]


def _tell(definition_id: int, **facts: Any) -> None:
    db.session.execute(update(Property).where(Property.id == definition_id).values(facts), execution_options=_UNSEEN)


_UNSEEN = {"synchronize_session": False}


def _to_be_taken() -> Any:
    forsaken = (Property.conversion_status == ConversionStatus.RUNNING) & (
        Property.conversion_at < clock.now() - FORSAKEN
    )
    return or_(Property.conversion_status == ConversionStatus.WAITING, forsaken)


def _in_words_of(definition: Property) -> Any:
    """Values that are read as text are read in the language of whoever asked for it."""
    return force_locale(definition.conversion["locale"])

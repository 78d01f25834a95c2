"""The verbs of properties: defined, changed, converted, ordered, archived, restored (M-8, M-9)."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import func, inspect, or_, select

from .. import clock
from .. import properties as values
from .. import property_types as types
from ..audit import readable, record
from ..errors import Refused
from ..extensions import db, holds
from ..handover import hand_over
from ..models import Account, ConversionStatus, Member, Property, PropertyType, PropertyValue, sort_key
from .accounts import plain_letters

MOST_CHOICES = 200
AT_ONCE = 500  # accounts in memory while a type is converted
MANY = 5_000  # values that are left to the worker (`conversions.py`)
MOST_LOOKED_AT = 5_000  # values looked at for choices to propose


class Misfits(Refused):
    """Values that stand in the way of a change: the account's number and name, and what it says."""

    def __init__(self, sentence: str, found: list[tuple[int, str, str]]) -> None:
        super().__init__(sentence)
        self.found = found


def define(type: PropertyType, *, by: Member, **facts: Any) -> Property:
    """A new property of the accounts beneath the acting one; its last column."""
    _make_room(by)
    known = values.all_definitions_of(by.account_id)
    definition = Property(account=by.account, type=type, position=len(known) + 1)
    _put(definition, facts, by)
    definition.key = _free_key(definition.label_en, {d.key for d in known})
    db.session.add(definition)
    record("property.defined", definition)
    db.session.flush()
    values.forget_definitions()
    return definition


def change(definition: Property, *, by: Member, **facts: Any) -> None:
    """Change anything but the type. A choice that some account has cannot go."""
    _own(definition, by)
    _refuse_while_converted(definition)
    before = [choice["key"] for choice in definition.choices]
    wanted = _as_it_would_be(definition, facts, by)
    after = [choice["key"] for choice in wanted.choices]
    if gone := set(before) - set(after):
        _refuse_if_chosen(definition, gone)

    if before != after and _has_many_values(definition):
        _leave_to_the_worker(definition, {**facts, "type": definition.type}, by)
        return
    take_over(definition, wanted)
    record("property.changed", definition)
    db.session.flush()
    if before != after:
        _renumber_choices(definition)
    values.forget_definitions()


def convert(definition: Property, *, to: PropertyType, by: Member, **facts: Any) -> None:
    """Give a property another type and its values with it: all of them, or `Misfits` names those that do not fit.

    Of many values the worker does it, and the definition tells how far it is.
    """
    _own(definition, by)
    _refuse_while_converted(definition)
    old, facts = _copy(definition), {**_NO_LIMITS, **facts, "type": to}
    wanted = _as_it_would_be(definition, facts, by)
    if _has_many_values(definition):
        _leave_to_the_worker(definition, facts, by)
        return
    _refuse_misfits(old, wanted)

    with values.by_hand():
        for account, row in _values_of(definition, locked=True):
            kept = types.recast(old, wanted, values.value_of(old, account))
            account.properties = {**account.properties, str(old.id): kept}
            row.stand(**values.index_of(wanted, kept))
    take_over(definition, wanted)
    record("property.converted", definition)
    db.session.flush()
    values.forget_definitions()


def reorder(wanted: list[int], *, by: Member) -> None:
    """Put the properties into that order; those not named keep theirs, behind."""
    known = {definition.id: definition for definition in values.all_definitions_of(by.account_id)}
    if len(set(wanted)) != len(wanted) or not set(wanted) <= set(known):
        raise Refused(_("The properties have changed meanwhile; please look again."))

    rest = [number for number in known if number not in wanted]
    for position, number in enumerate([*wanted, *rest], 1):
        known[number].position = position
    record("property.reordered", account=by.account)
    db.session.flush()
    values.forget_definitions()


def archive(definition: Property, *, by: Member) -> None:
    """Take a property out of lists and forms. Its values stay."""
    _own(definition, by)
    _refuse_while_converted(definition)
    if definition.is_archived:
        raise Refused(_("%(name)s is archived already.", name=values.label_of(definition)))

    definition.archived_at = clock.now()
    record("property.archived", definition)
    values.forget_definitions()


def restore(definition: Property, *, by: Member) -> None:
    """Bring a property back, with the values it had."""
    _own(definition, by)
    if not definition.is_archived:
        raise Refused(_("%(name)s is not archived.", name=values.label_of(definition)))
    _make_room(by)

    definition.archived_at = None
    record("property.restored", definition)
    values.forget_definitions()


def words_of(definition: Property, most: int = 100) -> list[str]:
    """The different things accounts say in it, to propose as choices."""
    found: dict[str, str] = {}
    for account, _row in itertools.islice(_values_of(definition), MOST_LOOKED_AT):
        word = types.as_text(definition, values.value_of(definition, account)).strip()[:80]
        found.setdefault(word.casefold(), word)
        if len(found) >= most:
            break
    return sorted(found.values(), key=sort_key)


def _own(definition: Property, by: Member) -> None:
    if definition.account_id != by.account_id:
        raise Refused(_("Only the account that defined a property changes it."))


def _refuse_while_converted(definition: Property) -> None:
    if definition.is_being_converted:
        raise Refused(_("%(name)s is being converted; please wait a moment.", name=values.label_of(definition)))


def _make_room(by: Member) -> None:
    """Counted under a lock on the account, so that two cannot both take the last place."""
    db.session.execute(select(Account.id).where(Account.id == by.account_id).with_for_update())
    values.forget_definitions()
    if len(values.definitions_of(by.account_id)) >= values.MOST:
        raise Refused(_("An account has at most %(count)s properties; archive one first.", count=values.MOST))


# --- what a definition may say -----------------------------------------------------------------------------------

_NO_LIMITS = {"minimum": None, "maximum": None, "max_length": None, "default_value": None}


def _put(definition: Property, facts: dict[str, Any], by: Member) -> None:
    """Put what a form says into a definition, checked and tidied. Limits and default come as values of its type."""
    plain = {name: value for name, value in facts.items() if name not in {"minimum", "maximum", "default_value"}}
    label_en, label_de = plain.pop("label_en", definition.label_en), plain.pop("label_de", definition.label_de)
    for name, value in plain.items():
        setattr(definition, name, value)
    definition.account_id = by.account_id
    _name(definition, label_en or label_de, label_de or label_en)
    definition.currency = (definition.currency or by.account.currency) if definition.type is PropertyType.MONEY else ""
    definition.choices = _tidy(definition.choices or []) if definition.type.has_choices else []
    _limit(definition, facts)


def _name(definition: Property, label_en: str | None, label_de: str | None) -> None:
    if not (label_en or "").strip():
        raise Refused(_("A property needs a name."), field="label_en")
    definition.label_en, definition.label_de = label_en, label_de
    for field in ("label_en", "label_de"):
        if len(getattr(definition, field)) > 80:
            raise Refused(_("At most %(count)s characters.", count=80), field=field)
    for other in values.all_definitions_of(definition.account_id):
        for field in ("label_en", "label_de"):
            same = getattr(other, f"{field}_key") == getattr(definition, f"{field}_key")
            if same and other.id != definition.id:
                name = getattr(other, field)
                if other.is_archived:
                    raise Refused(_("An archived property is named “%(name)s”.", name=name), field=field)
                raise Refused(_("There is a property named “%(name)s” already.", name=name), field=field)


def _tidy(choices: list[dict[str, str]]) -> list[dict[str, str]]:
    """Choices with both labels and a key each; a key once given stays, whatever becomes of the labels."""
    tidy: list[dict[str, str]] = []
    for choice in choices:
        en, de = (" ".join((choice.get(name) or "").split()) for name in ("label_en", "label_de"))
        if not (en or de):
            continue
        en, de = en or de, de or en
        if max(len(en), len(de)) > 80:
            raise Refused(_("At most %(count)s characters.", count=80), field="choices")
        key = _known_key(choice) or _free_key(en, {c["key"] for c in [*tidy, *choices] if c.get("key")})
        if any(en.casefold() == c["label_en"].casefold() or de.casefold() == c["label_de"].casefold() for c in tidy):
            raise Refused(_("Two choices are named “%(name)s”.", name=en), field="choices")
        tidy.append({"key": key, "label_en": en, "label_de": de})
    if not 0 < len(tidy) <= MOST_CHOICES:
        raise Refused(_("Between 1 and %(count)s choices, please.", count=MOST_CHOICES), field="choices")
    if len({choice["key"] for choice in tidy}) < len(tidy):
        raise Refused(_("Two choices have the same key."), field="choices")
    return tidy


def _known_key(choice: dict[str, str]) -> str:
    key = choice.get("key") or ""
    return key if re.fullmatch("[a-z0-9_]{1,60}", key) else ""


def _limit(definition: Property, facts: dict[str, Any]) -> None:
    for name in ("minimum", "maximum"):
        if name in facts:
            limit = facts[name] if definition.type.has_limits else None
            setattr(definition, name, None if limit is None else _at(name, types.check_type, definition, limit))
    if definition.minimum and definition.maximum and _compared(definition.minimum) > _compared(definition.maximum):
        raise Refused(_("The maximum is below the minimum."), field="maximum")
    if not definition.type.is_text:
        definition.max_length = None
    if definition.max_length is not None and not 1 <= definition.max_length <= types.LONGEST:
        raise Refused(_("Between 1 and %(count)s characters.", count=types.LONGEST), field="max_length")
    if "default_value" in facts and facts["default_value"] not in (None, "", []):
        definition.default_value = _at("default_value", types.check, definition, facts["default_value"])
    elif "default_value" in facts:
        definition.default_value = None
    elif definition.default_value is not None:
        _at("default_value", types.check, definition, values.default_of(definition))


def _at(field: str, do: Any, definition: Property, value: Any) -> Any:
    try:
        return do(definition, value)
    except Refused as refusal:
        raise Refused(refusal.sentence, field=field) from refusal


def _compared(limit: str) -> Any:
    return limit if limit[4:5] == "-" else Decimal(limit)


def _free_key(label: str, taken: set[str]) -> str:
    """A name in plain letters: "Vertrag bis" → "vertrag_bis", and "vertrag_bis_2" for the next."""
    key = plain_letters(label).replace("-", "_")[:50].strip("_") or "property"
    return next(k for n in range(1, 10_000) if (k := key if n == 1 else f"{key}_{n}") not in taken)


# --- a definition as it was, and as it would be ------------------------------------------------------------------

_COPIED = [column.key for column in inspect(Property).column_attrs]


def _copy(definition: Property) -> Property:
    """The definition as it is now, apart from the session."""
    return Property(**{name: getattr(definition, name) for name in _COPIED})


def _as_it_would_be(definition: Property, facts: dict[str, Any], by: Member) -> Property:
    wanted = _copy(definition)
    _put(wanted, facts, by)
    return wanted


def take_over(definition: Property, wanted: Property) -> None:
    """Make the definition what it would be. Whatever was under way with it has come to its end."""
    wanted.conversion = wanted.conversion_status = wanted.conversion_at = None
    for name in _COPIED:
        if getattr(definition, name) != getattr(wanted, name):
            setattr(definition, name, getattr(wanted, name))


# --- what is left to the worker ----------------------------------------------------------------------------------


def _has_many_values(definition: Property) -> bool:
    own = select(PropertyValue.id).where(PropertyValue.definition_id == definition.id).limit(MANY + 1)
    return (db.session.scalar(select(func.count()).select_from(own.subquery())) or 0) > MANY


def _leave_to_the_worker(definition: Property, facts: dict[str, Any], by: Member) -> None:
    """Write down what it is to become; every value is tried before any is changed."""
    wanted = _as_it_would_be(definition, facts, by)
    changed = {name: readable(getattr(wanted, name)) for name in _COPIED if name not in _UNCHANGED}
    own = select(func.count(PropertyValue.id)).where(PropertyValue.definition_id == definition.id)
    told = {"to": changed, "by": by.id, "locale": types.language(), "total": db.session.scalar(own)}
    definition.conversion = {**told, "done": 0, "misfits": 0, "found": []}
    definition.conversion_status, definition.conversion_at = ConversionStatus.WAITING, clock.now()
    db.session.flush()
    hand_over("convert", definition.id)
    values.forget_definitions()


_UNCHANGED = {"id", "account_id", "account_path", "key", "archived_at", "position", "conversion", "conversion_status",
              "conversion_at"}  # fmt: skip


def wanted_of(definition: Property) -> Property:
    """The definition as its conversion is to make it."""
    wanted = _copy(definition)
    for name, value in definition.conversion["to"].items():
        setattr(wanted, name, PropertyType(value) if name == "type" else value)
    return wanted


# --- the values behind it ----------------------------------------------------------------------------------------


def _values_of(definition: Property, *, locked: bool = False) -> Iterator[tuple[Account, PropertyValue]]:
    """The accounts that have a value of it, with its row in the index; some in memory at a time."""
    own = (PropertyValue.account_id == Account.id) & (PropertyValue.definition_id == definition.id)
    pairs = select(Account, PropertyValue).join(PropertyValue, own).order_by(Account.id).limit(AT_ONCE)
    if locked:
        pairs = pairs.with_for_update(of=Account).execution_options(populate_existing=True)
    last = 0
    while found := db.session.execute(pairs.where(Account.id > last)).all():
        last = found[-1][0].id
        yield from found
        db.session.flush()
        for _account, row in found:
            db.session.expunge(row)


def _refuse_misfits(old: Property, wanted: Property) -> None:
    found = []
    for account, _row in _values_of(old):
        value = values.value_of(old, account)
        try:
            types.recast(old, wanted, value)
        except Refused:
            found.append((account.id, account.name, types.as_text(old, value)))
    if found:
        count = len(found)
        raise Misfits(_("%(count)s values do not fit the new type; change them first.", count=count), found)


def _refuse_if_chosen(definition: Property, gone: set[str]) -> None:
    held = or_(PropertyValue.text.in_(gone), *(holds(PropertyValue.text, f"|{key}|") for key in gone))
    held |= or_(*(holds(PropertyValue.rest, f"|{key}|") for key in gone))
    own = select(Account).join(PropertyValue, PropertyValue.account_id == Account.id)
    own = own.where(PropertyValue.definition_id == definition.id, held).order_by(Account.id).limit(AT_ONCE)
    accounts = db.session.scalars(own)
    found = [(one.id, one.name, types.as_text(definition, values.value_of(definition, one))) for one in accounts]
    if found:
        raise Misfits(_("Some accounts still have a choice that would go; change them first."), found)


def _renumber_choices(definition: Property) -> None:
    """Choices are sorted by their place in the list, which has just changed."""
    with values.by_hand():
        for account, row in _values_of(definition, locked=True):
            kept = types.check_type(definition, values.value_of(definition, account))
            account.properties = {**account.properties, str(definition.id): kept}
            row.stand(**values.index_of(definition, kept))

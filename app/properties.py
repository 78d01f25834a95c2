"""Properties: what partners know of the accounts beneath them (decision 5).

Values are one JSON column on the account, as `property_types` keeps them. `PropertyValue` repeats them where SQL sorts
and filters, in the same flush, whoever writes. A definition is for its owner's eyes and those above; so are the lines
of history about its values.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from functools import lru_cache, partial
from typing import Any, Literal, NamedTuple

from sqlalchemy import Select, bindparam, event, inspect, select
from sqlalchemy.orm import Session as AnySession
from sqlalchemy.orm.attributes import PASSIVE_NO_INITIALIZE, get_history

from .audit import note
from .errors import OutsideScope
from .extensions import Session, db, is_one_of
from .models import Account, Property, PropertyType, PropertyValue, sort_key
from .property_types import check, from_kept, language, members_of, value_maker
from .tenancy import Scope

MOST = 64  # live definitions of one partner
INDEXED = 200  # characters of a text by which it is sorted


# --- definitions, asked for once in a unit of work -------------------------------------------------------------------


def definitions_for(scope: Scope) -> list[Property]:
    """The columns of whoever acts: the acting account's own definitions, never those of another."""
    return definitions_of(scope.account_id)


def definitions_of(account_id: int) -> list[Property]:
    """The live definitions of one account, in their order."""
    return [definition for definition in all_definitions_of(account_id) if not definition.is_archived]


def all_definitions_of(account_id: int) -> list[Property]:
    """The archived ones, too."""
    known = db.session().info.setdefault("definitions", {})
    if account_id not in known:
        known[account_id] = list(db.session.scalars(_own_definitions(), {"owner": account_id}))
    return known[account_id]


@lru_cache(maxsize=1)
def _own_definitions() -> Select[Any]:
    """Put together once, since every page with accounts on it asks it."""
    own = Property.account_id == bindparam("owner")
    return select(Property).where(own).order_by(Property.position, Property.id)


def forget_definitions() -> None:
    """After a change of definitions: the next to ask looks again."""
    db.session().info.pop("definitions", None)


def label_of(definition: Property) -> str:
    """Its name in the reader's language."""
    return definition.label(language())


# --- values, from the account and into it ---------------------------------------------------------------------------


def value_of(definition: Property, account: Account) -> Any:
    """The account's value as Python knows it: Decimal, date, bool, str, list of choice keys, member id; or `None`."""
    return reader_of(definition)(account)


def reader_of(definition: Property) -> Callable[[Account], Any]:
    """What reads that value off account after account."""
    key, made = str(definition.id), value_maker(definition)

    def read(account: Account) -> Any:
        kept = (account.properties or {}).get(key)
        return kept if kept is None or made is None else made(kept)

    return read


def values_of(definition: Property, of_accounts: Iterable[dict[str, Any] | None]) -> list[Any]:
    """The same of many accounts, by their `properties`."""
    key, made = str(definition.id), value_maker(definition)
    kept = [values.get(key) if values else None for values in of_accounts]
    return kept if made is None else [None if one is None else made(one) for one in kept]


def default_of(definition: Property) -> Any:
    """What a new account has unless somebody says otherwise."""
    return from_kept(definition, definition.default_value)


def write(account: Account, values: dict[Property, Any]) -> None:
    """Put values, as `value_of` gives them, into an account. Raises `Refused`, with the field, for one that is none."""
    if inspect(account).persistent:  # two partners may write at once, each of them some of the same JSON
        db.session.refresh(account, ["properties"], with_for_update=True)
    kept = dict(account.properties or {})
    for definition, value in values.items():
        checked = check(definition, value)
        kept.pop(str(definition.id), None)
        if checked is not None:
            kept[str(definition.id)] = checked
    if kept != (account.properties or {}):
        account.properties = kept


# --- the index, kept in the same flush ---------------------------------------------------------------------------


def index_of(definition: Property, kept: Any) -> dict[str, Any]:
    """Where a value stands among the others: what its `PropertyValue` is told by `stand`."""
    return index_maker(definition)(kept)


def index_maker(definition: Property) -> Callable[[Any], dict[str, Any]]:
    """What tells it of many values of one definition."""
    if definition.type.is_number or definition.type is PropertyType.FLAG:
        return lambda kept: {"number": Decimal(kept)}
    if definition.type is PropertyType.DATE:
        return lambda kept: {"date": date.fromisoformat(kept)}
    if definition.type.has_choices:
        return partial(_among_choices, list(definition.choice_labels("en")))
    if definition.type is PropertyType.MEMBER:
        return partial(_among_members, members_of(definition.account_id))
    return lambda kept: _words_of(sort_key(kept))


def _among_choices(keys: list[str], kept: str | list[str]) -> dict[str, Any]:
    first, words = (kept, kept) if isinstance(kept, str) else (kept[0], f"|{'|'.join(kept)}|")
    return {**_words_of(words), "number": Decimal(keys.index(first))}


def _among_members(names: dict[int, str], kept: int) -> dict[str, Any]:
    return {"text": sort_key(names.get(kept, ""))[:INDEXED], "number": Decimal(kept)}


def _words_of(text: str) -> dict[str, str | None]:
    return {"text": text[:INDEXED], "rest": text if len(text) > INDEXED else None}


@contextmanager
def by_hand() -> Iterator[None]:
    """While values are rewritten in bulk, their writer keeps the index and the history."""
    db.session().info["properties_by_hand"] = True
    try:
        yield
        db.session.flush()
    finally:
        db.session().info.pop("properties_by_hand", None)


@event.listens_for(Session, "before_flush")
def _look_at_values(session: AnySession, _context: Any, made: list[Any] | None) -> None:
    """Whatever changes an account's values, the history and the index follow.

    `made`: new rows besides the session's.
    """
    to_index = session.info["values_to_index"] = []
    rows = [*session.new, *(made or ()), *session.dirty]
    changed = {row: found for row in rows if (found := _changed(row))}
    if not changed or session.info.get("properties_by_hand"):
        return
    with session.no_autoflush:
        definitions = _by_id(session, {key for found in changed.values() for key in found})
        known = {key: _Known(definition) for key, definition in definitions.items()}
        for account, found in changed.items():
            pairs = {known[key]: pair for key, pair in found.items()}
            _tell(session, account, pairs)
            to_index += [_Place(account, one.id, old is not None, new is not None and one.index(new))
                         for one, (old, new) in pairs.items()]  # fmt: skip


class _Known:
    """What a flush says of one definition again and again, for each of its values."""

    def __init__(self, definition: Property) -> None:
        self.id, self.home = definition.id, (definition.account_id, definition.account_path)
        self.name, self.words = f"prop_{definition.id}", _words(definition)
        self.index, self.told = index_maker(definition), _teller(definition)


@event.listens_for(Session, "after_flush")
def _keep_index(session: AnySession, _context: Any) -> None:
    """Only now do accounts made in this flush have a number."""
    write_index(session, session.info.pop("values_to_index", []))


class _Place(NamedTuple):
    """Where a value of an account stands among the others, and whether one stood there."""

    account: Account
    definition_id: int
    is_known: bool
    index: dict[str, Any] | Literal[False]


def write_index(session: AnySession, changed: list[_Place]) -> None:
    """Old places out, new places in: a statement for each definition and one more, however many they are."""
    leave_index(session, changed)
    if places := [index_row(one) for one in changed if one.index]:
        session.connection().execute(PropertyValue.__table__.insert(), places)


def leave_index(session: AnySession, changed: list[_Place]) -> None:
    """The old places out."""
    table, out = PropertyValue.__table__, defaultdict(list)
    for one in changed:
        if one.is_known:
            out[one.definition_id].append(one.account.id)
    for definition_id, numbers in out.items():
        its = table.c.definition_id == definition_id, is_one_of(table.c.account_id, numbers)
        session.connection().execute(table.delete().where(*its))


def index_row(place: _Place) -> dict[str, Any]:
    """What the index has of a place."""
    whose = {"account_id": place.account.id, "account_path": place.account.path, "definition_id": place.definition_id}
    return whose | _NOWHERE | place.index  # type: ignore[operator]


_NOWHERE = dict.fromkeys(("text", "rest", "number", "date"))


def _changed(row: Any) -> dict[str, tuple[Any, Any]]:
    """Definition id → (old, new) of the values that differ."""
    if not isinstance(row, Account):
        return {}
    if inspect(row).key is None:
        return {key: (None, value) for key, value in (row.properties or {}).items() if value is not None}
    history = get_history(row, "properties", PASSIVE_NO_INITIALIZE)
    old, new = ((values[0] or {}) if values else {} for values in (history.deleted, history.added))
    if not history.has_changes():
        return {}
    return {key: (old.get(key), new.get(key)) for key in {*old, *new} if old.get(key) != new.get(key)}


def _by_id(session: AnySession, keys: Iterable[str]) -> dict[str, Property]:
    found = session.scalars(select(Property).where(Property.id.in_([int(key) for key in keys])))
    definitions = {str(definition.id): definition for definition in found}
    if missing := set(keys) - set(definitions):
        raise OutsideScope(f"Property {', '.join(missing)}")
    return definitions


def _tell(session: AnySession, account: Account, changes: dict[_Known, tuple[Any, Any]]) -> None:
    """A line for each owner, at the owner: whoever may not see the definition sees no line about its values either."""
    for home in {one.home for one in changes}:
        if not account.path.startswith(home[1]):
            raise OutsideScope("a value beside the definition's own accounts")
        own = ((one, pair) for one, pair in changes.items() if one.home == home)
        said = {one.name: [one.told(old), one.told(new), one.words] for one, (old, new) in own}
        note(session, "account.properties_changed", account, home=home, changes=said)


def told(definition: Property, kept: Any) -> Any:
    """The value as history keeps it: readable when choices and members have long gone."""
    return _teller(definition)(kept)


def _teller(definition: Property) -> Callable[[Any], Any]:
    if definition.type is PropertyType.MEMBER:
        names = members_of(definition.account_id)
        return lambda kept: None if kept is None else names.get(kept, "")
    if definition.type.has_choices:
        return partial(_in_labels, {code: definition.choice_labels(code) for code in ("en", "de")})
    return lambda kept: kept


def _in_labels(said: dict[str, dict[str, str]], kept: str | list[str] | None) -> dict[str, str] | None:
    if kept is None:
        return None
    keys = kept if isinstance(kept, list) else [kept]
    return {code: ", ".join(labels.get(key, key) for key in keys) for code, labels in said.items()}


def _words(definition: Property) -> dict[str, str]:
    return {
        "en": definition.label_en,
        "de": definition.label_de,
        "type": definition.type,
        "currency": definition.currency,
    }

"""Properties: what partners know of the accounts beneath them (decision 5).

Values are one JSON column on the account, as `property_types` keeps them. `PropertyValue` repeats them where SQL sorts
and filters, in the same flush, whoever writes. A definition is for its owner's eyes and those above; so are the lines
of history about its values.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from sqlalchemy import bindparam, event, inspect, select
from sqlalchemy.orm import Session as AnySession
from sqlalchemy.orm.attributes import PASSIVE_NO_INITIALIZE, get_history

from .audit import note
from .errors import OutsideScope
from .extensions import Session, db
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
        own = select(Property).where(Property.account_id == account_id).order_by(Property.position, Property.id)
        known[account_id] = list(db.session.scalars(own))
    return known[account_id]


def forget_definitions() -> None:
    """After a change of definitions: the next to ask looks again."""
    db.session().info.pop("definitions", None)


def label_of(definition: Property) -> str:
    """Its name in the reader's language."""
    return definition.label(language())


# --- values, from the account and into it ---------------------------------------------------------------------------


def value_of(definition: Property, account: Account) -> Any:
    """The account's value as Python knows it: Decimal, date, bool, str, list of choice keys, member id; or `None`."""
    return values_of(definition, [account.properties])[0]


def values_of(definition: Property, of_accounts: Iterable[dict[str, Any] | None]) -> list[Any]:
    """The same of many accounts, by their `properties`."""
    key, made = str(definition.id), value_maker(definition)
    kept = [(values or {}).get(key) for values in of_accounts]
    return kept if made is None else [None if one is None else made(one) for one in kept]


def default_of(definition: Property) -> Any:
    """What a new account has unless somebody says otherwise."""
    return from_kept(definition, definition.default_value)


def write(account: Account, values: dict[Property, Any], *, held: bool = False) -> None:
    """Put values, as `value_of` gives them, into an account. Raises `Refused`, with the field, for one that is none.

    `held`: the account's row is locked already, and as the database has it.
    """
    if inspect(account).persistent and not held:  # two partners may write at once, each of them some of the same JSON
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
    if definition.type.is_number or definition.type is PropertyType.FLAG:
        return {"number": Decimal(kept)}
    if definition.type is PropertyType.DATE:
        return {"date": date.fromisoformat(kept)}
    if definition.type.has_choices:
        keys = list(definition.choice_labels("en"))
        first, words = (kept, kept) if isinstance(kept, str) else (kept[0], f"|{'|'.join(kept)}|")
        return {**_words_of(words), "number": Decimal(keys.index(first))}
    if definition.type is PropertyType.MEMBER:
        name = members_of(definition.account_id).get(kept, "")
        return {"text": sort_key(name)[:INDEXED], "number": Decimal(kept)}
    return _words_of(sort_key(kept))


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
def _look_at_values(session: AnySession, _context: Any, _instances: Any) -> None:
    """Whatever changes an account's values, the history and the index follow."""
    to_index = session.info["values_to_index"] = []
    changed = {row: found for row in [*session.new, *session.dirty] if (found := _changed(row))}
    if not changed or session.info.get("properties_by_hand"):
        return
    with session.no_autoflush:
        definitions = _by_id(session, {key for found in changed.values() for key in found})
        for account, found in changed.items():
            pairs = {definitions[key]: pair for key, pair in found.items()}
            if not all(account.path.startswith(definition.account_path) for definition in pairs):
                raise OutsideScope("a value beside the definition's own accounts")
            _tell(session, account, pairs)
            to_index += [_Place(account, definition.id, old is not None, new is not None and index_of(definition, new))
                         for definition, (old, new) in pairs.items()]  # fmt: skip


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
    """Old places out, new places in: two statements, however many they are."""
    out = [{"its_account": one.account.id, "its_definition": one.definition_id} for one in changed if one.is_known]
    places = [_row(one) for one in changed if one.index]
    table = PropertyValue.__table__
    if out:
        its = (table.c.account_id == bindparam("its_account"), table.c.definition_id == bindparam("its_definition"))
        session.connection().execute(table.delete().where(*its), out)
    if places:
        session.connection().execute(table.insert(), places)


def _row(place: _Place) -> dict[str, Any]:
    whose = {"account_id": place.account.id, "account_path": place.account.path, "definition_id": place.definition_id}
    return whose | _NOWHERE | place.index  # type: ignore[operator]


_NOWHERE = dict.fromkeys(("text", "rest", "number", "date"))


def _changed(row: Any) -> dict[str, tuple[Any, Any]]:
    """Definition id → (old, new) of the values that differ."""
    if not isinstance(row, Account):
        return {}
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


def _tell(session: AnySession, account: Account, changes: dict[Property, tuple[Any, Any]]) -> None:
    """A line for each owner, at the owner: whoever may not see the definition sees no line about its values either."""
    for home in {(d.account_id, d.account_path) for d in changes}:
        own = {d: pair for d, pair in changes.items() if d.account_id == home[0]}
        said = {f"prop_{d.id}": [told(d, old), told(d, new), _words(d)] for d, (old, new) in own.items()}
        note(session, "account.properties_changed", account, home=home, changes=said)


def told(definition: Property, kept: Any) -> Any:
    """The value as history keeps it: readable when choices and members have long gone."""
    if kept is None or not (definition.type.has_choices or definition.type is PropertyType.MEMBER):
        return kept
    if definition.type is PropertyType.MEMBER:
        return members_of(definition.account_id).get(kept, "")
    keys = kept if isinstance(kept, list) else [kept]
    said = {code: definition.choice_labels(code) for code in ("en", "de")}
    return {code: ", ".join(labels.get(key, key) for key in keys) for code, labels in said.items()}


def _words(definition: Property) -> dict[str, str]:
    return {
        "en": definition.label_en,
        "de": definition.label_de,
        "type": definition.type,
        "currency": definition.currency,
    }

"""Properties: what partners know of the accounts beneath them, one value at a time (decision 5).

Values are one JSON column on the account: text as it is, numbers and amounts exact as strings, days ISO, choices by
key, a member by number. `PropertyValue` repeats them where SQL sorts and filters, in the same flush, whoever writes.
A definition is for its owner's eyes and those above; so are the lines of history about its values.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from babel.numbers import format_decimal
from email_validator import EmailNotValidError, validate_email
from flask_babel import get_locale
from flask_babel import gettext as _
from sqlalchemy import event, inspect, select
from sqlalchemy.orm import Session as AnySession
from sqlalchemy.orm import joinedload

from .audit import note
from .errors import OutsideScope, Refused
from .extensions import Session, db
from .models import Account, Member, Property, PropertyType, PropertyValue, sort_key
from .money import minor_digits, rounded
from .reading import read_date, read_decimal
from .tenancy import Scope

MOST = 64  # live definitions of one partner
LONGEST = 2_000  # characters of one value
MOST_DIGITS = 15  # as many as Excel, and a double, tell apart
MOST_PLACES = 6
INDEXED = 200  # characters of a text by which it is sorted


# --- definitions and members, asked for once in a unit of work ---------------------------------------------------


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


def members_of(account_id: int) -> dict[int, str]:
    """The people a property of that account may name, in the alphabet: member id → name."""
    known = db.session().info.setdefault("members_by_name", {})
    if account_id not in known:
        own = select(Member).where(Member.account_id == account_id).options(joinedload(Member.user))
        names = {member.id: member.user.name for member in db.session.scalars(own)}
        known[account_id] = dict(sorted(names.items(), key=lambda pair: sort_key(pair[1])))
    return known[account_id]


def label_of(definition: Property) -> str:
    """Its name in the reader's language."""
    return definition.label(language())


def language() -> str:
    return str(get_locale() or "en")


# --- a value, from the account and into it -----------------------------------------------------------------------


def value_of(definition: Property, account: Account) -> Any:
    """The account's value as Python knows it: Decimal, date, bool, str, list of choice keys, member id; or `None`."""
    kept = (account.properties or {}).get(str(definition.id))
    return _from_kept(definition, kept)


def _from_kept(definition: Property, kept: Any) -> Any:
    if kept is None:
        return None
    if definition.type.is_number:
        return Decimal(kept)
    return date.fromisoformat(kept) if definition.type is PropertyType.DATE else kept


def default_of(definition: Property) -> Any:
    """What a new account has unless somebody says otherwise."""
    return _from_kept(definition, definition.default_value)


def write(account: Account, values: dict[Property, Any]) -> None:
    """Put values, as `value_of` gives them, into an account. Raises `Refused`, with the field, for one that is none."""
    kept = dict(account.properties or {})
    for definition, value in values.items():
        checked = check(definition, value)
        kept.pop(str(definition.id), None)
        if checked is not None:
            kept[str(definition.id)] = checked
    if kept != (account.properties or {}):
        account.properties = kept


def check(definition: Property, value: Any) -> Any:
    """The value as it is kept. Raises `Refused` where the definition does not allow it."""
    with _at_field(definition):
        if value is None or value == "" or value == []:
            if definition.required:
                raise Refused(_("Please fill this in."))
            return None
        kept = check_type(definition, value)
        if kept is not None:
            _check_limits(definition, kept)
        return kept


def check_type(definition: Property, value: Any) -> Any:
    """The value as it is kept, if it is one of that type at all; limits aside."""
    return _CHECKS[definition.type](definition, value)


@contextmanager
def _at_field(definition: Property) -> Iterator[None]:
    try:
        yield
    except Refused as refusal:
        raise Refused(refusal.sentence, field=f"prop_{definition.id}") from refusal


def _check_limits(definition: Property, kept: Any) -> None:
    if isinstance(kept, str) and definition.type.is_text:
        longest = min(definition.max_length or LONGEST, LONGEST)
        if len(kept) > longest:
            raise Refused(_("At most %(count)s characters.", count=longest))
    if not definition.type.has_limits:
        return
    value, least, most = (_from_kept(definition, v) for v in (kept, definition.minimum, definition.maximum))
    if least is not None and value < least:
        raise Refused(_("At least %(value)s.", value=as_text(definition, least)))
    if most is not None and value > most:
        raise Refused(_("At most %(value)s.", value=as_text(definition, most)))


# --- what each type accepts --------------------------------------------------------------------------------------


def _line(definition: Property, value: Any) -> str | None:
    return " ".join(_lines(definition, value).split()) or None


def _lines(_definition: Property, value: Any) -> str:
    if not isinstance(value, str):
        raise Refused(_("Not a text."))
    return value.replace("\x00", "").replace("\r\n", "\n").strip()


def _whole(definition: Property, value: Any) -> str:
    kept = _number(definition, value)
    if "." in kept:
        raise Refused(_("Not a whole number."))
    return kept


def _number(_definition: Property, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or not Decimal(value).is_finite():
        raise Refused(_("Not a number."))
    number = Decimal(value)
    if number.adjusted() >= MOST_DIGITS or len(number.normalize().as_tuple().digits) > MOST_DIGITS:
        raise Refused(_("At most %(count)s digits.", count=MOST_DIGITS))
    if number != round(number, MOST_PLACES):
        raise Refused(_("At most %(count)s decimal places.", count=MOST_PLACES))
    return f"{number.normalize() + 0:f}"  # no exponent, no zeros at the end, no minus before a zero


def _money(definition: Property, value: Any) -> str:
    amount = Decimal(_number(definition, value))
    if amount != rounded(amount, definition.currency):
        raise Refused(_("At most %(count)s decimal places.", count=minor_digits(definition.currency)))
    return f"{rounded(amount, definition.currency):f}"


def _day(_definition: Property, value: Any) -> str:
    if type(value) is not date:
        raise Refused(_("Not a date."))
    return value.isoformat()


def _flag(_definition: Property, value: Any) -> bool:
    if not isinstance(value, bool):
        raise Refused(_("Yes or no."))
    return value


def _choice(definition: Property, value: Any) -> str:
    if not isinstance(value, str) or value not in definition.choice_labels("en"):
        raise Refused(_("Not one of the choices."))
    return value


def _choices(definition: Property, value: Any) -> list[str]:
    wanted = [value] if isinstance(value, str) else list(value)
    for key in wanted:
        _choice(definition, key)
    return [key for key in definition.choice_labels("en") if key in wanted]


def _url(definition: Property, value: Any) -> str:
    url = _line(definition, value) or ""
    url = url if "://" in url else f"https://{url}"
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise Refused(_("Not a web address.")) from error
    if parts.scheme not in {"http", "https"} or "." not in (parts.hostname or "").strip(".") or " " in url:
        raise Refused(_("Not a web address."))
    return url


def _email(definition: Property, value: Any) -> str:
    try:
        return validate_email(_line(definition, value) or "", check_deliverability=False).normalized.lower()
    except EmailNotValidError as error:
        raise Refused(_("This is not an e-mail address.")) from error


def _phone(definition: Property, value: Any) -> str:
    phone = _line(definition, value) or ""
    if not re.fullmatch(r"\+?[\d\s()/.-]+", phone) or sum(c.isdigit() for c in phone) < 3:
        raise Refused(_("Not a phone number."))
    return phone


def _member(definition: Property, value: Any) -> int:
    if not isinstance(value, int) or value not in members_of(definition.account_id):
        raise Refused(_("Not a member of this account."))
    return value


_CHECKS: dict[PropertyType, Callable[[Property, Any], Any]] = {
    PropertyType.TEXT: _line,
    PropertyType.LONG: lambda definition, value: _lines(definition, value) or None,
    PropertyType.INTEGER: _whole,
    PropertyType.DECIMAL: _number,
    PropertyType.MONEY: _money,
    PropertyType.DATE: _day,
    PropertyType.FLAG: _flag,
    PropertyType.CHOICE: _choice,
    PropertyType.CHOICES: _choices,
    PropertyType.URL: _url,
    PropertyType.EMAIL: _email,
    PropertyType.PHONE: _phone,
    PropertyType.MEMBER: _member,
}


# --- from one type to another ------------------------------------------------------------------------------------


def as_text(definition: Property, value: Any) -> str:
    """The value in words that `read` understands again."""
    if value is None:
        return ""
    labels = definition.choice_labels(language())
    match definition.type:
        case PropertyType.FLAG:
            return _("Yes") if value else _("No")
        case PropertyType.DATE:
            return value.strftime("%d.%m.%Y") if language().startswith("de") else value.isoformat()
        case PropertyType.CHOICE:
            return labels.get(value, value)
        case PropertyType.CHOICES:
            return ", ".join(labels.get(key, key) for key in value)
        case PropertyType.MEMBER:
            return members_of(definition.account_id).get(value, "")
    if definition.type.is_number:
        return format_decimal(value, locale=language(), decimal_quantization=False, group_separator=False)
    return value


def read(definition: Property, text: str) -> Any:
    """The value a text means, as people write it here. Raises `Refused` where it means none."""
    text = text.strip()
    if not text:
        return None
    try:
        if definition.type.is_number:
            return read_decimal(text)
        if definition.type is PropertyType.DATE:
            return read_date(text)
    except ValueError as error:
        raise Refused(_("Not a date.") if definition.type is PropertyType.DATE else _("Not a number.")) from error
    match definition.type:
        case PropertyType.FLAG:
            return _read_flag(text)
        case PropertyType.CHOICE:
            return _read_choice(definition, text)
        case PropertyType.CHOICES:
            return [_read_choice(definition, part.strip()) for part in text.split(",") if part.strip()]
        case PropertyType.MEMBER:
            names = {name.casefold(): number for number, name in members_of(definition.account_id).items()}
            return names.get(text.casefold(), text)
    return text


def _read_flag(text: str) -> bool:
    word = text.casefold()
    if word in {"1", "yes", "true", "x", "ja", "wahr", _("Yes").casefold()}:
        return True
    if word in {"0", "no", "false", "nein", "falsch", _("No").casefold()}:
        return False
    raise Refused(_("Yes or no."))


def _read_choice(definition: Property, text: str) -> str:
    for choice in definition.choices:
        if text.casefold() in {choice[name].casefold() for name in ("key", "label_en", "label_de")}:
            return choice["key"]
    raise Refused(_("Not one of the choices."))


def recast(old: Property, new: Property, value: Any) -> Any:
    """A value of the old definition as the new one keeps it. Raises `Refused` where it does not fit."""
    if old.type.is_number and new.type.is_number or old.type is new.type and not new.type.has_choices:
        return check(new, value)
    if old.type is PropertyType.FLAG and new.type.is_number:
        return check(new, int(value))
    if old.type is PropertyType.CHOICES and new.type is PropertyType.CHOICES:
        return check(new, [_read_choice(new, as_text(_single(old), key)) for key in value])
    return check(new, read(new, as_text(old, value)))


def _single(definition: Property) -> Property:
    return Property(type=PropertyType.CHOICE, choices=definition.choices, label_en="", label_de="")


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
def _keep_index(session: AnySession, _context: Any, _instances: Any) -> None:
    """Whatever changes an account's values, the index and the history follow."""
    changed = {row: found for row in [*session.new, *session.dirty] if (found := _changed(row))}
    if not changed or session.info.get("properties_by_hand"):
        return
    with session.no_autoflush:
        definitions = _by_id(session, {key for found in changed.values() for key in found})
        kept = _indexed(session, [account.id for account in changed if account.id], definitions)
        for account, values in changed.items():
            for key, (_old, new) in values.items():
                _index(session, kept, account, definitions[key], new)
            _tell(session, account, {definitions[key]: pair for key, pair in values.items()})


def _changed(row: Any) -> dict[str, tuple[Any, Any]]:
    """Definition id → (old, new) of the values that differ."""
    if not isinstance(row, Account):
        return {}
    history = inspect(row).attrs.properties.history
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


def _indexed(session: AnySession, account_ids: list[int], definitions: Any) -> dict[tuple[int, int], PropertyValue]:
    ids = [definition.id for definition in definitions.values()]
    rows = select(PropertyValue).where(PropertyValue.account_id.in_(account_ids), PropertyValue.definition_id.in_(ids))
    return {(row.account_id, row.definition_id): row for row in session.scalars(rows)} if account_ids else {}


def _index(session: AnySession, kept: Any, account: Account, definition: Property, value: Any) -> None:
    if not account.path.startswith(definition.account_path):
        raise OutsideScope("a value beside the definition's own accounts")
    row = kept.get((account.id, definition.id))
    if value is None:
        if row is not None:
            session.delete(row)
        return
    if row is None:
        row = PropertyValue(account=account, account_path=account.path, definition_id=definition.id)
        session.add(row)
    row.stand(**index_of(definition, value))


def _tell(session: AnySession, account: Account, changes: dict[Property, tuple[Any, Any]]) -> None:
    """A line for each owner, at the owner: whoever may not see the definition sees no line about its values either."""
    for home in {(d.account_id, d.account_path) for d in changes}:
        own = {d: pair for d, pair in changes.items() if d.account_id == home[0]}
        told = {f"prop_{d.id}": [_told(d, old), _told(d, new), _words(d)] for d, (old, new) in own.items()}
        note(session, "account.properties_changed", account, home=home, changes=told)


def _told(definition: Property, kept: Any) -> Any:
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

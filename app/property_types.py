"""What a property's value is, type by type: what is accepted, how it is kept, said, read, and turned into another.

Kept is what JSON holds: text as it is, numbers and amounts exact as strings, days ISO, choices by key, a member by
number. A value is what Python computes with: Decimal, date, bool, str, a list of choice keys, a member's number.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from babel.numbers import format_decimal
from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email
from flask_babel import get_locale
from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from .errors import Refused
from .extensions import db
from .models import Member, Property, PropertyType, sort_key
from .money import minor_digits, rounded
from .reading import read_date, read_decimal

LONGEST = 2_000  # characters of one value
MOST_DIGITS = 15  # as many as Excel, and a double, tell apart
MOST_PLACES = 6


def check(definition: Property, value: Any) -> Any:
    """The value as it is kept, or `None` for none. Raises `Refused` where the definition does not allow it."""
    return checker_of(definition)(value)


def checker_of(definition: Property) -> Check:
    """What checks value after value of that definition: as `check` does, and as the definition is now."""
    check_its_type, refuse_beyond = _type_checker_of(definition), _limiter_of(definition)
    required, field = definition.required, f"prop_{definition.id}"

    def checked(value: Any) -> Any:
        if value is None or value == "" or value == []:
            if required:
                raise Refused(_("Please fill this in."), field=field)
            return None
        try:
            kept = check_its_type(value)
            if kept is not None and refuse_beyond is not None:
                refuse_beyond(kept)
        except Refused as refusal:
            raise Refused(refusal.sentence, field=field) from refusal
        return kept

    return checked


def check_type(definition: Property, value: Any) -> Any:
    """The value as it is kept, if it is one of that type at all; limits aside."""
    return _type_checker_of(definition)(value)


def _type_checker_of(definition: Property) -> Check:
    made = _CHECKERS.get(definition.type)
    return made(definition) if made else _CHECKS[definition.type]


def _limiter_of(definition: Property) -> Callable[[Any], None] | None:
    """What refuses a kept value that is too long, too small or too large; none where nothing is."""
    if definition.type.is_text:
        return partial(_refuse_longer, min(definition.max_length or LONGEST, LONGEST))
    if definition.type.has_limits and not (definition.minimum is None and definition.maximum is None):
        least, most = (from_kept(definition, limit) for limit in (definition.minimum, definition.maximum))
        return partial(_refuse_beyond, definition, least, most)
    return None


def _refuse_longer(longest: int, kept: str) -> None:
    if len(kept) > longest:
        raise Refused(_("At most %(count)s characters.", count=longest))


def _refuse_beyond(definition: Property, least: Any, most: Any, kept: str) -> None:
    value = from_kept(definition, kept)
    if least is not None and value < least:
        raise Refused(_("At least %(value)s.", value=as_text(definition, least)))
    if most is not None and value > most:
        raise Refused(_("At most %(value)s.", value=as_text(definition, most)))


def from_kept(definition: Property, kept: Any) -> Any:
    made = value_maker(definition)
    return kept if kept is None or made is None else made(kept)


def value_maker(definition: Property) -> Callable[[Any], Any] | None:
    """What makes a value of what is kept; none where it is kept as it is."""
    if definition.type.is_number:
        return Decimal
    return date.fromisoformat if definition.type is PropertyType.DATE else None


def language() -> str:
    return str(get_locale() or "en")


def members_of(account_id: int) -> dict[int, str]:
    """The people a property of that account may name, in the alphabet: member id → name."""
    known = db.session().info.setdefault("members_by_name", {})
    if account_id not in known:
        own = select(Member).where(Member.account_id == account_id).options(joinedload(Member.user))
        names = {member.id: member.user.name for member in db.session.scalars(own)}
        known[account_id] = dict(sorted(names.items(), key=lambda pair: sort_key(pair[1])))
    return known[account_id]


# --- what each type accepts --------------------------------------------------------------------------------------


def _line(value: Any) -> str | None:
    return " ".join(_lines(value).split()) or None


def _lines(value: Any) -> str:
    if not isinstance(value, str):
        raise Refused(_("Not a text."))
    return value.replace("\x00", "").replace("\r\n", "\n").strip()


def _whole(value: Any) -> str:
    kept = _number(value)
    if "." in kept:
        raise Refused(_("Not a whole number."))
    return kept


def _number(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or not Decimal(value).is_finite():
        raise Refused(_("Not a number."))
    number = Decimal(value)
    if number.adjusted() >= MOST_DIGITS or len(number.normalize().as_tuple().digits) > MOST_DIGITS:
        raise Refused(_("At most %(count)s digits.", count=MOST_DIGITS))
    if number != round(number, MOST_PLACES):
        raise Refused(_("At most %(count)s decimal places.", count=MOST_PLACES))
    return f"{number.normalize() + 0:f}"  # no exponent, no zeros at the end, no minus before a zero


def _money(currency: str, value: Any) -> str:
    amount = Decimal(_number(value))
    if amount != rounded(amount, currency):
        raise Refused(_("At most %(count)s decimal places.", count=minor_digits(currency)))
    return f"{rounded(amount, currency):f}"


def _day(value: Any) -> str:
    if type(value) is not date:
        raise Refused(_("Not a date."))
    return value.isoformat()


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Refused(_("Yes or no."))
    return value


def _choice(known: dict[str, str], value: Any) -> str:
    if not isinstance(value, str) or value not in known:
        raise Refused(_("Not one of the choices."))
    return value


def _choices(known: dict[str, str], value: Any) -> list[str]:
    wanted = [value] if isinstance(value, str) else list(value)
    for key in wanted:
        _choice(known, key)
    return [key for key in known if key in wanted]


def _url(value: Any) -> str:
    return web_address(_line(value) or "")


def web_address(url: str) -> str:
    """The address, `https://` put in front where nothing stands. Raises `Refused` for what is none."""
    url = url if "://" in url else f"https://{url}"
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise Refused(_("Not a web address.")) from error
    if parts.scheme not in {"http", "https"} or "." not in (parts.hostname or "").strip(".") or " " in url:
        raise Refused(_("Not a web address."))
    return url


def is_plain_address(text: str) -> bool:
    """Whether it is an e-mail address without doubt, as most are; of thousands, the library takes a second to say so.

    What is not may be one all the same: it is for the library to say.
    """
    return len(text) <= 63 and bool(_PLAIN_ADDRESS.fullmatch(text)) and not text.endswith(_NO_DOMAINS)


_PLAIN_ADDRESS = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*@(?:[a-z0-9]+(?:-[a-z0-9]+)*\.)+[a-z]{2,}")
_NO_DOMAINS = tuple(f".{name}" for name in SPECIAL_USE_DOMAIN_NAMES)


def _email(value: Any) -> str:
    text = _line(value) or ""
    if is_plain_address(text):
        return text
    try:
        return validate_email(text, check_deliverability=False).normalized.lower()
    except EmailNotValidError as error:
        raise Refused(_("This is not an e-mail address.")) from error


def _phone(value: Any) -> str:
    return phone_number(_line(value) or "")


def phone_number(phone: str) -> str:
    """The number as it was written. Raises `Refused` for what is none."""
    if not re.fullmatch(r"\+?[\d\s()/.-]+", phone) or sum(c.isdigit() for c in phone) < 3:
        raise Refused(_("Not a phone number."))
    return phone


def _member(known: dict[int, str], value: Any) -> int:
    if not isinstance(value, int) or value not in known:
        raise Refused(_("Not a member of this account."))
    return value


Check = Callable[[Any], Any]

# What checks the values of a type: the same for all of them, or one that is made for each definition.
_CHECKS: dict[PropertyType, Check] = {
    PropertyType.TEXT: _line,
    PropertyType.LONG: lambda value: _lines(value) or None,
    PropertyType.INTEGER: _whole,
    PropertyType.DECIMAL: _number,
    PropertyType.DATE: _day,
    PropertyType.FLAG: _flag,
    PropertyType.URL: _url,
    PropertyType.EMAIL: _email,
    PropertyType.PHONE: _phone,
}
_CHECKERS: dict[PropertyType, Callable[[Property], Check]] = {
    PropertyType.MONEY: lambda definition: partial(_money, definition.currency),
    PropertyType.CHOICE: lambda definition: partial(_choice, definition.choice_labels("en")),
    PropertyType.CHOICES: lambda definition: partial(_choices, definition.choice_labels("en")),
    PropertyType.MEMBER: lambda definition: partial(_member, members_of(definition.account_id)),
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

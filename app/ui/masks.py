"""Contacts behind a mask (X-11): whom to reach and where, shown to some roles at once, to others masked.

What is a contact is declared here and nowhere else. A column of contacts is masked when it is made (`columns.Field`),
so that the list, its file, the page and the API show the same, and nobody can sort, filter or search by it. A mask
keeps no length: `k•••@k•••.example`, `+49 ••• 67`, `A•••`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import g

from ..extensions import db
from ..models import Account, Invitation, LogEntry, Member, Message, PropertyType, User
from ..tenancy import Scope, current_scope
from .acting import grants

HIDDEN = "•••"

# Which columns are contacts, and what of a person stands in each; "words": addresses among other words.
CONTACTS: dict[type, dict[str, str]] = {
    Account: {"contact": "name", "email": "email", "phone": "phone", "street": "name", "postal_code": "name"},
    User: {"email": "email"},
    Invitation: {"email": "email"},
    Message: {"recipient": "email"},
    LogEntry: dict.fromkeys(("actor", "on_behalf_of", "subject", "told_changes"), "words"),
}
PROPERTIES = {PropertyType.EMAIL: "email", PropertyType.PHONE: "phone"}  # of whatever property has that type

_ADDRESS = re.compile(r"[^\s@<>()\[\],;:“”\"']+@[^\s@<>()\[\],;:“”\"']+")
_COUNTRY = re.compile(r"\+\d{1,3}(?!\d)|\+\d\d")  # +49 40 …, and +4940…, whose code is taken to have two digits
_FEW = 7  # digits; of a number so short, the last two would tell too much


def sees_contacts() -> bool:
    """Whether whoever acts sees contacts at once. Where there is no scope there is no row either, only columns."""
    scope = db.session().info.get("scope")
    return scope is None or isinstance(scope, Scope) and grants(scope, "contact.see")


def hides(contact: str | None) -> bool:
    """Whether something is a contact, and masked for whoever acts."""
    return bool(contact) and not sees_contacts()


@dataclass(frozen=True)
class Masked:
    """What a column says of a row, behind its mask."""

    value: Callable[[Any], Any]
    contact: str

    def __call__(self, row: Any) -> Any:
        value = self.value(row)
        return value if are_open(row) else mask(value, self.contact)


def are_open(row: Any) -> bool:
    """Whether the person sees a row's contacts: by their role, as their own, or revealed in this request."""
    if sees_contacts():
        return True
    if isinstance(row, Account):
        return row.id in {current_scope().account_id, g.get("revealed")}
    return isinstance(row, Member) and row.user_id == current_scope().user_id


def reveal(account: Account) -> None:
    """Show that one account's contacts until the request ends."""
    g.revealed = account.id


class Mask(str):
    """What is shown in place of a contact."""


def mask(value: Any, contact: str) -> Any:
    """The value behind a mask; that there is none is no secret."""
    if not isinstance(value, str) or not value.strip():
        return value
    return _words(value) if contact == "words" else Mask(_MASKS[contact](value))


class Contact:
    """Marks an input as one for a contact; it checks nothing."""

    def __init__(self, contact: str) -> None:
        self.field_flags = {"contact": contact}

    def __call__(self, _form: Any, _input: Any) -> None:
        """Any value is as good as its other validators find it."""


def take_out_contacts(form: Any) -> None:
    """Take masked inputs out of an edit form: they can be looked at, and nothing sent in their place is read."""
    for masked in [one for one in form if hides(one.flags.contact)]:
        del form[masked.name]
        masked.data, masked.description = mask(masked.object_data, masked.flags.contact), ""
        masked.render_kw = (masked.render_kw or {}) | {"disabled": True}


def in_words(text: str) -> str:
    """A text as the person may read it: the addresses in it masked."""
    return text if "@" not in text or sees_contacts() else mask(text, "words")


def _name(text: str) -> str:
    return f"{_first(text)}{HIDDEN}"


def _email(text: str) -> str:
    person, at, host = text.strip().rpartition("@")
    top = f".{host.rpartition('.')[2]}" if "." in host else ""
    return f"{_first(person)}{HIDDEN}@{_first(host)}{HIDDEN}{top}" if at else _name(text)


def _phone(text: str) -> str:
    digits = [c for c in text if c.isdigit()]
    if len(digits) < _FEW:
        return HIDDEN
    country = _COUNTRY.match(text.strip())
    return f"{country[0] if country else ''} {HIDDEN} {''.join(digits[-2:])}".strip()


def _words(text: str) -> str:
    return _ADDRESS.sub(lambda found: _email(found[0]), text)


def _first(text: str) -> str:
    """The first letter, where it is one."""
    first = text.strip()[:1]
    return first if first.isalnum() else ""


_MASKS = {"name": _name, "email": _email, "phone": _phone}

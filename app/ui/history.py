"""History in words: what happened and what changed, as a person would say it."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from flask_babel import get_locale
from flask_babel import lazy_gettext as _l

from ..models import Kind, LogEntry, PropertyType, Role
from .formats import CODES, shown

# Every action there is, past tense. A test finds those that are recorded but not said here.
ACTIONS: dict[str, Any] = {
    "account.created": _l("Account added"),
    "account.updated": _l("Account changed"),
    "account.deleted": _l("Account deleted"),
    "account.archived": _l("Account archived"),
    "account.restored": _l("Account restored"),
    "account.partner_enabled": _l("Partner management switched on"),
    "account.partner_disabled": _l("Partner management switched off"),
    "account.exported": _l("Accounts exported"),
    "account.imported": _l("Accounts imported"),
    "account.import_undone": _l("Import of accounts undone"),
    "account.properties_changed": _l("Properties changed"),
    "property.defined": _l("Property defined"),
    "property.changed": _l("Property changed"),
    "property.converted": _l("Property converted to another type"),
    "property.reordered": _l("Properties reordered"),
    "property.deleted": _l("Property deleted"),
    "property.archived": _l("Property archived"),
    "property.restored": _l("Property restored"),
    "property.created": _l("Property defined"),
    "property.updated": _l("Property changed"),
    "member.created": _l("Member added"),
    "member.updated": _l("Member changed"),
    "member.role_changed": _l("Role changed"),
    "member.removed": _l("Member removed"),
    "member.left": _l("Member left"),
    "member.deleted": _l("Member removed"),
    "member.exported": _l("Members exported"),
    "member.invited": _l("Member invited"),
    "member.joined": _l("Member joined"),
    "invitation.created": _l("Member invited"),
    "invitation.updated": _l("Invitation changed"),
    "invitation.deleted": _l("Invitation deleted"),
    "invitation.resent": _l("Invitation sent again"),
    "invitation.withdrawn": _l("Invitation withdrawn"),
    "invitation.accepted": _l("Invitation accepted"),
    "invitation.exported": _l("Invitations exported"),
    "history.exported": _l("History exported"),
    "message.exported": _l("Outbox exported"),
    "message.resent": _l("Message sent again"),
    "user.signed_in": _l("Signed in"),
    "user.signed_out": _l("Signed out"),
    "user.sign_in_failed": _l("Sign-in failed"),
    "user.code_refused": _l("Wrong code at sign-in"),
    "user.sessions_ended": _l("Sessions ended"),
    "user.profile_changed": _l("Own details changed"),
    "user.reset_requested": _l("New password asked for"),
    "user.password_reset": _l("Password reset"),
    "user.password_changed": _l("Password changed"),
    "user.second_factor_turned_on": _l("Second factor turned on"),
    "user.second_factor_turned_off": _l("Second factor turned off"),
    "user.recovery_codes_renewed": _l("Recovery codes renewed"),
}

FIELDS: dict[str, Any] = {
    "name": _l("Name"),
    "kind": _l("Kind"),
    "slug": _l("Address"),
    "parent_id": _l("Parent account"),
    "contact": _l("Contact"),
    "email": _l("E-mail"),
    "country": _l("Country"),
    "language": _l("Language"),
    "time_zone": _l("Time zone"),
    "currency": _l("Currency"),
    "created_at": _l("Created"),
    "archived_at": _l("Archived"),
    "role": _l("Role"),
    "user_id": _l("Person"),
    "status": _l("Status"),
    "locale": _l("Language"),
    "inviter": _l("Invited by"),
    "expires_at": _l("Valid until"),
    "accepted_at": _l("Accepted"),
    "filter": _l("Filter"),
    "format": _l("Format"),
    "file": _l("File"),
    "created": _l("Accounts added"),
    "changed": _l("Accounts changed"),
    "second_factor_required": _l("Second factor required"),
    "count": _l("Count"),
    "key": _l("Key"),
    "type": _l("Type"),
    "label_en": _l("Name in English"),
    "label_de": _l("Name in German"),
    "help_en": _l("Help in English"),
    "help_de": _l("Help in German"),
    "choices": _l("Choices"),
    "minimum": _l("Minimum"),
    "maximum": _l("Maximum"),
    "max_length": _l("Maximum length"),
    "default_value": _l("Proposed value"),
    "required": _l("Required"),
    "visible_to_customer": _l("Visible to the customer"),
    "as_column": _l("Shown as a column"),
}

SAID_OTHERWISE = {  # by the line itself
    "created_at", "archived_at", "slug", "parent_id", "user_id",
    "status", "locale", "inviter", "expires_at", "accepted_at",
}  # fmt: skip


def action_in_words(entry: LogEntry) -> str:
    return str(ACTIONS.get(entry.action, entry.action))


def changes_in_words(entry: LogEntry) -> str:
    """Old → new of each field, on one line."""
    told = [(name, pair) for name, pair in entry.changes.items() if name not in SAID_OTHERWISE]
    return " · ".join(f"{_field(name, pair)}: {_arrow(name, *pair)}" for name, pair in told)


def _field(name: str, pair: list[Any]) -> str:
    """The name of what changed; properties bring their own, as it was then."""
    return str(FIELDS.get(name, name)) if len(pair) == 2 else pair[2][_language()]


def _language() -> str:
    return "de" if str(get_locale()).startswith("de") else "en"


def _arrow(name: str, old: Any, new: Any, about: dict[str, str] | None = None) -> str:
    if about is not None:
        old, new, name = _value(old, about), _value(new, about), ""
    if old in (None, "", []):
        return _said(name, new)
    return f"{_said(name, old)} → {_said(name, new) or '–'}"


def _said(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return shown(value, "flag")
    if name in {"role", "kind"} and value:
        return str((Role if name == "role" else Kind)(value).label)
    if name == "type" and value:
        return str(PropertyType(value).label)
    if isinstance(value, list):
        return ", ".join(str(one[f"label_{_language()}"]) if isinstance(one, dict) else str(one) for one in value)
    return shown(value, name if name in CODES else "text")


def _value(value: Any, about: dict[str, str]) -> str:
    """A property's value as history kept it, in the reader's language."""
    if value is None:
        return ""
    if isinstance(value, dict):
        return value[_language()]
    match about["type"]:
        case "integer" | "decimal" | "money":
            return shown(Decimal(value), "money", about["currency"])
        case "date":
            return shown(date.fromisoformat(value), "date")
        case "flag":
            return shown(value, "flag")
    return str(value)

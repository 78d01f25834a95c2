"""History in words: what happened and what changed, as a person would say it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from flask_babel import get_locale
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import case

from ..models import (
    Account,
    Beyond,
    Consent,
    Cycle,
    DataLocation,
    EventKind,
    HoldKind,
    Kind,
    LogEntry,
    OrderKind,
    PaymentMode,
    Policy,
    ProductType,
    PropertyType,
    RenewalRule,
    Role,
    SuspensionCause,
    sort_key,
)
from .columns import Field, Option
from .filters import Operator
from .formats import CODES, shown
from .labels import ACCOUNT
from .masks import CONTACTS, PROPERTIES, hides, mask

# Every action there is, past tense. A test finds those that are recorded but not said here.
ACTIONS: dict[str, Any] = {
    "account.created": _l("Account added"),
    "account.updated": _l("Account changed"),
    "account.deleted": _l("Account deleted"),
    "account.archived": _l("Account archived"),
    "account.restored": _l("Account restored"),
    "account.partner_enabled": _l("Partner management switched on"),
    "account.partner_disabled": _l("Partner management switched off"),
    "account.put_on_hold": _l("Account put on hold"),
    "account.hold_lifted": _l("Hold lifted"),
    "account.moved": _l("Account moved"),
    "account.moved_here": _l("Account moved here"),
    "account.moved_away": _l("Account moved away"),
    "account.exported": _l("Accounts exported"),
    "account.imported": _l("Accounts imported"),
    "account.import_undone": _l("Import of accounts undone"),
    "account.properties_changed": _l("Properties changed"),
    "contact.revealed": _l("Contacts revealed"),
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
    "invitation.imported": _l("Members invited from a file"),
    "invitation.import_undone": _l("Invitations from a file undone"),
    "invitation.exported": _l("Invitations exported"),
    "article.created": _l("Article added"),
    "article.defined": _l("Article added"),
    "article.updated": _l("Article changed"),
    "article.changed": _l("Article changed"),
    "article.archived": _l("Article archived"),
    "article.restored": _l("Article restored"),
    "article.deleted": _l("Article deleted"),
    "article.exported": _l("Articles exported"),
    "license_type.created": _l("License type added"),
    "license_type.defined": _l("License type added"),
    "license_type.updated": _l("License type changed"),
    "license_type.changed": _l("License type changed"),
    "license_type.archived": _l("License type archived"),
    "license_type.restored": _l("License type restored"),
    "license_type.deleted": _l("License type deleted"),
    "license_type.exported": _l("License types exported"),
    "plan.created": _l("Plan added"),
    "plan.defined": _l("Plan added"),
    "plan.updated": _l("Plan changed"),
    "plan.changed": _l("Plan changed"),
    "plan.archived": _l("Plan archived"),
    "plan.restored": _l("Plan restored"),
    "plan.deleted": _l("Plan deleted"),
    "plan.exported": _l("Plans exported"),
    "plan.priced": _l("Price set"),
    "product.created": _l("Product added"),
    "product.defined": _l("Product added"),
    "product.updated": _l("Product changed"),
    "product.changed": _l("Product changed"),
    "product.archived": _l("Product archived"),
    "product.restored": _l("Product restored"),
    "product.deleted": _l("Product deleted"),
    "product.exported": _l("Products exported"),
    "article.priced": _l("Price set"),
    "subscription.created": _l("Subscription added"),
    "subscription.added": _l("Subscription added"),
    "subscription.updated": _l("Subscription changed"),
    "subscription.edited": _l("Subscription changed"),
    "subscription.renewed": _l("Subscription renewed"),
    "subscription.decided_to_pay": _l("Decided to pay after the free month"),
    "subscription.trial_ended": _l("Suspended: the free month has ended"),
    "subscription.suspended": _l("Subscription suspended"),
    "subscription.reinstated": _l("Subscription reinstated"),
    "subscription.cancelled": _l("Subscription cancelled"),
    "subscription.kept": _l("Cancellation taken back"),
    "subscription.cancellation_took_effect": _l("Cancellation took effect"),
    "subscription.expired": _l("Subscription expired"),
    "subscription.activated": _l("Subscription activated, paid upfront"),
    "subscription.deletion_took_effect": _l("Data of the subscription deleted"),
    "subscription.deleted": _l("Subscription deleted"),
    "subscription.exported": _l("Subscriptions exported"),
    "subscription.started": _l("Subscription started"),
    "subscription.upgraded": _l("Subscription upgraded"),
    "order.created": _l("Order begun"),
    "order.begun": _l("Order begun"),
    "order.updated": _l("Order changed"),
    "order.edited": _l("Draft changed"),
    "order.deleted": _l("Draft discarded"),
    "order.discarded": _l("Draft discarded"),
    "order.placed": _l("Order placed"),
    "order.started": _l("Fulfilment begun"),
    "order.put_back": _l("Back to placed"),
    "order.completed": _l("Order completed"),
    "order.failed": _l("Order failed"),
    "order.cancelled": _l("Order cancelled"),
    "order.domain_released": _l("Domain released"),
    "order.password_chosen": _l("Password of the instance chosen"),
    "order.exported": _l("Orders exported"),
    "fulfilment.taken": _l("Task taken"),
    "fulfilment.put_back": _l("Task put back"),
    "fulfilment.fulfilled": _l("Task fulfilled"),
    "fulfilment.failed": _l("Task failed"),
    "fulfilment.retried": _l("Task tried again"),
    "fulfilment.cancelled": _l("Task cancelled"),
    "fulfilment.exported": _l("Fulfilment tasks exported"),
    "holding.ordered": _l("Article ordered"),
    "resource_group.created": _l("Resource group added"),
    "resource_group.added": _l("Resource group added"),
    "resource_group.updated": _l("Resource group changed"),
    "resource_group.changed": _l("Resource group changed"),
    "resource_group.archived": _l("Resource group archived"),
    "resource_group.restored": _l("Resource group restored"),
    "resource_group.deleted": _l("Resource group deleted"),
    "resource_group.exported": _l("Resource groups exported"),
    "upfront_request.created": _l("Payment upfront requested"),
    "upfront_request.added": _l("Payment upfront requested"),
    "upfront_request.updated": _l("Upfront request changed"),
    "upfront_request.called": _l("Call about paying upfront noted"),
    "upfront_request.paid": _l("Upfront payment noted"),
    "upfront_request.sent": _l("Activation link sent"),
    "upfront_request.activated": _l("Upfront payment activated"),
    "upfront_request.withdrawn": _l("Upfront request withdrawn"),
    "upfront_request.deleted": _l("Upfront request deleted"),
    "upfront_request.exported": _l("Upfront requests exported"),
    "usage_report.created": _l("Usage reported"),
    "usage_report.reported": _l("Usage reported"),
    "usage_report.updated": _l("Usage reported"),
    "usage_report.deleted": _l("Usage reported"),
    "usage_report.exported": _l("Reported usage exported"),
    "account.plan_chosen": _l("Price model chosen"),
    "holding.created": _l("Article acquired"),
    "holding.given": _l("Article given"),
    "holding.updated": _l("Acquired article changed"),
    "holding.deleted": _l("Acquired article deleted"),
    "holding.taken_back": _l("Article taken back"),
    "holding.imported": _l("Articles given from a file"),
    "holding.import_undone": _l("Articles from a file undone"),
    "holding.exported": _l("Acquired articles exported"),
    "license.created": _l("License issued"),
    "license.issued": _l("License issued"),
    "license.updated": _l("License changed"),
    "license.suspended": _l("License suspended"),
    "license.reinstated": _l("License reinstated"),
    "license.revoked": _l("License revoked"),
    "license.surrendered": _l("License surrendered"),
    "license.expired": _l("License expired"),
    "license.deleted": _l("License deleted"),
    "license.exported": _l("Licenses exported"),
    "license_movement.exported": _l("Use of licenses exported"),
    "api_key.created": _l("API key created"),
    "api_key.updated": _l("API key changed"),
    "api_key.deleted": _l("API key deleted"),
    "api_key.revoked": _l("API key revoked"),
    "api_key.exported": _l("API keys exported"),
    "webhook.created": _l("Webhook added"),
    "webhook.added": _l("Webhook added"),
    "webhook.updated": _l("Webhook changed"),
    "webhook.changed": _l("Webhook changed"),
    "webhook.switched_on": _l("Webhook switched on"),
    "webhook.switched_off": _l("Webhook switched off"),
    "webhook.stopped": _l("Webhook stopped after errors"),
    "webhook.secret_renewed": _l("Secret of a webhook renewed"),
    "webhook.tested": _l("Test event sent"),
    "webhook.replayed": _l("Delivery sent again"),
    "webhook.removed": _l("Webhook removed"),
    "webhook.deleted": _l("Webhook removed"),
    "webhook.exported": _l("Webhooks exported"),
    "saved_view.created": _l("View saved"),
    "saved_view.updated": _l("Saved view changed"),
    "saved_view.deleted": _l("Saved view deleted"),
    "relationship.asked": _l("Code asked for"),
    "relationship.linked": _l("Client linked by consent"),
    "relationship.ended": _l("Relationship ended"),
    "relationship.expired": _l("Relationship over"),
    "relationship.exported": _l("Relationships exported"),
    "manager.exported": _l("Managing partners exported"),
    "calendar.made": _l("Address for a calendar made"),
    "calendar.withdrawn": _l("Address for a calendar withdrawn"),
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

FIELDS: dict[str, Any] = ACCOUNT | {
    "kind": _l("Kind"),
    "slug": _l("Address"),
    "parent_id": _l("Parent account"),
    "hold": _l("Hold"),
    "reason": _l("Reason"),
    "place": _l("Now beneath"),
    "from_place": _l("Until now beneath"),
    "administrative_hold_at": _l("Administrative hold"),
    "financial_hold_at": _l("Financial hold"),
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
    "portal_needs_subscription": _l("The customer portal needs a running subscription"),
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
    "number": _l("Article number"),
    "name_en": _l("Name in English"),
    "name_de": _l("Name in German"),
    "description_en": _l("Description in English"),
    "description_de": _l("Description in German"),
    "unit_en": _l("Unit in English"),
    "unit_de": _l("Unit in German"),
    "policy": _l("Policy"),
    "overage_percent": _l("Tolerated overage in %"),
    "grants": _l("Grants"),
    "period": _l("Billed"),
    "price": _l("Price"),
    "plan": _l("Plan"),
    "title": _l("Title"),
    "payment_mode": _l("Payment"),
    "location": _l("Data location"),
    "locations": _l("Data locations"),
    "users": _l("Named users"),
    "terminals": _l("Terminals"),
    "disk": _l("Disk space in GB"),
    "starts_on": _l("Starts on"),
    "ends_on": _l("Ends on"),
    "billed_from": _l("Charged from"),
    "trial_ends_on": _l("Free until"),
    "upfront_on": _l("Paid upfront since"),
    "cause": _l("Cause"),
    "cancelled_on": _l("Cancelled as of"),
    "delete_on": _l("Deleted on"),
    "remark": _l("Remark"),
    "name": _l("Name"),
    "description": _l("Description"),
    "subscription": _l("Subscription"),
    "at": _l("When"),
    "actor": _l("Who"),
    "call_note": _l("Note of the call"),
    "paid_on": _l("Paid on"),
    "requested_at": _l("Requested"),
    "requested_by": _l("Requested by"),
    "called_at": _l("Called"),
    "called_by": _l("Called by"),
    "sent_at": _l("Link sent"),
    "activated_at": _l("Activated"),
    "withdrawn_at": _l("Withdrawn"),
    "payment_reference": _l("Payment reference"),
    "host": _l("Host"),
    "events": _l("Events"),
    "delivery": _l("Delivery"),
    "customer": _l("Customer"),
    "author": _l("Ordered by"),
    "ordered_by": _l("Ordering account"),
    "product_type": _l("Product type"),
    "postponed": _l("Postponed billing"),
    "domain": _l("Domain"),
    "administrator": _l("User name of the administrator"),
    "credentials_to": _l("Credentials go to"),
    "reference": _l("Own reference"),
    "placed_at": _l("Placed"),
    "started_at": _l("Fulfilment begun"),
    "ended_at": _l("Ended"),
    "ordered": _l("Ordered"),
    "total": _l("Total"),
    "email": _l("E-mail"),
    "prepaid": _l("Pre-paid"),
    "postpaid": _l("Post-paid"),
    "included_users": _l("Users included"),
    "included_terminals": _l("Terminals included"),
    "included_disk": _l("GB included"),
    "limit_users": _l("Users at most"),
    "limit_terminals": _l("Terminals at most"),
    "limit_disk": _l("GB at most"),
    "beyond": _l("Above the limits"),
    "renewal": _l("Renewal counts"),
    "renewal_window": _l("Renewable, days before the end"),
    "trial_months": _l("Free months"),
    "article": _l("Article"),
    "license_type": _l("License type"),
    "quantity": _l("Quantity"),
    "credit": _l("Credit"),
    "acquired_on": _l("Acquired on"),
    "valid_from": _l("Starts on"),
    "valid_until": _l("Ends on"),
    "note": _l("Note or own reference"),
    "public_id": _l("License"),
    "source": _l("Source"),
    "prefix": _l("Begins with"),
    "scopes": _l("May do"),
    "consents": _l("Agreed"),
    "created_by": _l("Acts for"),
    "last_used_at": _l("Last used"),
    "of_list": _l("List"),
    "query": _l("Address"),
    "owner_id": _l("Person"),
    "revoked_at": _l("Revoked"),
}

DAYS = {
    "acquired_on", "valid_from", "valid_until", "starts_on", "ends_on", "billed_from", "trial_ends_on", "upfront_on",
    "cancelled_on", "delete_on", "paid_on",
}  # fmt: skip
MOMENTS = {"at"}
WORDS: dict[str, tuple[Any, ...]] = {
    "role": (Role,), "kind": (Kind, OrderKind), "type": (PropertyType, ProductType), "hold": (HoldKind,),
    "policy": (Policy,), "period": (Cycle,), "payment_mode": (PaymentMode,), "location": (DataLocation,),
    "cause": (SuspensionCause,), "beyond": (Beyond,), "renewal": (RenewalRule,), "consents": (Consent,),
    "product_type": (ProductType,), "events": (EventKind,), "delivery": (EventKind,),
}  # fmt: skip

SAID_OTHERWISE = {  # by the line itself
    "created_at", "archived_at", "slug", "parent_id", "user_id",
    "status", "locale", "inviter", "expires_at", "accepted_at", "administrative_hold_at", "financial_hold_at",
    "public_id", "source", "created_by", "revoked_at", "requested_at", "requested_by", "called_at", "called_by",
    "sent_at", "activated_at", "withdrawn_at", "actor",
}  # fmt: skip


@dataclass(frozen=True)
class ActionField(Field):
    """The deed as a column: filtered, searched and sorted by the words one reads, not by their code."""

    @property
    def order(self) -> Any:
        ranks = {code: n for n, code in enumerate(sorted(ACTIONS, key=lambda code: sort_key(str(ACTIONS[code]))))}
        return case(ranks, value=self.expression, else_=len(ranks))

    def contains(self, text: str, *, tested: bool = False) -> Any:
        wanted = sort_key(text)
        return self.expression.in_([code for code in ACTIONS if wanted in sort_key(str(ACTIONS[code]))])


def action_column(plain: Field) -> ActionField:
    """What happened, offered by its words; one and the same word may stand for several codes."""
    codes: dict[str, str] = {}
    for code, words in ACTIONS.items():
        codes.setdefault(str(words), code)
    choices = [Option(codes[words], ACTIONS[codes[words]]) for words in sorted(codes, key=sort_key)]
    return ActionField(
        plain.name, plain.label, "text", action_in_words, plain.expression, choices, operators=_ACTION_OPERATORS
    )


def _deed(field: Field, text: str) -> Option:
    found = next((option for option in field.choices if option.value == text), None)
    if found is None:
        raise ValueError(text)
    return found


def _codes(deed: Option) -> list[str]:
    return [code for code, words in ACTIONS.items() if str(words) == str(deed)]


_ACTION_OPERATORS = [
    Operator(_l("is"), _deed, lambda column, deed: column.in_(_codes(deed))),
    Operator(_l("is not"), _deed, lambda column, deed: column.not_in(_codes(deed)), negative=True),
]


def action_in_words(entry: LogEntry) -> str:
    return str(ACTIONS.get(entry.action, entry.action))


def actor_in_words(entry: LogEntry) -> str:
    """Who did it; a program is told by the name of its key."""
    name = entry.actor.partition(" <")[0]
    return _("%(person)s via API key %(key)s", person=name, key=entry.via) if entry.via else name


def changes_in_words(entry: LogEntry) -> str:
    """Old → new of each field, on one line."""
    return " · ".join(_changes(entry))


def changes_line_by_line(entry: LogEntry) -> str:
    return "\n".join(_changes(entry))


def _changes(entry: LogEntry) -> list[str]:
    told = [(name, pair) for name, pair in entry.changes.items() if name not in SAID_OTHERWISE]
    return [f"{_field(name, pair)}: {_arrow(name, *_behind_mask(name, pair))}" for name, pair in told]


def _behind_mask(name: str, pair: list[Any]) -> list[Any]:
    """Old and new as the reader may see them: contacts masked for some (X-11)."""
    about = pair[2] if len(pair) > 2 else {}
    contact = CONTACTS[Account].get(name) or PROPERTIES.get(about.get("type"))
    if not hides(contact):
        return pair
    return [mask(pair[0], contact), mask(pair[1], contact), *pair[2:]]


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
    if name in WORDS and value:
        values = value if isinstance(value, list) else [value]
        return ", ".join(_word(name, one) for one in values)
    if name in DAYS and value:
        return shown(date.fromisoformat(value), "date")
    if name in MOMENTS and value:
        return shown(datetime.fromisoformat(value), "moment")
    if isinstance(value, dict):
        return value[_language()]
    if isinstance(value, list):
        return ", ".join(str(one[f"label_{_language()}"]) if isinstance(one, dict) else str(one) for one in value)
    return shown(value, name if name in CODES else "text")


def _word(name: str, value: Any) -> str:
    return next((str(kind(value).label) for kind in WORDS[name] if value in set(kind)), str(value))


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

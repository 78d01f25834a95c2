"""Every resource of the REST API, declared; the table of contents of `/api/v1/`.

What a verb does stands in `services/`, as for the screens; what a resource can do in `ui/rest/`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict
from functools import cache
from typing import Any

from flask import Response, current_app, g
from flask_appbuilder import expose
from flask_appbuilder.api import BaseApi
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from . import api_usage, clock, properties, property_types
from .api_orders import FulfilmentApi, OrderApi
from .api_webhooks import DeliveryApi, WebhookApi
from .errors import Conflict, Refused
from .extensions import db
from .models import (
    LARGEST_QUANTITY,
    Account,
    Article,
    Grant,
    Invitation,
    License,
    Member,
    Meter,
    Order,
    Plan,
    PlanPrice,
    Policy,
    Property,
    PropertyType,
    Role,
    Subscription,
)
from .pages.plans import PlansView
from .pages.subscriptions import SubscriptionsView
from .permissions import TABLE, allows
from .services import accounts, invitations, licenses, members, subscriptions, surrenders
from .services import properties as definitions
from .tenancy import current_scope
from .ui import properties as property_columns
from .ui.acting import me
from .ui.columns import Field, changed
from .ui.history import FIELDS
from .ui.interface import BackOffice, Table
from .ui.masks import PROPERTIES, hides
from .ui.rest.api import BackOfficeApi, idempotency_key, query, verb
from .ui.rest.bodies import plain, plain_value, shape_of_value, told, value_from
from .ui.rest.openapi import OpenApi
from .ui.rest.problems import Problem
from .ui.rest.shapes import LARGEST, Shape, of_object
from .views import AccountsView, ArticlesView, InvitationsView, LicensesView, MembersView

HELD = {
    "administrative_hold_at": _l("On administrative hold since"),
    "financial_hold_at": _l("On financial hold since"),
    "plan.key": _l("Price model"),
}
WHOSE = ["account.id", "account.name"]  # the account a row belongs to


class AccountApi(BackOfficeApi):
    """The accounts beneath the acting one, archived ones among them; with their properties (M-1 … M-9)."""

    resource_name = "account"
    datamodel = Table(Account)
    noun = "account"
    description = _l("The accounts beneath yours, archived ones among them, with your properties of them.")
    label_columns = {**AccountsView.label_columns, "slug": _l("Address"), "is_archived": _l("Archived"), **HELD}
    list_columns = [
        "id", "slug", "name", "kind", "parent.id", "parent.name", "contact", "email", "phone", "street", "postal_code",
        "city", "country", "website", "vat_id", "language", "time_zone", "currency", "plan.key", "created_at",
        "archived_at", "is_archived", "administrative_hold_at", "financial_hold_at",
    ]  # fmt: skip
    add_columns = edit_columns = [name for name in AccountsView.add_columns if name != "plan_id"]
    order = ("name",)
    looking = "show"
    include_route_methods = {"info", "get_list", "get", "post", "put"}

    def conditions(self) -> tuple[Any, ...]:
        return (Account.id != current_scope().account_id,)

    def fields(self) -> dict[str, Field]:
        archived = {"kind": "flag", "expression": Account.archived_at.is_not(None)}
        fields = changed(super().fields(), is_archived=archived)
        columns = property_columns.columns(_own_properties()).values()
        every = Field("properties", _("Properties"), "json", lambda row: _properties_of(row, columns))
        own = {f"properties.{column.definition.key}": column for column in columns}
        return fields | {"properties": every} | own

    def plain(self, field: Field, row: Any) -> Any:
        definition = getattr(field, "definition", None)
        return plain(field.value(row)) if definition is None else plain_value(definition, field.value(row))

    def usual(self, fields: dict[str, Field]) -> list[str]:
        """All properties at once; one by one they can be asked for."""
        return [name for name in fields if not name.startswith("properties.")]

    def body(self, columns: list[str], needed: list[str]) -> Shape:
        shape = super().body(columns, needed)
        own = {definition.key: shape_of_value(definition) for definition in _own_properties()}
        more = "scope" not in g  # the document is for every account
        shape["properties"]["properties"] = {"type": "object", "properties": own, "additionalProperties": more}
        return shape

    def shape_to_edit(self) -> Shape:
        shape = super().shape_to_edit()
        own = shape["properties"]["properties"]["properties"]
        masked = {definition.key for definition in _own_properties() if hides(PROPERTIES.get(definition.type))}
        shape["properties"]["properties"]["properties"] = {key: own[key] for key in own if key not in masked}
        return shape

    def may_edit(self, row: Account) -> bool:
        return row.id != current_scope().account_id

    def create(self, sent: dict[str, Any]) -> Account:
        proposed = {definition: properties.default_of(definition) for definition in _own_properties()}
        values = proposed | _property_values(sent.pop("properties", {}))
        facts = {name: sent[name] for name in self.add_columns if name in sent}
        own = db.session.get(Account, current_scope().account_id)
        usual = {name: getattr(own, name) for name in ("country", "language", "time_zone", "currency")}
        _refuse_wrong(values)
        account = accounts.open_account(parent=own, by=me(), **usual | facts)
        properties.write(account, values)
        return account

    def change(self, row: Account, sent: dict[str, Any]) -> None:
        values = _property_values(sent.pop("properties", {}))
        _refuse_wrong(values)
        accounts.change(row, **sent)
        if values:
            properties.write(row, values)

    @verb("archive", _l("Put the account away; nothing is deleted"))
    def archive(self, account: Account) -> None:
        accounts.archive(account, by=me())

    @verb("restore", _l("Take the account out of the archive"), permission="archive")
    def restore(self, account: Account) -> None:
        accounts.restore(account, by=me())

    @verb("enable_partner", _l("Switch partner management on"), permission="promote")
    def enable_partner(self, account: Account) -> None:
        accounts.enable_partner(account, by=me())

    @verb("disable_partner", _l("Switch partner management off"), permission="promote")
    def disable_partner(self, account: Account) -> None:
        accounts.disable_partner(account, by=me())


class MemberApi(BackOfficeApi):
    """The people of the acting account and, as management data, of those beneath (M-7b)."""

    resource_name = "member"
    datamodel = Table(Member)
    noun = "member"
    description = _l("The people of your account and of those beneath. Roles are changed in your own account alone.")
    label_columns = MembersView.label_columns
    list_columns = ["id", *WHOSE, "user.first_name", "user.last_name", "user.email", "role", "created_at"]
    edit_columns = ["role"]
    order = ("user.last_name", "user.first_name")
    include_route_methods = {"info", "get_list", "get", "put", "delete"}

    def may_edit(self, row: Member) -> bool:
        return row.account_id == current_scope().account_id

    def change(self, row: Member, sent: dict[str, Any]) -> None:
        if "role" in sent:
            members.change_role(row, to=Role(sent["role"]), by=me())

    def remove(self, row: Member) -> None:
        if row.id == current_scope().member_id:
            raise Refused(_("To go yourself, choose “Leave account”."))
        members.remove(row, by=me())


class InvitationApi(BackOfficeApi):
    """Who has been asked to become a member of the acting account or of one beneath (M-7)."""

    resource_name = "invitation"
    datamodel = Table(Invitation)
    noun = "invitation"
    description = _l("Who has been asked to become a member, of your account or of one beneath.")
    label_columns = InvitationsView.label_columns
    list_columns = [
        "id", *WHOSE, "email", "role", "status", "inviter", "created_at", "expires_at", "accepted_at",
    ]  # fmt: skip
    add_columns = ["email", "role"]
    order = ("-created_at",)
    include_route_methods = {"info", "get_list", "get", "post"}

    def fields(self) -> dict[str, Field]:
        status = {"value": lambda row: row.status_at(clock.now()), "expression": invitations.status_column()}
        return changed(super().fields(), status=status)

    def shape_to_add(self) -> Shape:
        shape = super().shape_to_add()
        shape["properties"]["account_id"] = {"type": "integer", "minimum": 1, "maximum": LARGEST}
        return shape

    def create(self, sent: dict[str, Any]) -> Invitation:
        account = db.session.get(Account, sent.get("account_id", current_scope().account_id))
        if account is None:
            raise Refused(_("There is no such account."), field="account_id")
        return invitations.invite(sent["email"], role=Role(sent["role"]), account=account, by=me())

    @verb("resend", _l("Send a new link; the old one opens nothing any more"))
    def resend(self, invitation: Invitation) -> None:
        invitations.resend(invitation, by=me())

    @verb("withdraw", _l("Take the offer back"))
    def withdraw(self, invitation: Invitation) -> None:
        invitations.withdraw(invitation, by=me())


class PropertyApi(BackOfficeApi):
    """The acting account's own definitions; those of accounts beneath are theirs alone (M-8)."""

    resource_name = "property"
    datamodel = Table(Property)
    noun = "property"
    description = _l("What you want to know of the accounts beneath: the definitions of your own columns.")
    label_columns = {**FIELDS, "position": _l("Position")}
    list_columns = [
        "id", "key", "type", "label_en", "label_de", "help_en", "help_de", "position", "choices", "minimum",
        "maximum", "max_length", "default_value", "currency", "required", "visible_to_customer", "as_column",
        "archived_at",
    ]  # fmt: skip
    edit_columns = [
        "label_en", "label_de", "help_en", "help_de", "max_length", "currency", "required", "visible_to_customer",
        "as_column",
    ]  # fmt: skip
    add_columns = ["type", *edit_columns]
    order = ("position",)
    include_route_methods = {"info", "get_list", "post", "put", "get"}

    def conditions(self) -> tuple[Any, ...]:
        return (Property.account_id == current_scope().account_id,)

    def is_shown(self, row: Property) -> bool:
        return row.account_id == current_scope().account_id

    def body(self, columns: list[str], needed: list[str]) -> Shape:
        """Limits and proposed value are as values of the property are; choices have a key and two labels."""
        shape = super().body(columns, [name for name in needed if name == "type"])
        words = {"type": "string", "maxLength": 80}
        choice = {"type": "object", "properties": dict.fromkeys(("key", "label_en", "label_de"), words)}
        shape["properties"] |= {
            "choices": {"type": "array", "items": choice | {"additionalProperties": False}},
            "minimum": {"type": ["string", "number", "null"]},
            "maximum": {"type": ["string", "number", "null"]},
            "default_value": {},
        }
        for name in ("label_en", "label_de"):
            shape["properties"][name].pop("minLength", None)  # one of the two is enough
        return shape

    def create(self, sent: dict[str, Any]) -> Property:
        type_ = PropertyType(sent.pop("type"))
        draft = Property(type=type_, account_id=current_scope().account_id)
        return definitions.define(type_, by=me(), **_facts(draft, sent))

    def change(self, row: Property, sent: dict[str, Any]) -> None:
        definitions.change(row, by=me(), **_facts(row, sent))

    @verb("archive", _l("Take the property out of lists and forms; its values stay"))
    def archive(self, definition: Property) -> None:
        definitions.archive(definition, by=me())

    @verb("restore", _l("Bring the property back, with the values it had"), permission="archive")
    def restore(self, definition: Property) -> None:
        definitions.restore(definition, by=me())


class ArticleApi(BackOfficeApi):
    """What is on offer, and what each piece of it grants (M-11, M-12)."""

    resource_name = "article"
    datamodel = Table(Article)
    noun = "article"
    looking = "show"
    description = _l("What the operator offers, and the licenses each piece of it grants.")
    label_columns = ArticlesView.label_columns | {"grants": _l("Grants")}
    list_columns = [
        "id", "number", "name_en", "name_de", "description_en", "description_de", "created_at", "archived_at",
    ]  # fmt: skip
    order = ("number",)

    def fields(self) -> dict[str, Field]:
        granted = cache(_granted)
        grants = Field("grants", self.label_columns["grants"], "json", lambda row: granted().get(row.id, []))
        return super().fields() | {"grants": grants}


WORDS: Shape = {"type": "string"}
WHOLE: Shape = {"type": "integer", "minimum": 1, "maximum": LARGEST_QUANTITY, "default": 1}
REASON = of_object({"reason": {"type": "string", "minLength": 1, "maxLength": licenses.LONGEST_REASON}})
USE = of_object(
    {"quantity": WHOLE, "reference": {"type": "string", "minLength": 1, "maxLength": licenses.LONGEST_REFERENCE}},
    ["reference"],
)
ANSWER = of_object(
    {
        "allowed": {"type": "boolean"},
        "quantity": {"type": "integer"},
        "in_use": {"type": "integer"},
        "available": {"type": "integer"},
        "limit": {"type": ["integer", "null"]},
        "policy": WORDS | {"enum": [policy.value for policy in Policy]},
        "warning": {"type": ["string", "null"]},
        "reason": {"type": ["string", "null"], "enum": [*(reason.value for reason in licenses.Reason), None]},
        "message": WORDS,
    }
)


LINE = {"type": "object"}  # as `pricing.Line` tells itself: what, quantity, unit_price, period, part, amount
CREDIT = of_object(
    {"currency": WORDS, "net": WORDS, "tax": WORDS, "gross": WORDS, "calculation": {"type": "array", "items": LINE}}
)
SURRENDER = of_object(
    {
        "quantity": {"type": "integer"},
        "effective_on": WORDS | {"format": "date"},
        "left": {"type": "integer"},
        "in_use": {"type": "integer"},
        "credit": {"oneOf": [CREDIT, {"type": "null"}]},
        "no_credit": {"type": ["string", "null"], "enum": [*(why.value for why in surrenders.NoCredit), None]},
        "message": WORDS,
    }
)
CANCELLING = of_object(
    {"at_end": {"type": "boolean", "default": False},
     "reason": {"type": "string", "maxLength": subscriptions.LONGEST_REASON}},
    [],
)  # fmt: skip


class LicenseApi(BackOfficeApi):
    """What accounts may use, and the one place where use is allowed or refused (M-13)."""

    resource_name = "license"
    datamodel = Table(License)
    noun = "license"
    looking = "show"
    description = _l("What accounts may use: ask, take into use, release. Every answer comes with the numbers.")
    label_columns = LicensesView.label_columns | {
        "public_id": _l("License number"),
        "type.key": _l("License type"),
        "article.number": _l("Article number"),
        "valid_from": _l("Valid from"),
        "valid_until": _l("The first day on which it counts no longer"),
        "created_at": _l("Created"),
    }
    list_columns = [
        "id", "public_id", *WHOSE, "type.key", "type.policy", "article.number", "quantity", "in_use", "available",
        "valid_from", "valid_until", "status", "reason", "created_at",
    ]  # fmt: skip
    order = ("public_id",)

    def fields(self) -> dict[str, Field]:
        """Status and what is left are those of this moment, each account's day its own."""
        return changed(
            super().fields(),
            status={
                "value": lambda row: row.status_on(clock.today(row.account.time_zone)),
                "expression": licenses.status_column(clock.today()),
            },
            available={"kind": "number", "expression": licenses.available_column()},
        )

    @query("check", _l("Whether so much more could be taken into use now"), permission="show",
           sends=of_object({"quantity": WHOLE}, []), tells=ANSWER)  # fmt: skip
    def check(self, license: License, asked: dict[str, Any]) -> dict[str, Any]:
        return _answer(licenses.check(license, asked.get("quantity", 1)))

    @verb("consume", _l("Take so much into use, all of it or nothing"), permission="use",
          sends=USE, tells=ANSWER, once=False)  # fmt: skip
    def consume(self, license: License, sent: dict[str, Any]) -> dict[str, Any]:
        return _used(licenses.consume, license, sent)

    @verb("release", _l("Give so much free again"), permission="use", sends=USE, tells=ANSWER, once=False)
    def release(self, license: License, sent: dict[str, Any]) -> dict[str, Any]:
        return _used(licenses.release, license, sent)

    @query("surrender", _l("What giving so many back for good would mean"), permission="surrender",
           sends=of_object({"quantity": WHOLE}, []), tells=SURRENDER)  # fmt: skip
    def preview_surrender(self, license: License, asked: dict[str, Any]) -> dict[str, Any]:
        return _meant(surrenders.preview(license, asked.get("quantity", 1)))

    @verb("surrender", _l("Give so many back for good that are not in use; all of them or none"),
          sends=of_object({"quantity": WHOLE}), tells=SURRENDER, once=False)  # fmt: skip
    def surrender(self, license: License, sent: dict[str, Any]) -> dict[str, Any]:
        return _keyed(lambda key: _meant(surrenders.surrender(license, sent["quantity"], by=me(), key=key)))

    @verb("suspend", _l("Stop all use for the time being"), sends=REASON)
    def suspend(self, license: License, sent: dict[str, Any]) -> None:
        licenses.suspend(license, reason=sent["reason"], by=me())

    @verb("reinstate", _l("Lift a suspension"), permission="suspend")
    def reinstate(self, license: License) -> None:
        licenses.reinstate(license, by=me())

    @verb("revoke", _l("Take the license back for good"), sends=REASON)
    def revoke(self, license: License, sent: dict[str, Any]) -> None:
        licenses.revoke(license, reason=sent["reason"], by=me())


class PlanApi(BackOfficeApi):
    """What subscriptions cost, include and allow (L-7)."""

    resource_name = "plan"
    datamodel = Table(Plan)
    noun = "plan"
    looking = "list"
    description = _l("What subscriptions cost, include and allow; prices by currency and day, as exact decimals.")
    label_columns = PlansView.label_columns | {
        "product.key": _l("Product"), "product.type": _l("Type"), "prices": _l("Prices"), "prepaid": _l("Pre-paid"),
        "postpaid": _l("Post-paid"), "archived_at": _l("Archived"),
    }  # fmt: skip
    list_columns = [
        "id", "key", "product.key", "product.type", "name_en", "name_de", "description_en", "description_de", "period",
        "prepaid", "postpaid", "trial_months", "renewal", "renewal_window", *PlansView.limit_columns, "beyond",
        "archived_at",
    ]  # fmt: skip
    order = ("key",)

    def fields(self) -> dict[str, Field]:
        limits = {f"limit_{meter}": {"value": lambda row, m=meter: row.limit(m)} for meter in Meter}
        prices = Field("prices", self.label_columns["prices"], "json", lambda row: list(map(_price, row.prices)))
        return changed(super().fields(), **limits) | {"prices": prices}


class SubscriptionApi(BackOfficeApi):
    """The running agreements of accounts (L-5, L-6)."""

    resource_name = "subscription"
    datamodel = Table(Subscription)
    noun = "subscription"
    looking = "show"
    description = _l("What accounts have agreed on, until when; with the calculation of what a term costs.")
    label_columns = SubscriptionsView.label_columns | {
        "plan.key": _l("Plan"), "currency": _l("Currency"), "cause": _l("Cause"), "reason": _l("Reason"),
        "version": _l("Version"), "calculation": _l("Calculation"),
    }  # fmt: skip
    list_columns = [
        "id", "public_id", "title", *WHOSE, "plan.key", "status", "currency", "payment_mode", "location", "users",
        "terminals", "disk", "starts_on", "ends_on", "billed_from", "trial_ends_on", "upfront_on", "cause", "reason",
        "cancelled_on", "delete_on", "remark", "created_at", "version",
    ]  # fmt: skip
    order = ("public_id",)

    def fields(self) -> dict[str, Field]:
        told = Field("calculation", self.label_columns["calculation"], "json", _calculation)
        return super().fields() | {"calculation": told}

    @verb("renew", _l("Renew it for a term; `version` is the one that was read"),
          sends=of_object({"version": {"type": "integer", "minimum": 1}}))  # fmt: skip
    def renew(self, subscription: Subscription, sent: dict[str, Any]) -> None:
        subscriptions.renew(subscription, seen=sent["version"])

    @verb("cancel", _l("Cancel it, today or at the end of its term"), sends=CANCELLING)
    def cancel(self, subscription: Subscription, sent: dict[str, Any]) -> None:
        reason, at_end = sent.get("reason", ""), sent.get("at_end", False)
        subscriptions.cancel(subscription, by=me(), reason=reason, at_end=at_end)

    @query("usage", _l("The most user accounts of the billing month that `day` is in, or this one; its reports"),
           permission="show", sends=api_usage.OF_A_DAY, tells=api_usage.MONTH)  # fmt: skip
    def usage(self, subscription: Subscription, asked: dict[str, Any]) -> dict[str, Any]:
        return api_usage.asked_for(subscription, asked.get("day", ""))

    @verb("usage", _l("Report how many user accounts there are, or were at a moment (`at`, with its time zone)"),
          permission="report_usage", sends=api_usage.REPORT, tells=api_usage.MONTH)  # fmt: skip
    def report_usage(self, subscription: Subscription, sent: dict[str, Any]) -> dict[str, Any]:
        return api_usage.report(subscription, sent, by=me())


class MeApi(BaseApi):
    """For whom a key acts, where, and what it may do: the first thing to try."""

    resource_name = "me"

    @expose("/", methods=["GET"])
    def get(self) -> Response:
        scope, member = g.scope, me()
        may = [name for name in TABLE if allows(scope.kind, scope.role, name)]
        return told(
            {
                "account": {"id": scope.account_id, "name": scope.account_name, "slug": member.account.slug},
                "user": {"name": member.user.name, "email": member.user.email},
                "role": scope.role.value,
                "key": scope.via or None,
                "permissions": may if scope.scopes is None else [name for name in may if name in scope.scopes],
            }
        )


RESOURCES = (AccountApi, MemberApi, InvitationApi, PropertyApi, ArticleApi, LicenseApi, PlanApi, SubscriptionApi,
             OrderApi, FulfilmentApi, WebhookApi, DeliveryApi)  # fmt: skip


def register(backoffice: BackOffice) -> None:
    """The resources, and the document that tells of them; and how an order is told to others than who asks."""
    made = {resource: backoffice.add_api(resource) for resource in (MeApi, *RESOURCES, OpenApi)}
    current_app.extensions["as_told"] = {Order: made[OrderApi].as_told}


# --- prices and calculations, out -------------------------------------------------------------------------------


def _price(price: PlanPrice) -> dict[str, Any]:
    amounts = {name: str(amount) for name, amount in price.amounts()}
    return {"currency": price.currency, "valid_from": price.valid_from.isoformat()} | amounts


def _calculation(subscription: Subscription) -> dict[str, Any] | None:
    """As it is stored: every line with what its sum is made of."""
    stored = subscription.calculation
    if stored is None:
        return None
    sums = {name: str(getattr(stored, name)) for name in ("net", "tax", "gross")}
    return {"currency": stored.currency, **sums, "lines": stored.lines}


# --- licenses, in and out ---------------------------------------------------------------------------------------


def _used(deed: Any, license: License, sent: dict[str, Any]) -> dict[str, Any]:
    """Take or release."""
    said = {"reference": sent["reference"], "by": me()}
    return _keyed(lambda key: _answer(deed(license, sent.get("quantity", 1), key=key, **said)))


def _keyed(deed: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    """A deed whose idempotency key is the license's own, which keeps it longer than a day."""
    try:
        return deed(idempotency_key())
    except Conflict as conflict:
        raise Problem(422, conflict.sentence) from conflict


def _answer(answer: licenses.Answer) -> dict[str, Any]:
    told = {name: plain(value) for name, value in asdict(answer).items()}
    return told | {"warning": answer.warning or None, "message": str(answer)}


def _meant(meant: surrenders.Surrender) -> dict[str, Any]:
    credit = meant.credit
    amounts = {name: plain(-getattr(credit, name)) for name in ("net", "tax", "gross")} if credit else {}
    return {
        "quantity": meant.quantity,
        "effective_on": plain(meant.on),
        "left": meant.left,
        "in_use": meant.license.in_use,
        "credit": {"currency": credit.currency, **amounts, "calculation": credit.as_json()} if credit else None,
        "no_credit": plain(meant.nothing),
        "message": str(meant.nothing.label) if meant.nothing else "",
    }


def _granted() -> dict[int, list[dict[str, Any]]]:
    """What a piece of each article gives; the catalogue is short."""
    found: dict[int, list[dict[str, Any]]] = {}
    for grant in db.session.scalars(select(Grant).options(joinedload(Grant.type)).order_by(Grant.id)):
        found.setdefault(grant.article_id, []).append({"license_type": grant.type.key, "quantity": grant.quantity})
    return found


# --- properties, in and out --------------------------------------------------------------------------------------


def _own_properties() -> list[Property]:
    """The acting account's; none where nobody acts, as in the OpenAPI document."""
    return properties.definitions_for(g.scope) if "scope" in g else []


def _properties_of(account: Account, columns: Iterable[Any]) -> dict[str, Any]:
    return {one.definition.key: plain_value(one.definition, one.value(account)) for one in columns}


def _property_values(sent: dict[str, Any]) -> dict[Property, Any]:
    """Key → value as JSON says it, by definition and as `properties.write` takes it."""
    by_key = {definition.key: definition for definition in _own_properties()}
    return {by_key[key]: _at(f"properties.{key}", value_from, by_key[key], value) for key, value in sent.items()}


def _refuse_wrong(values: dict[Property, Any]) -> None:
    """Every value that does not fit, said at once."""
    wrong = []
    for definition, value in values.items():
        try:
            property_types.check(definition, value)
        except Refused as refusal:
            wrong.append((f"properties.{definition.key}", refusal.sentence))
    if wrong:
        raise Problem(422, errors=wrong)


def _facts(definition: Property, sent: dict[str, Any]) -> dict[str, Any]:
    """What was sent, as the verbs of definitions take it."""
    typed = ("minimum", "maximum", "default_value")
    return {name: _at(name, value_from, definition, v) if name in typed else v for name, v in sent.items()}


def _at(place: str, read: Any, definition: Property, value: Any) -> Any:
    try:
        return read(definition, value)
    except Refused as refusal:
        raise Refused(refusal.sentence, field=place) from refusal

"""The policy: every address of the application, what it asks of whom, and what a good request to it looks like.

One line per endpoint of the URL map. `matrix.py` makes the cells out of it, for every actor and every row; an
endpoint without a line here fails by its name. The rights are said here once more, against `has_access` in a view
that names another; who has them is read from `permissions.TABLE`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from app.models import (
    Account,
    AccountImport,
    ApiKey,
    Article,
    Fulfilment,
    Holding,
    Invitation,
    License,
    LicenseMovement,
    LicenseType,
    LogEntry,
    Login,
    Member,
    Message,
    Meter,
    Order,
    Plan,
    Product,
    Property,
    PropertyValue,
    Relationship,
    ResourceGroup,
    Subscription,
    UpfrontRequest,
    UsageReport,
    Webhook,
    WebhookDelivery,
)
from app.models import Export as ExportFile
from tests.walls.world import is_within, partner_of

Allowed = Callable[[str, str], bool]  # (slug of the acting account, slug of the row's) → whether the verb is offered


def anywhere(_acting: str, _owner: str) -> bool:
    return True


def beneath(acting: str, owner: str) -> bool:
    return owner != acting


def within(acting: str, owner: str) -> bool:
    return owner == acting


def from_above(acting: str, owner: str) -> bool:
    """Of others beneath; of their own only the operator."""
    return is_within(owner, acting) and (owner != acting or acting == "kontor")


def not_by_consent(acting: str, owner: str) -> bool:
    return is_within(owner, acting)


def by_their_consent(acting: str, owner: str) -> bool:
    return acting == partner_of(owner)


@dataclass(frozen=True)
class Public:
    """For everybody, signed in or not. Not to be had under an account's address."""

    because: str
    get: frozenset[int] | set[int] = frozenset({200})
    post: frozenset[int] | set[int] = frozenset()
    args: dict[str, Any] = field(default_factory=dict)
    data: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Personal:
    """A person's own affair; no right is needed but to be a member of the account one acts in."""

    because: str
    get: int = 0
    post: int = 0
    data: dict[str, str] = field(default_factory=dict)
    of: type | None = None  # its address names a row of the person's own


@dataclass(frozen=True)
class Page:
    """An address without rows of a table."""

    permission: str
    get: int = 200  # 0: it is only posted to
    post: int | set[int] = 0
    data: dict[str, str] = field(default_factory=dict)
    alters: frozenset[str] = frozenset()  # columns besides those of its form
    query: str = ""  # what its address needs besides
    otherwise: int = 403  # what those are answered who lack the right because of the account's kind


@dataclass(frozen=True)
class Part:
    """A part of a page, fetched by itself; `about` is the argument of its address that names an account."""

    permission: str
    about: str
    let_in: str = ""  # the table of what it is about, where clients by consent are among those accounts


@dataclass(frozen=True)
class List:
    permission: str
    of: type
    offers: Allowed = anywhere  # whose rows it lists


@dataclass(frozen=True)
class Export(List):
    """The list as a file."""


@dataclass(frozen=True)
class Related:
    """The rows of one table that belong to a row of another."""

    permission: str
    of: type
    owners: dict[str, type]


@dataclass(frozen=True)
class Detail:
    permission: str
    of: type
    get: int = 200
    kind: str = ""  # where rows come in kinds: whose address it is; the others are not there


@dataclass(frozen=True)
class AddForm:
    permission: str
    of: type
    data: dict[str, str]
    query: str = ""  # what its address needs besides
    into: str = ""  # the argument of its address that names the account to add to
    let_in: bool = False  # whether clients by consent are among these
    done: int = 302  # 200: what was made is shown at once
    within_page: int = 204  # what the dialog's own request is answered


@dataclass(frozen=True)
class EditForm:
    permission: str
    of: type
    data: dict[str, str]
    offers: Allowed = anywhere
    query: str = ""
    alters: frozenset[str] = frozenset()  # columns besides those of its form
    done: int = 302  # 200: what came of it is shown at once
    opens: frozenset[int] = frozenset({200})  # 409: none of the world's rows is in a state for it
    kind: str = ""
    placed: int = 0  # what an order answers that is no draft any more


@dataclass(frozen=True)
class Deed:
    """A verb on one row, named in the address."""

    permission: str
    of: type
    offers: Allowed = anywhere
    alters: frozenset[str] = frozenset()
    done: frozenset[int] | set[int] = frozenset({302, 422})
    reveals: bool = False  # its answer shows the row's contacts, whoever asked
    kind: str = ""
    placed: int = 0  # as for `EditForm`


@dataclass(frozen=True)
class OfViews:
    """A verb on a saved view: one's own or a shared one, which only some may change."""

    permission: str
    data: dict[str, str] = field(default_factory=dict)
    shows: bool = False  # whether it asks first
    changes: bool = True  # the view itself, so that of shared ones `saved_view.share` is asked


@dataclass(frozen=True)
class Address:
    """An address about one row that answers something else than a page: `get` and `post` say what."""

    permission: str
    of: type
    offers: Allowed = anywhere
    get: int = 0
    post: int = 0
    data: dict[str, str] = field(default_factory=dict)
    query: str = ""
    placed: int = 0


@dataclass(frozen=True)
class Commands:
    """Verbs on chosen rows: the verb's name → the right it needs."""

    of: type
    verbs: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ApiList:
    """The rows of a resource, for a program with a key and for a browser with its cookie."""

    permission: str
    of: type
    offers: Allowed = anywhere


@dataclass(frozen=True)
class ApiItem:
    """One row of it; `offers` says whose it has at all."""

    permission: str
    of: type
    offers: Allowed = anywhere
    done: int = 200  # 409: the row is in no state for it


@dataclass(frozen=True)
class ApiAdd:
    permission: str
    of: type
    json: dict[str, Any]
    done: int = 201


@dataclass(frozen=True)
class ApiDeed:
    """Something done to one row; where it is not offered, the answer is `instead`."""

    permission: str
    of: type
    json: dict[str, Any] | None = None
    offers: Allowed = anywhere
    instead: int = 404


@dataclass(frozen=True)
class ApiPage:
    """An address of the API without rows of a table; without a permission it is for every member."""

    permission: str = ""


ANY = frozenset({"*"})  # columns; or the whole row goes
ACCOUNT = {
    "name": "Neufunk", "contact": "Somebody", "email": "somebody@neufunk.example", "phone": "040 123456",
    "website": "https://neufunk.example", "vat_id": "DE136695976", "street": "Kai 1", "postal_code": "20457",
    "city": "Hamburg", "country": "DE", "language": "de", "time_zone": "Europe/Berlin", "currency": "EUR",
}  # fmt: skip
HOLD = {"kind": "administrative", "reason": "Papers are missing."}
LIFT = {"kind": "financial", "reason": "All is paid."}
WEBHOOK = {"name": "New", "url": "https://erp.example.com/", "events": "order.placed"}
WEBHOOK_JSON = WEBHOOK | {"events": ["order.placed"]}
NAMES = {"name_en": "Something new", "name_de": "Etwas Neues"}
ABOUT = {"description_en": "", "description_de": ""}
ARTICLE = {"number": "NEW-1", **NAMES, **ABOUT, "grant_type": "1", "grant_quantity": "7"}
GRANT = frozenset({"article_id", "type_id", "quantity", "account_id", "account_path"})
LICENSE_TYPE = {
    "key": "new", **NAMES, "unit_en": "pieces", "unit_de": "Stück", "policy": "overage", "overage_percent": "20",
}  # fmt: skip
PRODUCT = {"key": "new", **NAMES, **ABOUT, "type": "cloud", "locations": "eu"}
PLAN = {
    "key": "new", "product_id": "1", **NAMES, **ABOUT, "base": "49", "currency": "EUR", "period": "yearly",
    "prepaid": "y", "postpaid": "y", "trial_months": "0", "renewal": "later", "renewal_window": "30",
    "beyond": "refuse",
    **{f"included_{meter}": "3" for meter in Meter}, **{f"limit_{meter}": "7" for meter in Meter},
}  # fmt: skip
PLAN_PRICE = {"currency": "EUR", "valid_from": "2099-01-01", "base": "5"}
ARTICLE_PRICE = {"currency": "EUR", "valid_from": "2099-01-01", "unit": "5"}
SUBSCRIPTION = {
    "title": "New", "plan_id": "1", "currency": "EUR", "payment_mode": "prepaid", "location": "", "users": "2",
    "terminals": "", "disk": "", "remark": "",
}  # fmt: skip
TERM = frozenset({"status", "reminded", "anchored_on", "ends_on", "calculation_id", "version"})
CANCELLED = frozenset({"status", "cancelled_on", "delete_on", "version", "reason", "withdrawn_at"})
REASON = {"reason": "Invoice overdue"}
ENDING = frozenset({"status", "suspended_by_id"})
ORDER_PLAN = {
    "plan_id": "1", "payment_mode": "prepaid", "location": "", "currency": "EUR", "users": "", "postponed": "",
}  # fmt: skip
ORDER_CUSTOMER = {"who": "new", "name": "Neufunk", "email": "x@neufunk.example", "country": "DE", "language": "de"}
ORDER_INSTANCE = {"domain": "neufunk.example", "administrator": "Admin", "to_author": "y"}
AT_WORK = frozenset({200, 409})  # the world's tasks have not been taken by anybody
DRAFT = frozenset({"answers", "customer", "version"})
ANYTHING = frozenset({"*"})
PASSWORD = {"password": "kontor-2026-x", "repeat": "kontor-2026-x"}
NOBODY = "nobody@nowhere.example"
PROPERTY = {"label_en": "Segment", "label_de": "Segment"}
VALUES = frozenset({"properties", *(column.name for column in PropertyValue.__table__.columns)})  # and their index
DEFINITION = frozenset({column.name for column in Property.__table__.columns} - {"id", "account_id", "account_path"})
JOINING = {"first_name": "New", "last_name": "Name", "locale": "de", **PASSWORD}


def imports_of(kind: str, view: str) -> dict[str, Any]:
    """The addresses of one kind of import."""
    permission = f"{kind}.import"
    verbs = ("check", "start", "undo", "discard")
    return {
        f"{view}.upload": Page(permission, post=422),
        f"{view}.show": Detail(permission, AccountImport, kind=kind),
        f"{view}.columns": EditForm(permission, AccountImport, {"column": ""}, kind=kind),
        f"{view}.progress": Detail(permission, AccountImport, get=204, kind=kind),
        **{f"{view}.{verb}": Deed(permission, AccountImport, alters=ANY, kind=kind) for verb in verbs},
    }


POLICY: dict[str, Any] = {
    "static": Public("the program's own files", args={"filename": "kontor.css"}),
    # --- before anybody is known ---
    "public.healthz": Public("the watchdog of the machine asks"),
    "public.login": Public("the way in", {200, 302}, {422, 429}, data={"email": NOBODY, "password": "x"}),
    "public.code": Public("the second step of the way in", {302}, {302}, data={"code": "123456"}),
    "public.logout": Public("the way out", {200, 302}, {302}),
    "public.no_account": Public("for whom no account is left", {200, 302}),
    "public.language": Public("a choice of the browser", {302}, args={"code": "de"}),
    "public.forgot": Public("the way back in", {200}, {200, 429}, data={"email": NOBODY}),
    "public.reset": Public("the secret is the right", {404}, {404}, {"secret": "x"}, PASSWORD),
    "join.join": Public("the secret is the right", {404}, {404}, {"secret": "x"}, JOINING),
    "calendar.feed": Public("the secret is the right", {404}, args={"secret": "x"}),
    "credentials.choose": Public("the secret is the right", {404}, {404}, {"secret": "x"}, PASSWORD),
    "activation.activate": Public("the secret is the right", {404}, {404}, {"secret": "x"}),
    # --- a person's own sign-in ---
    "security.show": Personal("one's own sign-in", get=200),
    "security.profile": Personal("one's own name", post=302, data={
        "first_name": "New", "last_name": "Name", "locale": "de", "time_zone": "Europe/Berlin"}),
    "security.password": Personal("one's own password", post=422, data={"current": "wrong", **PASSWORD}),
    "security.turn_on": Personal("one's own second factor", get=200, post=422, data={"current": "x", "code": "123456"}),
    "security.turn_off": Personal("one's own second factor", get=302, post=302, data={"current": "x"}),
    "security.recovery_codes": Personal("one's own second factor", get=302, post=302, data={"current": "x"}),
    "security.end": Personal("one's own browsers", post=302, of=Login),
    "security.end_all": Personal("one's own browsers", post=302),
    # --- the back office ---
    "DashboardView.show": Page("dashboard.show", otherwise=302),  # customers are led to their portal
    "PortalView.show": Page("portal.show"),
    "RolesView.list": Page("role.list"),
    "SettingsView.edit": Page("settings.edit", post=302, data=ACCOUNT),
    "AccountsView.index": Page("account.list", get=302),
    "AccountsView.list": List("account.list", Account, beneath),
    "AccountsView.related_list": Related("account.list", Account, {"parent_id": Account}),
    "AccountsView.export": Export("account.export", Account, beneath),
    "AccountsView.show": Detail("account.show", Account),
    "AccountsView.add": AddForm("account.add", Account, ACCOUNT),
    "AccountsView.edit": EditForm("account.edit", Account, ACCOUNT, beneath, alters=VALUES),
    "AccountsView.reveal": Deed("contact.reveal", Account, done={200, 302}, reveals=True),
    "AccountsView.hold": EditForm("account.hold", Account, HOLD, beneath, alters=frozenset({"administrative_hold_at"})),
    "AccountsView.lift": EditForm("account.hold", Account, LIFT, beneath, alters=frozenset(
        {"financial_hold_at", "lifted_at", "lifted_by", "lift_reason"})),
    "AccountsView.move": EditForm("account.move", Account, {}, beneath),  # where to, test_moving.py asks
    "AccountsView.action_post": Commands(Account, {
        "archive": "account.archive", "restore": "account.archive",
        "enable_partner": "account.promote", "disable_partner": "account.promote"}),
    **imports_of("account", "ImportsView"),
    **imports_of("invitation", "InvitationImportsView"),
    **imports_of("holding", "HoldingImportsView"),
    "ExportsView.list": Page("export.list"),
    "ExportsView.add": Page("member.export", get=0, post=302, query="?of=MembersView"),
    "ExportsView.show": Detail("export.list", ExportFile),
    "ExportsView.file": Detail("export.list", ExportFile),
    "ExportsView.discard": Deed("export.list", ExportFile, alters=ANY),
    "MembersView.index": Page("member.list", get=302),
    "MembersView.list": List("member.list", Member, within),
    "MembersView.related_list": Related("member.list", Member, {"account_id": Account}),
    "MembersView.export": Export("member.export", Member, within),
    "MembersView.edit": EditForm("member.edit", Member, {"role": "viewer"}, within),
    "MembersView.action_post": Commands(Member, {"remove": "member.remove"}),
    "MembersView.leave": Page("member.leave", post={302, 422}, alters=frozenset({"*"})),  # the last one stays
    "InvitationsView.index": Page("invitation.list", get=302),
    "InvitationsView.list": List("invitation.list", Invitation, within),
    "InvitationsView.related_list": Related("invitation.list", Invitation, {"account_id": Account}),
    "InvitationsView.export": Export("invitation.export", Invitation, within),
    "InvitationsView.add": AddForm("invitation.add", Invitation, {"email": NOBODY, "role": "viewer"}, into="account"),
    "InvitationsView.action_post": Commands(Invitation, {
        "resend": "invitation.resend", "withdraw": "invitation.withdraw"}),
    "RelationshipsView.index": Page("relationship.list", get=302),
    "RelationshipsView.list": List("relationship.list", Relationship, by_their_consent),
    "RelationshipsView.export": Export("relationship.export", Relationship, by_their_consent),
    "RelationshipsView.add": AddForm("relationship.add", Relationship, {"email": NOBODY, "scopes": "licenses"},
        done=200),
    "RelationshipsView.code": Page("relationship.add", post=422, data={"email": NOBODY, "code": "12345678"}),
    "RelationshipsView.action_post": Commands(Relationship, {"end": "relationship.end"}),
    "ManagersView.index": Page("manager.list", get=302),
    "ManagersView.list": List("manager.list", Relationship, within),
    "ManagersView.export": Export("manager.export", Relationship, within),
    "ManagersView.action_post": Commands(Relationship, {"end": "manager.end"}),
    "DeadlinesView.list": Page("deadline.list"),
    "DeadlinesView.feed": Page("deadline.subscribe", get=0, post=302),
    "DeadlinesView.withdraw": Page("deadline.subscribe", get=0, post=302),
    "PropertiesView.list": Page("property.list"),
    "PropertiesView.add": AddForm("property.add", Property, PROPERTY, query="type=text", within_page=200),
    "PropertiesView.edit": EditForm("property.edit", Property, PROPERTY, within, alters=DEFINITION),
    "PropertiesView.convert": EditForm("property.edit", Property, {}, within, "type=long", DEFINITION | VALUES),
    "PropertiesView.order": Page("property.edit", get=0, post=422, data={"ids": "999999"}),
    "PropertiesView.archive": Deed("property.archive", Property, within, DEFINITION),
    "PropertiesView.restore": Deed("property.archive", Property, within, DEFINITION),
    "SavedViewsView.add": Page("saved_view.add", post=302, data={"list": "members", "state": "q=x", "name": "New"},
        alters=frozenset({"habits"}), query="?list=members"),
    "SavedViewsView.edit": OfViews("saved_view.add", {"name": "Newer"}, shows=True),
    "SavedViewsView.keep": OfViews("saved_view.add", {"state": "q=x"}),
    "SavedViewsView.delete": OfViews("saved_view.add"),
    "SavedViewsView.open_with": OfViews("saved_view.list", {"usual": "1"}, changes=False),
    "SavedViewsView.page_size": Page("saved_view.list", get=0, post=302, data={"list": "members", "size": "50"},
        alters=frozenset({"habits"})),
    "LicensesView.index": Page("license.list", get=302),
    "LicensesView.list": List("license.list", License),
    "LicensesView.related_list": Related("license.list", License, {"account_id": Account}),
    "LicensesView.export": Export("license.export", License),
    "LicensesView.show": Detail("license.show", License),
    "LicensesView.suspend": EditForm("license.suspend", License, REASON, from_above, alters=ENDING),
    "LicensesView.revoke": EditForm("license.revoke", License, REASON, from_above, alters=ENDING),
    "SurrenderView.ask": AddForm("license.surrender", LicenseMovement, {"step": "surrender"}, into="account", done=422),
    "LicensesView.action_post": Commands(License, {"reinstate": "license.suspend"}),
    "MovementsView.index": Page("license_movement.list", get=302),
    "MovementsView.list": List("license_movement.list", LicenseMovement),
    "MovementsView.related_list": Related("license_movement.list", LicenseMovement, {"license_id": License}),
    "MovementsView.export": Export("license_movement.export", LicenseMovement),
    "MovementsView.action_post": Commands(LicenseMovement),
    "HoldingsView.index": Page("holding.list", get=302),
    "HoldingsView.list": List("holding.list", Holding),
    "HoldingsView.related_list": Related("holding.list", Holding, {"account_id": Account, "article_id": Article}),
    "HoldingsView.export": Export("holding.export", Holding),
    "HoldingsView.action_post": Commands(Holding),
    "HoldingsView.add": AddForm("holding.add", Holding, {
        "article_id": "1", "quantity": "2", "acquired_on": "2026-01-01", "valid_until": "", "note": "PO 4711"}),
    "ArticlesView.index": Page("article.list", get=302),
    "ArticlesView.list": List("article.list", Article),
    "ArticlesView.export": Export("article.export", Article),
    "ArticlesView.show": Detail("article.show", Article),
    "ArticlesView.add": AddForm("article.add", Article, ARTICLE),
    "ArticlesView.edit": EditForm("article.edit", Article, ARTICLE, alters=GRANT),
    "ArticlesView.price": EditForm("article.price", Article, ARTICLE_PRICE),
    "ArticlesView.action_post": Commands(Article, {"archive": "article.archive", "restore": "article.archive"}),
    "LicenseTypesView.index": Page("license_type.list", get=302),
    "LicenseTypesView.list": List("license_type.list", LicenseType),
    "LicenseTypesView.export": Export("license_type.export", LicenseType),
    "LicenseTypesView.add": AddForm("license_type.add", LicenseType, LICENSE_TYPE),
    "LicenseTypesView.edit": EditForm("license_type.edit", LicenseType, LICENSE_TYPE, alters=frozenset({"ceiling"})),
    "LicenseTypesView.action_post": Commands(LicenseType, {
        "archive": "license_type.archive", "restore": "license_type.archive"}),
    "ProductsView.index": Page("product.list", get=302),
    "ProductsView.list": List("product.list", Product),
    "ProductsView.export": Export("product.export", Product),
    "ProductsView.add": AddForm("product.add", Product, PRODUCT),
    "ProductsView.edit": EditForm("product.edit", Product, PRODUCT),
    "ProductsView.action_post": Commands(Product, {"archive": "product.archive", "restore": "product.archive"}),
    "PlansView.show": Detail("plan.show", Plan),
    "PlansView.compare": Page("plan.list"),
    "PlansView.price": EditForm("plan.price", Plan, PLAN_PRICE),
    "SubscriptionsView.index": Page("subscription.list", get=302),
    "SubscriptionsView.list": List("subscription.list", Subscription),
    "SubscriptionsView.related_list": Related("subscription.list", Subscription, {"account_id": Account}),
    "SubscriptionsView.export": Export("subscription.export", Subscription),
    "SubscriptionsView.show": Detail("subscription.show", Subscription),
    "SubscriptionsView.add": AddForm("subscription.add", Subscription, SUBSCRIPTION, into="account", let_in=True),
    "SubscriptionsView.preview": Part("subscription.add", about="account", let_in="subscription"),
    "SubscriptionsView.edit": EditForm("subscription.edit", Subscription, {"title": "New", "remark": ""},
                                       alters=frozenset({"title_key", "version"})),
    "SubscriptionsView.renew": EditForm("subscription.renew", Subscription, {"seen": "1"}, alters=TERM,
                                        opens=frozenset({200, 409})),  # 409: its account is archived
    "SubscriptionsView.pay": EditForm("subscription.decide", Subscription, {"seen": "1"}, opens=frozenset({409})),
    "SubscriptionsView.cancel": EditForm("subscription.cancel", Subscription, {"when": "now"}, not_by_consent,
                                         alters=CANCELLED),
    "SubscriptionsView.suspend": EditForm("subscription.suspend", Subscription, REASON, from_above,
                                          alters=ENDING | {"cause", "version"}),
    "SubscriptionsView.ask_upfront": EditForm("subscription.ask_upfront", Subscription, {"remark": ""}),
    "SubscriptionsView.add_group": EditForm("subscription.add_group", Subscription, {"name": "New", "description": ""}),
    "SubscriptionsView.report_usage": EditForm("subscription.report_usage", Subscription, {"users": "3", "at": ""}),
    "SubscriptionsView.action_post": Commands(Subscription, {
        "reinstate": "subscription.suspend", "keep": "subscription.cancel"}),
    "ResourceGroupsView.index": Page("resource_group.list", get=302),
    "ResourceGroupsView.list": List("resource_group.list", ResourceGroup),
    "ResourceGroupsView.related_list": Related(
        "resource_group.list", ResourceGroup, {"subscription_id": Subscription}),
    "ResourceGroupsView.export": Export("resource_group.export", ResourceGroup),
    "ResourceGroupsView.edit": EditForm("resource_group.edit", ResourceGroup, {"name": "New", "description": ""},
                                        alters=frozenset({"name_key"})),
    "ResourceGroupsView.action_post": Commands(ResourceGroup, {
        "archive": "resource_group.archive", "restore": "resource_group.archive"}),
    "UsageReportsView.index": Page("usage_report.list", get=302),
    "UsageReportsView.list": List("usage_report.list", UsageReport),
    "UsageReportsView.related_list": Related("usage_report.list", UsageReport, {"subscription_id": Subscription}),
    "UsageReportsView.export": Export("usage_report.export", UsageReport),
    "UsageReportsView.action_post": Commands(UsageReport),
    "UpfrontView.index": Page("upfront_request.list", get=302),
    "UpfrontView.list": List("upfront_request.list", UpfrontRequest),
    "UpfrontView.related_list": Related("upfront_request.list", UpfrontRequest, {"subscription_id": Subscription}),
    "UpfrontView.export": Export("upfront_request.export", UpfrontRequest),
    "UpfrontView.show": Detail("upfront_request.show", UpfrontRequest),
    "UpfrontView.call": EditForm("upfront_request.call", UpfrontRequest, {"note": ""}, alters=frozenset(
        {"status", "called_at", "called_by", "call_note", "version"})),
    "UpfrontView.payment": EditForm("upfront_request.pay", UpfrontRequest, {"on": "2026-01-01", "reference": ""},
                                    alters=frozenset({"status", "paid_on", "payment_reference", "sent_at", "email",
                                                      "token_id", "expires_at", "version"})),
    "UpfrontView.action_post": Commands(UpfrontRequest, {
        "send": "upfront_request.pay", "withdraw": "upfront_request.withdraw"}),
    "PlansView.index": Page("plan.list", get=302),
    "PlansView.list": List("plan.list", Plan),
    "PlansView.export": Export("plan.export", Plan),
    "PlansView.add": AddForm("plan.add", Plan, PLAN),
    "PlansView.edit": EditForm("plan.edit", Plan, PLAN),
    "PlansView.action_post": Commands(Plan, {"archive": "plan.archive", "restore": "plan.archive"}),
    "OrdersView.index": Page("order.list", get=302),
    "OrdersView.list": List("order.list", Order),
    "OrdersView.related_list": Related("order.list", Order, {"account_id": Account, "subscription_id": Subscription}),
    "OrdersView.export": Export("order.export", Order),
    "OrdersView.show": Detail("order.show", Order),
    "OrdersView.action_post": Commands(Order),
    "OrdersView.cancel": EditForm("order.cancel", Order, {}),  # a draft is not cancelled; tests/services ask
    "OrdersView.change": EditForm("order.add", Order, {}),
    "OrderWizard.new": Page("order.add", post={302, 404}, data={"kind": "subscribe", "product_type": "saas"}),
    "OrderWizard.plan": EditForm("order.add", Order, ORDER_PLAN, within, alters=DRAFT, placed=302),
    "OrderWizard.customer": EditForm("order.add", Order, ORDER_CUSTOMER, within, alters=DRAFT, placed=302),
    "OrderWizard.instance": EditForm("order.add", Order, ORDER_INSTANCE, within, alters=DRAFT, placed=302),
    "OrderWizard.subscription": Address("order.add", Order, within, 404, 404, placed=302),  # not a step of the world's
    "OrderWizard.products": Address("order.add", Order, within, 404, 404, placed=302),
    "OrderWizard.summary": Address("order.add", Order, within, 302, 302, placed=302),  # leads to what is missing
    "OrderWizard.preview": Address("order.add", Order, within, 0, 200, ORDER_PLAN, "step=plan", placed=404),
    "OrderWizard.discard": Deed("order.add", Order, within, ANYTHING, placed=409),
    "FulfilmentsView.index": Page("fulfilment.list", get=302),
    "FulfilmentsView.list": List("fulfilment.list", Fulfilment),
    "FulfilmentsView.export": Export("fulfilment.export", Fulfilment),
    "FulfilmentsView.board": Page("fulfilment.list"),
    "FulfilmentsView.action_post": Commands(Fulfilment, {
        "take": "fulfilment.fulfil", "put_back": "fulfilment.fulfil", "retry": "fulfilment.fulfil"}),
    "FulfilmentsView.fulfil": EditForm("fulfilment.fulfil", Fulfilment, {"address": "x.example"}, opens=AT_WORK),
    "FulfilmentsView.fail": EditForm("fulfilment.fulfil", Fulfilment, {"reason": "x"}, opens=AT_WORK),
    "HistoryView.index": Page("history.list", get=302),
    "HistoryView.list": List("history.list", LogEntry),
    "HistoryView.related_list": Related("history.list", LogEntry, {"account_id": Account}),
    "HistoryView.export": Export("history.export", LogEntry),
    "HistoryView.show": Detail("history.show", LogEntry),
    "HistoryView.action_post": Commands(LogEntry),
    "OutboxView.index": Page("message.list", get=302),
    "OutboxView.list": List("message.list", Message),
    "OutboxView.export": Export("message.export", Message),
    "OutboxView.show": Detail("message.show", Message),
    "OutboxView.preview": Detail("message.show", Message),
    "OutboxView.action_post": Commands(Message, {"resend": "message.resend"}),
    "ApiKeysView.index": Page("api_key.list", get=302),
    "ApiKeysView.list": List("api_key.list", ApiKey),
    "ApiKeysView.add": AddForm("api_key.add", ApiKey, {"name": "New", "days": "90", "scopes": "invitation.list"},
        done=200),
    "ApiKeysView.export": Export("api_key.export", ApiKey),
    "ApiKeysView.action_post": Commands(ApiKey, {"revoke": "api_key.revoke"}),
    "WebhooksView.index": Page("webhook.list", get=302),
    "WebhooksView.list": List("webhook.list", Webhook),
    "WebhooksView.export": Export("webhook.export", Webhook),
    "WebhooksView.show": Detail("webhook.show", Webhook),
    "WebhooksView.add": AddForm("webhook.add", Webhook, WEBHOOK, done=200),
    "WebhooksView.edit": EditForm("webhook.edit", Webhook, WEBHOOK),
    "WebhooksView.renew": EditForm("webhook.edit", Webhook, {}, done=200, alters=frozenset(
        {"nonce", "former_nonce", "former_until"})),
    "WebhooksView.action_post": Commands(Webhook, {
        "test": "webhook.send", "switch_on": "webhook.edit", "switch_off": "webhook.edit",
        "remove": "webhook.remove"}),
    "DeliveriesView.index": Page("webhook.list", get=302),
    "DeliveriesView.list": List("webhook.list", WebhookDelivery),
    "DeliveriesView.related_list": Related("webhook.list", WebhookDelivery, {"webhook_id": Webhook}),
    "DeliveriesView.export": Export("webhook.export", WebhookDelivery),
    "DeliveriesView.show": Detail("webhook.show", WebhookDelivery),
    "DeliveriesView.action_post": Commands(WebhookDelivery, {"replay": "webhook.send"}),
    "ApiReferenceView.show": Page("api.show"),
    # --- the API ---
    "OpenApi.spec": Public("the document that tells of the API; nobody's data is in it"),
    "MeApi.get": ApiPage(),
    **{f"{api}.info": ApiPage(f"{noun}.list") for api, noun in {
        "AccountApi": "account", "MemberApi": "member", "InvitationApi": "invitation", "PropertyApi": "property",
        "ArticleApi": "article", "LicenseApi": "license", "OrderApi": "order", "FulfilmentApi": "fulfilment",
        "PlanApi": "plan", "WebhookApi": "webhook", "DeliveryApi": "webhook",
        "SubscriptionApi": "subscription"}.items()},
    "AccountApi.get_list": ApiList("account.list", Account, beneath),
    "AccountApi.get": ApiItem("account.show", Account),
    "AccountApi.post": ApiAdd("account.add", Account, ACCOUNT),
    "AccountApi.put": ApiDeed("account.edit", Account, ACCOUNT, beneath, 403),
    **{f"AccountApi.{verb}": ApiDeed(f"account.{right}", Account) for verb, right in {
        "archive": "archive", "restore": "archive", "enable_partner": "promote", "disable_partner": "promote"}.items()},
    "MemberApi.get_list": ApiList("member.list", Member),
    "MemberApi.get": ApiItem("member.list", Member),
    "MemberApi.put": ApiDeed("member.edit", Member, {"role": "viewer"}, within, 403),
    "MemberApi.delete": ApiDeed("member.remove", Member),
    "InvitationApi.get_list": ApiList("invitation.list", Invitation),
    "InvitationApi.get": ApiItem("invitation.list", Invitation),
    "InvitationApi.post": ApiAdd("invitation.add", Invitation, {"email": NOBODY, "role": "viewer"}),
    "InvitationApi.resend": ApiDeed("invitation.resend", Invitation),
    "InvitationApi.withdraw": ApiDeed("invitation.withdraw", Invitation),
    "PropertyApi.get_list": ApiList("property.list", Property, within),
    "PropertyApi.get": ApiItem("property.list", Property, within),
    "PropertyApi.post": ApiAdd("property.add", Property, {"type": "text", "label_en": "New"}),
    "PropertyApi.put": ApiDeed("property.edit", Property, {"label_en": "Newer"}, within),
    "PropertyApi.archive": ApiDeed("property.archive", Property, None, within),
    "PropertyApi.restore": ApiDeed("property.archive", Property, None, within),
    "ArticleApi.get_list": ApiList("article.list", Article),
    "ArticleApi.get": ApiItem("article.show", Article),
    "PlanApi.get_list": ApiList("plan.list", Plan),
    "PlanApi.get": ApiItem("plan.list", Plan),
    "SubscriptionApi.get_list": ApiList("subscription.list", Subscription),
    "SubscriptionApi.get": ApiItem("subscription.show", Subscription),
    "SubscriptionApi.renew": ApiDeed("subscription.renew", Subscription, {"version": 1}),
    "SubscriptionApi.cancel": ApiDeed("subscription.cancel", Subscription, {}),
    "SubscriptionApi.usage": ApiItem("subscription.show", Subscription),
    "SubscriptionApi.report_usage": ApiDeed("subscription.report_usage", Subscription, {"users": 3}),
    "LicenseApi.get_list": ApiList("license.list", License),
    "LicenseApi.get": ApiItem("license.show", License),
    "LicenseApi.check": ApiItem("license.show", License),
    "LicenseApi.consume": ApiDeed("license.use", License, {"reference": "x"}),
    "LicenseApi.release": ApiDeed("license.use", License, {"reference": "x"}),
    "LicenseApi.preview_surrender": ApiItem("license.surrender", License, done=409),
    "LicenseApi.surrender": ApiDeed("license.surrender", License, {"quantity": 1}),
    "LicenseApi.suspend": ApiDeed("license.suspend", License, {"reason": "x"}),
    "LicenseApi.reinstate": ApiDeed("license.suspend", License),
    "LicenseApi.revoke": ApiDeed("license.revoke", License, {"reason": "x"}),
    "OrderApi.get_list": ApiList("order.list", Order),
    "OrderApi.get": ApiItem("order.show", Order),
    "OrderApi.post": ApiAdd("order.add", Order, {
        "subscription_id": 999999, "lines": [{"article": "x", "quantity": 1}]}, done=422),
    "OrderApi.place": ApiDeed("order.add", Order, {"total": "1.00"}),
    "OrderApi.cancel": ApiDeed("order.cancel", Order, {"reason": "x"}),
    "FulfilmentApi.get_list": ApiList("fulfilment.list", Fulfilment),
    "FulfilmentApi.get": ApiItem("fulfilment.list", Fulfilment),
    "FulfilmentApi.credentials": ApiItem("fulfilment.fulfil", Fulfilment),
    **{f"FulfilmentApi.{verb}": ApiDeed("fulfilment.fulfil", Fulfilment) for verb in ("claim", "put_back", "retry")},
    "FulfilmentApi.fulfil": ApiDeed("fulfilment.fulfil", Fulfilment, {"address": "x.example"}),
    "FulfilmentApi.fail": ApiDeed("fulfilment.fulfil", Fulfilment, {"reason": "x"}),
    "WebhookApi.get_list": ApiList("webhook.list", Webhook),
    "WebhookApi.get": ApiItem("webhook.show", Webhook),
    "WebhookApi.post": ApiAdd("webhook.add", Webhook, WEBHOOK_JSON),
    "WebhookApi.put": ApiDeed("webhook.edit", Webhook, WEBHOOK_JSON),
    "WebhookApi.delete": ApiDeed("webhook.remove", Webhook),
    "WebhookApi.renew_secret": ApiDeed("webhook.edit", Webhook, {}),
    **{f"WebhookApi.{verb}": ApiDeed("webhook.edit", Webhook) for verb in ("switch_on", "switch_off")},
    "WebhookApi.test": ApiDeed("webhook.send", Webhook),
    "DeliveryApi.get_list": ApiList("webhook.list", WebhookDelivery),
    "DeliveryApi.get": ApiItem("webhook.show", WebhookDelivery),
    "DeliveryApi.replay": ApiDeed("webhook.send", WebhookDelivery),
}  # fmt: skip

# The world's rows are in no state for these, so nobody gets what they offer; these tests show that others do.
SHOWN_ELSEWHERE = {
    "SubscriptionsView.pay":
        "views/test_subscriptions.py::test_after_the_free_month_whoever_decides_to_pay_is_charged_once",
    "OrderWizard.subscription": "browser/test_orders.py::test_an_on_premise_license_is_renewed_and_never_sold_anew",
    "OrderWizard.products": "browser/test_orders.py::test_licenses_are_bought_become_licenses_and_some_are_surrendered",
    "OrderWizard.summary": "browser/test_orders.py::test_a_cloud_order_from_the_tile_to_the_password",
    "LicenseApi.preview_surrender":
        "views/test_surrender.py::test_a_program_sees_what_it_would_mean_and_does_it_once",
}  # fmt: skip

"""Every screen of the back office on one page, in the order of the menu. Each is declared in its room in `pages/`.

What a verb does stands in `services/`, what a screen can do in `ui/`.
"""

from __future__ import annotations

from flask_babel import lazy_gettext as _l

from .pages.accounts import AccountsView
from .pages.api_keys import ApiKeysView
from .pages.api_reference import ApiReferenceView
from .pages.catalogue import ArticlesView, LicenseTypesView
from .pages.dashboard import DashboardView
from .pages.deadlines import DeadlinesView
from .pages.exports import ExportsView
from .pages.history import HistoryView, OutboxView
from .pages.imports import HoldingImportsView, ImportsView, InvitationImportsView
from .pages.licenses import HoldingsView, LicensesView, MovementsView
from .pages.members import InvitationsView, MembersView, RolesView
from .pages.order_wizard import OrderWizard
from .pages.orders import FulfilmentsView, OrdersView
from .pages.plans import PlansView, ProductsView
from .pages.portal import PortalView
from .pages.properties import PropertiesView
from .pages.relationships import ManagersView, RelationshipsView
from .pages.resource_groups import ResourceGroupsView
from .pages.saved_views import SavedViewsView
from .pages.settings import SettingsView
from .pages.subscriptions import SubscriptionsView
from .pages.surrender import SurrenderView
from .pages.upfront import UpfrontView
from .pages.usage import UsageReportsView
from .pages.webhooks import DeliveriesView, WebhooksView
from .ui.interface import BackOffice


def register(backoffice: BackOffice) -> None:
    """The menu, from top to bottom."""
    start = {"category": "Start", "category_label": _l("Start")}
    partner = {"category": "Partner", "category_label": _l("Partner")}
    account = {"category": "Account", "category_label": _l("Account")}
    contracts = {"category": "Contracts", "category_label": _l("Contracts")}
    catalogue = {"category": "Catalogue", "category_label": _l("Catalogue")}
    add = backoffice.add_view
    add(DashboardView, "Dashboard", icon="home", label=_l("Dashboard"), **start)
    add(PortalView, "Portal", icon="home", label=_l("Portal"), **start)
    add(DeadlinesView, "Deadlines", icon="calendar-event", label=_l("Deadlines"), **start)
    add(AccountsView, "Accounts", icon="building", label=_l("Accounts"), **partner)
    add(RelationshipsView, "Relationships", icon="heart-handshake", label=_l("Relationships"), **partner)
    add(SubscriptionsView, "Subscriptions", icon="refresh", label=_l("Subscriptions"), **contracts)
    add(OrdersView, "Orders", icon="shopping-cart", label=_l("Orders"), **contracts)
    add(FulfilmentsView, "Fulfilment", icon="bolt", label=_l("Fulfilment"), **contracts)
    add(LicensesView, "Licenses", icon="license", label=_l("Licenses"), **contracts)
    add(HoldingsView, "Acquired articles", icon="box", label=_l("Acquired articles"), **contracts)
    add(UpfrontView, "Upfront requests", icon="coin", label=_l("Upfront requests"), **contracts)
    add(MovementsView, "Use of licenses", icon="gauge", label=_l("Use of licenses"), **contracts)
    add(ArticlesView, "Articles", icon="package", label=_l("Articles"), **catalogue)
    add(LicenseTypesView, "License types", icon="file-certificate", label=_l("License types"), **catalogue)
    add(ProductsView, "Products", icon="box", label=_l("Products"), **catalogue)
    add(PlansView, "Plans", icon="receipt", label=_l("Plans"), **catalogue)
    add(MembersView, "Members", icon="users", label=_l("Members"), **account)
    add(InvitationsView, "Invitations", icon="user-plus", label=_l("Invitations"), **account)
    add(ManagersView, "Who manages my account", icon="user-shield", label=_l("Who manages my account"), **account)
    add(RolesView, "Roles", icon="shield-lock", label=_l("Roles"), **account)
    add(OutboxView, "Outbox", icon="mail", label=_l("Outbox"), **account)
    add(HistoryView, "History", icon="history", label=_l("History"), **account)
    add(ExportsView, "Exports", icon="file-export", label=_l("My exports"), **account)
    add(ApiKeysView, "API keys", icon="key", label=_l("API keys"), **account)
    add(WebhooksView, "Webhooks", icon="webhook", label=_l("Webhooks"), **account)
    backoffice.add_view_no_menu(DeliveriesView)
    backoffice.add_view_no_menu(PropertiesView)
    backoffice.add_view_no_menu(ImportsView)
    backoffice.add_view_no_menu(InvitationImportsView)
    backoffice.add_view_no_menu(HoldingImportsView)
    backoffice.add_view_no_menu(SavedViewsView)
    backoffice.add_view_no_menu(ResourceGroupsView)
    backoffice.add_view_no_menu(UsageReportsView)
    backoffice.add_view_no_menu(OrderWizard)
    backoffice.add_view_no_menu(ApiReferenceView)
    backoffice.add_view_no_menu(SurrenderView)
    add(SettingsView, "Settings", icon="settings", label=_l("Settings"), **account)

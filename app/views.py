"""Every screen of the back office, declared. What a verb does stands in `services/`, what a screen can do in `ui/`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flask import abort, flash, redirect, render_template, request, url_for
from flask_appbuilder import BaseView, expose
from flask_appbuilder.security.decorators import has_access, permission_name
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext
from flask_wtf import FlaskForm
from sqlalchemy import select
from sqlalchemy.orm import joinedload
from wtforms import RadioField
from wtforms.validators import InputRequired

from . import clock, outbox, permissions, properties
from .errors import Refused
from .extensions import db
from .models import (
    Account,
    ApiKey,
    ApiKeyStatus,
    Article,
    ArticlePrice,
    Consent,
    Holding,
    HoldKind,
    Invitation,
    InvitationStatus,
    Kind,
    License,
    LicenseMovement,
    LicenseStatus,
    LicenseType,
    LogEntry,
    Member,
    Message,
    MessageStatus,
    Plan,
    Property,
    Role,
    sort_key,
)
from .pages import api_keys as key_pages
from .pages.api_reference import ApiReferenceView
from .pages.dashboard import DashboardView
from .pages.deadlines import DeadlinesView
from .pages.exports import ExportsView
from .pages.imports import HoldingImportsView, ImportsView, InvitationImportsView
from .pages.order_wizard import OrderWizard
from .pages.orders import FulfilmentsView, OrdersView
from .pages.plans import PlansView, ProductsView
from .pages.portal import PortalView
from .pages.prices import PricedView, prices_in_words
from .pages.properties import PropertiesView
from .pages.relationships import ManagersView, RelationshipsView
from .pages.resource_groups import ResourceGroupsView
from .pages.saved_views import SavedViewsView
from .pages.settings import SettingsView
from .pages.subscriptions import SubscriptionsView
from .pages.surrender import SurrenderView, surrender_action, surrender_link
from .pages.upfront import UpfrontView
from .pages.webhooks import DeliveriesView, WebhooksView
from .services import (
    accounts,
    api_keys,
    catalog,
    contacts,
    holds,
    invitations,
    license_use,
    licenses,
    members,
    moves,
    plans,
    subscriptions,
)
from .services.import_columns import ID_LABEL, ids_for
from .tenancy import current_scope, may_change
from .ui import masks
from .ui import properties as property_columns
from .ui.acting import may, me
from .ui.archived import BY_STATUS, CatalogueView, archived_alone, archived_link, archiving, with_archived
from .ui.columns import Field, Kept, changed
from .ui.fields import choices, reason_field
from .ui.formats import month_name, price_in_words, read_whole_number, shown, time_zone
from .ui.history import action_column, action_in_words, actor_in_words, changes_in_words, changes_line_by_line
from .ui.interface import BackOffice, Table
from .ui.labels import ACCOUNT, ACCOUNT_HELPS
from .ui.listing import Listing
from .ui.page import Action, Cell, DetailPage, Empty, Fact, FieldGroup, FormPage, Link, Section
from .ui.standing import Standing, badge, standing_column, standings_of
from .ui.view import (
    BackOfficeView,
    account_asked_for,
    command,
    key_of,
    render_part,
    without_own_account,
)

SECTIONS_BY_CONSENT = {
    "articles": Consent.LICENSES, "licenses": Consent.LICENSES, "subscriptions": Consent.SUBSCRIPTIONS,
    "orders": Consent.ORDERS,
}  # fmt: skip
PLACES = 20  # offered at a time where an account could be moved to


class AccountsView(BackOfficeView):
    """The accounts beneath the acting one (M-1 … M-6)."""

    route_base = "/accounts"
    datamodel = Table(Account)
    noun = "account"
    list_title = _l("Accounts")
    list_lead = _l("Your customers and partners, with everything beneath them.")
    show_title = _l("Account")
    add_title = add_label = _l("Add account")
    edit_title = _l("Edit %(name)s")
    include_route_methods = {
        "list", "show", "reveal", "add", "edit", "export", "action_post", "related_list", "hold", "lift", "move",
    }  # fmt: skip
    label_columns = ACCOUNT | {
        "kind": _l("Kind"),
        "standing": _l("Status"),
        "parent.name": _l("Beneath"),
        "created_at": _l("Created"),
        "archived_at": _l("Archived"),
        "plan": _l("Price model"),
        "plan.name": _l("Price model"),
        "plan_id": _l("Price model"),
    }
    help_columns = ACCOUNT_HELPS | {"name": _l("Unique among the accounts beside it.")}
    list_columns = [
        "name", "kind", "standing", "parent.name", "contact", "email", "city", "country", "created_at", "phone",
    ]  # fmt: skip
    more_columns = (
        "website", "vat_id", "street", "postal_code", "language", "time_zone", "currency", "plan.name", "archived_at",
    )  # fmt: skip
    add_columns = edit_columns = [
        "name", "contact", "email", "phone", "street", "postal_code", "city", "country", "website", "vat_id",
        "language", "time_zone", "currency", "plan_id",
    ]  # fmt: skip
    search = ("name", "contact", "email", "phone", "city")
    order = ("name",)
    extra_args = ("archived",)
    form_groups = (
        ("", ("name", "contact", "email", "phone")),
        (_l("Postal address"), ("street", "postal_code", "city", "country")),
        (_l("Company"), ("website", "vat_id")),
        (_l("Region and terms"), ("language", "time_zone", "currency", "plan_id")),
    )
    sections = (
        (
            "overview",
            _l("Overview"),
            ("name", "kind", "parent.name", "contact", "email", "phone", "website", "vat_id", "plan"),
        ),
        (
            "region",
            _l("Address and terms"),
            ("street", "postal_code", "city", "country", "language", "time_zone", "currency", "created_at"),
        ),
    )
    related = (
        ("accounts", _l("Accounts beneath"), "AccountsView", "parent_id"),
        ("members", _l("Members"), "MembersView", "account_id"),
        ("invitations", _l("Invitations"), "InvitationsView", "account_id"),
        ("subscriptions", _l("Subscriptions"), "SubscriptionsView", "account_id"),
        ("orders", _l("Orders"), "OrdersView", "account_id"),
        ("articles", _l("Articles"), "HoldingsView", "account_id"),
        ("licenses", _l("Licenses"), "LicensesView", "account_id"),
        ("history", _l("History"), "HistoryView", "account_id"),
    )
    related_keys = {"parent_id": Account}
    empty_title = _l("No accounts yet")
    empty_text = _l("Add your first customer; invite its members afterwards.")

    def left_out(self) -> tuple[Any, ...]:
        own = Account.id == current_scope().account_id
        return (own,) if with_archived() else (own, Account.archived_at.is_not(None))

    def tools(self) -> list[Link]:
        tools = [archived_link(self)]
        if with_archived() and not archived_alone():
            tools.append(Link(_("Only archived"), self.url("list", **{BY_STATUS: "archived"}), "archive"))
        if may("property.list"):
            tools.append(Link(_("Edit table"), url_for("PropertiesView.list"), "columns", modal=True))
        return [*tools, *_import_links("account")]

    def file_fields(self, listing: Listing) -> list[Field]:
        """For whoever may import, the ID by which an edited row is known again."""
        if not may("account.import"):
            return super().file_fields(listing)
        owner_id, now = current_scope().account_id, clock.now()
        said = ids_for(owner_id=owner_id, at=now)
        known = Field("id", ID_LABEL, "text", Kept(Account.id, lambda row: said(row.id), said))
        note = _("Leave this column as it is: with it the edited file can be imported again.")
        return [*super().file_fields(listing), replace(known, note=note)]

    def fields(self, names: Any = None) -> dict[str, Field]:
        """The list has the properties of whose list it is besides: the acting account's, or on a page its account's."""
        fields = super().fields(names)
        if "standing" in fields:
            fields["standing"] = standing_column("standing", self.label_columns["standing"])
        if names:
            return changed(fields, plan={"value": _plan_in_words})
        whose = request.view_args.get("pk") if request.endpoint == "AccountsView.related_list" else None
        wanted = properties.definitions_of(whose or current_scope().account_id)
        return fields | property_columns.columns([definition for definition in wanted if definition.as_column])

    def form_to_add(self) -> Any:
        own = _own_properties()
        data = self.defaults() | property_columns.proposed(own)
        return _with_plan(property_columns.form_with(self.add_form, own)(data=data))

    def form_to_edit(self, row: Account) -> Any:
        own = _own_properties()
        form = property_columns.form_with(self.edit_form, own)(obj=row, data=property_columns.held(own, row))
        return _with_plan(form, row.plan)

    def field_groups(self, fields: Any) -> Any:
        own = [field for field in fields if field.name.startswith("prop_")]
        groups = super().field_groups([field for field in fields if field not in own])
        return [*groups, FieldGroup(_("Properties"), own)] if own else groups

    def _sections(self, row: Account) -> Any:
        sections = super()._sections(row)
        own = property_columns.columns(_own_properties())
        if own and not current_scope().agreed(row.id):
            facts = [Fact(str(field.label), field.cell(row)) for field in own.values()]
            sections.insert(len(self.sections), Section("properties", _("Properties"), facts))
        return [*_holds_of(row), *sections]

    def defaults(self) -> dict[str, Any]:
        own = db.session.get(Account, current_scope().account_id)
        return {name: getattr(own, name) for name in ("country", "language", "time_zone", "currency")}

    def may_edit(self, row: Account) -> bool:
        return _is_beneath(row)

    def is_muted(self, row: Account) -> bool:
        return row.is_archived

    def kind_of(self, row: Account) -> str:
        return str(row.kind.label)

    def badges(self, row: Account) -> list[Cell]:
        return [badge(standing) for standing in standings_of(row) if standing is not Standing.ACTIVE]

    def has_section(self, row: Account, key: str) -> bool:
        """A client by consent shows what it has agreed to."""
        if agreed := current_scope().agreed(row.id):
            return SECTIONS_BY_CONSENT.get(key) in agreed
        return key != "accounts" or row.kind.manages_accounts

    def links(self, row: Account) -> list[Link]:
        """*Invite member*, and *Switch to account* where one is a member (M-14)."""
        if row.is_archived or not _is_beneath(row):
            agreed = row.id in subscriptions.clients_to_order_for() and may("subscription.add")
            return [_subscribe_link(row)] if agreed else []
        links = [_invite_link(account=row.id, back=self.url("show", pk=row.id))] if may("invitation.add") else []
        links += [_subscribe_link(row)] if may("subscription.add") else []
        links += [_give_link(row)] if may("holding.add") else []
        mine = select(Member.id).where(Member.account_id == row.id, Member.user_id == current_scope().user_id)
        if db.session.scalar(mine) is not None:
            links.append(Link(_("Switch to account"), f"/a/{row.slug}/", "login"))
        return links

    def questions(self, row: Account) -> list[Action]:
        if not self.may_edit(row):
            return []
        offered = [
            ("hold", _("Put on hold"), "lock", may("account.hold") and len(row.holds) < len(HoldKind)),
            ("lift", _("Lift hold"), "lock-open", may("account.hold") and row.holds),
            ("move", _("Move"), "sitemap", may("account.move")),
        ]
        asked = [self._question(row, verb, label, icon) for verb, label, icon, fits in offered if fits]
        if may("license.surrender") and not row.is_archived:
            asked.append(surrender_action(row.id, back=self.url("show", pk=row.id)))
        return asked

    def _single_actions(self, row: Account) -> list[Action]:
        """*Reveal contacts* besides, to whom they are masked (X-11)."""
        actions = super()._single_actions(row)
        if masks.are_open(row) or not may("contact.reveal"):
            return actions
        url = self.url("reveal", pk=row.id)
        return [Action(name="reveal", label=_("Reveal contacts"), icon="eye", url=url), *actions]

    @expose("/reveal/<int:pk>", methods=["POST"])
    @has_access
    @permission_name("show")
    def reveal(self, pk: int) -> Any:
        """The account's page with its contacts, this once; the history tells who has seen them."""
        if not may("contact.reveal"):
            abort(403)
        row = self.row(pk)
        if masks.are_open(row):
            return redirect(self.url("show", pk=pk))
        try:
            contacts.reveal(row, by=me())
        except Refused as refusal:
            flash(refusal.sentence, "danger")
            return redirect(self.url("show", pk=pk))
        masks.reveal(row)
        flash(_("The contacts are shown on this page only; that you have seen them stands in the history."), "success")
        return self.show(pk)

    @expose("/hold/<int:pk>", methods=["GET", "POST"])
    @has_access
    def hold(self, pk: int) -> Any:
        """Put an account on hold: which hold, and why."""
        row = self._beneath(pk)
        form = _hold_form([kind for kind in HoldKind if kind not in row.holds])
        lead = _("On an administrative hold, its members sign in and read, and can change nothing;"
                 " accounts beneath it go on. A financial hold is noted.")  # fmt: skip
        return self._ask(
            self._question_page(row, "hold", form, _l("Put %(name)s on hold"), _("Put on hold"), lead=lead),
            lambda: holds.put_on_hold(row, HoldKind(form.kind.data), reason=form.reason.data, by=me()),
            _("“%(name)s” is on hold.", name=row.name),
        )

    @expose("/lift/<int:pk>", methods=["GET", "POST"])
    @has_access
    @permission_name("hold")
    def lift(self, pk: int) -> Any:
        """Lift a hold: which one, and why."""
        row = self._beneath(pk)
        if not row.holds:
            raise Refused(_("%(name)s is on no hold.", name=row.name))
        form = _hold_form(row.holds)
        return self._ask(
            self._question_page(row, "lift", form, _l("Lift the hold on %(name)s"), _("Lift hold")),
            lambda: holds.lift(row, HoldKind(form.kind.data), reason=form.reason.data, by=me()),
            _("The hold on “%(name)s” is lifted.", name=row.name),
        )

    @expose("/move/<int:pk>", methods=["GET", "POST"])
    @has_access
    def move(self, pk: int) -> Any:
        """Move an account: choose the place, see what changes, do it."""
        row, to = self._beneath(pk), self._place()
        if to is None:
            return self._places(row)
        try:
            moves.refuse(row, to=to, by=me())
        except Refused as refusal:
            return self._places(row, problem=refusal.sentence)
        seen = moves.preview(row, to=to)
        page = self._question_page(
            row,
            "move",
            FlaskForm(),
            _l("Move %(name)s"),
            _("Move account"),
            url=self.url("move", pk=pk, to=to.id),
            cancel_url=self.url("move", pk=pk),
            extra="_move.html",
            more={"row": row, "old": row.parent, "to": to, "seen": seen},
            within=True,
        )
        return self._ask(
            page,
            lambda: moves.move(row, to=to, by=me()),
            ngettext("One account was moved.", "%(num)s accounts were moved.", seen.count),
            then=self.url("show", pk=pk),
        )

    def _beneath(self, pk: int) -> Account:
        row = self.row(pk)
        return row if self.may_edit(row) else abort(403)

    def _place(self) -> Account | None:
        """The place asked for; a foreign one does not exist."""
        asked = request.args.get("to")
        return None if asked is None else self.row(key_of(asked))

    def _places(self, row: Account, problem: str = "") -> Any:
        """Where it could go, to choose from; found by name."""
        q = request.args.get("q", "").strip()[:120].replace("\x00", "")
        found = moves.places(row).where(Account.name.icontains(q, autoescape=True)).options(joinedload(Account.parent))
        found = list(db.session.scalars(found.order_by(Account.name_sort, Account.id).limit(PLACES + 1)))
        said = {"row": row, "places": found[:PLACES], "more": len(found) > PLACES, "q": q, "problem": problem}
        answer = render_part("_places.html", title=_("Move %(name)s", name=row.name), **said)
        return answer, 422 if problem or request.method == "POST" else 200

    def create(self, form: Any) -> Account:
        facts = {name: form[name].data for name in self.add_columns if name != "plan_id"}
        account = accounts.open_account(parent=db.session.get(Account, current_scope().account_id), by=me(), **facts)
        _choose_plan(account, form)
        properties.write(account, property_columns.typed(_own_properties(), form))
        return account

    def change(self, row: Account, form: Any) -> None:
        facts = {name: form[name].data for name in self.edit_columns if name in form and name != "plan_id"}
        accounts.change(row, **facts)
        _choose_plan(row, form)
        properties.write(row, property_columns.typed(_own_properties(), form))

    @command(
        "archive",
        _l("Archive"),
        confirm=_l("Archive these accounts? Their members can no longer act in them until they are restored."),
        confirm_one=_l("Archive “%(name)s”? Its members can no longer act in it until it is restored."),
        icon="archive",
        danger=True,
        offered=lambda account: not account.is_archived and _is_beneath(account),
    )
    def archive(self, chosen: list[Account]) -> str:
        for account in chosen:
            accounts.archive(account, by=me())
        return ngettext("One account was archived.", "%(num)s accounts were archived.", len(chosen))

    @command(
        "restore",
        _l("Restore"),
        icon="restore",
        permission="archive",
        offered=lambda account: account.is_archived,
    )
    def restore(self, chosen: list[Account]) -> str:
        for account in chosen:
            accounts.restore(account, by=me())
        return ngettext("One account was restored.", "%(num)s accounts were restored.", len(chosen))

    @command(
        "enable_partner",
        _l("Switch partner management on"),
        icon="building-store",
        permission="promote",
        offered=lambda account: account.kind is Kind.CUSTOMER,
    )
    def enable_partner(self, chosen: list[Account]) -> None:
        for account in chosen:
            accounts.enable_partner(account, by=me())

    @command(
        "disable_partner",
        _l("Switch partner management off"),
        confirm=_l("Switch partner management off? These accounts can then have no accounts beneath them."),
        confirm_one=_l("Switch partner management off? “%(name)s” can then have no accounts beneath it."),
        icon="building",
        permission="promote",
        offered=lambda account: account.kind is Kind.PARTNER and _is_beneath(account),
    )
    def disable_partner(self, chosen: list[Account]) -> None:
        for account in chosen:
            accounts.disable_partner(account, by=me())


class MembersView(BackOfficeView):
    """The people in the acting account and, as management data, in those beneath (M-7b)."""

    route_base = "/members"
    datamodel = Table(Member)
    noun = "member"
    related_commands = False  # an account's members are its own administrators' affair
    list_title = _l("Members")
    list_lead = _l("The people who can act in this account.")
    show_title = _l("Member")
    label_columns = {
        "user.last_name": _l("Last name"),
        "user.first_name": _l("First name"),
        "user.email": _l("E-mail"),
        "role": _l("Role"),
        "created_at": _l("Member since"),
    }
    list_columns = ["user.last_name", "user.first_name", "user.email", "role", "created_at"]
    search = ("user.last_name", "user.first_name", "user.email")
    order = ("user.last_name", "user.first_name")
    related_keys = {"account_id": Account}
    include_route_methods = {"list", "edit", "leave", "export", "action_post", "related_list"}
    edit_title = _l("Role of %(name)s")
    edit_columns = ["role"]
    empty_title = _l("No members yet")

    def may_edit(self, row: Member) -> bool:
        return row.account_id == current_scope().account_id

    def change(self, row: Member, form: Any) -> None:
        members.change_role(row, to=Role(form.role.data), by=me())

    @expose("/edit/<int:pk>", methods=["GET", "POST"])
    @has_access
    def edit(self, pk: int) -> Any:
        """Whoever gives away rights of their own is asked first: they cannot give them back to themselves."""
        row = self.row(pk)
        wanted = request.form.get("role", "")
        if row.id != me().id or wanted not in set(Role) or request.form.get("sure") == wanted:
            return super().edit(pk)
        lost = permissions.lost(row.account.kind, row.role, Role(wanted))
        if not lost:
            return super().edit(pk)
        form = self.form_to_edit(row)
        page = self._form_page(form, _l("Change your own role?"), self.url("edit", pk=pk))
        more = {"role": Role(wanted), "lost": lost}
        page = replace(page, extra="_demotion.html", more=more, submit_label=_("Change my role"), danger=True)
        return render_template("_form.html" if page.modal else "form.html", page=page), 422

    def conditions(self) -> tuple[Any, ...]:
        """The page shows the acting account's own members; those of others stand on their accounts' pages."""
        return (Member.account_id == current_scope().account_id,)

    @command(
        "remove",
        _l("Remove"),
        confirm=_l("Remove these members? They can no longer act in the account; what they did stays in its history."),
        icon="user-minus",
        danger=True,
        offered=lambda member: member.user_id != current_scope().user_id,
    )
    def remove(self, chosen: list[Member]) -> str:
        if me() in chosen:
            raise Refused(_("To go yourself, choose “Leave account”."))
        for member in chosen:
            members.remove(member, by=me())
        return ngettext("One member was removed.", "%(num)s members were removed.", len(chosen))

    def tools(self) -> list[Link]:
        links = [Link(_("Leave account"), self.url("leave"), "logout")]
        links += [_invite_link()] if may("invitation.add") else []
        return [*links, *_import_links("invitation")]

    @expose("/leave", methods=["GET", "POST"])
    @has_access
    def leave(self) -> Any:
        """End one's own membership; on to another account one is a member of."""
        member, name = me(), me().account.name
        lead = _("You can no longer act in the account then. Coming back takes a new invitation.")
        page = self._form_page(FlaskForm(), _l("Leave %(name)s?"), self.url("leave"), name)
        return self._ask(
            replace(page, lead=lead, submit_label=_("Leave account"), danger=True),
            lambda: members.remove(member, by=member),
            _("You have left %(account)s.", account=name),
            then="/",
        )


class InvitationsView(BackOfficeView):
    """Who has been asked to become a member, and whether they have (M-7)."""

    route_base = "/invitations"
    datamodel = Table(Invitation)
    noun = "invitation"
    list_title = _l("Invitations")
    list_lead = _l("Who has been asked to join this account, and who has accepted.")
    add_title = _l("Invite member to %(name)s")
    add_label = _l("Invite member")
    label_columns = {
        "email": _l("E-mail"),
        "role": _l("Role"),
        "status": _l("Status"),
        "inviter": _l("Invited by"),
        "created_at": _l("Invited"),
        "expires_at": _l("Valid until"),
        "accepted_at": _l("Accepted"),
    }
    help_columns = {"email": _l("The link in the mail works once, for seven days.")}
    list_columns = ["email", "role", "status", "inviter", "created_at", "expires_at", "accepted_at"]
    add_columns = ["email", "role"]
    search = ("email", "inviter")
    order = ("-created_at",)
    related_keys = {"account_id": Account}
    include_route_methods = {"list", "add", "export", "action_post", "related_list"}
    empty_title = _l("No invitations yet")
    empty_text = _l("Invite your colleagues by e-mail; each gets a link to register with.")

    def conditions(self) -> tuple[Any, ...]:
        return (Invitation.account_id == current_scope().account_id,)

    def fields(self, names: Any = None) -> dict[str, Field]:
        """The status is that of this moment: nobody notes when an invitation expires."""
        status = {"value": lambda row: row.status_at(clock.now()), "expression": invitations.status_column()}
        return changed(super().fields(names), status=status)

    def tools(self) -> list[Link]:
        return _import_links("invitation")

    def is_muted(self, row: Invitation) -> bool:
        return row.status_at(clock.now()) is not InvitationStatus.PENDING

    def defaults(self) -> dict[str, Any]:
        return {"role": Role.VIEWER}

    def _form_page(self, form: Any, title: Any, url: str, name: str = "") -> FormPage:
        kept = {key: request.args[key] for key in ("account", "back") if key in request.args}
        page = super()._form_page(form, title, self.url("add", **kept), account_asked_for().name)
        return replace(page, submit_label=_("Send invitation"))

    def create(self, form: Any) -> Invitation:
        return invitations.invite(form.email.data, role=Role(form.role.data), account=account_asked_for(), by=me())

    def created_message(self, row: Invitation) -> str:
        return _("%(email)s is invited.", email=row.email)

    @command("resend", _l("Send again"), icon="send", offered=lambda row: row.status is InvitationStatus.PENDING)
    def resend(self, chosen: list[Invitation]) -> str:
        for invitation in chosen:
            invitations.resend(invitation, by=me())
        return ngettext("One invitation is sent again.", "%(num)s invitations are sent again.", len(chosen))

    @command(
        "withdraw",
        _l("Withdraw"),
        confirm=_l("Withdraw these invitations? Their links no longer work then."),
        icon="ban",
        danger=True,
        offered=lambda invitation: invitation.may_become(InvitationStatus.WITHDRAWN),
    )
    def withdraw(self, chosen: list[Invitation]) -> str:
        for invitation in chosen:
            invitations.withdraw(invitation, by=me())
        return ngettext("One invitation was withdrawn.", "%(num)s invitations were withdrawn.", len(chosen))


class ArticlesView(PricedView):
    """What the operator sells, and what each article grants; partners read it (M-11, M-12)."""

    route_base = "/articles"
    datamodel = Table(Article)
    noun = "article"
    prices_of = ArticlePrice
    list_title = _l("Articles")
    list_lead = _l("What accounts can acquire. What an article grants becomes licenses of the account.")
    show_title = _l("Article")
    add_title = add_label = _l("Add article")
    include_route_methods = CatalogueView.include_route_methods | {"show", "price"}
    label_columns = {
        "number": _l("Article number"),
        "name": _l("Name"),
        "price": _l("Price of one"),
        "granted": _l("Grants"),
        "name_en": _l("Name in English"),
        "name_de": _l("Name in German"),
        "description": _l("Description"),
        "description_en": _l("Description in English"),
        "description_de": _l("Description in German"),
        "created_at": _l("Created"),
        "archived_at": _l("Archived"),
    }
    help_columns = {
        "number": _l("Your own, or left empty to be given one."),
        "name_de": _l("One of the two is enough."),
    }
    list_columns = ["name", "number", "price", "granted", "created_at"]
    more_columns = ("description", "archived_at")
    add_columns = edit_columns = ["number", "name_en", "name_de", "description_en", "description_de"]
    search = ("name", "number")
    sections = (("overview", _l("Overview"), ("name", "number", "created_at", "description")),)
    related = (("accounts", _l("Accounts that have it"), "HoldingsView", "article_id"),)
    empty_title = _l("No articles yet")
    empty_text = _l("Define license types first, then articles that grant them.")

    def fields(self, names: Any = None) -> dict[str, Field]:
        granted = {"value": lambda article: " · ".join(map(_grant_in_words, article.grants))}
        price = {"value": prices_in_words}
        return changed(super().fields(names), granted=granted, price=price, description={"kind": "long"})

    def _sections(self, row: Article) -> Any:
        overview, *rest = super()._sections(row)
        facts = [
            Fact(grant.type.name, Cell(f"{shown(grant.quantity, 'number')} {grant.type.unit}")) for grant in row.grants
        ]
        lead = _("For each piece.") if facts else _("Nothing: it is sold, but gives no rights.")
        return [overview, Section("grants", _("Grants"), facts, lead=lead), *rest]

    def field_groups(self, fields: Any) -> Any:
        named = [field for field in fields if not field.name.startswith("description")]
        return [FieldGroup("", named), FieldGroup("", [field for field in fields if field not in named])]

    def _form_page(self, form: Any, title: Any, url: str, name: str = "") -> FormPage:
        """Besides the fields: a line for each license type it grants."""
        page = super()._form_page(form, title, url, name)
        pk = request.view_args.get("pk")
        types = list(db.session.scalars(select(LicenseType)))
        more = {"grants": _grants_asked(pk), "types": _types_offered(types)}
        return replace(page, extra="_article_grants.html", more=more)

    def create(self, form: Any) -> Article:
        return catalog.define_article(**self._facts(form))

    def change(self, row: Article, form: Any) -> None:
        catalog.change_article(row, **self._facts(form))

    def _facts(self, form: Any) -> dict[str, Any]:
        return {name: form[name].data for name in self.add_columns} | {"grants": _grants_typed(), "by": me()}

    archive, restore = archiving(
        confirm=_l("Archive these articles? They can be given no longer; whoever has them keeps them."),
        confirm_one=_l("Archive “%(name)s”? It can be given no longer; whoever has it keeps it."),
        archived=lambda num: ngettext("One article was archived.", "%(num)s articles were archived.", num),
        restored=lambda num: ngettext("One article was restored.", "%(num)s articles were restored.", num),
    )


class LicenseTypesView(CatalogueView):
    """The kinds of rights there are, and how strictly they are counted (M-13)."""

    route_base = "/license-types"
    datamodel = Table(LicenseType)
    noun = "license_type"
    list_title = _l("License types")
    list_lead = _l("The rights articles can grant, and what happens when a license is used up.")
    add_title = add_label = _l("Add license type")
    label_columns = {
        "name": _l("Name"),
        "key": _l("Key"),
        "unit": _l("Unit"),
        "policy": _l("Policy"),
        "overage_percent": _l("Tolerated overage in %"),
        "name_en": _l("Name in English"),
        "name_de": _l("Name in German"),
        "unit_en": _l("Unit in English"),
        "unit_de": _l("Unit in German"),
    }
    help_columns = {
        "key": _l("Its name in the API; it cannot be changed later."),
        "name_de": _l("One of the two is enough."),
        "unit_en": _l("What is counted, in the plural: assets, users, GB."),
        "policy": _l("Above the quantity “Hard” refuses, “Soft” only warns, “Overage” tolerates some more."),
        "overage_percent": _l("1 to 100; needed for the policy “Overage” alone."),
    }
    list_columns = ["name", "key", "unit", "policy", "overage_percent"]
    edit_columns = ["name_en", "name_de", "unit_en", "unit_de", "policy", "overage_percent"]
    add_columns = ["key", *edit_columns]
    search = ("name", "key", "unit")
    empty_title = _l("No license types yet")
    empty_text = _l("Add what your accounts may do so much of: create assets, connect data loggers, add users.")

    def create(self, form: Any) -> LicenseType:
        return catalog.define_license_type(by=me(), **{name: form[name].data for name in self.add_columns})

    def change(self, row: LicenseType, form: Any) -> None:
        catalog.change_license_type(row, by=me(), **{name: form[name].data for name in self.edit_columns})

    archive, restore = archiving(
        confirm=_l("Archive these license types? No article can newly grant them; licenses there are stay."),
        archived=lambda num: ngettext("One license type was archived.", "%(num)s license types were archived.", num),
        restored=lambda num: ngettext("One license type was restored.", "%(num)s license types were restored.", num),
    )


class HoldingsView(BackOfficeView):
    """The articles accounts have acquired (M-11); the operator gives them without an order."""

    route_base = "/holdings"
    datamodel = Table(Holding)
    noun = "holding"
    list_title = _l("Acquired articles")
    list_lead = _l("What accounts have acquired, and since when.")
    add_title = _l("Give article to %(name)s")
    add_label = _l("Give article")
    label_columns = {
        "article.name": _l("Article"),
        "article.number": _l("Article number"),
        "account.name": _l("Account"),
        "quantity": _l("Quantity"),
        "acquired_on": _l("Acquired on"),
        "valid_until": _l("Ends on"),
        "source": _l("Source"),
        "note": _l("Note or own reference"),
        "created_at": _l("Noted"),
        "article_id": _l("Article"),
    }
    help_columns = {
        "acquired_on": _l("From this day on its licenses count."),
        "valid_until": _l("The first day on which they count no longer. Empty: without end."),
        "note": _l("The account can read it."),
    }
    list_columns = [
        "article.name", "article.number", "account.name", "quantity", "acquired_on", "valid_until", "source", "note",
    ]  # fmt: skip
    more_columns = ("created_at",)
    totaled = ("quantity",)
    add_columns = ["article_id", "quantity", "acquired_on", "valid_until", "note"]
    search = ("article.name", "article.number", "account.name", "note")
    order = ("-acquired_on",)
    related_keys = {"account_id": Account, "article_id": Article}
    include_route_methods = {"list", "add", "export", "action_post", "related_list"}
    empty_title = _l("No articles yet")
    empty_text = _l("What is acquired stands here, and what it grants under “Licenses”.")

    def fields(self, names: Any = None) -> dict[str, Field]:
        return without_own_account(super().fields(names))

    def tools(self) -> list[Link]:
        return _import_links("holding")

    def _add_link(self) -> None:
        """Articles are given on the account's page."""

    def defaults(self) -> dict[str, Any]:
        return {"quantity": 1, "acquired_on": clock.today(account_asked_for().time_zone)}

    def _form_page(self, form: Any, title: Any, url: str, name: str = "") -> FormPage:
        url = self.url("add", account=account_asked_for().id, back=request.args.get("back", ""))
        page = super()._form_page(form, title, url, account_asked_for().name)
        lead = _("Without an order. What the article grants becomes licenses at once.")
        return replace(page, submit_label=_("Give article"), lead=lead)

    def create(self, form: Any) -> Holding:
        facts = {name: form[name].data for name in ("quantity", "note")}
        article = db.session.get(Article, form.article_id.data)
        on, until = form.acquired_on.data, form.valid_until.data
        return licenses.give(article, to=account_asked_for(), on=on, until=until, by=me(), **facts)

    def created_message(self, row: Holding) -> str:
        return _("%(account)s now has %(article)s.", account=row.account.name, article=str(row))


OVER = (LicenseStatus.EXPIRED, LicenseStatus.REVOKED, LicenseStatus.SURRENDERED)


class LicensesView(BackOfficeView):
    """What accounts may use, how much of it they do, and what is left (M-13)."""

    route_base = "/licenses"
    datamodel = Table(License)
    noun = "license"
    list_title = _l("Licenses")
    list_lead = _l("What accounts may use, and how much of it they do.")
    show_title = _l("License")
    label_columns = {
        "public_id": _l("License"),
        "account.name": _l("Account"),
        "type.name": _l("Type"),
        "type.policy": _l("Policy"),
        "article.name": _l("Article"),
        "quantity": _l("Quantity"),
        "in_use": _l("In use"),
        "available": _l("Available"),
        "valid_from": _l("Starts on"),
        "valid_until": _l("Ends on"),
        "status": _l("Status"),
        "reason": _l("Reason"),
        "created_at": _l("Issued"),
    }
    list_columns = [
        "public_id", "account.name", "type.name", "article.name", "quantity", "in_use", "available", "valid_until",
        "status",
    ]  # fmt: skip
    more_columns = ("type.policy", "valid_from", "created_at", "reason")
    totaled = ("quantity", "in_use", "available")
    search = ("public_id", "account.name", "type.name", "article.name")
    order = ("type.name", "public_id")
    sections = (
        (
            "overview",
            _l("Overview"),
            ("account.name", "type.name", "type.policy", "article.name", "valid_from", "valid_until", "created_at",
             "reason"),
        ),
    )  # fmt: skip
    related = (("movements", _l("Movements"), "MovementsView", "license_id"),)
    loads = (joinedload(License.account), joinedload(License.article).lazyload(Article.grants))
    related_keys = {"account_id": Account}
    include_route_methods = {"list", "show", "export", "action_post", "related_list", "suspend", "revoke"}
    empty_title = _l("No licenses yet")

    def _empty(self, listing: Any, related: bool) -> Empty:
        """Who can give articles is told how; the others, how licenses come about."""
        empty = super()._empty(listing, related)
        if listing.is_filtered or related:
            return empty
        if may("holding.add"):
            return replace(empty, text=_("Open an account and choose “Give article”; what it grants stands here."))
        return replace(empty, text=_("Licenses come with the articles an account acquires."))

    def fields(self, names: Any = None) -> dict[str, Field]:
        """The status is that of this day, whether or not anybody has noted the end."""
        fields, today = without_own_account(super().fields(names)), self._today()
        return changed(
            fields,
            status={"value": lambda row: row.status_on(today), "expression": licenses.status_column(today)},
            available={"kind": "number", "expression": licenses.available_column()},
        )

    def _today(self) -> Any:
        return clock.today(time_zone())

    def is_muted(self, row: License) -> bool:
        return row.status_on(self._today()) in OVER

    def badges(self, row: License) -> list[Cell]:
        return [self.fields(["status"])["status"].cell(row)]

    @expose("/show/<int:pk>")
    @has_access
    def show(self, pk: int) -> Any:
        license = self.row(pk)
        uses, count = license_use.uses_of(license)
        told = [(use.reference, shown(use.quantity, "number"), shown(use.since, "moment")) for use in uses]
        more = count - len(uses)
        return render_template(
            "license.html",
            page=self.detail_page(license),
            license=license,
            gauge=_gauge(license),
            uses=told,
            more=more and ngettext("and one more", "and %(num)s more", more),
            chart=_year_chart(license),
        )

    def detail_page(self, row: License) -> DetailPage:
        return replace(super().detail_page(row), lead=f"{row.type.name} · {row.account}")

    def links(self, row: License) -> list[Link]:
        if not may("license_movement.export"):
            return []
        url = url_for("MovementsView.export", **{"_flt_1_license.public_id": row.public_id})
        return [Link(_("Export movements"), url, "download")]

    def tools(self) -> list[Link]:
        """Of the own licenses; those of accounts beneath are given back on their pages."""
        scope = current_scope()
        if scope.kind.manages_accounts or not may("license.surrender"):
            return []
        return [surrender_link(scope.account_id, back=self.url("list"))]

    def questions(self, row: License) -> list[Action]:
        status = row.status_on(clock.today(row.account.time_zone))
        asked = []
        if may("license.surrender") and may_change(row) and status is LicenseStatus.ACTIVE and row.available:
            asked.append(surrender_action(row.account_id, row, back=self.url("show", pk=row.id)))
        if may("license.suspend") and _from_above(row) and status in {LicenseStatus.ACTIVE, LicenseStatus.UPCOMING}:
            asked.append(self._question(row, "suspend", _("Suspend"), "player-pause"))
        if may("license.revoke") and may_change(row) and status not in OVER:
            asked.append(self._question(row, "revoke", _("Revoke"), "ban", danger=True))
        return asked

    @command(
        "reinstate",
        _l("Reinstate"),
        confirm=_l("Reinstate these licenses? They can be used again at once."),
        confirm_one=_l("Reinstate %(name)s? It can be used again at once."),
        icon="player-play",
        permission="suspend",
        offered=lambda license: license.status is LicenseStatus.SUSPENDED,
    )
    def reinstate(self, chosen: list[License]) -> str:
        for license in chosen:
            licenses.reinstate(license, by=me())
        return ngettext("One license was reinstated.", "%(num)s licenses were reinstated.", len(chosen))

    @expose("/suspend/<int:pk>", methods=["GET", "POST"])
    @has_access
    def suspend(self, pk: int) -> Any:
        license, form = self._beneath(pk), ReasonForm()
        lead = _("Nothing more can be taken into use until it is reinstated. What is in use stays noted.")
        return self._ask(
            self._question_page(license, "suspend", form, _l("Suspend %(name)s"), _("Suspend"), lead=lead),
            lambda: licenses.suspend(license, reason=form.reason.data, by=me()),
            _("%(license)s is suspended.", license=license),
        )

    @expose("/revoke/<int:pk>", methods=["GET", "POST"])
    @has_access
    def revoke(self, pk: int) -> Any:
        license, form = self._beneath(pk), ReasonForm()
        lead = _("The license is taken back for good.")
        return self._ask(
            self._question_page(license, "revoke", form, _l("Revoke %(name)s"), _("Revoke"), lead=lead, danger=True),
            lambda: licenses.revoke(license, reason=form.reason.data, by=me()),
            _("%(license)s was revoked.", license=license),
        )

    def _beneath(self, pk: int) -> License:
        row = self.row(pk)
        return row if _from_above(row) else abort(403)


class ReasonForm(FlaskForm):
    """Why something is done to a license; its account reads it."""

    reason = reason_field(licenses.LONGEST_REASON, _l("The account can read it."))


class MovementsView(BackOfficeView):
    """What was taken into use and released, when and for what. Only added to."""

    route_base = "/license-movements"
    datamodel = Table(LicenseMovement)
    noun = "license_movement"
    list_title = _l("Use of licenses")
    list_lead = _l("What was taken into use and released. Nothing in here can be changed or deleted.")
    label_columns = {
        "at": _l("When"),
        "kind": _l("What"),
        "quantity": _l("Quantity"),
        "in_use": _l("In use afterwards"),
        "reference": _l("Reference"),
        "actor": _l("Who"),
        "license.public_id": _l("License"),
        "account.name": _l("Account"),
    }
    list_columns = ["at", "kind", "quantity", "in_use", "reference", "actor", "license.public_id", "account.name"]
    totaled = ("quantity",)
    search = ("reference", "actor", "license.public_id", "account.name")
    order = ("-at",)
    related_keys = {"license_id": License}
    include_route_methods = {"list", "export", "action_post", "related_list"}
    empty_title = _l("Nothing has been used yet")
    empty_text = _l("Every use and release through the API stands here.")

    def fields(self, names: Any = None) -> dict[str, Field]:
        fields = without_own_account(super().fields(names))
        of_one_license = {"license.public_id", "account.name"} if "key" in (request.view_args or {}) else set()
        return {name: field for name, field in fields.items() if name not in of_one_license}


def _grant_in_words(grant: Any) -> str:
    return f"{shown(grant.quantity, 'number')} {grant.type.name}"


def _grants_typed() -> list[tuple[int, int]]:
    """What the lines of an article's form say; empty ones are left out."""
    typed = zip(request.form.getlist("grant_type"), request.form.getlist("grant_quantity"), strict=False)
    found = []
    for type_, quantity in typed:
        if not type_:
            continue
        try:
            found.append((int(type_), read_whole_number(quantity)))
        except ValueError as error:
            raise Refused(_("Say how many of each license type, as a whole number."), field="grants") from error
    return found


BLANK_GRANTS = 2  # offered besides those there are


def _grants_asked(pk: int | None) -> list[tuple[str, str]]:
    """The lines of an article's form: (number of the license type, quantity as text)."""
    if request.method == "POST":
        lines = zip(request.form.getlist("grant_type"), request.form.getlist("grant_quantity"), strict=False)
        found = [line for line in lines if any(line)]
    else:
        article = db.session.get(Article, pk) if pk else None
        found = [(str(g.type_id), shown(g.quantity, "number")) for g in article.grants] if article else []
    return [*found, *[("", "")] * BLANK_GRANTS]


def _types_offered(types: list[LicenseType]) -> list[tuple[str, str]]:
    """The license types to choose from; archived ones say so, for the articles that grant them."""
    return [(str(type_.id), _type_in_words(type_)) for type_ in sorted(types, key=lambda one: sort_key(one.name))]


def _type_in_words(type_: LicenseType) -> str:
    words = {"name": type_.name, "unit": type_.unit}
    return _("%(name)s (%(unit)s), archived", **words) if type_.is_archived else _("%(name)s (%(unit)s)", **words)


def _gauge(license: License) -> dict[str, Any]:
    """The numbers of a license, and how full it is."""
    percent = license.in_use * 100 // license.quantity
    tone = "full" if percent >= 100 else "low" if percent >= 80 else "good"
    return {
        "quantity": shown(license.quantity, "number"),
        "in_use": shown(license.in_use, "number"),
        "available": shown(license.available, "number"),
        "limit": shown(license.limit, "number") if license.limit else _("without limit"),
        "tolerates": license.limit != license.quantity,
        "percent": shown(percent, "number"),
        "tone": tone,
    }


def _year_chart(license: License) -> dict[str, Any]:
    months = license_use.year_of(license)
    return {
        "labels": [month_name(month.first) for month in months],
        "series": [
            {"label": _("Most in use"), "values": [month.peak for month in months]},
            {"label": _("Quantity"), "values": [license.quantity] * len(months), "type": "line"},
        ],
    }


def _from_above(license: License) -> bool:
    """Whether it is another account's license, or the operator's own: nobody else decides about their own."""
    scope = current_scope()
    if not may_change(license):
        return False
    return license.account_id != scope.account_id or scope.kind is Kind.OPERATOR


def _subscribe_link(account: Account) -> Link:
    return Link(_("Add subscription"), url_for("SubscriptionsView.add", account=account.id), icon="refresh", modal=True)


def _give_link(account: Account) -> Link:
    url = url_for("HoldingsView.add", account=account.id, back=url_for("AccountsView.show", pk=account.id))
    return Link(_("Give article"), url, icon="package", modal=True)


def _with_plan(form: Any, current: Plan | None = None) -> Any:
    """The account's form, with the plans one may choose: those on offer and the one it has."""
    if not may("plan.choose"):
        del form.plan_id
    elif current is not None and current.is_archived:
        form.plan_id.choices = [*form.plan_id.choices, *choices([(current.id, current.name)])]
    return form


def _choose_plan(account: Account, form: Any) -> None:
    if "plan_id" in form:
        plan = db.session.get(Plan, form.plan_id.data) if form.plan_id.data else None
        plans.choose_plan(account, plan, by=me())


def _plan_in_words(account: Account) -> str:
    return price_in_words(account.plan, clock.today(time_zone()), account.currency) if account.plan else ""


HISTORY_FACTS = ("at", "actor", "on_behalf_of", "via", "acting_account", "subject", "account.name", "ip")


class HistoryView(BackOfficeView):
    """Who did what, when, on whose behalf; of the acting account and those beneath."""

    route_base = "/history"
    datamodel = Table(LogEntry)
    noun = "history"
    list_title = _l("History")
    list_lead = _l("Who changed what, and when. Nothing in here can be changed or deleted.")
    show_title = _l("History entry")
    label_columns = {
        "at": _l("When"),
        "actor": _l("Who"),
        "on_behalf_of": _l("On behalf of"),
        "via": _l("API key"),
        "action": _l("What"),
        "subject": _l("Concerning"),
        "acting_account": _l("Acting in"),
        "account.name": _l("Account"),
        "ip": _l("IP address"),
        "told_changes": _l("Changes"),
    }
    list_columns = ["at", "actor", "action", "subject", "account.name", "told_changes"]
    more_columns = ("on_behalf_of", "via", "acting_account", "ip")
    search = ("actor", "action", "subject")
    order = ("-at",)
    sections = (
        ("entry", _l("Entry"), HISTORY_FACTS),
        ("changes", _l("Changes"), ("told_changes",)),
    )
    related_keys = {"account_id": Account}
    empty_title = _l("Nothing has happened yet")

    def detail_page(self, row: LogEntry) -> DetailPage:
        title = ": ".join(filter(None, (action_in_words(row), row.subject)))
        return replace(super().detail_page(row), title=masks.in_words(title))

    def belongs(self, key: str, pk: int) -> Any:
        """An account's page tells what happened to it, too, where the line stands in its partner's history."""
        return super().belongs(key, pk) | (LogEntry.subject_type == "account") & (LogEntry.subject_id == pk)

    def fields(self, names: Any = None) -> dict[str, Field]:
        fields = super().fields(names)
        if names is None:
            told = changed(fields, actor={"value": actor_in_words}, told_changes={"value": changes_in_words})
        else:
            told = changed(fields, told_changes={"kind": "long", "value": changes_line_by_line})
        return {name: action_column(f) if name == "action" else f for name, f in told.items()}


class OutboxView(BackOfficeView):
    """The mails of the acting account: sent, waiting, failed; with links to try where no mail server is set."""

    route_base = "/outbox"
    datamodel = Table(Message)
    noun = "message"
    list_title = _l("Outbox")
    list_lead = _l("Every mail this account has written, and whether it arrived at the mail server.")
    show_title = _l("Message")
    label_columns = {
        "subject": _l("Subject"),
        "recipient": _l("To"),
        "status": _l("Status"),
        "created_at": _l("Written"),
        "sent_at": _l("Sent"),
        "attempts": _l("Tries"),
        "error": _l("Error"),
    }
    list_columns = ["subject", "recipient", "status", "created_at", "sent_at", "error"]
    more_columns = ("attempts",)
    search = ("subject", "recipient")
    order = ("-created_at",)
    include_route_methods = {"list", "show", "preview", "export", "action_post"}
    empty_title = _l("No messages yet")
    sections = (("facts", _l("Overview"), ("recipient", "created_at", "sent_at", "attempts", "error")),)
    empty_text = _l("Invitations, password links and notices appear here as they are written.")

    def lead(self) -> Any:
        if outbox.is_sending():
            return self.list_lead
        return _("No mail server is set up, so nothing is sent; the messages wait here.")

    def badges(self, row: Message) -> list[Cell]:
        return [self.fields(["status"])["status"].cell(row)]

    @expose("/show/<int:pk>")
    @has_access
    def show(self, pk: int) -> Any:
        message = self.row(pk)
        return render_template("outbox_show.html", page=self.detail_page(message), **outbox.told(message))

    @expose("/preview/<int:pk>")
    @has_access
    @permission_name("show")
    def preview(self, pk: int) -> Any:
        return outbox.preview(self.row(pk))

    @command("resend", _l("Send again"), icon="send", offered=lambda message: message.may_become(MessageStatus.WAITING))
    def resend(self, chosen: list[Message]) -> str:
        for message in chosen:
            outbox.resend(message)
        return ngettext("One message is sent again.", "%(num)s messages are sent again.", len(chosen))


class ApiKeysView(BackOfficeView):
    """The keys with which programs act in the account, each for the member who made it (section 6)."""

    route_base = "/api-keys"
    datamodel = Table(ApiKey)
    noun = "api_key"
    list_title = _l("API keys")
    list_lead = _l("A program with such a key acts for the person who made it, and can do no more than the key says.")
    add_title = add_label = _l("Create key")
    label_columns = {
        "name": _l("Name"),
        "status": _l("Status"),
        "prefix": _l("Begins with"),
        "may": _l("May do"),
        "created_by": _l("Acts for"),
        "created_at": _l("Created"),
        "last_used_at": _l("Last used"),
        "expires_at": _l("Valid until"),
    }
    help_columns = {"name": _l("What the program is called, such as “Warehouse”; history names it.")}
    list_columns = ["name", "status", "prefix", "may", "created_by", "last_used_at", "expires_at"]
    more_columns = ("created_at",)
    add_columns = ["name"]
    search = ("name", "prefix", "created_by")
    order = ("name",)
    include_route_methods = {"list", "add", "action_post"}
    empty_title = _l("No API keys yet")
    empty_text = _l("Create one for each program that is to read or change things here.")

    def fields(self, names: Any = None) -> dict[str, Field]:
        """The status is that of this moment: nobody notes when a key expires."""
        status = {"value": lambda row: row.status_at(clock.now()), "expression": api_keys.status_column()}
        return changed(
            super().fields(names),
            status=status | {"kind": "choice", "choices": [*ApiKeyStatus]},
            may={"value": lambda row: key_pages.scopes_in_words(row.scopes)},
        )

    def is_muted(self, row: ApiKey) -> bool:
        return row.status_at(clock.now()) is not ApiKeyStatus.ACTIVE

    def tools(self) -> list[Link]:
        return [Link(_("API reference"), url_for("ApiReferenceView.show"), "api")] if may("api.show") else []

    @expose("/add", methods=["GET", "POST"])
    @has_access
    def add(self) -> Any:
        """Make a key and show its secret, this once."""
        form = key_pages.form_on(self.add_form)(data={"days": str(api_keys.USUAL_LIFETIME)})
        page = key_pages.page_on(self._form_page(form, self.add_title, self.url("add")))
        if request.method != "POST" or not form.validate():
            return self._render_form(form, page)
        scopes, days = request.form.getlist("scopes"), int(form.days.data)
        try:
            key, secret = api_keys.create(form.name.data, scopes=scopes, days=days, by=me())
        except Refused as refusal:
            return self._refused(form, refusal, page)
        return key_pages.show_secret(key, secret, modal=page.modal)

    @command(
        "revoke",
        _l("Revoke"),
        confirm=_l("Revoke these API keys? Programs that use them are turned away from this moment on."),
        icon="ban",
        danger=True,
    )
    def revoke(self, chosen: list[ApiKey]) -> str:
        for key in chosen:
            api_keys.revoke(key, by=me())
        return ngettext("One API key was revoked.", "%(num)s API keys were revoked.", len(chosen))


class RolesView(BaseView):
    """What each role may do in an account of this kind; the very table that is enforced."""

    route_base = "/roles"
    class_permission_name = "role"

    @expose("/")
    @has_access
    def list(self) -> Any:
        groups = [
            (str(noun), [(str(rule.label), [role in rule.roles for role in Role]) for rule in rules])
            for noun, rules in permissions.by_noun(current_scope().kind)
        ]
        return render_template("roles.html", roles=[str(role.label) for role in Role], groups=groups)


def _is_beneath(account: Account) -> bool:
    return account.id != current_scope().account_id and may_change(account)


def _own_properties() -> list[Property]:
    return properties.definitions_for(current_scope())


def _hold_form(kinds: list[HoldKind]) -> Any:
    """Which hold, and why; the account's members read the reason."""
    offered = choices((kind.value, kind.label) for kind in kinds)

    class HoldForm(FlaskForm):
        kind = RadioField(_l("Hold"), [InputRequired(_l("Please fill this in."))], choices=offered)
        reason = reason_field(holds.LONGEST, _l("The account's members read it, and it stays in the history."))

    return HoldForm(kind=kinds[0].value if kinds else None)


def _holds_of(row: Account) -> list[Section]:
    """Why it is on hold, first of all."""
    found = [hold for kind in row.holds if (hold := holds.find(row.id, kind))]
    facts = [
        Fact(
            str(hold.kind.label),
            Cell(
                _("%(reason)s (%(who)s, %(when)s)",
                  reason=hold.reason, who=hold.set_by, when=shown(hold.set_at, "moment")),
                "long",
            ),
        )
        for hold in found
    ]  # fmt: skip
    return [Section("holds", _("On hold"), facts)] if facts else []


def _invite_link(**values: Any) -> Link:
    return Link(_("Invite member"), url_for("InvitationsView.add", **values), icon="user-plus", modal=True)


def _import_links(noun: str) -> list[Link]:
    views = {"account": ImportsView, "invitation": InvitationImportsView, "holding": HoldingImportsView}
    url = url_for(f"{views[noun].__name__}.upload")
    return [Link(_("Import"), url, "upload")] if may(f"{noun}.import") else []


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
    backoffice.add_view_no_menu(OrderWizard)
    backoffice.add_view_no_menu(ApiReferenceView)
    backoffice.add_view_no_menu(SurrenderView)
    add(SettingsView, "Settings", icon="settings", label=_l("Settings"), **account)

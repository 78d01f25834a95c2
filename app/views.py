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

from . import clock, outbox, permissions, properties
from .errors import Refused
from .extensions import db
from .models import (
    Account,
    Invitation,
    InvitationStatus,
    Kind,
    LogEntry,
    Member,
    Message,
    MessageStatus,
    Property,
    Role,
)
from .pages.dashboard import DashboardView
from .pages.exports import ExportsView
from .pages.imports import ImportsView
from .pages.properties import PropertiesView
from .pages.settings import SettingsView
from .services import accounts, invitations, members
from .services.import_columns import ID_LABEL, id_of
from .tenancy import current_scope
from .ui import properties as property_columns
from .ui.acting import may, me
from .ui.columns import Field
from .ui.history import action_in_words, changes_in_words
from .ui.interface import BackOffice, Table
from .ui.listing import Listing
from .ui.page import Cell, DetailPage, Fact, FieldGroup, FormPage, Link, Section
from .ui.view import BackOfficeView, command


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
    include_route_methods = {"list", "show", "add", "edit", "export", "action_post", "related_list"}
    label_columns = {
        "name": _l("Name"),
        "kind": _l("Kind"),
        "parent.name": _l("Beneath"),
        "contact": _l("Contact"),
        "email": _l("E-mail"),
        "country": _l("Country"),
        "language": _l("Language"),
        "time_zone": _l("Time zone"),
        "currency": _l("Currency"),
        "created_at": _l("Created"),
        "archived_at": _l("Archived"),
    }
    help_columns = {"name": _l("Unique among the accounts beside it."), "language": _l("Of mails and documents.")}
    list_columns = ["name", "kind", "parent.name", "contact", "email", "country", "created_at"]
    add_columns = edit_columns = ["name", "contact", "email", "country", "language", "time_zone", "currency"]
    search = ("name", "contact", "email")
    order = ("name",)
    extra_args = ("archived",)
    sections = (
        ("overview", _l("Overview"), ("name", "kind", "parent.name", "contact", "email")),
        ("region", _l("Region and terms"), ("country", "language", "time_zone", "currency", "created_at")),
    )
    related = (
        ("accounts", _l("Accounts beneath"), "AccountsView", "parent_id"),
        ("members", _l("Members"), "MembersView", "account_id"),
        ("invitations", _l("Invitations"), "InvitationsView", "account_id"),
        ("history", _l("History"), "HistoryView", "account_id"),
    )
    related_keys = {"parent_id": Account}
    empty_title = _l("No accounts yet")
    empty_text = _l("Add your first customer; invite its members afterwards.")

    def conditions(self) -> tuple[Any, ...]:
        beneath = Account.id != current_scope().account_id
        return (beneath,) if _with_archived() else (beneath, Account.archived_at.is_(None))

    def tools(self) -> list[Link]:
        archived = (_("Hide archived"), {}) if _with_archived() else (_("Show archived"), {"archived": 1})
        tools = [Link(archived[0], self.url("list", **archived[1]), "archive")]
        if may("property.list"):
            tools.append(Link(_("Edit table"), url_for("PropertiesView.list"), "columns", modal=True))
        if may("account.import"):
            tools.append(Link(_("Import"), url_for("ImportsView.upload"), "upload"))
        return tools

    def file_fields(self, listing: Listing) -> list[Field]:
        """For whoever may import, the ID by which an edited row is known again."""
        if not may("account.import"):
            return super().file_fields(listing)
        owner_id, now = current_scope().account_id, clock.now()
        known = Field("id", ID_LABEL, "text", lambda row: id_of(row, owner_id=owner_id, at=now))
        note = _("Leave this column as it is: with it the edited file can be imported again.")
        return [*super().file_fields(listing), replace(known, note=note)]

    def fields(self, names: Any = None) -> dict[str, Field]:
        """The list has the properties of whose list it is besides: the acting account's, or on a page its account's."""
        fields = super().fields(names)
        if names:
            return fields
        whose = request.view_args.get("pk") if request.endpoint == "AccountsView.related_list" else None
        wanted = properties.definitions_of(whose or current_scope().account_id)
        return fields | property_columns.columns([definition for definition in wanted if definition.as_column])

    def form_to_add(self) -> Any:
        own = _own_properties()
        data = self.defaults() | property_columns.proposed(own)
        return property_columns.form_with(self.add_form, own)(data=data)

    def form_to_edit(self, row: Account) -> Any:
        own = _own_properties()
        return property_columns.form_with(self.edit_form, own)(obj=row, data=property_columns.held(own, row))

    def field_groups(self, fields: Any) -> Any:
        own = [field for field in fields if field.name.startswith("prop_")]
        groups = super().field_groups([field for field in fields if field not in own])
        return [*groups, FieldGroup(_("Properties"), own)] if own else groups

    def _sections(self, row: Account) -> Any:
        sections = super()._sections(row)
        if own := property_columns.columns(_own_properties()):
            facts = [Fact(str(field.label), field.cell(row)) for field in own.values()]
            sections.insert(len(self.sections), Section("properties", _("Properties"), facts))
        return sections

    def defaults(self) -> dict[str, Any]:
        own = db.session.get(Account, current_scope().account_id)
        return {name: getattr(own, name) for name in ("country", "language", "time_zone", "currency")}

    def may_edit(self, row: Account) -> bool:
        return row.id != current_scope().account_id

    def is_muted(self, row: Account) -> bool:
        return row.is_archived

    def kind_of(self, row: Account) -> str:
        return str(row.kind.label)

    def badges(self, row: Account) -> list[Cell]:
        return [Cell(_("Archived"), "choice", tone="yellow")] if row.is_archived else []

    def has_section(self, row: Account, key: str) -> bool:
        return key != "accounts" or row.kind.manages_accounts

    def links(self, row: Account) -> list[Link]:
        """*Invite member*, and *Switch to account* where one is a member (M-14)."""
        if row.is_archived or row.id == current_scope().account_id:
            return []
        links = [_invite_link(account=row.id, back=self.url("show", pk=row.id))] if may("invitation.add") else []
        mine = select(Member.id).where(Member.account_id == row.id, Member.user_id == current_scope().user_id)
        if db.session.scalar(mine) is not None:
            links.append(Link(_("Switch to account"), f"/a/{row.slug}/", "login"))
        return links

    def create(self, form: Any) -> Account:
        facts = {name: form[name].data for name in self.add_columns}
        account = accounts.open_account(parent=db.session.get(Account, current_scope().account_id), by=me(), **facts)
        properties.write(account, property_columns.typed(_own_properties(), form))
        return account

    def change(self, row: Account, form: Any) -> None:
        for name in self.edit_columns:
            form[name].populate_obj(row, name)
        accounts.accept(row)
        properties.write(row, property_columns.typed(_own_properties(), form))

    @command(
        "archive",
        _l("Archive"),
        confirm=_l("Archive these accounts? Their members can no longer act in them until they are restored."),
        confirm_one=_l("Archive “%(name)s”? Its members can no longer act in it until it is restored."),
        icon="archive",
        danger=True,
        offered=lambda account: not account.is_archived,
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
        offered=lambda account: account.kind is Kind.PARTNER,
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

    def conditions(self) -> tuple[Any, ...]:
        """The page shows the acting account's own members; those of others stand on their accounts' pages."""
        return (Member.account_id == current_scope().account_id,)

    @command(
        "remove",
        _l("Remove"),
        confirm=_l("Remove these members? They can no longer act in the account; what they did stays in its history."),
        icon="user-minus",
        danger=True,
    )
    def remove(self, chosen: list[Member]) -> str:
        if me() in chosen:
            raise Refused(_("To go yourself, choose “Leave account”."))
        for member in chosen:
            members.remove(member, by=me())
        return ngettext("One member was removed.", "%(num)s members were removed.", len(chosen))

    def tools(self) -> list[Link]:
        links = [Link(_("Leave account"), self.url("leave"), "logout")]
        return [*links, _invite_link()] if may("invitation.add") else links

    @expose("/leave", methods=["GET", "POST"])
    @has_access
    def leave(self) -> Any:
        """End one's own membership; on to another account one is a member of."""
        member, form = me(), FlaskForm()
        name = member.account.name
        lead = _("You can no longer act in the account then. Coming back takes a new invitation.")
        page = self._form_page(form, _l("Leave %(name)s?"), self.url("leave"), name)
        page = replace(page, lead=lead, submit_label=_("Leave account"), danger=True)
        if form.validate_on_submit():
            try:
                members.remove(member, by=member)
            except Refused as refusal:
                return self._refused(form, refusal, page)
            flash(_("You have left %(account)s.", account=name), "success")
            return redirect("/")
        return self._render_form(form, page)


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
        fields = super().fields(names)
        status = {"value": lambda row: row.status_at(clock.now()), "expression": invitations.status_column()}
        return {name: replace(f, **status) if name == "status" else f for name, f in fields.items()}

    def is_muted(self, row: Invitation) -> bool:
        return row.status_at(clock.now()) is not InvitationStatus.PENDING

    def defaults(self) -> dict[str, Any]:
        return {"role": Role.VIEWER}

    def _form_page(self, form: Any, title: Any, url: str, name: str = "") -> FormPage:
        kept = {key: request.args[key] for key in ("account", "back") if key in request.args}
        page = super()._form_page(form, title, self.url("add", **kept), self._account().name)
        return replace(page, submit_label=_("Send invitation"))

    def create(self, form: Any) -> Invitation:
        return invitations.invite(form.email.data, role=Role(form.role.data), account=self._account(), by=me())

    def created_message(self, row: Invitation) -> str:
        return _("%(email)s is invited.", email=row.email)

    def _account(self) -> Account:
        """The account to invite into: one beneath, named in the address, or the own."""
        pk = request.args.get("account", str(current_scope().account_id))
        if not (pk.isdecimal() and pk.isascii() and len(pk) < 19):
            abort(404)
        return db.session.get(Account, int(pk)) or abort(404)

    @command("resend", _l("Send again"), icon="send")
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
    )
    def withdraw(self, chosen: list[Invitation]) -> str:
        for invitation in chosen:
            invitations.withdraw(invitation, by=me())
        return ngettext("One invitation was withdrawn.", "%(num)s invitations were withdrawn.", len(chosen))


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
        "action": _l("What"),
        "subject": _l("Concerning"),
        "acting_account": _l("Acting in"),
        "account.name": _l("Account"),
        "ip": _l("From"),
        "told_changes": _l("Changes"),
    }
    list_columns = ["at", "actor", "action", "subject", "account.name", "told_changes"]
    search = ("actor", "action", "subject")
    order = ("-at",)
    sections = (
        ("entry", _l("Entry"), ("at", "actor", "on_behalf_of", "acting_account", "subject", "account.name", "ip")),
        ("changes", _l("Changes"), ("told_changes",)),
    )
    related_keys = {"account_id": Account}
    empty_title = _l("Nothing has happened yet")

    def detail_page(self, row: LogEntry) -> DetailPage:
        return replace(super().detail_page(row), title=": ".join(filter(None, (action_in_words(row), row.subject))))

    def belongs(self, key: str, pk: int) -> Any:
        """An account's page tells what happened to it, too, where the line stands in its partner's history."""
        return super().belongs(key, pk) | (LogEntry.subject_type == "account") & (LogEntry.subject_id == pk)

    def fields(self, names: Any = None) -> dict[str, Field]:
        said = {"action": action_in_words, "told_changes": changes_in_words}
        if names is None:
            said["actor"] = lambda entry: entry.actor.partition(" <")[0]
        plain = super().fields(names)
        return {name: replace(f, value=said[name]) if name in said else f for name, f in plain.items()}


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


def _own_properties() -> list[Property]:
    return properties.definitions_for(current_scope())


def _with_archived() -> bool:
    return request.args.get("archived") == "1"


def _invite_link(**values: Any) -> Link:
    return Link(_("Invite member"), url_for("InvitationsView.add", **values), icon="user-plus", modal=True)


def register(backoffice: BackOffice) -> None:
    """The menu, from top to bottom."""
    partner = {"category": "Partner", "category_label": _l("Partner")}
    account = {"category": "Account", "category_label": _l("Account")}
    add = backoffice.add_view
    add(DashboardView, "Dashboard", icon="home", label=_l("Dashboard"), category="Start", category_label=_l("Start"))
    add(AccountsView, "Accounts", icon="building", label=_l("Accounts"), **partner)
    add(MembersView, "Members", icon="users", label=_l("Members"), **account)
    add(InvitationsView, "Invitations", icon="user-plus", label=_l("Invitations"), **account)
    add(RolesView, "Roles", icon="shield-lock", label=_l("Roles"), **account)
    add(OutboxView, "Outbox", icon="mail", label=_l("Outbox"), **account)
    add(HistoryView, "History", icon="history", label=_l("History"), **account)
    add(ExportsView, "Exports", icon="file-export", label=_l("My exports"), **account)
    backoffice.add_view_no_menu(PropertiesView)
    backoffice.add_view_no_menu(ImportsView)
    add(SettingsView, "Settings", icon="settings", label=_l("Settings"), **account)



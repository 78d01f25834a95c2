"""Every screen of the back office, declared. What a verb does stands in `services/`, what a screen can do in `ui/`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flask import render_template, request
from flask_appbuilder import BaseView, expose
from flask_appbuilder.security.decorators import has_access, permission_name
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext
from sqlalchemy import select

from . import outbox, permissions
from .extensions import db
from .models import Account, Kind, LogEntry, Member, Message, MessageStatus, Role
from .pages.dashboard import DashboardView
from .pages.settings import SettingsView
from .services import accounts, members
from .tenancy import current_scope
from .ui.acting import me
from .ui.columns import Field
from .ui.history import action_in_words, changes_in_words
from .ui.interface import BackOffice, Table
from .ui.page import Cell, DetailPage, Link
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
        ("history", _l("History"), "HistoryView", "account_id"),
    )
    related_keys = {"parent_id": Account}
    empty_title = _l("No accounts yet")
    empty_text = _l("Add your first customer; invite its members afterwards.")

    def conditions(self) -> tuple[Any, ...]:
        beneath = Account.id != current_scope().account_id
        return (beneath,) if _with_archived() else (beneath, Account.archived_at.is_(None))

    def tools(self) -> list[Link]:
        if _with_archived():
            return [Link(_("Hide archived"), self.url("list"), "archive")]
        return [Link(_("Show archived"), self.url("list", archived=1), "archive")]

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
        """*Switch to account*, where one is a member (M-14)."""
        mine = select(Member.id).where(Member.account_id == row.id, Member.user_id == current_scope().user_id)
        if row.is_archived or row.id == current_scope().account_id or db.session.scalar(mine) is None:
            return []
        return [Link(_("Switch to account"), f"/a/{row.slug}/", "login")]

    def create(self, form: Any) -> Account:
        facts = {name: form[name].data for name in self.add_columns}
        return accounts.open_account(parent=db.session.get(Account, current_scope().account_id), by=me(), **facts)

    def change(self, row: Account, form: Any) -> None:
        form.populate_obj(row)
        accounts.accept(row)

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
    include_route_methods = {"list", "edit", "export", "action_post", "related_list"}
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
        for member in chosen:
            members.remove(member, by=me())
        return ngettext("One member was removed.", "%(num)s members were removed.", len(chosen))


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


def _with_archived() -> bool:
    return request.args.get("archived") == "1"


def register(backoffice: BackOffice) -> None:
    """The menu, from top to bottom."""
    partner = {"category": "Partner", "category_label": _l("Partner")}
    account = {"category": "Account", "category_label": _l("Account")}
    add = backoffice.add_view
    add(DashboardView, "Dashboard", icon="home", label=_l("Dashboard"), category="Start", category_label=_l("Start"))
    add(AccountsView, "Accounts", icon="building", label=_l("Accounts"), **partner)
    add(MembersView, "Members", icon="users", label=_l("Members"), **account)
    add(RolesView, "Roles", icon="shield-lock", label=_l("Roles"), **account)
    add(OutboxView, "Outbox", icon="mail", label=_l("Outbox"), **account)
    add(HistoryView, "History", icon="history", label=_l("History"), **account)
    add(SettingsView, "Settings", icon="settings", label=_l("Settings"), **account)



"""History and outbox: what has been done in an account, and what has been written by mail."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flask import render_template
from flask_appbuilder import expose
from flask_appbuilder.security.decorators import has_access, permission_name
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext

from .. import outbox
from ..models import Account, LogEntry, Message, MessageStatus
from ..ui import masks
from ..ui.columns import Field, changed
from ..ui.history import action_column, action_in_words, actor_in_words, changes_in_words, changes_line_by_line
from ..ui.interface import Table
from ..ui.page import Cell, DetailPage
from ..ui.view import BackOfficeView, command

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

"""The policy: every address of the application, what it asks of whom, and what a good request to it looks like.

One line per endpoint of the URL map. `matrix.py` makes the cells out of it, for every actor and every row; an
endpoint without a line here fails by its name. The rights are said here once more, against `has_access` in a view
that names another; who has them is read from `permissions.TABLE`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from app.models import Account, AccountImport, LogEntry, Login, Member, Message
from app.models import Export as ExportFile

Allowed = Callable[[str, str], bool]  # (slug of the acting account, slug of the row's) → whether the verb is offered


def anywhere(_acting: str, _owner: str) -> bool:
    return True


def beneath(acting: str, owner: str) -> bool:
    return owner != acting


def within(acting: str, owner: str) -> bool:
    return owner == acting


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
    get: int = 200
    post: int = 0
    data: dict[str, str] = field(default_factory=dict)


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


@dataclass(frozen=True)
class AddForm:
    permission: str
    of: type
    data: dict[str, str]


@dataclass(frozen=True)
class EditForm:
    permission: str
    of: type
    data: dict[str, str]
    offers: Allowed = anywhere


@dataclass(frozen=True)
class Deed:
    """A verb behind an address of its own: on the row it names, or on none."""

    permission: str
    of: type | None = None
    query: str = ""
    data: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Commands:
    """Verbs on chosen rows: the verb's name → the right it needs."""

    of: type
    verbs: dict[str, str] = field(default_factory=dict)


ACCOUNT = {
    "name": "Neufunk", "contact": "Somebody", "email": "somebody@neufunk.example",
    "country": "DE", "language": "de", "time_zone": "Europe/Berlin", "currency": "EUR",
}  # fmt: skip
PASSWORD = {"password": "kontor-2026-x", "repeat": "kontor-2026-x"}
NOBODY = "nobody@nowhere.example"

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
    "DashboardView.show": Page("dashboard.show"),
    "RolesView.list": Page("role.list"),
    "SettingsView.edit": Page("settings.edit", post=302, data=ACCOUNT),
    "AccountsView.index": Page("account.list", get=302),
    "AccountsView.list": List("account.list", Account, beneath),
    "AccountsView.related_list": Related("account.list", Account, {"parent_id": Account}),
    "AccountsView.export": Export("account.export", Account, beneath),
    "AccountsView.show": Detail("account.show", Account),
    "AccountsView.add": AddForm("account.add", Account, ACCOUNT),
    "AccountsView.edit": EditForm("account.edit", Account, ACCOUNT, beneath),
    "AccountsView.action_post": Commands(Account, {
        "archive": "account.archive", "restore": "account.archive",
        "enable_partner": "account.promote", "disable_partner": "account.promote"}),
    "ImportsView.upload": Page("account.import", post=422),
    "ImportsView.show": Detail("account.import", AccountImport),
    "ImportsView.columns": EditForm("account.import", AccountImport, {"column": ""}),
    "ImportsView.progress": Detail("account.import", AccountImport, get=204),
    "ImportsView.check": Deed("account.import", AccountImport),
    "ImportsView.start": Deed("account.import", AccountImport),
    "ImportsView.undo": Deed("account.import", AccountImport),
    "ImportsView.discard": Deed("account.import", AccountImport),
    "ExportsView.list": Page("export.list"),
    "ExportsView.add": Deed("member.export", query="?view=MembersView"),
    "ExportsView.show": Detail("export.list", ExportFile),
    "ExportsView.file": Detail("export.list", ExportFile),
    "ExportsView.discard": Deed("export.list", ExportFile),
    "MembersView.index": Page("member.list", get=302),
    "MembersView.list": List("member.list", Member, within),
    "MembersView.related_list": Related("member.list", Member, {"account_id": Account}),
    "MembersView.export": Export("member.export", Member, within),
    "MembersView.edit": EditForm("member.edit", Member, {"role": "viewer"}, within),
    "MembersView.action_post": Commands(Member, {"remove": "member.remove"}),
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
}  # fmt: skip

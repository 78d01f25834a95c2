"""The dashboard: the first page after signing in (L-2, B-5)."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from flask import abort, redirect, render_template, url_for
from flask_appbuilder import BaseView, expose
from flask_babel import gettext as _
from sqlalchemy import select

from .. import clock
from ..extensions import db
from ..models import Account, Member
from ..tenancy import current_scope
from ..ui.acting import may, remember_account
from ..ui.finding import COUNTED, counted
from ..ui.formats import shown, time_zone


class DashboardView(BaseView):
    """Numbers that lead to the lists behind them."""

    route_base = ""
    class_permission_name = "dashboard"
    default_view = "show"

    @expose("/")
    def show(self) -> Any:
        """Where an account begins; a customer's begins with the portal."""
        if may("portal.show"):
            return redirect(url_for("PortalView.show"))
        if not may("dashboard.show"):
            abort(403)
        remember_account()
        return render_template("dashboard.html", tiles=_tiles(), lists=_lists(), steps=_steps())


def _tiles() -> list[Any]:
    scope = current_scope()
    tiles = []
    if may("account.list"):
        beneath = select(Account.id).where(Account.id != scope.account_id, Account.archived_at.is_(None))
        month = clock.today(time_zone()).replace(day=1).isoformat()  # as the list's own filter understands it
        accounts = url_for("AccountsView.list")
        count = counted(beneath)
        tiles.append(_tile(_("Accounts"), count, accounts, "building", "blue"))
        new = beneath.where(Account.created_at >= clock.start_of_month(time_zone()))
        if count > COUNTED:  # SQLite would look at each of them; all that are new are fewer
            new = new.with_hint(Account, "INDEXED BY ix_account_created", "sqlite")
        tiles.append(_tile(_("New this month"), counted(new), f"{accounts}?_flt_1_created_at={month}", "plus", "green"))
    own = select(Member.id).where(Member.account_id == scope.account_id)
    tiles.append(_tile(_("Members"), counted(own), url_for("MembersView.list"), "users", "purple"))
    return tiles


def _tile(label: str, number: int, url: str, icon: str, tone: str) -> Any:
    value = shown(min(number, COUNTED), "number") + ("+" if number > COUNTED else "")
    return SimpleNamespace(label=label, value=value, url=url, icon=icon, tone=tone)


def _lists() -> list[tuple[str, str]]:
    """What is fetched below the tiles: what comes up, the newest accounts, the latest deeds."""
    lists = []
    if may("deadline.list"):
        lists.append((_("Next deadlines"), url_for("DeadlinesView.list")))
    if may("account.list"):
        lists.append((_("Newest accounts"), url_for("AccountsView.list", sort="-created_at", size=10)))
    if may("history.list"):
        lists.append((_("Latest changes"), url_for("HistoryView.list", size=10)))
    return lists


def _steps() -> list[tuple[str, bool, str]]:
    """What a new account's people do first; gone once all is done."""
    scope = current_scope()
    if not may("account.add"):
        return []
    own = db.session.get(Account, scope.account_id)
    complete = bool(own.contact and own.email)
    has_accounts = db.session.scalar(select(Account.id).where(Account.id != own.id).limit(1)) is not None
    steps = [
        (_("Complete your company's details"), complete, url_for("SettingsView.edit")),
        (_("Add your first account"), has_accounts, url_for("AccountsView.list")),
    ]
    return [] if complete and has_accounts else steps

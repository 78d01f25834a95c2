"""Giving licenses back (L-12, X-8): choose how many, see what it means, then do it. In the dialog or on a page."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from flask import flash, request, url_for
from flask_appbuilder import BaseView, expose
from flask_appbuilder.security.decorators import has_access, permission_name
from flask_babel import gettext as _
from flask_babel import pgettext
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from ..errors import Conflict, Refused
from ..extensions import db
from ..models import Account, License, sort_key
from ..services import licenses, surrenders
from ..services.catalog import LIVING
from ..services.surrenders import Surrender
from ..tenancy import current_scope
from ..ui.acting import me
from ..ui.explaining import Explained, explained
from ..ui.formats import read_whole_number, shown
from ..ui.page import Action, Link
from ..ui.view import account_asked_for, find, key_of, leave_form, render_part, safe_back

VERB = "surrender"
MOST = 200  # licenses offered at a time; of one with more, each license's own page leads here


class SurrenderView(BaseView):
    """The window in which an account's licenses are given back."""

    route_base = "/surrender"
    class_permission_name = "license"
    default_view = "ask"

    @expose("/", methods=["GET", "POST"])
    @has_access
    @permission_name("surrender")
    def ask(self) -> Any:
        """First how many of each, then what that means, then the deed; each step says the same sums."""
        account = account_asked_for()
        choices = _choices(account)
        if request.method == "GET" or request.form.get("step") == "change":
            return _window(account, choices)
        wanted = _wanted(choices)
        if any(choice.error for choice in choices):
            return _window(account, choices, status=422)
        if not wanted:
            return _window(account, choices, problem=_("Say how many to give back, of one license at least."))
        try:
            return self._answer(account, wanted)
        except Conflict:
            raise
        except Refused as refusal:
            db.session.rollback()
            return _refused(account, refusal)

    def _answer(self, account: Account, wanted: dict[License, int]) -> Any:
        if request.form.get("step") != "surrender":
            return _preview(account, surrenders.preview_several(wanted))
        key = request.form.get("key", "")[: licenses.LONGEST_KEY].replace("\x00", "")
        done = surrenders.surrender_several(wanted, by=me(), key=key)
        flash(_said(done), "success")
        return leave_form(_way_back())


def surrender_link(account_id: int, license: License | None = None, *, back: str) -> Link:
    """The way to the window, for all of an account's licenses or for one."""
    only = {"license": license.id} if license else {}
    url = url_for("SurrenderView.ask", account=account_id, back=back, **only)
    return Link(_("Surrender") if license else _("Surrender licenses"), url, "arrow-back-up", modal=True)


def surrender_action(account_id: int, license: License | None = None, *, back: str) -> Action:
    """The same among the verbs of a page."""
    link = surrender_link(account_id, license, back=back)
    return Action(VERB, link.label, link.icon, url=link.url, modal=True)


# --- choosing --------------------------------------------------------------------------------------------------


@dataclass
class Choice:
    """One license of the window: its numbers, what was typed, and what is wrong with that."""

    license: License
    typed: str = ""
    error: str = ""

    @property
    def name(self) -> str:
        return f"give_{self.license.id}"

    @property
    def numbers(self) -> list[tuple[str, str]]:
        one = self.license
        told = ((_("Purchased"), one.quantity), (_("In use"), one.in_use), (_("Available"), one.available))
        return [(label, shown(number, "number")) for label, number in told]

    @property
    def why_not(self) -> str:
        """What speaks against giving any of it back."""
        if reason := licenses.against(self.license):
            return str(reason.label)
        return "" if self.license.available else _("All of it is in use. What is released first can be given back.")


def _choices(account: Account) -> list[Choice]:
    offered = select(License).options(joinedload(License.account))
    if "license" in request.args:
        one = find(License, key_of(request.args["license"]))
        offered = offered.where(License.id == one.id)
    else:
        offered = offered.where(License.account_id == account.id, License.status.in_(LIVING))
    found = db.session.scalars(offered.order_by(License.id.desc()).limit(MOST)).unique()
    found = sorted(found, key=lambda license: (sort_key(license.type.name), license.public_id))
    return [Choice(one, request.form.get(f"give_{one.id}", "").strip()[:30]) for one in found]


def _wanted(choices: list[Choice]) -> dict[License, int]:
    """What was typed, as numbers; what is none is noted as wrong."""
    wanted = {}
    for choice in choices:
        if choice.typed:
            try:
                wanted[choice.license] = read_whole_number(choice.typed)
            except ValueError:
                choice.error = _("A whole number, please.")
    return wanted


def _refused(account: Account, refusal: Refused) -> Any:
    """Say no at the license it is about, with everything typed still there."""
    choices, problem = _choices(account), refusal.sentence
    for choice in choices:
        if choice.license.public_id == refusal.field:
            choice.error, problem = refusal.sentence, ""
    return _window(account, choices, problem=problem, status=422)


def _window(account: Account, choices: list[Choice], *, problem: str = "", status: int = 200) -> Any:
    whose = "" if account.id == current_scope().account_id else account.name
    said = {"choices": choices, "problem": problem, "whose": whose, **_frame(account)}
    page = render_part("_surrender.html", title=_("Surrender licenses"), **said)
    return page, 422 if problem else status


# --- what it means ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Effect:
    """One line of the preview, in words."""

    license: License
    typed: int
    quantity: str
    left: str
    on: str
    credit: Explained | None
    amount: str  # of the credit, net
    nothing: str
    commission: str


def _preview(account: Account, meant: list[Surrender]) -> str:
    said = {"effects": [_effect(one) for one in meant], "key": secrets.token_urlsafe(16), **_frame(account)}
    return render_part("_surrender_preview.html", title=_("Surrender licenses"), **said)


def _effect(meant: Surrender) -> Effect:
    credit = meant.credit
    return Effect(
        license=meant.license,
        typed=meant.quantity,
        quantity=shown(meant.quantity, "number"),
        left=shown(meant.left, "number"),
        on=shown(meant.on, "date"),
        credit=explained(credit) if credit else None,
        amount=shown(-credit.net, "money", credit.currency) if credit else pgettext("credit", "none"),
        nothing=str(meant.nothing.label) if meant.nothing else "",
        commission=_commission(meant),
    )


def _commission(meant: Surrender) -> str:
    """What it does to commission, as far as it is known; customers never read of it."""
    if not current_scope().kind.manages_accounts:
        return ""
    if meant.credit is None:
        return _("unchanged")
    base = shown(meant.commission_base, "money", meant.credit.currency)
    return _("earned on %(amount)s less; there is no rate yet to say how much that is", amount=base)


def _said(done: list[Surrender]) -> str:
    what = ", ".join(f"{shown(one.quantity, 'number')} × {one.license}" for one in done)
    return _("Given back: %(what)s.", what=what)


def _frame(account: Account) -> dict[str, str]:
    """Where the forms are sent, and where they lead to."""
    args = {"account": account.id, "back": request.args.get("back", "")}
    if "license" in request.args:
        args["license"] = request.args["license"]
    return {"url": url_for("SurrenderView.ask", **args), "cancel_url": _way_back()}


def _way_back() -> str:
    return safe_back(url_for("LicensesView.list"))

"""The customer portal (L-13): what a customer has and how it is used, who looks after it, and what comes next.

Where it is closed it says why and whom to ask; who manages the account, its members and security stay in reach.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from flask import current_app, render_template, url_for
from flask_appbuilder import BaseView, expose
from flask_appbuilder.security.decorators import has_access
from flask_babel import gettext as _

from .. import clock
from ..extensions import db
from ..models import Account, License, LicenseStatus, Member, Subscription, SubscriptionStatus
from ..services import portal, subscriptions
from ..services.above import office_above
from ..services.portal import Usage
from ..tenancy import current_scope
from ..ui.acting import may, remember_account
from ..ui.columns import TONES
from ..ui.formats import shown
from ..ui.page import Cell, Link
from .surrender import surrender_link

NEAR = timedelta(days=30)  # from then on the end of a license is told
FULL, LOW = 100, 80  # percent in use
OPEN = {"managers": "heart-handshake", "members": "users", "security": "shield-lock"}  # also where it is closed


class PortalView(BaseView):
    """One page on which a customer's people find everything."""

    route_base = "/portal"
    class_permission_name = "portal"
    default_view = "show"

    @expose("/")
    @has_access
    def show(self) -> Any:
        remember_account()
        account = db.session.get(Account, current_scope().account_id)
        agreed, people, links = portal.subscriptions_of(account), portal.members_of(account), _links(account)
        closed = portal.why_closed(account, agreed)
        return render_template(
            "portal.html",
            account=account,
            closed=closed,
            members=[(one.user.name, str(one.role.label), one.user.initials) for one in people],
            office=office_above(account.id),
            links=links,
            **(_ways_on(agreed, links) if closed else _contents(account, agreed, people)),
        )


def _contents(account: Account, agreed: list[Subscription], people: list[Member]) -> dict[str, Any]:
    held, usage = portal.licenses_of(account), portal.usage_of(account)
    return {
        "steps": sorted([*_decisions(agreed), *_shortages(held), *_company(people)], key=lambda step: step.urgency),
        "subscriptions": [_subscription_card(one) for one in agreed],
        "licenses": [_license_card(one, usage.get(one.id)) for one in held],
    }


def _ways_on(agreed: list[Subscription], links: dict[str, Link]) -> dict[str, Any]:
    """Where the portal is closed: how a subscription comes to run again, and what is open all the same."""
    decisions = sorted(_decisions(agreed), key=lambda step: step.urgency)
    ways = [Step(links[name].label, links[name].url, icon, "azure") for name, icon in OPEN.items() if name in links]
    return {"steps": [*decisions, *ways]}


# --- what to do next -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """Something that wants to be done, and where."""

    text: str
    url: str
    icon: str
    tone: str = "yellow"

    @property
    def urgency(self) -> int:
        return ("red", "yellow", "azure").index(self.tone)


def _decisions(agreed: list[Subscription]) -> Iterator[Step]:
    for one in agreed:
        url = url_for("SubscriptionsView.show", pk=one.id)
        if subscriptions.is_undecided(one):
            day = shown(one.trial_ends_on, "date")
            yield Step(_("%(title)s: free until %(day)s. Go on and pay, or cancel.", title=one.title, day=day),
                       url, "help", "red")  # fmt: skip
        elif one.status is SubscriptionStatus.SUSPENDED:
            yield Step(_("%(title)s is suspended.", title=one.title), url, "alert-triangle", "red")
        elif subscriptions.can_be_renewed(one):
            said = {"title": one.title, "day": shown(one.ends_on, "date")}
            if one.status is SubscriptionStatus.EXPIRED:
                yield Step(_("%(title)s ended on %(day)s. It can still be renewed.", **said), url, "refresh", "red")
            else:
                yield Step(_("%(title)s ends on %(day)s. Renew it in time.", **said), url, "refresh")


def _shortages(held: list[License]) -> Iterator[Step]:
    for one in held:
        url, said = url_for("LicensesView.show", pk=one.id), {"type": one.type.name, "license": one.public_id}
        today = clock.today(one.account.time_zone)
        if one.status is LicenseStatus.SUSPENDED:
            yield Step(_("%(type)s: %(license)s is suspended.", **said), url, "alert-triangle", "red")
        elif _percent(one) >= FULL:
            yield Step(_("%(type)s: nothing is left of %(license)s.", **said), url, "gauge", "red")
        elif _percent(one) >= LOW:
            yield Step(_("%(type)s: %(license)s is running low.", **said), url, "gauge")
        if one.valid_until is not None and today < one.valid_until <= today + NEAR:
            day = shown(one.valid_until, "date")
            yield Step(_("%(type)s: %(license)s ends on %(day)s.", day=day, **said), url, "calendar-event")


def _company(people: list[Member]) -> Iterator[Step]:
    if len(people) == 1 and may("invitation.add"):
        text = _("You are alone here. Invite somebody who can stand in for you.")
        yield Step(text, url_for("InvitationsView.list"), "user-plus", "azure")


# --- what there is ---------------------------------------------------------------------------------------------


def _subscription_card(one: Subscription) -> dict[str, Any]:
    return {
        "title": one.title,
        "about": f"{one.plan.product.name} · {one.plan.name} · {one.public_id}",
        "status": _badge(one.status),
        "until": shown(one.ends_on, "date"),
        "url": url_for("SubscriptionsView.show", pk=one.id),
    }


def _license_card(one: License, usage: Usage | None) -> dict[str, Any]:
    percent = _percent(one)
    numbers = {name: shown(getattr(one, name), "number") for name in ("in_use", "quantity", "available")}
    status = one.status_on(clock.today(one.account.time_zone))
    return {
        "license": one,
        "url": url_for("LicensesView.show", pk=one.id),
        "status": None if status is LicenseStatus.ACTIVE else _badge(status),
        "tone": "full" if percent >= FULL else "low" if percent >= LOW else "good",
        "numbers": _("%(in_use)s of %(quantity)s in use, %(available)s available", **numbers),
        "month": _month(usage),
    }


def _month(usage: Usage | None) -> str:
    if usage is None:
        return _("Not moved this month")
    said = {name: shown(value, "number") for name, value in usage._asdict().items()}
    return _("This month: %(taken)s taken into use, %(released)s released, at most %(peak)s in use", **said)


def _percent(license: License) -> int:
    return license.in_use * 100 // license.quantity


def _badge(status: Any) -> Cell:
    return Cell(str(status.label), "choice", tone=TONES.get(status.value, "secondary"))


def _links(account: Account) -> dict[str, Link]:
    """Where more of it stands, as far as the person may go there."""
    here = url_for("PortalView.show")
    offered = {
        "subscriptions": ("subscription.list", "SubscriptionsView.list", _("All subscriptions")),
        "licenses": ("license.list", "LicensesView.list", _("All licenses")),
        "members": ("member.list", "MembersView.list", _("All members")),
        "managers": ("manager.list", "ManagersView.list", _("Who manages my account")),
    }
    found = {
        name: Link(label, url_for(endpoint), "chevron-right")
        for name, (permission, endpoint, label) in offered.items()
        if endpoint in current_app.view_functions and may(permission)
    }
    found["security"] = Link(_("Sign-in and security"), url_for("security.show"), "chevron-right")
    if may("license.surrender"):
        found["surrender"] = surrender_link(account.id, back=here)
    return found

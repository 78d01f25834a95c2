"""The board of deadlines, and the feed with which they stand in a person's own calendar (X-7)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Response, abort, current_app, flash, redirect, render_template, url_for
from flask_appbuilder import BaseView, expose
from flask_appbuilder.security.decorators import has_access, permission_name
from flask_babel import force_locale
from flask_babel import gettext as _
from icalendar import Calendar, Event

from .. import clock, outbox
from ..extensions import db
from ..models import Member
from ..permissions import allows
from ..services import calendars, deadlines
from ..services.deadlines import Deadline
from ..tenancy import Scope, acting, current_scope, scope_for
from ..ui.acting import from_htmx, may
from ..ui.formats import shown, time_zone
from ..ui.visitor import visitor
from .signin import unit

FEW = 6  # on the dashboard
FETCHED_EVERY = timedelta(hours=6)  # what calendars are asked to keep to

calendar = Blueprint("calendar", __name__)


@dataclass(frozen=True)
class Entry:
    """A deadline as a page shows it."""

    on: str
    what: str
    whose: str
    noun: str
    url: str


class DeadlinesView(BaseView):
    """What comes up: within a week, within a month, later."""

    route_base = "/deadlines"
    class_permission_name = "deadline"
    default_view = "list"

    @expose("/")
    @has_access
    def list(self) -> Any:
        """The whole board; for the dashboard the next few."""
        found = deadlines.ahead(zone=time_zone(), may=may)
        if from_htmx():
            return render_template("_deadlines.html", entries=[_entry(one) for one in found[:FEW]])
        board = deadlines.spans(found, zone=time_zone())
        told = [(span.value, str(span.label), [_entry(one) for one in ones]) for span, ones in board.items()]
        return render_template("deadlines.html", board=told, feed=_own_feed(), may_subscribe=may("deadline.subscribe"))

    @expose("/feed", methods=["POST"])
    @has_access
    @permission_name("subscribe")
    def feed(self) -> Any:
        """Make an address for the person's own calendar, or a new one in the place of the old."""
        own = current_scope().member_id
        with unit():
            calendars.renew(_member(own), visitor())
        flash(_("Your calendar has an address of its own now. A former one no longer works."), "success")
        return redirect(url_for("DeadlinesView.list"))

    @expose("/feed/withdraw", methods=["POST"])
    @has_access
    @permission_name("subscribe")
    def withdraw(self) -> Any:
        """From now on no calendar is told anything."""
        own = current_scope().member_id
        with unit():
            calendars.withdraw(_member(own), visitor())
        flash(_("The address of your calendar was withdrawn."), "success")
        return redirect(url_for("DeadlinesView.list"))


def _entry(one: Deadline) -> Entry:
    return Entry(shown(one.on, "date"), one.what, one.whose, one.noun, _place(one))


def _place(one: Deadline) -> str:
    """The page of the thing, or the list it stands on."""
    views = current_app.appbuilder.baseviews  # type: ignore[attr-defined]
    view = next(view for view in views if view.class_permission_name == one.noun and hasattr(view, "datamodel"))
    name = type(view).__name__
    if "show" in getattr(view, "include_route_methods", ()):
        return url_for(f"{name}.show", pk=one.pk)
    return url_for(f"{name}.list")


def _own_feed() -> str:
    """The address the acting member's calendar has; empty while there is none."""
    own = current_scope().member_id
    with unit(writes=False):
        secret = calendars.secret_of(own)
    return f"{current_app.config['PUBLIC_URL']}/calendar/{secret}.ics" if secret else ""


def _member(member_id: int) -> Member:
    """The member who acts, in a unit without the wall."""
    return db.session.get(Member, member_id)


# --- what calendars fetch ----------------------------------------------------------------------------------------


@calendar.get("/calendar/<secret>.ics")
def feed(secret: str) -> Response:
    """The deadlines as their member sees them at this moment, in their language; nobody signs in here."""
    with unit(writes=False):
        member = calendars.member_behind(secret)
        scope = scope_for(member) if member else None
    if member is None or scope is None:
        abort(404)
    locale = member.user.locale or member.account.language
    zone = member.user.time_zone or member.account.time_zone
    with acting(scope, writes=False), force_locale(locale):
        found = deadlines.ahead(zone=zone, may=lambda right: allows(scope.kind, scope.role, right, held=scope.held))
        body = _as_calendar(found, member, scope)
    headers = {"Content-Disposition": 'inline; filename="deadlines.ics"', "Cache-Control": "private, max-age=900"}
    return Response(body, mimetype="text/calendar", headers=headers)


def _as_calendar(found: list[Deadline], member: Member, scope: Scope) -> bytes:
    """RFC 5545: a day-long entry for each, which keeps nobody busy."""
    book = Calendar()
    book.add("prodid", f"-//{outbox.brand()}//Deadlines//EN")
    book.add("version", "2.0")
    book.add("x-wr-calname", _("Deadlines of %(account)s", account=scope.account_name))
    book.add("refresh-interval", FETCHED_EVERY, parameters={"VALUE": "DURATION"})
    for one in found:
        book.add_component(_as_event(one, member.account.slug))
    return book.to_ical()


def _as_event(one: Deadline, slug: str) -> Event:
    home = current_app.config["PUBLIC_URL"]
    event = Event()
    event.add("uid", f"{one.noun}-{one.pk}.{slug}@{urlsplit(home).hostname}")
    event.add("dtstamp", clock.now())
    event.add("dtstart", one.on)
    event.add("summary", f"{one.what} ({one.whose})" if one.whose and one.whose not in one.what else one.what)
    event.add("url", f"{home}/a/{slug}{_place(one)}")
    event.add("transp", "TRANSPARENT")
    return event

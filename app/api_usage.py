"""Usage of a subscription as the REST API tells it and takes it: a billing month, its peak, its reports (I-4)."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask_babel import gettext as _

from .errors import Conflict, Refused
from .models import MOST_USERS, Member, Subscription, UsageSource
from .services import usage
from .services.subscriptions import today_of
from .ui.rest.bodies import plain
from .ui.rest.problems import Problem
from .ui.rest.shapes import Shape, of_object

MOST_TOLD = 100  # reports of a month, the latest

USERS: Shape = {"type": "integer", "minimum": 0, "maximum": MOST_USERS}
DAY: Shape = {"type": "string", "format": "date"}
MOMENT: Shape = {"type": "string", "format": "date-time"}
OF_A_DAY = of_object({"day": DAY}, [])
REPORT = of_object({"users": USERS, "at": MOMENT}, ["users"])
MONTH = of_object(
    {
        "month": of_object({"first": DAY, "beyond": DAY}),
        "peak": {"oneOf": [of_object({"users": USERS, "day": DAY}), {"type": "null"}]},
        "reports": {
            "type": "array",
            "items": of_object(
                {"at": MOMENT, "users": USERS, "source": {"type": "string", "enum": [one.value for one in UsageSource]}}
            ),
        },
    }
)


def asked_for(subscription: Subscription, day: str) -> dict[str, Any]:
    """The billing month that day is in, or the one it is.

    Raises `Conflict` where the subscription never ran, `Problem` (400) for a day on which it did not.
    """
    if subscription.starts_on is None:
        raise Conflict(_("%(subscription)s has not run yet.", subscription=subscription))
    return _told(subscription, _day(day, subscription) if day else today_of(subscription))


def report(subscription: Subscription, sent: dict[str, Any], *, by: Member) -> dict[str, Any]:
    """Write down what was sent; the month it is of, afterwards. Raises `Refused`."""
    at = _moment(sent["at"]) if "at" in sent else None
    kept = usage.report(subscription, sent["users"], at=at, by=by, source=UsageSource.API)
    return _told(subscription, kept.at.astimezone(ZoneInfo(subscription.account.time_zone)).date())


def _told(subscription: Subscription, day: date) -> dict[str, Any]:
    month = usage.month_of(subscription, day)
    peak, reports = usage.peak_of(subscription, month), usage.reports_in(subscription, month, most=MOST_TOLD)
    return {
        "month": {"first": plain(month.first), "beyond": plain(month.beyond)},
        "peak": {"users": peak.users, "day": plain(peak.day)} if peak else None,
        "reports": [{name: plain(getattr(one, name)) for name in ("at", "users", "source")} for one in reports],
    }


def _day(text: str, subscription: Subscription) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise Problem(400, errors=[("day", _("Not a date."))]) from error
    if not subscription.starts_on <= day <= today_of(subscription):
        raise Problem(400, errors=[("day", _("A day since it has run, today at the latest."))])
    return day


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise ValueError(text)
        return moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Refused(_("Not a moment; write it like 2026-03-14T09:30:00Z."), field="at") from error

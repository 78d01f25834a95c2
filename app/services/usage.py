"""Reported usage: how many user accounts a subscription had when, and the most of a billing month (I-4).

A report holds until the next one, so a month begins with what was reported last before it. That is a sample of every
day without anything being written: what nobody has reported anew has not changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, time
from typing import NamedTuple
from zoneinfo import ZoneInfo

from flask_babel import format_date, format_decimal
from flask_babel import gettext as _
from sqlalchemy import Select, select

from .. import clock
from ..audit import record
from ..errors import Refused
from ..extensions import db
from ..models import MOST_USERS, Member, Subscription, UsageReport, UsageSource
from ..periods import Period, period_of
from .subscriptions import refuse_archived, today_of, words

NOON = time(12)


# --- reporting -------------------------------------------------------------------------------------------------


def report(
    subscription: Subscription,
    users: int,
    *,
    by: Member,
    at: datetime | None = None,
    source: UsageSource = UsageSource.BY_HAND,
) -> UsageReport:
    """Write down that there were so many user accounts at that moment, or now.

    Raises `Refused`: for what does not run, beyond 0 … 1,000,000 (at `users`), for a moment to come or before the
    subscription's first day (at `at`).
    """
    refuse_archived(subscription)
    if not subscription.is_running:
        raise Refused(_("%(subscription)s is %(status)s; it has no usage to report.", **words(subscription)))
    if not 0 <= users <= MOST_USERS:
        most = format_decimal(MOST_USERS)
        raise Refused(_("A whole number from %(least)s to %(most)s, please.", least=0, most=most), field="users")
    at = at or clock.now()
    _refuse_outside(subscription, at)
    told = UsageReport(account=subscription.account, subscription_id=subscription.id, at=at, users=users)
    told.subscription, told.source, told.actor = subscription, source, by.user.name[:140]
    db.session.add(told)
    record("usage_report.reported", told)
    db.session.flush()
    return told


def moment_of(subscription: Subscription, day: date) -> datetime:
    """When a number counted on that day is taken to hold from: today from now on, another day from its noon on."""
    if day == today_of(subscription):
        return clock.now()
    return datetime.combine(day, NOON, ZoneInfo(subscription.account.time_zone))


def _refuse_outside(subscription: Subscription, at: datetime) -> None:
    if at > clock.now():
        raise Refused(_("That moment is still to come."), field="at")
    first = subscription.starts_on
    if at < _begin_of(first, subscription.account.time_zone):
        day = format_date(first, "long", rebase=False)
        raise Refused(_("The subscription has run since %(day)s only.", day=day), field="at")


# --- the most of a month ---------------------------------------------------------------------------------------


class Peak(NamedTuple):
    """The most user accounts of a month, and the first day on which there were so many, where the account is."""

    users: int
    day: date


def month_of(subscription: Subscription, day: date) -> Period:
    """The billing month that day is in, counted from the day of the contract (I-9)."""
    return period_of(subscription.anchored_on, 1, day)


def peak_of(subscription: Subscription, month: Period) -> Peak | None:
    """The most user accounts of that month, so far where it is not over; nothing where nothing was ever reported.

    Two rows are enough: what the month began with, and the first of its highest reports.
    """
    zone = subscription.account.time_zone
    begin, ours = _begin_of(month.first, zone), _of(subscription)
    begun = ours.where(UsageReport.at <= begin).order_by(UsageReport.at.desc(), UsageReport.id.desc())
    later = ours.where(UsageReport.at > begin, UsageReport.at < _begin_of(month.beyond, zone))
    highest = later.order_by(UsageReport.users.desc(), UsageReport.at, UsageReport.id)
    found = [one for asked in (begun, highest) for one in db.session.scalars(asked.limit(1))]
    return peak_among([(one.at, one.users) for one in found], month, zone)


def peak_among(reports: Iterable[tuple[datetime, int]], month: Period, zone: str) -> Peak | None:
    """The arithmetic: of reports (moment, user accounts) the most that held on a day of the month, and the first such
    day.

    Days begin and end at midnight of the zone. The last report up to the month's first moment holds on its first day;
    later ones count on their own day, several of a day each for itself.
    """
    told, begin = sorted(reports, key=lambda one: one[0]), _begin_of(month.first, zone)
    begun = [(month.first, users) for at, users in told if at <= begin][-1:]
    later = [(at.astimezone(ZoneInfo(zone)).date(), users) for at, users in told if at > begin]
    held = begun + [(day, users) for day, users in later if day in month]
    if not held:
        return None
    most = max(users for _day, users in held)
    return Peak(most, min(day for day, users in held if users == most))


def reports_in(subscription: Subscription, month: Period, *, most: int) -> list[UsageReport]:
    """What was reported of that month, the latest first, no more than so many."""
    begin, beyond = (_begin_of(day, subscription.account.time_zone) for day in (month.first, month.beyond))
    within = _of(subscription).where(UsageReport.at >= begin, UsageReport.at < beyond)
    return list(db.session.scalars(within.order_by(UsageReport.at.desc(), UsageReport.id.desc()).limit(most)))


def _of(subscription: Subscription) -> Select[tuple[UsageReport]]:
    return select(UsageReport).where(UsageReport.subscription_id == subscription.id)


def _begin_of(day: date, zone: str) -> datetime:
    """The first moment of that day there."""
    return datetime.combine(day, time(), ZoneInfo(zone))

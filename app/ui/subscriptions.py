"""What a subscription's page tells besides its facts: what has happened to it, what lies ahead, what to know first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import select

from ..extensions import db
from ..models import LogEntry, Meter, PaymentMode, Subscription, SubscriptionStatus
from ..services import subscriptions, upfront, usage
from ..services.subscriptions import today_of
from .formats import shown
from .history import action_in_words


@dataclass(frozen=True)
class Event:
    when: str
    what: str
    who: str = ""
    ahead: bool = False


def timeline(row: Subscription) -> list[Event]:
    """What has happened to it, and what will unless somebody does something."""
    asked = (
        select(LogEntry)
        .where(LogEntry.subject_type == "subscription", LogEntry.subject_id == row.id)
        .order_by(LogEntry.id)
    )
    past = [
        Event(shown(entry.at, "moment"), action_in_words(entry), entry.actor.partition(" <")[0])
        for entry in db.session.scalars(asked)
        if not entry.action.endswith(".updated")
    ]
    return past + [Event(shown(day, "date"), what, ahead=True) for day, what in _ahead(row)]


def _ahead(row: Subscription) -> list[tuple[Any, str]]:
    if row.status is SubscriptionStatus.CANCELLED:
        return [(row.delete_on, _("Data is deleted"))]
    if row.is_over or row.ends_on is None:
        return []
    if row.cancelled_on is not None:
        return [(row.cancelled_on, _("Cancellation takes effect")), (row.delete_on, _("Data is deleted"))]
    if row.status is SubscriptionStatus.TRIAL:
        return [(row.trial_ends_on, _("Free month ends: pay or cancel"))]
    if row.status is not SubscriptionStatus.ACTIVE:
        return []
    can = subscriptions.renewable_from(row)
    renewal = [(can, _("Renewal opens"))] if can > today_of(row) else []
    return [*renewal, (row.ends_on, _("Term ends"))]


def numbers(row: Subscription) -> list[tuple[str, str]]:
    told = [(str(meter.label), shown(row.quantity(meter), "number")) for meter in Meter if row.quantity(meter)]
    days = [(_("Since"), row.starts_on), (_("Ends on"), row.ends_on)]
    return told + [(label, shown(day, "date")) for label, day in days if day]


@dataclass(frozen=True)
class Usage:
    """The most user accounts of the billing month it is; no number where nothing has been reported."""

    month: str  # its first and last day
    users: str = ""
    day: str = ""
    is_charged: bool = False


def usage_of(row: Subscription) -> Usage | None:
    """What the card of a subscription tells: where it is charged for usage, or usage was reported all the same."""
    if row.anchored_on is None or row.is_over:
        return None
    month = usage.month_of(row, today_of(row))
    peak, is_charged = usage.peak_of(row, month), row.payment_mode is PaymentMode.POSTPAID
    days = " – ".join(shown(day, "date") for day in (month.first, month.beyond - timedelta(days=1)))
    if peak is None:
        return Usage(days, is_charged=is_charged) if is_charged else None
    return Usage(days, shown(peak.users, "number"), shown(peak.day, "date"), is_charged)


def notes(row: Subscription) -> Any:
    """What needs to be known first."""
    if row.status is SubscriptionStatus.SUSPENDED:
        why = str(row.cause.label) if row.cause else ""
        yield "warning", ": ".join(filter(None, (str(row.status.label), why, row.reason)))
    elif row.cancelled_on is not None:
        day = shown(row.delete_on, "date")
        yield "warning", _("Cancelled as of %(day)s. What is stored in it is deleted on %(deleted)s.",
                           day=shown(row.cancelled_on, "date"), deleted=day)  # fmt: skip
    elif row.status is SubscriptionStatus.EXPIRED:
        yield "warning", _("This subscription has ended, and can still be renewed.")
    wish = upfront.open_of(row)
    if wish is not None:
        yield "info", _("Paying upfront: %(status)s.", status=wish.status.label)

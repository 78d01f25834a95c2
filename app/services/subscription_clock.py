"""What happens to subscriptions by itself: reminders, ends, deletions; and the deadlines ahead (L-6, I-6, I-9, X-7).

Each row is claimed by a lock that others skip and written under its version, each in its account's time zone; so all
of it can run twice, and twice at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import joinedload

from .. import clock
from ..audit import record
from ..extensions import db
from ..models import Account, Cycle, Subscription, SubscriptionStatus, SuspensionCause
from . import subscription_news
from .subscription_news import News
from .subscriptions import DELETED_AFTER, is_undecided, save, today_of

MARKS = {Cycle.YEARLY: (30, 7), Cycle.MONTHLY: (7,)}  # days before the end at which people are reminded (L-6)
TRIAL_MARKS = (7, 2)  # and before the end of a free month (I-6)
SOONEST = max(mark for marks in MARKS.values() for mark in marks)
AT_ONCE = 200  # rows looked at in one transaction
ENDING = (SubscriptionStatus.TRIAL, SubscriptionStatus.ACTIVE, SubscriptionStatus.SUSPENDED)


def run() -> int:
    """Everything that is due; how many subscriptions something happened to."""
    return sum(_each(condition, deed) for condition, deed in _due())


def _due() -> list[tuple[ColumnElement[bool], Callable[[Subscription], bool]]]:
    """Which rows may be meant, somewhere in the world, and what is done to those that are."""
    tomorrow = clock.today() + timedelta(days=1)
    running = Subscription.status.in_([SubscriptionStatus.TRIAL, SubscriptionStatus.ACTIVE])
    return [
        (Subscription.status.in_(ENDING) & (Subscription.ends_on <= tomorrow), _end),
        ((Subscription.status == SubscriptionStatus.CANCELLED) & (Subscription.delete_on <= tomorrow), _delete),
        (running & (Subscription.ends_on <= tomorrow + timedelta(days=SOONEST)), _remind),
    ]


def _each(condition: ColumnElement[bool], deed: Callable[[Subscription], bool]) -> int:
    done, last = 0, 0
    while True:
        rows = list(db.session.scalars(_claimed(condition, last)))
        done += sum(deed(row) for row in rows)
        if len(rows) < AT_ONCE:
            return done
        last = rows[-1].id


def _claimed(condition: ColumnElement[bool], after: int) -> Any:
    return (
        select(Subscription)
        .options(joinedload(Subscription.account, innerjoin=True).joinedload(Account.parent))
        .where(condition, Subscription.id > after, Account.archived_at.is_(None))
        .join(Subscription.account)
        .order_by(Subscription.id)
        .limit(AT_ONCE)
        .with_for_update(of=Subscription, skip_locked=True)
        .execution_options(populate_existing=True)
    )


# --- ends ------------------------------------------------------------------------------------------------------


def _end(subscription: Subscription) -> bool:
    if subscription.ends_on > today_of(subscription):
        return False
    if is_undecided(subscription):
        return _end_trial(subscription)
    if subscription.cancelled_on is not None:
        subscription.status, news, action = SubscriptionStatus.CANCELLED, None, "subscription.cancellation_took_effect"
    else:
        subscription.status, news, action = SubscriptionStatus.EXPIRED, News.EXPIRED, "subscription.expired"
    record(action, subscription)
    save(subscription)
    if news is not None:
        _tell(subscription, news)
    return True


def _end_trial(subscription: Subscription) -> bool:
    """Suspended, and never silently charged (I-6). One that somebody has suspended by hand waits for them."""
    if subscription.status is SubscriptionStatus.SUSPENDED:
        return False
    subscription.status, subscription.cause = SubscriptionStatus.SUSPENDED, SuspensionCause.TRIAL_ENDED
    record("subscription.trial_ended", subscription)
    save(subscription)
    _tell(subscription, News.TRIAL_ENDED)
    return True


def _delete(subscription: Subscription) -> bool:
    if subscription.delete_on > today_of(subscription):
        return False
    subscription.status = SubscriptionStatus.DELETED
    record("subscription.deletion_took_effect", subscription)
    save(subscription)
    return True


# --- reminders -------------------------------------------------------------------------------------------------


def _remind(subscription: Subscription) -> bool:
    """Once at each mark; a mark that was slept through is not made up for once a later one is due."""
    if subscription.cancelled_on is not None:
        return False
    trial = subscription.status is SubscriptionStatus.TRIAL
    marks = TRIAL_MARKS if trial else MARKS[subscription.plan.period]
    left = (subscription.ends_on - today_of(subscription)).days
    mark = min((mark for mark in marks if 0 < left <= mark), default=None)
    if mark is None or (subscription.reminded is not None and subscription.reminded <= mark):
        return False
    subscription.reminded = mark
    save(subscription)
    _tell(subscription, News.TRIAL_ENDING if trial else News.RENEWAL_DUE)
    return True


def _tell(subscription: Subscription, news: News) -> None:
    """The mails stand in the outbox of the account above, whose managers look after it."""
    account = subscription.account
    subscription_news.tell(subscription, news, outbox_id=account.parent_id or account.id)


# --- deadlines ahead -------------------------------------------------------------------------------------------


class DeadlineKind(StrEnum):
    RENEWAL = "renewal"
    TRIAL = "trial"
    DELETION = "deletion"


@dataclass(frozen=True)
class Deadline:
    """Something that will happen to a subscription unless somebody does something."""

    kind: DeadlineKind
    on: date
    subscription: Subscription


def deadlines(until: date) -> list[Deadline]:
    """The deadlines of the scope's subscriptions up to and with that day, the next one first; overdue ones too."""
    running = Subscription.status.in_([SubscriptionStatus.TRIAL, SubscriptionStatus.ACTIVE])
    cancelled = (Subscription.status == SubscriptionStatus.CANCELLED) & (Subscription.delete_on <= until)
    asked = (
        select(Subscription)
        .join(Subscription.account)
        .options(joinedload(Subscription.account, innerjoin=True))
        .where(or_(running & (Subscription.ends_on <= until), cancelled), Account.archived_at.is_(None))
    )
    return sorted(map(_deadline, db.session.scalars(asked)), key=lambda one: (one.on, one.subscription.id))


def _deadline(subscription: Subscription) -> Deadline:
    if subscription.status is SubscriptionStatus.CANCELLED:
        return Deadline(DeadlineKind.DELETION, subscription.delete_on, subscription)
    if subscription.cancelled_on is not None:
        return Deadline(DeadlineKind.DELETION, subscription.cancelled_on + DELETED_AFTER, subscription)
    if subscription.status is SubscriptionStatus.TRIAL:
        return Deadline(DeadlineKind.TRIAL, subscription.trial_ends_on, subscription)
    return Deadline(DeadlineKind.RENEWAL, subscription.ends_on, subscription)

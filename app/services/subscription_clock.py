"""What happens to subscriptions by itself: reminders, ends, deletions; and the deadlines ahead (L-6, I-6, I-9, X-7).

Each row is claimed by a lock that others skip and written under its version, each in its account's time zone; so all
of it can run twice, and twice at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import ColumnElement, case, or_, select
from sqlalchemy.orm import contains_eager, joinedload

from .. import clock
from ..audit import record
from ..extensions import db
from ..models import Account, Cycle, Subscription, SubscriptionStatus, SuspensionCause
from . import deadlines, subscription_news
from .deadlines import Deadline
from .subscription_news import News
from .subscriptions import is_undecided, save, today_of

MARKS = {Cycle.YEARLY: (30, 7), Cycle.MONTHLY: (7,)}  # days before the end at which people are reminded (L-6)
TRIAL_MARKS = (7, 2)  # and before the end of a free month (I-6)
DELETION_MARK = 3  # and before what was cancelled is deleted (I-9)
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
        (
            (Subscription.status == SubscriptionStatus.CANCELLED)
            & (Subscription.delete_on <= tomorrow + timedelta(days=DELETION_MARK)),
            _remind_of_deletion,
        ),
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
        subscription.status, news = SubscriptionStatus.CANCELLED, News.CANCELLED
        subscription.reminded, action = None, "subscription.cancellation_took_effect"
    else:
        subscription.status, news, action = SubscriptionStatus.EXPIRED, News.EXPIRED, "subscription.expired"
    record(action, subscription)
    save(subscription)
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


def _remind_of_deletion(subscription: Subscription) -> bool:
    """Once, some days before what is stored is gone; where nothing ran, there is nothing to save."""
    left = (subscription.delete_on - today_of(subscription)).days
    if not 0 < left <= DELETION_MARK or subscription.reminded is not None or subscription.starts_on is None:
        return False
    subscription.reminded = left
    save(subscription)
    _tell(subscription, News.DELETION_DUE)
    return True


def _tell(subscription: Subscription, news: News) -> None:
    """The mails stand in the outbox of the account above, whose managers look after it."""
    account = subscription.account
    subscription_news.tell(subscription, news, outbox_id=account.parent_id or account.id)


# --- deadlines ahead -------------------------------------------------------------------------------------------


@deadlines.source("subscription")
def _deadlines(until: date, zone: str) -> Iterator[Deadline]:
    """What happens to the scope's subscriptions unless somebody does something: they end, or are deleted (X-7)."""
    running = Subscription.status.in_([SubscriptionStatus.TRIAL, SubscriptionStatus.ACTIVE])
    is_cancelled = Subscription.status == SubscriptionStatus.CANCELLED
    day = case((is_cancelled, Subscription.delete_on), else_=Subscription.ends_on)
    asked = (
        select(Subscription)
        .join(Subscription.account)
        .options(contains_eager(Subscription.account))
        .where(or_(running, is_cancelled & Subscription.starts_on.is_not(None)), Account.archived_at.is_(None))
        .where(day >= clock.today(zone), day <= until)
        .order_by(day, Subscription.id)
        .limit(deadlines.MOST)
    )
    for one in db.session.scalars(asked):
        on, what = _ahead(one)
        yield Deadline(on, what, one.account.name, "subscription", one.id)


def _ahead(subscription: Subscription) -> tuple[date, str]:
    """When something happens to it, and what."""
    title = subscription.title
    if subscription.status is SubscriptionStatus.CANCELLED:
        return subscription.delete_on, _("What is stored in %(title)s is deleted", title=title)
    if subscription.cancelled_on is not None:
        return subscription.cancelled_on, _("The cancellation of %(title)s takes effect", title=title)
    if subscription.status is SubscriptionStatus.TRIAL:
        return subscription.trial_ends_on, _("The free month of %(title)s ends: pay or cancel", title=title)
    return subscription.ends_on, _("%(title)s ends: renew it", title=title)

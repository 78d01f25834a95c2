"""What a customer's own page tells (L-13), and whether it does: subscriptions, licenses and their use, members.

Questions only.
"""

from __future__ import annotations

from datetime import datetime, time
from typing import NamedTuple
from zoneinfo import ZoneInfo

from flask_babel import gettext as _
from sqlalchemy import case, func, select
from sqlalchemy.orm import contains_eager, joinedload

from .. import clock
from ..extensions import db
from ..models import (
    Account,
    License,
    LicenseMovement,
    Member,
    MovementKind,
    Plan,
    Role,
    Subscription,
    SubscriptionStatus,
    sort_key,
)
from .above import portal_needs_subscription
from .catalog import LIVING

MOST = 50  # of each; the lists behind show the rest
OVER = (SubscriptionStatus.CANCELLED, SubscriptionStatus.DELETED)
RUNNING = (SubscriptionStatus.TRIAL, SubscriptionStatus.ACTIVE)


class Usage(NamedTuple):
    """How a license was used this month."""

    taken: int
    released: int
    peak: int  # the most in use at a time


def why_closed(account: Account, agreed: list[Subscription]) -> str:
    """Why the account's portal is closed, in a sentence; empty where it is open. `agreed`: its `subscriptions_of`.

    Closed it is on the operator's wish alone (`Account.portal_needs_subscription`), and nothing but the page is. Free
    months count; what is suspended or expired, or awaits its activation, may not be used.
    """
    if portal_needs_subscription() and not any(one.is_running for one in agreed):
        return _("No subscription of %(account)s is running.", account=account.name)
    # That nothing is overdue is asked here, once there are invoices.
    return ""


def subscriptions_of(account: Account) -> list[Subscription]:
    """What is agreed on and not over, by what people call it. Of more than are told, those that run are among them."""
    agreed = (
        select(Subscription)
        .options(joinedload(Subscription.plan).lazyload(Plan.prices))
        .where(Subscription.account_id == account.id, Subscription.status.not_in(OVER))
    )
    first = agreed.order_by(Subscription.status.not_in(RUNNING), Subscription.title_key).limit(MOST)
    return sorted(db.session.scalars(first).unique(), key=lambda one: one.title_key)


def licenses_of(account: Account) -> list[License]:
    """What may be used, by type."""
    living = (
        select(License)
        .options(joinedload(License.account))
        .where(License.account_id == account.id, License.status.in_(LIVING))
    )
    found = db.session.scalars(living.order_by(License.id).limit(MOST)).unique()
    return sorted(found, key=lambda license: (sort_key(license.type.name), license.public_id))


def usage_of(account: Account) -> dict[int, Usage]:
    """License → how it was used this month, where the account is; those not moved at all are not in it."""
    zone = ZoneInfo(account.time_zone)
    first = datetime.combine(clock.today(account.time_zone).replace(day=1), time(), zone)

    def sum_of(kind: MovementKind) -> object:
        return func.sum(case((LicenseMovement.kind == kind, LicenseMovement.quantity), else_=0))

    moved = (
        select(
            LicenseMovement.license_id,
            sum_of(MovementKind.CONSUMED),
            sum_of(MovementKind.RELEASED),
            func.max(_most_at(LicenseMovement)),
        )
        .where(LicenseMovement.account_id == account.id, LicenseMovement.at >= first)
        .group_by(LicenseMovement.license_id)
    )
    return {number: Usage(int(taken), int(released), int(peak)) for number, taken, released, peak in
            db.session.execute(moved)}  # fmt: skip


def _most_at(movement: type[LicenseMovement]) -> object:
    """What was in use just before or just after a movement, whichever is more."""
    return case((movement.kind == MovementKind.RELEASED, movement.in_use + movement.quantity), else_=movement.in_use)


def members_of(account: Account) -> list[Member]:
    """Who works in the account, its administrators first."""
    found = (
        select(Member)
        .join(Member.user)
        .options(contains_eager(Member.user))
        .where(Member.account_id == account.id)
        .limit(MOST)
    )
    ranks = {role: rank for rank, role in enumerate(Role)}
    return sorted(db.session.scalars(found), key=lambda member: (ranks[member.role], sort_key(member.user.name)))

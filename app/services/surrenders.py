"""Giving licenses back, for good (L-12, X-8): what it would mean, and the deed; one and the same code says both.

`licenses.release` is another thing: it puts back into the account's pool what was in use, and moves no money.

A license's price is that of its article, for a period of the subscription it belongs to. Given back within a period
that was charged, what is left of that period is credited: the price ÷ the period's real days × the days from today
on, and in sum never more than was paid for the period. Where nothing was paid there is nothing to credit, and the
preview says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import case, func, or_, select, update
from sqlalchemy.orm.attributes import set_committed_value

from .. import clock, money
from ..audit import record
from ..errors import Conflict, Refused
from ..extensions import db
from ..models import (
    Account,
    Calculation,
    License,
    LicenseMovement,
    LicenseStatus,
    Member,
    MovementKind,
    PaymentMode,
    Subscription,
)
from ..periods import Period, period_of
from ..pricing import Amount, Line
from . import quotes, surrender_news
from .licenses import LONGEST_KEY, MARKS, against, as_it_is, check_quantity, today_of


class NoCredit(StrEnum):
    """Why nothing is credited; the values are part of the API."""

    NOT_CHARGED = "not-charged"
    NOT_YET = "not-yet-charged"
    PAID_LATER = "paid-later"
    PACKAGE = "package"
    UNPRICED = "unpriced"

    @property
    def label(self) -> Any:
        return _NO_CREDIT_LABELS[self]


_NO_CREDIT_LABELS = {
    NoCredit.NOT_CHARGED: _l("It belongs to no running subscription, so nothing has been paid for the days ahead."),
    NoCredit.NOT_YET: _l("Its subscription is still free, so nothing has been paid for the days ahead."),
    NoCredit.PAID_LATER: _l("Its subscription is paid after each period, so nothing has been paid for the days ahead."),
    NoCredit.PACKAGE: _l("It came in a package with other licenses and has no price of its own."),
    NoCredit.UNPRICED: _l("It has no price in the currency of its subscription."),
}


@dataclass(frozen=True)
class Surrender:
    """What giving so many of a license back means."""

    license: License
    quantity: int
    on: date  # from this day on they are gone, and no longer paid for
    left: int
    credit: Amount | None  # below zero, as a credit is
    nothing: NoCredit | None  # why there is no credit

    @property
    def commission_base(self) -> Decimal | None:
        """By how much the amount falls on which commission is earned (B-10); rates are not kept yet."""
        return -self.credit.net if self.credit else None


def preview(license: License, quantity: int) -> Surrender:
    """What it would mean now. Raises `Refused` for whatever `surrender` would, changes nothing, promises nothing."""
    check_quantity(quantity)
    return _meaning(as_it_is(license), quantity)


def surrender(license: License, quantity: int, *, by: Member, key: str = "") -> Surrender:
    """Give so many back that are not in use, for good; all of them or none.

    With a `key` a repeated call answers what the first did, without a second effect. Raises `Conflict` when the key
    came with something else before, `Refused` for a license that is not active and for more than is available.
    """
    check_quantity(quantity)
    if len(key) > LONGEST_KEY or "\x00" in key:
        raise Refused(_("A key has up to 120 characters."), field="key")
    license = as_it_is(license, hold=True)
    if earlier := _earlier(license, quantity, key):
        return earlier
    meant = _meaning(license, quantity)
    if not _take_away(meant):
        raise _too_many(license)
    _write_down(meant, key, by)
    surrender_news.tell(meant, by)
    return meant


def surrender_several(wanted: Mapping[License, int], *, by: Member, key: str = "") -> list[Surrender]:
    """The same of several licenses at once: all or nothing. A refusal names the license it is about as its field."""
    return [_each(surrender, license, wanted[license], by=by, key=key) for license in _in_order(wanted)]


def preview_several(wanted: Mapping[License, int]) -> list[Surrender]:
    """What `surrender_several` would mean now."""
    return [_each(preview, license, wanted[license]) for license in _in_order(wanted)]


def _in_order(wanted: Mapping[License, int]) -> list[License]:
    """Always the same, so that no two wait for each other."""
    return sorted(wanted, key=lambda license: license.id)


def _each(deed: Any, license: License, *args: Any, **kwargs: Any) -> Surrender:
    name = license.public_id
    try:
        return deed(license, *args, **kwargs)
    except Conflict:
        raise
    except Refused as refusal:
        raise Refused(refusal.sentence, field=name) from refusal


# --- what it means ---------------------------------------------------------------------------------------------


def _meaning(license: License, quantity: int) -> Surrender:
    if reason := against(license):
        raise Refused(_("%(license)s cannot be given back. %(reason)s", license=license, reason=reason.label))
    if quantity > license.available:
        raise _too_many(license)
    credit = _credit(license, quantity)
    return Surrender(
        license,
        quantity,
        on=today_of(license),
        left=license.quantity - quantity,
        credit=credit if isinstance(credit, Amount) else None,
        nothing=credit if isinstance(credit, NoCredit) else None,
    )


def _too_many(license: License) -> Refused:
    return Refused(
        _("Of %(license)s only what is not in use can be given back: %(available)s.",
          license=license, available=license.available),
        field="quantity",
    )  # fmt: skip


def _credit(license: License, quantity: int) -> Amount | NoCredit:
    today, subscription = today_of(license), _subscription_of(license)
    if nothing := _against_credit(subscription, today):
        return nothing
    if _is_part_of_a_package(license):
        return NoCredit.PACKAGE
    period = period_of(subscription.anchored_on, subscription.plan.period.months, today)
    charged_on = max(period.first, license.valid_from)
    price = license.article.price_on(charged_on, subscription.currency) if license.holding else None
    if price is None:
        return NoCredit.UNPRICED
    unit_price, before = price.amount("unit"), _given_back(license, period)
    per = (license.quantity + before.ever) // license.holding.quantity
    paid = money.rounded(unit_price * (license.quantity + before.in_period) / per, price.currency)
    line = Line(
        "article", quantity, unit_price, name=license.article.name, per=per, credit=True,
        period=period, part=Period(today, min(period.beyond, subscription.ends_on)),
        most=paid - money.from_minor(before.credited, price.currency),
    )  # fmt: skip
    return quotes.total([line], currency=subscription.currency, account=license.account)


def _subscription_of(license: License) -> Subscription | None:
    return license.resource_group.subscription if license.resource_group else None


def _against_credit(subscription: Subscription | None, today: date) -> NoCredit | None:
    """What speaks against anything having been paid for the days ahead."""
    if subscription is None or not subscription.is_running:
        return NoCredit.NOT_CHARGED
    if not subscription.starts_on <= today < subscription.ends_on:
        return NoCredit.NOT_CHARGED
    if subscription.billed_from is None or today < subscription.billed_from:
        return NoCredit.NOT_YET
    return NoCredit.PAID_LATER if subscription.payment_mode is PaymentMode.POSTPAID else None


def _is_part_of_a_package(license: License) -> bool:
    if license.holding_id is None:
        return False
    beside = select(func.count(License.id)).where(License.holding_id == license.holding_id)
    return db.session.scalar(beside) > 1


class Before(NamedTuple):
    """What has been given back of a license so far."""

    ever: int
    in_period: int
    credited: int  # for those of the period, in smallest units


def _given_back(license: License, period: Period) -> Before:
    midnight = datetime.combine(period.first, time(), ZoneInfo(license.account.time_zone))
    sums = (
        LicenseMovement.quantity,
        case((LicenseMovement.at >= midnight, LicenseMovement.quantity), else_=0),
        case((LicenseMovement.at >= midnight, -Calculation.net_minor), else_=0),
    )
    before = (
        select(*(func.coalesce(func.sum(one), 0) for one in sums))
        .outerjoin(LicenseMovement.calculation)
        .where(LicenseMovement.license_id == license.id, LicenseMovement.kind == MovementKind.SURRENDERED)
    )
    return Before(*map(int, db.session.execute(before).one()))


# --- the deed --------------------------------------------------------------------------------------------------


def _take_away(meant: Surrender) -> bool:
    """The one statement that decides: never below what is in use. Of what is given back entirely the quantity stays,
    as of a license revoked; its status says that it is over."""
    license, all_of_it = meant.license, meant.left == 0
    values: dict[str, Any] = {"status": LicenseStatus.SURRENDERED}
    if not all_of_it:
        mark = next((mark for mark in MARKS if license.in_use * 100 >= meant.left * mark), 0)
        values = {
            "quantity": License.quantity - meant.quantity,
            "ceiling": license.type.ceiling(meant.left),
            "told": max(mark, license.told),  # who gives back what is free knows that less is left
        }
    living = select(Account.id).where(Account.archived_at.is_(None), Account.administrative_hold_at.is_(None))
    taken = db.session.execute(
        update(License)
        .where(
            License.id == license.id,
            License.quantity == meant.left + meant.quantity,
            License.in_use <= License.quantity - meant.quantity,
            License.status == LicenseStatus.ACTIVE,
            License.valid_from <= meant.on,
            or_(License.valid_until.is_(None), License.valid_until > meant.on),
            License.account_id.in_(living),
        )
        .values(values),
        execution_options={"synchronize_session": False},
    )
    return taken.rowcount == 1


def _write_down(meant: Surrender, key: str, by: Member) -> None:
    """The movement, with its credit; the line of history; and the license as it is now."""
    license, before = meant.license, meant.license.quantity
    movement = LicenseMovement(
        account=license.account, license=license, at=clock.now(), kind=MovementKind.SURRENDERED,
        quantity=meant.quantity, in_use=license.in_use, reference="", actor=by.user.name[:140], key=key or None,
        answer={"left": meant.left, "nothing": meant.nothing and meant.nothing.value} if key else None,
        calculation=quotes.keep(meant.credit, license.account) if meant.credit else None,
    )  # fmt: skip
    db.session.add(movement)
    credit = {"credit": f"{-meant.credit.net} {meant.credit.currency}"} if meant.credit else {}
    record("license.surrendered", license, quantity=(before, meant.left), **credit)
    db.session.flush()
    if meant.left:
        set_committed_value(license, "quantity", meant.left)
        set_committed_value(license, "ceiling", license.type.ceiling(meant.left))
    else:
        set_committed_value(license, "status", LicenseStatus.SURRENDERED)


def _earlier(license: License, quantity: int, key: str) -> Surrender | None:
    """What was said when this key came first."""
    if not key:
        return None
    mine = (LicenseMovement.license_id == license.id, LicenseMovement.key == key)
    movement = db.session.scalar(select(LicenseMovement).where(*mine))
    if movement is None:
        return None
    if (movement.kind, movement.quantity) != (MovementKind.SURRENDERED, quantity):
        raise Conflict(_("This key has come with something else before."), field="key")
    told = movement.answer or {}
    return Surrender(
        license,
        quantity,
        on=movement.at.astimezone(ZoneInfo(license.account.time_zone)).date(),
        left=told["left"],
        credit=quotes.read(movement.calculation) if movement.calculation else None,
        nothing=NoCredit(told["nothing"]) if told["nothing"] else None,
    )

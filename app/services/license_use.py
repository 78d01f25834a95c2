"""How licenses are used: by whom now, and how much over the last year. Questions only; the verbs are in `licenses`."""

from __future__ import annotations

from datetime import date, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import case, func, select

from .. import clock
from ..extensions import db
from ..models import License, LicenseMovement
from .licenses import signed

MONTHS = 12
MOST_USES = 100  # told of one by one; the rest is counted


class Use(NamedTuple):
    """What one reference holds of a license."""

    reference: str
    quantity: int
    since: datetime  # when it was last moved


class Month(NamedTuple):
    """A month of a license's use."""

    first: date
    peak: int  # the most that was in use at a time


def uses_of(license: License) -> tuple[list[Use], int]:
    """Who or what uses it now, the most first; and how many there are in all."""
    held = func.sum(signed())
    using = (
        select(LicenseMovement.reference, held.label("held"), func.max(LicenseMovement.at).label("at"))
        .where(LicenseMovement.license_id == license.id)
        .group_by(LicenseMovement.reference)
        .having(held > 0)
        .subquery()
    )
    counted = func.count().over()
    rows = db.session.execute(
        select(using.c.reference, using.c.held, using.c.at, counted)
        .order_by(using.c.held.desc(), using.c.reference)
        .limit(MOST_USES)
    ).all()
    return [Use(reference, int(quantity), at) for reference, quantity, at, _all in rows], rows[0][3] if rows else 0


def year_of(license: License) -> list[Month]:
    """The most in use at a time in each of the last twelve months, this one included, in the account's time zone."""
    zone = ZoneInfo(license.account.time_zone)
    firsts = _first_days(clock.today(license.account.time_zone))
    starts = [datetime(first.year, first.month, 1, tzinfo=zone) for first in firsts]
    moved, in_use, found = _moved(license, starts), _in_use_before(license, starts[0]), []
    for number, first in enumerate(firsts):
        peak, last = moved.get(number, (in_use, in_use))
        found.append(Month(first, max(in_use, peak)))  # a month begins with what was in use before
        in_use = last
    return found


def _first_days(today: date) -> list[date]:
    months = [today.year * 12 + today.month - 1 - back for back in reversed(range(MONTHS))]
    return [date(month // 12, month % 12 + 1, 1) for month in months]


def _moved(license: License, starts: list[datetime]) -> dict[int, tuple[int, int]]:
    """Number of the month → the most in use after any movement, and how much after the last."""
    month = case(*((LicenseMovement.at < end, number) for number, end in enumerate(starts[1:])), else_=MONTHS - 1)
    moved = (
        select(month.label("month"), LicenseMovement.in_use, LicenseMovement.id)
        .where(LicenseMovement.license_id == license.id, LicenseMovement.at >= starts[0])
        .subquery()
    )
    peaks = select(
        moved.c.month, func.max(moved.c.in_use).label("peak"), func.max(moved.c.id).label("last")
    ).group_by(moved.c.month).subquery()  # fmt: skip
    rows = select(peaks.c.month, peaks.c.peak, LicenseMovement.in_use).join(
        LicenseMovement, LicenseMovement.id == peaks.c.last
    )
    return {number: (peak, last) for number, peak, last in db.session.execute(rows)}


def _in_use_before(license: License, start: datetime) -> int:
    last = (
        select(LicenseMovement.in_use)
        .where(LicenseMovement.license_id == license.id, LicenseMovement.at < start)
        .order_by(LicenseMovement.id.desc())
        .limit(1)
    )
    return db.session.scalar(last) or 0

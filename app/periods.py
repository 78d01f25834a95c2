"""The calendar of agreements: half-open periods of whole months, counted from the day of the contract (I-9).

The n-th period begins n months after the anchor, or on the last day of a month that has no such day: 31 Jan, 28 Feb,
31 Mar. Counted from the anchor and not from one another, no period drifts.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True)
class Period:
    """Days from `first` up to, and without, `beyond`."""

    first: date
    beyond: date

    @property
    def days(self) -> int:
        return (self.beyond - self.first).days

    def __contains__(self, day: date) -> bool:
        return self.first <= day < self.beyond


def add_months(day: date, months: int) -> date:
    """That many months later or earlier; the last day of the month where it is shorter."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def months_apart(earlier: date, later: date) -> int:
    """How many months the one's month is after the other's."""
    return (later.year - earlier.year) * 12 + later.month - earlier.month


def period_at(anchor: date, months: int, number: int) -> Period:
    """The period of that number, counted from 0."""
    return Period(add_months(anchor, number * months), add_months(anchor, (number + 1) * months))


def period_of(anchor: date, months: int, day: date) -> Period:
    """The period that day is in."""
    number = months_apart(anchor, day) // months
    return period_at(anchor, months, number if day >= add_months(anchor, number * months) else number - 1)


def is_anchored(anchor: date, day: date) -> bool:
    """Whether a period of whole months from the anchor can end on that day."""
    return add_months(anchor, months_apart(anchor, day)) == day


def next_end(anchor: date, end: date, months: int) -> date:
    """Where the period ends that begins at that end. An end off the anchor's days is an anchor itself."""
    if not is_anchored(anchor, end):
        return add_months(end, months)
    return add_months(anchor, months_apart(anchor, end) + months)


def periods_until(anchor: date, end: date, months: int, day: date) -> list[Period]:
    """The periods after that end, one at least, up to the first that goes beyond the day."""
    found = [Period(end, next_end(anchor, end, months))]
    while found[-1].beyond <= day:
        found.append(Period(found[-1].beyond, next_end(anchor, found[-1].beyond, months)))
    return found

"""The only reader of time. Moments are aware and in UTC; days are days in somebody's time zone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

_moved_by = timedelta(0)


def now() -> datetime:
    """This moment, in UTC."""
    return datetime.now(UTC) + _moved_by


def today(zone: str = "UTC") -> date:
    """The day it is in that time zone."""
    return now().astimezone(ZoneInfo(zone)).date()


@contextmanager
def back_then(moment: datetime) -> Iterator[None]:
    """What is done within is done at that moment: the demo's past was lived, not written."""
    global _moved_by
    before = _moved_by
    _moved_by = moment - datetime.now(UTC)
    try:
        yield
    finally:
        _moved_by = before


def move(by: timedelta) -> None:
    """Shift this process's clock; the demo and tests travel with it (X-13)."""
    global _moved_by
    _moved_by += by


def start_of_month(zone: str = "UTC") -> datetime:
    """The first moment of this month in that time zone."""
    return now().astimezone(ZoneInfo(zone)).replace(day=1, hour=0, minute=0, second=0, microsecond=0)

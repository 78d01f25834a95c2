"""What comes up: the days on which something ends by itself unless somebody does something (X-7).

One small registry: whoever has deadlines adds a function that answers those up to a day, as far as the session sees
them. `@source("subscription")` and the noun of its permissions are all it takes to stand on the board, on the
dashboard and in everybody's calendar.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from flask_babel import format_decimal
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from .. import clock
from ..extensions import db
from ..models import Invitation, InvitationStatus, License, LicenseStatus, Relationship
from ..tenancy import current_scope

AHEAD = timedelta(days=366)  # as far as anybody looks
MOST = 200  # of each source


@dataclass(frozen=True, order=True)
class Deadline:
    """Something that ends on a day. `noun` and `pk` say which thing it is, `whose` which account it is about."""

    on: date
    what: str
    whose: str
    noun: str
    pk: int


class Span(StrEnum):
    """How near a deadline is."""

    WEEK = "week"
    MONTH = "month"
    LATER = "later"

    @property
    def label(self) -> Any:
        return _SPAN_LABELS[self]


_SPAN_LABELS = {Span.WEEK: _l("Next 7 days"), Span.MONTH: _l("Next 30 days"), Span.LATER: _l("Later")}

Source = Callable[[date, str], Iterable[Deadline]]
SOURCES: dict[str, Source] = {}


def source(noun: str) -> Callable[[Source], Source]:
    """Offer a function `(until, zone) → deadlines` for things of that noun. Days are those of that time zone."""

    def add(found: Source) -> Source:
        SOURCES[noun] = found
        return found

    return add


def ahead(*, zone: str, may: Callable[[str], bool], most: int | None = None) -> list[Deadline]:
    """The deadlines ahead, the nearest first, of what the person may see a list of; a few of them on wish."""
    until = clock.today(zone) + AHEAD
    found = sorted(one for noun, listed in SOURCES.items() if may(f"{noun}.list") for one in listed(until, zone))
    return found[:most]


def spans(deadlines: Iterable[Deadline], *, zone: str) -> dict[Span, list[Deadline]]:
    """The same, by how near they are. Counted from today: on a Sunday, too, the days ahead are the next seven."""
    today = clock.today(zone)
    week, month = today + timedelta(days=7), today + timedelta(days=30)
    board: dict[Span, list[Deadline]] = {span: [] for span in Span}
    for one in deadlines:
        board[Span.WEEK if one.on <= week else Span.MONTH if one.on <= month else Span.LATER].append(one)
    return board


# --- what has deadlines ----------------------------------------------------------------------------------------


@source("invitation")
def _invitations(until: date, zone: str) -> Iterable[Deadline]:
    """Invitations that nobody has accepted yet."""
    pending = select(Invitation).where(
        Invitation.status == InvitationStatus.PENDING,
        Invitation.expires_at > clock.now(),
        Invitation.expires_at < _midnight(until, zone),
    )
    for one in _nearest(pending.options(joinedload(Invitation.account)), Invitation.expires_at):
        what = _("The invitation of %(email)s expires", email=one.email)
        yield Deadline(_day(one.expires_at, zone), what, one.account.name, "invitation", one.id)


@source("license")
def _licenses(until: date, zone: str) -> Iterable[Deadline]:
    """Licenses that end."""
    living = (LicenseStatus.ACTIVE, LicenseStatus.SUSPENDED)
    ending = select(License).where(
        License.status.in_(living), License.valid_until > clock.today(zone), License.valid_until <= until
    )
    for one in _nearest(ending.options(joinedload(License.account)), License.valid_until):
        what = _("License %(license)s ends: %(count)s %(type)s",
                 license=one.public_id, count=format_decimal(one.quantity), type=one.type.name)  # fmt: skip
        whose = one.account.name if one.account else ""
        yield Deadline(one.valid_until, what, whose, "license", one.id)


@source("relationship")
def _by_partner(until: date, _zone: str) -> Iterable[Deadline]:
    """Relationships with clients, as their partner has them."""
    return _relationships(until, Relationship.partner_id, "client", "relationship")


@source("manager")
def _by_client(until: date, _zone: str) -> Iterable[Deadline]:
    """Relationships with partners, as their client has them."""
    return _relationships(until, Relationship.account_id, "partner", "manager")


def _relationships(until: date, side: Any, other: str, noun: str) -> Iterable[Deadline]:
    lasting = (Relationship.ended_at.is_(None), Relationship.ends_at > clock.now(), Relationship.ends_on <= until)
    own = current_scope().account_id
    for one in _nearest(select(Relationship).where(side == own, *lasting), Relationship.ends_at):
        name = getattr(one, other)
        yield Deadline(one.ends_on, _("The relationship with %(name)s ends", name=name), name, noun, one.id)


def _nearest(statement: Any, moment: Any) -> Iterable[Any]:
    return db.session.scalars(statement.order_by(moment).limit(MOST))


def _day(moment: datetime, zone: str) -> date:
    return moment.astimezone(ZoneInfo(zone)).date()


def _midnight(day: date, zone: str) -> datetime:
    return datetime.combine(day, time.min, ZoneInfo(zone))

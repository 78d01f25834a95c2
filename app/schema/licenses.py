"""What accounts have of the catalogue, and every use of it."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Any, ClassVar

from flask_appbuilder import Model
from flask_babel import lazy_gettext as _l
from flask_babel import lazy_pgettext
from sqlalchemy import JSON, CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ..extensions import Moment
from .catalog import Article, LicenseType, Policy
from .common import stored
from .ownership import Consent, OwnedByAccount
from .subscriptions import Calculation, ResourceGroup


class Source(StrEnum):
    """How an account came by an article."""

    GIVEN = "given"  # by the operator, without an order
    ORDERED = "ordered"

    @property
    def label(self) -> Any:
        return _SOURCE_LABELS[self]


_SOURCE_LABELS = {Source.GIVEN: _l("Given by the operator"), Source.ORDERED: _l("Ordered")}


class Holding(OwnedByAccount, Model):
    """So many pieces of an article that an account has acquired; its grants became licenses (M-11, M-12)."""

    __tablename__ = "holding"
    __table_args__ = (
        UniqueConstraint("account_id", "id", name="uq_holding_of_account"),
        CheckConstraint("quantity > 0", name="ck_holding_quantity"),
        CheckConstraint("valid_until > acquired_on", name="ck_holding_days"),
        Index("uq_holding_order_line", "order_line_id", unique=True),  # a line is granted once
    )

    opened_by = (Consent.LICENSES,)

    id: Mapped[int] = mapped_column(primary_key=True)
    article_id: Mapped[int] = mapped_column(ForeignKey("article.id"), index=True)
    quantity: Mapped[int] = mapped_column(default=1)
    acquired_on: Mapped[date] = mapped_column()
    valid_until: Mapped[date | None] = mapped_column()  # the first day on which its licenses count no longer
    note: Mapped[str] = mapped_column(String(200), default="")
    source: Mapped[Source] = mapped_column(stored(Source), default=Source.GIVEN)
    order_line_id: Mapped[int | None] = mapped_column(ForeignKey("order_line.id", name="fk_holding_order_line"))
    created_at: Mapped[datetime] = mapped_column(Moment)

    article: Mapped[Article] = relationship()

    def __str__(self) -> str:
        return f"{self.quantity} × {self.article}"


class LicenseStatus(StrEnum):
    UPCOMING = "upcoming"  # never kept: what is active is upcoming before its first day
    ACTIVE = "active"
    SUSPENDED = "suspended"
    EXPIRED = "expired"
    REVOKED = "revoked"
    SURRENDERED = "surrendered"  # all of it given back by its holder

    @property
    def label(self) -> Any:
        return _LICENSE_LABELS[self]


_LICENSE_LABELS = {
    LicenseStatus.UPCOMING: lazy_pgettext("license", "Upcoming"),
    LicenseStatus.ACTIVE: lazy_pgettext("license", "Active"),
    LicenseStatus.SUSPENDED: lazy_pgettext("license", "Suspended"),
    LicenseStatus.EXPIRED: lazy_pgettext("license", "Expired"),
    LicenseStatus.REVOKED: lazy_pgettext("license", "Revoked"),
    LicenseStatus.SURRENDERED: lazy_pgettext("license", "Surrendered"),
}


class License(OwnedByAccount, Model):
    """The right of an account to use so much of something, until it ends, is suspended, revoked or given back (M-13).

    `in_use` is moved by one conditional UPDATE alone (`services/licenses.py`); `ceiling` is what the policy of its
    type makes of the quantity, kept here so that the database itself can hold the one against the other.
    """

    __tablename__ = "license"
    __table_args__ = (
        ForeignKeyConstraint(["account_id", "holding_id"], ["holding.account_id", "holding.id"]),
        UniqueConstraint("account_id", "id", name="uq_license_of_account"),
        CheckConstraint("quantity > 0 AND ceiling >= quantity", name="ck_license_quantity"),
        CheckConstraint("in_use >= 0 AND in_use <= ceiling", name="ck_license_use"),
        CheckConstraint("valid_until > valid_from", name="ck_license_days"),
        Index("ix_license_ending", "status", "valid_until"),
    )

    MOVES: ClassVar = {
        LicenseStatus.ACTIVE: {
            LicenseStatus.SUSPENDED, LicenseStatus.EXPIRED, LicenseStatus.REVOKED, LicenseStatus.SURRENDERED,
        },
        LicenseStatus.SUSPENDED: {LicenseStatus.ACTIVE, LicenseStatus.EXPIRED, LicenseStatus.REVOKED},
        LicenseStatus.EXPIRED: set(),
        LicenseStatus.REVOKED: set(),
        LicenseStatus.SURRENDERED: set(),
    }  # fmt: skip

    opened_by = (Consent.LICENSES,)

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(String(60), unique=True)
    type_id: Mapped[int] = mapped_column(ForeignKey("license_type.id"), index=True)
    article_id: Mapped[int | None] = mapped_column(ForeignKey("article.id"), index=True)
    holding_id: Mapped[int | None] = mapped_column(index=True)
    resource_group_id: Mapped[int | None] = mapped_column(  # the part of a subscription it belongs to (L-11)
        ForeignKey("resource_group.id", name="fk_license_resource_group"), index=True
    )
    quantity: Mapped[int] = mapped_column()
    ceiling: Mapped[int] = mapped_column()
    in_use: Mapped[int] = mapped_column(default=0)
    told: Mapped[int] = mapped_column(default=0)  # the highest mark its administrators have been told of, in percent
    valid_from: Mapped[date] = mapped_column()
    valid_until: Mapped[date | None] = mapped_column()  # the first day on which it counts no longer
    status: Mapped[LicenseStatus] = mapped_column(stored(LicenseStatus), default=LicenseStatus.ACTIVE)
    reason: Mapped[str] = mapped_column(String(300), default="")  # of being suspended or revoked
    suspended_by_id: Mapped[int | None] = mapped_column(ForeignKey("account.id"))
    created_at: Mapped[datetime] = mapped_column(Moment)

    type: Mapped[LicenseType] = relationship(lazy="joined", innerjoin=True)
    article: Mapped[Article | None] = relationship()
    resource_group: Mapped[ResourceGroup | None] = relationship()
    holding: Mapped[Holding | None] = relationship(
        primaryjoin="License.holding_id == Holding.id", foreign_keys="License.holding_id"
    )

    @property
    def available(self) -> int:
        """How much of the quantity is left; what a policy tolerates above it is not counted."""
        return max(0, self.quantity - self.in_use)

    @property
    def limit(self) -> int | None:
        """The most that may be in use; `None` where the policy only warns."""
        return None if self.type.policy is Policy.SOFT else self.ceiling

    def may_become(self, status: LicenseStatus) -> bool:
        return status in self.MOVES[self.status]

    def status_on(self, day: date) -> LicenseStatus:
        """How it stands on that day, whether or not anybody has noted that it has ended."""
        if self.status in {LicenseStatus.REVOKED, LicenseStatus.SURRENDERED}:
            return self.status
        if self.status is LicenseStatus.EXPIRED or (self.valid_until is not None and self.valid_until <= day):
            return LicenseStatus.EXPIRED
        if self.status is LicenseStatus.ACTIVE and day < self.valid_from:
            return LicenseStatus.UPCOMING
        return self.status

    def __str__(self) -> str:
        return self.public_id


class MovementKind(StrEnum):
    CONSUMED = "consumed"
    RELEASED = "released"  # back to the account's pool
    SURRENDERED = "surrendered"  # back to the operator, for good: the quantity falls, not what is in use (L-12)

    @property
    def label(self) -> Any:
        return _MOVEMENT_LABELS[self]


_MOVEMENT_LABELS = {
    MovementKind.CONSUMED: _l("Taken into use"),
    MovementKind.RELEASED: _l("Released"),
    MovementKind.SURRENDERED: _l("Surrendered"),
}


class LicenseMovement(OwnedByAccount, Model):
    """Some of a license taken into use, released or surrendered, and how much was in use then. Only added to."""

    __tablename__ = "license_movement"
    __table_args__ = (
        ForeignKeyConstraint(["account_id", "license_id"], ["license.account_id", "license.id"]),
        UniqueConstraint("license_id", "key", name="uq_license_movement_key"),
        CheckConstraint("quantity > 0", name="ck_license_movement_quantity"),
        Index("ix_license_movement_license", "license_id", "at"),
        Index("ix_license_movement_reference", "license_id", "reference"),
    )

    opened_by = (Consent.LICENSES,)

    id: Mapped[int] = mapped_column(primary_key=True)
    license_id: Mapped[int] = mapped_column()
    at: Mapped[datetime] = mapped_column(Moment, index=True)
    kind: Mapped[MovementKind] = mapped_column(stored(MovementKind))
    quantity: Mapped[int] = mapped_column()
    in_use: Mapped[int] = mapped_column()  # of the license, afterwards
    reference: Mapped[str] = mapped_column(String(200))  # who or what uses it; of a surrender none
    actor: Mapped[str] = mapped_column(String(140))
    key: Mapped[str | None] = mapped_column(String(120))  # the caller's, so that a repeated call has no effect
    answer: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))  # to be said again to that key
    calculation_id: Mapped[int | None] = mapped_column(  # the credit of a surrender, and how it came about
        ForeignKey("calculation.id", name="fk_license_movement_calculation")
    )

    calculation: Mapped[Calculation | None] = relationship()
    license: Mapped[License] = relationship(
        primaryjoin="LicenseMovement.license_id == License.id", foreign_keys="LicenseMovement.license_id"
    )

    def __str__(self) -> str:
        return f"{self.quantity} · {self.reference}"

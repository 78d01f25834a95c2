"""What is sold as a service: products of a type, their plans, and what those cost from which day on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar

from flask_appbuilder import Model
from flask_babel import lazy_gettext as _l
from flask_babel import lazy_pgettext
from sqlalchemy import JSON, BigInteger, CheckConstraint, ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from .. import money
from ..extensions import Moment
from .common import Archivable, Bilingual, in_language, stored
from .ownership import OfCatalogue


class Operation(StrEnum):
    """What can be ordered of a product."""

    SELL = "sell"
    RENEW = "renew"
    UPGRADE = "upgrade"


class ProductType(StrEnum):
    """How a product is run; that decides what can be ordered of it (I-1)."""

    CLOUD = "cloud"
    SAAS = "saas"
    ON_PREMISE = "on-premise"

    @property
    def label(self) -> Any:
        return _PRODUCT_TYPE_LABELS[self]

    def allows(self, operation: Operation) -> bool:
        return operation in _OPERATIONS[self]


_OPERATIONS = {
    ProductType.CLOUD: {Operation.SELL, Operation.RENEW, Operation.UPGRADE},
    ProductType.SAAS: {Operation.SELL, Operation.RENEW, Operation.UPGRADE},
    ProductType.ON_PREMISE: {Operation.RENEW, Operation.UPGRADE},  # no new sales: of a license that exists alone
}
_PRODUCT_TYPE_LABELS = {
    ProductType.CLOUD: lazy_pgettext("product type", "Cloud"),
    ProductType.SAAS: lazy_pgettext("product type", "SaaS"),
    ProductType.ON_PREMISE: lazy_pgettext("product type", "On-premise"),
}


class DataLocation(StrEnum):
    """Where a customer's data can lie."""

    EU = "eu"
    US = "us"

    @property
    def label(self) -> Any:
        return _LOCATION_LABELS[self]


_LOCATION_LABELS = {DataLocation.EU: _l("European Union"), DataLocation.US: _l("United States")}


class Product(Bilingual, Archivable, OfCatalogue, Model):
    """A service the operator offers; what it costs say its plans."""

    __tablename__ = "product"

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(60), unique=True)  # its name in the API
    type: Mapped[ProductType] = mapped_column(stored(ProductType))
    description_en: Mapped[str] = mapped_column(Text, default="")
    description_de: Mapped[str] = mapped_column(Text, default="")
    locations: Mapped[list[str]] = mapped_column(JSON, default=list)  # of `DataLocation`
    created_at: Mapped[datetime] = mapped_column(Moment)

    plans: Mapped[list[Plan]] = relationship(back_populates="product", order_by="Plan.id", viewonly=True)

    @property
    def description(self) -> str:
        return in_language(self, "description")

    @property
    def data_locations(self) -> list[DataLocation]:
        return [DataLocation(key) for key in self.locations]

    def allows(self, operation: Operation) -> bool:
        return self.type.allows(operation)


class Cycle(StrEnum):
    """How often a plan's price is due."""

    MONTHLY = "monthly"
    YEARLY = "yearly"

    @property
    def label(self) -> Any:
        return _CYCLE_LABELS[self]

    @property
    def months(self) -> int:
        return 12 if self is Cycle.YEARLY else 1


_CYCLE_LABELS = {Cycle.MONTHLY: lazy_pgettext("cycle", "Monthly"), Cycle.YEARLY: lazy_pgettext("cycle", "Yearly")}


class Meter(StrEnum):
    """What a plan includes some of, limits, and charges for beyond that. Named as the columns are."""

    USERS = "users"
    TERMINALS = "terminals"
    DISK = "disk"  # in GB

    @property
    def label(self) -> Any:
        return _METER_LABELS[self]


_METER_LABELS = {
    Meter.USERS: _l("Named users"),
    Meter.TERMINALS: _l("Terminals"),
    Meter.DISK: _l("Disk space in GB"),
}


class PaymentMode(StrEnum):
    """When a period is paid: before it, at a fixed price, or after it, by the highest number of users in it."""

    PREPAID = "prepaid"
    POSTPAID = "postpaid"

    @property
    def label(self) -> Any:
        return _PAYMENT_LABELS[self]


_PAYMENT_LABELS = {PaymentMode.PREPAID: _l("Pre-paid"), PaymentMode.POSTPAID: _l("Post-paid")}


class Beyond(StrEnum):
    """What happens above the limits of a plan (I-5)."""

    REFUSE = "refuse"
    UPGRADE = "upgrade"  # a larger plan is offered

    @property
    def label(self) -> Any:
        return _BEYOND_LABELS[self]


_BEYOND_LABELS = {Beyond.REFUSE: _l("Refused"), Beyond.UPGRADE: _l("An upgrade is offered")}


class RenewalRule(StrEnum):
    """From when a renewed subscription counts (L-6)."""

    FROM_END = "from-end"
    FROM_TODAY = "from-today"
    LATER = "later"  # of the two

    @property
    def label(self) -> Any:
        return _RENEWAL_LABELS[self]


_RENEWAL_LABELS = {
    RenewalRule.FROM_END: _l("From the old end, also when late"),
    RenewalRule.FROM_TODAY: _l("From the day it is renewed"),
    RenewalRule.LATER: _l("From the later of the two"),
}


class Plan(Bilingual, Archivable, OfCatalogue, Model):
    """A price model of a product: how it is billed, what it includes, where it ends, how it is renewed (M-10, L-7).

    What it costs stands in its prices: per currency, each from a day on.
    """

    __tablename__ = "plan"
    __table_args__ = (
        CheckConstraint("prepaid OR postpaid", name="ck_plan_payment"),
        CheckConstraint("renewal_window BETWEEN 1 AND 366", name="ck_plan_window"),
        CheckConstraint("trial_months BETWEEN 0 AND 12", name="ck_plan_trial"),
        *(
            CheckConstraint(
                f"included_{meter} >= 0 AND (limit_{meter} IS NULL OR limit_{meter} >= included_{meter})",
                name=f"ck_plan_{meter}",
            )
            for meter in Meter
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(60), unique=True)  # its name in the API
    product_id: Mapped[int] = mapped_column(ForeignKey("product.id"), index=True)
    description_en: Mapped[str] = mapped_column(Text, default="")
    description_de: Mapped[str] = mapped_column(Text, default="")
    period: Mapped[Cycle] = mapped_column(stored(Cycle), default=Cycle.MONTHLY)
    prepaid: Mapped[bool] = mapped_column(default=True)
    postpaid: Mapped[bool] = mapped_column(default=False)
    included_users: Mapped[int] = mapped_column(default=0)
    included_terminals: Mapped[int] = mapped_column(default=0)
    included_disk: Mapped[int] = mapped_column(default=0)
    limit_users: Mapped[int | None] = mapped_column()  # none: without limit
    limit_terminals: Mapped[int | None] = mapped_column()
    limit_disk: Mapped[int | None] = mapped_column()
    beyond: Mapped[Beyond] = mapped_column(stored(Beyond), default=Beyond.REFUSE)
    renewal: Mapped[RenewalRule] = mapped_column(stored(RenewalRule), default=RenewalRule.FROM_END)
    renewal_window: Mapped[int] = mapped_column(default=60)  # days before the end
    trial_months: Mapped[int] = mapped_column(default=0)  # free at the beginning, where billing is postponed (I-6)

    product: Mapped[Product] = relationship(back_populates="plans", lazy="joined")  # not inner: orders may have no plan
    prices: Mapped[list[PlanPrice]] = relationship(
        back_populates="plan", cascade="all, delete-orphan", lazy="selectin",
        order_by="(PlanPrice.currency, PlanPrice.valid_from)",
    )  # fmt: skip

    @property
    def description(self) -> str:
        return in_language(self, "description")

    @property
    def payment_modes(self) -> list[PaymentMode]:
        return [mode for mode in PaymentMode if getattr(self, mode)]

    def included(self, meter: Meter) -> int:
        return getattr(self, f"included_{meter}")

    def limit(self, meter: Meter) -> int | None:
        return getattr(self, f"limit_{meter}")

    def price_on(self, day: date, currency: str) -> PlanPrice | None:
        """What it costs from that day on; none where it is not sold in that currency."""
        return price_on(self.prices, day, currency)

    def prices_on(self, day: date) -> list[PlanPrice]:
        """What it costs that day, in each currency it is sold in."""
        return prices_on(self.prices, day)


def price_on(prices: list[Any], day: date, currency: str) -> Any:
    """Of the prices in that currency the one that was the last to begin."""
    begun = [price for price in prices if price.currency == currency and price.valid_from <= day]
    return max(begun, key=lambda price: price.valid_from, default=None)


def prices_on(prices: list[Any], day: date) -> list[Any]:
    """What counts that day, in each currency there is a price in."""
    found = (price_on(prices, day, currency) for currency in dict.fromkeys(price.currency for price in prices))
    return [price for price in found if price is not None]


class Priced:
    """A price in one currency from a day on, until another of that currency begins; amounts in smallest units."""

    AMOUNTS: ClassVar[tuple[str, ...]]

    currency: Mapped[str] = mapped_column(String(3))
    valid_from: Mapped[date] = mapped_column()

    def amount(self, name: str) -> Decimal | None:
        units = getattr(self, f"{name}_minor")
        return None if units is None else money.from_minor(units, self.currency)

    def amounts(self) -> Iterator[tuple[str, Decimal]]:
        """Every amount it names."""
        for name in self.AMOUNTS:
            amount = self.amount(name)
            if amount is not None:
                yield name, amount


class PlanPrice(Priced, OfCatalogue, Model):
    """What a plan costs a period: its base, each unit above what is included, and what is charged upfront (L-8)."""

    __tablename__ = "plan_price"
    __table_args__ = (
        UniqueConstraint("plan_id", "currency", "valid_from", name="uq_plan_price_day"),
        CheckConstraint(
            "base_minor >= 0 AND users_minor >= 0 AND terminals_minor >= 0 AND disk_minor >= 0",
            name="ck_plan_price_amounts",
        ),
        CheckConstraint("upfront_minor >= 0 AND infrastructure_minor >= 0", name="ck_plan_price_upfront"),
        CheckConstraint("(upfront_minor IS NULL) = (infrastructure_minor IS NULL)", name="ck_plan_price_both"),
    )
    AMOUNTS = ("base", *(meter.value for meter in Meter), "upfront", "infrastructure")

    id: Mapped[int] = mapped_column(primary_key=True)
    plan_id: Mapped[int] = mapped_column(ForeignKey("plan.id"))
    base_minor: Mapped[int] = mapped_column(BigInteger)
    users_minor: Mapped[int] = mapped_column(BigInteger, default=0)  # of one more, and so on
    terminals_minor: Mapped[int] = mapped_column(BigInteger, default=0)
    disk_minor: Mapped[int] = mapped_column(BigInteger, default=0)
    upfront_minor: Mapped[int | None] = mapped_column(BigInteger)  # the software, once; none: not sold that way
    infrastructure_minor: Mapped[int | None] = mapped_column(BigInteger)  # the base from then on

    plan: Mapped[Plan] = relationship(back_populates="prices")

    @property
    def is_sold_upfront(self) -> bool:
        return self.upfront_minor is not None

    def __str__(self) -> str:
        return f"{self.plan.key} {self.currency} {self.valid_from}"

"""What the operator offers: license types, articles, what they grant and what they cost."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Any

from flask_appbuilder import Model
from flask_babel import lazy_pgettext
from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ..extensions import Moment
from .common import Archivable, Bilingual, in_language, public_id, stored
from .ownership import OfCatalogue
from .plans import Priced, price_on, prices_on


class Policy(StrEnum):
    """What happens at the quantity of a license: refused, allowed with a warning, or allowed up to a percentage."""

    HARD = "hard"
    SOFT = "soft"
    OVERAGE = "overage"

    @property
    def label(self) -> Any:
        return _POLICY_LABELS[self]


_POLICY_LABELS = {
    Policy.HARD: lazy_pgettext("policy", "Hard"),
    Policy.SOFT: lazy_pgettext("policy", "Soft"),
    Policy.OVERAGE: lazy_pgettext("policy", "Overage"),
}
LARGEST_QUANTITY = 1_000_000_000  # of anything counted; twice as many still fit into the column
LARGEST_USE = 2_000_000_000


class LicenseType(Bilingual, Archivable, OfCatalogue, Model):
    """A kind of right, what it is counted in, and how strictly (M-13)."""

    __tablename__ = "license_type"
    __table_args__ = (
        CheckConstraint("(policy = 'overage') = (overage_percent IS NOT NULL)", name="ck_license_type_overage"),
        CheckConstraint("overage_percent BETWEEN 1 AND 100", name="ck_license_type_percent"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(60), unique=True)  # its name in the API
    unit_en: Mapped[str] = mapped_column(String(40), default="")
    unit_de: Mapped[str] = mapped_column(String(40), default="")
    policy: Mapped[Policy] = mapped_column(stored(Policy), default=Policy.HARD)
    overage_percent: Mapped[int | None] = mapped_column()

    @property
    def unit(self) -> str:
        return in_language(self, "unit")

    def ceiling(self, quantity: int) -> int:
        """The most that may be in use of a license over so many; part of a unit is none."""
        if self.policy is Policy.SOFT:
            return LARGEST_USE
        return quantity + quantity * (self.overage_percent or 0) // 100


class Article(Bilingual, Archivable, OfCatalogue, Model):
    """The commercial product that accounts acquire and orders and invoices name (M-11)."""

    __tablename__ = "article"

    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[str] = mapped_column(String(60), unique=True, default=lambda: public_id("ART"))
    description_en: Mapped[str] = mapped_column(Text, default="")
    description_de: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime] = mapped_column(Moment)

    grants: Mapped[list[Grant]] = relationship(
        back_populates="article", cascade="all, delete-orphan", order_by="Grant.id", lazy="selectin"
    )
    prices: Mapped[list[ArticlePrice]] = relationship(
        back_populates="article", cascade="all, delete-orphan", lazy="selectin",
        order_by="(ArticlePrice.currency, ArticlePrice.valid_from)",
    )  # fmt: skip

    @property
    def description(self) -> str:
        return in_language(self, "description")

    def price_on(self, day: date, currency: str) -> ArticlePrice | None:
        """What a piece costs from that day on; none where it is not sold in that currency."""
        return price_on(self.prices, day, currency)

    def prices_on(self, day: date) -> list[ArticlePrice]:
        """What a piece costs that day, in each currency it is sold in."""
        return prices_on(self.prices, day)


class Grant(OfCatalogue, Model):
    """What one piece of an article gives: so much of a right (M-12)."""

    __tablename__ = "article_grant"
    __table_args__ = (
        UniqueConstraint("article_id", "type_id", name="uq_article_grant"),
        CheckConstraint("quantity > 0", name="ck_article_grant_quantity"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    article_id: Mapped[int] = mapped_column(ForeignKey("article.id"))
    type_id: Mapped[int] = mapped_column(ForeignKey("license_type.id"), index=True)
    quantity: Mapped[int] = mapped_column()

    article: Mapped[Article] = relationship(back_populates="grants")
    type: Mapped[LicenseType] = relationship(lazy="joined", innerjoin=True)

    def __str__(self) -> str:
        return f"{self.quantity} × {self.type}"


class ArticlePrice(Priced, OfCatalogue, Model):
    """What one piece of an article costs."""

    __tablename__ = "article_price"
    __table_args__ = (
        UniqueConstraint("article_id", "currency", "valid_from", name="uq_article_price_day"),
        CheckConstraint("unit_minor >= 0", name="ck_article_price"),
    )
    AMOUNTS = ("unit",)

    id: Mapped[int] = mapped_column(primary_key=True)
    article_id: Mapped[int] = mapped_column(ForeignKey("article.id"))
    unit_minor: Mapped[int] = mapped_column(BigInteger)

    article: Mapped[Article] = relationship(back_populates="prices")

    def __str__(self) -> str:
        return f"{self.article.number} {self.currency} {self.valid_from}"

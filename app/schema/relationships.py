"""Clients elsewhere in the tree, linked by their consent: what was asked for, and what was agreed (L-3, L-4)."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Any

from flask_appbuilder import Model
from flask_babel import lazy_pgettext
from sqlalchemy import JSON, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from ..extensions import Moment
from .common import stored
from .ownership import BetweenAccounts, Consent, Sealed

_HOLDS = text("ended_at IS NULL")


class RelationshipStatus(StrEnum):
    ACTIVE = "active"
    ENDED = "ended"  # by one of the two, or by itself on its last day, noted or not

    @property
    def label(self) -> Any:
        return _STATUS_LABELS[self]


_STATUS_LABELS = {
    RelationshipStatus.ACTIVE: lazy_pgettext("relationship", "Active"),
    RelationshipStatus.ENDED: lazy_pgettext("relationship", "Ended"),
}


class EndedBy(StrEnum):
    PARTNER = "partner"
    CLIENT = "client"
    DATE = "date"  # the one agreed on
    AGREEMENT = "agreement"  # a new one between the same two has taken its place

    @property
    def label(self) -> Any:
        return _ENDED_BY_LABELS[self]


_ENDED_BY_LABELS = {
    EndedBy.PARTNER: lazy_pgettext("ended by", "Partner"),
    EndedBy.CLIENT: lazy_pgettext("ended by", "Client"),
    EndedBy.DATE: lazy_pgettext("ended by", "End date"),
    EndedBy.AGREEMENT: lazy_pgettext("ended by", "New agreement"),
}


class Relationship(BetweenAccounts, Model):
    """A client (`account`) lets a partner, which does not stand above it, see and do what its scopes name.

    Both names stand here as they were: neither of the two sees the other's account once it has ended.
    """

    __tablename__ = "relationship"
    __table_args__ = (
        Index(
            "uq_relationship_in_force", "partner_id", "account_id", unique=True,
            sqlite_where=_HOLDS, postgresql_where=_HOLDS,
        ),
        Index("ix_relationship_ending", "ended_at", "ends_at"),
    )  # fmt: skip

    id: Mapped[int] = mapped_column(primary_key=True)
    client: Mapped[str] = mapped_column(String(120))
    partner: Mapped[str] = mapped_column(String(120))
    email: Mapped[str] = mapped_column(String(320))  # of whoever consented: where the code went
    scopes: Mapped[list[str]] = mapped_column(JSON, default=list)  # of `Consent`, as it orders them
    linked_by: Mapped[str] = mapped_column(String(140))
    created_at: Mapped[datetime] = mapped_column(Moment)
    ends_on: Mapped[date | None] = mapped_column()  # the first day on which it holds no longer, where the client is
    ends_at: Mapped[datetime | None] = mapped_column(Moment)  # the first moment of that day
    ended_at: Mapped[datetime | None] = mapped_column(Moment)
    ended_by: Mapped[EndedBy | None] = mapped_column(stored(EndedBy))
    ended_by_name: Mapped[str] = mapped_column(String(140), default="")
    told_at: Mapped[datetime | None] = mapped_column(Moment)  # when both sides were told of the end

    @property
    def consents(self) -> list[Consent]:
        return [Consent(scope) for scope in self.scopes]

    def status_at(self, moment: datetime) -> RelationshipStatus:
        over = self.ended_at is not None or (self.ends_at is not None and self.ends_at <= moment)
        return RelationshipStatus.ENDED if over else RelationshipStatus.ACTIVE

    def __str__(self) -> str:
        return f"{self.client} – {self.partner}"


class LinkRequest(Sealed, Model):
    """What a partner asked an address for, and the code that answers it; there is one for addresses of nobody, too.

    Never seen from within a scope: whether it names a client is for nobody to know before the client consents.
    """

    __tablename__ = "link_request"
    __table_args__ = (Index("ix_link_request_asked", "account_id", "email", "created_at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))  # the partner
    email: Mapped[str] = mapped_column(String(320))
    client_id: Mapped[int | None] = mapped_column(ForeignKey("account.id"))
    scopes: Mapped[list[str]] = mapped_column(JSON, default=list)
    ends_on: Mapped[date | None] = mapped_column()
    token_id: Mapped[int] = mapped_column(ForeignKey("token.id"), unique=True)
    asked_by_id: Mapped[int] = mapped_column(ForeignKey("ab_user.id"))
    created_at: Mapped[datetime] = mapped_column(Moment, index=True)

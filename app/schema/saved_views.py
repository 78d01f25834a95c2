"""How people look at lists."""

from __future__ import annotations

from datetime import datetime

from flask_appbuilder import Model
from sqlalchemy import ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column, validates

from ..extensions import Moment
from .ownership import InsideAccount

_HAS_OWNER, _HAS_NO_OWNER = text("owner_id IS NOT NULL"), text("owner_id IS NULL")


class SavedView(InsideAccount, Model):
    """A way to look at a list, kept under a name: columns, filters, order, page size.

    It is its owner's own, or, without one, shared with the whole account.
    """

    __tablename__ = "saved_view"
    __table_args__ = (
        Index(
            "uq_saved_view_own", "account_id", "of_list", "owner_id", "name_key", unique=True,
            sqlite_where=_HAS_OWNER, postgresql_where=_HAS_OWNER,
        ),
        Index(
            "uq_saved_view_shared", "account_id", "of_list", "name_key", unique=True,
            sqlite_where=_HAS_NO_OWNER, postgresql_where=_HAS_NO_OWNER,
        ),
    )  # fmt: skip

    id: Mapped[int] = mapped_column(primary_key=True)
    of_list: Mapped[str] = mapped_column(String(40))  # as its address names it: "accounts"
    name: Mapped[str] = mapped_column(String(60))
    name_key: Mapped[str] = mapped_column(String(60))  # what makes it unique
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("ab_user.id"), index=True)
    query: Mapped[str] = mapped_column(Text)  # what stands in the list's address behind the question mark
    created_at: Mapped[datetime] = mapped_column(Moment)

    @validates("name")
    def _keep_key(self, _field: str, name: str) -> str:
        self.name_key = name.casefold()[:60]
        return name

    @property
    def is_shared(self) -> bool:
        return self.owner_id is None

    def __str__(self) -> str:
        return self.name

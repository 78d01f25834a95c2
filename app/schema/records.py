"""What is written down: history, and mail on its way."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

from flask_appbuilder import Model
from flask_babel import lazy_gettext as _l
from sqlalchemy import JSON, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from ..extensions import Moment
from .common import stored
from .ownership import InsideAccount, OwnedByAccount


class LogEntry(OwnedByAccount, Model):
    """One line of history: who, on whose behalf, what, from where, old and new. Never changed, never deleted."""

    __tablename__ = "log_entry"
    __table_args__ = (
        Index("ix_log_entry_account_at", "account_id", "at"),
        Index("ix_log_entry_subject", "subject_type", "subject_id"),
        Index("ix_log_entry_at", "at", "account_path", "inside", "account_id"),  # the newest first
        Index("ix_log_entry_account_path", "account_path", "inside", "account_id", "at"),  # counted without its rows
    )

    has_plain_index = False

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(Moment)
    action: Mapped[str] = mapped_column(String(60))
    inside: Mapped[bool] = mapped_column(default=False)  # for the account's own eyes only
    actor_id: Mapped[int | None] = mapped_column(ForeignKey("ab_user.id"))
    actor: Mapped[str] = mapped_column(String(140), default="")
    acting_account: Mapped[str] = mapped_column(String(120), default="")
    on_behalf_of: Mapped[str] = mapped_column(String(140), default="")
    via: Mapped[str] = mapped_column(String(80), default="", server_default="")  # the API key a program did it with
    subject_type: Mapped[str] = mapped_column(String(40), default="")
    subject_id: Mapped[int | None] = mapped_column()
    subject: Mapped[str] = mapped_column(String(200), default="")
    changes: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    ip: Mapped[str] = mapped_column(String(45), default="")

    def __str__(self) -> str:
        return f"{self.action} {self.subject}".strip()


class MessageStatus(StrEnum):
    WAITING = "waiting"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"

    @property
    def label(self) -> Any:
        return _MESSAGE_LABELS[self]


_MESSAGE_LABELS = {
    MessageStatus.WAITING: _l("Waiting"),
    MessageStatus.SENDING: _l("Sending"),
    MessageStatus.SENT: _l("Sent"),
    MessageStatus.FAILED: _l("Failed"),
}


class Message(InsideAccount, Model):
    """A mail in the outbox, written with the deed and sent afterwards. Links with secrets are put in on sending."""

    __tablename__ = "message"
    __table_args__ = (Index("ix_message_due", "status", "next_try_at"),)

    MOVES: ClassVar = {
        MessageStatus.WAITING: {MessageStatus.SENDING},
        MessageStatus.SENDING: {MessageStatus.SENT, MessageStatus.WAITING, MessageStatus.FAILED},
        MessageStatus.SENT: {MessageStatus.WAITING},
        MessageStatus.FAILED: {MessageStatus.WAITING},
    }

    id: Mapped[int] = mapped_column(primary_key=True)
    message_id: Mapped[str] = mapped_column(String(120), unique=True)
    recipient: Mapped[str] = mapped_column(String(320))
    locale: Mapped[str] = mapped_column(String(5))
    subject: Mapped[str] = mapped_column(String(200))
    body_text: Mapped[str] = mapped_column(Text)
    body_html: Mapped[str] = mapped_column(Text)
    token_id: Mapped[int | None] = mapped_column(ForeignKey("token.id"))
    status: Mapped[MessageStatus] = mapped_column(stored(MessageStatus), default=MessageStatus.WAITING)
    attempts: Mapped[int] = mapped_column(default=0)
    next_try_at: Mapped[datetime] = mapped_column(Moment)
    error: Mapped[str] = mapped_column(String(300), default="")
    created_at: Mapped[datetime] = mapped_column(Moment)
    sent_at: Mapped[datetime | None] = mapped_column(Moment)

    def may_become(self, status: MessageStatus) -> bool:
        return status in self.MOVES[self.status]

    def __str__(self) -> str:
        return self.subject

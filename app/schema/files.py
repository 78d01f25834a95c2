"""Files that come and go: exports made by the worker, imports on their way in."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

from flask_appbuilder import Model
from flask_babel import lazy_gettext as _l
from sqlalchemy import JSON, ForeignKey, Index, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from ..extensions import Moment
from .common import stored
from .ownership import InsideAccount, OwnInside


class ExportStatus(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"

    @property
    def label(self) -> Any:
        return _EXPORT_LABELS[self]


_EXPORT_LABELS = {
    ExportStatus.WAITING: _l("Waiting"),
    ExportStatus.RUNNING: _l("Being made"),
    ExportStatus.DONE: _l("Ready"),
    ExportStatus.FAILED: _l("Failed"),
}


class Export(OwnInside, Model):
    """A list as a file, made by the worker while the person goes on, and kept for a day.

    `query` is the address of the list as it stood on the screen; whoever makes the file asks the same view with it.
    """

    __tablename__ = "export"
    __table_args__ = (Index("ix_export_due", "status", "lease_until"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    view: Mapped[str] = mapped_column(String(60))
    noun: Mapped[str] = mapped_column(String(40))
    query: Mapped[str] = mapped_column(Text, default="")
    title: Mapped[str] = mapped_column(String(120))
    filter: Mapped[str] = mapped_column(Text, default="")
    format: Mapped[str] = mapped_column(String(4))
    locale: Mapped[str] = mapped_column(String(5))
    status: Mapped[ExportStatus] = mapped_column(stored(ExportStatus), default=ExportStatus.WAITING)
    total: Mapped[int] = mapped_column(default=0)  # rows to write, and written
    written: Mapped[int] = mapped_column(default=0)
    size: Mapped[int] = mapped_column(default=0)  # bytes
    file: Mapped[str] = mapped_column(String(80))  # its name in the folder (`files.py`); unguessable
    error: Mapped[str] = mapped_column(String(300), default="")
    attempts: Mapped[int] = mapped_column(default=0)
    lease_until: Mapped[datetime] = mapped_column(Moment)  # until when a worker has it to itself
    created_at: Mapped[datetime] = mapped_column(Moment)
    finished_at: Mapped[datetime | None] = mapped_column(Moment)
    expires_at: Mapped[datetime] = mapped_column(Moment)

    @property
    def is_under_way(self) -> bool:
        return self.status in {ExportStatus.WAITING, ExportStatus.RUNNING}

    def __str__(self) -> str:
        return self.title


class ImportKind(StrEnum):
    """What the rows of a file are to become; the value is the noun of the right to import them."""

    ACCOUNT = "account"
    INVITATION = "invitation"
    HOLDING = "holding"


class ImportStatus(StrEnum):
    UPLOADED = "uploaded"
    CHECKED = "checked"
    IMPORTING = "importing"
    DONE = "done"
    UNDOING = "undoing"
    UNDONE = "undone"

    @property
    def label(self) -> Any:
        return _IMPORT_LABELS[self]


_IMPORT_LABELS = {
    ImportStatus.UPLOADED: _l("Uploaded"),
    ImportStatus.CHECKED: _l("Checked"),
    ImportStatus.IMPORTING: _l("Being imported"),
    ImportStatus.DONE: _l("Imported"),
    ImportStatus.UNDOING: _l("Being undone"),
    ImportStatus.UNDONE: _l("Undone"),
}


class AccountImport(InsideAccount, Model):
    """A file on its way in: uploaded, looked at, written by the worker, and for an hour undone again."""

    __tablename__ = "account_import"
    __table_args__ = (Index("ix_account_import_due", "status", "lease_until"),)

    MOVES: ClassVar = {
        ImportStatus.UPLOADED: {ImportStatus.CHECKED},
        ImportStatus.CHECKED: {ImportStatus.CHECKED, ImportStatus.IMPORTING},
        ImportStatus.IMPORTING: {ImportStatus.CHECKED, ImportStatus.DONE},
        ImportStatus.DONE: {ImportStatus.UNDOING},
        ImportStatus.UNDOING: {ImportStatus.DONE, ImportStatus.UNDONE},
        ImportStatus.UNDONE: set(),
    }

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[ImportKind] = mapped_column(stored(ImportKind), default=ImportKind.ACCOUNT, server_default="account")
    user_id: Mapped[int] = mapped_column(ForeignKey("ab_user.id"), index=True)
    by: Mapped[str] = mapped_column(String(140))
    file_name: Mapped[str] = mapped_column(String(200))
    sheet: Mapped[str] = mapped_column(String(120), default="")
    content: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)  # the cells, as `sheets.pack` keeps them
    mapping: Mapped[list[str]] = mapped_column(JSON, default=list)  # for each column of the file: what it is
    clears: Mapped[bool] = mapped_column(default=False)  # whether an empty cell empties the value
    overwrites: Mapped[bool] = mapped_column(default=False)  # whether the file wins over changes made meanwhile
    plan: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)  # what the dry run found, row by row
    counts: Mapped[dict[str, int]] = mapped_column(JSON, default=dict)
    status: Mapped[ImportStatus] = mapped_column(stored(ImportStatus), default=ImportStatus.UPLOADED)
    error: Mapped[str] = mapped_column(Text, default="")
    locale: Mapped[str] = mapped_column(String(5))
    attempts: Mapped[int] = mapped_column(default=0)
    lease_until: Mapped[datetime] = mapped_column(Moment)
    created_at: Mapped[datetime] = mapped_column(Moment)
    checked_at: Mapped[datetime | None] = mapped_column(Moment)
    done_at: Mapped[datetime | None] = mapped_column(Moment)

    @property
    def is_under_way(self) -> bool:
        return self.status in {ImportStatus.IMPORTING, ImportStatus.UNDOING}

    def may_become(self, status: ImportStatus) -> bool:
        return status in self.MOVES[self.status]

    def __str__(self) -> str:
        return self.file_name

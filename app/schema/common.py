"""What many rows have in common: names in two languages, public ids, archiving, the spelling that sorts."""

from __future__ import annotations

import secrets
import unicodedata
from datetime import datetime
from enum import StrEnum
from typing import Any

from flask_babel import get_locale
from sqlalchemy import Enum, String
from sqlalchemy.orm import Mapped, mapped_column

from .. import clock
from ..extensions import Moment

WORDS = String(200, collation="C").with_variant(String(200), "sqlite")  # folded by `sort_key`, so byte order is right


def stored(enum: type[StrEnum]) -> Enum:
    return Enum(enum, native_enum=False, length=24, values_callable=lambda members: [m.value for m in members])


def sort_key(text: str) -> str:
    """The text as dictionaries order it: case and accents aside."""
    folded = text.casefold()
    if folded.isascii():  # most texts, and nothing to take apart
        return folded
    return "".join(c for c in unicodedata.normalize("NFKD", folded) if not unicodedata.combining(c))


LONGEST_WORDS = 400  # an index has them whole


def words_of(*texts: str | None) -> str:
    """What the quick search looks through: the texts, folded, each a line."""
    return "\n".join(sort_key(text or "") for text in texts)[:LONGEST_WORDS]


def public_id(prefix: str, length: int = 8) -> str:
    """A name for people to say and type, telling nobody how many there are: `LIC-2026-7F3K9QXM`."""
    word = "".join(secrets.choice("0123456789ABCDEFGHJKMNPQRSTVWXYZ") for _ in range(length))
    return f"{prefix}-{clock.today().year}-{word}"


class Bilingual:
    """Named in both languages; people read theirs."""

    name_en: Mapped[str] = mapped_column(String(120), default="")  # one of the two is enough
    name_de: Mapped[str] = mapped_column(String(120), default="")

    @property
    def name(self) -> str:
        """In the language of whoever reads it now."""
        return in_language(self, "name")

    def __str__(self) -> str:
        return self.name


def in_language(row: Any, name: str) -> str:
    """`name_en` or `name_de` of a row, as the person at hand reads it."""
    return getattr(row, f"{name}_de" if str(get_locale() or "").startswith("de") else f"{name}_en")


class Archivable:
    """Put away when it is no longer offered; what was made of it stays."""

    archived_at: Mapped[datetime | None] = mapped_column(Moment)

    @property
    def is_archived(self) -> bool:
        return self.archived_at is not None

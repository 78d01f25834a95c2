"""What a partner wants to know of its accounts beyond what every account has."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from flask_appbuilder import Model
from flask_babel import lazy_gettext as _l
from sqlalchemy import JSON, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, validates

from ..extensions import Moment, Number
from .common import WORDS, stored
from .ownership import PATH, Consent, OwnedByAccount

_HAS_REST = text("rest IS NOT NULL")


class PropertyType(StrEnum):
    """What a property's values are; decides input, check, filter, order and Excel type."""

    TEXT = "text"
    LONG = "long"
    INTEGER = "integer"
    DECIMAL = "decimal"
    MONEY = "money"
    DATE = "date"
    FLAG = "flag"
    CHOICE = "choice"
    CHOICES = "choices"
    URL = "url"
    EMAIL = "email"
    PHONE = "phone"
    MEMBER = "member"

    @property
    def label(self) -> Any:
        return _PROPERTY_TYPE_LABELS[self]

    @property
    def is_text(self) -> bool:
        return self in _TEXTS

    @property
    def is_number(self) -> bool:
        return self in _NUMBERS

    @property
    def has_limits(self) -> bool:
        return self.is_number or self is self.DATE

    @property
    def has_choices(self) -> bool:
        return self in {self.CHOICE, self.CHOICES}


# Asked about every value there is, so they are not made each time.
_TEXTS = {PropertyType.TEXT, PropertyType.LONG, PropertyType.URL, PropertyType.EMAIL, PropertyType.PHONE}
_NUMBERS = {PropertyType.INTEGER, PropertyType.DECIMAL, PropertyType.MONEY}

_PROPERTY_TYPE_LABELS = {
    PropertyType.TEXT: _l("Text"),
    PropertyType.LONG: _l("Long text"),
    PropertyType.INTEGER: _l("Whole number"),
    PropertyType.DECIMAL: _l("Decimal number"),
    PropertyType.MONEY: _l("Amount of money"),
    PropertyType.DATE: _l("Date"),
    PropertyType.FLAG: _l("Yes or no"),
    PropertyType.CHOICE: _l("Single choice"),
    PropertyType.CHOICES: _l("Multiple choice"),
    PropertyType.URL: _l("Web address"),
    PropertyType.EMAIL: _l("E-mail address"),
    PropertyType.PHONE: _l("Phone number"),
    PropertyType.MEMBER: _l("Member of your account"),
}


class ConversionStatus(StrEnum):
    """How far the worker is with giving a property's many values another type."""

    WAITING = "waiting"
    RUNNING = "running"
    FAILED = "failed"  # some values did not fit; nothing was changed


class Property(OwnedByAccount, Model):
    """What a partner wants to know of the accounts beneath: a column of its own, defined by itself (M-8).

    The owner is the account that defined it; the values stand on the accounts beneath (`Account.properties`).
    """

    __tablename__ = "property"
    __table_args__ = (
        UniqueConstraint("account_id", "key", name="uq_property_key"),
        UniqueConstraint("account_id", "label_en_key", name="uq_property_label_en"),
        UniqueConstraint("account_id", "label_de_key", name="uq_property_label_de"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(60))  # its name in the API and in Excel; never changes
    type: Mapped[PropertyType] = mapped_column(stored(PropertyType))
    label_en: Mapped[str] = mapped_column(String(80))
    label_de: Mapped[str] = mapped_column(String(80))
    label_en_key: Mapped[str] = mapped_column(String(80))
    label_de_key: Mapped[str] = mapped_column(String(80))
    help_en: Mapped[str] = mapped_column(String(300), default="")
    help_de: Mapped[str] = mapped_column(String(300), default="")
    position: Mapped[int] = mapped_column(default=0)
    choices: Mapped[list[dict[str, str]]] = mapped_column(JSON, default=list)  # of key, label_en, label_de
    minimum: Mapped[str | None] = mapped_column(String(40))  # limits and default as values are kept
    maximum: Mapped[str | None] = mapped_column(String(40))
    max_length: Mapped[int | None] = mapped_column()
    default_value: Mapped[Any] = mapped_column(JSON, default=None, nullable=True)
    currency: Mapped[str] = mapped_column(String(3), default="")  # of amounts of money
    required: Mapped[bool] = mapped_column(default=False)
    visible_to_customer: Mapped[bool] = mapped_column(default=False)
    as_column: Mapped[bool] = mapped_column(default=True)
    conversion: Mapped[dict[str, Any] | None] = mapped_column(JSON)  # what it is to become, and how far that is
    conversion_status: Mapped[ConversionStatus | None] = mapped_column(stored(ConversionStatus))
    conversion_at: Mapped[datetime | None] = mapped_column(Moment)  # of the last sign of life
    archived_at: Mapped[datetime | None] = mapped_column(Moment)

    @validates("label_en", "label_de")
    def _keep_keys(self, name: str, label: str) -> str:
        label = " ".join(label.split())
        setattr(self, f"{name}_key", label.casefold()[:80])
        return label

    @property
    def is_archived(self) -> bool:
        return self.archived_at is not None

    @property
    def is_being_converted(self) -> bool:
        return self.conversion_status in {ConversionStatus.WAITING, ConversionStatus.RUNNING}

    def label(self, language: str) -> str:
        return self.label_de if language.startswith("de") else self.label_en

    def help(self, language: str) -> str:
        return (self.help_de if language.startswith("de") else self.help_en) or self.help_en or self.help_de

    def choice_labels(self, language: str) -> dict[str, str]:
        """Key → label, in their order."""
        name = "label_de" if language.startswith("de") else "label_en"
        return {choice["key"]: choice[name] for choice in self.choices or []}

    def __str__(self) -> str:
        return self.label_en


class PropertyValue(OwnedByAccount, Model):
    """One value of `Account.properties`, once more, where the database finds it fast (decision 5).

    Kept by `properties.py` in the same flush and never read as the truth: it serves sorting and filtering alone.
    """

    __tablename__ = "property_value"
    __table_args__ = (
        UniqueConstraint("definition_id", "account_id", name="uq_property_value"),
        # With the path at the end, whatever the wall asks for is in the index, too: rows are not looked at.
        Index("ix_property_value_text", "definition_id", "text", "account_id", "account_path"),
        Index("ix_property_value_number", "definition_id", "number", "account_id", "account_path"),
        Index("ix_property_value_date", "definition_id", "date", "account_id", "account_path"),
        Index("ix_property_value_rest", "definition_id", sqlite_where=_HAS_REST, postgresql_where=_HAS_REST),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    # Without an index of its own, which would lead SQLite astray; so it follows a moving account by `moves.py`.
    account_path: Mapped[str] = mapped_column(PATH)
    definition_id: Mapped[int] = mapped_column(ForeignKey("property.id"))
    text: Mapped[str | None] = mapped_column(WORDS)
    rest: Mapped[str | None] = mapped_column(Text)  # the whole of a text too long for the index, for searching
    number: Mapped[Decimal | None] = mapped_column(Number)
    date: Mapped[date | None] = mapped_column()

    def stand(self, text: Any = None, rest: Any = None, number: Any = None, date: Any = None) -> None:
        """Take a place among the other values."""
        self.text, self.rest, self.number, self.date = text, rest, number, date


class SearchedText(OwnedByAccount, Model):
    """A text the quick search looks through: an account's words, or those a property says of it.

    Kept by the database's own triggers, whoever writes, and never read: `searched_text_parts`, an index of all that
    three letters of it can be, tells which rows to look at (`migrations/searching.py`).
    """

    __tablename__ = "searched_text"

    opened_by = (Consent.VIEW,)

    id: Mapped[int] = mapped_column(primary_key=True)
    definition_id: Mapped[int | None] = mapped_column()  # of which property; of none: the account's own words
    words: Mapped[str] = mapped_column(Text)

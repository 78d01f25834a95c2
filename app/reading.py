"""What people type, understood: numbers and days as they are written in the language at hand."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal, InvalidOperation

from babel.numbers import NumberFormatError, parse_decimal
from flask_babel import get_locale


def read_decimal(text: str) -> Decimal:
    """A number as people write it here: "1.234,5" in German, "1,234.5" in English.

    Raises `ValueError` for what is no number; a German "1.5" is one, too, since no thousand is written so.
    """
    text = text.strip().replace("\u202f", "").replace("\u00a0", "").replace(" ", "")
    try:
        number = parse_decimal(text, locale=get_locale() or "en", strict=True)
    except NumberFormatError:
        try:
            number = Decimal(text)
        except InvalidOperation as error:
            raise ValueError(text) from error
    if not number.is_finite():
        raise ValueError(text)
    return number


def read_whole_number(text: str) -> int:
    """The same without decimal places. Raises `ValueError` for what is none."""
    number = read_decimal(text)
    if abs(number) >= 10**18 or number != int(number):
        raise ValueError(text)
    return int(number)


def read_date(text: str) -> date:
    """A day: ISO as the browser's own input sends it, or as written in the person's language.

    Raises `ValueError` for what is no day.
    """
    text = text.strip()
    patterns = ["%Y-%m-%d", "%d.%m.%Y"] if str(get_locale()).startswith("de") else ["%Y-%m-%d", "%m/%d/%Y", "%d.%m.%Y"]
    for pattern in patterns:
        try:
            return datetime.strptime(text, pattern).date()  # noqa: DTZ007 a day has no zone
        except ValueError:
            continue
    raise ValueError(text)

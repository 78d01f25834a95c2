"""The countries, languages, currencies and time zones there are to choose from, and amounts, as a language has them."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache

from babel import Locale
from babel.numbers import format_currency

from .models import sort_key

COMMON_CURRENCIES = ["EUR", "CHF", "GBP", "USD", "SEK", "DKK", "NOK", "PLN", "CZK", "JPY"]
TIME_ZONES = [
    "Europe/Berlin", "Europe/Vienna", "Europe/Zurich", "Europe/London", "Europe/Dublin", "Europe/Paris",
    "Europe/Madrid", "Europe/Rome", "Europe/Amsterdam", "Europe/Brussels", "Europe/Copenhagen", "Europe/Stockholm",
    "Europe/Oslo", "Europe/Helsinki", "Europe/Warsaw", "Europe/Prague", "Europe/Athens", "Europe/Istanbul",
    "America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles", "America/Sao_Paulo",
    "Asia/Dubai", "Asia/Kolkata", "Asia/Singapore", "Asia/Tokyo", "Australia/Sydney", "UTC",
]  # fmt: skip
_NOT_ISO = {"AC", "CP", "CQ", "DG", "EA", "EU", "EZ", "IC", "QO", "TA", "UN", "XA", "XB", "ZZ"}
_CODE_BEFORE_NUMBER = re.compile(r"(?<=[A-Z])(?=\d)")  # "CHF49.00": Unicode wants a space there, Babel sets none


@lru_cache(maxsize=8)
def countries(language: str) -> dict[str, str]:
    """Country code → name, in the language's alphabet."""
    names = Locale.parse(language).territories
    known = {code: names[code] for code in names if len(code) == 2 and code.isalpha() and code not in _NOT_ISO}
    return dict(sorted(known.items(), key=lambda pair: sort_key(pair[1])))


@lru_cache(maxsize=8)
def languages(language: str) -> dict[str, str]:
    """The languages Kontor speaks."""
    names = Locale.parse(language).languages
    return {code: names[code] for code in ("de", "en")}


@lru_cache(maxsize=8)
def currencies(language: str) -> dict[str, str]:
    """The currencies offered, the usual ones first."""
    names = Locale.parse(language).currencies
    return {code: f"{code} – {names.get(code, code)}" for code in COMMON_CURRENCIES}


def amount(number: Decimal, currency: str, language: str) -> str:
    """An amount as the language writes it: "€49.00" and "CHF 49.00", "49,00 €"."""
    return _CODE_BEFORE_NUMBER.sub("\u00a0", format_currency(number, currency, locale=language))

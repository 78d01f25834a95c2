"""Values as the person reads them and types them: their language's dates, numbers and words, their time zone."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_time
from babel.numbers import format_decimal
from flask import g, has_request_context
from flask_babel import get_locale
from flask_babel import gettext as _

from .. import regions
from ..models import ArticlePrice, Plan, PlanPrice
from ..reading import read_date as read_date
from ..reading import read_decimal as read_decimal
from ..reading import read_whole_number as read_whole_number


def shown(value: Any, kind: str, currency: str = "") -> str:
    """The value as text, in the language and time zone of the person; an amount with its currency where it has one."""
    if value is None or value == "":
        return ""
    if kind == "flag":
        return _("Yes") if value else _("No")
    if kind == "choice":
        return str(getattr(value, "label", value))
    if kind == "moment":
        moment = local(value)
        return f"{_day(moment.date(), _language())}, {_time(moment.time(), _language())}"
    if kind in CODES:
        return CODES[kind]().get(value, value)
    if kind == "date":
        return _day(value, _language())
    if kind in {"number", "money"}:
        return _number(str(value), currency if kind == "money" else "", _language())
    return str(value)


# A page says the same day over and over, and saying it is a long way.


@lru_cache(maxsize=4096)
def _day(day: date, language: str) -> str:
    return format_date(day, "medium", locale=language)


@lru_cache(maxsize=4096)
def _time(moment: time, language: str) -> str:
    return format_time(moment, "short", locale=language)


@lru_cache(maxsize=4096)
def _number(digits: str, currency: str, language: str) -> str:
    """By its digits, since 1.5 and 1.50 are one key."""
    number = Decimal(digits)
    if currency:
        return regions.amount(number, currency, language)
    return format_decimal(number, locale=language, decimal_quantization=False)


def price_in_words(plan: Plan, day: date, currency: str) -> str:
    """A plan with what it costs that day: "Standard · €49.00 monthly"; without, where it has no such price."""
    price = plan.price_on(day, currency)
    if price is None:
        return plan.name
    return f"{plan.name} · {first_price(price)} {str(plan.period.label).lower()}"


def first_price(price: PlanPrice | ArticlePrice) -> str:
    """What a period, or one piece, costs: "€49.00"."""
    return shown(price.amount(price.AMOUNTS[0]), "money", price.currency)


def month_name(day: date) -> str:
    """The month of that day, as it stands under a chart of a year: "Nov"."""
    return format_date(day, "LLL", locale=_language())


def country_names() -> dict[str, str]:
    """Country code → name in the person's language, in its alphabet."""
    return regions.countries(_language())


def language_names() -> dict[str, str]:
    """The languages Kontor speaks, by their names in the person's."""
    return regions.languages(_language())


def currency_names() -> dict[str, str]:
    """The currencies offered, the usual ones first."""
    return regions.currencies(_language())


def _language() -> str:
    locale = get_locale()
    return locale.language if locale else "en"


CODES = {"country": country_names, "language": language_names}


def size_in_words(size: int) -> str:
    """Bytes as people say them: "2.4 MB"."""
    unit, divisor = ("MB", 10**6) if size >= 10**6 else ("kB", 10**3)
    return f"{format_decimal(max(size / divisor, 0.1), '#,##0.#', locale=get_locale())} {unit}"


def local(moment: datetime) -> datetime:
    """The moment in the person's time zone."""
    return moment.astimezone(ZoneInfo(time_zone()))


def language() -> str:
    """The person's language: "en" or "de"."""
    return "de" if _language().startswith("de") else "en"


def time_zone() -> str:
    """The person's time zone; that of the acting account where they have not said."""
    person = g.get("identity") if has_request_context() else None
    if person is None or "scope" not in g:
        return "Europe/Berlin"
    if "time_zone" not in g:
        g.time_zone = person.user.time_zone or _of_account(person, g.scope)
    return g.time_zone


def _of_account(person: Any, scope: Any) -> str:
    return next((m.account.time_zone for m in person.memberships if m.id == scope.member_id), "Europe/Berlin")

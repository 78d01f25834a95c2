"""Values as the person reads them and types them: their language's dates, numbers and words, their time zone."""

from __future__ import annotations

from datetime import date, datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from babel import Locale
from babel.numbers import format_currency, format_decimal
from flask import g, has_request_context
from flask_babel import format_date, format_time, get_locale
from flask_babel import gettext as _

from ..models import Plan, PlanPrice, sort_key
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
        return f"{format_date(moment, 'medium', rebase=False)}, {format_time(moment, 'short', rebase=False)}"
    if kind in CODES:
        return CODES[kind]().get(value, value)
    if kind == "date":
        return format_date(value, "medium", rebase=False)
    if kind == "money" and currency:
        return format_currency(value, currency, locale=get_locale())
    if kind in {"number", "money"}:
        return format_decimal(value, locale=get_locale(), decimal_quantization=False)
    return str(value)


def price_in_words(plan: Plan, day: date, currency: str) -> str:
    """A plan with what it costs that day: "Standard · €49.00 monthly"; without, where it has no such price."""
    price = plan.price_on(day, currency)
    if price is None:
        return plan.name
    return f"{plan.name} · {base_price(price)} {str(plan.period.label).lower()}"


def base_price(price: PlanPrice) -> str:
    """What a period costs: "€49.00"."""
    return shown(price.amount("base"), "money", price.currency)


def month_name(day: date) -> str:
    """The month of that day, as it stands under a chart of a year: "Nov"."""
    return format_date(day, "LLL", rebase=False)


def country_names() -> dict[str, str]:
    """Country code → name in the person's language, in its alphabet."""
    return _country_names(_language())


def language_names() -> dict[str, str]:
    """The languages Kontor speaks, by their names in the person's."""
    return _language_names(_language())


def currency_names() -> dict[str, str]:
    """The currencies offered, the usual ones first."""
    return _currency_names(_language())


def _language() -> str:
    return str(get_locale() or "en")


@lru_cache(maxsize=8)
def _country_names(language: str) -> dict[str, str]:
    names = Locale.parse(language).territories
    known = {code: names[code] for code in names if len(code) == 2 and code.isalpha() and code not in _NOT_ISO}
    return dict(sorted(known.items(), key=lambda pair: sort_key(pair[1])))


@lru_cache(maxsize=8)
def _language_names(language: str) -> dict[str, str]:
    names = Locale.parse(language).languages
    return {code: names[code] for code in ("de", "en")}


@lru_cache(maxsize=8)
def _currency_names(language: str) -> dict[str, str]:
    names = Locale.parse(language).currencies
    return {code: f"{code} – {names.get(code, code)}" for code in COMMON_CURRENCIES}


_NOT_ISO = {"AC", "CP", "CQ", "DG", "EA", "EU", "EZ", "IC", "QO", "TA", "UN", "XA", "XB", "ZZ"}
COMMON_CURRENCIES = ["EUR", "CHF", "GBP", "USD", "SEK", "DKK", "NOK", "PLN", "CZK", "JPY"]
CODES = {"country": country_names, "language": language_names}


def local(moment: datetime) -> datetime:
    """The moment in the person's time zone."""
    return moment.astimezone(ZoneInfo(time_zone()))


def language() -> str:
    """The person's language: "en" or "de"."""
    return "de" if _language().startswith("de") else "en"


def time_zone() -> str:
    """The person's time zone; that of the acting account where they have not said."""
    person = g.get("identity") if has_request_context() else None
    scope = g.get("scope") if has_request_context() else None
    if person is None:
        return "Europe/Berlin"
    if person.user.time_zone:
        return person.user.time_zone
    return next((m.account.time_zone for m in person.memberships if scope and m.id == scope.member_id), "Europe/Berlin")

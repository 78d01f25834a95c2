"""VAT identification numbers: what they look like is known of every country in Europe and of many beyond."""

from __future__ import annotations

import re
from types import ModuleType

import stdnum
from flask_babel import gettext as _
from stdnum.eu import vat as european
from stdnum.exceptions import InvalidChecksum, InvalidLength, ValidationError

from .errors import Refused

GREEK = {"gr": "el"}  # whose numbers begin with another code than the country has


def check(text: str, country: str) -> str:
    """A VAT ID as it is kept: in capitals and without blanks; a European one begins with its country.

    Raises `Refused`, at the field `vat_id`, for one that cannot be right. An empty one is none.
    """
    number = re.sub(r"[\s./-]", "", text).upper()
    if not number:
        return ""
    number = _with_prefix(number, country.lower())
    try:
        _checker(number, country.lower()).validate(number)
    except InvalidLength as error:
        raise _refused(_("This VAT ID is too short or too long.")) from error
    except InvalidChecksum as error:
        raise _refused(_("This VAT ID cannot be right: one of its characters must be mistyped.")) from error
    except ValidationError as error:
        raise _refused(_("This is not a VAT ID. One begins with its country, as in DE136695976.")) from error
    return number


def _with_prefix(number: str, country: str) -> str:
    prefix = GREEK.get(country, country)
    is_european = country in european.MEMBER_STATES
    return f"{prefix.upper()}{number}" if is_european and number[:1].isdigit() else number


def _checker(number: str, country: str) -> ModuleType:
    """Who knows such numbers: Europe by their first letters, other countries by themselves."""
    prefix = number[:2].lower()
    if prefix in {*european.MEMBER_STATES, *GREEK.values()} - {country}:
        return european
    if country in european.MEMBER_STATES:
        return european
    own = stdnum.get_cc_module(country, "vat") if country else None
    return own or _Unknown


class _Unknown:
    """Of other countries it is only known that a number is one of letters and digits."""

    @staticmethod
    def validate(number: str) -> str:
        if not re.fullmatch(r"(?=.*\d)[A-Z0-9]{4,20}", number):
            raise InvalidLength
        return number


def _refused(sentence: str) -> Refused:
    return Refused(sentence, field="vat_id")

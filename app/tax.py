"""The value-added tax on what the operator sells: one rule, and the standard rates it needs.

Sold at home: the rate at home. To a company with a VAT ID elsewhere in the European Union: none, the buyer owes it
(reverse charge). To anybody else in the Union: the rate of their country. Beyond the Union: none.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

# Standard rates in percent, as of 2026.
EU = {
    "AT": "20", "BE": "21", "BG": "20", "CY": "19", "CZ": "21", "DE": "19", "DK": "25", "EE": "24", "ES": "21",
    "FI": "25.5", "FR": "20", "GR": "24", "HR": "25", "HU": "27", "IE": "23", "IT": "22", "LT": "21", "LU": "17",
    "LV": "21", "MT": "18", "NL": "21", "PL": "23", "PT": "23", "RO": "21", "SE": "25", "SI": "22", "SK": "23",
}  # fmt: skip
ELSEWHERE = {"CH": "8.1", "GB": "20", "LI": "8.1", "NO": "25"}  # of operators who are at home there


class Case(StrEnum):
    """Why a rate applies; part of the stored calculation."""

    DOMESTIC = "domestic"
    REVERSE_CHARGE = "reverse-charge"
    DESTINATION = "destination"
    EXPORT = "export"
    UNKNOWN = "unknown"  # the seller has not said where they are


@dataclass(frozen=True)
class Tax:
    rate: Decimal  # in percent
    case: Case


def tax_on(*, seller: str, buyer: str, vat_id: str) -> Tax:
    """The tax on a sale between two countries, by their codes; a buyer without a country is at home."""
    if not seller:
        return Tax(Decimal(0), Case.UNKNOWN)
    if buyer in {"", seller}:
        return Tax(Decimal((EU | ELSEWHERE).get(seller, "0")), Case.DOMESTIC)
    if seller in EU and buyer in EU:
        return Tax(Decimal(0), Case.REVERSE_CHARGE) if vat_id else Tax(Decimal(EU[buyer]), Case.DESTINATION)
    return Tax(Decimal(0), Case.EXPORT)

"""Exact money: Decimal amounts, ISO 4217 minor units, one rounding rule (half up)."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

# The currencies whose smallest unit is not a hundredth (ISO 4217, table A.1).
_MINOR_DIGITS = {
    "BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "ISK": 0, "JPY": 0, "KMF": 0, "KRW": 0, "PYG": 0, "RWF": 0,
    "UGX": 0, "VND": 0, "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0,
    "BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3,
}  # fmt: skip


def minor_digits(currency: str) -> int:
    """How many decimal places the currency has."""
    return _MINOR_DIGITS.get(currency, 2)


def rounded(amount: Decimal, currency: str) -> Decimal:
    """The amount to the currency's smallest unit, half up; the only rounding of money there is. Nothing has no sign."""
    units = amount.quantize(Decimal(1).scaleb(-minor_digits(currency)), rounding=ROUND_HALF_UP)
    return units if units else abs(units)


def to_minor(amount: Decimal, currency: str) -> int:
    """The amount as a whole number of smallest units, as the database keeps it."""
    return int(rounded(amount, currency).scaleb(minor_digits(currency)))


def from_minor(units: int, currency: str) -> Decimal:
    """The amount that so many smallest units are."""
    return Decimal(units).scaleb(-minor_digits(currency))

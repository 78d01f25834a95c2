"""What something costs, and how that came about: one piece of code for preview, order and invoice (X-4).

An `Amount` is made of lines, each of which says all that is needed to do its sum again: quantity × unit price, of
which period, how many of its days, and what rounding made of it. The codes are put into words by whoever shows them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import date
from decimal import Decimal
from typing import Any

from . import money
from .periods import Period

PERCENT = Decimal(100)


@dataclass(frozen=True)
class Line:
    """One line of a calculation; amounts are exact and in its currency."""

    what: str  # base, users, terminals, disk, upfront, infrastructure, article
    quantity: int
    unit_price: Decimal
    amount: Decimal = Decimal(0)  # rounded
    name: str = ""  # of what is sold: its plan or article
    ordered: int | None = None  # of units: how many in all, of which some are included
    included: int | None = None
    period: Period | None = None
    part: Period | None = None  # the days of the period that are charged, where not all are
    credit: bool = False  # given back instead of charged
    per: int = 1  # so many of what is counted are a piece, and cost the unit price together
    most: Decimal | None = None  # of a credit: what is left of what was paid

    @property
    def whole(self) -> Decimal:
        """Before any share of days and any rounding."""
        return self.quantity * self.unit_price / self.per

    @property
    def exact(self) -> Decimal:
        """The share that falls on the days charged, unrounded; a credit is below zero, never beyond what was paid."""
        share = self.whole * self.part.days / self.period.days if self.part and self.period else self.whole
        if self.most is not None:
            share = min(share, self.most)
        return -share if self.credit else share


@dataclass(frozen=True)
class Amount:
    """What is to be paid, with all that explains it."""

    currency: str
    lines: tuple[Line, ...]
    net: Decimal
    tax_rate: Decimal  # in percent
    tax_case: str  # why that rate: see `tax.Case`
    tax: Decimal
    gross: Decimal

    def as_json(self) -> list[dict[str, Any]]:
        """Its lines as they are stored; the last one is the tax."""
        return [_as_json(line) for line in self.lines] + [
            {"what": "tax", "rate": str(self.tax_rate), "case": self.tax_case, "amount": str(self.tax)}
        ]


def amount_of(lines: Sequence[Line], *, currency: str, tax_rate: Decimal, tax_case: str) -> Amount:
    """Round each line, half up, add them, and put the tax on the sum."""
    rounded = tuple(replace(line, amount=money.rounded(line.exact, currency)) for line in lines)
    net = sum((line.amount for line in rounded), Decimal(0))
    tax = money.rounded(net * tax_rate / PERCENT, currency)
    return Amount(currency, rounded, net, tax_rate, tax_case, tax, net + tax)


def from_json(stored: Sequence[Mapping[str, Any]], currency: str) -> Amount:
    """The amount those stored lines say, added up again."""
    lines, tax = tuple(_line(one) for one in stored[:-1]), stored[-1]
    net, tax_amount = sum((line.amount for line in lines), Decimal(0)), Decimal(tax["amount"])
    return Amount(currency, lines, net, Decimal(tax["rate"]), tax["case"], tax_amount, net + tax_amount)


# --- lines -----------------------------------------------------------------------------------------------------


def period_lines(
    base: Decimal,
    units: Mapping[str, Decimal],
    *,
    ordered: Mapping[str, int],
    included: Mapping[str, int],
    period: Period,
    name: str = "",
    infrastructure_only: bool = False,
) -> list[Line]:
    """A plan's period: its base, and each unit above what is included. `units` are the prices of one more."""
    what = "infrastructure" if infrastructure_only else "base"
    lines = [Line(what, 1, base, name=name, period=period)]
    for meter, price in units.items():
        above = max(0, ordered[meter] - included[meter])
        if above:
            counts = {"ordered": ordered[meter], "included": included[meter]}
            lines.append(Line(meter, above, price, name=name, period=period, **counts))
    return lines


def prorated(lines: Sequence[Line], part: Period, *, credit: bool = False) -> list[Line]:
    """The same for some days of their period alone: its price ÷ its real days × those days. Or given back."""
    for line in lines:
        if line.period is None or not line.period.first <= part.first < part.beyond <= line.period.beyond:
            raise ValueError("a part lies within its period")
    return [replace(line, part=part, credit=credit) if part != line.period else replace(line, credit=credit)
            for line in lines]  # fmt: skip


def split(amount: Decimal, weights: Sequence[int], currency: str) -> list[Decimal]:
    """The amount in parts as the weights say, to the cent: what rounding leaves goes to the largest remainders,
    the first of equals first. The parts add up to the amount exactly."""
    units, total = money.to_minor(amount, currency), sum(weights)
    if total <= 0 or min(weights) < 0:
        raise ValueError("weights are not below zero, and not all of them zero")
    sign, units = (-1 if units < 0 else 1), abs(units)
    shares = [divmod(units * weight, total) for weight in weights]
    left = units - sum(share for share, _remainder in shares)
    order = sorted(range(len(shares)), key=lambda n: (-shares[n][1], n))
    lucky = set(order[:left])
    return [money.from_minor(sign * (share + (n in lucky)), currency) for n, (share, _rest) in enumerate(shares)]


# --- as they are stored ----------------------------------------------------------------------------------------


def _as_json(line: Line) -> dict[str, Any]:
    """Only what the line says; numbers as text, exactly."""
    defaults = {one.name: one.default for one in fields(Line)}
    return {name: _plain(value) for name, value in asdict(line).items()
            if name in {"what", "quantity", "unit_price", "amount"} or value != defaults[name]}  # fmt: skip


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    return [value["first"].isoformat(), value["beyond"].isoformat()] if isinstance(value, dict) else value


def _line(stored: Mapping[str, Any]) -> Line:
    periods = {name: _period(stored[name]) for name in ("period", "part") if name in stored}
    amounts = {name: Decimal(stored[name]) for name in ("unit_price", "amount", "most") if name in stored}
    return Line(**{**stored, **periods, **amounts})


def _period(days: Sequence[str]) -> Period:
    first, beyond = map(date.fromisoformat, days)
    return Period(first, beyond)

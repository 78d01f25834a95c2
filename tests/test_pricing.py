"""What something costs (X-4): to the cent, explained so that anybody can do the sum again."""

from __future__ import annotations

import json
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import money
from app.periods import Period, period_at
from app.pricing import Line, amount_of, from_json, period_lines, prorated, split
from app.tax import Case, tax_on

CURRENCIES = st.sampled_from(["EUR", "JPY", "KWD"])
MINOR = st.integers(0, 10**12)
PERIODS = st.builds(period_at, st.dates(date(2000, 1, 1), date(2100, 1, 1)), st.sampled_from([1, 12]), st.just(0))
JANUARY = Period(date(2026, 1, 1), date(2026, 2, 1))
VAT = {"tax_rate": Decimal(19), "tax_case": "domestic"}


def half_up(exact: Fraction, currency: str) -> Decimal:
    """Rounding said once more, in whole numbers alone."""
    scaled = exact * 10 ** money.minor_digits(currency)
    units = int(abs(scaled) + Fraction(1, 2))
    return money.from_minor(-units if scaled < 0 else units, currency)


@given(MINOR, CURRENCIES, PERIODS, st.data())
def test_a_part_of_a_period_costs_its_days_of_the_real_ones(units, currency, period, data):
    first = data.draw(st.integers(0, period.days - 1))
    last = data.draw(st.integers(first + 1, period.days))
    part = Period(period.first + timedelta(first), period.first + timedelta(last))
    price = money.from_minor(units, currency)
    lines = prorated([Line("base", 1, price, period=period)], part)
    amount = amount_of(lines, currency=currency, **VAT)

    assert amount.net == half_up(Fraction(price) * part.days / period.days, currency)


@pytest.mark.parametrize(("credit", "amount"), [(False, "0.01"), (True, "-0.01")])
def test_half_a_cent_is_rounded_up_and_given_back_as_it_was_charged(credit, amount):
    september = Period(date(2026, 9, 1), date(2026, 10, 1))
    line = Line("base", 1, Decimal("0.01"), period=september)
    half = prorated([line], Period(date(2026, 9, 16), date(2026, 10, 1)), credit=credit)

    assert amount_of(half, currency="EUR", **VAT).net == Decimal(amount)


@given(MINOR, CURRENCIES, PERIODS, st.data())
def test_what_is_used_and_what_is_given_back_make_the_whole(units, currency, period, data):
    """An upgrade in the middle: the rest is credited, never more than was charged."""
    day = period.first + timedelta(data.draw(st.integers(1, period.days - 1)))
    line = Line("base", 1, money.from_minor(units, currency), period=period)
    whole = amount_of([line], currency=currency, **VAT).net
    back = amount_of(prorated([line], Period(day, period.beyond), credit=True), currency=currency, **VAT).net

    assert -whole <= back <= 0
    assert amount_of(prorated([line], Period(day, period.beyond)), currency=currency, **VAT).net == -back


@given(st.integers(-(10**12), 10**12), st.lists(st.integers(0, 400), min_size=1, max_size=40), CURRENCIES)
def test_parts_add_up_to_the_cent_and_are_within_one_of_their_share(units, weights, currency):
    if not sum(weights):
        weights[0] = 1
    amount = money.from_minor(units, currency)
    parts = split(amount, weights, currency)

    assert sum(parts) == amount
    cent = Fraction(1, 10 ** money.minor_digits(currency))
    for part, weight in zip(parts, weights, strict=True):
        assert abs(Fraction(part) - Fraction(amount) * weight / sum(weights)) < cent


def test_what_is_left_goes_to_the_largest_remainders():
    assert split(Decimal("1.00"), [1, 1, 1], "EUR") == [Decimal("0.34"), Decimal("0.33"), Decimal("0.33")]
    assert split(Decimal("10.00"), [31, 28, 31], "EUR") == [Decimal("3.45"), Decimal("3.11"), Decimal("3.44")]


@pytest.mark.parametrize("weights", [[0, 0], [3, -1]])
def test_nothing_is_split_by_nothing(weights):
    with pytest.raises(ValueError, match="weights"):
        split(Decimal(1), weights, "EUR")


LINES = st.lists(
    st.builds(
        Line,
        what=st.sampled_from(["base", "users", "upfront"]),
        quantity=st.integers(0, 10**6),
        unit_price=st.integers(0, 10**9).map(lambda units: money.from_minor(units, "EUR")),
        name=st.sampled_from(["", "Basic"]),
        period=st.one_of(st.none(), PERIODS),
        credit=st.booleans(),
    ),
    max_size=12,
)


@given(LINES, st.sampled_from(["0", "7", "19", "25.5"]))
def test_the_lines_make_the_sum_and_the_tax_is_put_on_it_once(lines, rate):
    amount = amount_of(lines, currency="EUR", tax_rate=Decimal(rate), tax_case="domestic")

    assert amount.net == sum(line.amount for line in amount.lines)
    assert amount.tax == (amount.net * Decimal(rate) / 100).quantize(Decimal("0.01"), ROUND_HALF_UP)
    assert amount.gross == amount.net + amount.tax


@given(LINES)
def test_what_is_stored_says_the_same_when_it_is_read_again(lines):
    amount = amount_of(lines, currency="EUR", **VAT)

    assert from_json(json.loads(json.dumps(amount.as_json())), "EUR") == amount


def test_units_above_those_included_are_charged_and_say_so():
    lines = period_lines(
        Decimal(49), {"users": Decimal("4.90"), "disk": Decimal(1)},
        ordered={"users": 12, "disk": 5}, included={"users": 10, "disk": 20}, period=JANUARY,
    )  # fmt: skip
    amount = amount_of(lines, currency="EUR", **VAT)

    assert [(line.what, line.quantity, line.amount) for line in amount.lines] == [
        ("base", 1, Decimal("49.00")), ("users", 2, Decimal("9.80")),
    ]  # fmt: skip
    assert (amount.net, amount.tax, amount.gross) == (Decimal("58.80"), Decimal("11.17"), Decimal("69.97"))
    assert (amount.lines[1].ordered, amount.lines[1].included) == (12, 10)


def test_paid_upfront_only_the_infrastructure_is_charged():
    lines = period_lines(Decimal(12), {}, ordered={}, included={}, period=JANUARY, infrastructure_only=True)

    assert [line.what for line in lines] == ["infrastructure"]


@pytest.mark.parametrize("part", [("2025-12-31", "2026-01-02"), ("2026-01-02", "2026-02-02"), ("2026-01-05",) * 2])
def test_a_part_lies_within_its_period(part):
    with pytest.raises(ValueError, match="within"):
        prorated([Line("base", 1, Decimal(1), period=JANUARY)], Period(*map(date.fromisoformat, part)))


@pytest.mark.parametrize(
    ("seller", "buyer", "vat_id", "rate", "case"),
    [
        ("DE", "DE", "", "19", Case.DOMESTIC),
        ("DE", "DE", "DE136695976", "19", Case.DOMESTIC),
        ("DE", "", "", "19", Case.DOMESTIC),
        ("DE", "AT", "ATU13585627", "0", Case.REVERSE_CHARGE),
        ("DE", "AT", "", "20", Case.DESTINATION),
        ("DE", "NO", "", "0", Case.EXPORT),
        ("CH", "CH", "", "8.1", Case.DOMESTIC),
        ("CH", "DE", "DE136695976", "0", Case.EXPORT),
        ("", "DE", "", "0", Case.UNKNOWN),
    ],
)
def test_the_tax_follows_from_where_seller_and_buyer_are(seller, buyer, vat_id, rate, case):
    tax = tax_on(seller=seller, buyer=buyer, vat_id=vat_id)

    assert (tax.rate, tax.case) == (Decimal(rate), case)

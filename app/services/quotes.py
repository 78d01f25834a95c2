"""What a plan costs an account: the one place where prices, quantities, days and tax meet (X-4).

What a page previews and what a deed posts is the same `Amount`; a deed keeps it as a `Calculation`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal

from flask_babel import format_decimal
from flask_babel import gettext as _

from .. import clock, money, pricing, tax
from ..errors import Refused
from ..extensions import db
from ..models import (
    LARGEST_QUANTITY,
    Account,
    Article,
    Beyond,
    Calculation,
    Meter,
    Plan,
    PlanPrice,
    Subscription,
)
from ..periods import Period, period_of
from ..pricing import Amount, Line
from . import above

Quantities = Mapping[Meter, int]


def of_periods(
    plan: Plan, periods: list[Period], *, currency: str, quantities: Quantities, account: Account, upfront: bool = False
) -> Amount:
    """What so many periods cost, each at the price of its first day. `upfront`: the infrastructure alone."""
    lines = [
        line
        for period in periods
        for line in _lines(plan, period, currency=currency, quantities=quantities, upfront=upfront)
    ]
    return total(lines, currency=currency, account=account)


def of_software(plan: Plan, *, currency: str, on: date, account: Account) -> Amount:
    """What the software costs, paid once (L-8). Raises `Refused` where the plan is not sold that way."""
    price = price_of(plan, currency, on)
    if not price.is_sold_upfront:
        raise Refused(_("%(plan)s is not sold upfront in %(currency)s.", plan=plan.name, currency=currency))
    return total([Line("upfront", 1, _amount(price, "upfront"), name=plan.name)], currency=currency, account=account)


def of_article(article: Article, quantity: int, *, currency: str, on: date) -> Line:
    """A line of so many pieces of an article; a lead to `total`. Raises `Refused` where it is not sold so."""
    price = article.price_on(on, currency)
    if price is None:
        raise Refused(
            _("%(name)s is not sold in %(currency)s.", name=article.name, currency=currency), field="article_id"
        )
    _within_reason(quantity, "quantity", least=1)
    return Line("article", quantity, money.from_minor(price.unit_minor, currency), name=article.name)


def of_change(subscription: Subscription, plan: Plan, *, quantities: Quantities, on: date) -> Amount:
    """Another plan or other quantities from that day on: the rest of the old period is credited, the rest of the new
    charged. A credit never exceeds what the period cost."""
    if subscription.ends_on is None or not subscription.starts_on <= on < subscription.ends_on:
        raise Refused(_("%(subscription)s is not running that day.", subscription=subscription))
    currency, upfront = subscription.currency, subscription.upfront_on is not None
    old = period_of(subscription.anchored_on, subscription.plan.period.months, on)
    new = period_of(subscription.anchored_on, plan.period.months, on)
    held = {meter: subscription.quantity(meter) for meter in Meter}
    back = _lines(subscription.plan, old, currency=currency, quantities=held, upfront=upfront)
    more = _lines(plan, new, currency=currency, quantities=quantities, upfront=upfront)
    lines = pricing.prorated(back, Period(on, old.beyond), credit=True)
    lines += pricing.prorated(more, Period(on, new.beyond))
    return total(lines, currency=currency, account=subscription.account)


def total(lines: list[Line], *, currency: str, account: Account) -> Amount:
    """The lines as one amount, with the tax that account pays."""
    due = tax.tax_on(seller=above.country_of_seller(), buyer=account.country or "", vat_id=account.vat_id or "")
    return pricing.amount_of(lines, currency=currency, tax_rate=due.rate, tax_case=due.case.value)


def keep(amount: Amount, account: Account) -> Calculation:
    """Store how an amount came about."""
    calculation = Calculation(account=account, currency=amount.currency, lines=amount.as_json(), created_at=clock.now())
    for name in ("net", "tax", "gross"):
        setattr(calculation, f"{name}_minor", money.to_minor(getattr(amount, name), amount.currency))
    db.session.add(calculation)
    return calculation


def read(calculation: Calculation) -> Amount:
    """A stored calculation as an amount again."""
    return pricing.from_json(calculation.lines, calculation.currency)


def price_of(plan: Plan, currency: str, on: date) -> PlanPrice:
    """Raises `Refused` where the plan is not sold in that currency."""
    price = plan.price_on(on, currency)
    if price is None:
        raise Refused(
            _("%(plan)s is not sold in %(currency)s.", plan=plan.name, currency=currency), field="currency"
        )
    return price


def check_quantities(plan: Plan, quantities: Quantities) -> None:
    """Raises `Refused`, at the field, for what is below nothing or above the plan's limits (I-5)."""
    for meter in Meter:
        _within_reason(quantities[meter], meter.value)
        limit = plan.limit(meter)
        if limit is not None and quantities[meter] > limit:
            raise Refused(_too_much(plan, meter, limit), field=meter.value)


def _too_much(plan: Plan, meter: Meter, limit: int) -> str:
    said = {"plan": plan.name, "what": meter.label, "limit": limit}
    if plan.beyond is Beyond.UPGRADE:
        return _("%(what)s: %(plan)s goes up to %(limit)s. Choose a larger plan for more.", **said)
    return _("%(what)s: %(plan)s goes up to %(limit)s.", **said)


def _within_reason(quantity: int, field: str, least: int = 0) -> None:
    if not least <= quantity <= LARGEST_QUANTITY:
        most = format_decimal(LARGEST_QUANTITY)
        raise Refused(_("A whole number from %(least)s to %(most)s, please.", least=least, most=most), field=field)


def _lines(plan: Plan, period: Period, *, currency: str, quantities: Quantities, upfront: bool) -> list[Line]:
    price = price_of(plan, currency, period.first)
    if upfront and not price.is_sold_upfront:
        raise Refused(_("%(plan)s is not sold upfront in %(currency)s.", plan=plan.name, currency=currency))
    return pricing.period_lines(
        _amount(price, "infrastructure" if upfront else "base"),
        {meter.value: _amount(price, meter.value) for meter in Meter},
        ordered={meter.value: quantities[meter] for meter in Meter},
        included={meter.value: plan.included(meter) for meter in Meter},
        period=period,
        name=plan.name,
        infrastructure_only=upfront,
    )


def _amount(price: PlanPrice, name: str) -> Decimal:
    return price.amount(name) or Decimal(0)

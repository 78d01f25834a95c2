"""The verbs of products, plans and prices (I-1, L-7, M-10). All of it is the operator's to say, as in `catalog`.

A price counts from a day on, until another of its currency begins. What has been calculated stays as it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from flask_babel import gettext as _
from flask_babel import ngettext

from .. import clock, money
from ..audit import record
from ..errors import Refused
from ..extensions import db
from ..models import (
    LARGEST_QUANTITY,
    Account,
    Article,
    ArticlePrice,
    Beyond,
    Cycle,
    DataLocation,
    Member,
    Meter,
    PaymentMode,
    Plan,
    PlanPrice,
    Product,
    ProductType,
    RenewalRule,
)
from .catalog import describe, free_key, hold_catalogue

LARGEST_PRICE = 10**15  # in smallest units; a JSON number and a spreadsheet hold it exactly
LONGEST_WINDOW, LONGEST_TRIAL = 366, 12  # days, months

Amounts = Mapping[str, Decimal | None]


# --- products --------------------------------------------------------------------------------------------------


def define_product(key: str, *, by: Member, **facts: Any) -> Product:
    """A new product. Its key is its name in the API; key and type never change."""
    hold_catalogue(by)
    product = Product(account=by.account, key=free_key(Product, key), created_at=clock.now())
    product.type = ProductType(facts["type"])
    _describe_product(product, facts)
    db.session.add(product)
    record("product.defined", product)
    db.session.flush()
    return product


def change_product(product: Product, *, by: Member, **facts: Any) -> None:
    hold_catalogue(by)
    _describe_product(product, facts)
    record("product.changed", product)
    db.session.flush()


def _describe_product(product: Product, facts: dict[str, Any]) -> None:
    describe(product, facts)
    wanted = {DataLocation(key) for key in facts.get("locations") or ()}
    product.locations = [location.value for location in DataLocation if location in wanted]


# --- plans -----------------------------------------------------------------------------------------------------


def define_plan(key: str, *, product: Product, currency: str, amounts: Amounts, by: Member, **facts: Any) -> Plan:
    """A new plan of a product, and its first price: `amounts` by the names of `PlanPrice.AMOUNTS`, from today on."""
    hold_catalogue(by)
    if product.is_archived:
        raise Refused(_("%(name)s is archived; restore it first.", name=product.name), field="product_id")
    plan = Plan(account=by.account, key=free_key(Plan, key), product=product)
    _describe_plan(plan, facts)
    db.session.add(plan)
    price = _price(plan, PlanPrice, currency, _today(by), amounts)
    record("plan.defined", plan, price=price)
    db.session.flush()
    return plan


def change_plan(plan: Plan, *, by: Member, **facts: Any) -> None:
    """Change a plan. What its subscriptions have agreed on counts to the end of their term."""
    hold_catalogue(by)
    _describe_plan(plan, facts)
    record("plan.changed", plan)
    db.session.flush()


def _describe_plan(plan: Plan, facts: dict[str, Any]) -> None:
    describe(plan, facts)
    facts = {name: value for name, value in facts.items() if value is not None}  # what is left out is as usual
    plan.period, plan.beyond = Cycle(facts["period"]), Beyond(facts.get("beyond", Beyond.REFUSE))
    plan.renewal = RenewalRule(facts.get("renewal", RenewalRule.FROM_END))
    plan.renewal_window = _within(facts.get("renewal_window", 60), 1, LONGEST_WINDOW, "renewal_window")
    plan.trial_months = _within(facts.get("trial_months", 0), 0, LONGEST_TRIAL, "trial_months")
    for mode in PaymentMode:
        setattr(plan, mode, bool(facts.get(mode, mode is PaymentMode.PREPAID)))
    if not plan.payment_modes:
        raise Refused(_("Say how it can be paid, in one way at least."), field="prepaid")
    for meter in Meter:
        _limit(plan, meter, facts.get(f"included_{meter}") or 0, facts.get(f"limit_{meter}"))


def _limit(plan: Plan, meter: Meter, included: int, limit: int | None) -> None:
    setattr(plan, f"included_{meter}", _within(included, 0, LARGEST_QUANTITY, f"included_{meter}"))
    if limit is not None:
        if limit < included:
            raise Refused(_("The limit is not below what is included."), field=f"limit_{meter}")
        _within(limit, 0, LARGEST_QUANTITY, f"limit_{meter}")
    setattr(plan, f"limit_{meter}", limit)


def _within(number: int | None, least: int, most: int, field: str) -> int:
    if number is None or not least <= number <= most:
        raise Refused(_("A whole number from %(least)s to %(most)s, please.", least=least, most=most), field=field)
    return number


def choose_plan(account: Account, plan: Plan | None, *, by: Member) -> None:
    """Give an account a plan, another one, or none; decided by an account above it (M-10)."""
    if account.plan_id == (plan.id if plan else None):
        return
    if account.id == by.account_id:
        raise Refused(_("The plan is chosen by the account above."), field="plan_id")
    if plan is not None and plan.is_archived:
        raise Refused(_("%(name)s is archived and offered no longer.", name=plan.name), field="plan_id")

    before, account.plan = account.plan, plan
    account.plan_id = plan.id if plan else None
    record("account.plan_chosen", account, plan=(before.key if before else None, plan.key if plan else None))


# --- prices ----------------------------------------------------------------------------------------------------


def set_price(offer: Plan | Article, currency: str, *, on: date, amounts: Amounts, by: Member) -> None:
    """What it costs in that currency from that day on: today or later. A price of the same day is replaced."""
    hold_catalogue(by)
    if on < _today(by):
        raise Refused(_("A price counts from today on at the earliest."), field="valid_from")
    model = PlanPrice if isinstance(offer, Plan) else ArticlePrice
    before = offer.price_on(on, currency)
    old = in_words(before) if before is not None else None
    record(f"{offer.__tablename__}.priced", offer, price=(old, _price(offer, model, currency, on, amounts)))
    db.session.flush()


def in_words(price: PlanPrice | ArticlePrice) -> str:
    """A price in the words of history: `EUR from 2026-01-01: base 49.00, users 5.00`."""
    amounts = ", ".join(f"{name} {amount}" for name, amount in price.amounts())
    return f"{price.currency} {price.valid_from}: {amounts}"


def _price(offer: Any, model: type[PlanPrice] | type[ArticlePrice], currency: str, on: date, amounts: Amounts) -> str:
    known = {(price.currency, price.valid_from): price for price in offer.prices}
    price = known.get((currency, on))
    if price is None:
        price = model(account=offer.account, currency=currency, valid_from=on)
        offer.prices.append(price)
    for name in model.AMOUNTS:
        setattr(price, f"{name}_minor", _minor(name, amounts.get(name), currency))
    _refuse_half_upfront(price)
    return in_words(price)


def _minor(name: str, amount: Decimal | None, currency: str) -> int | None:
    if amount is None:
        return None if name in {"upfront", "infrastructure"} else 0
    return exact(amount, currency, name)


def _refuse_half_upfront(price: Any) -> None:
    if isinstance(price, PlanPrice) and (price.upfront_minor is None) != (price.infrastructure_minor is None):
        missing = "upfront" if price.upfront_minor is None else "infrastructure"
        raise Refused(
            _("To be sold upfront it needs both: the price of the software, paid once, and of the infrastructure."),
            field=missing,
        )


def exact(amount: Decimal, currency: str, field: str) -> int:
    """The amount in smallest units; a price is never rounded. Raises `Refused` at that field."""
    if not amount.is_finite() or amount < 0:
        raise Refused(_("A price is not below zero."), field=field)
    if amount.adjusted() > 15:
        raise Refused(_("This is too much."), field=field)
    if money.rounded(amount, currency) != amount:
        digits = money.minor_digits(currency)
        raise Refused(
            ngettext("%(currency)s has one decimal place.", "%(currency)s has %(num)s decimal places.", digits,
                     currency=currency),
            field=field,
        )  # fmt: skip
    units = money.to_minor(amount, currency)
    if units >= LARGEST_PRICE:
        raise Refused(_("This is too much."), field=field)
    return units


def _today(by: Member) -> date:
    return clock.today(by.account.time_zone)

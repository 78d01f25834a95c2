"""Amounts that explain themselves (X-4): a calculation in the person's words, for the *why* beside every amount.

`explained(amount)` goes with the macros in `templates/_why.html`; preview, order and invoice show the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from flask_babel import format_date, ngettext
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from ..models import Cycle, Meter, Plan, PlanPrice
from ..periods import Period
from ..pricing import Amount, Line
from ..tax import Case
from .formats import shown

PARTS = {
    "base": _l("Base price"),
    "upfront": _l("Software, paid once"),
    "infrastructure": _l("Infrastructure"),
    "article": _l("Article"),
    **{meter.value: meter.label for meter in Meter},
}
CASES = {
    Case.DOMESTIC: "",
    Case.DESTINATION: _l("the rate of the buyer's country"),
    Case.REVERSE_CHARGE: _l("the buyer owes the tax (reverse charge)"),
    Case.EXPORT: _l("sold to a country where no tax is charged"),
    Case.UNKNOWN: _l("the seller's country is not known yet"),
}


@dataclass(frozen=True)
class ExplainedLine:
    """One line: what it is, its sum, and the words that say how it came about."""

    label: str
    sum: str  # 2 × €4.90
    about: list[str]
    amount: str


@dataclass(frozen=True)
class Explained:
    """An amount with all that is shown of it."""

    net: str
    tax: str
    tax_label: str
    gross: str
    lines: list[ExplainedLine]


def explained(amount: Amount) -> Explained:
    return Explained(
        net=_money(amount.net, amount.currency),
        tax=_money(amount.tax, amount.currency),
        tax_label=_tax_label(amount),
        gross=_money(amount.gross, amount.currency),
        lines=[_line(line, amount.currency) for line in amount.lines],
    )


def _line(line: Line, currency: str) -> ExplainedLine:
    label = str(PARTS[line.what]) if line.what != "article" else line.name
    if line.name and line.what != "article":
        label = f"{line.name} · {label}"
    return ExplainedLine(
        label=_("Credit: %(what)s", what=label) if line.credit else label,
        sum=_sum(line, currency),
        about=list(_about(line, currency)),
        amount=_money(line.amount, currency),
    )


def _sum(line: Line, currency: str) -> str:
    quantity, price = shown(line.quantity, "number"), _money(line.unit_price, currency)
    if line.per == 1:
        return f"{quantity} × {price}"
    return _("%(quantity)s at %(price)s for %(per)s", quantity=quantity, price=price, per=shown(line.per, "number"))


def _about(line: Line, currency: str) -> Any:
    if line.ordered is not None:
        yield _("%(ordered)s ordered, %(included)s included", ordered=shown(line.ordered, "number"),
                included=shown(line.included, "number"))  # fmt: skip
    if line.period is not None:
        yield period_in_words(line.part or line.period)
    if line.part is not None and line.period is not None:
        yield ngettext("%(num)s of %(all)s day of the period", "%(num)s of %(all)s days of the period",
                       line.part.days, all=line.period.days)  # fmt: skip
    if line.most is not None and line.exact == -line.most:
        yield _("limited to what is left of what was paid")
    if line.exact != line.amount:
        exact = shown(line.exact.quantize(Decimal("0.00001")).normalize(), "number")
        yield _("%(exact)s, rounded half up", exact=exact)


def period_in_words(period: Period) -> str:
    """The days of a half-open period as people name them, the last one included."""
    last = period.beyond.fromordinal(period.beyond.toordinal() - 1)
    first = format_date(period.first, "medium", rebase=False)
    return f"{first} – {format_date(last, 'medium', rebase=False)}"


def _tax_label(amount: Amount) -> str:
    rate = _("Tax, %(rate)s %%", rate=shown(amount.tax_rate.normalize(), "number"))
    why = str(CASES[Case(amount.tax_case)])
    return f"{rate}: {why}" if why else rate


def _money(value: Decimal, currency: str) -> str:
    return shown(value, "money", currency)


# --- prices ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Offer:
    """A plan as it is compared with others, in one currency (L-7)."""

    plan: Plan
    price: str
    every: str
    facts: list[tuple[str, str, str]]  # what, how much is included, how far it goes and what more of it costs
    grants: list[str]  # what comes with it besides
    terms: list[str]


def offer_of(plan: Plan, price: PlanPrice) -> Offer:
    return Offer(
        plan=plan,
        price=_money(price.amount("base"), price.currency),
        every=_("a year") if plan.period is Cycle.YEARLY else _("a month"),
        facts=[_fact(plan, price, meter) for meter in Meter if _is_about(plan, price, meter)],
        grants=list(_grants(plan)),
        terms=list(_terms(plan, price)),
    )


def _is_about(plan: Plan, price: PlanPrice, meter: Meter) -> bool:
    """Whether the plan gives any of it, included or to be had besides."""
    limit = plan.limit(meter)
    return bool(plan.included(meter) or limit or (limit is None and price.amount(meter.value)))


def _fact(plan: Plan, price: PlanPrice, meter: Meter) -> tuple[str, str, str]:
    included = _("%(count)s included", count=shown(plan.included(meter), "number"))
    return str(meter.label), included, _beyond(plan, price, meter)


def _beyond(plan: Plan, price: PlanPrice, meter: Meter) -> str:
    """How far it goes, and what one more costs, where there can be more."""
    each, limit = price.amount(meter.value), plan.limit(meter)
    words = [_("without limit") if limit is None else _("up to %(limit)s", limit=shown(limit, "number"))]
    if each and limit != plan.included(meter):
        words.append(_("%(price)s for each more", price=_money(each, price.currency)))
    return " · ".join(words)


def _grants(plan: Plan) -> Any:
    if plan.trial_months:
        yield ngettext("First month free", "First %(num)s months free", plan.trial_months)
    if plan.product.locations:
        yield _("Data in: %(places)s", places=", ".join(str(place.label) for place in plan.product.data_locations))


def _terms(plan: Plan, price: PlanPrice) -> Any:
    yield _("Payment: %(modes)s", modes=" / ".join(str(mode.label) for mode in plan.payment_modes))
    if price.is_sold_upfront:
        yield _(
            "Or pay the software once: %(upfront)s, then %(rest)s for the infrastructure",
            upfront=_money(price.amount("upfront"), price.currency),
            rest=_money(price.amount("infrastructure"), price.currency),
        )
    if any(plan.limit(meter) is not None for meter in Meter):
        yield _("Above the limits: %(what)s", what=plan.beyond.label)


def price_facts(price: Any) -> list[str]:
    """The amounts of a price, in the order of its columns; empty where it has none."""
    amounts = dict(price.amounts())
    return [_money(amounts[name], price.currency) if name in amounts else "" for name in price.AMOUNTS]

"""What plans and articles cost: every price on their page, and the question that sets another (L-7, M-11)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, ClassVar

from flask import render_template, request
from flask_appbuilder import expose
from flask_appbuilder.security.decorators import has_access
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import SelectField
from wtforms.validators import InputRequired, Optional

from .. import clock
from ..models import ArticlePrice, PlanPrice
from ..services import plans
from ..ui.acting import from_htmx, may, me
from ..ui.archived import CatalogueView
from ..ui.explaining import price_facts
from ..ui.fields import LocalDateField, LocalDecimalField, currencies
from ..ui.formats import first_price, shown, time_zone
from ..ui.page import Action

REQUIRED = InputRequired(_l("Please fill this in."))
AMOUNTS = {
    "base": _l("Base price"),
    "users": _l("One more user"),
    "terminals": _l("One more terminal"),
    "disk": _l("One more GB"),
    "upfront": _l("Software, paid once"),
    "infrastructure": _l("Infrastructure afterwards"),
    "unit": _l("Price of one"),
}


class PricedView(CatalogueView):
    """A part of the catalogue with prices, each in one currency from a day on; `prices_of` says which amounts."""

    prices_of: ClassVar[type[PlanPrice] | type[ArticlePrice]]

    @expose("/show/<int:pk>")
    @has_access
    def show(self, pk: int) -> Any:
        row = self.row(pk)
        prices = _priced_lines(row.prices, clock.today(time_zone()))
        labels = [str(AMOUNTS[name]) for name in self.prices_of.AMOUNTS]
        return render_template("priced.html", page=self.detail_page(row), prices=prices, price_labels=labels)

    def questions(self, row: Any) -> list[Action]:
        return [self._question(row, "price", _("Set price"), "cash")] if may(f"{self.noun}.price") else []

    @expose("/price/<int:pk>", methods=["GET", "POST"])
    @has_access
    def price(self, pk: int) -> Any:
        """What it costs in one currency from a day on; what counts now is proposed, best in the own currency."""
        row = self.row(pk)
        form = self._price_form(row)
        lead = _("From that day on it counts for new subscriptions and for renewals. What runs keeps its price.")
        if self.prices_of is ArticlePrice:
            lead = _("From that day on it counts for new orders. What has been ordered keeps its price.")
        return self._ask(
            self._question_page(row, "price", form, _l("Set price of %(name)s"), _("Set price"), lead=lead),
            lambda: plans.set_price(
                row, form.currency.data, on=form.valid_from.data, amounts=amounts(form, self.prices_of), by=me()
            ),
            _("The price of “%(name)s” is set.", name=row.name),
        )

    def _price_form(self, row: Any) -> FlaskForm:
        """With what counts now; in the dialog another currency, once it is chosen, brings its own amounts."""
        own, today, asked = me().account.currency, clock.today(me().account.time_zone), request.args.get("currency")
        now = {price.currency: dict(price.amounts()) for price in row.prices_on(today)}
        currency = asked or (own if own in now else next(iter(now), own))
        form = price_form(self.prices_of)(data={"valid_from": today, "currency": currency} | now.get(currency, {}))
        if asked:
            _keep_typed(form, now.get(request.args.get("was", ""), {}), self.prices_of.AMOUNTS)
        if from_htmx():
            form.currency.render_kw = _fetching(self.url("price", pk=row.id, was=form.currency.data))
        return form


def _keep_typed(form: Any, proposed: dict[str, Any], names: tuple[str, ...]) -> None:
    """Of what the form held before, all that is not what was proposed there."""
    typed = type(form)(request.args, meta={"csrf": False})
    if typed.valid_from.data:
        form.valid_from.process_data(typed.valid_from.data)
    for name in names:
        if typed[name].raw_data and typed[name].data != proposed.get(name):
            form[name].process(request.args)
    form[names[0]].render_kw = {"autofocus": True}


def _fetching(url: str) -> dict[str, str]:
    """The form is fetched anew when the input changes."""
    sent = {"hx-include": "closest form", "hx-params": "not csrf_token"}
    return {"hx-get": url, "hx-trigger": "change", "hx-target": "#dialog-body", **sent}


def prices_in_words(row: Any) -> str:
    """What it costs today, in each currency."""
    return " · ".join(map(first_price, row.prices_on(clock.today(time_zone()))))


def price_form(prices_of: Any) -> type[FlaskForm]:
    day = {"valid_from": LocalDateField(_l("From"), [REQUIRED])}
    return type("PriceForm", (FlaskForm,), day | price_fields(prices_of))


def price_fields(prices_of: Any) -> dict[str, Any]:
    """The inputs of a price: the first amount is needed, the rest may be empty."""
    first = prices_of.AMOUNTS[0]
    inputs = {
        name: LocalDecimalField(AMOUNTS[name], [REQUIRED if name == first else Optional()])
        for name in prices_of.AMOUNTS
    }
    return {"currency": SelectField(_l("Currency"), choices=currencies)} | inputs


def amounts(form: Any, prices_of: Any) -> dict[str, Any]:
    return {name: form[name].data for name in prices_of.AMOUNTS}


@dataclass(frozen=True)
class PricedLine:
    currency: str
    since: str
    amounts: list[str]
    status: str
    tone: str


def _priced_lines(prices: list[Any], today: date) -> list[PricedLine]:
    """Every price there was, is and will be; the newest of each currency first."""
    ordered = sorted(prices, key=lambda price: (price.currency, -price.valid_from.toordinal()))
    return [PricedLine(p.currency, shown(p.valid_from, "date"), price_facts(p), *_when(p, prices, today))
            for p in ordered]  # fmt: skip


def _when(price: Any, prices: list[Any], today: date) -> tuple[str, str]:
    if price.valid_from > today:
        return _("to come"), "azure"
    newer = any(price.currency == p.currency and price.valid_from < p.valid_from <= today for p in prices)
    return (_("past"), "secondary") if newer else (_("now"), "green")

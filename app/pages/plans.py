"""Products and plans; and *View plans*, which shows them side by side (I-1, L-7, M-10)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

from flask import render_template, request
from flask_appbuilder import expose
from flask_appbuilder.security.decorators import has_access, permission_name
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext
from sqlalchemy import select
from wtforms import BooleanField, SelectMultipleField

from .. import clock
from ..extensions import db
from ..models import DataLocation, Meter, Operation, PaymentMode, Plan, PlanPrice, Product, sort_key
from ..services import plans
from ..ui.acting import may, me
from ..ui.archived import CatalogueView, archiving
from ..ui.columns import Field, changed
from ..ui.explaining import Offer, offer_of
from ..ui.fields import choices
from ..ui.formats import shown, time_zone
from ..ui.interface import Table
from ..ui.listing import Listing
from ..ui.page import Empty, FieldGroup, Link
from .prices import PricedView, amounts, price_fields, prices_in_words

TEXTS = {
    "name": _l("Name"),
    "key": _l("Key"),
    "description": _l("Description"),
    "name_en": _l("Name in English"),
    "name_de": _l("Name in German"),
    "description_en": _l("Description in English"),
    "description_de": _l("Description in German"),
}
TEXT_HELPS = {
    "key": _l("Its name in the API; it cannot be changed later."),
    "name_de": _l("One of the two is enough."),
}
MODES = {
    PaymentMode.PREPAID: _l("Can be paid in advance"),
    PaymentMode.POSTPAID: _l("Can be paid in arrears"),
}


class ProductsView(CatalogueView):
    """The services on offer, and of which type they are."""

    route_base = "/products"
    datamodel = Table(Product)
    noun = "product"
    list_title = _l("Products")
    list_lead = _l("The services you offer; their plans say what they cost.")
    add_title = add_label = _l("Add product")
    label_columns = TEXTS | {"type": _l("Type"), "places": _l("Data locations"), "created_at": _l("Created")}
    help_columns = TEXT_HELPS | {
        "type": _l("Cloud and SaaS can be sold, renewed and upgraded; on-premise can be renewed and upgraded alone."),
    }
    list_columns = ["name", "key", "type", "places", "description"]
    edit_columns = ["name_en", "name_de", "description_en", "description_de"]
    add_columns = ["key", "type", *edit_columns]
    search = ("name", "key", "description")
    empty_title = _l("No products yet")
    empty_text = _l("Add the services you offer, then plans that say what they cost.")

    def _init_forms(self) -> None:
        super()._init_forms()
        places = choices((one.value, one.label) for one in DataLocation)
        locations = {"locations": SelectMultipleField(_l("Data locations"), choices=places)}
        self.add_form = type("ProductForm", (self.add_form,), locations)
        self.edit_form = type("ProductForm", (self.edit_form,), locations)

    def fields(self, names: Any = None) -> dict[str, Field]:
        places = {"value": lambda product: ", ".join(str(place.label) for place in product.data_locations)}
        return changed(super().fields(names), places=places)

    def field_groups(self, fields: Any) -> Any:
        last = ("locations", "description_en", "description_de")
        return _grouped(fields, ("key", "type", "name_en", "name_de"), last)

    def create(self, form: Any) -> Product:
        return plans.define_product(by=me(), **{name: form[name].data for name in (*self.add_columns, "locations")})

    def change(self, row: Product, form: Any) -> None:
        facts = {name: form[name].data for name in (*self.edit_columns, "locations")}
        plans.change_product(row, by=me(), **facts)

    archive, restore = archiving(
        confirm=_l("Archive these products? Their plans are sold no longer; subscriptions there are go on."),
        archived=lambda num: ngettext("One product was archived.", "%(num)s products were archived.", num),
        restored=lambda num: ngettext("One product was restored.", "%(num)s products were restored.", num),
    )


class PlansView(PricedView):
    """The price models: what a subscription to a product costs, includes and allows (M-10, L-7)."""

    route_base = "/plans"
    datamodel = Table(Plan)
    noun = "plan"
    prices_of = PlanPrice
    list_title = _l("Plans")
    list_lead = _l("What subscriptions cost, include and allow.")
    show_title = _l("Plan")
    add_title = add_label = _l("Add plan")
    include_route_methods = CatalogueView.include_route_methods | {"show", "compare", "price"}
    label_columns = TEXTS | {
        "product.name": _l("Product"),
        "product_id": _l("Product"),
        "price": _l("Base price"),
        "period": _l("Billed"),
        "payment": _l("Payment"),
        "trial_months": _l("Free months"),
        "renewal": _l("Renewal counts"),
        "renewal_window": _l("Renewable, days before the end"),
        "beyond": _l("Above the limits"),
        "included_users": _l("Users included"),
        "included_terminals": _l("Terminals included"),
        "included_disk": _l("GB included"),
        "limit_users": _l("Users at most"),
        "limit_terminals": _l("Terminals at most"),
        "limit_disk": _l("GB at most"),
    }
    help_columns = TEXT_HELPS | {
        "limit_users": _l("Empty: without limit."),
        "limit_terminals": _l("Empty: without limit."),
        "limit_disk": _l("Empty: without limit."),
        "trial_months": _l("Where billing is postponed: so many months free, then pay or cancel."),
    }
    list_columns = ["name", "key", "product.name", "price", "period", "description"]
    limit_columns = [f"{what}_{meter}" for meter in Meter for what in ("included", "limit")]
    edit_columns = [
        "name_en", "name_de", "description_en", "description_de", "period", "trial_months", "renewal", "renewal_window",
        *limit_columns, "beyond",
    ]  # fmt: skip
    add_columns = ["product_id", "key", *edit_columns]
    search = ("name", "key", "product.name", "description")
    form_groups = (
        ("", ("product_id", "key", "name_en", "name_de")),
        (_l("Price"), ("currency", *PlanPrice.AMOUNTS)),
        (_l("Terms"), ("period", "trial_months", *PaymentMode, "renewal", "renewal_window")),
        (_l("Included and limits"), (*limit_columns, "beyond")),
    )
    sections = (
        ("overview", _l("Overview"), ("product.name", "key", "period", "payment", "trial_months", "renewal",
                                      "renewal_window", "description")),
        ("limits", _l("Included and limits"), (*limit_columns, "beyond")),
    )  # fmt: skip
    empty_title = _l("No plans yet")
    empty_text = _l("Add the price models your accounts can choose from.")

    def _init_forms(self) -> None:
        super()._init_forms()
        modes = {mode.value: BooleanField(MODES[mode], default=mode is PaymentMode.PREPAID) for mode in PaymentMode}
        self.edit_form = type("PlanForm", (self.edit_form,), modes)
        self.add_form = type("PlanForm", (self.add_form,), modes | price_fields(PlanPrice))

    def fields(self, names: Any = None) -> dict[str, Field]:
        return changed(
            super().fields(names),
            price={"value": prices_in_words},
            payment={"value": lambda plan: ", ".join(str(mode.label) for mode in plan.payment_modes)},
            description={"kind": "long"},
            **{f"limit_{meter}": _limit_column(meter) for meter in Meter},
        )

    def tools(self, listing: Listing) -> list[Link]:
        return [Link(_("View plans"), self.url("compare"), "layout-grid"), *super().tools(listing)]

    def create(self, form: Any) -> Plan:
        facts = {name: form[name].data for name in (*self.add_columns, *PaymentMode) if name != "product_id"}
        facts |= {"product": db.session.get(Product, form.product_id.data), "amounts": amounts(form, PlanPrice)}
        return plans.define_plan(currency=form.currency.data, by=me(), **facts)

    def change(self, row: Plan, form: Any) -> None:
        plans.change_plan(row, by=me(), **{name: form[name].data for name in (*self.edit_columns, *PaymentMode)})

    archive, restore = archiving(
        confirm=_l("Archive these plans? They can be chosen no longer; accounts that have them keep them."),
        confirm_one=_l("Archive “%(name)s”? It can be chosen no longer; accounts that have it keep it."),
        archived=lambda num: ngettext("One plan was archived.", "%(num)s plans were archived.", num),
        restored=lambda num: ngettext("One plan was restored.", "%(num)s plans were restored.", num),
    )

    @expose("/compare")
    @has_access
    @permission_name("list")
    def compare(self) -> Any:
        """*View plans*: side by side, in the currency asked for."""
        today = clock.today(time_zone())
        offered = list(db.session.scalars(select(Plan).where(Plan.archived_at.is_(None))))
        offered = [plan for plan in offered if not plan.product.is_archived]
        known = sorted({price.currency for plan in offered for price in plan.prices_on(today)})
        currency = _chosen(known)
        return render_template(
            "plans_compare.html",
            back=Link(str(self.list_title), self.url("list")),
            products=_by_product(offered, today, currency),
            currencies=[Link(one, self.url("compare", currency=one), active=one == currency) for one in known],
            may_add=may("subscription.add"),
            empty=Empty(str(self.empty_title), "", self._add_link()),
        )


def _grouped(fields: Any, *groups: Iterable[str]) -> list[FieldGroup]:
    by_name = {field.name: field for field in fields}
    return [FieldGroup("", [by_name[name] for name in names if name in by_name]) for names in groups]


def _limit_column(meter: Meter) -> dict[str, Any]:
    """The limit, or that there is none."""
    def words(plan: Plan) -> str:
        limit = plan.limit(meter)
        return _("without limit") if limit is None else shown(limit, "number")

    return {"value": words, "kind": "text"}


# --- side by side ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shelf:
    """A product as the heading of its plans."""

    id: int
    name: str
    type: Any
    description: str
    sells: bool


def _chosen(known: list[str]) -> str:
    """The currency asked for, or the acting account's, or whichever there is."""
    wanted = (request.args.get("currency", ""), me().account.currency, *known)
    return next((one for one in wanted if one in known), "")


def _by_product(offered: list[Plan], today: date, currency: str) -> list[tuple[Shelf, list[Offer]]]:
    """What is sold first, then what can only be renewed and upgraded."""
    shelves: dict[int, tuple[Shelf, list[Offer]]] = {}
    for plan in sorted(offered, key=lambda one: (*_place(one.product), _cost(one, today, currency))):
        price = plan.price_on(today, currency)
        if price is not None:
            product = plan.product
            shelf = Shelf(product.id, product.name, product.type, product.description, product.allows(Operation.SELL))
            shelves.setdefault(product.id, (shelf, []))[1].append(offer_of(plan, price))
    return list(shelves.values())


def _place(product: Product) -> tuple[bool, str]:
    return not product.allows(Operation.SELL), sort_key(product.name)


def _cost(plan: Plan, today: date, currency: str) -> tuple[int, str]:
    """By what a month costs, the cheapest first."""
    price = plan.price_on(today, currency)
    return (price.base_minor // plan.period.months if price else 0, plan.key)

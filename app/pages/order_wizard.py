"""New orders: tiles, then step after step to a summary (I-2, I-3, I-8, L-10).

Every step is saved as a draft in the database, so that it survives a reload and goes on at another device. Beside each
step stands what it would cost, worked out by the code that places it.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from flask import Response, abort, flash, redirect, render_template, request, url_for
from flask_appbuilder import BaseView, expose
from flask_appbuilder.security.decorators import has_access, permission_name
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from sqlalchemy import select

from ..errors import Conflict, Refused
from ..extensions import db
from ..models import Order, OrderKind, OrderStatus, ProductType
from ..services import offers, orders
from ..tenancy import current_scope
from ..ui.acting import from_htmx, me
from ..ui.explaining import explained
from ..ui.formats import shown
from ..ui.page import Link
from ..ui.view import find
from . import order_steps
from .order_steps import STEP_FORMS

TITLES = {
    "plan": _l("Plan and terms"),
    "customer": _l("Customer"),
    "instance": _l("Domain and access"),
    "subscription": _l("Subscription"),
    "products": _l("Products"),
    "summary": _l("Summary"),
}
MOST_DRAFTS = 5  # offered to go on with


@dataclass(frozen=True)
class Step:
    """One step, as the line above the form shows it."""

    key: str
    label: str
    url: str  # empty: not to be gone to yet
    is_here: bool
    is_done: bool


@dataclass(frozen=True)
class Tile:
    """A way to begin an order."""

    title: str
    text: str
    icon: str
    ways: list[tuple[OrderKind, str, str]]  # kind, product type, label; the first is the main one


class OrderWizard(BaseView):
    """The way from a tile to a placed order."""

    route_base = "/orders"
    class_permission_name = "order"
    default_view = "new"

    @expose("/new", methods=["GET", "POST"])
    @has_access
    @permission_name("add")
    def new(self) -> Any:
        """What can be ordered, one tile for each; and the drafts one has left."""
        if request.method == "POST":
            return self._begin()
        return render_template("order_new.html", tiles=_tiles(), drafts=_drafts(), form_key=secrets.token_urlsafe(16))

    def _begin(self) -> Response:
        kind, type_ = request.form.get("kind", ""), request.form.get("product_type", "")
        if kind not in set(OrderKind) or type_ not in {"", *ProductType}:
            abort(404)
        product_type = ProductType(type_) if type_ else None
        key = request.form.get("form_key", "")
        order = orders.begin(OrderKind(kind), form_key=key, by=me(), product_type=product_type)
        db.session.flush()
        return redirect(url_of(order))

    @expose("/plan/<int:pk>", methods=["GET", "POST"])
    @has_access
    @permission_name("add")
    def plan(self, pk: int) -> Any:
        return self._step(pk, "plan")

    @expose("/customer/<int:pk>", methods=["GET", "POST"])
    @has_access
    @permission_name("add")
    def customer(self, pk: int) -> Any:
        return self._step(pk, "customer")

    @expose("/instance/<int:pk>", methods=["GET", "POST"])
    @has_access
    @permission_name("add")
    def instance(self, pk: int) -> Any:
        return self._step(pk, "instance")

    @expose("/subscription/<int:pk>", methods=["GET", "POST"])
    @has_access
    @permission_name("add")
    def subscription(self, pk: int) -> Any:
        return self._step(pk, "subscription")

    @expose("/products/<int:pk>", methods=["GET", "POST"])
    @has_access
    @permission_name("add")
    def products(self, pk: int) -> Any:
        return self._step(pk, "products")

    @expose("/summary/<int:pk>", methods=["GET", "POST"])
    @has_access
    @permission_name("add")
    def summary(self, pk: int) -> Any:
        """Everything once more, with the price; confirmed, it is ordered."""
        order = _draft(pk)
        if order.status is not OrderStatus.DRAFT:
            return _has_been_placed(order)
        if step := offers.missing(order):
            return redirect(_url(step, order))
        if request.method == "POST":
            return self._place(order)
        return self._summary(order)

    def _place(self, order: Order) -> Any:
        try:
            orders.place(order, seen=request.form.get("seen", ""), by=me())
            db.session.flush()
        except Conflict:
            db.session.rollback()
            return _has_been_placed(order)
        except Refused as refusal:
            db.session.rollback()
            return self._summary(order, refusal), 422
        flash(_("%(order)s is ordered.", order=order), "success")
        return redirect(url_for("OrdersView.show", pk=order.id))

    def _summary(self, order: Order, refusal: Refused | None = None) -> Any:
        problem, offer = refusal, None
        try:
            offer = offers.of(order, by=me())
        except Refused as error:
            problem = problem or error
        return render_template(
            "order_summary.html",
            order=order,
            steps=_steps(order, "summary"),
            told=order_steps.told(order, offer),
            problem=problem.sentence if problem else "",
            mend=_mend(order, problem) if problem else None,
            **_price(order, offer, problem),
            form=FlaskForm(),
        )

    @expose("/preview/<int:pk>", methods=["POST"])
    @has_access
    @permission_name("add")
    def preview(self, pk: int) -> str:
        """What it would cost if a step were answered as the form stands now. Nothing is saved."""
        order, step = _draft(pk), request.args.get("step", "")
        if order.status is not OrderStatus.DRAFT or step not in offers.steps_of(order):
            abort(404)
        form = STEP_FORMS[step].of(order)
        form.validate()
        return render_template("_order_price.html", order=order, **_preview(order, step, form))

    @expose("/discard/<int:pk>", methods=["POST"])
    @has_access
    @permission_name("add")
    def discard(self, pk: int) -> Response:
        order = _draft(pk)
        orders.discard(order, by=me())
        flash(_("The draft was discarded."), "success")
        return redirect(url_for("OrderWizard.new"))

    # --- one step ---

    def _step(self, pk: int, step: str) -> Any:
        order = _draft(pk)
        if order.status is not OrderStatus.DRAFT:
            return _has_been_placed(order)
        if step not in offers.steps_of(order):
            abort(404)
        if from_htmx() and request.method == "GET":
            return order_steps.part(order, step)
        form = STEP_FORMS[step].of(order)
        if request.method != "POST" or not form.validate():
            return self._page(order, step, form)
        try:
            orders.answer(order, step, form.facts(), by=me())
        except Refused as refusal:
            db.session.rollback()
            form.refuse(refusal)
            return self._page(order, step, form)
        return redirect(url_of(order, after=step))

    def _page(self, order: Order, step: str, form: Any) -> Any:
        page = render_template(
            f"order_{step}.html",
            order=order,
            step=step,
            title=str(TITLES[step]),
            steps=_steps(order, step),
            form=form,
            url=_url(step, order),
            preview_url=url_for("OrderWizard.preview", pk=order.id, step=step),
            **form.more(order),
            **_preview(order, step, form),
        )
        return page, 422 if form.errors or form.form_errors else 200


def _draft(pk: int) -> Order:
    """A draft of the account one acts in; others may be seen, and are not written."""
    order = find(Order, pk)
    if order.status is OrderStatus.DRAFT and order.account_id != current_scope().account_id:
        abort(403)
    return order


def _has_been_placed(order: Order) -> Response:
    """Whoever comes back to a step, or confirms twice, is led to what has become of it."""
    flash(_("%(order)s has been placed already.", order=order), "info")
    return redirect(url_for("OrdersView.show", pk=order.id))


def url_of(order: Order, *, after: str = "") -> str:
    """Where a draft goes on: with the step after that one, or the first that is missing."""
    steps = [*offers.steps_of(order), "summary"]
    if after and offers.missing(order) not in steps[: steps.index(after) + 1]:
        return _url(steps[steps.index(after) + 1], order)
    return _url(offers.missing(order) or "summary", order)


def _url(step: str, order: Order) -> str:
    return url_for(f"OrderWizard.{step}", pk=order.id)


def _steps(order: Order, here: str) -> list[Step]:
    names = [*offers.steps_of(order), "summary"]
    missing = offers.missing(order) or "summary"
    return [
        Step(
            key=name,
            label=str(TITLES[name]),
            url=_url(name, order) if names.index(name) <= names.index(missing) and name != here else "",
            is_here=name == here,
            is_done=name in order.answers,
        )
        for name in names
    ]


# --- the price ---------------------------------------------------------------------------------------------------


def _preview(order: Order, step: str, form: Any) -> dict[str, Any]:
    """The price as a step stands; where it cannot be told yet, why."""
    try:
        if form.unreadable:
            raise Refused(form.unreadable)
        return _price(order, offers.preview(order, step, form.facts(), by=me()), None)
    except Refused as refusal:
        return _price(order, None, refusal)


def _price(order: Order, offer: Any, problem: Refused | None) -> dict[str, Any]:
    return {
        "amount": explained(offer.amount) if offer else None,
        "seen": str(offer.amount.gross) if offer else "",
        "with_tax": bool(offer) and (order.kind is not OrderKind.SUBSCRIBE or "customer" in order.answers),
        "notes": order_steps.notes(order, offer) if offer else [],
        "why_not": problem.sentence if problem else "",
    }


def _mend(order: Order, problem: Refused) -> Link | None:
    """The step at which a problem can be mended."""
    step = order_steps.step_of(order, problem.field)
    return Link(_("Go to “%(step)s”", step=TITLES[step]), _url(step, order)) if step else None


# --- beginning ---------------------------------------------------------------------------------------------------


def _tiles() -> list[Tile]:
    def later(type_: str) -> list[tuple[OrderKind, str, str]]:
        return [(OrderKind.RENEW, type_, _("Renew")), (OrderKind.UPGRADE, type_, _("Upgrade"))]

    return [
        Tile(
            str(ProductType.CLOUD.label),
            _("An instance of its own for your customer, under their own domain."),
            "server",
            [(OrderKind.SUBSCRIBE, "cloud", _("Order cloud")), *later("cloud")],
        ),
        Tile(
            str(ProductType.SAAS.label),
            _("A place in the shared service, ready at once, in the currency of your choice."),
            "world",
            [(OrderKind.SUBSCRIBE, "saas", _("Order SaaS")), *later("saas")],
        ),
        Tile(
            str(ProductType.ON_PREMISE.label),
            _("Not sold anew: renew or upgrade a license that exists."),
            "building",
            later("on-premise"),
        ),
        Tile(
            _("Licenses"),
            _("More users, assets or volume for a running subscription, as many products as you like."),
            "license",
            [(OrderKind.LICENSES, "", _("Buy licenses"))],
        ),
    ]


def _drafts() -> list[dict[str, str]]:
    """The drafts of the acting account, the newest first."""
    scope = current_scope()
    mine = select(Order).where(Order.account_id == scope.account_id, Order.status == OrderStatus.DRAFT)
    found = db.session.scalars(mine.order_by(Order.id.desc()).limit(MOST_DRAFTS))
    return [
        {
            "title": order.customer or str(order.kind.label),
            "about": " · ".join([*_about(order), _("begun %(when)s by %(who)s", when=begun, who=order.author)]),
            "next": str(TITLES[offers.missing(order) or "summary"]),
            "url": url_of(order),
            "discard_url": url_for("OrderWizard.discard", pk=order.id),
        }
        for order, begun in ((order, shown(order.created_at, "moment")) for order in found)
    ]


def _about(order: Order) -> list[str]:
    """What a draft is beside its title: the kind, unless it is the title, and the type of product."""
    said = [str(order.kind.label)] if order.customer else []
    return [*said, str(order.product_type.label)] if order.product_type else said

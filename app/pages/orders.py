"""Orders and their fulfilment: the list, an order's page, the operator's board (L-9, I-10)."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from flask import flash, render_template, request, url_for
from flask_appbuilder import expose
from flask_appbuilder.security.decorators import has_access, permission_name
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext
from flask_wtf import FlaskForm
from sqlalchemy import select
from sqlalchemy.orm import joinedload, selectinload
from wtforms.validators import Length

from .. import domains
from ..errors import Refused
from ..extensions import db
from ..models import (
    Account,
    Fulfilment,
    FulfilmentStatus,
    Order,
    OrderKind,
    OrderLine,
    OrderStatus,
    Subscription,
)
from ..services import fulfilment, orders, quotes
from ..services.above import office_above
from ..tenancy import current_scope, is_by_consent
from ..ui.acting import may, me
from ..ui.columns import TONES, Field, changed
from ..ui.explaining import explained
from ..ui.fields import Trimmed, reason_field
from ..ui.formats import shown
from ..ui.interface import Table
from ..ui.listing import Listing
from ..ui.page import Action, Cell, DetailPage, Empty, FormPage, Link
from ..ui.view import BackOfficeView, command, find, leave_form
from .order_wizard import url_of

SHOWN_DONE = 12  # on the board, of what is done
OPEN = (FulfilmentStatus.PENDING, FulfilmentStatus.IN_PROGRESS, FulfilmentStatus.FAILED)


class CancelForm(FlaskForm):
    reason = reason_field(orders.LONGEST_REASON, _l("Author and customer read it."))


class FailForm(FlaskForm):
    reason = reason_field(fulfilment.LONGEST_REASON, _l("Everybody who sees the order reads it."))


class FulfilForm(FlaskForm):
    address = Trimmed(
        _l("Address of the instance"), [Length(max=300)], description=_l("It stands in the mail with the credentials.")
    )


class OrdersView(BackOfficeView):
    """What has been ordered by the acting account, for it, and beneath; drafts of the own."""

    route_base = "/orders"
    datamodel = Table(Order)
    noun = "order"
    list_title = _l("Orders")
    list_lead = _l("What has been ordered, for whom, and how far it is.")
    show_title = _l("Order")
    label_columns = {
        "public_id": _l("Order"),
        "kind": _l("Kind"),
        "customer": _l("Customer"),
        "status": _l("Status"),
        "gross": _l("Total"),
        "currency": _l("Currency"),
        "domain": _l("Domain"),
        "administrator": _l("User name of the administrator"),
        "credentials_to": _l("Credentials go to"),
        "plan.name": _l("Plan"),
        "resource_group.name": _l("Resource group"),
        "payment_mode": _l("Payment"),
        "location": _l("Data location"),
        "postponed": _l("Postponed billing"),
        "reference": _l("Own reference"),
        "remark": _l("Remark"),
        "author": _l("Ordered by"),
        "ordered_by": _l("Ordering account"),
        "created_at": _l("Begun"),
        "placed_at": _l("Placed"),
        "ended_at": _l("Ended"),
        "reason": _l("Reason"),
        "delete_on": _l("Deleted on"),
    }
    list_columns = [
        "public_id", "kind", "customer", "status", "gross", "plan.name", "domain", "reference", "author", "placed_at",
        "created_at",
    ]  # fmt: skip
    more_columns = ("currency",)
    totaled = ("gross",)
    search = ("public_id", "customer", "domain", "reference", "author")
    order = ("-created_at",)
    sections = (
        (
            "overview",
            _l("Overview"),
            ("customer", "plan.name", "payment_mode", "location", "postponed", "resource_group.name", "domain",
             "administrator", "credentials_to", "reference", "remark", "author", "ordered_by"),
        ),
    )  # fmt: skip
    tells_empty = False  # a renewal has no domain, an order of licenses no plan
    loads = (joinedload(Order.account), joinedload(Order.plan), joinedload(Order.calculation),
             joinedload(Order.subscription), joinedload(Order.resource_group))  # fmt: skip
    related_keys = {"account_id": Account, "subscription_id": Subscription}
    include_route_methods = {"list", "show", "export", "action_post", "related_list", "cancel", "change"}
    empty_title = _l("No orders yet")
    empty_text = _l("Order a subscription or licenses for one of your customers.")

    def fields(self, names: Any = None) -> dict[str, Field]:
        fields = super().fields(names)
        domain = {"value": lambda row: domains.shown(row.domain)}
        recipients = {"value": lambda row: ", ".join(row.credentials_to)}
        gross = {"kind": "money", "minor": (Order.gross_minor, Order.currency)}
        return changed(fields, domain=domain, gross=gross, credentials_to=recipients)

    def lead(self) -> Any:
        """A customer is told who orders for it."""
        return self.list_lead if may("order.add") else _who_orders() or self.list_lead

    def _empty(self, listing: Any, related: bool) -> Empty:
        empty = super()._empty(listing, related)
        if listing.is_filtered or related or may("order.add"):
            return empty
        return replace(empty, text=_who_orders() or _("What is ordered for you stands here."))

    def _add_link(self) -> Link | None:
        if not may("order.add"):
            return None
        return Link(_("New order"), url_for("OrderWizard.new"), icon="shopping-cart", key="n")

    def is_muted(self, row: Order) -> bool:
        return row.status is OrderStatus.CANCELLED

    def badges(self, row: Order) -> list[Cell]:
        return [self.fields(["status"])["status"].cell(row)]

    @expose("/show/<int:pk>")
    @has_access
    def show(self, pk: int) -> Any:
        row = self.row(pk)
        return render_template("order.html", page=self.detail_page(row), order=row, **_told(row))

    def detail_page(self, row: Order) -> DetailPage:
        page = super().detail_page(row)
        lead = " · ".join(filter(None, [str(row.kind.label), row.customer, row.plan.name if row.plan else ""]))
        edit = None
        if row.status is OrderStatus.DRAFT and _is_own(row) and may("order.add"):
            edit = Link(_("Continue"), url_of(row), icon="arrow-right")
        return replace(page, lead=lead, edit=edit)

    def links(self, row: Order) -> list[Link]:
        if row.subscription_id and may("subscription.show"):
            return [Link(_("Subscription"), url_for("SubscriptionsView.show", pk=row.subscription_id), "refresh")]
        return []

    def questions(self, row: Order) -> list[Action]:
        if not _may_withdraw(row):
            return []
        asked = []
        if may("order.add"):
            asked.append(self._question(row, "change", _("Change order"), "pencil"))
        if may("order.cancel"):
            asked.append(self._question(row, "cancel", _("Cancel order"), "ban", danger=True))
        return asked

    @expose("/cancel/<int:pk>", methods=["GET", "POST"])
    @has_access
    def cancel(self, pk: int) -> Any:
        row, form = self.row(pk), CancelForm()
        lead = _("Nothing of it is fulfilled then. What has been begun of an instance is deleted after 14 days.")
        page = self._question_page(
            row, "cancel", form, _l("Cancel %(name)s"), _("Cancel order"), lead=lead, danger=True
        )
        deed = partial(orders.cancel, row, reason=form.reason.data, by=me())
        return self._ask(page, deed, _("%(order)s was cancelled.", order=row))

    @expose("/change/<int:pk>", methods=["GET", "POST"])
    @has_access
    @permission_name("add")
    def change(self, pk: int) -> Any:
        """A draft that says the same; placed, it takes this order's place."""
        row, form = self.row(pk), FlaskForm()
        lead = _("You get a draft with the same answers. Once you place it, it takes the place of this order.")
        page = self._question_page(row, "change", form, _l("Change %(name)s"), _("Change order"), lead=lead)
        if request.method != "POST" or not form.validate():
            return self._render_form(form, page)
        try:
            draft = orders.change(row, form_key=f"{row}-{row.version}", by=me())
        except Refused as refusal:
            return self._refused(form, refusal, page)
        flash(_("Change what is to be different, then place the order."), "success")
        return leave_form(url_of(draft))


def _who_orders() -> str:
    """For those who do not order themselves: whom to ask, and how."""
    scope = current_scope()
    office = None if scope.kind.manages_accounts else office_above(scope.account_id)
    if office is None:
        return ""
    said = {"office": office.in_words}
    return _("%(office)s orders for you. To order something, or to change an order, please ask there.", **said)


def _is_own(row: Order) -> bool:
    return row.account_id == current_scope().account_id


def _may_withdraw(row: Order) -> bool:
    """Whether the acting account may take the order back: from above, or having placed it by the customer's consent,
    while nothing of it is fulfilled."""
    scope = current_scope()
    if not scope.kind.manages_accounts or (is_by_consent(row) and row.author_account_id != scope.account_id):
        return False
    return orders.is_open(row)


def _told(row: Order) -> dict[str, Any]:
    """What an order's page tells besides its facts."""
    lines = db.session.scalars(
        select(OrderLine)
        .where(OrderLine.order_id == row.id)
        .options(selectinload(OrderLine.fulfilment))
        .order_by(OrderLine.position)
    ).all()
    previous = db.session.get(Order, row.previous_id or row.replaces_id or 0)
    return {
        "lines": [_line(line) for line in lines],
        "amount": explained(quotes.read(row.calculation)) if row.calculation else None,
        "milestones": _milestones(row),
        "previous": previous,
        "previous_url": url_for("OrdersView.show", pk=previous.id) if previous else "",
        "deleted_on": shown(row.delete_on, "date"),
    }


def _line(line: OrderLine) -> dict[str, Any]:
    task = line.fulfilment
    return {
        "name": line.name,
        "quantity": shown(line.quantity, "number"),
        "unit": shown(line.unit_price, "money", line.currency),
        "net": shown(line.net, "money", line.currency),
        "status": Cell(str(task.status.label), "choice", tone=TONES.get(task.status.value, "")) if task else None,
        "reason": task.reason if task else "",
        "address": task.address if task else "",
    }


def _milestones(row: Order) -> list[tuple[str, str, bool, bool]]:
    """Each stop: its name, when, whether the order is there, whether it has been."""
    return [
        (str(one.status.label), shown(one.at, "moment"), one.is_now, one.at is not None) for one in row.timeline
    ]


class FulfilmentsView(BackOfficeView):
    """The operator's work: one task for each line ordered."""

    route_base = "/fulfilments"
    datamodel = Table(Fulfilment)
    noun = "fulfilment"
    list_title = _l("Fulfilment")
    list_lead = _l("Every line that has been ordered, and how far it is.")
    label_columns = {
        "order.public_id": _l("Order"),
        "account.name": _l("Account"),
        "line.name": _l("What"),
        "line.quantity": _l("Quantity"),
        "status": _l("Status"),
        "taken_by": _l("Taken by"),
        "taken_at": _l("Taken"),
        "attempts": _l("Tries"),
        "ended_at": _l("Ended"),
        "reason": _l("Reason"),
        "address": _l("Address of the instance"),
        "created_at": _l("Since"),
    }
    list_columns = [
        "order.public_id", "account.name", "line.name", "line.quantity", "status", "taken_by", "attempts", "reason",
        "created_at", "ended_at",
    ]  # fmt: skip
    search = ("order.public_id", "account.name", "taken_by", "reason")
    order = ("-created_at",)
    include_route_methods = {"list", "board", "export", "action_post", "fulfil", "fail"}
    empty_title = _l("Nothing has been ordered yet")
    empty_text = _l("Every order placed brings its tasks here.")

    def tools(self, listing: Listing) -> list[Link]:
        return [Link(_("Board"), self.url("board"), "layout-grid")]

    @expose("/board")
    @has_access
    @permission_name("list")
    def board(self) -> str:
        """The tasks by how far they are."""
        return render_template(
            "fulfilment_board.html",
            title=str(self.list_title),
            columns=[self._column(status) for status in (*OPEN, FulfilmentStatus.FULFILLED)],
            list_link=Link(_("As a list"), self.url("list"), "list-details"),
            action_url=self.url("action_post", back=self.url("board")),
            works=may("fulfilment.fulfil"),
        )

    def _column(self, status: FulfilmentStatus) -> dict[str, Any]:
        tasks = select(Fulfilment).where(Fulfilment.status == status).options(*_CARD)
        tasks = tasks.order_by(Fulfilment.id if status in OPEN else Fulfilment.ended_at.desc())
        found = list(db.session.scalars(tasks.limit(100 if status in OPEN else SHOWN_DONE)))
        return {
            "key": status.value,
            "label": str(status.label),
            "tone": TONES.get(status.value, "secondary"),
            "cards": [self._card(task) for task in found],
        }

    def _card(self, task: Fulfilment) -> dict[str, Any]:
        order = task.order
        asked = [("fulfil", _("Fulfil"), "check"), ("fail", _("Failed"), "alert-triangle")]
        done = {FulfilmentStatus.PENDING: [("take", _("Take"))], FulfilmentStatus.FAILED: [("retry", _("Try again"))],
                FulfilmentStatus.IN_PROGRESS: [("put_back", _("Put back"))]}  # fmt: skip
        in_progress = task.status is FulfilmentStatus.IN_PROGRESS
        return {
            "pk": task.id,
            "order": order,
            "order_url": url_for("OrdersView.show", pk=order.id),
            "what": f"{shown(task.line.quantity, 'number')} × {task.line.name}",
            "about": " · ".join(filter(None, [task.account.name, domains.shown(order.domain)])),
            "who": task.taken_by,
            "reason": task.reason,
            "attempts": task.attempts,
            "when": shown(task.ended_at or task.taken_at or task.created_at, "moment"),
            "questions": [Action(verb, label, icon, url=self.url(verb, pk=task.id), modal=True)
                          for verb, label, icon in asked] if in_progress else [],
            "deeds": done.get(task.status, []),
        }  # fmt: skip

    @command("take", _l("Take"), icon="user", permission="fulfil",
             offered=lambda t: t.status is FulfilmentStatus.PENDING)  # fmt: skip
    def take(self, chosen: list[Fulfilment]) -> str:
        for task in chosen:
            fulfilment.take(task, by=me())
        return ngettext("You have taken one task.", "You have taken %(num)s tasks.", len(chosen))

    @command("put_back", _l("Put back"), icon="arrow-back-up", permission="fulfil",
             offered=lambda t: t.status is FulfilmentStatus.IN_PROGRESS)  # fmt: skip
    def put_back(self, chosen: list[Fulfilment]) -> str:
        for task in chosen:
            fulfilment.put_back(task, by=me())
        return ngettext("One task was put back.", "%(num)s tasks were put back.", len(chosen))

    @command("retry", _l("Try again"), icon="refresh", permission="fulfil",
             offered=lambda t: t.status is FulfilmentStatus.FAILED)  # fmt: skip
    def retry(self, chosen: list[Fulfilment]) -> str:
        for task in chosen:
            fulfilment.retry(task, by=me())
        return ngettext("One task is in line again.", "%(num)s tasks are in line again.", len(chosen))

    @expose("/fulfil/<int:pk>", methods=["GET", "POST"])
    @has_access
    def fulfil(self, pk: int) -> Any:
        task = find(Fulfilment, pk, *_CARD)
        form = FulfilForm(address=domains.shown(task.order.domain))
        if task.order.kind is not OrderKind.SUBSCRIBE:
            del form.address
        lead = _("It takes effect at once: the subscription starts, licenses are issued, credentials are sent.")
        page = self._task_page(task, "fulfil", form, _l("Fulfil %(name)s"), _("Fulfil"), lead=lead)
        address = form.address.data if "address" in form else ""
        deed = partial(fulfilment.fulfil, task, address=address, by=me())
        return self._ask(page, deed, _("%(task)s is fulfilled.", task=task))

    @expose("/fail/<int:pk>", methods=["GET", "POST"])
    @has_access
    @permission_name("fulfil")
    def fail(self, pk: int) -> Any:
        task, form = find(Fulfilment, pk, *_CARD), FailForm()
        page = self._task_page(task, "fail", form, _l("%(name)s has failed"), _("Note failure"), danger=True)
        deed = partial(fulfilment.fail, task, reason=form.reason.data, by=me())
        return self._ask(page, deed, _("The failure of %(task)s is noted.", task=task))

    def _task_page(self, task: Fulfilment, verb: str, form: Any, title: Any, label: str, **more: Any) -> FormPage:
        page = self._form_page(form, title, self.url(verb, pk=task.id), str(task))
        return replace(page, submit_label=label, cancel_url=self.url("board"), **more)


_CARD = (joinedload(Fulfilment.order), joinedload(Fulfilment.line), joinedload(Fulfilment.account))

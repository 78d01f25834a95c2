"""The way to paying upfront, as all involved see it: calls to make, payments to note, links to send (L-8)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flask import url_for
from flask_appbuilder import expose
from flask_appbuilder.security.decorators import has_access, permission_name
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext
from flask_wtf import FlaskForm
from sqlalchemy.orm import joinedload
from wtforms.validators import InputRequired, Length

from .. import clock
from ..models import Subscription, UpfrontRequest, UpfrontStatus
from ..services import quotes, upfront
from ..ui.acting import may, me
from ..ui.columns import Field, changed
from ..ui.explaining import explained
from ..ui.fields import LocalDateField, Trimmed
from ..ui.formats import time_zone
from ..ui.interface import Table
from ..ui.listing import Listing
from ..ui.page import Action, Cell, DetailPage, Link
from ..ui.view import BackOfficeView, command
from .resource_groups import of_one_subscription

REQUIRED = InputRequired(_l("Please fill this in."))


class CallForm(FlaskForm):
    note = Trimmed(_l("Note"), [Length(max=upfront.LONGEST_NOTE)], description=_l("The account can read it."))


class PaymentForm(FlaskForm):
    on = LocalDateField(_l("Paid on"), [REQUIRED])
    reference = Trimmed(_l("Payment reference"), [Length(max=upfront.LONGEST_REFERENCE)])


class UpfrontView(BackOfficeView):
    """Requests to pay upfront; to the operator's staff they are calls to make, payments to note, links to send."""

    route_base = "/upfront"
    datamodel = Table(UpfrontRequest)
    noun = "upfront_request"
    list_title = _l("Upfront requests")
    list_lead = _l("Who wants to pay the software once, and how far that has come.")
    show_title = _l("Upfront request")
    label_columns = {
        "subscription.title": _l("Title of the subscription"),
        "subscription.public_id": _l("Subscription"),
        "account.name": _l("Account"),
        "account.contact": _l("Contact"),
        "account.phone": _l("Phone"),
        "amount": _l("Amount, net"),
        "currency": _l("Currency"),
        "status": _l("Status"),
        "requested_at": _l("Requested"),
        "requested_by": _l("Requested by"),
        "remark": _l("Remark"),
        "called_at": _l("Called"),
        "called_by": _l("Called by"),
        "call_note": _l("Note of the call"),
        "paid_on": _l("Paid on"),
        "payment_reference": _l("Payment reference"),
        "email": _l("Link sent to"),
        "sent_at": _l("Link sent"),
        "expires_at": _l("Link works until"),
        "activated_at": _l("Activated"),
        "withdrawn_at": _l("Withdrawn"),
    }
    list_columns = [
        "subscription.title", "subscription.public_id", "account.name", "account.contact", "account.phone",
        "amount", "status", "requested_at", "remark",
    ]  # fmt: skip
    more_columns = ("currency",)
    tells_empty = False  # what is still to come
    totaled = ("amount",)
    search = ("subscription.title", "subscription.public_id", "account.name", "remark")
    order = ("-requested_at",)
    related_keys = {"subscription_id": Subscription}
    include_route_methods = {"list", "show", "export", "action_post", "related_list", "call", "payment"}
    sections = (
        ("overview", _l("Overview"), ("account.name", "account.contact", "account.phone", "amount",
                                      "requested_at", "requested_by", "remark")),
        ("way", _l("So far"), ("called_at", "called_by", "call_note", "paid_on", "payment_reference", "email",
                               "sent_at", "expires_at", "activated_at", "withdrawn_at")),
    )  # fmt: skip
    loads = (
        joinedload(UpfrontRequest.account),
        joinedload(UpfrontRequest.subscription).joinedload(Subscription.plan),
    )
    empty_title = _l("No upfront requests")
    empty_text = _l("Whoever asks to pay the software of a subscription once stands here.")

    def fields(self, names: Any = None) -> dict[str, Field]:
        amount = {"kind": "money", "minor": (UpfrontRequest.amount_minor, UpfrontRequest.currency)}
        return of_one_subscription(changed(super().fields(names), amount=amount))

    def tools(self, listing: Listing) -> list[Link]:
        calls = self.url("list", **{"_flt_0_status": UpfrontStatus.REQUESTED.value})
        return [Link(_("Calls to make"), calls, "phone")] if may("upfront_request.call") else []

    def is_muted(self, row: UpfrontRequest) -> bool:
        return not row.is_open

    def badges(self, row: UpfrontRequest) -> list[Cell]:
        return [self.fields(["status"])["status"].cell(row)]

    def detail_page(self, row: UpfrontRequest) -> DetailPage:
        page, subscription = super().detail_page(row), row.subscription
        link = Link(_("Open subscription"), url_for("SubscriptionsView.show", pk=subscription.id), "receipt")
        lead = f"{subscription.public_id} · {subscription.plan.name} · {row.account.name}"
        ahead = next((one for one in page.actions if one.modal), None)
        edit = Link(ahead.label, ahead.url, ahead.icon, modal=True) if ahead else None
        actions = [one for one in page.actions if one is not ahead]
        return replace(page, title=subscription.title, links=[link], lead=lead, edit=edit, actions=actions)

    def questions(self, row: UpfrontRequest) -> list[Action]:
        offered = [
            ("call", _("Note call"), "phone", may("upfront_request.call") and row.may_become(UpfrontStatus.CALLED)),
            ("payment", _("Note payment"), "cash", may("upfront_request.pay") and row.may_become(UpfrontStatus.PAID)),
        ]
        return [self._question(row, verb, label, icon) for verb, label, icon, fits in offered if fits]

    @expose("/call/<int:pk>", methods=["GET", "POST"])
    @has_access
    def call(self, pk: int) -> Any:
        row, form = self.row(pk), CallForm()
        lead = _("%(account)s, %(contact)s, phone %(phone)s.", account=row.account.name,
                 contact=row.account.contact or "–", phone=row.account.phone or "–")  # fmt: skip
        page = self._question_page(row, "call", form, _l("Call about %(name)s"), _("Note call"), lead=lead)
        said = _("The call about %(name)s is noted; the payment is awaited.", name=row)
        return self._ask(page, lambda: upfront.note_call(row, note=form.note.data, by=me()), said)

    @expose("/payment/<int:pk>", methods=["GET", "POST"])
    @has_access
    @permission_name("pay")
    def payment(self, pk: int) -> Any:
        row = self.row(pk)
        form = PaymentForm(data={"on": clock.today(time_zone())})
        lead = _("With this the activation link goes to the registered e-mail address of %(account)s.",
                 account=row.account.name)  # fmt: skip
        more = {"facts": [], "amount": explained(quotes.read(row.calculation))}
        page = self._question_page(
            row, "payment", form, _l("Payment for %(name)s"), _("Note payment"), lead=lead, extra="_amount.html",
            more=more,
        )  # fmt: skip
        return self._ask(
            page,
            lambda: upfront.note_payment(row, on=form.on.data, reference=form.reference.data, by=me()),
            _("The payment for %(name)s is noted.", name=row),
        )

    @command(
        "send",
        _l("Send link"),
        confirm=_l("Send activation links for these requests? Links sent before work no more."),
        confirm_one=_l("Send an activation link for %(name)s? One sent before works no more."),
        icon="send",
        permission="pay",
        offered=lambda row: row.may_become(UpfrontStatus.SENT),
    )
    def send(self, chosen: list[UpfrontRequest]) -> str:
        for row in chosen:
            upfront.send(row, by=me())
        return ngettext("One link was sent.", "%(num)s links were sent.", len(chosen))

    @command(
        "withdraw",
        _l("Withdraw"),
        confirm=_l("Withdraw these requests? Links sent before work no more."),
        confirm_one=_l("Withdraw the request for %(name)s? A link sent before works no more."),
        icon="x",
        danger=True,
        offered=lambda row: row.may_become(UpfrontStatus.WITHDRAWN),
    )
    def withdraw(self, chosen: list[UpfrontRequest]) -> str:
        for row in chosen:
            upfront.withdraw(row)
        return ngettext("One request was withdrawn.", "%(num)s requests were withdrawn.", len(chosen))

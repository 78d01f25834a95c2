"""Webhooks of an account, and the log of what each was told (issue 5)."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from flask import render_template, request, url_for
from flask_appbuilder import expose
from flask_appbuilder.security.decorators import has_access, permission_name
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext
from flask_wtf import FlaskForm
from wtforms import SelectMultipleField
from wtforms.validators import InputRequired, Length

from ..errors import Refused
from ..extensions import db
from ..models import (
    DeliveryStatus,
    EventKind,
    Order,
    Outcome,
    Webhook,
    WebhookDelivery,
    WebhookStatus,
)
from ..services import webhooks
from ..ui.acting import may, me
from ..ui.columns import TONES, Field, changed
from ..ui.fields import Trimmed, choices
from ..ui.formats import shown
from ..ui.interface import Table
from ..ui.page import Action, Cell, Link
from ..ui.view import BackOfficeView, command, render_part

REQUIRED = InputRequired(_l("Please fill this in."))


class WebhookForm(FlaskForm):
    name = Trimmed(
        _l("Name"), [REQUIRED, Length(max=80)], description=_l("What receives it, such as “Warehouse”.")
    )
    url = Trimmed(
        _l("Address"),
        [REQUIRED, Length(max=500)],
        description=_l("Begins with https:// and is reached from the internet."),
        render_kw={"type": "url", "inputmode": "url", "autocomplete": "off"},
    )
    events = SelectMultipleField(
        _l("Events"), choices=lambda: choices((one.value, one.label) for one in webhooks.EVENTS)
    )


class WebhooksView(BackOfficeView):
    """The addresses that are told of orders, each with its own secret."""

    route_base = "/webhooks"
    datamodel = Table(Webhook)
    noun = "webhook"
    list_title = _l("Webhooks")
    list_lead = _l("Programs of yours that are told when something happens to an order you can see.")
    show_title = _l("Webhook")
    add_title = add_label = _l("Add webhook")
    edit_title = _l("Edit %(name)s")
    label_columns = {
        "name": _l("Name"),
        "url": _l("Address"),
        "events": _l("Events"),
        "status": _l("Status"),
        "delivered_at": _l("Last delivered"),
        "failing_since": _l("Failing since"),
        "former_until": _l("The former secret signs until"),
        "created_by": _l("Created by"),
        "created_at": _l("Created"),
    }
    list_columns = ["name", "url", "status", "delivered_at", "failing_since"]
    more_columns = ("events", "created_by", "created_at")
    search = ("name", "url")
    order = ("name",)
    sections = (
        (
            "overview",
            _l("Overview"),
            ("url", "events", "delivered_at", "failing_since", "former_until", "created_by", "created_at"),
        ),
    )  # fmt: skip
    related = (("deliveries", _l("Deliveries"), "DeliveriesView", "webhook_id"),)
    include_route_methods = {"list", "show", "add", "edit", "export", "action_post", "renew"}
    empty_title = _l("No webhooks yet")
    empty_text = _l("Add one, and a program of yours hears of every order at once instead of asking again and again.")

    def _init_forms(self) -> None:
        self.add_form = self.edit_form = WebhookForm

    def fields(self, names: Any = None) -> dict[str, Field]:
        told = {"kind": "long", "value": lambda row: events_in_words(row.events), "expression": None}
        return changed(super().fields(names), events=told)

    def defaults(self) -> dict[str, Any]:
        return {"events": [one.value for one in webhooks.EVENTS]}

    def is_muted(self, row: Webhook) -> bool:
        return row.status is WebhookStatus.OFF

    def badges(self, row: Webhook) -> list[Cell]:
        return [self.fields(["status"])["status"].cell(row)]

    def links(self, row: Webhook) -> list[Link]:
        return [Link(_("API reference"), url_for("ApiReferenceView.show"), "api")] if may("api.show") else []

    def questions(self, row: Webhook) -> list[Action]:
        return [self._question(row, "renew", _("New secret"), "key")] if may("webhook.edit") else []

    @expose("/add", methods=["GET", "POST"])
    @has_access
    def add(self) -> Any:
        """Add a webhook and show its secret, this once."""
        form = self.form_to_add()
        page = self._form_page(form, self.add_title, self.url("add"))
        if request.method != "POST" or not form.validate():
            return self._render_form(form, page)
        try:
            webhook = webhooks.add(**_facts(form), by=me())
        except Refused as refusal:
            return self._refused(form, refusal, page)
        return self._show_secret(webhook, webhooks.secret_of(webhook))

    def change(self, row: Webhook, form: Any) -> None:
        webhooks.change(row, **_facts(form), by=me())

    @expose("/renew/<int:pk>", methods=["GET", "POST"])
    @has_access
    @permission_name("edit")
    def renew(self, pk: int) -> Any:
        """A new secret, shown this once."""
        row, form = self.row(pk), FlaskForm()
        lead = _("The secret there is now signs besides for 24 hours, so that you can change it without a gap.")
        page = self._question_page(row, "renew", form, _l("New secret for %(name)s"), _("Make secret"), lead=lead)
        if request.method != "POST" or not form.validate():
            return self._render_form(form, page)
        return self._show_secret(row, webhooks.renew_secret(row))

    def _show_secret(self, webhook: Webhook, secret: str) -> str:
        said = {"title": webhook.name, "webhook": webhook, "done_url": self.url("show", pk=webhook.id)}
        return render_part("_webhook_secret.html", secret=secret, **said)

    @command("test", _l("Send test event"), icon="send", permission="send", offered=lambda row: row.is_on)
    def send_test(self, chosen: list[Webhook]) -> str:
        for webhook in chosen:
            webhooks.send_test(webhook)
        return ngettext("A test event is on its way.", "%(num)s test events are on their way.", len(chosen))

    @command("switch_on", _l("Switch on"), icon="player-play", permission="edit", offered=lambda row: not row.is_on)
    def switch_on(self, chosen: list[Webhook]) -> str:
        for webhook in chosen:
            webhooks.switch_on(webhook)
        return ngettext("One webhook was switched on.", "%(num)s webhooks were switched on.", len(chosen))

    @command(
        "switch_off", _l("Switch off"), icon="player-pause", permission="edit", offered=lambda row: row.is_on,
        confirm=_l("Switch these webhooks off? What waits is not sent, and what happens meanwhile is not told."),
        confirm_one=_l("Switch “%(name)s” off? What waits is not sent, and what happens meanwhile is not told."),
    )  # fmt: skip
    def switch_off(self, chosen: list[Webhook]) -> str:
        for webhook in chosen:
            webhooks.switch_off(webhook)
        return ngettext("One webhook was switched off.", "%(num)s webhooks were switched off.", len(chosen))

    @command(
        "remove", _l("Remove"), icon="trash", danger=True,
        confirm=_l("Remove these webhooks, with the log of their deliveries?"),
        confirm_one=_l("Remove “%(name)s”, with the log of its deliveries?"),
    )  # fmt: skip
    def unhook(self, chosen: list[Webhook]) -> str:
        for webhook in chosen:
            webhooks.remove(webhook)
        return ngettext("One webhook was removed.", "%(num)s webhooks were removed.", len(chosen))


def events_in_words(events: list[str]) -> str:
    return ", ".join(str(EventKind(one).label) for one in events)


def _facts(form: WebhookForm) -> dict[str, Any]:
    return {"name": form.name.data, "url": form.url.data, "events": form.events.data or []}


class DeliveriesView(BackOfficeView):
    """The log: every event for every webhook, with its tries."""

    route_base = "/webhook-deliveries"
    datamodel = Table(WebhookDelivery)
    noun = "webhook"
    list_title = _l("Deliveries")
    list_lead = _l("What your webhooks were told in the last 30 days, and what came back.")
    show_title = _l("Delivery")
    label_columns = {
        "event": _l("Event"),
        "order_number": _l("Order"),
        "webhook.name": _l("Webhook"),
        "status": _l("Status"),
        "outcome": _l("Result"),
        "code": _l("Status code"),
        "duration": _l("Milliseconds"),
        "attempts": _l("Tries"),
        "created_at": _l("When"),
        "next_try_at": _l("Next try"),
        "delivered_at": _l("Delivered"),
        "message_id": _l("ID"),
    }
    list_columns = [
        "event", "created_at", "order_number", "webhook.name", "status", "outcome", "code", "attempts", "duration",
        "next_try_at",
    ]  # fmt: skip
    more_columns = ("delivered_at", "message_id")
    search = ("order_number", "message_id")
    order = ("-created_at",)
    sections = (
        (
            "overview",
            _l("Overview"),
            ("webhook.name", "order_number", "message_id", "created_at", "delivered_at", "next_try_at"),
        ),
    )  # fmt: skip
    related_keys = {"webhook_id": Webhook}
    include_route_methods = {"list", "show", "export", "action_post", "related_list"}
    empty_title = _l("Nothing has been told yet")
    empty_text = _l("Whatever happens to an order from now on appears here; so does a test event.")

    def fields(self, names: Any = None) -> dict[str, Field]:
        """On a webhook's own page its name says nothing; what waits has a next try, what is under way a time limit."""
        ahead = {"value": lambda row: row.next_try_at if row.status is DeliveryStatus.WAITING else None}
        fields = changed(super().fields(names), next_try_at=ahead)
        if (request.view_args or {}).get("key") == "webhook_id":
            fields.pop("webhook.name", None)
        return fields

    def badges(self, row: WebhookDelivery) -> list[Cell]:
        return [self.fields(["status"])["status"].cell(row)]

    def links(self, row: WebhookDelivery) -> list[Link]:
        webhook = Link(_("Webhook"), url_for("WebhooksView.show", pk=row.webhook_id), "webhook")
        if not (row.order_id and may("order.show") and db.session.get(Order, row.order_id)):
            return [webhook]
        return [webhook, Link(_("Order"), url_for("OrdersView.show", pk=row.order_id), "shopping-cart")]

    @expose("/show/<int:pk>")
    @has_access
    def show(self, pk: int) -> Any:
        row = self.row(pk)
        tries = [_try(number, one) for number, one in enumerate(row.tries, row.attempts - len(row.tries) + 1)]
        body = _tidy(row.body) if may_be_read(row) else ""
        return render_template("webhook_delivery.html", page=self.detail_page(row), tries=tries[::-1], body=body)

    @command("replay", _l("Send again"), icon="refresh", permission="send",
             offered=lambda row: row.may_become(DeliveryStatus.WAITING))  # fmt: skip
    def replay(self, chosen: list[WebhookDelivery]) -> str:
        for delivery in chosen:
            webhooks.replay(delivery)
        return ngettext("One delivery is sent again.", "%(num)s deliveries are sent again.", len(chosen))


def may_be_read(row: WebhookDelivery) -> bool:
    """Whether what was to be told may be seen now: a test, or an order that is still in sight."""
    return row.order_id is None or db.session.get(Order, row.order_id) is not None


def _tidy(body: str) -> str:
    """What is sent, easier to read than as it is sent."""
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except ValueError:
        return body


def _try(number: int, told: dict[str, Any]) -> dict[str, Any]:
    """One line of the log."""
    outcome = Outcome(told["outcome"])
    return {
        "number": number,
        "at": shown(datetime.fromisoformat(told["at"]), "moment"),
        "result": Cell(str(outcome.label), "choice", tone=TONES.get(outcome.value, "")),
        "code": told["code"] or "",
        "duration": _("%(count)s ms", count=shown(told["duration"], "number")),
        "answer": told["answer"],
    }

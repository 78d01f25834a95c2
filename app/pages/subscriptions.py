"""Subscriptions, their parts, and the way to paying upfront (L-5, L-6, L-8, L-11, I-6)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from flask import abort, render_template, request, url_for
from flask_appbuilder import expose
from flask_appbuilder.security.decorators import has_access, permission_name
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext
from flask_wtf import FlaskForm
from sqlalchemy import select
from sqlalchemy.orm import joinedload
from wtforms import BooleanField, HiddenField, RadioField, SelectField, TextAreaField
from wtforms.validators import InputRequired, Length, Optional

from .. import clock
from ..errors import Conflict, Refused
from ..extensions import db
from ..models import (
    Account,
    DataLocation,
    Kind,
    Meter,
    Operation,
    PaymentMode,
    Plan,
    Subscription,
    SubscriptionStatus,
    sort_key,
)
from ..services import accounts, offers, quotes, resource_groups, subscriptions, upfront, usage
from ..services.subscriptions import Renewal, Terms, today_of
from ..tenancy import current_scope, is_by_consent
from ..ui.acting import may, me
from ..ui.archived import archived_link, with_archived
from ..ui.columns import Field, alias_of, changed
from ..ui.explaining import explained
from ..ui.fields import LocalDateField, Trimmed, WholeNumberField, choices, currencies, reason_field
from ..ui.formats import first_price, shown
from ..ui.interface import Table
from ..ui.listing import Listing
from ..ui.page import Action, Cell, DetailPage, FieldGroup, FormPage, Link
from ..ui.subscriptions import notes, numbers, timeline, usage_of
from ..ui.view import (
    BackOfficeView,
    account_asked_for,
    command,
    key_of,
    render_part,
    without_own_account,
)

REQUIRED = InputRequired(_l("Please fill this in."))
CHOSEN_FROM = 20  # accounts offered at a time
OVER = (SubscriptionStatus.CANCELLED, SubscriptionStatus.DELETED)


class RemarkForm(FlaskForm):
    remark = Trimmed(_l("Remark"), [Length(max=upfront.LONGEST_NOTE)])


class RenewForm(FlaskForm):
    """Nothing to fill in; `seen` tells which state of the subscription the person was shown."""

    seen = HiddenField()


class CancelForm(FlaskForm):
    when = RadioField(_l("When"), [InputRequired(_l("Please choose one."))])
    reason = Trimmed(_l("Reason"), [Length(max=subscriptions.LONGEST_REASON)])


class SuspendForm(FlaskForm):
    reason = reason_field(subscriptions.LONGEST_REASON, _l("The account can read it."))


class GroupForm(FlaskForm):
    name = Trimmed(_l("Name"), [REQUIRED, Length(max=subscriptions.LONGEST_TITLE)])
    description = TextAreaField(_l("Description"), filters=[lambda text: text or ""])


class UsageForm(FlaskForm):
    users = WholeNumberField(_l("User accounts"), [REQUIRED])
    at = LocalDateField(_l("Counted on"), [Optional()], description=_l("Empty: now."))


class SubscriptionForm(FlaskForm):
    """What is agreed on with an account."""

    title = Trimmed(_l("Title"), [REQUIRED, Length(max=subscriptions.LONGEST_TITLE)])
    plan_id = SelectField(_l("Plan"), [REQUIRED], coerce=int)
    currency = SelectField(_l("Currency"), choices=currencies)
    payment_mode = SelectField(_l("Payment"), choices=lambda: choices((m.value, m.label) for m in PaymentMode))
    location = SelectField(
        _l("Data location"),
        choices=lambda: choices([("", ""), *((one.value, one.label) for one in DataLocation)]),
    )
    users = WholeNumberField(Meter.USERS.label, [Optional()])
    terminals = WholeNumberField(Meter.TERMINALS.label, [Optional()])
    disk = WholeNumberField(Meter.DISK.label, [Optional()])
    postponed = BooleanField(
        _l("Postponed billing"), description=_l("The first month is free; then the customer pays or cancels.")
    )
    starts_on = LocalDateField(
        _l("Started on"), [Optional()], description=_l("Only for a contract that exists already. Empty: today.")
    )
    remark = Trimmed(_l("Remark"), [Length(max=subscriptions.LONGEST_REASON)])


class SubscriptionsView(BackOfficeView):
    """The running agreements of the accounts beneath, and of the acting one."""

    route_base = "/subscriptions"
    datamodel = Table(Subscription)
    noun = "subscription"
    list_title = _l("Subscriptions")
    list_lead = _l("What accounts have agreed on, until when, and what comes next.")
    own_lead = _l("What your account has agreed on, until when, and what comes next.")
    show_title = _l("Subscription")
    add_title = _l("New subscription for %(name)s")
    add_label = _l("Add subscription")
    edit_title = _l("Edit %(name)s")
    label_columns = {
        "title": _l("Title"),
        "public_id": _l("Subscription"),
        "account.name": _l("Account"),
        "plan.name": _l("Plan"),
        "status": _l("Status"),
        "calculation.net": _l("Net per term"),
        "plan.period": _l("Billed"),
        "currency": _l("Currency"),
        "starts_on": _l("Starts on"),
        "ends_on": _l("Ends on"),
        "billed_from": _l("Charged from"),
        "trial_ends_on": _l("Free until"),
        "upfront_on": _l("Paid upfront since"),
        "payment_mode": _l("Payment"),
        "location": _l("Data location"),
        "users": _l("Named users"),
        "terminals": _l("Terminals"),
        "disk": _l("Disk space in GB"),
        "cancelled_on": _l("Cancelled as of"),
        "delete_on": _l("Deleted on"),
        "remark": _l("Remark"),
        "created_at": _l("Created"),
        "created_by": _l("Created by"),
    }
    list_columns = [
        "title", "account.name", "plan.name", "status", "ends_on", "calculation.net", "plan.period", "public_id",
        "starts_on",
    ]  # fmt: skip
    more_columns = ("currency",)
    tells_empty = False  # most have no free month, no day of deletion, no remark
    totaled = ("calculation.net",)
    add_columns = ["title"]
    edit_columns = ["title", "remark"]
    search = ("title", "public_id", "account.name", "plan.name")
    order = ("title",)
    extra_args = ("archived",)
    include_route_methods = {
        "list", "show", "add", "edit", "export", "action_post", "related_list", "preview", "renew", "pay", "cancel",
        "suspend", "ask_upfront", "add_group", "report_usage",
    }  # fmt: skip
    sections = (
        ("overview", _l("Overview"), ("account.name", "plan.name", "payment_mode", "location", "billed_from",
                                      "trial_ends_on", "upfront_on", "cancelled_on", "delete_on", "created_at",
                                      "created_by", "remark")),
    )  # fmt: skip
    related = (
        ("usage", _l("Reported usage"), "UsageReportsView", "subscription_id"),
        ("groups", _l("Resource groups"), "ResourceGroupsView", "subscription_id"),
        ("upfront", _l("Upfront requests"), "UpfrontView", "subscription_id"),
    )
    loads = (
        joinedload(Subscription.account), joinedload(Subscription.plan), joinedload(Subscription.calculation),
    )  # fmt: skip
    related_keys = {"account_id": Account}
    empty_title = _l("No subscriptions yet")
    empty_text = _l("Add the first one, or look at the plans side by side.")

    def _init_forms(self) -> None:
        super()._init_forms()
        self.add_form = SubscriptionForm

    def conditions(self) -> tuple[Any, ...]:
        return () if with_archived() else (Subscription.status.not_in(OVER),)

    def tools(self, listing: Listing) -> list[Link]:
        kept = archived_link(listing)
        label = _("Hide cancelled") if with_archived() else _("Show cancelled")
        tools = [replace(kept, label=label)]
        if may("plan.list"):
            tools.insert(0, Link(_("View plans"), url_for("PlansView.compare"), "layout-grid"))
        return tools

    def lead(self) -> Any:
        return self.list_lead if current_scope().kind.manages_accounts else self.own_lead

    def fields(self, names: Any = None) -> dict[str, Field]:
        smallest = (alias_of(Subscription, "calculation").net_minor, Subscription.currency)
        net = {"kind": "money", "minor": smallest, "per": "plan.period"}
        return changed(without_own_account(super().fields(names)), **{"calculation.net": net})

    def is_muted(self, row: Subscription) -> bool:
        return row.is_over

    def badges(self, row: Subscription) -> list[Cell]:
        return [self.fields(["status"])["status"].cell(row)]

    # --- adding ---

    @expose("/add", methods=["GET", "POST"])
    @has_access
    def add(self) -> Any:
        """For an account, which is chosen first where several are managed."""
        if request.method == "GET" and "account" not in request.args and current_scope().kind.manages_accounts:
            return self._choose_account()
        return super().add()

    def _choose_account(self) -> Any:
        q, plan = request.args.get("q", "").strip()[:80], request.args.get("plan", "")[:12]
        found = accounts.named(offers.orderable(me()), q, most=CHOSEN_FROM + 1, are_many=True)
        kept = {"plan": plan} if plan else {}
        lines = [(account, self.url("add", account=account.id, **kept)) for account in found[:CHOSEN_FROM]]
        said = {"accounts": lines, "more": len(found) > CHOSEN_FROM, "q": q, "plan": plan, "url": self.url("add")}
        return render_part(
            "_account_choice.html", title=_("Add subscription"), cancel_url=self.url("list"), **said
        )

    def form_to_add(self) -> Any:
        account = _whose()
        proposed = {"currency": account.currency, "location": "", "plan_id": key_of(request.args.get("plan", "0"))}
        form = SubscriptionForm(data=proposed)
        form.plan_id.choices = _plans_offered(account)
        if current_scope().kind is not Kind.OPERATOR:
            del form.starts_on
        return form

    def field_groups(self, fields: Any) -> Any:
        by_name = {field.name: field for field in fields}
        if "plan_id" not in by_name:
            return super().field_groups(fields)
        groups = [
            ("", ("title", "plan_id", "currency", "payment_mode", "location")),
            (_("How much"), tuple(Meter)),
            (_("Terms"), ("postponed", "starts_on", "remark")),
        ]
        return [
            FieldGroup(str(title), [by_name[name] for name in names if name in by_name]) for title, names in groups
        ]

    def _form_page(self, form: Any, title: Any, url: str, name: str = "") -> FormPage:
        if not isinstance(form, SubscriptionForm):
            return super()._form_page(form, title, url, name)
        account = _whose()
        page = super()._form_page(form, title, self.url("add", account=account.id), account.name)
        more = {"preview_url": self.url("preview", account=account.id)}
        return replace(page, submit_label=_("Add subscription"), extra="_subscription_form.html", more=more)

    def create(self, form: Any) -> Subscription:
        account = _whose()
        return subscriptions.add(account, _terms(form), title=form.title.data, remark=form.remark.data, by=me())

    def created_message(self, row: Subscription) -> str:
        return _("%(title)s runs as %(id)s.", title=row.title, id=row.public_id)

    @expose("/preview")
    @has_access
    @permission_name("add")
    def preview(self) -> Any:
        """What the form at hand would cost: the same code as the deed, without doing it."""
        account = _whose()
        form = SubscriptionForm(request.args, meta={"csrf": False})
        form.plan_id.choices = _plans_offered(account)
        try:
            amount, problem = explained(subscriptions.preview(_terms(form), account, by=me())), ""
        except Refused as refusal:
            amount, problem = None, refusal.sentence
        except (TypeError, ValueError, LookupError):  # half-typed: nothing to say yet
            amount, problem = None, ""
        return render_template("_subscription_preview.html", amount=amount, problem=problem)

    def change(self, row: Subscription, form: Any) -> None:
        subscriptions.edit(row, title=form.title.data, remark=form.remark.data)

    # --- its page ---

    @expose("/show/<int:pk>")
    @has_access
    def show(self, pk: int) -> Any:
        row = self.row(pk)
        amount = explained(quotes.read(row.calculation)) if row.calculation else None
        said = {"amount": amount, "free": subscriptions.is_undecided(row), "numbers": numbers(row)}
        said |= {"timeline": timeline(row), "notes": list(notes(row)), "usage": usage_of(row)}
        return render_template("subscription.html", page=self.detail_page(row), **said)

    def detail_page(self, row: Subscription) -> DetailPage:
        page = super().detail_page(row)
        return replace(page, title=row.title, lead=f"{row.public_id} · {row.plan.name} · {row.account.name}")

    def may_edit(self, row: Subscription) -> bool:
        return not row.is_over

    def questions(self, row: Subscription) -> list[Action]:
        offered = [
            ("pay", _("Decide to pay"), "credit-card", may("subscription.decide") and subscriptions.is_undecided(row)),
            ("renew", _("Renew"), "refresh", may("subscription.renew") and subscriptions.can_be_renewed(row)),
            ("report_usage", _("Report usage"), "gauge", may("subscription.report_usage") and row.is_running),
            ("ask_upfront", _("Pay upfront"), "coin", may("subscription.ask_upfront") and _could_be_upfront(row)),
            ("add_group", _("Add resource group"), "sitemap", may("subscription.add_group") and not row.is_over),
            ("suspend", _("Suspend"), "player-pause", may("subscription.suspend") and _suspendable(row)),
        ]
        asked = [self._question(row, verb, label, icon) for verb, label, icon, fits in offered if fits]
        if may("subscription.cancel") and _cancellable(row):
            asked.append(self._question(row, "cancel", _("Cancel subscription"), "ban", danger=True))
        return asked

    # --- the verbs that ask ---

    @expose("/renew/<int:pk>", methods=["GET", "POST"])
    @has_access
    def renew(self, pk: int) -> Any:
        return self._agree(pk, "renew", subscriptions.renewal_of, _l("Renew %(name)s"), _("Renew"), self._renewed)

    def _renewed(self, row: Subscription, form: Any) -> None:
        subscriptions.renew(row, seen=_version(form))

    @expose("/pay/<int:pk>", methods=["GET", "POST"])
    @has_access
    @permission_name("decide")
    def pay(self, pk: int) -> Any:
        """After the free month: go on and pay."""
        return self._agree(
            pk, "pay", subscriptions.payment_of, _l("Go on with %(name)s and pay"), _("Decide to pay"), self._paid
        )

    def _paid(self, row: Subscription, form: Any) -> None:
        if _version(form) != row.version:
            raise Conflict(_("%(name)s was changed by somebody else just now. Please look at it again.", name=row))
        subscriptions.pay(row)

    def _agree(
        self, pk: int, verb: str, of: Callable[[Subscription], Renewal], title: Any, label: str, deed: Any
    ) -> Any:
        """Show the new term and what it costs; then do it."""
        row = self.row(pk)
        offer = of(row)
        form = RenewForm(data={"seen": row.version})
        days = [
            (_("New term from"), shown(offer.periods[0].first, "date")),
            (_("New end"), shown(offer.ends_on, "date")),
        ]
        more = {"facts": days, "amount": explained(offer.amount)}
        page = self._question_page(row, verb, form, title, label, extra="_amount.html", more=more)
        page = replace(page, title=str(title) % {"name": row.title})
        said = _("%(title)s runs until %(day)s.", title=row.title, day=shown(offer.ends_on, "date"))
        return self._ask(page, lambda: deed(row, form), said)

    @expose("/cancel/<int:pk>", methods=["GET", "POST"])
    @has_access
    def cancel(self, pk: int) -> Any:
        row = self.row(pk)
        if is_by_consent(row):
            abort(403)
        form = CancelForm(data={"when": "end" if row.status is SubscriptionStatus.ACTIVE else "now"})
        form.when.choices = _moments(row)
        lead = _("What is stored in it is deleted two weeks after; mail says so to the account.")
        page = self._question_page(
            row, "cancel", form, _l("Cancel %(name)s"), _("Cancel subscription"), lead=lead, danger=True
        )
        page = replace(page, title=_("Cancel %(name)s", name=row.title))
        return self._ask(
            page,
            lambda: subscriptions.cancel(row, by=me(), reason=form.reason.data, at_end=form.when.data == "end"),
            _("%(title)s is cancelled.", title=row.title),
        )

    @expose("/suspend/<int:pk>", methods=["GET", "POST"])
    @has_access
    def suspend(self, pk: int) -> Any:
        row = self.row(pk)
        if not _from_above(row):
            abort(403)
        form = SuspendForm()
        lead = _("It stops until it is reinstated; what has been agreed on stays.")
        page = self._question_page(row, "suspend", form, _l("Suspend %(name)s"), _("Suspend"), lead=lead)
        return self._ask(
            replace(page, title=_("Suspend %(name)s", name=row.title)),
            lambda: subscriptions.suspend(row, reason=form.reason.data, by=me()),
            _("%(title)s is suspended.", title=row.title),
        )

    @expose("/ask-upfront/<int:pk>", methods=["GET", "POST"])
    @has_access
    def ask_upfront(self, pk: int) -> Any:
        """Ask to pay the software once; the operator's staff call back."""
        row = self.row(pk)
        software = quotes.of_software(row.plan, currency=row.currency, on=today_of(row), account=row.account)
        form = RemarkForm()
        lead = _("You pay the software once, and later only the infrastructure. We call you back about the payment;"
                 " then a link to activate it goes to the registered e-mail address.")  # fmt: skip
        more = {"facts": [], "amount": explained(software)}
        page = self._question_page(
            row, "ask_upfront", form, _l("Pay %(name)s upfront"), _("Request"), lead=lead, extra="_amount.html",
            more=more,
        )  # fmt: skip
        return self._ask(
            replace(page, title=_("Pay %(name)s upfront", name=row.title)),
            lambda: upfront.ask(row, remark=form.remark.data, by=me()),
            _("Requested. You will be called about the payment of %(title)s.", title=row.title),
        )

    @expose("/add-group/<int:pk>", methods=["GET", "POST"])
    @has_access
    def add_group(self, pk: int) -> Any:
        """A named part of it (L-11)."""
        row, form = self.row(pk), GroupForm()
        page = self._question_page(row, "add_group", form, _l("Add resource group to %(name)s"), _("Add"))
        return self._ask(
            replace(page, title=_("Add resource group to %(name)s", name=row.title)),
            lambda: resource_groups.add(row, form.name.data, description=form.description.data),
            _("“%(name)s” was added.", name=form.name.data),
        )

    @expose("/report-usage/<int:pk>", methods=["GET", "POST"])
    @has_access
    def report_usage(self, pk: int) -> Any:
        """How many user accounts there are, or were on a day (I-4)."""
        row, form = self.row(pk), UsageForm()
        lead = _("What is reported holds until the next report. It cannot be changed or deleted afterwards.")
        if row.payment_mode is PaymentMode.POSTPAID:
            lead = _("The highest number of a billing month is charged. What is reported holds until the next report,"
                     " and cannot be changed or deleted.")  # fmt: skip
        page = self._question_page(row, "report_usage", form, "", _("Report"), lead=lead)
        return self._ask(
            replace(page, title=_("Report usage of %(name)s", name=row.title)),
            lambda: usage.report(row, form.users.data, at=_counted_at(row, form.at.data), by=me()),
            _("The usage of %(title)s was reported.", title=row.title),
        )

    @command(
        "reinstate",
        _l("Reinstate"),
        confirm=_l("Reinstate these subscriptions? They run again at once."),
        confirm_one=_l("Reinstate %(name)s? It runs again at once."),
        icon="player-play",
        permission="suspend",
        offered=lambda row: row.status is SubscriptionStatus.SUSPENDED and _from_above(row),
    )
    def reinstate(self, chosen: list[Subscription]) -> str:
        for row in chosen:
            subscriptions.reinstate(row, by=me())
        return ngettext("One subscription was reinstated.", "%(num)s subscriptions were reinstated.", len(chosen))

    @command(
        "keep",
        _l("Keep"),
        confirm=_l("Take the cancellation of these subscriptions back?"),
        confirm_one=_l("Take the cancellation of %(name)s back?"),
        icon="arrow-back-up",
        permission="cancel",
        offered=lambda row: row.cancelled_on is not None and not row.is_over and not is_by_consent(row),
    )
    def keep(self, chosen: list[Subscription]) -> str:
        for row in chosen:
            subscriptions.keep(row)
        return ngettext("One subscription goes on.", "%(num)s subscriptions go on.", len(chosen))


# --- small things ----------------------------------------------------------------------------------------------


def _whose() -> Account:
    """The account a new subscription is for: one beneath, the own, or a client's that has agreed to it."""
    return account_asked_for(subscriptions.clients_to_order_for())


def _terms(form: Any) -> Terms:
    """What the form says; a plan that is not offered does not exist."""
    plan = db.session.get(Plan, form.plan_id.data) if form.plan_id.data else None
    if plan is None:
        raise Refused(_("Choose a plan to see what it costs."), field="plan_id")
    return Terms(
        plan=plan,
        currency=form.currency.data,
        payment_mode=PaymentMode(form.payment_mode.data),
        quantities={meter: form[meter].data or 0 for meter in Meter},
        location=_location(plan, form.location.data),
        starts_on=form.starts_on.data if "starts_on" in form else None,
        postponed=form.postponed.data,
    )


def _location(plan: Plan, typed: str) -> DataLocation | None:
    """What was chosen; where there is nothing to choose, what there is."""
    places = plan.product.data_locations
    if len(places) < 2:
        return places[0] if places else None
    return DataLocation(typed) if typed else None


def _plans_offered(account: Account) -> list[Any]:
    """The plans on offer with what they cost in the account's currency; on-premise to the operator alone."""
    today = clock.today(account.time_zone)
    offered = list(db.session.scalars(select(Plan).where(Plan.archived_at.is_(None))))
    operator = current_scope().kind is Kind.OPERATOR
    offered = [plan for plan in offered if not plan.product.is_archived]
    offered = [plan for plan in offered if operator or plan.product.allows(Operation.SELL)]
    return choices(
        (plan.id, " · ".join(filter(None, (plan.product.name, plan.name, _per_period(plan, today, account)))))
        for plan in sorted(offered, key=lambda plan: (sort_key(plan.product.name), sort_key(plan.name)))
    )


def _per_period(plan: Plan, today: Any, account: Account) -> str:
    price = plan.price_on(today, account.currency) or next(iter(plan.prices_on(today)), None)
    return f"{first_price(price)} {str(plan.period.label).lower()}" if price else ""


def _counted_at(row: Subscription, day: date | None) -> datetime | None:
    return usage.moment_of(row, day) if day else None


def _moments(row: Subscription) -> list[Any]:
    pairs = [("now", _("Today"))]
    if row.status is SubscriptionStatus.ACTIVE and row.cancelled_on is None:
        pairs.insert(0, ("end", _("At the end of the term, %(day)s", day=shown(row.ends_on, "date"))))
    return choices(pairs)


def _version(form: Any) -> int:
    """The version the person was shown; whatever else is sent fits none."""
    text = form.seen.data or ""
    return int(text) if text.isdecimal() and text.isascii() and len(text) < 10 else -1


def _could_be_upfront(row: Subscription) -> bool:
    return upfront.can_be_asked(row) and upfront.open_of(row) is None


def _cancellable(row: Subscription) -> bool:
    return row.may_become(SubscriptionStatus.CANCELLED) and not is_by_consent(row)


def _suspendable(row: Subscription) -> bool:
    return row.may_become(SubscriptionStatus.SUSPENDED) and _from_above(row)


def _from_above(row: Subscription) -> bool:
    """Whether it is another account's, or the operator's own: nobody else decides about their own."""
    scope = current_scope()
    return (row.account_id != scope.account_id or scope.kind is Kind.OPERATOR) and not is_by_consent(row)

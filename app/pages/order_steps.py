"""The steps of an order: what each asks, how its answers are read, and how the summary tells them."""

from __future__ import annotations

from typing import Any

from flask import render_template, request, url_for
from flask_babel import format_date, ngettext, pgettext
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from sqlalchemy import select
from sqlalchemy.orm import contains_eager, joinedload
from wtforms import BooleanField, Field, RadioField, SelectField
from wtforms.validators import InputRequired, Length, Optional

from .. import clock, domains
from ..errors import Refused
from ..extensions import db
from ..models import (
    Account,
    Article,
    DataLocation,
    Meter,
    Order,
    OrderKind,
    PaymentMode,
    Plan,
    Product,
    ProductType,
    Subscription,
    sort_key,
)
from ..periods import add_months
from ..reading import read_whole_number
from ..services import accounts, offers, subscriptions
from ..services.offers import Offer
from ..tenancy import current_scope
from ..ui import labels
from ..ui.acting import me
from ..ui.explaining import offer_of
from ..ui.fields import Trimmed, WholeNumberField, choices, currencies, form_for
from ..ui.formats import first_price, shown, time_zone
from ..ui.page import Cell, Fact
from ..ui.view import key_of

FOUND = 20  # accounts offered at a time
MOST_SUBSCRIPTIONS = 500
BLANK_LINES = 2
REQUIRED = InputRequired(_l("Please fill this in."))


def _number(value: Any) -> int | None:
    """A key as it is kept or as a form sends it."""
    return value if isinstance(value, int) else key_of(value or "")


class StepForm(FlaskForm):
    """What a step asks. `facts` are its answers as the services take them; what cannot be read is `None`."""

    STEP = ""

    @classmethod
    def of(cls, order: Order) -> Any:
        return cls(data={**cls.usual(order), **order.answers.get(cls.STEP, {})})

    @classmethod
    def usual(cls, order: Order) -> dict[str, Any]:
        return {}

    def facts(self) -> dict[str, Any]:
        return {field.name: field.data for field in self if field.type != "CSRFTokenField"}

    def more(self, order: Order) -> dict[str, Any]:
        """What its page shows besides."""
        return {}

    @property
    def unreadable(self) -> str:
        """Why something typed is not understood; no price can be told for it."""
        return next((str(error) for field in self for error in field.process_errors), "")

    def refuse(self, refusal: Refused) -> None:
        """Say no where the reason lies."""
        if refusal.field in self:
            self[refusal.field].errors = [*self[refusal.field].errors, refusal.sentence]
        else:
            self.form_errors.append(refusal.sentence)


# --- plan and terms ----------------------------------------------------------------------------------------------


class PlanForm(StepForm):
    STEP = "plan"
    plan_id = RadioField(_l("Plan"), [InputRequired(_l("Choose one of the plans on offer."))], coerce=_number)
    payment_mode = RadioField(_l("Payment"))
    location = RadioField(_l("Data location"), validate_choice=False)  # some plans have none
    currency = SelectField(_l("Currency"), choices=currencies)
    users = WholeNumberField(
        Meter.USERS.label, [Optional()], description=_l("Left empty: as many as the plan includes.")
    )
    postponed = BooleanField(_l("Postponed billing"))

    @classmethod
    def of(cls, order: Order) -> Any:
        form = super().of(order)
        plans = _plans_of(order.product_type)
        modes = {mode for plan in plans for mode in plan.payment_modes}
        places = {place for plan in plans for place in plan.product.data_locations}
        form.plan_id.choices = choices((plan.id, plan.name) for plan in plans)
        form.payment_mode.choices = choices((one.value, one.label) for one in PaymentMode if one in modes)
        form.location.choices = choices((one.value, one.label) for one in DataLocation if one in places)
        return form

    @classmethod
    def usual(cls, order: Order) -> dict[str, Any]:
        """The plan that stands first, in the account's currency where it is sold in that."""
        plans = _plans_of(order.product_type)
        today = clock.today(time_zone())
        sold = [price.currency for plan in plans for price in plan.prices_on(today)]
        own = order.account.currency
        place = next((plan.product.locations[0] for plan in plans if plan.product.locations), None)
        return {
            "plan_id": plans[0].id if plans else None,
            "payment_mode": plans[0].payment_modes[0].value if plans else "",
            "location": place,
            "currency": own if own in sold or not sold else sold[0],
        }

    def more(self, order: Order) -> dict[str, Any]:
        today = clock.today(time_zone())
        found = []
        for plan in _plans_of(order.product_type):
            prices = plan.prices_on(today)
            here = next((price for price in prices if price.currency == self.currency.data), None)
            if prices:
                offer = offer_of(plan, here or prices[0])
                found.append((offer, [first_price(price) for price in prices if here and price is not here]))
        offered = [offer.plan for offer, _others in found]
        placed, free = any(plan.product.locations for plan in offered), any(plan.trial_months for plan in offered)
        return {"plans": found, "placed": placed, "free": free}


def _plans_of(type_: ProductType | None) -> list[Plan]:
    found = select(Plan).join(Plan.product).options(contains_eager(Plan.product))
    found = found.where(Plan.archived_at.is_(None), Product.archived_at.is_(None), Product.type == type_)
    return list(db.session.scalars(found.order_by(Plan.id)))


# --- customer ----------------------------------------------------------------------------------------------------


class CustomerForm(StepForm, form_for(Account, list(offers.NEW_CUSTOMER), labels.ACCOUNT, labels.ACCOUNT_HELPS)):
    """One that is there, found by name, or somebody new."""

    STEP = "customer"
    who = RadioField(
        _l("For whom?"),
        choices=lambda: choices([("existing", _("An existing account")), ("new", _("A new customer"))]),
    )
    account_id = RadioField(_l("Account"), coerce=_number, validate_choice=False)

    @classmethod
    def of(cls, order: Order) -> Any:
        said = order.answers.get("customer", {})
        account = order.account
        usual = {"country": account.country, "language": account.language, "who": "existing"}
        form = cls(data={**usual, **said, **said.get("new", {}), **({"who": "new"} if "new" in said else {})})
        form.account_id.choices = choices((found.id, found.name) for found in accounts_found(form.account_id.data))
        return form

    def validate(self, extra_validators: Any = None) -> bool:
        if self.who.data == "existing":
            for name in offers.NEW_CUSTOMER:
                self[name].validators = [Optional()]
            if self.account_id.data is None:
                super().validate(extra_validators)
                self.account_id.errors = [_("Choose an account.")]
                return False
        return super().validate(extra_validators)

    def facts(self) -> dict[str, Any]:
        if self.who.data == "existing":
            return {"account_id": self.account_id.data}
        return {"new": {name: self[name].data or "" for name in offers.NEW_CUSTOMER}}

    def more(self, order: Order) -> dict[str, Any]:
        return {"found": accounts_found(self.account_id.data), "q": asked_for(), "names": offers.NEW_CUSTOMER}

def asked_for() -> str:
    return request.values.get("q", "").strip()[:120].replace("\x00", "")


def accounts_found(chosen: int | None) -> list[Account]:
    """Those with the word in their name, the chosen one first."""
    found = offers.orderable(me()).where(Account.id != current_scope().account_id, Account.id != (chosen or 0))
    found = accounts.named(found, asked_for(), most=FOUND, are_many=True)
    first = db.session.get(Account, chosen) if chosen else None
    return [first, *found] if first is not None else found


# --- domain and access -------------------------------------------------------------------------------------------


class InstanceForm(StepForm):
    STEP = "instance"
    domain = Trimmed(
        _l("Domain"),
        [REQUIRED, Length(max=domains.LONGEST)],
        description=_l("Where the instance answers, such as shop.example.com. It must not be taken."),
        render_kw={"autocapitalize": "none", "spellcheck": "false", "inputmode": "url", "autocomplete": "off"},
    )
    administrator = Trimmed(_l("User name of the administrator"), [REQUIRED], render_kw={"autocomplete": "off"})
    to_customer = BooleanField(_l("Send credentials to the customer"))
    to_author = BooleanField(_l("Send credentials to me"))

    @classmethod
    def usual(cls, order: Order) -> dict[str, Any]:
        known = bool(offers.email_of_customer(order))
        return {"administrator": offers.USUAL_ADMINISTRATOR, "to_author": True, "to_customer": known}

    def more(self, order: Order) -> dict[str, Any]:
        return {"customer_email": offers.email_of_customer(order), "own_email": me().user.email}


# --- a subscription that exists ----------------------------------------------------------------------------------


class SubscriptionForm(StepForm):
    STEP = "subscription"
    subscription_id = SelectField(_l("Subscription"), coerce=_number, render_kw={"data-searchable": ""})
    plan_id = SelectField(_l("New plan"), coerce=_number)
    reference = Trimmed(_l("Own reference"), [Length(max=120)], description=_l("Such as your purchase order."))
    remark = Trimmed(_l("Remark"), [Length(max=500)])

    @classmethod
    def of(cls, order: Order) -> Any:
        form = super().of(order)
        found = _subscriptions(order)
        form.subscription_id.choices = choices((one.id, _in_words(one)) for one in found)
        if form.subscription_id.data is None and found:
            form.subscription_id.data = found[0].id  # as the browser shows it
        if order.kind is OrderKind.UPGRADE:
            types = {one.plan.product.type for one in found}
            plans = [plan for type_ in types for plan in _plans_of(type_)]
            form.plan_id.choices = choices((plan.id, f"{plan.name} ({plan.product.name})") for plan in plans)
            own = next((one.plan_id for one in found if one.id == form.subscription_id.data), None)
            form.plan_id.data = form.plan_id.data or next((plan.id for plan in plans if plan.id != own), None)
        else:
            del form.plan_id
        return form

    @classmethod
    def usual(cls, order: Order) -> dict[str, Any]:
        return {"subscription_id": key_of(request.args.get("subscription", ""))}

    def refuse(self, refusal: Refused) -> None:
        """What blames no field lies in the subscription chosen."""
        blamed = refusal.field if refusal.field in self else "subscription_id"
        super().refuse(Refused(refusal.sentence, field=blamed))


def _subscriptions(order: Order) -> list[Subscription]:
    """What the order can be about, by account; to be renewed, first of all what can be."""
    found = offers.subscriptions_for(order.kind, by=me()).options(
        contains_eager(Subscription.account), joinedload(Subscription.plan)
    )
    if order.product_type is not None and order.kind is not OrderKind.LICENSES:
        found = found.where(Subscription.plan.has(Plan.product.has(Product.type == order.product_type)))
    found = found.order_by(Account.name_sort, Subscription.title_key).limit(MOST_SUBSCRIPTIONS)
    operation = order.kind.operation
    fitting = [one for one in db.session.scalars(found) if operation is None or one.plan.product.allows(operation)]
    if order.kind is OrderKind.RENEW:
        fitting.sort(key=subscriptions.can_be_renewed, reverse=True)
    return fitting


def _in_words(subscription: Subscription) -> str:
    ends = format_date(subscription.ends_on, "medium", rebase=False) if subscription.ends_on else ""
    said = f"{subscription.account.name} · {subscription.title} · {subscription.plan.name}"
    return _("%(subscription)s · until %(day)s", subscription=said, day=ends) if ends else said


# --- products ----------------------------------------------------------------------------------------------------


class LinesField(Field):
    """Articles with quantities, a line for each; `typed` is how they stand in the form."""

    def process(self, formdata: Any, data: Any = None, extra_filters: Any = None) -> None:
        self.errors, self.process_errors = [], []
        lines = [(article, shown(quantity, "number")) for article, quantity in data or []]
        if formdata:
            typed = zip(formdata.getlist("article"), formdata.getlist("quantity"), strict=False)
            lines = [(key_of(article), quantity) for article, quantity in typed if article]
        self.typed = lines
        self.data = [(article, _whole(quantity)) for article, quantity in lines]


def _whole(text: str) -> int | None:
    try:
        return read_whole_number(text)
    except ValueError:
        return None


class ProductsForm(StepForm):
    STEP = "products"
    subscription_id = SelectField(_l("Subscription"), coerce=_number, render_kw={"data-searchable": ""})
    group_id = SelectField(_l("Resource group"), coerce=_number, validate_choice=False)
    new_group = Trimmed(_l("or a new one"), [Length(max=120)])
    lines = LinesField(_l("Products"))
    reference = Trimmed(_l("Own reference"), [Length(max=120)], description=_l("Such as your purchase order."))
    remark = Trimmed(_l("Remark"), [Length(max=500)])

    @classmethod
    def of(cls, order: Order) -> Any:
        form = super().of(order)
        found = _subscriptions(order)
        form.subscription_id.choices = choices((one.id, _in_words(one)) for one in found)
        asked = key_of(request.args.get("subscription_id", "")) or form.subscription_id.data
        form.chosen = next((one for one in found if one.id == asked), found[0] if found else None)
        if request.method != "POST" and form.chosen is not None:
            form.subscription_id.data = form.chosen.id
        groups = [group for group in form.chosen.groups if not group.is_archived] if form.chosen else []
        none = ("", pgettext("resource group", "none"))
        form.group_id.choices = choices([none, *((group.id, group.name) for group in groups)])
        return form

    def more(self, order: Order) -> dict[str, Any]:
        blank = [(None, "")] * (1 if self.lines.typed else BLANK_LINES)
        return {
            "typed": [*self.lines.typed, *blank],
            "articles": _articles_for(self.chosen),
            "part_url": url_for("OrderWizard.products", pk=order.id),
        }


def _articles_for(subscription: Subscription | None) -> list[tuple[int, str]]:
    """What can be bought in the subscription's currency, each with its price."""
    if subscription is None:
        return []
    today, currency = clock.today(subscription.account.time_zone), subscription.currency
    found = []
    for article in db.session.scalars(select(Article).where(Article.archived_at.is_(None))):
        price = article.price_on(today, currency)
        if price is not None:
            found.append((article.id, f"{article.name} · {shown(price.amount('unit'), 'money', currency)}"))
    return sorted(found, key=lambda one: sort_key(one[1]))


def part(order: Order, step: str) -> str:
    """What of a step's page depends on something chosen in it."""
    form = STEP_FORMS[step].of(order)
    if step == "customer":
        return render_template("_order_accounts.html", form=form, order=order, **form.more(order))
    return render_template("_order_products.html", form=form, order=order, **form.more(order))


STEP_FORMS: dict[str, Any] = {
    form.STEP: form for form in (PlanForm, CustomerForm, InstanceForm, SubscriptionForm, ProductsForm)
}


# --- telling ------------------------------------------------------------------------------------------------------


def step_of(order: Order, name: str) -> str:
    """The step that asks for a field."""
    if name in offers.steps_of(order):
        return name
    return next((step for step in offers.steps_of(order) if name and name in STEP_FORMS[step].of(order)), "")


def notes(order: Order, offer: Offer) -> list[str]:
    """What there is to say about a price."""
    said = []
    if offer.terms is not None and offer.terms.postponed:
        months = offer.terms.plan.trial_months
        first = add_months(clock.today(offer.account.time_zone), months)
        day = format_date(first, "long", rebase=False)
        said.append(ngettext("The first month is free.", "The first %(num)s months are free.", months))
        said.append(_("Until %(day)s the customer pays or cancels; nothing is charged without word.", day=day))
    if offer.terms is not None and offer.terms.payment_mode is PaymentMode.POSTPAID:
        said.append(_("Charged afterwards, for the highest number of users in the period."))
    if offer.terms is not None:
        said.append(_("Billing starts when the order is fulfilled."))
    if offer.until is not None:
        said.append(_("Renewed until %(day)s.", day=format_date(offer.until, "long", rebase=False)))
    return said


def told(order: Order, offer: Offer | None) -> list[tuple[str, str, list[Fact]]]:
    """The answers by step, in the person's words, each step with the address where it is changed."""
    teller = {"plan": _told_plan, "customer": _told_customer, "instance": _told_instance}
    found = []
    for step in offers.steps_of(order):
        facts = teller.get(step, _told_subscription)(order.answers[step], order, offer)
        url = url_for(f"OrderWizard.{step}", pk=order.id)
        found.append((step, url, [Fact(str(label), Cell(str(value))) for label, value in facts]))
    return found


def _told_plan(said: dict[str, Any], order: Order, offer: Offer | None) -> list[tuple[Any, Any]]:
    plan = db.session.get(Plan, said["plan_id"])
    location = DataLocation(said["location"]).label if said.get("location") else ""
    return [
        (_("Plan"), f"{plan.product.name} · {plan.name}"),
        (_("Billed"), plan.period.label),
        (_("Payment"), PaymentMode(said["payment_mode"]).label),
        (_("Data location"), location),
        (_("Currency"), said["currency"]),
        (Meter.USERS.label, shown(plan.included_users if said.get("users") is None else said["users"], "number")),
        (_("Postponed billing"), shown(bool(said.get("postponed")), "flag")),
    ]


def _told_customer(said: dict[str, Any], order: Order, offer: Offer | None) -> list[tuple[Any, Any]]:
    if "new" in said:
        new = said["new"]
        place = ", ".join(filter(None, [new["street"], f"{new['postal_code']} {new['city']}".strip()]))
        return [
            (_("New customer"), new["name"]),
            (labels.ACCOUNT["contact"], new["contact"]),
            (labels.ACCOUNT["email"], new["email"]),
            (_("Postal address"), place),
            (labels.ACCOUNT["vat_id"], new["vat_id"]),
        ]
    account = db.session.get(Account, said["account_id"])
    name, email = (account.name, account.email) if account else ("", "")
    return [(_("Account"), name), (labels.ACCOUNT["email"], email)]


def _told_instance(said: dict[str, Any], order: Order, offer: Offer | None) -> list[tuple[Any, Any]]:
    to = [offers.email_of_customer(order)] if said["to_customer"] else []
    to += [me().user.email] if said["to_author"] else []
    return [
        (_("Domain"), domains.shown(said["domain"])),
        (_("User name of the administrator"), said["administrator"]),
        (_("Credentials go to"), ", ".join(to)),
    ]


def _told_subscription(said: dict[str, Any], order: Order, offer: Offer | None) -> list[tuple[Any, Any]]:
    subscription = db.session.get(Subscription, said["subscription_id"])
    facts: list[tuple[Any, Any]] = [(_("Account"), subscription.account.name), (_("Subscription"), subscription.title)]
    if order.kind is OrderKind.UPGRADE:
        facts.append((_("New plan"), db.session.get(Plan, said["plan_id"]).name))
    if order.kind is OrderKind.LICENSES and offer is not None:
        facts.append((_("Resource group"), offer.group.name if offer.group else offer.new_group))
        facts += [(_("Product"), f"{shown(wanted.quantity, 'number')} × {wanted.name}") for wanted in offer.lines]
    return [*facts, (_("Own reference"), said.get("reference") or ""), (_("Remark"), said.get("remark") or "")]


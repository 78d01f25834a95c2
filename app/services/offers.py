"""What a draft's answers mean: checked step by step, and worked out to an offer with its price.

Preview and placing ask the same questions of the same catalogue; nothing a form says about prices is looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from email_validator import EmailNotValidError, validate_email
from flask_babel import gettext as _
from sqlalchemy import or_, select

from .. import clock, domains
from ..errors import Refused
from ..extensions import db
from ..models import (
    LARGEST_QUANTITY,
    Account,
    Article,
    DataLocation,
    Kind,
    Member,
    Meter,
    Order,
    OrderKind,
    PaymentMode,
    Plan,
    ResourceGroup,
    Subscription,
    SubscriptionStatus,
    in_language,
)
from ..pricing import Amount
from ..tenancy import in_subtree, unscoped
from . import accounts, plans, quotes, subscriptions
from .subscriptions import Terms

STEPS: dict[OrderKind, tuple[str, ...]] = {
    OrderKind.SUBSCRIBE: ("plan", "customer", "instance"),
    OrderKind.RENEW: ("subscription",),
    OrderKind.UPGRADE: ("subscription",),
    OrderKind.LICENSES: ("products",),
}
USUAL_ADMINISTRATOR = "Admin"
MOST_LINES = 50
NEW_CUSTOMER = ("name", "contact", "email", "phone", "street", "postal_code", "city", "country", "language", "vat_id")


@dataclass(frozen=True)
class Wanted:
    """One line of an order to be."""

    quantity: int
    unit_price: Decimal
    net: Decimal
    name_en: str
    name_de: str
    plan_id: int | None = None
    article_id: int | None = None

    @property
    def name(self) -> str:
        return in_language(self, "name")


@dataclass(frozen=True)
class Offer:
    """What a draft comes to at this moment."""

    account: Account  # for whom; while nobody is chosen, or for somebody new, one that is not kept
    amount: Amount
    lines: list[Wanted]
    terms: Terms | None = None  # of a new subscription
    subscription: Subscription | None = None  # that is renewed, changed or added to
    group: ResourceGroup | None = None
    new_group: str = ""
    until: date | None = None  # the new end of what is renewed
    facts: dict[str, Any] = field(default_factory=dict)  # columns of the order

    def in_words(self) -> str:
        """In the words of history: `2 × Starter pack, 1 × Five users`."""
        return ", ".join(f"{wanted.quantity} × {wanted.name_en}" for wanted in self.lines)


# --- steps -------------------------------------------------------------------------------------------------------


def steps_of(order: Order) -> tuple[str, ...]:
    return STEPS[order.kind]


def missing(order: Order) -> str:
    """The first step that has not been answered; empty when all have."""
    return next((step for step in steps_of(order) if step not in order.answers), "")


def is_for_somebody_new(order: Order) -> bool:
    return "new" in order.answers.get("customer", {})


def checked(order: Order, step: str, facts: dict[str, Any], *, by: Member) -> dict[str, Any]:
    """A step's answers as they are kept. Raises `Refused`, at the field, for what cannot be ordered."""
    return _CHECKS[step](order, facts, by)


def customer_of(order: Order) -> str:
    """For whom it is, as far as that is known."""
    said = order.answers.get("customer", {})
    if "new" in said:
        return said["new"]["name"]
    if "account_id" in said:
        return _account(said["account_id"]).name
    subscription = _chosen(order)
    return subscription.account.name if subscription else ""


def _check_plan(order: Order, facts: dict[str, Any], by: Member) -> dict[str, Any]:
    kept = {name: facts.get(name) for name in ("plan_id", "payment_mode", "location", "postponed", "currency")}
    kept |= {meter.value: facts.get(meter.value) for meter in Meter}
    _offered(order, by, {**order.answers, "plan": kept})
    return kept


def _check_customer(order: Order, facts: dict[str, Any], by: Member) -> dict[str, Any]:
    if facts.get("account_id") is not None:
        account = _account(facts["account_id"])
        _refuse_unless_orderable(account, by)
        return {"account_id": account.id}
    said = facts.get("new", facts)
    new = {name: (said.get(name) or "").strip() for name in NEW_CUSTOMER}
    if not new["email"]:
        raise Refused(_("Please fill this in."), field="email")
    _check_email(new["email"])
    _would_be(new, by)
    return {"new": new}


def _check_instance(order: Order, facts: dict[str, Any], by: Member) -> dict[str, Any]:
    domain = domains.check(facts.get("domain") or "")
    if is_taken(domain, but=order.replaces_id):
        raise taken(domain)
    administrator = (facts.get("administrator") or "").strip()
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9._-]{1,39}", administrator):
        raise Refused(
            _("A user name has 2 to 40 letters, digits, dots, hyphens and underscores, a letter first."),
            field="administrator",
        )
    if facts.get("to_customer") and not email_of_customer(order):
        raise Refused(_("This customer has no e-mail address."), field="to_customer")
    if not (facts.get("to_customer") or facts.get("to_author")):
        raise Refused(_("Somebody has to get the credentials."), field="to_customer")
    flags = {name: bool(facts.get(name)) for name in ("to_customer", "to_author")}
    return {"domain": domain, "administrator": administrator, **flags}


def _check_subscription(order: Order, facts: dict[str, Any], by: Member) -> dict[str, Any]:
    kept = {name: facts.get(name) for name in ("subscription_id", "plan_id", "reference", "remark")}
    _offered(order, by, {"subscription": kept})
    return kept


def _check_products(order: Order, facts: dict[str, Any], by: Member) -> dict[str, Any]:
    kept = {name: facts.get(name) for name in ("subscription_id", "group_id", "new_group", "reference", "remark")}
    kept["lines"] = [[article_id, quantity] for article_id, quantity in facts.get("lines") or []]
    _offered(order, by, {"products": kept})
    return kept


_CHECKS: dict[str, Callable[[Order, dict[str, Any], Member], dict[str, Any]]] = {
    "plan": _check_plan,
    "customer": _check_customer,
    "instance": _check_instance,
    "subscription": _check_subscription,
    "products": _check_products,
}


# --- what it comes to --------------------------------------------------------------------------------------------


def of(order: Order, *, by: Member) -> Offer:
    """What is ordered, at what price, at this moment. Raises `Refused` for whatever cannot be ordered any more."""
    if step := missing(order):
        raise Refused(_("This order is not complete yet."), field=step)
    for step in steps_of(order):
        checked(order, step, order.answers[step], by=by)
    return _offered(order, by, order.answers)


def preview(order: Order, step: str, facts: dict[str, Any], *, by: Member) -> Offer:
    """What it would come to if that step were answered so."""
    return _offered(order, by, {**order.answers, step: facts})


def _offered(order: Order, by: Member, answers: dict[str, Any]) -> Offer:
    offer = _OFFERS[order.kind](order, by, answers)
    if abs(offer.amount.gross) >= plans.LARGEST_PRICE:
        raise Refused(_("This is too much."), field="lines" if order.kind is OrderKind.LICENSES else "users")
    return offer


def _subscribing(order: Order, by: Member, answers: dict[str, Any]) -> Offer:
    if "plan" not in answers:
        raise Refused(_("The price follows with the plan."), field="plan_id")
    said, account = answers["plan"], _customer(answers, by)
    plan = _plan(said.get("plan_id"))
    if plan.product.type is not order.product_type:
        raise _no_plan()
    quotes.price_of(plan, said.get("currency") or "", clock.today(account.time_zone))
    terms = _terms(plan, said)
    amount = subscriptions.preview(terms, account, by=by)
    wanted = Wanted(1, amount.net, amount.net, plan.name_en, plan.name_de, plan_id=plan.id)
    return Offer(account, amount, [wanted], terms=terms, facts=_facts_of(plan, terms, order, answers, by))


def _terms(plan: Plan, said: dict[str, Any]) -> Terms:
    quantities = {meter: said.get(meter.value) for meter in Meter}
    for meter, quantity in quantities.items():
        if quantity is None:
            quantities[meter] = plan.included(meter)
        elif type(quantity) is not int:
            raise Refused(_("A whole number, please."), field=meter.value)
    if quantities[Meter.USERS] == 0 != plan.included_users:
        raise Refused(_("At least 1, please. Left empty, it is as many as the plan includes."), field="users")
    return Terms(
        plan=plan,
        currency=said["currency"],
        payment_mode=_choice(PaymentMode, said.get("payment_mode"), "payment_mode"),
        quantities=quantities,
        location=_choice(DataLocation, said["location"], "location") if said.get("location") else None,
        postponed=bool(said.get("postponed")),
    )


def _facts_of(plan: Plan, terms: Terms, order: Order, answers: dict[str, Any], by: Member) -> dict[str, Any]:
    said = answers.get("instance", {})
    author, customer = by.user.email, email_of_customer(order)
    to = [email for email, wanted in ((customer, said.get("to_customer")), (author, said.get("to_author"))) if wanted]
    return {
        "plan_id": plan.id,
        "payment_mode": terms.payment_mode,
        "location": terms.location,
        "postponed": terms.postponed,
        "domain": said.get("domain", ""),
        "administrator": said.get("administrator", ""),
        "credentials_to": list(dict.fromkeys(to)),
    }


def _renewing(order: Order, by: Member, answers: dict[str, Any]) -> Offer:
    said = answers["subscription"]
    subscription = _subscription(order, said, by)
    renewal = subscriptions.renewal_of(subscription)
    plan, net = subscription.plan, renewal.amount.net
    wanted = Wanted(1, net, net, plan.name_en, plan.name_de, plan_id=plan.id)
    facts = _about(subscription, said) | {"plan_id": plan.id}
    return Offer(
        subscription.account, renewal.amount, [wanted], subscription=subscription, until=renewal.ends_on, facts=facts
    )


def _upgrading(order: Order, by: Member, answers: dict[str, Any]) -> Offer:
    said = answers["subscription"]
    subscription = _subscription(order, said, by)
    plan = _plan(said.get("plan_id"))
    if plan.product_id != subscription.plan.product_id:
        raise _no_plan()
    if plan.id == subscription.plan_id:
        raise Refused(_("%(subscription)s has this plan already.", subscription=subscription), field="plan_id")
    quantities = {meter: max(subscription.quantity(meter), plan.included(meter)) for meter in Meter}
    quotes.check_quantities(plan, quantities)
    today = subscriptions.today_of(subscription)
    amount = quotes.of_change(subscription, plan, quantities=quantities, on=today)
    if amount.net < 0:
        raise Refused(_("%(plan)s costs less; a subscription is changed to it at the end of its term.", plan=plan.name),
                      field="plan_id")  # fmt: skip
    wanted = Wanted(1, amount.net, amount.net, plan.name_en, plan.name_de, plan_id=plan.id)
    facts = _about(subscription, said) | {"plan_id": plan.id}
    return Offer(subscription.account, amount, [wanted], subscription=subscription, facts=facts)


def _buying(order: Order, by: Member, answers: dict[str, Any]) -> Offer:
    said = answers["products"]
    subscription = _subscription(order, said, by)
    if not subscription.is_running:
        raise Refused(_("%(subscription)s is not running.", subscription=subscription), field="subscription_id")
    group, new_group = _resource_group(subscription, said)
    articles = _articles(said.get("lines") or [])
    today, currency = subscriptions.today_of(subscription), subscription.currency
    try:
        lines = [quotes.of_article(article, quantity, currency=currency, on=today) for article, quantity in articles]
    except Refused as refusal:
        raise Refused(refusal.sentence, field="lines") from refusal
    amount = quotes.total(lines, currency=currency, account=subscription.account)
    wanted = [
        Wanted(line.quantity, line.unit_price, line.amount, article.name_en, article.name_de, article_id=article.id)
        for line, (article, _quantity) in zip(amount.lines, articles, strict=True)
    ]
    return Offer(
        subscription.account, amount, wanted, subscription=subscription, group=group, new_group=new_group,
        facts=_about(subscription, said),
    )  # fmt: skip


_OFFERS: dict[OrderKind, Callable[[Order, Member, dict[str, Any]], Offer]] = {
    OrderKind.SUBSCRIBE: _subscribing,
    OrderKind.RENEW: _renewing,
    OrderKind.UPGRADE: _upgrading,
    OrderKind.LICENSES: _buying,
}


# --- whom and what it is about -----------------------------------------------------------------------------------


def usual(by: Member) -> dict[str, Any]:
    """What a new customer has where nothing is said: as the account that opens it."""
    return {name: getattr(by.account, name) for name in ("country", "language", "time_zone", "currency")}


def orderable(by: Member) -> Any:
    """The accounts one may order for, neither archived nor on hold: the own, those beneath, and clients that have
    agreed to it (L-4)."""
    living = (Account.archived_at.is_(None), Account.administrative_hold_at.is_(None))
    agreed = Account.id.in_(sorted(subscriptions.clients_to_order_for()))
    return select(Account).where(or_(in_subtree(Account.path, by.account.path), agreed), *living)


def subscriptions_for(kind: OrderKind, *, by: Member) -> Any:
    """The subscriptions an order of that kind can be about."""
    within = in_subtree(Account.path, by.account.path) | Account.id.in_(sorted(subscriptions.clients_to_order_for()))
    living = (within, Account.archived_at.is_(None), Account.administrative_hold_at.is_(None))
    running = [SubscriptionStatus.ACTIVE, SubscriptionStatus.EXPIRED]
    if kind is OrderKind.LICENSES:
        running = [SubscriptionStatus.ACTIVE, SubscriptionStatus.TRIAL]
    return select(Subscription).join(Subscription.account).where(*living, Subscription.status.in_(running))


def is_taken(domain: str, *, but: int | None = None) -> bool:
    """Whether another order has the domain, whoever's it is; that much anybody could find out in the net."""
    with unscoped("a domain is taken, whoever has it", writes=False) as session:
        holder = session.scalar(select(Order.id).where(Order.claimed_domain == domain))
    return holder is not None and holder != but


def taken(domain: str) -> Refused:
    return Refused(_("%(domain)s is taken; choose another one.", domain=domains.shown(domain)), field="domain")


def _customer(answers: dict[str, Any], by: Member) -> Account:
    said = answers.get("customer", {})
    if said.get("account_id") is not None:
        account = _account(said["account_id"])
        _refuse_unless_orderable(account, by)
        return account
    if "new" in said:
        return _would_be(said["new"], by)
    return Account(name="?", kind=Kind.CUSTOMER, time_zone=by.account.time_zone)


def _would_be(new: dict[str, Any], by: Member) -> Account:
    """The account a new customer is going to have; not kept. Raises `Refused` for what it cannot be."""
    account = Account(kind=Kind.CUSTOMER, **usual(by) | {name: text for name, text in new.items() if text})
    account.name = new["name"]
    account.parent = by.account
    try:
        with db.session.no_autoflush:
            accounts.accept(account)
    finally:
        account.parent = None
    return account


def _account(pk: int) -> Account:
    account = db.session.get(Account, pk)
    if account is None:
        raise Refused(_("There is no such account."), field="account_id")
    return account


def _refuse_unless_orderable(account: Account, by: Member) -> None:
    if not account.is_within(by.account):
        subscriptions.refuse_unagreed(account)
    if account.is_archived:
        raise Refused(_("%(name)s is archived; restore it first.", name=account.name), field="account_id")
    if account.is_held:
        raise Refused(_("%(name)s is on hold; nothing can be ordered for it.", name=account.name), field="account_id")


def _check_email(email: str) -> None:
    try:
        validate_email(email, check_deliverability=False)
    except EmailNotValidError as error:
        raise Refused(_("This is not an e-mail address."), field="email") from error


def email_of_customer(order: Order) -> str:
    """Where the customer gets mail; empty where that is not known."""
    said = order.answers.get("customer", {})
    if "new" in said:
        return said["new"]["email"]
    return _account(said["account_id"]).email or "" if "account_id" in said else ""


def _plan(pk: Any) -> Plan:
    plan = db.session.get(Plan, pk) if type(pk) is int else None
    if plan is None or plan.is_archived or plan.product.is_archived:
        raise _no_plan()
    return plan


def _no_plan() -> Refused:
    return Refused(_("Choose one of the plans on offer."), field="plan_id")


def _chosen(order: Order) -> Subscription | None:
    for step in ("subscription", "products"):
        pk = order.answers.get(step, {}).get("subscription_id")
        if pk is not None:
            return db.session.get(Subscription, pk)
    return None


def _subscription(order: Order, said: dict[str, Any], by: Member) -> Subscription:
    pk = said.get("subscription_id")
    subscription = db.session.get(Subscription, pk) if type(pk) is int else None
    if subscription is None:
        raise Refused(_("Choose one of the subscriptions."), field="subscription_id")
    _at("subscription_id", lambda: _refuse_unless_orderable(subscription.account, by))
    operation = order.kind.operation
    if operation is not None and not subscription.plan.product.allows(operation):
        raise Refused(_("This cannot be ordered for %(subscription)s.", subscription=subscription),
                      field="subscription_id")  # fmt: skip
    return subscription


def _at(name: str, check: Callable[[], None]) -> None:
    try:
        check()
    except Refused as refusal:
        raise Refused(refusal.sentence, field=name) from refusal


def _about(subscription: Subscription, said: dict[str, Any]) -> dict[str, Any]:
    words = {name: " ".join((said.get(name) or "").split()) for name in ("reference", "remark")}
    for name, most in (("reference", 120), ("remark", 500)):
        if len(words[name]) > most:
            raise Refused(_("At most %(count)s characters.", count=most), field=name)
    return words | {
        "product_type": subscription.plan.product.type,
        "payment_mode": subscription.payment_mode,
        "location": subscription.location,
    }


def _resource_group(subscription: Subscription, said: dict[str, Any]) -> tuple[ResourceGroup | None, str]:
    """The resource group chosen, or the name of a new one; one of that name that is there is that one."""
    name = " ".join((said.get("new_group") or "").split())
    groups = [group for group in subscription.groups if not group.is_archived]
    if name:
        return next((group for group in groups if group.name == name), None), name
    pk = said.get("group_id")
    group = next((group for group in groups if group.id == pk), None)
    if pk is not None and group is None:
        raise Refused(_("Choose one of its resource groups."), field="group_id")
    return group, ""


def _articles(lines: list[Any]) -> list[tuple[Article, int]]:
    if not lines:
        raise Refused(_("Add a product."), field="lines")
    if len(lines) > MOST_LINES:
        raise Refused(_("At most %(count)s products in one order.", count=MOST_LINES), field="lines")
    found = []
    for pk, quantity in lines:
        article = db.session.get(Article, pk) if type(pk) is int else None
        if article is None or article.is_archived:
            raise Refused(_("Choose products that are on offer."), field="lines")
        if type(quantity) is not int or not 1 <= quantity <= LARGEST_QUANTITY:
            raise Refused(_("A quantity is a whole number from 1 to 1,000,000,000."), field="lines")
        if any(grant.quantity * quantity > LARGEST_QUANTITY for grant in article.grants):
            raise Refused(_("This is too much."), field="lines")
        found.append((article, quantity))
    return found


def _choice(kind: Any, value: Any, name: str) -> Any:
    try:
        return kind(value)
    except ValueError as error:
        raise Refused(_("Not one of the choices."), field=name) from error


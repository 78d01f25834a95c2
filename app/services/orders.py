"""The verbs of orders: begun, answered step by step, placed, changed, cancelled (L-9, L-10, I-1 … I-9).

A draft is a few answers; what it costs is worked out from them whenever somebody looks, by the very code that places
it (`offers`). Placing makes lines, fulfilment tasks and a stored calculation of it, at the prices of that moment.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from flask_babel import force_locale, format_date
from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm.exc import StaleDataError

from .. import clock, money, outbox
from ..audit import record
from ..errors import Conflict, Refused
from ..extensions import db
from ..models import (
    Account,
    EventKind,
    Fulfilment,
    FulfilmentStatus,
    Member,
    Operation,
    Order,
    OrderKind,
    OrderLine,
    OrderStatus,
    ProductType,
    ResourceGroup,
    Subscription,
    SubscriptionStatus,
    User,
    public_id,
)
from ..tenancy import give_to, is_by_consent
from . import accounts, offers, quotes, resource_groups, subscription_news, subscriptions, webhooks
from .offers import Offer

DELETED_AFTER = timedelta(days=14)  # what was begun of an instance, after the order is cancelled (I-9)
LONGEST_REASON, LONGEST_KEY = 300, 60
UNDER_WAY = (OrderStatus.PLACED, OrderStatus.IN_FULFILMENT, OrderStatus.FAILED)


# --- drafts ------------------------------------------------------------------------------------------------------


def begin(kind: OrderKind, *, form_key: str, by: Member, product_type: ProductType | None = None) -> Order:
    """A new draft, in the account one acts in. The same form sent twice begins one.

    Raises `Refused` where products of that type are not sold anew (I-1).
    """
    if kind is OrderKind.SUBSCRIBE and not (product_type and product_type.allows(Operation.SELL)):
        raise Refused(_("On-premise licenses are not sold anew; renew or upgrade one that exists."))
    form_key = form_key[:LONGEST_KEY] or public_id("KEY")
    return _begun(form_key, by) or _begin(kind, form_key, by, product_type=product_type)


def _begun(form_key: str, by: Member) -> Order | None:
    return db.session.scalar(
        select(Order).where(Order.author_account_id == by.account_id, Order.form_key == form_key)
    )


def _begin(kind: OrderKind, form_key: str, by: Member, **facts: Any) -> Order:
    order = Order(
        account=by.account, public_id=public_id("ORD"), form_key=form_key, kind=kind, status=OrderStatus.DRAFT,
        author_id=by.user_id, author=by.user.name[:140], author_account_id=by.account_id,
        ordered_by=by.account.name, answers={}, created_at=clock.now(), **facts,
    )  # fmt: skip
    try:
        with db.session.begin_nested():
            db.session.add(order)
            record("order.begun", order)
    except IntegrityError as error:
        if (twin := _begun(form_key, by)) is not None:
            return twin
        raise Conflict(_("This order has been begun already.")) from error
    return order


def answer(order: Order, step: str, facts: dict[str, Any], *, by: Member) -> None:
    """Put a step's answers into a draft. Raises `Refused`, at the field, for what cannot be ordered."""
    _refuse_unless_draft(order, by)
    order.answers = {**order.answers, step: offers.checked(order, step, facts, by=by)}
    order.customer = offers.customer_of(order)[:120]
    record("order.edited", order)
    save(order)


def discard(order: Order, *, by: Member) -> None:
    """Throw a draft away."""
    _refuse_unless_draft(order, by)
    record("order.discarded", order)
    db.session.delete(order)
    db.session.flush()


def change(order: Order, *, form_key: str, by: Member) -> Order:
    """A new draft that says what a placed order says; once it is placed, it takes that order's place (L-9)."""
    _refuse_unless_open(order, by)
    draft = begin(order.kind, form_key=form_key, by=by, product_type=order.product_type)
    if draft.status is OrderStatus.DRAFT and not draft.answers:
        draft.answers, draft.customer, draft.replaces_id = order.answers, order.customer, order.id
        save(draft)
    return draft


def is_open(order: Order) -> bool:
    """Whether it can still be changed or cancelled: nothing of it is fulfilled."""
    return order.status in UNDER_WAY and not any(
        task.status is FulfilmentStatus.FULFILLED for task in tasks_of(order)
    )


def tasks_of(order: Order) -> list[Fulfilment]:
    return list(db.session.scalars(select(Fulfilment).where(Fulfilment.order_id == order.id).order_by(Fulfilment.id)))


def _refuse_unless_draft(order: Order, by: Member) -> None:
    if order.status is not OrderStatus.DRAFT:
        raise Conflict(_("%(order)s has been placed; it is changed by another order.", order=order))
    if order.account_id != by.account_id:
        raise Refused(_("A draft is written in the account it was begun in."))


def _refuse_unless_open(order: Order, by: Member) -> None:
    own = order.account_id == by.account_id and not by.account.kind.manages_accounts
    if own or (is_by_consent(order) and order.author_account_id != by.account_id):
        raise Refused(_("Whoever has placed %(order)s can change or cancel it.", order=order))
    if order.status not in UNDER_WAY:
        raise Refused(_("%(order)s is %(status)s.", order=order, status=order.status.label))
    if not is_open(order):
        raise Refused(_("Something of %(order)s is fulfilled already; it stays as it is.", order=order))


# --- placing -----------------------------------------------------------------------------------------------------


def place(order: Order, *, seen: str, by: Member) -> None:
    """Order it, at the prices of this moment. `seen` is the total the person was shown.

    Placed twice it is ordered once: the second is told (`Conflict`). Whatever the prices were when the form was
    rendered, the server's count now, and a person who has seen others is asked again.
    """
    hold(order)
    _refuse_unless_draft(order, by)
    former = _former(order, by)
    offer = offers.of(order, by=by)
    _refuse_unseen(offer, seen)
    account = _open_customer(order, by) if offers.is_for_somebody_new(order) else offer.account
    if former is not None:
        _cancel(former, _("Replaced by %(order)s", order=order))
    total = f"{offer.amount.gross} {offer.amount.currency}"
    record("order.placed", order, account=account, total=total, ordered=offer.in_words())
    give_to(order, account)
    _agree(order, offer)
    _write(order, offer, account, by)
    save(order)
    webhooks.tell(EventKind.PLACED, order)
    tell(order, "order_placed", by)


def _former(order: Order, by: Member) -> Order | None:
    """The order it is to replace, held, if that may still be replaced."""
    former = db.session.get(Order, order.replaces_id) if order.replaces_id else None
    if former is not None:
        hold(former)
        _refuse_unless_open(former, by)
    return former


def _refuse_unseen(offer: Offer, seen: str) -> None:
    total = str(offer.amount.gross)
    if seen != total:
        raise Refused(_("The price has changed since you looked; please check it once more."), field="seen")


def _open_customer(order: Order, by: Member) -> Account:
    facts = dict(order.answers["customer"]["new"])
    account = accounts.open_account(facts.pop("name"), parent=by.account, by=by, **offers.usual(by) | facts)
    order.answers = {**order.answers, "customer": {"account_id": account.id}}
    return account


def _agree(order: Order, offer: Offer) -> None:
    """What the order is about, as columns."""
    order.status, order.placed_at = OrderStatus.PLACED, clock.now()
    order.customer, order.currency = order.account.name, offer.amount.currency
    order.net_minor = money.to_minor(offer.amount.net, offer.amount.currency)
    order.gross_minor = money.to_minor(offer.amount.gross, offer.amount.currency)
    for name, value in offer.facts.items():
        setattr(order, name, value)


def _write(order: Order, offer: Offer, account: Account, by: Member) -> None:
    """Lines, tasks, calculation, all in the customer's account; a new subscription waits for its fulfilment."""
    order.calculation = quotes.keep(offer.amount, account)
    if offer.terms is not None:
        _claim_domain(order)
        order.subscription = subscriptions.add(account, offer.terms, title=order.domain, by=by, pending=True)
    elif offer.subscription is not None:
        order.subscription = offer.subscription
        order.previous_id = order.previous_id or _last_order_of(offer.subscription)
        order.resource_group = _group(offer)
    for position, wanted in enumerate(offer.lines, 1):
        line = OrderLine(
            account=account, order_id=order.id, position=position, quantity=wanted.quantity,
            currency=offer.amount.currency, plan_id=wanted.plan_id, article_id=wanted.article_id,
            name_en=wanted.name_en, name_de=wanted.name_de,
            unit_minor=money.to_minor(wanted.unit_price, offer.amount.currency),
            net_minor=money.to_minor(wanted.net, offer.amount.currency),
        )  # fmt: skip
        db.session.add(line)
        db.session.flush()
        db.session.add(Fulfilment(account=account, order_id=order.id, line_id=line.id, created_at=clock.now()))


def _claim_domain(order: Order) -> None:
    """Take the domain; of two at once one gets it."""
    try:
        with db.session.begin_nested():
            order.claimed_domain = order.domain
    except IntegrityError as error:
        raise offers.taken(order.domain) from error


def _last_order_of(subscription: Subscription) -> int | None:
    """The order that has led to the subscription as it is (I-1)."""
    return db.session.scalar(
        select(Order.id)
        .where(Order.subscription_id == subscription.id, Order.status == OrderStatus.COMPLETED)
        .order_by(Order.ended_at.desc(), Order.id.desc())
        .limit(1)
    )


def _group(offer: Offer) -> ResourceGroup | None:
    """The resource group the licenses go to: one that is there, or made now."""
    if offer.group is not None or not offer.new_group:
        return offer.group
    return resource_groups.add(offer.subscription, offer.new_group)


# --- cancelling --------------------------------------------------------------------------------------------------


def cancel(order: Order, *, reason: str, by: Member) -> None:
    """Take an order back, as long as nothing of it is fulfilled."""
    hold(order)
    _refuse_unless_open(order, by)
    reason = " ".join(reason.split())
    if not reason or len(reason) > LONGEST_REASON:
        raise Refused(_("Give a reason, in up to 300 characters."), field="reason")
    _cancel(order, reason)
    save(order)
    tell(order, "order_cancelled", by, reason=reason)


def _cancel(order: Order, reason: str) -> None:
    """What was begun of an instance stays for two weeks, and keeps its domain until then (I-9)."""
    today, tasks = clock.today(order.account.time_zone), tasks_of(order)
    begun = bool(order.domain) and any(task.attempts for task in tasks)
    record("order.cancelled", order)
    order.status, order.reason, order.ended_at = OrderStatus.CANCELLED, reason, clock.now()
    order.delete_on = today + DELETED_AFTER if begun else None
    order.claimed_domain = order.claimed_domain if begun else None
    for task in tasks:
        record("fulfilment.cancelled", task)
        task.status, task.ended_at = FulfilmentStatus.CANCELLED, clock.now()
    db.session.flush()
    subscription = order.subscription
    if order.kind is OrderKind.SUBSCRIBE and subscription.status is SubscriptionStatus.PENDING:
        record("subscription.cancelled", subscription)
        subscription.title = f"{subscription.title} ({order})"  # the next one may have it
        subscription.status, subscription.reason = SubscriptionStatus.CANCELLED, reason
        subscription.cancelled_on, subscription.delete_on = today, order.delete_on or today
        subscriptions.save(subscription)
    webhooks.tell(EventKind.CANCELLED, order)


def release_domains() -> None:
    """Give free the domains whose instances are deleted by now; unscoped, by the clockwork."""
    today = clock.today()
    cancelled = (Order.status == OrderStatus.CANCELLED) & (Order.delete_on <= today)
    gone = Order.subscription.has(Subscription.status == SubscriptionStatus.DELETED)
    for order in db.session.scalars(select(Order).where(Order.claimed_domain.is_not(None), cancelled | gone)):
        order.claimed_domain = None
        record("order.domain_released", order, domain=order.domain)


# --- small things ------------------------------------------------------------------------------------------------


def hold(order: Order) -> None:
    """The order as it is now, kept so until this is done."""
    held = select(Order).where(Order.id == order.id).with_for_update(of=Order)
    db.session.scalars(held.execution_options(populate_existing=True)).one()  # fetched, or it stays as it was read


def save(order: Order) -> None:
    """Write it, unless somebody has changed it since it was read. Raises `Conflict`."""
    try:
        db.session.flush()
    except StaleDataError as error:
        sentence = _("%(name)s was changed by somebody else just now. Please look at it again.", name=order)
        raise Conflict(sentence) from error


def tell(order: Order, template: str, by: Member, *, but: Iterable[str] = (), **facts: Any) -> None:
    """Write to the author and to the customer, each in their language, with the order's number (I-8)."""
    told = {email: locale for email, locale in _concerned(order).items() if email not in but}
    for email, locale in told.items():
        with force_locale(locale):
            day = format_date(order.delete_on, "long", rebase=False) if order.delete_on else ""
            outbox.write(
                template, to=email, locale=locale, account_id=by.account_id, order=order, deleted_on=day,
                lines=[str(line) for line in _lines_of(order)], **facts,
            )  # fmt: skip


def _concerned(order: Order) -> dict[str, str]:
    """Address → language: who ordered, where that is known here, and for whom, where that is somebody else."""
    account, author = order.account, db.session.get(User, order.author_id)
    told = {author.email: author.locale or account.language} if author is not None else {}
    if account.id != order.author_account_id and (office := subscription_news.registered_address(account)):
        told.setdefault(office, account.language)
    return told


def _lines_of(order: Order) -> list[OrderLine]:
    return list(
        db.session.scalars(select(OrderLine).where(OrderLine.order_id == order.id).order_by(OrderLine.position))
    )

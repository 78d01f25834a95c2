"""The verbs of subscriptions: added, renewed, decided about, suspended, cancelled (L-5, L-6, I-6, I-9).

A subscription is changed under the condition that nobody else has changed it since it was read
(`Subscription.version`); of two at once one is told. What it costs is calculated by `quotes`, for the page that asks
and for the deed alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from flask_babel import format_date
from flask_babel import gettext as _
from sqlalchemy import func, select
from sqlalchemy.orm.exc import StaleDataError

from .. import clock
from ..audit import record
from ..errors import Conflict, Refused
from ..extensions import db, is_sqlite
from ..models import (
    Account,
    Consent,
    DataLocation,
    Kind,
    Member,
    Meter,
    Operation,
    PaymentMode,
    Plan,
    RenewalRule,
    Subscription,
    SubscriptionStatus,
    SuspensionCause,
    UpfrontRequest,
    UpfrontStatus,
    public_id,
    sort_key,
)
from ..periods import Period, add_months, next_end, periods_until
from ..pricing import Amount
from ..tenancy import current_scope, is_by_consent
from . import quotes, subscription_news
from .subscription_news import News

DELETED_AFTER = timedelta(days=14)  # from the cancellation (I-9)
LONGEST_REASON, LONGEST_TITLE = 300, 120
TO_ORDER = (Consent.SUBSCRIPTIONS, Consent.ORDERS)  # whoever orders sees what there is
RENEWABLE = (SubscriptionStatus.ACTIVE, SubscriptionStatus.EXPIRED)


# --- adding and editing ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Terms:
    """What is agreed on: which plan, how much of it, how it is paid, since when."""

    plan: Plan
    currency: str
    payment_mode: PaymentMode
    quantities: Mapping[Meter, int]
    location: DataLocation | None = None
    starts_on: date | None = None  # none: today; earlier: a contract that exists already, entered by the operator
    postponed: bool = False  # billing begins after the plan's free months (I-6)


def preview(terms: Terms, account: Account, *, by: Member) -> Amount:
    """What the first period charged costs; raises `Refused` for whatever `add` would."""
    _check(terms, account, by)
    _anchor, periods = _first_term(terms, account)
    return quotes.of_periods(
        terms.plan, periods[-1:], currency=terms.currency, quantities=terms.quantities, account=account
    )


def add(
    account: Account, terms: Terms, *, title: str, by: Member, remark: str = "", pending: bool = False
) -> Subscription:
    """A new subscription. `pending`: agreed on, but not running until it is started (`start`)."""
    hold(account)
    amount = preview(terms, account, by=by)
    subscription = Subscription(
        account=account,
        public_id=public_id("SUB", 6),
        title=_free_title(title, account),
        plan=terms.plan,
        currency=terms.currency,
        payment_mode=terms.payment_mode,
        location=terms.location,
        status=SubscriptionStatus.PENDING,
        remark=" ".join(remark.split())[:LONGEST_REASON],
        created_at=clock.now(),
        created_by=by.user.name[:140],
        **{meter.value: terms.quantities[meter] for meter in Meter},
    )
    subscription.calculation = quotes.keep(amount, account)
    if not pending:
        _begin(subscription, *_first_term(terms, account), postponed=terms.postponed)
    db.session.add(subscription)
    record("subscription.added", subscription, plan=terms.plan.key)
    db.session.flush()
    return subscription


def start(subscription: Subscription, *, postponed: bool = False) -> None:
    """Let a pending subscription run from today on; billing starts with it (I-10). History names the deed."""
    with db.session.no_autoflush:  # the deed's line must not be written before there is something to tell
        _refuse_unless(subscription, SubscriptionStatus.ACTIVE)
        today, months = today_of(subscription), subscription.plan.period.months
        _begin(subscription, today, periods_until(today, today, months, today), postponed=postponed)
    save(subscription)


def _begin(subscription: Subscription, anchor: date, periods: list[Period], *, postponed: bool) -> None:
    subscription.anchored_on = subscription.starts_on = anchor
    if postponed:
        subscription.status = SubscriptionStatus.TRIAL
        subscription.trial_ends_on = add_months(anchor, subscription.plan.trial_months)
        subscription.ends_on = subscription.trial_ends_on
    else:
        subscription.status = SubscriptionStatus.ACTIVE
        subscription.billed_from, subscription.ends_on = anchor, periods[-1].beyond


def _first_term(terms: Terms, account: Account) -> tuple[date, list[Period]]:
    """The anchor, and the periods from it up to the one that runs now."""
    today = clock.today(account.time_zone)
    anchor = terms.starts_on or today
    first = add_months(anchor, terms.plan.trial_months) if terms.postponed else anchor
    return anchor, periods_until(anchor, first, terms.plan.period.months, max(today, first))


def edit(subscription: Subscription, *, title: str, remark: str) -> None:
    """Change what people call it and note about it. What is agreed on changes by orders."""
    hold(subscription.account)
    subscription.title = _free_title(title, subscription.account, subscription)
    subscription.remark = " ".join(remark.split())[:LONGEST_REASON]
    record("subscription.edited", subscription)
    save(subscription)


def _check(terms: Terms, account: Account, by: Member) -> None:
    plan = terms.plan
    if is_by_consent(account):
        refuse_unagreed(account)
    if account.is_archived:
        raise Refused(_("%(name)s is archived; restore it first.", name=account.name))
    if plan.is_archived or plan.product.is_archived:
        raise Refused(_("%(name)s is archived and offered no longer.", name=plan.name), field="plan_id")
    if terms.payment_mode not in plan.payment_modes:
        raise Refused(_("%(plan)s cannot be paid like this.", plan=plan.name), field="payment_mode")
    if terms.postponed and not plan.trial_months:
        raise Refused(_("%(plan)s has no free month.", plan=plan.name), field="postponed")
    if (terms.location and terms.location.value) not in (plan.product.locations or [None]):
        raise Refused(_("Choose where the data is to lie.", plan=plan.name), field="location")
    _check_start(terms, account, by)
    quotes.check_quantities(plan, terms.quantities)


def _check_start(terms: Terms, account: Account, by: Member) -> None:
    """It starts today; an existing contract, and so any of a product not sold any more, is entered by the operator."""
    today = clock.today(account.time_zone)
    exists = terms.starts_on is not None and terms.starts_on < today
    if terms.starts_on is not None and terms.starts_on > today:
        raise Refused(_("A subscription starts today at the latest."), field="starts_on")
    if exists and by.account.kind is not Kind.OPERATOR:
        raise Refused(_("Contracts that exist already are entered by the operator."), field="starts_on")
    if not (exists or terms.plan.product.allows(Operation.SELL)):
        raise Refused(
            _("%(product)s is not sold anew; what exists of it can be renewed or upgraded.",
              product=terms.plan.product.name),
            field="plan_id",
        )  # fmt: skip


# --- renewing --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Renewal:
    """What renewing today would mean."""

    anchor: date
    periods: list[Period]
    amount: Amount

    @property
    def ends_on(self) -> date:
        return self.periods[-1].beyond


def renewal_of(subscription: Subscription) -> Renewal:
    """The new term and what it costs. Raises `Refused` where it cannot be renewed today, above all outside its window.

    Renewed late it counts from the old end, as the plan says, and reaches beyond today.
    """
    _refuse_unrenewable(subscription)
    today, months = today_of(subscription), subscription.plan.period.months
    anchor, first = subscription.anchored_on, subscription.ends_on
    if _counts_from_today(subscription, today):
        anchor = first = today
    periods = periods_until(anchor, first, months, today)
    return Renewal(anchor, periods, _cost_of(subscription, periods))


def renew(subscription: Subscription, *, seen: int) -> None:
    """Renew it for a term. `seen` is the version the person was shown, so that what is sent twice is done once."""
    if subscription.version != seen:
        raise _changed_meanwhile(subscription.public_id)
    renewal = renewal_of(subscription)
    subscription.status, subscription.reminded = SubscriptionStatus.ACTIVE, None
    subscription.anchored_on, subscription.ends_on = renewal.anchor, renewal.ends_on
    subscription.calculation = quotes.keep(renewal.amount, subscription.account)
    record("subscription.renewed", subscription)
    save(subscription)


def renewable_from(subscription: Subscription) -> date:
    """The first day on which it can be renewed."""
    return subscription.ends_on - timedelta(days=subscription.plan.renewal_window)


def can_be_renewed(subscription: Subscription) -> bool:
    return (
        subscription.status in RENEWABLE
        and subscription.cancelled_on is None
        and renewable_from(subscription) <= today_of(subscription)
    )


def _refuse_unrenewable(subscription: Subscription) -> None:
    refuse_archived(subscription)
    if subscription.status not in RENEWABLE:
        raise Refused(_("%(subscription)s is %(status)s; it cannot be renewed.", **words(subscription)))
    if subscription.cancelled_on is not None:
        raise Refused(_("%(subscription)s is cancelled; keep it first, then renew it.", **words(subscription)))
    if not can_be_renewed(subscription):
        first = format_date(renewable_from(subscription), "long", rebase=False)
        raise Refused(_("%(subscription)s can be renewed from %(day)s on.", day=first, **words(subscription)))


def _counts_from_today(subscription: Subscription, today: date) -> bool:
    rule = subscription.plan.renewal
    return rule is RenewalRule.FROM_TODAY or (rule is RenewalRule.LATER and today > subscription.ends_on)


def _cost_of(subscription: Subscription, periods: list[Period]) -> Amount:
    return quotes.of_periods(
        subscription.plan,
        periods,
        currency=subscription.currency,
        quantities={meter: subscription.quantity(meter) for meter in Meter},
        account=subscription.account,
        upfront=subscription.upfront_on is not None,
    )


# --- the end of the free month ---------------------------------------------------------------------------------


def is_undecided(subscription: Subscription) -> bool:
    """Whether it is free so far, and nobody has said what comes then (I-6)."""
    return subscription.trial_ends_on is not None and subscription.billed_from is None and not subscription.is_over


def payment_of(subscription: Subscription) -> Renewal:
    """What deciding to pay would mean: the first period charged, after the free one or, decided late, from today."""
    if not is_undecided(subscription):
        raise Refused(_("There is nothing to decide about %(subscription)s.", subscription=subscription))
    today, months = today_of(subscription), subscription.plan.period.months
    if today < subscription.trial_ends_on:
        anchor, first = subscription.anchored_on, subscription.trial_ends_on
    else:
        anchor = first = today
    periods = [Period(first, next_end(anchor, first, months))]
    return Renewal(anchor, periods, _cost_of(subscription, periods))


def pay(subscription: Subscription) -> None:
    """Go on after the free month, and pay from then on; suspended since, it runs again."""
    payment = payment_of(subscription)
    refuse_archived(subscription)
    subscription.status, subscription.cause, subscription.reason = SubscriptionStatus.ACTIVE, None, ""
    subscription.anchored_on, subscription.ends_on = payment.anchor, payment.ends_on
    subscription.billed_from, subscription.reminded = payment.periods[0].first, None
    subscription.calculation = quotes.keep(payment.amount, subscription.account)
    record("subscription.decided_to_pay", subscription)
    save(subscription)


# --- suspending, cancelling ------------------------------------------------------------------------------------


def suspend(subscription: Subscription, *, reason: str, by: Member) -> None:
    """Stop it for the time being; its account reads the reason."""
    _refuse_own(subscription, by)
    _refuse_unless(subscription, SubscriptionStatus.SUSPENDED)
    subscription.status, subscription.cause = SubscriptionStatus.SUSPENDED, SuspensionCause.BY_HAND
    subscription.reason, subscription.suspended_by_id = said(reason), by.account_id
    record("subscription.suspended", subscription)
    save(subscription)


def reinstate(subscription: Subscription, *, by: Member) -> None:
    """Lift a suspension; the account that made it does, or one above. After a free month only paying does."""
    _refuse_own(subscription, by)
    if subscription.status is not SubscriptionStatus.SUSPENDED:
        raise Refused(_("%(subscription)s is not suspended.", subscription=subscription))
    if is_undecided(subscription) and subscription.trial_ends_on <= today_of(subscription):
        raise Refused(_("The free month of %(subscription)s has ended: pay or cancel.", subscription=subscription))
    if db.session.get(Account, subscription.suspended_by_id) is None:  # beyond the wall, so above
        raise Refused(_("%(subscription)s was suspended by an account above yours.", subscription=subscription))
    undecided = is_undecided(subscription)
    subscription.status = SubscriptionStatus.TRIAL if undecided else SubscriptionStatus.ACTIVE
    subscription.cause, subscription.reason, subscription.suspended_by_id = None, "", None
    record("subscription.reinstated", subscription)
    save(subscription)


def cancel(subscription: Subscription, *, by: Member, reason: str = "", at_end: bool = False) -> None:
    """Cancel it today, or at the end of its term. What it is about is deleted two weeks later (I-9)."""
    _refuse_clients(subscription)
    _refuse_unless(subscription, SubscriptionStatus.CANCELLED)
    if at_end and subscription.status is not SubscriptionStatus.ACTIVE:
        raise Refused(_("Only what is active can be cancelled at the end of its term."), field="when")
    if at_end and subscription.cancelled_on is not None:
        raise Refused(_("%(subscription)s is cancelled to that day already.", subscription=subscription))
    day = subscription.ends_on if at_end else today_of(subscription)
    _withdraw_wish(subscription)
    record("subscription.cancelled", subscription)
    if not at_end:
        subscription.status, subscription.reminded = SubscriptionStatus.CANCELLED, None
    subscription.cancelled_on, subscription.delete_on = day, day + DELETED_AFTER
    subscription.reason = " ".join(reason.split())[:LONGEST_REASON]
    save(subscription)
    subscription_news.tell(subscription, News.CANCELLED, outbox_id=by.account_id)


def _withdraw_wish(subscription: Subscription) -> None:
    """Nobody pays upfront for what is cancelled."""
    open_ones = select(UpfrontRequest).where(
        UpfrontRequest.subscription_id == subscription.id,
        UpfrontRequest.status.not_in([UpfrontStatus.ACTIVE, UpfrontStatus.WITHDRAWN]),
    )
    for wish in db.session.scalars(open_ones).all():
        record("upfront_request.withdrawn", wish)
        wish.status, wish.withdrawn_at = UpfrontStatus.WITHDRAWN, clock.now()


def keep(subscription: Subscription) -> None:
    """Take back a cancellation to the end of the term that has not come yet."""
    _refuse_clients(subscription)
    if subscription.cancelled_on is None or subscription.is_over:
        raise Refused(_("%(subscription)s is not about to be cancelled.", subscription=subscription))
    subscription.cancelled_on = subscription.delete_on = None
    subscription.reason = ""
    record("subscription.kept", subscription)
    save(subscription)


# --- small things ----------------------------------------------------------------------------------------------


def today_of(subscription: Subscription) -> date:
    """The day it is where its account is."""
    return clock.today(subscription.account.time_zone)


def save(subscription: Any) -> None:
    """Write it, unless somebody has changed it since it was read. Raises `Conflict`."""
    name = str(subscription)  # asked before the flush: afterwards there may be no transaction to ask in
    try:
        db.session.flush()
    except StaleDataError as error:
        raise _changed_meanwhile(name) from error


def _changed_meanwhile(name: str) -> Conflict:
    return Conflict(_("%(name)s was changed by somebody else just now. Please look at it again.", name=name))


def _refuse_unless(subscription: Subscription, status: SubscriptionStatus) -> None:
    if not subscription.may_become(status):
        raise Refused(_("%(subscription)s is %(status)s; this cannot be done any more.", **words(subscription)))


def refuse_archived(subscription: Subscription) -> None:
    if subscription.account.is_archived:
        raise Refused(_("%(name)s is archived; restore it first.", name=subscription.account.name))


def _refuse_own(subscription: Subscription, by: Member) -> None:
    own = subscription.account_id == by.account_id and by.account.kind is not Kind.OPERATOR
    if own or is_by_consent(subscription):
        raise Refused(_("Only accounts above suspend and reinstate a subscription."))


def _refuse_clients(subscription: Subscription) -> None:
    """A client's consent is one to see, renew and change, not to cancel (L-4)."""
    if is_by_consent(subscription):
        name = subscription.account.name
        raise Refused(_("Only %(name)s itself, or an account above it, cancels its subscriptions.", name=name))


def clients_to_order_for() -> frozenset[int]:
    """The clients elsewhere in the tree that let one order for them (L-4)."""
    linked = current_scope().linked
    return frozenset.intersection(*(linked.get(consent, frozenset()) for consent in TO_ORDER))


def refuse_unagreed(account: Account) -> None:
    """Raises `Refused` for a client elsewhere in the tree that has not agreed to being ordered for."""
    if account.id not in clients_to_order_for():
        raise Refused(_("%(name)s has not agreed to your ordering for it.", name=account.name), field="account_id")


def words(subscription: Subscription) -> dict[str, Any]:
    return {"subscription": subscription.public_id, "status": subscription.status.label}


SUBSCRIBING = 0x537562  # the first number of PostgreSQL's advisory lock, the account's is the second


def hold(account: Account) -> None:
    """One at a time, so that of two with the same title the second is told.

    The account's row is not locked: a client's, seen by its consent, is nobody else's to lock. SQLite lets in one
    writer anyway.
    """
    if not is_sqlite():
        db.session.execute(select(func.pg_advisory_xact_lock(SUBSCRIBING, account.id)))


def _free_title(title: str, account: Account, own: Subscription | None = None) -> str:
    title = named(title, "title")
    taken = select(Subscription.id).where(
        Subscription.account_id == account.id, Subscription.title_key == sort_key(title)[:LONGEST_TITLE]
    )
    with db.session.no_autoflush:
        found = db.session.scalar(taken)
    if found is not None and (own is None or found != own.id):
        raise Refused(_("There is a subscription named “%(title)s” already.", title=title), field="title")
    return title


def named(name: str, field: str) -> str:
    name = " ".join(name.split())
    if not name:
        raise Refused(_("Please give it a name."), field=field)
    if len(name) > LONGEST_TITLE:
        raise Refused(_("At most %(count)s characters.", count=LONGEST_TITLE), field=field)
    return name


def said(reason: str) -> str:
    reason = " ".join(reason.split())
    if not reason:
        raise Refused(_("Please give a reason; the account reads it."), field="reason")
    if len(reason) > LONGEST_REASON:
        raise Refused(_("At most %(count)s characters.", count=LONGEST_REASON), field="reason")
    return reason

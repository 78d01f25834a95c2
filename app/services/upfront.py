"""The verbs of paying upfront: requested, called about, paid, sent a link, activated, or withdrawn (L-8).

The software is paid once; from the activation on only the infrastructure part of the plan is charged. A request is a
call task of the operator's. Paid, a link goes to the registered address; it works once, for fourteen days.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from zoneinfo import ZoneInfo

from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from .. import clock, money, tokens
from ..audit import record
from ..errors import Refused
from ..extensions import db
from ..models import (
    Account,
    Kind,
    Member,
    Purpose,
    Subscription,
    SubscriptionStatus,
    Token,
    UpfrontRequest,
    UpfrontStatus,
)
from . import deadlines, quotes, subscription_news, subscriptions
from .deadlines import Deadline
from .signin import Visitor
from .subscription_news import News
from .subscriptions import save, today_of

LONGEST_NOTE, LONGEST_REFERENCE = 300, 120
AT_ONCE = 100  # the operator is told of in one transaction
CAN_BECOME_UPFRONT = (SubscriptionStatus.PENDING, SubscriptionStatus.ACTIVE)


# --- asking for it ---------------------------------------------------------------------------------------------


def ask(subscription: Subscription, *, remark: str = "", by: Member) -> UpfrontRequest:
    """Ask to pay the software once. The operator is told, whose staff call back; the price is that of today."""
    subscriptions.hold(subscription.account)
    _refuse_unaskable(subscription)
    account, on = subscription.account, today_of(subscription)
    amount = quotes.of_software(subscription.plan, currency=subscription.currency, on=on, account=account)
    request = UpfrontRequest(
        account=account,
        subscription_id=subscription.id,
        subscription=subscription,
        status=UpfrontStatus.REQUESTED,
        currency=amount.currency,
        amount_minor=money.to_minor(amount.net, amount.currency),
        calculation=quotes.keep(amount, account),
        remark=_note(remark, "remark"),
        requested_at=clock.now(),
        requested_by=by.user.name[:140],
    )
    db.session.add(request)
    record("upfront_request.added", request)
    db.session.flush()
    return request


def can_be_asked(subscription: Subscription) -> bool:
    """Whether it is sold upfront and could become so; an open request is another matter."""
    price = subscription.plan.price_on(today_of(subscription), subscription.currency)
    able = subscription.status in CAN_BECOME_UPFRONT and subscription.upfront_on is None
    return able and price is not None and price.is_sold_upfront


def open_of(subscription: Subscription) -> UpfrontRequest | None:
    """The request under way, if there is one."""
    ended = (UpfrontStatus.ACTIVE, UpfrontStatus.WITHDRAWN)
    asked = select(UpfrontRequest).where(
        UpfrontRequest.subscription_id == subscription.id, UpfrontRequest.status.not_in(ended)
    )
    return db.session.scalar(asked)


def withdraw(request: UpfrontRequest) -> None:
    """Take the wish back; a link that was sent opens nothing any more."""
    _refuse_unless(request, UpfrontStatus.WITHDRAWN)
    request.status, request.withdrawn_at = UpfrontStatus.WITHDRAWN, clock.now()
    record("upfront_request.withdrawn", request)
    save(request)


def _refuse_unaskable(subscription: Subscription) -> None:
    subscriptions.refuse_archived(subscription)
    if subscription.status not in CAN_BECOME_UPFRONT:
        raise Refused(_("%(subscription)s is %(status)s.", **subscriptions.words(subscription)))
    if subscription.upfront_on is not None:
        raise Refused(_("The software of %(subscription)s is paid already.", subscription=subscription))
    if open_of(subscription) is not None:
        raise Refused(_("A request for %(subscription)s is under way already.", subscription=subscription))


# --- the operator's part ---------------------------------------------------------------------------------------


def note_call(request: UpfrontRequest, *, note: str, by: Member) -> None:
    """The call was made; now the payment is awaited."""
    _refuse_unless(request, UpfrontStatus.CALLED)
    request.status, request.called_at, request.called_by = UpfrontStatus.CALLED, clock.now(), by.user.name[:140]
    request.call_note = _note(note, "note")
    record("upfront_request.called", request)
    save(request)


def note_payment(request: UpfrontRequest, *, on: date, reference: str, by: Member) -> None:
    """The money is there; the link goes out at once, where there is an address to send it to."""
    _refuse_unless(request, UpfrontStatus.PAID)
    if on > clock.today(by.account.time_zone):
        raise Refused(_("A payment is noted once it has arrived."), field="on")
    request.status, request.paid_on = UpfrontStatus.PAID, on
    request.payment_reference = _note(reference, "reference", LONGEST_REFERENCE)
    record("upfront_request.paid", request)
    save(request)
    if subscription_news.registered_address(request.account):
        send(request, by=by)


def send(request: UpfrontRequest, *, by: Member) -> None:
    """Send the activation link, or a new one; the one before opens nothing any more."""
    _refuse_unless(request, UpfrontStatus.SENT)
    address = subscription_news.registered_address(request.account)
    if not address:
        raise Refused(_("%(account)s has no e-mail address; add one first.", account=request.account.name))
    token = tokens.issue(Purpose.ACTIVATION, account_id=request.account_id, email=address)
    db.session.flush()
    request.status, request.sent_at, request.email = UpfrontStatus.SENT, clock.now(), address
    request.token_id, request.expires_at = token.id, token.expires_at
    record("upfront_request.sent", request)
    save(request)
    last_day = token.expires_at.astimezone(ZoneInfo(request.account.time_zone)).date()
    subscription_news.send_link(
        request.subscription, to=address, token=token, expires_on=last_day, outbox_id=by.account_id
    )


# --- telling the operator: unscoped, by the clockwork -----------------------------------------------------------


def tell_of_new() -> None:
    """Whoever asks does not see the operator's people; the clockwork writes to them, once for each request."""
    untold = (UpfrontRequest.told_at.is_(None), UpfrontRequest.status == UpfrontStatus.REQUESTED)
    new = select(UpfrontRequest).where(*untold).order_by(UpfrontRequest.id)
    new = new.limit(AT_ONCE).with_for_update(of=UpfrontRequest, skip_locked=True)
    found = list(db.session.scalars(new.execution_options(populate_existing=True)))
    operator = db.session.scalar(select(Account).where(Account.kind == Kind.OPERATOR)) if found else None
    for request in found:
        request.told_at = clock.now()
        save(request)
        subscription_news.tell_operator(request, operator)


# --- deadlines ahead -------------------------------------------------------------------------------------------


@deadlines.source("upfront_request")
def _links_that_expire(until: date, zone: str) -> Iterator[Deadline]:
    """Activation links nobody has followed yet (X-7)."""
    waiting = select(UpfrontRequest).where(
        UpfrontRequest.status == UpfrontStatus.SENT, UpfrontRequest.expires_at > clock.now()
    )
    waiting = waiting.options(joinedload(UpfrontRequest.account), joinedload(UpfrontRequest.subscription))
    for one in db.session.scalars(waiting.order_by(UpfrontRequest.expires_at).limit(deadlines.MOST)):
        day = one.expires_at.astimezone(ZoneInfo(zone)).date()
        what = _("The activation link of %(title)s expires", title=one.subscription.title)
        if day <= until:
            yield Deadline(day, what, one.account.name, "upfront_request", one.id)


# --- activating: unscoped, since who holds the link is not known -----------------------------------------------


def find(secret: str) -> UpfrontRequest | None:
    """The request a link leads to, if it could be activated now. Looking does not use it up."""
    _token, request = _behind(secret)
    return request


def activate(secret: str, *, visitor: Visitor) -> UpfrontRequest | None:
    """Use the link up: from today on only the infrastructure is charged, and what was pending runs.

    `None` where the link works no more; of any number of simultaneous calls one succeeds.
    """
    token, request = _behind(secret)
    if token is None or request is None:
        return None
    db.session.execute(select(Subscription.id).where(Subscription.id == request.subscription_id).with_for_update())
    if tokens.redeem(Purpose.ACTIVATION, secret) is None:
        return None
    db.session.refresh(request)
    db.session.refresh(request.subscription)
    if not _can_be_activated(request):
        return None
    _make_active(request, visitor)
    return request


def _make_active(request: UpfrontRequest, visitor: Visitor) -> None:
    subscription, trail = request.subscription, {"actor": request.email, "ip": visitor.ip}
    subscription.upfront_on = today_of(subscription)
    request.status, request.activated_at = UpfrontStatus.ACTIVE, clock.now()
    record("upfront_request.activated", request, **trail)
    record("subscription.activated", subscription, **trail)
    if subscription.status is SubscriptionStatus.PENDING:
        subscriptions.start(subscription)
    else:
        save(subscription)
    account = subscription.account
    subscription_news.tell(subscription, News.ACTIVATED, outbox_id=account.parent_id or account.id)


def _behind(secret: str) -> tuple[Token | None, UpfrontRequest | None]:
    token = tokens.find(Purpose.ACTIVATION, secret)
    if token is None:
        return None, None
    named = (
        select(UpfrontRequest)
        .where(UpfrontRequest.token_id == token.id)
        .options(joinedload(UpfrontRequest.account))
        .options(joinedload(UpfrontRequest.subscription).joinedload(Subscription.plan))
    )
    request = db.session.scalar(named)
    return token, request if request is not None and _can_be_activated(request) else None


def _can_be_activated(request: UpfrontRequest) -> bool:
    return (
        request.status is UpfrontStatus.SENT
        and request.subscription.status in CAN_BECOME_UPFRONT
        and not request.account.is_archived
        and not request.account.is_held
    )


# --- small things ----------------------------------------------------------------------------------------------


def _refuse_unless(request: UpfrontRequest, status: UpfrontStatus) -> None:
    if not request.may_become(status):
        said = {"subscription": request.subscription, "status": request.status.label}
        raise Refused(_("The request for %(subscription)s stands at “%(status)s”; this cannot be done now.", **said))


def _note(text: str, field: str, longest: int = LONGEST_NOTE) -> str:
    text = " ".join(text.split())
    if len(text) > longest:
        raise Refused(_("At most %(count)s characters.", count=longest), field=field)
    return text

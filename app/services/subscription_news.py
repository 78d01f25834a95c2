"""Who is told what about a subscription, in their own language (X-12)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from enum import StrEnum
from typing import Any

from flask_babel import force_locale, format_date
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from .. import outbox
from ..extensions import db
from ..models import Account, Member, Relationship, Role, Subscription, Token, UpfrontRequest, User
from ..tenancy import is_by_consent


class News(StrEnum):
    """What there is to tell; `templates/mail/_subscription_*.txt` say it."""

    RENEWAL_DUE = "renewal-due"
    EXPIRED = "expired"
    TRIAL_ENDING = "trial-ending"
    TRIAL_ENDED = "trial-ended"
    CANCELLED = "cancelled"
    DELETION_DUE = "deletion-due"
    UPFRONT_REQUESTED = "upfront-requested"  # to the operator
    ACTIVATION = "activation"
    ACTIVATED = "activated"


def tell(subscription: Subscription, news: News, *, outbox_id: int) -> None:
    """Write to whoever answers for the account; the mails stand in the outbox of the account of that number."""
    for address, locale in _readers(subscription.account):
        _write(subscription, news, to=address, locale=locale, outbox_id=outbox_id)


def send_link(subscription: Subscription, *, to: str, token: Token, expires_on: date, outbox_id: int) -> None:
    """The activation link, to the registered address."""
    locale, path = subscription.account.language, "activate/{secret}"
    facts = {"outbox_id": outbox_id, "token": token, "link_path": path, "until": expires_on}
    _write(subscription, News.ACTIVATION, to=to, locale=locale, **facts)


def tell_operator(request: UpfrontRequest, operator: Account) -> None:
    """Somebody wants to be called about paying upfront; it stands in the operator's own outbox."""
    path = f"a/{operator.slug}/upfront/show/{request.id}"
    to = [(operator.email, operator.language)] if operator.email else _administrators(operator)
    for address, locale in to:
        _write(request.subscription, News.UPFRONT_REQUESTED, to=address, locale=locale, outbox_id=operator.id,
               link_path=path, request=request)  # fmt: skip


def registered_address(account: Account) -> str:
    """The account's own, or that of its first administrator; of a client elsewhere, whose people stay its own, the one
    it has consented with. Empty where there is none."""
    return account.email or next((email for email, _locale in _administrators(account)), "") or _consented(account)


def _readers(account: Account) -> list[tuple[str, str]]:
    """Addresses and languages: the administrators, or the account's address, or those of the account above."""
    found = list(_administrators(account))
    office = account.email or ("" if found else _consented(account))
    if not found and office:
        found = [(office, account.language)]
    if not found and account.parent is not None:
        found = list(_administrators(account.parent))
    return found


def _consented(account: Account) -> str:
    if not is_by_consent(account):
        return ""
    agreed = select(Relationship.email).where(Relationship.account_id == account.id, Relationship.ended_at.is_(None))
    return db.session.scalar(agreed.order_by(Relationship.id.desc()).limit(1)) or ""


def _administrators(account: Account) -> Iterator[tuple[str, str]]:
    asked = (
        select(Member)
        .join(Member.user)
        .options(joinedload(Member.user))
        .where(Member.account_id == account.id, Member.role == Role.ADMINISTRATOR, User.active.is_(True))
        .order_by(Member.id)
    )
    for member in db.session.scalars(asked):
        yield member.user.email, member.user.locale or account.language


def _write(subscription: Subscription, news: News, *, to: str, locale: str, outbox_id: int, **more: Any) -> None:
    account = subscription.account
    with force_locale(locale):
        days = {name: _day(getattr(subscription, name)) for name in ("ends_on", "trial_ends_on", "delete_on")}
        days["cancelled_on"] = _day(subscription.cancelled_on)
        days["until"] = _day(more.pop("until", None))
    more.setdefault("link_path", f"a/{account.slug}/subscriptions/show/{subscription.id}")
    outbox.write(
        "subscription", to=to, locale=locale, account_id=outbox_id, news=news.value, subscription=subscription,
        account=account.name, **days, **more,
    )  # fmt: skip


def _day(day: date | None) -> str:
    return format_date(day, "long", rebase=False) if day else ""

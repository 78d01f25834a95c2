"""The password of an instance's administrator: a link for each recipient, a hash for the instance (I-7).

Nobody sends or keeps a password. Whoever got a link chooses one; what is kept is its hash, which the operator's
connector takes along to the instance. The last one chosen counts.
"""

from __future__ import annotations

from zoneinfo import ZoneInfo

from flask_babel import force_locale, format_date
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from .. import clock, outbox, passwords, tokens
from ..audit import record
from ..extensions import db
from ..models import Credential, Member, Order, OrderStatus, Purpose, Token
from . import signin


def send(order: Order, *, address: str, by: Member) -> None:
    """A mail with address, user name and a link of their own to each recipient the order names."""
    for email in order.credentials_to:
        token = tokens.issue(Purpose.CREDENTIALS, account_id=order.account_id, email=email)
        db.session.flush()
        db.session.add(
            Credential(account=order.account, order_id=order.id, email=email, token_id=token.id, sent_at=clock.now())
        )
        _write(order, email, token, address, by)
    db.session.flush()


def _write(order: Order, email: str, token: Token, address: str, by: Member) -> None:
    person = signin.find_user(email)
    locale = person.locale if person is not None and person.locale else order.account.language
    with force_locale(locale):
        last_day = token.expires_at.astimezone(ZoneInfo(order.account.time_zone)).date()
        until = format_date(last_day, "long", rebase=False)
    outbox.write(
        "credentials", to=email, locale=locale, account_id=by.account_id, token=token,
        link_path="credentials/{secret}", order=order, address=address, until=until,
    )  # fmt: skip


def newest_hash(order: Order) -> str:
    """The hash of the password that counts; empty while none has been chosen."""
    chosen = select(Credential.password_hash).where(Credential.order_id == order.id, Credential.set_at.is_not(None))
    return db.session.scalar(chosen.order_by(Credential.set_at.desc(), Credential.id.desc()).limit(1)) or ""


# --- choosing one: unscoped, since who holds the link need not be known here ----------------------------------------


def find(secret: str) -> Order | None:
    """The order whose instance the link is about, if it works. Looking does not use it up."""
    token = tokens.find(Purpose.CREDENTIALS, secret)
    return _order_of(token) if token is not None else None


def choose(secret: str, kept: str) -> Order | None:
    """Use the link up and keep the hash of the password; `None` when it no longer works."""
    token = tokens.redeem(Purpose.CREDENTIALS, secret)
    credential = _credential_of(token) if token is not None else None
    if credential is None or credential.order.status is not OrderStatus.COMPLETED:
        return None
    credential.password_hash, credential.set_at = kept, clock.now()
    record("order.password_chosen", credential.order, actor=credential.email)
    db.session.flush()
    return credential.order


def accept(password: str, order: Order) -> None:
    """Refuse what is too easy to guess for that instance."""
    passwords.accept(password, email=order.administrator, names=[order.account.name, order.domain.split(".")[0]])


def _order_of(token: Token) -> Order | None:
    credential = _credential_of(token)
    order = credential.order if credential else None
    return order if order is not None and order.status is OrderStatus.COMPLETED else None


def _credential_of(token: Token) -> Credential | None:
    loads = joinedload(Credential.order).options(joinedload(Order.account))
    return db.session.scalar(select(Credential).where(Credential.token_id == token.id).options(loads))

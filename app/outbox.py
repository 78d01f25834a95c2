"""Mail as part of the deed: a message is a row, written in the same transaction, sent afterwards by the worker.

A message is composed once, in the recipient's language (X-12). Where it carries a link with a secret, the text
holds a placeholder and the row the token's id; the link is made when the message is sent or shown.
"""

from __future__ import annotations

import re
import secrets
from datetime import datetime, timedelta
from typing import Any

from flask import Response, current_app, render_template, url_for
from flask_babel import force_locale, gettext
from sqlalchemy import event, or_, select, update

from . import clock, tokens
from .audit import record
from .errors import Refused
from .extensions import Session, db
from .models import Message, MessageStatus, Purpose, Token
from .tenancy import unscoped

LINK = "https://link.invalid/"  # stands for the real link until the message leaves
CODE, HIDDEN = "{code}", "···· ····"  # the same for a code; where it may not be shown, so much is said
RETRY_AFTER = [timedelta(seconds=seconds) for seconds in (30, 120, 600, 3600, 7200)]
LEASE = timedelta(minutes=2)  # a worker that has not come back by then is taken to be dead


def write(
    template: str,
    *,
    to: str,
    locale: str,
    account_id: int,
    token: Token | None = None,
    link_path: str = "",
    **facts: Any,
) -> Message:
    """Put a message in the outbox. `templates/mail/<template>.html` and `.txt` say it; the subject is the first
    line of the text. `link_path` leads on from the public address: to where the token's secret is taken, or to a page.
    """
    with force_locale(locale):
        link = _base(token) + link_path if link_path else facts.pop("link", "")
        said = {**facts, "link": link, "brand": brand()}
        subject, _, text = render_template(f"mail/{template}.txt", **said).strip().partition("\n")
        html = render_template(f"mail/{template}.html", locale=locale, subject=subject, **said)
    message = Message(
        account_id=account_id,
        message_id=f"<{secrets.token_hex(16)}@{_host()}>",
        recipient=to,
        locale=locale,
        subject=" ".join(subject.split())[:200],
        body_text=text.strip(),
        body_html=html,
        created_at=clock.now(),
        next_try_at=clock.now(),
    )
    if token is not None:
        db.session.flush()
        message.token_id = token.id
    db.session.add(message)
    db.session.flush()
    db.session.info.setdefault("written_messages", []).append(message.id)
    return message


def _base(token: Token | None) -> str:
    return LINK if token else current_app.config["PUBLIC_URL"] + "/"


@event.listens_for(Session, "after_commit")
def _hand_over(session: Session) -> None:
    """Only what is committed is sent: the worker hears of a message now, and would find it by itself anyway."""
    if session.in_nested_transaction():
        return
    for message_id in session.info.pop("written_messages", []):
        if is_sending():
            current_app.extensions["deliver"](message_id)


@event.listens_for(Session, "after_rollback")
def _forget(session: Session) -> None:
    if session.in_nested_transaction():
        return
    session.info.pop("written_messages", None)


def bodies(message: Message, token: Token | None) -> tuple[str, str]:
    """Text and HTML as the recipient reads them, the real link or code put in."""
    if token is None:
        return message.body_text.replace(CODE, HIDDEN), message.body_html.replace(CODE, HIDDEN)
    return tuple(_filled(body, token) for body in (message.body_text, message.body_html))  # type: ignore


def _filled(body: str, token: Token) -> str:
    if token.purpose is Purpose.CONSENT:
        code = tokens.code_of(token)
        return body.replace(CODE, f"{code[:4]} {code[4:]}")
    base, secret = current_app.config["PUBLIC_URL"] + "/", tokens.secret_of(token)
    return body.replace(LINK, base).replace("{secret}", secret).replace("%7Bsecret%7D", secret)


def brand() -> str:
    return current_app.config.get("BRAND", "Kontor")


def is_sending() -> bool:
    """Whether mail leaves at all; without a mail server the outbox shows it instead (section 6)."""
    return bool(current_app.config["MAIL_SERVER"])


def _host() -> str:
    return current_app.config["TRUSTED_HOSTS"][0]


def told(message: Message) -> dict[str, Any]:
    """What the message's page shows: its text, and its link as long as no mail server carries it to the person."""
    text, _html = bodies(message, _shown_token(message))
    address = re.escape(current_app.config["PUBLIC_URL"])
    return {
        "message": message,
        "text": text,
        "links": re.findall(rf"{address}/[^\s<>\"]+", text),
        "preview_url": url_for("OutboxView.preview", pk=message.id),
    }


def preview(message: Message) -> Response:
    """The HTML part as the recipient sees it, in a page of its own where nothing runs."""
    _text, html = bodies(message, _shown_token(message))
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox; frame-ancestors 'self'"
    return Response(html, headers={"Content-Security-Policy": policy})


def _shown_token(message: Message) -> Token | None:
    """The token whose link may be shown: in the demo, while mail is not sent; otherwise it is the recipient's alone."""
    if message.token_id is None or is_sending() or current_app.config["KONTOR_ENV"] == "production":
        return None
    with unscoped("a link is shown where no mail server carries it", writes=False) as session:
        return session.get(Token, message.token_id)


# --- the worker's side -----------------------------------------------------------------------------------------


def due(limit: int = 50) -> list[int]:
    """The messages whose turn it is, the oldest first; those left behind by a dead worker among them."""
    now = clock.now()
    waiting = (Message.status == MessageStatus.WAITING) & (Message.next_try_at <= now)
    abandoned = (Message.status == MessageStatus.SENDING) & (Message.next_try_at <= now)
    return list(db.session.scalars(select(Message.id).where(or_(waiting, abandoned)).order_by(Message.id).limit(limit)))


def claim(message_id: int) -> Message | None:
    """Take a message to send it; of several workers one gets it."""
    now = clock.now()
    taken = db.session.execute(
        update(Message)
        .where(Message.id == message_id, Message.next_try_at <= now)
        .where(Message.status.in_([MessageStatus.WAITING, MessageStatus.SENDING]))
        .values(status=MessageStatus.SENDING, attempts=Message.attempts + 1, next_try_at=now + LEASE),
        execution_options={"synchronize_session": False},
    )
    return db.session.get(Message, message_id) if taken.rowcount == 1 else None


def sent(message_id: int, attempt: int) -> None:
    _settle(message_id, attempt, status=MessageStatus.SENT, sent_at=clock.now(), error="")


def not_sent(message_id: int, attempt: int, error: str, *, for_good: bool = False) -> None:
    """Try again later, or give up where trying again cannot help."""
    if for_good or attempt > len(RETRY_AFTER):
        _settle(message_id, attempt, status=MessageStatus.FAILED, error=error[:300])
    else:
        again: datetime = clock.now() + RETRY_AFTER[attempt - 1]
        _settle(message_id, attempt, status=MessageStatus.WAITING, next_try_at=again, error=error[:300])


def _settle(message_id: int, attempt: int, **outcome: Any) -> None:
    """Note the outcome, unless the lease ran out and somebody else has the message by now."""
    db.session.execute(
        update(Message)
        .where(Message.id == message_id, Message.status == MessageStatus.SENDING, Message.attempts == attempt)
        .values(**outcome),
        execution_options={"synchronize_session": False},
    )


def resend(message: Message) -> None:
    """Put a message back in the queue, from the start."""
    if not message.may_become(MessageStatus.WAITING):
        raise Refused(gettext("“%(subject)s” is waiting to be sent already.", subject=message.subject))
    message.status = MessageStatus.WAITING
    message.attempts = 0
    message.next_try_at = clock.now()
    message.error = ""
    record("message.resent", message, inside=True)

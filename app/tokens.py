"""One-time secrets: links, codes and half-finished sign-ins. One table, one statement that redeems.

The secret is derived from the server's key, the purpose and a nonce; the row keeps the nonce and the secret's
hash. So the outbox stores no secret, a message can be sent again with the same link, and a stolen database opens
nothing.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from datetime import timedelta
from typing import Any

from flask import current_app
from sqlalchemy import delete, select, update

from . import clock
from .extensions import db
from .models import Credential, Invitation, LinkRequest, Message, Purpose, Token, UpfrontRequest

LIFETIME = {
    Purpose.RESET: timedelta(hours=1),
    Purpose.INVITATION: timedelta(days=7),
    Purpose.SECOND_FACTOR: timedelta(minutes=10),
    Purpose.CONSENT: timedelta(minutes=10),
    Purpose.CALENDAR: timedelta(days=3650),  # until it is withdrawn
    Purpose.ACTIVATION: timedelta(days=14),
    Purpose.CREDENTIALS: timedelta(days=14),
}
CODE_LENGTH = 8  # digits
KEPT = timedelta(days=30)  # beyond their end, for who looks into what has happened


def issue(purpose: Purpose, **facts: Any) -> Token:
    """A new token; `facts` are its account, user and e-mail. Its secret is `secret_of(token)`."""
    token = Token(
        purpose=purpose,
        nonce=secrets.token_hex(16),
        created_at=clock.now(),
        expires_at=clock.now() + LIFETIME[purpose],
        **facts,
    )
    token.secret_hash = hash_of(secret_of(token))
    db.session.add(token)
    return token


def secret_of(token: Token) -> str:
    """What the link carries: 256 bits, made anew from the server's key each time it is needed."""
    return derived(f"token:{token.purpose.value}:{token.nonce}")


def code_of(token: Token) -> str:
    """What a person reads out of a mail and somebody else types: few digits, so tries are counted. The row keeps
    nothing of it; it is made from the server's key and the nonce."""
    made = derived(f"code:{token.purpose.value}:{token.nonce}")
    return f"{int.from_bytes(base64.urlsafe_b64decode(made + '=')) % 10**CODE_LENGTH:0{CODE_LENGTH}}"


def derived(label: str) -> str:
    """A secret that only this server can make from that label."""
    key = current_app.config["SECRET_KEY"].encode()
    return base64.urlsafe_b64encode(hmac.digest(key, label.encode(), "sha256")).decode().rstrip("=")


def hash_of(secret: str) -> str:
    """SHA-256 is enough for 256 random bits; nobody guesses them."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def find(purpose: Purpose, secret: str) -> Token | None:
    """The token, if it could be redeemed now. Looking does not use it up: link scanners look, too."""
    return db.session.scalar(select(Token).where(*_usable(purpose, secret)))


def redeem(purpose: Purpose, secret: str) -> Token | None:
    """Use the token up and return it, or `None`. Of any number of simultaneous calls one succeeds."""
    used = db.session.execute(
        update(Token).where(*_usable(purpose, secret)).values(used_at=clock.now()),
        execution_options={"synchronize_session": False},
    )
    if used.rowcount != 1:
        return None
    return db.session.scalar(select(Token).where(Token.secret_hash == hash_of(secret)))


def count_attempt(purpose: Purpose, secret: str) -> bool:
    """Count a try before it is looked at; false when there are none left."""
    counted = db.session.execute(
        update(Token)
        .where(*_usable(purpose, secret), Token.attempts < Token.max_attempts)
        .values(attempts=Token.attempts + 1),
        execution_options={"synchronize_session": False},
    )
    return counted.rowcount == 1


def revoke(purpose: Purpose, **facts: Any) -> None:
    """End all unused tokens of that purpose with those facts."""
    db.session.execute(
        update(Token).filter_by(purpose=purpose, used_at=None, revoked_at=None, **facts).values(revoked_at=clock.now()),
        execution_options={"synchronize_session": False},
    )


def forget_old(most: int) -> int:
    """Clear away some of those long past; how many it were. What an invitation or a mail names stays with it."""
    naming = (Invitation, LinkRequest, Message, UpfrontRequest, Credential)
    named = [select(row.id).where(row.token_id == Token.id).exists() for row in naming]
    old = select(Token.id).where(Token.expires_at < clock.now() - KEPT, *(~one for one in named)).limit(most)
    return db.session.execute(
        delete(Token).where(Token.id.in_(old)), execution_options={"synchronize_session": False}
    ).rowcount


def _usable(purpose: Purpose, secret: str) -> tuple[Any, ...]:
    return (
        Token.secret_hash == hash_of(secret),
        Token.purpose == purpose,
        Token.used_at.is_(None),
        Token.revoked_at.is_(None),
        Token.expires_at > clock.now(),
    )

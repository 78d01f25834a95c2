"""The verbs of API keys: created, revoked, found again by their secret, ended with a membership (section 6).

A key acts for the member who made it, in the account it was made in. It opens nothing that they could not open
themselves at that moment: without their membership, their sign-in or the account it is dead.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection
from datetime import timedelta
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import ColumnElement, case, func, literal, select, update
from sqlalchemy.orm import contains_eager

from .. import clock, tokens
from ..audit import record
from ..errors import Refused
from ..extensions import db
from ..models import Account, ApiKey, ApiKeyStatus, Member, User
from ..permissions import scopes as scopes_of

MARK = "kontor_"  # so that people, and scanners of code, know a secret of ours when they see one
LIFETIMES = (30, 90, 180, 365, 730)  # days
USUAL_LIFETIME = 90
MOST = 100  # live keys of one account
NOTED_EVERY = timedelta(minutes=1)


def create(name: str, *, scopes: Collection[str], days: int, by: Member) -> tuple[ApiKey, str]:
    """A new key and its secret, which nobody can read again. It can do no more than its maker."""
    name = " ".join(name.split())
    _hold(by)
    _refuse_name(name, by)
    own = {scope for names in scopes_of(by.account.kind, by.role).values() for scope in names}
    if not scopes or not set(scopes) <= own:
        raise Refused(_("Choose what the key may do."), field="scopes")
    if days not in LIFETIMES:
        raise Refused(_("Not one of the choices."), field="days")

    secret = MARK + secrets.token_urlsafe(32)
    key = ApiKey(account=by.account, name=name, prefix=secret[: len(MARK) + 5], secret_hash=tokens.hash_of(secret))
    key.scopes, key.created_by_id, key.created_by = sorted(scopes), by.user_id, by.user.name[:140]
    key.created_at = clock.now()
    key.expires_at = key.created_at + timedelta(days=days)
    db.session.add(key)
    record("api_key.created", key, inside=True)
    db.session.flush()
    return key, secret


def revoke(key: ApiKey, *, by: Member) -> None:
    """From this moment on the key opens nothing."""
    if key.revoked_at is not None:
        raise Refused(_("“%(name)s” is revoked already.", name=key.name))

    key.revoked_at = clock.now()
    record("api_key.revoked", key, inside=True)


def end_with(member: Member) -> None:
    """A membership ends, and the keys made in it; coming back does not bring them back."""
    theirs = select(ApiKey).where(
        ApiKey.account_id == member.account_id, ApiKey.created_by_id == member.user_id, ApiKey.revoked_at.is_(None)
    )
    for key in db.session.scalars(theirs):
        key.revoked_at = clock.now()
        record("api_key.revoked", key, inside=True)


def _hold(by: Member) -> None:
    """One key of an account at a time is made, so that two cannot have one name."""
    db.session.execute(select(Account.id).where(Account.id == by.account_id).with_for_update())


def _refuse_name(name: str, by: Member) -> None:
    if not name:
        raise Refused(_("Please fill this in."), field="name")
    if len(name) > 80:
        raise Refused(_("At most %(count)s characters.", count=80), field="name")
    live = (ApiKey.account_id == by.account_id, ApiKey.revoked_at.is_(None), ApiKey.expires_at > clock.now())
    if db.session.scalar(select(func.count()).select_from(ApiKey).where(*live)) >= MOST:
        raise Refused(_("An account has at most %(count)s API keys; revoke one first.", count=MOST))
    if db.session.scalar(select(ApiKey.id).where(*live, func.lower(ApiKey.name) == name.lower()).limit(1)):
        raise Refused(_("There is a key named “%(name)s” already.", name=name), field="name")


def status_column() -> ColumnElement[Any]:
    """`ApiKey.status_at(now)` for lists to filter and sort by."""
    type_ = literal(ApiKeyStatus.ACTIVE.value).type
    return case(
        (ApiKey.revoked_at.is_not(None), literal(ApiKeyStatus.REVOKED.value, type_)),
        (ApiKey.expires_at <= clock.now(), literal(ApiKeyStatus.EXPIRED.value, type_)),
        else_=literal(ApiKeyStatus.ACTIVE.value, type_),
    )


# --- found again: unscoped, since nobody is known yet ------------------------------------------------------------


def find(secret: str) -> tuple[ApiKey, Member] | None:
    """The live key of that secret and the member it acts for, account and person with them; or `None`."""
    found = db.session.execute(
        select(ApiKey, Member)
        .join(Member, (Member.user_id == ApiKey.created_by_id) & (Member.account_id == ApiKey.account_id))
        .join(Member.user)
        .join(Member.account)
        .options(contains_eager(Member.user), contains_eager(Member.account))
        .where(ApiKey.secret_hash == tokens.hash_of(secret))
        .where(ApiKey.revoked_at.is_(None), ApiKey.expires_at > clock.now())
        .where(User.active.is_(True), Account.archived_at.is_(None))
    ).first()
    return tuple(found) if found else None


def note_used(key: ApiKey) -> None:
    """The key is in use. Of the requests of a minute one writes."""
    now = clock.now()
    if key.last_used_at is not None and key.last_used_at > now - NOTED_EVERY:
        return
    db.session.execute(
        update(ApiKey).where(ApiKey.id == key.id).values(last_used_at=now),
        execution_options={"synchronize_session": False},
    )

"""The address under which a member's own calendar fetches the deadlines: made, renewed, withdrawn, answered (X-7).

The secret in it is derived like every other; the database alone opens nothing. It is good as long as the membership
it was made in, and no longer: whoever comes back makes a new one. Runs unscoped: calendars do not sign in.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import and_, select
from sqlalchemy.orm import contains_eager

from .. import tokens
from ..audit import record
from ..extensions import db
from ..models import Account, Member, Purpose, Token, User
from .signin import Visitor


def secret_of(member_id: int) -> str:
    """What the member's address carries; empty while there is none."""
    token = db.session.scalar(_tokens_of(member_id).order_by(Token.id.desc()).limit(1))
    return tokens.secret_of(token) if token is not None else ""


def renew(member: Member, visitor: Visitor) -> str:
    """Make an address; a former one is dead. Answers the secret in it."""
    _revoke(member)
    token = tokens.issue(Purpose.CALENDAR, account_id=member.account_id, user_id=member.user_id)
    _record("calendar.made", member, visitor)
    return tokens.secret_of(token)


def withdraw(member: Member, visitor: Visitor) -> None:
    """From now on nobody fetches anything."""
    _revoke(member)
    _record("calendar.withdrawn", member, visitor)


def member_behind(secret: str) -> Member | None:
    """Whose calendar asks, if it may still be told; person and account with it."""
    token = tokens.find(Purpose.CALENDAR, secret)
    if token is None:
        return None
    theirs = select(Member).join(Member.user).join(Member.account)
    theirs = theirs.options(contains_eager(Member.user), contains_eager(Member.account))
    theirs = theirs.where(Member.user_id == token.user_id, Member.account_id == token.account_id)
    living = theirs.where(User.active.is_(True), Account.archived_at.is_(None))
    return db.session.scalar(living.where(Member.created_at <= token.created_at))


def _tokens_of(member_id: int) -> Any:
    of_theirs = (Token.account_id == Member.account_id, Token.user_id == Member.user_id)
    living = (Token.purpose == Purpose.CALENDAR, Token.revoked_at.is_(None), Token.created_at >= Member.created_at)
    return select(Token).join(Member, and_(*of_theirs)).where(Member.id == member_id, *living)


def _revoke(member: Member) -> None:
    tokens.revoke(Purpose.CALENDAR, account_id=member.account_id, user_id=member.user_id)


def _record(action: str, member: Member, visitor: Visitor) -> None:
    actor = f"{member.user.name} <{member.user.email}>"
    record(action, account=member.account, actor=actor, actor_id=member.user_id, ip=visitor.ip, inside=True)

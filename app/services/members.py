"""The verbs of members: joined, given another role, removed, gone (M-7b)."""

from __future__ import annotations

from typing import Any

from flask_babel import gettext as _
from sqlalchemy import func, select
from sqlalchemy.orm import contains_eager

from .. import clock
from ..audit import record
from ..errors import Refused
from ..extensions import db
from ..models import Account, Member, Role, User
from ..permissions import may_grant
from . import api_keys, saved_views


def join(user: User, account: Account, *, role: Role, **trail: Any) -> Member:
    """Make a person a member of an account. `trail` is for history: who did it and from where, if no scope tells."""
    member = Member(user=user, account=account, role=role, created_at=clock.now())
    db.session.add(member)
    if trail:
        record("member.joined", member, **trail)
    db.session.flush()
    return member


def change_role(member: Member, *, to: Role, by: Member) -> None:
    """Give a member another role; never one above the giver's own, and never away from the last Administrator."""
    if member.account_id != by.account_id:
        raise Refused(_("Only an account's own administrators change its members."))
    if member.role is to:
        return
    if not (may_grant(by.role, to) and may_grant(by.role, member.role)):
        raise Refused(_("You can only give roles up to your own."), field="role")
    if member.is_administrator:
        _spare_the_last_administrator(member)

    member.role = to
    record("member.role_changed", member)


def remove(member: Member, *, by: Member) -> None:
    """End a membership. The person's sessions no longer reach the account from this moment on."""
    if member.account_id != by.account_id:
        raise Refused(_("Only an account's own administrators remove its members."))
    if not may_grant(by.role, member.role) and member.user_id != by.user_id:
        raise Refused(_("You can only remove members with roles up to your own."))
    if member.is_administrator:
        _spare_the_last_administrator(member)

    api_keys.end_with(member)
    saved_views.forget_those_of(member)
    record("member.left" if member.user_id == by.user_id else "member.removed", member)
    db.session.delete(member)


def administrators_of(account_id: int) -> list[Member]:
    """Who is written to when an account is to be told something, the first joined first."""
    found = select(Member).join(Member.user).options(contains_eager(Member.user)).order_by(Member.id)
    found = found.where(Member.account_id == account_id, Member.role == Role.ADMINISTRATOR, User.active.is_(True))
    return list(db.session.scalars(found))


def _spare_the_last_administrator(member: Member) -> None:
    """Administrators are counted under a lock on the account, so that two cannot leave at the same moment."""
    db.session.execute(select(Account.id).where(Account.id == member.account_id).with_for_update())
    administrators = select(func.count()).where(
        Member.account_id == member.account_id, Member.role == Role.ADMINISTRATOR
    )
    if db.session.scalar(administrators) <= 1:
        raise Refused(
            _("%(name)s is the last Administrator; appoint another one first.", name=member.user.name), field="role"
        )

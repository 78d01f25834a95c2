"""The verbs of holds: put on an account from above, and lifted (M-3).

On an administrative hold the account's members sign in and read, and change nothing (`permissions.STILL_ALLOWED`);
its own accounts beneath go on as before. A financial hold is noted and seen.
"""

from __future__ import annotations

from flask_babel import gettext as _
from sqlalchemy import select

from .. import clock
from ..audit import record
from ..errors import Refused
from ..extensions import db
from ..models import Account, Hold, HoldKind, Member

LONGEST = 300  # characters of a reason


def put_on_hold(account: Account, kind: HoldKind, *, reason: str, by: Member) -> Hold:
    """Hold an account that is beneath the acting one. Its members read the reason."""
    _refuse_own(account, by)
    reason = _reason(reason)
    if _in_force(account, kind) is not None:
        raise Refused(_("%(name)s is on this hold already.", name=account.name), field="kind")

    now = clock.now()
    hold = Hold(account=account, kind=kind, reason=reason, set_at=now)
    hold.set_by, hold.set_by_account_id = by.user.name[:140], by.account_id
    db.session.add(hold)
    _note(account, kind, now)
    record("account.put_on_hold", account, hold=kind, reason=reason)
    db.session.flush()
    return hold


def lift(account: Account, kind: HoldKind, *, reason: str, by: Member) -> None:
    """End a hold. Whoever set it lifts it, or an account above them; nobody in between."""
    _refuse_own(account, by)
    reason = _reason(reason)
    hold = _in_force(account, kind)
    if hold is None:
        raise Refused(_("%(name)s is not on this hold.", name=account.name), field="kind")
    if db.session.get(Account, hold.set_by_account_id) is None:
        raise Refused(_("This hold was set by an account above yours; only that account can lift it."))

    hold.lifted_at, hold.lifted_by, hold.lift_reason = clock.now(), by.user.name[:140], reason
    _note(account, kind, None)
    record("account.hold_lifted", account, hold=kind, reason=reason)
    db.session.flush()


def _in_force(account: Account, kind: HoldKind) -> Hold | None:
    """The account's hold of that kind, the account held against others setting or lifting one just now."""
    db.session.execute(select(Account.id).where(Account.id == account.id).with_for_update(key_share=True))
    return find(account.id, kind)


def find(account_id: int, kind: HoldKind) -> Hold | None:
    """The account's hold of that kind that is in force, if there is one."""
    return db.session.scalar(
        select(Hold).where(Hold.account_id == account_id, Hold.kind == kind, Hold.lifted_at.is_(None))
    )


def _refuse_own(account: Account, by: Member) -> None:
    if account.id == by.account_id or not account.is_within(by.account):
        raise Refused(_("Only an account above holds %(name)s.", name=account.name))


def _reason(text: str) -> str:
    reason = " ".join(text.split())
    if not reason:
        raise Refused(_("Please give a reason; the account's members read it."), field="reason")
    if len(reason) > LONGEST:
        raise Refused(_("At most %(count)s characters.", count=LONGEST), field="reason")
    return reason


def _note(account: Account, kind: HoldKind, since: object) -> None:
    """On the account, where lists and rights ask for it."""
    setattr(account, f"{kind.value}_hold_at", since)

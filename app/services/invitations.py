"""The verbs of invitations: sent, sent again, withdrawn, accepted (M-7).

Each holds the account's row while it works, so that of two people at once one comes second and sees what the first
has done. A link is good for something as long as its token is the one its invitation names; a new link makes the
old one worthless without touching its token, which nobody can reach from behind the wall.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from email_validator import EmailNotValidError, validate_email
from flask_babel import force_locale, format_date
from flask_babel import gettext as _
from sqlalchemy import ColumnElement, case, literal, select
from sqlalchemy.orm import contains_eager, joinedload

from .. import clock, outbox, tokens
from ..audit import record
from ..errors import Refused
from ..extensions import db
from ..models import Account, Invitation, InvitationStatus, Member, Purpose, Role, Token, User
from ..permissions import allows, may_grant
from . import members, signin
from .signin import Visitor

AT_ONCE = 500  # addresses asked for in one statement


class AlreadyThere(Refused):
    """There is nothing to do: the person is a member, or has been asked."""


# --- inviting --------------------------------------------------------------------------------------------------


def invite(email: str, *, role: Role, account: Account, by: Member) -> Invitation:
    """Offer a membership to an address; the mail with the link goes out with the deed.

    The account is the inviter's own or one beneath it, whose first members come in this way.
    """
    _hold(account)
    email = examine(email, role=role, account=account, by=by, known=known([email]))
    _make_room(email, account)

    token = _issue(account, email)
    invitation = Invitation(
        account=account,
        email=email,
        role=role,
        locale=_language_of(email, account),
        token_id=token.id,
        created_at=clock.now(),
        expires_at=token.expires_at,
        **_answering(by),
    )
    db.session.add(invitation)
    record("member.invited", invitation)
    db.session.flush()
    _write(invitation, token, by)
    return invitation


@dataclass(frozen=True)
class Known:
    """Of some addresses: in which accounts they are members, and in which they have been asked."""

    members: set[tuple[int, str]]
    invited: set[tuple[int, str]]


def known(emails: Iterable[str]) -> Known:
    """In few statements, however many addresses there are."""
    emails = sorted({signin.normal(email) for email in emails})
    members, invited = set(), set()
    for start in range(0, len(emails), AT_ONCE):
        some = emails[start : start + AT_ONCE]
        people = select(Member.account_id, User.email).join(Member.user).where(User.email.in_(some))
        members |= {tuple(row) for row in db.session.execute(people)}
        pending = select(Invitation.account_id, Invitation.email).where(Invitation.email.in_(some))
        pending = pending.where(Invitation.status == InvitationStatus.PENDING, Invitation.expires_at > clock.now())
        invited |= {tuple(row) for row in db.session.execute(pending)}
    return Known(members, invited)


def examine(email: str, *, role: Role, account: Account, by: Member, known: Known) -> str:
    """The address as it is kept, if it could be invited now; nothing is written.

    Raises `AlreadyThere` for a member or somebody invited, `Refused` for what `invite` would refuse besides.
    """
    email = address(email)
    _refuse_archived(account)
    _refuse_above_own(role, by)
    _refuse_known(email, account, by, known)
    return email


def resend(invitation: Invitation, *, by: Member) -> None:
    """Send a new link, good for another seven days; the old one opens nothing any more.

    Whoever sends it answers for it from now on.
    """
    _hold(invitation.account)
    _look_again(invitation)
    _refuse_others(invitation, by)
    _refuse_unless_pending(invitation)
    _refuse_archived(invitation.account)
    _refuse_above_own(invitation.role, by)

    token = _issue(invitation.account, invitation.email)
    facts = {"token_id": token.id, "expires_at": token.expires_at, **_answering(by)}
    for name, value in facts.items():
        setattr(invitation, name, value)
    record("invitation.resent", invitation)
    db.session.flush()
    _write(invitation, token, by)


def withdraw(invitation: Invitation, *, by: Member) -> None:
    """Take the offer back; its link opens nothing any more."""
    _hold(invitation.account)
    _look_again(invitation)
    _refuse_others(invitation, by)
    _refuse_unless_pending(invitation)

    _take_back(invitation)


def _take_back(invitation: Invitation) -> None:
    invitation.status = InvitationStatus.WITHDRAWN
    record("invitation.withdrawn", invitation)
    db.session.flush()


def _issue(account: Account, email: str) -> Token:
    token = tokens.issue(Purpose.INVITATION, account_id=account.id, email=email)
    db.session.flush()
    return token


def _answering(by: Member) -> dict[str, Any]:
    return {"inviter_id": by.user_id, "inviter_account_id": by.account_id, "inviter": by.user.name[:140]}


def _language_of(email: str, account: Account) -> str:
    """The person's own, if the inviter knows them; whether a stranger has a sign-in here nobody learns this way."""
    known = signin.find_user(email)
    return known.locale if known is not None and known.locale else account.language


def _write(invitation: Invitation, token: Token, by: Member) -> None:
    """The mail is the inviter's: it stands in the outbox of the account they act in."""
    with force_locale(invitation.locale):
        last_day = invitation.expires_at.astimezone(ZoneInfo(invitation.account.time_zone)).date()
        until = format_date(last_day, "long", rebase=False)
    outbox.write(
        "invitation",
        to=invitation.email,
        locale=invitation.locale,
        account_id=by.account_id,
        token=token,
        link_path="join/{secret}",
        inviter=invitation.inviter,
        account=invitation.account.name,
        role=invitation.role,
        until=until,
    )


# --- what is refused -------------------------------------------------------------------------------------------


def address(email: str) -> str:
    """An e-mail address as it is kept. Raises `Refused` for what is none."""
    email = signin.normal(email)
    try:
        validate_email(email, check_deliverability=False)
    except EmailNotValidError as error:
        raise Refused(_("This is not an e-mail address."), field="email") from error
    if len(email) > signin.LONGEST_EMAIL:
        raise Refused(_("This e-mail address is too long."), field="email")
    return email


def _refuse_archived(account: Account) -> None:
    if account.is_archived:
        raise Refused(_("%(name)s is archived; restore it first.", name=account.name))


def _refuse_above_own(role: Role, by: Member) -> None:
    if not may_grant(by.role, role):
        raise Refused(_("You can only give roles up to your own."), field="role")


def _refuse_known(email: str, account: Account, by: Member, known: Known) -> None:
    """Members need no invitation, and whoever has one no second; and nobody lets themselves or their colleagues into
    an account from above (M-5)."""
    if (account.id, email) in known.members:
        raise AlreadyThere(_("%(email)s is a member already.", email=email), field="email")
    if account.id != by.account_id and (by.account_id, email) in known.members:
        raise Refused(
            _("%(email)s belongs to your own account; only %(account)s itself can let them in.",
              email=email, account=account.name),
            field="email",
        )  # fmt: skip
    if (account.id, email) in known.invited:
        raise AlreadyThere(
            _("%(email)s has been invited already; send that invitation again or withdraw it.", email=email),
            field="email",
        )


def _is_member(email: str, account_id: int) -> bool:
    found = select(Member.id).join(Member.user).where(Member.account_id == account_id, User.email == email)
    return db.session.scalar(found) is not None


def _make_room(email: str, account: Account) -> None:
    """One pending invitation for an address; one that has expired makes way."""
    former = db.session.scalar(
        select(Invitation).where(
            Invitation.account_id == account.id,
            Invitation.email == email,
            Invitation.status == InvitationStatus.PENDING,
        )
    )
    if former is not None:
        _take_back(former)


def _refuse_others(invitation: Invitation, by: Member) -> None:
    """An invitation is the affair of its account, and of the account it was sent from."""
    if by.account_id not in {invitation.account_id, invitation.inviter_account_id}:
        raise Refused(_("This invitation is the affair of %(account)s.", account=invitation.account.name))


def _refuse_unless_pending(invitation: Invitation) -> None:
    if invitation.status is InvitationStatus.ACCEPTED:
        raise Refused(_("%(email)s has accepted the invitation.", email=invitation.email))
    if invitation.status is InvitationStatus.WITHDRAWN:
        raise Refused(_("The invitation of %(email)s has been withdrawn already.", email=invitation.email))


# --- accepting: unscoped, since who holds the link is not known yet --------------------------------------------


def find(secret: str) -> Invitation | None:
    """The invitation a link leads to, if it could be accepted now. Looking does not use it up."""
    _token, invitation = _behind(secret)
    return invitation if invitation is not None and _still_stands(invitation) else None


def accept(secret: str, *, user: User, visitor: Visitor) -> Member | None:
    """Use the link up and make the person a member; `None` when it no longer works.

    Raises `Refused` when the invitation is for somebody else's address, or they are a member already.
    """
    invitation = _take(secret)
    return None if invitation is None else _let_in(invitation, user.id, visitor)


def register(
    secret: str, *, first_name: str, last_name: str, kept: str, locale: str, visitor: Visitor
) -> Member | None:
    """The same for somebody new: the link proves the address. `kept` is the hash of the password they chose."""
    invitation = _take(secret)
    if invitation is None:
        return None
    if signin.find_user(invitation.email) is not None:
        raise Refused(_("You have a sign-in here by now; accept the invitation with its password."))
    user = signin.create_user(invitation.email, first_name=first_name, last_name=last_name, kept=kept, locale=locale)
    return _let_in(invitation, user.id, visitor)


def _behind(secret: str) -> tuple[Token | None, Invitation | None]:
    token = tokens.find(Purpose.INVITATION, secret)
    if token is None:
        return None, None
    named = select(Invitation).where(Invitation.token_id == token.id).options(joinedload(Invitation.account))
    return token, db.session.scalar(named)


def _take(secret: str) -> Invitation | None:
    """The invitation, its account held and its link used up; of any number of simultaneous calls one gets it."""
    token, invitation = _behind(secret)
    if token is None or invitation is None:
        return None
    _hold(invitation.account)
    _look_again(invitation)
    if invitation.token_id != token.id or not _still_stands(invitation, hold=True):
        return None
    return invitation if tokens.redeem(Purpose.INVITATION, secret) else None


def _let_in(invitation: Invitation, user_id: int, visitor: Visitor) -> Member:
    user, account = db.session.get(User, user_id), invitation.account
    if user is None or not user.active or user.email != invitation.email:
        raise Refused(_("This invitation is for another e-mail address."))
    if _is_member(user.email, account.id):
        raise Refused(_("You are a member of %(account)s already.", account=account.name))

    trail = {"actor": f"{user.name} <{user.email}>", "actor_id": user.id, "ip": visitor.ip}
    member = members.join(user, account, role=invitation.role, **trail)
    invitation.status = InvitationStatus.ACCEPTED
    invitation.accepted_at, invitation.accepted_by_id = clock.now(), user.id
    record("invitation.accepted", invitation, **trail)
    return member


def _still_stands(invitation: Invitation, *, hold: bool = False) -> bool:
    """Whether all that made it right to send it makes it right to accept it now."""
    if invitation.status_at(clock.now()) is not InvitationStatus.PENDING or invitation.account.is_archived:
        return False
    inviter = _inviter_of(invitation, hold=hold)
    return (
        inviter is not None
        and allows(inviter.account.kind, inviter.role, "invitation.add", held=inviter.account.is_held)
        and may_grant(inviter.role, invitation.role)
        and invitation.account.is_within(inviter.account)
    )


def _inviter_of(invitation: Invitation, *, hold: bool) -> Member | None:
    """Whoever answers for it, as a member of the account they acted in, if they still are; held on wish, so that
    they cannot be removed or demoted at this very moment."""
    statement = (
        select(Member)
        .join(Member.user)
        .join(Member.account)
        .options(contains_eager(Member.account))
        .where(Member.user_id == invitation.inviter_id, Member.account_id == invitation.inviter_account_id)
        .where(User.active.is_(True), Account.archived_at.is_(None))
    )
    if hold:
        statement = statement.with_for_update(read=True, of=Member).execution_options(populate_existing=True)
    return db.session.scalar(statement)


# --- small things ----------------------------------------------------------------------------------------------


def _hold(account: Account) -> None:
    """Keep others from inviting into the account, accepting, or archiving it until this is done."""
    held = select(Account).where(Account.id == account.id).with_for_update(key_share=True)
    db.session.execute(held, execution_options={"populate_existing": True})


def _look_again(invitation: Invitation) -> None:
    """As it is now that the account is held; what was read before may be past."""
    db.session.refresh(invitation)


def status_column() -> ColumnElement[Any]:
    """`Invitation.status_at(now)` for lists to filter and sort by."""
    expired = (Invitation.status == InvitationStatus.PENDING) & (Invitation.expires_at <= clock.now())
    return case((expired, literal(InvitationStatus.EXPIRED, Invitation.status.type)), else_=Invitation.status)

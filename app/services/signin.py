"""Signing in: the limits before everything, the password, the code, the running logins, the forgotten password.

Runs unscoped (nobody is known yet): callers open the unit of work with `tenancy.unscoped`. Passwords are hashed and
compared by the callers between two units, never inside one: SQLite would be locked meanwhile.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from functools import lru_cache
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import ColumnElement, Select, bindparam, delete, select, update
from sqlalchemy.orm import contains_eager, joinedload

from .. import clock, limits, outbox, passwords, tokens
from ..audit import record
from ..errors import Refused
from ..extensions import db
from ..models import Account, Kind, Login, Member, Purpose, User
from . import second_factor
from .accounts import plain_letters

SESSION_LENGTH = timedelta(hours=12)
IDLE_LENGTH = timedelta(hours=8)
SEEN_EVERY = timedelta(minutes=5)  # how exactly a login knows when it was last used
LISTED = 30  # memberships that a person's header lists
LONGEST_EMAIL = 128  # it is the user name, too
_OF_ACTING = (
    Account.path, Account.kind, Account.slug, Account.name, Account.language, Account.time_zone,
    Account.administrative_hold_at, Account.has_links,
)  # fmt: skip


@dataclass(frozen=True)
class Visitor:
    """The browser somebody sits at, and where from."""

    ip: str
    device: str


@dataclass(frozen=True)
class Wish:
    """Where somebody wants to land: in a partner account (L-1), or in the account a link led to."""

    as_partner: bool = False
    slug: str = ""


class Outcome(Enum):
    WRONG = auto()
    LIMITED = auto()  # too many tries; right or wrong is not said
    GONE = auto()  # the half-finished sign-in is too old, or its tries are used up
    CODE_WANTED = auto()
    SIGNED_IN = auto()


@dataclass(frozen=True)
class Step:
    """How far signing in has come. The secret goes into the cookie: the login's key, or that of the code's token."""

    outcome: Outcome
    secret: str = ""
    landing: Member | None = None


# --- people ----------------------------------------------------------------------------------------------------


def create_user(
    email: str,
    *,
    first_name: str,
    last_name: str,
    password: str | None = None,
    kept: str | None = None,
    locale: str | None = None,
) -> User:
    """A new person. `kept` is the password's hash where the caller has made it before; the policy is the caller's."""
    email = normal(email)
    if len(email) > LONGEST_EMAIL:
        raise Refused(_("This e-mail address is too long."), field="email")
    user = User(
        username=email,
        email=email,
        first_name=first_name,
        last_name=last_name,
        password=kept or (passwords.hashed(password) if password else None),
        active=True,
        locale=locale,
    )
    db.session.add(user)
    db.session.flush()
    return user


def find_user(email: str) -> User | None:
    return db.session.scalar(select(User).where(User.email == normal(email)))


def normal(email: str) -> str:
    """An address as it is kept: case and outer space make no difference."""
    return email.replace("\x00", "").strip().lower()


def choose_language(user_id: int, locale: str) -> None:
    db.session.execute(
        update(User).where(User.id == user_id).values(locale=locale), execution_options={"synchronize_session": False}
    )


def memberships_of(user: User, *, slug: str = "") -> tuple[Member, ...]:
    """Where the person can act now: the first joined first, and among them surely the account last used and that
    of the slug. Whoever opens accounts is a member of them all (M-4), so the others are not counted up."""
    found = list(db.session.scalars(_memberships().limit(LISTED), {"user_id": user.id}))
    missing = {slug, user.last_account_id} - {"", None}
    missing -= {known for member in found for known in (member.account.slug, member.account_id)}
    if len(found) == LISTED and missing:
        wanted = _memberships().where((Account.slug == slug) | (Account.id == user.last_account_id))
        found += [member for member in db.session.scalars(wanted, {"user_id": user.id}) if member not in found]
    return tuple(found)


@lru_cache(maxsize=1)
def _memberships() -> Select[Any]:
    """Put together once, since every request asks it; of the accounts it reads what whoever acts in them is told."""
    return (
        select(Member)
        .join(Member.account)
        .options(contains_eager(Member.account).load_only(*_OF_ACTING))
        .where(Member.user_id == bindparam("user_id"), Account.archived_at.is_(None))
        .order_by(Member.id)
    )


def landing(user: User, memberships: Iterable[Member], wish: Wish) -> Member | None:
    """The account signing in leads to: that of the link; of the hat; the one last used; the one joined first."""
    those = list(memberships)
    if linked := [member for member in those if member.account.slug == wish.slug]:
        return linked[0]
    if wish.as_partner:
        those = [member for member in those if member.account.kind.manages_accounts] or those
    last_used = [member for member in those if member.account_id == user.last_account_id]
    customers = [member for member in those if member.account.kind is Kind.CUSTOMER]
    return next(iter(last_used or customers or those), None)


# --- signing in ------------------------------------------------------------------------------------------------


def admit(email: str, visitor: Visitor) -> bool:
    """Count a try of a password, before it is looked at; false once there have been too many."""
    counted = [
        limits.count("address", normal(email)),
        limits.count("ip", limits.computer(visitor.ip)),
        limits.count("network", limits.network(visitor.ip)),
    ]
    return all(counted)


def pass_password(user: User, *, renewed: str | None, wish: Wish, visitor: Visitor) -> Step:
    """The password was right: on to the code, or straight in. `user` is the person as read before the comparison."""
    person = db.session.get(User, user.id, with_for_update=True)
    if person is None or not person.active or person.password != user.password:
        return Step(Outcome.WRONG)  # changed while it was compared: an old password starts nothing new
    person.password = renewed or person.password
    if person.has_second_factor:
        token = tokens.issue(Purpose.SECOND_FACTOR, user_id=person.id)
        return Step(Outcome.CODE_WANTED, tokens.secret_of(token))
    return _start(person, wish, visitor, with_code=False)


def forgive(email: str, visitor: Visitor) -> None:
    """A try that succeeded does not count, nor do those before it for the same address."""
    limits.forget("address", normal(email))
    limits.give_back("ip", limits.computer(visitor.ip))
    limits.give_back("network", limits.network(visitor.ip))


def fail_password(user: User | None, visitor: Visitor) -> None:
    """The password was wrong, or the address is nobody's; both cost the same."""
    memberships = memberships_of(user) if user else ()
    if user is None:
        limits.count("address", "")
    else:
        _note("user.sign_in_failed", user, memberships, visitor)


def pass_code(secret: str, code: str, *, wish: Wish, visitor: Visitor) -> Step:
    """The second step. A try is counted before the code is compared, for this sign-in and for the person."""
    token = tokens.find(Purpose.SECOND_FACTOR, secret)
    if token is None or not tokens.count_attempt(Purpose.SECOND_FACTOR, secret):
        return Step(Outcome.GONE)
    if not all([limits.count("code", token.user_id), limits.count("code-day", token.user_id)]):
        return Step(Outcome.LIMITED)
    person = db.session.get(User, token.user_id, with_for_update=True)
    if person is None or not person.active:
        return Step(Outcome.GONE)
    if not second_factor.accepts(person, code):
        _note("user.code_refused", person, memberships_of(person), visitor)
        return Step(Outcome.WRONG)
    if tokens.redeem(Purpose.SECOND_FACTOR, secret) is None:
        return Step(Outcome.GONE)
    limits.forget("code", person.id)
    return _start(person, wish, visitor, with_code=True)


def _start(user: User, wish: Wish, visitor: Visitor, *, with_code: bool) -> Step:
    memberships = memberships_of(user, slug=wish.slug)
    member = landing(user, memberships, wish)
    key = _open_login(user, visitor, with_code=with_code)
    forgive(user.email, visitor)
    _note("user.signed_in", user, [member] if member else [], visitor)
    return Step(Outcome.SIGNED_IN, key, member)


def _open_login(user: User, visitor: Visitor, *, with_code: bool) -> str:
    key, now = secrets.token_urlsafe(32), clock.now()
    login = Login(user_id=user.id, key_hash=tokens.hash_of(key), created_at=now, seen_at=now)
    login.device, login.ip, login.second_factor = visitor.device[:80], visitor.ip[:45], with_code
    db.session.add(login)
    return key


# --- running logins --------------------------------------------------------------------------------------------


def find_login(key: str) -> Login | None:
    """The running login a cookie's key stands for, its person with it."""
    found = recognize(key)
    return None if found is None else found[0]


def recognize(key: str) -> tuple[Login, bool] | None:
    """The same, and whether the operator demands a second factor of Administrators: every request asks for both."""
    found = db.session.execute(_recognition(), {"key_hash": tokens.hash_of(key), **_still_good()}).first()
    return None if found is None else (found[0], bool(found[1]))


@lru_cache(maxsize=1)
def _recognition() -> Select[Any]:
    """Put together once, since every request asks it."""
    return (
        select(Login, second_factor.demand())
        .options(joinedload(Login.user))
        .where(Login.key_hash == bindparam("key_hash"), *_is_running(bindparam("created"), bindparam("seen")))
        .where(Login.user.has(User.active.is_(True)))
    )


def is_running() -> tuple[ColumnElement[bool], ...]:
    """The conditions under which a login still opens something."""
    return _is_running(**_still_good())


def _is_running(created: Any, seen: Any) -> tuple[ColumnElement[bool], ...]:
    return Login.ended_at.is_(None), Login.created_at > created, Login.seen_at > seen


def _still_good() -> dict[str, datetime]:
    """Since when a login must have been opened, and in use, to be running."""
    now = clock.now()
    return {"created": now - SESSION_LENGTH, "seen": now - IDLE_LENGTH}


def wants_noting(login: Login) -> bool:
    return login.seen_at < clock.now() - SEEN_EVERY


def note_seen(login_id: int) -> None:
    """The login is in use. Of the requests that come at once one writes."""
    now = clock.now()
    _update_logins(Login.id == login_id, Login.seen_at < now - SEEN_EVERY, seen_at=now)


def end_login(key: str, visitor: Visitor) -> None:
    """Sign out: a copy of the cookie opens nothing either."""
    login = find_login(key)
    if login is not None and _update_logins(Login.id == login.id, Login.ended_at.is_(None), ended_at=clock.now()):
        _note("user.signed_out", login.user, memberships_of(login.user), visitor)


def end_logins(user_id: int, *, but: int | None = None) -> int:
    """Sign a person out everywhere, or everywhere else."""
    running = (Login.user_id == user_id, Login.ended_at.is_(None))
    return _update_logins(*running, Login.id != (but or 0), ended_at=clock.now())


def renew_key(login_id: int) -> str:
    """A new key for a login that goes on; a copy of the cookie made before opens nothing."""
    key = secrets.token_urlsafe(32)
    _update_logins(Login.id == login_id, key_hash=tokens.hash_of(key))
    return key


def forget_old_logins(most: int) -> int:
    """Clear away some of those that ended long ago, by themselves or by somebody; how many it were."""
    old = select(Login.id).where(Login.created_at < clock.now() - SESSION_LENGTH - tokens.KEPT).limit(most)
    return db.session.execute(
        delete(Login).where(Login.id.in_(old)), execution_options={"synchronize_session": False}
    ).rowcount


def _update_logins(*conditions: Any, **values: Any) -> int:
    return db.session.execute(
        update(Login).where(*conditions).values(**values), execution_options={"synchronize_session": False}
    ).rowcount


# --- passwords -------------------------------------------------------------------------------------------------


def admit_reset(email: str, visitor: Visitor) -> bool:
    counted = [
        limits.count("reset-address", normal(email)),
        limits.count("reset-ip", limits.computer(visitor.ip)),
    ]
    return all(counted)


def ask_for_reset(email: str, visitor: Visitor) -> None:
    """Mail the link to a new password. For an address nobody has, the same work is done and thrown away."""
    user = find_user(email)
    if user is not None and user.active:
        _write_reset(user, visitor)
    else:
        _write_reset(User(email="nobody@invalid", first_name="", last_name=""), visitor)
        db.session.flush()
        db.session.rollback()
        db.session.info["written_messages"] = [0]  # the worker finds no such message
        limits.count("reset-address", "")


def _write_reset(user: User, visitor: Visitor) -> None:
    tokens.revoke(Purpose.RESET, user_id=user.id or 0)
    token = tokens.issue(Purpose.RESET, user_id=user.id)
    memberships = memberships_of(user)
    _tell(user, memberships, "reset", token=token, link_path="reset/{secret}")
    _note("user.reset_requested", user, memberships, visitor)


def find_reset(secret: str) -> User | None:
    """Whose password the link may set; looking does not use it up."""
    token = tokens.find(Purpose.RESET, secret)
    user = db.session.get(User, token.user_id) if token else None
    return user if user is not None and user.active else None


def reset_password(secret: str, kept: str, visitor: Visitor) -> bool:
    """Use the link up and set the password. False when somebody, or another click, was faster."""
    token = tokens.redeem(Purpose.RESET, secret)
    user = db.session.get(User, token.user_id, with_for_update=True) if token else None
    if user is None or not user.active:
        return False
    _set_password(user, kept, visitor)
    end_logins(user.id)
    limits.forget("address", user.email)
    _note("user.password_reset", user, memberships_of(user), visitor)
    return True


def change_password(user: User, kept: str, *, login_id: int, acting: Member, visitor: Visitor) -> str:
    """Set the password and sign out everywhere else. Answers the new key of the login that goes on.

    Raises `Refused` when the password was changed since `user` was read.
    """
    person = _unchanged(user)
    _set_password(person, kept, visitor)
    end_logins(person.id, but=login_id)
    _note("user.password_changed", person, [acting], visitor)
    return renew_key(login_id)


def own_names(memberships: Iterable[Member]) -> list[str]:
    """What a password had better not be made of."""
    return [name for member in memberships for name in (member.account.name, plain_letters(member.account.name))]


def _set_password(user: User, kept: str, visitor: Visitor) -> None:
    user.password = kept
    tokens.revoke(Purpose.RESET, user_id=user.id)
    tokens.revoke(Purpose.SECOND_FACTOR, user_id=user.id)
    _tell(user, memberships_of(user), "password_changed", device=visitor.device, ip=visitor.ip)


def _unchanged(user: User) -> User:
    """The person, locked, if the password just compared is theirs still."""
    person = db.session.get(User, user.id, with_for_update=True)
    if person is None or not person.active or person.password != user.password:
        raise Refused(_("Your password was changed in the meantime."))
    return person


# --- the second factor -----------------------------------------------------------------------------------------


def must_set_up_second_factor(user: User, memberships: Iterable[Member], *, demanded: bool | None = None) -> bool:
    """Whether the operator demands a second factor of this person, an Administrator, who has none yet.

    `demanded`: whether of any Administrator, where that is known (`recognize`).
    """
    return not user.has_second_factor and second_factor.is_demanded_of(memberships, demanded=demanded)


def turn_on_second_factor(
    user: User, nonce: str, code: str, *, login_id: int, acting: Member, visitor: Visitor
) -> list[str]:
    """Ask for a code from now on; logins that were started without one end. Answers the recovery codes."""
    person = _unchanged(user)
    codes = second_factor.turn_on(person, nonce, code)
    end_logins(person.id, but=login_id)
    _update_logins(Login.id == login_id, second_factor=True)
    _note_factor("user.second_factor_turned_on", person, acting, visitor)
    return codes


def turn_off_second_factor(user: User, *, acting: Member, visitor: Visitor) -> None:
    person = _unchanged(user)
    if second_factor.is_demanded_of([acting, *memberships_of(person)]):
        raise Refused(_("Administrators need a second factor here; it cannot be turned off."))
    second_factor.turn_off(person)
    _note_factor("user.second_factor_turned_off", person, acting, visitor)


def help_locked_out(user: User) -> None:
    """Turn the second factor off for somebody who has lost device and codes; every login ends, and they are told."""
    memberships = memberships_of(user)
    second_factor.turn_off(user)
    end_logins(user.id)
    _tell(user, memberships, "second_factor_changed", action="user.second_factor_turned_off", device="", ip="")
    _note("user.second_factor_turned_off", user, memberships, Visitor(ip="", device=""))


def renew_recovery_codes(user: User, *, acting: Member, visitor: Visitor) -> list[str]:
    person = _unchanged(user)
    if not person.has_second_factor:
        raise Refused(_("The second factor is off."))
    codes = second_factor.renew_recovery_codes(person)
    _note_factor("user.recovery_codes_renewed", person, acting, visitor)
    return codes


def _note_factor(action: str, user: User, acting: Member, visitor: Visitor) -> None:
    memberships = memberships_of(user)
    _tell(user, memberships, "second_factor_changed", action=action, device=visitor.device, ip=visitor.ip)
    _note(action, user, [acting], visitor)


# --- what is written down and mailed ---------------------------------------------------------------------------


def _note(action: str, user: User, memberships: Iterable[Member], visitor: Visitor) -> None:
    """A line of history in the person's own account, for that account's eyes only."""
    member = landing(user, memberships, Wish())
    account_id = member.account_id if member else _operator_id()
    if account_id is not None:
        actor = f"{user.name} <{user.email}>"
        record(action, account_id=account_id, actor=actor, actor_id=user.id, ip=visitor.ip, inside=True)


def _tell(user: User, memberships: Iterable[Member], template: str, **facts: Any) -> None:
    """Mail the person, in their language. The message is the operator's: links and notices about one's own sign-in
    are not for the eyes of the accounts one works in.
    """
    member = landing(user, memberships, Wish())
    locale = user.locale or (member.account.language if member else "en")
    account_id = _operator_id()
    if account_id is not None:
        outbox.write(template, to=user.email, locale=locale, account_id=account_id, name=user.name, **facts)


def _operator_id() -> int | None:
    return db.session.scalar(select(Account.id).where(Account.parent_id.is_(None)))

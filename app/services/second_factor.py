"""The second factor: codes from an authenticator app, and recovery codes for the day the phone is lost.

The app's secret is made from the server's key and a nonce, so the database keeps neither it nor a recovery code.
Runs unscoped: at sign-in nobody acts anywhere yet.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterable
from hmac import compare_digest

from flask_babel import gettext as _
from pyotp import TOTP
from sqlalchemy import ScalarSelect, delete, func, or_, select, update

from .. import clock, outbox, tokens
from ..errors import Refused
from ..extensions import db
from ..models import Account, Member, RecoveryCode, User

STEP = 30  # seconds a code is shown
DRIFT = 1  # steps a phone's clock may be off
RECOVERY_CODES = 10


def new_nonce() -> str:
    return secrets.token_hex(16)


def secret_of(user: User, nonce: str) -> str:
    """The secret the app is given: 160 bits in the alphabet apps read."""
    made = tokens.derived(f"totp:{user.id}:{nonce}")
    return base64.b32encode(base64.urlsafe_b64decode(made + "=")[:20]).decode()


def address_for_app(user: User, nonce: str) -> str:
    """What the QR code says."""
    return TOTP(secret_of(user, nonce)).provisioning_uri(name=user.email, issuer_name=outbox.brand())


def turn_on(user: User, nonce: str, code: str) -> list[str]:
    """From now on signing in asks for a code; the person has shown that the app makes the right ones.

    Answers the recovery codes, which nobody can read again.
    """
    if user.has_second_factor:
        raise Refused(_("The second factor is on already."))
    step = _step_of(secret_of(user, nonce), _digits(code))
    if step is None:
        raise Refused(_("This is not the code the app shows now. Check the clock of your phone."), field="code")

    user.totp_nonce, user.totp_since, user.totp_last_step = nonce, clock.now(), step
    return renew_recovery_codes(user)


def turn_off(user: User) -> None:
    user.totp_nonce = user.totp_since = user.totp_last_step = None
    _forget_recovery_codes(user)


def renew_recovery_codes(user: User) -> list[str]:
    """New codes; the old ones no longer work."""
    _forget_recovery_codes(user)
    codes = [_new_recovery_code() for _n in range(RECOVERY_CODES)]
    db.session.add_all(RecoveryCode(user_id=user.id, code_hash=_hash_of(user, code)) for code in codes)
    return codes


def accepts(user: User, code: str) -> bool:
    """Whether the code opens now. It is used up thereby; of simultaneous tries with one code one succeeds."""
    digits = _digits(code)
    return _accepts_code_of_app(user, digits) if len(digits) == 6 else uses_up_recovery_code(user, code)


def uses_up_recovery_code(user: User, code: str) -> bool:
    used = db.session.execute(
        update(RecoveryCode)
        .where(RecoveryCode.user_id == user.id, RecoveryCode.code_hash == _hash_of(user, code))
        .where(RecoveryCode.used_at.is_(None))
        .values(used_at=clock.now()),
        execution_options={"synchronize_session": False},
    )
    return used.rowcount == 1


def recovery_codes_left(user_id: int) -> int:
    unused = (RecoveryCode.user_id == user_id, RecoveryCode.used_at.is_(None))
    return db.session.scalar(select(func.count(RecoveryCode.id)).where(*unused)) or 0


def is_demanded_of(memberships: Iterable[Member], *, demanded: bool | None = None) -> bool:
    """Whether the operator demands it of a person with these memberships: of every Administrator, or of nobody.

    `demanded`: which of the two, where that is known.
    """
    if not any(member.is_administrator for member in memberships):
        return False
    return bool(db.session.scalar(select(demand()))) if demanded is None else demanded


def demand() -> ScalarSelect[bool]:
    """Whether the operator demands it of every Administrator, as part of a statement."""
    return select(Account.second_factor_required).where(Account.parent_id.is_(None)).scalar_subquery()


def _accepts_code_of_app(user: User, digits: str) -> bool:
    step = _step_of(secret_of(user, user.totp_nonce or ""), digits)
    if step is None or not user.has_second_factor:
        return False
    used = db.session.execute(
        update(User)
        .where(User.id == user.id, or_(User.totp_last_step.is_(None), User.totp_last_step < step))
        .values(totp_last_step=step),
        execution_options={"synchronize_session": False},
    )
    return used.rowcount == 1


def _step_of(secret: str, digits: str) -> int | None:
    """The step whose code this is, among those near now."""
    app, now = TOTP(secret, interval=STEP), int(clock.now().timestamp()) // STEP
    steps = range(now - DRIFT, now + DRIFT + 1)
    return next((step for step in steps if compare_digest(app.generate_otp(step), digits)), None)


def _digits(code: str) -> str:
    """The code as typed, without the gap apps show in the middle; nothing if it is anything else."""
    plain = "".join(code.split())
    return plain if plain.isascii() and plain.isdecimal() else ""


def _new_recovery_code() -> str:
    raw = base64.b32encode(secrets.token_bytes(10)).decode().lower()
    return f"{raw[:4]}-{raw[4:8]}-{raw[8:12]}-{raw[12:]}"


def _hash_of(user: User, code: str) -> str:
    plain = "".join(filter(str.isalnum, code.lower()))
    return tokens.hash_of(tokens.derived(f"recovery:{user.id}:{plain}"))


def _forget_recovery_codes(user: User) -> None:
    db.session.execute(
        delete(RecoveryCode).where(RecoveryCode.user_id == user.id), execution_options={"synchronize_session": False}
    )

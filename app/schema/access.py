"""How people and programs come in, and what is remembered of it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from flask_appbuilder import Model
from flask_babel import lazy_gettext as _l
from flask_babel import lazy_pgettext
from sqlalchemy import JSON, ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ..extensions import Moment
from .common import stored
from .ownership import InsideAccount, OwnedByUser, Sealed

if TYPE_CHECKING:
    from .accounts import KontorUser


class Login(OwnedByUser, Model):
    """One signed-in browser. The cookie carries a secret, the row its hash; an ended login opens nothing."""

    __tablename__ = "login"

    id: Mapped[int] = mapped_column(primary_key=True)
    key_hash: Mapped[str] = mapped_column(String(64), unique=True)
    device: Mapped[str] = mapped_column(String(80), default="")
    ip: Mapped[str] = mapped_column(String(45), default="")
    second_factor: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(Moment)
    seen_at: Mapped[datetime] = mapped_column(Moment)
    ended_at: Mapped[datetime | None] = mapped_column(Moment)

    user: Mapped[KontorUser] = relationship()


class RecoveryCode(OwnedByUser, Model):
    """One of the codes that stand in for the second factor when the device is lost; each works once."""

    __tablename__ = "recovery_code"

    id: Mapped[int] = mapped_column(primary_key=True)
    code_hash: Mapped[str] = mapped_column(String(64))
    used_at: Mapped[datetime | None] = mapped_column(Moment)


class Purpose(StrEnum):
    """What a token is good for; it opens nothing else."""

    RESET = "reset"
    INVITATION = "invitation"
    SECOND_FACTOR = "second-factor"
    CONSENT = "consent"
    CALENDAR = "calendar"
    ACTIVATION = "activation"
    CREDENTIALS = "credentials"


class Token(Sealed, Model):
    """A one-time secret. Only its hash is kept; one conditional UPDATE redeems it (`tokens.py`)."""

    __tablename__ = "token"

    id: Mapped[int] = mapped_column(primary_key=True)
    purpose: Mapped[Purpose] = mapped_column(stored(Purpose))
    nonce: Mapped[str] = mapped_column(String(32))
    secret_hash: Mapped[str] = mapped_column(String(64), unique=True)
    account_id: Mapped[int | None] = mapped_column(ForeignKey("account.id"), index=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("ab_user.id"), index=True)
    email: Mapped[str] = mapped_column(String(320), default="")
    created_at: Mapped[datetime] = mapped_column(Moment)
    expires_at: Mapped[datetime] = mapped_column(Moment)
    used_at: Mapped[datetime | None] = mapped_column(Moment)
    revoked_at: Mapped[datetime | None] = mapped_column(Moment)
    attempts: Mapped[int] = mapped_column(default=0)
    max_attempts: Mapped[int] = mapped_column(default=5)


class Throttle(Sealed, Model):
    """How often something was tried in a window of time: a sign-in, a mail to an address."""

    __tablename__ = "throttle"
    __table_args__ = (UniqueConstraint("bucket", "window", name="uq_throttle_window"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    bucket: Mapped[str] = mapped_column(String(120))
    window: Mapped[int] = mapped_column()
    tries: Mapped[int] = mapped_column(default=0)


# --- programs ---


class ApiKeyStatus(StrEnum):
    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"

    @property
    def label(self) -> Any:
        return _API_KEY_LABELS[self]


_API_KEY_LABELS = {
    ApiKeyStatus.ACTIVE: lazy_pgettext("API key", "Active"),
    ApiKeyStatus.EXPIRED: _l("Expired"),
    ApiKeyStatus.REVOKED: lazy_pgettext("API key", "Revoked"),
}


class ApiKey(InsideAccount, Model):
    """What a program carries: it acts in the account for the member who made it, and no further than its scopes."""

    __tablename__ = "api_key"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80))
    prefix: Mapped[str] = mapped_column(String(16))  # by which people tell keys apart
    secret_hash: Mapped[str] = mapped_column(String(64), unique=True)
    scopes: Mapped[list[str]] = mapped_column(JSON, default=list)  # permissions, as `permissions.TABLE` names them
    created_by_id: Mapped[int] = mapped_column(ForeignKey("ab_user.id"))
    created_by: Mapped[str] = mapped_column(String(140))
    created_at: Mapped[datetime] = mapped_column(Moment)
    expires_at: Mapped[datetime] = mapped_column(Moment)
    last_used_at: Mapped[datetime | None] = mapped_column(Moment)
    revoked_at: Mapped[datetime | None] = mapped_column(Moment)

    def status_at(self, moment: datetime) -> ApiKeyStatus:
        if self.revoked_at is not None:
            return ApiKeyStatus.REVOKED
        return ApiKeyStatus.EXPIRED if self.expires_at <= moment else ApiKeyStatus.ACTIVE

    def __str__(self) -> str:
        return self.name


class ApiAnswer(InsideAccount, Model):
    """What a program was told when it asked for something under a key of its own, to be told again (security 5.6)."""

    __tablename__ = "api_answer"
    __table_args__ = (UniqueConstraint("account_id", "caller", "route", "key", name="uq_api_answer_key"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    caller: Mapped[str] = mapped_column(String(40))  # the API key, or the person in a browser
    route: Mapped[str] = mapped_column(String(200))
    key: Mapped[str] = mapped_column(String(200))
    request_hash: Mapped[str] = mapped_column(String(64))
    status: Mapped[int] = mapped_column()
    location: Mapped[str] = mapped_column(String(300), default="")
    body: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(Moment, index=True)

"""History (decision 10): every change leaves a line in the transaction that makes it.

Rows marked below are watched: whatever is added, changed or deleted is written down with old and new values, even
when no verb says so. A verb that does say so (`record`) gives the line its name.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

from sqlalchemy import event, inspect
from sqlalchemy.orm import Session as AnySession

from . import clock
from .extensions import Session, db
from .models import (
    Account,
    ApiAnswer,
    ApiKey,
    Article,
    ArticlePrice,
    Calculation,
    Grant,
    Hold,
    Holding,
    Invitation,
    License,
    LicenseMovement,
    LicenseType,
    LogEntry,
    Login,
    Member,
    Message,
    OwnedByAccount,
    Plan,
    PlanPrice,
    Product,
    Property,
    PropertyValue,
    RecoveryCode,
    ResourceGroup,
    Subscription,
    Throttle,
    Token,
    UpfrontRequest,
    User,
)
from .tenancy import Scope

# What is watched, and the word history uses for it.
WATCHED: dict[type, str] = {
    Account: "account", Member: "member", Invitation: "invitation", Property: "property",
    LicenseType: "license_type", Article: "article", Plan: "plan", Holding: "holding", License: "license",
    ApiKey: "api_key", Product: "product", Subscription: "subscription", ResourceGroup: "resource_group",
    UpfrontRequest: "upfront_request",
}  # fmt: skip

# Never written down: secrets, copies, and what changes without anybody doing anything.
# Properties have lines of their own, at their owner (`properties.py`).
SILENT = {
    "path", "account_path", "account_id", "name_key", "name_sort", "words", "label_en_key", "label_de_key", "position",
    "properties", "conversion", "conversion_status", "conversion_at", "token_id", "inviter_id", "inviter_account_id",
    "accepted_by_id", "plan_id", "type_id", "article_id", "holding_id", "suspended_by_id", "ceiling", "in_use", "told",
    "secret_hash", "created_by_id", "resource_group_id", "product_id", "version", "title_key", "anchored_on",
    "reminded", "previous_id", "calculation_id", "subscription_id", "amount_minor",
}  # fmt: skip

# Written by the program for its own use; each has its own trail or needs none. What an article grants stands in the
# article's line, and so do prices in that of the plan or article they are of.
UNWATCHED = {
    User, Login, RecoveryCode, Token, Throttle, LogEntry, Message, PropertyValue, Hold, Grant, LicenseMovement,
    ApiAnswer, PlanPrice, ArticlePrice, Calculation,
}  # fmt: skip


def record(
    action: str,
    subject: Any = None,
    *,
    account: Account | None = None,
    account_id: int | None = None,
    actor: str = "",
    actor_id: int | None = None,
    ip: str = "",
    inside: bool = False,
    **details: Any,
) -> None:
    """Write down a deed, past tense: `record("account.archived", account)`.

    Field changes of the subject in the same flush join this line instead of making one of their own. `account` is
    the account whose history it is, by default the subject's own. A detail is a value, or (old, new). Actor and
    address come from the scope; unscoped work names them itself.
    """
    session = db.session()
    with session.no_autoflush:  # looking a name up must not write the change down before its line is there
        entry = _entry(session, action, subject, inside=inside)
        if account is not None:
            entry.account = account
        elif isinstance(subject, Account | OwnedByAccount):
            entry.account = subject if isinstance(subject, Account) else subject.account
        else:
            entry.account_id = account_id or session.info["scope"].account_id
        entry.actor, entry.actor_id, entry.ip = actor or entry.actor, actor_id or entry.actor_id, ip or entry.ip
        entry.changes = {name: _pair(value) for name, value in details.items()}
        if subject is not None:
            session.info.setdefault("named_deeds", {})[_key(subject)] = entry
        session.add(entry)


def _pair(value: Any) -> list[Any]:
    return [readable(one) for one in (value if isinstance(value, tuple) else (None, value))]


def note(
    session: AnySession, action: str, subject: Any, *, home: tuple[int, str], changes: dict[str, Any]
) -> None:
    """Within a flush: a line about a row in the history of another account (`home`: its number and path)."""
    entry = _entry(session, action, subject)
    entry.account_id, entry.account_path = home
    entry.changes = changes
    if subject.id is None:
        session.info.setdefault("lines_of_new_rows", []).append((entry, subject))
    else:
        session.add(entry)


def _entry(session: AnySession, action: str, subject: Any, *, inside: bool = False) -> LogEntry:
    scope = session.info.get("scope")
    entry = LogEntry(at=clock.now(), action=action, inside=inside, changes={})
    if isinstance(scope, Scope):
        entry.actor, entry.actor_id, entry.ip = scope.actor, scope.user_id, scope.ip
        entry.acting_account, entry.via = scope.account_name, scope.via
    if subject is not None:
        entry.subject_type = WATCHED.get(type(subject), type(subject).__name__.lower())
        entry.subject_id = getattr(subject, "id", None)
        entry.subject = str(subject)[:200]
    return entry


def _key(row: Any) -> int:
    return id(row)


# --- what the session sees by itself ---------------------------------------------------------------------------


@event.listens_for(Session, "before_flush")
def _write_down(session: AnySession, _context: Any, _instances: Any) -> None:
    """Turn what is about to be written into history lines, in the same flush."""
    named = session.info.setdefault("named_deeds", {})
    with session.no_autoflush:
        for row, verb in _deeds(session):
            changes = _changes(row, verb)
            entry = named.pop(_key(row), None)
            if entry is None:
                if not changes and verb == "updated":
                    continue
                entry = _entry(session, f"{WATCHED[type(row)]}.{verb}", row)
                if verb != "created":
                    entry.account_id, entry.account_path = _home(row)
                session.add(entry)
            entry.changes = changes | entry.changes
            if verb == "created":
                session.expunge(entry)
                session.info.setdefault("lines_of_new_rows", []).append((entry, row))
    named.clear()


@event.listens_for(Session, "after_flush")
def _write_down_new_rows(session: AnySession, _context: Any) -> None:
    """Lines about rows made in this flush: only now do they have a number, and a line is never changed afterwards."""
    for entry, row in session.info.pop("lines_of_new_rows", []):
        entry.subject_id = row.id
        if entry.account_id is None:
            entry.account_id, entry.account_path = _home(row)
        values = {c.name: getattr(entry, c.name) for c in LogEntry.__table__.columns}
        session.connection().execute(LogEntry.__table__.insert(), {k: v for k, v in values.items() if v is not None})


def _home(row: Any) -> tuple[int, str]:
    """The account whose history a row belongs to, and its path."""
    return (row.id, row.path) if isinstance(row, Account) else (row.account_id, row.account_path)


def _deeds(session: AnySession) -> list[tuple[Any, str]]:
    found = [(row, "created") for row in session.new if type(row) in WATCHED]
    found += [(row, "updated") for row in session.dirty if type(row) in WATCHED and session.is_modified(row)]
    found += [(row, "deleted") for row in session.deleted if type(row) in WATCHED]
    return found


def _changes(row: Any, verb: str) -> dict[str, list[Any]]:
    """Field → [old, new], of the columns that differ."""
    found = {}
    for attribute in inspect(row).mapper.column_attrs:
        name = attribute.key
        if name in SILENT or name == "id":
            continue
        history = inspect(row).attrs[name].history
        old = readable(history.deleted[0]) if history.deleted else None
        new = readable(history.added[0]) if history.added else None
        if verb == "deleted":
            old, new = readable(getattr(row, name)), None
        if old != new and not (verb == "created" and new == ""):
            found[name] = [old, new]
    return found


def readable(value: Any) -> Any:
    """The value as history keeps it: JSON, exact, without zone puzzles."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    return value

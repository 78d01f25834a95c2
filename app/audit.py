"""History (decision 10): every change leaves a line in the transaction that makes it.

Rows marked below are watched: whatever is added, changed or deleted is written down with old and new values, even
when no verb says so. A verb that does say so (`record`) gives the line its name.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from functools import cache
from itertools import groupby
from typing import Any

from sqlalchemy import event, inspect
from sqlalchemy.orm import Session as AnySession
from sqlalchemy.orm.attributes import PASSIVE_NO_INITIALIZE, get_history

from . import clock
from .extensions import Session, db
from .models import (
    Account,
    AccountImport,
    ApiAnswer,
    ApiKey,
    Article,
    ArticlePrice,
    Calculation,
    Credential,
    Export,
    Fulfilment,
    Grant,
    Hold,
    Holding,
    Invitation,
    License,
    LicenseMovement,
    LicenseType,
    LinkRequest,
    LogEntry,
    Login,
    Member,
    Message,
    Order,
    OrderLine,
    OwnedByAccount,
    Plan,
    PlanPrice,
    Product,
    Property,
    PropertyValue,
    RecoveryCode,
    Relationship,
    ResourceGroup,
    SavedView,
    SearchedText,
    Subscription,
    Throttle,
    Token,
    UpfrontRequest,
    UsageReport,
    User,
    Webhook,
    WebhookDelivery,
    WebhookEvent,
)
from .tenancy import Scope, is_by_consent

# What is watched, and the word history uses for it.
WATCHED: dict[type, str] = {
    Account: "account", Member: "member", Invitation: "invitation", Property: "property",
    LicenseType: "license_type", Article: "article", Plan: "plan", Holding: "holding", License: "license",
    ApiKey: "api_key", SavedView: "saved_view", Product: "product", Subscription: "subscription",
    ResourceGroup: "resource_group", UpfrontRequest: "upfront_request", Order: "order", Webhook: "webhook",
    UsageReport: "usage_report",
}  # fmt: skip

# Never written down: secrets, copies, and what changes without anybody doing anything.
# Properties have lines of their own, at their owner (`properties.py`).
SILENT = {
    "path", "account_path", "account_id", "name_key", "name_sort", "words", "label_en_key", "label_de_key", "position",
    "properties", "conversion", "conversion_status", "conversion_at", "token_id", "inviter_id", "inviter_account_id",
    "accepted_by_id", "plan_id", "type_id", "article_id", "holding_id", "suspended_by_id", "ceiling", "in_use", "told",
    "secret_hash", "created_by_id", "habits", "has_links", "resource_group_id", "product_id", "version", "title_key",
    "told_at", "anchored_on", "reminded", "previous_id", "calculation_id", "subscription_id", "amount_minor",
    "form_key", "answers", "author_id", "author_account_id", "replaces_id", "claimed_domain", "order_id", "line_id",
    "order_line_id", "taken_by_id", "net_minor", "gross_minor", "password_hash", "url", "nonce",
    "former_nonce", "former_until", "failing_since", "delivered_at",
}  # fmt: skip

# Written by the program for its own use; each has its own trail or needs none. What an article grants stands in the
# article's line, and so do prices in that of the plan or article they are of, and lines in that of their order.
# Whatever becomes of a fulfilment a verb tells; what two accounts agree on has a line at each of them. Deliveries of
# webhooks are a log of their own.
UNWATCHED = {
    User, Login, RecoveryCode, Token, Throttle, LogEntry, Message, PropertyValue, Hold, Grant, LicenseMovement,
    ApiAnswer, Export, AccountImport, Relationship, LinkRequest, PlanPrice, ArticlePrice, Calculation, OrderLine,
    Fulfilment, Credential, WebhookEvent, WebhookDelivery, SearchedText,
}  # fmt: skip


# Without asking for the numbers of the new lines: in a client's history one may write, and not read (decision 0016).
ADDED = LogEntry.__table__.insert().inline()


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

    What is done by a client's consent stands in two histories: in that of whoever did it, and in the client's.
    """
    session = db.session()
    with session.no_autoflush:  # looking a name up must not write the change down before its line is there
        entry = LogEntry(**_line(session, action, subject, inside=inside))
        home = account or _owner_of(subject)
        if home is not None and not is_by_consent(home):
            entry.account = home
        else:
            entry.account_id = account_id or session.info["scope"].account_id
        entry.actor, entry.actor_id, entry.ip = actor or entry.actor, actor_id or entry.actor_id, ip or entry.ip
        entry.changes = {name: _pair(value) for name, value in details.items()}
        if subject is not None:
            session.info.setdefault("named_deeds", {})[_key(subject)] = entry
        if home is not None and is_by_consent(home) and not isinstance(subject, Account):
            session.info.setdefault("told_abroad", []).append((entry, home, subject))
        session.add(entry)


def _pair(value: Any) -> list[Any]:
    return [readable(one) for one in (value if isinstance(value, tuple) else (None, value))]


def note(
    session: AnySession, action: str, subject: Any, *, home: tuple[int, str], changes: dict[str, Any]
) -> None:
    """Within a flush: a line about a row in the history of another account (`home`: its number and path)."""
    line = _line(session, action, subject) | _at(home) | {"changes": changes}
    session.info["lines"].append((line, subject))


def _line(session: AnySession, action: str, subject: Any, *, inside: bool = False) -> dict[str, Any]:
    """What a line says of itself: when, who, about what."""
    scope = session.info.get("scope")
    line: dict[str, Any] = {"at": clock.now(), "action": action, "inside": inside, "changes": {}}
    if isinstance(scope, Scope):
        line |= {"actor": scope.actor, "actor_id": scope.user_id, "ip": scope.ip}
        line |= {"acting_account": scope.account_name, "via": scope.via}
    if subject is not None:
        line["subject_type"] = WATCHED.get(type(subject), type(subject).__name__.lower())
        line["subject_id"] = getattr(subject, "id", None)
        line["subject"] = str(subject)[:200]
    return line


def _key(row: Any) -> int:
    return id(row)


# --- what the session sees by itself ---------------------------------------------------------------------------


@event.listens_for(Session, "before_flush")
def _write_down(session: AnySession, _context: Any, made: list[Any] | None) -> None:
    """Turn what is about to be written into history lines, in the same flush.

    `made`: new rows besides the session's.
    """
    named = session.info.setdefault("named_deeds", {})
    lines = session.info["lines"] = []
    with session.no_autoflush:
        for row, verb in _deeds(session, made or []):
            changes = _changes(row, verb)
            entry = named.pop(_key(row), None)
            if entry is not None:
                entry.changes = changes | entry.changes
                if verb == "created":
                    session.expunge(entry)
                    lines.append((_facts(entry), row))
            elif changes or verb != "updated":
                line = _line(session, f"{WATCHED[type(row)]}.{verb}", row) | {"changes": changes}
                lines.append((line if verb == "created" else line | _at(_home(row)), row))
                if is_by_consent(row):
                    lines.append((line | _at((row.account_id, row.account_path)), row))
        for entry, client, row in session.info.pop("told_abroad", ()):
            lines.append((_facts(entry) | _at((client.id, client.path)), row))
    named.clear()


@event.listens_for(Session, "after_flush")
def _write_all(session: AnySession, _context: Any) -> None:
    """Only now do rows made in this flush have a number, and a line is never changed afterwards."""
    write_lines(session, session.info.pop("lines", []))


def write_lines(session: AnySession, told: list[tuple[dict[str, Any], Any]]) -> None:
    """Lines with the rows they are about."""
    lines = [line_about(*one) for one in told]
    for _names, alike in groupby(lines, key=frozenset):  # one statement for many, in their order
        session.connection().execute(ADDED, [*alike])


def line_about(line: dict[str, Any], row: Any) -> dict[str, Any]:
    """The line with the number of the row it is about, and in its history unless it has another."""
    return line | {"subject_id": row.id} | ({} if "account_id" in line else _at(_home(row)))


def _facts(entry: LogEntry) -> dict[str, Any]:
    return {c.name: value for c in LogEntry.__table__.columns if (value := getattr(entry, c.name)) is not None}


def _at(home: tuple[int, str]) -> dict[str, Any]:
    return {"account_id": home[0], "account_path": home[1]}


def _home(row: Any) -> tuple[int, str]:
    """The account whose history a row belongs to, and its path; of what is done by consent, the acting one."""
    if is_by_consent(row):
        scope = db.session().info["scope"]
        return scope.account_id, scope.path
    return (row.id, row.path) if isinstance(row, Account) else (row.account_id, row.account_path)


def _owner_of(row: Any) -> Account | None:
    """The account a row belongs to, where it belongs to one."""
    return row if isinstance(row, Account) else row.account if isinstance(row, OwnedByAccount) else None


def _deeds(session: AnySession, made: list[Any]) -> list[tuple[Any, str]]:
    found = [(row, "created") for row in [*session.new, *made] if type(row) in WATCHED]
    found += [(row, "updated") for row in session.dirty if type(row) in WATCHED and session.is_modified(row)]
    found += [(row, "deleted") for row in session.deleted if type(row) in WATCHED]
    return found


def _changes(row: Any, verb: str) -> dict[str, list[Any]]:
    """Field → [old, new], of the columns that differ."""
    if verb == "created":
        facts = [(name, row.__dict__.get(name)) for name in _told(type(row))]
        return {name: [None, readable(fact)] for name, fact in facts if fact is not None and fact != ""}
    found, touched = {}, inspect(row).committed_state
    for name in _told(type(row)) if verb == "deleted" else filter(touched.__contains__, _told(type(row))):
        old, new = map(readable, _before_and_after(row, name, verb))
        if old != new:
            found[name] = [old, new]
    return found


@cache
def _told(model: type) -> list[str]:
    return [attribute.key for attribute in inspect(model).column_attrs if attribute.key not in {*SILENT, "id"}]


def _before_and_after(row: Any, name: str, verb: str) -> tuple[Any, Any]:
    if verb == "deleted":
        return getattr(row, name), None
    history = get_history(row, name, PASSIVE_NO_INITIALIZE)
    return next(iter(history.deleted or ()), None), next(iter(history.added or ()), None)


def readable(value: Any) -> Any:
    """The value as history keeps it: JSON, exact, without zone puzzles."""
    if type(value) is str:  # as most are
        return value
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    return value

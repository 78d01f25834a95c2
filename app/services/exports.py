"""The verbs of exports that the worker makes: asked for, made, fetched, discarded (X-3).

Each belongs to one person in one account. A worker has it for a while; if it stops giving signs of life, another one
begins anew. Discarding an export that is being made stops it: its row is gone, and the worker notices.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask_babel import force_locale
from flask_babel import gettext as _
from sqlalchemy import func, select, update

from .. import clock, files, outbox
from ..audit import record
from ..errors import Refused
from ..extensions import db
from ..handover import hand_over
from ..models import Account, Export, ExportStatus, Member, User
from ..permissions import allows

KEPT = timedelta(hours=24)
LEASE = timedelta(seconds=60)  # a worker that has not been heard of for so long is taken to be dead
MOST_TRIES = 3
MOST_UNDER_WAY = 3  # of one person in one account


class Stopped(Exception):
    """The export was discarded, or another worker has it: there is nothing left to do."""


Filter = dict[str, str] | str  # in each language, or none


def ask(*, title: str, noun: str, filter: Filter, by: Member, **facts: Any) -> Export:
    """Have the worker make a file; `facts` are view, query, format, locale and total."""
    mine = select(func.count(Export.id)).where(Export.status.in_([ExportStatus.WAITING, ExportStatus.RUNNING]))
    if (db.session.scalar(mine) or 0) >= MOST_UNDER_WAY:
        count = MOST_UNDER_WAY
        raise Refused(_("%(count)s exports are being made for you already; wait for one of them.", count=count))
    now = clock.now()
    export = Export(
        account_id=by.account_id, user_id=by.user_id, title=title[:120], noun=noun, **facts,
        filter=filter[facts["locale"]] if isinstance(filter, dict) else filter,
        file=files.new_name(facts["format"]), created_at=now, lease_until=now, expires_at=now + KEPT,
    )  # fmt: skip
    db.session.add(export)
    note(noun, filter=filter, format=export.format)
    db.session.flush()
    hand_over("export", export.id)
    return export


def note(noun: str, *, filter: Filter, format: str) -> None:
    """Every export leaves a line of history, however the file reaches the person."""
    said = {"filter": filter, "format": "CSV" if format == "csv" else ""}
    record(f"{noun}.exported", **{name: words for name, words in said.items() if words})


def discard(export: Export) -> None:
    """Stop it while it is made; take the file away afterwards."""
    files.remove(export.file)
    db.session.delete(export)
    db.session.flush()


# --- the worker's side: unscoped ---------------------------------------------------------------------------------


def due(limit: int = 20) -> list[int]:
    """What waits for a worker, or has lost its own."""
    wanted = select(Export.id).where(*_to_be_had()).order_by(Export.id).limit(limit)
    return list(db.session.scalars(wanted))


def claim(export_id: int) -> Export | None:
    """Take an export to make it; of several workers one gets it."""
    taken = db.session.execute(
        update(Export)
        .where(Export.id == export_id, *_to_be_had())
        .values(status=ExportStatus.RUNNING, attempts=Export.attempts + 1, written=0, lease_until=clock.now() + LEASE),
        execution_options={"synchronize_session": False},
    )
    return db.session.get(Export, export_id) if taken.rowcount == 1 else None


def _to_be_had() -> tuple[Any, ...]:
    under_way = Export.status.in_([ExportStatus.WAITING, ExportStatus.RUNNING])
    return under_way, Export.lease_until <= clock.now()


def who_asked(export: Export) -> Member | None:
    """The member it is for, if they still are one and may still export it."""
    member = db.session.scalar(
        select(Member)
        .join(Member.user)
        .join(Member.account)
        .where(Member.user_id == export.user_id, Member.account_id == export.account_id)
        .where(User.active.is_(True), Account.archived_at.is_(None))
    )
    if member is None:
        return None
    account, wanted = member.account, f"{export.noun}.export"
    return member if allows(account.kind, member.role, wanted, held=account.is_held) else None


def go_on(export: Export, written: int) -> None:
    """Tell how far it is and keep it for longer. Raises `Stopped` when it is no longer this worker's."""
    _settle(export, written=written, lease_until=clock.now() + LEASE)


def finish(export: Export, *, written: int, size: int) -> None:
    """The file is whole: note it, and write to the person."""
    now = clock.now()
    facts = {"written": written, "total": written, "size": size, "error": ""}
    _settle(export, status=ExportStatus.DONE, finished_at=now, expires_at=now + KEPT, **facts)
    user, account = db.session.get(User, export.user_id), db.session.get(Account, export.account_id)
    with force_locale(export.locale):
        rows = f"{written:,}".replace(",", "." if export.locale == "de" else ",")
    outbox.write(
        "export_ready", to=user.email, locale=export.locale, account_id=account.id, title=export.title, rows=rows,
        account=account.name, link_path=f"a/{account.slug}/exports/",
    )  # fmt: skip


def fail(export: Export, sentence: str, *, for_good: bool = False) -> None:
    """Say why there is no file; or try again, where that may help."""
    if for_good or export.attempts >= MOST_TRIES:
        _settle(export, status=ExportStatus.FAILED, finished_at=clock.now(), error=sentence[:300])
    else:
        _settle(export, status=ExportStatus.WAITING, lease_until=clock.now() + LEASE)


def _settle(export: Export, **outcome: Any) -> None:
    settled = db.session.execute(
        update(Export)
        .where(Export.id == export.id, Export.attempts == export.attempts, Export.status == ExportStatus.RUNNING)
        .values(**outcome),
        execution_options={"synchronize_session": False},
    )
    if settled.rowcount != 1:
        raise Stopped


def forget_old(most: int) -> int:
    """Take away some of what has been kept long enough, and its files; how many it were (`jobs.py`)."""
    old = select(Export).where(Export.expires_at <= clock.now()).order_by(Export.id).limit(most)
    found = list(db.session.scalars(old))
    for export in found:
        discard(export)
    return len(found)

"""The verbs of imports: taken, written as a whole or not at all, undone within the hour (X-3, security 3.7).

What would become of a file is looked up beforehand (`import_plan`) and kept. The plan holds the old value of each cell
as well as the new one; writing and undoing refuse where a value is no longer the one they know.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from flask_babel import gettext as _
from flask_babel import ngettext
from sqlalchemy import select, update
from sqlalchemy.orm import joinedload

from .. import clock, properties, sheets
from ..audit import record
from ..errors import Refused
from ..extensions import db
from ..handover import hand_over
from ..models import Account, AccountImport, Holding, ImportStatus, Kind, Member, User
from ..permissions import allows
from ..property_types import from_kept
from ..sheets import Sheet
from ..tenancy import hold_the_tree
from . import accounts
from .import_columns import ID, Column, columns_for
from .import_plan import CHANGED, CONFLICT, CREATED, ERROR, Row, by_hundreds, same

KEPT = timedelta(hours=24)
UNDO_WITHIN = timedelta(hours=1)
LEASE = timedelta(minutes=5)
NAMED = 10  # of those that stand in the way, how many are named


# --- a file comes in ---------------------------------------------------------------------------------------------


def take(sheet: Sheet, file_name: str, mapping: list[str], *, locale: str, by: Member) -> AccountImport:
    """Keep an uploaded file for a day, with what its columns are taken to be."""
    now = clock.now()
    taken = AccountImport(
        account_id=by.account_id, user_id=by.user_id, by=by.user.name[:140], file_name=file_name[:200] or "–",
        sheet=sheet.name[:120], content=sheets.pack(sheet), mapping=mapping, locale=locale, lease_until=now,
        created_at=now,
    )  # fmt: skip
    db.session.add(taken)
    db.session.flush()
    return taken


def problems_of(mapping: list[str]) -> str:
    """What is wrong with a choice of columns, in words; empty where nothing is."""
    twice = [key for key, times in Counter(filter(None, mapping)).items() if times > 1]
    if twice:
        return _("Two columns cannot be the same thing.")
    if ID not in mapping and "name" not in mapping:
        return _("Say which column is the name, or the Kontor ID: without one of them no row is known.")
    return ""


def keep(import_: AccountImport, rows: list[Row], *, mapping: list[str], clears: bool) -> None:
    """Keep what looking at it has found."""
    _become(import_, ImportStatus.CHECKED)
    import_.mapping, import_.clears, import_.error = mapping, clears, ""
    import_.plan = sheets.packed([vars(row) for row in rows])
    import_.counts = dict(Counter(row.state for row in rows))
    import_.checked_at = clock.now()
    db.session.flush()


def rows_of(import_: AccountImport) -> list[Row]:
    return [Row(**facts) for facts in sheets.unpacked(import_.plan)] if import_.plan else []


def start(import_: AccountImport, *, overwrites: bool, by: Member) -> None:
    """Hand a checked file to the worker, who writes it in the name of whoever says so."""
    _become(import_, ImportStatus.IMPORTING)
    if import_.counts.get(ERROR):
        raise Refused(_("The file has errors; nothing is imported until they are mended."))
    if not sum(import_.counts.get(state, 0) for state in (CREATED, CHANGED, CONFLICT)):
        raise Refused(_("There is nothing to import: no row differs."))
    import_.overwrites = overwrites
    _hand_over(import_, by)


def undo(import_: AccountImport, *, by: Member) -> None:
    """Have the worker take an import back."""
    _become(import_, ImportStatus.UNDOING)
    if not may_be_undone(import_):
        raise Refused(_("An import can be undone within an hour."))
    _hand_over(import_, by)


def may_be_undone(import_: AccountImport) -> bool:
    recent = import_.done_at is not None and clock.now() < import_.done_at + UNDO_WITHIN
    return recent and import_.status in {ImportStatus.DONE, ImportStatus.UNDOING}


def discard(import_: AccountImport) -> None:
    """Forget a file; what it has changed stays."""
    if import_.is_under_way:
        raise Refused(_("The file is being imported right now."))
    db.session.delete(import_)
    db.session.flush()


def _become(import_: AccountImport, status: ImportStatus) -> None:
    if not import_.may_become(status):
        raise Refused(_("This file is being imported or has been; upload it again to import it once more."))
    import_.status = status


def _hand_over(import_: AccountImport, by: Member) -> None:
    import_.user_id, import_.by = by.user_id, by.user.name[:140]
    import_.error, import_.attempts, import_.lease_until = "", 0, clock.now()
    db.session.flush()
    hand_over("import", import_.id)


# --- the worker's side -------------------------------------------------------------------------------------------


def due(limit: int = 20) -> list[int]:
    """What waits for a worker, or has lost its own; unscoped."""
    return list(db.session.scalars(select(AccountImport.id).where(*_to_be_had()).limit(limit)))


def claim(import_id: int) -> AccountImport | None:
    """Take an import to write or undo it; of several workers one gets it; unscoped."""
    taken = db.session.execute(
        update(AccountImport)
        .where(AccountImport.id == import_id, *_to_be_had())
        .values(attempts=AccountImport.attempts + 1, lease_until=clock.now() + LEASE),
        execution_options={"synchronize_session": False},
    )
    return db.session.get(AccountImport, import_id) if taken.rowcount == 1 else None


def _to_be_had() -> tuple[Any, ...]:
    under_way = AccountImport.status.in_([ImportStatus.IMPORTING, ImportStatus.UNDOING])
    return under_way, AccountImport.lease_until <= clock.now()


def who_answers(import_: AccountImport) -> Member | None:
    """The member in whose name it is written, if they still are one; unscoped."""
    return db.session.scalar(
        select(Member)
        .join(Member.user)
        .join(Member.account)
        .where(Member.user_id == import_.user_id, Member.account_id == import_.account_id)
        .where(User.active.is_(True), Account.archived_at.is_(None))
    )


def give_back(import_id: int, sentence: str) -> None:
    """It was refused and nothing was written: say why, where the person looks; unscoped."""
    import_ = db.session.get(AccountImport, import_id)
    if import_ is not None and import_.is_under_way:
        import_.status = ImportStatus.CHECKED if import_.status is ImportStatus.IMPORTING else ImportStatus.DONE
        import_.error = sentence


def clear_away(limit: int = 100) -> None:
    """Forget files that have been kept long enough; unscoped."""
    old = select(AccountImport).where(AccountImport.created_at <= clock.now() - KEPT).limit(limit)
    for import_ in db.session.scalars(old):
        if not import_.is_under_way:
            db.session.delete(import_)


# --- writing it, and taking it back: in the worker, behind the person's wall --------------------------------------

Tell = Callable[[int, int], None]  # rows done, rows in all


class Stopped(Exception):
    """Another worker has it, or has done it: there is nothing left to do."""


def write(import_id: int, *, attempt: int, by: Member, tell: Tell) -> None:
    """Write the whole file in the unit of work at hand. Raises `Refused`, and then nothing is written."""
    import_ = _held(import_id, ImportStatus.IMPORTING, attempt, by)
    rows, columns, overwrites = rows_of(import_), columns_for(by.account_id), import_.overwrites
    changed = {row.number: row.to_write(overwrites) for row in rows if row.id is not None}
    changes = [row for row in rows if changed.get(row.number)]
    additions = [row for row in rows if row.id is None]
    steps = _Steps(len(changes) + len(additions), tell)

    _rewrite(changes, changed, columns, steps, checked=True)
    _open(additions, columns, by, steps)
    import_.plan = sheets.packed([vars(row) for row in rows])
    import_.status, import_.done_at = ImportStatus.DONE, clock.now()
    record("account.imported", account=by.account, file=import_.file_name, created=len(additions), changed=len(changes))
    db.session.flush()


def take_back(import_id: int, *, attempt: int, by: Member, tell: Tell) -> None:
    """Undo the whole import in the unit of work at hand. Raises `Refused` where something has changed since.

    Accounts it has made are archived, under another name, so that theirs are free again.
    """
    import_ = _held(import_id, ImportStatus.UNDOING, attempt, by)
    rows, columns = rows_of(import_), columns_for(by.account_id)
    written = {row.number: row.to_write(import_.overwrites) for row in rows}
    backwards = {n: {key: [new, old] for key, (old, new) in cells.items()} for n, cells in written.items()}
    additions = [row for row in rows if row.opened]
    changes = [row for row in rows if not row.opened and backwards[row.number]]
    steps = _Steps(len(changes) + len(additions), tell)

    _rewrite(changes, backwards, columns, steps, checked=False)
    _put_away(additions, backwards, columns, import_, by, steps)
    import_.status = ImportStatus.UNDONE
    record("account.import_undone", account=by.account, file=import_.file_name)
    db.session.flush()


def _held(import_id: int, status: ImportStatus, attempt: int, by: Member) -> AccountImport:
    """The import, nobody else's until this is done."""
    held = select(AccountImport).where(AccountImport.id == import_id).with_for_update()
    import_ = db.session.scalar(held.execution_options(populate_existing=True))
    if import_ is None or import_.status is not status or import_.attempts != attempt:
        raise Stopped
    if not allows(by.account.kind, by.role, "account.import", held=by.account.is_held):
        raise Refused(_("You may no longer import accounts."))
    return import_


def _rewrite(rows: list[Row], cells: dict[int, dict[str, list[Any]]], columns: dict[str, Column], steps: _Steps, *,
             checked: bool) -> None:  # fmt: skip
    """Put the new values in, where the old ones still stand."""
    changed_since: list[str] = []
    for some in by_hundreds(rows):
        held = _hold([row.id for row in some])
        for row in some:
            account = held.get(row.id)
            changed_since += _differing(row, account, cells[row.number], columns)
            if account is not None and not changed_since:
                _put(account, cells[row.number], columns, checked=checked)
            steps.one()
        db.session.flush()
    _refuse_changed(changed_since)


def _hold(ids: list[Any]) -> dict[Any, Account]:
    """The accounts as the database has them now, locked until this is done."""
    held = select(Account).options(joinedload(Account.parent)).where(Account.id.in_(ids)).with_for_update(of=Account)
    return {account.id: account for account in db.session.scalars(held.execution_options(populate_existing=True))}


def _differing(row: Row, account: Account | None, cells: dict[str, list[Any]], columns: dict[str, Column]) -> list[str]:
    """Cells whose value is no longer the one that was looked at: whose, and which."""
    if account is None:
        return [row.name]
    known = {key: columns.get(key) for key in cells}
    differ = [c for key, c in known.items() if c is None or not same(c.now(account), cells[key][0])]
    return [f"{account.name}: {column.label if column else _('a property')}" for column in differ]


def _refuse_changed(found: list[str]) -> None:
    if found:
        named, more = "; ".join(found[:NAMED]), len(found) - NAMED
        and_more = ngettext(" and one more", " and %(num)s more", more) if more > 0 else ""
        raise Refused(_("This has been changed meanwhile: %(names)s.", names=named + and_more))


def _put(account: Account, cells: dict[str, list[Any]], columns: dict[str, Column], *, checked: bool) -> None:
    kept = {columns[key].definition: new for key, (_old, new) in cells.items() if columns[key].definition is not None}
    for key, (_old, new) in cells.items():
        if columns[key].definition is None:
            setattr(account, key, new)
    if "name" in cells:
        accounts.accept_name(account)
    if checked and len(kept) < len(cells):
        accounts.tidy(account)
    if checked and kept:
        properties.write(account, {d: from_kept(d, new) for d, new in kept.items()}, held=True)
    elif kept:  # what stood there before needs no leave to stand there again
        values = dict(account.properties or {}) | {str(d.id): old for d, old in kept.items()}
        account.properties = {key: value for key, value in values.items() if value is not None}


def _open(rows: list[Row], columns: dict[str, Column], by: Member, steps: _Steps) -> None:
    hold_the_tree(shared=True)
    for some in by_hundreds(rows):
        new = [_new_account(row, columns, by) for row in some]
        accounts.open_many(new, by=by)
        for row, account in zip(some, new, strict=True):
            row.id, row.opened = account.id, True
            steps.one()


def _new_account(row: Row, columns: dict[str, Column], by: Member) -> Account:
    """A new account as the form would have made it."""
    missing = [key for key in row.cells if key not in columns]
    if missing:
        raise Refused(_("The columns of your accounts have changed meanwhile; check the file again."))
    given = {key: new for key, (_old, new) in row.cells.items() if columns[key].definition is None}
    facts = {name: getattr(by.account, name) for name in ("country", "language", "time_zone", "currency")} | given
    parent = db.session.get(Account, row.parent_id)
    if parent is None:  # moved out of sight
        _refuse_changed([row.name])
    account = Account(parent=parent, kind=Kind.CUSTOMER, created_at=clock.now(), properties={}, **facts)
    kept = {columns[key].definition: new for key, (_old, new) in row.cells.items() if columns[key].definition}
    properties.write(account, {d: from_kept(d, new) for d, new in kept.items()})
    return account


def _put_away(rows: list[Row], cells: dict[int, dict[str, list[Any]]], columns: dict[str, Column],
              import_: AccountImport, by: Member, steps: _Steps) -> None:  # fmt: skip
    """Archive the accounts the import has made, if nobody has touched them since."""
    changed_since: list[str] = []
    for some in by_hundreds(rows):
        ids = [row.id for row in some]
        held, in_use = _hold(ids), _in_use(ids)
        for row in some:
            account = held.get(row.id)
            changed_since += _differing(row, account, cells[row.number], columns)
            changed_since += [account.name] if account is not None and row.id in in_use else []
            if account is not None and not changed_since:
                ending = _(" (import %(number)s, undone)", number=import_.id)
                account.name = account.name[: 120 - len(ending)] + ending
                if not account.is_archived:
                    accounts.archive(account, by=by)
            steps.one()
        db.session.flush()
    _refuse_changed(changed_since)


def _in_use(ids: list[Any]) -> set[int]:
    """Those that have something beneath them by now, or acquired, or more members than whoever opened them."""
    parents = db.session.scalars(select(Account.parent_id).where(Account.parent_id.in_(ids)))
    members = Counter(db.session.scalars(select(Member.account_id).where(Member.account_id.in_(ids))))
    holders = db.session.scalars(select(Holding.account_id).where(Holding.account_id.in_(ids)))
    return {*parents, *holders, *(number for number, count in members.items() if count > 1)}


class _Steps:
    """Counts what is done, and tells now and then."""

    def __init__(self, total: int, tell: Tell) -> None:
        self.done, self.total, self.tell = 0, total, tell
        tell(0, total)

    def one(self) -> None:
        self.done += 1
        if self.done % 200 == 0 or self.done == self.total:
            self.tell(self.done, self.total)

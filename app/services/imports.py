"""The verbs of imports: looked at, written as a whole or not at all, undone within the hour (X-3, security 3.7).

Looking (`look`) writes nothing: it says for every row of a file what would become of it, and keeps that as a plan. The
plan holds the old value of each cell as well as the new one; writing and undoing refuse where a value is no longer the
one they know. Of a row from an export it is known when it was exported, and history tells what has changed since:
a cell that still says what it said then is left alone, one changed on both sides is a conflict.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
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
from ..models import Account, AccountImport, ImportStatus, LogEntry, Member, User
from ..permissions import allows
from ..property_types import from_kept
from ..sheets import Sheet
from . import accounts
from .import_columns import ID, PARENT, Column, as_text, columns_for, read_id

KEPT = timedelta(hours=24)
UNDO_WITHIN = timedelta(hours=1)
LEASE = timedelta(minutes=5)
AT_ONCE = 500  # rows asked for in one statement
NAMED = 10  # of those that stand in the way, how many are named
CREATED, CHANGED, SAME, CONFLICT, ERROR = STATES = ("created", "changed", "unchanged", "conflict", "error")


@dataclass
class Row:
    """What becomes of one row of a file. Cells are `{column key: [old, new]}`, as the database keeps values."""

    number: int
    name: str = ""
    id: int | None = None
    parent_id: int | None = None
    cells: dict[str, list[Any]] = field(default_factory=dict)
    conflicts: dict[str, list[Any]] = field(default_factory=dict)  # now, new, who changed it since the export, when
    errors: list[list[str]] = field(default_factory=list)  # the cell, the sentence
    since: int = 0  # when it was exported, in seconds
    opened: bool = False  # whether the import has made the account

    @property
    def state(self) -> str:
        if self.errors:
            return ERROR
        if self.conflicts:
            return CONFLICT
        if self.id is None or self.opened:
            return CREATED
        return CHANGED if self.cells else SAME

    def to_write(self, overwrites: bool) -> dict[str, list[Any]]:
        """The cells that are written; of those in conflict, too, where the file is to win."""
        won = {key: [now, new] for key, (now, new, *_by) in self.conflicts.items()} if overwrites else {}
        return self.cells | won


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


# --- looking: what would become of every row ---------------------------------------------------------------------


def look(sheet: Sheet, mapping: list[str], *, owner: Account, clears: bool = False) -> list[Row]:
    """What would become of every row of the file, in the account that `owner` is. Nothing is written."""
    return _Look(sheet, mapping, owner, clears).rows()


class _Look:
    """One look at a file: what its columns are, and the accounts it speaks of, asked for many at a time."""

    def __init__(self, sheet: Sheet, mapping: list[str], owner: Account, clears: bool) -> None:
        self.sheet, self.owner, self.clears = sheet, owner, clears
        every = columns_for(owner.id)
        self.columns = [(place, every[key]) for place, key in enumerate(mapping) if key in every]
        self.place = {column.key: place for place, column in self.columns}
        self.values = [(place, column) for place, column in self.columns if column.key not in {ID, PARENT}]
        self.missing = [column for column in every.values() if column.definition and column.key not in self.place]
        self.parents: dict[Any, Account] = {}
        self.seen: dict[Any, int] = {}  # account, or name beside its siblings → the row in which it stood first

    def rows(self) -> list[Row]:
        ids = {number: self._id(cells) for number, cells in self.sheet.rows}
        self.by_id = _accounts(Account.id, {found[0] for found in ids.values() if found})
        self._find_names()
        found = []
        for number, cells in self.sheet.rows:
            row = Row(number)
            with suppress(_Stop):
                self._look_at(row, cells, ids[number])
            found.append(row)
        _compare_with_history([row for row in found if row.since and row.cells], {c.key: c for _place, c in self.values})
        return found

    def _find_names(self) -> None:
        """The accounts that have a name of the file, by that name; those it may stand beneath, likewise."""
        wanted = {_key(cells[self.place[key]]) for key in ("name", PARENT) if key in self.place
                  for _number, cells in self.sheet.rows}  # fmt: skip
        self.by_name: dict[str, list[Account]] = {}
        for account in _accounts(Account.name_key, wanted - {""}).values():
            self.by_name.setdefault(account.name_key, []).append(account)

    # --- which account a row is ---

    def _look_at(self, row: Row, cells: list[Any], known: tuple[int, datetime] | None) -> None:
        row.name = self._text(cells, "name")
        account = self._by_id(row, cells, known) if self._text(cells, ID) else self._by_name(row, cells)
        if account is None:
            self._create(row, cells)
        else:
            row.id, row.name = account.id, account.name
            row.since = int(known[1].timestamp()) if known else 0
            self._refuse_twice(row, account.id, ID if known else "name")
            self._change(row, cells, account, by_name=known is None)
        if row.id is None or "name" in row.cells:
            self._check_name(row)

    def _id(self, cells: list[Any]) -> tuple[int, datetime] | None:
        text = self._text(cells, ID)
        return read_id(text, owner_id=self.owner.id) if text else None

    def _by_id(self, row: Row, cells: list[Any], known: tuple[int, datetime] | None) -> Account:
        account = self.by_id.get(known[0]) if known else None
        if account is None:
            self._stop(row, ID, _("This is not the ID of an account of yours. Leave the cell empty for a new account."))
        if account.id == self.owner.id:
            self._stop(row, ID, _("The account you act in is changed in its settings."))
        above = self._text(cells, PARENT)
        if above and _key(above) != (account.parent.name_key if account.parent else ""):
            self._wrong(row, PARENT, _("An import does not move accounts."))
        return account

    def _by_name(self, row: Row, cells: list[Any]) -> Account | None:
        if not row.name:
            self._stop(row, "name", _("An account needs a name."))
        parent = self._parent(row, cells)
        row.parent_id = parent.id
        self.parents[parent.id] = parent
        siblings = (one for one in self.by_name.get(_key(row.name), []) if one.parent_id == row.parent_id)
        account = next(siblings, None)
        if account is not None and account.is_archived:
            self._stop(row, "name", _("%(name)s is archived; restore it first.", name=account.name))
        return account

    def _parent(self, row: Row, cells: list[Any]) -> Account:
        above = self._text(cells, PARENT)
        if not above or _key(above) == self.owner.name_key:
            return self.owner
        found = [one for one in self.by_name.get(_key(above), []) if one.kind.manages_accounts]
        if not found:
            self._stop(row, PARENT, _("There is no partner named “%(name)s” here.", name=above[:40]))
        if len(found) > 1:
            self._stop(row, PARENT, _("There are several partners named “%(name)s”.", name=above[:40]))
        return found[0]

    def _check_name(self, row: Row) -> None:
        """Unique beside its siblings: those there are, and those of the file."""
        name = row.cells["name"][1] if "name" in row.cells else row.name
        account = self.by_id.get(row.id or 0)
        parent_id = row.parent_id or (account.parent_id if account else self.owner.id)
        same = (one for one in self.by_name.get(_key(name), []) if one.parent_id == parent_id and one.id != row.id)
        if next(same, None) is not None:
            self._wrong(row, "name", _("There is an account named “%(name)s” here already.", name=name))
        self._refuse_twice(row, (parent_id, _key(name)), "name")

    def _refuse_twice(self, row: Row, what: Any, key: str) -> None:
        first = self.seen.setdefault(what, row.number)
        if first != row.number:
            self._wrong(row, key, _("This account stands in row %(row)s already.", row=first))

    # --- what its cells say ---

    def _change(self, row: Row, cells: list[Any], account: Account, *, by_name: bool) -> None:
        if account.parent is not None and account.parent.is_archived:
            self._stop(row, "name", _("%(name)s is archived; restore it first.", name=account.parent.name))
        for place, column in self.values:
            cell = cells[place]
            if cell in (None, "") and not self.clears or column.key == "name" and by_name:
                continue
            now = column.now(account)
            if cell == now:
                continue  # most cells of an export that comes back
            new = self._read(row, column, cell)
            if new is not _WRONG and not _same(new, now):
                row.cells[column.key] = [now, new]

    def _create(self, row: Row, cells: list[Any]) -> None:
        parent = self.parents[row.parent_id]
        if parent.is_archived:
            self._stop(row, PARENT, _("%(name)s is archived; restore it first.", name=parent.name))
        filled = [(place, column) for place, column in self.values if cells[place] not in (None, "")]
        for place, column in filled:
            new = self._read(row, column, cells[place])
            if new is not _WRONG:
                row.cells[column.key] = [None, new]
        for place, column in self.values:
            if column.definition and cells[place] in (None, ""):
                self._propose(row, column, place)
        for column in self.missing:
            self._propose(row, column, None)

    def _propose(self, row: Row, column: Column, place: int | None) -> None:
        """What the form would propose for a new account; an error where it would not do without."""
        if column.definition.default_value is not None:
            row.cells[column.key] = [None, column.definition.default_value]
        elif column.required:
            sentence = _("Please fill this in.")
            row.errors.append([self._address(row, place), f"{column.label}: {sentence}"])

    def _read(self, row: Row, column: Column, cell: Any) -> Any:
        try:
            if cell in (None, ""):
                return self._empty(column)
            return column.read(cell)
        except Refused as refusal:
            self._wrong(row, column.key, refusal.sentence)
            return _WRONG

    def _empty(self, column: Column) -> Any:
        if column.required:
            raise Refused(_("Please fill this in."))
        return None if column.definition else ""

    def _text(self, cells: list[Any], key: str) -> str:
        return " ".join(as_text(cells[self.place[key]]).split()) if key in self.place else ""

    # --- what is wrong ---

    def _wrong(self, row: Row, key: str, sentence: str) -> None:
        row.errors.append([self._address(row, self.place.get(key)), sentence])

    def _stop(self, row: Row, key: str, sentence: str) -> Any:
        self._wrong(row, key, sentence)
        raise _Stop

    def _address(self, row: Row, place: int | None) -> str:
        return self.sheet.address(row.number, place) if place is not None else _("Row %(row)s", row=row.number)


class _Stop(Exception):
    """Nothing more can be said about a row."""


_WRONG = object()


def _same(one: Any, other: Any) -> bool:
    """Whether two kept values are; nothing is nothing, however it is written."""
    return (None if one == "" else one) == (None if other == "" else other)


def _key(name: Any) -> str:
    return " ".join(as_text(name).split()).casefold()[:120]


def _accounts(column: Any, wanted: set[Any]) -> dict[int, Account]:
    found = select(Account).options(joinedload(Account.parent))
    return {
        account.id: account
        for some in _some(sorted(wanted))
        for account in db.session.scalars(found.where(column.in_(some)))
    }


def _some(wanted: list[Any]) -> Iterator[list[Any]]:
    rest = iter(wanted)
    while some := list(islice(rest, AT_ONCE)):
        yield some


# --- what has changed since the export ---------------------------------------------------------------------------


def _compare_with_history(rows: list[Row], columns: dict[str, Column]) -> None:
    """Leave alone what the file only repeats from before a change; part off what both sides have changed."""
    by_id = {row.id: row for row in rows}
    first = datetime.fromtimestamp(min((row.since for row in rows), default=0), UTC)
    for some in _some(sorted(by_id)):  # type: ignore[type-var]
        lines = select(LogEntry).where(LogEntry.subject_type == "account", LogEntry.subject_id.in_(some))
        for entry in db.session.scalars(lines.where(LogEntry.at >= first).order_by(LogEntry.at, LogEntry.id)):
            row = by_id[entry.subject_id]
            if entry.at.timestamp() >= row.since:
                _compare(row, entry, columns)
    for row in rows:  # `_compare` has noted what each cell said at the time of the export; those it still says are not meant
        for key in [key for key, told in row.conflicts.items() if told[1] is _WRONG]:
            del row.conflicts[key]


def _compare(row: Row, entry: LogEntry, columns: dict[str, Column]) -> None:
    for key, change in entry.changes.items():
        column = columns.get(key)
        if column is None or entry.action.endswith(".created"):
            continue
        by = [entry.actor.partition(" <")[0], entry.at.isoformat()]
        if key in row.cells:
            now, new = row.cells.pop(key)
            untouched = _same(column.told(new), change[0])
            row.conflicts[key] = [now, _WRONG if untouched else new, *by]
        elif key in row.conflicts:
            row.conflicts[key][2:] = by


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

    _change(changes, changed, columns, steps, checked=True)
    for row in additions:
        _open(row, columns, by)
        steps.one()
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

    _change(changes, backwards, columns, steps, checked=False)
    _put_away(additions, columns, import_, by, steps)
    import_.status = ImportStatus.UNDONE
    record("account.import_undone", account=by.account, file=import_.file_name)
    db.session.flush()


def _held(import_id: int, status: ImportStatus, attempt: int, by: Member) -> AccountImport:
    """The import, nobody else's until this is done."""
    held = select(AccountImport).where(AccountImport.id == import_id).with_for_update()
    import_ = db.session.scalar(held.execution_options(populate_existing=True))
    if import_ is None or import_.status is not status or import_.attempts != attempt:
        raise Stopped
    if not allows(by.account.kind, by.role, "account.import"):
        raise Refused(_("You may no longer import accounts."))
    return import_


def _change(rows: list[Row], cells: dict[int, dict[str, list[Any]]], columns: dict[str, Column], steps: _Steps, *,
            checked: bool) -> None:  # fmt: skip
    """Put the new values in, where the old ones still stand."""
    changed_since: list[str] = []
    for some in _some(rows):
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
    differ = [key for key, (old, _new) in cells.items() if key not in columns or not _same(columns[key].now(account), old)]
    return [f"{account.name}: {columns[key].label if key in columns else _('a property')}" for key in differ]


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
        accounts.accept(account)
    if checked and kept:
        properties.write(account, {d: from_kept(d, new) for d, new in kept.items()}, held=True)
    elif kept:  # what stood there before needs no leave to stand there again
        values = dict(account.properties or {}) | {str(d.id): old for d, old in kept.items()}
        account.properties = {key: value for key, value in values.items() if value is not None}


def _open(row: Row, columns: dict[str, Column], by: Member) -> None:
    """A new account as the form would have opened it."""
    given = {key: new for key, (_old, new) in row.cells.items() if columns[key].definition is None}
    facts = {name: getattr(by.account, name) for name in ("country", "language", "time_zone", "currency")} | given
    account = accounts.open_account(parent=db.session.get(Account, row.parent_id), by=by, **facts)
    kept = {columns[key].definition: new for key, (_old, new) in row.cells.items() if columns[key].definition}
    properties.write(account, {d: from_kept(d, new) for d, new in kept.items()}, held=True)
    row.id, row.opened = account.id, True


def _put_away(rows: list[Row], columns: dict[str, Column], import_: AccountImport, by: Member, steps: _Steps) -> None:
    changed_since: list[str] = []
    for some in _some(rows):
        ids = [row.id for row in some]
        held, in_use = _hold(ids), _in_use(ids)
        for row in some:
            account = held.get(row.id)
            changed_since += _differing(row, account, row.cells, columns)
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
    """Those that have something beneath them by now, or more members than whoever opened them."""
    parents = db.session.scalars(select(Account.parent_id).where(Account.parent_id.in_(ids)))
    members = Counter(db.session.scalars(select(Member.account_id).where(Member.account_id.in_(ids))))
    return {*parents, *(number for number, count in members.items() if count > 1)}


class _Steps:
    """Counts what is done, and tells now and then."""

    def __init__(self, total: int, tell: Tell) -> None:
        self.done, self.total, self.tell = 0, total, tell
        tell(0, total)

    def one(self) -> None:
        self.done += 1
        if self.done % 200 == 0 or self.done == self.total:
            self.tell(self.done, self.total)

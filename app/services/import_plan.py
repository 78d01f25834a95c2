"""What would become of every row of a file, looked up without writing anything (X-3).

Rows are known by the ID of an export, or by their name beside its siblings. Of a row from an export it is known when it
was exported, and history tells what has changed since: a cell that still says what it said then is left alone, one
changed on both sides is a conflict.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.orm import selectinload

from .. import vat
from ..errors import Refused
from ..extensions import db
from ..models import Account, LogEntry
from ..sheets import Sheet
from .import_columns import ID, PARENT, VAT_ID, Column, as_text, columns_for, id_reader

AT_ONCE = 500  # rows asked for in one statement
CREATED, CHANGED, SAME, CONFLICT, ERROR = STATES = ("created", "changed", "unchanged", "conflict", "error")


@dataclass
class Row:
    """What becomes of one row of a file. Cells are `{column key: [old, new]}`, as the database keeps values."""

    number: int
    name: str = ""
    id: int | None = None
    parent_id: int | None = None  # the account beneath which, or in which, it comes to be
    cells: dict[str, list[Any]] = field(default_factory=dict)
    conflicts: dict[str, list[Any]] = field(default_factory=dict)  # now, new, who changed it since the export, when
    errors: list[list[str]] = field(default_factory=list)  # the cell, the sentence
    remarks: list[list[str]] = field(default_factory=list)  # why it is left alone: the cell, the sentence
    since: int = 0  # when it was exported, in seconds
    opened: bool = False  # whether the import has made what `id` names

    @property
    def state(self) -> str:
        if self.errors:
            return ERROR
        if self.conflicts:
            return CONFLICT
        if self.remarks:
            return SAME
        if self.id is None or self.opened:
            return CREATED
        return CHANGED if self.cells else SAME

    def to_write(self, overwrites: bool) -> dict[str, list[Any]]:
        """The cells that are written; of those in conflict, too, where the file is to win."""
        won = {key: [now, new] for key, (now, new, *_by) in self.conflicts.items()} if overwrites else {}
        return self.cells | won


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
        self.read_id = id_reader(owner.id)
        self.parents: dict[Any, Account] = {}
        self.read: dict[str, dict[str, tuple[Any, str]]] = {column.key: {} for _place, column in self.columns}
        self.seen: dict[Any, int] = {}  # account, or name beside its siblings → the row in which it stood first

    def rows(self) -> list[Row]:
        ids = {number: self._id(cells) for number, cells in self.sheet.rows}
        self.by_id = accounts_by(Account.id, {found[0] for found in ids.values() if found})
        self._find_names(ids)
        found = []
        for number, cells in self.sheet.rows:
            row = Row(number)
            with suppress(_Stop):
                self._look_at(row, cells, ids[number])
            found.append(row)
        exported = [row for row in found if row.since and row.cells]
        _compare_with_history(exported, {column.key: column for _place, column in self.values})
        return found

    def _find_names(self, ids: dict[int, tuple[int, datetime] | None]) -> None:
        """The accounts that have a name of the file, by that name, as far as anybody will ask for it."""
        wanted = set()
        for number, cells in self.sheet.rows:
            account = self.by_id.get((ids[number] or [0])[0])
            keys = {name_key_of(cells[self.place[key]]) for key in ("name", PARENT) if key in self.place}
            wanted |= keys - {account.name_key} if account else keys
        self.by_name: dict[str, list[Account]] = {}
        for account in accounts_by(Account.name_key, wanted - {""}).values():
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
        if row.cells.keys() & {VAT_ID, "country"}:
            self._check_vat_id(row, account)

    def _id(self, cells: list[Any]) -> tuple[int, datetime] | None:
        text = self._text(cells, ID)
        return self.read_id(text) if text else None

    def _by_id(self, row: Row, cells: list[Any], known: tuple[int, datetime] | None) -> Account:
        account = self.by_id.get(known[0]) if known else None
        if account is None:
            self._stop(row, ID, _("This is not the ID of an account of yours. Leave the cell empty for a new account."))
        if account.id == self.owner.id:
            self._stop(row, ID, _("The account you act in is changed in its settings."))
        above = self._text(cells, PARENT)
        if above and name_key_of(above) != (account.parent.name_key if account.parent else ""):
            self._wrong(row, PARENT, _("An import does not move accounts."))
        return account

    def _by_name(self, row: Row, cells: list[Any]) -> Account | None:
        if not row.name:
            self._stop(row, "name", _("An account needs a name."))
        parent = self._parent(row, cells)
        row.parent_id = parent.id
        self.parents[parent.id] = parent
        siblings = (one for one in self.by_name.get(name_key_of(row.name), []) if one.parent_id == row.parent_id)
        account = next(siblings, None)
        if account is not None and account.is_archived:
            self._stop(row, "name", _("%(name)s is archived; restore it first.", name=account.name))
        return account

    def _parent(self, row: Row, cells: list[Any]) -> Account:
        above = self._text(cells, PARENT)
        if not above or name_key_of(above) == self.owner.name_key:
            return self.owner
        found = [one for one in self.by_name.get(name_key_of(above), []) if one.kind.manages_accounts]
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
        namesakes = (one for one in self.by_name.get(name_key_of(name), []) if one.parent_id == parent_id)
        if any(one.id != row.id for one in namesakes):
            self._wrong(row, "name", _("There is an account named “%(name)s” here already.", name=name))
        self._refuse_twice(row, (parent_id, name_key_of(name)), "name")

    def _check_vat_id(self, row: Row, account: Account | None) -> None:
        """It has to be one of the country, as both will be."""
        known = account or self.owner
        country = row.cells["country"][1] if "country" in row.cells else known.country
        now = account.vat_id if account else ""
        number = row.cells[VAT_ID][1] if VAT_ID in row.cells else now
        try:
            kept = vat.check(number or "", country or "")
        except Refused as refusal:
            return self._wrong(row, VAT_ID if VAT_ID in row.cells else "country", refusal.sentence)
        row.cells.pop(VAT_ID, None)
        if not same(kept, now):
            row.cells[VAT_ID] = [now if account else None, kept]

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
            if new is not _WRONG and not same(new, now):
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
        """The value a cell means. Columns repeat themselves, so each different cell is read once."""
        known = self.read[column.key]
        key = cell if isinstance(cell, str) else repr(cell)
        if key not in known:
            known[key] = _understood(column, cell)
        kept, problem = known[key]
        if problem:
            self._wrong(row, column.key, problem)
        return kept

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


def _understood(column: Column, cell: Any) -> tuple[Any, str]:
    """The kept value of a cell, or what is wrong with it."""
    empty = cell in (None, "")
    if empty and column.required:
        return _WRONG, _("Please fill this in.")
    try:
        return ("" if column.definition is None else None) if empty else column.read(cell), ""
    except Refused as refusal:
        return _WRONG, refusal.sentence


class _Stop(Exception):
    """Nothing more can be said about a row."""


_WRONG = object()


def same(one: Any, other: Any) -> bool:
    """Whether two kept values are; nothing is nothing, however it is written."""
    return (None if one == "" else one) == (None if other == "" else other)


def name_key_of(name: Any) -> str:
    return " ".join(as_text(name).split()).casefold()[:120]


def accounts_by(column: Any, wanted: set[Any]) -> dict[int, Account]:
    found = select(Account).options(selectinload(Account.parent))  # mostly one and the same
    return {
        account.id: account
        for some in by_hundreds(sorted(wanted))
        for account in db.session.scalars(found.where(column.in_(some)))
    }


def by_hundreds(wanted: list[Any]) -> Iterator[list[Any]]:
    """As many at a time as one statement asks for."""
    rest = iter(wanted)
    while some := list(islice(rest, AT_ONCE)):
        yield some


# --- what has changed since the export ---------------------------------------------------------------------------


def _compare_with_history(rows: list[Row], columns: dict[str, Column]) -> None:
    """Leave alone what the file only repeats from before a change; part off what both sides have changed."""
    by_id = {row.id: row for row in rows}
    first = datetime.fromtimestamp(min((row.since for row in rows), default=0), UTC)
    for some in by_hundreds(sorted(by_id)):  # type: ignore[type-var]
        lines = select(LogEntry).where(LogEntry.subject_type == "account", LogEntry.subject_id.in_(some))
        for entry in db.session.scalars(lines.where(LogEntry.at >= first).order_by(LogEntry.at, LogEntry.id)):
            row = by_id[entry.subject_id]
            if entry.at.timestamp() >= row.since:
                _compare(row, entry, columns)
    for row in rows:  # what the file only repeats from before a change is not meant
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
            untouched = same(column.told(new), change[0])
            row.conflicts[key] = [now, _WRONG if untouched else new, *by]
        elif key in row.conflicts:
            row.conflicts[key][2:] = by

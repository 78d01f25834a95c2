"""The verbs of imports: taken, written as a whole or not at all, undone within the hour (X-3, security 3.7).

What would become of a file is looked up beforehand (`import_plan`) and kept. The plan holds the old value of each cell
as well as the new one; writing and undoing refuse where a value is no longer the one they know.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from flask_babel import gettext as _
from flask_babel import ngettext
from sqlalchemy import Select, delete, inspect, select, update

from .. import clock, sheets
from ..audit import record
from ..bulk import Change, Work, row_of, work_out
from ..errors import Refused
from ..extensions import db
from ..handover import hand_over
from ..models import Account, AccountImport, Holding, ImportKind, ImportStatus, Kind, Member, Property, User
from ..permissions import allows
from ..sheets import Sheet
from ..tenancy import hold_the_tree
from . import accounts
from .import_columns import ID, Column, columns_for
from .import_kinds import RECIPES
from .import_plan import CHANGED, CONFLICT, CREATED, ERROR, Row, accounts_by, by_hundreds, same
from .import_rows import do_each

KEPT = timedelta(hours=24)
UNDO_WITHIN = timedelta(hours=1)
LEASE = timedelta(minutes=5)
NAMED = 10  # of those that stand in the way, how many are named


# --- a file comes in ---------------------------------------------------------------------------------------------


def read(data: bytes, kind: ImportKind) -> Sheet:
    """The cells of a file. Raises `Refused` with what is wrong with it."""
    sheet, most = sheets.read(data), RECIPES[kind].most_rows
    if sheet.count > most:
        raise Refused(_("The file has more than %(count)s rows. Import it in parts.", count=f"{most:,}"))
    return sheet


def take(sheet: Sheet, file_name: str, mapping: list[str], *, locale: str, by: Member,
         kind: ImportKind = ImportKind.ACCOUNT) -> AccountImport:  # fmt: skip
    """Keep an uploaded file for a day, with what its columns are taken to be."""
    now = clock.now()
    taken = AccountImport(
        kind=kind,
        account_id=by.account_id, user_id=by.user_id, by=by.user.name[:140], file_name=file_name[:200] or "–",
        sheet=sheet.name[:120], content=sheets.pack(sheet), mapping=mapping, locale=locale, lease_until=now,
        created_at=now,
    )  # fmt: skip
    db.session.add(taken)
    db.session.flush()
    return taken


def problems_of(mapping: list[str], kind: ImportKind = ImportKind.ACCOUNT, *, by: Member) -> str:
    """What is wrong with a choice of columns, in words; empty where nothing is."""
    twice = [key for key, times in Counter(filter(None, mapping)).items() if times > 1]
    if twice:
        return _("Two columns cannot be the same thing.")
    if kind is ImportKind.ACCOUNT and ID not in mapping and "name" not in mapping:
        return _("Say which column is the name, or the Kontor ID: without one of them no row is known.")
    recipe = RECIPES[kind]
    columns = recipe.columns(by.account_id)
    missing = [columns[key].label for key in recipe.needs if key not in mapping]
    if missing:
        return _("Still missing: %(names)s. Say which column of the file it is.", names=", ".join(missing))
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


def forget_old(most: int) -> int:
    """Forget some of the files that have been kept long enough; how many it were (`jobs.py`)."""
    under_way = AccountImport.status.in_([ImportStatus.IMPORTING, ImportStatus.UNDOING])
    past = select(AccountImport.id).where(AccountImport.created_at <= clock.now() - KEPT, ~under_way).limit(most)
    return db.session.execute(
        delete(AccountImport).where(AccountImport.id.in_(past)), execution_options={"synchronize_session": False}
    ).rowcount


# --- writing it, and taking it back: in the worker, behind the person's wall --------------------------------------

Tell = Callable[[int, int], None]  # rows done, rows in all


class Stopped(Exception):
    """Another worker has it, or has done it: there is nothing left to do."""


@dataclass
class Prepared:
    """What an import writes, or takes back, worked out while others go on working (`bulk.py`)."""

    rows: list[Row]
    work: Work = field(default_factory=work_out)  # in the unit of work that has prepared it
    opening: list[tuple[Row, Account]] = field(default_factory=list)
    putting_away: list[Any] = field(default_factory=list)  # numbers of accounts
    columns: dict[str, Column] = field(default_factory=dict)
    tell: Tell = lambda _done, _total: None


def prepare(import_id: int, *, attempt: int, by: Member, tell: Tell) -> Prepared:
    """Work out what is to be written; nothing is, and nobody waits. Raises `Refused` where it cannot be."""
    import_ = _own(select(AccountImport).where(AccountImport.id == import_id), attempt, by)
    if import_.kind is not ImportKind.ACCOUNT:
        return Prepared(rows_of(import_), tell=tell)
    columns = columns_for(by.account_id)
    with db.session.no_autoflush:
        verb = _prepare_writing if import_.status is ImportStatus.IMPORTING else _prepare_taking_back
        return verb(import_, columns, by, tell)


def _prepare_writing(import_: AccountImport, columns: dict[str, Column], by: Member, tell: Tell) -> Prepared:
    rows = rows_of(import_)
    changed = {row.number: row.to_write(import_.overwrites) for row in rows if row.id is not None}
    changes = [row for row in rows if changed.get(row.number)]
    additions = [row for row in rows if row.id is None]
    steps = _Steps(len(changes) + len(additions), tell)

    _rewrite(changes, changed, columns, steps, checked=True)
    opening, made = _open(additions, columns, by, steps)
    return Prepared(rows, work_out(made), opening=opening, columns=columns)


def _prepare_taking_back(import_: AccountImport, columns: dict[str, Column], by: Member, tell: Tell) -> Prepared:
    rows = rows_of(import_)
    written = {row.number: row.to_write(import_.overwrites) for row in rows}
    backwards = {n: {key: [new, old] for key, (old, new) in cells.items()} for n, cells in written.items()}
    additions = [row for row in rows if row.opened]
    changes = [row for row in rows if not row.opened and backwards[row.number]]
    steps = _Steps(len(changes) + len(additions), tell)

    _rewrite(changes, backwards, columns, steps, checked=False)
    _put_away(additions, backwards, columns, import_, by, steps)
    return Prepared(rows, putting_away=[row.id for row in additions], columns=columns)


def write(import_id: int, prepared: Prepared, *, attempt: int, by: Member) -> None:
    """Write the whole file, or take all of it back. Raises `Refused` where something has changed since.

    Accounts that an undone import has made are archived, under another name, so that theirs are free again.
    """
    held = select(AccountImport).where(AccountImport.id == import_id).with_for_update()
    import_ = _own(held.execution_options(populate_existing=True), attempt, by)
    is_accounts = import_.kind is ImportKind.ACCOUNT
    counts = _write_accounts(prepared, by) if is_accounts else _do_each(import_, prepared, by)

    if import_.status is ImportStatus.UNDOING:
        import_.status = ImportStatus.UNDONE
        record(f"{import_.kind}.import_undone", account=by.account, file=import_.file_name)
    else:
        import_.plan = sheets.packed([vars(row) for row in prepared.rows])
        import_.status, import_.done_at = ImportStatus.DONE, clock.now()
        record(f"{import_.kind}.imported", account=by.account, file=import_.file_name, **counts)
    db.session.flush()


def _write_accounts(prepared: Prepared, by: Member) -> dict[str, int]:
    _refuse_outdated(prepared, by)
    prepared.work.write()
    for row, account in prepared.opening:
        row.id, row.opened = account.id, True
    return {"created": len(prepared.opening), "changed": len(prepared.work.changes)}


def _do_each(import_: AccountImport, prepared: Prepared, by: Member) -> dict[str, int]:
    """Few rows, each a deed of its service, with the service's own guards."""
    recipe = RECIPES[import_.kind]
    deed = recipe.undo if import_.status is ImportStatus.UNDOING else recipe.write
    return {"created": do_each(prepared.rows, deed, by=by, tell=prepared.tell)}


def _own(wanted: Select[tuple[AccountImport]], attempt: int, by: Member) -> AccountImport:
    """The import, if it is still this worker's and the person still may."""
    import_ = db.session.scalar(wanted)
    if import_ is None or not import_.is_under_way or import_.attempts != attempt:
        raise Stopped
    if not allows(by.account.kind, by.role, f"{import_.kind}.import", held=by.account.is_held):
        raise Refused(not_allowed(import_.kind))
    return import_


def not_allowed(kind: ImportKind) -> str:
    sentences = {
        ImportKind.ACCOUNT: _("You may no longer import accounts."),
        ImportKind.INVITATION: _("You may no longer invite members from a file."),
        ImportKind.HOLDING: _("You may no longer give articles from a file."),
    }
    return sentences[kind]


# --- under the lock: is everything still as it was looked at? -----------------------------------------------------


def _refuse_outdated(prepared: Prepared, by: Member) -> None:
    now = columns_for(by.account_id)
    if [_facts_of(column.definition) for column in now.values()] != [
        _facts_of(column.definition) for column in prepared.columns.values()
    ]:
        raise Refused(_("The columns of your accounts have changed meanwhile; check the file again."))
    _refuse_other_parents(prepared.opening)
    changed_since: list[str] = []
    for some in by_hundreds(prepared.work.changes):
        changed_since += _changed_since(some, prepared.columns)
    in_use = {number for some in by_hundreds(prepared.putting_away) for number in _in_use(some)}
    names = {change.row.id: change.row.name for change in prepared.work.changes}
    _refuse_changed(changed_since + [names[number] for number in in_use])


def _facts_of(definition: Property | None) -> dict[str, Any]:
    return {} if definition is None else {c.key: getattr(definition, c.key) for c in inspect(Property).column_attrs}


def _refuse_other_parents(opening: list[tuple[Row, Account]]) -> None:
    """The tree is held from here on; what stands above a new account is read once more."""
    if not opening:
        return
    hold_the_tree(shared=True)
    known = {account.parent.id: account.parent for _row, account in opening}
    for some in by_hundreds([*known]):
        now = {one.id: one for one in db.session.scalars(select(Account).where(Account.id.in_(some)))}
        moved = [known[number].name for number in some if number not in now or now[number].path != known[number].path]
        _refuse_changed(moved)
        for parent in now.values():
            accounts.accept_parent(parent)


def _changed_since(changes: list[Change], columns: dict[str, Column]) -> list[str]:
    """Cells that are no longer as they were; what others have put beside them into the same JSON stays."""
    names = sorted({"country", "vat_id", "archived_at", *(name for change in changes for name in change.old)})
    held = select(Account.id, *(getattr(Account, name) for name in names))
    held = held.where(Account.id.in_([change.row.id for change in changes])).with_for_update(of=Account)
    now = {number: dict(zip(names, facts, strict=True)) for number, *facts in db.session.execute(held)}
    found = []
    for change in changes:
        found += _differing_now(change, now.get(change.row.id), columns)
    return found


def _differing_now(change: Change, now: dict[str, Any] | None, columns: dict[str, Column]) -> list[str]:
    if now is None:
        return [change.row.name]
    as_seen = {name: getattr(change.row, name) for name in ("country", "vat_id", "archived_at")} | change.old
    wrong = [name for name, old in as_seen.items() if name != "properties" and not same(now[name], old)]
    if "properties" in change.new:
        old, new, current = (
            values or {} for values in (change.old["properties"], change.new["properties"], now["properties"])
        )
        keys = [key for key in {*old, *new} if old.get(key) != new.get(key)]
        wrong += [f"prop_{key}" for key in keys if current.get(key) != old.get(key)]
        merged = current | {key: new.get(key) for key in keys}
        change.new["properties"] = {key: value for key, value in merged.items() if value is not None}
    return [f"{change.row.name}: {columns[name].label if name in columns else name}" for name in wrong]


# --- beforehand: what becomes of each account ---------------------------------------------------------------------


def _rewrite(rows: list[Row], cells: dict[int, dict[str, list[Any]]], columns: dict[str, Column], steps: _Steps, *,
             checked: bool) -> None:  # fmt: skip
    """Put the new values in, where the old ones still stand."""
    changed_since: list[str] = []
    for some in by_hundreds(rows):
        known = accounts_by(Account.id, {row.id for row in some})
        for row in some:
            account = known.get(row.id)
            changed_since += _differing(row, account, cells[row.number], columns)
            if account is not None and not changed_since:
                _put(account, cells[row.number], columns, checked=checked)
        steps.done_with(len(some))
    _refuse_changed(changed_since)


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
    """Without a check for what stood there before, which needs no leave to stand there again."""
    facts, kept = _parted(cells, columns, checked=checked)
    for key, new in facts.items():
        setattr(account, key, new)
    if "name" in facts:
        accounts.accept_name(account)
    if checked and facts:
        accounts.tidy(account)
    if kept:
        account.properties = _filled((account.properties or {}) | kept)


def _parted(
    cells: dict[str, list[Any]], columns: dict[str, Column], *, checked: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is put into an account: facts of its own, and values of properties."""
    facts, kept = {}, {}
    for key, (_old, new) in cells.items():
        column = columns[key]
        if column.definition is None:
            facts[key] = new
        else:
            kept[column.kept_under] = column.again(new) if checked else new
    return facts, kept


def _filled(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _open(
    rows: list[Row], columns: dict[str, Column], by: Member, steps: _Steps
) -> tuple[list[tuple[Row, Account]], list[Any]]:
    """The new accounts, and all the rows that come to be with them."""
    usual = {name: getattr(by.account, name) for name in ("country", "language", "time_zone", "currency")}
    usual |= {"kind": Kind.CUSTOMER, "created_at": clock.now()}
    opening: list[tuple[Row, Account]] = []
    made: list[Any] = []
    for some in by_hundreds(rows):
        parents = accounts_by(Account.id, {row.parent_id for row in some})
        new = [(row, _new_account(row, parents.get(row.parent_id), usual, columns)) for row in some]
        made += accounts.ready_to_open([account for _row, account in new], by=by)
        opening += new
        steps.done_with(len(new))
    return opening, made


def _new_account(row: Row, parent: Account | None, usual: dict[str, Any], columns: dict[str, Column]) -> Account:
    """A new account as the form would have made it."""
    if not row.cells.keys() <= columns.keys():
        raise Refused(_("The columns of your accounts have changed meanwhile; check the file again."))
    if parent is None:  # moved out of sight
        _refuse_changed([row.name])
    facts, kept = _parted(row.cells, columns, checked=True)
    return row_of(Account, **Account.with_keys({**usual, **facts, "parent": parent, "properties": _filled(kept)}))


def _put_away(rows: list[Row], cells: dict[int, dict[str, list[Any]]], columns: dict[str, Column],
              import_: AccountImport, by: Member, steps: _Steps) -> None:  # fmt: skip
    """Archive the accounts the import has made, if nobody has touched them since."""
    changed_since: list[str] = []
    for some in by_hundreds(rows):
        ids = [row.id for row in some]
        known, in_use = accounts_by(Account.id, {*ids}), _in_use(ids)
        for row in some:
            account = known.get(row.id)
            changed_since += _differing(row, account, cells[row.number], columns)
            changed_since += [account.name] if account is not None and row.id in in_use else []
            if account is not None and not changed_since:
                ending = _(" (import %(number)s, undone)", number=import_.id)
                account.name = account.name[: 120 - len(ending)] + ending
                if not account.is_archived:
                    accounts.archive(account, by=by)
        steps.done_with(len(some))
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

    def done_with(self, count: int) -> None:
        self.done += count
        self.tell(self.done, self.total)

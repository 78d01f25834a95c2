"""Files whose rows are each one deed of a service: read cell by cell, looked at, then done one after the other (X-3).

What is refused is said by the service itself; the field its sentence belongs to leads to the cell.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from ..errors import Refused
from ..models import Account, Member
from ..sheets import Sheet
from .import_columns import ID_LABEL, Column, id_reader, in_all_languages, line
from .import_plan import Row, accounts_by, name_key_of

MOST = 500  # rows: they are written one by one, while on SQLite everybody else waits
ACCOUNT = "account"
Values = dict[str, Any]  # column → what its cell means


class Rows:
    """The rows of a file, and what is wrong with them."""

    def __init__(self, sheet: Sheet, mapping: list[str], columns: dict[str, Column]) -> None:
        self.sheet, self.columns = sheet, columns
        self.place = {key: place for place, key in enumerate(mapping) if key in columns}
        self.seen: dict[Any, int] = {}  # what a row is about → the row in which it stood first

    def look(self, examine: Callable[[Row, Values], None], *, left: type[Refused] | tuple[()] = ()) -> list[Row]:
        """What becomes of each row, as `examine` says: of a refusal of type `left`, that it is left alone."""
        found = []
        for number, cells in self.sheet.rows:
            row = Row(number)
            values = self._values(row, cells)
            try:
                if not row.errors:
                    examine(row, values)
            except left as refusal:
                row.remarks.append(self.told(row, refusal))
            except Refused as refusal:
                row.errors.append(self.told(row, refusal))
            found.append(row)
        return found

    def texts(self, key: str) -> list[str]:
        """All that stands in a column."""
        return [line(cells[self.place[key]]) for _number, cells in self.sheet.rows] if key in self.place else []

    def told(self, row: Row, refusal: Refused) -> list[str]:
        """Where it is, and what it says."""
        place = self.place.get(refusal.field)
        where = _("Row %(row)s", row=row.number) if place is None else self.sheet.address(row.number, place)
        return [where, refusal.sentence]

    def refuse_twice(self, row: Row, what: Any, *, field: str) -> None:
        first = self.seen.setdefault(what, row.number)
        if first != row.number:
            raise Refused(_("The same stands in row %(row)s already.", row=first), field=field)

    def _values(self, row: Row, cells: list[Any]) -> Values:
        values: Values = {}
        for key, column in self.columns.items():
            cell = cells[self.place[key]] if key in self.place else None
            try:
                values[key] = _value(column, cell)
            except Refused as refusal:
                row.errors.append(self.told(row, Refused(refusal.sentence, field=key)))
        first = next(iter(self.place.values()))
        row.name = line(cells[first])[:120]
        return values


def _value(column: Column, cell: Any) -> Any:
    if cell not in (None, ""):
        return column.read(cell)
    if column.required:
        raise Refused(_("Please fill this in."))
    return ""


# --- the account of a row ----------------------------------------------------------------------------------------


def account_column(*, required: bool) -> Column:
    """An account by its name, if only one has it, or by its Kontor ID."""
    others = ("Company", "Firma", "Customer", "Kunde", "Name", ID_LABEL, "Kontor-ID")
    names = (*in_all_languages(_l("Account")), *others)
    return Column(ACCOUNT, names, _("Account"), read=line, required=required)


class Accounts:
    """The accounts a file names, of those that `owner` sees: asked for at once."""

    def __init__(self, texts: list[str], owner: Account) -> None:
        self.owner = owner
        read = id_reader(owner.id)
        self.ids = {text: known[0] for text in {*texts} if (known := read(text))}
        self.by_id = accounts_by(Account.id, {*self.ids.values()})
        self.by_name: dict[str, list[Account]] = {}
        names = {name_key_of(text) for text in texts if text not in self.ids} - {""}
        for account in accounts_by(Account.name_key, names).values():
            self.by_name.setdefault(account.name_key, []).append(account)

    def find(self, text: str) -> Account:
        """The account of that name or ID; without one, the owner. Raises `Refused` for none, or several."""
        if not text:
            return self.owner
        known = [self.by_id.get(self.ids[text])] if text in self.ids else self.by_name.get(name_key_of(text), [])
        found = [account for account in known if account is not None]
        if not found:
            raise Refused(_("There is no account “%(name)s” here.", name=text[:40]), field=ACCOUNT)
        if len(found) > 1:
            raise Refused(
                _("There are several accounts named “%(name)s”; use the Kontor ID of an export.", name=text[:40]),
                field=ACCOUNT,
            )
        return found[0]


# --- doing it ----------------------------------------------------------------------------------------------------

Deed = Callable[[Row, Member], bool]  # whether anything was done


def do_each(rows: list[Row], deed: Deed, *, by: Member, tell: Callable[[int, int], None]) -> int:
    """All of it, or nothing: `Refused` names the row that stands in the way. How many were done."""
    count = 0
    for done, row in enumerate(rows):
        if done % 20 == 0:
            tell(done, len(rows))
        try:
            count += deed(row, by)
        except Refused as refusal:
            raise Refused(
                _("Row %(row)s, %(name)s: %(sentence)s", row=row.number, name=row.name, sentence=refusal.sentence)
            ) from refusal
    return count

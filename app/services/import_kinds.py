"""The kinds of import there are: what columns each has, how its rows are looked at, done and undone (X-3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..models import ImportKind, Member
from ..sheet_reader import MOST_ROWS
from ..sheets import Sheet
from . import import_holdings, import_invitations, import_plan, import_rows
from .import_columns import Column, columns_for
from .import_plan import Row
from .import_rows import Deed


@dataclass(frozen=True)
class Recipe:
    """How files of one kind are imported."""

    columns: Callable[[int], dict[str, Column]]  # by the account one acts in
    look: Callable[..., list[Row]]
    needs: tuple[str, ...] = ()  # the columns without which no row says what it is about
    most_rows: int = import_rows.MOST
    clears: bool = False  # whether an empty cell can be asked to empty a value
    write: Deed | None = None  # without it, thousands of rows are worked out beforehand (`imports.prepare`)
    undo: Deed | None = None


def _look_at_accounts(sheet: Sheet, mapping: list[str], *, by: Member, clears: bool = False) -> list[Row]:
    return import_plan.look(sheet, mapping, owner=by.account, clears=clears)


RECIPES = {
    ImportKind.ACCOUNT: Recipe(columns_for, _look_at_accounts, most_rows=MOST_ROWS, clears=True),
    ImportKind.INVITATION: Recipe(
        import_invitations.columns,
        import_invitations.look,
        (import_invitations.EMAIL, import_invitations.ROLE),
        write=import_invitations.write,
        undo=import_invitations.undo,
    ),
    ImportKind.HOLDING: Recipe(
        import_holdings.columns,
        import_holdings.look,
        (import_rows.ACCOUNT, import_holdings.ARTICLE, import_holdings.QUANTITY),
        write=import_holdings.write,
        undo=import_holdings.undo,
    ),
}

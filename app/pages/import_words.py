"""What the pages of an import say, by what the rows of the file are to become."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from flask_babel import lazy_gettext as _l

from ..models import ImportKind
from ..services.import_plan import CHANGED, CREATED, SAME


@dataclass(frozen=True)
class Words:
    title: Any
    lead: Any
    list_view: str  # from where one comes
    list_title: Any
    steps: tuple[Any, ...]
    remark: Any  # beneath the steps
    about: Any  # head of the column that says what a row is about
    outcome: Any  # head of the column that says what becomes of it
    now: Any  # what has been compared; at which %(moment)s
    question: Any  # before it is undone
    undone: Any
    nothing: Any  # where there is nothing to import
    all_rows: Any = _l("All rows")
    step_of_managers: Any = ""  # a step for those who have accounts beneath them
    starts_with_export: bool = False
    apart: frozenset[str] = frozenset()  # states that stand on tabs of their own only
    always: frozenset[str] = frozenset()  # states whose tab is there even when it is empty
    states: dict[str, Any] = field(default_factory=dict)  # where they are not called what they usually are
    leads_to: str = "parent_id"  # which number of a row is the account it leads to


WORDS = {
    ImportKind.ACCOUNT: Words(
        title=_l("Import accounts"),
        lead=_l(
            "Change many accounts at once, or add new ones, from an Excel or CSV file. Nothing is written before you "
            "have seen what would change."
        ),
        list_view="AccountsView.list",
        list_title=_l("Accounts"),
        steps=(
            _l(
                "Export your accounts, and edit the file in your spreadsheet program. Leave the column “Kontor ID” as "
                "it is: it says which account a row is."
            ),
            _l(
                "A file from elsewhere will do as well. Its rows are matched by name, and you say which column is what."
            ),
            _l("Upload it. You see every cell that would change, the old value and the new one."),
            _l("Import it: all of it or nothing. For an hour you can undo it."),
        ),
        remark=_l(
            "An empty cell leaves the value as it is, unless you say otherwise. Rows that are missing in the file are "
            "left alone; nothing is deleted. Formulas count with their value."
        ),
        about=_l("Account"),
        outcome=_l("What changes"),
        now=_l(
            "Nothing has been written yet. This is what would change, compared with the accounts at %(moment)s."
        ),
        question=_l("Undo this import? Changed values become what they were; new accounts are archived."),
        undone=_l(
            "The import has been undone: every value is what it was before, and the new accounts are in the archive."
        ),
        nothing=_l("The file says what Kontor says already."),
        all_rows=_l("Everything that differs"),
        starts_with_export=True,
        apart=frozenset({SAME}),
        always=frozenset({CHANGED}),
        leads_to="id",
    ),
    ImportKind.INVITATION: Words(
        title=_l("Invite members from a file"),
        lead=_l("Invite many people at once, from an Excel or CSV file. Nothing is sent before you have seen to whom."),
        list_view="InvitationsView.list",
        list_title=_l("Invitations"),
        steps=(
            _l(
                "Write a file with the columns “E-mail” and “Role”: Administrator, Manager, Sales, Support, Finance, "
                "Viewer."
            ),
            _l("Upload it. You see who would be invited, who is a member already, and what is wrong."),
            _l("Import it: all invitations are sent, or none. For an hour you can withdraw those still pending."),
        ),
        step_of_managers=_l(
            "To invite people into accounts beneath yours, add a column “Account” with the account’s name or Kontor ID."
        ),
        remark=_l("Members and people with a pending invitation are left alone. Nobody gets a role above your own."),
        about=_l("E-mail"),
        outcome=_l("What happens"),
        now=_l("Nothing has been sent yet. This is what would happen, as of %(moment)s."),
        question=_l("Undo this import? Invitations that are still pending are withdrawn; whoever has accepted stays."),
        undone=_l("The import has been undone: what was still pending is withdrawn. Whoever had accepted has stayed."),
        nothing=_l("Everybody in the file is a member or has been invited already."),
        states={CREATED: _l("To be invited"), SAME: _l("Left alone")},
    ),
    ImportKind.HOLDING: Words(
        title=_l("Give articles from a file"),
        lead=_l("Give articles to many accounts at once, from an Excel or CSV file. First you see what each gets."),
        list_view="HoldingsView.list",
        list_title=_l("Acquired articles"),
        steps=(
            _l("Write a file with the columns “Account” (its name or Kontor ID), “Article number” and “Quantity”."),
            _l("Upload it. You see what each account would get, and what is wrong."),
            _l("Import it: everything is given, or nothing. What the articles grant becomes licenses at once."),
        ),
        remark=_l(
            "Everything counts from today. For an hour you can take all of it back, as long as none of the licenses "
            "has been used or changed."
        ),
        about=_l("Account"),
        outcome=_l("What happens"),
        now=_l("Nothing has been given yet. This is what would happen, as of %(moment)s."),
        question=_l("Undo this import? What it has given is taken back, with its licenses."),
        undone=_l("The import has been undone: what it had given has been taken back, with its licenses."),
        nothing=_l("There is nothing to give."),
        states={CREATED: _l("To be given")},
    ),
}

"""A file of people to invite: address, role and, for accounts beneath, the account (X-3, M-7)."""

from __future__ import annotations

from functools import partial

from flask_babel import force_locale
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from .. import clock
from ..extensions import db
from ..models import Account, Invitation, InvitationStatus, Member, Role
from ..sheets import Sheet
from . import invitations
from .import_columns import Column, in_all_languages, line, one_of
from .import_plan import Row
from .import_rows import ACCOUNT, Accounts, Rows, Values, account_column

EMAIL, ROLE = "email", "role"


def columns(account_id: int) -> dict[str, Column]:
    """Everything a column can be; who manages no accounts invites into their own alone."""
    names = ("Email", "Mail", *in_all_languages(_l("E-mail")))
    email = Column(EMAIL, names, _("E-mail"), read=line, required=True)
    found = [email, one_of(ROLE, _l("Role"), _roles, required=True)]
    if db.session.get_one(Account, account_id).kind.manages_accounts:
        found.append(account_column(required=False))
    return {column.key: column for column in found}


def _roles(language: str) -> dict[str, str]:
    with force_locale(language):
        return {role.value: str(role.label) for role in Role}


def look(sheet: Sheet, mapping: list[str], *, by: Member) -> list[Row]:
    """Who would be invited, who is left alone, and what is wrong. Nothing is written."""
    rows = Rows(sheet, mapping, columns(by.account_id))
    accounts, people = Accounts(rows.texts(ACCOUNT), by.account), invitations.known(rows.texts(EMAIL))
    return rows.look(partial(_examine, rows, accounts, people, by), left=invitations.AlreadyThere)


def _examine(
    rows: Rows, accounts: Accounts, people: invitations.Known, by: Member, row: Row, values: Values
) -> None:
    account, role = accounts.find(values.get(ACCOUNT, "")), Role(values[ROLE])
    row.name = invitations.examine(values[EMAIL], role=role, account=account, by=by, known=people)
    rows.refuse_twice(row, (account.id, row.name), field=EMAIL)
    row.parent_id, row.cells = account.id, {ROLE: [None, role.value]}
    if account.id != by.account_id:
        row.cells[ACCOUNT] = [None, account.name]


def write(row: Row, by: Member) -> bool:
    """Invite whom the row names, unless they were to be left alone."""
    if row.remarks:
        return False
    account = db.session.get_one(Account, row.parent_id)
    role = Role(row.cells[ROLE][1])
    row.id, row.opened = invitations.invite(row.name, role=role, account=account, by=by).id, True
    return True


def undo(row: Row, by: Member) -> bool:
    """Withdraw the invitation if it is still pending; whoever has accepted stays."""
    invitation = db.session.get(Invitation, row.id) if row.opened else None
    if invitation is None or invitation.status_at(clock.now()) is not InvitationStatus.PENDING:
        return False
    invitations.withdraw(invitation, by=by)
    return True

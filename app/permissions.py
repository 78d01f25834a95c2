"""Who may do what: one table, `noun.verb` × role, for accounts that manage others and for customers.

The same table answers the screens, the API and the page *Roles*. A role counts in the acting account alone;
what it reaches there is the wall's affair (`tenancy.py`), and inside data is never reached from above (M-5).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from flask_babel import lazy_gettext as _l

from .models import Kind, Role

A, M, S, U, F, V = Role.ADMINISTRATOR, Role.MANAGER, Role.SALES, Role.SUPPORT, Role.FINANCE, Role.VIEWER
EVERYBODY = {A, M, S, U, F, V}

# Where a permission has a meaning at all: in every account, or only in those that manage others.
ANYWHERE = frozenset(Kind)
MANAGING = frozenset({Kind.OPERATOR, Kind.PARTNER})


class Permission(NamedTuple):
    label: Any
    kinds: frozenset[Kind]
    roles: set[Role]


TABLE: dict[str, Permission] = {
    # fmt: off
    "dashboard.show":   Permission(_l("See the dashboard"), ANYWHERE, EVERYBODY),
    "account.list":     Permission(_l("See the accounts below"), MANAGING, EVERYBODY),
    "account.show":     Permission(_l("Open an account's details"), MANAGING, EVERYBODY),
    "account.add":      Permission(_l("Add accounts"), MANAGING, {A, M, S}),
    "account.edit":     Permission(_l("Edit accounts"), MANAGING, {A, M, S}),
    "account.archive":  Permission(_l("Archive and restore accounts"), MANAGING, {A, M}),
    "account.promote":  Permission(_l("Switch partner management on and off"), MANAGING, {A}),
    "account.export":   Permission(_l("Export accounts to Excel"), MANAGING, {A, M, S, F}),
    "account.import":   Permission(_l("Import accounts from Excel"), MANAGING, {A, M}),
    "property.list":    Permission(_l("See the properties of accounts"), MANAGING, {A, M}),
    "property.add":     Permission(_l("Define properties"), MANAGING, {A, M}),
    "property.edit":    Permission(_l("Change and order properties"), MANAGING, {A, M}),
    "property.archive": Permission(_l("Archive and restore properties"), MANAGING, {A, M}),
    "member.list":      Permission(_l("See members"), ANYWHERE, EVERYBODY),
    "member.export":    Permission(_l("Export members to Excel"), ANYWHERE, {A, M}),
    "member.edit":      Permission(_l("Change members' roles"), ANYWHERE, {A}),
    "member.remove":    Permission(_l("Remove members"), ANYWHERE, {A}),
    "member.leave":     Permission(_l("Leave the account"), ANYWHERE, EVERYBODY),
    "invitation.list":  Permission(_l("See invitations"), ANYWHERE, {A, M}),
    "invitation.add":   Permission(_l("Invite members"), ANYWHERE, {A, M}),
    "invitation.resend": Permission(_l("Send invitations again"), ANYWHERE, {A, M}),
    "invitation.withdraw": Permission(_l("Withdraw invitations"), ANYWHERE, {A, M}),
    "invitation.export": Permission(_l("Export invitations to Excel"), ANYWHERE, {A, M}),
    "history.list":     Permission(_l("Read the history"), ANYWHERE, {A, M, F}),
    "history.show":     Permission(_l("Read the details of an entry"), ANYWHERE, {A, M, F}),
    "history.export":   Permission(_l("Export the history to Excel"), ANYWHERE, {A, M}),
    "message.list":     Permission(_l("See the outbox"), ANYWHERE, {A, M}),
    "message.show":     Permission(_l("Read messages"), ANYWHERE, {A, M}),
    "message.export":   Permission(_l("Export the outbox to Excel"), ANYWHERE, {A, M}),
    "message.resend":   Permission(_l("Send messages again"), ANYWHERE, {A, M}),
    "export.list":      Permission(_l("Fetch one's own exports"), ANYWHERE, {A, M, S, F}),
    "role.list":        Permission(_l("See what roles may do"), ANYWHERE, EVERYBODY),
    "settings.edit":    Permission(_l("Change the account's settings"), ANYWHERE, {A}),
    # fmt: on
}

NOUNS = {
    "dashboard": _l("Dashboard"),
    "account": _l("Accounts"),
    "property": _l("Properties"),
    "member": _l("Members"),
    "invitation": _l("Invitations"),
    "history": _l("History"),
    "message": _l("Outbox"),
    "export": _l("My exports"),
    "role": _l("Roles"),
    "settings": _l("Settings"),
}


def allows(kind: Kind, role: Role, permission: str) -> bool:
    """Whether that role may do it in an account of that kind. What is not in the table nobody may do."""
    rule = TABLE.get(permission)
    return rule is not None and kind in rule.kinds and role in rule.roles


def may_grant(giver: Role, given: Role) -> bool:
    """Nobody hands out a role that could do something their own could not (M-7)."""
    return all(giver in rule.roles for rule in TABLE.values() if given in rule.roles)


def by_noun(kind: Kind) -> Iterator[tuple[Any, list[Permission]]]:
    """The table as people read it on the page *Roles*: what has a meaning in such an account, by noun."""
    for noun, label in NOUNS.items():
        rules = [rule for name, rule in TABLE.items() if name.split(".")[0] == noun and kind in rule.kinds]
        if rules:
            yield label, rules

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

# Where a permission has a meaning at all: in every account, in those that manage others, or in those of one kind.
ANYWHERE = frozenset(Kind)
MANAGING = frozenset({Kind.OPERATOR, Kind.PARTNER})
OPERATOR = frozenset({Kind.OPERATOR})
CUSTOMER = frozenset({Kind.CUSTOMER})


class Permission(NamedTuple):
    label: Any
    kinds: frozenset[Kind]
    roles: set[Role]


TABLE: dict[str, Permission] = {
    # fmt: off
    "dashboard.show":   Permission(_l("See the dashboard"), MANAGING, EVERYBODY),
    "portal.show":      Permission(_l("See the customer portal"), CUSTOMER, EVERYBODY),
    "account.list":     Permission(_l("See the accounts below"), MANAGING, EVERYBODY),
    "account.show":     Permission(_l("Open an account's details"), MANAGING, EVERYBODY),
    "account.add":      Permission(_l("Add accounts"), MANAGING, {A, M, S}),
    "account.edit":     Permission(_l("Edit accounts"), MANAGING, {A, M, S}),
    "account.archive":  Permission(_l("Archive and restore accounts"), MANAGING, {A, M}),
    "account.promote":  Permission(_l("Switch partner management on and off"), MANAGING, {A}),
    "account.hold":     Permission(_l("Put accounts on hold and lift holds"), MANAGING, {A, M}),
    "account.move":     Permission(_l("Move accounts to another place"), MANAGING, {A}),
    "account.export":   Permission(_l("Export accounts to Excel"), MANAGING, {A, M, S, F}),
    "account.import":   Permission(_l("Import accounts from Excel"), MANAGING, {A, M}),
    "contact.see":      Permission(_l("See contacts unmasked"), ANYWHERE, {A, M, S, U}),
    "contact.reveal":   Permission(_l("Reveal the contacts of one account, for the record"), MANAGING, EVERYBODY),
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
    "invitation.import": Permission(_l("Invite members from an Excel file"), ANYWHERE, {A, M}),
    "relationship.list": Permission(_l("See clients linked by consent"), MANAGING, EVERYBODY),
    "relationship.add": Permission(_l("Link clients by their consent"), MANAGING, {A, M}),
    "relationship.end": Permission(_l("End relationships with clients"), MANAGING, {A, M}),
    "relationship.export": Permission(_l("Export relationships to Excel"), MANAGING, {A, M, S, F}),
    "manager.list":     Permission(_l("See who manages the account"), ANYWHERE, EVERYBODY),
    "manager.end":      Permission(_l("End what others may do here"), ANYWHERE, {A, M}),
    "manager.export":   Permission(_l("Export who manages the account to Excel"), ANYWHERE, {A, M}),
    "deadline.list":    Permission(_l("See deadlines"), ANYWHERE, EVERYBODY),
    "deadline.subscribe": Permission(_l("Have deadlines in one's own calendar"), ANYWHERE, EVERYBODY),
    "license.list":     Permission(_l("See licenses"), ANYWHERE, EVERYBODY),
    "license.show":     Permission(_l("Open a license's details"), ANYWHERE, EVERYBODY),
    "license.use":      Permission(_l("Take licenses into use and release them"), ANYWHERE, {A, M}),
    "license.surrender": Permission(_l("Surrender licenses"), ANYWHERE, {A, M}),
    "license.suspend":  Permission(_l("Suspend and reinstate licenses"), MANAGING, {A, M}),
    "license.revoke":   Permission(_l("Revoke licenses"), OPERATOR, {A, M}),
    "license.export":   Permission(_l("Export licenses to Excel"), ANYWHERE, {A, M, S, F}),
    "license_movement.list": Permission(_l("See the use of licenses"), ANYWHERE, EVERYBODY),
    "license_movement.export": Permission(_l("Export the use of licenses to Excel"), ANYWHERE, {A, M, S, F}),
    "holding.list":     Permission(_l("See acquired articles"), ANYWHERE, EVERYBODY),
    "holding.add":      Permission(_l("Give articles to accounts"), OPERATOR, {A, M}),
    "holding.export":   Permission(_l("Export acquired articles to Excel"), ANYWHERE, {A, M, S, F}),
    "holding.import":   Permission(_l("Give articles from an Excel file"), OPERATOR, {A, M}),
    "article.list":     Permission(_l("See the articles on offer"), MANAGING, EVERYBODY),
    "article.show":     Permission(_l("Open an article's details"), MANAGING, EVERYBODY),
    "article.add":      Permission(_l("Add articles"), OPERATOR, {A, M}),
    "article.edit":     Permission(_l("Edit articles and what they grant"), OPERATOR, {A, M}),
    "article.price":    Permission(_l("Set prices of articles"), OPERATOR, {A, M}),
    "article.archive":  Permission(_l("Archive and restore articles"), OPERATOR, {A, M}),
    "article.export":   Permission(_l("Export articles to Excel"), MANAGING, {A, M, S, F}),
    "license_type.list": Permission(_l("See license types"), OPERATOR, EVERYBODY),
    "license_type.add": Permission(_l("Add license types"), OPERATOR, {A, M}),
    "license_type.edit": Permission(_l("Edit license types"), OPERATOR, {A, M}),
    "license_type.archive": Permission(_l("Archive and restore license types"), OPERATOR, {A, M}),
    "license_type.export": Permission(_l("Export license types to Excel"), OPERATOR, {A, M, S, F}),
    "product.list":     Permission(_l("See products"), MANAGING, EVERYBODY),
    "product.add":      Permission(_l("Add products"), OPERATOR, {A, M}),
    "product.edit":     Permission(_l("Edit products"), OPERATOR, {A, M}),
    "product.archive":  Permission(_l("Archive and restore products"), OPERATOR, {A, M}),
    "product.export":   Permission(_l("Export products to Excel"), MANAGING, {A, M, S, F}),
    "plan.show":        Permission(_l("Open a plan's details"), MANAGING, EVERYBODY),
    "plan.list":        Permission(_l("See plans"), MANAGING, EVERYBODY),
    "plan.choose":      Permission(_l("Choose the plan of accounts"), MANAGING, {A, M}),
    "plan.add":         Permission(_l("Add plans"), OPERATOR, {A, M}),
    "plan.edit":        Permission(_l("Edit plans"), OPERATOR, {A, M}),
    "plan.archive":     Permission(_l("Archive and restore plans"), OPERATOR, {A, M}),
    "plan.export":      Permission(_l("Export plans to Excel"), MANAGING, {A, M, S, F}),
    "plan.price":       Permission(_l("Set prices of plans"), OPERATOR, {A, M}),
    "subscription.list": Permission(_l("See subscriptions"), ANYWHERE, EVERYBODY),
    "subscription.show": Permission(_l("Open a subscription's details"), ANYWHERE, EVERYBODY),
    "subscription.add": Permission(_l("Add subscriptions"), MANAGING, {A, M, S}),
    "subscription.edit": Permission(_l("Edit subscriptions"), ANYWHERE, {A, M, S}),
    "subscription.renew": Permission(_l("Renew subscriptions"), ANYWHERE, {A, M, S}),
    "subscription.decide": Permission(_l("Decide about the end of a free month"), ANYWHERE, {A, M}),
    "subscription.cancel": Permission(_l("Cancel subscriptions"), ANYWHERE, {A, M}),
    "subscription.suspend": Permission(_l("Suspend and reinstate subscriptions"), MANAGING, {A, M}),
    "subscription.ask_upfront": Permission(_l("Request to pay upfront"), ANYWHERE, {A, M, S}),
    "subscription.add_group": Permission(_l("Add resource groups"), ANYWHERE, {A, M, S}),
    "subscription.report_usage": Permission(_l("Report the usage of subscriptions"), ANYWHERE, {A, M, U}),
    "subscription.export": Permission(_l("Export subscriptions to Excel"), ANYWHERE, {A, M, S, F}),
    "usage_report.list": Permission(_l("See the reported usage of subscriptions"), ANYWHERE, EVERYBODY),
    "usage_report.export": Permission(_l("Export the reported usage to Excel"), ANYWHERE, {A, M, S, F}),
    "resource_group.list": Permission(_l("See resource groups"), ANYWHERE, EVERYBODY),
    "resource_group.edit": Permission(_l("Edit resource groups"), ANYWHERE, {A, M, S}),
    "resource_group.archive": Permission(_l("Archive and restore resource groups"), ANYWHERE, {A, M}),
    "resource_group.export": Permission(_l("Export resource groups to Excel"), ANYWHERE, {A, M, S, F}),
    "upfront_request.list": Permission(_l("See upfront requests"), ANYWHERE, EVERYBODY),
    "upfront_request.show": Permission(_l("Open an upfront request's details"), ANYWHERE, EVERYBODY),
    "upfront_request.withdraw": Permission(_l("Withdraw upfront requests"), ANYWHERE, {A, M, S}),
    "upfront_request.call": Permission(_l("Note calls about upfront requests"), OPERATOR, {A, M, S, U}),
    "upfront_request.pay": Permission(_l("Note upfront payments and send activation links"), OPERATOR, {A, M, F}),
    "upfront_request.export": Permission(_l("Export upfront requests to Excel"), ANYWHERE, {A, M, S, F}),
    "order.list":       Permission(_l("See orders"), ANYWHERE, EVERYBODY),
    "order.show":       Permission(_l("Open an order's details"), ANYWHERE, EVERYBODY),
    "order.add":        Permission(_l("Write and place orders"), MANAGING, {A, M, S}),
    "order.cancel":     Permission(_l("Cancel orders"), MANAGING, {A, M, S}),
    "order.export":     Permission(_l("Export orders to Excel"), ANYWHERE, {A, M, S, F}),
    "fulfilment.list":  Permission(_l("See what is to be fulfilled"), OPERATOR, EVERYBODY),
    "fulfilment.fulfil": Permission(_l("Fulfil orders"), OPERATOR, {A, M, U}),
    "fulfilment.export": Permission(_l("Export fulfilment tasks to Excel"), OPERATOR, {A, M, S, F}),
    "history.list":     Permission(_l("Read the history"), ANYWHERE, {A, M, F}),
    "history.show":     Permission(_l("Read the details of an entry"), ANYWHERE, {A, M, F}),
    "history.export":   Permission(_l("Export the history to Excel"), ANYWHERE, {A, M}),
    "message.list":     Permission(_l("See the outbox"), ANYWHERE, {A, M}),
    "message.show":     Permission(_l("Read messages"), ANYWHERE, {A, M}),
    "message.export":   Permission(_l("Export the outbox to Excel"), ANYWHERE, {A, M}),
    "message.resend":   Permission(_l("Send messages again"), ANYWHERE, {A, M}),
    "export.list":      Permission(_l("Fetch one's own exports"), ANYWHERE, {A, M, S, F}),
    "api.show":         Permission(_l("Read about the API"), ANYWHERE, EVERYBODY),
    "api_key.list":     Permission(_l("See API keys"), ANYWHERE, {A}),
    "api_key.add":      Permission(_l("Create API keys"), ANYWHERE, {A}),
    "api_key.revoke":   Permission(_l("Revoke API keys"), ANYWHERE, {A}),
    "api_key.export":   Permission(_l("Export API keys, without their secrets, to Excel"), ANYWHERE, {A}),
    "webhook.list":     Permission(_l("See webhooks and what they were told"), MANAGING, {A}),
    "webhook.show":     Permission(_l("Open a webhook's details"), MANAGING, {A}),
    "webhook.add":      Permission(_l("Add webhooks"), MANAGING, {A}),
    "webhook.edit":     Permission(_l("Change webhooks, switch them on and off"), MANAGING, {A}),
    "webhook.remove":   Permission(_l("Remove webhooks"), MANAGING, {A}),
    "webhook.send":     Permission(_l("Send test events, and deliveries again"), MANAGING, {A}),
    "webhook.export":   Permission(_l("Export webhooks and their deliveries to Excel"), MANAGING, {A}),
    "saved_view.list":  Permission(_l("Use saved views of lists"), ANYWHERE, EVERYBODY),
    "saved_view.add":   Permission(_l("Save views of lists for oneself"), ANYWHERE, EVERYBODY),
    "saved_view.share": Permission(_l("Share views, change and delete shared ones"), ANYWHERE, {A, M}),
    "role.list":        Permission(_l("See what roles may do"), ANYWHERE, EVERYBODY),
    "settings.edit":    Permission(_l("Change the account's settings"), ANYWHERE, {A}),
    # fmt: on
}

NOUNS = {
    "dashboard": _l("Dashboard"),
    "portal": _l("Customer portal"),
    "account": _l("Accounts"),
    "contact": _l("Contacts"),
    "property": _l("Properties"),
    "member": _l("Members"),
    "invitation": _l("Invitations"),
    "relationship": _l("Relationships"),
    "manager": _l("Who manages my account"),
    "deadline": _l("Deadlines"),
    "license": _l("Licenses"),
    "license_movement": _l("Use of licenses"),
    "holding": _l("Acquired articles"),
    "article": _l("Articles"),
    "license_type": _l("License types"),
    "product": _l("Products"),
    "plan": _l("Plans"),
    "subscription": _l("Subscriptions"),
    "usage_report": _l("Reported usage"),
    "resource_group": _l("Resource groups"),
    "upfront_request": _l("Upfront requests"),
    "order": _l("Orders"),
    "fulfilment": _l("Fulfilment"),
    "history": _l("History"),
    "message": _l("Outbox"),
    "export": _l("My exports"),
    "api": _l("API"),
    "api_key": _l("API keys"),
    "webhook": _l("Webhooks"),
    "saved_view": _l("Saved views"),
    "role": _l("Roles"),
    "settings": _l("Settings"),
}

# What a program can be given: what `app/api.py` offers, by noun.
BY_PROGRAMS = {
    "account": ("list", "show", "add", "edit", "archive", "promote"),
    "contact": ("see",),
    "property": ("list", "add", "edit", "archive"),
    "member": ("list", "edit", "remove"),
    "invitation": ("list", "add", "resend", "withdraw"),
    "article": ("list", "show"),
    "license": ("list", "show", "use", "surrender", "suspend", "revoke"),
    "plan": ("list",),
    "subscription": ("list", "show", "renew", "cancel", "report_usage"),
    "order": ("list", "show", "add", "cancel"),
    "fulfilment": ("list", "fulfil"),
    "webhook": ("list", "show", "add", "edit", "remove", "send"),
}
READING = {"list", "show", "see"}


# The verbs that are left to the members of an account on administrative hold: they read, take their data home, go,
# and take back what they have consented to.
STILL_ALLOWED = {"list", "show", "see", "export", "leave", "end"}


def allows(kind: Kind, role: Role, permission: str, *, held: bool = False) -> bool:
    """Whether that role may do it in an account of that kind. What is not in the table nobody may do.

    `held`: the account is on administrative hold.
    """
    rule = TABLE.get(permission)
    if rule is None or (held and permission.rpartition(".")[2] not in STILL_ALLOWED):
        return False
    return kind in rule.kinds and role in rule.roles


def lost(kind: Kind, old: Role, new: Role) -> list[Permission]:
    """What somebody could do no more in such an account, had they the other role."""
    return [rule for name, rule in TABLE.items() if allows(kind, old, name) and not allows(kind, new, name)]


def may_grant(giver: Role, given: Role) -> bool:
    """Nobody hands out a role that could do something their own could not (M-7)."""
    return all(giver in rule.roles for rule in TABLE.values() if given in rule.roles)


def by_noun(kind: Kind) -> Iterator[tuple[Any, list[Permission]]]:
    """The table as people read it on the page *Roles*: what has a meaning in such an account, by noun."""
    for noun, label in NOUNS.items():
        rules = [rule for name, rule in TABLE.items() if name.split(".")[0] == noun and kind in rule.kinds]
        if rules:
            yield label, rules


def scopes(kind: Kind, role: Role) -> dict[str, list[str]]:
    """The permissions a member with that role can hand on to a program, by noun."""
    offered = {
        noun: [f"{noun}.{verb}" for verb in verbs if allows(kind, role, f"{noun}.{verb}")]
        for noun, verbs in BY_PROGRAMS.items()
    }
    return {noun: names for noun, names in offered.items() if names}


def reads(permission: str) -> bool:
    """Whether that permission changes nothing."""
    return permission.split(".")[1] in READING

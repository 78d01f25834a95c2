"""The verbs of accounts: opened, changed, archived, restored, given partner management (M-1 … M-6)."""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections.abc import Callable
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import Select, select

from .. import clock, vat
from ..audit import record
from ..bulk import row_of
from ..errors import Refused
from ..extensions import db, holds
from ..models import Account, Kind, Member, Role, sort_key
from ..property_types import phone_number, web_address
from ..tenancy import hold_the_tree

MAX_DEPTH = 20


def open_operator(name: str, *, slug: str, **facts: Any) -> Account:
    """The root of the tree; there is one."""
    account = Account(name=name, slug=slug, kind=Kind.OPERATOR, created_at=clock.now(), **facts)
    db.session.add(account)
    db.session.flush()
    return account


def open_account(name: str, *, parent: Account, by: Member | None, slug: str = "", **facts: Any) -> Account:
    """A new account beneath `parent`; whoever opens it becomes its Administrator (M-3, M-4).

    `by` is `None` only where the program itself builds the tree. Raises `Refused` when a sibling has the name.
    """
    hold_the_tree(parent, shared=True)
    account = Account(name=name, parent=parent, kind=Kind.CUSTOMER, created_at=clock.now(), **facts)
    accept(account)
    account.slug = slug or _free_slug(account.name)
    db.session.add(account)
    if by is not None:
        db.session.add(Member(account=account, **_founder(by)))
    db.session.flush()
    return account


def ready_to_open(wanted: list[Account], *, by: Member) -> list[Account | Member]:
    """The same for many at a time, up to the flush: an import brings thousands (`bulk.row_of`).

    Answers all the rows that come to be.
    """
    for parent in {account.parent for account in wanted}:
        accept_parent(parent)
    if taken := _names_taken(wanted):
        raise Refused(_("There is an account named “%(name)s” here already.", name=taken[0]))

    for account in wanted:
        tidy(account)
        account.slug = _free_slug(account.name)
    founder = _founder(by)
    return [*wanted, *(row_of(Member, account=account, **founder) for account in wanted)]


def accept_parent(parent: Account) -> None:
    """Raises `Refused` where no account can be opened beneath it, now that it may be another than it was."""
    _accept_parent(parent)
    if not parent.kind.manages_accounts:
        raise Refused(_("%(name)s manages no accounts: switch partner management on for it first.",
                        name=parent.name))  # fmt: skip


def _founder(by: Member) -> dict[str, Any]:
    """Of the first member of an account: whoever has opened it."""
    return {"user": by.user, "role": Role.ADMINISTRATOR, "created_at": clock.now()}


def change(account: Account, **facts: Any) -> None:
    """Change what stands on an account. Raises `Refused`, with the field, for what it cannot be."""
    for name, value in facts.items():
        setattr(account, name, value)
    accept(account)


def accept(account: Account) -> None:
    """Check and tidy what a form has put into an account."""
    accept_name(account)
    tidy(account)


def accept_name(account: Account) -> None:
    """Raises `Refused` where the account cannot stand there by its name."""
    if not account.name_key:
        raise Refused(_("An account needs a name."), field="name")
    with db.session.no_autoflush:  # looking the parent up must not write a name down that is taken
        parent = account.parent
    _accept_parent(parent)
    if has_name_beneath(account.name_key, parent, but=account):
        raise Refused(_("There is an account named “%(name)s” here already.", name=account.name), field="name")


def tidy(account: Account) -> None:
    """Bring what can be checked into the form in which it is kept. Raises `Refused`, with the field."""
    with db.session.no_autoflush:
        _tidy(account, "vat_id", lambda text: vat.check(text, account.country or ""))
        _tidy(account, "website", web_address)
        _tidy(account, "phone", phone_number)


def _tidy(account: Account, field: str, tidy: Callable[[str], str]) -> None:
    """Raises `Refused` at that field; what is in order is not touched."""
    text = getattr(account, field) or ""
    try:
        tidied = tidy(text) if text else ""
    except Refused as refusal:
        raise Refused(refusal.sentence, field=field) from refusal
    if tidied != text:
        setattr(account, field, tidied)


def archive(account: Account, *, by: Member) -> None:
    """Put an account away. Nothing is deleted; its members can no longer act in it (M-3)."""
    if account.parent_id is None or account.id == by.account_id:
        raise Refused(_("You cannot archive the account you are acting in."))
    if account.is_archived:
        raise Refused(_("%(name)s is archived already.", name=account.name))

    account.archived_at = clock.now()
    record("account.archived", account)


def restore(account: Account, *, by: Member) -> None:
    """Take an account out of the archive."""
    if not account.is_archived:
        raise Refused(_("%(name)s is not archived.", name=account.name))
    if account.parent and account.parent.is_archived:
        raise Refused(_("%(name)s is archived; restore it first.", name=account.parent.name))

    account.archived_at = None
    record("account.restored", account)


def enable_partner(account: Account, *, by: Member) -> None:
    """Switch partner management on: the account may have accounts beneath it (M-1)."""
    if account.kind is not Kind.CUSTOMER:
        raise Refused(_("Partner management is on for %(name)s already.", name=account.name))

    account.kind = Kind.PARTNER
    record("account.partner_enabled", account)


def disable_partner(account: Account, *, by: Member) -> None:
    """Switch partner management off again, while nothing is beneath."""
    hold_the_tree(account)
    if account.kind is not Kind.PARTNER or account.id == by.account_id:
        raise Refused(_("Partner management cannot be switched off for %(name)s.", name=account.name))
    if db.session.scalar(select(Account.id).where(Account.parent_id == account.id).limit(1)):
        raise Refused(_("%(name)s has accounts beneath it, archived ones perhaps among them.", name=account.name))

    account.kind = Kind.CUSTOMER
    record("account.partner_disabled", account)


def _accept_parent(parent: Account | None) -> None:
    if parent and parent.depth + 1 > MAX_DEPTH:
        raise Refused(_("Accounts can be nested %(depth)s levels deep, not deeper.", depth=MAX_DEPTH))
    if parent and parent.is_archived:
        raise Refused(_("%(name)s is archived; restore it first.", name=parent.name))


def _names_taken(wanted: list[Account]) -> list[str]:
    """Of new accounts the names that a sibling has."""
    with db.session.no_autoflush:
        keys = {account.name_key for account in wanted}
        same = select(Account.parent_id, Account.name_key).where(Account.name_key.in_(keys))
        taken = {(parent_id, key) for parent_id, key in db.session.execute(same)}
    return [account.name for account in wanted if (account.parent.id, account.name_key) in taken]


def has_name_beneath(name_key: str, parent: Account | None, *, but: Account) -> bool:
    """Whether another account beneath that parent has the name."""
    with db.session.no_autoflush:
        same = select(Account.id).where(Account.parent_id == (parent.id if parent else None))
        same = same.where(Account.name_key == name_key)
        if but.id is not None:
            same = same.where(Account.id != but.id)
        return db.session.scalar(same.limit(1)) is not None


def _free_slug(name: str) -> str:
    """An address for the account: its name in plain letters. The random tail keeps it unique without asking,
    so that it tells nobody whether somebody else's account has the same name."""
    return f"{plain_letters(name)[:40].strip('-') or 'account'}-{secrets.token_hex(3)}"


def plain_letters(name: str) -> str:
    """The name in lower-case ASCII, words joined by hyphens: "Küstenfunk Süd" → "kuestenfunk-sued"."""
    plain = unicodedata.normalize("NFKD", name.translate(_GERMAN)).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")


_GERMAN = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue"})


def named(accounts: Select[tuple[Account]], text: str, *, most: int, are_many: bool = False) -> list[Account]:
    """Of those accounts the first by the alphabet in whose name a text stands, case and accents aside.

    Where nearly all there are may be meant, they are met along the index of names; SQLite would sort them all.
    """
    folded = sort_key(text)
    in_words = holds(Account.words, folded)  # an index has them, and they begin with the name
    found = accounts.where(in_words, holds(Account.name_sort, folded))
    if are_many and len(folded) < 3:
        found = found.with_hint(Account, "INDEXED BY ix_account_name_sort", "sqlite")
    return list(db.session.scalars(found.order_by(Account.name_sort, Account.id).limit(most)))

"""Moving an account, with all beneath it, to another place in the tree.

Whoever moves it is Administrator above both places. What belongs to the account goes with it: members, history,
holds. What a partner knows of it, its properties' values, stays with that partner's definitions: kept, and seen
again only where those definitions are seen. So the old place loses sight of it, and the new one gains it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import ColumnElement, Delete, Select, String, Update, cast, delete, func, select, update

from .. import properties as values
from .. import property_types as types
from ..audit import record
from ..errors import Refused
from ..extensions import db
from ..models import Account, Consent, Kind, Member, Property, PropertyValue, Role
from ..tenancy import carry, current_scope, hold_the_tree, in_subtree
from .accounts import MAX_DEPTH, has_name_beneath

AT_ONCE = 500  # accounts in memory while the index of their values is made anew


@dataclass(frozen=True)
class Preview:
    """What moving would change."""

    count: int  # accounts that move, the one itself among them
    losing: list[Account]  # who sees it now and would not any more, the nearest first
    gaining: list[Account]
    staying: list[Member]  # people of the losing accounts who are members in it, and stay so


def move(account: Account, *, to: Account, by: Member) -> int:
    """Put an account, with all beneath it, under another parent; the number of accounts that moved.

    Raises `Refused` where it cannot stand. Of two moves at once the second sees what the first has done.
    """
    hold_the_tree(account, to, by.account)
    refuse(account, to=to, by=by)

    old = account.parent
    losing, gaining = _differing(account, to)
    count = carry(account, to)
    _index_anew(account, losing, gaining)
    _write_down(account, old, to, by)
    return count


def _write_down(account: Account, old: Account, to: Account, by: Member) -> None:
    """A line at the account says where it is now; one at the old place that it is gone; one with both places stands
    where both are seen. Nobody learns of a place on the other side of their wall."""
    record("account.moved_here", account, place=to.name)
    if old.id != by.account_id:
        record("account.moved_away", account, account=old)
    record("account.moved", account, account=by.account, from_place=old.name, place=to.name)
    db.session.flush()


def refuse(account: Account, *, to: Account, by: Member) -> None:
    """Raise `Refused`, with the reason in words, where the account cannot be moved to that place."""
    if account.parent_id is None or account.id == by.account_id or by.role is not Role.ADMINISTRATOR:
        raise Refused(_("Only an Administrator of an account above moves %(name)s.", name=account.name))
    if not to.is_within(by.account):
        raise Refused(_("%(name)s does not stand beneath you.", name=to.name))
    if to.is_within(account):
        raise Refused(_("%(name)s cannot be moved beneath itself.", name=account.name))
    if to.id == account.parent_id:
        raise Refused(_("%(name)s is there already.", name=account.name))
    if not to.kind.manages_accounts:
        raise Refused(_("%(name)s manages no accounts: switch partner management on for it first.", name=to.name))
    if to.is_archived:
        raise Refused(_("%(name)s is archived; restore it first.", name=to.name))
    if to.depth + 1 + _height(account) > MAX_DEPTH:
        raise Refused(_("Accounts can be nested %(depth)s levels deep, not deeper.", depth=MAX_DEPTH))
    if has_name_beneath(account.name_key, to, but=account):
        raise Refused(_("Beneath %(place)s there is an account named “%(name)s” already.",
                        place=to.name, name=account.name))  # fmt: skip


def preview(account: Account, *, to: Account) -> Preview:
    """What moving it there would change, for whoever is to decide."""
    losing, gaining = _differing(account, to)
    count = db.session.scalar(select(func.count(Account.id)).where(_beneath(account)))
    return Preview(count, losing, gaining, _staying(account, losing))


def places(account: Account) -> Select[tuple[Account]]:
    """Where it could be moved to, as far as the acting account sees."""
    elsewhere = (~_beneath(account), Account.id != account.parent_id, ~Account.id.in_(_by_consent()))
    able = select(Account.id).where(Account.kind != Kind.CUSTOMER, Account.archived_at.is_(None))  # an index knows them
    return select(Account).where(Account.id.in_(able), *elsewhere)


def _by_consent() -> list[int]:
    """Clients that stand elsewhere: seen, but nothing is moved to them."""
    return sorted(current_scope().linked.get(Consent.VIEW, ()))


def _beneath(account: Account) -> ColumnElement[bool]:
    """The account itself and all beneath it."""
    return in_subtree(Account.path, account.path)


def _height(account: Account) -> int:
    deepest = func.max(func.length(Account.path) - func.length(func.replace(Account.path, "/", "")))
    return db.session.scalar(select(deepest).where(_beneath(account))) - 1 - account.depth


def _differing(account: Account, to: Account) -> tuple[list[Account], list[Account]]:
    """The accounts above the old place alone, and those above the new one alone; the nearest first."""
    old, new = _line(account.parent), _line(to)
    return [a for a in old if a not in new], [a for a in new if a not in old]


def _line(account: Account | None) -> list[Account]:
    """The account and those above it, as far as one sees."""
    labels = account.path.split("/")[:-1] if account else []
    paths = ["/".join(labels[: n + 1]) + "/" for n in range(len(labels))]
    found = db.session.scalars(select(Account).where(Account.path.in_(paths)))
    return sorted(found, key=lambda one: one.path, reverse=True)


def _staying(account: Account, losing: list[Account]) -> list[Member]:
    theirs = select(Member.user_id).where(Member.account_id.in_([one.id for one in losing]))
    return list(
        db.session.scalars(
            select(Member).where(Member.account_id == account.id, Member.user_id.in_(theirs)).order_by(Member.id)
        )
    )


# --- what partners know of it ------------------------------------------------------------------------------------


def _index_anew(account: Account, losing: list[Account], gaining: list[Account]) -> None:
    """The index of values follows its accounts, and the sight of their definitions."""
    moved = PropertyValue.account_id.in_(select(Account.id).where(_beneath(account)))
    theirs = PropertyValue.definition_id.in_([definition.id for definition in _definitions_of(losing)])
    place = select(Account.path).where(Account.id == PropertyValue.account_id).scalar_subquery()
    _change_index(delete(PropertyValue).where(theirs, moved))
    _change_index(update(PropertyValue).where(moved).values(account_path=place))

    gained = {str(definition.id): definition for definition in _definitions_of(gaining)}
    if gained:
        for one in _with_values(account):
            _take_up(one, gained)


def _change_index(statement: Delete | Update) -> None:
    db.session.execute(statement, execution_options={"synchronize_session": False})


def _take_up(account: Account, gained: dict[str, Property]) -> None:
    """Index what an account has of the definitions it is seen through again; what fits them no longer is dropped."""
    fitting, kept = dict(account.properties), account.properties
    for key in kept.keys() & gained.keys():
        checked = _as_kept(gained[key], kept[key])
        if checked is None:
            del fitting[key]
        else:
            row = PropertyValue(account=account, account_path=account.path, definition_id=gained[key].id)
            row.stand(**values.index_of(gained[key], checked))
            db.session.add(row)
    if fitting != kept:
        account.properties = fitting


def _as_kept(definition: Property, kept: Any) -> Any:
    """The value as the definition keeps it today, or `None`."""
    try:
        return types.check_type(definition, types.from_kept(definition, kept))
    except (Refused, ValueError, TypeError, ArithmeticError):
        return None


def _with_values(account: Account) -> Iterator[Account]:
    """The accounts that moved and of which somebody knows something; some in memory at a time."""
    some = select(Account).where(_beneath(account), func.length(cast(Account.properties, String)) > len("{}"))
    last = 0
    while found := list(db.session.scalars(some.where(Account.id > last).order_by(Account.id).limit(AT_ONCE))):
        last = found[-1].id
        yield from found
        db.session.flush()


def _definitions_of(owners: list[Account]) -> list[Property]:
    """All of theirs, the archived ones too."""
    return list(db.session.scalars(select(Property).where(Property.account_id.in_([owner.id for owner in owners]))))

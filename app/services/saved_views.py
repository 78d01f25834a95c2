"""The verbs of saved views: kept, renamed, shared, deleted; and what a member's lists look like by habit.

A view is its owner's own, or shared with the account by those whose role may. Nobody else's own views are seen.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import Select, bindparam, func, or_, select

from .. import clock
from ..audit import record
from ..errors import OutsideScope, Refused
from ..extensions import db
from ..models import Account, Member, SavedView
from ..permissions import allows

LONGEST_NAME = 60
LONGEST_QUERY = 4_000  # characters of an address that every browser and proxy lets through
MOST = 50  # of one list: one's own, and as many shared ones

# --- looking ---------------------------------------------------------------------------------------------------


def views_of(of_list: str, *, by: Member) -> list[SavedView]:
    """The views of a list that a member sees, those shared first, each in the alphabet."""
    asked = {"account_id": by.account_id, "of_list": of_list, "user_id": by.user_id}
    return list(db.session.scalars(_seen(), asked))


@lru_cache(maxsize=1)
def _seen() -> Select[Any]:
    """Put together once, since every list asks it."""
    return (
        select(SavedView)
        .where(SavedView.account_id == bindparam("account_id"), SavedView.of_list == bindparam("of_list"))
        .where(or_(SavedView.owner_id.is_(None), SavedView.owner_id == bindparam("user_id")))
        .order_by(SavedView.owner_id.is_not(None), SavedView.name_key)
    )


def get(pk: int, *, by: Member) -> SavedView:
    """The view of that number. Raises `OutsideScope` for one that is somebody else's own, as for one that never was."""
    view = find(pk, by=by)
    if view is None:
        raise OutsideScope("SavedView")
    return view


def find(pk: int, *, by: Member) -> SavedView | None:
    """The view of that number, if the member sees it."""
    view = db.session.get(SavedView, pk)
    return view if view is not None and view.owner_id in {None, by.user_id} else None


def may_change(view: SavedView, *, by: Member) -> bool:
    """Whether it is the member's to change: their own, or shared and their role shares."""
    return view.owner_id == by.user_id or (view.is_shared and _may_share(by))


# --- the views -------------------------------------------------------------------------------------------------


def save(name: str, *, of_list: str, query: str, shared: bool, by: Member) -> SavedView:
    """Keep how a list looks now, for oneself or for the account."""
    name = _name(name)
    _refuse_sharing(shared, by)
    _refuse_long(query)
    _hold(by)
    owner_id = None if shared else by.user_id
    _refuse_taken(name, of_list, owner_id, by)
    _refuse_too_many(of_list, owner_id, by)

    view = SavedView(account=by.account, of_list=of_list, name=name, owner_id=owner_id, query=query)
    view.created_at = clock.now()
    db.session.add(view)
    record("saved_view.created", view, inside=True)
    db.session.flush()
    return view


def change(view: SavedView, *, name: str, shared: bool, by: Member) -> None:
    """Give it another name; share it, or take it back for oneself."""
    _refuse_others(view, by)
    name = _name(name)
    _refuse_sharing(shared, by)
    _hold(by)
    owner_id = None if shared else by.user_id
    _refuse_taken(name, view.of_list, owner_id, by, besides=view)
    if owner_id != view.owner_id:
        _refuse_too_many(view.of_list, owner_id, by)

    view.name, view.owner_id = name, owner_id
    record("saved_view.updated", view, inside=True)
    db.session.flush()


def look_like(view: SavedView, *, query: str, by: Member) -> None:
    """From now on it shows the list as it looks now."""
    _refuse_others(view, by)
    _refuse_long(query)

    view.query = query
    record("saved_view.updated", view, inside=True)
    db.session.flush()


def delete(view: SavedView, *, by: Member) -> None:
    """Forget it. Whoever opened their list with it sees the whole list again."""
    _refuse_others(view, by)

    record("saved_view.deleted", view, inside=True)
    db.session.delete(view)
    db.session.flush()


def forget_those_of(member: Member) -> None:
    """A membership ends, and with it the views that only this member sees; shared ones stay."""
    for view in db.session.scalars(
        select(SavedView).where(SavedView.account_id == member.account_id, SavedView.owner_id == member.user_id)
    ):
        record("saved_view.deleted", view, inside=True)
        db.session.delete(view)


# --- a member's habits -------------------------------------------------------------------------------------------


def habit(member: Member, of_list: str) -> dict[str, Any]:
    """How the member looks at a list: `view`, the number of their usual view, and `size`, the rows of a page."""
    return (member.habits or {}).get(of_list, {})


def open_with(of_list: str, view: SavedView | None, *, by: Member) -> None:
    """From now on the list opens with that view; with none, as it comes."""
    _note(by, of_list, view=None if view is None else view.id)


def page_by(of_list: str, size: int, *, by: Member) -> None:
    """From now on the list has so many rows on a page, where no view says otherwise."""
    _note(by, of_list, size=size)


def _note(by: Member, of_list: str, **facts: Any) -> None:
    noted = {name: value for name, value in (habit(by, of_list) | facts).items() if value is not None}
    by.habits = {**(by.habits or {}), of_list: noted}
    db.session.flush()


# --- what is refused -------------------------------------------------------------------------------------------


def _name(name: str) -> str:
    name = " ".join(name.split())
    if not name:
        raise Refused(_("Please fill this in."), field="name")
    if len(name) > LONGEST_NAME:
        raise Refused(_("At most %(count)s characters.", count=LONGEST_NAME), field="name")
    return name


def _may_share(by: Member) -> bool:
    return allows(by.account.kind, by.role, "saved_view.share", held=by.account.is_held)


def _refuse_sharing(shared: bool, by: Member) -> None:
    if shared and not _may_share(by):
        raise Refused(_("Your role cannot share views with the account."), field="shared")


def _refuse_others(view: SavedView, by: Member) -> None:
    if not may_change(view, by=by):
        raise Refused(_("“%(name)s” is shared with the account; your role cannot change it.", name=view.name))


def _refuse_long(query: str) -> None:
    if len(query) > LONGEST_QUERY:
        raise Refused(_("There are too many columns and filters in this view to be saved."))


def _refuse_taken(name: str, of_list: str, owner_id: int | None, by: Member, besides: SavedView | None = None) -> None:
    same = SavedView.name_key == name.casefold()[:LONGEST_NAME]
    there = select(SavedView.id).where(*_beside(of_list, owner_id, by), same)
    if besides is not None:
        there = there.where(SavedView.id != besides.id)
    if db.session.scalar(there) is not None:
        raise Refused(_("There is a view of this name already."), field="name")


def _refuse_too_many(of_list: str, owner_id: int | None, by: Member) -> None:
    count = db.session.scalar(select(func.count(SavedView.id)).where(*_beside(of_list, owner_id, by)))
    if count >= MOST:
        raise Refused(_("A list has at most %(count)s views; delete one first.", count=MOST))


def _beside(of_list: str, owner_id: int | None, by: Member) -> list[Any]:
    owner = SavedView.owner_id.is_(None) if owner_id is None else SavedView.owner_id == owner_id
    return [SavedView.account_id == by.account_id, SavedView.of_list == of_list, owner]


def _hold(by: Member) -> None:
    """Views of an account are named one at a time, so that two cannot have one name."""
    db.session.execute(select(Account.id).where(Account.id == by.account_id).with_for_update(key_share=True))

"""Saved views in the address of a list, and the row of tabs above it.

`view=7` is the list as view 7 has it. Every link on that page spells all of it out and says `based=7`, so that what
differs from the view by now can be told, and kept. `view=all` is the whole list where another view is one's usual.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlencode

from flask import flash, g, request, url_for
from flask_babel import gettext as _
from werkzeug.datastructures import MultiDict

from ..models import Member, SavedView
from ..services import saved_views
from .acting import identity, may
from .listing import Listing
from .page import ViewBar, ViewTab

ALL = "all"
WITH_VIEWS = {"list", "export", "action_post"}  # what of a screen is about its list as a whole

# --- what an address asks ----------------------------------------------------------------------------------------


def asked() -> MultiDict[str, str]:
    """The arguments of the list at hand: as the address has them, or the saved view it names, or one's usual view."""
    if "asked" not in g:
        args, endpoint = MultiDict(request.args), request.endpoint or ""  # none: a worker asks, with all spelled out
        g.asked = _understood(args) if endpoint.rpartition(".")[2] in WITH_VIEWS else args
    return g.asked


def list_at_hand() -> str:
    """How its address names the list: `/accounts/list/` is `accounts`."""
    return request.path.split("/")[1]


def habits() -> dict[str, Any]:
    """How the person looks at the list at hand; nobody in particular has no habits."""
    return saved_views.habit(_reader(), list_at_hand()) if identity() else {}


def _reader() -> Member:
    """Whoever looks, as the request came in: nothing need be asked of the database for that."""
    return identity().membership(request.environ["kontor.slug"])


def state_of(args: MultiDict[str, str], extra: tuple[str, ...]) -> str:
    """What of a list's arguments says how it looks, in one spelling."""
    names = {"q", "sort", "cols", "size", *extra}
    pairs = [(k, v) for k, v in args.items(multi=True) if v and (k in names or k.startswith("_flt_"))]
    return urlencode(sorted(pairs))


def _understood(args: MultiDict[str, str]) -> MultiDict[str, str]:
    wanted, usual = args.get("view", ""), str(habits().get("view", ""))
    if wanted == ALL:
        return args
    args.poplist("view")
    if wanted:
        args.poplist("based")
        return _opened(args, wanted) or _gone(args)
    if not usual or "based" in args:
        return args
    if not args.keys() - {"page"} and (opened := _opened(args, usual)):
        return opened
    args["view"] = ALL
    return args


def _opened(args: MultiDict[str, str], number: str) -> MultiDict[str, str] | None:
    """The view's arguments; what the address says besides takes their place."""
    view = _numbered(number)
    if view is None:
        return None
    kept = [(key, value) for key, value in parse_qsl(view.query) if key not in args]
    return MultiDict([*kept, *args.items(multi=True), ("based", number)])


def _gone(args: MultiDict[str, str]) -> MultiDict[str, str]:
    flash(_("This view is no longer there; you see the whole list."), "warning")
    args["view"] = ALL
    return args


def _views() -> list[SavedView]:
    if "saved_views" not in g:
        g.saved_views = saved_views.views_of(list_at_hand(), by=_reader())
    return g.saved_views


def _numbered(number: str) -> SavedView | None:
    return next((view for view in _views() if str(view.id) == number), None)


def name_of(listing: Listing) -> str:
    """What the view at hand is called, also where the list is made elsewhere; that it was changed since, is said."""
    number = listing.args.get("based", "")
    view = saved_views.find(int(number), by=_reader()) if number.isdecimal() and len(number) < 10 else None
    if view is None:
        return ""
    is_as_saved = _without_size(state_of(listing.args, listing.extra)) == _without_size(view.query)
    return view.name if is_as_saved else _("%(name)s (changed)", name=view.name)


def _without_size(query: str) -> list[tuple[str, str]]:
    """How many rows a page has is no matter of a file."""
    return [(name, text) for name, text in parse_qsl(query) if name != "size"]


# --- what stands above the list ----------------------------------------------------------------------------------


def bar(listing: Listing) -> ViewBar:
    """The tabs of the list, and what can be done with the view at hand."""
    usual, view = habits().get("view"), _numbered(listing.args.get("based", ""))
    look = MultiDict(listing.args)
    look["size"] = str(listing.size)
    state = state_of(look, listing.extra)
    return ViewBar(
        tabs=_tabs(listing, view, usual),
        name=view.name if view else "",
        changed=_differs(listing, view, state),
        state=state,
        add_url=url_for("SavedViewsView.add", list=list_at_hand(), state=state) if may("saved_view.add") else "",
        **(_deeds(listing, view, usual) if view else {}),
    )


def _differs(listing: Listing, view: SavedView | None, state: str) -> bool:
    """Whether there is something to keep: besides the page size, which everybody has by habit, in the whole list."""
    if view is not None:
        return state != view.query
    plain = MultiDict(listing.args)
    plain.poplist("size")
    return bool(state_of(plain, listing.extra))


def _tabs(listing: Listing, at_hand: SavedView | None, usual: int | None) -> list[ViewTab]:
    views = _views()
    if not views:
        return []
    there = {view.id for view in views}
    whole = f"{listing.url}?view={ALL}" if usual in there else listing.url
    tabs = [ViewTab(_("All"), whole, active=at_hand is None)]
    return tabs + [
        ViewTab(v.name, f"{listing.url}?view={v.id}", v.is_shared, active=v is at_hand, usual=v.id == usual)
        for v in views
    ]


def _deeds(listing: Listing, view: SavedView, usual: int | None) -> dict[str, Any]:
    urls = {
        "usual_url": url_for("SavedViewsView.open_with", pk=view.id),
        "usual": view.id == usual,
        "revert_url": f"{listing.url}?view={view.id}",
    }
    if not (may("saved_view.add") and saved_views.may_change(view, by=_reader())):
        return urls
    return urls | {
        "keep_url": url_for("SavedViewsView.keep", pk=view.id),
        "edit_url": url_for("SavedViewsView.edit", pk=view.id),
        "delete_url": url_for("SavedViewsView.delete", pk=view.id),
    }

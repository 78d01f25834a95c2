"""Lists that leave out what is archived, and show it on wish; what all of the catalogue's screens have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from ..services import catalog
from .acting import me
from .listing import Listing
from .page import Cell, Link
from .saved_views import asked
from .view import BackOfficeView, command

BY_STATUS = "_flt_0_standing"  # the filter of lists whose rows have a standing


def with_archived() -> bool:
    """Whether the list shows archived rows too, or asks for them by their status."""
    return asked().get("archived") == "1" or archived_alone()


def archived_alone() -> bool:
    return "archived" in asked().getlist(BY_STATUS)


def archived_link(listing: Listing) -> Link:
    """To the same list with them, or without: what is searched, filtered and sorted stays."""
    by_status: dict[str, str | None] = {BY_STATUS: None} if archived_alone() else {}
    if with_archived():
        return Link(_("Hide archived"), listing.url_with(archived=None, page=None, **by_status), "archive-off")
    return Link(_("Show archived"), listing.url_with(archived="1", page=None), "archive")


class CatalogueView(BackOfficeView):
    """What the operator offers. Archived, it is out of sight and offered no longer; whoever has it keeps it."""

    edit_title = _l("Edit %(name)s")
    order = ("name",)
    extra_args = ("archived",)
    include_route_methods = {"list", "add", "edit", "export", "action_post"}

    def conditions(self) -> tuple[Any, ...]:
        return () if with_archived() else (self.datamodel.obj.archived_at.is_(None),)

    def tools(self, listing: Listing) -> list[Link]:
        return [archived_link(listing)]

    def is_muted(self, row: Any) -> bool:
        return row.is_archived

    def badges(self, row: Any) -> list[Cell]:
        return [Cell(_("Archived"), "choice", tone="yellow")] if row.is_archived else []


def archiving(
    *, confirm: Any, confirm_one: Any = "", archived: Callable[[int], str], restored: Callable[[int], str]
) -> tuple[Any, Any]:
    """The verbs *archive* and *restore* of something on offer, each with the words for how many it was."""

    @command(
        "archive",
        _l("Archive"),
        confirm=confirm,
        confirm_one=confirm_one,
        icon="archive",
        danger=True,
        offered=lambda offer: not offer.is_archived,
    )
    def archive(_view: CatalogueView, chosen: list[Any]) -> str:
        for offer in chosen:
            catalog.archive(offer, by=me())
        return archived(len(chosen))

    @command("restore", _l("Restore"), icon="restore", permission="archive", offered=lambda offer: offer.is_archived)
    def restore(_view: CatalogueView, chosen: list[Any]) -> str:
        for offer in chosen:
            catalog.restore(offer, by=me())
        return restored(len(chosen))

    return archive, restore

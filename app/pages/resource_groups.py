"""Resource groups: the named parts of subscriptions (L-11)."""

from __future__ import annotations

from typing import Any

from flask import request
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext

from ..models import ResourceGroup, Subscription
from ..services import resource_groups
from ..ui.archived import archived_link, with_archived
from ..ui.columns import Field
from ..ui.interface import Table
from ..ui.listing import Listing
from ..ui.page import Link
from ..ui.view import BackOfficeView, command, without_own_account


class ResourceGroupsView(BackOfficeView):
    """The named parts of a subscription (L-11)."""

    route_base = "/resource-groups"
    datamodel = Table(ResourceGroup)
    noun = "resource_group"
    list_title = _l("Resource groups")
    list_lead = _l("Named parts of subscriptions: a site, a branch, an instance. Licenses belong to them.")
    edit_title = _l("Edit %(name)s")
    label_columns = {
        "name": _l("Name"),
        "subscription.title": _l("Title of the subscription"),
        "subscription.public_id": _l("Subscription"),
        "account.name": _l("Account"),
        "description": _l("Description"),
        "created_at": _l("Created"),
    }
    list_columns = ["name", "subscription.title", "subscription.public_id", "account.name", "description", "created_at"]
    edit_columns = ["name", "description"]
    search = ("name", "subscription.title", "subscription.public_id", "account.name")
    order = ("name",)
    extra_args = ("archived",)
    related_keys = {"subscription_id": Subscription}
    include_route_methods = {"list", "edit", "export", "action_post", "related_list"}
    empty_title = _l("No resource groups yet")
    empty_text = _l("Open a subscription and choose “Add resource group”.")

    def conditions(self) -> tuple[Any, ...]:
        return () if with_archived() else (ResourceGroup.archived_at.is_(None),)

    def tools(self, listing: Listing) -> list[Link]:
        return [archived_link(listing)]

    def fields(self, names: Any = None) -> dict[str, Field]:
        return of_one_subscription(super().fields(names))

    def is_muted(self, row: ResourceGroup) -> bool:
        return row.is_archived

    def change(self, row: ResourceGroup, form: Any) -> None:
        resource_groups.change(row, form.name.data, description=form.description.data)

    @command("archive", _l("Archive"), confirm=_l("Archive these resource groups? Licenses in them stay."),
             icon="archive", danger=True, offered=lambda row: not row.is_archived)  # fmt: skip
    def archive(self, chosen: list[ResourceGroup]) -> str:
        for group in chosen:
            resource_groups.archive(group)
        return ngettext("One resource group was archived.", "%(num)s resource groups were archived.", len(chosen))

    @command("restore", _l("Restore"), icon="restore", permission="archive", offered=lambda row: row.is_archived)
    def restore(self, chosen: list[ResourceGroup]) -> str:
        for group in chosen:
            resource_groups.restore(group)
        return ngettext("One resource group was restored.", "%(num)s resource groups were restored.", len(chosen))


def of_one_subscription(fields: dict[str, Field]) -> dict[str, Field]:
    """On a subscription's own page its name says nothing."""
    told = {"account.name", "subscription.title", "subscription.public_id"}
    if (request.view_args or {}).get("key") == "subscription_id":
        return {name: field for name, field in fields.items() if name not in told}
    return without_own_account(fields)

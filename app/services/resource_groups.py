"""The verbs of resource groups: the named parts of a subscription, to which licenses can belong (L-11)."""

from __future__ import annotations

from flask_babel import gettext as _
from sqlalchemy import select

from .. import clock
from ..audit import record
from ..errors import Refused
from ..extensions import db
from ..models import ResourceGroup, Subscription, sort_key
from .subscriptions import LONGEST_TITLE, hold, named, words


def add(subscription: Subscription, name: str, *, description: str = "") -> ResourceGroup:
    """A named part of a subscription, to which licenses can belong (L-11)."""
    if subscription.is_over:
        raise Refused(_("%(subscription)s is %(status)s.", **words(subscription)))
    hold(subscription.account)
    group = ResourceGroup(account=subscription.account, subscription_id=subscription.id, created_at=clock.now())
    _describe(group, name, description)
    db.session.add(group)
    record("resource_group.added", group, subscription=subscription.public_id)
    db.session.flush()
    return group


def change(group: ResourceGroup, name: str, *, description: str = "") -> None:
    hold(group.account)
    _describe(group, name, description)
    record("resource_group.changed", group)
    db.session.flush()


def _describe(group: ResourceGroup, name: str, description: str) -> None:
    name = named(name, "name")
    with db.session.no_autoflush:
        taken = db.session.scalar(
            select(ResourceGroup.id).where(
                ResourceGroup.subscription_id == group.subscription_id,
                ResourceGroup.name_key == sort_key(name)[:LONGEST_TITLE],
                ResourceGroup.id != (group.id or 0),
            )
        )
    if taken is not None:
        raise Refused(_("There is a resource group named “%(name)s” already.", name=name), field="name")
    group.name, group.description = name, description.strip()


def archive(group: ResourceGroup) -> None:
    """Offer it no longer; licenses in it stay where they are."""
    if group.is_archived:
        raise Refused(_("%(name)s is archived already.", name=group.name))
    group.archived_at = clock.now()
    record("resource_group.archived", group)
    db.session.flush()


def restore(group: ResourceGroup) -> None:
    if not group.is_archived:
        raise Refused(_("%(name)s is not archived.", name=group.name))
    group.archived_at = None
    record("resource_group.restored", group)
    db.session.flush()

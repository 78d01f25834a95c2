"""Reported usage: every number of user accounts that was reported of a subscription (I-4)."""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext as _l

from ..models import Subscription, UsageReport
from ..ui.columns import Field
from ..ui.interface import Table
from ..ui.view import BackOfficeView
from .resource_groups import of_one_subscription


class UsageReportsView(BackOfficeView):
    """How many user accounts there were, when, and who said so. Only added to."""

    route_base = "/usage-reports"
    datamodel = Table(UsageReport)
    noun = "usage_report"
    list_title = _l("Reported usage")
    list_lead = _l("How many user accounts subscriptions had. Nothing in here can be changed or deleted.")
    label_columns = {
        "at": _l("When"),
        "users": _l("User accounts"),
        "source": _l("How"),
        "actor": _l("Who"),
        "subscription.title": _l("Title of the subscription"),
        "subscription.public_id": _l("Subscription"),
        "account.name": _l("Account"),
    }
    list_columns = ["at", "users", "source", "actor", "subscription.title", "subscription.public_id", "account.name"]
    search = ("actor", "subscription.title", "subscription.public_id", "account.name")
    order = ("-at",)
    related_keys = {"subscription_id": Subscription}
    include_route_methods = {"list", "export", "action_post", "related_list"}
    empty_title = _l("No usage reported yet")
    empty_text = _l("Open a subscription and choose “Report usage”, or let a program report it.")

    def fields(self, names: Any = None) -> dict[str, Field]:
        return of_one_subscription(super().fields(names))

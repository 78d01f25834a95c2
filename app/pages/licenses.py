"""What accounts hold: articles acquired, the licenses they bring, and how much of these is used."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flask import abort, render_template, request, url_for
from flask_appbuilder import expose
from flask_appbuilder.security.decorators import has_access
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext
from flask_wtf import FlaskForm
from sqlalchemy.orm import joinedload

from .. import clock
from ..extensions import db
from ..models import Account, Article, Holding, Kind, License, LicenseMovement, LicenseStatus
from ..services import license_use, licenses
from ..tenancy import current_scope, may_change
from ..ui.acting import may, me
from ..ui.columns import Field, changed
from ..ui.fields import reason_field
from ..ui.formats import month_name, shown, time_zone
from ..ui.interface import Table
from ..ui.listing import Listing
from ..ui.page import Action, Cell, DetailPage, Empty, FormPage, Link
from ..ui.view import BackOfficeView, account_asked_for, command, without_own_account
from .imports import import_links
from .surrender import surrender_action, surrender_link

OVER = (LicenseStatus.EXPIRED, LicenseStatus.REVOKED, LicenseStatus.SURRENDERED)


class HoldingsView(BackOfficeView):
    """The articles accounts have acquired (M-11); the operator gives them without an order."""

    route_base = "/holdings"
    datamodel = Table(Holding)
    noun = "holding"
    list_title = _l("Acquired articles")
    list_lead = _l("What accounts have acquired, and since when.")
    add_title = _l("Give article to %(name)s")
    add_label = _l("Give article")
    label_columns = {
        "article.name": _l("Article"),
        "article.number": _l("Article number"),
        "account.name": _l("Account"),
        "quantity": _l("Quantity"),
        "acquired_on": _l("Acquired on"),
        "valid_until": _l("Ends on"),
        "source": _l("Source"),
        "note": _l("Note or own reference"),
        "created_at": _l("Noted"),
        "article_id": _l("Article"),
    }
    help_columns = {
        "acquired_on": _l("From this day on its licenses count."),
        "valid_until": _l("The first day on which they count no longer. Empty: without end."),
        "note": _l("The account can read it."),
    }
    list_columns = [
        "article.name", "article.number", "account.name", "quantity", "acquired_on", "valid_until", "source", "note",
    ]  # fmt: skip
    more_columns = ("created_at",)
    totaled = ("quantity",)
    add_columns = ["article_id", "quantity", "acquired_on", "valid_until", "note"]
    search = ("article.name", "article.number", "account.name", "note")
    order = ("-acquired_on",)
    related_keys = {"account_id": Account, "article_id": Article}
    include_route_methods = {"list", "add", "export", "action_post", "related_list"}
    empty_title = _l("No articles yet")
    empty_text = _l("What is acquired stands here, and what it grants under “Licenses”.")

    def fields(self, names: Any = None) -> dict[str, Field]:
        return changed(without_own_account(super().fields(names)), quantity={"per": "article.name"})

    def tools(self, listing: Listing) -> list[Link]:
        return import_links("holding")

    def _add_link(self) -> None:
        """Articles are given on the account's page."""

    def defaults(self) -> dict[str, Any]:
        return {"quantity": 1, "acquired_on": clock.today(account_asked_for().time_zone)}

    def _form_page(self, form: Any, title: Any, url: str, name: str = "") -> FormPage:
        url = self.url("add", account=account_asked_for().id, back=request.args.get("back", ""))
        page = super()._form_page(form, title, url, account_asked_for().name)
        lead = _("Without an order. What the article grants becomes licenses at once.")
        return replace(page, submit_label=_("Give article"), lead=lead)

    def create(self, form: Any) -> Holding:
        facts = {name: form[name].data for name in ("quantity", "note")}
        article = db.session.get(Article, form.article_id.data)
        on, until = form.acquired_on.data, form.valid_until.data
        return licenses.give(article, to=account_asked_for(), on=on, until=until, by=me(), **facts)

    def created_message(self, row: Holding) -> str:
        return _("%(account)s now has %(article)s.", account=row.account.name, article=str(row))


class LicensesView(BackOfficeView):
    """What accounts may use, how much of it they do, and what is left (M-13)."""

    route_base = "/licenses"
    datamodel = Table(License)
    noun = "license"
    list_title = _l("Licenses")
    list_lead = _l("What accounts may use, and how much of it they do.")
    show_title = _l("License")
    label_columns = {
        "public_id": _l("License"),
        "account.name": _l("Account"),
        "type.name": _l("Type"),
        "type.policy": _l("Policy"),
        "article.name": _l("Article"),
        "quantity": _l("Quantity"),
        "in_use": _l("In use"),
        "available": _l("Available"),
        "valid_from": _l("Starts on"),
        "valid_until": _l("Ends on"),
        "status": _l("Status"),
        "reason": _l("Reason"),
        "created_at": _l("Issued"),
    }
    list_columns = [
        "public_id", "account.name", "type.name", "article.name", "quantity", "in_use", "available", "valid_until",
        "status",
    ]  # fmt: skip
    more_columns = ("type.policy", "valid_from", "created_at", "reason")
    totaled = ("quantity", "in_use", "available")
    search = ("public_id", "account.name", "type.name", "article.name")
    order = ("type.name", "public_id")
    sections = (
        (
            "overview",
            _l("Overview"),
            ("account.name", "type.name", "type.policy", "article.name", "valid_from", "valid_until", "created_at",
             "reason"),
        ),
    )  # fmt: skip
    related = (("movements", _l("Movements"), "MovementsView", "license_id"),)
    loads = (joinedload(License.account), joinedload(License.article).lazyload(Article.grants))
    related_keys = {"account_id": Account}
    include_route_methods = {"list", "show", "export", "action_post", "related_list", "suspend", "revoke"}
    empty_title = _l("No licenses yet")

    def _empty(self, listing: Any, related: bool) -> Empty:
        """Who can give articles is told how; the others, how licenses come about."""
        empty = super()._empty(listing, related)
        if listing.is_filtered or related:
            return empty
        if may("holding.add"):
            return replace(empty, text=_("Open an account and choose “Give article”; what it grants stands here."))
        return replace(empty, text=_("Licenses come with the articles an account acquires."))

    def fields(self, names: Any = None) -> dict[str, Field]:
        """The status is that of this day, whether or not anybody has noted the end."""
        fields, today = without_own_account(super().fields(names)), self._today()
        return changed(
            fields,
            status={"value": lambda row: row.status_on(today), "expression": licenses.status_column(today)},
            available={"kind": "number", "expression": licenses.available_column(), "per": "type.name"},
            quantity={"per": "type.name"},
            in_use={"per": "type.name"},
        )

    def _today(self) -> Any:
        return clock.today(time_zone())

    def is_muted(self, row: License) -> bool:
        return row.status_on(self._today()) in OVER

    def badges(self, row: License) -> list[Cell]:
        return [self.fields(["status"])["status"].cell(row)]

    @expose("/show/<int:pk>")
    @has_access
    def show(self, pk: int) -> Any:
        license = self.row(pk)
        uses, count = license_use.uses_of(license)
        told = [(use.reference, shown(use.quantity, "number"), shown(use.since, "moment")) for use in uses]
        more = count - len(uses)
        return render_template(
            "license.html",
            page=self.detail_page(license),
            license=license,
            gauge=_gauge(license),
            uses=told,
            more=more and ngettext("and one more", "and %(num)s more", more),
            chart=_year_chart(license),
        )

    def detail_page(self, row: License) -> DetailPage:
        return replace(super().detail_page(row), lead=f"{row.type.name} · {row.account}")

    def links(self, row: License) -> list[Link]:
        if not may("license_movement.export"):
            return []
        url = url_for("MovementsView.export", **{"_flt_1_license.public_id": row.public_id})
        return [Link(_("Export movements"), url, "download")]

    def tools(self, listing: Listing) -> list[Link]:
        """Of the own licenses; those of accounts beneath are given back on their pages."""
        scope = current_scope()
        if scope.kind.manages_accounts or not may("license.surrender"):
            return []
        return [surrender_link(scope.account_id, back=self.url("list"))]

    def questions(self, row: License) -> list[Action]:
        status = row.status_on(clock.today(row.account.time_zone))
        asked = []
        if may("license.surrender") and may_change(row) and status is LicenseStatus.ACTIVE and row.available:
            asked.append(surrender_action(row.account_id, row, back=self.url("show", pk=row.id)))
        if may("license.suspend") and _from_above(row) and status in {LicenseStatus.ACTIVE, LicenseStatus.UPCOMING}:
            asked.append(self._question(row, "suspend", _("Suspend"), "player-pause"))
        if may("license.revoke") and may_change(row) and status not in OVER:
            asked.append(self._question(row, "revoke", _("Revoke"), "ban", danger=True))
        return asked

    @command(
        "reinstate",
        _l("Reinstate"),
        confirm=_l("Reinstate these licenses? They can be used again at once."),
        confirm_one=_l("Reinstate %(name)s? It can be used again at once."),
        icon="player-play",
        permission="suspend",
        offered=lambda license: license.status is LicenseStatus.SUSPENDED,
    )
    def reinstate(self, chosen: list[License]) -> str:
        for license in chosen:
            licenses.reinstate(license, by=me())
        return ngettext("One license was reinstated.", "%(num)s licenses were reinstated.", len(chosen))

    @expose("/suspend/<int:pk>", methods=["GET", "POST"])
    @has_access
    def suspend(self, pk: int) -> Any:
        license, form = self._beneath(pk), ReasonForm()
        lead = _("Nothing more can be taken into use until it is reinstated. What is in use stays noted.")
        return self._ask(
            self._question_page(license, "suspend", form, _l("Suspend %(name)s"), _("Suspend"), lead=lead),
            lambda: licenses.suspend(license, reason=form.reason.data, by=me()),
            _("%(license)s is suspended.", license=license),
        )

    @expose("/revoke/<int:pk>", methods=["GET", "POST"])
    @has_access
    def revoke(self, pk: int) -> Any:
        license, form = self._beneath(pk), ReasonForm()
        lead = _("The license is taken back for good.")
        return self._ask(
            self._question_page(license, "revoke", form, _l("Revoke %(name)s"), _("Revoke"), lead=lead, danger=True),
            lambda: licenses.revoke(license, reason=form.reason.data, by=me()),
            _("%(license)s was revoked.", license=license),
        )

    def _beneath(self, pk: int) -> License:
        row = self.row(pk)
        return row if _from_above(row) else abort(403)


class ReasonForm(FlaskForm):
    """Why something is done to a license; its account reads it."""

    reason = reason_field(licenses.LONGEST_REASON, _l("The account can read it."))


class MovementsView(BackOfficeView):
    """What was taken into use and released, when and for what. Only added to."""

    route_base = "/license-movements"
    datamodel = Table(LicenseMovement)
    noun = "license_movement"
    list_title = _l("Use of licenses")
    list_lead = _l("What was taken into use and released. Nothing in here can be changed or deleted.")
    label_columns = {
        "at": _l("When"),
        "kind": _l("What"),
        "quantity": _l("Quantity"),
        "in_use": _l("In use afterwards"),
        "reference": _l("Reference"),
        "actor": _l("Who"),
        "license.public_id": _l("License"),
        "account.name": _l("Account"),
    }
    list_columns = ["at", "kind", "quantity", "in_use", "reference", "actor", "license.public_id", "account.name"]
    totaled = ("quantity",)
    search = ("reference", "actor", "license.public_id", "account.name")
    order = ("-at",)
    related_keys = {"license_id": License}
    include_route_methods = {"list", "export", "action_post", "related_list"}
    empty_title = _l("Nothing has been used yet")
    empty_text = _l("Every use and release through the API stands here.")

    def fields(self, names: Any = None) -> dict[str, Field]:
        fields = without_own_account(super().fields(names))
        of_one_license = {"license.public_id", "account.name"} if "key" in (request.view_args or {}) else set()
        left = {name: field for name, field in fields.items() if name not in of_one_license}
        return changed(left, quantity={"per": "kind"})


def _gauge(license: License) -> dict[str, Any]:
    """The numbers of a license, and how full it is."""
    percent = license.in_use * 100 // license.quantity
    tone = "full" if percent >= 100 else "low" if percent >= 80 else "good"
    return {
        "quantity": shown(license.quantity, "number"),
        "in_use": shown(license.in_use, "number"),
        "available": shown(license.available, "number"),
        "limit": shown(license.limit, "number") if license.limit else _("without limit"),
        "tolerates": license.limit != license.quantity,
        "percent": shown(percent, "number"),
        "tone": tone,
    }


def _year_chart(license: License) -> dict[str, Any]:
    months = license_use.year_of(license)
    return {
        "labels": [month_name(month.first) for month in months],
        "series": [
            {"label": _("Most in use"), "values": [month.peak for month in months]},
            {"label": _("Quantity"), "values": [license.quantity] * len(months), "type": "line"},
        ],
    }


def _from_above(license: License) -> bool:
    """Whether it is another account's license, or the operator's own: nobody else decides about their own."""
    scope = current_scope()
    if not may_change(license):
        return False
    return license.account_id != scope.account_id or scope.kind is Kind.OPERATOR

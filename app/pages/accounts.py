"""Accounts: the list of those beneath the acting one, each with a page, holds, and a place in the tree (M-1 … M-6)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flask import abort, flash, redirect, request, url_for
from flask_appbuilder import expose
from flask_appbuilder.security.decorators import has_access, permission_name
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext
from flask_wtf import FlaskForm
from sqlalchemy import select
from sqlalchemy.orm import joinedload
from wtforms import RadioField
from wtforms.validators import InputRequired

from .. import clock, properties
from ..errors import Refused
from ..extensions import db
from ..models import Account, Consent, HoldKind, Kind, Member, Plan, Property
from ..services import accounts, contacts, holds, moves, plans, subscriptions
from ..services.import_columns import ID_LABEL, ids_for
from ..tenancy import current_scope, may_change
from ..ui import masks
from ..ui import properties as property_columns
from ..ui.acting import may, me
from ..ui.archived import BY_STATUS, archived_alone, archived_link, with_archived
from ..ui.columns import Field, Kept, changed
from ..ui.fields import choices, reason_field
from ..ui.formats import price_in_words, shown, time_zone
from ..ui.interface import Table
from ..ui.labels import ACCOUNT, ACCOUNT_HELPS
from ..ui.listing import Listing
from ..ui.page import Action, Cell, Fact, FieldGroup, Link, Section
from ..ui.standing import Standing, badge, standing_column, standings_of
from ..ui.view import BackOfficeView, command, key_of, render_part
from .imports import import_links
from .members import invite_link
from .surrender import surrender_action

SECTIONS_BY_CONSENT = {
    "articles": Consent.LICENSES, "licenses": Consent.LICENSES, "subscriptions": Consent.SUBSCRIPTIONS,
    "orders": Consent.ORDERS,
}  # fmt: skip

PLACES = 20  # offered at a time where an account could be moved to


class AccountsView(BackOfficeView):
    """The accounts beneath the acting one (M-1 … M-6)."""

    route_base = "/accounts"
    datamodel = Table(Account)
    noun = "account"
    list_title = _l("Accounts")
    list_lead = _l("Your customers and partners, with everything beneath them.")
    show_title = _l("Account")
    add_title = add_label = _l("Add account")
    edit_title = _l("Edit %(name)s")
    include_route_methods = {
        "list", "show", "reveal", "add", "edit", "export", "action_post", "related_list", "hold", "lift", "move",
    }  # fmt: skip
    label_columns = ACCOUNT | {
        "kind": _l("Kind"),
        "standing": _l("Status"),
        "parent.name": _l("Beneath"),
        "created_at": _l("Created"),
        "archived_at": _l("Archived"),
        "plan": _l("Price model"),
        "plan.name": _l("Price model"),
        "plan_id": _l("Price model"),
    }
    help_columns = ACCOUNT_HELPS | {"name": _l("Unique among the accounts beside it.")}
    list_columns = [
        "name", "kind", "standing", "parent.name", "contact", "email", "city", "country", "created_at", "phone",
    ]  # fmt: skip
    more_columns = (
        "website", "vat_id", "street", "postal_code", "language", "time_zone", "currency", "plan.name", "archived_at",
    )  # fmt: skip
    add_columns = edit_columns = [
        "name", "contact", "email", "phone", "street", "postal_code", "city", "country", "website", "vat_id",
        "language", "time_zone", "currency", "plan_id",
    ]  # fmt: skip
    search = ("name", "contact", "email", "phone", "city")
    order = ("name",)
    extra_args = ("archived",)
    form_groups = (
        ("", ("name", "contact", "email", "phone")),
        (_l("Postal address"), ("street", "postal_code", "city", "country")),
        (_l("Company"), ("website", "vat_id")),
        (_l("Region and terms"), ("language", "time_zone", "currency", "plan_id")),
    )
    sections = (
        (
            "overview",
            _l("Overview"),
            ("name", "kind", "parent.name", "contact", "email", "phone", "website", "vat_id", "plan"),
        ),
        (
            "region",
            _l("Address and terms"),
            ("street", "postal_code", "city", "country", "language", "time_zone", "currency", "created_at"),
        ),
    )
    related = (
        ("accounts", _l("Accounts beneath"), "AccountsView", "parent_id"),
        ("members", _l("Members"), "MembersView", "account_id"),
        ("invitations", _l("Invitations"), "InvitationsView", "account_id"),
        ("subscriptions", _l("Subscriptions"), "SubscriptionsView", "account_id"),
        ("orders", _l("Orders"), "OrdersView", "account_id"),
        ("articles", _l("Articles"), "HoldingsView", "account_id"),
        ("licenses", _l("Licenses"), "LicensesView", "account_id"),
        ("history", _l("History"), "HistoryView", "account_id"),
    )
    related_keys = {"parent_id": Account}
    empty_title = _l("No accounts yet")
    empty_text = _l("Add your first customer; invite its members afterwards.")

    def left_out(self) -> tuple[Any, ...]:
        own = Account.id == current_scope().account_id
        return (own,) if with_archived() else (own, Account.archived_at.is_not(None))

    def tools(self, listing: Listing) -> list[Link]:
        tools = [archived_link(listing)]
        if with_archived() and not archived_alone():
            tools.append(Link(_("Only archived"), self.url("list", **{BY_STATUS: "archived"}), "archive"))
        if may("property.list"):
            tools.append(Link(_("Edit table"), url_for("PropertiesView.list"), "columns", modal=True))
        return [*tools, *import_links("account")]

    def file_fields(self, listing: Listing) -> list[Field]:
        """For whoever may import, the ID by which an edited row is known again."""
        if not may("account.import"):
            return super().file_fields(listing)
        owner_id, now = current_scope().account_id, clock.now()
        said = ids_for(owner_id=owner_id, at=now)
        known = Field("id", ID_LABEL, "text", Kept(Account.id, lambda row: said(row.id), said))
        note = _("Leave this column as it is: with it the edited file can be imported again.")
        return [*super().file_fields(listing), replace(known, note=note)]

    def fields(self, names: Any = None) -> dict[str, Field]:
        """The list has the properties of whose list it is besides: the acting account's, or on a page its account's."""
        fields = super().fields(names)
        if "standing" in fields:
            fields["standing"] = standing_column("standing", self.label_columns["standing"])
        if names:
            return changed(fields, plan={"value": _plan_in_words})
        whose = request.view_args.get("pk") if request.endpoint == "AccountsView.related_list" else None
        wanted = properties.definitions_of(whose or current_scope().account_id)
        return fields | property_columns.columns([definition for definition in wanted if definition.as_column])

    def form_to_add(self) -> Any:
        own = _own_properties()
        data = self.defaults() | property_columns.proposed(own)
        return _with_plan(property_columns.form_with(self.add_form, own)(data=data))

    def form_to_edit(self, row: Account) -> Any:
        own = _own_properties()
        form = property_columns.form_with(self.edit_form, own)(obj=row, data=property_columns.held(own, row))
        return _with_plan(form, row.plan)

    def field_groups(self, fields: Any) -> Any:
        own = [field for field in fields if field.name.startswith("prop_")]
        groups = super().field_groups([field for field in fields if field not in own])
        return [*groups, FieldGroup(_("Properties"), own)] if own else groups

    def _sections(self, row: Account) -> Any:
        sections = super()._sections(row)
        own = property_columns.columns(_own_properties())
        if own and not current_scope().agreed(row.id):
            facts = [Fact(str(field.label), field.cell(row)) for field in own.values()]
            sections.insert(len(self.sections), Section("properties", _("Properties"), facts))
        return [*_holds_of(row), *sections]

    def defaults(self) -> dict[str, Any]:
        own = db.session.get(Account, current_scope().account_id)
        return {name: getattr(own, name) for name in ("country", "language", "time_zone", "currency")}

    def may_edit(self, row: Account) -> bool:
        return _is_beneath(row)

    def is_muted(self, row: Account) -> bool:
        return row.is_archived

    def kind_of(self, row: Account) -> str:
        return str(row.kind.label)

    def badges(self, row: Account) -> list[Cell]:
        return [badge(standing) for standing in standings_of(row) if standing is not Standing.ACTIVE]

    def has_section(self, row: Account, key: str) -> bool:
        """A client by consent shows what it has agreed to."""
        if agreed := current_scope().agreed(row.id):
            return SECTIONS_BY_CONSENT.get(key) in agreed
        return key != "accounts" or row.kind.manages_accounts

    def links(self, row: Account) -> list[Link]:
        """*Invite member*, and *Switch to account* where one is a member (M-14)."""
        if row.is_archived or not _is_beneath(row):
            agreed = row.id in subscriptions.clients_to_order_for() and may("subscription.add")
            return [_subscribe_link(row)] if agreed else []
        links = [invite_link(account=row.id, back=self.url("show", pk=row.id))] if may("invitation.add") else []
        links += [_subscribe_link(row)] if may("subscription.add") else []
        links += [_give_link(row)] if may("holding.add") else []
        mine = select(Member.id).where(Member.account_id == row.id, Member.user_id == current_scope().user_id)
        if db.session.scalar(mine) is not None:
            links.append(Link(_("Switch to account"), f"/a/{row.slug}/", "login"))
        return links

    def questions(self, row: Account) -> list[Action]:
        if not self.may_edit(row):
            return []
        offered = [
            ("hold", _("Put on hold"), "lock", may("account.hold") and len(row.holds) < len(HoldKind)),
            ("lift", _("Lift hold"), "lock-open", may("account.hold") and row.holds),
            ("move", _("Move"), "sitemap", may("account.move")),
        ]
        asked = [self._question(row, verb, label, icon) for verb, label, icon, fits in offered if fits]
        if may("license.surrender") and not row.is_archived:
            asked.append(surrender_action(row.id, back=self.url("show", pk=row.id)))
        return asked

    def _single_actions(self, row: Account) -> list[Action]:
        """*Reveal contacts* besides, to whom they are masked (X-11)."""
        actions = super()._single_actions(row)
        if masks.are_open(row) or not may("contact.reveal"):
            return actions
        url = self.url("reveal", pk=row.id)
        return [Action(name="reveal", label=_("Reveal contacts"), icon="eye", url=url), *actions]

    @expose("/reveal/<int:pk>", methods=["POST"])
    @has_access
    @permission_name("show")
    def reveal(self, pk: int) -> Any:
        """The account's page with its contacts, this once; the history tells who has seen them."""
        if not may("contact.reveal"):
            abort(403)
        row = self.row(pk)
        if masks.are_open(row):
            return redirect(self.url("show", pk=pk))
        try:
            contacts.reveal(row, by=me())
        except Refused as refusal:
            flash(refusal.sentence, "danger")
            return redirect(self.url("show", pk=pk))
        masks.reveal(row)
        flash(_("The contacts are shown on this page only; that you have seen them stands in the history."), "success")
        return self.show(pk)

    @expose("/hold/<int:pk>", methods=["GET", "POST"])
    @has_access
    def hold(self, pk: int) -> Any:
        """Put an account on hold: which hold, and why."""
        row = self._beneath(pk)
        form = _hold_form([kind for kind in HoldKind if kind not in row.holds])
        lead = _("On an administrative hold, its members sign in and read, and can change nothing;"
                 " accounts beneath it go on. A financial hold is noted.")  # fmt: skip
        return self._ask(
            self._question_page(row, "hold", form, _l("Put %(name)s on hold"), _("Put on hold"), lead=lead),
            lambda: holds.put_on_hold(row, HoldKind(form.kind.data), reason=form.reason.data, by=me()),
            _("“%(name)s” is on hold.", name=row.name),
        )

    @expose("/lift/<int:pk>", methods=["GET", "POST"])
    @has_access
    @permission_name("hold")
    def lift(self, pk: int) -> Any:
        """Lift a hold: which one, and why."""
        row = self._beneath(pk)
        if not row.holds:
            raise Refused(_("%(name)s is on no hold.", name=row.name))
        form = _hold_form(row.holds)
        return self._ask(
            self._question_page(row, "lift", form, _l("Lift the hold on %(name)s"), _("Lift hold")),
            lambda: holds.lift(row, HoldKind(form.kind.data), reason=form.reason.data, by=me()),
            _("The hold on “%(name)s” is lifted.", name=row.name),
        )

    @expose("/move/<int:pk>", methods=["GET", "POST"])
    @has_access
    def move(self, pk: int) -> Any:
        """Move an account: choose the place, see what changes, do it."""
        row, to = self._beneath(pk), self._place()
        if to is None:
            return self._places(row)
        try:
            moves.refuse(row, to=to, by=me())
        except Refused as refusal:
            return self._places(row, problem=refusal.sentence)
        seen = moves.preview(row, to=to)
        page = self._question_page(
            row,
            "move",
            FlaskForm(),
            _l("Move %(name)s"),
            _("Move account"),
            url=self.url("move", pk=pk, to=to.id),
            cancel_url=self.url("move", pk=pk),
            extra="_move.html",
            more={"row": row, "old": row.parent, "to": to, "seen": seen},
            within=True,
        )
        return self._ask(
            page,
            lambda: moves.move(row, to=to, by=me()),
            ngettext("One account was moved.", "%(num)s accounts were moved.", seen.count),
            then=self.url("show", pk=pk),
        )

    def _beneath(self, pk: int) -> Account:
        row = self.row(pk)
        return row if self.may_edit(row) else abort(403)

    def _place(self) -> Account | None:
        """The place asked for; a foreign one does not exist."""
        asked = request.args.get("to")
        return None if asked is None else self.row(key_of(asked))

    def _places(self, row: Account, problem: str = "") -> Any:
        """Where it could go, to choose from; found by name."""
        q = request.args.get("q", "").strip()[:120].replace("\x00", "")
        found = accounts.named(moves.places(row).options(joinedload(Account.parent)), q, most=PLACES + 1)
        said = {"row": row, "places": found[:PLACES], "more": len(found) > PLACES, "q": q, "problem": problem}
        answer = render_part("_places.html", title=_("Move %(name)s", name=row.name), **said)
        return answer, 422 if problem or request.method == "POST" else 200

    def create(self, form: Any) -> Account:
        facts = {name: form[name].data for name in self.add_columns if name != "plan_id"}
        account = accounts.open_account(parent=db.session.get(Account, current_scope().account_id), by=me(), **facts)
        _choose_plan(account, form)
        properties.write(account, property_columns.typed(_own_properties(), form))
        return account

    def change(self, row: Account, form: Any) -> None:
        facts = {name: form[name].data for name in self.edit_columns if name in form and name != "plan_id"}
        accounts.change(row, **facts)
        _choose_plan(row, form)
        properties.write(row, property_columns.typed(_own_properties(), form))

    @command(
        "archive",
        _l("Archive"),
        confirm=_l("Archive these accounts? Their members can no longer act in them until they are restored."),
        confirm_one=_l("Archive “%(name)s”? Its members can no longer act in it until it is restored."),
        icon="archive",
        danger=True,
        offered=lambda account: not account.is_archived and _is_beneath(account),
    )
    def archive(self, chosen: list[Account]) -> str:
        for account in chosen:
            accounts.archive(account, by=me())
        return ngettext("One account was archived.", "%(num)s accounts were archived.", len(chosen))

    @command(
        "restore",
        _l("Restore"),
        icon="restore",
        permission="archive",
        offered=lambda account: account.is_archived,
    )
    def restore(self, chosen: list[Account]) -> str:
        for account in chosen:
            accounts.restore(account, by=me())
        return ngettext("One account was restored.", "%(num)s accounts were restored.", len(chosen))

    @command(
        "enable_partner",
        _l("Switch partner management on"),
        icon="building-store",
        permission="promote",
        offered=lambda account: account.kind is Kind.CUSTOMER,
    )
    def enable_partner(self, chosen: list[Account]) -> None:
        for account in chosen:
            accounts.enable_partner(account, by=me())

    @command(
        "disable_partner",
        _l("Switch partner management off"),
        confirm=_l("Switch partner management off? These accounts can then have no accounts beneath them."),
        confirm_one=_l("Switch partner management off? “%(name)s” can then have no accounts beneath it."),
        icon="building",
        permission="promote",
        offered=lambda account: account.kind is Kind.PARTNER and _is_beneath(account),
    )
    def disable_partner(self, chosen: list[Account]) -> None:
        for account in chosen:
            accounts.disable_partner(account, by=me())


def _subscribe_link(account: Account) -> Link:
    return Link(_("Add subscription"), url_for("SubscriptionsView.add", account=account.id), icon="refresh", modal=True)


def _give_link(account: Account) -> Link:
    url = url_for("HoldingsView.add", account=account.id, back=url_for("AccountsView.show", pk=account.id))
    return Link(_("Give article"), url, icon="package", modal=True)


def _with_plan(form: Any, current: Plan | None = None) -> Any:
    """The account's form, with the plans one may choose: those on offer and the one it has."""
    if not may("plan.choose"):
        del form.plan_id
    elif current is not None and current.is_archived:
        form.plan_id.choices = [*form.plan_id.choices, *choices([(current.id, current.name)])]
    return form


def _choose_plan(account: Account, form: Any) -> None:
    if "plan_id" in form:
        plan = db.session.get(Plan, form.plan_id.data) if form.plan_id.data else None
        plans.choose_plan(account, plan, by=me())


def _plan_in_words(account: Account) -> str:
    return price_in_words(account.plan, clock.today(time_zone()), account.currency) if account.plan else ""


def _is_beneath(account: Account) -> bool:
    return account.id != current_scope().account_id and may_change(account)


def _own_properties() -> list[Property]:
    return properties.definitions_for(current_scope())


def _hold_form(kinds: list[HoldKind]) -> Any:
    """Which hold, and why; the account's members read the reason."""
    offered = choices((kind.value, kind.label) for kind in kinds)

    class HoldForm(FlaskForm):
        kind = RadioField(_l("Hold"), [InputRequired(_l("Please fill this in."))], choices=offered)
        reason = reason_field(holds.LONGEST, _l("The account's members read it, and it stays in the history."))

    return HoldForm(kind=kinds[0].value if kinds else None)


def _holds_of(row: Account) -> list[Section]:
    """Why it is on hold, first of all."""
    found = [hold for kind in row.holds if (hold := holds.find(row.id, kind))]
    facts = [
        Fact(
            str(hold.kind.label),
            Cell(
                _("%(reason)s (%(who)s, %(when)s)",
                  reason=hold.reason, who=hold.set_by, when=shown(hold.set_at, "moment")),
                "long",
            ),
        )
        for hold in found
    ]  # fmt: skip
    return [Section("holds", _("On hold"), facts)] if facts else []

"""API keys: their list, what the form of one asks besides its name, and the one page that shows its secret."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from flask import render_template, request, url_for
from flask_appbuilder import expose
from flask_appbuilder.security.decorators import has_access
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext
from flask_wtf import FlaskForm
from wtforms import SelectField

from .. import clock, permissions
from ..errors import Refused
from ..models import ApiKey, ApiKeyStatus
from ..services import api_keys
from ..services.api_keys import LIFETIMES
from ..tenancy import current_scope
from ..ui.acting import may, me
from ..ui.columns import Field, changed
from ..ui.fields import choices
from ..ui.interface import Table
from ..ui.listing import Listing
from ..ui.page import FormPage, Link
from ..ui.view import BackOfficeView, command


class Choice(NamedTuple):
    """One thing a key may do."""

    name: str
    label: str
    reads: bool
    ticked: bool


def form_on(form: type[FlaskForm]) -> type[FlaskForm]:
    """The form with the time a key lives."""
    days = SelectField(_l("Valid for"), choices=choices((str(days), _span(days)) for days in LIFETIMES))
    return type("ApiKeyForm", (form,), {"days": days})


def _span(days: int) -> str:
    if days % 365 == 0:
        return ngettext("%(num)s year", "%(num)s years", days // 365)
    return ngettext("%(num)s day", "%(num)s days", days)


def page_on(page: FormPage) -> FormPage:
    """The page with the scopes to tick, those ticked before among them."""
    ticked = set(request.form.getlist("scopes"))
    scope = current_scope()
    groups = [
        (str(permissions.NOUNS[noun]), [_choice(name, ticked) for name in names])
        for noun, names in permissions.scopes(scope.kind, scope.role).items()
    ]
    return replace(page, submit_label=_("Create key"), extra="_api_key_scopes.html", more={"groups": groups})


def _choice(name: str, ticked: set[str]) -> Choice:
    return Choice(name, str(permissions.TABLE[name].label), permissions.reads(name), name in ticked)


def show_secret(key: ApiKey, secret: str, *, modal: bool) -> str:
    """The secret, which nobody will see again."""
    template = "_api_key_made.html" if modal else "api_key_made.html"
    address = request.host_url.rstrip("/") + "/api/v1/me/"
    return render_template(
        template, key=key, secret=secret, address=address, modal=modal, done_url=url_for("ApiKeysView.list")
    )


def scopes_in_words(scopes: Sequence[str]) -> str:
    """What a key may do, by noun: "Accounts (read and write), Members (read)"."""
    said = []
    for noun in permissions.BY_PROGRAMS:
        own = [scope for scope in scopes if scope.split(".")[0] == noun]
        if own:
            said.append(f"{permissions.NOUNS[noun]} ({_extent(own)})")
    return ", ".join(said)


def _extent(scopes: Sequence[str]) -> str:
    reads, writes = any(map(permissions.reads, scopes)), not all(map(permissions.reads, scopes))
    return _("read and write") if reads and writes else _("write") if writes else _("read")


class ApiKeysView(BackOfficeView):
    """The keys with which programs act in the account, each for the member who made it (section 6)."""

    route_base = "/api-keys"
    datamodel = Table(ApiKey)
    noun = "api_key"
    list_title = _l("API keys")
    list_lead = _l("A program with such a key acts for the person who made it, and can do no more than the key says.")
    add_title = add_label = _l("Create key")
    label_columns = {
        "name": _l("Name"),
        "status": _l("Status"),
        "prefix": _l("Begins with"),
        "may": _l("May do"),
        "created_by": _l("Acts for"),
        "created_at": _l("Created"),
        "last_used_at": _l("Last used"),
        "expires_at": _l("Valid until"),
    }
    help_columns = {"name": _l("What the program is called, such as “Warehouse”; history names it.")}
    list_columns = ["name", "status", "prefix", "may", "created_by", "last_used_at", "expires_at"]
    more_columns = ("created_at",)
    add_columns = ["name"]
    search = ("name", "prefix", "created_by")
    order = ("name",)
    include_route_methods = {"list", "add", "export", "action_post"}
    empty_title = _l("No API keys yet")
    empty_text = _l("Create one for each program that is to read or change things here.")

    def fields(self, names: Any = None) -> dict[str, Field]:
        """The status is that of this moment: nobody notes when a key expires."""
        status = {"value": lambda row: row.status_at(clock.now()), "expression": api_keys.status_column()}
        return changed(
            super().fields(names),
            status=status | {"kind": "choice", "choices": [*ApiKeyStatus]},
            may={"value": lambda row: scopes_in_words(row.scopes)},
        )

    def is_muted(self, row: ApiKey) -> bool:
        return row.status_at(clock.now()) is not ApiKeyStatus.ACTIVE

    def tools(self, listing: Listing) -> list[Link]:
        return [Link(_("API reference"), url_for("ApiReferenceView.show"), "api")] if may("api.show") else []

    @expose("/add", methods=["GET", "POST"])
    @has_access
    def add(self) -> Any:
        """Make a key and show its secret, this once."""
        form = form_on(self.add_form)(data={"days": str(api_keys.USUAL_LIFETIME)})
        page = page_on(self._form_page(form, self.add_title, self.url("add")))
        if request.method != "POST" or not form.validate():
            return self._render_form(form, page)
        scopes, days = request.form.getlist("scopes"), int(form.days.data)
        try:
            key, secret = api_keys.create(form.name.data, scopes=scopes, days=days, by=me())
        except Refused as refusal:
            return self._refused(form, refusal, page)
        return show_secret(key, secret, modal=page.modal)

    @command(
        "revoke",
        _l("Revoke"),
        confirm=_l("Revoke these API keys? Programs that use them are turned away from this moment on."),
        icon="ban",
        danger=True,
    )
    def revoke(self, chosen: list[ApiKey]) -> str:
        for key in chosen:
            api_keys.revoke(key, by=me())
        return ngettext("One API key was revoked.", "%(num)s API keys were revoked.", len(chosen))

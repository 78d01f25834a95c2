"""What the form of an API key asks besides its name, and the one page that shows its secret."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from flask import render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext
from flask_wtf import FlaskForm
from wtforms import SelectField

from .. import permissions
from ..models import ApiKey
from ..services.api_keys import LIFETIMES
from ..tenancy import current_scope
from ..ui.fields import choices
from ..ui.page import FormPage


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

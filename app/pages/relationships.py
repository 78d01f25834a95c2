"""Clients linked by consent, as the partner has them and as the client does (L-3, L-4).

Asking for a code says the same whatever is behind the address; all of it that reaches across the tree is done in a
unit of its own, whose rows no page is given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from flask import flash, request, url_for
from flask_appbuilder import expose
from flask_appbuilder.security.decorators import has_access, permission_name
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext
from flask_wtf import FlaskForm
from wtforms.validators import Email, InputRequired, Length, Optional

from .. import clock, tokens
from ..errors import Refused
from ..extensions import db
from ..models import Consent, Member, Purpose, Relationship, RelationshipStatus
from ..services import relationships
from ..services.above import office_above
from ..tenancy import current_scope
from ..ui.acting import may, me
from ..ui.columns import Field
from ..ui.fields import EmailField, LocalDateField, Trimmed
from ..ui.interface import Table
from ..ui.listing import Listing
from ..ui.page import FieldGroup, Link, Row
from ..ui.view import BackOfficeView, command, leave_form
from ..ui.visitor import visitor
from .signin import unit

REQUIRED = InputRequired(_l("Please fill this in."))
ADDRESS = [REQUIRED, Length(max=320), Email(_l("This is not an e-mail address."))]
MINUTES = int(tokens.LIFETIME[Purpose.CONSENT].total_seconds()) // 60


class AskForm(FlaskForm):
    """Whom to ask, and until when; what for is ticked beside it."""

    email = EmailField(
        _l("E-mail of the client"),
        ADDRESS,
        description=_l("Of somebody who is Administrator of the client's account."),
        render_kw={"type": "email", "autocomplete": "off"},
    )
    ends_on = LocalDateField(
        _l("Ends on"), [Optional()], description=_l("The first day on which it holds no longer. Empty: without end.")
    )


class CodeForm(FlaskForm):
    email = EmailField(_l("E-mail of the client"), ADDRESS, render_kw={"type": "email", "autocomplete": "off"})
    code = Trimmed(
        _l("Code"),
        [REQUIRED, Length(max=40)],
        description=_l("The client reads it out of the mail and tells you."),
        render_kw={"inputmode": "numeric", "autocomplete": "one-time-code", "autofocus": True},
    )


class BetweenAccountsView(BackOfficeView):
    """What both sides see of a relationship."""

    datamodel = Table(Relationship)
    label_columns = {
        "client": _l("Client"),
        "partner": _l("Partner"),
        "consents": _l("Agreed"),
        "email": _l("Consent by"),
        "linked_by": _l("Linked by"),
        "created_at": _l("Since"),
        "ends_on": _l("Ends on"),
        "status": _l("Status"),
        "ended_at": _l("Ended"),
        "ended_by": _l("Ended by"),
    }
    order = ("-created_at",)

    def fields(self, names: Any = None) -> dict[str, Field]:
        """The status is that of this moment, whether or not anybody has noted the end."""
        status = {"value": lambda row: row.status_at(clock.now()), "expression": relationships.status_column()}
        status |= {"kind": "choice", "choices": [*RelationshipStatus]}
        agreed = {"value": lambda row: ", ".join(str(consent.label) for consent in row.consents)}
        said = {"status": status, "consents": agreed}
        return {name: replace(f, **said.get(name, {})) for name, f in super().fields(names).items()}

    def is_muted(self, row: Relationship) -> bool:
        return not _lasts(row)

    def end_all(self, chosen: list[Relationship]) -> str:
        for relationship in chosen:
            relationships.end(relationship, by=me())
        return ngettext("One relationship was ended.", "%(num)s relationships were ended.", len(chosen))


def _lasts(row: Relationship) -> bool:
    return row.status_at(clock.now()) is RelationshipStatus.ACTIVE


class RelationshipsView(BetweenAccountsView):
    """The clients that have let the acting account in; linked in two steps."""

    route_base = "/relationships"
    noun = "relationship"
    list_title = _l("Relationships")
    list_lead = _l("Clients that do not stand beneath you, and have agreed to be managed by you.")
    add_label = _l("Link a client")
    list_columns = ["client", "status", "consents", "ends_on", "email", "linked_by", "created_at", "ended_by"]
    search = ("client", "email", "linked_by")
    add_columns: list[str] = []  # its form is asked in two steps, see below
    include_route_methods = {"list", "add", "code", "export", "action_post"}
    empty_title = _l("No clients linked yet")
    empty_text = _l("A client elsewhere gets a code by e-mail and tells it to you; then you manage what was agreed.")

    def conditions(self) -> tuple[Any, ...]:
        return (Relationship.partner_id == current_scope().account_id,)

    def tools(self, listing: Listing) -> list[Link]:
        return [Link(_("Enter a code"), self.url("code"), "key", modal=True)] if may("relationship.add") else []

    def _row(self, row: Relationship, *args: Any, **kwargs: Any) -> Row:
        """The client's name leads to the client, as long as there is anything to see."""
        told = super()._row(row, *args, **kwargs)
        if not (may("account.show") and current_scope().agreed(row.account_id) and _lasts(row)):
            return told
        url = url_for("AccountsView.show", pk=row.account_id)
        return replace(told, url=url, cells=[told.cells[0]._replace(url=url), *told.cells[1:]])

    @expose("/add", methods=["GET", "POST"])
    @has_access
    def add(self) -> Any:
        """The first step: whom to ask, and what for."""
        form = AskForm()
        page = self._form_page(form, _l("Link a client"), self.url("add"))
        lead = _("The client gets a mail that names you and what you ask for, with a code. Once they tell you the code,"
                 " you are linked.")  # fmt: skip
        more = {"choices": _choices(), "always": Consent.VIEW}
        page = replace(page, lead=lead, submit_label=_("Send code"), extra="_consents.html", more=more)
        if request.method != "POST" or not form.validate():
            return self._render_form(form, page)
        try:
            _apart(_ask, form)
        except Refused as refusal:
            return self._refused(form, refusal, page)
        return self._code_page(CodeForm(formdata=None, email=form.email.data), sent=True)

    @expose("/code", methods=["GET", "POST"])
    @has_access
    @permission_name("add")
    def code(self) -> Any:
        """The second step: the code the client has told."""
        form = CodeForm()
        if request.method != "POST" or not form.validate():
            return self._code_page(form)
        try:
            client = _apart(_link, form)
        except Refused as refusal:
            form[refusal.field or "code"].errors = [refusal.sentence]
            return self._code_page(form)
        if not client:
            form.code.errors = [_("This code is not right, or it is no longer valid. You can ask for a new one.")]
            return self._code_page(form)
        flash(_("“%(client)s” is linked.", client=client), "success")
        return leave_form(self.url("list"))

    def _code_page(self, form: CodeForm, *, sent: bool = False) -> Any:
        page = self._form_page(form, _l("Enter the code"), self.url("code"))
        lead = _("If a client can be reached at this address, a code is on its way there. It is valid for %(count)s"
                 " minutes.", count=MINUTES)  # fmt: skip
        page = replace(page, lead=lead if sent else "", submit_label=_("Link client"))
        if form.code.errors:
            page = replace(page, extra="_new_code.html", more={"ask_url": self.url("add")})
        return self._render_form(form, replace(page, groups=[FieldGroup("", [form.email, form.code])]))

    @command(
        "end",
        _l("End"),
        confirm=_l("End the relationship with these clients? From this moment on you see nothing of them any more."),
        icon="x",
        danger=True,
        offered=_lasts,
    )
    def end(self, chosen: list[Relationship]) -> str:
        return self.end_all(chosen)


def _choices() -> list[tuple[Consent, bool]]:
    """What can be asked for, with whether it is ticked."""
    ticked = request.form.getlist("scopes") if request.method == "POST" else [*relationships.USUAL]
    return [(consent, consent in ticked) for consent in relationships.OFFERED]


def _apart(deed: Callable[[Any, Member], Any], form: Any) -> Any:
    """Do it in a unit without the wall, as the member who acts here."""
    member_id = current_scope().member_id
    with unit():
        return deed(form, db.session.get(Member, member_id))


def _ask(form: AskForm, by: Member) -> None:
    asked = request.form.getlist("scopes")
    if not set(asked) <= set(Consent):
        raise Refused(_("Not one of the choices."))
    scopes = [Consent(scope) for scope in asked]
    relationships.ask(form.email.data, scopes=scopes, ends_on=form.ends_on.data, by=by, visitor=visitor())


def _link(form: CodeForm, by: Member) -> str:
    """The linked client's name; one sentence for every way in which a code can be wrong, once the try is counted."""
    linked = relationships.link(form.email.data, form.code.data, by=by, visitor=visitor())
    return linked.client if linked else ""


class ManagersView(BetweenAccountsView):
    """Who manages the acting account: the one above it, and those it has let in itself (L-13)."""

    route_base = "/managers"
    noun = "manager"
    list_title = _l("Who manages my account")
    list_columns = ["partner", "status", "consents", "ends_on", "email", "created_at", "ended_by"]
    search = ("partner", "email")
    include_route_methods = {"list", "export", "action_post"}
    empty_title = _l("Nobody else manages this account")
    empty_text = _l("When a partner asks for your consent, a code comes by e-mail. Who has been told it stands here.")

    def conditions(self) -> tuple[Any, ...]:
        return (Relationship.account_id == current_scope().account_id,)

    def lead(self) -> Any:
        office = office_above(current_scope().account_id)
        if office is None:
            return _("Who has been let in by your consent, and to what.")
        return _("%(partner)s looks after this account and manages its licenses and orders. Those below have been let"
                 " in by your consent.", partner=office.name)  # fmt: skip

    @command(
        "end",
        _l("End"),
        confirm=_l("End this? From this moment on these partners see nothing of your account any more."),
        icon="x",
        danger=True,
        offered=_lasts,
    )
    def end(self, chosen: list[Relationship]) -> str:
        return self.end_all(chosen)

"""Who works in an account: its members, those invited, and what each role may do (M-7 … M-9)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flask import render_template, request, url_for
from flask_appbuilder import BaseView, expose
from flask_appbuilder.security.decorators import has_access
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext
from flask_wtf import FlaskForm

from .. import clock, permissions
from ..errors import Refused
from ..models import Account, Invitation, InvitationStatus, Member, Role
from ..services import invitations, members
from ..tenancy import current_scope
from ..ui.acting import may, me
from ..ui.columns import Field, changed
from ..ui.interface import Table
from ..ui.listing import Listing
from ..ui.page import FormPage, Link
from ..ui.view import BackOfficeView, account_asked_for, command
from .imports import import_links


class MembersView(BackOfficeView):
    """The people in the acting account and, as management data, in those beneath (M-7b)."""

    route_base = "/members"
    datamodel = Table(Member)
    noun = "member"
    related_commands = False  # an account's members are its own administrators' affair
    list_title = _l("Members")
    list_lead = _l("The people who can act in this account.")
    show_title = _l("Member")
    label_columns = {
        "user.last_name": _l("Last name"),
        "user.first_name": _l("First name"),
        "user.email": _l("E-mail"),
        "role": _l("Role"),
        "created_at": _l("Member since"),
    }
    list_columns = ["user.last_name", "user.first_name", "user.email", "role", "created_at"]
    search = ("user.last_name", "user.first_name", "user.email")
    order = ("user.last_name", "user.first_name")
    related_keys = {"account_id": Account}
    include_route_methods = {"list", "edit", "leave", "export", "action_post", "related_list"}
    edit_title = _l("Role of %(name)s")
    edit_columns = ["role"]
    empty_title = _l("No members yet")

    def may_edit(self, row: Member) -> bool:
        return row.account_id == current_scope().account_id

    def change(self, row: Member, form: Any) -> None:
        members.change_role(row, to=Role(form.role.data), by=me())

    @expose("/edit/<int:pk>", methods=["GET", "POST"])
    @has_access
    def edit(self, pk: int) -> Any:
        """Whoever gives away rights of their own is asked first: they cannot give them back to themselves."""
        row = self.row(pk)
        wanted = request.form.get("role", "")
        if row.id != me().id or wanted not in set(Role) or request.form.get("sure") == wanted:
            return super().edit(pk)
        lost = permissions.lost(row.account.kind, row.role, Role(wanted))
        if not lost:
            return super().edit(pk)
        form = self.form_to_edit(row)
        page = self._form_page(form, _l("Change your own role?"), self.url("edit", pk=pk))
        more = {"role": Role(wanted), "lost": lost}
        page = replace(page, extra="_demotion.html", more=more, submit_label=_("Change my role"), danger=True)
        return render_template("_form.html" if page.modal else "form.html", page=page), 422

    def conditions(self) -> tuple[Any, ...]:
        """The page shows the acting account's own members; those of others stand on their accounts' pages."""
        return (Member.account_id == current_scope().account_id,)

    @command(
        "remove",
        _l("Remove"),
        confirm=_l("Remove these members? They can no longer act in the account; what they did stays in its history."),
        icon="user-minus",
        danger=True,
        offered=lambda member: member.user_id != current_scope().user_id,
    )
    def remove(self, chosen: list[Member]) -> str:
        if me() in chosen:
            raise Refused(_("To go yourself, choose “Leave account”."))
        for member in chosen:
            members.remove(member, by=me())
        return ngettext("One member was removed.", "%(num)s members were removed.", len(chosen))

    def tools(self, listing: Listing) -> list[Link]:
        links = [Link(_("Leave account"), self.url("leave"), "logout")]
        links += [invite_link()] if may("invitation.add") else []
        return [*links, *import_links("invitation")]

    @expose("/leave", methods=["GET", "POST"])
    @has_access
    def leave(self) -> Any:
        """End one's own membership; on to another account one is a member of."""
        member, name = me(), me().account.name
        lead = _("You can no longer act in the account then. Coming back takes a new invitation.")
        page = self._form_page(FlaskForm(), _l("Leave %(name)s?"), self.url("leave"), name)
        return self._ask(
            replace(page, lead=lead, submit_label=_("Leave account"), danger=True),
            lambda: members.remove(member, by=member),
            _("You have left %(account)s.", account=name),
            then="/",
        )


class InvitationsView(BackOfficeView):
    """Who has been asked to become a member, and whether they have (M-7)."""

    route_base = "/invitations"
    datamodel = Table(Invitation)
    noun = "invitation"
    list_title = _l("Invitations")
    list_lead = _l("Who has been asked to join this account, and who has accepted.")
    add_title = _l("Invite member to %(name)s")
    add_label = _l("Invite member")
    label_columns = {
        "email": _l("E-mail"),
        "role": _l("Role"),
        "status": _l("Status"),
        "inviter": _l("Invited by"),
        "created_at": _l("Invited"),
        "expires_at": _l("Valid until"),
        "accepted_at": _l("Accepted"),
    }
    help_columns = {"email": _l("The link in the mail works once, for seven days.")}
    list_columns = ["email", "role", "status", "inviter", "created_at", "expires_at", "accepted_at"]
    add_columns = ["email", "role"]
    search = ("email", "inviter")
    order = ("-created_at",)
    related_keys = {"account_id": Account}
    include_route_methods = {"list", "add", "export", "action_post", "related_list"}
    empty_title = _l("No invitations yet")
    empty_text = _l("Invite your colleagues by e-mail; each gets a link to register with.")

    def conditions(self) -> tuple[Any, ...]:
        return (Invitation.account_id == current_scope().account_id,)

    def fields(self, names: Any = None) -> dict[str, Field]:
        """The status is that of this moment: nobody notes when an invitation expires."""
        status = {"value": lambda row: row.status_at(clock.now()), "expression": invitations.status_column()}
        return changed(super().fields(names), status=status)

    def tools(self, listing: Listing) -> list[Link]:
        return import_links("invitation")

    def is_muted(self, row: Invitation) -> bool:
        return row.status_at(clock.now()) is not InvitationStatus.PENDING

    def defaults(self) -> dict[str, Any]:
        return {"role": Role.VIEWER}

    def _form_page(self, form: Any, title: Any, url: str, name: str = "") -> FormPage:
        kept = {key: request.args[key] for key in ("account", "back") if key in request.args}
        page = super()._form_page(form, title, self.url("add", **kept), account_asked_for().name)
        return replace(page, submit_label=_("Send invitation"))

    def create(self, form: Any) -> Invitation:
        return invitations.invite(form.email.data, role=Role(form.role.data), account=account_asked_for(), by=me())

    def created_message(self, row: Invitation) -> str:
        return _("%(email)s is invited.", email=row.email)

    @command("resend", _l("Send again"), icon="send", offered=lambda row: row.status is InvitationStatus.PENDING)
    def resend(self, chosen: list[Invitation]) -> str:
        for invitation in chosen:
            invitations.resend(invitation, by=me())
        return ngettext("One invitation is sent again.", "%(num)s invitations are sent again.", len(chosen))

    @command(
        "withdraw",
        _l("Withdraw"),
        confirm=_l("Withdraw these invitations? Their links no longer work then."),
        icon="ban",
        danger=True,
        offered=lambda invitation: invitation.may_become(InvitationStatus.WITHDRAWN),
    )
    def withdraw(self, chosen: list[Invitation]) -> str:
        for invitation in chosen:
            invitations.withdraw(invitation, by=me())
        return ngettext("One invitation was withdrawn.", "%(num)s invitations were withdrawn.", len(chosen))


class RolesView(BaseView):
    """What each role may do in an account of this kind; the very table that is enforced."""

    route_base = "/roles"
    class_permission_name = "role"

    @expose("/")
    @has_access
    def list(self) -> Any:
        groups = [
            (str(noun), [(str(rule.label), [role in rule.roles for role in Role]) for rule in rules])
            for noun, rules in permissions.by_noun(current_scope().kind)
        ]
        return render_template("roles.html", roles=[str(role.label) for role in Role], groups=groups)


def invite_link(**values: Any) -> Link:
    """The way to the form that invites somebody."""
    return Link(_("Invite member"), url_for("InvitationsView.add", **values), icon="user-plus", modal=True)

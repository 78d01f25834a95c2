"""The link in an invitation (M-7): looking shows who invites whom to what, posting accepts."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, flash, redirect, render_template, session
from flask_babel import get_locale
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import PasswordField, SelectField
from wtforms.validators import DataRequired, EqualTo, Length

from .. import passwords
from ..errors import Refused
from ..models import Invitation, Member, User
from ..services import invitations, signin
from ..services.signin import Outcome, Step, Wish
from ..ui.acting import identity
from ..ui.fields import Trimmed, languages
from ..ui.page import Link
from ..ui.visitor import visitor
from .security import show_refusal
from .signin import renew_session, too_many_tries, unit

joining = Blueprint("join", __name__)

REQUIRED = DataRequired(_l("Please fill this in."))


class AcceptForm(FlaskForm):
    """For whoever is signed in: nothing to fill in."""


class ConfirmForm(FlaskForm):
    password = PasswordField(_l("Your password"), [REQUIRED], render_kw={"autocomplete": "current-password"})


class RegisterForm(FlaskForm):
    first_name = Trimmed(_l("First name"), [REQUIRED, Length(max=64)], render_kw={"autocomplete": "given-name"})
    last_name = Trimmed(_l("Last name"), [REQUIRED, Length(max=64)], render_kw={"autocomplete": "family-name"})
    password = PasswordField(
        _l("Password"), [REQUIRED], description=_l("At least %(count)s characters.", count=passwords.SHORTEST)
    )
    repeat = PasswordField(_l("Repeat"), [EqualTo("password", _l("The two are not the same."))])
    locale = SelectField(_l("Language"), choices=languages)


@joining.route("/join/<secret>", methods=["GET", "POST"])
def join(secret: str) -> Any:
    """One address for three kinds of people: signed in, known here, new."""
    with unit(writes=False):
        invitation = invitations.find(secret)
        user = signin.find_user(invitation.email) if invitation else None
    if invitation is None or (user is not None and not user.active):
        return _gone()
    person = identity()
    if person is not None and person.user.email != invitation.email:
        return _for_somebody_else(invitation, person.user)
    form: Any = _form(user, signed_in=person is not None)
    if form.validate_on_submit():
        try:
            return _accept(secret, form, invitation, user)
        except Refused as refusal:
            show_refusal(form, refusal)
    return _page(form, invitation, user)


def _form(user: User | None, *, signed_in: bool) -> FlaskForm:
    if signed_in:
        return AcceptForm()
    return ConfirmForm() if user is not None else RegisterForm(locale=str(get_locale()))


def _accept(secret: str, form: Any, invitation: Invitation, user: User | None) -> Any:
    if user is None:
        return _register(secret, form, invitation)
    if isinstance(form, ConfirmForm):
        return _confirm(secret, form.password.data, user)
    with unit():
        member = invitations.accept(secret, user=user, visitor=visitor())
    return _gone() if member is None else _welcome(member)


# --- signing in with it ----------------------------------------------------------------------------------------


def _confirm(secret: str, password: str, user: User) -> Any:
    """Known here, but not signed in: the password says that it is them. Compared outside of any unit."""
    with unit():
        admitted = signin.admit(user.email, visitor())
    if not admitted:
        raise Refused(too_many_tries(), field="password")
    right = passwords.fits(password, user.password)
    with unit():
        if right:
            member, step = _join(secret, user)
        else:
            signin.fail_password(user, visitor())
    if not right:
        raise Refused(_("This is not your password."), field="password")
    return _gone() if member is None else _go_on(step, member)


def _register(secret: str, form: RegisterForm, invitation: Invitation) -> Any:
    passwords.accept(form.password.data, email=invitation.email, names=[invitation.account.name])
    kept = passwords.hashed(form.password.data)
    with unit():
        member = invitations.register(
            secret,
            first_name=form.first_name.data,
            last_name=form.last_name.data,
            kept=kept,
            locale=form.locale.data,
            visitor=visitor(),
        )
        step = _sign_in(member) if member else None
    if member is None:
        return _gone()
    session["locale"] = form.locale.data
    return _go_on(step, member)


def _join(secret: str, user: User) -> tuple[Member | None, Step | None]:
    member = invitations.accept(secret, user=user, visitor=visitor())
    if member is None:
        return None, None
    if member.user.password != user.password:
        raise Refused(_("Your password was changed in the meantime."))
    return member, _sign_in(member)


def _sign_in(member: Member) -> Step:
    """Into the account just joined; whoever has a second factor is asked for it first."""
    wish = Wish(slug=member.account.slug)
    return signin.pass_password(member.user, renewed=None, wish=wish, visitor=visitor())


def _go_on(step: Step, member: Member) -> Response:
    if step.outcome is Outcome.CODE_WANTED:
        session["code"], session["as_partner"] = step.secret, False
        session["next"] = f"/a/{member.account.slug}/"
        return redirect("/login/code/")
    renew_session(login=step.secret)
    return _welcome(member)


def _welcome(member: Member) -> Response:
    flash(_("Welcome to %(account)s.", account=member.account.name), "success")
    return redirect(f"/a/{member.account.slug}/")


# --- what is shown ---------------------------------------------------------------------------------------------


def _page(form: Any, invitation: Invitation, user: User | None) -> Any:
    page = render_template(
        "join.html",
        form=form,
        account=invitation.account.name,
        inviter=invitation.inviter,
        role=str(invitation.role.label),
        email=invitation.email,
        is_new=user is None,
        forgot_url="/forgot/" if isinstance(form, ConfirmForm) else "",
    )
    return page, 422 if form.errors or form.form_errors else 200


def _for_somebody_else(invitation: Invitation, user: User) -> Any:
    text = _(
        "It is for %(email)s, and you are signed in as %(own)s. Sign out, then open the link again.",
        email=invitation.email,
        own=user.email,
    )
    title = _("This invitation is for somebody else")
    return render_template("notice.html", title=title, text=text, link=Link(_("Sign out"), "/logout/")), 403


def _gone() -> Any:
    """The same page for every link that does not work, whatever the reason."""
    return render_template("token_gone.html", link=Link(_("Back to sign-in"), "/login/")), 404

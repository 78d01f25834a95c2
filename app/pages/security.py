"""A person's own sign-in: who they are, password, second factor, where they are signed in."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import segno
from flask import Blueprint, abort, flash, g, redirect, render_template, request, session, url_for
from flask_babel import get_locale
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from sqlalchemy import select, update
from wtforms import PasswordField, SelectField, StringField
from wtforms.validators import DataRequired, EqualTo, Length

from .. import clock, passwords
from ..audit import record
from ..errors import Refused
from ..extensions import db
from ..models import Login, User
from ..services import second_factor, signin
from ..tenancy import current_scope
from ..ui.acting import Identity, identity
from ..ui.fields import Trimmed, choices, languages, time_zones
from ..ui.formats import shown
from ..ui.page import FieldGroup, FormPage
from ..ui.visitor import device_in_words, visitor
from .signin import renew_session, too_many_tries, unit

security = Blueprint("security", __name__, url_prefix="/security")

REQUIRED = DataRequired(_l("Please fill this in."))
CURRENT = {"autocomplete": "current-password"}


class PasswordForm(FlaskForm):
    current = PasswordField(_l("Current password"), [REQUIRED])
    password = PasswordField(
        _l("New password"), [REQUIRED], description=_l("At least %(count)s characters.", count=passwords.SHORTEST)
    )
    repeat = PasswordField(_l("Repeat"), [EqualTo("password", _l("The two are not the same."))])


class ProfileForm(FlaskForm):
    first_name = Trimmed(_l("First name"), [REQUIRED, Length(max=64)], render_kw={"autocomplete": "given-name"})
    last_name = Trimmed(_l("Last name"), [REQUIRED, Length(max=64)], render_kw={"autocomplete": "family-name"})
    locale = SelectField(_l("Language"), choices=languages)
    time_zone = SelectField(_l("Time zone"), choices=lambda: choices([("", _("That of the account"))]) + time_zones())


class ConfirmForm(FlaskForm):
    current = PasswordField(_l("Current password"), [REQUIRED], render_kw=CURRENT)


class FactorForm(ConfirmForm):
    code = StringField(_l("Code"), [REQUIRED], render_kw={"inputmode": "numeric", "maxlength": "12"})


# --- the page --------------------------------------------------------------------------------------------------


@security.get("/")
def show() -> Any:
    return _page(PasswordForm(formdata=None), _profile_form())


def _page(form: PasswordForm, profile: ProfileForm) -> Any:
    person = _person()
    page = render_template(
        "security.html",
        form=form,
        profile=profile,
        sessions=_sessions(person),
        second_factor=person.user.has_second_factor,
        codes_left=second_factor.recovery_codes_left(person.user.id),
        password_url=url_for("security.password"),
        profile_url=url_for("security.profile"),
        enable_url=url_for("security.turn_on"),
        disable_url=url_for("security.turn_off"),
        recovery_url=url_for("security.recovery_codes"),
        end_all_url=url_for("security.end_all"),
    )
    return page, 422 if form.errors or profile.errors else 200


def _profile_form(**options: Any) -> ProfileForm:
    user = _person().user
    known = {"locale": user.locale or str(get_locale()), "time_zone": user.time_zone or ""}
    return ProfileForm(**options, first_name=user.first_name, last_name=user.last_name, **known)


def _sessions(person: Identity) -> list[Any]:
    mine = select(Login).where(Login.user_id == person.user.id, *signin.is_running()).order_by(Login.seen_at.desc())
    return [_session(login, person) for login in db.session.scalars(mine)]


def _session(login: Login, person: Identity) -> Any:
    return SimpleNamespace(
        device=device_in_words(login.device),
        place=login.ip,
        last_seen=shown(login.seen_at, "moment"),
        current=login.id == person.login_id,
        end_url=url_for("security.end", login_id=login.id),
    )


# --- who one is ------------------------------------------------------------------------------------------------


@security.post("/profile")
def profile() -> Any:
    form = _profile_form()
    if not form.validate():
        return _page(PasswordForm(formdata=None), form)
    user = db.session.get(User, _person().user.id)
    user.first_name, user.last_name = form.first_name.data, form.last_name.data
    user.locale, user.time_zone = form.locale.data, form.time_zone.data or None
    record("user.profile_changed", account_id=current_scope().account_id, inside=True)
    session["locale"] = form.locale.data
    flash(_("Your details were saved."), "success")
    return redirect(url_for("security.show"))


# --- password --------------------------------------------------------------------------------------------------


@security.post("/password")
def password() -> Any:
    person, form = _person(), PasswordForm()
    if form.validate():
        try:
            _change_password(person, form)
        except Refused as refusal:
            show_refusal(form, refusal)
        else:
            flash(_("Your password was changed. You are signed out everywhere else."), "success")
            return redirect(url_for("security.show"))
    return _page(form, _profile_form(formdata=None))


def _change_password(person: Identity, form: PasswordForm) -> None:
    _confirm(person.user, form.current.data)
    names = signin.own_names(person.memberships)
    passwords.accept(form.password.data, email=person.user.email, names=names)
    kept, by = passwords.hashed(form.password.data), _by(person)
    with unit():
        key = signin.change_password(person.user, kept, login_id=person.login_id, **by)
    session["login"] = key


def _confirm(user: User, current: str) -> None:
    """Let the person through who knows the password; a try is counted before it is looked at."""
    with unit():
        admitted = signin.admit(user.email, visitor())
    if not admitted:
        raise Refused(too_many_tries(), field="current")
    right = passwords.fits(current, user.password)
    with unit():
        if right:
            signin.forgive(user.email, visitor())
        else:
            signin.fail_password(user, visitor())
    if not right:
        raise Refused(_("This is not your password."), field="current")


# --- second factor ---------------------------------------------------------------------------------------------


@security.route("/second-factor", methods=["GET", "POST"])
def turn_on() -> Any:
    """Show the app its secret. Nothing is kept before the app has proved that it makes the right codes."""
    person, form = _person(), FactorForm()
    if person.user.has_second_factor:
        return redirect(url_for("security.show"))
    nonce = session.setdefault("totp_nonce", second_factor.new_nonce())
    if form.validate_on_submit():
        try:
            return _turn_on(person, form, nonce)
        except Refused as refusal:
            show_refusal(form, refusal)
    told = {
        "qr_svg": segno.make(second_factor.address_for_app(person.user, nonce)).svg_inline(scale=4, light="#fff"),
        "secret": _in_fours(second_factor.secret_of(person.user, nonce)),
        "cancel_url": url_for("security.show"),
        "obligatory": person.must_set_up_second_factor,
    }
    return render_template("totp_setup.html", form=form, **told), 422 if form.errors else 200


def _turn_on(person: Identity, form: FactorForm, nonce: str) -> Any:
    by = _by(person)
    _confirm(person.user, form.current.data)
    with unit():
        codes = signin.turn_on_second_factor(person.user, nonce, form.code.data, login_id=person.login_id, **by)
    del session["totp_nonce"]
    return _show_codes(codes)


@security.route("/second-factor/off", methods=["GET", "POST"])
def turn_off() -> Any:
    person, form = _person(), ConfirmForm()
    by = _by(person)
    if not person.user.has_second_factor:
        return redirect(url_for("security.show"))
    if form.validate_on_submit():
        try:
            _confirm(person.user, form.current.data)
            with unit():
                signin.turn_off_second_factor(person.user, **by)
        except Refused as refusal:
            show_refusal(form, refusal)
        else:
            flash(_("The second factor is off."), "success")
            return redirect(url_for("security.show"))
    lead = _("From then on your password alone is enough to sign in.")
    return _confirmation(form, _("Turn off the second factor"), _("Turn off"), lead, danger=True)


@security.route("/recovery-codes", methods=["GET", "POST"])
def recovery_codes() -> Any:
    person, form = _person(), ConfirmForm()
    by = _by(person)
    if not person.user.has_second_factor:
        return redirect(url_for("security.show"))
    if form.validate_on_submit():
        try:
            _confirm(person.user, form.current.data)
            with unit():
                codes = signin.renew_recovery_codes(person.user, **by)
        except Refused as refusal:
            show_refusal(form, refusal)
        else:
            return _show_codes(codes)
    lead = _("You get ten new codes. Those you have kept so far no longer work.")
    return _confirmation(form, _("New recovery codes"), _("Make new codes"), lead)


def _confirmation(form: ConfirmForm, title: str, label: str, lead: str, *, danger: bool = False) -> Any:
    page = FormPage(
        title=title,
        url=request.script_root + request.path,
        form=form,
        groups=[FieldGroup("", [form.current])],
        submit_label=label,
        cancel_url=url_for("security.show"),
        lead=lead,
        danger=danger,
    )
    return render_template("form.html", page=page), 422 if form.errors else 200


def _show_codes(codes: list[str]) -> Any:
    return render_template("recovery_codes.html", codes=codes, done_url=url_for("security.show"))


def _in_fours(secret: str) -> str:
    return " ".join(secret[n : n + 4] for n in range(0, len(secret), 4))


# --- where one is signed in ------------------------------------------------------------------------------------


@security.post("/sessions/<int:login_id>/end")
def end(login_id: int) -> Any:
    """Sign one browser out; somebody else's does not exist."""
    if login_id >= 2**31 or db.session.get(Login, login_id) is None:
        abort(404)
    _end(Login.id == login_id)
    flash(_("That browser is signed out."), "success")
    return redirect(url_for("security.show"))


@security.post("/sessions/end")
def end_all() -> Any:
    _end()
    renew_session()
    flash(_("You are signed out everywhere."), "success")
    return redirect("/login/")


def _end(*conditions: Any) -> None:
    mine = (Login.user_id == current_scope().user_id, Login.ended_at.is_(None))
    ended = db.session.execute(
        update(Login).where(*mine, *conditions).values(ended_at=clock.now()),
        execution_options={"synchronize_session": False},
    )
    if ended.rowcount:
        record("user.sessions_ended", account_id=current_scope().account_id, inside=True, count=ended.rowcount)


# --- small things ----------------------------------------------------------------------------------------------


def _person() -> Identity:
    return identity() or abort(404)


def _by(person: Identity) -> dict[str, Any]:
    """Who does it, and from where; asked outside the unit of work, which has a `g` of its own."""
    acting = next(member for member in person.memberships if member.id == g.scope.member_id)
    return {"acting": acting, "visitor": visitor()}


def show_refusal(form: FlaskForm, refusal: Refused) -> None:
    """Say no where the reason lies."""
    if refusal.field in form:
        form[refusal.field].errors = [refusal.sentence]
    else:
        form.form_errors.append(refusal.sentence)

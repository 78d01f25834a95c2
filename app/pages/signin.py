"""The pages before anybody is known: sign-in, second step, forgotten password, and the way out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import Blueprint, Response, abort, current_app, flash, redirect, render_template, request, session
from flask_babel import force_locale, get_locale
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import BooleanField, PasswordField, StringField
from wtforms.validators import DataRequired, EqualTo

from .. import passwords
from ..errors import Refused
from ..services import signin
from ..services.signin import Outcome, Step, Wish
from ..tenancy import unscoped
from ..ui.acting import identity
from ..ui.fields import EmailField
from ..ui.page import Link
from ..ui.visitor import visitor

public = Blueprint("public", __name__)

HAT = "kontor_hat"  # remembers the tick “Sign in as partner”; grants nothing
A_YEAR = 365 * 24 * 60 * 60
REQUIRED = DataRequired(_l("Please fill this in."))


class SignInForm(FlaskForm):
    email = EmailField(_l("E-mail"), [REQUIRED], render_kw={"type": "email"})
    password = PasswordField(_l("Password"), [REQUIRED])
    as_partner = BooleanField(_l("Sign in as partner"))


class CodeForm(FlaskForm):
    code = StringField(_l("Code"), [REQUIRED], render_kw={"inputmode": "text", "maxlength": "60"})


class ForgotForm(FlaskForm):
    email = EmailField(_l("E-mail"), [REQUIRED], render_kw={"type": "email"})


class ResetForm(FlaskForm):
    password = PasswordField(
        _l("New password"), [REQUIRED], description=_l("At least %(count)s characters.", count=passwords.SHORTEST)
    )
    repeat = PasswordField(_l("Repeat"), [EqualTo("password", _l("The two are not the same."))])


@contextmanager
def unit(*, writes: bool = True) -> Iterator[None]:
    """A unit of work about somebody's sign-in, in the language of the page."""
    language = str(get_locale())
    with unscoped("signing in knows its rows by address, secret or cookie", writes=writes), force_locale(language):
        yield


@public.get("/healthz")
def healthz() -> str:
    return "ok"


# --- signing in ------------------------------------------------------------------------------------------------


@public.route("/login/", methods=["GET", "POST"])
def login() -> Any:
    if request.method == "GET" and identity():
        return redirect("/")
    form = SignInForm(as_partner=request.cookies.get(HAT) == "partner")
    if not form.validate_on_submit():
        return _login_page(form)
    wish = _wish(form.as_partner.data)
    step = _try_password(form.email.data, form.password.data, wish)
    if step.outcome is Outcome.SIGNED_IN:
        return _let_in(step, wish)
    if step.outcome is Outcome.CODE_WANTED:
        session["code"], session["as_partner"] = step.secret, wish.as_partner
        return redirect("/login/code/")
    form.form_errors.append(_in_words(step.outcome, _("E-mail address or password is wrong.")))
    return _login_page(form, 429 if step.outcome is Outcome.LIMITED else 422)


def _login_page(form: SignInForm, status: int | None = None) -> Any:
    status = status or (422 if form.errors else 200)
    return render_template("signin.html", form=form, forgot_url="/forgot/"), status


def _try_password(email: str, password: str, wish: Wish) -> Step:
    """Count, read, compare, write: each in a unit of its own, and the slow part in none."""
    with unit():
        admitted = signin.admit(email, visitor())
    if not admitted:
        return Step(Outcome.LIMITED)
    with unit(writes=False):
        user = signin.find_user(email)
    right = passwords.fits(password, user.password if user else None)
    renewed = None
    if right and passwords.is_outdated(user.password):
        renewed = passwords.hashed(password)
    with unit():
        step = Step(Outcome.WRONG)
        if right:
            step = signin.pass_password(user, renewed=renewed, wish=wish, visitor=visitor())
        if step.outcome is Outcome.WRONG:
            signin.fail_password(user, visitor())
        _leave_former(step)
    return step


@public.route("/login/code/", methods=["GET", "POST"])
def code() -> Any:
    """The second step: the code of the app, or a recovery code."""
    if "code" not in session:
        return redirect("/login/")
    form = CodeForm()
    if not form.validate_on_submit():
        return render_template("second_factor.html", form=form), 422 if form.errors else 200
    wish = _wish(session.get("as_partner", False))
    with unit():
        step = signin.pass_code(session["code"], form.code.data[:60], wish=wish, visitor=visitor())
        _leave_former(step)
    if step.outcome is Outcome.SIGNED_IN:
        return _let_in(step, wish)
    if step.outcome is Outcome.GONE:
        del session["code"]
        flash(_("That took too long, or too many codes were wrong. Please sign in again."), "warning")
        return redirect("/login/")
    form.code.errors = [_in_words(step.outcome, _("This code is wrong, or it has been used already."))]
    return render_template("second_factor.html", form=form), 429 if step.outcome is Outcome.LIMITED else 422


def _in_words(outcome: Outcome, otherwise: str) -> str:
    return too_many_tries() if outcome is Outcome.LIMITED else otherwise


def too_many_tries() -> str:
    return _("Too many tries. Please wait a few minutes and try again.")


def _leave_former(step: Step) -> None:
    """Whoever was signed in with this browser before no longer is."""
    if step.outcome is Outcome.SIGNED_IN and "login" in session:
        signin.end_login(session["login"], visitor())


def _let_in(step: Step, wish: Wish) -> Response:
    """A session begun anew, so that none prepared by somebody else lives on, and the way to the account."""
    target = _target(step, wish)
    renew_session(login=step.secret)
    if wish.as_partner and step.landing and not step.landing.account.kind.manages_accounts:
        flash(_("There is no partner account with you as a member, so this is your customer account."), "info")
    answer = redirect(target)
    if wish.as_partner:
        secure = current_app.config["SESSION_COOKIE_SECURE"]
        answer.set_cookie(HAT, "partner", max_age=A_YEAR, secure=secure, httponly=True, samesite="Lax")
    else:
        answer.delete_cookie(HAT)
    return answer


def renew_session(**values: str) -> None:
    """Forget all the cookie carries but the language."""
    if "locale" in session:
        values["locale"] = session["locale"]
    session.clear()
    session.update(values)


# --- where to --------------------------------------------------------------------------------------------------


def _wish(as_partner: bool) -> Wish:
    """The tick, and the account the person was on the way to when asked to sign in."""
    linked = re.match(r"/a/([\w-]+)/", session.get("next", ""))
    return Wish(as_partner=as_partner, slug=linked[1] if linked else "")


def _target(step: Step, wish: Wish) -> str:
    """On to the page asked for, if it is in an account of theirs; else to the start of where they land."""
    if step.landing is None:
        return "/no-account/"
    on_the_way = session.get("next", "")
    if step.landing.account.slug == wish.slug and is_local(on_the_way):
        return on_the_way
    return f"/a/{step.landing.account.slug}/"


def is_local(target: str) -> bool:
    """Whether an address leads to a page of ours and cannot be read as leading anywhere else."""
    path = target.partition("?")[0]
    if re.search(r"[\\\x00-\x1f\x7f]", target):
        return False
    return path.startswith("/") and "//" not in path and "/.." not in path


# --- signing out, language -------------------------------------------------------------------------------------


@public.route("/logout/", methods=["GET", "POST"])
def logout() -> Any:
    """A link alone signs nobody out: the page asks."""
    if request.method != "POST":  # HEAD neither
        title, text = _("Sign out?"), _("You can sign in again at any time.")
        return render_template("signout.html", title=title, text=text) if identity() else redirect("/login/")
    if "login" in session:
        with unit():
            signin.end_login(session["login"], visitor())
    renew_session()
    flash(_("You are signed out."), "success")
    return redirect("/login/")


@public.get("/no-account/")
def no_account() -> Any:
    """For whoever is known but not, or no longer, a member anywhere."""
    person = identity()
    if person is None or person.memberships:
        return redirect("/" if person else "/login/")
    title, text = _("No account"), _("You are not a member of any account at the moment. Ask whoever invited you.")
    return render_template("signout.html", title=title, text=text)


@public.get("/lang/<code>")
def language(code: str) -> Response:
    """Remember the language, in this browser and for the person, and go back."""
    if code not in current_app.config["LANGUAGES"]:
        abort(404)
    session["locale"] = code
    person = identity()
    if person is not None and person.user.locale != code:
        with unit():
            signin.choose_language(person.user.id, code)
    target = request.args.get("next", "/")
    return redirect(target if is_local(target) else "/")


# --- forgotten password ----------------------------------------------------------------------------------------


@public.route("/forgot/", methods=["GET", "POST"])
def forgot() -> Any:
    form = ForgotForm()
    if not form.validate_on_submit():
        return render_template("forgot.html", form=form, signin_url="/login/"), 422 if form.errors else 200
    with unit():
        admitted = signin.admit_reset(form.email.data, visitor())
    if admitted:
        with unit():
            signin.ask_for_reset(form.email.data, visitor())
    text = _("If the address is known here, a link to choose a new password is on its way. It works for an hour.")
    return render_template("notice.html", title=_("Look into your mailbox"), text=text, link=_to_sign_in())


@public.route("/reset/<secret>", methods=["GET", "POST"])
def reset(secret: str) -> Any:
    """The link from the mail: looking at it uses nothing up, saving does."""
    with unit(writes=False):
        user = signin.find_reset(secret)
        names = signin.own_names(signin.memberships_of(user)) if user else []
    if user is None:
        return _gone()
    form = ResetForm()
    if form.validate_on_submit():
        try:
            passwords.accept(form.password.data, email=user.email, names=names)
        except Refused as refusal:
            form.password.errors = [refusal.sentence]
        else:
            return _reset(secret, passwords.hashed(form.password.data))
    return render_template("reset.html", form=form, account_email=user.email), 422 if form.errors else 200


def _reset(secret: str, kept: str) -> Any:
    with unit():
        done = signin.reset_password(secret, kept, visitor())
    if not done:
        return _gone()
    renew_session()
    flash(_("Your password was changed. Please sign in with it."), "success")
    return redirect("/login/")


def _gone() -> Any:
    """One page for every link that does not work: unknown, used, expired, withdrawn."""
    text = _("It may have been used already, or it is too old: a link to a new password works once, for an hour."
             " Ask for a new one with your e-mail address.")  # fmt: skip
    return render_template("token_gone.html", text=text, link=Link(_("Ask for a new link"), "/forgot/")), 404


def _to_sign_in() -> Link:
    return Link(_("Back to sign-in"), "/login/")

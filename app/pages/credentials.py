"""The link in a mail with credentials (I-7): looking shows which instance it is about, posting sets the password."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, render_template
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import PasswordField
from wtforms.validators import DataRequired, EqualTo

from .. import domains, passwords
from ..errors import Refused
from ..models import Order
from ..services import credentials
from ..ui.page import Link
from .security import show_refusal
from .signin import unit

choosing = Blueprint("credentials", __name__)


class PasswordForm(FlaskForm):
    password = PasswordField(
        _l("New password"),
        [DataRequired(_l("Please fill this in."))],
        description=_l("At least %(count)s characters.", count=passwords.SHORTEST),
    )
    repeat = PasswordField(_l("Repeat"), [EqualTo("password", _l("The two are not the same."))])


@choosing.route("/credentials/<secret>", methods=["GET", "POST"])
def choose(secret: str) -> Any:
    """The password of an instance's administrator. It is hashed before anything is written."""
    form = PasswordForm()
    with unit(writes=False):
        order = credentials.find(secret)
    if order is None:
        return _gone()
    if form.validate_on_submit():
        try:
            return _choose(secret, form.password.data, order)
        except Refused as refusal:
            show_refusal(form, refusal)
    page = render_template("credentials.html", form=form, order=order, domain=domains.shown(order.domain))
    return page, 422 if form.errors or form.form_errors else 200


def _choose(secret: str, password: str, order: Order) -> Any:
    credentials.accept(password, order)
    kept = passwords.hashed(password)
    with unit():
        chosen = credentials.choose(secret, kept)
    if chosen is None:
        return _gone()
    text = _("%(domain)s takes it over within a few minutes. Sign in there as %(name)s.",
             domain=domains.shown(order.domain), name=order.administrator)  # fmt: skip
    return render_template("notice.html", title=_("The password is set"), text=text, link=None)


def _gone() -> Any:
    """The same page for every link that does not work, whatever the reason."""
    return render_template("token_gone.html", link=Link(_("Back to sign-in"), "/login/")), 404

"""The activation link (L-8): looking shows what is activated, posting does it, once."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, render_template
from flask_babel import gettext as _
from flask_wtf import FlaskForm

from ..models import UpfrontRequest
from ..services import upfront
from ..ui.page import Link
from ..ui.visitor import visitor
from .signin import unit

activation = Blueprint("activation", __name__)


class ActivateForm(FlaskForm):
    """Nothing to fill in: the link says it all."""


@activation.route("/activate/<secret>", methods=["GET", "POST"])
def activate(secret: str) -> Any:
    form = ActivateForm()
    if form.validate_on_submit():
        with unit():
            request = upfront.activate(secret, visitor=visitor())
        return _gone() if request is None else _done(request)
    with unit(writes=False):
        request = upfront.find(secret)
        said = _said(request) if request is not None else {}
    return render_template("activate.html", form=form, **said) if said else _gone()


def _said(request: UpfrontRequest) -> dict[str, str]:
    subscription = request.subscription
    return {
        "title": subscription.title,
        "public_id": subscription.public_id,
        "plan": subscription.plan.name,
        "account": request.account.name,
    }


def _done(request: UpfrontRequest) -> str:
    subscription = request.subscription
    text = _("Thank you. %(id)s is running; from now on only its infrastructure is charged.", id=subscription.public_id)
    link = Link(_("Open subscription"), f"/a/{request.account.slug}/subscriptions/show/{subscription.id}")
    title = _("%(title)s is active", title=subscription.title)
    return render_template("notice.html", title=title, text=text, link=link)


def _gone() -> Any:
    """The same page for every link that does not work, whatever the reason."""
    text = _("It has been used already, was withdrawn, or is too old. Sign in to see whether your subscription is"
             " active; if it is not, ask for a new link.")  # fmt: skip
    return render_template("token_gone.html", text=text, link=Link(_("Sign in"), "/login/")), 404

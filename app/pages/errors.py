"""What a person sees when something is not to be had. Strangers' things and missing things look the same."""

from __future__ import annotations

import logging
from typing import Any

from flask import Flask, g, render_template, request
from flask_babel import gettext as _
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm.exc import StaleDataError
from werkzeug.exceptions import HTTPException

from ..errors import Conflict, OutsideScope, Refused
from ..extensions import db
from ..ui.acting import for_programs
from ..ui.page import Link
from ..ui.rest.problems import answer_to, problem

log = logging.getLogger(__name__)


def register(app: Flask) -> None:
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(CSRFError, _stale)
    app.register_error_handler(OutsideScope, lambda _error: page(404))
    app.register_error_handler(IntegrityError, _conflict)
    app.register_error_handler(StaleDataError, _conflict)
    app.register_error_handler(Refused, _refused)
    app.register_error_handler(Exception, _fault)


def _http(error: HTTPException) -> Any:
    if error.response is not None or error.code is None or error.code < 400:
        return error
    if for_programs():
        db.session.rollback()
        return answer_to(error)
    answer = page(error.code)
    if error.code == 405 and getattr(error, "valid_methods", None):
        return (*answer, {"Allow": ", ".join(error.valid_methods)})
    return answer


def _refused(refusal: Refused) -> Any:
    """A rule says no: to a program at the field, where the reason lies in what it sent."""
    if for_programs() and refusal.field and not isinstance(refusal, Conflict):
        db.session.rollback()
        return problem(422, errors=[(refusal.field, refusal.sentence)])
    return page(409, refusal.sentence)


def _stale(_error: CSRFError) -> Any:
    return page(400, _("This page was open for too long or in another session. Go back, reload it and try again."))


def _conflict(error: Exception) -> Any:
    """Somebody was faster; the database's own words stay in the log."""
    log.warning("conflict: %s", type(error).__name__)
    return page(409)


def _fault(error: Exception) -> Any:
    log.exception("fault on %s %s", request.method, request.path, exc_info=error)
    return page(500)


def page(code: int, text: str = "") -> Any:
    """The error page; it needs neither the database nor the rights it may be about."""
    db.session.rollback()
    if for_programs():
        return problem(code, text)
    title, usual = _words(code)
    if code == 403 and g.get("hold") is not None:
        usual = _("This account is on hold: everything can be read, nothing can be changed.")
    home = Link(_("To the start page"), (request.script_root if g.get("scope") else "") + "/")
    return render_template("error.html", code=code, title=title, text=text or usual, home=home), code


def _words(code: int) -> tuple[str, str]:
    return {
        400: (_("That did not work"), _("The request was not understood. Go back and try again.")),
        403: (_("Not allowed"), _("Your role in this account does not include this.")),
        404: (_("Not found"), _("There is nothing at this address, or nothing for you.")),
        405: (_("Not like this"), _("This address is not meant to be opened directly.")),
        409: (_("Somebody was faster"), _("This was changed in the meantime. Go back, look again and repeat it.")),
        413: (_("Too large"), _("What was sent is too large.")),
        429: (_("Too many tries"), _("Please wait a few minutes and try again.")),
    }.get(code, (_("Something went wrong"), _("This is our fault, not yours. Nothing was saved; please try again.")))

"""What a program is told when something is not to be had: problem details (RFC 9457), in its person's language."""

from __future__ import annotations

import json
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from flask import Response
from flask_babel import gettext as _
from werkzeug.exceptions import HTTPException

MIME = "application/problem+json"
Errors = Iterable[tuple[str, str]]  # field → what is wrong with it


class Problem(HTTPException):
    """A problem to answer with; without a detail it is what the status usually means."""

    def __init__(self, code: int, detail: str = "", *, errors: Errors = (), headers: dict[str, str] | None = None):
        super().__init__(detail)
        self.code, self.errors, self.headers = code, list(errors), headers or {}


def problem(code: int, detail: str = "", *, errors: Errors = (), headers: dict[str, str] | None = None) -> Response:
    """The answer. `about:blank` says that the status tells what kind of problem it is."""
    said: dict[str, Any] = {"type": "about:blank", "title": title(code), "status": code}
    said["detail"] = detail or _usual(code)
    if errors:
        said["errors"] = [{"field": field, "message": message} for field, message in errors]
    if code == 401:
        headers = {"WWW-Authenticate": "Bearer", **(headers or {})}
    return Response(json.dumps(said, ensure_ascii=False), code, headers, mimetype=MIME)


def answer_to(error: HTTPException) -> Response:
    """The problem an exception of the web stands for."""
    headers = dict(getattr(error, "headers", {}))
    if methods := getattr(error, "valid_methods", None):
        headers["Allow"] = ", ".join(methods)
    detail = str(error.description or "") if isinstance(error, Problem) else ""
    return problem(error.code or 500, detail, errors=getattr(error, "errors", ()), headers=headers)


def title(code: int) -> str:
    return {
        400: _("Not understood"),
        401: _("Not signed in"),
        403: _("Not allowed"),
        404: _("Not found"),
        405: _("Not like this"),
        409: _("Not in this state"),
        413: _("Too large"),
        415: _("Not JSON"),
        422: _("Not accepted"),
        429: _("Too many requests"),
        500: _("Something went wrong"),
    }.get(code, HTTPStatus(code).phrase)


def _usual(code: int) -> str:
    return {
        400: _("The request was not understood."),
        401: _("Send an API key that is alive: “Authorization: Bearer kontor_…”."),
        403: _("The role, or the scopes of the API key, do not include this."),
        404: _("There is nothing at this address, or nothing for you."),
        405: _("This address does not know this method."),
        409: _("This was changed in the meantime. Look again and repeat it."),
        413: _("What was sent is too large."),
        415: _("Send the body as “Content-Type: application/json”."),
        422: _("Some of what was sent cannot be accepted."),
        429: _("Please wait and try again."),
        500: _("This is our fault, not yours. Nothing was saved; please try again."),
    }.get(code, _("The request was not understood."))

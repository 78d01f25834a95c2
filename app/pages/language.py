"""Which language a page is in: the person's, else the one chosen here before, else the browser's first."""

from __future__ import annotations

from flask import current_app, g, has_request_context, request, session


def chosen() -> str:
    """The language of this request, from what Kontor speaks."""
    if not has_request_context():
        return current_app.config["BABEL_DEFAULT_LOCALE"]
    known = list(current_app.config["LANGUAGES"])
    if request.path.startswith("/api/") and (asked := request.accept_languages.best_match(known)):
        return asked  # a program says what it wants
    person = g.get("identity")
    for wish in (person.user.locale if person else None, session.get("locale")):
        if wish in known:
            return wish
    return request.accept_languages.best_match(known) or known[0]

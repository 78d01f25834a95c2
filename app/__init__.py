"""Kontor: a self-hosted partner portal. `create_app` is the wiring, in reading order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flask import Flask
from flask_babel import get_locale
from werkzeug.local import LocalProxy
from werkzeug.middleware.proxy_fix import ProxyFix

import config

from . import api, cli, jobs, models, outbox
from .extensions import Words, csrf, db, mail, migrate
from .pages import activate, credentials, deadlines, errors, join, language, security, signin
from .ui import acting, headers, markup, menu
from .ui.interface import BackOffice
from .ui.rest import entrance
from .views import register

HERE = Path(__file__).parent


def create_app(**settings: Any) -> Flask:
    """The application. `settings` override those of the environment (`config.py`); tests use them."""
    app = Flask(__name__, static_folder="static", template_folder="templates")
    app.config.update(config.load() | settings)

    db.init_app(app)
    migrate.init_app(app, db, directory=str(HERE.parent / "migrations"))
    mail.init_app(app)
    csrf.init_app(app)
    jobs.init_app(app)

    with app.app_context():
        backoffice = BackOffice()
        backoffice.init_app(app, db.session)
        app.extensions["babel"].locale_selector = language.chosen
        app.extensions["babel"].instance.domain_instance = Words()
        register(backoffice)
        api.register(backoffice)

    app.register_blueprint(signin.public)
    app.register_blueprint(join.joining)
    app.register_blueprint(activate.activation)
    app.register_blueprint(credentials.choosing)
    app.register_blueprint(security.security)
    app.register_blueprint(deadlines.calendar)
    app.cli.add_command(cli.kontor)

    app.before_request(acting.bind)
    app.before_request(entrance.bind)
    app.after_request(headers.protect)
    app.after_request(acting.settle)  # the last registered runs first: settled, then the headers are put on
    app.teardown_request(acting.close)
    errors.register(app)

    app.jinja_env.globals.update(csp_nonce=headers.nonce, **markup.FOR_TEMPLATES)
    app.context_processor(frame)
    app.wsgi_app = acting.AccountInPath(app.wsgi_app)  # type: ignore[method-assign]
    if app.config["TRUSTED_PROXIES"]:
        hops = app.config["TRUSTED_PROXIES"]
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    return app


def frame() -> dict[str, Any]:
    """What every template has; the shell is made only where a template asks for it."""
    return {"shell": LocalProxy(menu.shell), "locale": str(get_locale()), "brand": outbox.brand()}


__all__ = ["create_app", "models"]

"""Every setting Kontor has, read from the environment here and nowhere else.

    KONTOR_ENV       demo | production. The demo makes its own key and data; production demands both.
    SECRET_KEY       signs cookies and makes tokens; at least 32 characters in production.
    PUBLIC_URL       the address people use; links in mails are made from it, and no other host is answered.
    PORT             where `make run` listens (8080).
    KONTOR_HOST      and at which address (127.0.0.1 in the demo, every address in production).
    DATABASE_URL     sqlite:///… or postgresql+psycopg://… (default: SQLite in DATA_DIR).
    DATA_DIR         database, key and job queue of the demo, exports (instance).
    MAIL_SERVER …    MAIL_PORT, MAIL_USE_TLS, MAIL_USE_SSL, MAIL_USERNAME, MAIL_PASSWORD, MAIL_DEFAULT_SENDER.
                     Without MAIL_SERVER nothing is sent; the demo's outbox shows the messages with their links.
    JOBS_URL         unset: a SQLite queue in DATA_DIR; redis://… or postgresql://… for workers on other machines.
    WEBHOOK_HOSTS    names of hosts inside the own network that webhooks may lead to, apart by commas; these without
                     HTTPS, too (none: webhooks lead to the public internet alone).
    TRUSTED_PROXIES  how many proxies in front set X-Forwarded-* (0).
    DEMO_PASSWORD    of the demo's people (kontor-demo-2026).
"""

from __future__ import annotations

import os
import secrets
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

WEAK = {"", "changeme", "secret", "dev", "thisismyscretkey", "kontor"}
DEMO_PASSWORD = "kontor-demo-2026"  # noqa: S105 the demo's people are public
LANGUAGES = {"en": "English", "de": "Deutsch"}


class Misconfigured(RuntimeError):
    """A setting without which it would be wrong to start; the text says which and what to do."""


def load(environ: dict[str, str] | None = None) -> dict[str, Any]:
    """The settings for Flask, from the environment.

    Raises `Misconfigured` when production lacks a strong key or a public address.
    """
    env = dict(os.environ if environ is None else environ)
    production = env.get("KONTOR_ENV", "demo") == "production"
    data_dir = Path(env.get("DATA_DIR", "instance")).resolve()
    port = env.get("PORT", "8080")
    public_url = env.get("PUBLIC_URL", "" if production else f"http://localhost:{port}").rstrip("/")
    secret = env.get("SECRET_KEY", "") if production else env.get("SECRET_KEY") or _own_key(data_dir)
    _demand(production, secret, public_url)
    address = urlsplit(public_url)
    return {
        "KONTOR_ENV": "production" if production else "demo",
        "DATA_DIR": data_dir,
        "PORT": int(port),
        "KONTOR_HOST": env.get("KONTOR_HOST") or ("0.0.0.0" if production else "127.0.0.1"),  # noqa: S104
        "SECRET_KEY": secret,
        "PUBLIC_URL": public_url,
        "TRUSTED_HOSTS": [address.hostname, "127.0.0.1", "localhost"] if not production else [address.hostname],
        "WEBHOOK_HOSTS": frozenset(env.get("WEBHOOK_HOSTS", "").lower().replace(",", " ").split()),
        "TRUSTED_PROXIES": int(env.get("TRUSTED_PROXIES", "0")),
        "DEMO_PASSWORD": env.get("DEMO_PASSWORD", DEMO_PASSWORD),
        "JOBS_URL": env.get("JOBS_URL", ""),
        "SQLALCHEMY_DATABASE_URI": _database_url(env.get("DATABASE_URL", ""), data_dir),
        "SQLALCHEMY_ENGINE_OPTIONS": {"pool_pre_ping": True, "hide_parameters": production},  # of the log, too
        **_mail(env, address.hostname or "localhost"),
        **_cookies(address.scheme == "https"),
        **_appbuilder(),
        "MAX_CONTENT_LENGTH": 16 * 1024 * 1024,
        "MAX_FORM_MEMORY_SIZE": 2 * 1024 * 1024,
        "LANGUAGES": {code: {"flag": code, "name": name} for code, name in LANGUAGES.items()},
        "BABEL_DEFAULT_LOCALE": "en",
        "BABEL_DEFAULT_TIMEZONE": "Europe/Berlin",
    }


def _own_key(data_dir: Path) -> str:
    """The demo's key, made once and kept beside its database."""
    path = data_dir / "secret-key"
    if not path.exists():
        data_dir.mkdir(parents=True, exist_ok=True)
        try:
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(secrets.token_urlsafe(48))
        except FileExistsError:
            pass  # another process was faster
    return path.read_text().strip()


def _demand(production: bool, secret: str, public_url: str) -> None:
    if not production:
        return
    if secret.lower() in WEAK or len(secret) < 32 or len(set(secret)) < 10:
        raise Misconfigured("SECRET_KEY must be a random text of at least 32 characters in production.")
    if urlsplit(public_url).scheme not in {"https", "http"} or not urlsplit(public_url).hostname:
        raise Misconfigured("PUBLIC_URL must be the address people use, such as https://partner.example.com.")


def _database_url(url: str, data_dir: Path) -> str:
    if not url:
        data_dir.mkdir(parents=True, exist_ok=True)
        return f"sqlite:///{data_dir / 'kontor.db'}"
    if url.startswith(("postgres://", "postgresql://")):
        return "postgresql+psycopg://" + url.split("://", 1)[1]
    return url


def _mail(env: dict[str, str], host: str) -> dict[str, Any]:
    truthy = {"1", "true", "yes", "on"}
    return {
        "MAIL_SERVER": env.get("MAIL_SERVER", ""),
        "MAIL_PORT": int(env.get("MAIL_PORT", "25")),
        "MAIL_USE_TLS": env.get("MAIL_USE_TLS", "").lower() in truthy,
        "MAIL_USE_SSL": env.get("MAIL_USE_SSL", "").lower() in truthy,
        "MAIL_USERNAME": env.get("MAIL_USERNAME") or None,
        "MAIL_PASSWORD": env.get("MAIL_PASSWORD") or None,
        "MAIL_DEFAULT_SENDER": env.get("MAIL_DEFAULT_SENDER", f"Kontor <no-reply@{host}>"),
    }


def _cookies(secure: bool) -> dict[str, Any]:
    return {
        "SESSION_COOKIE_NAME": "kontor",
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SECURE": secure,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "PERMANENT_SESSION_LIFETIME": timedelta(hours=12),
        "WTF_CSRF_TIME_LIMIT": None,  # as long as the session: a form left open over lunch still posts
        "WTF_CSRF_SSL_STRICT": False,  # the Referer is not sent at all; SameSite and the token do the work
    }


def _appbuilder() -> dict[str, Any]:
    """What of Flask-AppBuilder we leave off (docs/decisions): its tables are ours to migrate, its rights in code."""
    return {
        "FAB_CREATE_DB": False,
        "FAB_UPDATE_PERMS": False,
        "FAB_ADD_SECURITY_VIEWS": False,
        "FAB_ADD_MENU_API": False,
        "FAB_ADD_OPENAPI_VIEWS": False,
        "FAB_API_SWAGGER_UI": False,
        "FAB_ALLOW_GET_UNSAFE_MUTATIONS": False,
        "RATELIMIT_ENABLED": False,  # ours counts in the database, for all processes (services/signin.py)
    }

"""The pages before anybody is known: sign-in, forgotten password, links with secrets."""

from __future__ import annotations

from flask import Blueprint

public = Blueprint("public", __name__)


@public.get("/healthz")
def healthz() -> str:
    return "ok"

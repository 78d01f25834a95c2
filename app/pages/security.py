"""A person's own sign-in: password, second factor, sessions."""

from __future__ import annotations

from flask import Blueprint

security = Blueprint("security", __name__, url_prefix="/security")

"""What every answer tells the browser: whom to trust, what to run, what not to keep."""

from __future__ import annotations

import secrets

from flask import Response, g, request


def nonce() -> str:
    """The word by which this page's own scripts are known."""
    if "csp_nonce" not in g:
        g.csp_nonce = secrets.token_urlsafe(16)
    return g.csp_nonce


def protect(response: Response) -> Response:
    """Strict content policy, no framing, no sniffing, no referrer; pages of a person are not cached."""
    policy = (
        f"default-src 'none'; script-src 'self' 'nonce-{nonce()}'; style-src 'self'; img-src 'self' data:; "
        "font-src 'self'; connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'self'"
    )
    headers = response.headers
    headers.setdefault("Content-Security-Policy", policy)
    headers["X-Content-Type-Options"] = "nosniff"
    headers["X-Frame-Options"] = "SAMEORIGIN"
    headers["Referrer-Policy"] = "no-referrer"
    headers["Permissions-Policy"] = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"
    headers["Cross-Origin-Opener-Policy"] = "same-origin"
    if request.is_secure:
        headers["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"
    if request.endpoint == "static":
        headers["Cache-Control"] = "public, max-age=31536000, immutable" if request.args.get("v") else "no-cache"
    else:
        headers["Cache-Control"] = "no-store"
    return response

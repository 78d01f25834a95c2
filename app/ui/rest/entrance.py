"""Who knocks at the API: a program with a key, or a browser that is signed in (security.md 5.10).

A key says its account by itself; `/a/<slug>/api/…` must name the same. A cookie needs the account in the address, and
to write the form token, too. A request that shows a key is never answered for its cookie.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from flask import g, request
from sqlalchemy.exc import OperationalError

from ... import limits
from ...extensions import csrf
from ...models import ApiKey, Member
from ...services import api_keys
from ...tenancy import enter, scope_for, unscoped
from ..acting import Identity, for_programs, identity
from .problems import Problem

OPEN = {"OpenApi.spec"}  # for everybody; there is nothing of anybody in it
MOST_BYTES = 1024 * 1024


def bind() -> None:
    """Before the view: find out for whom the program acts and put up the wall."""
    if not for_programs() or request.endpoint is None:
        return
    request.max_content_length = MOST_BYTES
    if request.endpoint in OPEN:
        if "kontor.slug" in request.environ:
            raise Problem(404)
    elif "Authorization" in request.headers:
        _by_key(request.headers["Authorization"])
    else:
        _by_cookie()


def _by_key(header: str) -> None:
    scheme, _space, secret = header.partition(" ")
    found = _find(secret.strip()) if scheme.lower() == "bearer" else None
    if found is None:
        _refuse()
    key, member = found
    if request.environ.get("kontor.slug") not in {None, member.account.slug}:
        raise Problem(404)
    g.identity = Identity(member.user, 0, (member,))
    _count(key)
    g.caller = f"key:{key.id}"
    _enter(member, via=key.name, scopes=frozenset(key.scopes))


def _by_cookie() -> None:
    person = identity()
    if person is None or "kontor.slug" not in request.environ:
        raise Problem(401)
    member = person.membership(request.environ["kontor.slug"])
    if member is None:
        raise Problem(404)
    csrf.protect()
    if person.must_set_up_second_factor:
        raise Problem(403)
    g.caller = f"user:{person.user.id}"
    _enter(member)


def _enter(member: Member, **what: Any) -> None:
    g.scope = scope_for(member, ip=request.remote_addr or "", **what)
    enter(g.scope)


def _find(secret: str) -> tuple[ApiKey, Member] | None:
    with _outside(writes=False) as session:
        found = api_keys.find(secret)
        session.expunge_all()
    return found


def _refuse() -> None:
    """A key that opens nothing: the same for wrong, expired, revoked and orphaned ones."""
    with _outside(writes=True):
        admitted = limits.count("api-ip", limits.computer(request.remote_addr or ""))
    raise Problem(401) if admitted else _too_many("api-ip")


def _count(key: ApiKey) -> None:
    """Count the request, and note that the key is in use. A busy database is no reason to fail it."""
    admitted = True
    with suppress(OperationalError), _outside(writes=True):
        admitted = limits.count("api-key", key.id)
        api_keys.note_used(key)
    if not admitted:
        raise _too_many("api-key")


def _too_many(kind: str) -> Problem:
    return Problem(429, headers={"Retry-After": str(limits.seconds_left(kind))})


def _outside(*, writes: bool) -> Any:
    return unscoped("an API key is looked at before anybody is known", writes=writes)

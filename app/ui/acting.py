"""Who acts, and where: the account named in the URL, the person behind the cookie, the scope of the request.

Decision 1: `/a/<slug>/…` names the acting account. The middleware moves that prefix to SCRIPT_NAME, so every
`url_for` carries it. Decision 3: what the person may do there is read from the database in each request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from flask import Response, abort, g, redirect, request, session
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm.attributes import set_committed_value

from .. import permissions
from ..errors import NoScope
from ..extensions import db, writing
from ..models import HoldKind, Member, User
from ..services import holds, signin
from ..tenancy import Scope, enter, scope_for, unscoped

PUBLIC_BLUEPRINTS = {"public", "join", "activation", "calendar", "credentials", "static"}


class AccountInPath:
    """WSGI middleware: `/a/<slug>/rest` is answered as `/rest` mounted at `/a/<slug>`."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self.app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path.startswith("/a/"):
            slug, slash, rest = path[3:].partition("/")
            environ["kontor.slug"] = slug
            environ["SCRIPT_NAME"] = f"{environ.get('SCRIPT_NAME', '')}/a/{slug}"
            environ["PATH_INFO"] = slash + rest or "/"
        return self.app(environ, start_response)


@dataclass(frozen=True)
class Identity:
    """The person behind the cookie, and where they are a member; read in every request."""

    user: User
    login_id: int
    memberships: tuple[Member, ...]
    must_set_up_second_factor: bool = False

    def membership(self, slug: str | None) -> Member | None:
        return next((m for m in self.memberships if m.account.slug == slug), None)

    @property
    def home(self) -> Member | None:
        """Where signing in leads: the account last used, or the first there is."""
        last = next((m for m in self.memberships if m.account_id == self.user.last_account_id), None)
        return last or next(iter(self.memberships), None)


def identify(key: str, slug: str = "") -> Identity | None:
    """The identity a cookie's key stands for; `None` once the login has ended."""
    with unscoped("the person is not known yet", writes=False) as session_:
        known = signin.recognize(key)
        if known is None:
            return None
        login, demanded = known
        memberships = signin.memberships_of(login.user, slug=slug)
        for member in memberships:
            set_committed_value(member, "user", login.user)  # known; nothing to write
        must_set_up = signin.must_set_up_second_factor(login.user, memberships, demanded=demanded)
        session_.expunge_all()
    if signin.wants_noting(login):
        _note_seen(login.id)
    return Identity(login.user, login.id, memberships, must_set_up)


def _note_seen(login_id: int) -> None:
    """Note that the login is in use, apart from the request's own work. A busy database, or work that is writing
    already, is no reason to fail it: the next request notes it."""
    with suppress(OperationalError, NoScope), unscoped("a login in use") as _session:
        signin.note_seen(login_id)


def identity() -> Identity | None:
    """The identity of this request, looked up once."""
    if "identity" not in g:
        key = session.get("login")
        g.identity = identify(key, request.environ.get("kontor.slug", "")) if key else None
    return g.identity


def me() -> Member:
    """The member who acts in this request, attached to its session."""
    return db.session.get(Member, g.scope.member_id)


def may(permission: str) -> bool:
    """Whether the person may do it in the acting account, and the program, if it is one, for them."""
    scope: Scope | None = g.get("scope")
    return scope is not None and grants(scope, permission)


def grants(scope: Scope, permission: str) -> bool:
    """The same of a unit of work, also where it outlives its request."""
    if scope.scopes is not None and permission not in scope.scopes:
        return False
    return permissions.allows(scope.kind, scope.role, permission, held=scope.held)


def for_programs() -> bool:
    """Whether the request is one to the API."""
    return request.path.startswith("/api/")


def from_htmx() -> bool:
    """Whether a part of a page is asked for, such as what the dialog shows."""
    return request.headers.get("HX-Request") == "true"


# --- around each request ---------------------------------------------------------------------------------------


def bind() -> Response | None:
    """Before the view: find out who acts where and put up the wall. What one may not know of does not exist."""
    writing.set(request.method not in {"GET", "HEAD", "OPTIONS"})
    if request.endpoint is None or for_programs():
        return None  # the router says what is wrong with the address; programs come in by `rest/entrance.py`
    if request.blueprint in PUBLIC_BLUEPRINTS or request.endpoint == "static":
        return abort(404) if "kontor.slug" in request.environ else None
    person = identity()
    if person is None:
        return _ask_to_sign_in()
    slug = request.environ.get("kontor.slug")
    if slug is None:
        return _to_own_account(person)
    member = person.membership(slug)
    if member is None:
        abort(404)
    g.scope = scope_for(member, ip=request.remote_addr or "")
    enter(g.scope)
    if g.scope.held:
        g.hold = holds.find(g.scope.account_id, HoldKind.ADMINISTRATIVE)
    if person.must_set_up_second_factor and not _is_setting_up():
        return redirect(f"/a/{slug}/security/second-factor")
    return None


def _ask_to_sign_in() -> Response:
    if from_htmx():
        return Response(status=401, headers={"HX-Redirect": "/login/"})
    target = request.script_root + request.full_path.rstrip("?") if request.method == "GET" else ""
    answer = redirect("/login/")
    if target and target != "/":
        session["next"] = target[:500]
    return answer


def _to_own_account(person: Identity) -> Response:
    """An address without account leads to the same page in the account last used."""
    if person.home is None:
        return redirect("/no-account/")
    if request.method != "GET":
        abort(404)
    return redirect(f"/a/{person.home.account.slug}{request.full_path.rstrip('?')}")


def _is_setting_up() -> bool:
    return request.blueprint == "security"


def settle(response: Response) -> Response:
    """After the view: one request, one transaction, committed here or nowhere (decision 6)."""
    if response.status_code < 400:
        db.session.commit()
    else:
        db.session.rollback()
    return response


def close(_error: BaseException | None = None) -> None:
    writing.set(True)


def remember_account() -> None:
    """Note the account as the one last used, outside the page's own transaction, and only when it changed."""
    person, scope = identity(), g.get("scope")
    if person is None or scope is None or person.user.last_account_id == scope.account_id:
        return
    with unscoped("a person's own preference") as session_:
        user = session_.get(User, person.user.id)
        if user is not None:
            user.last_account_id = scope.account_id

"""The frame around the pages: what a person sees in the sidebar and the header, by role and account."""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from urllib.parse import quote

from flask import current_app, g, request
from flask_babel import get_locale
from flask_babel import gettext as _

from .. import outbox
from ..models import Hold, Member, sort_key
from .acting import may
from .formats import shown
from .page import AccountChoice, Link, MenuGroup, Shell, UserBadge


def shell() -> Shell:
    """The frame of this request; made once, by the layout."""
    if "shell" not in g:
        g.shell = _shell()
    return g.shell


def _shell() -> Shell:
    person = g.get("identity")
    scope = g.get("scope")
    memberships = sorted(person.memberships, key=_by_kind) if person else []
    choices = tuple(_choice(member, scope) for member in memberships)
    return Shell(
        brand=outbox.brand(),
        account=next((choice for choice in choices if choice.active), None),
        accounts=choices,
        user=UserBadge(person.user.name, person.user.email, person.user.initials) if person else None,
        menu=menu() if scope else [],
        languages=languages(),
        user_links=_user_links() if scope else [],
        sign_out_url="/logout/",
        notice=_notice(g.get("hold")),
    )


def _notice(hold: Hold | None) -> str:
    """What the members of an account on hold read on every page."""
    if hold is None:
        return ""
    return _(
        "This account has been on administrative hold since %(day)s: %(reason)s You can read everything and export it,"
        " but change nothing.",
        day=shown(hold.set_at, "moment"),
        reason=hold.reason if hold.reason.endswith((".", "!", "?")) else f"{hold.reason}.",
    )


def menu() -> list[MenuGroup]:
    """FAB's menu, of it what the person may open."""
    groups = []
    for category in current_app.appbuilder.menu.get_list():  # type: ignore[attr-defined]
        items = [_entry(item) for item in category.childs if _may_open(item.baseview)]
        if items:
            groups.append(MenuGroup(str(category.label), items))
    return groups


def _may_open(view: Any) -> bool:
    return may(f"{view.class_permission_name}.{view.default_view}")


def _entry(item: Any) -> Link:
    active = request.blueprint == item.baseview.endpoint
    place = _place(f"{item.baseview.endpoint}.{item.baseview.default_view}")
    return Link(str(item.label), f"{request.script_root}{place}", item.icon, active)


@lru_cache(maxsize=256)
def _place(endpoint: str) -> str:
    """Where a view is found in every account; a page's menu names dozens."""
    return current_app.url_map.bind("").build(endpoint)


def _by_kind(member: Member) -> tuple[bool, str]:
    """Those that manage others first, then customers; each in the alphabet."""
    return not member.account.kind.manages_accounts, sort_key(member.account.name)


def _choice(member: Any, scope: Any) -> AccountChoice:
    account = member.account
    return AccountChoice(
        label=account.name,
        slug=account.slug,
        url=f"/a/{account.slug}/",
        kind_label=str(account.kind.label),
        role_label=str(member.role.label),
        active=scope is not None and scope.account_id == account.id,
    )


def languages() -> list[Link]:
    """The other language is one click away, and leads back to the same page."""
    here = request.script_root + request.full_path.rstrip("?") if request.method == "GET" else "/"
    current = str(get_locale())
    return [
        Link(language["name"], f"/lang/{code}?next={quote(here, safe='')}", active=current == code, key=code)
        for code, language in current_app.config["LANGUAGES"].items()
    ]


def _user_links() -> list[Link]:
    root = request.script_root
    return [Link(_("Sign-in and security"), f"{root}/security/", "shield-lock", request.blueprint == "security")]

"""The matrix: the cells of every endpoint for every actor, what each is to answer, and whether it did.

What is expected is computed here from the policy, the table of rights and the tree: who is not known is led to
sign-in, whose account it is not finds nothing, who lacks the right is refused, and a foreign row answers as one that
never was, byte for byte.

At every endpoint knock those who stand differently to it: nobody, who was removed, the Administrators of the account
and of one above and beside it, and of the roles below the least that may and the greatest that may not. Who stands as
one of these does (`Actor.stands_as`, the other roles) knocks at one endpoint of each kind of policy; there, too, the
Administrator knocks at every row, elsewhere like everybody at one of each kind: by where its account is, and whose it
is. What is looked at before any row, methods and tokens, is tried by those who are in and those who are not.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache, singledispatch
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from flask import Flask
from sqlalchemy import inspect
from werkzeug.routing import Rule

from app import create_app
from app.models import Role
from app.tenancy import acting
from app.ui.filters import OPERATORS
from tests.conftest import SETTINGS
from tests.walls.policy import (
    ANY,
    POLICY,
    AddForm,
    Address,
    ApiAdd,
    ApiDeed,
    ApiItem,
    ApiList,
    ApiPage,
    Commands,
    Deed,
    Detail,
    EditForm,
    Export,
    List,
    OfViews,
    Page,
    Part,
    Personal,
    Public,
    Related,
)
from tests.walls.world import ACTORS, Actor, Rows, World, is_let_in, may, relation

NEVER_WAS = 999_999
NO_NUMBERS = (2**63, 0, 2**31, 2**70)  # no row has one of these, and no database may choke on them
SAFE = {"GET", "HEAD", "OPTIONS"}
REFUSALS = {400, 401, 403, 404, 405}
METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
HTMX = {"HX-Request": "true"}
HIDDEN = ("password", "user.password", "user.totp_nonce", "account.path", "account.name_key", "parent.path", "1", "")


@dataclass(frozen=True)
class Cell:
    """One request and what is to come of it."""

    method: str
    path: str
    expects: set[int]
    data: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    shows: str = ""  # what a good answer has in it
    like: str = ""  # the address whose answer must be the same, byte for byte
    changes: frozenset[str] = frozenset()  # the columns of rows already there that may change; with the wall's leave
    csrf: bool = True
    notes: bool = False  # whether a refused try is written down
    json: Any = None
    reveals: str = ""  # the account whose contacts it may show, masked or not
    by_key: bool = False  # asked by a program, with the actor's API key and no cookie

    def __str__(self) -> str:
        data = f" {self.data}" if self.data else ""
        how = " htmx" if self.headers else " by key" if self.by_key else ""
        return f"{self.method} {self.path}{data}{how}"


@dataclass(frozen=True)
class Place:
    """One endpoint, seen by one actor: where it is and what bars the way."""

    world: World
    actor: Actor
    rule: Rule

    def path(self, query: str = "", **args: Any) -> str:
        path = self.rule.rule
        for name in self.rule.arguments:
            path = re.sub(rf"<(\w+:)?{name}>", str(args[name]), path)
        return f"/a/{self.actor.slug}{path}{query}"

    def answers(self, good: int | set[int], permission: str = "") -> set[int]:
        """What the actor is told before any row is looked at, or else the good answer."""
        if not self.actor.known:
            return {302}
        if self.actor.role is None:
            return {404}
        if permission and not may(self.actor, permission):
            return {403}
        return {good} if isinstance(good, int) else good

    @property
    def is_first(self) -> bool:
        """Whether no endpoint of this kind of policy stands before it."""
        return self.rule.endpoint in _first_of_kind().values()

    @property
    def is_thorough(self) -> bool:
        """Whether every row is looked at here; elsewhere, and before PostgreSQL's wall, one of each kind is enough."""
        return self.is_first and self.actor.name == "administrator" and self.world.on_sqlite

    @property
    def is_at_the_door(self) -> bool:
        """Whether what is looked at before any row is tried out, methods and tokens: by who is in and who is not."""
        return self.world.on_sqlite and self.actor.name in {"anonymous", "administrator", "neighbour"}

    @property
    def has_key(self) -> bool:
        """Whether a program knocks as well: who stands elsewhere in the tree does so alike, and one is enough."""
        of_role = self.actor.role is not Role.ADMINISTRATOR or self.actor.name == "administrator"
        return self.actor.has_key and (self.actor.name == "sibling" or of_role and self.world.on_sqlite)

    @property
    def asks_everything(self) -> bool:
        """Questions are understood in the same way whoever asks, but not by every database."""
        return self.actor.name == "administrator"

    def is_in(self, permission: str = "") -> bool:
        return self.answers(0, permission) == {0}

    def sees(self, table: str, pk: int) -> bool:
        return self.world.may_see(self.actor, table, self.world.row(table, pk))

    def changes(self, table: str, pk: int) -> bool:
        """Whether a row that is seen is theirs to change, too; what is seen by consent is not."""
        return self.world.may_touch(self.actor, table, self.world.row(table, pk))

    def owner(self, table: str, pk: int) -> str:
        return self.world.owner(table, self.world.row(table, pk))

    def on_rows(self, table: str, permission: str = "", kind: str = "") -> Iterator[tuple[int, bool]]:
        """A row of each account and ids that never were, with whether the actor sees them.

        To who is stopped before any row is looked at, two are as good as all. An Administrator looks at one of each
        kind, the other roles, and whoever knocks at PostgreSQL, at some; the same goes for numbers that are none.
        """
        if not self.is_in(permission):
            yield from ((pk, False) for pk in (self.world.ids(table)[0], NEVER_WAS))
            return
        pks = self.of_each_kind(table, self.world.ids(table))
        rows = [(pk, self.sees(table, pk) and self.is_of(kind, table, pk)) for pk in pks]
        if self.actor.role is not Role.ADMINISTRATOR or not self.world.on_sqlite:
            rows = [*[row for row in rows if row[1]][:2], *[row for row in rows if not row[1]][:2]]
        yield from rows
        none = NO_NUMBERS if self.is_first else NO_NUMBERS[:1]
        for pk in (NEVER_WAS, *(none if self.actor.name == "administrator" else ())):
            yield pk, False

    def placed(self, policy: Any, table: str, pk: int) -> set[int]:
        """What of a draft is told of an order that is none any more, to whoever sees it; of anything else nothing."""
        if not policy.placed or pk not in self.world.ids(table) or not self.sees(table, pk):
            return set()
        return set() if self.world.row(table, pk)["status"] == "draft" else {policy.placed}

    def is_of(self, kind: str, table: str, pk: int) -> bool:
        return not kind or self.world.row(table, pk)["kind"] == kind

    def foreign(self, table: str) -> list[int]:
        return [pk for pk in self.world.ids(table) if not self.sees(table, pk)]

    def of_each_kind(self, table: str, pks: list[int]) -> list[int]:
        """Of rows that stand alike to the actor one: by where their account is, what they are, and, of those that
        are seen, whose.
        """
        kinds: dict[Any, int] = {}
        for pk in pks:
            row = self.world.row(table, pk)
            whose = row.get("owner_id", row.get("user_id"))
            mine = whose and whose == self.world.user_id(self.actor)
            kind = relation(self.actor.slug, self.owner(table, pk)) if "account_id" in row or table == "account" else ""
            what = row.get("status"), row.get("inside")
            seen = (row.get("kind"), mine, whose is None) if self.sees(table, pk) else ()
            kinds.setdefault((kind, *what, *seen), pk)
        return pks if self.is_thorough else sorted(kinds.values())


# --- from the URL map ------------------------------------------------------------------------------------------


@cache
def blank_app() -> Flask:
    """The application without a database, for its URL map."""
    settings = SETTINGS | {"SQLALCHEMY_DATABASE_URI": "sqlite://", "DATA_DIR": Path("/nowhere")}
    return create_app(**settings)


def endpoints() -> list[str]:
    return sorted({rule.endpoint for rule in blank_app().url_map.iter_rules()})


def knocking_at(endpoint: str) -> list[Actor]:
    """Who knocks there: one of each standing, and everybody at the first endpoint of a kind of policy."""
    policy = POLICY.get(endpoint)
    if policy is None or _first_of_kind()[type(policy)] == endpoint:
        return ACTORS
    on_the_edge = _on_the_edge(policy)
    return [actor for actor in ACTORS if actor in on_the_edge or not (actor.stands_as or actor.is_below)]


@cache
def _first_of_kind() -> dict[type, str]:
    return {type(policy): endpoint for endpoint, policy in reversed(POLICY.items())}


def _on_the_edge(policy: Any) -> list[Actor]:
    """Of the roles below, for each right: the least that has it, with and without contacts; the greatest without."""
    below = [actor for actor in ACTORS if actor.is_below]  # the least first
    found = [] if rights(policy) else below[:1]
    for right in rights(policy):
        can = [actor for actor in below if may(actor, right)]
        found += can[:1] + [actor for actor in can if may(actor, "contact.see")][:1]
        found += [actor for actor in below if actor not in can][-1:]
    return found


def rights(policy: Any) -> list[str]:
    """What an endpoint asks of whom: the permissions its policy names."""
    if isinstance(policy, Commands):
        return list(policy.verbs.values())
    return [permission] if (permission := getattr(policy, "permission", "")) else []


def cells(world: World, actor: Actor, endpoint: str) -> Iterator[Cell]:
    """Every cell of an endpoint for an actor. Python's wall turns away before PostgreSQL's is asked: that is tried at
    the first of each kind; elsewhere the Administrator asks PostgreSQL for what it has to let through.
    """
    policy = POLICY.get(endpoint)
    assert policy is not None, f"{endpoint} has no line in tests/walls/policy.py"
    for rule in world.app.url_map.iter_rules(endpoint):
        place = Place(world, actor, rule)
        found = _cells_of(policy, place)
        tries_all = world.on_sqlite or actor.name != "administrator" or place.is_first
        yield from found if tries_all else (cell for cell in found if cell.expects - REFUSALS)


def _cells_of(policy: Any, place: Place) -> Iterator[Cell]:
    if isinstance(policy, Public):
        yield from _of_public(policy, place)
    elif isinstance(policy, ApiList | ApiItem | ApiAdd | ApiDeed | ApiPage):
        yield from _of_api(policy, place)
    else:
        yield from _of(policy, place)
        yield from _around(place) if place.is_at_the_door else ()


def _around(place: Place) -> Iterator[Cell]:
    """The same at every door: other methods, no account in the address, a form without its token."""
    args = dict.fromkeys(place.rule.arguments, NEVER_WAS)
    path, bare = place.path(**args), place.path(**args).removeprefix(f"/a/{place.actor.slug}")
    if place.is_first:  # everywhere else the URL map says so in the same way
        yield from (Cell(method, path, {405}) for method in METHODS if method not in place.rule.methods)
    yield Cell("OPTIONS", path, place.answers(200))
    has_home = place.actor.known and bool(place.actor.role or place.actor.member_of)
    yield Cell("GET", bare, {302} if "GET" in place.rule.methods else {405})
    if "POST" in place.rule.methods:
        yield Cell("POST", bare, {404} if has_home else {302})
        yield Cell("POST", path, {400}, csrf=False)
    if "GET" in place.rule.methods and place.actor.known and place.actor.role is None:
        yield Cell("GET", path, {404}, like=path.replace(place.actor.slug, "nirgends", 1))


def _of_public(policy: Public, place: Place) -> Iterator[Cell]:
    path = place.path(**policy.args)
    bare = path.removeprefix(f"/a/{place.actor.slug}")
    yield Cell("GET", path, {404})
    yield Cell("GET", bare, set(policy.get))
    yield Cell("HEAD", bare, set(policy.get))
    if policy.post:
        yield Cell("POST", path, {404}, data=policy.data)
        yield Cell("POST", bare, set(policy.post), data=policy.data, changes=frozenset({"ended_at"}))
        yield Cell("POST", bare, {400}, data=policy.data, csrf=False)


# --- the cells of each kind of address -------------------------------------------------------------------------


@singledispatch
def _of(policy: Any, place: Place) -> Iterator[Cell]:
    raise NotImplementedError(type(policy))


@_of.register
def _page(policy: Page, place: Place) -> Iterator[Cell]:
    path = place.path(policy.query)
    for method in ("GET", "HEAD") if policy.get else ():
        good = place.answers(policy.get, policy.permission)
        yield Cell(method, path, {policy.otherwise} if good == {403} else good)
    if policy.get and place.is_in(policy.permission):
        yield Cell("GET", path, {policy.get}, shows=place.actor.slug)
    if policy.post:
        good, columns = place.answers(policy.post, policy.permission), policy.alters or _changed_by(policy.data)
        yield Cell("POST", path, good, policy.data, changes=columns)
        yield Cell("POST", path, good, policy.data | _strays(place), changes=columns)


@_of.register
def _part(policy: Part, place: Place) -> Iterator[Cell]:
    def path(pk: int) -> str:
        return place.path(f"?{policy.about}={pk}")

    for method in ("GET", "HEAD"):
        yield Cell(method, place.path(), place.answers(200, policy.permission))
    for pk, seen in place.on_rows("account", policy.permission):
        agreed = seen and is_let_in(place.actor, place.owner("account", pk), policy.let_in)
        good = 200 if agreed or seen and place.changes("account", pk) else 403 if seen else 404
        yield Cell("GET", path(pk), place.answers(good, policy.permission), like="" if seen else path(NEVER_WAS))


@_of.register
def _personal(policy: Personal, place: Place) -> Iterator[Cell]:
    rows = [(None, place.is_in())]
    if policy.of:
        known = list(place.on_rows(policy.of.__tablename__))
        rows = [*[pair for pair in known if pair[1]], *[pair for pair in known if not pair[1]][::4]]
    for pk, seen in rows:
        path = place.path(**dict.fromkeys(place.rule.arguments, pk))
        if policy.get:
            yield Cell("GET", path, place.answers(policy.get))
        if policy.post:
            good = place.answers(policy.post if seen else 404)
            columns = _changed_by(policy.data) | {"ended_at", "first_name", "last_name"}
            like = place.path(**dict.fromkeys(place.rule.arguments, NEVER_WAS)) if pk and not seen else ""
            yield Cell("POST", path, good, policy.data, changes=columns, like=like, notes=True)


@_of.register
def _list(policy: List, place: Place) -> Iterator[Cell]:
    good = place.answers(200, policy.permission)
    for method in ("GET", "HEAD"):
        yield Cell(method, place.path(), good)
    if not place.is_in(policy.permission):
        return
    yield Cell("GET", place.path("?size=100"), good, shows=_canary_on(policy, place))
    if not isinstance(policy, Export):
        yield Cell("GET", place.path(), good, headers=HTMX)
    headers = {} if isinstance(policy, Export) else HTMX
    for query, same in _questions(policy, place):
        yield Cell("GET", place.path(f"?{query}"), good, headers=headers, like=place.path() if same else "")


def _canary_on(policy: List, place: Place) -> str:
    """A word that stands on the list, where it has any rows; a new one, since an old one may be behind the page."""
    table = policy.of.__tablename__
    rows = [pk for pk in place.world.ids(table) if place.sees(table, pk)]
    owners = [place.owner(table, pk) for pk in sorted(rows, reverse=True)]
    owner = next((slug for slug in owners if slug != "gestern" and policy.offers(place.actor.slug, slug)), "")
    return f"canary-{owner}-{'ab_user' if table == 'member' else table}" if owner else ""


def _questions(policy: List, place: Place) -> Iterator[tuple[str, bool]]:
    """Ways to search, filter and sort; with whether the answer has to be that to no question at all."""
    yield urlencode({"q": "canary", "sort": "user.password", "size": "100", "page": "2"}), False
    if place.actor.role is not Role.ADMINISTRATOR:
        return  # the same rows, whatever the role
    if isinstance(policy, Export):
        yield urlencode({f"sort={name}": 1 for name in HIDDEN} | {f"_flt_0_{name}": "canary" for name in HIDDEN}), True
        return  # the same rows as the list's
    if not place.asks_everything:
        return
    shown = _fields(place)
    words = ["canary", *(f"canary-{slug}-" for slug in ("alpenwerk", "bergen", "kontor"))]
    for word in (*words, "canary-kontor-ab_user-password", "%", "_"):
        yield urlencode({"q": word}), False
    for turn, (name, found) in enumerate(shown.items()):
        values = {"choice": [c.value for c in found.choices[:2]], "number": ["1"], "moment": ["2026-01-01"]}
        every = range(len(found.operators or OPERATORS[found.kind]))
        for number in every if place.is_first else [turn % len(every)]:  # each by another one than the column before
            asked = {f"_flt_{number}_{name}": values.get(found.kind, words), "sort": f"-{name}"}
            yield urlencode(asked, doseq=True), False
    secret = {c.key for c in inspect(policy.of).column_attrs if c.key not in shown}
    for name in {*HIDDEN, *secret} - set(shown):
        yield urlencode({"sort": f"{name},-{name}", f"_flt_0_{name}": "canary"}), True


def _fields(place: Place) -> dict[str, Any]:
    """The columns of a list that may be sorted and filtered by."""
    name = place.rule.endpoint.split(".")[0]
    view = next(view for view in place.world.app.appbuilder.baseviews if type(view).__name__ == name)
    with place.world.app.test_request_context(), acting(place.world.scope(place.actor), writes=False):
        return {name: found for name, found in view.fields().items() if found.expression is not None}


@_of.register
def _related(policy: Related, place: Place) -> Iterator[Cell]:
    for key, owner in policy.owners.items():
        never = place.path(key=key, pk=NEVER_WAS)
        for pk, seen in place.on_rows(owner.__tablename__, policy.permission):
            good = place.answers(200 if seen else 404, policy.permission)
            yield Cell("GET", place.path(key=key, pk=pk), good, like="" if seen else never)
            if seen and place.owner(owner.__tablename__, pk) == place.actor.slug:
                query = urlencode({"_flt_0_name": "canary", "sort": "path", "q": "canary"})
                yield Cell("GET", place.path(f"?{query}", key=key, pk=pk), good, headers=HTMX)
    keys = ("account_path", "id", "user_id", "nope", "__class__")
    for key in keys if place.is_first else keys[:1]:
        yield Cell("GET", place.path(key=key, pk=1), place.answers(404, policy.permission))


@_of.register
def _detail(policy: Detail, place: Place) -> Iterator[Cell]:
    table = policy.of.__tablename__
    never = place.path(pk=NEVER_WAS)
    for pk, seen in place.on_rows(table, policy.permission, policy.kind):
        good = place.answers(policy.get if seen else 404, policy.permission)
        shows = f"canary-{place.owner(table, pk)}" if seen and policy.get == 200 else ""
        yield Cell("GET", place.path(pk=pk), good, shows=shows, like="" if seen else never)
    yield Cell("HEAD", never, place.answers(404, policy.permission))


@_of.register
def _add_form(policy: AddForm, place: Place) -> Iterator[Cell]:
    path, strays = place.path(f"?{policy.query}"), _strays(place)
    beside = {name: value for name, value in strays.items() if name != policy.into}
    for query in ({}, beside, {f"_flt_0_{name}": strays[name] for name in strays}):
        yield Cell("GET", f"{path}&{urlencode(query)}", place.answers(200, policy.permission))
    good = place.answers(policy.done, policy.permission)
    yield Cell("POST", path, good, policy.data)
    yield Cell("POST", path, good, policy.data | strays)
    yield Cell("POST", f"{path}&{urlencode(beside)}", good, policy.data)
    yield Cell("POST", path, place.answers(422, policy.permission), {})
    if place.is_in():
        in_dialog = place.answers(policy.within_page if policy.done == 302 else policy.done, policy.permission)
        yield Cell("POST", path, in_dialog, policy.data | strays, HTMX)
    if policy.into:
        yield from _add_into(policy, place)


def _add_into(policy: AddForm, place: Place) -> Iterator[Cell]:
    """The same for each account it could be added to; one that is not seen answers as one that never was."""
    def path(pk: int) -> str:
        return place.path(f"?{policy.into}={pk}")

    for pk, seen in place.on_rows("account", policy.permission):
        agreed = seen and policy.let_in and is_let_in(place.actor, place.owner("account", pk), policy.of.__tablename__)
        offered = seen and (agreed or place.changes("account", pk))
        good = place.answers({200} if offered else {403} if seen else {404}, policy.permission)
        yield Cell("GET", path(pk), good, like="" if seen else path(NEVER_WAS))
        done = place.answers({302, 422} if offered else {403} if seen else {404}, policy.permission)
        yield Cell("POST", path(pk), done, policy.data, like="" if seen else path(NEVER_WAS))


@_of.register
def _edit_form(policy: EditForm, place: Place) -> Iterator[Cell]:
    table = policy.of.__tablename__
    query = f"?{policy.query}"
    never, strays = place.path(query, pk=NEVER_WAS), _strays(place)
    columns = _changed_by(policy.data) | policy.alters
    for pk, seen in place.on_rows(table, policy.permission, policy.kind):
        offered = seen and policy.offers(place.actor.slug, place.owner(table, pk)) and place.changes(table, pk)
        placed = place.placed(policy, table, pk)
        good = placed or (set(policy.opens) if offered else {403} if seen else {404})
        saved = ({policy.done, 422} if 200 in policy.opens else set()) | policy.opens - {200}
        saved = saved if offered and not placed else good
        like = "" if seen else never
        yield Cell("GET", place.path(query, pk=pk), place.answers(good, policy.permission), like=like)
        answer = place.answers(saved, policy.permission)
        yield Cell("POST", place.path(query, pk=pk), answer, policy.data | strays, changes=columns, like=like)


@_of.register
def _deed(policy: Deed, place: Place) -> Iterator[Cell]:
    table, never = policy.of.__tablename__, place.path(pk=NEVER_WAS)
    for pk, seen in place.on_rows(table, policy.permission, policy.kind):
        offered = seen and policy.offers(place.actor.slug, place.owner(table, pk))
        done = place.placed(policy, table, pk) or (set(policy.done) if offered else {403} if seen else {404})
        good = place.answers(done, policy.permission)
        like, reveals = "" if seen else never, place.owner(table, pk) if policy.reveals and offered else ""
        yield Cell(
            "POST", place.path(pk=pk), good, _strays(place), changes=policy.alters, like=like, reveals=reveals
        )


@_of.register
def _of_views(policy: OfViews, place: Place) -> Iterator[Cell]:
    """Somebody else's own view answers as one that never was; a shared one is changed by those who may share."""
    never = place.path(pk=NEVER_WAS)
    for pk, within in place.on_rows("saved_view", policy.permission):
        owner_id = place.world.row("saved_view", pk)["owner_id"] if within else 0
        shared = within and owner_id is None
        own = within and owner_id == place.world.user_id(place.actor)  # the wall knows accounts, not whose a view is
        seen = shared or own
        barred = shared and policy.changes and not may(place.actor, "saved_view.share")
        good = place.answers(404 if not seen else 403 if barred else 302, policy.permission)
        columns = frozenset({"name", "name_key", "owner_id", "query", "habits"})
        like = "" if seen else never
        if policy.shows:
            yield Cell("GET", place.path(pk=pk), {200} if good == {302} and seen else good, like=like)
        whole = ANY if place.rule.endpoint.endswith("delete") else columns
        yield Cell("POST", place.path(pk=pk), good, policy.data | _strays(place), changes=whole, like=like)


@_of.register
def _address(policy: Address, place: Place) -> Iterator[Cell]:
    table, query = policy.of.__tablename__, f"?{policy.query}" if policy.query else ""
    never = place.path(query, pk=NEVER_WAS)
    for pk, seen in place.on_rows(table, policy.permission):
        offered = seen and policy.offers(place.actor.slug, place.owner(table, pk))
        placed = place.placed(policy, table, pk)
        for method, good, data in (("GET", policy.get, None), ("POST", policy.post, policy.data | _strays(place))):
            if good:
                expects = place.answers(placed or (good if offered else 403 if seen else 404), policy.permission)
                yield Cell(method, place.path(query, pk=pk), expects, data, like="" if seen else never)


@_of.register
def _commands(policy: Commands, place: Place) -> Iterator[Cell]:
    table, path = policy.of.__tablename__, place.path()
    yield Cell("POST", path, place.answers(404), _bulk("delete", [1]))
    yield Cell("POST", path, place.answers(404), _bulk("", [1]))
    for verb, permission in policy.verbs.items():
        seen_here = [pk for pk, seen in place.on_rows(table, permission) if seen]
        own = [pk for pk in seen_here if place.changes(table, pk)]
        own.sort(key=lambda pk: place.owner(table, pk) == place.actor.slug)  # the acting account itself last
        foreign = place.foreign(table)
        some = place.of_each_kind(table, foreign)
        done, not_found = place.answers(302, permission), place.answers(404, permission)
        for pk in own:
            yield Cell("POST", path, done, _bulk(verb, [pk]), changes=ANY)
        for pk in set(seen_here) - set(own):
            yield Cell("POST", path, place.answers(403, permission), _bulk(verb, [pk]))
        yield from (Cell("POST", path, done, _bulk(verb, own), changes=ANY) for _once in own[:1])
        alone = [[pk] for pk in some] if place.is_in(permission) else []
        mixed = [[own[0], pk] for pk in (some if place.is_first else some[:1]) if own]
        for wrong in (*alone, *mixed, foreign, [NEVER_WAS], [*own[:1], NEVER_WAS]):
            yield Cell("POST", path, not_found, _bulk(verb, wrong))
    for verb in list(policy.verbs)[:1]:
        for wrong in ([], ["x"], [-1], [2**70], range(1, 1002)):
            yield Cell("POST", path, place.answers(404, policy.verbs[verb]), _bulk(verb, wrong))


def _bulk(verb: str, pks: Any) -> dict[str, Any]:
    return {"action": verb, "rowid": [str(pk) for pk in pks]}


def _strays(place: Place) -> dict[str, str]:
    """What no form asks for: the keys of somebody else's rows, and what only the program decides."""
    account = next(iter(place.foreign("account")), 1)
    path = place.world.row("account", account)["path"]
    for_everybody = {"second_factor_required": "y", "portal_needs_subscription": "y"}
    own_field = {} if place.actor.slug == "kontor" else for_everybody
    return own_field | {
        "id": str(account), "pk": str(account), "parent": str(account), "parent_id": str(account),
        "account": str(account), "account_id": str(account), "user_id": "1", "user": "1",
        "path": path, "account_path": path, "slug": "kontor", "kind": "operator", "archived_at": "2026-01-01",
        "created_at": "2020-01-01", "back": "//evil.example/",
    }  # fmt: skip


def _changed_by(data: dict[str, str]) -> frozenset[str]:
    return frozenset({*data, "name_key", "name_sort", "words"})


# --- the API -----------------------------------------------------------------------------------------------------


def _of_api(policy: Any, place: Place) -> Iterator[Cell]:
    """Every cell twice: from a browser in the account, and from a program with the actor's key, which names no
    account. Then what is the same at every door of the API."""
    for cell in _api(policy, place):
        yield cell if cell.method in SAFE else replace(cell, csrf=True)
        if place.has_key:
            bare = cell.path.removeprefix(f"/a/{place.actor.slug}")
            like = cell.like.removeprefix(f"/a/{place.actor.slug}")
            yield replace(cell, path=bare, like=like, csrf=False, by_key=True, expects=_by_key(cell, place))
    yield from _around_api(policy, place) if place.is_at_the_door else ()


def _by_key(cell: Cell, place: Place) -> set[int]:
    """A key that is dead opens nothing, whatever the person behind it once was; a live one as much as the person."""
    return cell.expects if place.actor.role else {401}


def _around_api(policy: Any, place: Place) -> Iterator[Cell]:
    method = next(iter(place.rule.methods - {"HEAD", "OPTIONS"}))
    path = place.path(**dict.fromkeys(place.rule.arguments, NEVER_WAS))
    bare = path.removeprefix(f"/a/{place.actor.slug}")
    yield Cell(method, bare, {401})
    yield Cell(method, bare, {401}, headers={"Authorization": "Bearer kontor_guess"})
    yield Cell(method, path, {401}, headers={"Authorization": "Bearer kontor_guess"})
    if place.actor.has_key:
        another = "kontor" if place.actor.slug == "gletscherbau" else "gletscherbau"
        strange = path.replace(f"/a/{place.actor.slug}/", f"/a/{another}/")
        yield Cell(method, strange, {404} if place.actor.role or place.actor.member_of else {401}, by_key=True)
    if method not in SAFE:
        yield Cell(method, path, _api_answers(place, 400, ""), json=getattr(policy, "json", None), csrf=False)


def _api_answers(place: Place, good: int | set[int], permission: str) -> set[int]:
    """As everywhere, but nobody is led to sign-in."""
    return {401} if not place.actor.known else place.answers(good, permission)


@singledispatch
def _api(policy: Any, place: Place) -> Iterator[Cell]:
    raise NotImplementedError(type(policy))


@_api.register
def _api_page(policy: ApiPage, place: Place) -> Iterator[Cell]:
    yield Cell("GET", place.path(), _api_answers(place, 200, policy.permission))


@_api.register
def _api_list(policy: ApiList, place: Place) -> Iterator[Cell]:
    good = _api_answers(place, 200, policy.permission)
    yield Cell("HEAD", place.path(), good)
    yield Cell("GET", place.path(), good)
    if not place.is_in(policy.permission):
        return
    yield Cell("GET", place.path(), good, shows=_canary_on(policy, place))
    names = ("password", "user.password", "path", "account_path", "name_key", "secret_hash", "account.path")
    for name in names if place.asks_everything and place.is_first else names[:1]:
        by_name = [{"col": name, "opr": "sw", "value": "canary"}]
        for asked in ({"order_column": name}, {"columns": [name]}, {"filters": by_name}):
            yield Cell("GET", place.path("?" + urlencode({"q": json.dumps(asked)})), {400})


@_api.register
def _api_item(policy: ApiItem, place: Place) -> Iterator[Cell]:
    table = policy.of.__tablename__
    for pk, seen in place.on_rows(table, policy.permission):
        there = seen and policy.offers(place.actor.slug, place.owner(table, pk))
        good = _api_answers(place, policy.done if there else 404, policy.permission)
        yield Cell("GET", place.path(pk=pk), good, like="" if there else place.path(pk=NEVER_WAS))


@_api.register
def _api_add(policy: ApiAdd, place: Place) -> Iterator[Cell]:
    yield Cell("POST", place.path(), _api_answers(place, policy.done, policy.permission), json=policy.json)
    yield Cell("POST", place.path(), _api_answers(place, 422, policy.permission), json={})
    yield Cell("POST", place.path(), _api_answers(place, 422, policy.permission), json=policy.json | _strays(place))


@_api.register
def _api_deed(policy: ApiDeed, place: Place) -> Iterator[Cell]:
    """409: the row is in no state for it. Where a row is not there, the answer is that of one that never was."""
    table, method = policy.of.__tablename__, next(iter(place.rule.methods - {"HEAD", "OPTIONS"}))
    for pk, seen in place.on_rows(table, policy.permission):
        offered = seen and policy.offers(place.actor.slug, place.owner(table, pk)) and place.changes(table, pk)
        instead = policy.instead if seen and place.changes(table, pk) else 403
        good = {200, 409, 422} if offered else {instead} if seen else {404}
        like = "" if seen else place.path(pk=NEVER_WAS)
        answers = _api_answers(place, good, policy.permission)
        yield Cell(method, place.path(pk=pk), answers, json=policy.json, changes=ANY, like=like)


# --- whether it did --------------------------------------------------------------------------------------------


def faults(world: World, actor: Actor, wanted: list[Cell]) -> list[str]:
    """Knock at every cell; what is wrong with the answers, and with the world afterwards."""
    found: list[str] = []
    twins: dict[tuple[str, str], Any] = {}
    for cell in sorted(wanted, key=lambda cell: cell.method in SAFE):  # an export, though merely looking, is noted
        answer = _ask(world, actor, cell)
        twin = None
        if cell.like:
            key = cell.method, cell.like
            twin = twins.get(key) or twins.setdefault(key, _ask(world, actor, replace(cell, path=cell.like)))
        found += [f"{cell}: {fault}" for fault in _faults_of(world, actor, cell, answer, twin)]
        if cell.method not in SAFE:
            after = world.rows()
            found += [f"{cell}: {fault}" for fault in _damage(world, actor, cell, answer.status_code, after)]
            if after is not world.pristine:
                world.renew()
    found += [f"merely looking: {fault}" for fault in _damage(world, actor, LOOKING, 200, world.rows())]
    return found


UNASKED = {"last_account_id", "seen_at", "last_used_at", "locale"}  # what the program notes of the person by itself
LOOKING = Cell("GET", "", set())


def _ask(world: World, actor: Actor, cell: Cell) -> Any:
    client = world.app.test_client() if cell.by_key else world.browser(actor)
    shown = {"Authorization": f"Bearer {actor.secret}"} if cell.by_key else {}
    body = {"json": cell.json} if cell.json is not None else {"data": cell.data}
    return world.open(client, cell.method, cell.path, headers=cell.headers | shown, csrf=cell.csrf, **body)


def _faults_of(world: World, actor: Actor, cell: Cell, answer: Any, twin: Any) -> Iterator[str]:
    if answer.status_code not in cell.expects:
        yield f"answered {answer.status_code}, not {sorted(cell.expects)}"
    asked = f"{cell.path} {urlencode(cell.data or {}, doseq=True)} {json.dumps(cell.json or '')}"
    leaks = world.leaks(actor, answer, asked)
    if leaks := {word for word in leaks if not (cell.reveals and f"canary-{cell.reveals}-account-" in word)}:
        yield f"leaks {sorted(leaks)}"
    if cell.shows and cell.shows not in world.text_of(answer):
        yield f"does not show {cell.shows}"
    if not actor.known and 300 <= answer.status_code < 400 and cell.path.startswith("/a/"):
        if answer.headers["Location"] != "/login/":
            yield f"leads to {answer.headers['Location']}"
    if "evil" in answer.headers.get("Location", "") + answer.headers.get("HX-Redirect", ""):
        yield "leads out of the house"
    writes_about_itself = "/history/export" in cell.path  # its own line stands in the next one
    if twin is not None and not writes_about_itself and _plain(answer, cell.path) != _plain(twin, cell.like):
        yield f"is told apart from {cell.like}"


def _damage(world: World, actor: Actor, cell: Cell, status: int, after: Rows) -> Iterator[str]:
    """Rows that changed and should not have."""
    before = world.pristine
    if after is before:
        return
    for key in before.keys() | after.keys():
        old, new = before.get(key), after.get(key)
        if old == new:
            continue
        table, _pk = key
        columns = {name for name in (old or new) if old is None or new is None or old[name] != new[name]}
        if not all(world.may_touch(actor, table, row) for row in (old, new) if row):
            yield f"changed {key} of somebody else: {sorted(columns)}"
        elif columns <= UNASKED:
            continue
        elif status >= 400 and not (cell.notes and table == "log_entry" and old is None):
            yield f"changed {key} though it answered {status}"
        elif old is not None and ANY != cell.changes and not columns <= cell.changes | UNASKED:
            yield f"changed {sorted(columns - cell.changes)} of {key}"


def _plain(answer: Any, path: str) -> tuple[int, str, str]:
    """An answer without what differs every time or repeats the question: nonce, token, the address itself."""
    body = re.sub(r'nonce="[^"]+"|name="csrf[^>]+>', "", answer.data.decode("utf-8", "replace"))
    if answer.data[:2] == b"PK":
        body = zipfile.ZipFile(io.BytesIO(answer.data)).read("xl/worksheets/sheet1.xml").decode()
        body = re.sub(r"\b\d+-[0-9a-f]{8}-\w+\b", "the ID of a row, which says when it was exported", body)
    elif answer.status_code == 200:
        body = "".join(re.findall(r"<tbody>.*?</tbody>", body, re.S)) or str(len(answer.data))
    for word in (path.split("/")[2], *re.findall(r"/(\d+)", path)):
        body = body.replace(f"/{word}", "/…").replace(f"%2F{word}", "%2F…")
    for name, number in re.findall(r"(\w+)=(\d+)", path):
        body = re.sub(rf"({name}(?:=|%3D)){number}\b", r"\1…", body)
    varying = {"Content-Length", "Content-Security-Policy", "Set-Cookie"}
    return answer.status_code, body, "\n".join(f"{k}: {v}" for k, v in answer.headers if k not in varying)

"""The cast of every test, in the small world they live in.

    Kontor GmbH (operator)          Dora, administrator
    ├─ Nordlicht (partner)          Alice, administrator
    │  ├─ Küstenfunk (customer)     Bob, administrator
    │  ├─ Deichbau (customer)
    │  └─ Fjordline (partner)       Frida, administrator
    │     └─ Bergen Sensor (customer)
    └─ Alpenwerk (partner)          Charlie, administrator: the stranger
       └─ Gletscherbau (customer)
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import Context
from dataclasses import dataclass
from typing import Any

from flask import Flask, current_app
from flask.testing import FlaskClient
from itsdangerous import URLSafeTimedSerializer
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from app import clock, permissions, tokens
from app.extensions import db
from app.models import Account, Kind, Login, Member, Role, User
from app.services import accounts, api_keys, members, signin
from app.tenancy import acting, scope_for, unscoped

PASSWORD = "kontor-test-2026"


@dataclass(frozen=True)
class Person:
    """Somebody of the cast, in the account they act in."""

    email: str
    slug: str


ALICE = Person("alice@nordlicht.example", "nordlicht")
BOB = Person("bob@kuestenfunk.example", "kuestenfunk")
CHARLIE = Person("charlie@alpenwerk.example", "alpenwerk")
DORA = Person("dora@kontor.example", "kontor")
FRIDA = Person("frida@fjordline.example", "fjordline")


def build() -> None:
    """Build the world; run once, then copied for every test."""
    with unscoped("building the tests' world"):
        kontor = accounts.open_operator("Kontor GmbH", slug="kontor")
        nordlicht = _account("Nordlicht", kontor, Kind.PARTNER, country="DE", language="de", contact="Alice Ahrens")
        alpenwerk = _account("Alpenwerk", kontor, Kind.PARTNER, country="AT", language="de")
        kuestenfunk = _account("Küstenfunk", nordlicht, slug="kuestenfunk", email="info@kuestenfunk.example")
        _account("Deichbau", nordlicht)
        fjordline = _account("Fjordline", nordlicht, Kind.PARTNER, country="NO")
        _account("Bergen Sensor", fjordline, slug="bergen")
        _account("Gletscherbau", alpenwerk)
        for person, name, account in [
            (DORA, "Dora Dorn", kontor),
            (ALICE, "Alice Ahrens", nordlicht),
            (BOB, "Bob Brandt", kuestenfunk),
            (CHARLIE, "Charlie Czerny", alpenwerk),
            (FRIDA, "Frida Foss", fjordline),
        ]:
            add_member(person.email, name, account, Role.ADMINISTRATOR)


def _account(name: str, parent: Account, kind: Kind = Kind.CUSTOMER, slug: str = "", **facts: Any) -> Account:
    account = accounts.open_account(name, parent=parent, by=None, slug=slug or name.lower(), **facts)
    account.kind = kind
    return account


def add_member(email: str, name: str, account: Account, role: Role) -> Member:
    """A person, new or known, as member of an account; inside an unscoped unit."""
    first, _, last = name.partition(" ")
    user = db.session.scalar(select(User).where(User.email == email))
    user = user or signin.create_user(email, first_name=first, last_name=last, password=PASSWORD)
    return members.join(user, account, role=role)


def hire(email: str, slug: str, role: Role, name: str = "Somebody Else") -> Person:
    """Somebody more than the cast: a person with that role in that account."""
    with unscoped("the test's own people") as session:
        account = session.scalar(select(Account).where(Account.slug == slug))
        add_member(email, name, account, role)
    return Person(email, slug)


@contextmanager
def acting_as(person: Person, *, writes: bool = True) -> Iterator[Member]:
    """A unit of work behind that person's wall; yields the member who acts."""
    with unscoped("finding the test's person", writes=False) as session:
        member = session.scalar(
            select(Member)
            .join(Member.user)
            .join(Member.account)
            .options(joinedload(Member.user), joinedload(Member.account))
            .where(User.email == person.email, Account.slug == person.slug)
        )
        scope = scope_for(member)
    with acting(scope, writes=writes) as session:
        yield session.get(Member, scope.member_id)


def account_id(slug: str) -> int:
    with unscoped("looking a number up", writes=False) as session:
        return session.scalar(select(Account.id).where(Account.slug == slug))


def account_called(slug: str) -> Account:
    """The account of that address, in the session at hand."""
    return db.session.scalar(select(Account).where(Account.slug == slug))


class Browser:
    """A person's browser: signed in, sending the CSRF token, at home in the person's account."""

    def __init__(self, client: FlaskClient, person: Person, cookie_secret: str) -> None:
        self.client, self.person, self.cookie_secret = client, person, cookie_secret

    def get(self, path: str, **kwargs: Any) -> Any:
        return self.open(path, method="GET", **kwargs)

    def post(self, path: str, **kwargs: Any) -> Any:
        return self.open(path, method="POST", **kwargs)

    def open(self, path: str, **kwargs: Any) -> Any:
        headers = {"X-CSRFToken": _csrf_token(self.cookie_secret), **kwargs.pop("headers", {})}
        return apart(self.client.open, f"/a/{self.person.slug}{path}", headers=headers, buffered=True, **kwargs)


def apart(do: Any, *args: Any, **kwargs: Any) -> Any:
    """Do it as a server would: with nothing of the test's own context around it."""
    return Context().run(do, *args, **kwargs)


def browse(person: Person, app: Flask | None = None) -> Browser:
    """A signed-in browser of that person."""
    app = app or current_app._get_current_object()
    key = secrets.token_urlsafe(32)
    with app.app_context(), unscoped("signing the test's person in") as session:
        user_id = session.scalar(select(User.id).where(User.email == person.email))
        now = clock.now()
        session.add(Login(user_id=user_id, key_hash=tokens.hash_of(key), created_at=now, seen_at=now))
    client = app.test_client()
    raw = secrets.token_hex(16)
    with client.session_transaction() as session:
        session["login"] = key
        session["csrf_token"] = raw
    return Browser(client, person, raw)


class Program:
    """A program with an API key; it has no cookie and no form token."""

    def __init__(self, client: FlaskClient, secret: str) -> None:
        self.client, self.secret = client, secret

    def get(self, path: str, **kwargs: Any) -> Any:
        return self.open("GET", path, **kwargs)

    def post(self, path: str, **kwargs: Any) -> Any:
        return self.open("POST", path, **kwargs)

    def put(self, path: str, **kwargs: Any) -> Any:
        return self.open("PUT", path, **kwargs)

    def delete(self, path: str, **kwargs: Any) -> Any:
        return self.open("DELETE", path, **kwargs)

    def open(self, method: str, path: str, **kwargs: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.secret}", **kwargs.pop("headers", {})}
        return apart(self.client.open, path, method=method, headers=headers, buffered=True, **kwargs)


def program(person: Person, *scopes: str, name: str = "Warehouse", app: Flask | None = None) -> Program:
    """A program that acts for that person, with those scopes or else all the person can hand on."""
    app = app or current_app._get_current_object()
    with app.app_context(), acting_as(person) as by:
        every = [scope for names in permissions.scopes(by.account.kind, by.role).values() for scope in names]
        _key, secret = api_keys.create(name, scopes=scopes or every, days=90, by=by)
    return Program(app.test_client(), secret)


def _csrf_token(raw: str) -> str:
    return URLSafeTimedSerializer(current_app.secret_key, salt="wtf-csrf-token").dumps(raw)

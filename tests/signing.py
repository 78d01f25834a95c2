"""What tests about signing in need: a browser in which nobody is signed in yet, an authenticator app, a crowd."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context
from threading import Barrier
from typing import Any

from flask import Flask
from pyotp import TOTP
from sqlalchemy import select

from app import clock, outbox
from app.models import LogEntry, Message, Token, User
from app.services import second_factor, signin
from app.services.signin import Visitor
from app.tenancy import unscoped
from tests import cast
from tests.cast import PASSWORD, Person, apart

HERE = Visitor("192.0.2.7", "Firefox, Windows")
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"


class Tab:
    """A browser in which nobody is signed in yet; it sends the CSRF token with what it posts."""

    def __init__(self, app: Flask, ip: str = "127.0.0.1") -> None:
        self.client, self.ip = app.test_client(), ip

    def get(self, path: str, **kwargs: Any) -> Any:
        return self._open(path, method="GET", **kwargs)

    def post(self, path: str, **form: Any) -> Any:
        raw = secrets.token_hex(8)
        with self.client.session_transaction() as session:
            session["csrf_token"] = raw
        return self._open(path, method="POST", data=form, headers={"X-CSRFToken": cast._csrf_token(raw)})

    def sign_in(self, person: Person | str, password: str = PASSWORD, **form: Any) -> Any:
        email = person if isinstance(person, str) else person.email
        return self.post("/login/", email=email, password=password, **form)

    def is_signed_in(self) -> bool:
        return self.get("/").location not in {None, "/login/"}

    def cookie(self) -> str:
        return self.client.get_cookie("kontor").value

    def session(self) -> dict[str, Any]:
        with self.client.session_transaction() as session:
            return dict(session)

    def _open(self, path: str, **kwargs: Any) -> Any:
        headers = {"User-Agent": FIREFOX, **kwargs.pop("headers", {})}
        where = {"environ_base": {"REMOTE_ADDR": self.ip}}
        return apart(self.client.open, path, headers=headers, buffered=True, **where, **kwargs)


def text_of(answer: Any) -> str:
    """The page as it reads, without what differs by request: nonce, CSRF token, its own address, what was typed."""
    page = re.sub(r'nonce="[^"]*"', "", answer.get_data(as_text=True))
    page = re.sub(r'(name="csrf_token"[^>]*value|name="csrf-token" content)="[^"]*"', "", page)
    page = re.sub(r'href="/lang/[^"]*"', "", page)
    return re.sub(r'value="[^"]*@[^"]*"', "", page)


def user_of(person: Person) -> User:
    with unscoped("looking at a person", writes=False):
        return signin.find_user(person.email)


def messages_to(person: Person) -> list[Message]:
    with unscoped("looking into a mailbox", writes=False) as session:
        return list(session.scalars(select(Message).where(Message.recipient == person.email).order_by(Message.id)))


def link_in(message: Message) -> str:
    """The path a mail's link leads to."""
    with unscoped("reading a mail", writes=False) as session:
        text, _html = outbox.bodies(message, session.get(Token, message.token_id))
    return re.search(r"http://localhost(/\S+)", text)[1]


def reset_link(app: Flask, person: Person) -> str:
    Tab(app).post("/forgot/", email=person.email)
    return link_in(messages_to(person)[-1])


def history() -> list[str]:
    with unscoped("reading history", writes=False) as session:
        return list(session.scalars(select(LogEntry.action).order_by(LogEntry.id)))


def give_second_factor(person: Person) -> list[str]:
    """Turn the person's second factor on; answers the recovery codes. The code of this moment is still good."""
    with unscoped("giving a person an app"):
        user = signin.find_user(person.email)
        nonce = second_factor.new_nonce()
        codes = second_factor.turn_on(user, nonce, _app_of(user, nonce).at(clock.now()))
        user.totp_last_step = None
        return codes


def code_of(person: Person, steps: int = 0) -> str:
    """What the person's app shows now, or showed some steps ago."""
    user = user_of(person)
    return _app_of(user, user.totp_nonce).at(int(clock.now().timestamp()) + steps * second_factor.STEP)


def wrong_code(person: Person) -> str:
    right = {code_of(person, steps) for steps in (-1, 0, 1, 2)}
    return next(code for code in ("000000", "111111", "222222", "333333", "444444") if code not in right)


def _app_of(user: User, nonce: str) -> TOTP:
    return TOTP(second_factor.secret_of(user, nonce))


def at_once(app: Flask, times: int, do: Callable[[], Any]) -> list[Any]:
    """Do it so many times at the same moment, each as a request of its own would."""
    barrier = Barrier(times)

    def once() -> Any:
        with app.app_context():
            barrier.wait()
            return do()

    with ThreadPoolExecutor(times) as crowd:
        return [done.result() for done in [crowd.submit(Context().run, once) for _n in range(times)]]

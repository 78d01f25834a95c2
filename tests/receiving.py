"""A receiver of webhooks: a real one, on a port of its own, that keeps what it gets and answers as it is told."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from flask import current_app
from sqlalchemy import select

from app import announcing
from app.extensions import db
from app.models import EventKind, Webhook, WebhookDelivery
from app.services import webhooks
from app.tenancy import unscoped
from tests.cast import ALICE, Person, acting_as

EVERY = [kind.value for kind in webhooks.EVENTS]


@dataclass
class Receiver:
    """What it got, and what it says to it."""

    port: int = 0
    code: int = 200
    answer: bytes = b"thank you"
    headers: dict[str, str] = field(default_factory=dict)
    got: list[dict[str, Any]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}/kontor?from=tests"

    @property
    def events(self) -> list[str]:
        return [json.loads(one["body"])["type"] for one in self.got]


@contextmanager
def receiver(app: Any = None) -> Iterator[Receiver]:
    """One that listens; localhost is a host webhooks may lead to as long as it does."""
    app, told = app or current_app, Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            told.got.append({"path": self.path, "body": body, "headers": dict(self.headers)})
            self.send_response(told.code)
            for name, value in told.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(told.answer)))
            self.end_headers()
            self.wfile.write(told.answer)

        def log_message(self, *_args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told.port = server.server_port
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    app.config["WEBHOOK_HOSTS"] = frozenset({"localhost"})
    try:
        yield told
    finally:
        app.config["WEBHOOK_HOSTS"] = frozenset()
        server.shutdown()
        server.server_close()


def hook(url: str, *, by: Person = ALICE, name: str = "Warehouse", events: list[str] | None = None) -> tuple[int, str]:
    """A webhook of that person's account: its number and its secret."""
    with acting_as(by) as member:
        made = webhooks.add(name, url=url, events=events or EVERY, by=member)
        return made.id, webhooks.secret_of(made)


def work() -> None:
    """What the worker does when it is told, without its queue: spread what has happened, deliver what is due."""
    announcing.announce_due()
    with unscoped("the webhooks of a test", writes=False) as session:
        numbers = list(session.scalars(select(Webhook.id).order_by(Webhook.id)))
    for number in numbers:
        announcing.deliver_to(number)


def log(event: EventKind | None = None) -> list[WebhookDelivery]:
    """Every delivery there is, past the wall, the oldest first."""
    with unscoped("the log of a test", writes=False) as session:
        found = select(WebhookDelivery).order_by(WebhookDelivery.id)
        return list(session.scalars(found if event is None else found.where(WebhookDelivery.event == event)))


def is_signed(got: dict[str, Any], secret: str) -> bool:
    """The check of a receiver, by the words of the Standard Webhooks and with nothing of ours."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    headers = {name.lower(): value for name, value in got["headers"].items()}
    content = b".".join([headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), got["body"]])
    expected = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    given = [one.partition(",") for one in headers["webhook-signature"].split(" ")]
    return any(version == "v1" and hmac.compare_digest(value, expected) for version, _comma, value in given)


def webhook(number: int) -> Webhook:
    with unscoped("a webhook of a test", writes=False):
        return db.session.get(Webhook, number)

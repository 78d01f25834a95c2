"""Kontor as a browser meets it: the real application behind a web server, on a database of its own."""

from __future__ import annotations

import time
from pathlib import Path
from threading import Thread
from typing import Any

from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server

from app import create_app
from tests.conftest import SETTINGS, _fill, _renew


class Site:
    """One per test process, on a free port. `renew` gives it a fresh copy of the world."""

    def __init__(self, data: Path) -> None:
        self.server = make_server("127.0.0.1", 0, self._answer, threaded=True, request_handler=Handler)
        self.address = f"http://127.0.0.1:{self.server.port}"
        self.app = self._build(data)

    def _build(self, data: Path) -> Flask:
        _fill(f"sqlite:///{data / 'template.db'}", data)
        here = {"PUBLIC_URL": self.address, "TRUSTED_HOSTS": ["127.0.0.1", "localhost"], "PORT": self.server.port}
        url = f"sqlite:///{data / 'kontor.db'}"
        return create_app(SQLALCHEMY_DATABASE_URI=url, DATA_DIR=data, **SETTINGS | here)

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Any:
        return self.app(environ, start_response)

    def open(self) -> None:
        Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()

    def renew(self) -> None:
        deadline = time.monotonic() + 10
        while Handler.under_way:
            assert time.monotonic() < deadline, "a request of the last test does not come to an end"
            time.sleep(0.01)
        with self.app.app_context():
            _renew(self.app, "sqlite")


class Handler(WSGIRequestHandler):
    """Says nothing about its requests, but counts them: no database is taken away from under one."""

    under_way: set[WSGIRequestHandler] = set()

    def run_wsgi(self) -> None:
        self.under_way.add(self)
        try:
            super().run_wsgi()
        finally:
            self.under_way.discard(self)

    def log(self, *_args: Any, **_kwargs: Any) -> None:
        pass

"""The matrix's world, one per process and database, put right again when a test has changed it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from app import create_app, tenancy
from app.extensions import db
from tests import databases
from tests.conftest import SETTINGS, _fill, _worker
from tests.walls import world as worlds
from tests.walls.world import World


@pytest.fixture
def world(database: str, home: Path) -> Iterator[World]:
    """The world as it was made; nobody has knocked yet."""
    world = _world_on(database, home)
    with world.app.app_context():
        yield world
        if world.rows() is not world.pristine:
            world.renew()
        db.session.remove()


@pytest.fixture
def python_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wall in Python is off. PostgreSQL's own still stands, and is told for whom."""
    monkeypatch.setattr(tenancy.Scope, "criteria", lambda _scope, _tables, **_how: ())
    monkeypatch.setattr(tenancy, "_sees", lambda _scope, _row: True)
    monkeypatch.setattr(tenancy, "_named_in", lambda _statement: frozenset())


@pytest.fixture
def walls_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both walls are off: every session works as if it were unscoped, though somebody acts in it."""
    monkeypatch.setattr(tenancy, "_scope_of", lambda _session: tenancy.Unscoped("the walls are down"))
    monkeypatch.setattr(tenancy, "_sees", lambda _scope, _row: True)


@cache
def _world_on(database: str, home: Path) -> World:
    data = home / f"walls-{database}"
    data.mkdir()
    if database == "sqlite":
        template, copy = data / "template.db", data / "kontor.db"
        url = f"sqlite:///{copy}"
        _fill(f"sqlite:///{template}", data, worlds.build)
    else:
        databases.postgres_template("walls", lambda url: _fill(url, data, worlds.build))
        url = databases.create_postgres_database(f"walls_{_worker()}", "walls")

    def renew() -> None:
        if database == "postgresql":
            databases.create_postgres_database(f"walls_{_worker()}", "walls")
            return
        for suffix in ("-wal", "-shm"):
            Path(f"{copy}{suffix}").unlink(missing_ok=True)
        shutil.copyfile(template, copy)

    app = create_app(SQLALCHEMY_DATABASE_URI=url, DATA_DIR=data, **SETTINGS)
    with app.app_context():
        return World(app, renew)

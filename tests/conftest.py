"""What every test may ask for: an application with a fresh copy of the world, on SQLite or PostgreSQL, and the cast."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import cache
from pathlib import Path

import pytest
from flask import Flask
from flask_migrate import upgrade

from app import clock, create_app, limits
from app.extensions import db
from tests import cast, databases

HERE = Path(__file__).parent
ON_BOTH = ("services", "walls", "scenarios")  # where data matters, a test runs on both databases
SETTINGS = {
    "TESTING": True,
    "PROPAGATE_EXCEPTIONS": False,
    "SECRET_KEY": "of-the-tests-alone-0123456789abcdef",
    "PUBLIC_URL": "http://localhost",
    "TRUSTED_HOSTS": ["localhost"],
    "MAIL_SERVER": "",
    "ARGON2_TIME_COST": 1,
    "ARGON2_MEMORY_COST": 1024,
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "database" not in metafunc.fixturenames or _says_itself(metafunc):
        return
    folder = Path(metafunc.module.__file__).relative_to(HERE).parts[0]
    both = folder in ON_BOTH or metafunc.definition.get_closest_marker("both_databases")
    names = ["sqlite", "postgresql"] if both else ["sqlite"]
    metafunc.parametrize("database", names, indirect=True, scope="function")


def _says_itself(metafunc: pytest.Metafunc) -> bool:
    """Whether a test names its databases with its own parameters."""
    return any("database" in mark.args[0] for mark in metafunc.definition.iter_markers("parametrize"))


def pytest_collection_finish() -> None:
    """What is there by now stays for good: nobody need look through it for garbage again and again."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo):
    """In CI nothing is skipped for a missing tool."""
    report = yield
    if report.skipped and os.environ.get("CI") and "missing tool" in str(report.longrepr):
        report.outcome = "failed"
    return report


@pytest.fixture(scope="session", autouse=True)
def _translations() -> None:
    """The German the tests read is the German that is in the catalogue now."""
    for catalogue in (HERE.parent / "app/translations").glob("*/LC_MESSAGES/*.po"):
        compiled = catalogue.with_suffix(".mo")
        if not compiled.exists() or compiled.stat().st_mtime < catalogue.stat().st_mtime:
            subprocess.run(
                [sys.executable, "-m", "babel.messages.frontend", "-q", "compile", "-i", catalogue, "-o", compiled],
                check=True,
            )


@pytest.fixture
def database(request: pytest.FixtureRequest) -> str:
    """Which database the test runs on; the parameter's name."""
    return request.param


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where this process's databases lie."""
    return tmp_path_factory.mktemp("kontor")


@pytest.fixture
def app(database: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    """The application on a fresh copy of the world, its context pushed; the clock may be moved, and is put back."""
    monkeypatch.setattr(clock, "_moved_by", _past_the_end_of_a_window())
    app = _app_on(database, home)
    with app.app_context():
        _renew(app, database)
        yield app
        db.session.remove()
        db.engine.dispose()


def _past_the_end_of_a_window() -> timedelta:
    """Tries are counted anew every quarter of an hour: what would begin just before that begins just after it."""
    left = timedelta(seconds=limits.seconds_left("ip"))
    return left if left < timedelta(seconds=45) else timedelta(0)


@cache
def _app_on(database: str, home: Path) -> Flask:
    """One application per process and database; what is under it is renewed for every test."""
    data = home / database
    data.mkdir(exist_ok=True)
    if database == "sqlite":
        url = f"sqlite:///{data / 'kontor.db'}"
        _fill(f"sqlite:///{data / 'template.db'}", data)
    else:
        databases.postgres_template("world", lambda url: _fill(url, data))
        url = databases.create_postgres_database(_worker(), "world")
    return create_app(SQLALCHEMY_DATABASE_URI=url, DATA_DIR=data, **SETTINGS)


def _fill(url: str, data: Path, build: Callable[[], object] = cast.build) -> None:
    """Migrate an empty database and build a world in it, by default the cast's."""
    app = create_app(SQLALCHEMY_DATABASE_URI=url, DATA_DIR=data, **SETTINGS)
    with app.app_context():
        upgrade()
        build()
        put_into_one_file()
        db.engine.dispose()


def put_into_one_file() -> None:
    """So that SQLite's database can be copied."""
    if db.engine.dialect.name == "sqlite":
        with db.engine.connect() as connection:
            connection.exec_driver_sql("COMMIT")
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.exec_driver_sql("BEGIN")


def _renew(app: Flask, database: str) -> None:
    db.engine.dispose()
    if database == "postgresql":
        databases.create_postgres_database(_worker(), "world")
        return
    path = Path(app.config["DATA_DIR"])
    for suffix in ("-wal", "-shm"):
        (path / f"kontor.db{suffix}").unlink(missing_ok=True)
    shutil.copyfile(path / "template.db", path / "kontor.db")


def _worker() -> str:
    return f"test_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"


@pytest.fixture
def alice(app: Flask) -> cast.Person:
    return cast.ALICE


@pytest.fixture
def bob(app: Flask) -> cast.Person:
    return cast.BOB


@pytest.fixture
def charlie(app: Flask) -> cast.Person:
    return cast.CHARLIE


@pytest.fixture
def dora(app: Flask) -> cast.Person:
    return cast.DORA


@pytest.fixture
def frida(app: Flask) -> cast.Person:
    return cast.FRIDA

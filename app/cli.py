"""The commands of operations: prepare the database, run the worker."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

import click
from flask import current_app
from flask.cli import AppGroup
from flask_migrate import upgrade

from . import demo, jobs

kontor = AppGroup("kontor", help="Kontor's own commands.")


@kontor.command()
def prepare() -> None:
    """Bring the database to the newest schema; load the demo company into an empty one."""
    with _alone():
        upgrade()
        if current_app.config["KONTOR_ENV"] == "demo" and demo.is_wanted():
            click.echo("Building the demo company …")
            demo.build()


@kontor.command()
def worker() -> None:
    """Send mail and do the clockwork until stopped."""
    jobs.work()


@contextmanager
def _alone() -> Iterator[None]:
    """One process at a time on this machine; the others wait and then find the work done."""
    path = current_app.config["DATA_DIR"] / "prepare.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield

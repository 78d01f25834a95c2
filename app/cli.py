"""The commands of operations: prepare the database, run the worker."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

import click
from flask import current_app
from flask.cli import AppGroup
from flask_migrate import upgrade
from sqlalchemy.exc import IntegrityError

from . import demo, jobs, tokens
from .models import Purpose, Role
from .services import accounts, members, signin
from .tenancy import unscoped

kontor = AppGroup("kontor", help="Kontor's own commands.")


@kontor.command()
def prepare() -> None:
    """Bring the database to the newest schema; load the demo company into an empty one."""
    with _alone():
        upgrade()
        if current_app.config["KONTOR_ENV"] == "demo" and demo.is_wanted():
            click.echo("Building the demo company …")
            demo.build()


@kontor.command("init-operator")
@click.option("--name", required=True, help="The company that runs Kontor.")
@click.option("--email", required=True, help="Its first administrator.")
@click.option("--person", default="", help="That administrator's first and last name.")
@click.option("--language", type=click.Choice(["en", "de"]), default="en")
def init_operator(name: str, email: str, person: str, language: str) -> None:
    """Make the operator's account and its first administrator; prints the link that sets the password."""
    try:
        with unscoped("the first account of an empty installation"):
            account = accounts.open_operator(name, slug=accounts.plain_letters(name)[:40] or "operator")
            account.language = language
            first, _blank, last = " ".join(person.split()).rpartition(" ")
            user = signin.create_user(email, first_name=first, last_name=last, locale=language)
            members.join(user, account, role=Role.ADMINISTRATOR)
            token = tokens.issue(Purpose.RESET, user_id=user.id, email=user.email)
            link = f"{current_app.config['PUBLIC_URL']}/reset/{tokens.secret_of(token)}"
    except IntegrityError as error:
        raise click.ClickException("There is an operator already.") from error
    click.echo(f"Open this within an hour to set the password of {email}:\n{link}")


@kontor.command("password-link")
@click.argument("email")
def password_link(email: str) -> None:
    """Print a link with which that person sets a password; for where no mail can be sent."""
    with unscoped("help for somebody without a mail server"):
        user = signin.find_user(email)
        if user is None:
            raise click.ClickException(f"There is nobody with the address {email}.")
        token = tokens.issue(Purpose.RESET, user_id=user.id, email=user.email)
        link = f"{current_app.config['PUBLIC_URL']}/reset/{tokens.secret_of(token)}"
    click.echo(f"Open this within an hour to set the password of {email}:\n{link}")


@kontor.command("forget-second-factor")
@click.argument("email")
def forget_second_factor(email: str) -> None:
    """Let somebody who has lost device and recovery codes sign in with the password alone."""
    with unscoped("help for somebody locked out"):
        user = signin.find_user(email)
        if user is None:
            raise click.ClickException(f"There is nobody with the address {email}.")
        signin.help_locked_out(user)
    click.echo(f"{email} signs in with the password alone now, and can set up a second factor again.")


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

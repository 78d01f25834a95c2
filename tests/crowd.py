"""Several at once: processes with an application each, as a server's workers are, or threads of one."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from hmac import compare_digest
from multiprocessing import get_context
from typing import Any

from flask import Flask, current_app
from sqlalchemy import event, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm.attributes import set_committed_value

from app import create_app
from app.errors import Refused
from app.extensions import db
from app.models import License, Subscription
from app.services import licenses, relationships, subscriptions, surrenders, upfront
from app.services.signin import Visitor
from app.tenancy import unscoped
from tests.cast import BOB, Person, acting_as, apart
from tests.conftest import SETTINGS
from tests.linking import redeem

PROCESSES = get_context("forkserver")  # one has imported the application already; the others come from it
PROCESSES.set_forkserver_preload(["tests.crowd"])


def consume_until_full(app: Flask, license_id: int, processes: int) -> list[int]:
    """Let so many processes take one seat after the other until they are refused; how many each of them got."""
    settings = {name: app.config[name] for name in ("SQLALCHEMY_DATABASE_URI", "DATA_DIR")}
    with PROCESSES.Manager() as manager, PROCESSES.Pool(processes) as pool:
        start = manager.Barrier(processes)
        return pool.starmap(_consume, [(settings, license_id, n, start) for n in range(processes)], chunksize=1)


def _consume(settings: dict[str, Any], license_id: int, number: int, start: Any) -> int:
    app = create_app(**SETTINGS | settings)
    got = 0
    with app.app_context():
        start.wait(60)
        while (allowed := _take_one(license_id, f"{number}-{got}")) is not False:
            got += allowed or 0
        db.engine.dispose()
    return got


def _take_one(license_id: int, reference: str) -> bool | None:
    """Whether it was allowed; `None` where SQLite had no turn for it within its patience, and nothing was done."""
    with suppress(OperationalError), acting_as(BOB) as by:
        return licenses.consume(db.session.get(License, license_id), reference=reference, by=by).allowed
    return None


def guess(app: Flask, partner: Person, email: str, code: str, times: int, processes: int) -> list[tuple[int, int]]:
    """Let so many processes type a code so many times each; how often each was looked at, and was let in."""
    settings = {name: app.config[name] for name in ("SQLALCHEMY_DATABASE_URI", "DATA_DIR")}
    context = get_context("spawn")
    with context.Manager() as manager, context.Pool(processes) as pool:
        start = manager.Barrier(processes)
        every = [(settings, partner, email, code, times, start)] * processes
        return pool.starmap(_guess, every, chunksize=1)


def _guess(settings: dict[str, Any], partner: Person, email: str, code: str, times: int, start: Any) -> tuple[int, int]:
    app, got, looked_at = create_app(**SETTINGS | settings), 0, []
    relationships.compare_digest = lambda *codes: looked_at.append(codes) or compare_digest(*codes)
    with app.app_context():
        start.wait(60)
        for _n in range(times):
            with suppress(OperationalError):
                got += redeem(partner, email, code) is not None
        db.engine.dispose()
    return len(looked_at), got


IN_A_TURN = 5  # tries in one transaction: to begin and end one takes longer than they do


def use_and_give_back(app: Flask, license_id: int, *, tries: int, processes: int = 2) -> tuple[int, int]:
    """Let half of the processes take places into use and half give places back, so many tries of each in all, by the
    statements that decide and with no lock around them; how many were used, and how many given back."""
    settings = {name: app.config[name] for name in ("SQLALCHEMY_DATABASE_URI", "DATA_DIR")}
    context = get_context("spawn")
    with context.Manager() as manager, context.Pool(processes) as pool:
        start, each = manager.Barrier(processes), tries // (processes // 2)
        jobs = [(settings, license_id, n, each, start) for n in range(processes)]
        done = pool.starmap(_use_or_give_back, jobs, chunksize=1)
    return sum(done[0::2]), sum(done[1::2])


def _use_or_give_back(settings: dict[str, Any], license_id: int, number: int, tries: int, start: Any) -> int:
    app = create_app(**SETTINGS | settings)
    deed, done = (_give_one_back if number % 2 else _use_one), 0
    with app.app_context():
        event.listen(db.engine, "connect", _do_not_wait_for_the_disk)
    with app.app_context(), acting_as(BOB):
        license = licenses.as_it_is(db.session.get(License, license_id))
        db.session.expunge_all()
        db.session.commit()
        start.wait(120)
        for _turn in range(tries // IN_A_TURN):
            done += _until_it_has_its_turn(deed, license)
    return done


def _do_not_wait_for_the_disk(connection: Any, _record: Any) -> None:
    """Who comes first does not hang on when it is written for good; thousands of commits would take minutes."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous = OFF")
    else:
        connection.execute("SET synchronous_commit = off")
        connection.commit()


def _until_it_has_its_turn(deed: Callable[[License], bool], license: License) -> int:
    while True:
        try:
            done = sum(deed(license) for _try in range(IN_A_TURN))
            db.session.commit()
            return done
        except OperationalError:  # SQLite had none within its patience
            db.session.rollback()


def _use_one(license: License) -> bool:
    return licenses._take(license, 1)


def _give_one_back(license: License) -> bool:
    """Refused for good only where nobody else has changed the quantity meanwhile."""
    while True:
        meant = surrenders.Surrender(license, 1, licenses.today_of(license), license.quantity - 1, None, None)
        did, known = surrenders._take_away(meant), license.quantity
        now = known - 1 if did else db.session.scalar(select(License.quantity).where(License.id == license.id))
        set_committed_value(license, "quantity", now)
        if did or now == known:
            return did


def compete(app: Flask, deed: Callable[[Any], bool], about: Any, processes: int) -> list[bool]:
    """Let so many processes do the same at the same moment; whether each of them did it."""
    settings = {name: app.config[name] for name in ("SQLALCHEMY_DATABASE_URI", "DATA_DIR")}
    context = get_context("spawn")
    with context.Manager() as manager, context.Pool(processes) as pool:
        start = manager.Barrier(processes)
        return pool.starmap(_do, [(settings, deed, about, start)] * processes, chunksize=1)


def _do(settings: dict[str, Any], deed: Callable[[Any], bool], about: Any, start: Any) -> bool:
    app = create_app(**SETTINGS | settings)
    with app.app_context():
        start.wait(60)
        done = deed(about)
        db.engine.dispose()
    return done


def renew(about: tuple[int, int]) -> bool:
    """Bob renews the subscription of that number, which he was shown in that version."""
    number, seen = about
    try:
        with acting_as(BOB):
            subscriptions.renew(db.session.get(Subscription, number), seen=seen)
    except Refused:
        return False
    return True


def activate(secret: str) -> bool:
    with unscoped("who has the link is not known") as _session:
        return upfront.activate(secret, visitor=Visitor(ip="", device="")) is not None


def at_once(*deeds: Callable[[], Any]) -> list[Exception | None]:
    """Do them on threads of their own, all beginning together; what each raised, or `None`."""
    found: list[Exception | None] = []
    gate, app = threading.Barrier(len(deeds)), current_app._get_current_object()

    def run(deed: Callable[[], Any]) -> None:
        with app.app_context():
            gate.wait(30)
            try:
                deed()
                found.append(None)
            except Exception as error:
                found.append(error)

    threads = [threading.Thread(target=apart, args=(run, deed)) for deed in deeds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return found

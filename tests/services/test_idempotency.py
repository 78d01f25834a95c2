"""What is asked for twice under one key is done once (security 5.6)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from app import clock, create_app, idempotency
from app.errors import Conflict
from app.extensions import db
from app.models import Account, ApiAnswer
from app.tenancy import unscoped
from tests.cast import ALICE, BOB, Program, acting_as, program
from tests.conftest import SETTINGS
from tests.crowd import PROCESSES

ASKED = idempotency.Question("key:1", "POST /api/v1/account/", "order-1", "hash")


def ask(person=ALICE, asked=ASKED):
    with acting_as(person):
        before = idempotency.answered(asked)
        if before is None:
            idempotency.keep(asked, status=201, location="/here", body="{}")
        return None if before is None else before.body


def test_the_second_time_the_first_answer_is_there(app):
    assert ask() is None
    assert ask() == "{}"


@pytest.mark.parametrize("other", [{"caller": "key:2"}, {"route": "POST /x"}, {"key": "order-2"}])
def test_another_caller_place_or_key_is_another_question(app, other):
    ask()

    assert ask(asked=ASKED._replace(**other)) is None


def test_another_account_is_another_question(app):
    ask()

    assert ask(BOB) is None


def test_the_same_key_for_something_else_is_refused(app):
    ask()

    with pytest.raises(idempotency.Mismatch):
        ask(asked=ASKED._replace(said="another hash"))


def test_after_a_day_the_key_is_free_again(app, monkeypatch):
    ask()
    start = clock.now()

    monkeypatch.setattr(clock, "now", lambda: start + timedelta(hours=23, minutes=59))
    assert ask() == "{}"
    monkeypatch.setattr(clock, "now", lambda: start + timedelta(hours=24, seconds=1))
    assert ask() is None


def test_at_night_old_answers_go_and_young_ones_stay(app, monkeypatch):
    ask()
    start = clock.now()
    monkeypatch.setattr(clock, "now", lambda: start + timedelta(hours=23))
    ask(asked=ASKED._replace(key="young"))
    monkeypatch.setattr(clock, "now", lambda: start + timedelta(hours=25))

    with unscoped("what is past its time goes"):
        idempotency.forget_old(100)

    with acting_as(ALICE):
        assert db.session.scalars(select(ApiAnswer.key)).all() == ["young"]


def test_while_one_works_on_it_another_is_told_so(app, database):
    if database == "sqlite":
        pytest.skip("on SQLite the other waits")
    def other():
        with app.app_context():
            return ask()

    with acting_as(ALICE), ThreadPoolExecutor(1) as pool:
        idempotency.answered(ASKED)
        with pytest.raises(Conflict, match="still being worked on"):
            pool.submit(other).result()


AT_ONCE = 4


def test_of_processes_that_ask_at_once_one_does_it(app):
    """The same request from four processes at the same moment: one account, and nobody is told anything else."""
    secret = program(ALICE, app=app).secret
    settings = {name: app.config[name] for name in ("SQLALCHEMY_DATABASE_URI", "DATA_DIR")}

    with PROCESSES.Manager() as manager, PROCESSES.Pool(AT_ONCE) as pool:
        start = manager.Barrier(AT_ONCE)
        answers = pool.starmap(_add_account, [(settings, secret, start)] * AT_ONCE, chunksize=1)

    done = {(status, body) for status, body in answers if status != 409}
    assert len(done) == 1 and next(iter(done))[0] == 201, answers
    with acting_as(ALICE):
        assert db.session.scalar(select(func.count()).select_from(Account).where(Account.name == "Neufunk")) == 1


def _add_account(settings, secret, start):
    app = create_app(**SETTINGS | settings)
    asking = Program(app.test_client(), secret)
    start.wait(60)
    answer = asking.post("/api/v1/account/", json={"name": "Neufunk"}, headers={"X-Idempotency-Key": "order-1"})
    with app.app_context():
        db.engine.dispose()
    return answer.status_code, answer.text

"""What is long past is cleared away at night, a few rows at a time; what history names stays."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from app import clock, jobs, limits, tokens
from app.models import Account, Login, Purpose, Role, Throttle, Token, User
from app.services import invitations
from app.tenancy import unscoped
from tests.cast import acting_as

LONG = timedelta(days=40)


def login(session, key, *, ago=timedelta(0), ended=None):
    then = clock.now() - ago
    user_id = session.scalar(select(User.id))
    session.add(Login(user_id=user_id, key_hash=key, created_at=then, seen_at=then, ended_at=ended))


def count(model):
    with unscoped("counting", writes=False) as session:
        return session.scalar(select(func.count(model.id)))


def test_logins_long_over_go_and_those_of_these_days_stay(app):
    with unscoped("logins of all ages") as session:
        login(session, "running")
        login(session, "ended today", ended=clock.now())
        login(session, "ran out long ago", ago=LONG)
        login(session, "ended long ago", ago=LONG, ended=clock.now() - LONG)

    jobs.clear_away()

    with unscoped("what is left", writes=False) as session:
        assert set(session.scalars(select(Login.key_hash))) == {"running", "ended today"}


def test_secrets_long_past_go_used_or_not(app):
    with unscoped("tokens of all ages") as session:
        fresh, used, old = (tokens.issue(Purpose.SECOND_FACTOR) for _n in range(3))
        used.used_at = clock.now()
        used.expires_at = old.expires_at = clock.now() - LONG
        session.flush()
        kept = fresh.id

    jobs.clear_away()

    with unscoped("what is left", writes=False) as session:
        assert session.scalars(select(Token.id)).all() == [kept]


def test_what_an_invitation_and_its_mail_name_stays(alice):
    with acting_as(alice) as by:
        invitations.invite("new@nordlicht.example", role=Role.VIEWER, account=by.account, by=by)
    with unscoped("long ago") as session:
        session.scalars(select(Token)).one().expires_at = clock.now() - LONG

    jobs.clear_away()

    assert count(Token) == 1


def test_tries_no_longer_counted_go(app, monkeypatch):
    with unscoped("a try"):
        limits.count("reset-address", "alice")
    jobs.clear_away()
    assert count(Throttle) == 1

    monkeypatch.setattr(clock, "now", lambda later=clock.now() + timedelta(hours=2): later)
    jobs.clear_away()
    assert count(Throttle) == 0


@pytest.mark.parametrize("rounds", [1, 100])
def test_it_is_done_a_few_rows_at_a_time_and_not_without_end(app, monkeypatch, rounds):
    with unscoped("many") as session:
        for number in range(7):
            login(session, f"{number}", ago=LONG)
    monkeypatch.setattr(jobs, "AT_ONCE", 3)
    monkeypatch.setattr(jobs, "MOST_ROUNDS", rounds)

    jobs.clear_away()

    assert count(Login) == (4 if rounds == 1 else 0)
    assert count(Account) == 8

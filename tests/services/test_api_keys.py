"""API keys: who makes them, what they open, and when they stop (section 6)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from app import clock, tokens
from app.errors import Refused
from app.extensions import db
from app.models import ApiKey, ApiKeyStatus, Kind, LogEntry, Member, Role, User
from app.permissions import BY_PROGRAMS, scopes
from app.services import api_keys, members
from app.tenancy import unscoped
from tests.cast import ALICE, account_called, acting_as, add_member, hire

READ = ["account.list", "account.show"]


def make(person=ALICE, *, name="Warehouse", scopes=READ, days=90):
    with acting_as(person) as by:
        key, secret = api_keys.create(name, scopes=scopes, days=days, by=by)
        return key.id, secret


def opens(secret):
    with unscoped("a program knocks", writes=False):
        return api_keys.find(secret) is not None


def test_a_key_opens_and_nobody_can_read_its_secret_again(app):
    pk, secret = make()

    assert opens(secret)
    with acting_as(ALICE):
        key = db.session.get(ApiKey, pk)
        assert key.secret_hash == tokens.hash_of(secret) and secret.startswith(key.prefix)
        assert len(secret) == len("kontor_") + 43 and len(key.prefix) < 16


def test_what_is_nearly_the_secret_opens_nothing(app):
    _pk, secret = make()

    assert not any(opens(wrong) for wrong in (secret[:-1], secret.lower(), "", "kontor_", tokens.hash_of(secret)))


def test_a_revoked_key_opens_nothing(app):
    pk, secret = make()

    with acting_as(ALICE) as by:
        api_keys.revoke(db.session.get(ApiKey, pk), by=by)

    assert not opens(secret)
    with acting_as(ALICE) as by, pytest.raises(Refused, match="revoked already"):
        api_keys.revoke(db.session.get(ApiKey, pk), by=by)


def test_a_key_opens_until_its_last_moment_and_not_longer(app, monkeypatch):
    pk, secret = make(days=30)
    with acting_as(ALICE):
        end = db.session.get(ApiKey, pk).expires_at

    monkeypatch.setattr(clock, "now", lambda: end - timedelta(seconds=1))
    assert opens(secret)
    monkeypatch.setattr(clock, "now", lambda: end)
    assert not opens(secret)
    with acting_as(ALICE):
        assert db.session.get(ApiKey, pk).status_at(clock.now()) is ApiKeyStatus.EXPIRED


def test_a_key_dies_with_the_membership_and_coming_back_does_not_wake_it(app):
    carl = hire("carl@nordlicht.example", "nordlicht", Role.ADMINISTRATOR)
    pk, secret = make(carl)

    with acting_as(ALICE) as by:
        carls = db.session.scalar(select(Member).join(Member.user).where(User.email == carl.email))
        members.remove(carls, by=by)
    assert not opens(secret)
    with unscoped("Carl comes back"):
        add_member(carl.email, "Carl", account_called("nordlicht"), Role.ADMINISTRATOR)

    assert not opens(secret)
    with acting_as(ALICE):
        assert db.session.get(ApiKey, pk).status_at(clock.now()) is ApiKeyStatus.REVOKED


@pytest.mark.parametrize("what", ["account", "person"])
def test_a_key_sleeps_with_its_account_and_its_person(app, what):
    _pk, secret = make()

    with unscoped("putting it away"):
        if what == "account":
            account_called("nordlicht").archived_at = clock.now()
        else:
            db.session.scalar(select(User).where(User.email == ALICE.email)).active = False

    assert not opens(secret)


def test_a_key_can_do_no_more_than_its_maker(app):
    with pytest.raises(Refused, match="what the key may do") as refused:
        make(hire("vera@nordlicht.example", "nordlicht", Role.VIEWER), scopes=["account.edit"])

    assert refused.value.field == "scopes"


@pytest.mark.parametrize("wrong", [[], ["account.export"], ["settings.edit"], ["nonsense"], ["api_key.add", *READ]])
def test_what_programs_have_no_use_for_they_are_not_given(app, wrong):
    with pytest.raises(Refused, match="what the key may do"):
        make(scopes=wrong)


@pytest.mark.parametrize(
    "facts, field",
    [({"name": "  "}, "name"), ({"name": "x" * 81}, "name"), ({"days": 31}, "days"), ({"days": 9999}, "days")],
)
def test_what_a_key_cannot_be_is_said_at_the_field(app, facts, field):
    with pytest.raises(Refused) as refused:
        make(**facts)

    assert refused.value.field == field


def test_two_live_keys_cannot_have_one_name(app):
    pk, _secret = make()

    with pytest.raises(Refused, match="already"):
        make(name=" warehouse ")
    with acting_as(ALICE) as by:
        api_keys.revoke(db.session.get(ApiKey, pk), by=by)
    make()


def test_there_are_only_so_many(app, monkeypatch):
    monkeypatch.setattr(api_keys, "MOST", 2)
    make(name="One")
    make(name="Two")

    with pytest.raises(Refused, match="at most 2 API keys"):
        make(name="Three")


def test_making_and_revoking_are_written_down_for_the_account_alone(app):
    pk, secret = make()
    with acting_as(ALICE) as by:
        api_keys.revoke(db.session.get(ApiKey, pk), by=by)

    with acting_as(ALICE) as by:
        about = select(LogEntry).where(LogEntry.subject_type == "api_key").order_by(LogEntry.id)
        lines = db.session.scalars(about).all()
        assert [line.action for line in lines] == ["api_key.created", "api_key.revoked"]
        assert all(line.inside and line.actor_id == by.user_id for line in lines)
        assert lines[0].changes["scopes"] == [None, READ]
        assert tokens.hash_of(secret) not in str([line.changes for line in lines])


def test_its_use_is_noted_once_a_minute(app, monkeypatch):
    pk, secret = make()
    start = clock.now()

    def use(after):
        monkeypatch.setattr(clock, "now", lambda: start + timedelta(seconds=after))
        with unscoped("a program knocks"):
            api_keys.note_used(api_keys.find(secret)[0])
        with acting_as(ALICE):
            return db.session.get(ApiKey, pk).last_used_at

    assert use(1) == start + timedelta(seconds=1)
    assert use(60) == start + timedelta(seconds=1)
    assert use(62) == start + timedelta(seconds=62)


def test_keys_are_inside_data(app):
    make()

    with acting_as(hire("dirk@kontor.example", "kontor", Role.ADMINISTRATOR)):
        assert db.session.scalar(select(func.count()).select_from(ApiKey)) == 0


def test_every_permission_offered_to_programs_is_one(app):
    offered = [scopes(kind, Role.ADMINISTRATOR) for kind in Kind]

    assert set().union(*offered) == set(BY_PROGRAMS)

"""Signing in, seen from the database: what holds when everything happens at once, on SQLite and PostgreSQL."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from app import clock, limits, passwords, tokens
from app.errors import Refused
from app.extensions import db
from app.models import LogEntry, Login, Member, Message, Purpose, RecoveryCode, Role, Throttle, Token, User
from app.services import second_factor, signin
from app.services.signin import Outcome, Wish
from app.tenancy import unscoped
from tests.cast import ALICE, BOB, PASSWORD, account_called, acting_as, add_member, hire
from tests.signing import HERE, at_once, code_of, give_second_factor, history, messages_to, user_of, wrong_code

CROWD = 8


@pytest.fixture(autouse=True)
def _still_clock(monkeypatch):
    """No code changes in the middle of a test."""
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now)


# --- limits ----------------------------------------------------------------------------------------------------


def test_none_of_a_crowd_is_overlooked(app):
    def attempt():
        with unscoped("a try"):
            return limits.count("reset-address", "alice")

    let_through = at_once(app, CROWD, attempt)

    assert let_through.count(True) == limits.LIMITS["reset-address"].tries


def test_what_is_counted_is_forgotten_with_its_window(app, monkeypatch):
    with unscoped("tries"):
        tried = [limits.count("reset-address", "alice") for _n in range(6)]
    monkeypatch.setattr(clock, "now", lambda later=clock.now() + timedelta(hours=1): later)
    with unscoped("a try later"):
        again = limits.count("reset-address", "alice")
        limits.forget_old(500)
    with unscoped("what is left", writes=False) as session:
        kept = session.scalar(select(func.count(Throttle.id)))

    assert tried == [True] * 5 + [False]
    assert again and kept == 1


@pytest.mark.parametrize(
    ("ip", "computer", "network"),
    [
        ("192.0.2.7", "192.0.2.7/32", "192.0.2.0/24"),
        ("::ffff:192.0.2.7", "192.0.2.7/32", "192.0.2.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64", "2001:db8:1::/48"),
        ("fe80::1%eth0", "fe80::/64", "fe80::/48"),
        ("", "unknown", "unknown"),
    ],
)
def test_an_address_stands_for_those_one_person_commands(ip, computer, network):
    assert (limits.computer(ip), limits.network(ip)) == (computer, network)


def test_a_whole_office_may_sign_in_at_nine(app):
    for _n in range(limits.LIMITS["ip"].tries + 5):
        with unscoped("one of the office"):
            assert signin.admit(ALICE.email, HERE)
            signin.forgive(ALICE.email, HERE)


def test_a_code_leaves_no_trace_of_whom_it_was_counted_for(app):
    with unscoped("a try"):
        signin.admit(ALICE.email, HERE)
    with unscoped("looking", writes=False) as session:
        buckets = session.scalars(select(Throttle.bucket)).all()

    assert not any("alice" in bucket or "192" in bucket for bucket in buckets)


# --- where one lands -------------------------------------------------------------------------------------------


@pytest.fixture
def two_hats(app):
    """Hanna: a customer's viewer, and sales in two partner accounts."""
    person = hire("hanna@nordlicht.example", "nordlicht", Role.SALES, "Hanna Hut")
    with unscoped("more hats"):
        add_member(person.email, "", account_called("kuestenfunk"), Role.VIEWER)
        add_member(person.email, "", account_called("fjordline"), Role.SALES)
    return person


@pytest.mark.parametrize(
    ("wish", "last_used", "slug"),
    [
        (Wish(), "", "kuestenfunk"),
        (Wish(), "fjordline", "fjordline"),
        (Wish(as_partner=True), "kuestenfunk", "nordlicht"),
        (Wish(as_partner=True), "fjordline", "fjordline"),
        (Wish(slug="kuestenfunk", as_partner=True), "fjordline", "kuestenfunk"),
        (Wish(slug="alpenwerk"), "", "kuestenfunk"),
    ],
)
def test_signing_in_leads_to_the_link_then_the_hat_then_the_last_account(two_hats, wish, last_used, slug):
    with unscoped("where to", writes=False):
        user = signin.find_user(two_hats.email)
        user.last_account_id = account_called(last_used).id if last_used else None
        order = {"nordlicht": 0, "kuestenfunk": 1, "fjordline": 2}
        there = sorted(signin.memberships_of(user), key=lambda member: order[member.account.slug])

        landed = signin.landing(user, there, wish)

        assert landed.account.slug == slug


def test_where_one_acts_and_where_one_was_last_are_known_however_many_accounts_there_are(two_hats, monkeypatch):
    monkeypatch.setattr(signin, "LISTED", 1)
    with unscoped("where to", writes=False):
        user = signin.find_user(two_hats.email)
        first = signin.memberships_of(user)[0].account.slug
        second, third = sorted({"nordlicht", "kuestenfunk", "fjordline"} - {first})
        user.last_account_id = account_called(third).id

        known = [member.account.slug for member in signin.memberships_of(user, slug=second)]

        assert sorted(known) == sorted([first, second, third])


def test_a_tick_without_a_partner_account_leads_to_the_customers(app):
    with unscoped("where to", writes=False):
        user = signin.find_user(BOB.email)

        assert signin.landing(user, signin.memberships_of(user), Wish(as_partner=True)).account.slug == "kuestenfunk"
        assert signin.landing(user, [], Wish(as_partner=True)) is None


# --- password --------------------------------------------------------------------------------------------------


def test_a_password_changed_while_it_was_compared_starts_nothing(app):
    seen = user_of(ALICE)
    with unscoped("meanwhile"):
        signin.find_user(ALICE.email).password = passwords.hashed("another long one")

    with unscoped("afterwards") as session:
        step = signin.pass_password(seen, renewed=None, wish=Wish(), visitor=HERE)
        assert session.scalar(select(func.count(Login.id))) == 0

    assert step.outcome is Outcome.WRONG


def test_a_person_put_to_rest_does_not_get_in(app):
    seen = user_of(ALICE)
    with unscoped("meanwhile"):
        signin.find_user(ALICE.email).active = False

    with unscoped("afterwards"):
        step = signin.pass_password(seen, renewed=None, wish=Wish(), visitor=HERE)

    assert step.outcome is Outcome.WRONG


def test_signing_in_is_written_down_for_the_account_alone(app):
    _sign_in(BOB)

    with acting_as(BOB):
        assert "user.signed_in" in _seen_history()
    with acting_as(ALICE):
        assert "user.signed_in" not in _seen_history()


def test_a_wrong_password_is_written_down(app):
    with unscoped("a wrong one"):
        signin.fail_password(signin.find_user(BOB.email), HERE)

    with acting_as(BOB):
        assert "user.sign_in_failed" in _seen_history()


def test_a_person_without_any_account_can_sign_in_and_is_written_down(app):
    with unscoped("somebody new"):
        signin.create_user("New@Person.example ", first_name="New", last_name="Person", password=PASSWORD)
    with unscoped("signing in"):
        user = signin.find_user("new@person.example")
        step = signin.pass_password(user, renewed=None, wish=Wish(as_partner=True), visitor=HERE)

    assert step.outcome is Outcome.SIGNED_IN and step.landing is None
    assert history()[-1] == "user.signed_in"


# --- forgotten password ----------------------------------------------------------------------------------------


def test_of_a_crowd_with_one_link_one_sets_the_password(app):
    secret = _reset_secret(ALICE)
    kept = passwords.hashed("fjord und elbe 7")

    def use_link():
        with unscoped("a click"):
            return signin.reset_password(secret, kept, HERE)

    assert at_once(app, CROWD, use_link).count(True) == 1
    assert [message.token_id is None for message in messages_to(ALICE)] == [False, True]
    assert history().count("user.password_reset") == 1


def test_a_link_ends_with_its_hour(app, monkeypatch):
    secret = _reset_secret(ALICE)
    monkeypatch.setattr(clock, "now", lambda later=clock.now() + timedelta(minutes=60): later)

    with unscoped("too late"):
        assert signin.find_reset(secret) is None
        assert not signin.reset_password(secret, "x", HERE)


def test_a_new_link_ends_the_one_before(app):
    first, second = _reset_secret(ALICE), _reset_secret(ALICE)

    with unscoped("looking", writes=False):
        assert signin.find_reset(first) is None
        assert signin.find_reset(second).email == ALICE.email


def test_a_link_is_good_for_nothing_else(app):
    give_second_factor(ALICE)
    secret = _reset_secret(ALICE)

    with unscoped("trying"):
        step = signin.pass_code(secret, code_of(ALICE), wish=Wish(), visitor=HERE)

    assert step.outcome is Outcome.GONE


def test_an_address_nobody_has_leaves_nothing_behind(app):
    with unscoped("asking"):
        signin.ask_for_reset("nobody@nowhere.example", HERE)

    with unscoped("looking", writes=False) as session:
        assert session.scalar(select(func.count(Token.id))) == 0
        assert session.scalar(select(func.count(Message.id))) == 0
    assert "user.reset_requested" not in history()


def test_the_outbox_keeps_no_secret(app):
    secret = _reset_secret(ALICE)

    message = messages_to(ALICE)[-1]

    assert secret not in message.body_text + message.body_html
    assert "{secret}" in message.body_text and "{secret}" in message.body_html


def test_the_mail_is_the_operators_and_nobody_elses(app):
    _reset_secret(BOB)

    for person in (ALICE, BOB):
        with acting_as(person):
            assert _visible(Message) == 0


def test_setting_a_password_ends_every_login_and_every_open_link(app):
    give_second_factor(ALICE)
    login, half_way, link = _sign_in(ALICE, with_code=True), _half_signed_in(ALICE), _reset_secret(ALICE)

    with unscoped("setting"):
        assert signin.reset_password(link, passwords.hashed("fjord und elbe 7"), HERE)

    with unscoped("afterwards"):
        assert signin.find_login(login) is None
        step = signin.pass_code(half_way, code_of(ALICE, 1), wish=Wish(), visitor=HERE)
        assert step.outcome is Outcome.GONE


# --- second factor ---------------------------------------------------------------------------------------------


def test_of_a_crowd_with_one_code_one_gets_in(app):
    give_second_factor(ALICE)
    code = code_of(ALICE)
    started = iter([_half_signed_in(ALICE) for _n in range(CROWD)])

    def enter():
        with unscoped("a code"):
            return signin.pass_code(next(started), code, wish=Wish(), visitor=HERE).outcome

    assert at_once(app, CROWD, enter).count(Outcome.SIGNED_IN) == 1


def test_of_a_crowd_with_one_recovery_code_one_gets_in(app):
    code = give_second_factor(ALICE)[0]
    started = iter([_half_signed_in(ALICE) for _n in range(CROWD)])

    def enter():
        with unscoped("a recovery code"):
            return signin.pass_code(next(started), code.upper(), wish=Wish(), visitor=HERE).outcome

    assert at_once(app, CROWD, enter).count(Outcome.SIGNED_IN) == 1
    with unscoped("left", writes=False):
        assert second_factor.recovery_codes_left(user_of(ALICE).id) == second_factor.RECOVERY_CODES - 1


def test_wrong_codes_tried_at_once_are_all_counted(app):
    give_second_factor(ALICE)
    started, code = _half_signed_in(ALICE), wrong_code(ALICE)

    def enter():
        with unscoped("a wrong code"):
            return signin.pass_code(started, code, wish=Wish(), visitor=HERE).outcome

    outcomes = at_once(app, CROWD, enter)

    assert (outcomes.count(Outcome.WRONG), outcomes.count(Outcome.GONE)) == (5, 3)
    with unscoped("the right one, too late"):
        step = signin.pass_code(started, code_of(ALICE), wish=Wish(), visitor=HERE)
    assert step.outcome is Outcome.GONE


def test_signing_in_again_gives_no_endless_codes(app):
    give_second_factor(ALICE)
    for _n in range(2):
        started = _half_signed_in(ALICE)
        for _m in range(5):
            with unscoped("a wrong code"):
                signin.pass_code(started, wrong_code(ALICE), wish=Wish(), visitor=HERE)

    with unscoped("the right one, too late"):
        step = signin.pass_code(_half_signed_in_here(ALICE), code_of(ALICE), wish=Wish(), visitor=HERE)

    assert step.outcome is Outcome.LIMITED


def test_a_password_alone_does_not_reset_the_count(app):
    """Else whoever knows it could go on guessing codes, ten at a time."""
    give_second_factor(ALICE)
    for _n in range(10):
        with unscoped("the password, not the code"):
            assert signin.admit(ALICE.email, HERE)
        _half_signed_in(ALICE)

    with unscoped("once more"):
        assert not signin.admit(ALICE.email, HERE)


@pytest.mark.parametrize(("steps", "right"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_a_phones_clock_may_be_half_a_minute_off(app, steps, right):
    give_second_factor(ALICE)

    with unscoped("a code"):
        assert second_factor.accepts(signin.find_user(ALICE.email), code_of(ALICE, steps)) is right


def test_a_code_older_than_the_last_one_does_not_work(app):
    give_second_factor(ALICE)

    with unscoped("two codes"):
        user = signin.find_user(ALICE.email)
        assert second_factor.accepts(user, code_of(ALICE))
        assert not second_factor.accepts(user, code_of(ALICE, -1))
        assert second_factor.accepts(user, code_of(ALICE, 1))


@pytest.mark.parametrize("code", ["", "12345", "１２３４５６", "abcdef", "0" * 60, "'; --", "\x00", "----", "ÄÖÜ-ßßßß"])
def test_what_is_no_code_is_refused(app, code):
    give_second_factor(ALICE)

    with unscoped("no code"):
        assert not second_factor.accepts(signin.find_user(ALICE.email), code)


def test_somebody_elses_codes_do_not_work(app):
    codes = give_second_factor(BOB)
    give_second_factor(ALICE)

    with unscoped("Bob's codes"):
        alice = signin.find_user(ALICE.email)
        assert not second_factor.accepts(alice, codes[0])
        assert not second_factor.accepts(alice, code_of(BOB))


def test_a_stolen_database_makes_no_codes(app):
    codes = give_second_factor(ALICE)
    with unscoped("looking", writes=False) as session:
        alice = signin.find_user(ALICE.email)
        kept = [row.code_hash for row in session.scalars(select(RecoveryCode))]
        secret = second_factor.secret_of(alice, alice.totp_nonce)

    assert len(secret) == 32 and secret.lower() not in {alice.totp_nonce, alice.password}
    assert not {tokens.hash_of(code) for code in codes} & set(kept)
    assert not {tokens.hash_of(code.replace("-", "")) for code in codes} & set(kept)


def test_without_a_second_factor_no_code_opens(app):
    with unscoped("no factor"):
        user = signin.find_user(ALICE.email)
        code = second_factor.TOTP(second_factor.secret_of(user, "")).at(clock.now())

        assert not second_factor.accepts(user, code)


def test_new_recovery_codes_end_the_old_ones(app):
    old = give_second_factor(ALICE)[0]
    with unscoped("renewing"):
        new = second_factor.renew_recovery_codes(signin.find_user(ALICE.email))
    with unscoped("trying"):
        user = signin.find_user(ALICE.email)
        assert not second_factor.accepts(user, old)
        assert second_factor.accepts(user, new[9])
        assert len(set(new)) == 10


@pytest.mark.parametrize(("required", "role", "demanded"), [(True, "A", True), (True, "M", False), (False, "A", False)])
def test_the_operator_may_demand_it_of_administrators(app, required, role, demanded):
    role = Role.ADMINISTRATOR if role == "A" else Role.MANAGER
    with unscoped("the operator's switch") as session:
        account_called("kontor").second_factor_required = required
        member = session.scalar(select(Member).join(Member.user).where(User.email == BOB.email))
        member.role = role
    with unscoped("asking", writes=False):
        user = signin.find_user(BOB.email)
        assert signin.must_set_up_second_factor(user, signin.memberships_of(user)) is demanded


def test_what_is_demanded_cannot_be_turned_off(app):
    give_second_factor(BOB)
    with unscoped("the operator's switch"):
        account_called("kontor").second_factor_required = True

    with pytest.raises(Refused), unscoped("turning off"):
        member = signin.memberships_of(user_of(BOB))[0]
        signin.turn_off_second_factor(user_of(BOB), acting=member, visitor=HERE)

    assert user_of(BOB).has_second_factor


# --- logins ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hours", "used", "open_"), [(7.9, 0, True), (8.1, 0, False), (11.9, 11, True), (12.1, 11, False)]
)
def test_a_login_ends_after_eight_idle_hours_and_after_twelve_in_any_case(app, monkeypatch, hours, used, open_):
    key, start = _sign_in(ALICE), clock.now()
    for hour in range(1, used + 1):
        monkeypatch.setattr(clock, "now", lambda at=start + timedelta(hours=hour): at)
        with unscoped("in use"):
            signin.note_seen(signin.find_login(key).id)
    monkeypatch.setattr(clock, "now", lambda: start + timedelta(hours=hours))

    with unscoped("looking", writes=False):
        assert (signin.find_login(key) is not None) is open_


def test_a_login_is_noted_every_five_minutes_and_by_one_of_a_crowd(app, monkeypatch):
    key, start = _sign_in(ALICE), clock.now()
    monkeypatch.setattr(clock, "now", lambda: start + timedelta(minutes=6))
    with unscoped("looking", writes=False):
        login = signin.find_login(key)
        assert signin.wants_noting(login)

    def note():
        with unscoped("in use"):
            return signin._update_logins(Login.id == login.id, Login.seen_at == start, seen_at=clock.now())

    assert sum(at_once(app, CROWD, note)) == 1
    with unscoped("looking", writes=False):
        assert not signin.wants_noting(signin.find_login(key))


def test_a_key_is_not_kept(app):
    key = _sign_in(ALICE)

    with unscoped("looking", writes=False) as session:
        assert session.scalar(select(Login.key_hash)) == tokens.hash_of(key) != key


# --- people ----------------------------------------------------------------------------------------------------


def test_an_address_means_the_same_in_any_case(app):
    with unscoped("looking", writes=False):
        assert signin.find_user("  ALICE@Nordlicht.EXAMPLE\x00 ").email == ALICE.email


def test_an_address_too_long_to_keep_is_refused(app):
    with pytest.raises(Refused), unscoped("somebody new"):
        signin.create_user("a" * 120 + "@b.example", first_name="A", last_name="B")


# --- small things ----------------------------------------------------------------------------------------------


def _sign_in(person, *, with_code=False):
    with unscoped("signing in"):
        user = signin.find_user(person.email)
        return signin._start(user, Wish(), HERE, with_code=with_code).secret


def _half_signed_in(person):
    with unscoped("the password was right"):
        return _half_signed_in_here(person)


def _half_signed_in_here(person):
    step = signin.pass_password(signin.find_user(person.email), renewed=None, wish=Wish(), visitor=HERE)
    assert step.outcome is Outcome.CODE_WANTED
    return step.secret


def _reset_secret(person):
    with unscoped("asking for a link") as session:
        signin.ask_for_reset(person.email, HERE)
        session.flush()
        newest = select(Token).where(Token.purpose == Purpose.RESET).order_by(Token.id.desc()).limit(1)
        return tokens.secret_of(session.scalar(newest))


def _seen_history():
    return list(db.session.scalars(select(LogEntry.action)))


def _visible(model):
    return db.session.scalar(select(func.count(model.id)))

"""The pages before anybody is known."""

from __future__ import annotations

import re
from contextlib import contextmanager
from contextvars import Context
from datetime import timedelta

import pytest
from sqlalchemy import Engine, event, func, select

from app import clock, passwords, tokens
from app.extensions import db
from app.models import Login, Role, Token
from app.services import signin
from app.tenancy import unscoped
from tests.cast import ALICE, BOB, DORA, PASSWORD, account_called, add_member, hire
from tests.signing import (
    Tab,
    at_once,
    code_of,
    give_second_factor,
    history,
    link_in,
    messages_to,
    reset_link,
    text_of,
    user_of,
    wrong_code,
)

NEW = "fjord und elbe 7"


@pytest.fixture
def tab(app):
    return Tab(app)


@pytest.fixture
def comparisons(monkeypatch):
    """Counts how often a password is compared; what takes time is this alone."""
    seen = []
    real = passwords.fits
    monkeypatch.setattr(passwords, "fits", lambda *args: seen.append(args) or real(*args))
    return seen


# --- signing in ------------------------------------------------------------------------------------------------


def test_the_right_password_leads_into_the_account(tab):
    answer = tab.sign_in(ALICE)

    assert answer.location == "/a/nordlicht/"
    assert tab.get("/a/nordlicht/").status_code == 200


def test_the_case_of_the_address_makes_no_difference(tab):
    assert tab.sign_in("  Alice@NORDLICHT.example ").location == "/a/nordlicht/"


def test_the_page_says_what_is_wrong_without_saying_which(tab):
    wrong = tab.sign_in(ALICE, "not her password")

    assert wrong.status_code == 422
    assert "E-mail address or password is wrong." in wrong.text
    assert "not her password" not in wrong.text


@pytest.mark.both_databases
def test_nobody_learns_who_has_a_sign_in_here(tab):
    with unscoped("somebody at rest, somebody without a password"):
        signin.find_user(BOB.email).active = False
        signin.create_user("invited@new.example", first_name="In", last_name="Vited")

    pages = {
        text_of(tab.sign_in(who, password))
        for who, password in [
            ("nobody@nowhere.example", PASSWORD),
            ("alice@nordlicht.example", "wrong"),
            ("bob@kuestenfunk.example", PASSWORD),
            ("invited@new.example", """ or 1=1"""),
            ("Ünknown@ßtrange.example", "\x00"),
        ]
    }

    assert len(pages) == 1
    assert not tab.is_signed_in()


@pytest.mark.parametrize("email", [ALICE.email, "nobody@nowhere.example"])
def test_each_try_costs_one_comparison_and_one_note(app, tab, email, comparisons, monkeypatch):
    written = []
    monkeypatch.setattr(signin, "fail_password", _telling(written, signin.fail_password))

    tab.sign_in(email, "wrong")

    assert len(comparisons) == len(written) == 1


def test_a_comparison_with_nothing_takes_a_whole_hash(app, monkeypatch):
    verified = []
    hasher = passwords._hasher()
    real = type(hasher).verify
    monkeypatch.setattr(type(hasher), "verify", lambda self, kept, new: verified.append(kept) or real(self, kept, new))

    assert not passwords.fits("x", None)
    assert not passwords.fits("x", user_of(ALICE).password)
    assert [kept.split("$")[1:4] for kept in verified][0] == [kept.split("$")[1:4] for kept in verified][1]


def test_limits_come_before_the_comparison(tab, comparisons):
    for _n in range(10):
        tab.sign_in(ALICE, "wrong")
    limited = tab.sign_in(ALICE)

    assert limited.status_code == 429 and "Too many tries" in limited.text
    assert len(comparisons) == 10
    assert not tab.is_signed_in()


def test_unknown_addresses_are_limited_in_the_same_words(tab):
    pages = []
    for email in (ALICE.email, "nobody@nowhere.example"):
        for _n in range(10):
            tab.sign_in(email, "wrong")
        pages.append(text_of(tab.sign_in(email, "wrong")))

    assert pages[0] == pages[1] and "Too many tries" in pages[0]


def test_one_computer_is_limited_over_all_addresses(app):
    for n in range(30):
        Tab(app, "198.51.100.9").sign_in(f"guess{n}@nordlicht.example", "wrong")

    assert Tab(app, "198.51.100.9").sign_in(ALICE).status_code == 429
    assert Tab(app, "203.0.113.9").sign_in(ALICE).status_code == 302


def test_the_limits_can_be_set(app, tab, monkeypatch):
    monkeypatch.setitem(app.config, "LIMITS", {"address": 2})
    answers = [tab.sign_in(ALICE, "wrong").status_code for _n in range(3)]

    assert answers == [422, 422, 429]


def test_a_success_makes_the_tries_before_it_forgotten(tab):
    for _n in range(3):
        for _m in range(9):
            tab.sign_in(ALICE, "wrong")
        assert tab.sign_in(ALICE).status_code == 302


def test_a_password_kept_with_other_parameters_is_hashed_anew(app, tab):
    with unscoped("an older hash"):
        signin.find_user(ALICE.email).password = passwords._hasher_with(2, 512, 1).hash(PASSWORD)

    assert tab.sign_in(ALICE).status_code == 302
    assert "m=1024,t=1,p=1" in user_of(ALICE).password
    assert Tab(app).sign_in(ALICE).status_code == 302


def test_nothing_is_written_while_a_password_is_compared(app, tab, monkeypatch):
    """SQLite has one lock for all writers; a hash must not hold it."""

    def fits_while_somebody_writes(*_args):
        def write():
            with app.app_context(), unscoped("somebody else writes"):
                signin.choose_language(user_of(BOB).id, "de")

        Context().run(write)
        return True

    monkeypatch.setattr(passwords, "fits", fits_while_somebody_writes)

    assert tab.sign_in(ALICE).status_code == 302


def test_nothing_is_taken_without_the_token_of_the_page(app):
    answer = Tab(app)._open("/login/", method="POST", data={"email": ALICE.email, "password": PASSWORD})

    assert answer.status_code == 400


def test_signing_in_is_written_down(tab):
    tab.sign_in(ALICE, "wrong")
    tab.sign_in(ALICE)

    assert history()[-2:] == ["user.sign_in_failed", "user.signed_in"]


def test_whoever_is_signed_in_need_not_sign_in_again(tab):
    tab.sign_in(ALICE)

    assert tab.get("/login/").location == "/"


# --- the cookie ------------------------------------------------------------------------------------------------


def test_a_session_prepared_by_somebody_else_does_not_live_on(tab):
    with tab.client.session_transaction() as session:
        session["planted"], session["locale"] = "by Charlie", "de"
    tab.sign_in(ALICE)

    kept = tab.session()
    assert "planted" not in kept and kept["locale"] == "de"


def test_each_sign_in_has_a_key_of_its_own(app):
    keys = set()
    for _n in range(3):
        tab = Tab(app)
        tab.sign_in(ALICE)
        keys.add(tab.session()["login"])

    assert len(keys) == 3 and min(map(len, keys)) >= 43


def test_signing_in_again_ends_the_login_before(tab):
    tab.sign_in(ALICE)
    before = tab.cookie()
    tab.sign_in(BOB)

    assert not _opens(tab, before)


@pytest.mark.both_databases
def test_a_copied_cookie_opens_nothing_after_signing_out(tab):
    tab.sign_in(ALICE)
    copied = tab.cookie()
    assert _opens(tab, copied)

    answer = tab.post("/logout/")

    assert answer.location == "/login/"
    assert not _opens(tab, copied)
    assert history()[-1] == "user.signed_out"


def test_a_link_alone_signs_nobody_out(tab):
    tab.sign_in(ALICE)

    page = tab.get("/logout/")

    assert page.status_code == 200 and 'action="/logout/"' in page.text
    assert tab.is_signed_in()


def test_signing_out_takes_the_token_of_the_page(tab):
    tab.sign_in(ALICE)

    assert tab._open("/logout/", method="POST").status_code == 400
    assert tab.is_signed_in()


def test_a_copied_cookie_opens_nothing_once_the_member_is_removed(tab):
    tab.sign_in(BOB)
    with unscoped("removing"):
        db.session.delete(signin.memberships_of(user_of(BOB))[0])

    assert tab.get("/a/kuestenfunk/").status_code == 404
    assert tab.get("/").location == "/no-account/"
    assert "Sign out" in tab.get("/no-account/").text


def test_a_copied_cookie_opens_nothing_once_the_person_is_put_to_rest(tab):
    tab.sign_in(BOB)
    with unscoped("putting to rest"):
        signin.find_user(BOB.email).active = False

    assert tab.get("/a/kuestenfunk/").location == "/login/"


def test_cookies_are_for_the_browser_alone(tab):
    answer = tab.sign_in(ALICE, as_partner="y")

    assert all("HttpOnly" in c and "SameSite=Lax" in c for c in answer.headers.getlist("Set-Cookie"))
    assert len(answer.headers.getlist("Set-Cookie")) == 2


def test_a_login_in_use_goes_on_and_is_noted_every_five_minutes(tab, monkeypatch):
    tab.sign_in(ALICE)
    start, noted = clock.now(), []
    for minutes in (1, 6, 7, 400, 800):
        monkeypatch.setattr(clock, "now", lambda at=start + timedelta(minutes=minutes): at)
        noted.append((tab.is_signed_in(), round((_last_seen() - start).total_seconds() / 60)))

    assert noted == [(True, 0), (True, 6), (True, 6), (True, 400), (False, 400)]


# --- the hat (L-1) ---------------------------------------------------------------------------------------------


@pytest.fixture
def hanna(app):
    """A manager of Nordlicht and a viewer of Küstenfunk."""
    person = hire("hanna@nordlicht.example", "nordlicht", Role.MANAGER, "Hanna Hut")
    with unscoped("a second hat"):
        add_member(person.email, "", account_called("kuestenfunk"), Role.VIEWER)
    return person


def test_the_tick_chooses_the_hat(app, hanna):
    assert Tab(app).sign_in(hanna, as_partner="y").location == "/a/nordlicht/"
    assert Tab(app).sign_in(hanna).location == "/a/kuestenfunk/"


def test_without_the_tick_one_lands_where_one_was(app, hanna):
    tab = Tab(app)
    tab.sign_in(hanna)
    tab.get("/a/nordlicht/")

    assert Tab(app).sign_in(hanna).location == "/a/nordlicht/"


def test_the_tick_is_remembered_in_the_browser(tab, hanna):
    tab.sign_in(hanna, as_partner="y")
    tab.post("/logout/")
    assert _is_ticked(tab.get("/login/"))

    tab.sign_in(hanna)
    tab.post("/logout/")
    assert not _is_ticked(tab.get("/login/"))


def test_the_tick_grants_nothing(tab):
    answer = tab.sign_in(BOB, as_partner="y")

    assert answer.location == "/a/kuestenfunk/"
    assert "There is no partner account with you as a member" in tab.get("/a/kuestenfunk/portal/").text
    assert tab.get("/a/nordlicht/").status_code == 404


def test_the_operators_people_need_no_special_case(tab):
    assert tab.sign_in(DORA, as_partner="y").location == "/a/kontor/"


def test_whoever_has_no_account_is_told_so(tab):
    with unscoped("somebody new"):
        signin.create_user("new@person.example", first_name="New", last_name="Person", password=PASSWORD)

    answer = tab.sign_in("new@person.example", as_partner="y")

    assert answer.location == "/no-account/"
    assert "not a member of any account" in tab.get("/no-account/").text


def test_the_page_without_account_is_for_nobody_else(tab):
    assert tab.get("/no-account/").location == "/login/"
    tab.sign_in(ALICE)
    assert tab.get("/no-account/").location == "/"


# --- on the way somewhere --------------------------------------------------------------------------------------


def test_a_link_is_followed_after_signing_in(tab):
    assert tab.get("/a/nordlicht/accounts/list/?q=a%26b").location == "/login/"

    assert tab.sign_in(ALICE).location == "/a/nordlicht/accounts/list/?q=a%26b"
    assert "next" not in tab.session()


def test_a_link_into_somebody_elses_account_is_not_followed(tab):
    tab.get("/a/alpenwerk/accounts/list/")

    assert tab.sign_in(ALICE).location == "/a/nordlicht/"


TRICKS = [
    "http://evil.example/",
    "https:evil.example",
    "//evil.example/",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "/\r\nLocation: http://evil.example/",
    "\x01//evil.example",
    " //evil.example",
    "javascript:alert(1)",
    "/a/nordlicht//evil.example",
    "/a/nordlicht/..//evil.example",
    "/a/nordlicht/../../..//evil.example",
    "/a/nordlicht/\\evil.example",
    "//a/nordlicht/",
    "/%09/evil.example\x00",
    "",
]


@pytest.mark.parametrize("trick", TRICKS)
def test_signing_in_leads_nowhere_else(tab, trick):
    with tab.client.session_transaction() as session:
        session["next"] = trick

    assert tab.sign_in(ALICE).location == "/a/nordlicht/"


@pytest.mark.parametrize("trick", TRICKS)
def test_choosing_a_language_leads_nowhere_else(tab, trick):
    assert tab.get("/lang/de", query_string={"next": trick}).location == "/"


# --- the code --------------------------------------------------------------------------------------------------


@pytest.mark.both_databases
def test_whoever_has_a_second_factor_is_asked_for_the_code(tab):
    give_second_factor(ALICE)

    assert tab.sign_in(ALICE, as_partner="y").location == "/login/code/"
    assert not tab.is_signed_in()
    assert tab.get("/login/code/").status_code == 200

    answer = tab.post("/login/code/", code=_with_gap(code_of(ALICE)))
    assert answer.location == "/a/nordlicht/"
    assert tab.is_signed_in()
    assert "code" not in tab.session()


def test_the_link_and_the_tick_are_kept_over_the_second_step(tab):
    give_second_factor(ALICE)
    tab.get("/a/nordlicht/members/list/")
    tab.sign_in(ALICE, as_partner="y")

    answer = tab.post("/login/code/", code=code_of(ALICE))

    assert answer.location == "/a/nordlicht/members/list/"
    assert "kontor_hat=partner" in " ".join(answer.headers.getlist("Set-Cookie"))


def test_a_wrong_code_is_said_and_after_five_one_starts_again(tab):
    give_second_factor(ALICE)
    tab.sign_in(ALICE)

    for _n in range(5):
        answer = tab.post("/login/code/", code=wrong_code(ALICE))
        assert answer.status_code == 422 and "This code is wrong" in answer.text
    assert tab.post("/login/code/", code=code_of(ALICE)).location == "/login/"
    assert not tab.is_signed_in()


def test_a_code_once_used_lets_nobody_else_in(app, tab):
    give_second_factor(ALICE)
    code = code_of(ALICE)
    tab.sign_in(ALICE)
    tab.post("/login/code/", code=code)

    other = Tab(app)
    other.sign_in(ALICE)
    assert other.post("/login/code/", code=code).status_code == 422
    assert not other.is_signed_in()


def test_the_cookie_of_the_second_step_works_once(app, tab):
    codes = give_second_factor(ALICE)
    tab.sign_in(ALICE)
    copied = tab.cookie()
    tab.post("/login/code/", code=codes[0])

    tab.client.set_cookie("kontor", copied)
    assert tab.post("/login/code/", code=codes[1]).location == "/login/"


def test_a_recovery_code_stands_in_for_the_app(app, tab):
    codes = give_second_factor(ALICE)
    tab.sign_in(ALICE)

    assert tab.post("/login/code/", code=f" {codes[3].upper()} ").location == "/a/nordlicht/"

    other = Tab(app)
    other.sign_in(ALICE)
    assert other.post("/login/code/", code=codes[3]).status_code == 422


def test_there_is_no_second_step_without_a_first(tab):
    assert tab.get("/login/code/").location == "/login/"
    assert tab.post("/login/code/", code="123456").location == "/login/"


# --- forgotten password ----------------------------------------------------------------------------------------


@pytest.mark.both_databases
def test_a_forgotten_password_is_replaced_by_way_of_the_mailbox(app, tab):
    link = reset_link(app, ALICE)
    page = tab.get(link)
    assert page.status_code == 200 and ALICE.email in page.text

    answer = tab.post(link, password=NEW, repeat=NEW)

    assert answer.location == "/login/"
    assert not tab.is_signed_in()
    assert tab.sign_in(ALICE, PASSWORD).status_code == 422
    assert tab.sign_in(ALICE, NEW).location == "/a/nordlicht/"
    assert len(messages_to(ALICE)) == 2


@pytest.mark.both_databases
def test_the_answer_does_not_tell_whether_the_address_is_known(app):
    with unscoped("somebody at rest"):
        signin.find_user(BOB.email).active = False

    pages = {
        text_of(Tab(app).post("/forgot/", email=email))
        for email in (ALICE.email, BOB.email, "nobody@nowhere.example", "ü@ß.example", "x" * 5000)
    }

    assert len(pages) == 1
    assert len(messages_to(ALICE)) == 1 and not messages_to(BOB)


def test_asking_costs_the_same_for_any_address(app, monkeypatch):
    """The mail is written and the statements are run; for an unknown address they are taken back."""
    counts = []
    for email in (ALICE.email, "nobody@nowhere.example"):
        with _statements() as seen:
            Tab(app).post("/forgot/", email=email)
        counts.append(len(seen))

    assert abs(counts[0] - counts[1]) <= 4


def test_a_mailbox_is_not_flooded(app):
    answers = {text_of(Tab(app).post("/forgot/", email=ALICE.email)) for _n in range(8)}

    assert len(answers) == 1
    assert len(messages_to(ALICE)) == 5


def test_the_mail_is_in_the_persons_language_and_leads_to_the_public_address(app):
    with unscoped("a language"):
        signin.choose_language(user_of(ALICE).id, "de")

    Tab(app).post("/forgot/", email=ALICE.email)
    message = messages_to(ALICE)[-1]

    assert message.locale == "de"
    assert link_in(message).startswith("/reset/")


def test_another_host_does_not_get_into_the_link(app):
    answer = Tab(app).client.post("/forgot/", data={"email": ALICE.email}, headers={"Host": "evil.example"})

    assert answer.status_code == 400
    assert not messages_to(ALICE)


def test_looking_at_the_link_does_not_use_it_up(app, tab):
    link = reset_link(app, ALICE)

    assert [tab.get(link).status_code for _n in range(3)] == [200, 200, 200]
    assert tab._open(link, method="HEAD").status_code == 200
    assert tab.post(link, password=NEW, repeat=NEW).status_code == 302


def test_a_refused_password_does_not_use_it_up(app, tab):
    link = reset_link(app, ALICE)

    short = tab.post(link, password="short", repeat="short")
    unequal = tab.post(link, password=NEW, repeat="something else")

    assert short.status_code == unequal.status_code == 422
    assert "Use at least 10 characters." in short.text and "The two are not the same." in unequal.text
    assert tab.post(link, password=NEW, repeat=NEW).status_code == 302


@pytest.mark.both_databases
def test_a_link_that_does_not_work_is_always_the_same_page(app, tab):
    used, expired, replaced = reset_link(app, ALICE), reset_link(app, BOB), reset_link(app, DORA)
    resting = reset_link(app, hire("rita@nordlicht.example", "nordlicht", Role.VIEWER, "Rita Rest"))
    Tab(app).post(used, password=NEW, repeat=NEW)
    reset_link(app, DORA)
    with unscoped("time passes") as session:
        token = session.scalar(select(Token).where(Token.secret_hash == tokens.hash_of(expired[7:])))
        token.expires_at = token.created_at
        signin.find_user("rita@nordlicht.example").active = False

    garbage = ["/reset/x", "/reset/ünïcode-😀", "/reset/" + "x" * 10240, "/reset/%00%ff%FE"]
    paths = [used, expired, replaced, resting, *garbage]
    answers = [tab.get(path) for path in paths] + [tab.post(path, password=NEW, repeat=NEW) for path in paths]

    assert {answer.status_code for answer in answers} == {404}
    assert len({text_of(answer) for answer in answers}) == 1
    assert "This link no longer works" in answers[0].text


def test_pages_with_a_secret_in_their_address_keep_it(app, tab):
    answer = tab.get(reset_link(app, ALICE))

    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.both_databases
def test_of_a_crowd_with_one_link_one_gets_through(app):
    link = reset_link(app, ALICE)
    tabs = iter([Tab(app) for _n in range(8)])

    answers = at_once(app, 8, lambda: next(tabs).post(link, password=NEW, repeat=NEW).status_code)

    assert sorted(answers) == [302] + [404] * 7


def test_a_new_password_signs_the_person_out_everywhere(app, tab):
    tab.sign_in(ALICE)
    copied = tab.cookie()
    link = reset_link(app, ALICE)

    Tab(app).post(link, password=NEW, repeat=NEW)

    assert not _opens(tab, copied)
    with unscoped("looking", writes=False) as session:
        assert session.scalar(select(func.count(Login.id)).where(Login.ended_at.is_(None))) == 0


def test_a_new_password_does_not_do_away_with_the_second_factor(app, tab):
    give_second_factor(ALICE)
    tab.post(reset_link(app, ALICE), password=NEW, repeat=NEW)

    assert tab.sign_in(ALICE, NEW).location == "/login/code/"


# --- language --------------------------------------------------------------------------------------------------


def test_the_language_is_remembered_in_the_browser(tab):
    assert tab.get("/lang/de", query_string={"next": "/login/?x=1"}).location == "/login/?x=1"
    assert 'lang="de"' in tab.get("/login/").text


def test_the_language_is_remembered_for_the_person(tab):
    tab.sign_in(ALICE)
    tab.get("/lang/de")

    assert user_of(ALICE).locale == "de"
    assert 'lang="de"' in tab.get("/a/nordlicht/").text


@pytest.mark.parametrize("code", ["xx", "EN", "de_AT", "..", "%00", "ü"])
def test_other_languages_do_not_exist(tab, code):
    assert tab.get(f"/lang/{code}").status_code == 404


# --- small things ----------------------------------------------------------------------------------------------


def test_public_pages_stand_in_no_account(tab):
    tab.sign_in(ALICE)

    for path in ("/login/", "/forgot/", "/reset/x", "/logout/", "/lang/de", "/no-account/"):
        assert tab.get("/a/nordlicht" + path).status_code == 404


def test_a_login_knows_browser_and_address(app):
    Tab(app, "198.51.100.9").sign_in(ALICE)

    with unscoped("looking", writes=False) as session:
        login = session.scalar(select(Login))
    assert (login.device, login.ip) == ("Firefox, Windows", "198.51.100.9")


def _opens(tab, cookie):
    tab.client.set_cookie("kontor", cookie)
    return tab.is_signed_in()


def _last_seen():
    with unscoped("looking", writes=False) as session:
        return session.scalar(select(Login.seen_at))


def _is_ticked(page):
    return re.search(r"<input[^>]*\bchecked[^>]*name=\"as_partner\"", page.text) is not None


def _with_gap(code):
    return f"{code[:3]} {code[3:]}"


def _telling(seen, real):
    return lambda *args: seen.append(args) or real(*args)


@contextmanager
def _statements():
    seen = []

    def note(_connection, _cursor, statement, *_rest):
        seen.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", note)

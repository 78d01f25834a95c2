"""A person's own sign-in: details, password, second factor, where they are signed in."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import select

from app import passwords
from app.models import Login
from app.services import second_factor, signin
from app.tenancy import unscoped
from app.ui.visitor import device, device_in_words
from tests.cast import ALICE, BOB, PASSWORD, account_called
from tests.signing import Tab, code_of, give_second_factor, history, messages_to, user_of, wrong_code

NEW = "fjord und elbe 7"
SECURITY = "/a/nordlicht/security"


@pytest.fixture
def alices(app):
    """Alice's browser, signed in as people sign in."""
    tab = Tab(app)
    tab.sign_in(ALICE)
    return tab


def change(tab, current=PASSWORD, password=NEW, repeat=NEW):
    return tab.post(f"{SECURITY}/password", current=current, password=password, repeat=repeat)


# --- password --------------------------------------------------------------------------------------------------


def test_a_password_is_changed_by_whoever_knows_it(app, alices):
    answer = change(alices)

    assert answer.location == f"{SECURITY}/"
    assert Tab(app).sign_in(ALICE, PASSWORD).status_code == 422
    assert Tab(app).sign_in(ALICE, NEW).status_code == 302
    assert "user.password_changed" in history()


@pytest.mark.both_databases
def test_it_ends_all_other_logins_and_every_copy_of_this_one(app, alices):
    other = Tab(app)
    other.sign_in(ALICE)
    copied = alices.cookie()

    change(alices)

    assert alices.is_signed_in()
    assert not other.is_signed_in()
    other.client.set_cookie("kontor", copied)
    assert not other.is_signed_in()


def test_the_person_is_told_by_mail_with_no_word_of_the_password(app, alices):
    with unscoped("a language"):
        signin.choose_language(user_of(ALICE).id, "en")

    change(alices)

    (message,) = messages_to(ALICE)
    assert message.subject == "Your password was changed"
    assert "Firefox, Windows" in message.body_text
    assert NEW not in message.body_text + message.body_html and message.token_id is None


@pytest.mark.parametrize(
    ("entered", "said"),
    [
        ({"current": "not hers"}, "This is not your password."),
        ({"repeat": "something else"}, "The two are not the same."),
        ({"password": "short", "repeat": "short"}, "Use at least 10 characters."),
        ({"password": "Passwort2026!", "repeat": "Passwort2026!"}, "too easy to guess"),
        ({"password": "mein nordlicht", "repeat": "mein nordlicht"}, "name of your company"),
    ],
)
def test_what_is_wrong_is_said_at_the_field_and_nothing_is_changed(app, alices, entered, said):
    answer = change(alices, **entered)

    assert answer.status_code == 422
    assert said in re.sub(r"&#39;", "'", answer.text)
    assert not messages_to(ALICE)
    assert Tab(app).sign_in(ALICE).status_code == 302


def test_a_stolen_browser_cannot_try_passwords_for_ever(alices, monkeypatch):
    compared = []
    real = passwords.fits
    for _n in range(10):
        change(alices, current="a guess")
    monkeypatch.setattr(passwords, "fits", lambda *args: compared.append(args) or real(*args))

    answer = change(alices)

    assert answer.status_code == 422 and "Too many tries" in answer.text
    assert not compared


def test_every_change_takes_the_token_of_the_page(alices):
    for path in ("password", "profile", "second-factor", "second-factor/off", "recovery-codes", "sessions/end"):
        assert alices._open(f"{SECURITY}/{path}", method="POST").status_code == 400


def test_no_change_is_made_by_looking(alices):
    for path in ("password", "profile", "sessions/1/end", "sessions/end"):
        assert alices.get(f"{SECURITY}/{path}").status_code in {404, 405}


def test_the_page_is_for_whoever_is_signed_in(app):
    assert Tab(app).get(f"{SECURITY}/").location == "/login/"


def test_in_somebody_elses_account_there_is_no_such_page(alices):
    assert alices.get("/a/alpenwerk/security/").status_code == 404
    assert alices.get("/security/").location == f"{SECURITY}/"


# --- details ---------------------------------------------------------------------------------------------------


def test_details_are_shown_and_saved(alices):
    page = alices.get(f"{SECURITY}/")
    assert 'value="Alice"' in page.text and 'value="Ahrens"' in page.text

    alices.post(f"{SECURITY}/profile", first_name="Alicia", last_name="Ahrens", locale="de", time_zone="Asia/Tokyo")

    user = user_of(ALICE)
    assert (user.first_name, user.locale, user.time_zone) == ("Alicia", "de", "Asia/Tokyo")
    assert 'lang="de"' in alices.get(f"{SECURITY}/").text
    assert history()[-1] == "user.profile_changed"


@pytest.mark.parametrize(
    "entered",
    [{"first_name": " "}, {"last_name": "x" * 65}, {"locale": "xx"}, {"time_zone": "../etc/passwd"}, {"locale": ""}],
)
def test_details_that_make_no_sense_are_refused(alices, entered):
    usual = {"first_name": "Alicia", "last_name": "Ahrens", "locale": "de", "time_zone": ""}

    answer = alices.post(f"{SECURITY}/profile", **usual | entered)

    assert answer.status_code == 422
    assert user_of(ALICE).first_name == "Alice"


def test_nothing_else_of_a_person_can_be_set(alices):
    alices.post(
        f"{SECURITY}/profile",
        first_name="Alice", last_name="Ahrens", locale="de", time_zone="",
        email="dora@kontor.example", active="", password="x", last_account_id="1", user_id="1",
    )  # fmt: skip

    user = user_of(ALICE)
    assert user.active and user.email == ALICE.email and passwords.fits(PASSWORD, user.password)


# --- second factor ---------------------------------------------------------------------------------------------


def set_up(tab, current=PASSWORD, code=None):
    """Follow the page: read the secret off it, let the app make a code, type it in."""
    page = tab.get(f"{SECURITY}/second-factor")
    secret = re.search(r'id="secret">([A-Z2-7 ]+)<', page.text)[1].replace(" ", "")
    return tab.post(f"{SECURITY}/second-factor", current=current, code=code or second_factor.TOTP(secret).now())


@pytest.mark.both_databases
def test_a_second_factor_is_set_up_by_showing_a_code(app, alices):
    page = set_up(alices)

    assert page.status_code == 200
    assert len(re.findall(r"<li>[a-z2-7-]{19}</li>", page.text)) == 10
    assert user_of(ALICE).has_second_factor
    assert Tab(app).sign_in(ALICE).location == "/login/code/"
    assert len(messages_to(ALICE)) == 1 and "user.second_factor_turned_on" in history()


def test_the_picture_says_what_apps_understand(alices):
    page = alices.get(f"{SECURITY}/second-factor")

    assert "<svg" in page.text and "style=" not in page.text
    assert re.search(r"otpauth", page.text) is None  # drawn, not written
    user, nonce = user_of(ALICE), alices.session()["totp_nonce"]
    address = second_factor.address_for_app(user, nonce)
    assert address.startswith("otpauth://totp/Kontor:alice%40nordlicht.example?secret=")


def test_looking_at_the_page_changes_nothing(alices):
    first, second = (alices.get(f"{SECURITY}/second-factor").text for _n in range(2))

    assert not user_of(ALICE).totp_nonce
    assert re.search(r'id="secret">([^<]+)', first)[1] == re.search(r'id="secret">([^<]+)', second)[1]


@pytest.mark.parametrize(("current", "code"), [("not hers", None), (PASSWORD, "000000"), (PASSWORD, "x")])
def test_it_takes_the_password_and_the_right_code(alices, current, code):
    answer = set_up(alices, current, code)

    assert answer.status_code == 422
    assert not user_of(ALICE).has_second_factor and not messages_to(ALICE)


def test_logins_started_without_a_code_end_when_it_is_turned_on(app, alices):
    other = Tab(app)
    other.sign_in(ALICE)

    set_up(alices)

    assert alices.is_signed_in() and not other.is_signed_in()


def test_the_code_that_turned_it_on_does_not_sign_in(app, alices):
    page = alices.get(f"{SECURITY}/second-factor")
    secret = re.search(r'id="secret">([A-Z2-7 ]+)<', page.text)[1].replace(" ", "")
    code = second_factor.TOTP(secret).now()
    alices.post(f"{SECURITY}/second-factor", current=PASSWORD, code=code)

    other = Tab(app)
    other.sign_in(ALICE)
    assert other.post("/login/code/", code=code).status_code == 422


def test_it_is_turned_off_with_the_password(app, alices):
    give_second_factor(ALICE)

    assert alices.post(f"{SECURITY}/second-factor/off", current="not hers").status_code == 422
    assert user_of(ALICE).has_second_factor
    assert alices.post(f"{SECURITY}/second-factor/off", current=PASSWORD).location == f"{SECURITY}/"
    assert Tab(app).sign_in(ALICE).location == "/a/nordlicht/"


def test_it_cannot_be_turned_on_twice_or_off_when_it_is_off(alices):
    assert alices.get(f"{SECURITY}/second-factor/off").location == f"{SECURITY}/"
    assert alices.post(f"{SECURITY}/recovery-codes", current=PASSWORD).location == f"{SECURITY}/"
    give_second_factor(ALICE)
    assert alices.get(f"{SECURITY}/second-factor").location == f"{SECURITY}/"
    assert alices.post(f"{SECURITY}/second-factor", current=PASSWORD, code="123456").location == f"{SECURITY}/"


def test_new_recovery_codes_are_shown_once_and_end_the_old_ones(app, alices):
    old = give_second_factor(ALICE)

    page = alices.post(f"{SECURITY}/recovery-codes", current=PASSWORD)
    new = re.findall(r"<li>([a-z2-7-]{19})</li>", page.text)

    assert len(new) == 10 and not set(new) & set(old)
    assert not any(code in alices.get(f"{SECURITY}/").text for code in new)
    assert "10 recovery codes are left" in alices.get(f"{SECURITY}/").text
    other = Tab(app)
    other.sign_in(ALICE)
    assert other.post("/login/code/", code=old[0]).status_code == 422
    assert other.post("/login/code/", code=new[0]).location == "/a/nordlicht/"


def test_administrators_set_it_up_first_when_the_operator_says_so(app, alices):
    with unscoped("the operator's switch"):
        account_called("kontor").second_factor_required = True

    for path in ("/", "/accounts/list/", "/members/list/"):
        assert alices.get("/a/nordlicht" + path).location == f"{SECURITY}/second-factor"
    assert "Administrators need a second factor" in alices.get(f"{SECURITY}/second-factor").text

    set_up(alices)
    assert alices.get("/a/nordlicht/accounts/list/").location is None
    answer = alices.post(f"{SECURITY}/second-factor/off", current=PASSWORD)
    assert answer.status_code == 422 and "cannot be turned off" in answer.text


def test_asking_whether_it_is_demanded_costs_those_nothing_who_have_it(app, monkeypatch):
    asked = []
    real = second_factor.is_demanded_of
    monkeypatch.setattr(second_factor, "is_demanded_of", lambda them: asked.append(them) or real(them))
    give_second_factor(ALICE)
    tab = Tab(app)
    tab.sign_in(ALICE)
    tab.post("/login/code/", code=code_of(ALICE))
    tab.get(f"{SECURITY}/")

    assert not asked and wrong_code(ALICE)


# --- where one is signed in ------------------------------------------------------------------------------------


def test_the_page_lists_where_one_is_signed_in(app, alices):
    Tab(app, "198.51.100.9").sign_in(ALICE)
    Tab(app, "203.0.113.5").sign_in(BOB)

    page = alices.get(f"{SECURITY}/").text

    assert page.count("Firefox on Windows") >= 2 and page.count("This device") == 1
    assert "198.51.100.9" in page and "203.0.113.5" not in page


def test_one_browser_can_be_signed_out_from_another(app, alices):
    other = Tab(app)
    other.sign_in(ALICE)

    answer = alices.post(f"{SECURITY}/sessions/{_newest_login()}/end")

    assert answer.location == f"{SECURITY}/"
    assert alices.is_signed_in() and not other.is_signed_in()
    assert history()[-1] == "user.sessions_ended"


@pytest.mark.parametrize("number", ["bobs", "0", "999999", "99999999999999999999"])
@pytest.mark.both_databases
def test_somebody_elses_login_does_not_exist(app, alices, number):
    bobs = Tab(app)
    bobs.sign_in(BOB)

    answer = alices.post(f"{SECURITY}/sessions/{_newest_login() if number == 'bobs' else number}/end")

    assert answer.status_code == 404
    assert bobs.is_signed_in()


@pytest.mark.both_databases
def test_one_can_sign_out_everywhere(app, alices):
    other, bobs = Tab(app), Tab(app)
    other.sign_in(ALICE)
    bobs.sign_in(BOB)

    answer = alices.post(f"{SECURITY}/sessions/end")

    assert answer.location == "/login/"
    assert not alices.is_signed_in() and not other.is_signed_in()
    assert bobs.is_signed_in()


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        ("Mozilla/5.0 (Windows NT 10.0; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Windows"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537 Chrome/140 Safari/537 Edg/140.0", "Edge on Windows"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 15) AppleWebKit/605 Version/18 Safari/605", "Safari on macOS"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18) AppleWebKit/605 CriOS/140 Safari/604", "Chrome on iPhone"),
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537 Chrome/140 Safari/537", "Chrome on Linux"),
        ("Mozilla/5.0 (Linux; Android 15) AppleWebKit/537 Chrome/140 Mobile Safari/537", "Chrome on Android"),
        ("curl/8.5", "curl"),
        ("<script>", "Unknown device"),
        ("", "Unknown device"),
    ],
)
def test_a_device_is_told_in_plain_words(app, agent, words):
    with app.test_request_context():
        assert device_in_words(device(agent)) == words


# --- what is a password ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "common",
    [
        "passwort123", "Password2026!", "P@ssw0rd2025", "1234567890", "qwertzuiop", "QWERTYUIOP", "aaaaaaaaaaaa",
        "Sommer2026!!", "hallo12345", "hallohallo", "iloveyou2026", "abcabcabcabc", "1qay2wsx3edc", "Schalke1904!",
        "9876543210", "willkommen1", "Michael1985", "!!!geheim!!!", "correcthorsebatterystaple",
    ],
)  # fmt: skip
def test_what_many_people_take_is_refused(app, common):
    assert passwords.is_common(common)


@pytest.mark.parametrize(
    "good",
    ["fjord und elbe 7", "kontor-demo-2026", "Zitronenfalter am Kai", "xK9#mQ2$vL7p", "密码很长很安全真的很安全"],
)
def test_what_few_people_take_is_accepted(app, good):
    assert not passwords.is_common(good)
    passwords.accept(good, email="alice@nordlicht.example", names=["Nordlicht"])


@pytest.mark.parametrize(
    "own", ["alice.ahrens-7-mal", "xx-Küstenfunk-xx", "kuesten-KÜSTENFUNK", "1234 Küsten Funk", "ALICEAHRENS rules"]
)
def test_what_is_made_of_ones_own_names_is_refused(app, own):
    with pytest.raises(passwords.Refused) as refusal:
        passwords.accept(own, email="Alice.Ahrens@kuestenfunk.example", names=["Küstenfunk GmbH & Co. KG"])
    assert refusal.value.field == "password"


@pytest.mark.parametrize(("length", "fine"), [(9, False), (10, True), (200, True), (201, False)])
def test_a_password_has_ten_to_two_hundred_characters(app, length, fine):
    password = ("fjord und elbe 7 " * 20)[:length]

    if fine:
        passwords.accept(password, email="a@b.example")
    else:
        with pytest.raises(passwords.Refused):
            passwords.accept(password, email="a@b.example")


def test_a_password_is_the_same_on_every_keyboard(app):
    composed, apart = "Übermäßig gut", "U\u0308berma\u0308ßig gut"

    assert passwords.fits(apart, passwords.hashed(composed))


def test_a_hash_from_somewhere_else_fits_nothing(app):
    for kept in ("", "scrypt:32768:8:1$x$y", "plain", "$argon2id$v=19$m=1$broken", PASSWORD):
        assert not passwords.fits(PASSWORD, kept)


def test_the_usual_hash_is_argon2id_with_owasps_parameters(app):
    kept = passwords._hasher_with(passwords.TIME_COST, passwords.MEMORY_COST, passwords.LANES).hash("x")

    assert kept.startswith("$argon2id$v=19$m=47104,t=1,p=1$")


def _newest_login():
    with unscoped("looking", writes=False) as session:
        return session.scalar(select(Login.id).order_by(Login.id.desc()).limit(1))

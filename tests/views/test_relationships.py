"""Linking a client and ending it, on the screens; the board of deadlines and its feed."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from icalendar import Calendar
from sqlalchemy import select

from app import clock
from app.extensions import db
from app.models import Consent, Member, Role, Token, User
from app.services import members
from app.tenancy import unscoped
from tests import cast
from tests.cast import ALICE, BOB, CHARLIE, acting_as, apart, browse, hire
from tests.linking import code_for, link, linked, wrong
from tests.signing import messages_to, text_of

ASKED = {"email": BOB.email, "scopes": ["licenses"], "ends_on": ""}


def text(answer):
    return answer.get_data(as_text=True)


def test_a_client_is_linked_in_two_steps(charlie):
    browser = browse(charlie)
    asked = browser.post("/relationships/add", data=ASKED)
    assert asked.status_code == 200 and 'name="code"' in text(asked)

    done = browser.post("/relationships/code", data={"email": BOB.email, "code": code_for(CHARLIE, BOB.email)})

    assert done.status_code == 302
    page = text(browser.get("/relationships/list/"))
    assert "Küstenfunk" in page and "/accounts/show/" in page


@pytest.mark.parametrize("email", ["nobody@nowhere.example", CHARLIE.email, ALICE.email])
def test_the_answer_is_the_same_page_for_any_address(charlie, email):
    """Byte for byte, but for what was typed and what differs in every answer."""
    pages = [browse(charlie).post("/relationships/add", data=ASKED | {"email": one}) for one in (BOB.email, email)]

    assert text_of(pages[0]) == text_of(pages[1])
    assert {page.status_code for page in pages} == {200}
    plain = [[(k, v) for k, v in page.headers if k not in VARYING] for page in pages]
    assert plain[0] == plain[1]


VARYING = {"Content-Length", "Content-Security-Policy", "Set-Cookie"}


def test_every_wrong_code_is_told_in_one_sentence(charlie, frida):
    """Wrong, of another partner, for an address nobody asked for, used."""
    browse(charlie).post("/relationships/add", data=ASKED)
    code = code_for(CHARLIE, BOB.email)
    tries = [(charlie, BOB.email, wrong(code)), (frida, BOB.email, code), (charlie, "other@client.example", code)]
    said = set()
    for person, email, typed in tries:
        answer = browse(person).post("/relationships/code", data={"email": email, "code": typed})
        assert answer.status_code == 422
        said |= set(re.findall(r'id="code-error">\s*<div>(.*?)</div>', text(answer)))
    browse(charlie).post("/relationships/code", data={"email": BOB.email, "code": code})
    used = browse(charlie).post("/relationships/code", data={"email": BOB.email, "code": code})
    said |= set(re.findall(r'id="code-error">\s*<div>(.*?)</div>', text(used)))

    assert len(said) == 1


def test_whoever_has_a_wrong_code_is_shown_the_way_to_another(charlie):
    way = "Send a new code"

    assert way not in text(browse(charlie).post("/relationships/add", data=ASKED))
    refused = text(browse(charlie).post("/relationships/code", data={"email": BOB.email, "code": "12345678"}))

    assert re.search(rf'href="[^"]*/relationships/add"[^>]*>{way}', refused)


def test_what_was_typed_is_kept_where_something_is_wrong(charlie):
    typed = {"email": "no-address", "scopes": ["billing"], "ends_on": "2020-01-01"}

    page = browse(charlie).post("/relationships/add", data=typed)

    assert page.status_code == 422
    assert 'value="no-address"' in text(page) and 'value="2020-01-01"' in text(page)
    assert re.search(r'value="billing" checked', text(page)) and 'value="orders">' in text(page)


def test_a_scope_that_is_none_is_refused(charlie):
    page = browse(charlie).post("/relationships/add", data=ASKED | {"scopes": ["everything"]})

    assert page.status_code == 422 and not messages_to(BOB)


def test_the_client_sees_who_manages_the_account_and_ends_it(bob, charlie):
    link(CHARLIE, BOB.email, Consent.LICENSES)
    browser = browse(bob)
    page = text(browser.get("/managers/list/"))
    assert "Alpenwerk" in page and "Nordlicht" in page  # by consent, and by the tree

    number = linked()[0].id
    answer = browser.post("/managers/action_post", data={"action": "end", "rowid": number})

    assert answer.status_code == 302 and linked()[0].ended_at is not None
    assert browse(charlie).get("/licenses/list/").status_code == 200


def test_somebody_elses_relationship_is_not_there_to_be_ended(charlie, alice):
    link(CHARLIE, BOB.email)

    answer = browse(alice).post("/relationships/action_post", data={"action": "end", "rowid": linked()[0].id})

    assert answer.status_code == 404 and linked()[0].ended_at is None


def test_the_code_is_shown_in_the_clients_outbox_of_the_demo_alone(app, bob, charlie):
    browse(charlie).post("/relationships/add", data=ASKED)
    code, message = code_for(CHARLIE, BOB.email), messages_to(BOB)[-1]
    shown = f"{code[:4]} {code[4:]}"

    assert shown in text(browse(bob).get(f"/outbox/show/{message.id}"))
    assert browse(charlie).get(f"/outbox/show/{message.id}").status_code == 404
    app.config["KONTOR_ENV"] = "production"
    try:
        hidden = text(browse(bob).get(f"/outbox/show/{message.id}"))
    finally:
        app.config["KONTOR_ENV"] = "demo"
    assert shown not in hidden and "{code}" not in hidden


# --- deadlines -------------------------------------------------------------------------------------------------


def feed_of(person):
    """The path of the address the person makes for their calendar."""
    browser = browse(person)
    browser.post("/deadlines/feed")
    return re.search(r"http://localhost(/calendar/\S+\.ics)", text(browser.get("/deadlines/")))[1]


def fetch(app, path):
    return apart(app.test_client().get, path)


def test_a_calendar_fetches_the_deadlines_without_signing_in(app, bob):
    link(CHARLIE, BOB.email, ends_on=clock.today() + timedelta(days=20))

    answer = fetch(app, feed_of(bob))

    assert answer.mimetype == "text/calendar"
    (event,) = Calendar.from_ical(answer.data).walk("VEVENT")
    assert event.decoded("dtstart") == clock.today() + timedelta(days=20)
    assert "Alpenwerk" in event["summary"] and event["url"].endswith("/a/kuestenfunk/managers/list/")
    lines = answer.data.split(b"\r\n")
    assert lines[0] == b"BEGIN:VCALENDAR" and lines[-2] == b"END:VCALENDAR"  # RFC 5545 3.1
    assert all(len(line) <= 75 for line in lines) and b"\n" not in b"".join(lines)
    for name in ("UID", "DTSTAMP", "PRODID", "VERSION"):
        assert re.search(rf"(?m)^{name}[:;]", answer.get_data(as_text=True))


def test_it_speaks_the_persons_language(app, bob):
    link(CHARLIE, BOB.email, ends_on=clock.today() + timedelta(days=20))
    with unscoped("a person's language"):
        cast.signin.find_user(BOB.email).locale = "de"

    assert "Betreuung endet" in text(fetch(app, feed_of(bob)))


@pytest.mark.parametrize("way", ["renewed", "withdrawn", "removed", "removed and back", "suspended", "archived"])
def test_an_address_dies(app, way):
    hire("vera@kuestenfunk.example", "kuestenfunk", Role.VIEWER)
    vera = cast.Person("vera@kuestenfunk.example", "kuestenfunk")
    old = feed_of(vera)
    assert fetch(app, old).status_code == 200

    if way == "renewed":
        assert fetch(app, feed_of(vera)).status_code == 200
    elif way == "withdrawn":
        browse(vera).post("/deadlines/feed/withdraw")
    elif way in {"suspended", "archived"}:
        with unscoped("the account or the person is put out") as session:
            session.scalar(select(User).where(User.email == vera.email)).active = way != "suspended"
            cast.account_called("kuestenfunk").archived_at = clock.now() if way == "archived" else None
    else:
        with acting_as(BOB) as bob:
            theirs = select(Member).join(Member.user).where(User.email == vera.email)
            members.remove(db.session.scalar(theirs), by=bob)
        if way == "removed and back":
            hire(vera.email, "kuestenfunk", Role.VIEWER)

    assert fetch(app, old).status_code == 404


def test_the_database_keeps_no_address(app, bob):
    secret = feed_of(bob).removeprefix("/calendar/").removesuffix(".ics")
    with unscoped("a thief reads the database", writes=False) as session:
        kept = [" ".join(str(v) for v in vars(row).values()) for row in session.scalars(select(Token))]

    assert kept and not any(secret in one for one in kept)


def test_the_dashboard_shows_the_next_few(bob):
    link(CHARLIE, BOB.email, ends_on=clock.today() + timedelta(days=20))

    part = browse(bob).get("/deadlines/", headers={"HX-Request": "true"})

    assert "Alpenwerk" in text(part) and "<html" not in text(part)
    assert 'hx-get="/a/alpenwerk/deadlines/"' in text(browse(CHARLIE).get("/"))

"""The link in an invitation, and the screens invitations are sent from (M-7)."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape

import pytest
from sqlalchemy import event, select

from app import clock
from app.extensions import db
from app.models import Invitation, InvitationStatus, Member, Role, User
from app.services import signin
from app.tenancy import unscoped
from tests.cast import BOB, CHARLIE, PASSWORD, Person, account_id, browse, hire
from tests.signing import Tab, code_of, give_second_factor, history, link_in, messages_to, text_of, user_of

NINA = Person("nina@new.example", "kuestenfunk")
GOOD = "fjord und elbe 7"
ABOUT_HER = {"first_name": "Nina", "last_name": "Neu", "password": GOOD, "repeat": GOOD, "locale": "de"}
HTMX = {"HX-Request": "true"}


@pytest.fixture
def tab(app):
    return Tab(app)


def invite(person: Person = BOB, email: str = NINA.email, role: Role = Role.VIEWER, **args) -> str:
    """Invite through the dialog; answers the link that was mailed."""
    query = "&".join(f"{key}={value}" for key, value in args.items())
    answer = browse(person).post(f"/invitations/add?{query}", data={"email": email, "role": role.value})
    assert answer.status_code == 302, shown(answer)
    return link_in(messages_to(Person(email, ""))[-1])


def invitation_of(email: str = NINA.email) -> Invitation:
    with unscoped("looking at an invitation", writes=False) as session:
        return session.scalars(select(Invitation).where(Invitation.email == email).order_by(-Invitation.id)).first()


def role_of(email: str, slug: str = "kuestenfunk") -> Role | None:
    with unscoped("who is there", writes=False) as session:
        there = select(Member.role).join(Member.user).where(Member.account_id == account_id(slug), User.email == email)
        return session.scalar(there)


def shown(answer) -> str:
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.text)))


# --- looking ---------------------------------------------------------------------------------------------------


def test_the_page_says_who_invites_whom_to_what(tab):
    page = shown(tab.get(invite(role=Role.SALES)))

    for words in ("Join Küstenfunk", "Bob Brandt invites you.", "Sales", NINA.email):
        assert words in page


def test_link_scanners_use_nothing_up(tab):
    link = invite()
    scanner = Tab(tab.client.application, "198.51.100.9")

    for method in ("HEAD", "GET", "GET", "OPTIONS"):
        assert scanner._open(link, method=method).status_code == 200

    assert tab.post(link, **ABOUT_HER).location == "/a/kuestenfunk/"


def test_the_link_is_told_to_nobody(tab):
    page = tab.get(invite())

    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert page.headers["Cache-Control"] == "no-store"


def test_nothing_is_taken_without_the_token_of_the_page(tab):
    link = invite()

    assert tab._open(link, method="POST", data=ABOUT_HER).status_code == 400
    assert role_of(NINA.email) is None


# --- somebody new ----------------------------------------------------------------------------------------------


def test_somebody_new_registers_and_is_signed_in(tab):
    answer = tab.post(invite(role=Role.SALES), **ABOUT_HER)

    assert answer.location == "/a/kuestenfunk/"
    page = tab.get("/a/kuestenfunk/portal/")
    assert page.status_code == 200 and "Nina Neu" in page.text and '<html lang="de"' in page.text
    assert role_of(NINA.email) is Role.SALES
    assert tab.get("/a/nordlicht/").status_code == 404
    assert "user.signed_in" in history()


def test_she_signs_in_with_that_password_from_then_on(app, tab):
    tab.post(invite(), **ABOUT_HER)

    assert Tab(app).sign_in(NINA, GOOD).location == "/a/kuestenfunk/"


def test_a_session_prepared_by_somebody_else_does_not_live_on(tab):
    with tab.client.session_transaction() as session:
        session["planted"] = "by Charlie"
    tab.post(invite(), **ABOUT_HER)

    assert "planted" not in tab.session()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"first_name": " "}, "Please fill this in."),
        ({"last_name": ""}, "Please fill this in."),
        ({"password": "short", "repeat": "short"}, "Use at least 10 characters."),
        ({"password": "password2026", "repeat": "password2026"}, "too easy to guess"),
        ({"password": "küstenfunk 7 elbe", "repeat": "küstenfunk 7 elbe"}, "name of your company"),
        ({"repeat": "something else"}, "The two are not the same."),
        ({"locale": "fr"}, "Not a valid choice"),
    ],
)
def test_what_will_not_do_is_said_and_the_link_still_works(tab, given, sentence):
    link = invite()
    answer = tab.post(link, **ABOUT_HER | given)

    assert answer.status_code == 422 and sentence in shown(answer)
    assert GOOD not in answer.text
    assert tab.post(link, **ABOUT_HER).status_code == 302


def test_neither_address_nor_role_is_taken_from_the_form(tab):
    tab.post(invite(), **ABOUT_HER, email="mallory@evil.example", role="administrator", account="1", status="x")

    assert role_of(NINA.email) is Role.VIEWER
    assert role_of("mallory@evil.example") is None


# --- somebody known --------------------------------------------------------------------------------------------


def test_somebody_known_confirms_with_the_password(tab):
    link = invite(email=CHARLIE.email, role=Role.SUPPORT)
    page = tab.get(link)
    assert 'name="password"' in page.text and 'name="first_name"' not in page.text

    answer = tab.post(link, password=PASSWORD)

    assert answer.location == "/a/kuestenfunk/"
    assert tab.get("/a/kuestenfunk/portal/").status_code == 200
    assert role_of(CHARLIE.email) is Role.SUPPORT


def test_a_link_alone_opens_nobodys_sign_in(tab):
    link = invite(email=CHARLIE.email)

    answer = tab.post(link, password="a guess or two", **{k: v for k, v in ABOUT_HER.items() if k != "password"})

    assert answer.status_code == 422 and "This is not your password." in answer.text
    assert role_of(CHARLIE.email) is None and not tab.is_signed_in()
    assert user_of(CHARLIE).name == "Charlie Czerny"
    assert history()[-1] == "user.sign_in_failed"


def test_guesses_at_the_password_are_limited(tab):
    link = invite(email=CHARLIE.email)
    answers = [tab.post(link, password="a guess") for _n in range(11)]

    assert "Too many tries" in answers[-1].text
    assert "Too many tries" in tab.post(link, password=PASSWORD).text


def test_a_second_factor_is_asked_for_before_anybody_is_signed_in(tab):
    give_second_factor(CHARLIE)
    answer = tab.post(invite(email=CHARLIE.email), password=PASSWORD)

    assert answer.location == "/login/code/"
    assert not tab.is_signed_in()
    assert tab.post("/login/code/", code=code_of(CHARLIE)).location == "/a/kuestenfunk/"


def test_whoever_is_signed_in_just_confirms(tab):
    link = invite(email=CHARLIE.email)
    tab.sign_in(CHARLIE)
    assert 'type="password"' not in tab.get(link).text

    answer = tab.post(link)

    assert answer.location == "/a/kuestenfunk/"
    assert "Welcome to Küstenfunk." in tab.get("/a/kuestenfunk/portal/").text
    assert role_of(CHARLIE.email) is Role.VIEWER


def test_somebody_else_is_told_and_not_joined(tab):
    link = invite()
    tab.sign_in(CHARLIE)

    for answer in (tab.get(link), tab.post(link), tab.post(link, **ABOUT_HER), tab.post(link, password=PASSWORD)):
        assert answer.status_code == 403
        assert f"It is for {NINA.email}, and you are signed in as {CHARLIE.email}." in shown(answer)
    assert role_of(CHARLIE.email) is None and role_of(NINA.email) is None
    assert invitation_of().status is InvitationStatus.PENDING


# --- links that do not work ------------------------------------------------------------------------------------


def test_every_link_that_does_not_work_shows_the_same_page(app, tab):
    used = invite()
    Tab(app).post(used, **ABOUT_HER)
    expired, withdrawn, resent, lost, archived, at_rest = [
        invite(email=f"{n}@new.example") for n in range(5)
    ] + [invite(email=CHARLIE.email)]  # fmt: skip
    _act("withdraw", "1@new.example")
    _act("resend", "2@new.example")
    with unscoped("what may happen meanwhile") as session:
        session.scalar(select(Invitation).where(Invitation.email == "0@new.example")).expires_at = clock.now()
        signin.find_user(CHARLIE.email).active = False
    pages = [tab.get(link) for link in ("/join/unknown", f"/join/{'x' * 5000}", "/join/%00%ff", used, expired)]
    pages += [tab.get(link) for link in (withdrawn, resent, at_rest)]
    with unscoped("Bob loses the right") as session:
        session.scalar(select(Member).where(Member.account_id == account_id("kuestenfunk"))).role = Role.SALES
    pages += [tab.get(lost), tab.post(lost, **ABOUT_HER), tab.post(archived, **ABOUT_HER), tab.post("/join/unknown")]

    assert {page.status_code for page in pages} == {404}
    assert len({text_of(page) for page in pages}) == 1


def _act(action: str, *emails: str, person: Person = BOB):
    pks = [invitation_of(email).id for email in emails]
    return browse(person).post("/invitations/action_post", data={"action": action, "rowid": pks})


def test_what_is_no_longer_right_when_it_is_posted_is_gone_too(tab, monkeypatch):
    """The page was right when it was shown; only the posting decides."""
    link = invite()
    _act("withdraw", NINA.email)
    with unscoped("with its account", writes=False) as session:
        shown_before = session.scalar(select(Invitation).where(Invitation.email == NINA.email))
        shown_before.account  # noqa: B018 loaded
    monkeypatch.setattr("app.pages.join.invitations.find", lambda _secret: shown_before)

    assert tab.post(link, **ABOUT_HER).status_code == 404
    assert role_of(NINA.email) is None


def test_the_link_is_made_of_the_public_address_whatever_host_is_named(tab, bob):
    browser, form = browse(bob), {"email": NINA.email, "role": "viewer"}
    forged = browser.post("/invitations/add", data=form, headers={"Host": "evil.example"})
    assert forged.status_code in {400, 404} and not messages_to(NINA)

    proxied = {"X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example"}
    browser.post("/invitations/add", data=form, headers=proxied)

    link = link_in(messages_to(NINA)[0])  # of http://localhost, or none is found
    assert "evil" not in messages_to(NINA)[0].body_html
    assert tab.get(link, headers={"Host": "evil.example"}).status_code == 400


# --- the screens -----------------------------------------------------------------------------------------------


def test_a_member_is_invited_in_the_dialog_and_stands_in_the_list(bob):
    browser = browse(bob)
    assert "/a/kuestenfunk/invitations/add" in browser.get("/members/list/").text
    form = browser.get("/invitations/add", headers=HTMX)
    assert "<html" not in form.text and "Invite member to Küstenfunk" in form.text

    answer = browser.post("/invitations/add", data={"email": NINA.email, "role": "sales"}, headers=HTMX)

    assert (answer.status_code, answer.headers["HX-Redirect"]) == (204, "/a/kuestenfunk/invitations/list/")
    row = shown(browser.get("/invitations/list/")).split("Invite member")[-1]
    assert NINA.email in row and "Pending" in row and "Bob Brandt" in row


def test_a_refusal_stands_at_its_field(bob):
    answer = browse(bob).post("/invitations/add", data={"email": BOB.email, "role": "viewer"})

    assert answer.status_code == 422
    assert "bob@kuestenfunk.example is a member already." in shown(answer)


def test_a_manager_is_offered_the_roles_up_to_their_own(app):
    mona = hire("mona@kuestenfunk.example", "kuestenfunk", Role.MANAGER)
    form = browse(mona).get("/invitations/add").text
    assert 'value="manager"' in form and 'value="administrator"' not in form

    answer = browse(mona).post("/invitations/add", data={"email": NINA.email, "role": "administrator"})

    assert answer.status_code == 422 and invitation_of() is None


@pytest.mark.parametrize("role", [Role.SALES, Role.SUPPORT, Role.FINANCE, Role.VIEWER])
def test_other_roles_have_nothing_to_do_with_invitations(app, role):
    browser = browse(hire("sina@kuestenfunk.example", "kuestenfunk", role))

    for path in ("/invitations/list/", "/invitations/add", "/invitations/export"):
        assert browser.get(path).status_code in {302, 403}
    assert browser.post("/invitations/add", data={"email": NINA.email, "role": "viewer"}).status_code in {302, 403}
    assert browser.post("/invitations/action_post", data={"action": "withdraw", "rowid": 1}).status_code == 403
    assert invitation_of() is None
    assert "/invitations/" not in browser.get("/members/list/").text


def test_the_status_can_be_filtered_the_expired_ones_too(bob):
    invite()
    invite(email="gone@new.example")
    _act("withdraw", "gone@new.example")
    with unscoped("an older one") as session:
        older = session.scalar(select(Invitation).where(Invitation.email == NINA.email))
        older.expires_at = clock.now() - timedelta(minutes=1)
    invite(email="still@new.example")
    browser = browse(bob)

    for status, email in [("pending", "still@"), ("expired", NINA.email), ("withdrawn", "gone@"), ("accepted", None)]:
        rows = re.findall(r'data-label="([^"]*)"', browser.get(f"/invitations/list/?_flt_0_status={status}").text)
        assert len(rows) == bool(email) and all(row.startswith(email) for row in rows)
    assert browser.get("/invitations/list/?sort=-status").status_code == 200
    assert browser.get("/invitations/export").status_code == 200


def test_sending_again_mails_a_new_link_and_withdrawing_ends_it(bob, tab):
    old = invite()

    assert "One invitation is sent again." in _said_to("resend", NINA.email)
    new = link_in(messages_to(NINA)[-1])
    assert old != new and len(messages_to(NINA)) == 2
    assert (tab.get(old).status_code, tab.get(new).status_code) == (404, 200)

    assert "One invitation was withdrawn." in _said_to("withdraw", NINA.email)
    assert tab.get(new).status_code == 404
    assert "has been withdrawn already" in _said_to("resend", NINA.email)


def _said_to(action: str, email: str) -> str:
    """The message after the deed."""
    browser = browse(BOB)
    browser.post("/invitations/action_post", data={"action": action, "rowid": invitation_of(email).id})
    return shown(browser.get("/invitations/list/"))


def test_a_partner_invites_from_the_page_of_an_account_beneath(alice, tab):
    browser, deichbau = browse(alice), account_id("deichbau")
    page = browser.get(f"/accounts/show/{deichbau}")
    (dialog,) = re.findall(r'href="/a/nordlicht(/invitations/add\?[^"]*)"', page.text)
    assert "Invite member to Deichbau" in shown(browser.get(unescape(dialog)))

    answer = browser.post(unescape(dialog), data={"email": NINA.email, "role": "administrator"})

    assert answer.location == f"/a/nordlicht/accounts/show/{deichbau}"
    assert invitation_of().account_id == deichbau
    assert NINA.email in browser.get(f"/invitations/related/account_id/{deichbau}").text
    assert NINA.email not in browser.get("/invitations/list/").text
    assert tab.post(link_in(messages_to(NINA)[0]), **ABOUT_HER).location == "/a/deichbau/"


@pytest.mark.parametrize("named", ["alpenwerk", "gletscherbau", "kontor", "0", "-1", "x", "²", "9" * 25, ""])
def test_there_is_nothing_to_invite_to_beyond_the_wall(alice, named):
    pk = account_id(named) if named.isalpha() and named != "x" else named
    browser = browse(alice)

    assert browser.get(f"/invitations/add?account={pk}").status_code == 404
    answer = browser.post(f"/invitations/add?account={pk}", data={"email": NINA.email, "role": "viewer"})

    assert answer.status_code == 404 and invitation_of() is None


def test_a_strangers_invitations_do_not_exist(charlie):
    invite()
    browser = browse(charlie)

    assert NINA.email not in browser.get("/invitations/list/").text
    assert browser.get(f"/invitations/related/account_id/{account_id('kuestenfunk')}").status_code == 404
    assert _act("withdraw", NINA.email, person=charlie).status_code == 404
    assert invitation_of().status is InvitationStatus.PENDING


def test_an_archived_account_offers_no_inviting(alice):
    browser, pk = browse(alice), account_id("deichbau")
    browser.post("/accounts/action_post", data={"action": "archive", "rowid": pk})

    assert "/invitations/add" not in browser.get(f"/accounts/show/{pk}").text


def test_the_list_needs_few_statements(bob):
    for n in range(5):
        invite(email=f"{n}@new.example")
    browser = browse(bob)
    browser.get("/invitations/list/")
    statements = []

    event.listen(db.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    assert browser.get("/invitations/list/").status_code == 200

    assert len(statements) <= 10, "\n".join(statements)


# --- leaving ---------------------------------------------------------------------------------------------------


def test_whoever_leaves_lands_in_another_account_of_theirs(app, tab):
    hire("vera@kuestenfunk.example", "kuestenfunk", Role.VIEWER)
    hire("vera@kuestenfunk.example", "deichbau", Role.VIEWER)
    tab.sign_in("vera@kuestenfunk.example")
    assert "/a/kuestenfunk/members/leave" in tab.get("/a/kuestenfunk/members/list/").text
    assert "Leave Küstenfunk?" in tab.get("/a/kuestenfunk/members/leave").text
    assert role_of("vera@kuestenfunk.example") is Role.VIEWER

    answer = tab.post("/a/kuestenfunk/members/leave")

    assert answer.location == "/"
    assert tab.get("/").location == "/a/deichbau/"
    page = tab.get("/a/deichbau/portal/")
    assert "You have left Küstenfunk." in page.text
    assert tab.get("/a/kuestenfunk/").status_code == 404
    assert history()[-1] == "member.left"


def test_whoever_leaves_their_only_account_is_told_so(app, tab):
    hire("vera@kuestenfunk.example", "kuestenfunk", Role.VIEWER)
    tab.sign_in("vera@kuestenfunk.example")

    tab.post("/a/kuestenfunk/members/leave")

    assert tab.get("/").location == "/no-account/"


def test_the_last_administrator_stays(bob):
    answer = browse(bob).post("/members/leave")

    assert answer.status_code == 422 and "is the last Administrator" in shown(answer)
    assert role_of(BOB.email) is Role.ADMINISTRATOR


def test_removing_oneself_is_called_leaving(bob):
    hire("berta@kuestenfunk.example", "kuestenfunk", Role.ADMINISTRATOR)
    with unscoped("Bob's number", writes=False) as session:
        pk = session.scalar(select(Member.id).where(Member.user_id == user_of(BOB).id))

    browse(bob).post("/members/action_post", data={"action": "remove", "rowid": pk})

    assert role_of(BOB.email) is Role.ADMINISTRATOR


def test_everybody_may_leave(app):
    for role in Role:
        person = hire(f"{role}@kuestenfunk.example", "kuestenfunk", role)
        assert browse(person).post("/members/leave").status_code == 302

"""The accounts' screens: add and edit with everything there is to say, holds, moves, archive, history in words."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from app import clock
from app.extensions import db
from app.models import Account, HoldKind, LogEntry, Login, Member, Message, Role
from app.services import accounts, holds, moves
from app.tenancy import unscoped
from tests.cast import account_called, account_id, acting_as, apart, browse, hire
from tests.views.test_lists import text_of

FACTS = {
    "name": "Neufunk", "contact": "Nina Neu", "email": "nina@neufunk.example", "phone": "+49 40 1234",
    "street": "Kai 1", "postal_code": "20457", "city": "Hamburg", "country": "DE", "website": "neufunk.example",
    "vat_id": "136695976", "language": "de", "time_zone": "Europe/Berlin", "currency": "EUR",
}  # fmt: skip
HTMX = {"HX-Request": "true"}
IN_GERMAN = {"Accept-Language": "de"}


def rows_of(page):
    return re.findall(r'data-label="([^"]+)"', page.text)


def hold(person, slug, kind=HoldKind.ADMINISTRATIVE, reason="Papers are missing"):
    with acting_as(person) as by:
        holds.put_on_hold(account_called(slug), kind, reason=reason, by=by)


# --- adding and editing ------------------------------------------------------------------------------------------


def test_an_account_is_added_with_all_there_is_to_say_of_it(alice):
    assert browse(alice).post("/accounts/add", data=FACTS).status_code == 302

    with acting_as(alice):
        made = db.session.scalars(select(Account).where(Account.name == "Neufunk")).one()
        kept = {name: getattr(made, name) for name in FACTS}
    assert kept == FACTS | {"website": "https://neufunk.example", "vat_id": "DE136695976"}


@pytest.mark.parametrize(
    ("field", "wrong", "words"),
    [
        ("vat_id", "DE136695977", "one of its characters must be mistyped"),
        ("phone", "call me", "Not a phone number."),
        ("website", "nowhere", "Not a web address."),
        ("email", "nobody", "This is not an e-mail address."),
    ],
)
def test_what_cannot_be_right_is_said_at_its_field_and_everything_typed_is_kept(alice, field, wrong, words):
    answer = browse(alice).post("/accounts/add", data=FACTS | {field: wrong}, headers=HTMX)

    assert answer.status_code == 422
    error = re.search(rf'id="{field}-error">(.*?)</div>', answer.text, re.S)[1]
    assert words in error and f'value="{wrong}"' in answer.text and 'value="Nina Neu"' in answer.text


def test_a_name_that_a_sibling_has_is_refused_at_its_field_when_renaming_too(alice):
    answer = browse(alice).post(f"/accounts/edit/{account_id('kuestenfunk')}", data=FACTS | {"name": "Deichbau"})

    assert answer.status_code == 422
    assert "There is an account named “Deichbau” here already." in text_of(answer) and 'value="Nina Neu"' in answer.text


def test_countries_are_those_of_the_world_in_the_persons_language(alice):
    page = browse(alice).get("/accounts/add", headers=IN_GERMAN)

    assert page.text.count("<option") > 240
    assert ">Österreich</option>" in page.text and ">Austria</option>" not in page.text


# --- holds -------------------------------------------------------------------------------------------------------


def test_a_hold_is_put_on_and_lifted_with_a_reason(alice):
    browser, pk = browse(alice), account_id("kuestenfunk")

    answer = browser.post(f"/accounts/hold/{pk}", data={"kind": "administrative", "reason": "Papers are missing"})
    assert answer.location == f"/a/nordlicht/accounts/show/{pk}"
    page = text_of(browser.get(f"/accounts/show/{pk}"))
    assert "Administrative hold" in page and "Papers are missing (Alice Ahrens," in page

    browser.post(f"/accounts/lift/{pk}", data={"kind": "administrative", "reason": "They came"})
    assert "Papers are missing (Alice" not in text_of(browser.get(f"/accounts/show/{pk}"))


def test_a_hold_without_a_reason_is_refused_at_the_field(alice):
    answer = browse(alice).post(f"/accounts/hold/{account_id('kuestenfunk')}", data={"kind": "financial"})

    assert answer.status_code == 422 and 'id="reason-error"' in answer.text


def test_on_an_administrative_hold_members_read_and_change_nothing(alice, frida):
    pk = account_id("bergen")
    hold(alice, "fjordline")
    browser = browse(frida)

    page = browser.get("/accounts/list/")
    assert page.status_code == 200 and rows_of(page) == ["Bergen Sensor"]
    assert "Papers are missing. You can read everything and export it" in text_of(page)
    assert "/accounts/add" not in page.text and "/edit/" not in page.text and "action_post" not in page.text
    assert browser.get(f"/accounts/show/{pk}").status_code == browser.get("/accounts/export").status_code == 200

    refusals = [
        browser.post("/accounts/add", data=FACTS),
        browser.get("/accounts/add"),
        browser.post(f"/accounts/edit/{pk}", data=FACTS),
        browser.post("/accounts/action_post", data={"action": "archive", "rowid": pk}),
        browser.post("/settings/", data=FACTS),
        browser.post("/invitations/add", data={"email": "x@y.example", "role": "viewer"}),
        browser.post("/properties/add?type=text", data={"label_en": "X"}),
    ]
    assert {answer.status_code for answer in refusals} == {403}
    assert "everything can be read, nothing can be changed" in text_of(refusals[0])


def test_on_hold_ones_own_sign_in_stays_ones_own(alice, bob):
    hold(alice, "kuestenfunk")
    profile = {"first_name": "Robert", "last_name": "Brandt", "locale": "de", "time_zone": ""}

    assert browse(bob).post("/security/profile", data=profile).status_code == 302


def test_a_financial_hold_changes_nothing_for_its_members(alice, frida):
    hold(alice, "fjordline", HoldKind.FINANCIAL)

    page = browse(frida).get("/accounts/list/")
    assert "/accounts/add" in page.text and "Papers are missing" not in page.text


def test_the_list_shows_and_filters_holds(alice):
    hold(alice, "kuestenfunk")
    hold(alice, "deichbau", HoldKind.FINANCIAL)
    browser = browse(alice)

    page = browser.get("/accounts/list/")
    assert "Administrative hold" in text_of(page).split("Bergen Sensor")[1]
    assert rows_of(browser.get("/accounts/list/?_flt_0_standing=administrative")) == ["Küstenfunk"]
    assert rows_of(browser.get("/accounts/list/?_flt_0_standing=financial")) == ["Deichbau"]
    assert rows_of(browser.get("/accounts/list/?_flt_0_standing=active")) == ["Bergen Sensor", "Fjordline"]
    assert rows_of(browser.get("/accounts/list/?_flt_1_standing=active&sort=standing")) == ["Küstenfunk", "Deichbau"]


# --- archive -----------------------------------------------------------------------------------------------------


def test_archived_accounts_are_hidden_shown_or_shown_alone(alice):
    with acting_as(alice) as by:
        accounts.archive(account_called("deichbau"), by=by)
    browser = browse(alice)

    assert "Deichbau" not in rows_of(browser.get("/accounts/list/"))
    every = browser.get("/accounts/list/?archived=1")
    assert "Deichbau" in rows_of(every) and 'k-tone-yellow">Archived<' in every.text
    assert rows_of(browser.get("/accounts/list/?_flt_0_standing=archived")) == ["Deichbau"]


def test_an_archived_accounts_page_shows_what_is_beneath_it(alice):
    with acting_as(alice) as by:
        accounts.archive(account_called("bergen"), by=by)
        accounts.archive(account_called("fjordline"), by=by)
    browser, pk = browse(alice), account_id("fjordline")

    assert f"/accounts/related/parent_id/{pk}" in browser.get(f"/accounts/show/{pk}").text
    assert rows_of(browser.get(f"/accounts/related/parent_id/{pk}")) == ["Bergen Sensor"]


# --- moving ------------------------------------------------------------------------------------------------------


def test_an_account_is_moved_by_choosing_a_place_and_looking_at_what_changes(dora):
    browser, pk, to = browse(dora), account_id("kuestenfunk"), account_id("alpenwerk")

    places = text_of(browser.get(f"/accounts/move/{pk}"))
    assert "Alpenwerk" in places and "Deichbau" not in places
    assert "Fjordline" not in text_of(browser.get(f"/accounts/move/{pk}?q=ALPEN"))
    preview = text_of(browser.get(f"/accounts/move/{pk}?to={to}"))
    assert "Will no longer see it Nordlicht" in preview and "Will see it, history included Alpenwerk" in preview
    answer = browser.post(f"/accounts/move/{pk}?to={to}")

    assert answer.location == f"/a/kontor/accounts/show/{pk}"
    with acting_as(dora):
        assert account_called("kuestenfunk").parent.name == "Alpenwerk"


def test_a_place_where_it_cannot_stand_is_refused_in_words(alice):
    pk = account_id("fjordline")

    answer = browse(alice).post(f"/accounts/move/{pk}?to={pk}")

    assert answer.status_code == 422 and "cannot be moved beneath itself" in text_of(answer)


@pytest.mark.parametrize("to", ["999999", "x", "-1", "2147483648", "99999999999999999999", "²"])
def test_a_place_that_is_not_there_is_not_there(alice, to):
    assert browse(alice).post(f"/accounts/move/{account_id('deichbau')}?to={to}").status_code == 404


def test_a_foreign_place_is_as_if_it_were_not_there(alice, charlie):
    foreign, own = account_id("alpenwerk"), account_id("deichbau")

    for method in ("get", "post"):
        assert getattr(browse(alice), method)(f"/accounts/move/{own}?to={foreign}").status_code == 404
        assert getattr(browse(charlie), method)(f"/accounts/move/{own}?to={foreign}").status_code == 404
    with acting_as(alice):
        assert account_called("deichbau").parent.slug == "nordlicht"


def test_only_administrators_are_offered_to_move(app):
    manager, pk = browse(hire("mona@nordlicht.example", "nordlicht", Role.MANAGER)), account_id("deichbau")

    page = manager.get(f"/accounts/show/{pk}")
    assert f"/accounts/hold/{pk}" in page.text and f"/accounts/move/{pk}" not in page.text
    assert manager.get(f"/accounts/move/{pk}").status_code == 403


def test_gaining_sight_of_an_account_is_not_seeing_inside_it(dora, charlie, bob):
    """M-5 holds for the new partner as it held for the old one."""
    with acting_as(bob) as by:
        texts = dict.fromkeys(("recipient", "body_text", "body_html"), "x")
        now = clock.now()
        mail = Message(account=by.account, message_id="1", subject="Inside", locale="de", created_at=now, **texts)
        mail.next_try_at = now
        db.session.add(mail)
    with acting_as(dora) as by:
        moves.move(account_called("kuestenfunk"), to=account_called("alpenwerk"), by=by)

    browser = browse(charlie)
    assert browser.get(f"/accounts/show/{account_id('kuestenfunk')}").status_code == 200
    assert "Inside" not in browser.get("/outbox/list/").text
    assert apart(browser.client.get, "/a/kuestenfunk/").status_code == 404
    assert "Inside" in browse(bob).get("/outbox/list/").text


# --- what is offered on chosen rows --------------------------------------------------------------------------------


def verbs_on(page, name):
    row = re.search(rf'data-label="{name}".*?</tr>', page.text, re.S)[0]
    return set(re.search(r'data-verbs="([^"]*)"', row)[1].split())


def test_every_row_says_which_verbs_fit_it(alice):
    with acting_as(alice) as by:
        accounts.archive(account_called("deichbau"), by=by)

    page = browse(alice).get("/accounts/list/?archived=1")

    assert verbs_on(page, "Küstenfunk") == {"archive", "enable_partner"}
    assert verbs_on(page, "Fjordline") == {"archive", "disable_partner"}
    assert verbs_on(page, "Deichbau") == {"restore", "enable_partner"}


def test_oneself_is_not_offered_for_removal(alice):
    hire("mona@nordlicht.example", "nordlicht", Role.MANAGER, name="Mona Meier")

    page = browse(alice).get("/members/list/")

    assert verbs_on(page, "Mona Meier") == {"remove"} and verbs_on(page, "Alice Ahrens") == set()


# --- giving one's own rights away ----------------------------------------------------------------------------------


def test_whoever_gives_away_their_own_rights_is_asked_first(alice):
    hire("mona@nordlicht.example", "nordlicht", Role.ADMINISTRATOR)
    browser = browse(alice)
    with acting_as(alice) as by:
        pk = by.id

    asked = browser.post(f"/members/edit/{pk}", data={"role": "viewer"})
    assert asked.status_code == 422 and "you will lose" in text_of(asked) and "Remove members" in text_of(asked)
    with acting_as(alice) as by:
        assert by.role is Role.ADMINISTRATOR

    assert browser.post(f"/members/edit/{pk}", data={"role": "viewer", "sure": "manager"}).status_code == 422
    assert browser.post(f"/members/edit/{pk}", data={"role": "viewer", "sure": "viewer"}).status_code == 302
    with acting_as(alice) as by:
        assert by.role is Role.VIEWER


def test_the_last_administrator_is_told_so_even_when_sure(alice):
    with acting_as(alice) as by:
        pk = by.id

    answer = browse(alice).post(f"/members/edit/{pk}", data={"role": "viewer", "sure": "viewer"})

    assert answer.status_code == 422 and "last Administrator" in text_of(answer)


# --- history in words ----------------------------------------------------------------------------------------------


def test_history_is_filtered_and_searched_by_the_words_it_shows(alice):
    hold(alice, "kuestenfunk")
    browser = browse(alice)

    page = browser.get("/history/list/", headers=IN_GERMAN)
    assert '<option value="account.put_on_hold">Konto gesperrt</option>' in page.text
    held = browser.get("/history/list/?_flt_0_action=account.put_on_hold", headers=IN_GERMAN)
    assert text_of(held).count("Konto gesperrt") >= 2 and "Konto angelegt" not in held.text.split("<tbody")[1]
    found = browser.get("/history/list/?q=konto gesp", headers=IN_GERMAN).text.split("<tbody")[1]
    assert "Konto gesperrt" in found and "Konto angelegt" not in found
    assert "<tbody" not in browser.get("/history/list/?q=put_on_hold", headers=IN_GERMAN).text


def test_deeds_of_one_name_are_found_together(app, alice):
    with unscoped("two codes that read the same") as session:
        account = account_called("nordlicht")
        for action in ("member.removed", "member.deleted"):
            session.add(LogEntry(at=clock.now(), action=action, account=account, subject=action))

    page = browse(alice).get("/history/list/?_flt_0_action=member.removed")

    assert "member.removed" in page.text and "member.deleted" in page.text.split("<tbody")[1]


def test_an_exports_filter_is_read_in_the_readers_language(alice):
    browse(alice).get("/accounts/export?_flt_0_kind=partner&_flt_1_created_at=2026-01-31", headers=IN_GERMAN)
    browser = browse(alice)

    assert "Filter: Kind is Partner; Created from Jan 31, 2026" in text_of(browser.get("/history/list/"))
    german = text_of(browser.get("/history/list/", headers=IN_GERMAN))
    assert "Filter: Art ist Partner; Angelegt ab 31.01.2026" in german


def test_the_label_of_an_address_says_what_it_is(alice):
    hold(alice, "kuestenfunk")
    with acting_as(alice):
        pk = db.session.scalar(select(LogEntry.id).where(LogEntry.action == "account.put_on_hold"))

    assert "<dt>IP-Adresse</dt>" in browse(alice).get(f"/history/show/{pk}", headers=IN_GERMAN).text


# --- the frame -----------------------------------------------------------------------------------------------------


def test_the_switcher_lists_partners_first_then_customers_each_by_name(alice):
    with acting_as(alice) as by:
        for name in ("Zebra", "Änderung", "Beta"):
            accounts.open_account(name, parent=by.account, by=by)

    page = browse(alice).get("/").text.split('id="account-choices"')[1].split("</ul>")[0]

    assert re.findall(r"<strong>([^<]+)</strong>", page) == ["Nordlicht", "Änderung", "Beta", "Zebra"]
    assert 'data-narrows="#account-choices"' not in browse(alice).get("/").text


def test_with_many_accounts_the_switcher_has_a_search(alice):
    with acting_as(alice) as by:
        for number in range(10):
            accounts.open_account(f"Konto {number}", parent=by.account, by=by)

    assert 'data-narrows="#account-choices"' in browse(alice).get("/").text


def test_the_month_begins_when_it_does_for_the_person(alice, monkeypatch):
    """At 23:30 UTC on 31 March it is April in Berlin: tile, link and list mean the same month."""
    monkeypatch.setattr(clock, "now", lambda: datetime(2026, 3, 31, 23, 30, tzinfo=UTC))
    with acting_as(alice) as by:
        accounts.open_account("Aprilkind", parent=by.account, by=by)
    with unscoped("the others are older") as session:
        past = clock.now() - timedelta(hours=2)
        session.execute(update(Account).where(Account.name != "Aprilkind").values(created_at=past))
        session.execute(update(Login).values(created_at=clock.now(), seen_at=clock.now()))
    browser = browse(alice)

    page = browser.get("/")
    link = re.search(r'href="/a/nordlicht(/accounts/list/\?_flt_1_created_at=2026-04-01)"', page.text)[1]
    assert re.search(r"New this month\s+1 ", text_of(page))
    assert rows_of(browser.get(link)) == ["Aprilkind"]


# --- small things that once went wrong -----------------------------------------------------------------------------


@pytest.mark.both_databases
def test_a_password_is_asked_for_in_a_browser_whose_login_was_noted_a_while_ago(app, alice):
    browser = browse(alice)
    with unscoped("six minutes later") as session:
        session.execute(update(Login).values(seen_at=clock.now() - timedelta(minutes=6)))

    token = apart(browser.client.get, "/forgot/").text.split('name="csrf_token" type="hidden" value="')[1].split('"')[0]
    answer = apart(browser.client.post, "/forgot/", data={"email": alice.email, "csrf_token": token})

    assert answer.status_code == 200


def test_a_dead_link_says_how_to_get_a_new_one(app):
    page = apart(app.test_client().get, "/reset/no-such-secret")

    assert page.status_code == 404
    assert "Ask for a new one with your e-mail address." in text_of(page) and 'href="/forgot/"' in page.text


def test_who_has_not_chosen_a_language_reads_their_browsers(app, alice):
    assert 'lang="de"' in browse(alice).get("/", headers=IN_GERMAN).text
    assert 'lang="en"' in browse(alice).get("/", headers={"Accept-Language": "en"}).text


def test_sections_of_an_accounts_page_load_on_their_own(alice):
    page = browse(alice).get(f"/accounts/show/{account_id('fjordline')}")

    lazy = re.findall(r'hx-get="/a/nordlicht/(\w+)/related/', page.text)
    assert lazy == ["accounts", "members", "invitations", "subscriptions", "orders", "holdings", "licenses", "history"]


def test_members_of_accounts_beneath_are_seen_and_not_touched(alice):
    """Managing is not seeing inside: their people are listed, without a verb."""
    with acting_as(alice):
        bob = db.session.scalar(select(Member.id).where(Member.account_id == account_called("kuestenfunk").id))
    browser = browse(alice)

    page = browser.get(f"/members/related/account_id/{account_id('kuestenfunk')}")
    assert "Brandt" in page.text and "k-bulk" not in page.text
    assert browser.get(f"/members/edit/{bob}").status_code == 403

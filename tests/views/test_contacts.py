"""Contacts on the screen, in files and in the API: masked for Viewer and Finance wherever they stand (X-11)."""

from __future__ import annotations

import io
import json
import re
import zipfile
from html import unescape
from types import SimpleNamespace
from urllib.parse import unquote, urlencode

import pytest
from sqlalchemy import inspect, select

from app import exporting, permissions
from app import properties as values
from app.extensions import db
from app.models import Account, Export, LogEntry, PropertyType, Role
from app.services import accounts, contacts, invitations, properties
from tests.cast import ALICE, account_called, account_id, acting_as, browse, hire, program
from tests.views.test_lists import text_of
from tests.walls.matrix import endpoints
from tests.walls.policy import POLICY, ApiItem, ApiList, Detail, EditForm, Related
from tests.walls.policy import Export as ExportPolicy
from tests.walls.policy import List as ListPolicy

FACTS = {
    "contact": "Klara Geheim", "email": "klara@geheim.example", "phone": "+49 40 7654321", "street": "Geheimgasse 7",
    "postal_code": "98765",
}  # fmt: skip
OWN = {PropertyType.EMAIL: "notfall@geheim.example", PropertyType.PHONE: "+49 171 9998877"}
BEFORE = "frueher@geheim.example"  # stands in the history alone
CHOSEN = f"cols={','.join(['name', *FACTS])}"  # columns that a list shows only to whoever chooses them
INVITED = "neu@geheim.example"
OTHERS = ("bob@kuestenfunk.example", "alice@nordlicht.example")
CLEAR = (*FACTS.values(), *OWN.values(), BEFORE, INVITED, *OTHERS)


@pytest.fixture
def known(app):
    """Küstenfunk with contacts of every kind: on itself, in properties, members, an invitation and the history."""
    with acting_as(ALICE) as by:
        account = account_called("kuestenfunk")
        accounts.change(account, email=BEFORE)
        db.session.flush()
        accounts.change(account, **FACTS)
        own = [properties.define(type_, by=by, label_en=type_.value) for type_ in OWN]
        values.write(account, dict(zip(own, OWN.values(), strict=True)))
        invitations.invite(INVITED, role=Role.VIEWER, account=account, by=by)
        return SimpleNamespace(pk=account.id, email=f"prop_{own[0].id}", phone=f"prop_{own[1].id}", keys=[
            definition.key for definition in own])  # fmt: skip


@pytest.fixture
def vera(app):
    return hire("vera@nordlicht.example", "nordlicht", Role.VIEWER, "Vera Viewer")


@pytest.fixture
def fiona(app):
    return hire("fiona@nordlicht.example", "nordlicht", Role.FINANCE, "Fiona Finance")


def said(answer):
    """All of an answer, each part of the file it is, as somebody could read it."""
    if answer.data[:2] == b"PK":
        book = zipfile.ZipFile(io.BytesIO(answer.data))
        parts = [book.read(name).decode("utf-8", "replace") for name in book.namelist()]
    else:
        parts = [answer.text, *answer.headers.values()]
    return unescape(unquote("\n".join(parts)))


def clear_in(text):
    return {word for word in CLEAR if word in text}


# --- nowhere in clear --------------------------------------------------------------------------------------------


def addresses(known, app):
    """Every list, section, detail page, form, file and resource, by the policy of the wall; of each row there is."""
    with acting_as(ALICE):
        rows = {cls: [inspect(row).identity[0] for row in db.session.scalars(select(cls))] for cls in _classes()}
    for endpoint in endpoints():
        rule, policy = next(app.url_map.iter_rules(endpoint)).rule, POLICY[endpoint]
        if isinstance(policy, ListPolicy | ApiList):
            yield from (f"{rule}?size=100", f"{rule}?size=100&{CHOSEN}")
            if isinstance(policy, ExportPolicy):
                yield from (f"{rule}?format=csv", f"{rule}?format=csv&{CHOSEN}")
        elif isinstance(policy, Related):
            for key, owner in policy.owners.items():
                yield from (rule.replace("<string:key>", key).replace("<int:pk>", str(pk)) for pk in rows[owner])
        elif isinstance(policy, Detail | EditForm | ApiItem):
            yield from (rule.replace("<int:pk>", str(pk)) for pk in rows[policy.of])


def _classes():
    owners = {owner for policy in POLICY.values() if isinstance(policy, Related) for owner in policy.owners.values()}
    return {p.of for p in POLICY.values() if isinstance(p, Detail | EditForm | ApiItem)} | owners


def walk(person, known, app):
    """The contacts found in clear, by the address where they stand; and how many addresses answered."""
    browser, found, answered = browse(person), {}, 0
    for address in [*addresses(known, app), "/", "/roles/", "/exports/"]:
        answer = browser.get(address)
        answered += answer.status_code == 200
        if clear := clear_in(said(answer)):
            found[address] = clear
    return found, answered


@pytest.mark.parametrize("role", [Role.VIEWER, Role.FINANCE])
def test_no_page_no_file_and_no_resource_shows_a_contact_to_whom_it_is_masked(known, app, role):
    found, answered = walk(hire("v@nordlicht.example", "nordlicht", role, "Some Body"), known, app)

    assert not found
    assert answered > 25


def test_the_same_walk_finds_them_all_for_an_administrator(known, app):
    """The control: otherwise pages that show nothing at all would look well masked."""
    found, _answered = walk(ALICE, known, app)

    assert set().union(*found.values()) == set(CLEAR)
    assert len(found) > 10


@pytest.mark.parametrize("role", [Role.MANAGER, Role.SALES, Role.SUPPORT])
def test_other_roles_see_them_at_once(known, role):
    person = hire("x@nordlicht.example", "nordlicht", role)

    assert clear_in(said(browse(person).get(f"/accounts/show/{known.pk}"))) >= {*FACTS.values(), *OWN.values()}


@pytest.mark.parametrize("format", ["xlsx", "csv"])
def test_a_file_made_in_the_background_is_masked_for_who_asked(known, fiona, format):
    browse(fiona).post(f"/exports/add?of=AccountsView&format={format}")
    with acting_as(fiona):
        number = db.session.scalar(select(Export.id))
    exporting.make(number)

    text = said(browse(fiona).get(f"/exports/file/{number}"))

    assert "Küstenfunk" in text and "k•••@g•••.example" in text and not clear_in(text)


def test_history_masks_what_was_and_what_is(known, fiona):
    text = text_of(browse(fiona).get(f"/history/related/account_id/{known.pk}?size=100"))

    assert "Contact: K•••" in text and "f•••@g•••.example → k•••@g•••.example" in text
    assert "n•••@g•••.example" in text  # the invitation, and the property


def test_ones_own_address_is_no_secret(known, vera):
    page = browse(vera).get("/members/list/")

    assert "vera@nordlicht.example" in page.text.split("<tbody")[1]
    assert "a•••@n•••.example" in page.text and "alice@" not in page.text


# --- a masked column answers no question -------------------------------------------------------------------------


def rows_of(answer):
    return re.findall(r'data-label="([^"]+)"', answer.text)


@pytest.mark.parametrize("column", [*FACTS, "{email}", "{phone}"])
def test_a_masked_column_can_be_neither_sorted_nor_filtered_by(known, vera, column):
    column = column.format(email=known.email, phone=known.phone)
    browser = browse(vera)
    every = rows_of(browser.get("/accounts/list/"))

    for query in (f"_flt_0_{column}=geheim", f"_flt_0_{column}=~filled", f"_flt_0_{column}=~empty", f"sort=-{column}"):
        page = browser.get(f"/accounts/list/?{query}")
        assert rows_of(page) == every
        assert "left out" in page.text or "cannot be sorted" in page.text
    assert f'name="_flt_0_{column}"' not in page.text and "Klara" not in page.text


@pytest.mark.parametrize("word", ["klara", "geheim", "7654321", "notfall", "9998877", "frueher"])
def test_the_search_does_not_look_into_contacts(known, vera, word):
    assert rows_of(browse(vera).get(f"/accounts/list/?q={word}")) == []
    if word != "frueher":
        assert rows_of(browse(ALICE).get(f"/accounts/list/?q={word}")) == ["Küstenfunk"]


def test_the_search_still_finds_names(known, vera):
    assert rows_of(browse(vera).get("/accounts/list/?q=KUSTEN")) == ["Küstenfunk"]


def test_the_search_of_a_managers_file_looks_into_contacts_though_it_outlives_the_request(known):
    browse(ALICE).post("/exports/add?of=AccountsView&format=csv&q=klara")
    with acting_as(ALICE):
        number = db.session.scalar(select(Export.id))
    exporting.make(number)

    assert "klara@geheim.example" in said(browse(ALICE).get(f"/exports/file/{number}"))


def test_members_and_history_are_not_searched_by_address(known, vera, fiona):
    assert rows_of(browse(vera).get("/members/list/?q=alice@")) == []
    assert rows_of(browse(vera).get("/members/list/?q=ahrens")) == ["Alice Ahrens"]
    assert rows_of(browse(vera).get("/members/list/?sort=user.email")) == rows_of(browse(vera).get("/members/list/"))
    assert rows_of(browse(fiona).get("/history/list/?q=alice@")) == []
    every = rows_of(browse(fiona).get("/history/list/?size=100"))
    assert rows_of(browse(fiona).get("/history/list/?size=100&_flt_0_subject=neu@")) == every


def test_a_file_cannot_be_asked_either(known, fiona):
    asked = browse(fiona).get("/accounts/export?format=csv&_flt_0_email=klara&sort=email")

    assert said(asked).count("\n") == said(browse(fiona).get("/accounts/export?format=csv")).count("\n")


# --- forms -------------------------------------------------------------------------------------------------------


@pytest.fixture
def editing_finance(monkeypatch):
    """A table of rights in which somebody may edit what they see masked."""
    rule = permissions.TABLE["account.edit"]
    monkeypatch.setitem(permissions.TABLE, "account.edit", rule._replace(roles=rule.roles | {Role.FINANCE}))


REST = {"name": "Küstenfunk", "city": "Kiel", "language": "de", "time_zone": "UTC", "currency": "EUR"}


def test_a_masked_input_shows_its_mask_and_overwrites_nothing(known, fiona, editing_finance):
    browser = browse(fiona)
    form = browser.get(f"/accounts/edit/{known.pk}")
    box = re.search(r'<input[^>]*name="email"[^>]*>', form.text)[0]
    assert "disabled" in box and "k•••@g•••.example" in box and not clear_in(said(form))

    sent = REST | {"email": "mine@fiona.example", "contact": "", known.email: "mine@fiona.example"}
    assert browser.post(f"/accounts/edit/{known.pk}", data=sent).status_code == 302

    with acting_as(ALICE):
        account = account_called("kuestenfunk")
        assert {name: getattr(account, name) for name in FACTS} == FACTS
        assert set(account.properties.values()) == set(OWN.values())
        assert account.city == "Kiel"


def test_what_is_wrong_is_said_without_what_is_masked(known, fiona, editing_finance):
    answer = browse(fiona).post(f"/accounts/edit/{known.pk}", data=REST | {"name": "Deichbau"})

    assert answer.status_code == 422 and "k•••@g•••.example" in answer.text
    assert not clear_in(said(answer))


# --- revealing ---------------------------------------------------------------------------------------------------


def test_a_viewer_reveals_one_account_and_the_history_tells(known, vera):
    browser, address = browse(vera), f"/accounts/show/{known.pk}"
    before = browser.get(address).text
    assert f'action="/a/nordlicht/accounts/reveal/{known.pk}"' in before
    assert "mailto:k" not in before and "tel:" not in before

    page = browser.post(f"/accounts/reveal/{known.pk}")

    assert clear_in(said(page)) == {*FACTS.values(), *OWN.values()}
    assert "stands in the history" in page.text and "/reveal/" not in page.text
    assert 'href="mailto:klara@geheim.example"' in page.text and "Masked" not in page.text
    assert page.headers["Cache-Control"] == "no-store"
    assert not clear_in(said(browser.get(address)))
    history = text_of(browse(ALICE).get(f"/history/related/account_id/{known.pk}"))
    assert "Contacts revealed" in history and "Vera Viewer" in history


def test_revealing_takes_a_post_and_an_account_in_sight(known, vera):
    browser = browse(vera)

    assert browser.get(f"/accounts/reveal/{known.pk}").status_code == 405
    assert browser.post(f"/accounts/reveal/{account_id('alpenwerk')}").status_code == 404
    assert browser.get(f"/accounts/show/{known.pk}?revealed={known.pk}").text.count("Klara") == 0


def test_it_is_not_offered_in_bulk(known, vera):
    page = browse(vera).post("/accounts/action_post", data={"action": "reveal", "rowid": str(known.pk)})

    assert page.status_code == 404


def test_too_many_reveals_are_refused_in_words(known, vera, monkeypatch):
    monkeypatch.setattr(contacts, "MOST", 1)
    browser = browse(vera)
    browser.post(f"/accounts/reveal/{known.pk}")

    answer = browser.post(f"/accounts/reveal/{known.pk}")

    assert answer.status_code == 302
    page = browser.get(f"/accounts/show/{known.pk}")
    assert "wait a while" in page.text and not clear_in(said(page))


def test_who_sees_them_anyway_leaves_no_line(known, alice):
    browser = browse(alice)
    assert "/reveal/" not in browser.get(f"/accounts/show/{known.pk}").text

    assert browser.post(f"/accounts/reveal/{known.pk}").status_code == 302

    with acting_as(alice):
        assert not db.session.scalar(select(LogEntry.id).where(LogEntry.action == "contact.revealed"))


# --- programs ----------------------------------------------------------------------------------------------------


def ask(client, path="/api/v1/account/", **question):
    return client.get(f"{path}?{urlencode({'q': json.dumps(question)})}" if question else path)


def test_a_key_without_that_scope_is_told_masks(known, alice):
    client = program(alice, "account.list", "account.show", "member.list")

    item = ask(client, f"/api/v1/account/{known.pk}").json["result"]

    assert (item["email"], item["contact"], item["phone"]) == ("k•••@g•••.example", "K•••", "+49 ••• 21")
    assert set(item["properties"].values()) == {"n•••@g•••.example", "+49 ••• 77"}
    assert not clear_in(said(ask(client)))
    assert clear_in(said(ask(client, "/api/v1/member/"))) == {alice.email}  # the address of whoever it acts for


def test_a_key_with_that_scope_is_told_all(known, alice):
    client = program(alice, "account.list", "account.show", "contact.see")

    assert clear_in(said(ask(client, f"/api/v1/account/{known.pk}"))) >= {*FACTS.values(), *OWN.values()}


@pytest.mark.parametrize("column", ["email", "properties.{0}"])
def test_a_program_cannot_ask_a_masked_column_either(known, alice, column):
    client, column = program(alice, "account.list"), column.format(*known.keys)

    assert ask(client, order_column=column).status_code == 400
    assert ask(client, filters=[{"col": column, "opr": "ct", "value": "geheim"}]).status_code == 400


def test_a_program_does_not_overwrite_what_it_sees_masked(known, alice):
    client = program(alice, "account.show", "account.edit")
    address = f"/api/v1/account/{known.pk}"

    assert client.put(address, json={"email": "mine@x.example"}).status_code == 422
    assert client.put(address, json={"properties": {known.keys[0]: "mine@x.example"}}).status_code == 422
    changed = client.put(address, json={"city": "Kiel"})

    assert changed.status_code == 200 and changed.json["result"]["city"] == "Kiel"
    assert not clear_in(said(changed))
    with acting_as(alice):
        assert db.session.get(Account, known.pk).email == FACTS["email"]

"""The pages of imports of people and of articles: who has them, what each says, that each keeps to its own files."""

from __future__ import annotations

import io

import pytest

from app import importing
from app.models import Role
from tests import stock
from tests.cast import ALICE, BOB, DORA, browse, hire

PEOPLE = "E-mail;Rolle;Konto\nnina@new.example;Vertrieb;\notto@new.example;Viewer;Fjordline\n"
GIFTS = "Account,Article number,Quantity\nKüstenfunk,ART-1,3\n"


def upload(person, noun, text, name="file.csv"):
    """Send a file; the address it leads to."""
    file = (io.BytesIO(text.encode()), name)
    answer = browse(person).post(f"/{noun}/import/", data={"file": file})
    assert answer.status_code == 302, answer.text
    return answer.headers["Location"].partition(f"/a/{person.slug}")[2]


def test_people_are_uploaded_looked_at_invited_and_withdrawn(alice):
    place = upload(alice, "invitations", PEOPLE)
    page = browse(alice).get(place).text
    assert "nina@new.example" in page and "To be invited" in page and "Fjordline" in page
    assert "An empty cell empties the value" not in page

    assert browse(alice).post(f"{place}/start").status_code == 302
    assert "Being imported" in browse(alice).get(place).text
    importing.run_due()
    assert "otto@new.example" in browse(alice).get("/outbox/list/").text
    assert "whoever has accepted stays" in browse(alice).get(place).text

    browse(alice).post(f"{place}/undo")
    importing.run_due()
    assert "what was still pending is withdrawn" in browse(alice).get(place).text


def test_articles_are_uploaded_looked_at_given_and_taken_back(dora):
    stock.article("ART-1", grants={stock.license_type(): 5})
    place = upload(dora, "holdings", GIFTS)
    page = browse(dora).get(place).text
    assert "To be given" in page and "ART-1 · Starter pack" in page

    browse(dora).post(f"{place}/start")
    importing.run_due()
    assert "ART-1" in browse(dora).get("/holdings/list/").text

    browse(dora).post(f"{place}/undo")
    importing.run_due()
    assert "has been taken back" in browse(dora).get(place).text
    assert "ART-1" not in browse(dora).get("/holdings/list/").text


def test_unknown_titles_are_asked_for(alice):
    place = upload(alice, "invitations", "Who;As\nnina@new.example;Viewer\n")
    assert place.endswith("/columns")

    missing = browse(alice).post(place, data={"column": ["email", ""]})
    assert missing.status_code == 422 and "Still missing: Role" in missing.text
    browse(alice).post(place, data={"column": ["email", "role"]})

    assert "To be invited" in browse(alice).get(place.removesuffix("/columns")).text


def test_who_is_left_alone_is_told_on_a_tab_of_all_rows(alice):
    place = upload(alice, "invitations", f"E-mail;Role\n{ALICE.email};Viewer\n")
    page = browse(alice).get(place).text

    assert "is a member already" in page and "Left alone" in page
    assert "Everybody in the file is a member or has been invited already." in page


@pytest.mark.parametrize("deed", ["", "/columns", "/progress"])
def test_a_file_is_found_under_its_own_kind_alone(dora, deed):
    place = upload(dora, "invitations", PEOPLE)

    assert browse(dora).get(place + deed).status_code in {200, 204}
    for noun in ("accounts", "holdings"):
        assert browse(dora).get(place.replace("invitations", noun) + deed).status_code == 404
    assert "file.csv" in browse(dora).get("/invitations/import/").text
    assert "file.csv" not in browse(dora).get("/holdings/import/").text


@pytest.mark.parametrize(
    ("person", "noun", "status"),
    [(BOB, "invitations", 200), (BOB, "accounts", 403), (ALICE, "holdings", 403), (DORA, "holdings", 200)],
)
def test_imports_are_for_those_who_may_do_the_same_by_hand(alice, person, noun, status):
    assert browse(person).get(f"/{noun}/import/").status_code == status


def test_import_is_offered_above_the_lists_it_is_for(alice, dora):
    sally = hire("sally@nordlicht.example", "nordlicht", Role.SALES)

    assert "/invitations/import/" in browse(alice).get("/invitations/list/").text
    assert "/invitations/import/" in browse(alice).get("/members/list/").text
    assert "/holdings/import/" in browse(dora).get("/holdings/list/").text
    assert "/holdings/import/" not in browse(alice).get("/holdings/list/").text
    assert "/invitations/import/" not in browse(sally).get("/members/list/").text


def test_a_hostile_file_is_refused_at_the_field(alice):
    file = (io.BytesIO(b"\x89PNG\r\n\x1a\n\x00"), "picture.xlsx")
    answer = browse(alice).post("/invitations/import/", data={"file": file})

    assert answer.status_code == 422 and "neither an Excel file" in answer.text

"""Giving licenses back on the screen and by the API: choose, see what it means, do it; wrong input is said at once."""

from __future__ import annotations

import re

import pytest

from app.extensions import db
from app.models import License, LicenseMovement, Role
from app.services import licenses
from app.tenancy import unscoped
from tests import stock
from tests.cast import ALICE, BOB, DORA, account_id, acting_as, browse, hire, program
from tests.services.test_licenses import now_of, use


def of(*numbers: int) -> list[str]:
    return [now_of(number).public_id for number in numbers]


def movements() -> int:
    with unscoped("counting", writes=False) as session:
        return session.query(LicenseMovement).count()


# --- the window --------------------------------------------------------------------------------------------------


def test_it_lists_the_accounts_licenses_with_their_numbers(bob):
    one, other, strange = stock.license_of(quantity=40), stock.license_of(quantity=7), stock.license_of("alpenwerk")
    use(one, 15)

    page = browse(bob).get("/surrender/").text

    assert all(name in page for name in of(one, other)) and of(strange)[0] not in page
    assert all(f"<dd>{number}</dd>" in page for number in (40, 15, 25, 7))


def test_what_cannot_be_given_back_says_why_and_asks_nothing(bob, alice):
    used, suspended = stock.license_of(quantity=2), stock.license_of(quantity=3)
    use(used, 2)
    with acting_as(ALICE) as by:
        licenses.suspend(db.session.get(License, suspended), reason="Invoice overdue", by=by)

    page = browse(bob).get("/surrender/").text

    assert "All of it is in use." in page and "The license is suspended." in page
    assert f"give_{used}" not in page and f"give_{suspended}" not in page


def test_the_preview_changes_nothing_and_names_license_and_number(bob):
    number = stock.license_of(quantity=10)

    answer = browse(bob).post("/surrender/", data={f"give_{number}": "4", "step": "preview"})

    assert answer.status_code == 200
    assert f"Surrender 4 of {of(number)[0]}" in answer.text and "<dd>6</dd>" in answer.text
    assert "nothing has been paid for the days ahead" in answer.text and "This is final" in answer.text
    assert now_of(number).quantity == 10 and not movements()


def test_then_it_is_done_and_said(bob):
    one, other = stock.license_of(quantity=10), stock.license_of(quantity=5)
    browser = browse(bob)

    answer = browser.post("/surrender/", data={f"give_{one}": "4", f"give_{other}": "1", "step": "surrender"})

    assert answer.status_code == 302
    said = browser.get("/licenses/list/").text
    assert f"4 × {of(one)[0]}" in said and f"1 × {of(other)[0]}" in said
    assert (now_of(one).quantity, now_of(other).quantity) == (6, 4)


def test_sent_twice_it_is_done_once(bob):
    number = stock.license_of(quantity=10)
    preview = browse(bob).post("/surrender/", data={f"give_{number}": "4", "step": "preview"}).text
    key = re.search(r'name="key" value="([^"]+)"', preview)[1]

    for _click in range(2):
        answer = browse(bob).post("/surrender/", data={f"give_{number}": "4", "step": "surrender", "key": key})
        assert answer.status_code == 302
    assert now_of(number).quantity == 6


@pytest.mark.parametrize("step", ["preview", "surrender"])
@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("11", "only what is not in use can be given back: 10."),
        ("0", "A quantity is a whole number"),
        ("-1", "A quantity is a whole number"),
        ("1e308", "A whole number, please."),
        ("1.5", "A whole number, please."),
        ("many", "A whole number, please."),
    ],
)
def test_what_is_wrong_is_said_at_the_license_and_what_was_typed_is_kept(bob, step, typed, said):
    number, other = stock.license_of(quantity=10), stock.license_of(quantity=10)

    answer = browse(bob).post("/surrender/", data={f"give_{number}": typed, f"give_{other}": "3", "step": step})

    assert answer.status_code == 422
    assert said in answer.text and 'aria-invalid="true"' in answer.text
    assert f'value="{typed}"' in answer.text and 'value="3"' in answer.text
    assert now_of(other).quantity == 10 and not movements()


def test_nothing_chosen_is_nothing_done(bob):
    stock.license_of(quantity=10)

    answer = browse(bob).post("/surrender/", data={"step": "surrender"})

    assert answer.status_code == 422 and "Say how many to give back" in answer.text


def test_going_back_to_change_it_keeps_what_was_typed(bob):
    number = stock.license_of(quantity=10)

    answer = browse(bob).post("/surrender/", data={f"give_{number}": "4", "step": "change"})

    assert answer.status_code == 200 and f'name="give_{number}" value="4"' in answer.text


# --- who may, and where it is offered ----------------------------------------------------------------------------


def test_a_partner_gives_back_for_the_accounts_beneath_and_reads_of_commission(alice, bob):
    number = stock.license_of(quantity=10)
    where = f"/surrender/?account={account_id('kuestenfunk')}"

    answer = browse(alice).post(where, data={f"give_{number}": "4", "step": "preview"})

    assert "Commission" in answer.text
    assert "Commission" not in browse(bob).post("/surrender/", data={f"give_{number}": "4", "step": "preview"}).text
    browse(alice).post(where, data={f"give_{number}": "4", "step": "surrender"})
    assert now_of(number).quantity == 6


def test_a_license_of_another_account_is_not_heard_of(charlie, bob):
    number, strange = stock.license_of(quantity=10), stock.license_of("alpenwerk", quantity=10)

    for where in (f"/surrender/?account={account_id('kuestenfunk')}", f"/surrender/?license={number}"):
        assert browse(charlie).get(where).status_code == 404
    answer = browse(bob).post("/surrender/", data={f"give_{strange}": "1", "step": "surrender"})
    assert answer.status_code == 422 and now_of(strange).quantity == 10


@pytest.mark.parametrize(("role", "may"), [(Role.MANAGER, True), (Role.SALES, False), (Role.VIEWER, False)])
def test_administrators_and_managers_may(app, role, may):
    number, person = stock.license_of(quantity=10), hire("somebody@kuestenfunk.example", "kuestenfunk", role)

    answer = browse(person).post("/surrender/", data={f"give_{number}": "1", "step": "surrender"})

    assert answer.status_code == (302 if may else 403)
    assert ("/surrender/" in browse(person).get(f"/licenses/show/{number}").text) == may


def test_it_is_offered_while_something_is_free(bob):
    number = stock.license_of(quantity=2)
    assert f"license={number}" in browse(bob).get(f"/licenses/show/{number}").text

    use(number, 2)

    assert f"license={number}" not in browse(bob).get(f"/licenses/show/{number}").text


def test_what_was_given_back_stands_among_the_movements(bob):
    number = stock.license_of(quantity=2)
    browse(bob).post("/surrender/", data={f"give_{number}": "2", "step": "surrender"})

    assert "Surrendered" in browse(bob).get(f"/license-movements/related/license_id/{number}").text
    assert "Surrendered" in browse(bob).get(f"/licenses/show/{number}").text


# --- by program --------------------------------------------------------------------------------------------------


def test_a_program_sees_what_it_would_mean_and_does_it_once(app):
    number, caller = stock.license_of(quantity=10), program(BOB)
    where = f"/api/v1/license/{number}/surrender"

    seen = caller.get(f"{where}?quantity=4").json
    done = [caller.post(where, json={"quantity": 4}, headers={"X-Idempotency-Key": "k"}).json for _twice in range(2)]

    assert seen["left"] == 6 and seen["credit"] is None and seen["no_credit"] == "not-charged"
    assert done[0] == done[1] == seen
    assert now_of(number).quantity == 6


@pytest.mark.parametrize("quantity", [0, -1, 11, 1.5, "4", None, 10**10])
def test_a_program_is_refused_at_the_field(app, quantity):
    number, caller = stock.license_of(quantity=10), program(BOB)

    answer = caller.post(f"/api/v1/license/{number}/surrender", json={"quantity": quantity})

    assert answer.status_code == 422 and answer.json["errors"][0]["field"] == "quantity"


def test_a_program_without_the_scope_gives_nothing_back(app):
    number, caller = stock.license_of(quantity=10), program(BOB, "license.show", "license.use")

    assert caller.get(f"/api/v1/license/{number}/surrender?quantity=1").status_code == 403
    assert caller.post(f"/api/v1/license/{number}/surrender", json={"quantity": 1}).status_code == 403


def test_a_suspended_license_is_in_no_state_for_it(app):
    number = stock.license_of(quantity=10)
    with acting_as(DORA) as by:
        licenses.suspend(db.session.get(License, number), reason="Invoice overdue", by=by)

    answer = program(BOB).post(f"/api/v1/license/{number}/surrender", json={"quantity": 1})

    assert answer.status_code == 409 and "is suspended" in answer.json["detail"]

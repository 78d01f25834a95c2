"""The screens of the catalogue and of licenses: what each shows to whom, and what its forms say to what is wrong."""

from __future__ import annotations

import io

import openpyxl
import pytest
from sqlalchemy import event, select

from app.extensions import db
from app.models import Account, Article, Grant, Holding, License, LicenseStatus, LicenseType, PlanPrice, Policy, Role
from app.services import licenses
from app.tenancy import unscoped
from tests import stock
from tests.cast import ALICE, BOB, DORA, account_id, acting_as, browse, hire

TYPE = {**stock.NAMES, "key": "loggers", "policy": "overage", "overage_percent": "10"}
PLAN = {"key": "pro", "name_en": "Pro", "name_de": "", "base": "1,234.50", "currency": "EUR", "period": "monthly"}
HTMX = {"HX-Request": "true"}


def the(model):
    with unscoped("looking", writes=False) as session:
        return session.scalars(select(model)).unique().one()


def use(number: int, quantity: int, reference: str) -> None:
    with acting_as(BOB) as by:
        licenses.consume(db.session.get(License, number), quantity, reference=reference, by=by)


# --- the catalogue -----------------------------------------------------------------------------------------------


def test_the_operator_adds_a_license_type(dora):
    answer = browse(dora).post("/license-types/add", data=TYPE)

    assert answer.status_code == 302
    assert (the(LicenseType).key, the(LicenseType).overage_percent) == ("loggers", 10)
    assert "Assets" in browse(dora).get("/license-types/list/").text


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"key": "Loggers!"}, "A key is made of small letters"),
        ({"overage_percent": ""}, "from 1 to 100 percent"),
        ({"overage_percent": "ten"}, "Not a number|whole number"),
        ({"overage_percent": "1.5"}, "A whole number, please."),
        ({"name_en": "", "name_de": " "}, "in one language at least"),
    ],
)
def test_what_is_wrong_is_said_at_the_field_and_what_was_typed_is_kept(dora, wrong, said):
    answer = browse(dora).post("/license-types/add", data=TYPE | {"unit_en": "my own unit"} | wrong)

    assert answer.status_code == 422
    assert any(words in answer.text for words in said.split("|"))
    assert 'value="my own unit"' in answer.text and 'aria-invalid="true"' in answer.text


def test_an_article_is_added_with_what_it_grants(dora):
    type_ = stock.license_type()
    grants = {"grant_type": [type_, ""], "grant_quantity": ["25", ""]}
    data = {"number": "", "name_en": "Pack", "name_de": "Paket", **grants}

    assert browse(dora).post("/articles/add", data=data).status_code == 302

    assert the(Article).number.startswith("ART-")
    assert "25 Assets" in browse(dora).get("/articles/list/").text


def test_a_grant_that_is_no_number_keeps_everything_typed(dora):
    type_ = stock.license_type()
    data = {"number": "A-1", "name_en": "Pack", "name_de": "", "grant_type": [type_], "grant_quantity": ["many"]}

    answer = browse(dora).post("/articles/add", data=data)

    assert answer.status_code == 422 and "as a whole number" in answer.text
    assert 'value="many"' in answer.text and f'value="{type_}" selected' in answer.text


def test_editing_an_article_shows_and_replaces_its_grants(dora):
    number = stock.article(grants={stock.license_type(): 5})
    form = browse(dora).get(f"/articles/edit/{number}").text
    assert 'name="grant_quantity" value="5"' in form

    data = {"number": "ART-1", "name_en": "Starter pack", "name_de": "", "grant_type": "", "grant_quantity": ""}
    assert browse(dora).post(f"/articles/edit/{number}", data=data).status_code == 302
    with unscoped("looking", writes=False) as session:
        assert session.scalars(select(Grant)).all() == []


def test_a_price_is_typed_as_people_write_it(dora):
    data = PLAN | {"product_id": stock.product(), "prepaid": "y"}
    assert browse(dora).post("/plans/add", data=data).status_code == 302

    assert the(PlanPrice).base_minor == 123450
    answer = browse(dora).post("/plans/add", data=data | {"key": "other", "base": "0.005"})
    assert answer.status_code == 422 and "EUR has 2 decimal places." in answer.text


def test_half_a_plan_is_no_fault(dora):
    half = PLAN | {"product_id": stock.product()}

    answer = browse(dora).post("/plans/add", data=half)

    assert answer.status_code == 422 and "Say how it can be paid" in answer.text


def test_a_partner_reads_the_catalogue_and_changes_none_of_it(alice):
    number, plan = stock.article(grants={stock.license_type(): 5}), stock.plan()
    browser = browse(alice)

    assert "5 assets" in browser.get(f"/articles/show/{number}").text
    assert "Add article" not in browser.get("/articles/list/").text
    assert "49" in browser.get("/plans/list/").text
    assert browser.get("/license-types/list/").status_code == 403
    for path in ("/articles/add", f"/articles/edit/{number}", "/plans/add", f"/plans/edit/{plan}", "/holdings/add"):
        assert browser.post(path, data={}).status_code == 403
    archived = browser.post("/articles/action_post", data={"action": "archive", "rowid": number})
    assert archived.status_code == 403


def test_what_is_archived_is_shown_on_wish_and_offered_no_longer(dora):
    number = stock.article()
    browse(dora).post("/articles/action_post", data={"action": "archive", "rowid": number})

    assert "Starter pack" not in browse(dora).get("/articles/list/").text
    assert "Starter pack" in browse(dora).get("/articles/list/?archived=1").text
    assert "Starter pack" not in browse(dora).get(f"/holdings/add?account={account_id('kuestenfunk')}").text


@pytest.mark.parametrize(
    ("path", "make"), [("/articles", stock.article), ("/license-types", stock.license_type), ("/plans", stock.plan)]
)
def test_of_archiving_and_restoring_that_is_offered_which_fits(dora, path, make):
    number, browser = make(), browse(dora)
    assert 'data-verbs="archive"' in browser.get(f"{path}/list/").text

    browser.post(f"{path}/action_post", data={"action": "archive", "rowid": number})

    assert 'data-verbs="restore"' in browser.get(f"{path}/list/?archived=1").text
    browser.post(f"{path}/action_post", data={"action": "restore", "rowid": number})
    assert 'data-verbs="archive"' in browser.get(f"{path}/list/").text


# --- giving ------------------------------------------------------------------------------------------------------


def test_the_operator_gives_an_article_on_the_accounts_page(dora, bob):
    number = stock.article(grants={stock.license_type(): 25})
    account = account_id("kuestenfunk")
    assert "Give article" in browse(dora).get(f"/accounts/show/{account}").text

    data = {"article_id": number, "quantity": "2", "acquired_on": "2026-01-01", "valid_until": "", "note": "PO 17"}
    answer = browse(dora).post(f"/holdings/add?account={account}", data=data, headers=HTMX)

    assert answer.status_code == 204
    assert (the(Holding).quantity, the(License).quantity) == (2, 50)
    assert "PO 17" in browse(bob).get("/holdings/list/").text
    assert the(License).public_id in browse(bob).get("/licenses/list/").text
    assert "PO 17" in browse(dora).get(f"/holdings/related/account_id/{account}", headers=HTMX).text


@pytest.mark.parametrize(
    "wrong", [{"quantity": "0"}, {"quantity": ""}, {"valid_until": "2025-01-01"}, {"article_id": "999"},
              {"acquired_on": ""}, {"acquired_on": "soon"}]
)  # fmt: skip
def test_a_gift_that_cannot_be_meant_is_refused_at_the_field(dora, wrong):
    good = {"article_id": stock.article(), "quantity": "2", "acquired_on": "2026-01-01", "note": "X1"}

    answer = browse(dora).post(f"/holdings/add?account={account_id('kuestenfunk')}", data=good | wrong)

    assert answer.status_code == 422 and 'value="X1"' in answer.text and 'aria-invalid="true"' in answer.text


@pytest.mark.parametrize("account", ["x", "-1", "999999", "9" * 30])
def test_nothing_is_given_to_an_account_that_is_not_there(dora, account):
    assert browse(dora).get(f"/holdings/add?account={account}").status_code == 404


# --- the price model ---------------------------------------------------------------------------------------------

ACCOUNT = {"name": "Küstenfunk", "language": "de", "time_zone": "Europe/Berlin", "currency": "EUR"}


def test_a_partner_chooses_the_price_model_and_the_overview_shows_it(alice):
    path, plan = f"/accounts/edit/{account_id('kuestenfunk')}", stock.plan()

    assert browse(alice).post(path, data=ACCOUNT | {"plan_id": plan}).status_code == 302
    assert "Standard · €49.00 monthly" in browse(alice).get(path.replace("edit", "show")).text
    assert browse(alice).post(path, data=ACCOUNT | {"plan_id": ""}).status_code == 302
    with unscoped("looking", writes=False) as session:
        assert session.scalar(select(Account.plan_id).where(Account.slug == "kuestenfunk")) is None


def test_who_may_not_choose_it_is_not_asked_and_not_heard(alice):
    plan, sales = stock.plan(), hire("sven@nordlicht.example", "nordlicht", Role.SALES)
    path = f"/accounts/edit/{account_id('kuestenfunk')}"

    assert 'name="plan_id"' not in browse(sales).get(path).text
    assert browse(sales).post(path, data=ACCOUNT | {"plan_id": plan}).status_code == 302
    with unscoped("looking", writes=False) as session:
        assert session.scalar(select(Account.plan_id).where(Account.slug == "kuestenfunk")) is None


def test_an_archived_plan_stays_with_the_account_when_the_rest_is_edited(alice, dora):
    path, plan = f"/accounts/edit/{account_id('kuestenfunk')}", stock.plan()
    browse(alice).post(path, data=ACCOUNT | {"plan_id": plan})
    browse(dora).post("/plans/action_post", data={"action": "archive", "rowid": plan})

    assert browse(alice).post(path, data=ACCOUNT | {"contact": "Bob", "plan_id": plan}).status_code == 302
    other = f"/accounts/edit/{account_id('deichbau')}"
    assert browse(alice).post(other, data=ACCOUNT | {"name": "Deichbau", "plan_id": plan}).status_code == 422


# --- licenses ----------------------------------------------------------------------------------------------------


def test_a_customer_sees_its_own_licenses_and_who_uses_them(bob):
    number = stock.license_of(quantity=20, policy=Policy.OVERAGE, percent=10)
    use(number, 17, "Greenhouse 4")

    page = browse(bob).get(f"/licenses/show/{number}").text

    assert "85 % in use" in page and "Greenhouse 4" in page and "Tolerated up to" in page
    assert "k-gauge-low" in page
    assert "Suspend" not in page and "Revoke" not in page
    assert "Greenhouse 4" in browse(bob).get(f"/license-movements/related/license_id/{number}", headers=HTMX).text


def test_the_chart_has_its_numbers_as_a_table_too(bob):
    number = stock.license_of(quantity=20)
    use(number, 17, "Greenhouse 4")

    page = browse(bob).get(f"/licenses/show/{number}").text

    assert page.count('<th scope="row">') >= 12 and "<td>17</td>" in page


def test_a_license_can_be_found_by_what_the_list_shows(alice):
    full, empty = stock.license_of("kuestenfunk", 10), stock.license_of("deichbau", 10)
    ended = stock.license_of("deichbau", 10, since=20, days=10)
    use(full, 10, "x")
    with unscoped("looking", writes=False) as session:
        names = {n: session.get(License, n).public_id for n in (full, empty, ended)}
    browser = browse(alice)

    def found(query: str) -> set[int]:
        page = browser.get(f"/licenses/list/?{query}").text
        return {number for number, name in names.items() if name in page}

    assert found("_flt_2_available=0") == {full}
    assert found("_flt_0_status=expired") == {ended}
    assert found("q=küstenfunk") == {full}
    assert found("_flt_1_in_use=1") == {full}
    assert found("sort=-available") == {full, empty, ended}


def test_rows_can_be_chosen_where_something_can_be_done_to_one_of_them(alice):
    number, browser, boxes = stock.license_of(), browse(alice), "data-choose-all"

    assert boxes not in browser.get("/licenses/list/").text
    browser.post(f"/licenses/suspend/{number}", data={"reason": "Invoice overdue"})
    assert boxes in browser.get("/licenses/list/").text
    assert boxes not in browser.get("/licenses/list/?_flt_1_status=suspended").text


def test_suspending_asks_for_a_reason_and_reinstating_does_not(alice):
    number = stock.license_of()
    browser = browse(alice)

    assert browser.post(f"/licenses/suspend/{number}", data={"reason": ""}).status_code == 422
    assert browser.post(f"/licenses/suspend/{number}", data={"reason": "Invoice overdue"}).status_code == 302
    assert "Invoice overdue" in browser.get(f"/licenses/show/{number}").text
    browser.post("/licenses/action_post", data={"action": "reinstate", "rowid": number})
    assert the(License).status is LicenseStatus.ACTIVE


def test_revoking_is_the_operators_alone(alice, dora):
    number = stock.license_of()

    assert browse(alice).post(f"/licenses/revoke/{number}", data={"reason": "x"}).status_code == 403
    assert browse(dora).post(f"/licenses/revoke/{number}", data={"reason": "Contract ended"}).status_code == 302
    assert the(License).status is LicenseStatus.REVOKED


def test_an_account_decides_nothing_about_its_own(alice):
    number = stock.license_of("nordlicht")

    assert browse(alice).post(f"/licenses/suspend/{number}", data={"reason": "x"}).status_code == 403


def test_a_stranger_finds_nothing(charlie):
    number = stock.license_of()

    for path in ("licenses/show", "licenses/suspend", "license-movements/related/license_id"):
        assert browse(charlie).get(f"/{path}/{number}").status_code == 404


def test_movements_are_exported(bob):
    number = stock.license_of(quantity=20)
    use(number, 17, "Greenhouse 4")
    use(stock.license_of(), 1, "elsewhere")

    answer = browse(bob).get(f"/license-movements/export?_flt_1_license.public_id={the_name_of(number)}")

    rows = list(openpyxl.load_workbook(io.BytesIO(answer.data)).worksheets[0].values)
    assert [row[2:5] for row in rows[1:]] == [(17, 17, "Greenhouse 4")]


def the_name_of(number: int) -> str:
    with unscoped("looking", writes=False) as session:
        return session.get(License, number).public_id


# --- all of them -------------------------------------------------------------------------------------------------

LISTS = [
    "/licenses/list/", "/holdings/list/", "/license-movements/list/", "/articles/list/", "/license-types/list/",
    "/plans/list/",
]  # fmt: skip


THEIRS = {DORA: LISTS, ALICE: [*LISTS[:4], LISTS[5]], BOB: LISTS[:3]}


@pytest.mark.parametrize("person", THEIRS, ids=lambda person: person.slug)
@pytest.mark.parametrize("path", LISTS)
def test_an_empty_list_says_what_to_do_or_is_not_theirs(app, person, path):
    page = browse(person).get(path)

    assert page.status_code == (200 if path in THEIRS[person] else 403)
    assert page.status_code == 403 or "k-empty-title" in page.text


@pytest.mark.parametrize("path", [*LISTS, "/licenses/show/1", "/articles/show/1", "/accounts/show/{kuestenfunk}"])
def test_a_page_needs_few_statements_whatever_the_rows(app, dora, path):
    types = {stock.license_type(f"t{n}"): 10 for n in range(4)}
    for n in range(4):
        stock.give(stock.article(f"A-{n}", grants=types), "kuestenfunk")
        stock.plan(f"p{n}")
    for number in range(1, 9):
        use(number, 2, f"Greenhouse {number}")
    browser, path = browse(dora), path.format(kuestenfunk=account_id("kuestenfunk"))
    browser.get(path)
    statements = []

    event.listen(db.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    assert browser.get(path).status_code == 200

    assert len(statements) <= 10, "\n".join(statements)

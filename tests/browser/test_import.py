"""From the list to Excel and back: export, edit three cells, see what would change, import, undo (X-3)."""

from __future__ import annotations

import openpyxl
import pytest
from playwright.sync_api import Page, expect

from app import exporting, importing
from app.extensions import db
from app.models import Export, PropertyType
from app.services import properties
from app.tenancy import unscoped
from tests.browser.steps import expect_flash, in_both_languages, question, row, sign_in
from tests.cast import ALICE, acting_as

LIST = "/a/nordlicht/accounts/list/"
IMPORT = "/a/nordlicht/accounts/import/"


@pytest.fixture
def alices(app, page: Page) -> Page:
    """Alice's browser at her accounts, which have a column of her own."""
    with acting_as(ALICE) as by:
        properties.define(PropertyType.INTEGER, by=by, label_en="Seats", label_de="Plätze")
    sign_in(page, ALICE)
    page.goto(LIST)
    return page


def export(page: Page, say, path):
    """The list as Excel, on disk."""
    with page.expect_download() as downloading:
        page.get_by_role("link", name=say("Export"), exact=True).click()
    file = downloading.value
    file.save_as(path)
    expect_flash(page, file.suggested_filename)
    return path


def edit(path, changes):
    """Put values into cells, (name in the first column, header) → value; the addresses of the cells."""
    book = openpyxl.load_workbook(path)
    sheet = book.worksheets[0]
    rows = {cell.value: cell.row for cell in sheet["A"]}
    columns = {cell.value: cell.column for cell in sheet[1]}
    written = [sheet.cell(rows[name], columns[header], value) for (name, header), value in changes.items()]
    book.save(path)
    return [cell.coordinate for cell in written]


def upload(page: Page, say, path):
    page.goto(IMPORT)
    page.locator("input[type=file]").set_input_files(path)
    page.get_by_role("button", name=say("Upload and check")).click()


@in_both_languages
def test_three_cells_are_edited_in_excel_and_come_back(alices, say, locale, tmp_path):
    path = export(alices, say, tmp_path / "accounts.xlsx")
    seats = {"en": "Seats", "de": "Plätze"}[locale]
    edit(path, {("Küstenfunk", say("Contact")): "Gesa Gerdes", ("Küstenfunk", seats): 12, ("Deichbau", seats): 7})

    alices.get_by_role("link", name=say("Import"), exact=True).click()
    expect(alices.get_by_role("heading", level=1)).to_have_text(say("Import accounts"))
    upload(alices, say, path)

    expect(alices.locator(".k-diff tbody tr")).to_have_count(2)
    expect(row_of(alices, "Küstenfunk").locator("ins")).to_contain_text(["Gesa Gerdes", "12"])
    expect(row_of(alices, "Deichbau").locator("ins")).to_contain_text(["7"])
    alices.get_by_role("button", name=say("Import"), exact=True).click()
    expect(alices.get_by_text(say("Being imported …"))).to_be_visible()
    importing.run_due()
    expect(alices.get_by_role("button", name=say("Undo the import"))).to_be_visible()

    alices.goto(LIST)
    expect(row(alices, "Küstenfunk")).to_contain_text("Gesa Gerdes")
    expect(row(alices, "Deichbau")).to_contain_text("7")

    alices.goto(IMPORT)
    alices.get_by_role("link", name="accounts.xlsx").click()
    alices.get_by_role("button", name=say("Undo the import")).click()
    question(alices).get_by_role("button", name=say("Undo the import")).click()
    expect(alices.get_by_text(say("Being undone …"))).to_be_visible()
    importing.run_due()
    expect(alices.get_by_text(say("Undone"), exact=True)).to_be_visible()
    alices.goto(LIST)
    expect(row(alices, "Küstenfunk")).not_to_contain_text("Gesa Gerdes")


def row_of(page: Page, name: str):
    return page.locator(".k-diff tbody tr").filter(has_text=name)


@in_both_languages
def test_a_file_from_elsewhere_is_asked_what_its_columns_are(alices, say, tmp_path):
    path = tmp_path / "kunden.csv"
    path.write_text("Firma;Kundennr;Wer\nKüstenfunk;12;Gesa Gerdes\nNeufunk;7;Nele Neu\n")

    upload(alices, say, path)
    expect(alices.get_by_role("heading", level=1)).to_have_text(say("Which column is what?"))
    choices = alices.locator("select[name=column]")
    expect(choices.nth(0)).to_have_value("name")
    choices.nth(2).select_option("contact")
    alices.get_by_role("button", name=say("Check the file")).click()

    expect(row_of(alices, "Neufunk")).to_contain_text(say("New"))
    expect(row_of(alices, "Küstenfunk").locator("ins")).to_contain_text(["Gesa Gerdes"])


def test_errors_name_their_cells_and_nothing_can_be_imported(alices, say, tmp_path):
    path = export(alices, say, tmp_path / "accounts.xlsx")
    seats, _email = edit(path, {("Küstenfunk", "Seats"): "many", ("Deichbau", "E-mail"): "nobody"})

    upload(alices, say, path)

    expect(alices.get_by_text(f"Accounts!{seats}:")).to_be_visible()
    expect(row_of(alices, "Deichbau")).to_contain_text("This is not an e-mail address.")
    expect(alices.get_by_role("button", name="Import", exact=True)).to_have_count(0)


def test_a_file_that_is_none_is_refused_at_the_field(alices, say, tmp_path):
    alices.goto(IMPORT)
    (tmp_path / "picture.xlsx").write_bytes(b"\x89PNG\r\n\x1a\n\x00")

    with alices.expect_response(lambda answer: answer.status == 422):
        upload(alices, say, tmp_path / "picture.xlsx")

    expect(alices.get_by_role("alert")).to_have_text("This is neither an Excel file (.xlsx) nor a CSV file.")


@in_both_languages
def test_a_list_is_sent_and_fetched_from_my_exports(alices, say):
    alices.get_by_role("button", name=say("Other ways to export")).click()
    alices.get_by_role("button", name=say("Send it to me")).click()

    expect(alices.get_by_role("heading", level=1)).to_have_text(say("My exports"))
    expect(alices.get_by_text(say("Waiting"), exact=True)).to_be_visible()
    exporting.make_due()
    with alices.expect_download() as downloading:
        alices.get_by_role("link", name=say("Download")).click()
    assert downloading.value.suggested_filename.endswith(".xlsx")


def test_an_export_is_cancelled(alices, say):
    alices.get_by_role("button", name=say("Other ways to export")).click()
    alices.get_by_role("button", name=say("Send it to me")).click()
    alices.get_by_role("button", name=say("Cancel"), exact=True).first.click()

    expect_flash(alices, say("The export was cancelled."))
    with unscoped("looking for the test's export", writes=False):
        assert db.session.query(Export).count() == 0


def test_while_a_download_runs_the_page_says_so_and_can_stop_it(alices, say):
    held = []
    alices.route("**/accounts/export*", lambda route: held.append(route))
    alices.get_by_role("link", name=say("Export"), exact=True).click()

    note = alices.locator("#flashes .k-note")
    expect(note).to_contain_text(say("The file is being written …"))
    note.get_by_role("button", name=say("Cancel")).click()
    expect(note).to_have_count(0)


HELD_BACK = """() => {
  const begin = (body) => { body.enqueue(new Uint8Array(1500000)); window.finish = () => body.close(); };
  const headers = { "Content-Disposition": 'attachment; filename="accounts.xlsx"', "X-Size-About": "4000000" };
  window.fetch = async () => new Response(new ReadableStream({ start: begin }), { headers });
}"""


def test_it_says_how_far_it_is_too(alices, say):
    alices.evaluate(HELD_BACK)
    alices.get_by_role("link", name=say("Export"), exact=True).click()

    note = alices.locator("#flashes .k-note")
    told = say("The file is being written … {size} of about {about} MB")
    expect(note).to_contain_text(told.format(size="1.5", about="4.0"))
    expect(note.get_by_role("progressbar")).to_have_js_property("value", 1_500_000)
    expect(note.get_by_role("progressbar")).to_have_js_property("max", 4_000_000)

    with alices.expect_download():
        alices.evaluate("() => window.finish()")
    expect_flash(alices, say("{name} has been saved to your downloads.").format(name="accounts.xlsx"))

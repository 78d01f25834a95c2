"""What leaves as Excel or CSV: every kind of value, every kind of hostility, however many rows."""

import io
import tracemalloc
import zipfile
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import Markup
from openpyxl import Workbook, load_workbook
from openpyxl.utils.escape import unescape
from python_calamine import CalamineWorkbook

from app.ui import workbook
from app.ui.masks import Mask
from app.ui.workbook import Notices, SheetColumn, plain, stream, stream_csv, write
from tests.office import understood

BERLIN = ZoneInfo("Europe/Berlin")

ACCOUNTS = [
    SheetColumn("Name"),
    SheetColumn("Contracts", "number", decimals=0),
    SheetColumn("Revenue", "money", currency="EUR"),
    SheetColumn("Since", "date"),
    SheetColumn("Last seen", "moment"),
    SheetColumn("Active", "flag"),
    SheetColumn("Remark", "long"),
]
NORDLICHT = [
    "Nordlicht GmbH",
    12,
    Decimal("1234.50"),
    date(2026, 1, 31),
    datetime(2026, 2, 1, 13, 59, 59),
    True,
    "a\nb",
]
KUESTENFUNK = ["Küstenfunk & Söhne <hamburg> 🚀", 0, Decimal("-0.10"), None, None, False, None]


def test_every_value_comes_back_with_its_type():
    sheet = opened(ACCOUNTS, [NORDLICHT, KUESTENFUNK])["Accounts"]

    assert [cell.data_type for cell in sheet[2]] == ["s", "n", "n", "d", "d", "b", "s"]
    assert values(sheet[2]) == [*NORDLICHT[:3], datetime(2026, 1, 31), *NORDLICHT[4:]]
    assert values(sheet[3]) == [*KUESTENFUNK[:2], -0.1, *KUESTENFUNK[3:]]


def test_the_other_reader_sees_the_same():
    rows = CalamineWorkbook.from_filelike(io.BytesIO(excel(ACCOUNTS, [NORDLICHT]))).get_sheet_by_index(0).to_python()

    assert rows == [[column.label for column in ACCOUNTS], [*NORDLICHT[:2], 1234.5, *NORDLICHT[3:]]]


def test_three_programs_read_the_same(tmp_path):
    """openpyxl, python-calamine and LibreOffice: values, types, and what stays text."""
    hostile = [[text, *NORDLICHT[1:6], f"{text} "] for text in HOSTILE]
    data = excel(ACCOUNTS, [NORDLICHT, KUESTENFUNK, *hostile])
    of_openpyxl = [typed(row) for row in load_workbook(io.BytesIO(data))["Accounts"].rows]
    office = load_workbook(io.BytesIO(understood(data, tmp_path)), data_only=True)  # it says "=TRUE()" for a yes
    of_office = [typed(row) for row in office["Accounts"].rows]
    of_calamine = CalamineWorkbook.from_filelike(io.BytesIO(data)).get_sheet_by_index(0).to_python()

    assert of_office == of_openpyxl
    assert [[same(value) for value in row] for row in of_calamine] == [
        [same(value) for value, _type in row] for row in of_openpyxl
    ]


def same(value):
    """One program's way of saying a day or nothing, as the others say it."""
    if isinstance(value, datetime) and value.time() == time():
        return value.date()
    return "" if value is None else value


def test_openpyxl_itself_would_have_written_the_same_cells():
    own = Workbook()
    for row in ([column.label for column in ACCOUNTS], NORDLICHT, KUESTENFUNK):
        own.active.append(row)
    file = io.BytesIO()
    own.save(file)
    theirs, ours = load_workbook(file).active, opened(ACCOUNTS, [NORDLICHT, KUESTENFUNK])["Accounts"]

    assert [typed(row) for row in ours.rows] == [typed(row) for row in theirs.rows]


def test_a_column_has_the_format_of_its_kind_and_so_have_rows_typed_below():
    columns = [*ACCOUNTS, SheetColumn("Yen", "money", "JPY"), SheetColumn("Any", "money"), SheetColumn("x", "number")]
    sheet = opened(columns, [[*NORDLICHT, 5, 5, 5]])["Accounts"]

    formats = [cell.number_format for cell in sheet[2]]
    assert formats == [
        "@", "#,##0", '#,##0.00 "EUR"', "mm-dd-yy", "m/d/yy h:mm", "General", "@", '#,##0 "JPY"', "#,##0.00", "General",
    ]  # fmt: skip
    assert [sheet.column_dimensions[cell.column_letter].number_format for cell in sheet[2]] == formats


def test_the_header_is_bold_and_stays_in_sight_and_can_filter():
    book = opened(ACCOUNTS, [NORDLICHT] * 250)
    sheet = book["Accounts"]

    assert values(sheet[1]) == [column.label for column in ACCOUNTS]
    assert all(cell.font.b and cell.fill.fgColor.rgb == "00DCE6F1" for cell in sheet[1])
    assert sheet.freeze_panes == "A2"
    assert sheet.auto_filter.ref == "A1:G251"
    assert b"'Accounts'!$A$1:$G$251" in zipped(ACCOUNTS, [NORDLICHT] * 250).read("xl/workbook.xml")


def test_columns_are_as_wide_as_what_stands_in_them():
    columns = [
        SheetColumn("No"),
        SheetColumn("A label longer than its values"),
        SheetColumn("Text"),
        SheetColumn("Day", "date"),
    ]
    sheet = opened(columns, [["1", "x", "y" * 500, date(2026, 1, 1)]])["Accounts"]

    assert [sheet.column_dimensions[letter].width for letter in "ABCD"] == [6, 34, 60, 12]


def test_about_says_where_the_rows_come_from_and_how_many_they_are():
    book = opened(ACCOUNTS, [NORDLICHT] * 3, about=[("Filter", "=Status is active"), ("By", "Alice")])

    assert [values(row) for row in book["About"].rows] == [
        ["Filter", "=Status is active"],
        ["By", "Alice"],
        ["Rows", "3"],
    ]
    assert book["About"]["B1"].data_type == "s"


LINKED = [SheetColumn("Name"), SheetColumn("Web", "url"), SheetColumn("Mail", "email")]


def links(columns, rows):
    sheet = opened(columns, rows)["Accounts"]
    return [[cell.hyperlink and cell.hyperlink.target for cell in row] for row in sheet.iter_rows(min_row=2)]


def test_addresses_lead_where_they_say_and_stay_text():
    web, mail = "https://x.example/a?b=1&c=%20#d", "info@x.example"
    rows = [["https://no.example", web, mail], ["", "http://x.example:8443", None], ["", None, mail]]

    assert links(LINKED, rows) == [[None, web, f"mailto:{mail}"], [None, "http://x.example:8443", None],
                                   [None, None, f"mailto:{mail}"]]  # fmt: skip
    sheet = opened(LINKED, rows)["Accounts"]
    assert values(sheet[2]) == rows[0] and sheet["B2"].data_type == "s"
    assert sheet["B2"].font.color.rgb == "000563C1" and sheet.auto_filter.ref == "A1:C4"


@pytest.mark.parametrize(
    "text",
    [
        "javascript:alert(1)", "file:///etc/passwd", "https://", "https://x", "https://x.example/a b", "x.example",
        "https://x.example/%zz", "https://[x.example", "https://é.example", "https://x.example/<&\">", "=1+1",
        "https://x.example/" + "y" * 3000, "a@b.example\n", Mask("k@k.example"), "k•••@k•••.example",
    ],
)  # fmt: skip
def test_what_is_no_plain_address_leads_nowhere(text):
    assert links(LINKED, [["", text, text]]) == [[None, None, None]]


def test_there_are_no_more_links_than_excel_takes(monkeypatch):
    monkeypatch.setattr(workbook, "MOST_LINKS", 3)

    found = links(LINKED, [["", "https://x.example", "info@x.example"]] * 600)

    assert sum(target is not None for row in found for target in row) == 3
    assert found[0][1] == "https://x.example" and found[-1] == [None, None, None]


def test_a_list_without_rows_is_still_a_book():
    book = opened(ACCOUNTS, [])

    assert book["Accounts"].max_row == 1
    assert book["Accounts"].auto_filter.ref == "A1:G1"


HOSTILE = ["=1+1", "+1", "-1", "@SUM(A1)", "#N/A", "\t=1", "=cmd|' /C calc'!A0", "0012", "<b>&amp;"]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_text_stays_text(hostile):
    cell = opened([SheetColumn(hostile)], [[hostile], [None]])["Accounts"]["A2"]

    assert (cell.value, cell.data_type) == (hostile, "s")


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("a\x00b\x1fc", "abc"),
        ("\ud800a\udfff\ufffe\uffff", "a"),
        ("\r\nline\rline", "\nline\nline"),
        ("  kept\t", "  kept\t"),
        ("x" * 40_000, "x" * 32_767),
        ("🚀" * 20_000, "🚀" * 16_383),
        ("\x01", None),
        ("", None),
    ],
)
def test_what_a_cell_cannot_hold_is_taken_out(written, read):
    assert opened([SheetColumn("Name")], [[written], ["next"]])["Accounts"]["A2"].value == read
    assert plain(written) == (read or "")


def test_markup_is_text_like_any_other():
    sheet = opened([SheetColumn("Name")], [[Markup("<b>&amp;</b>")]])["Accounts"]

    assert sheet["A2"].value == "<b>&amp;</b>"


def test_text_that_looks_like_one_of_excels_codes_is_not_decoded_by_it():
    book = excel([SheetColumn("Name")], [["_x0041_"]])

    assert CalamineWorkbook.from_filelike(io.BytesIO(book)).get_sheet_by_index(0).to_python()[1] == ["_x0041_"]
    assert unescape(load_workbook(io.BytesIO(book))["Accounts"]["A2"].value) == "_x0041_"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (10**15 - 1, 10**15 - 1),
        (10**15, "1000000000000000"),
        (-(10**15), "-1000000000000000"),
        (Decimal("9999999999999.99"), 9999999999999.99),
        (Decimal("12345678901234567.89"), "12345678901234567.89"),
        (Decimal(1) / 3, 1 / 3),
        (Decimal("1E+3"), 1000),
        (Decimal("1E+999999999"), "1E+999999999"),
        (Decimal("NaN"), "NaN"),
        (Decimal("sNaN"), "sNaN"),
        (Decimal("-Infinity"), "-Infinity"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        (1e300, 1e300),
    ],
)
def test_a_number_is_exact_or_it_is_text(written, read):
    value = opened([SheetColumn("Revenue", "money", "EUR")], [[written]])["Accounts"]["A2"].value

    assert value == read
    assert isinstance(value, str) == isinstance(read, str)


@pytest.mark.parametrize(
    ("kind", "written", "read"),
    [
        ("date", date(1899, 12, 31), "1899-12-31"),
        ("date", date(1900, 1, 1), datetime(1900, 1, 1)),
        ("date", date(1900, 2, 28), datetime(1900, 2, 28)),
        ("date", date(1900, 3, 1), datetime(1900, 3, 1)),
        ("date", date(9999, 12, 31), datetime(9999, 12, 31)),
        ("date", datetime(2026, 6, 30, 23, 30, tzinfo=UTC), datetime(2026, 7, 1)),
        ("moment", datetime(2026, 6, 30, 23, 30, tzinfo=UTC), datetime(2026, 7, 1, 1, 30)),
        ("moment", datetime(2026, 1, 1, 12, 0, 0, 500_000), datetime(2026, 1, 1, 12, 0, 0, 500_000)),
        ("moment", datetime(1899, 1, 1, 12), "1899-01-01 12:00:00"),
        ("moment", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59)),
        ("moment", date(2026, 1, 1), datetime(2026, 1, 1)),
        ("text", date(2026, 1, 1), "2026-01-01"),
        ("text", True, "Ja"),
        ("choice", ["Gold", None, 5, False], "Gold, 5, Nein"),
        ("text", timedelta(hours=1), "1:00:00"),
    ],
)
def test_a_day_is_a_day_in_the_persons_zone_and_everything_else_is_words(kind, written, read):
    book = opened([SheetColumn("Value", kind)], [[written]], zone=BERLIN, flag_words=("Ja", "Nein"))

    assert book["Accounts"]["A2"].value == read


def test_every_second_of_a_day_is_read_as_written():
    moments = [datetime(2026, 3, 1) + timedelta(seconds=second) for second in range(0, 86_400, 7)]
    file = excel([SheetColumn("Value", "moment")], [[moment] for moment in moments])

    assert [value for (value,) in load_workbook(io.BytesIO(file))["Accounts"].iter_rows(2, values_only=True)] == moments
    rows = CalamineWorkbook.from_filelike(io.BytesIO(file)).get_sheet_by_index(0).to_python()[1:]
    assert [
        value if isinstance(value, datetime) else datetime(value.year, value.month, value.day) for (value,) in rows
    ] == moments


@pytest.mark.parametrize(
    ("asked", "got"),
    [
        ("History", "History_"),
        ("Accounts/Konten: [all]?", "Accounts Konten   all"),
        ("x" * 40, "x" * 30),
        ("'", "Sheet"),
    ],
)
def test_a_sheet_gets_a_name_that_excel_accepts(asked, got):
    assert opened([SheetColumn("Name")], [["x"]], sheet_title=asked).sheetnames == [got, "About"]


def test_a_sheet_that_is_full_says_so(monkeypatch):
    monkeypatch.setattr(workbook, "MOST_ROWS", 250)
    notices = Notices(rows="Zeilen", cut=("Unvollständig", "Mehr passt nicht."))

    book = opened([SheetColumn("Name")], [["x"]] * 251, notices=notices)

    assert book["Accounts"].max_row == 251
    assert [values(row) for row in book["About"].rows] == [["Zeilen", "250"], ["Unvollständig", "Mehr passt nicht."]]
    assert len(list(opened([SheetColumn("Name")], [["x"]] * 250)["About"].rows)) == 1


def test_a_sheet_ends_before_its_zip_would_need_the_large_form(monkeypatch):
    monkeypatch.setattr(workbook, "MOST_BYTES", 10_000)

    book = opened([SheetColumn("Name")], [["x" * 100]] * 1_000)

    assert 1 < book["Accounts"].max_row < 300
    assert book["About"]["A2"].value == "Incomplete"


def test_a_row_with_a_missing_cell_is_a_mistake():
    with pytest.raises(ValueError, match="zip"):
        excel(ACCOUNTS, [NORDLICHT, KUESTENFUNK[:-1]])


def test_a_query_that_fails_at_once_fails_before_the_download():
    with pytest.raises(ZeroDivisionError):
        stream(ACCOUNTS, (1 / 0 for _ in range(3)), sheet_title="Accounts", about=[], about_title="About")


def test_an_export_that_breaks_off_is_no_file_that_opens():
    def rows():
        yield from [NORDLICHT] * 500
        raise ConnectionError

    received = []
    with pytest.raises(ConnectionError):
        received.extend(stream(ACCOUNTS, rows(), sheet_title="Accounts", about=[], about_title="About"))

    with pytest.raises(zipfile.BadZipFile):
        zipfile.ZipFile(io.BytesIO(b"".join(received)))


def test_the_download_starts_before_the_rows_are_read():
    rows = iter([NORDLICHT] * 10_000)

    chunks = stream(ACCOUNTS, rows, sheet_title="Accounts", about=[], about_title="About")

    assert next(chunks).startswith(b"PK")
    assert sum(1 for _ in rows) > 9_000


def test_memory_does_not_grow_with_the_rows():
    def peak(count):
        tracemalloc.start()
        for _ in stream(
            ACCOUNTS[:2], (["Nordlicht GmbH", 12] for _ in range(count)), sheet_title="A", about=[], about_title="About"
        ):
            pass
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak

    peak(100)

    assert peak(60_000) < peak(20_000) * 1.2


def test_a_file_can_be_written_to_a_path_or_an_open_file(tmp_path):
    book = {"sheet_title": "Accounts", "about": [], "about_title": "About"}
    write(tmp_path / "accounts.xlsx", ACCOUNTS, [NORDLICHT], **book)
    with open(tmp_path / "again.xlsx", "wb") as file:
        write(file, ACCOUNTS, [NORDLICHT], **book)

    for name in ("accounts.xlsx", "again.xlsx"):
        assert load_workbook(tmp_path / name)["Accounts"]["A2"].value == "Nordlicht GmbH"


@settings(max_examples=40, deadline=None)  # each opens a book
@given(
    rows=st.lists(st.tuples(st.text(), st.text() | st.none(), st.text() | st.integers()), max_size=8), label=st.text()
)
def test_any_text_survives(rows, label):
    columns = [SheetColumn(label), SheetColumn("Email", "email"), SheetColumn("Any", "long")]
    archive = zipped(columns, rows, about=[(label, label)], sheet_title=label)

    assert archive.testzip() is None
    for name in archive.namelist():
        ElementTree.fromstring(archive.read(name))
    sheet = load_workbook(archive.fp).worksheets[0]
    read = [
        [unescape(cell) if isinstance(cell, str) else cell for cell in values(row)]
        for row in sheet.iter_rows(2, len(rows) + 1, 1, 3)
    ]
    assert read == [[held(value) for value in row] for row in rows]


ANYTHING = st.one_of(
    st.none(), st.text(max_size=5), st.integers(), st.decimals(), st.floats(), st.booleans(), st.dates(), st.datetimes()
)


@given(
    st.sampled_from(["text", "money", "number", "date", "moment", "flag"]), st.lists(ANYTHING, min_size=1, max_size=6)
)
def test_a_batch_gives_the_same_cells_as_one_by_one(kind, column):
    writer = workbook._ColumnWriter(SheetColumn("Any", kind), "A", 1, ("Yes", "No"), None, workbook._Links())
    rows = [str(number) for number in range(2, len(column) + 2)]

    for same_type in ([value for value in column if type(value) in (kept, type(None))] for kept in map(type, column)):
        pieces = writer.pieces(same_type, rows[: len(same_type)])
        assert list(map("".join, zip(*pieces, strict=False))) == list(map(writer.cell, same_type, rows))


def test_csv_has_the_same_rows_as_words():
    columns = ACCOUNTS[:6]

    comma = b"".join(stream_csv(columns, [NORDLICHT[:6], KUESTENFUNK[:6]])).decode("utf-8-sig")
    german = b"".join(
        stream_csv(columns, [NORDLICHT[:6]], separator=";", decimal_mark=",", flag_words=("Ja", "Nein"))
    ).decode("utf-8-sig")

    assert comma.splitlines() == [
        "Name,Contracts,Revenue,Since,Last seen,Active",
        "Nordlicht GmbH,12,1234.50,2026-01-31,2026-02-01 13:59:59,Yes",
        "Küstenfunk & Söhne <hamburg> 🚀,0,-0.10,,,No",
    ]
    assert german.splitlines()[1] == "Nordlicht GmbH;12;1234,50;2026-01-31;2026-02-01 13:59:59;Ja"


def test_csv_begins_with_the_mark_that_tells_excel_its_encoding():
    assert next(stream_csv(ACCOUNTS, [])) == b"\xef\xbb\xbf"


@pytest.mark.parametrize("hostile", ["=1+1", "+49 40", "-1", "@x", "\t=1", "\r=1", "＝1"])
def test_csv_text_is_never_a_formula(hostile):
    _, _, row = b"".join(stream_csv([SheetColumn("Name")], [[hostile]])).decode("utf-8-sig").partition("\r\n")

    assert row.strip('"').startswith("'")


def test_negative_numbers_are_no_formulas_in_csv():
    assert b"\r\n-5,-0.10\r\n" in b"".join(stream_csv(ACCOUNTS[1:3], [[-5, Decimal("-0.10")]]))


def excel(columns, rows, **book):
    return b"".join(stream(columns, rows, **{"sheet_title": "Accounts", "about": [], "about_title": "About", **book}))


def zipped(columns, rows, **book):
    return zipfile.ZipFile(io.BytesIO(excel(columns, rows, **book)))


def opened(columns, rows, **book):
    return load_workbook(io.BytesIO(excel(columns, rows, **book)))


def values(cells):
    return [cell.value for cell in cells]


def typed(cells):
    return [(cell.value, cell.data_type) for cell in cells]


def held(value):
    """What a cell gives back: cleaned text, nothing for no text, and words for numbers that Excel would round."""
    if isinstance(value, str):
        return plain(value) or None
    return str(value) if isinstance(value, int) and abs(value) >= 10**15 else value

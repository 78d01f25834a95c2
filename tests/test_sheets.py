"""Files from outside: what is read of them, and that none of them can fill the machine (security 3.7)."""

from __future__ import annotations

import io
import resource
import subprocess
import sys
import time
import zipfile
from datetime import date, datetime

import openpyxl
import pytest

from app import sheet_reader, sheets
from app.errors import Refused
from app.ui import workbook

HEAD = b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
TAIL = b"</sheetData></worksheet>"


@pytest.fixture(autouse=True)
def _speaking(app):
    with app.test_request_context():
        yield


def book(*rows, title="Accounts"):
    file, made = io.BytesIO(), openpyxl.Workbook()
    made.active.title = title
    for row in rows:
        made.active.append(row)
    made.save(file)
    return file.getvalue()


def with_part(name, content):
    """A workbook one part of which is another."""
    file = io.BytesIO()
    old = zipfile.ZipFile(io.BytesIO(book(["x"])))
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.namelist():
            if part != name:
                new.writestr(part, old.read(part))
        new.writestr(name, content)
    return file.getvalue()


def with_sheet(rows):
    return with_part("xl/worksheets/sheet1.xml", HEAD + rows + TAIL)


# --- what is read ------------------------------------------------------------------------------------------------


def test_cells_are_read_typed_with_their_places():
    moment = datetime(2026, 3, 31, 12, 30)
    file = book([None], ["Name", "Seats"], ["A", 12], [None, 1.5, True, date(2027, 1, 31), moment], ["B"])

    sheet = sheets.read(file)

    assert sheet.header == ["Name", "Seats", "", "", ""]
    assert sheet.rows[0] == (3, ["A", 12, None, None, None])
    assert sheet.rows[1] == (4, [None, 1.5, True, {"d": "2027-01-31"}, {"t": "2026-03-31T12:30:00"}])
    assert sheet.address(4, 1) == "Accounts!B4"
    assert sheets.unpack(sheets.pack(sheet)) == sheet


def test_cells_that_begin_further_right_keep_their_column():
    cell = b'<row r="3"><c r="C3" t="inlineStr"><is><t>Name</t></is></c></row>'
    below = b'<row r="5"><c r="C5" t="inlineStr"><is><t>A</t></is></c></row>'

    sheet = sheets.read(with_sheet(cell + below))

    assert (sheet.header, sheet.rows) == (["", "", "Name"], [(5, [None, None, "A"])])


def test_a_formula_is_its_value_as_the_file_was_saved():
    header = b'<row r="1"><c r="A1" t="str"><f>"Na"&amp;"me"</f><v>Name</v></c></row>'
    below = b'<row r="2"><c r="A2"><f>1+1</f><v>2</v></c></row>'

    assert sheets.read(with_sheet(header + below)).rows == [(2, [2])]


def test_a_formula_without_a_value_is_refused_by_its_cell():
    with pytest.raises(Refused, match="A2: the formula has no value yet"):
        sheets.read(book(["Name"], ["=1+1"]))


def test_the_first_sheet_that_can_be_seen_counts():
    file, made = io.BytesIO(), openpyxl.Workbook()
    made.active.title, made.active.sheet_state = "Hidden", "hidden"
    made.create_sheet("Seen").append(["Name"])
    made["Seen"].append(["A"])
    made.save(file)

    assert sheets.read(file.getvalue()).name == "Seen"


@pytest.mark.parametrize(
    "data",
    [
        "Name;Ort\r\nKüstenfunk;Husum\r\n".encode("utf-8-sig"), "Name;Ort\nKüstenfunk;Husum".encode("cp1252"),
        "Name,Ort\nKüstenfunk,Husum".encode(), "Name\tOrt\nKüstenfunk\tHusum".encode("utf-16"),
    ],
)  # fmt: skip
def test_csv_is_read_however_it_is_written(data):
    sheet = sheets.read(data)

    assert (sheet.header, sheet.rows) == (["Name", "Ort"], [(2, ["Küstenfunk", "Husum"])])
    assert sheet.address(2, 1) == "B2"


def test_what_an_export_has_made_harmless_comes_back_as_it_was():
    columns = [workbook.SheetColumn("Name"), workbook.SheetColumn("Note")]
    rows = [["=1+1", "'quoted"], ["@x", "-5"]]

    data = b"".join(workbook.stream_csv(columns, rows))

    assert [cells for _number, cells in sheets.read(data).rows] == rows


# --- what is refused ---------------------------------------------------------------------------------------------

LARGE = "too large to be read safely"
FAR = b'<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'
HOSTILE = {
    "a cell at the far end": (lambda: with_sheet(FAR), "more than 10,000 rows"),
    "the same, written otherwise": (lambda: with_sheet(FAR.replace(b'"', b"'")), LARGE),
    "a zip bomb": (lambda: with_sheet(b" " * 150 * 2**20), LARGE),
    "ten million cells": (lambda: with_sheet((b"<row>" + b"<c><v>1</v></c>" * 1000 + b"</row>") * 5_000), LARGE),
    "millions of shared strings": (
        lambda: with_part(
            "xl/sharedStrings.xml",
            b'<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
            + b"<si><t>x</t></si>" * 5_500_000 + b"</sst>",
        ),
        LARGE,
    ),
    "entities within entities": (
        lambda: with_part(
            "xl/worksheets/sheet1.xml",
            b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>' + HEAD + TAIL,
        ),
        "damaged",
    ),
    "too many rows": (lambda: book(*([n] for n in range(10_002))), "more than 10,000 rows"),
    "too many columns": (lambda: book(list(range(101)), [1]), "more than 100 columns"),
    "too many rows of text": (lambda: b"Name\n" * 10_002, "more than 10,000 rows"),
    "too much text": (lambda: (b"a," + b"x" * 100_000 + b"\n") * 209, "damaged|larger than|more text"),
    "macros": (lambda: with_part("xl/vbaProject.bin", b"x"), "contains macros"),
    "a password": (lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 600, "protected by a password"),
    "old Excel": (
        lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 600 + "Workbook".encode("utf-16-le"), "old Excel file"
    ),
    "a picture": (lambda: b"\x89PNG\r\n\x1a\n\x00\x00\x00", "neither an Excel file"),
    "another zip": (lambda: zipped("readme.txt", b"x"), "neither an Excel file"),
    "half a file": (lambda: book(["Name"], ["A"])[:2_000], "damaged"),
    "nothing": (lambda: b" \n", "is empty"),
    "an empty sheet": (lambda: book(), "is empty"),
    "a header alone": (lambda: book(["Name"]), "no rows below it"),
    "more than is taken": (lambda: b"x" * (sheets.MOST_BYTES + 1), "larger than 10 MB"),
}  # fmt: skip


def zipped(name, content):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, content)
    return file.getvalue()


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_file_ends_in_a_sentence_within_ten_seconds(kind):
    make, sentence = HOSTILE[kind]
    data, began = make(), time.monotonic()

    with pytest.raises(Refused, match=sentence):
        sheets.read(data)

    assert time.monotonic() - began < sheets.PATIENCE + 2


def test_the_reader_is_given_256_mib_and_no_more():
    take = "import sys; sys.path.insert(0, sys.argv[1]); import sheet_reader; sheet_reader.main()"
    source = f"{take}; print('as usual', file=sys.stderr); bytearray({sheet_reader.MEMORY})"
    command = [sys.executable, "-c", source, str(sheets.READER.parent)]

    done = subprocess.run(command, input=b"a\nb\n", capture_output=True, check=False)

    assert sheet_reader.MEMORY == 256 * 2**20
    assert b"as usual" in done.stderr and b"MemoryError" in done.stderr
    assert resource.getrlimit(resource.RLIMIT_AS)[0] != sheet_reader.MEMORY


def test_the_reader_knows_nothing_of_kontor():
    ours = "[name for name in sys.modules if name.startswith(('app', 'flask', 'sqlalchemy'))]"
    source = f"import sys, runpy; runpy.run_path({str(sheets.READER)!r}); print({ours})"

    done = subprocess.run([sys.executable, "-I", "-c", source], capture_output=True, check=True, text=True)

    assert done.stdout.strip() == "[]"

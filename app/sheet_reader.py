"""Reads a file that somebody has sent, in a process of its own: `python -I sheet_reader.py < file`.

Nothing of Kontor is in here, no database and no secret; memory and processor time are limited before the first byte is
looked at. What is no workbook, or is made to fill a machine, ends with an `{"error": …}` line or with the end of this
process (`sheets.py` says it in words). Otherwise every row is a line of JSON, and the last line is `{"sheet": name}`.

A cell is a text, a number, true, false or null; a day is `{"d": "2026-03-31"}`, a moment `{"t": …}` with its time.
Of a formula there is its value as it was when the file was saved, never the formula.
"""

from __future__ import annotations

import csv
import io
import json
import re
import resource
import sys
import zipfile
from collections.abc import Iterable, Iterator
from datetime import date, datetime, time
from typing import Any

from python_calamine import CalamineError, CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

MEMORY = 256 * 2**20  # bytes of address space
SECONDS = 8  # of processor time
MOST_ROWS = 10_000  # below the header
MOST_COLUMNS = 100
MOST_UNPACKED = 100 * 2**20  # bytes of a workbook's parts together
MOST_PARTS = 1_000
MOST_TEXT = 20 * 2**20  # characters in all cells together
BLANK_ABOVE = 100  # rows that may stand empty above the header

CHUNK = 2**20
OVERLAP = 256
OLD_EXCEL = b"\xd0\xcf\x11\xe0"  # the container of .xls, and of encrypted workbooks
FILLED = re.compile(rb'<c r="([A-Z]{1,3})([0-9]{1,7})"[^>/]*>')
UNCOUNTED = re.compile(rb'<c r="([A-Z]{1,3}[0-9]{1,7})"(?![^>]*t="str")[^>]*><f[^>]*>[^<]*</f>(?:<v></v>|<v ?/>|</c>)')


class Unreadable(Exception):
    def __init__(self, error: str, **facts: Any) -> None:
        super().__init__(error)
        self.facts = {"error": error, **facts}


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    try:
        data = sys.stdin.buffer.read()
        name, rows = _csv(data) if _is_text(data) else _workbook(data)
        for row in _limited(rows):
            print(json.dumps(row))
        print(json.dumps({"sheet": name}))
    except Unreadable as error:
        print(json.dumps(error.facts))
    except (zipfile.BadZipFile, CalamineError, KeyError, ValueError, NotImplementedError, EOFError, OSError):
        print(json.dumps({"error": "broken"}))
    except MemoryError:
        print(json.dumps({"error": "large"}))


def _limited(rows: Iterable[list[Any]]) -> Iterator[list[Any]]:
    """The rows with nothing empty at their ends; more than there may be are refused while they are counted."""
    text, started = 0, 0
    for number, row in enumerate(rows, 1):
        while row and row[-1] in (None, ""):
            row.pop()
        started = started or (number if row else 0)
        if len(row) > MOST_COLUMNS:
            raise Unreadable("columns")
        if row and number > started + MOST_ROWS or not started and number > BLANK_ABOVE:
            raise Unreadable("rows")
        text += sum(len(cell) for cell in row if isinstance(cell, str))
        if text > MOST_TEXT:
            raise Unreadable("text")
        yield row


# --- text --------------------------------------------------------------------------------------------------------


def _is_text(data: bytes) -> bool:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True
    return not data.startswith((b"PK", OLD_EXCEL)) and b"\x00" not in data[:CHUNK]


def _csv(data: bytes) -> tuple[str, Iterator[list[Any]]]:
    text = _decoded(data)
    if any(c < " " and c not in "\t\r\n" for c in text[:4096]):
        raise Unreadable("kind")
    first = text.partition("\n")[0]
    separator = max(";,\t", key=first.count)
    return "", _csv_rows(text, separator)


def _csv_rows(text: str, separator: str) -> Iterator[list[Any]]:
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator):
            yield [_bare(cell) for cell in row[: MOST_COLUMNS + 1]]
    except csv.Error as error:
        raise Unreadable("broken") from error


def _decoded(data: bytes) -> str:
    for encoding in ("utf-16",) if data.startswith((b"\xff\xfe", b"\xfe\xff")) else ("utf-8-sig", "cp1252"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise Unreadable("kind")


def _bare(cell: str) -> str:
    """Without the apostrophe that an export puts before what a spreadsheet would run."""
    return cell[1:] if len(cell) > 1 and cell[0] == "'" and cell[1] in "=+-@\t\r\n＝＋－＠" else cell


# --- workbooks ---------------------------------------------------------------------------------------------------


def _workbook(data: bytes) -> tuple[str, Iterator[list[Any]]]:
    if data.startswith(OLD_EXCEL):
        raise Unreadable("old" if b"W\0o\0r\0k\0b\0o\0o\0k\0" in data else "encrypted")
    if not data.startswith(b"PK"):
        raise Unreadable("kind")
    _look_at_parts(data)
    book = CalamineWorkbook.from_filelike(io.BytesIO(data))
    seen = (s for s in book.sheets_metadata if s.typ is SheetTypeEnum.WorkSheet)
    name = next((s.name for s in seen if s.visible is SheetVisibleEnum.Visible), None)
    if name is None:
        raise Unreadable("empty")
    sheet = book.get_sheet_by_name(name)
    return name, _rows(sheet)


def _rows(sheet: Any) -> Iterator[list[Any]]:
    if sheet.start is None:
        return
    left = [None] * sheet.start[1]
    for row in sheet.iter_rows():
        yield left + [_cell(value) for value in row]


def _cell(value: Any) -> Any:
    match value:
        case "":
            return None
        case datetime():
            return {"t": value.isoformat()} if value.time() != time() else {"d": value.date().isoformat()}
        case date():
            return {"d": value.isoformat()}
        case str() | bool() | int() | float():
            return value
    return str(value)


def _look_at_parts(data: bytes) -> None:
    """What the zip says of itself, and how far its sheets reach, before anything is unpacked as a whole."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = archive.infolist()
        names = {part.filename for part in parts}
        if "xl/workbook.xml" not in names:
            raise Unreadable("macros" if any(name.endswith(".bin") for name in names) else "kind")
        if any(name.lower().endswith("vbaproject.bin") for name in names):
            raise Unreadable("macros")
        if len(parts) > MOST_PARTS or sum(part.file_size for part in parts) > MOST_UNPACKED:
            raise Unreadable("large")
        if any(part.flag_bits & 1 for part in parts):
            raise Unreadable("encrypted")
        for part in parts:
            if part.filename.endswith((".xml", ".rels")):
                _look_at(archive, part)


def _look_at(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> None:
    is_sheet, tail = part.filename.startswith("xl/worksheets/sheet"), b""
    with archive.open(part) as file:
        while chunk := file.read(CHUNK):
            seen = tail + chunk
            if b"<!DOCTYPE" in seen or b"<!ENTITY" in seen:
                raise Unreadable("broken")
            if not is_sheet:
                return  # what a part declares stands at its beginning
            _look_at_cells(seen)
            tail = seen[-OVERLAP:]


def _look_at_cells(xml: bytes) -> None:
    columns, rows = set(), set()
    for match in FILLED.finditer(xml):
        columns.add(match[1])
        rows.add(match[2])
    if rows and max(map(int, rows)) > MOST_ROWS + BLANK_ABOVE:
        raise Unreadable("rows")
    if any(_place(column) > MOST_COLUMNS for column in columns):
        raise Unreadable("columns")
    if uncounted := UNCOUNTED.search(xml):
        raise Unreadable("formula", cell=uncounted[1].decode())


def _place(letters: bytes) -> int:
    place = 0
    for letter in letters:
        place = place * 26 + letter - 64
    return place


if __name__ == "__main__":
    main()

"""Files that people send: read in a process of its own (`sheet_reader.py`), and what is wrong with them in words."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flask_babel import gettext as _
from isal import isal_zlib

from . import sheet_reader
from .errors import Refused
from .sheet_reader import MOST_COLUMNS, MOST_ROWS

READER = Path(sheet_reader.__file__)
PATIENCE = 10  # seconds
MOST_BYTES = 10 * 2**20  # of one file


@dataclass(frozen=True)
class Sheet:
    """The cells of a file: its header, and each row below with its number in the file."""

    name: str  # of the sheet; empty where there are none
    header: list[str]
    rows: list[tuple[int, list[Any]]] = field(repr=False)

    @property
    def count(self) -> int:
        return len(self.rows)

    def address(self, row: int, column: int) -> str:
        """How the person's spreadsheet names a cell: "Accounts!C7"; columns count from 0."""
        return f"{self.name}!{letters(column)}{row}" if self.name else f"{letters(column)}{row}"


def read(data: bytes) -> Sheet:
    """The cells of an Excel or CSV file. Raises `Refused` with what is wrong with it.

    A file made to fill a machine ends in one within `PATIENCE`; the memory it takes is the reader's, not ours.
    """
    if len(data) > MOST_BYTES:
        raise Refused(_("The file is larger than %(size)s MB.", size=MOST_BYTES // 2**20))
    if not data.strip():
        raise _refusal({"error": "empty"})
    try:
        done = subprocess.run(
            [sys.executable, "-I", str(READER)], input=data, capture_output=True, timeout=PATIENCE, env={}, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise _refusal({"error": "large"}) from error
    lines = done.stdout.splitlines()
    last = json.loads(lines[-1]) if lines and lines[-1].endswith(b"}") else {"error": "large"}
    if done.returncode or "sheet" not in last:
        raise _refusal(last if "error" in last else {"error": "large"})
    return _sheet(last["sheet"], [json.loads(line) for line in lines[:-1]])


def _sheet(name: str, rows: list[list[Any]]) -> Sheet:
    filled = [(number, row) for number, row in enumerate(rows, 1) if row]
    if not filled:
        raise _refusal({"error": "empty"})
    width = max(len(row) for _number, row in filled)
    (_number, header), *below = filled
    if not below:
        raise Refused(_("The file has a header and no rows below it."))
    titles = [str(title if title is not None else "").strip() for title in header + [None] * (width - len(header))]
    return Sheet(name, titles, [(number, row + [None] * (width - len(row))) for number, row in below])


def _refusal(facts: dict[str, Any]) -> Refused:
    sentences = {
        "kind": _("This is neither an Excel file (.xlsx) nor a CSV file."),
        "old": _("This is an old Excel file (.xls). Save it as .xlsx and send it again."),
        "encrypted": _("The file is protected by a password. Save it without one and send it again."),
        "macros": _("The file contains macros. Save it as .xlsx, without macros, and send it again."),
        "broken": _("The file is damaged or was not made by a spreadsheet program."),
        "large": _("The file is too large to be read safely once it is unpacked."),
        "text": _("The cells hold more text than can be imported at once."),
        "empty": _("The file is empty."),
        "rows": _("The file has more than %(count)s rows. Import it in parts.", count=f"{MOST_ROWS:,}"),
        "columns": _("The file has more than %(count)s columns.", count=MOST_COLUMNS),
        "formula": _(
            "%(cell)s: the formula has no value yet. Open the file in your spreadsheet program, save it, and send it "
            "again.",
            cell=facts.get("cell", ""),
        ),
    }
    return Refused(sentences.get(facts["error"], sentences["broken"]))


def letters(column: int) -> str:
    """The name of a column in a spreadsheet, counted from 0: A, B, … Z, AA."""
    name = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        name = chr(65 + rest) + name
    return name


# --- kept in the database until it is imported -------------------------------------------------------------------


def pack(sheet: Sheet) -> bytes:
    return packed({"name": sheet.name, "header": sheet.header, "rows": sheet.rows})


def unpack(kept: bytes) -> Sheet:
    found = unpacked(kept)
    return Sheet(found["name"], found["header"], [(number, row) for number, row in found["rows"]])


def packed(value: Any) -> bytes:
    return isal_zlib.compress(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(), 1)


def unpacked(kept: bytes) -> Any:
    return json.loads(isal_zlib.decompress(kept))

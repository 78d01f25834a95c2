"""Typed Excel files, and CSV, whose download starts at once and whose memory does not grow with the rows.

openpyxl builds the book: header, formats, widths, frozen pane, autofilter, *About*. Taking the rows too would cost it
hundreds of megabytes or eleven seconds per 100,000, so these go as XML straight into the data sheet of the zip.

Whoever reads a file back compares with `plain(text)`, not with the text itself: that is what a cell can hold.
"""

from __future__ import annotations

import csv
import math
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from decimal import Decimal
from io import BytesIO, StringIO
from itertools import chain, islice, repeat
from os import PathLike
from typing import Any, BinaryIO
from xml.sax.saxutils import escape

from babel.numbers import get_currency_precision
from isal import isal_zlib
from openpyxl import Workbook
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE, Cell
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.styles.numbers import BUILTIN_FORMATS
from openpyxl.utils import get_column_letter
from openpyxl.workbook.child import INVALID_TITLE_REGEX

MOST_ROWS = 1_048_575  # what an Excel sheet holds below its header
MOST_BYTES = 2**31 - 2**27  # of sheet XML: from 2 GiB on the zip needs its 64-bit form, which Excel wants to repair
MOST_CHARACTERS = 32_767  # in one cell, counted as UTF-16
MOST_DIGITS = 15  # Excel computes with doubles: what has more digits stays exact only as text
BATCH = 250  # rows per chunk, few enough that the other requests of a web worker hardly notice
SAMPLE = 100  # rows, of which the longest says how wide a column is

UNWRITABLE = re.compile(ILLEGAL_CHARACTERS_RE.pattern + "|[\ud800-\udfff\ufffe\uffff]")
LOOKS_CODED = re.compile("_(?=x[0-9A-Fa-f]{4}_)")
RUNS_IN_SPREADSHEETS = tuple("=+-@\t\r\n＝＋－＠")  # the full-width forms count as well
NUMBERS = {int, float, Decimal}
BETWEEN = "\x1f"  # no cell can hold it, so texts joined by it can be parted again

# The first two are shown as the reader's own country writes them. Everything that has no format here is text ("@"):
# a phone number or "=1+1" edited in Excel stays what the person typed.
FORMATS = {"date": BUILTIN_FORMATS[14], "moment": BUILTIN_FORMATS[22], "flag": "General", "number": "General"}
FIXED_WIDTHS = {"date": 12, "moment": 18, "flag": 10}
WIDEST = 60
DAY_ZERO, MARCH_1900 = 693_594, date(1900, 3, 1).toordinal()  # Excel believes in a 29 February before it

# What leads somewhere: nothing but plain addresses, since one that is none makes Excel want to repair the whole book.
_HOST, _REST = r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+", r"(?:[A-Za-z0-9._~:/?@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*"
LEADS = {
    "url": (re.compile(rf"https?://{_HOST}(?::[0-9]{{1,5}})?(?:[/?]{_REST})?(?:#{_REST})?"), ""),
    "email": (re.compile(rf"[A-Za-z0-9._+-]+@{_HOST}"), "mailto:"),
}
MOST_LINKS = 65_530  # that Excel takes in one sheet; the addresses behind them are text alone
LONGEST_LINK = 2_000
LINK_COLOR = "0563C1"
OFFICE = "http://schemas.openxmlformats.org"

DATA_SHEET, LINKS = "xl/worksheets/sheet1.xml", "xl/worksheets/_rels/sheet1.xml.rels"
OPENING = ("[Content_Types].xml", "_rels/.rels")  # first in the zip, where programs look to guess the type of a file


@dataclass(frozen=True)
class SheetColumn:
    label: str
    kind: str = "text"  # as app.ui.page.Column.kind
    currency: str = ""  # of every amount in a money column; empty where they differ
    decimals: int | None = None  # a number column without them shows each number with as many as it has

    @property
    def places(self) -> int | None:
        if self.kind != "money" or self.decimals is not None:
            return self.decimals
        return get_currency_precision(self.currency) if self.currency else 2


@dataclass(frozen=True)
class Notices:
    """What a file says about itself on *About*, in the person's language."""

    rows: str = "Rows"
    cut: tuple[str, str] = ("Incomplete", "An Excel sheet holds no more rows. Filter the list and export it in parts.")


def stream(
    columns: Sequence[SheetColumn],
    rows: Iterable[Sequence[Any]],
    *,
    sheet_title: str,
    about: Sequence[tuple[str, str]],
    about_title: str,
    flag_words: tuple[str, str] = ("Yes", "No"),
    notices: Notices = Notices(),
    zone: tzinfo | None = None,
) -> Iterator[bytes]:
    """An Excel file in chunks. The first rows are read at once, so that a failing query is still an error page."""
    first, rows = _started(rows)
    book = _Book(columns, first, sheet_title, about_title, about, notices)
    writers = [
        _ColumnWriter(column, get_column_letter(place), style, flag_words, zone, book.links)
        for place, (column, style) in enumerate(zip(columns, book.styles, strict=True), 1)
    ]
    return _zipped(book, writers, rows)


def write(
    target: str | PathLike[str] | BinaryIO, columns: Sequence[SheetColumn], rows: Iterable[Sequence[Any]], **book: Any
) -> None:
    """The same file to a path or an open file; `book` are the keywords of `stream`."""
    if isinstance(target, (str, PathLike)):
        with open(target, "wb") as file:
            return write(file, columns, rows, **book)
    for chunk in stream(columns, rows, **book):
        target.write(chunk)


def stream_csv(
    columns: Sequence[SheetColumn],
    rows: Iterable[Sequence[Any]],
    *,
    separator: str = ",",
    decimal_mark: str = ".",
    flag_words: tuple[str, str] = ("Yes", "No"),
    zone: tzinfo | None = None,
) -> Iterator[bytes]:
    """The same rows as CSV; the byte order mark tells Excel that it is UTF-8."""
    _, rows = _started(rows)

    def field(value: Any) -> str:
        text = _clean(_said(value, flag_words, zone))
        if type(value) in NUMBERS:
            return text.replace(".", decimal_mark)
        # CSV has no types: without the apostrophe, a spreadsheet would run what somebody typed as a name.
        return f"'{text}" if text.startswith(RUNS_IN_SPREADSHEETS) else text

    def lines() -> Iterator[bytes]:
        yield "\ufeff".encode()
        for batch in _batches(chain([[column.label for column in columns]], rows)):
            text = StringIO()
            csv.writer(text, delimiter=separator).writerows([field(value) for value in row] for row in batch)
            yield text.getvalue().encode()

    return lines()


def plain(text: str) -> str:
    """The text as a cell can hold it: no control characters, line breaks as Excel makes them, not too long."""
    text = _clean(text)
    if len(text) * 2 <= MOST_CHARACTERS:
        return text
    return text.encode("utf-16-le")[: MOST_CHARACTERS * 2].decode("utf-16-le", "ignore")


def _clean(text: str) -> str:
    if text.isprintable():
        return text
    return UNWRITABLE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def _started(rows: Iterable[Sequence[Any]]) -> tuple[list[Sequence[Any]], Iterator[Sequence[Any]]]:
    rows = iter(rows)
    first = list(islice(rows, SAMPLE))
    return first, chain(first, rows)


def _batches(rows: Iterator[Sequence[Any]]) -> Iterator[list[Sequence[Any]]]:
    while batch := list(islice(rows, BATCH)):
        yield batch


def _zipped(book: _Book, writers: list[_ColumnWriter], rows: Iterator[Sequence[Any]]) -> Iterator[bytes]:
    """The parts of the zip in the order they are known: what depends on the number of rows comes after them."""
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        parts = book.parts()
        for name in OPENING:
            archive.writestr(name, parts[name])

        with archive.open(DATA_SHEET, "w") as sheet:
            # The same deflate in a fifth of the time. Should a later zipfile call it otherwise, zlib's own stays.
            sheet._compressor = isal_zlib.compressobj(1, isal_zlib.DEFLATED, -zlib.MAX_WBITS)  # type: ignore[attr-defined]
            size, count = sheet.write(_around_rows(parts)[0]), 0
            yield pipe.take()
            for batch in _batches(islice(rows, MOST_ROWS)):
                size += sheet.write(_rows_xml(writers, batch, count + 2))
                count += len(batch)
                yield pipe.take()
                if size > MOST_BYTES:
                    break
            book.finish(count, cut=next(rows, None) is not None)
            parts = book.parts()
            sheet.write(book.links.put_into(_around_rows(parts)[1]))

        if book.links.count:
            archive.writestr(LINKS, book.links.part())
        for name in parts.keys() - {DATA_SHEET, *OPENING}:
            archive.writestr(name, parts[name])
    yield pipe.take()


class _Pipe:
    """The file a ZipFile writes to. It cannot seek, so sizes and checksums go behind the data, as a stream needs."""

    def __init__(self) -> None:
        self.written: list[bytes] = []

    def write(self, data: bytes) -> int:
        self.written.append(data)
        return len(data)

    def flush(self) -> None: ...

    def take(self) -> bytes:
        data = b"".join(self.written)
        self.written.clear()
        return data


def _around_rows(parts: dict[str, bytes]) -> tuple[bytes, bytes]:
    """What openpyxl writes before and after the rows, without the dimension, which would say that there are none."""
    head, end, tail = re.sub(rb"<dimension [^>]*/>", b"", parts[DATA_SHEET]).partition(b"</sheetData>")
    return head, end + tail


class _Links:
    """Which cells lead where: two parts of the book, growing as the rows are written, but not beyond `MOST_LINKS`."""

    def __init__(self) -> None:
        self.count, self._cells, self._targets = 0, bytearray(), bytearray()

    def add(self, cell: str, target: str) -> None:
        if self.count == MOST_LINKS:
            return
        self.count += 1
        self._cells += f'<hyperlink ref="{cell}" r:id="l{self.count}"/>'.encode()
        kind, target = f"{OFFICE}/officeDocument/2006/relationships/hyperlink", escape(target)
        self._targets += (
            f'<Relationship Id="l{self.count}" Type="{kind}" Target="{target}" TargetMode="External"/>'
        ).encode()

    def put_into(self, tail: bytes) -> bytes:
        """What comes behind the rows, with the links where the format wants them."""
        spelled = f'<hyperlinks xmlns:r="{OFFICE}/officeDocument/2006/relationships">'.encode()
        links = spelled + self._cells + b"</hyperlinks>" if self.count else b""
        return tail.replace(b"<pageMargins", links + b"<pageMargins", 1)

    def part(self) -> bytes:
        around = f'<Relationships xmlns="{OFFICE}/package/2006/relationships">'.encode()
        return around + self._targets + b"</Relationships>"


class _Book:
    """The workbook without its rows, as openpyxl makes it."""

    def __init__(
        self, columns: Sequence[SheetColumn], first: list[Sequence[Any]], title: str, about_title: str,
        about: Sequence[tuple[str, str]], notices: Notices,
    ) -> None:  # fmt: skip
        self.about_title, self.about, self.notices, self.links = about_title, about, notices, _Links()
        self.workbook = Workbook()
        self.workbook.properties.creator = "Kontor"
        self.sheet = self.workbook.active
        self.sheet.title = _sheet_title(title)
        self.sheet.freeze_panes = "A2"
        samples = zip(*first, strict=True) if first else [()] * len(columns)
        self.styles = [self._add(*column) for column in zip(range(1, len(columns) + 1), columns, samples, strict=True)]

    def _add(self, place: int, column: SheetColumn, samples: Sequence[Any]) -> int:
        """A header cell and the style of its column, which rows typed below the last one will have too."""
        header = _say(self.sheet.cell(1, place), column.label, bold=True)
        header.fill = PatternFill("solid", fgColor="DCE6F1")
        dimension = self.sheet.column_dimensions[get_column_letter(place)]
        dimension.width = _width(column, samples)
        dimension.number_format = _number_format(column)
        dimension.alignment = Alignment(vertical="top", wrap_text=column.kind == "long")
        if column.kind in LEADS:
            dimension.font = Font(name="Calibri", size=11, color=LINK_COLOR)
        return dimension.style_id

    def finish(self, count: int, *, cut: bool) -> None:
        self.sheet.auto_filter.ref = f"A1:{get_column_letter(len(self.styles))}{count + 1}"
        about = self.workbook.create_sheet(_sheet_title(self.about_title))
        about.column_dimensions["A"].width, about.column_dimensions["B"].width = 24, 80
        lines = [*self.about, (self.notices.rows, str(count)), *([self.notices.cut] if cut else [])]
        for row, (label, text) in enumerate(lines, 1):
            _say(about.cell(row, 1), label, bold=True)
            _say(about.cell(row, 2), text).alignment = Alignment(vertical="top", wrap_text=True)

    def parts(self) -> dict[str, bytes]:
        file = BytesIO()
        self.workbook.save(file)
        with zipfile.ZipFile(file) as archive:
            return {name: archive.read(name) for name in archive.namelist()}


def _say(cell: Cell, text: str, bold: bool = False) -> Cell:
    """Text stays text, although openpyxl would read "=" as a formula and "#N/A" as an error."""
    cell.value = _coded(plain(str(text)))
    cell.data_type = "s"
    cell.font = Font(name="Calibri", size=11, bold=bold)
    return cell


def _sheet_title(text: str) -> str:
    title = INVALID_TITLE_REGEX.sub(" ", plain(str(text)))[:30].strip("' \n\t") or "Sheet"
    return f"{title}_" if title.casefold() == "history" else title  # a name Excel keeps for itself


def _width(column: SheetColumn, samples: Sequence[Any]) -> int:
    def length(value: Any) -> int:
        text = "" if value is None else str(value)
        if isinstance(value, (int, float, Decimal)):  # with separators of thousands
            return len(text) * 4 // 3 + len(column.currency)
        return max(map(len, text.splitlines()), default=0)

    longest = FIXED_WIDTHS.get(column.kind) or max(map(length, samples), default=0) + 2
    with_filter_arrow = len(str(column.label)) + 4
    return min(max(longest, with_filter_arrow), WIDEST)


def _number_format(column: SheetColumn) -> str:
    if column.places is None or column.kind not in {"number", "money"}:
        return FORMATS.get(column.kind, "@")
    digits = f"#,##0.{'0' * column.places}".rstrip(".")
    return f'{digits} "{column.currency}"' if column.currency else digits


def _rows_xml(writers: list[_ColumnWriter], batch: list[Sequence[Any]], first: int) -> bytes:
    """A batch column by column; its pieces are put together once, which is twice as fast as cell by cell."""
    rows = [str(number) for number in range(first, first + len(batch))]
    by_column = zip(writers, zip(*batch, strict=True), strict=True)
    cells = [piece for writer, values in by_column for piece in writer.pieces(values, rows)]
    by_row = zip(repeat('<row r="'), rows, repeat('">'), *cells, repeat("</row>"))
    return "".join(chain.from_iterable(by_row)).encode()


class _ColumnWriter:
    """How the values of one column become cells: a whole batch at once where all are ordinary, else one by one."""

    def __init__(
        self, column: SheetColumn, letter: str, style: int, flag_words: tuple[str, str], zone: tzinfo | None,
        links: _Links,
    ) -> None:  # fmt: skip
        self.kind, self.flag_words, self.zone = column.kind, flag_words, zone
        self.letter, self.links, self.leads = letter, links, LEADS.get(column.kind)
        self.whole_digits = MOST_DIGITS - (column.places or 0)
        self.start, self.style = f'<c r="{letter}', f'" s="{style}"'

    def pieces(self, values: Sequence[Any], rows: list[str]) -> tuple[Iterable[str], ...]:
        """What the column's cells are made of, from left to right."""
        if self.leads and self.links.count < MOST_LINKS:
            self.link(values, rows, *self.leads)
        types = set(map(type, values)) - {type(None)}
        if types == {str} and (texts := _ordinary_texts(values)):
            opening, closing = f'{self.style} t="inlineStr"><is><t>', "</t></is></c>"
        elif (types <= NUMBERS and (texts := _ordinary_numbers(values, self.whole_digits))) or (
            types == {date} and self.kind == "date" and (texts := _ordinary_days(values))
        ):
            opening, closing = f"{self.style}><v>", "</v></c>"
        elif types == {datetime} and self.kind == "moment" and (texts := _ordinary_moments(values, self.zone)):
            opening, closing = f"{self.style}><v>", "</v></c>"
        elif types == {bool} and self.kind == "flag":
            texts = ["" if value is None else str(int(value)) for value in values]
            opening, closing = f'{self.style} t="b"><v>', "</v></c>"
        else:
            return ([self.cell(value, row) for value, row in zip(values, rows, strict=True)],)
        if all(texts):
            return repeat(self.start), rows, repeat(opening), texts, repeat(closing)
        start = self.start  # a local name, as the next line runs a million times
        pairs = zip(texts, rows, strict=True)
        return ([f"{start}{row}{opening}{text}{closing}" if text else "" for text, row in pairs],)

    def link(self, values: Sequence[Any], rows: list[str], pattern: re.Pattern[str], scheme: str) -> None:
        """Let the addresses among them lead there; a mask looks like one and is none."""
        for value, row in zip(values, rows, strict=True):
            if type(value) is str and len(value) <= LONGEST_LINK and pattern.fullmatch(value):
                self.links.add(f"{self.letter}{row}", f"{scheme}{value}")

    def cell(self, value: Any, row: str) -> str:
        match value:
            case None:
                return ""
            case datetime() if self.kind == "moment" and (local := _local(value, self.zone)).year >= 1900:
                return self.number(_serial_with_time(local), row)
            case datetime() if self.kind == "date":
                return self.cell(_local(value, self.zone).date(), row)
            case date() if self.kind in {"date", "moment"} and value.year >= 1900 and not isinstance(value, datetime):
                return self.number(_serial(value), row)
            case bool() if self.kind == "flag":
                return f'{self.start}{row}{self.style} t="b"><v>{int(value)}</v></c>'
            case str():
                return self.text(str(value), row)  # a Markup would escape what is put into it
            case Decimal() if value.is_finite() and -100 < value.adjusted() < self.whole_digits:
                return self.number(+value, row)  # 28 digits of it, more than any reader can use
            case float() if math.isfinite(value):
                return self.number(value, row)
            case int() if not isinstance(value, bool) and abs(value) < 10**MOST_DIGITS:
                return self.number(value, row)
        return self.text(_said(value, self.flag_words, self.zone), row)

    def number(self, digits: Any, row: str) -> str:
        return f"{self.start}{row}{self.style}><v>{digits!s}</v></c>"

    def text(self, text: str, row: str) -> str:
        text = plain(text)
        space = ' xml:space="preserve"' if text != text.strip() else ""
        return f'{self.start}{row}{self.style} t="inlineStr"><is><t{space}>{_markup(text)}</t></is></c>' if text else ""


def _ordinary_texts(values: Sequence[str | None]) -> list[str] | None:
    """As markup, unless one needs care of its own: for its characters, its length or the spaces at its ends."""
    joined = BETWEEN.join([value or "" for value in values])
    bare = joined.replace(BETWEEN, "")
    alike = bare.isprintable() and len(joined) - len(bare) == len(values) - 1 and len(joined) * 2 <= MOST_CHARACTERS
    padded = joined[:1] == " " or joined[-1:] == " " or f" {BETWEEN}" in joined or f"{BETWEEN} " in joined
    return _markup(joined).split(BETWEEN) if alike and not padded else None


def _ordinary_numbers(values: Sequence[float | Decimal | None], most_digits: int) -> list[str] | None:
    """As digits, unless one is long, is not a number or has an exponent."""
    texts = ["" if value is None else str(value) for value in values]
    return None if "".join(texts).strip("0123456789.-") or max(map(len, texts)) > most_digits else texts


def _ordinary_days(values: Sequence[date | None]) -> list[str] | None:
    if min(filter(None, values)).toordinal() < MARCH_1900:
        return None
    return ["" if value is None else str(value.toordinal() - DAY_ZERO) for value in values]


def _ordinary_moments(values: Sequence[datetime | None], zone: tzinfo | None) -> list[str] | None:
    moments = [value and _local(value, zone) for value in values]
    if min(filter(None, moments), key=datetime.date).toordinal() < MARCH_1900:
        return None
    return ["" if moment is None else _serial_with_time(moment) for moment in moments]


def _markup(text: str) -> str:
    return escape(_coded(text))


def _coded(text: str) -> str:
    """Excel reads "_x0041_" as "A", unless told that the underscore is one."""
    return LOOKS_CODED.sub("_x005F_", text) if "_x" in text else text


def _said(value: Any, flag_words: tuple[str, str], zone: tzinfo | None) -> str:
    match value:
        case str():
            return str(value)
        case None:
            return ""
        case bool():
            return flag_words[not value]
        case Decimal() if abs(value.adjusted()) < 100:  # beyond, 1E+999999999 would be a gigabyte of zeros
            return f"{value:f}"
        case datetime():
            return _local(value, zone).replace(tzinfo=None).isoformat(" ", "seconds")
        case list() | tuple():
            return ", ".join(_said(item, flag_words, zone) for item in value if item is not None)
    return str(value)


def _local(moment: datetime, zone: tzinfo | None) -> datetime:
    try:
        return moment.astimezone(zone) if moment.tzinfo and zone else moment
    except OverflowError:  # somebody's "for ever", 31 December 9999
        return moment


def _serial(day: date) -> int:
    ordinal = day.toordinal()
    return ordinal - DAY_ZERO - (ordinal < MARCH_1900)


def _serial_with_time(moment: datetime) -> str:
    seconds = moment.hour * 3600 + moment.minute * 60 + moment.second + moment.microsecond / 1e6
    return f"{_serial(moment) + seconds / 86400:.10f}"

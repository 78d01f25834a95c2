"""Export: the list as it stands on the screen, row by row into a typed Excel file or CSV (X-3).

The same `Listing` that draws the page yields the rows; `workbook` writes them while they come: into the answer while
the person waits, or into a file that the worker makes (`jobs.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator
from contextvars import copy_context
from dataclasses import dataclass
from datetime import date
from itertools import chain
from typing import Any
from zoneinfo import ZoneInfo

from flask import Response, current_app, g, request, stream_with_context
from flask_babel import force_locale, get_locale
from flask_babel import gettext as _

from .. import clock
from ..models import Export, Member
from ..services import exports
from ..tenancy import acting
from . import saved_views, workbook
from .columns import Field
from .formats import CODES, local, shown, time_zone
from .listing import Listing

MOST_AT_ONCE = 200_000  # rows in a download; a longer list is made by the worker
A_ROW, A_CELL = {"xlsx": 20, "csv": 45}, {"xlsx": 8.6, "csv": 10}  # bytes that these usually take in a file
MIMES = {
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "csv": "text/csv; charset=utf-8",
}


@dataclass(frozen=True)
class Sheet:
    """A list on its way into a file."""

    listing: Listing
    fields: list[Field]
    title: str
    noun: str
    format: str = "xlsx"

    @property
    def filter(self) -> str:
        """What narrows the list, in words."""
        return "; ".join(f"{chip.label} {chip.value}" for chip in self.listing.chips())

    @property
    def filters(self) -> dict[str, str] | str:
        """The same as each reader of the history is to read it."""
        said = {}
        for language in current_app.config["LANGUAGES"]:
            with force_locale(language):
                said[language] = self.filter
        return said if any(said.values()) else ""

    @property
    def size(self) -> int:
        """About how many bytes it will have: how far it is can be told from that."""
        row = A_ROW[self.format] + A_CELL[self.format] * len(self.fields)
        return round(self.listing.count() * row)

    def name(self) -> str:
        return name_of(self.title, self.format, clock.today(time_zone()))


def name_of(title: str, format: str, day: date) -> str:
    """What the person's computer calls the file."""
    stem = re.sub(r"[^\w-]+", "-", title.lower()).strip("-")
    return f"{stem}-{day.isoformat()}.{format}"


def download(sheet: Sheet) -> Response:
    """Stream the list's rows, all of them; a line of history is left before the first byte."""
    with acting(g.scope):
        exports.note(sheet.noun, filter=sheet.filters, format=sheet.format)
    chunks, rows = written(sheet)
    answer = Response(stream_with_context(chunks), content_type=MIMES[sheet.format])
    answer.call_on_close(rows.close)  # also when nobody reads to the end
    answer.headers["X-Size-About"] = str(sheet.size)
    answer.headers.set("Content-Disposition", "attachment", filename=sheet.name())
    return answer


def later(sheet: Sheet, view: str, *, by: Member) -> Export:
    """Leave it to the worker, who asks the view with the same address again."""
    return exports.ask(
        title=sheet.title, noun=sheet.noun, filter=sheet.filters, by=by, view=view, query=request.query_string.decode(),
        format=sheet.format, locale=str(get_locale()), total=sheet.listing.count(),
    )  # fmt: skip


def written(
    sheet: Sheet, tell: Callable[[int], None] | None = None
) -> tuple[Iterator[bytes], Generator[list[Any], None, None]]:
    """The file in chunks, and the rows it is made of, to be closed when nobody reads on. `tell` hears how many."""
    batches = _apart(_rows(sheet.listing, sheet.fields), tell)
    rows = chain.from_iterable(batches)
    columns = [workbook.SheetColumn(str(f.label), _kind(f), f.currency) for f in sheet.fields]
    said: dict[str, Any] = {"flag_words": (_("Yes"), _("No")), "zone": ZoneInfo(time_zone())}
    if sheet.format == "csv":
        marks = {"separator": ";", "decimal_mark": ","} if str(get_locale()).startswith("de") else {}
        return workbook.stream_csv(columns, rows, **marks, **said), batches
    notices = workbook.Notices(
        rows=_("Rows"),
        cut=(_("Incomplete"), _("An Excel sheet holds no more rows. Filter the list and export it in parts.")),
    )
    about = {"about": _about(sheet), "about_title": _("About this file"), "notices": notices}
    return workbook.stream(columns, rows, sheet_title=sheet.title, **about, **said), batches


def _kind(field: Field) -> str:
    return "choice" if field.kind in CODES else field.kind


def _rows(listing: Listing, fields: list[Field]) -> Generator[list[Any], None, None]:
    """The values of every row, some hundred at a time, read in a unit of work that lasts as long as the download.

    They are read and made column by column: no row becomes an object unless some column asks for it.
    """
    parts = {field.name: field.parts or (listing.model,) for field in fields}
    wanted = [*dict.fromkeys(part for some in parts.values() for part in some)]
    with acting(g.scope, writes=False):
        for found in listing.all_values(*wanted):
            columns = dict(zip(wanted, found, strict=True))
            made = (field.plain(*(columns[part] for part in parts[field.name])) for field in fields)
            yield [*zip(*made, strict=True)]


def _apart(
    batches: Generator[list[Any], None, None], tell: Callable[[int], None] | None = None
) -> Generator[list[Any], None, None]:
    """Draw the rows in a context of their own: between two batches the request goes on in its own unit of work."""
    context, number = copy_context(), 0
    try:
        while (batch := context.run(next, batches, None)) is not None:
            number += len(batch)
            if tell is not None:
                tell(number)
            yield batch
    finally:
        context.run(batches.close)


def _view_of(sheet: Sheet) -> list[tuple[str, str]]:
    """The saved view it was exported from, where it was one."""
    name = saved_views.name_of(sheet.listing)
    return [(_("View"), name)] if name else []


def _about(sheet: Sheet) -> list[tuple[str, str]]:
    facts = [
        (_("Account"), g.scope.account_name),
        (_("List"), sheet.title),
        *_view_of(sheet),
        (_("Filter"), sheet.filter or _("none")),
        (_("Exported by"), g.scope.actor),
        (_("Exported at"), shown(local(clock.now()), "moment")),
    ]
    return facts + [(str(field.label), str(field.note)) for field in sheet.fields if field.note]

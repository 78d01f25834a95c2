"""Export: the list as it stands on the screen, row by row into a typed Excel file (X-3).

The same `Listing` that draws the page yields the rows; `workbook` writes them while they come.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from contextvars import copy_context
from typing import Any
from zoneinfo import ZoneInfo

from flask import Response, current_app, g, stream_with_context
from flask_babel import force_locale
from flask_babel import gettext as _

from .. import clock
from ..audit import record
from ..tenancy import acting
from . import workbook
from .columns import Field
from .formats import CODES, local, shown, time_zone
from .listing import Listing

MIME = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def download(listing: Listing, *, title: str, noun: str) -> Response:
    """Stream the list's rows, all of them; a line of history is left before the first byte."""
    fields = list(listing.fields.values())
    with acting(g.scope):
        record(f"{noun}.exported", filter=_filter_in_every_language(listing))
    rows = _apart(_rows(listing, fields))
    book = workbook.stream(
        [workbook.SheetColumn(str(f.label), "choice" if f.kind in CODES else f.kind, f.currency) for f in fields],
        rows,
        sheet_title=title,
        about=_about(listing, title),
        about_title=_("About this file"),
        flag_words=(_("Yes"), _("No")),
        notices=workbook.Notices(
            rows=_("Rows"),
            cut=(_("Incomplete"), _("An Excel sheet holds no more rows. Filter the list and export it in parts.")),
        ),
        zone=ZoneInfo(time_zone()),
    )
    stem = re.sub(r"[^\w-]+", "-", title.lower())
    name = f"{stem}-{clock.today(time_zone()).isoformat()}.xlsx"
    answer = Response(stream_with_context(book), mimetype=MIME)
    answer.call_on_close(rows.close)  # also when nobody reads to the end
    answer.headers.set("Content-Disposition", "attachment", filename=name)
    return answer


def _rows(listing: Listing, fields: list[Field]) -> Generator[list[Any], None, None]:
    """The values of every row, read in a unit of work that lasts as long as the download."""
    with acting(g.scope, writes=False):
        for row in listing.all_rows():
            yield [field.plain(row) for field in fields]


def _apart(rows: Generator[Any, None, None]) -> Generator[Any, None, None]:
    """Draw the rows in a context of their own: between two of them the request goes on in its own unit of work."""
    context = copy_context()
    try:
        while (row := context.run(next, rows, None)) is not None:
            yield row
    finally:
        context.run(rows.close)


def _about(listing: Listing, title: str) -> list[tuple[str, str]]:
    return [
        (_("Account"), g.scope.account_name),
        (_("List"), title),
        (_("Filter"), _filter_words(listing) or _("none")),
        (_("Exported by"), g.scope.actor),
        (_("Exported at"), shown(local(clock.now()), "moment")),
    ]


def _filter_in_every_language(listing: Listing) -> dict[str, str] | str:
    """The filter as each reader of the history is to read it."""
    said = {}
    for language in current_app.config["LANGUAGES"]:
        with force_locale(language):
            said[language] = _filter_words(listing)
    return said if any(said.values()) else ""


def _filter_words(listing: Listing) -> str:
    return "; ".join(f"{chip.label} {chip.value}" for chip in listing.chips())

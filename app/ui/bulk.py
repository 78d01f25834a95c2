"""A verb on all rows that match: found again by the list's address, done in parts, each row by its own rules.

Unlike a verb on chosen rows it is no matter of all or nothing: among thousands some will be refused, and are named.
Each part is committed by itself, so that others can write in between; this is the one place besides the edge that does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from flask_babel import gettext as _
from flask_babel import ngettext
from sqlalchemy import inspect, select

from ..errors import Refused
from ..extensions import db
from .listing import Listing

MOST = 10_000  # rows at once
PART = 200
NAMED = 8  # of those refused, in the message

Deed = Callable[[list[Any]], Any]


class Outcome(NamedTuple):
    """How many rows it was done to, and of the others how they are called and why not."""

    done: int
    refused: list[tuple[str, str]]


def on_all(listing: Listing, deed: Deed, *, offered: Callable[[Any], bool] | None, agreed: int) -> Outcome:
    """Do it to every row the list has. `agreed` is the number of them the person was asked about.

    Raises `Refused` before anything is done: where it would be too many, or others than agreed.
    """
    keys = list(db.session.scalars(listing.finding.keys().limit(MOST + 1)))
    if len(keys) > MOST:
        raise Refused(_("At most %(count)s rows at once; filter the list further.", count=MOST))
    if len(keys) != agreed:
        raise Refused(_("Meanwhile other rows match than those you were asked about. Look at them and try again."))
    done, refused = 0, []
    for first in range(0, len(keys), PART):
        rows = _rows(listing.model, keys[first : first + PART])
        wrong = _done_to(rows, deed, offered)
        done, refused = done + len(rows) - len(wrong), refused + wrong
        db.session.commit()
    return Outcome(done, refused)


def _rows(model: type, keys: list[int]) -> list[Any]:
    return list(db.session.scalars(select(model).where(inspect(model).primary_key[0].in_(keys))))


def _done_to(rows: list[Any], deed: Deed, offered: Callable[[Any], bool] | None) -> list[tuple[str, str]]:
    """Do it to those it is offered for; the others, and those a rule refuses, with the reason."""
    fit = [row for row in rows if offered is None or offered(row)]
    others = [(str(row), _("It cannot be done to this row.")) for row in rows if row not in fit]
    return [*others, *_tried(fit, deed)]


def _tried(rows: list[Any], deed: Deed) -> list[tuple[str, str]]:
    """All together; where one of them is refused, each half by itself."""
    if not rows:
        return []
    try:
        with db.session.begin_nested():
            deed(rows)
            db.session.flush()
    except Refused as refusal:
        if len(rows) == 1:
            return [(str(rows[0]), refusal.sentence)]
        half = len(rows) // 2
        return _tried(rows[:half], deed) + _tried(rows[half:], deed)
    return []


def told(outcome: Outcome, label: str) -> Iterator[tuple[str, str]]:
    """What is said afterwards: (sentence, tone)."""
    if outcome.done:
        said = ngettext("%(deed)s: done to one row.", "%(deed)s: done to %(num)s rows.", outcome.done, deed=label)
        yield said, "success"
    if outcome.refused:
        yield _refusals(outcome.refused, label), "warning"


def _refusals(refused: list[tuple[str, str]], label: str) -> str:
    count, more = len(refused), len(refused) - NAMED
    said = ngettext("%(deed)s: not done to one row.", "%(deed)s: not done to %(num)s rows.", count, deed=label)
    named = [f"{name}: {sentence}"[:160] for name, sentence in refused[:NAMED]]
    rest = [ngettext("and one more", "and %(num)s more", more)] if more > 0 else []
    return " ".join([said, *named, *rest])

"""Which columns a list shows, and in which order: `cols=name,city,prop_3` in its address."""

from __future__ import annotations

from collections.abc import Iterable

from flask_babel import ngettext
from werkzeug.datastructures import MultiDict

from .columns import Field
from .page import ColumnChoice

LONGEST = 4_000  # characters that are looked at


def usual(available: dict[str, Field]) -> dict[str, Field]:
    """The columns as long as nobody has chosen others."""
    return {name: field for name, field in available.items() if field.usual}


def chosen(args: MultiDict[str, str], available: dict[str, Field], notices: list[str]) -> dict[str, Field]:
    """The columns the address asks for. What is not there is left out with a message; the usual ones are not named."""
    asked = list(dict.fromkeys(name for name in ",".join(args.getlist("cols"))[:LONGEST].split(",") if name))
    found = {name: available[name] for name in asked if name in available}
    if missing := len(asked) - len(found):
        notices.append(
            ngettext(
                "One column of this view is no longer there and was left out.",
                "%(num)s columns of this view are no longer there and were left out.",
                missing,
            )
        )
    is_usual = list(found) in ([], list(usual(available)))
    args.setlist("cols", [] if is_usual else [",".join(found)])
    return usual(available) if is_usual else found


def choices(shown: Iterable[str], available: dict[str, Field]) -> tuple[ColumnChoice, ...]:
    """What the dialog *Columns* offers: those shown, in their order, then the others."""
    shown = list(shown)
    hidden = [name for name in available if name not in shown]
    return tuple(ColumnChoice(name, str(available[name].label), name in shown) for name in (*shown, *hidden))

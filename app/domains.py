"""Domain names: where an instance answers."""

from __future__ import annotations

import idna
from flask_babel import gettext as _

from .errors import Refused

LONGEST = 253


def check(text: str) -> str:
    """A domain as it is kept: in small letters, umlauts in the spelling the net uses (`xn--…`), without a final dot.

    Raises `Refused`, at the field `domain`, for what is none.
    """
    text = text.strip().rstrip(".")
    if not text:
        raise Refused(_("Please fill this in."), field="domain")
    try:
        name = idna.encode(text, uts46=True, std3_rules=True, transitional=False).decode()
    except (idna.IDNAError, UnicodeError) as error:
        raise _refused() from error
    labels = name.split(".")
    if len(labels) < 2 or labels[-1].isdecimal() or len(name) > LONGEST:
        raise _refused()
    return name


def shown(name: str) -> str:
    """As people write it: `xn--kstenfunk-75a.example` is `küstenfunk.example`."""
    try:
        return idna.decode(name)
    except (idna.IDNAError, UnicodeError):
        return name


def _refused() -> Refused:
    return Refused(_("This is not a domain. One looks like shop.example.com, without https://."), field="domain")

"""Passwords: what is accepted as one, how it is kept, how it is compared. Argon2id, by argon2-cffi."""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from flask import current_app
from flask_babel import gettext as _

from .errors import Refused

SHORTEST, LONGEST = 10, 200
COMMON = Path(__file__).parent / "data" / "common-passwords.txt"
# OWASP's parameters for Argon2id; a hash takes well under 100 ms and 46 MiB.
TIME_COST, MEMORY_COST, LANES = 1, 47104, 1


def hashed(password: str) -> str:
    """What is kept of a password. Takes a moment on purpose: never call it with the database locked."""
    return _hasher().hash(_normal(password))


def fits(password: str, kept: str | None) -> bool:
    """Whether it is the password. Takes as long when there is none to compare with, so that time tells nothing."""
    try:
        right = _hasher().verify(kept or _nobodys(), _normal(password))
    except (VerificationError, InvalidHashError):
        return False
    return right and bool(kept)


def is_outdated(kept: str) -> bool:
    """Whether it was hashed with other parameters than today's, and wants hashing anew."""
    return _hasher().check_needs_rehash(kept)


def accept(password: str, *, email: str, names: Iterable[str] = (), field: str = "password") -> None:
    """Refuse what is too short, too long, too common, or made of the person's address or company."""
    password = _normal(password)
    if len(password) < SHORTEST:
        raise Refused(_("Use at least %(count)s characters.", count=SHORTEST), field=field)
    if len(password) > LONGEST:
        raise Refused(_("Use at most %(count)s characters.", count=LONGEST), field=field)
    if is_common(password):
        raise Refused(_("This password is too easy to guess. Choose a less common one."), field=field)
    plain = _letters(password)
    own = [email.partition("@")[0], *names]
    if any(len(word) > 3 and word in plain for word in map(_core, own)):
        raise Refused(_("Leave your e-mail address and the name of your company out of the password."), field=field)


def is_common(password: str) -> bool:
    """Whether it is on the list, also with digits for letters, something put around it, or said twice."""
    folded = password.casefold()
    half = folded[: len(folded) // 2]
    if len(set(folded)) < 4 or folded == half * 2 and is_common(half):
        return True
    guesses = {folded, _without_ends(folded)}
    guesses |= {guess.translate(_LOOKALIKES) for guess in guesses}
    return not _common().isdisjoint(guesses)


_LOOKALIKES = str.maketrans("0134578@$!", "oieastbasi")
_LEGAL_FORMS = re.compile(r"\b(gmbh|ag|kg|ohg|ug|se|ltd|limited|inc|llc|plc)\b|& co\b")


def _without_ends(folded: str) -> str:
    """The word in the middle of "!!password2026"."""
    return re.sub(r"^[\W\d_]{1,6}|[\W\d_]{1,6}$", "", folded)


@lru_cache(maxsize=1)
def _common() -> frozenset[str]:
    lines = COMMON.read_text(encoding="utf-8").splitlines()
    return frozenset(line for line in lines if line and not line.startswith("#"))


def _normal(password: str) -> str:
    """The same characters, however a keyboard composes them."""
    return unicodedata.normalize("NFKC", password)


def _core(name: str) -> str:
    """What is left of a company's name without its legal form."""
    return _letters(_LEGAL_FORMS.sub("", name.casefold()))


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))


def _hasher() -> PasswordHasher:
    settings = current_app.config
    return _hasher_with(
        settings.get("ARGON2_TIME_COST", TIME_COST), settings.get("ARGON2_MEMORY_COST", MEMORY_COST), LANES
    )


@lru_cache(maxsize=4)
def _hasher_with(time_cost: int, memory_cost: int, lanes: int) -> PasswordHasher:
    return PasswordHasher(time_cost=time_cost, memory_cost=memory_cost, parallelism=lanes)


def _nobodys() -> str:
    return _nobodys_with(_hasher())


@lru_cache(maxsize=4)
def _nobodys_with(hasher: PasswordHasher) -> str:
    """A hash to compare with where there is none; nobody knows the password."""
    return hasher.hash(secrets.token_hex())

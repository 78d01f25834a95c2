"""What is asked for twice under one key is done once, and answered twice (security 5.6).

The answer is kept in the transaction of the deed: both are there, or neither. What was refused left nothing behind,
and may be tried again under the same key.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import NamedTuple

from flask_babel import gettext as _
from sqlalchemy import delete, func, select

from . import clock
from .errors import Conflict, Refused
from .extensions import db, is_sqlite
from .models import ApiAnswer
from .tenancy import current_scope

KEPT = timedelta(hours=24)


class Mismatch(Refused):
    """The key stands for a request that said something else."""


class Question(NamedTuple):
    """Who asks where under which key, and a hash of what they say."""

    caller: str
    route: str
    key: str
    said: str


def answered(question: Question) -> ApiAnswer | None:
    """The answer given before, if there is one; from here to the commit nobody else works on the same question.

    Raises `Conflict` while somebody else works on it, and `Mismatch` when it was another question. On SQLite whoever
    comes second waits: one unit of work writes at a time.
    """
    if not is_sqlite() and not db.session.scalar(_lock(question)):
        raise Conflict(_("A request under this idempotency key is still being worked on."))
    caller, route, key, said = question
    given = db.session.scalar(
        select(ApiAnswer).where(
            ApiAnswer.account_id == current_scope().account_id,
            ApiAnswer.caller == caller,
            ApiAnswer.route == route,
            ApiAnswer.key == key,
        )
    )
    if given is not None and given.at <= clock.now() - KEPT:
        db.session.delete(given)
        db.session.flush()
        return None
    if given is not None and given.request_hash != said:
        raise Mismatch(_("This idempotency key was used for another request."))
    return given


def keep(question: Question, *, status: int, location: str, body: str) -> None:
    """Keep the answer for whoever asks again."""
    caller, route, key, said = question
    answer = ApiAnswer(caller=caller, route=route, key=key, request_hash=said, at=clock.now())
    answer.account_id, answer.status, answer.location, answer.body = current_scope().account_id, status, location, body
    db.session.add(answer)
    db.session.flush()


def forget_old(most: int) -> int:
    """Clear away some of what nobody asks again for, at most so many; how many it were (`jobs.py`)."""
    old = select(ApiAnswer.id).where(ApiAnswer.at <= clock.now() - KEPT).limit(most)
    return db.session.execute(
        delete(ApiAnswer).where(ApiAnswer.id.in_(old)), execution_options={"synchronize_session": False}
    ).rowcount


def _lock(question: Question) -> object:
    """PostgreSQL's lock on the question, until the transaction ends; taken or not, never waited for."""
    asked = "\n".join([str(current_scope().account_id), question.caller, question.route, question.key])
    number = int.from_bytes(hashlib.sha256(asked.encode()).digest()[:8], "big", signed=True)
    return select(func.pg_try_advisory_xact_lock(number))

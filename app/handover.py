"""What pages and the worker tell each other, besides what stands in the database.

The worker is told of work once it is committed, and never before: `hand_over("export", 12)`. Such a call may get lost
with the worker that took it; whatever is handed over is found again by the clockwork (`jobs.py`). How far it is with
work that is one long transaction it tells through the queue, a store of its own: nobody waits for the other's locks.
"""

from __future__ import annotations

from typing import Any

from flask import current_app
from sqlalchemy import event

from .extensions import Session, db
from .tenancy import unscoped


def hand_over(job: str, number: int | str) -> None:
    """Let the worker begin with it as soon as it is committed."""
    db.session.info.setdefault("handed_over", []).append((job, number))


@event.listens_for(Session, "after_commit")
def _tell_the_worker(session: Session) -> None:
    for job, number in session.info.pop("handed_over", []):
        current_app.extensions[job](number)


@event.listens_for(Session, "after_rollback")
def _forget(session: Session) -> None:
    session.info.pop("handed_over", None)


def worker_unit(*, writes: bool = True) -> Any:
    """The worker's unit of work where it acts for nobody in particular: it looks for work, claims it, settles it."""
    return unscoped("the worker works for every account", writes=writes)


def as_told(row: Any) -> dict[str, Any]:
    """A row as the API tells it, for what is sent to programs; how, the API says itself (`api.register`)."""
    return current_app.extensions["as_told"][type(row)](row)


def tell_progress(job: str, number: int, done: int, total: int) -> None:
    current_app.extensions["jobs"].put(f"{job}-{number}", [done, total])


def progress_of(job: str, number: int) -> tuple[int, int]:
    """How much is done, and of how much; (0, 0) where nobody has said."""
    done, total = current_app.extensions["jobs"].get(f"{job}-{number}", peek=True) or (0, 0)
    return done, total

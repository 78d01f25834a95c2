"""The worker's part in imports: one unit of work behind the person's own wall, done as a whole or not at all."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

from flask_babel import force_locale
from flask_babel import gettext as _
from sqlalchemy.exc import IntegrityError

from .bulk import keeping_all
from .errors import Refused
from .extensions import look_at
from .handover import tell_progress, worker_unit
from .models import Account, AccountImport, ImportKind, Member, PropertyValue, SearchedText
from .services import imports
from .tenancy import acting, scope_for

log = logging.getLogger(__name__)
MANY = 1_000  # new accounts at once, after which the database had better look at its tables


def run_due() -> None:
    """Every import that waits for a worker, or has lost its own."""
    with worker_unit(writes=False):
        waiting = imports.due()
    for import_id in waiting:
        run(import_id)


def run(import_id: int) -> None:
    """Claim, write or take back; where it is refused, say why."""
    with worker_unit():
        import_ = imports.claim(import_id)
        member = imports.who_answers(import_) if import_ else None
        scope = scope_for(member) if member else None
    if import_ is None:
        return
    with force_locale(import_.locale):
        _try(import_, scope)


def _try(import_: AccountImport, scope: Any) -> None:
    try:
        _do(import_, scope)
    except imports.Stopped:
        log.info("import %s is somebody else's by now", import_.id)
    except Refused as refusal:
        _give_back(import_, refusal.sentence)
    except IntegrityError:
        _give_back(import_, _faster(import_))
    except Exception:
        log.exception("import %s failed", import_.id)
        _give_back(import_, _("Something went wrong. Nothing was changed."))


def _do(import_: AccountImport, scope: Any) -> None:
    if scope is None:
        raise Refused(imports.not_allowed(import_.kind))
    tell = partial(tell_progress, "import", import_.id)
    with keeping_all(), acting(scope, writes=False) as session, force_locale(import_.locale):
        by = session.get(Member, scope.member_id)
        prepared = imports.prepare(import_.id, attempt=import_.attempts, by=by, tell=tell)
    with keeping_all(), acting(scope) as session, force_locale(import_.locale):
        by = session.get(Member, scope.member_id)
        imports.write(import_.id, prepared, attempt=import_.attempts, by=by)
    if len(prepared.opening) >= MANY:
        with worker_unit() as session:
            look_at(session, *(model.__tablename__ for model in (Account, PropertyValue, SearchedText)))


def _faster(import_: AccountImport) -> str:
    if import_.kind is ImportKind.ACCOUNT:
        return _("Somebody was faster: a name has been given to another account meanwhile.")
    return _("Somebody was faster: the same has been done meanwhile. Check the file again.")


def _give_back(import_: AccountImport, sentence: str) -> None:
    with worker_unit():
        imports.give_back(import_.id, sentence)

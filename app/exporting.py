"""The worker's part in exports: the list as the person saw it, written to a file while they go on (X-3).

The view is asked once more with the address it had, behind the person's own wall, in their language and time zone, and
with the rights they have now.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from flask import current_app, g
from flask_babel import force_locale
from flask_babel import gettext as _

from . import files
from .extensions import writing
from .handover import worker_unit
from .models import Export, Member
from .pages.exports import view_named
from .services import exports
from .tenancy import enter, scope_for
from .ui.acting import Identity
from .ui.export import written

log = logging.getLogger(__name__)
SIGN_OF_LIFE = 1.0  # seconds between two


def make_due() -> None:
    """Every export that waits for a worker, or has lost its own."""
    with worker_unit(writes=False):
        waiting = exports.due()
    for export_id in waiting:
        make(export_id)


def make(export_id: int) -> None:
    """Claim, write, settle; no unit of work that writes is open while the file grows."""
    with worker_unit():
        export = exports.claim(export_id)
        member = exports.who_asked(export) if export else None
        scope = scope_for(member) if member else None
    if export is None:
        return
    draft = files.draft_of(export.file, export.attempts)
    try:
        if member is None:
            return _fail(export, _no_longer_allowed(export), for_good=True)
        with _as_if_asked(export, member, scope):
            count = _write(export, draft)
        draft.replace(files.path_of(export.file))
        with worker_unit():
            exports.finish(export, written=count, size=files.path_of(export.file).stat().st_size)
    except exports.Stopped:
        log.info("export %s was stopped", export_id)
    except Exception as error:  # a full disk, a fault: the person learns that there is no file
        log.exception("export %s failed", export_id)
        _fail(export, type(error).__name__)
    finally:
        draft.unlink(missing_ok=True)


def _fail(export: Export, sentence: str, *, for_good: bool = False) -> None:
    with worker_unit():
        exports.fail(export, sentence, for_good=for_good)


def _no_longer_allowed(export: Export) -> str:
    with force_locale(export.locale):
        return _("You may no longer export this list.")


@contextmanager
def _as_if_asked(export: Export, member: Member, scope: Any) -> Iterator[None]:
    """The request that asked for it, as far as a view looks at one."""
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    slug = member.account.slug
    address = {"SCRIPT_NAME": f"/a/{slug}", "kontor.slug": slug}
    asked = app.test_request_context(
        "/exports/add", base_url=app.config["PUBLIC_URL"], query_string=export.query, environ_overrides=address
    )
    mode = writing.set(False)
    try:
        with app.app_context(), asked, force_locale(export.locale):
            g.identity, g.scope = Identity(member.user, 0, (member,)), scope
            enter(scope)
            yield
    finally:
        writing.reset(mode)


def _write(export: Export, draft: Any) -> int:
    """Write the file and tell how far it is; the number of rows in it."""
    sheet = view_named(export.view).sheet()
    counted = [0]

    def count(number: int) -> None:
        counted[0] = number

    chunks, rows = written(sheet, count)
    alive = _signs_of_life(export)
    try:
        with open(draft, "wb") as file:
            for chunk in chunks:
                file.write(chunk)
                alive(counted[0])
    finally:
        rows.close()
    return counted[0]


def _signs_of_life(export: Export) -> Callable[[int], None]:
    last = time.monotonic()

    def tell(number: int) -> None:
        nonlocal last
        if time.monotonic() - last >= SIGN_OF_LIFE:
            with worker_unit():
                exports.go_on(export, number)
            last = time.monotonic()

    return tell

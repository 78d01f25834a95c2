"""The one verb of contacts: shown to somebody for whom they are masked, an account at a time, for the record (X-11)."""

from __future__ import annotations

from datetime import timedelta

from flask_babel import gettext as _
from sqlalchemy import func, select

from .. import clock
from ..audit import record
from ..errors import Refused
from ..extensions import db
from ..models import Account, LogEntry, Member

AN_HOUR = timedelta(hours=1)
MOST = 20  # accounts in an hour: enough to work with, too few to copy a list by clicking


def reveal(account: Account, *, by: Member) -> None:
    """Note that a person is shown an account's contacts. Raises `Refused` where it was too often in the last hour.

    The history is what counts them, so that nothing can be shown that it does not tell.
    """
    db.session.execute(select(Member.id).where(Member.id == by.id).with_for_update())  # one at a time, of a person
    theirs = (LogEntry.action == "contact.revealed", LogEntry.actor_id == by.user_id)
    lately = select(func.count(LogEntry.id)).where(*theirs, LogEntry.at > clock.now() - AN_HOUR)
    if db.session.scalar(lately) >= MOST:
        raise Refused(
            _("You have revealed the contacts of %(count)s accounts within an hour; wait a while.", count=MOST)
        )
    record("contact.revealed", account)
    db.session.flush()

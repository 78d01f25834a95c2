"""The clockwork on one page (decision 8): what runs by itself, how often, and the worker that runs it.

Every job can run twice and on two machines at once: it claims its work by a conditional update (`outbox.claim`).
The queue is SQLite beside the database; with JOBS_URL it is Redis or PostgreSQL, and workers run anywhere.
"""

from __future__ import annotations

import logging
import smtplib
from typing import Any

from flask import Flask, current_app
from flask_mail import Connection
from flask_mail import Message as Mail
from huey import MemoryHuey, RedisHuey, SqliteHuey, crontab
from huey.api import Huey
from huey.consumer import Consumer
from huey.contrib.sql_huey import SqlHuey

from . import announcing, exporting, idempotency, importing, limits, outbox, tokens
from .extensions import db
from .handover import worker_unit
from .models import Message, Token
from .services import (
    conversions,
    deliveries,
    exports,
    imports,
    licenses,
    orders,
    relationships,
    signin,
    subscription_clock,
    upfront,
)
from .services.properties import Misfits

log = logging.getLogger(__name__)
SMTP_TIMEOUT = 10  # seconds
AT_ONCE, MOST_ROUNDS = 500, 2_000  # rows cleared away in one transaction, and transactions in one night
FORGETTING = (
    limits.forget_old, relationships.forget_old, tokens.forget_old, signin.forget_old_logins, idempotency.forget_old,
    exports.forget_old, imports.forget_old, deliveries.forget_old,
)  # fmt: skip


def init_app(app: Flask) -> None:
    """Give the application its queue and the jobs in it."""
    queue = _queue(app)
    app.extensions["jobs"] = queue
    app.extensions |= _tasks(app, queue)
    _wind_up(app, queue)


def _tasks(app: Flask, queue: Huey) -> dict[str, Any]:
    """What is done as soon as it is asked for, by name."""

    @queue.task()
    def deliver(message_id: int) -> None:
        """One message, as soon as it is committed."""
        with app.app_context():
            deliver_now(message_id)

    @queue.task()
    def convert(definition_id: int) -> None:
        """The many values of one property, as soon as that is asked for."""
        with app.app_context():
            convert_now(definition_id)

    @queue.task()
    def export(export_id: int) -> None:
        """A list somebody wants as a file, as soon as they have asked for it."""
        with app.app_context():
            exporting.make(export_id)

    @queue.task()
    def import_(import_id: int) -> None:
        """A file somebody has looked at and wants written, or taken back."""
        with app.app_context():
            importing.run(import_id)

    @queue.task()
    def announce(event_id: str) -> None:
        """Something that has happened to an order: who wants to know."""
        with app.app_context():
            announcing.announce(event_id)

    @queue.task()
    def deliver_to(webhook_id: int) -> None:
        """What is due for one webhook."""
        with app.app_context():
            announcing.deliver_to(webhook_id)

    return {
        "deliver": deliver, "convert": convert, "export": export, "import": import_, "announce": announce,
        "deliver_to": deliver_to,
    }  # fmt: skip


def _wind_up(app: Flask, queue: Huey) -> None:
    """What is done by the clock."""

    @queue.periodic_task(crontab(minute="*"))
    def every_minute() -> None:
        """Whatever waits for another try, or was left behind; relationships that end, and who is told of it."""
        with app.app_context():
            deliver_due()
            convert_due()
            importing.run_due()
            exporting.make_due()
            announcing.announce_due()
            with worker_unit():
                relationships.note_ended()
            with worker_unit():
                upfront.tell_of_new()

    @queue.periodic_task(crontab(hour="3", minute="10"))
    def every_night() -> None:
        """What has only been counted is forgotten, and so are logins and secrets long past, and yesterday's files."""
        with app.app_context():
            clear_away()

    @queue.periodic_task(crontab(minute="20"))
    def every_hour() -> None:
        """What has ended, and of what people are reminded: somewhere it is always just past midnight."""
        with app.app_context(), worker_unit():
            licenses.note_expired()
        with app.app_context(), worker_unit():
            subscription_clock.run()
        with app.app_context(), worker_unit():
            orders.release_domains()


def clear_away() -> None:
    """Delete what nobody needs any more, a few rows at a time: nobody waits long for the database meanwhile."""
    for forget in FORGETTING:
        for _round in range(MOST_ROUNDS):
            with worker_unit():
                cleared = forget(AT_ONCE)
            if cleared < AT_ONCE:
                break


def _queue(app: Flask) -> Huey:
    url = app.config["JOBS_URL"]
    if url.startswith(("redis://", "rediss://")):
        return RedisHuey("kontor", url=url)
    if url.startswith(("postgresql://", "postgres://")):
        return SqlHuey("kontor", database=url)
    if app.testing:
        return MemoryHuey("kontor")
    return SqliteHuey("kontor", filename=str(app.config["DATA_DIR"] / "jobs.db"), fsync=True)


def work() -> None:
    """Run the worker until it is stopped."""
    consumer: Consumer = current_app.extensions["jobs"].create_consumer(workers=4, initial_delay=0.2, max_delay=2.0)
    consumer.run()


# --- properties ------------------------------------------------------------------------------------------------


def convert_due() -> None:
    """Every conversion that waits, or was left behind."""
    with worker_unit(writes=False):
        waiting = conversions.due()
    for definition_id in waiting:
        convert_now(definition_id)


def convert_now(definition_id: int) -> None:
    """Claim, look at all values with the progress noted, then write all of them or none."""
    with worker_unit():
        if not conversions.claim(definition_id):
            return
    last: int | None = 0
    while last is not None:
        with worker_unit():
            last = conversions.look(definition_id, last)
    try:
        with worker_unit():
            conversions.finish(definition_id)
    except Misfits as misfits:
        with worker_unit():
            conversions.fail(definition_id, misfits.found)


# --- mail ------------------------------------------------------------------------------------------------------


def deliver_due() -> None:
    """Send every message whose turn it is."""
    if not outbox.is_sending():
        return
    with worker_unit(writes=False):
        waiting = outbox.due()
    for message_id in waiting:
        deliver_now(message_id)


def deliver_now(message_id: int) -> None:
    """Claim, send, settle: three steps in three transactions, none of them open while the mail server talks."""
    with worker_unit():
        message = outbox.claim(message_id)
        letter = _letter(message) if message else None
    if message is None or letter is None:
        return
    try:
        _send(letter)
    except Exception as error:  # whatever a mail server or a network can think of
        log.warning("message %s not sent: %s", message_id, type(error).__name__)
        with worker_unit():
            outbox.not_sent(message_id, message.attempts, _in_words(error), for_good=_is_final(error))
    else:
        with worker_unit():
            outbox.sent(message_id, message.attempts)


def _letter(message: Message) -> Mail:
    text, html = outbox.bodies(message, db.session.get(Token, message.token_id) if message.token_id else None)
    letter = Mail(subject=message.subject, recipients=[message.recipient], body=text, html=html)
    letter.msgId = message.message_id  # the same on every try, so that a mailbox can tell a repetition
    letter.extra_headers = {"Auto-Submitted": "auto-generated", "Content-Language": message.locale}
    return letter


def _send(letter: Mail) -> None:
    with _TimedConnection(current_app.extensions["mail"]) as connection:
        connection.send(letter)


class _TimedConnection(Connection):
    """Flask-Mail's connection with a time limit on its socket; its own would wait for ever."""

    def configure_host(self) -> smtplib.SMTP:
        kind = smtplib.SMTP_SSL if self.mail.use_ssl else smtplib.SMTP
        host = kind(self.mail.server, self.mail.port, timeout=SMTP_TIMEOUT)
        if self.mail.use_tls:
            host.starttls()
        if self.mail.username and self.mail.password:
            host.login(self.mail.username, self.mail.password)
        return host


def _is_final(error: Exception) -> bool:
    """Whether the server has said no for good (5xx) to this very message."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(code >= 500 for code, _text in error.recipients.values())
    return isinstance(error, smtplib.SMTPDataError | smtplib.SMTPSenderRefused) and error.smtp_code >= 500


def _in_words(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return "; ".join(f"{code} {text.decode(errors='replace')}" for code, text in error.recipients.values())
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{error.smtp_code} {error.smtp_error.decode(errors='replace') if error.smtp_error else ''}".strip()
    return f"{type(error).__name__}: {error}"

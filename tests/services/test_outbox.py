"""Mail: written with the deed, sent by the worker, over a real SMTP conversation; nothing lost, nothing twice."""

from __future__ import annotations

import re
import socket
import threading
from datetime import timedelta
from email import message_from_bytes
from email.header import decode_header, make_header

import pytest
import time_machine
from aiosmtpd.controller import Controller
from sqlalchemy import select

from app import clock, jobs, outbox
from app.extensions import db
from app.models import Message, MessageStatus
from app.tenancy import unscoped
from tests.cast import account_id, acting_as, apart, browse
from tests.signing import Tab


class Mailbox:
    """A mail server that keeps what it gets, or answers as it is told."""

    def __init__(self) -> None:
        self.letters: list = []
        self.answer = "250 OK"

    async def handle_DATA(self, _server, _session, envelope) -> str:
        if self.answer.startswith("250"):
            self.letters.append(message_from_bytes(envelope.content))
        return self.answer


@pytest.fixture
def mailbox(app):
    box = Mailbox()
    controller = Controller(box, hostname="127.0.0.1", port=_free_port())
    controller.start()
    _point_at(app, controller.port)
    yield box
    controller.stop()
    _point_at(app, None)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _point_at(app, port) -> None:
    app.config["MAIL_SERVER"] = "127.0.0.1" if port else ""
    state = app.extensions["mail"]
    state.server, state.port, state.suppress = "127.0.0.1", port, False


def write(person) -> int:
    with acting_as(person) as by:
        message = outbox.write(
            "password_changed", to="bob@kuestenfunk.example", locale="de", account_id=by.account_id,
            name="Bob", device="Firefox", ip="127.0.0.1",
        )  # fmt: skip
    return message.id


def state_of(message_id: int) -> Message:
    with unscoped("looking at a message", writes=False) as session:
        return session.scalar(select(Message).where(Message.id == message_id))


def test_a_message_is_sent_in_the_recipients_language_as_text_and_html(mailbox, bob):
    message_id = write(bob)

    jobs.deliver_due()

    (letter,) = mailbox.letters
    assert letter["To"] == "bob@kuestenfunk.example"
    assert letter["Content-Language"] == "de"
    assert {part.get_content_type() for part in letter.walk()} >= {"text/plain", "text/html"}
    assert state_of(message_id).status is MessageStatus.SENT


def test_a_message_of_a_deed_that_failed_is_never_sent(mailbox, bob):
    with pytest.raises(RuntimeError), acting_as(bob) as by:
        outbox.write(
            "password_changed", to="x@y.example", locale="en", account_id=by.account_id, name="X", device="", ip=""
        )
        raise RuntimeError("the deed fails")

    jobs.deliver_due()

    assert mailbox.letters == []


def test_a_passing_refusal_is_tried_again_later(mailbox, bob):
    message_id = write(bob)
    mailbox.answer = "451 Try again later"
    jobs.deliver_due()
    assert state_of(message_id).status is MessageStatus.WAITING
    assert "451" in state_of(message_id).error

    mailbox.answer = "250 OK"
    jobs.deliver_due()
    assert mailbox.letters == []  # not yet: its time has not come
    with time_machine.travel(clock.now() + timedelta(seconds=31), tick=False):
        jobs.deliver_due()

    assert len(mailbox.letters) == 1
    assert state_of(message_id).status is MessageStatus.SENT


def test_a_final_refusal_is_visible_and_can_be_sent_again(mailbox, bob):
    message_id = write(bob)
    mailbox.answer = "550 No such person"
    jobs.deliver_due()
    assert state_of(message_id).status is MessageStatus.FAILED
    assert "550" in state_of(message_id).error

    mailbox.answer = "250 OK"
    with acting_as(bob):
        outbox.resend(db.session.get(Message, message_id))
    jobs.deliver_due()

    assert state_of(message_id).status is MessageStatus.SENT


def test_a_server_that_is_away_loses_nothing(app, bob):
    _point_at(app, _free_port())
    message_id = write(bob)

    jobs.deliver_due()
    _point_at(app, None)

    assert state_of(message_id).status is MessageStatus.WAITING


def test_a_server_that_stays_silent_does_not_hold_the_worker_for_ever(app, bob, monkeypatch):
    monkeypatch.setattr(jobs, "SMTP_TIMEOUT", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        _point_at(app, silent.getsockname()[1])
        message_id = write(bob)
        jobs.deliver_due()
    _point_at(app, None)

    assert state_of(message_id).status is MessageStatus.WAITING
    assert "timed out" in state_of(message_id).error


def test_workers_at_the_same_time_send_a_message_once(app, mailbox, bob):
    message_id = write(bob)
    start = threading.Barrier(6)

    def deliver() -> None:
        with app.app_context():
            start.wait()
            jobs.deliver_now(message_id)

    threads = [threading.Thread(target=apart, args=(deliver,)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(mailbox.letters) == 1


def test_a_message_left_behind_by_a_dead_worker_is_sent_after_its_lease(mailbox, bob):
    message_id = write(bob)
    with unscoped("a worker that dies after claiming"):
        outbox.claim(message_id)

    jobs.deliver_due()
    assert mailbox.letters == []
    with time_machine.travel(clock.now() + outbox.LEASE + timedelta(seconds=1), tick=False):
        jobs.deliver_due()

    assert len(mailbox.letters) == 1


def test_without_a_mail_server_nothing_is_sent_and_nothing_is_lost(app, bob):
    message_id = write(bob)

    jobs.deliver_due()

    assert state_of(message_id).status is MessageStatus.WAITING


def test_the_partner_above_does_not_see_a_customers_messages(alice, bob):
    write(bob)

    with acting_as(alice):
        assert db.session.scalars(select(Message).where(Message.account_id == account_id("kuestenfunk"))).all() == []


def test_an_invitation_arrives_and_its_link_leads_into_the_account(app, mailbox, bob):
    browse(bob).post("/invitations/add", data={"email": "nina@new.example", "role": "sales"})

    jobs.deliver_due()
    (letter,) = mailbox.letters
    link = _link_in(letter)
    about_her = {"first_name": "Nina", "last_name": "Neu", "locale": "de"}
    password = {"password": "fjord und elbe 7", "repeat": "fjord und elbe 7"}
    answer = Tab(app).post(link, **about_her, **password)

    assert letter["To"] == "nina@new.example"
    assert str(make_header(decode_header(letter["Subject"]))) == "Bob Brandt invites you to Küstenfunk"
    html = next(part for part in letter.walk() if part.get_content_type() == "text/html")
    assert f'href="http://localhost{link}"' in html.get_payload(decode=True).decode()
    assert answer.location == "/a/kuestenfunk/"


def test_an_invitation_the_mail_server_refuses_is_seen_and_sent_again_with_the_same_link(app, mailbox, bob):
    mailbox.answer = "550 No such person"
    browse(bob).post("/invitations/add", data={"email": "nina@new.example", "role": "sales"})
    jobs.deliver_due()
    assert "550 No such person" in browse(bob).get("/outbox/list/").text

    mailbox.answer = "250 OK"
    with acting_as(bob):
        outbox.resend(db.session.scalars(select(Message)).one())
    jobs.deliver_due()

    (letter,) = mailbox.letters
    assert Tab(app).get(_link_in(letter)).status_code == 200


def _link_in(letter) -> str:
    text = next(part for part in letter.walk() if part.get_content_type() == "text/plain")
    return re.search(r"http://localhost(/join/\S+)", text.get_payload(decode=True).decode())[1]

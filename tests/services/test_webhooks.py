"""Webhooks: who is told of which order, signed, tried again, and never told more than they may see."""

from __future__ import annotations

import base64
import json
import threading
from datetime import timedelta
from email.utils import format_datetime

import pytest
import time_machine
from sqlalchemy import func, select

from app import announcing, clock
from app.api_orders import OrderApi
from app.errors import Refused
from app.extensions import db
from app.models import (
    Consent,
    DeliveryStatus,
    EventKind,
    LogEntry,
    Message,
    Order,
    Outcome,
    Role,
    Webhook,
    WebhookDelivery,
    WebhookEvent,
    WebhookStatus,
)
from app.outgoing import Answer
from app.services import deliveries, offers, orders, webhooks
from app.tenancy import carry, hold_the_tree, unscoped
from tests import buying, linking
from tests.cast import ALICE, BOB, CHARLIE, DORA, FRIDA, account_called, acting_as, apart, hire, program
from tests.receiving import EVERY, hook, is_signed, log, receiver, webhook, work


@pytest.fixture
def post(app):
    with receiver() as listening:
        yield listening


def ordered(slug="kuestenfunk", *, by=ALICE, **facts):
    return buying.placed(buying.plan_of(), slug=slug, by=by, **facts)


def another():
    """An order of another customer's, of whom no e-mail is known."""
    return buying.placed(buying.plan_of(key="other"), slug="deichbau", domain="deichbau.example", to_customer=False)


def later(after=timedelta(days=2)):
    return time_machine.travel(clock.now() + after, tick=False)


# --- what is told, and to whom -----------------------------------------------------------------------------------


def test_an_order_is_told_signed_and_as_the_api_tells_it(post):
    number, secret = hook(post.url)
    order = ordered()
    work()

    (got,) = post.got
    told = json.loads(got["body"])
    assert is_signed(got, secret)
    assert (told["type"], got["path"]) == ("order.placed", "/kontor?from=tests")
    asked = program(ALICE).get(f"/api/v1/order/{order}").json["result"]
    lines = program(ALICE, name="Other").get(f"/api/v1/order/{order}?q=(columns:!(lines))").json["result"]
    assert told["data"]["order"] == asked | lines
    assert told["data"]["order"]["account"]["name"] == "Küstenfunk"
    (delivery,) = log()
    assert (delivery.status, delivery.code, delivery.answer) == (DeliveryStatus.DELIVERED, 200, "thank you")
    assert got["headers"]["webhook-id"] == delivery.message_id and "." not in delivery.message_id
    assert webhook(number).delivered_at


@pytest.mark.parametrize("what", ["body", "id", "timestamp", "secret"])
def test_whatever_is_changed_on_the_way_the_signature_no_longer_fits(post, what):
    _number, secret = hook(post.url)
    ordered()
    work()
    (got,) = post.got

    if what == "body":
        got["body"] += b" "
    elif what == "secret":
        secret = "whsec_" + base64.b64encode(bytes(32)).decode()
    else:
        got["headers"][f"webhook-{what}"] += "0"

    assert not is_signed(got, secret)


def test_every_step_of_an_order_is_told_in_its_order(post):
    hook(post.url)
    order = ordered()
    (task,) = buying.tasks(order)
    buying.work("take", task)
    buying.work("fail", task, reason="No room in the data center")
    buying.work("retry", task)
    buying.work("take", task)
    buying.work("put_back", task)
    buying.work("take", task)
    buying.work("fulfil", task)
    work()

    assert post.events == [
        "order.placed", "order.in_fulfilment", "order.line_failed", "order.failed", "order.put_back",
        "order.in_fulfilment", "order.put_back", "order.in_fulfilment", "order.line_fulfilled", "order.completed",
    ]  # fmt: skip
    told = [json.loads(one["body"])["data"] for one in post.got]
    assert [one["order"]["status"] for one in told][:3] == ["placed", "in-fulfilment", "in-fulfilment"]
    assert told[3]["order"]["reason"] == "No room in the data center" and told[2]["line"] == 1
    assert told[-1]["order"]["lines"][0] == told[-1]["order"]["lines"][0] | {"position": 1, "status": "fulfilled"}


def test_a_cancelled_order_is_told(post):
    hook(post.url, events=["order.cancelled"])
    order = ordered()
    with acting_as(ALICE) as by:
        orders.cancel(db.session.get(Order, order), reason="A mistake", by=by)
    work()

    assert post.events == ["order.cancelled"]
    assert json.loads(post.got[0]["body"])["data"]["order"]["reason"] == "A mistake"


def test_what_is_told_is_the_order_as_it_was_then(post):
    hook(post.url)
    order = ordered()
    buying.fulfilled(order)
    work()

    assert json.loads(post.got[0]["body"])["data"]["order"]["status"] == "placed"


def test_a_deed_that_fails_is_never_told(post):
    hook(post.url)
    order = buying.draft(buying.plan_of(), slug="kuestenfunk")
    with pytest.raises(RuntimeError), acting_as(ALICE) as by:
        row = db.session.get(Order, order)
        orders.place(row, seen=str(offers.of(row, by=by).amount.gross), by=by)
        raise RuntimeError("the deed fails")
    work()

    assert post.got == [] and log() == []




def test_accounts_above_hear_of_it_and_strangers_do_not(post):
    hook(post.url, by=DORA, name="Operator")
    hook(post.url, by=ALICE, name="Partner")
    hook(post.url, by=FRIDA, name="Beneath, elsewhere")
    hook(post.url, by=CHARLIE, name="Stranger")
    ordered()
    work()

    with unscoped("whom it went to", writes=False) as session:
        names = session.scalars(select(Webhook.name).join(WebhookDelivery, WebhookDelivery.webhook_id == Webhook.id))
        assert sorted(names) == ["Operator", "Partner"]
    assert len(post.got) == 2


def test_a_partner_linked_by_consent_hears_nothing_of_orders_that_were_not_agreed_on(post):
    linking.link(CHARLIE, BOB.email, Consent.SUBSCRIPTIONS)
    hook(post.url, by=CHARLIE)
    ordered()
    with unscoped("who may be interested", writes=False):
        (event,) = deliveries.untold()
        asking = deliveries.interested(event)
    work()

    assert len(asking) == 1  # asked, and found not to see it
    assert post.got == [] and log() == []


def test_a_partner_linked_by_consent_hears_of_the_clients_orders(post):
    linking.link(CHARLIE, BOB.email, Consent.ORDERS)
    hook(post.url, events=["order.placed"], by=CHARLIE)
    ordered()
    work()

    assert post.events == ["order.placed"]


def test_of_the_events_only_those_it_asked_for_are_told(post):
    hook(post.url, events=["order.completed", "order.line_fulfilled"])
    buying.fulfilled(ordered())
    work()

    assert post.events == ["order.line_fulfilled", "order.completed"]


def test_a_webhook_is_not_told_what_was_before_it(post):
    ordered()
    with later(timedelta(seconds=1)):
        hook(post.url)
    work()

    assert log() == []


def test_events_are_gone_once_it_is_known_whom_to_tell(post):
    hook(post.url)
    ordered()
    work()

    with unscoped("what is left", writes=False) as session:
        assert session.scalar(select(func.count()).select_from(WebhookEvent)) == 0


def test_nobody_who_acts_reads_what_waits_to_be_told(post):
    ordered()

    for person in (DORA, ALICE, BOB):
        with acting_as(person, writes=False):
            assert db.session.scalars(select(WebhookEvent)).all() == []


def test_an_order_that_moves_out_of_sight_before_it_is_told_is_not_told(post):
    hook(post.url)
    post.code = 500
    ordered()
    work()
    with unscoped("Küstenfunk goes to another partner"):
        child, parent = account_called("kuestenfunk"), account_called("alpenwerk")
        hold_the_tree(child, parent)
        carry(child, parent)
    post.got.clear()
    post.code = 200
    with later():
        work()

    (delivery,) = log()
    assert post.got == []
    assert (delivery.status, delivery.outcome) == (DeliveryStatus.FAILED, Outcome.HIDDEN)


def test_an_archived_account_is_told_nothing(post):
    hook(post.url)
    ordered()
    with unscoped("Nordlicht is put away"):
        account_called("nordlicht").archived_at = clock.now()
    work()

    assert post.got == []


def test_no_column_of_an_order_is_a_contact(app):
    """What is told is written with the deed, by whoever acts; so there must be nothing in it that a mask changes."""
    told = app.extensions["as_told"][Order].__self__
    assert isinstance(told, OrderApi)
    assert not [name for name, field in told.fields().items() if field.contact]


# --- tries -------------------------------------------------------------------------------------------------------


def test_what_goes_wrong_is_tried_again_under_the_same_id(post):
    hook(post.url)
    post.code = 500
    post.answer = b"\x00 out of \x1b[31m order"
    ordered()
    work()
    (delivery,) = log()
    assert (delivery.status, delivery.code, delivery.outcome) == (DeliveryStatus.WAITING, 500, Outcome.REFUSED)
    assert delivery.answer == "out of  [31m order"
    assert timedelta(seconds=40) < delivery.next_try_at - clock.now() < timedelta(seconds=75)

    work()
    assert len(post.got) == 1  # not yet
    post.code = 204
    with later(timedelta(seconds=76)):
        work()

    first, second = post.got
    assert first["headers"]["webhook-id"] == second["headers"]["webhook-id"]
    assert first["headers"]["webhook-timestamp"] != second["headers"]["webhook-timestamp"]
    assert first["body"] == second["body"]
    (delivery,) = log()
    assert (delivery.status, delivery.attempts) == (DeliveryStatus.DELIVERED, 2)
    assert [one["code"] for one in delivery.tries] == [500, 204]


def test_pauses_grow_and_come_to_an_end(post, monkeypatch):
    monkeypatch.setattr(deliveries, "PATIENCE", timedelta(days=60))
    hook(post.url)
    post.code = 503
    ordered()
    pauses = []
    for _try in range(len(deliveries.RETRY_AFTER)):
        work()
        (delivery,) = log()
        pauses.append(delivery.next_try_at - clock.now())
        clock.move(pauses[-1] + timedelta(seconds=1))
    work()

    (delivery,) = log()
    assert delivery.status is DeliveryStatus.FAILED and delivery.next_try_at is None
    assert len(post.got) == len(deliveries.RETRY_AFTER) + 1
    for pause, planned in zip(pauses, deliveries.RETRY_AFTER, strict=True):
        assert planned * 0.79 < pause < planned * 1.21
    assert timedelta(days=2) < sum(pauses, timedelta(0)) < timedelta(days=4)


def in_http(moment):
    return format_datetime(moment, usegmt=True)


@pytest.mark.parametrize("code", [429, 503])
@pytest.mark.parametrize(
    ("asked", "least", "most"),
    [
        (lambda: "3600", timedelta(hours=1), timedelta(hours=1)),
        (lambda: in_http(clock.now() + timedelta(hours=2)), timedelta(hours=2), timedelta(hours=2)),
        (lambda: "9" * 30, timedelta(days=1), timedelta(days=1)),  # no longer than that, whatever is asked
        (lambda: in_http(clock.now() + timedelta(days=400)), timedelta(days=1), timedelta(days=1)),
        (lambda: "1", timedelta(seconds=48), timedelta(seconds=72)),  # no sooner than we should have come anyway
        (lambda: "-5", timedelta(seconds=48), timedelta(seconds=72)),
        (lambda: in_http(clock.now() - timedelta(days=1)), timedelta(seconds=48), timedelta(seconds=72)),
        (lambda: "tomorrow", timedelta(seconds=48), timedelta(seconds=72)),
        (lambda: "²", timedelta(seconds=48), timedelta(seconds=72)),
    ],
    ids=["seconds", "date", "for ever", "next year", "at once", "negative", "past", "words", "superscript"],
)
def test_a_busy_receiver_says_when_to_come_back(post, code, asked, least, most):
    hook(post.url)
    post.code = code
    ordered()
    with time_machine.travel(clock.now().replace(microsecond=0), tick=False):
        post.headers = {"Retry-After": asked().encode().decode("latin-1")}
        work()

        assert least <= log()[0].next_try_at - clock.now() <= most


def test_only_who_is_busy_is_asked_when_to_come_back(post):
    hook(post.url)
    post.code, post.headers = 500, {"Retry-After": "3600"}
    ordered()
    work()

    assert log()[0].next_try_at - clock.now() < timedelta(minutes=2)


def test_what_else_waits_for_a_busy_receiver_waits_as_long(post):
    hook(post.url)
    hook(post.url + "&other", name="Other")
    post.code = 500
    ordered()
    work()
    another()
    post.code, post.headers = 429, {"Retry-After": "3600"}
    clock.move(timedelta(seconds=30))
    work()
    assert len(post.got) == 4
    post.code, post.headers = 200, {}

    clock.move(timedelta(minutes=58))
    work()
    assert len(post.got) == 4

    clock.move(timedelta(minutes=3))
    work()
    assert len(post.got) == 8 and {one.status for one in log()} == {DeliveryStatus.DELIVERED}


@pytest.mark.parametrize("code", [301, 302, 307, 400, 401, 404, 429, 500])
def test_only_a_2xx_is_a_yes_and_no_redirect_is_followed(post, code):
    hook(post.url)
    post.code, post.headers = code, {"Location": post.url}
    ordered()
    work()

    assert len(post.got) == 1
    assert (log()[0].outcome, log()[0].code) == (Outcome.REFUSED, code)


def test_a_receiver_that_fails_for_days_is_left_alone_and_its_administrators_are_told(post):
    number, _secret = hook(post.url)
    hire("anton@nordlicht.example", "nordlicht", Role.ADMINISTRATOR, "Anton Ahrens")
    post.code = 500
    ordered()
    work()
    clock.move(deliveries.PATIENCE + timedelta(seconds=1))
    other = another()
    work()

    assert webhook(number).status is WebhookStatus.STOPPED
    assert {delivery.status for delivery in log()} == {DeliveryStatus.FAILED}
    with unscoped("who was written to", writes=False) as session:
        told = session.scalars(select(Message).where(Message.subject.contains("Warehouse"))).all()
        lines = session.scalars(select(LogEntry).where(LogEntry.action == "webhook.stopped")).all()
    assert sorted(message.recipient for message in told) == ["alice@nordlicht.example", "anton@nordlicht.example"]
    assert f"/a/nordlicht/webhooks/show/{number}" in told[0].body_text
    assert len(lines) == 1 and lines[0].inside

    buying.fulfilled(other)
    before = len(post.got)
    work()
    assert len(post.got) == before  # nothing more, until somebody switches it on


def test_a_success_in_between_counts(post):
    number, _secret = hook(post.url)
    post.code = 500
    ordered()
    work()
    assert webhook(number).failing_since
    clock.move(timedelta(hours=1))
    post.code = 200
    work()

    assert webhook(number).failing_since is None


def test_a_receiver_that_is_gone_is_believed_at_once(post):
    number, _secret = hook(post.url)
    post.code = 410
    ordered()
    work()

    assert webhook(number).status is WebhookStatus.STOPPED and len(post.got) == 1


def test_a_worker_that_dies_between_sending_and_noting_sends_again_under_the_same_id(post):
    number, _secret = hook(post.url)
    ordered()
    announcing.announce_due()
    with unscoped("a worker that sends and dies"):
        call = deliveries.claim(number)
    announcing.post(call.url, call.body, call.headers)

    work()
    assert len(post.got) == 1  # its lease is not over
    with later(deliveries.LEASE + timedelta(seconds=1)):
        work()

    assert len(post.got) == 2 and len({one["headers"]["webhook-id"] for one in post.got}) == 1
    assert log()[0].status is DeliveryStatus.DELIVERED


def test_a_worker_that_comes_back_too_late_changes_nothing(post):
    number, _secret = hook(post.url)
    ordered()
    announcing.announce_due()
    with unscoped("a worker that is slow"):
        slow = deliveries.claim(number)
    with later(deliveries.LEASE + timedelta(seconds=1)):
        work()
    with unscoped("and comes back"):
        deliveries.settle(slow.delivery_id, slow.attempt, Answer(Outcome.TIMEOUT))

    assert (log()[0].status, len(log()[0].tries)) == (DeliveryStatus.DELIVERED, 1)


def test_workers_at_the_same_time_spread_and_send_once(app, post):
    number, _secret = hook(post.url)
    ordered()
    with unscoped("what is to be told", writes=False):
        (event,) = deliveries.untold()
    start = threading.Barrier(5)

    def tell():
        with app.app_context():
            start.wait()
            announcing.announce(event)
            announcing.deliver_to(number)

    threads = [threading.Thread(target=apart, args=(tell,)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(log()) == 1 and len(post.got) == 1


# --- the verbs ---------------------------------------------------------------------------------------------------


def test_a_delivery_is_sent_again_by_hand_under_its_id(post):
    hook(post.url)
    ordered()
    work()
    with acting_as(ALICE):
        webhooks.replay(db.session.scalars(select(WebhookDelivery)).one())
    work()

    first, second = post.got
    assert first["headers"]["webhook-id"] == second["headers"]["webhook-id"]
    assert log()[0].attempts == 2


def test_what_waits_is_not_put_in_line_twice(post):
    hook(post.url)
    post.code = 500
    ordered()
    work()

    with acting_as(ALICE), pytest.raises(Refused, match="waiting"):
        webhooks.replay(db.session.scalars(select(WebhookDelivery)).one())


def test_a_test_event_arrives_and_only_one_is_under_way(post):
    number, secret = hook(post.url)
    with acting_as(ALICE):
        webhooks.send_test(db.session.get(Webhook, number))
        with pytest.raises(Refused, match="on its way"):
            webhooks.send_test(db.session.get(Webhook, number))
    work()

    assert post.events == ["webhook.test"] and is_signed(post.got[0], secret)


def test_off_it_hears_nothing_and_what_waits_is_over(post):
    number, _secret = hook(post.url)
    post.code = 500
    ordered()
    work()
    with acting_as(ALICE):
        webhooks.switch_off(db.session.get(Webhook, number))
    assert (log()[0].status, log()[0].outcome) == (DeliveryStatus.FAILED, Outcome.OFF)
    post.got.clear()
    with later():
        another()
        work()
    assert post.got == []

    with acting_as(ALICE), pytest.raises(Refused, match="switch it on"):
        webhooks.replay(db.session.scalars(select(WebhookDelivery)).one())
    with acting_as(ALICE):
        webhooks.switch_on(db.session.get(Webhook, number))
        webhooks.replay(db.session.scalars(select(WebhookDelivery)).one())
    post.code = 200
    work()
    assert post.events == ["order.placed"]


def test_a_new_secret_signs_at_once_and_the_former_for_a_day(post):
    number, former = hook(post.url)
    with acting_as(ALICE):
        secret = webhooks.renew_secret(db.session.get(Webhook, number))
        webhooks.send_test(db.session.get(Webhook, number))
    work()
    assert secret != former and is_signed(post.got[0], secret) and is_signed(post.got[0], former)

    with later(webhooks.OVERLAP):
        with acting_as(ALICE):
            webhooks.replay(db.session.scalars(select(WebhookDelivery)).one())
        work()
    assert is_signed(post.got[1], secret) and not is_signed(post.got[1], former)


def test_the_secret_stands_nowhere(post):
    number, secret = hook(post.url)
    raw = base64.b64decode(secret.removeprefix("whsec_"))

    assert len(raw) == 32
    with unscoped("everything there is of it", writes=False) as session:
        row = session.get(Webhook, number)
        kept = [str(getattr(row, column.name)) for column in Webhook.__table__.columns]
        kept += [str(line.changes) for line in session.scalars(select(LogEntry))]
    assert not [one for one in kept if secret[6:] in one or raw.hex() in one or row.nonce in one and one != row.nonce]


def test_history_names_the_host_and_not_the_address(post):
    with acting_as(ALICE) as by:
        made = webhooks.add("ERP", url="https://erp.example.com/hooks/a-secret-of-its-own", events=EVERY, by=by)
        webhooks.change(made, name="ERP", url="https://new.example.com/another-secret", events=EVERY[:1], by=by)
        webhooks.remove(made)

    with acting_as(ALICE):
        lines = db.session.scalars(
            select(LogEntry).where(LogEntry.subject_type == "webhook").order_by(LogEntry.id)
        ).all()
    assert [line.action for line in lines] == ["webhook.added", "webhook.changed", "webhook.removed"]
    assert lines[1].changes["host"] == ["erp.example.com", "new.example.com"]
    assert all(line.inside for line in lines)
    assert "secret" not in str([line.changes for line in lines])


@pytest.mark.parametrize(
    "facts, field",
    [
        ({"name": "  "}, "name"), ({"name": "x" * 81}, "name"), ({"name": " warehouse "}, "name"),
        ({"events": []}, "events"), ({"events": ["order.eaten"]}, "events"), ({"events": ["webhook.test"]}, "events"),
        ({"url": "nonsense"}, "url"),
    ],
)  # fmt: skip
def test_what_a_webhook_cannot_be_is_said_at_the_field(post, facts, field):
    hook(post.url)
    usual = {"name": "Other", "url": "https://erp.example.com/", "events": EVERY}

    with acting_as(ALICE) as by, pytest.raises(Refused) as refused:
        webhooks.add(**usual | facts, by=by)
    assert refused.value.field == field


def test_there_are_only_so_many(app, monkeypatch):
    monkeypatch.setattr(webhooks, "MOST", 1)
    hook("https://erp.example.com/")

    with pytest.raises(Refused, match="at most 1 webhook"):
        hook("https://erp.example.com/", name="Other")


def test_webhooks_and_their_log_are_inside_data(post):
    hook(post.url)
    ordered()
    work()

    for stranger in (DORA, BOB, FRIDA, CHARLIE):
        with acting_as(stranger, writes=False):
            assert db.session.scalars(select(Webhook)).all() == []
            assert db.session.scalars(select(WebhookDelivery)).all() == []


def test_a_webhook_is_removed_with_its_log(post):
    number, _secret = hook(post.url)
    ordered()
    work()
    with acting_as(ALICE):
        webhooks.remove(db.session.get(Webhook, number))

    assert log() == []


def test_what_is_long_over_is_cleared_away_and_what_waits_stays(post):
    hook(post.url)
    ordered()
    work()
    post.code = 500
    another()
    work()
    with later(deliveries.KEPT + timedelta(days=1)), unscoped("the night"):
        assert deliveries.forget_old(100) == 1

    assert [delivery.status for delivery in log()] == [DeliveryStatus.WAITING]


def test_every_move_of_an_order_has_a_name(app):
    for before, moves in Order.MOVES.items():
        for status in moves:
            assert EventKind.of(before, status) in webhooks.EVENTS

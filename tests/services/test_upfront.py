"""Paying upfront (L-8): asked for, called about, paid, sent a link, activated once, or withdrawn."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from sqlalchemy import select

from app import clock, outbox, tokens
from app.errors import Refused
from app.extensions import db
from app.models import Account, Calculation, Message, Subscription, Token, UpfrontRequest, UpfrontStatus
from app.services import deadlines, quotes, subscriptions, upfront
from app.services.signin import Visitor
from app.tenancy import unscoped
from tests import crowd, stock
from tests.cast import ALICE, BOB, CHARLIE, DORA, Person, acting_as
from tests.signing import history

AMOUNTS = {"base": Decimal(99), "upfront": Decimal(1200), "infrastructure": Decimal(29)}
VISITOR = Visitor(ip="203.0.113.7", device="Firefox, Linux")


@pytest.fixture
def running(app) -> int:
    return stock.subscription(stock.plan(amounts=AMOUNTS))


@pytest.fixture
def pending(app) -> int:
    return stock.subscription(stock.plan(amounts=AMOUNTS), pending=True)


def ask(number: int, by: Person = ALICE) -> int:
    with acting_as(by) as member:
        return upfront.ask(db.session.get(Subscription, number), remark="Please call before noon", by=member).id


def do(request: int, deed: Any, by: Person = DORA, **facts: Any) -> None:
    with acting_as(by) as member:
        deed(db.session.get(UpfrontRequest, request), by=member, **facts)


def pay(request: int) -> None:
    do(request, upfront.note_payment, on=stock.today(), reference="Statement 7")


def withdraw(request: int, by: Person = ALICE) -> None:
    with acting_as(by):
        upfront.withdraw(db.session.get(UpfrontRequest, request))


def the(model: type, number: int) -> Any:
    with unscoped("looking", writes=False) as session:
        return session.get(model, number)


def secret(request: int) -> str:
    """What the link of the last mail carries."""
    with unscoped("looking", writes=False) as session:
        return tokens.secret_of(session.get(Token, session.get(UpfrontRequest, request).token_id))


def activate(link: str) -> bool:
    with unscoped("who has the link is not known"):
        return upfront.activate(link, visitor=VISITOR) is not None


def found(link: str) -> bool:
    with unscoped("looking is not using", writes=False):
        return upfront.find(link) is not None


def test_from_the_request_to_the_click(running):
    request = ask(running)
    assert the(UpfrontRequest, request).amount == Decimal(1200)

    do(request, upfront.note_call, note="Will pay on Friday")
    pay(request)
    link = secret(request)
    assert found(link) and found(link)
    assert the(UpfrontRequest, request).status == "sent"
    assert activate(link)

    kept = the(UpfrontRequest, request)
    assert (kept.status, kept.called_by, kept.payment_reference) == ("active", "Dora Dorn", "Statement 7")
    assert the(Subscription, running).upfront_on == stock.today()
    verbs = ["added", "called", "paid", "sent", "activated"]
    told = [line for line in history() if line.startswith("upfront_request.")]
    assert told == [f"upfront_request.{verb}" for verb in verbs]


def tick() -> None:
    with unscoped("the clock strikes"):
        upfront.tell_of_new()


def test_the_operator_is_told_of_a_call_to_make_once(running):
    request = ask(running)

    for _twice in range(2):
        tick()

    with acting_as(DORA):  # in the operator's own outbox: who asks does not see who is called upon
        (message,) = db.session.scalars(select(Message)).all()
        assert message.recipient == DORA.email and "Küstenfunk" in message.subject
        assert f"/a/kontor/upfront/show/{request}" in outbox.bodies(message, None)[0]
    with acting_as(ALICE):
        assert db.session.scalars(select(Message)).all() == []


def test_of_a_request_withdrawn_meanwhile_nobody_is_told(running):
    withdraw(ask(running))

    tick()

    with acting_as(DORA):
        assert db.session.scalars(select(Message)).all() == []


def test_a_link_nobody_has_followed_is_a_deadline(running):
    request = ask(running)
    pay(request)

    with acting_as(BOB):
        (found,) = deadlines.ahead(zone="Europe/Berlin", may=lambda right: right == "upfront_request.list")
    assert (found.noun, found.pk, found.on) == ("upfront_request", request, stock.today() + timedelta(days=14))
    assert found.what == "The activation link of Harbour expires"

    assert activate(secret(request))
    with acting_as(BOB):
        assert deadlines.ahead(zone="Europe/Berlin", may=lambda right: right == "upfront_request.list") == []


def test_the_link_goes_to_the_registered_address_in_the_accounts_language(running):
    with unscoped("a German account") as session:
        session.scalars(select(Account).where(Account.slug == "kuestenfunk")).one().language = "de"
    request = ask(running)
    pay(request)

    with unscoped("looking", writes=False) as session:
        message = session.scalars(select(Message)).one()
        assert (message.recipient, message.locale) == ("info@kuestenfunk.example", "de")
        assert "activate/{secret}" in message.body_text and secret(request) not in message.body_text


def test_what_was_pending_runs_from_the_click_on(pending):
    request = ask(pending)
    pay(request)
    with time_machine.travel(clock.now() + timedelta(days=5), tick=False):
        today = stock.today()
        assert activate(secret(request))

    kept = the(Subscription, pending)
    assert (kept.status, kept.starts_on, kept.billed_from, kept.upfront_on) == ("active", today, today, today)


def test_afterwards_only_the_infrastructure_is_charged(running):
    request = ask(running)
    pay(request)
    activate(secret(request))
    with acting_as(BOB):
        subscription = db.session.get(Subscription, running)
        subscriptions.renew(subscription, seen=subscription.version)

    amount = quotes.read(the(Calculation, the(Subscription, running).calculation_id))
    assert [(line.what, line.amount) for line in amount.lines] == [("infrastructure", Decimal("29.00"))]


def test_a_link_works_once(running):
    request = ask(running)
    pay(request)
    link = secret(request)

    assert [activate(link), activate(link), found(link)] == [True, False, False]


def test_of_three_processes_activating_at_once_one_does(app, running):
    request = ask(running)
    pay(request)

    done = crowd.compete(app, crowd.activate, secret(request), 3)

    assert sorted(done) == [False] * 2 + [True]
    assert history().count("subscription.activated") == 1


def test_it_lives_fourteen_days(running):
    request = ask(running)
    pay(request)
    sent = the(UpfrontRequest, request).sent_at

    with time_machine.travel(sent + timedelta(days=14, seconds=-1), tick=False):
        assert found(secret(request))
    with time_machine.travel(sent + timedelta(days=14), tick=False):
        assert not found(secret(request)) and not activate(secret(request))


def test_a_new_link_makes_the_old_one_worthless(running):
    request = ask(running)
    pay(request)
    old = secret(request)
    do(request, upfront.send)

    assert not found(old) and not activate(old)
    assert activate(secret(request))


@pytest.mark.parametrize("how", ["withdrawn", "cancelled", "suspended", "archived"])
def test_what_makes_it_wrong_makes_the_link_worthless(running, how):
    request = ask(running)
    pay(request)
    if how == "withdrawn":
        withdraw(request)
    elif how == "archived":
        with unscoped("putting the account away") as session:
            session.get(Account, the(Subscription, running).account_id).archived_at = clock.now()
    else:
        with acting_as(DORA) as by:
            deed = subscriptions.cancel if how == "cancelled" else subscriptions.suspend
            deed(db.session.get(Subscription, running), reason="x", by=by)

    assert not found(secret(request)) and not activate(secret(request))
    assert the(Subscription, running).upfront_on is None


def test_one_request_at_a_time(running):
    request = ask(running)
    with pytest.raises(Refused, match="under way"):
        ask(running, BOB)
    withdraw(request)
    assert ask(running, BOB)


def test_what_is_not_sold_upfront_cannot_be_asked_for(app):
    with pytest.raises(Refused, match="not sold upfront"):
        ask(stock.subscription(stock.plan()))


def test_paid_upfront_it_is_not_paid_upfront_again(running):
    request = ask(running)
    pay(request)
    activate(secret(request))

    with pytest.raises(Refused, match="paid already"):
        ask(running)


def test_a_payment_of_tomorrow_has_not_arrived(running):
    request = ask(running)
    with pytest.raises(Refused) as refusal:
        do(request, upfront.note_payment, on=stock.today() + timedelta(days=1), reference="")

    assert refusal.value.field == "on"


def test_without_an_address_it_waits_for_one(app):
    number = stock.subscription(stock.plan(amounts=AMOUNTS), "deichbau")
    request = ask(number)
    pay(request)
    assert the(UpfrontRequest, request).status == "paid"

    with pytest.raises(Refused, match="no e-mail address"):
        do(request, upfront.send)
    with unscoped("an address turns up") as session:
        session.get(Account, the(Subscription, number).account_id).email = "kontor@deichbau.example"
    do(request, upfront.send)
    assert activate(secret(request))


def test_strangers_know_nothing_of_it(running):
    request = ask(running)

    with acting_as(CHARLIE):
        assert db.session.get(UpfrontRequest, request) is None
        assert db.session.scalars(select(Calculation)).all() == []


DEEDS = {
    UpfrontStatus.CALLED: lambda request: do(request, upfront.note_call, note=""),
    UpfrontStatus.PAID: lambda request: do(request, upfront.note_payment, on=date(2026, 1, 1), reference=""),
    UpfrontStatus.SENT: lambda request: do(request, upfront.send),
    UpfrontStatus.WITHDRAWN: withdraw,
}


@pytest.mark.parametrize("status", UpfrontStatus)
def test_every_verb_keeps_to_the_table_of_moves(running, status):
    for target, deed in DEEDS.items():
        with unscoped("as if it had come to this") as session:
            request = _at(session, running, status)
        try:
            deed(request)
        except Refused:
            assert target not in UpfrontRequest.MOVES[status]
            assert the(UpfrontRequest, request).status is status
        else:
            assert target in UpfrontRequest.MOVES[status]


def _at(session: Any, number: int, status: UpfrontStatus) -> int:
    for former in session.scalars(select(UpfrontRequest)):
        former.status = UpfrontStatus.WITHDRAWN
    session.flush()
    subscription = session.get(Subscription, number)
    account = session.get(Account, subscription.account_id)
    request = UpfrontRequest(
        account=account, subscription_id=number, status=status, currency="EUR", amount_minor=1, requested_by="",
        calculation_id=subscription.calculation_id, requested_at=clock.now(),
    )  # fmt: skip
    session.add(request)
    session.flush()
    return request.id

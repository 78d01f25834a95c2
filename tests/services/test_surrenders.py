"""Surrender (L-12, X-8): given back is what is free, never what is in use; the preview and the deed say the same."""

from __future__ import annotations

from contextlib import suppress
from datetime import date, timedelta
from decimal import Decimal

import pytest
import time_machine
from sqlalchemy import select, text
from sqlalchemy.exc import DatabaseError

from app import clock
from app.errors import Conflict, Refused
from app.extensions import db
from app.models import (
    HoldKind,
    License,
    LicenseMovement,
    LicenseStatus,
    LogEntry,
    Message,
    PaymentMode,
    Policy,
    Role,
    SubscriptionStatus,
    User,
)
from app.services import accounts, holds, licenses, quotes, surrenders
from app.services.surrenders import NoCredit, Surrender
from app.tenancy import unscoped
from tests import crowd, stock
from tests.cast import ALICE, BOB, CHARLIE, DORA, Person, account_called, acting_as, hire
from tests.services.test_licenses import do, free, movements_of, now_of, use
from tests.signing import at_once, messages_to

JUNE = "2026-06-11 10:00:00+00:00"  # the first day of a period in the tests about money
DAY = timedelta(days=1)


def give_back(number: int, quantity: int = 1, key: str = "", by: Person = BOB) -> Surrender:
    with acting_as(by) as member:
        return surrenders.surrender(db.session.get(License, number), quantity, by=member, key=key)


def look(number: int, quantity: int = 1, by: Person = BOB) -> Surrender:
    with acting_as(by):
        return surrenders.preview(db.session.get(License, number), quantity)


# --- how many ----------------------------------------------------------------------------------------------------


def test_what_is_free_can_be_given_back_and_is_gone(app):
    number = stock.license_of(quantity=10)
    use(number, 4)

    meant = give_back(number, 5)

    assert (meant.quantity, meant.left, meant.on) == (5, 5, stock.today())
    assert (now_of(number).quantity, now_of(number).in_use, now_of(number).available) == (5, 4, 1)
    assert movements_of(number)[-1] == ("surrendered", 5, 4, "")
    assert not use(number, 2).allowed and use(number, 1).allowed


def test_what_is_in_use_cannot_be_given_back_until_it_is_released(app):
    number = stock.license_of(quantity=10)
    use(number, 4)

    with pytest.raises(Refused, match="only what is not in use") as refusal:
        give_back(number, 7)
    assert refusal.value.field == "quantity"
    assert now_of(number).quantity == 10

    free(number, 1)
    assert give_back(number, 7).left == 3


def test_releasing_gives_nothing_back_and_surrendering_releases_nothing(app):
    number = stock.license_of(quantity=10)
    use(number, 4)
    free(number, 2)
    give_back(number, 3)

    assert (now_of(number).quantity, now_of(number).in_use) == (7, 2)
    with acting_as(BOB):
        assert licenses.held_by(db.session.get(License, number), "Greenhouse 4") == 2
        assert licenses.held_by(db.session.get(License, number), "") == 0


@pytest.mark.parametrize("quantity", [0, -1, 10**9 + 1, 1.0, True, 10**308])
def test_a_quantity_is_a_whole_number_within_reason(app, quantity):
    number = stock.license_of(quantity=10)

    for deed in (give_back, look):
        with pytest.raises(Refused) as refusal:
            deed(number, quantity)
        assert refusal.value.field == "quantity"


@pytest.mark.parametrize(("policy", "percent", "ceiling"), [(Policy.OVERAGE, 20, 6), (Policy.HARD, None, 5)])
def test_what_is_tolerated_above_the_quantity_falls_with_it(app, policy, percent, ceiling):
    number = stock.license_of(quantity=10, policy=policy, percent=percent)

    give_back(number, 5)

    assert now_of(number).ceiling == ceiling


def test_above_the_quantity_nothing_is_free_to_be_given_back(app):
    number = stock.license_of(quantity=10, policy=Policy.SOFT)
    use(number, 12)

    with pytest.raises(Refused):
        give_back(number, 1)


def test_given_back_entirely_a_license_has_ended_and_says_over_how_many_it_was(app):
    number = stock.license_of(quantity=10)

    assert give_back(number, 10).left == 0

    license = now_of(number)
    assert (license.status, license.quantity, license.in_use) == (LicenseStatus.SURRENDERED, 10, 0)
    assert use(number).reason is licenses.Reason.SURRENDERED
    with pytest.raises(Refused, match="has been given back"):
        give_back(number, 1)


def test_it_stays_ended_when_its_last_day_has_passed(app):
    number = stock.license_of(quantity=10, days=5)
    give_back(number, 10)

    with time_machine.travel(clock.now() + 10 * DAY, tick=False):
        assert now_of(number).status_on(stock.today()) is LicenseStatus.SURRENDERED
        with unscoped("the clockwork"):
            assert licenses.note_expired() == 0


# --- when not ----------------------------------------------------------------------------------------------------


def test_a_suspended_license_is_not_given_back(app):
    number = stock.license_of(quantity=10)
    do(licenses.suspend, number, ALICE, reason="Invoice overdue")

    for deed in (give_back, look):
        with pytest.raises(Refused, match="is suspended"):
            deed(number)


def test_a_revoked_an_expired_and_an_upcoming_license_are_not_given_back(app):
    revoked, expired, upcoming = stock.license_of(), stock.license_of(since=9, days=5), stock.license_of(since=-3)
    do(licenses.revoke, revoked, DORA, reason="Contract ended")

    for number, why in ((revoked, "revoked"), (expired, "expired"), (upcoming, "not started")):
        for deed in (give_back, look):
            with pytest.raises(Refused, match=why):
                deed(number)
    assert not any(movements_of(number) for number in (revoked, expired, upcoming))


def test_nothing_is_given_back_for_an_account_on_hold_or_archived(app):
    held, archived = stock.license_of("kuestenfunk"), stock.license_of("deichbau")
    with acting_as(ALICE) as by:
        reason = "Papers are missing"
        holds.put_on_hold(account_called("kuestenfunk"), HoldKind.ADMINISTRATIVE, reason=reason, by=by)
        accounts.archive(account_called("deichbau"), by=by)

    with pytest.raises(Refused, match="on hold"):
        give_back(held, by=ALICE)
    with pytest.raises(Refused, match="archived"):
        give_back(archived, by=ALICE)


def test_the_statement_itself_decides_whatever_was_read_before(app):
    """Were the guards wrong, or what they read old: the one UPDATE refuses by itself."""
    number = stock.license_of(quantity=10)
    use(number, 4)

    for quantity in (7, 10):
        with acting_as(BOB):
            license = licenses.as_it_is(db.session.get(License, number))
            meant = Surrender(license, quantity, stock.today(), 10 - quantity, None, NoCredit.NOT_CHARGED)
            assert not surrenders._take_away(meant)
    assert (now_of(number).quantity, now_of(number).status) == (10, LicenseStatus.ACTIVE)


def test_a_stranger_finds_nothing_to_give_back(app):
    number = stock.license_of(quantity=10)

    with acting_as(CHARLIE):
        assert db.session.get(License, number) is None


# --- several at once, and twice ----------------------------------------------------------------------------------


def several(wanted: dict[int, int], key: str = "", by: Person = BOB) -> list[Surrender]:
    with acting_as(by) as member:
        chosen = {db.session.get(License, number): quantity for number, quantity in wanted.items()}
        return surrenders.surrender_several(chosen, by=member, key=key)


def test_of_several_licenses_all_are_given_back_or_none(app):
    one, other = stock.license_of(quantity=10), stock.license_of(quantity=5)
    use(other, 5)

    with pytest.raises(Refused) as refusal:
        several({one: 3, other: 1})
    assert refusal.value.field == now_of(other).public_id
    assert now_of(one).quantity == 10 and not movements_of(one)

    free(other, 1)
    assert [meant.left for meant in several({other: 1, one: 3})] == [7, 4]


def test_what_is_sent_twice_is_given_back_once_and_answered_the_same(app):
    one, other = stock.license_of(quantity=10), stock.license_of(quantity=10)

    first, second = several({one: 3, other: 2}, key="k"), several({one: 3, other: 2}, key="k")

    assert [(m.quantity, m.on, m.left, m.nothing) for m in first] == [
        (m.quantity, m.on, m.left, m.nothing) for m in second
    ]
    assert (now_of(one).quantity, now_of(other).quantity) == (7, 8)
    with pytest.raises(Conflict):
        give_back(one, 4, key="k")


def test_eight_times_at_once_under_one_key_is_once(app):
    number = stock.license_of(quantity=10)

    lefts = at_once(app, 8, lambda: give_back(number, 2, key="k").left)

    assert set(lefts) == {8} and now_of(number).quantity == 8


def test_two_thousand_surrenders_and_uses_at_once_never_end_below_use(app):
    number = stock.license_of(quantity=3000)

    used, given_back = crowd.use_and_give_back(app, number, tries=2000)

    assert used + given_back == 3000 and used > 0 and given_back > 0
    assert now_of(number).in_use == used
    assert now_of(number).quantity == 3000 - given_back


def test_surrenders_and_uses_at_once_leave_a_trail_that_never_falls_below_use(app):
    number = stock.license_of(quantity=30)

    at_once(app, 6, lambda: [race(number) for _round in range(5)])

    left, license = 30, now_of(number)
    for kind, quantity, in_use, _reference in movements_of(number):
        left -= quantity if kind == "surrendered" else 0
        assert in_use <= left
    assert license.quantity == left == license.in_use


def race(number: int) -> None:
    use(number)
    with suppress(Refused):
        give_back(number)


# --- what it is worth --------------------------------------------------------------------------------------------


@pytest.fixture
def june():
    """The 11th of June, when the period of every subscription in these tests begins; thirty days."""
    with time_machine.travel(JUNE, tick=False):
        yield


def license_with_price(price: str = "90", grant: int = 1, pieces: int = 10, plan: dict | None = None, **facts) -> int:
    """A license in a subscription of today, come with so many pieces of an article at that price."""
    type_ = stock.license_type(f"type-{grant}-{price}")
    article = stock.article(f"ART-{grant}-{price}", grants={type_: grant})
    stock.price_article(article, price)
    subscription = stock.subscription(stock.plan(**(plan or {})), **facts)
    return stock.licenses_in(subscription, stock.give(article, "kuestenfunk", pieces))[0]


def test_the_days_left_of_the_period_are_credited(app, june):
    with unscoped("the operator is at home somewhere"):
        account_called("kontor").country = account_called("kuestenfunk").country = "DE"
    number = license_with_price("90")

    with time_machine.travel("2026-06-21 10:00:00+00:00", tick=False):
        meant = look(number, 2)
        line = meant.credit.lines[0]

        assert (line.period.first, line.period.beyond) == (date(2026, 6, 11), date(2026, 7, 11))
        assert (line.part.first, line.part.days, line.period.days) == (date(2026, 6, 21), 20, 30)
        assert meant.credit.net == Decimal("-120.00") and meant.credit.tax == Decimal("-22.80")
        assert meant.commission_base == Decimal("120.00") and meant.nothing is None


def test_what_was_previewed_is_what_is_posted_and_stays_explained(app, june):
    number = license_with_price("90")

    with time_machine.travel("2026-06-20 10:00:00+00:00", tick=False):
        seen = look(number, 3)
        meant = give_back(number, 3)

    assert meant.credit == seen.credit
    with unscoped("looking at what was written down", writes=False) as session:
        movement = session.scalars(select(LicenseMovement)).one()
        assert quotes.read(movement.calculation) == seen.credit
        assert movement.calculation.net == seen.credit.net


def test_a_piece_of_many_is_credited_by_its_share(app, june):
    number = license_with_price("100", grant=50, pieces=2)

    assert look(number, 25).credit.net == Decimal("-50.00")
    assert look(number, 1).credit.net == Decimal("-2.00")


def test_never_more_is_credited_than_was_paid(app, june):
    number = license_with_price("20", grant=3, pieces=1)

    credits = [give_back(number).credit.net for _once in range(3)]

    assert credits == [Decimal("-6.67"), Decimal("-6.67"), Decimal("-6.66")]


def test_in_the_next_period_what_was_paid_for_it_counts(app, june):
    number = license_with_price("90", pieces=10)
    give_back(number, 4)

    with acting_as(DORA):
        license = db.session.get(License, number)
        license.resource_group.subscription.ends_on = date(2026, 8, 11)
    with time_machine.travel("2026-07-11 10:00:00+00:00", tick=False):
        assert look(number, 6).credit.net == Decimal("-540.00")


def test_a_price_raised_within_the_period_changes_nothing_for_it(app, june):
    number = license_with_price("90")
    with acting_as(DORA):
        article = db.session.get(License, number).article_id
    with time_machine.travel("2026-06-21 10:00:00+00:00", tick=False):
        stock.price_article(article, "900")

        assert look(number, 1).credit.net == Decimal("-60.00")


@pytest.mark.parametrize(
    ("plan", "facts", "why"),
    [
        ({"trial_months": 1}, {"postponed": True}, NoCredit.NOT_YET),
        ({"prepaid": False, "postpaid": True}, {"payment_mode": PaymentMode.POSTPAID}, NoCredit.PAID_LATER),
    ],
)
def test_where_nothing_was_paid_nothing_is_credited_and_it_says_why(app, june, plan, facts, why):
    number = license_with_price("90", plan=plan, **facts)

    meant = give_back(number, 2)

    assert (meant.credit, meant.nothing, meant.commission_base) == (None, why, None)
    with unscoped("no credit, no calculation", writes=False) as session:
        movement = session.scalars(select(LicenseMovement)).one()
        assert movement.calculation_id is None


def test_a_suspended_subscription_is_not_charged(app, june):
    number = license_with_price("90")
    with acting_as(DORA):
        db.session.get(License, number).resource_group.subscription.status = SubscriptionStatus.SUSPENDED

    assert look(number).nothing is NoCredit.NOT_CHARGED


def test_a_license_given_without_subscription_is_worth_nothing(app):
    assert look(stock.license_of()).nothing is NoCredit.NOT_CHARGED


def test_of_a_package_no_part_has_a_price(app, june):
    types = {stock.license_type(key): 5 for key in ("assets", "users")}
    article = stock.article(grants=types)
    stock.price_article(article, "90")
    group = stock.subscription(stock.plan())

    for number in stock.licenses_in(group, stock.give(article, "kuestenfunk")):
        assert look(number).nothing is NoCredit.PACKAGE


def test_an_article_without_a_price_in_that_currency_is_worth_nothing(app, june):
    article = stock.article(grants={stock.license_type(): 5})
    stock.price_article(article, "90", currency="USD")
    number = stock.licenses_in(stock.subscription(stock.plan()), stock.give(article, "kuestenfunk"))[0]

    assert look(number).nothing is NoCredit.UNPRICED


# --- who is told -------------------------------------------------------------------------------------------------


def test_history_says_who_gave_back_how_many_and_for_how_much(app, june, bob):
    number = license_with_price("90")

    give_back(number, 4)

    with unscoped("reading history", writes=False) as session:
        entry = session.scalars(select(LogEntry).where(LogEntry.action == "license.surrendered")).one()
    assert entry.actor.startswith("Bob Brandt") and entry.subject == now_of(number).public_id
    assert entry.changes == {"quantity": [10, 6], "credit": [None, "360.00 EUR"]}


def test_administrators_and_the_partners_office_are_told_each_in_their_language(app, june):
    number = license_with_price("90")
    britta = hire("britta@kuestenfunk.example", "kuestenfunk", Role.ADMINISTRATOR)
    hire("viewer@kuestenfunk.example", "kuestenfunk", Role.VIEWER)
    with unscoped("the partner has an office, and Britta a language") as session:
        account_called("nordlicht").email = "office@nordlicht.example"
        for person, locale in ((BOB, "de"), (britta, "en")):
            session.scalars(select(User).where(User.email == person.email)).one().locale = locale

    give_back(number, 4)

    assert [(m.recipient, m.locale) for m in written()] == [
        (BOB.email, "de"), (britta.email, "en"), ("office@nordlicht.example", "de"),
    ]  # fmt: skip
    german, english = messages_to(BOB)[0], messages_to(britta)[0]
    assert "360,00" in german.body_text and "€360.00" in english.body_text
    assert "4 of LIC-" in english.subject and "final" in english.body_text


def test_without_credit_the_mail_says_so(app):
    give_back(stock.license_of(quantity=4), 4)

    assert "There is no credit." in messages_to(BOB)[0].body_text or "keine Gutschrift" in messages_to(BOB)[0].body_text


def test_the_mail_of_a_surrender_from_above_stands_in_the_outbox_there(app):
    give_back(stock.license_of(quantity=4), 1, by=ALICE)

    with unscoped("whose outbox", writes=False):
        assert written()[0].account_id == account_called("nordlicht").id


def written() -> list[Message]:
    with unscoped("looking into the outbox", writes=False) as session:
        return list(session.scalars(select(Message).order_by(Message.id)))


def test_the_credit_of_a_movement_cannot_be_changed(app, june):
    number = license_with_price("90")
    give_back(number, 4)

    with pytest.raises(DatabaseError, match="only added to"), unscoped("trying to rewrite a credit") as session:
        session.execute(text("UPDATE license_movement SET calculation_id = NULL"))

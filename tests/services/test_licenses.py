"""Licenses (M-11 … M-13): issued with an article, used up to what their policy allows, counted exactly under load."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
import time_machine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import DatabaseError, IntegrityError

from app import clock
from app.errors import Conflict, Refused
from app.extensions import db
from app.models import (
    LARGEST_QUANTITY,
    LARGEST_USE,
    Article,
    Holding,
    HoldKind,
    License,
    LicenseMovement,
    LicenseStatus,
    LicenseType,
    LogEntry,
    Message,
    Policy,
    Role,
)
from app.services import accounts, catalog, holds, licenses, signin, surrenders
from app.services.licenses import Answer, Reason
from app.tenancy import unscoped
from tests import crowd, stock
from tests.cast import ALICE, BOB, CHARLIE, DORA, FRIDA, Person, account_called, acting_as, hire
from tests.signing import at_once, history, messages_to

DAY = timedelta(days=1)
PROCESSES = 8


def use(number: int, quantity: int = 1, reference: str = "Greenhouse 4", key: str = "", by: Person = BOB) -> Answer:
    with acting_as(by) as member:
        license = db.session.get(License, number)
        return licenses.consume(license, quantity, reference=reference, key=key, by=member)


def free(number: int, quantity: int = 1, reference: str = "Greenhouse 4", key: str = "", by: Person = BOB) -> Answer:
    with acting_as(by) as member:
        license = db.session.get(License, number)
        return licenses.release(license, quantity, reference=reference, key=key, by=member)


def ask(number: int, quantity: int = 1, by: Person = BOB) -> Answer:
    with acting_as(by):
        return licenses.check(db.session.get(License, number), quantity)


def do(verb, number: int, by: Person, **facts) -> None:
    with acting_as(by) as member:
        verb(db.session.get(License, number), by=member, **facts)


def now_of(number: int) -> License:
    with unscoped("looking at a license", writes=False):
        return licenses.as_it_is(db.session.get(License, number))


def movements_of(number: int) -> list[tuple[str, int, int, str]]:
    with unscoped("looking at movements", writes=False) as session:
        found = select(LicenseMovement).where(LicenseMovement.license_id == number).order_by(LicenseMovement.id)
        return [(m.kind.value, m.quantity, m.in_use, m.reference) for m in session.scalars(found)]


# --- an article given becomes licenses ---------------------------------------------------------------------------


def test_what_an_article_grants_becomes_licenses(app, bob):
    assets, users = stock.license_type("assets"), stock.license_type("users")

    stock.give(stock.article("A", grants={assets: 50, users: 3}), "kuestenfunk", 2)

    with acting_as(bob):
        found = db.session.scalars(select(License).order_by(License.id)).all()
        assert [(license.type.key, license.quantity, license.ceiling) for license in found] == [
            ("assets", 100, 100),
            ("users", 6, 6),
        ]
        assert {license.article.number for license in found} == {"A"}
        assert len({license.public_id for license in found}) == 2
        assert found[0].public_id.startswith("LIC-")
        assert db.session.scalars(select(Holding)).one().quantity == 2
    assert history()[-3:] == ["holding.given", "license.issued", "license.issued"]


def test_an_article_that_grants_nothing_is_given_all_the_same(app):
    stock.give(stock.article(grants={}), "kuestenfunk")

    with unscoped("counting", writes=False) as session:
        assert session.scalar(select(func.count(License.id))) == 0


def test_who_gave_what_to_whom_stands_in_the_accounts_history(app, bob):
    stock.give(stock.article("A-7", grants={stock.license_type("assets"): 5}), "kuestenfunk")

    with acting_as(bob):
        given, issued = db.session.scalars(select(LogEntry).order_by(LogEntry.id.desc()).limit(2)).all()[::-1]
        assert (given.actor, given.account.slug) == ("Dora Dorn <dora@kontor.example>", "kuestenfunk")
        assert (given.changes["article"], given.changes["quantity"]) == ([None, "A-7"], [None, 1])
        assert (issued.changes["license_type"], issued.changes["quantity"]) == ([None, "assets"], [None, 5])


@pytest.mark.parametrize("person", [ALICE, BOB], ids=["a partner", "the customer itself"])
def test_only_the_operator_gives(app, person):
    article, type_ = stock.article(), stock.license_type()

    with acting_as(person) as by, pytest.raises(Refused, match="Only the operator"):
        licenses.give(db.session.get(Article, article), to=account_called("kuestenfunk"), on=stock.today(), by=by)
    with acting_as(person) as by, pytest.raises(Refused, match="Only the operator"):
        type_ = db.session.get(LicenseType, type_)
        licenses.issue(type_, 1, to=account_called("kuestenfunk"), on=stock.today(), by=by)


def test_what_is_archived_is_given_no_more_and_what_was_given_stays(app, dora):
    type_ = stock.license_type()
    article = stock.article(grants={type_: 5})
    stock.give(article, "kuestenfunk")
    with acting_as(dora) as by:
        catalog.archive(db.session.get(Article, article), by=by)

    with pytest.raises(Refused, match="archived"):
        stock.give(article, "kuestenfunk")
    with unscoped("counting", writes=False) as session:
        assert session.scalar(select(License.quantity)) == 5


def test_an_article_whose_license_type_is_archived_is_not_given_by_half(app, dora):
    assets, users = stock.license_type("assets"), stock.license_type("users")
    article = stock.article(grants={assets: 5, users: 1})
    with acting_as(dora) as by:
        catalog.archive(db.session.get(LicenseType, users), by=by)

    with pytest.raises(Refused, match="archived"):
        stock.give(article, "kuestenfunk")
    with unscoped("counting", writes=False) as session:
        assert session.scalar(select(func.count(Holding.id))) == 0


def test_nothing_is_given_to_an_archived_account(app, alice):
    with acting_as(alice) as by:
        accounts.archive(account_called("deichbau"), by=by)

    with pytest.raises(Refused, match="archived"):
        stock.give(stock.article(), "deichbau")


@pytest.mark.parametrize("quantity", [0, -1, LARGEST_QUANTITY + 1, 1.5, True, "3"])
def test_a_quantity_is_a_whole_number_within_reason(app, dora, quantity):
    number = stock.article()

    with acting_as(dora) as by, pytest.raises(Refused, match="whole number"):
        article, to = db.session.get(Article, number), account_called("kuestenfunk")
        licenses.give(article, quantity, to=to, on=stock.today(), by=by)


def test_too_many_of_too_many_is_refused(app):
    article = stock.article(grants={stock.license_type(): LARGEST_QUANTITY})

    with pytest.raises(Refused, match="whole number"):
        stock.give(article, "kuestenfunk", 2)


def test_it_ends_after_it_starts(app):
    with pytest.raises(Refused, match="end after"):
        stock.give(stock.article(), "kuestenfunk", days=0)


# --- the policies ------------------------------------------------------------------------------------------------


def test_hard_refuses_above_the_quantity(app):
    number = stock.license_of(quantity=100)

    assert use(number, 100) == Answer(True, 100, 100, 0, 100, Policy.HARD)
    assert use(number, 1) == Answer(False, 100, 100, 0, 100, Policy.HARD, reason=Reason.FULL)


def test_soft_warns_above_the_quantity(app):
    number = stock.license_of(quantity=100, policy=Policy.SOFT)

    assert use(number, 100) == Answer(True, 100, 100, 0, None, Policy.SOFT)
    assert use(number, 1) == Answer(True, 100, 101, 0, None, Policy.SOFT, warning="over_quantity")


def test_overage_tolerates_its_percentage_and_warns(app):
    number = stock.license_of(quantity=15, policy=Policy.OVERAGE, percent=10)

    assert use(number, 15).warning == ""
    assert use(number, 1) == Answer(True, 15, 16, 0, 16, Policy.OVERAGE, warning="over_quantity")
    assert use(number, 1) == Answer(False, 15, 16, 0, 16, Policy.OVERAGE, reason=Reason.FULL)


def test_all_of_it_or_nothing(app):
    number = stock.license_of(quantity=10)
    use(number, 7)

    assert not use(number, 4).allowed
    assert movements_of(number) == [("consumed", 7, 7, "Greenhouse 4")]
    assert use(number, 3).allowed


def test_asking_changes_nothing(app):
    number = stock.license_of(quantity=10, policy=Policy.OVERAGE, percent=50)
    use(number, 9)
    before = now_of(number)

    assert ask(number, 1) == Answer(True, 10, 9, 1, 15, Policy.OVERAGE)
    assert ask(number, 2).warning == "over_quantity"
    assert ask(number, 7).reason is Reason.FULL
    assert (now_of(number).in_use, len(movements_of(number))) == (before.in_use, 1)


@settings(max_examples=200, deadline=None)
@given(st.integers(1, LARGEST_QUANTITY), st.integers(1, 100))
def test_a_tolerance_is_rounded_down_and_fits_the_column(quantity, percent):
    ceiling = LicenseType(policy=Policy.OVERAGE, overage_percent=percent).ceiling(quantity)

    assert ceiling * 100 <= quantity * (100 + percent) < (ceiling + 1) * 100
    assert quantity <= ceiling <= LARGEST_USE < 2**31


POLICIES = st.one_of(
    st.tuples(st.just(Policy.HARD), st.none()),
    st.tuples(st.just(Policy.SOFT), st.none()),
    st.tuples(st.just(Policy.OVERAGE), st.integers(1, 100)),
)
CALLS = st.lists(st.tuples(st.booleans(), st.integers(1, 9), st.sampled_from("ab")), max_size=12)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(POLICIES, st.integers(1, 12), CALLS)
def test_whatever_is_done_the_numbers_agree_with_plain_counting(app, policy, quantity, calls):
    number = stock.license_of(quantity=quantity, policy=policy[0], percent=policy[1])
    held = {"a": 0, "b": 0}
    most = {Policy.HARD: quantity, Policy.SOFT: 10**9}.get(policy[0], quantity * (100 + (policy[1] or 0)) // 100)

    for taking, n, reference in calls:
        answer = (use if taking else free)(number, n, reference)
        allowed = sum(held.values()) + n <= most if taking else held[reference] >= n
        held[reference] += (n if taking else -n) if allowed else 0
        assert (answer.allowed, answer.in_use) == (allowed, sum(held.values()))
        assert answer.available == max(0, quantity - answer.in_use)

    assert now_of(number).in_use == sum(held.values())
    assert [m[2] for m in movements_of(number)][-1:] in ([], [sum(held.values())])


def test_the_database_itself_lets_nobody_above_the_ceiling(app):
    number = stock.license_of(quantity=10)

    with pytest.raises(IntegrityError, match="ck_license_use"), unscoped("trying it past the services") as session:
        session.execute(update(License).where(License.id == number).values(in_use=11))


def test_the_largest_license_can_be_used_up(app):
    number = stock.license_of(quantity=LARGEST_QUANTITY, policy=Policy.SOFT)

    assert use(number, LARGEST_QUANTITY).allowed and use(number, LARGEST_QUANTITY).in_use == LARGEST_USE
    assert use(number, LARGEST_QUANTITY).reason is Reason.FULL


# --- releasing ---------------------------------------------------------------------------------------------------


def test_what_is_released_can_be_used_again(app):
    number = stock.license_of(quantity=10)
    use(number, 10)

    assert free(number, 4) == Answer(True, 10, 6, 4, 10, Policy.HARD)
    assert use(number, 4).allowed
    assert movements_of(number)[1] == ("released", 4, 6, "Greenhouse 4")


def test_nobody_releases_what_another_reference_holds(app):
    number = stock.license_of(quantity=10)
    use(number, 5, "Greenhouse 4")
    use(number, 1, "Greenhouse 5")

    answer = free(number, 2, "Greenhouse 5")

    assert (answer.allowed, answer.reason, answer.in_use) == (False, Reason.NOT_HELD, 6)
    assert not free(number, 1, "Greenhouse 6").allowed
    assert free(number, 1, "Greenhouse 5").in_use == 5


def test_a_reference_is_the_same_whatever_the_space_around_it(app):
    number = stock.license_of()
    use(number, 1, " Greenhouse   4 ")

    assert free(number, 1, "Greenhouse 4").allowed


@pytest.mark.parametrize("reference", ["", "  ", "x" * 201, "\x00"])
def test_a_reference_is_needed(app, reference):
    number = stock.license_of()

    with pytest.raises(Refused) as refusal:
        use(number, 1, reference)

    assert refusal.value.field == "reference"


def test_what_was_taken_can_be_released_whatever_has_become_of_the_license(app, dora):
    number = stock.license_of()
    use(number, 2)
    do(licenses.revoke, number, dora, reason="Contract ended")

    assert free(number, 2).allowed


# --- when nothing may be used ------------------------------------------------------------------------------------


def test_a_suspended_license_cannot_be_used_until_it_is_reinstated(app, alice):
    number = stock.license_of()
    do(licenses.suspend, number, alice, reason="Invoice overdue")

    assert (use(number).reason, ask(number).reason) == (Reason.SUSPENDED, Reason.SUSPENDED)
    do(licenses.reinstate, number, alice)
    assert use(number).allowed


def test_a_revoked_license_cannot_be_used_and_does_not_come_back(app, dora):
    number = stock.license_of()
    do(licenses.revoke, number, dora, reason="Contract ended")

    assert use(number).reason is Reason.REVOKED
    for verb in (licenses.suspend, licenses.revoke):
        with pytest.raises(Refused):
            do(verb, number, dora, reason="again")
    with pytest.raises(Refused):
        do(licenses.reinstate, number, dora)


def test_a_license_starts_on_its_first_day_and_ends_before_its_last_date(app):
    number = stock.license_of(days=10)
    first, end = now_of(number).valid_from, now_of(number).valid_until
    noon = "T10:00:00+00:00"

    for day, allowed in [(first - DAY, False), (first, True), (end - DAY, True), (end, False)]:
        with time_machine.travel(day.isoformat() + noon, tick=False):
            assert use(number).allowed is allowed
    with time_machine.travel((first - DAY).isoformat() + noon):
        assert use(number).reason is Reason.UPCOMING
    with time_machine.travel(end.isoformat() + noon):
        assert use(number).reason is Reason.EXPIRED


def test_a_day_is_a_day_where_the_account_is(app, dora):
    with acting_as(dora):
        account_called("kuestenfunk").time_zone = "America/New_York"
    number = stock.license_of(days=10)
    end = now_of(number).valid_until

    with time_machine.travel(end.isoformat() + "T03:00:00+00:00", tick=False):  # the evening before in New York
        assert use(number).allowed
    with time_machine.travel(end.isoformat() + "T06:00:00+00:00", tick=False):
        assert use(number).reason is Reason.EXPIRED


def test_an_archived_account_uses_nothing(app, alice, dora):
    number = stock.license_of("deichbau")
    with acting_as(alice) as by:
        accounts.archive(account_called("deichbau"), by=by)

    assert use(number, by=dora).reason is Reason.ARCHIVED


def test_an_account_on_hold_uses_nothing_but_may_release(app, alice, dora):
    number = stock.license_of("deichbau")
    use(number, by=dora)
    with acting_as(alice) as by:
        holds.put_on_hold(account_called("deichbau"), HoldKind.ADMINISTRATIVE, reason="Papers are missing.", by=by)

    assert use(number, by=dora).reason is Reason.HELD
    assert ask(number, by=dora).reason is Reason.HELD
    assert free(number, by=dora).allowed


# --- keys --------------------------------------------------------------------------------------------------------


def test_the_same_key_is_answered_the_same_without_effect(app, alice):
    number = stock.license_of(quantity=10, policy=Policy.OVERAGE, percent=50)
    first = use(number, 12, key="order-1")
    use(number, 1)
    do(licenses.suspend, number, alice, reason="later")

    assert use(number, 12, key="order-1") == first == replace(first, in_use=12, warning="over_quantity")
    assert now_of(number).in_use == 13


def test_releasing_twice_with_one_key_releases_once(app):
    number = stock.license_of(quantity=10)
    use(number, 10)

    assert free(number, 3, key="k") == free(number, 3, key="k")
    assert now_of(number).in_use == 7


@pytest.mark.parametrize(
    "again",
    [
        lambda number: use(number, 2, key="k"),
        lambda number: use(number, 1, "Greenhouse 5", key="k"),
        lambda number: free(number, 1, key="k"),
    ],
    ids=["another quantity", "another reference", "another verb"],
)
def test_the_same_key_with_something_else_is_a_conflict(app, again):
    number = stock.license_of()
    use(number, 1, key="k")

    with pytest.raises(Conflict):
        again(number)
    assert now_of(number).in_use == 1


def test_a_refusal_is_not_kept_under_its_key(app):
    number = stock.license_of(quantity=1)
    use(number, 1, "first")

    assert not use(number, 1, key="k").allowed
    free(number, 1, "first")
    assert use(number, 1, key="k").allowed


def test_a_key_counts_for_its_license_alone(app):
    one, other = stock.license_of(), stock.license_of()

    assert use(one, key="k").allowed and use(other, key="k").in_use == 1


# --- all at once -------------------------------------------------------------------------------------------------


def test_eight_processes_get_exactly_the_hundred_seats_there_are(app):
    number = stock.license_of(quantity=100)

    got = crowd.consume_until_full(app, number, PROCESSES)

    assert sum(got) == 100
    assert len(movements_of(number)) == 100 and sorted(m[2] for m in movements_of(number)) == list(range(1, 101))
    assert now_of(number).in_use == 100


def test_eight_calls_with_one_key_have_one_effect(app):
    number = stock.license_of(quantity=100)

    answers = at_once(app, 8, lambda: use(number, 5, key="k"))

    assert len(set(answers)) == 1
    assert movements_of(number) == [("consumed", 5, 5, "Greenhouse 4")]


def test_eight_releases_at_once_give_back_what_was_held_once(app):
    number = stock.license_of(quantity=100)
    use(number, 3)
    use(number, 50, "others")

    answers = at_once(app, 8, lambda: free(number, 1))

    assert sorted(answer.allowed for answer in answers) == [False] * 5 + [True] * 3
    assert now_of(number).in_use == 50


def test_eight_seats_taken_at_once_bring_one_mail_for_each_mark(app):
    number = stock.license_of(quantity=8)

    at_once(app, 8, lambda: use(number))

    assert len(messages_to(BOB)) == 2


# --- mails -------------------------------------------------------------------------------------------------------


def test_reaching_80_percent_and_100_percent_is_told_once_each(app):
    number = stock.license_of(quantity=10)

    use(number, 7)
    assert not messages_to(BOB)
    use(number, 1)
    use(number, 1)
    assert len(messages_to(BOB)) == 1
    use(number, 1)
    assert [("running low" in m.subject, "nothing is left" in m.subject) for m in messages_to(BOB)] == [
        (True, False),
        (False, True),
    ]


def test_all_at_a_stroke_is_one_mail(app):
    use(stock.license_of(quantity=10), 10)

    assert len(messages_to(BOB)) == 1


def test_swinging_around_the_last_place_fills_no_mailbox_but_falling_below_80_percent_counts(app):
    number = stock.license_of(quantity=10)
    use(number, 10)

    free(number, 1)
    use(number, 1)
    assert len(messages_to(BOB)) == 1
    free(number, 3)
    use(number, 1)
    assert len(messages_to(BOB)) == 2


def test_every_administrator_is_told_in_their_own_language_and_nobody_else(app):
    with unscoped("Bob reads German"):
        signin.find_user(BOB.email).locale = "de"
    berta = hire("berta@kuestenfunk.example", "kuestenfunk", Role.ADMINISTRATOR)
    finn = hire("finn@kuestenfunk.example", "kuestenfunk", Role.FINANCE)

    use(stock.license_of(quantity=10), 8)

    (german,), (english,) = messages_to(BOB), messages_to(berta)
    assert (german.locale, english.locale) == ("de", "en")
    assert "8 of 10 assets" in english.body_text and "8 von 10 Anlagen" in german.body_text
    assert "http://localhost/a/kuestenfunk/licenses/show/" in english.body_text
    assert "8 of 10 assets" in english.body_html
    assert not messages_to(finn) and not messages_to(ALICE)


def test_used_from_above_the_mail_stands_in_the_outbox_there(app, dora):
    use(stock.license_of(quantity=10), 8, by=dora)

    with acting_as(dora):
        assert db.session.scalars(select(Message.recipient)).all() == [BOB.email]


# --- suspending, reinstating, revoking ---------------------------------------------------------------------------


def test_an_account_lifts_no_suspension_of_its_own(app, alice, bob):
    number = stock.license_of()

    with pytest.raises(Refused, match="accounts above"):
        do(licenses.suspend, number, bob, reason="x")
    do(licenses.suspend, number, alice, reason="Invoice overdue")
    with pytest.raises(Refused, match="accounts above"):
        do(licenses.reinstate, number, bob)


def test_a_partner_does_not_lift_what_the_operator_has_suspended(app, alice, dora):
    number = stock.license_of()
    do(licenses.suspend, number, dora, reason="Fraud")

    with pytest.raises(Refused, match="above yours"):
        do(licenses.reinstate, number, alice)
    do(licenses.reinstate, number, dora)
    assert now_of(number).status is LicenseStatus.ACTIVE


def test_what_a_partner_has_suspended_the_operator_may_lift(app, alice, dora):
    number = stock.license_of()
    do(licenses.suspend, number, alice, reason="Invoice overdue")

    do(licenses.reinstate, number, dora)

    assert now_of(number).reason == ""


@pytest.mark.parametrize("reason", ["", "  ", "x" * 301])
def test_a_reason_is_needed(app, alice, dora, reason):
    number = stock.license_of()

    for verb, person in [(licenses.suspend, alice), (licenses.revoke, dora)]:
        with pytest.raises(Refused) as refusal:
            do(verb, number, person, reason=reason)
        assert refusal.value.field == "reason"


def test_the_history_says_who_why_and_how_it_was_lifted(app, alice):
    number = stock.license_of()
    do(licenses.suspend, number, alice, reason="Invoice overdue")
    do(licenses.reinstate, number, alice)

    with unscoped("reading history", writes=False) as session:
        suspended, reinstated = session.scalars(select(LogEntry).order_by(LogEntry.id.desc()).limit(2)).all()[::-1]
    assert (suspended.action, suspended.actor[:5]) == ("license.suspended", "Alice")
    assert suspended.changes["reason"] == ["", "Invoice overdue"]
    assert reinstated.action == "license.reinstated"


def test_a_suspended_license_is_not_suspended_again(app, alice):
    number = stock.license_of()
    do(licenses.suspend, number, alice, reason="x")

    with pytest.raises(Refused, match="suspended already"):
        do(licenses.suspend, number, alice, reason="y")


# --- ending ------------------------------------------------------------------------------------------------------


def test_what_has_ended_is_noted_once(app):
    ended, living = stock.license_of(since=20, days=10), stock.license_of(since=20, days=40)
    endless = stock.license_of(since=20)

    for expected in (1, 0):
        with unscoped("the clockwork"):
            assert licenses.note_expired() == expected

    assert now_of(ended).status is LicenseStatus.EXPIRED
    assert {now_of(living).status, now_of(endless).status} == {LicenseStatus.ACTIVE}
    assert history().count("license.expired") == 1


def test_it_is_noted_once_by_two_machines_too(app):
    for _n in range(5):
        stock.license_of(since=20, days=10)

    def night() -> int:
        with unscoped("the clockwork"):
            return licenses.note_expired()

    assert sum(at_once(app, 2, night)) == 5
    assert history().count("license.expired") == 5


def test_a_license_expires_when_the_day_is_over_where_the_account_is(app, dora):
    with acting_as(dora):
        account_called("kuestenfunk").time_zone = "America/New_York"
    end = now_of(stock.license_of(days=10)).valid_until

    for hour, expected in [("03", 0), ("06", 1)]:
        with time_machine.travel(f"{end.isoformat()}T{hour}:00:00+00:00", tick=False):
            with unscoped("the clockwork"):
                assert licenses.note_expired() == expected


@pytest.mark.parametrize("status", list(LicenseStatus))
def test_lists_find_a_license_by_the_status_it_has_that_day(app, alice, dora, status):
    numbers = {
        LicenseStatus.UPCOMING: stock.license_of(since=-5),
        LicenseStatus.ACTIVE: stock.license_of(),
        LicenseStatus.EXPIRED: stock.license_of(since=20, days=10),
        LicenseStatus.SUSPENDED: stock.license_of(),
        LicenseStatus.REVOKED: stock.license_of(),
        LicenseStatus.SURRENDERED: stock.license_of(quantity=1),
    }
    do(licenses.suspend, numbers[LicenseStatus.SUSPENDED], alice, reason="x")
    do(licenses.revoke, numbers[LicenseStatus.REVOKED], dora, reason="x")
    do(surrenders.surrender, numbers[LicenseStatus.SURRENDERED], alice, quantity=1)

    with acting_as(alice):
        found = db.session.scalars(select(License).where(licenses.status_column(stock.today()) == status)).all()
        assert [license.id for license in found] == [numbers[status]]
        assert found[0].status_on(stock.today()) is status


# --- whose they are ----------------------------------------------------------------------------------------------


def test_licenses_are_seen_from_the_account_and_from_above(app):
    stock.license_of("kuestenfunk")

    seen = {}
    for person in (BOB, ALICE, DORA, CHARLIE, FRIDA):
        with acting_as(person):
            seen[person.slug] = db.session.scalar(select(func.count(License.id)))
    assert seen == {"kuestenfunk": 1, "nordlicht": 1, "kontor": 1, "alpenwerk": 0, "fjordline": 0}


def test_the_database_itself_refuses_a_license_from_another_accounts_article(app):
    holding = stock.give(stock.article(grants={stock.license_type(): 1}), "alpenwerk")
    number = stock.license_of("kuestenfunk")

    with pytest.raises(IntegrityError), unscoped("trying it past the services") as session:
        session.execute(update(License).where(License.id == number).values(holding_id=holding))


@pytest.mark.parametrize("deed", ["UPDATE license_movement SET quantity = 9", "DELETE FROM license_movement"])
def test_movements_are_only_added_to(app, deed):
    use(stock.license_of())

    with pytest.raises(DatabaseError, match="only added to"), unscoped("trying to rewrite movements") as session:
        session.execute(text(deed))


def test_the_clock_is_the_only_source_of_time(app):
    number = stock.license_of()

    with clock.back_then(clock.now() + timedelta(days=3)):
        use(number)

    with unscoped("looking at movements", writes=False) as session:
        assert session.scalar(select(LicenseMovement.at)) > clock.now() + timedelta(days=2)

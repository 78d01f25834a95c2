"""Holds: put on an account from above with a reason, and lifted again (M-3)."""

from __future__ import annotations

from itertools import product

import pytest
from sqlalchemy import select

from app import tokens
from app.errors import Refused
from app.extensions import db
from app.models import Hold, HoldKind, Kind, LogEntry, Role, Token
from app.permissions import TABLE, allows
from app.services import holds, invitations, moves
from app.tenancy import scope_for, unscoped
from tests.cast import account_called, acting_as

ADMINISTRATIVE, FINANCIAL = HoldKind


def hold(person, slug, kind=ADMINISTRATIVE, reason="Papers are missing."):
    with acting_as(person) as by:
        return holds.put_on_hold(account_called(slug), kind, reason=reason, by=by)


def lift(person, slug, kind=ADMINISTRATIVE, reason="All is well."):
    with acting_as(person) as by:
        holds.lift(account_called(slug), kind, reason=reason, by=by)


def test_a_hold_says_why_since_when_and_by_whom(alice, bob):
    hold(alice, "kuestenfunk")

    with acting_as(bob) as by:
        row = holds.find(by.account_id, ADMINISTRATIVE)
        assert (row.reason, row.set_by) == ("Papers are missing.", "Alice Ahrens")
        assert row.set_at == by.account.administrative_hold_at
        assert by.account.is_held and by.account.holds == [ADMINISTRATIVE]


def test_lifting_ends_it_and_keeps_it_on_record(alice):
    hold(alice, "kuestenfunk")

    lift(alice, "kuestenfunk")

    with acting_as(alice):
        account = account_called("kuestenfunk")
        assert not account.is_held and account.holds == []
        row = db.session.scalars(select(Hold)).one()
        assert (row.lifted_by, row.lift_reason) == ("Alice Ahrens", "All is well.")


def test_history_tells_both_with_their_reasons(alice):
    hold(alice, "kuestenfunk")
    lift(alice, "kuestenfunk")

    with acting_as(alice):
        told = {e.action: e.changes["reason"][1] for e in db.session.scalars(select(LogEntry)) if "hold" in e.action}
    assert told == {"account.put_on_hold": "Papers are missing.", "account.hold_lifted": "All is well."}


def test_a_financial_hold_is_noted_and_stops_nobody(alice, bob):
    hold(alice, "kuestenfunk", FINANCIAL)

    with acting_as(bob) as by:
        assert by.account.holds == [FINANCIAL] and not by.account.is_held
        assert not scope_for(by).held


def test_both_holds_can_be_in_force_and_one_of_each_at_most(alice):
    hold(alice, "kuestenfunk")
    hold(alice, "kuestenfunk", FINANCIAL)

    with pytest.raises(Refused, match="already"):
        hold(alice, "kuestenfunk")
    with acting_as(alice):
        assert account_called("kuestenfunk").holds == [ADMINISTRATIVE, FINANCIAL]


def test_what_is_not_held_cannot_be_lifted(alice):
    with pytest.raises(Refused, match="not on this hold"):
        lift(alice, "kuestenfunk")


@pytest.mark.parametrize("reason", ["", "  \n ", "x" * 301])
def test_both_need_a_reason_of_sensible_length(alice, reason):
    with pytest.raises(Refused) as refusal:
        hold(alice, "kuestenfunk", reason=reason)

    assert refusal.value.field == "reason"


def test_nobody_holds_or_frees_their_own_account(alice, bob):
    with pytest.raises(Refused, match="account above"):
        hold(alice, "nordlicht")
    hold(alice, "kuestenfunk")
    with pytest.raises(Refused, match="account above"):
        lift(bob, "kuestenfunk")


def test_a_hold_set_further_above_is_lifted_there(alice, dora):
    hold(dora, "kuestenfunk")

    with pytest.raises(Refused, match="only that account"):
        lift(alice, "kuestenfunk")
    lift(dora, "kuestenfunk")


def test_an_account_above_the_one_that_set_it_lifts_it_too(alice, dora):
    hold(alice, "kuestenfunk")

    lift(dora, "kuestenfunk")


def test_a_hold_goes_along_when_the_account_moves(alice, bob, dora):
    hold(alice, "kuestenfunk")
    with acting_as(dora) as by:
        moves.move(account_called("kuestenfunk"), to=account_called("alpenwerk"), by=by)

    with acting_as(bob) as by:
        assert holds.find(by.account_id, ADMINISTRATIVE).reason == "Papers are missing."


def test_accounts_beneath_a_held_one_go_on(alice, frida):
    hold(alice, "fjordline")

    with acting_as(alice):
        assert account_called("fjordline").is_held and not account_called("bergen").is_held


def test_its_members_keep_what_reads_and_lose_what_writes():
    for kind, permission in product(Kind, TABLE):
        reads = permission.partition(".")[2] in {"list", "show", "see", "export", "leave", "end"}
        left = allows(kind, Role.ADMINISTRATOR, permission, held=True)
        assert left == (reads and allows(kind, Role.ADMINISTRATOR, permission)), (kind, permission)


def test_an_invitation_sent_from_an_account_now_on_hold_opens_nothing(alice, frida):
    with acting_as(frida) as by:
        bergen = account_called("bergen")
        invitation = invitations.invite("new@bergen.example", role=Role.VIEWER, account=bergen, by=by)
    with unscoped("reading the link", writes=False) as session:
        secret = tokens.secret_of(session.get(Token, invitation.token_id))
        assert invitations.find(secret) is not None

    hold(alice, "fjordline")

    with unscoped("following the link", writes=False):
        assert invitations.find(secret) is None

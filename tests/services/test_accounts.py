"""The rules of accounts (M-1 … M-6)."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from app.errors import Refused
from app.extensions import db
from app.models import Account, Kind, LogEntry, Member, Role
from app.services import accounts
from app.tenancy import unscoped
from tests.cast import account_called, acting_as, apart


def test_whoever_opens_an_account_becomes_its_administrator(alice):
    with acting_as(alice) as by:
        account = accounts.open_account("Neufunk", parent=by.account, by=by)

        member = db.session.scalars(select(Member).where(Member.account_id == account.id)).one()
        assert (member.user_id, member.role) == (by.user_id, Role.ADMINISTRATOR)


def test_a_new_account_is_a_customer_beneath_its_parent(alice):
    with acting_as(alice) as by:
        account = accounts.open_account("Neufunk", parent=by.account, by=by)

        assert account.kind is Kind.CUSTOMER
        assert account.is_within(by.account)
        assert account.slug.startswith("neufunk-")


@pytest.mark.parametrize("name", ["Küstenfunk", " küstenfunk ", "KÜSTENFUNK", "Küsten\tfunk".replace("\t", "")])
def test_siblings_have_different_names_whatever_the_case(alice, name):
    with acting_as(alice) as by, pytest.raises(Refused, match="already") as refusal:
        accounts.open_account(name, parent=by.account, by=by)

    assert refusal.value.field == "name"


def test_cousins_may_have_the_same_name(charlie):
    with acting_as(charlie) as by:
        accounts.open_account("Küstenfunk", parent=by.account, by=by)


def test_the_database_itself_refuses_a_second_sibling_of_that_name(alice):
    with pytest.raises(IntegrityError), acting_as(alice) as by:
        twin = Account(name="Küstenfunk", parent=by.account, slug="twin", created_at=by.created_at)
        db.session.add(twin)


def test_of_two_opened_with_one_name_at_once_one_stands(app, alice):
    outcomes = []

    def open_it() -> None:
        with app.app_context():
            try:
                with acting_as(alice) as by:
                    accounts.open_account("Neufunk", parent=by.account, by=by)
                outcomes.append("opened")
            except (Refused, IntegrityError):
                outcomes.append("refused")

    threads = [threading.Thread(target=apart, args=(open_it,)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == ["opened"] + ["refused"] * 5


def test_an_account_needs_a_name(alice):
    with acting_as(alice) as by, pytest.raises(Refused, match="needs a name"):
        accounts.open_account("  ", parent=by.account, by=by)


def test_an_archived_account_keeps_everything_and_can_be_restored(alice):
    with acting_as(alice) as by:
        accounts.archive(account_called("kuestenfunk"), by=by)
    with acting_as(alice) as by:
        assert account_called("kuestenfunk").is_archived
        accounts.restore(account_called("kuestenfunk"), by=by)
    with acting_as(alice):
        assert not account_called("kuestenfunk").is_archived
        told = db.session.scalars(select(LogEntry.action).where(LogEntry.subject == "Küstenfunk")).all()
        assert {"account.archived", "account.restored"} <= set(told)


def test_nobody_archives_the_account_they_act_in(alice):
    with acting_as(alice) as by, pytest.raises(Refused, match="acting in"):
        accounts.archive(by.account, by=by)


def test_nothing_is_opened_beneath_an_archived_account(alice):
    with acting_as(alice) as by:
        accounts.archive(account_called("fjordline"), by=by)

    with acting_as(alice) as by, pytest.raises(Refused, match="archived"):
        accounts.open_account("Neufunk", parent=account_called("fjordline"), by=by)


def test_partner_management_is_switched_on_and_off(alice):
    with acting_as(alice) as by:
        accounts.enable_partner(account_called("deichbau"), by=by)
        assert account_called("deichbau").kind is Kind.PARTNER
        accounts.disable_partner(account_called("deichbau"), by=by)
        assert account_called("deichbau").kind is Kind.CUSTOMER


def test_partner_management_stays_while_accounts_stand_beneath(alice):
    with acting_as(alice) as by, pytest.raises(Refused, match="beneath"):
        accounts.disable_partner(account_called("fjordline"), by=by)


def test_there_is_one_operator(app):
    with pytest.raises(IntegrityError), unscoped("a second root"):
        accounts.open_operator("Another", slug="another")

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


# --- what can be checked is checked ------------------------------------------------------------------------------


def opened(person, **facts):
    with acting_as(person) as by:
        return accounts.open_account("Neufunk", parent=by.account, by=by, **facts)


@pytest.mark.parametrize(
    ("typed", "country", "kept"),
    [
        ("DE136695976", "DE", "DE136695976"),
        (" de 136 695 976 ", "", "DE136695976"),
        ("136695976", "DE", "DE136695976"),
        ("ATU13585627", "DE", "ATU13585627"),  # registered in another country than it sits in
        ("EL094259216", "GR", "EL094259216"),
        ("094259216", "GR", "EL094259216"),
        ("CHE-107.787.577 MWST", "CH", "CHE107787577MWST"),
        ("GB 980 7806 84", "GB", "GB980780684"),
        ("A-1234567", "LI", "A1234567"),  # nobody knows how those are checked
        ("", "DE", ""),
    ],
)
def test_a_vat_id_is_kept_in_one_form(alice, typed, country, kept):
    assert opened(alice, vat_id=typed, country=country).vat_id == kept


@pytest.mark.parametrize(
    ("typed", "country", "words"),
    [
        ("DE136695977", "DE", "mistyped"),
        ("DE12", "DE", "too short"),
        ("Amtsgericht", "DE", "not a VAT ID"),
        ("DEABC", "", "VAT ID"),
        ("GB980780685", "GB", "mistyped"),
        ("x", "US", "too short"),
    ],
)
def test_a_wrong_vat_id_is_refused_at_its_field(alice, typed, country, words):
    with pytest.raises(Refused, match=words) as refusal:
        opened(alice, vat_id=typed, country=country)

    assert refusal.value.field == "vat_id"


def test_a_web_site_and_a_phone_number_are_checked_too(alice):
    account = opened(alice, website="www.neufunk.example", phone="+49 40 123-456")
    assert (account.website, account.phone) == ("https://www.neufunk.example", "+49 40 123-456")

    for field, wrong in {"website": "not one", "phone": "call me"}.items():
        with pytest.raises(Refused) as refusal, acting_as(alice) as by:
            accounts.open_account("Altfunk", parent=by.account, by=by, **{field: wrong})
        assert refusal.value.field == field


def test_restoring_beneath_an_archived_account_is_refused_in_words(alice):
    with acting_as(alice) as by:
        accounts.archive(account_called("bergen"), by=by)
        accounts.archive(account_called("fjordline"), by=by)

    with acting_as(alice) as by, pytest.raises(Refused, match="Fjordline is archived; restore it first"):
        accounts.restore(account_called("bergen"), by=by)


@pytest.mark.parametrize("are_many", [False, True])
@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ["Bergen Sensor", "Deichbau", "Fjordline", "Küstenfunk"]),
        ("fun", ["Küstenfunk"]),
        ("KUSTEN", ["Küstenfunk"]),
        ("küsten", ["Küstenfunk"]),
        ("e", ["Bergen Sensor", "Deichbau", "Fjordline", "Küstenfunk"]),
        ("berlin", []),  # where one of them is, not what it is called
        ("alpenwerk", []),
    ],
)
def test_accounts_are_found_by_their_name(alice, are_many, text, found):
    with acting_as(alice) as by:
        accounts.change(account_called("fjordline"), city="Berlin")
        beneath = select(Account).where(Account.id != by.account_id)

        named = [account.name for account in accounts.named(beneath, text, most=4, are_many=are_many)]
        assert named == found

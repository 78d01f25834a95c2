"""Contacts: who sees them at once, how a mask looks, what a reveal leaves behind and how often there is one (X-11)."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import func, select

from app import clock
from app.errors import Refused
from app.extensions import db
from app.models import Kind, LogEntry, Role
from app.permissions import TABLE, allows
from app.services import contacts
from app.ui.masks import mask
from tests.cast import account_called, acting_as, hire

SEEING = {Role.ADMINISTRATOR, Role.MANAGER, Role.SALES, Role.SUPPORT}


@pytest.fixture
def vera(app):
    return hire("vera@nordlicht.example", "nordlicht", Role.VIEWER, "Vera Viewer")


def reveal(person, slug="kuestenfunk"):
    with acting_as(person) as by:
        contacts.reveal(account_called(slug), by=by)


# --- who -----------------------------------------------------------------------------------------------------------


def test_finance_and_viewer_see_contacts_masked_everywhere(app):
    for kind in Kind:
        assert {role for role in Role if allows(kind, role, "contact.see")} == SEEING


def test_on_hold_one_reads_as_before(app):
    assert allows(Kind.CUSTOMER, Role.MANAGER, "contact.see", held=True)
    assert not allows(Kind.PARTNER, Role.VIEWER, "contact.reveal", held=True)


@pytest.mark.parametrize(
    "permission",
    ["account.edit", "account.import", "property.list", "invitation.list", "message.list", "message.show",
     "settings.edit", "contact.see"],
)  # fmt: skip
def test_what_cannot_be_masked_is_for_those_alone_who_see_contacts(permission):
    """An import compares old and new, a mail is written to somebody, a conversion lists what does not fit."""
    assert TABLE[permission].roles <= SEEING


# --- how a mask looks ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("contact", "value", "masked"),
    [
        ("email", "kontakt@kuestenfunk.example", "k•••@k•••.example"),
        ("email", "k@k.example", "k•••@k•••.example"),
        ("email", "not an address", "n•••"),
        ("phone", "+49 40 1234567", "+49 ••• 67"),
        ("phone", "+4940123456789067", "+49 ••• 67"),
        ("phone", "040 12345667", "••• 67"),
        ("phone", "1167", "•••"),
        ("name", "Alice Ahrens", "A•••"),
        ("name", "Anna-Theresia von und zu Altenburg", "A•••"),
        ("words", "Bob Brandt <bob@kuestenfunk.example>", "Bob Brandt <b•••@k•••.example>"),
        ("words", "“bob@kuestenfunk.example”, (eva@x.example)", "“b•••@k•••.example”, (e•••@x•••.example)"),
        ("name", "", ""),
        ("email", None, None),
    ],
)
def test_a_mask_tells_neither_length_nor_more_than_the_edges(contact, value, masked):
    assert mask(value, contact) == masked


# --- revealing -----------------------------------------------------------------------------------------------------


def test_a_reveal_leaves_a_line_at_the_account(vera, bob):
    reveal(vera)

    with acting_as(bob) as by:
        line = db.session.scalars(select(LogEntry).where(LogEntry.action == "contact.revealed")).one()
        assert (line.account_id, line.subject, line.acting_account) == (by.account_id, "Küstenfunk", "Nordlicht")
        assert line.actor == "Vera Viewer <vera@nordlicht.example>"


def test_an_hour_has_room_for_so_many(vera):
    with time_machine.travel(clock.now(), tick=False) as traveller:
        for _number in range(contacts.MOST):
            reveal(vera)
        with pytest.raises(Refused, match="wait a while"):
            reveal(vera, "deichbau")

        traveller.shift(timedelta(hours=1, seconds=1))
        reveal(vera, "deichbau")

    with acting_as(vera):
        assert db.session.scalar(select(func.count(LogEntry.id)).where(LogEntry.action == "contact.revealed")) == (
            contacts.MOST + 1
        )


def test_everybody_has_an_hour_of_their_own(vera, alice):
    for _number in range(contacts.MOST):
        reveal(vera)

    reveal(alice)

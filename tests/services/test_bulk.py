"""Many rows in few statements are the rows a flush would have written, behind the same wall."""

from __future__ import annotations

import gc
from contextlib import suppress

import pytest
from sqlalchemy import event, func, select
from sqlalchemy.orm import make_transient_to_detached

from app import bulk, clock, extensions
from app.errors import OutsideScope, Refused
from app.extensions import Session, db
from app.models import Account, Kind, LogEntry, Member, PropertyType, PropertyValue, Role, Webhook, WebhookDelivery
from app.services import accounts, properties
from app.tenancy import unscoped
from tests.cast import CHARLIE, FRIDA, account_called, account_id, acting_as

DIFFERING = {"id", "account_id", "account_path", "subject_id", "path", "slug", "at", "created_at"}


@pytest.fixture
def seats(alice):
    """A property of Alice's accounts."""
    with acting_as(alice) as by:
        return properties.define(PropertyType.INTEGER, by=by, label_en="Seats", label_de="Plätze").id


def facts_of(by, seats, name):
    facts = {"country": "DE", "language": "de", "created_at": clock.now(), "contact": "Nele", "phone": "040 123"}
    return {"name": name, "parent": by.account, "kind": Kind.CUSTOMER, "properties": {str(seats): "7"}, **facts}


def opened_by_hand(by, seats, name):
    account = Account(slug=name, **facts_of(by, seats, name))
    member = Member(account=account, user=by.user, role=Role.ADMINISTRATOR, created_at=clock.now())
    db.session.add_all([account, member])
    return account


def opened(by, seats, *names, **more):
    """What is worked out for new accounts of those names."""
    facts = [facts_of(by, seats, name) | more for name in names]
    wanted = [bulk.row_of(Account, **Account.with_keys(one)) for one in facts]
    return bulk.work_out(accounts.ready_to_open(wanted, by=by))


def about(account):
    """Everything the database has of an account: the row, its members, its lines, its places in the index."""
    rows = [db.session.get(Account, account.id)]
    for model in (Member, LogEntry, PropertyValue):
        own = model.subject_id == account.id if model is LogEntry else model.account_id == account.id
        rows += db.session.scalars(select(model).where(own).order_by(model.id))
    return [{n: said(getattr(r, n)) for n in r.__mapper__.columns.keys() if n not in DIFFERING} for r in rows]


def said(value):
    return str(value).replace("Altfunk", "Neufunk").replace("altfunk", "neufunk")


def test_the_rows_are_those_of_a_flush(alice, seats):
    with acting_as(alice) as by:
        one = opened_by_hand(by, seats, "Altfunk")
    with acting_as(alice, writes=False) as by:
        work = opened(by, seats, "Neufunk")
        [other] = work.new[Account]
    with acting_as(alice):
        work.write()

    with acting_as(alice):
        by_flush, in_bulk = about(one), about(other)
        for row in (row for rows in (by_flush, in_bulk) for row in rows if "changes" in row):
            row["changes"] = row["changes"].partition("created_at")[0].partition("'slug'")[0]
        assert len(by_flush) == 5  # the account, its member, two lines about it, its seats
        assert in_bulk == by_flush


def test_a_change_is_the_change_of_a_flush(alice, seats):
    with acting_as(alice, writes=False):
        account = account_called("kuestenfunk")
        account.contact, account.properties = "Gesa", {str(seats): "12"}
        work = bulk.work_out()
    with acting_as(alice):
        work.write()

    with acting_as(alice):
        account = account_called("kuestenfunk")
        assert (account.contact, account.properties) == ("Gesa", {str(seats): "12"})
        lines = db.session.scalars(select(LogEntry).where(LogEntry.subject_id == account.id)).all()
        told = {line.action: line.changes for line in lines}
        assert told["account.updated"] == {"contact": ["", "Gesa"]}
        assert told["account.properties_changed"][f"prop_{seats}"][:2] == [None, "12"]
        assert db.session.scalar(select(PropertyValue.number).where(PropertyValue.account_id == account.id)) == 12


@pytest.mark.parametrize(
    ("facts", "modified"),
    [
        ({}, False), ({"contact": "Gesa"}, True), ({"contact": ""}, False), ({"properties": {}}, False),
        ({"properties": {"1": "2"}}, True), ({"parent": None}, True), ({"archived_at": None}, False),
    ],
)  # fmt: skip
def test_a_row_is_modified_where_a_fact_differs_as_sqlalchemy_itself_would_say(alice, facts, modified):
    with acting_as(alice, writes=False), db.session.no_autoflush:
        account, session = account_called("kuestenfunk"), db.session()
        for name, fact in facts.items():
            setattr(account, name, fact)
        assert (session.is_modified(account), super(Session, session).is_modified(account)) == (modified, modified)
        session.expunge_all()


def test_new_accounts_are_tidied_and_refused_as_one_from_the_form(alice, seats):
    with acting_as(alice, writes=False) as by:
        [account] = opened(by, seats, "Neufunk", website="neufunk.example").new[Account]
        assert account.website == "https://neufunk.example"

    with pytest.raises(Refused, match="phone number"), acting_as(alice, writes=False) as by:
        opened(by, seats, "Neufunk", phone="on request")


def test_working_it_out_writes_nothing(alice, seats):
    with acting_as(alice) as by:
        known = account_called("kuestenfunk")
        with db.session.no_autoflush:
            known.contact = "Gesa"
            opened(by, seats, "Neufunk")

    with unscoped("looking for what must not be there", writes=False) as session:
        assert session.scalar(select(func.count(Account.id)).where(Account.name == "Neufunk")) == 0
        assert session.scalar(select(Account.contact).where(Account.slug == "kuestenfunk")) == ""


def test_the_wall_looks_at_every_row(alice):
    with pytest.raises(OutsideScope), acting_as(alice) as by:
        foreign = account_id("alpenwerk")
        db.session.add(Member(account_id=foreign, user_id=by.user_id, role=Role.VIEWER, created_at=clock.now()))
        bulk.work_out()


def stranger():
    """Charlie's client, as somebody holds it who has seen it elsewhere."""
    with unscoped("a row of the stranger's", writes=False):
        return account_called("gletscherbau")


@pytest.mark.parametrize(
    "facts",
    [
        lambda: {"account_id": account_id("gletscherbau")},
        lambda: {"account": stranger()},
        lambda: {"account": bulk.row_of(Account, **Account.with_keys({"name": "Neufunk", "parent": stranger()}))},
    ],
    ids=["by its number", "by itself", "by what is new beneath it"],
)
def test_the_wall_looks_at_rows_of_which_the_session_does_not_know(alice, facts):
    with pytest.raises(OutsideScope), acting_as(alice, writes=False) as by:
        bulk.work_out([bulk.row_of(Member, user_id=by.user_id, role=Role.VIEWER, created_at=clock.now(), **facts())])


def test_and_at_the_rows_that_those_refer_to(alice):
    foreign = Webhook(id=7, account_id=account_id("gletscherbau"), account_path=stranger().path)
    make_transient_to_detached(foreign)

    with pytest.raises(OutsideScope, match="Webhook"), acting_as(alice, writes=False) as by:
        bulk.work_out([bulk.row_of(WebhookDelivery, account=by.account, webhook=foreign)])


@pytest.mark.parametrize("place", [{}, {"path": "aaaaaaaa/"}], ids=["of its own", "said by itself"])
def test_a_new_account_stands_beneath_one_in_sight(alice, place):
    with pytest.raises(OutsideScope), acting_as(alice, writes=False):
        facts = {"name": "Neufunk", "parent": stranger(), "created_at": clock.now()}
        bulk.work_out([bulk.row_of(Account, **Account.with_keys(facts), **place)])


@pytest.mark.parametrize("owner", [CHARLIE, FRIDA], ids=["a stranger's", "a partner's beneath"])
def test_values_are_looked_at_as_in_a_flush(alice, owner):
    with acting_as(owner) as by:
        foreign = properties.define(PropertyType.INTEGER, by=by, label_en="Seats", label_de="Plätze").id

    with pytest.raises(OutsideScope), acting_as(alice, writes=False) as by:
        opened(by, foreign, "Neufunk")


def test_it_is_written_by_whom_it_was_worked_out_for_alone(alice, frida, seats):
    with acting_as(alice, writes=False) as by:
        work = opened(by, seats, "Neufunk")

    with pytest.raises(OutsideScope, match="another scope"), acting_as(frida):
        work.write()


def test_many_rows_take_as_many_statements_as_one_and_have_numbers_of_their_own(alice, seats):
    one, many = statements_for(alice, seats, ["Altfunk"]), statements_for(alice, seats, ["Bfunk", "Cfunk", "Dfunk"])
    assert many == one

    with acting_as(alice):
        opened_by_her = select(Account).where(Account.name.in_(["Altfunk", "Bfunk", "Cfunk", "Dfunk"]))
        for account in db.session.scalars(opened_by_her):
            lines = db.session.scalars(select(LogEntry).where(LogEntry.subject_id == account.id))
            assert {line.subject for line in lines if line.subject_type == "account"} == {account.name}
            values = db.session.scalars(select(PropertyValue).where(PropertyValue.account_id == account.id)).all()
            assert [value.account_path for value in values] == [account.path]


def test_more_rows_than_one_statement_takes_go_into_several(alice, seats, database, monkeypatch):
    names = [f"{letter}funk" for letter in "ABCDE"]
    monkeypatch.setattr(extensions, "PLACES", 60)
    statements = statements_for(alice, seats, names)
    of_accounts = [one for one in statements if one.startswith("INSERT INTO account ")]
    assert len(of_accounts) == (3 if database == "sqlite" else 1)  # of 30 columns
    monkeypatch.setattr(extensions, "PLACES", 16)  # four columns change: the words, too
    with acting_as(alice, writes=False):
        for account in db.session.scalars(select(Account).where(Account.name.in_(names))):
            account.contact, account.properties = f"Chef of {account.name}", {str(seats): str(ord(account.name[0]))}
        work = bulk.work_out()
    with acting_as(alice):
        work.write()

    with acting_as(alice):
        facts = select(Account.name, Account.contact, PropertyValue.number).where(Account.name.in_(names))
        found = db.session.execute(
            facts.join(PropertyValue, PropertyValue.account_id == Account.id).order_by(Account.name)
        )
        assert [tuple(one) for one in found] == [(name, f"Chef of {name}", ord(name[0])) for name in names]


def test_postgresql_keeps_its_plans_until_all_is_written_and_no_longer(alice, seats, database):
    if database == "sqlite":
        pytest.skip("SQLite plans a trigger with its statement")
    with acting_as(alice, writes=False) as by:
        work = opened(by, seats, "Neufunk")
    with acting_as(alice):
        work.write()
        assert plans() == "auto"

    with acting_as(alice, writes=False):
        assert plans() == "force_custom_plan"


def plans():
    return db.session.scalar(select(func.current_setting("plan_cache_mode")))


def statements_for(alice, seats, names):
    """What goes to the database while everybody waits."""
    with acting_as(alice, writes=False) as by:
        work = opened(by, seats, *names)
    found = []

    def note(*args):
        found.append(args[2].partition(" VALUES ")[0])  # of which one may put in one row, or hundreds

    with acting_as(alice):
        event.listen(db.engine, "before_cursor_execute", note)
        try:
            work.write()
        finally:
            event.remove(db.engine, "before_cursor_execute", note)
    return found


def test_rubbish_is_looked_for_again_afterwards_whatever_happens():
    with suppress(Refused), bulk.keeping_all():
        assert not gc.isenabled()
        raise Refused("no")

    assert gc.isenabled()

"""Moving accounts in the tree: who may, where to, what goes along, who sees it afterwards."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from app import clock, properties
from app.errors import OutsideScope, Refused
from app.extensions import db
from app.models import Account, LogEntry, Member, PropertyType, PropertyValue, Role
from app.services import accounts, moves
from app.services import properties as definitions
from app.tenancy import unscoped
from tests.cast import account_called, acting_as, apart, hire


def move(person, slug, to):
    with acting_as(person) as by:
        return moves.move(account_called(slug), to=account_called(to), by=by)


def refused(person, slug, to, words):
    with acting_as(person) as by, pytest.raises(Refused, match=words):
        moves.move(account_called(slug), to=account_called(to), by=by)


def tree():
    """Slug → slug of the parent, and every path beginning with its parent's."""
    with unscoped("looking at the whole tree", writes=False) as session:
        everybody = {account.id: account for account in session.scalars(select(Account))}
        for account in everybody.values():
            parent = everybody.get(account.parent_id)
            assert parent is None or account.path.startswith(parent.path)
            assert account.depth == (parent.depth + 1 if parent else 0)
        for value in session.scalars(select(PropertyValue)):
            assert value.account_path == everybody[value.account_id].path
        return {a.slug: everybody[a.parent_id].slug for a in everybody.values() if a.parent_id}


def lines(person, action):
    with acting_as(person):
        return db.session.scalars(select(LogEntry).where(LogEntry.action == action)).all()


# --- what moving does --------------------------------------------------------------------------------------------


def test_a_whole_branch_moves_with_all_beneath_it(dora):
    assert move(dora, "fjordline", "alpenwerk") == 2

    assert tree()["fjordline"] == "alpenwerk" and tree()["bergen"] == "fjordline"


def test_the_old_partner_sees_it_no_more_and_the_new_one_does(dora, alice, charlie, bob):
    move(dora, "kuestenfunk", "alpenwerk")

    with acting_as(alice):
        assert account_called("kuestenfunk") is None
    with acting_as(charlie):
        assert account_called("kuestenfunk").name == "Küstenfunk"
        assert db.session.scalar(select(Member).where(Member.account_id == account_called("kuestenfunk").id))
    with acting_as(bob) as by:
        assert by.account.name == "Küstenfunk"


def test_every_copy_of_the_path_goes_along_history_too(dora, bob, charlie):
    with acting_as(bob) as by:
        by.account.contact = "Bob himself"
    before = {entry.id for entry in lines(bob, "account.updated")}

    move(dora, "kuestenfunk", "alpenwerk")

    assert before and before <= {entry.id for entry in lines(bob, "account.updated")}
    assert before <= {entry.id for entry in lines(charlie, "account.updated")}
    with unscoped("looking at every copy", writes=False) as session:
        for cls in (Member, LogEntry, PropertyValue):
            stale = select(func.count()).select_from(cls).join(Account, Account.id == cls.account_id)
            assert session.scalar(stale.where(cls.account_path != Account.path)) == 0


def test_history_tells_each_side_what_it_may_know(dora, alice, charlie, frida):
    move(dora, "bergen", "alpenwerk")

    told = {who.slug: {entry.action: entry.changes for entry in _moves(who)} for who in (dora, alice, charlie, frida)}
    assert set(told["kontor"]) == {"account.moved", "account.moved_away", "account.moved_here"}
    assert told["kontor"]["account.moved"] == {"from_place": [None, "Fjordline"], "place": [None, "Alpenwerk"]}
    assert told["nordlicht"] == told["fjordline"] == {"account.moved_away": {}}
    assert told["alpenwerk"] == {"account.moved_here": {"place": [None, "Alpenwerk"]}}


def _moves(person):
    with acting_as(person):
        return db.session.scalars(select(LogEntry).where(LogEntry.action.startswith("account.moved"))).all()


def test_there_and_back_again_all_is_as_before(dora, alice):
    before = tree()

    move(dora, "fjordline", "alpenwerk")
    move(dora, "fjordline", "nordlicht")

    assert tree() == before
    with acting_as(alice):
        assert account_called("bergen") is not None


# --- what is refused ---------------------------------------------------------------------------------------------


def test_not_beneath_itself_nor_beneath_what_is_beneath_it(dora, alice):
    with acting_as(alice) as by:
        accounts.enable_partner(account_called("bergen"), by=by)

    refused(dora, "fjordline", "fjordline", "beneath itself")
    refused(dora, "fjordline", "bergen", "beneath itself")


def test_not_beneath_a_customer(dora):
    refused(dora, "gletscherbau", "deichbau", "manages no accounts")


def test_not_to_where_it_is(alice):
    refused(alice, "deichbau", "nordlicht", "there already")


def test_not_beneath_what_is_archived(dora, alice):
    with acting_as(alice) as by:
        accounts.archive(account_called("fjordline"), by=by)

    refused(alice, "deichbau", "fjordline", "is archived")


def test_not_beside_one_of_the_same_name(dora, charlie):
    with acting_as(charlie) as by:
        accounts.open_account("KÜSTENFUNK", parent=by.account, by=by)

    refused(dora, "kuestenfunk", "alpenwerk", "already")


def test_nobody_moves_the_account_they_act_in(alice):
    refused(alice, "nordlicht", "fjordline", "an account above")


def test_only_administrators_move(app):
    manager = hire("mona@nordlicht.example", "nordlicht", Role.MANAGER)

    refused(manager, "deichbau", "fjordline", "Only an Administrator")


def test_nobody_moves_to_or_from_where_they_do_not_see(charlie, alice):
    with unscoped("foreign accounts at hand", writes=False) as session:
        foreign = {slug: account_called(slug) for slug in ("alpenwerk", "kuestenfunk")}
        session.expunge_all()

    with pytest.raises(OutsideScope), acting_as(alice) as by:
        moves.move(account_called("deichbau"), to=foreign["alpenwerk"], by=by)
    with pytest.raises(OutsideScope), acting_as(charlie) as by:
        moves.move(foreign["kuestenfunk"], to=by.account, by=by)

    assert tree()["deichbau"] == tree()["kuestenfunk"] == "nordlicht"


def test_no_deeper_than_the_tree_may_be(dora, alice, monkeypatch):
    monkeypatch.setattr(moves, "MAX_DEPTH", 3)
    with acting_as(alice) as by:
        accounts.enable_partner(account_called("deichbau"), by=by)

    refused(alice, "fjordline", "deichbau", "levels deep")


# --- at the same moment ------------------------------------------------------------------------------------------


def at_once(app, *deeds):
    """Do them all at the same moment; what became of each."""
    outcomes, gate = [], threading.Barrier(len(deeds))

    def run(deed):
        with app.app_context():
            gate.wait()
            try:
                deed()
                outcomes.append("done")
            except (Refused, OutsideScope, IntegrityError, AttributeError) as error:
                outcomes.append(type(error).__name__)

    threads = [threading.Thread(target=apart, args=(run, deed)) for deed in deeds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return sorted(outcomes)


def test_two_opposing_moves_make_no_circle(app, dora, alice):
    with acting_as(alice) as by:
        accounts.enable_partner(account_called("deichbau"), by=by)
        accounts.open_account("Innen", parent=account_called("deichbau"), by=by, slug="innen")
        accounts.enable_partner(account_called("innen"), by=by)
        accounts.enable_partner(account_called("bergen"), by=by)

    for _round in range(3):
        outcomes = at_once(
            app, lambda: move(alice, "fjordline", "innen"), lambda: move(dora, "deichbau", "bergen")
        )
        assert outcomes == ["Refused", "done"]
        there = tree()
        assert "deichbau" in there and "fjordline" in there
        for slug in ("fjordline", "deichbau"):
            if there[slug] != "nordlicht":
                move(alice, slug, "nordlicht")


def test_an_account_opened_meanwhile_stands_where_its_parent_is(app, dora, frida):
    def open_one(name):
        with acting_as(frida) as by:
            accounts.open_account(name, parent=by.account, by=by)

    outcomes = at_once(
        app, lambda: move(dora, "fjordline", "alpenwerk"), *[lambda n=n: open_one(f"Neu {n}") for n in range(5)]
    )

    assert outcomes.count("done") >= 1
    tree()


def test_a_row_written_meanwhile_with_the_old_path_is_refused_by_the_database(dora, bob):
    with unscoped("the path as it was", writes=False):
        old = account_called("kuestenfunk").path
    move(dora, "kuestenfunk", "alpenwerk")

    with pytest.raises(IntegrityError), unscoped("somebody too late") as session:
        account = account_called("kuestenfunk")
        entry = LogEntry(at=clock.now(), action="account.updated", account_id=account.id)
        session.add(entry)
        session.flush()
        late = Member.__table__.insert().values(
            account_id=account.id, account_path=old, user_id=1, role="viewer", created_at=clock.now()
        )
        session.connection().execute(late)


# --- what partners know of it ------------------------------------------------------------------------------------


def kept_by(owner, slug):
    with acting_as(owner) as by:
        (definition,) = properties.definitions_of(by.account_id)
        indexed = db.session.scalar(select(func.count(PropertyValue.id)))
        account = account_called(slug)
        return account and (properties.value_of(definition, account), indexed)


def define(owner, slug, value):
    with acting_as(owner) as by:
        definition = definitions.define(PropertyType.TEXT, by=by, label_en="Credit", label_de="Bonität")
        properties.write(account_called(slug), {definition: value})


def test_what_the_old_partner_knew_is_kept_hidden_and_seen_again_after_the_return(dora, alice, charlie):
    define(alice, "kuestenfunk", "good")

    move(dora, "kuestenfunk", "alpenwerk")
    with acting_as(charlie):
        assert db.session.scalar(select(func.count(PropertyValue.id))) == 0
    move(dora, "kuestenfunk", "nordlicht")

    assert kept_by(alice, "kuestenfunk") == ("good", 1)


def test_what_no_longer_fits_its_definition_after_the_return_is_gone(dora, alice):
    define(alice, "kuestenfunk", "good")
    move(dora, "kuestenfunk", "alpenwerk")
    with acting_as(alice) as by:
        (definition,) = properties.definitions_of(by.account_id)
        definitions.convert(definition, to=PropertyType.INTEGER, by=by)

    move(dora, "kuestenfunk", "nordlicht")

    assert kept_by(alice, "kuestenfunk") == (None, 0)


def test_what_those_above_both_places_know_is_seen_as_before(dora):
    define(dora, "kuestenfunk", "good")

    move(dora, "kuestenfunk", "alpenwerk")

    assert kept_by(dora, "kuestenfunk") == ("good", 1)
    tree()


# --- the preview -------------------------------------------------------------------------------------------------


def test_the_preview_says_who_gains_and_who_loses_sight(dora):
    with acting_as(dora):
        seen = moves.preview(account_called("bergen"), to=account_called("alpenwerk"))

        assert seen.count == 1
        assert [a.slug for a in seen.losing] == ["fjordline", "nordlicht"]
        assert [a.slug for a in seen.gaining] == ["alpenwerk"]
        assert seen.staying == []


def test_the_preview_names_people_of_the_old_partner_who_stay_members(dora, alice):
    with acting_as(alice) as by:
        accounts.open_account("Neufunk", parent=by.account, by=by, slug="neufunk")

    with acting_as(dora):
        seen = moves.preview(account_called("neufunk"), to=account_called("alpenwerk"))

        assert [member.user.email for member in seen.staying] == ["alice@nordlicht.example"]


def test_the_places_offered_are_those_it_can_stand_at(alice):
    with acting_as(alice):
        found = db.session.scalars(moves.places(account_called("bergen"))).all()

        assert sorted(place.slug for place in found) == ["nordlicht"]

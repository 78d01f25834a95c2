"""Saved views: whose they are, who changes them, and what a member's lists look like by habit."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from app.errors import OutsideScope, Refused
from app.extensions import db
from app.models import LogEntry, Member, Role, SavedView, User
from app.services import members, saved_views
from app.tenancy import unscoped
from tests.cast import ALICE, CHARLIE, DORA, acting_as, hire

GERMAN = "_flt_0_country=DE&size=25&sort=-name"


@pytest.fixture
def victor(app):
    """He looks at Nordlicht's lists, and shares nothing."""
    return hire("victor@nordlicht.example", "nordlicht", Role.VIEWER, "Victor Voss")


def save(person=ALICE, name="German accounts", *, shared=False, of_list="accounts", query=GERMAN):
    with acting_as(person) as by:
        return saved_views.save(name, of_list=of_list, query=query, shared=shared, by=by).id


def names_of(person, of_list="accounts"):
    with acting_as(person) as by:
        return [view.name for view in saved_views.views_of(of_list, by=by)]


def test_a_view_of_ones_own_is_seen_by_nobody_else(app, victor):
    pk = save()

    assert names_of(ALICE) == ["German accounts"]
    assert names_of(ALICE, "members") == []
    assert names_of(victor) == names_of(DORA) == names_of(CHARLIE) == []
    for other in (victor, DORA, CHARLIE):
        with acting_as(other) as by, pytest.raises(OutsideScope):
            saved_views.get(pk, by=by)


def test_a_shared_view_is_seen_in_its_account_and_nowhere_else(app, victor):
    save(name="Mine")
    save(name="Zuletzt", shared=True)

    assert names_of(victor) == ["Zuletzt"]
    assert names_of(ALICE) == ["Zuletzt", "Mine"]
    assert names_of(DORA) == names_of(CHARLIE) == []


@pytest.mark.parametrize("role", [Role.SALES, Role.SUPPORT, Role.FINANCE, Role.VIEWER])
def test_only_administrators_and_managers_share(app, role):
    somebody = hire("somebody@nordlicht.example", "nordlicht", role)

    with pytest.raises(Refused, match="cannot share") as refusal:
        save(somebody, shared=True)

    assert refusal.value.field == "shared"
    save(somebody)
    save(hire("maria@nordlicht.example", "nordlicht", Role.MANAGER), shared=True)


def test_a_shared_view_is_not_a_viewers_to_change(app, victor):
    pk = save(shared=True)

    for deed in (
        lambda view, by: saved_views.change(view, name="Other", shared=True, by=by),
        lambda view, by: saved_views.change(view, name="Other", shared=False, by=by),
        lambda view, by: saved_views.look_like(view, query="", by=by),
        lambda view, by: saved_views.delete(view, by=by),
    ):
        with acting_as(victor) as by, pytest.raises(Refused, match="your role cannot change it"):
            deed(saved_views.get(pk, by=by), by)

    assert names_of(victor) == ["German accounts"]


def test_a_name_is_unique_among_ones_own_and_among_the_shared(app, victor):
    save()
    save(shared=True)
    save(of_list="members")
    save(victor)

    for shared in (False, True):
        with pytest.raises(Refused, match="of this name already"):
            save(name="german  ACCOUNTS", shared=shared)


def test_sharing_meets_a_shared_one_of_the_same_name(app):
    pk = save()
    save(shared=True)

    with acting_as(ALICE) as by, pytest.raises(Refused, match="of this name already"):
        saved_views.change(saved_views.get(pk, by=by), name="German accounts", shared=True, by=by)


def test_the_database_holds_names_apart_too(app):
    save()

    with pytest.raises(IntegrityError), acting_as(ALICE) as by:
        db.session.add(
            SavedView(account=by.account, of_list="accounts", name="GERMAN accounts", owner_id=by.user_id, query="",
                      created_at=saved_views.clock.now())
        )  # fmt: skip


@pytest.mark.parametrize(("name", "said"), [("", "fill this in"), ("  ", "fill this in"), ("x" * 61, "At most 60")])
def test_a_name_has_a_length(app, name, said):
    with pytest.raises(Refused, match=said) as refusal:
        save(name=name)

    assert refusal.value.field == "name"


def test_what_no_address_can_hold_is_not_saved(app):
    with pytest.raises(Refused, match="too many columns"):
        save(query="q=" + "x" * 4_000)


def test_a_list_has_only_so_many_views(app, monkeypatch):
    monkeypatch.setattr(saved_views, "MOST", 2)
    save(name="One")
    save(name="Two")

    with pytest.raises(Refused, match="at most 2 views"):
        save(name="Three")
    save(name="Three", shared=True)


def test_taking_a_shared_view_back_makes_it_ones_own(app, victor):
    pk = save(shared=True)

    with acting_as(ALICE) as by:
        saved_views.change(saved_views.get(pk, by=by), name="Mine now", shared=False, by=by)

    assert names_of(victor) == []
    assert names_of(ALICE) == ["Mine now"]


def test_a_view_shows_the_list_as_it_was_saved_last(app):
    pk = save()

    with acting_as(ALICE) as by:
        saved_views.look_like(saved_views.get(pk, by=by), query="q=hafen", by=by)

    with acting_as(ALICE) as by:
        assert saved_views.get(pk, by=by).query == "q=hafen"


def test_who_leaves_takes_their_own_views_along_and_leaves_the_shared_ones(app, victor):
    anna = hire("anna@nordlicht.example", "nordlicht", Role.MANAGER, "Anna Abel")
    save(anna, "Mine"), save(anna, "Ours", shared=True), save(victor, "Victor's")

    with acting_as(ALICE) as by:
        member = db.session.scalar(select(Member).join(Member.user).where(User.email == anna.email))
        members.remove(member, by=by)

    assert names_of(victor) == ["Ours", "Victor's"]
    hire(anna.email, "nordlicht", Role.MANAGER, "Anna Abel")
    assert names_of(anna) == ["Ours"]


def test_every_deed_leaves_a_line_for_the_accounts_own_eyes(app):
    pk = save(shared=True)
    with acting_as(ALICE) as by:
        saved_views.change(saved_views.get(pk, by=by), name="Other", shared=True, by=by)
    with acting_as(ALICE) as by:
        saved_views.delete(saved_views.get(pk, by=by), by=by)

    with unscoped("reading the history", writes=False) as session:
        lines = session.scalars(select(LogEntry).where(LogEntry.subject_type == "saved_view").order_by(LogEntry.id))
        told = [(line.action, line.inside, line.changes.get("name")) for line in lines]
    assert told == [
        ("saved_view.created", True, [None, "German accounts"]),
        ("saved_view.updated", True, ["German accounts", "Other"]),
        ("saved_view.deleted", True, ["Other", None]),
    ]


def test_habits_are_each_members_own_and_leave_no_line(app, victor):
    pk = save(shared=True)
    with acting_as(victor) as by:
        saved_views.open_with("accounts", saved_views.get(pk, by=by), by=by)
        saved_views.page_by("accounts", 50, by=by)
        saved_views.page_by("members", 10, by=by)

    with acting_as(victor) as by:
        assert saved_views.habit(by, "accounts") == {"view": pk, "size": 50}
        saved_views.open_with("accounts", None, by=by)
    with acting_as(victor) as by:
        assert saved_views.habit(by, "accounts") == {"size": 50}
    with acting_as(ALICE) as by:
        assert saved_views.habit(by, "accounts") == {}
        about_members = select(func.count(LogEntry.id)).where(LogEntry.action == "member.updated")
        assert db.session.scalar(about_members) == 0
        assert db.session.scalar(select(func.count(Member.id)).where(Member.user_id == by.user_id)) == 1

"""The rules of members (M-7b): no role above one's own, and always an Administrator."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import func, select

from app import permissions
from app.errors import Refused
from app.extensions import db
from app.models import Kind, Member, Role, User
from app.services import members
from app.tenancy import unscoped
from tests.cast import BOB, account_id, acting_as, apart, browse, hire
from tests.signing import history


def member_of(email: str) -> Member:
    return db.session.scalar(select(Member).join(Member.user).where(User.email == email))


def test_an_administrator_gives_a_member_another_role(bob):
    hire("berta@kuestenfunk.example", "kuestenfunk", Role.VIEWER)

    with acting_as(bob) as by:
        members.change_role(member_of("berta@kuestenfunk.example"), to=Role.SALES, by=by)

    with acting_as(bob):
        assert member_of("berta@kuestenfunk.example").role is Role.SALES
    assert history()[-1:] == ["member.role_changed"] and "member.updated" not in history()


def test_nobody_gives_a_role_above_their_own(app):
    manager = hire("mona@kuestenfunk.example", "kuestenfunk", Role.MANAGER)
    hire("berta@kuestenfunk.example", "kuestenfunk", Role.VIEWER)

    with acting_as(manager) as by, pytest.raises(Refused, match="up to your own"):
        members.change_role(member_of("berta@kuestenfunk.example"), to=Role.ADMINISTRATOR, by=by)


def test_the_last_administrator_can_be_neither_demoted_nor_removed(bob):
    with acting_as(bob) as by, pytest.raises(Refused, match="last Administrator"):
        members.change_role(by, to=Role.VIEWER, by=by)
    with acting_as(bob) as by, pytest.raises(Refused, match="last Administrator"):
        members.remove(by, by=by)


def test_two_administrators_leaving_at_once_leave_one_behind(app, bob):
    other = hire("berta@kuestenfunk.example", "kuestenfunk", Role.ADMINISTRATOR)
    start = threading.Barrier(2)

    def leave(person) -> None:
        with app.app_context():
            start.wait()
            try:
                with acting_as(person) as me:
                    members.remove(me, by=me)
            except Refused:
                pass

    threads = [threading.Thread(target=apart, args=(leave, person)) for person in (bob, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with unscoped("counting who is left", writes=False) as session:
        left = select(func.count()).where(
            Member.account_id == account_id("kuestenfunk"), Member.role == Role.ADMINISTRATOR
        )
        assert session.scalar(left) == 1


def test_removing_somebody_ends_what_they_see_at_once(bob):
    berta = hire("berta@kuestenfunk.example", "kuestenfunk", Role.VIEWER)
    browser = browse(berta)
    assert browser.get("/members/list/").status_code == 200

    with acting_as(bob) as by:
        members.remove(member_of("berta@kuestenfunk.example"), by=by)

    assert browser.get("/members/list/").status_code == 404


def test_the_partner_above_does_not_touch_a_customers_members(alice, bob):
    with acting_as(alice) as by, pytest.raises(Refused, match="own administrators"):
        members.remove(member_of(BOB.email), by=by)


@pytest.mark.parametrize("kind", Kind)
def test_every_role_may_do_at_most_what_an_administrator_may(kind):
    for permission in permissions.TABLE:
        for role in Role:
            if permissions.allows(kind, role, permission):
                assert permissions.allows(kind, Role.ADMINISTRATOR, permission)


def test_what_is_not_in_the_table_nobody_may_do():
    assert not permissions.allows(Kind.OPERATOR, Role.ADMINISTRATOR, "account.delete")

"""Invitations (M-7): who may send them, what is refused, and that a link is good once, while it is right."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from app import clock, passwords, tokens
from app.errors import OutsideScope, Refused
from app.extensions import db
from app.models import Account, Invitation, InvitationStatus, LogEntry, Member, Role, Token, User
from app.services import accounts, invitations, members, signin
from app.tenancy import unscoped
from tests.cast import ALICE, BOB, CHARLIE, PASSWORD, Person, account_called, account_id, acting_as, add_member, hire
from tests.signing import HERE, at_once, history, link_in, messages_to

NINA = Person("nina@new.example", "kuestenfunk")
WEEK = timedelta(days=7)
CROWD = 8


def invite(by: Person, email: str = NINA.email, role: Role = Role.VIEWER, slug: str = "") -> Invitation:
    with acting_as(by) as member:
        return invitations.invite(email, role=role, account=account_called(slug or by.slug), by=member)


def secret_of(invitation: Invitation) -> str:
    with unscoped("reading a link", writes=False) as session:
        return tokens.secret_of(session.get(Token, invitation.token_id))


def now_of(invitation: Invitation) -> Invitation:
    with unscoped("looking at an invitation", writes=False) as session:
        return session.get(Invitation, invitation.id)


def look(secret: str) -> Invitation | None:
    with unscoped("looking at a link", writes=False):
        return invitations.find(secret)


def register(secret: str) -> Member | None:
    with unscoped("somebody new accepts"):
        return invitations.register(
            secret, first_name="Nina", last_name="Neu", kept=passwords.hashed(PASSWORD), locale="de", visitor=HERE
        )


def accept(secret: str, person: Person) -> Member | None:
    with unscoped("somebody known accepts"):
        return invitations.accept(secret, user=signin.find_user(person.email), visitor=HERE)


def roles_in(slug: str) -> dict[str, Role]:
    with unscoped("who is there", writes=False) as session:
        there = select(User.email, Member.role).join(Member.user).where(Member.account_id == account_id(slug))
        return dict(session.execute(there).all())


# --- accepting -------------------------------------------------------------------------------------------------


def test_somebody_new_registers_and_is_in_the_account(bob):
    secret = secret_of(invite(bob, role=Role.SALES))

    member = register(secret)

    assert roles_in("kuestenfunk")[NINA.email] is Role.SALES
    assert (member.user.name, member.user.locale) == ("Nina Neu", "de")


def test_somebody_known_gets_the_membership_and_keeps_the_others(bob):
    secret = secret_of(invite(bob, CHARLIE.email, Role.MANAGER))

    accept(secret, CHARLIE)

    assert roles_in("kuestenfunk")[CHARLIE.email] is Role.MANAGER
    assert roles_in("alpenwerk")[CHARLIE.email] is Role.ADMINISTRATOR


def test_the_case_of_the_address_makes_no_difference(bob):
    invitation = invite(bob, "  Charlie@ALPENWERK.example ")

    assert accept(secret_of(invitation), CHARLIE).user.email == CHARLIE.email


def test_a_link_works_once(bob):
    invitation = invite(bob)
    secret = secret_of(invitation)
    register(secret)

    assert look(secret) is None
    assert accept(secret, NINA) is None
    assert now_of(invitation).status is InvitationStatus.ACCEPTED
    with unscoped("looking at the token", writes=False) as session:
        assert session.get(Token, invitation.token_id).used_at


def test_looking_uses_nothing_up(bob):
    secret = secret_of(invite(bob))

    for _n in range(3):
        assert look(secret) is not None
    assert register(secret)


def test_of_a_crowd_that_accepts_at_once_one_gets_in(app, bob):
    secret = secret_of(invite(bob, CHARLIE.email))

    let_in = at_once(app, CROWD, lambda: accept(secret, CHARLIE))

    assert len(let_in) - let_in.count(None) == 1
    with unscoped("counting", writes=False) as session:
        there = select(func.count(Member.id)).where(Member.account_id == account_id("kuestenfunk"))
        assert session.scalar(there) == 2


def test_of_a_crowd_that_registers_at_once_one_person_is_made(app, bob):
    secret = secret_of(invite(bob))

    made = at_once(app, CROWD, lambda: register(secret))

    assert len(made) - made.count(None) == 1
    assert list(roles_in("kuestenfunk")) == [BOB.email, NINA.email]


def test_a_link_is_for_the_address_it_went_to(bob, charlie):
    invitation = invite(bob)

    with pytest.raises(Refused, match="another e-mail address"):
        accept(secret_of(invitation), charlie)

    assert CHARLIE.email not in roles_in("kuestenfunk")
    assert now_of(invitation).status is InvitationStatus.PENDING
    assert register(secret_of(invitation))


def test_the_role_is_the_one_invited_to_whatever_else_one_is(bob, alice):
    accept(secret_of(invite(bob, ALICE.email, Role.VIEWER)), alice)

    assert roles_in("kuestenfunk")[ALICE.email] is Role.VIEWER


def test_somebody_who_became_a_member_otherwise_does_not_become_one_twice(bob):
    secret = secret_of(invite(bob, CHARLIE.email))
    with unscoped("meanwhile"):
        add_member(CHARLIE.email, "", account_called("kuestenfunk"), Role.SALES)

    with pytest.raises(Refused, match="a member of Küstenfunk already"):
        accept(secret, CHARLIE)

    assert roles_in("kuestenfunk")[CHARLIE.email] is Role.SALES


def test_whoever_has_a_sign_in_by_now_does_not_get_a_second_one(bob, frida):
    first, second = secret_of(invite(bob)), secret_of(invite(frida))
    register(first)

    with pytest.raises(Refused, match="a sign-in here by now"):
        register(second)

    assert accept(second, NINA)


def test_a_person_put_to_rest_does_not_come_back_by_invitation(bob):
    secret = secret_of(invite(bob, CHARLIE.email))
    with unscoped("putting to rest"):
        signin.find_user(CHARLIE.email).active = False

    with pytest.raises(Refused):
        accept(secret, CHARLIE)


# --- when it is no longer right --------------------------------------------------------------------------------


def test_after_seven_days_a_link_is_too_old(bob):
    invitation = invite(bob)
    secret = secret_of(invitation)

    with time_machine.travel(clock.now() + WEEK - timedelta(minutes=1), tick=False):
        assert look(secret) is not None
    with time_machine.travel(clock.now() + WEEK + timedelta(minutes=1), tick=False):
        assert look(secret) is None
        assert register(secret) is None
        assert now_of(invitation).status_at(clock.now()) is InvitationStatus.EXPIRED


def test_a_withdrawn_invitation_opens_nothing(bob):
    invitation = invite(bob)

    with acting_as(bob) as by:
        invitations.withdraw(db.session.get(Invitation, invitation.id), by=by)

    assert look(secret_of(invitation)) is None
    assert register(secret_of(invitation)) is None


def test_a_new_link_makes_the_old_one_worthless(bob):
    invitation = invite(bob)
    old = secret_of(invitation)

    with time_machine.travel(clock.now() + WEEK + timedelta(days=1), tick=False):
        with acting_as(bob) as by:
            invitations.resend(db.session.get(Invitation, invitation.id), by=by)
        new = secret_of(now_of(invitation))

        assert look(old) is None and register(old) is None
        assert link_in(messages_to(NINA)[-1]) == f"/join/{new}"
        assert register(new)


def change_inviter(bob_becomes) -> None:
    with unscoped("what becomes of the inviter") as session:
        bob_becomes(session, session.scalar(select(Member).join(Member.user).where(User.email == BOB.email)))


@pytest.mark.parametrize(
    "what_happens",
    [
        lambda session, bob: session.delete(bob),
        lambda session, bob: setattr(bob, "role", Role.SALES),
        lambda session, bob: setattr(bob, "role", Role.MANAGER),  # may invite, but no administrators
        lambda session, bob: setattr(bob.user, "active", False),
        lambda session, bob: setattr(bob.account, "archived_at", clock.now()),
    ],
    ids=["removed", "demoted", "demoted below the role", "put to rest", "account archived"],
)
def test_an_invitation_dies_with_the_right_to_send_it(bob, what_happens):
    secret = secret_of(invite(bob, role=Role.ADMINISTRATOR))
    assert look(secret)

    change_inviter(what_happens)

    assert look(secret) is None
    assert register(secret) is None
    assert NINA.email not in roles_in("kuestenfunk")


def test_an_invitation_sent_from_above_dies_with_the_inviters_place_above(alice):
    secret = secret_of(invite(alice, slug="kuestenfunk"))
    with unscoped("Küstenfunk moves to Alpenwerk"):
        moved, to = account_called("kuestenfunk"), account_called("alpenwerk")
        moved.parent, moved.path = to, f"{to.path}aaaaaaaa/"
        db.session.flush()

    assert look(secret) is None


def test_an_archived_account_lets_nobody_in_not_even_from_above(alice):
    secret = secret_of(invite(alice, slug="deichbau"))
    with acting_as(alice) as by:
        accounts.archive(account_called("deichbau"), by=by)
    assert look(secret) is None and register(secret) is None

    with acting_as(alice) as by:
        accounts.restore(account_called("deichbau"), by=by)
    assert register(secret)


def test_removing_the_inviter_and_accepting_at_once_end_one_way_or_the_other(app, bob):
    mona = hire("mona@kuestenfunk.example", "kuestenfunk", Role.MANAGER)
    secret = secret_of(invite(mona))

    def remove():
        with acting_as(bob) as by:
            monas = db.session.scalar(select(Member).join(Member.user).where(User.email == mona.email))
            members.remove(monas, by=by)

    deeds = iter([remove, lambda: register(secret)])
    done = at_once(app, 2, lambda: next(deeds)())

    assert mona.email not in roles_in("kuestenfunk")
    assert (NINA.email in roles_in("kuestenfunk")) == any(isinstance(one, Member) for one in done)


def test_archiving_and_accepting_at_once_end_one_way_or_the_other(app, alice):
    secret = secret_of(invite(alice, slug="deichbau"))

    def archive():
        with acting_as(alice) as by:
            accounts.archive(account_called("deichbau"), by=by)

    deeds = iter([archive, lambda: register(secret)])
    at_once(app, 2, lambda: next(deeds)())

    assert look(secret) is None


def by_bob(verb, invitation: Invitation) -> None:
    with acting_as(BOB) as by:
        verb(db.session.get(Invitation, invitation.id), by=by)


def archive(invitation: Invitation) -> None:
    with unscoped("archiving") as session:
        session.get(Account, invitation.account_id).archived_at = clock.now()


@pytest.mark.parametrize(
    "meanwhile",
    [lambda one: by_bob(invitations.withdraw, one), lambda one: by_bob(invitations.resend, one), archive],
    ids=["withdrawn", "sent again", "archived"],
)
def test_what_happens_between_finding_and_taking_counts(app, database, bob, monkeypatch, meanwhile):
    invitation = invite(bob)
    secret, behind = secret_of(invitation), invitations._behind

    def find_slowly(secret):
        found = behind(secret)
        at_once(app, 1, lambda: meanwhile(invitation))
        return found

    if database == "sqlite":
        return  # whoever writes is alone there: there is no in between
    monkeypatch.setattr(invitations, "_behind", find_slowly)

    assert register(secret) is None
    assert NINA.email not in roles_in("kuestenfunk")


# --- inviting --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("email", "sentence"),
    [
        (BOB.email, "bob@kuestenfunk.example is a member already."),
        ("  BOB@kuestenfunk.example", "is a member already."),
        ("no address", "This is not an e-mail address."),
        ("a@b.example\r\nBcc: c@d.example", "This is not an e-mail address."),
        ("", "This is not an e-mail address."),
        (f"{'a' * 60}@{'b' * 60}.{'c' * 60}.example", "too long"),
    ],
)
def test_an_address_that_will_not_do_is_refused_in_words(bob, email, sentence):
    with pytest.raises(Refused, match=sentence) as refusal:
        invite(bob, email)

    assert refusal.value.field == "email"
    assert not messages_to(NINA)


def test_one_pending_invitation_for_an_address_is_enough(bob, frida):
    invite(bob)

    with pytest.raises(Refused, match="has been invited already"):
        invite(bob, "NINA@new.example")
    invite(frida)  # another account's affair


def test_two_who_invite_the_same_person_at_once_make_one_invitation(app, bob):
    berta = hire("berta@kuestenfunk.example", "kuestenfunk", Role.ADMINISTRATOR)
    people = iter([bob, berta])

    def one_of_them():
        try:
            return invite(next(people))
        except Refused:
            return None

    made = at_once(app, 2, one_of_them)

    assert made.count(None) == 1
    assert len(messages_to(NINA)) == 1


def test_the_database_keeps_it_at_one_pending_invitation(bob):
    former = invite(bob)

    with pytest.raises(IntegrityError), unscoped("passing the service by") as session:
        values = {c.name: getattr(former, c.name) for c in Invitation.__table__.columns if c.name not in {"id"}}
        token = tokens.issue(tokens.Purpose.INVITATION)
        session.flush()
        session.add(Invitation(**{**values, "token_id": token.id}))
        session.flush()


def test_one_that_has_expired_makes_way_for_a_new_one(bob):
    former = invite(bob)

    with time_machine.travel(clock.now() + WEEK + timedelta(minutes=1), tick=False):
        new = invite(bob, role=Role.SALES)

        assert now_of(former).status is InvitationStatus.WITHDRAWN
        assert register(secret_of(new)).role is Role.SALES


@pytest.mark.parametrize("role", [Role.ADMINISTRATOR, Role.MANAGER])
def test_nobody_invites_to_a_role_above_their_own(app, role):
    mona = hire("mona@kuestenfunk.example", "kuestenfunk", Role.MANAGER)

    if role is Role.MANAGER:
        assert invite(mona, role=role)
    else:
        with pytest.raises(Refused, match="up to your own"):
            invite(mona, role=role)


def test_nobody_sends_again_what_they_could_not_send(bob):
    mona = hire("mona@kuestenfunk.example", "kuestenfunk", Role.MANAGER)
    invitation = invite(bob, role=Role.ADMINISTRATOR)

    with acting_as(mona) as by, pytest.raises(Refused, match="up to your own"):
        invitations.resend(db.session.get(Invitation, invitation.id), by=by)


def test_whoever_sends_it_again_answers_for_it(bob):
    berta = hire("berta@kuestenfunk.example", "kuestenfunk", Role.ADMINISTRATOR, "Berta Boll")
    invitation = invite(bob)
    with acting_as(berta) as by:
        invitations.resend(db.session.get(Invitation, invitation.id), by=by)
    change_inviter(lambda session, bob: session.delete(bob))

    assert look(secret_of(now_of(invitation))).inviter == "Berta Boll"


@pytest.mark.parametrize("verb", [invitations.resend, invitations.withdraw])
def test_what_is_over_is_over(bob, verb):
    accepted = invite(bob)
    register(secret_of(accepted))
    withdrawn = invite(bob, "other@new.example")
    with acting_as(bob) as by:
        invitations.withdraw(db.session.get(Invitation, withdrawn.id), by=by)

    for invitation, sentence in [(accepted, "has accepted"), (withdrawn, "has been withdrawn already")]:
        with acting_as(bob) as by, pytest.raises(Refused, match=sentence):
            verb(db.session.get(Invitation, invitation.id), by=by)


def test_nobody_is_invited_to_an_archived_account(alice):
    with acting_as(alice) as by:
        accounts.archive(account_called("deichbau"), by=by)

    with pytest.raises(Refused, match="Deichbau is archived"):
        invite(alice, slug="deichbau")


# --- from above, and from elsewhere ----------------------------------------------------------------------------


def test_a_partner_brings_the_first_members_of_a_customer_in(alice, bob):
    secret = secret_of(invite(alice, slug="deichbau", role=Role.ADMINISTRATOR))

    register(secret)

    assert roles_in("deichbau") == {NINA.email: Role.ADMINISTRATOR}


def test_what_is_sent_from_above_stands_in_the_accounts_history(alice, bob):
    invite(alice, slug="kuestenfunk")

    with acting_as(bob) as by:
        line = db.session.scalars(select(LogEntry).where(LogEntry.action == "member.invited")).one()
    assert line.account_id == by.account_id
    assert (line.subject, line.actor) == (NINA.email, "Alice Ahrens <alice@nordlicht.example>")
    assert line.acting_account == "Nordlicht"


def test_managing_is_not_seeing_inside(alice):
    """Nobody opens an account beneath to themselves or their colleagues (M-5)."""
    hire("malte@nordlicht.example", "nordlicht", Role.VIEWER)

    for email in (alice.email, "malte@nordlicht.example"):
        with pytest.raises(Refused, match="only Küstenfunk itself can let them in"):
            invite(alice, email, slug="kuestenfunk")


@pytest.mark.parametrize("verb", [invitations.resend, invitations.withdraw])
def test_an_accounts_own_invitations_are_not_the_partners_affair(alice, bob, verb):
    own, from_above = invite(bob), invite(alice, "other@new.example", slug="kuestenfunk")

    with acting_as(alice) as by, pytest.raises(Refused, match="the affair of Küstenfunk"):
        verb(db.session.get(Invitation, own.id), by=by)
    for person in (alice, bob):
        with acting_as(person) as by:
            if verb is invitations.resend:
                verb(db.session.get(Invitation, from_above.id), by=by)
    with acting_as(bob) as by:
        invitations.withdraw(db.session.get(Invitation, from_above.id), by=by)


def test_a_stranger_can_neither_see_nor_send_invitations(bob, charlie):
    invitation = invite(bob)
    foreign = account_id("kuestenfunk")

    with acting_as(charlie):
        assert db.session.get(Invitation, invitation.id) is None
        assert db.session.scalars(select(Invitation)).all() == []
    with pytest.raises(OutsideScope), acting_as(charlie) as by:
        kuestenfunk = Account(id=foreign, path="x", name="Küstenfunk")
        db.session.add(kuestenfunk)
        invitations.invite(NINA.email, role=Role.VIEWER, account=kuestenfunk, by=by)


def test_a_customer_invites_nobody_into_the_account_above(bob):
    with acting_as(bob):
        assert account_called("nordlicht") is None


# --- the mail --------------------------------------------------------------------------------------------------


def test_the_mail_is_in_the_persons_language_else_the_accounts(bob, alice):
    with unscoped("choosing languages"):
        account_called("kuestenfunk").language = "de"
        signin.find_user(BOB.email).locale = "en"

    invite(bob)
    invite(alice, BOB.email)  # known to Alice

    (to_nina,), (to_bob,) = messages_to(NINA), messages_to(BOB)
    assert (to_nina.locale, to_bob.locale) == ("de", "en")
    assert re.search(r"\d\. \w+ 20\d\d", to_nina.body_text) and 'lang="de"' in to_nina.body_html
    assert to_bob.subject == "Alice Ahrens invites you to Nordlicht"


def test_the_mail_does_not_tell_whether_a_stranger_has_a_sign_in_here(bob):
    with unscoped("a stranger's language"):
        signin.find_user(CHARLIE.email).locale = "de"

    invite(bob, CHARLIE.email)
    invite(bob)

    known, new = messages_to(CHARLIE)[-1], messages_to(NINA)[-1]
    assert (known.subject, known.body_text, known.locale) == (new.subject, new.body_text, new.locale)


def test_the_mail_is_the_inviters(alice, bob):
    invite(alice, slug="kuestenfunk")

    assert messages_to(NINA)[-1].account_id == account_id("nordlicht")


def test_everything_is_written_down(bob):
    secret = secret_of(invite(bob))
    before = len(history())
    member = register(secret)

    assert history()[before:] == ["member.joined", "invitation.accepted"]
    with acting_as(bob):
        line = db.session.scalars(select(LogEntry).where(LogEntry.action == "member.joined")).one()
    assert (line.actor, line.ip, line.subject_id) == ("Nina Neu <nina@new.example>", HERE.ip, member.id)


def test_every_verb_leaves_one_line(bob):
    before = len(history())
    invitation = invite(bob)
    for verb in (invitations.resend, invitations.withdraw):
        with acting_as(bob) as by:
            verb(db.session.get(Invitation, invitation.id), by=by)

    assert history()[before:] == ["member.invited", "invitation.resent", "invitation.withdrawn"]

"""Clients linked by consent: what is asked, what a code does and does not, how it ends (L-3, L-4)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from app import clock, outbox, tokens
from app.errors import Refused
from app.extensions import db
from app.models import (
    Consent,
    EndedBy,
    HoldKind,
    Kind,
    LinkRequest,
    LogEntry,
    Message,
    Relationship,
    Role,
    Token,
)
from app.services import accounts, holds, relationships
from app.tenancy import unscoped
from tests import cast, crowd
from tests.cast import ALICE, BOB, CHARLIE, account_called, account_id, acting_as, hire
from tests.linking import ask, code_for, link, linked, redeem, wrong
from tests.signing import history, messages_to

NOBODY = "nobody@nowhere.example"


# --- asking ----------------------------------------------------------------------------------------------------


def test_the_code_goes_to_the_client_with_the_partners_name_and_what_it_would_allow(app):
    ask(CHARLIE, BOB.email, Consent.LICENSES)

    message = messages_to(BOB)[-1]
    assert message.account_id == account_id("kuestenfunk")
    assert "Alpenwerk" in message.subject and "Küstenfunk" in message.subject
    assert "Licenses: see" in message.body_text and "Company details: see" in message.body_text
    assert "Orders" not in message.body_text


def test_the_code_stands_in_no_table_and_the_database_alone_makes_none(app):
    ask(CHARLIE, BOB.email)
    code = code_for(CHARLIE, BOB.email)

    message = messages_to(BOB)[-1]
    with unscoped("reading a mail", writes=False) as session:
        token = session.get(Token, message.token_id)
        text, html = outbox.bodies(message, token)
        kept = " ".join(str(value) for row in (message, token) for value in vars(row).values())
    assert f"{code[:4]} {code[4:]}" in text and f"{code[:4]} {code[4:]}" in html
    assert code not in kept and f"{code[:4]} {code[4:]}" not in kept


@pytest.mark.parametrize("locale", ["de", None])
def test_the_mail_is_in_the_language_of_the_person_or_else_of_the_account(app, locale):
    with unscoped("a person's language"):
        cast.account_called("kuestenfunk").language = "de"
        cast.signin.find_user(BOB.email).locale = locale

    ask(CHARLIE, BOB.email)

    assert messages_to(BOB)[-1].subject == "Alpenwerk möchte Küstenfunk betreuen"


ADDRESSES = {
    "unknown": NOBODY,
    "one's own": CHARLIE.email,
    "another partner's": ALICE.email,
    "of a customer beneath": "gerda@gletscherbau.example",
    "of a mere member": "manfred@kuestenfunk.example",
    "of nobody's account": "gone@nowhere.example",
    "of a client": BOB.email,
}


@pytest.fixture
def people(app):
    hire("gerda@gletscherbau.example", "gletscherbau", Role.ADMINISTRATOR)
    hire("manfred@kuestenfunk.example", "kuestenfunk", Role.MANAGER)
    with unscoped("somebody without an account"):
        cast.signin.create_user("gone@nowhere.example", first_name="No", last_name="Body")


@pytest.mark.parametrize("email", ADDRESSES.values(), ids=ADDRESSES)
def test_asking_does_the_same_whatever_is_behind_the_address(people, email, monkeypatch):
    """The same statements in the same order, the same mail composed once, and the same rows left to the partner."""
    ask(CHARLIE, "warm@up.example")
    done, composed = linked_statements(lambda: ask(CHARLIE, email), monkeypatch)
    for_a_client, _composed = linked_statements(lambda: ask(CHARLIE, "other@client.example"), monkeypatch)

    assert done == for_a_client
    assert composed == 1
    reached = {message.recipient for message in all_messages()}
    assert reached == ({email} if email == BOB.email else set())


def linked_statements(deed, monkeypatch):
    """The statements a deed makes, without their values, and how many mails it composes."""
    from sqlalchemy import event

    statements, written = [], []
    real = outbox.render_template
    monkeypatch.setattr(outbox, "render_template", lambda *a, **k: (written.append(a), real(*a, **k))[1])

    def note(_connection, _cursor, statement, *_more):
        if not statement.startswith(("SAVEPOINT", "RELEASE", "ROLLBACK TO")):
            statements.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        deed()
    finally:
        event.remove(db.engine, "before_cursor_execute", note)
        monkeypatch.setattr(outbox, "render_template", real)
    return statements, len(written) // 2  # text and HTML


def all_messages():
    with unscoped("looking into every mailbox", writes=False) as session:
        return list(session.scalars(select(Message)))


def test_of_several_accounts_the_one_used_last_is_asked_and_the_mail_names_it(app):
    hire(BOB.email, "bergen", Role.ADMINISTRATOR)
    ask(CHARLIE, BOB.email)
    assert "Küstenfunk" in messages_to(BOB)[-1].subject

    with unscoped("where he was last"):
        cast.signin.find_user(BOB.email).last_account_id = account_id("bergen")
    later(minutes=2)
    ask(CHARLIE, BOB.email)

    assert "Bergen Sensor" in messages_to(BOB)[-1].subject


def test_whoever_is_at_home_above_a_customer_does_not_speak_for_it(app):
    """Who opens an account is its Administrator (M-4), but not the client whose consent is asked."""
    hire(ALICE.email, "kuestenfunk", Role.ADMINISTRATOR)

    ask(CHARLIE, ALICE.email)

    assert not messages_to(ALICE)


@pytest.mark.parametrize("state", ["archived", "held", "a partner"])
def test_only_a_living_customer_is_asked(app, state):
    with acting_as(ALICE) as alice:
        kuestenfunk = account_called("kuestenfunk")
        if state == "archived":
            accounts.archive(kuestenfunk, by=alice)
        elif state == "held":
            holds.put_on_hold(kuestenfunk, HoldKind.ADMINISTRATIVE, reason="Papers", by=alice)
        else:
            accounts.enable_partner(kuestenfunk, by=alice)

    ask(CHARLIE, BOB.email)

    assert not messages_to(BOB)


def later(**by):
    clock.move(timedelta(**by))


@pytest.mark.parametrize("email", [BOB.email, NOBODY], ids=["a client", "nobody"])
def test_a_minute_lies_between_two_codes_for_one_address(app, email):
    ask(CHARLIE, email)
    later(seconds=59)
    with pytest.raises(Refused, match="wait a minute"):
        ask(CHARLIE, email)

    later(seconds=2)
    ask(CHARLIE, email)


@pytest.mark.parametrize("email", [BOB.email, NOBODY], ids=["a client", "nobody"])
def test_five_codes_a_day_for_one_address(app, email):
    for _n in range(5):
        ask(CHARLIE, email)
        later(seconds=61)

    with pytest.raises(Refused, match="tomorrow"):
        ask(CHARLIE, email)


def test_a_client_gets_five_mails_a_day_whoever_asks_and_the_sixth_asker_is_not_told(app):
    for _n in range(5):
        ask(CHARLIE, BOB.email)
        later(seconds=61)

    with unscoped("another partner"):
        account_called("bergen").kind = Kind.PARTNER
        cast.add_member("bente@bergen.example", "Bente Berg", account_called("bergen"), Role.ADMINISTRATOR)
    ask(cast.Person("bente@bergen.example", "bergen"), BOB.email)

    assert len(messages_to(BOB)) == 5


@pytest.mark.parametrize("email", ["", "no-address", "a@b@c", "x" * 130 + "@example.com"])
def test_what_is_no_address_is_said_at_the_field(app, email):
    with pytest.raises(Refused) as refusal:
        ask(CHARLIE, email)

    assert refusal.value.field == "email"


def test_an_end_in_the_past_is_refused(app):
    with pytest.raises(Refused, match="future") as refusal:
        ask(CHARLIE, BOB.email, ends_on=clock.today("Europe/Berlin"))

    assert refusal.value.field == "ends_on"


# --- the code --------------------------------------------------------------------------------------------------


def test_the_right_code_links_and_the_client_is_told(app):
    in_a_month = clock.today() + timedelta(days=30)

    assert link(CHARLIE, BOB.email, Consent.LICENSES, ends_on=in_a_month) == "Küstenfunk"

    (agreed,) = linked()
    assert agreed.consents == [Consent.VIEW, Consent.LICENSES] and agreed.ends_on == in_a_month
    assert (agreed.client, agreed.partner, agreed.email) == ("Küstenfunk", "Alpenwerk", BOB.email)
    assert "Alpenwerk now manages Küstenfunk" in messages_to(BOB)[-1].subject
    assert "/a/kuestenfunk/managers/" in messages_to(BOB)[-1].body_text
    assert history().count("relationship.linked") == 2


def test_a_code_works_once(app):
    ask(CHARLIE, BOB.email)
    code = code_for(CHARLIE, BOB.email)

    assert redeem(CHARLIE, BOB.email, code) == "Küstenfunk"
    assert redeem(CHARLIE, BOB.email, code) is None
    assert len(linked()) == 1


@pytest.mark.parametrize("spelling", ["{0}{1}", "{0} {1}", " {0}-{1} "])
def test_a_code_may_be_typed_as_it_is_read(app, spelling):
    ask(CHARLIE, BOB.email)
    code = code_for(CHARLIE, BOB.email)

    assert redeem(CHARLIE, BOB.email, spelling.format(code[:4], code[4:])) == "Küstenfunk"


def test_a_code_is_good_for_ten_minutes(app):
    ask(CHARLIE, BOB.email)
    code = code_for(CHARLIE, BOB.email)
    later(minutes=10, seconds=1)

    assert redeem(CHARLIE, BOB.email, code) is None


def test_a_new_code_kills_the_old(app):
    ask(CHARLIE, BOB.email)
    old = code_for(CHARLIE, BOB.email)
    later(seconds=61)
    ask(CHARLIE, BOB.email)

    assert redeem(CHARLIE, BOB.email, old) is None
    assert redeem(CHARLIE, BOB.email, code_for(CHARLIE, BOB.email)) == "Küstenfunk"


def test_the_sixth_try_is_refused_even_with_the_right_code(app):
    ask(CHARLIE, BOB.email)
    code = code_for(CHARLIE, BOB.email)

    for _n in range(5):
        assert redeem(CHARLIE, BOB.email, wrong(code)) is None

    assert redeem(CHARLIE, BOB.email, code) is None
    assert not linked()


def test_a_code_is_bound_to_the_partner_that_asked(app):
    ask(CHARLIE, BOB.email)
    code = code_for(CHARLIE, BOB.email)

    with unscoped("another partner"):
        account_called("bergen").kind = Kind.PARTNER
        cast.add_member("bente@bergen.example", "Bente Berg", account_called("bergen"), Role.ADMINISTRATOR)
    bente = cast.Person("bente@bergen.example", "bergen")

    assert redeem(bente, BOB.email, code) is None
    assert redeem(CHARLIE, "other@client.example", code) is None
    assert redeem(CHARLIE, BOB.email, code) == "Küstenfunk"


NO_CODES = ["", "1234567", "123456789", "abcdefgh", "１２３４５６７８", "١٢٣٤٥٦٧٨", "1234567\x00", "-" * 8]


@pytest.mark.parametrize("code", NO_CODES)
def test_what_can_be_no_code_is_said_and_costs_no_try(app, code):
    ask(CHARLIE, BOB.email)

    for _n in range(6):
        with pytest.raises(Refused, match="8 digits") as refusal:
            redeem(CHARLIE, BOB.email, code)

    assert refusal.value.field == "code"
    assert redeem(CHARLIE, BOB.email, code_for(CHARLIE, BOB.email)) == "Küstenfunk"


def test_no_code_is_right_for_an_address_of_nobody(app):
    ask(CHARLIE, NOBODY)

    assert redeem(CHARLIE, NOBODY, code_for(CHARLIE, NOBODY)) is None
    assert not linked()


def test_consent_is_looked_at_again_when_the_code_is_typed(app):
    ask(CHARLIE, BOB.email)
    with unscoped("he is demoted in the meantime"):
        member = cast.account_called("kuestenfunk").members[0]
        member.role = Role.VIEWER

    assert redeem(CHARLIE, BOB.email, code_for(CHARLIE, BOB.email)) is None


GUESSES, PROCESSES = 100, 4


def test_of_a_hundred_parallel_guesses_five_are_looked_at(app):
    """Real processes, as a server's workers are: each try is counted by one statement before it is compared."""
    ask(CHARLIE, BOB.email)
    code = code_for(CHARLIE, BOB.email)

    done = crowd.guess(app, CHARLIE, BOB.email, wrong(code), GUESSES // PROCESSES, PROCESSES)

    assert sum(looked_at for looked_at, _let_in in done) == 5
    with unscoped("counting", writes=False) as session:
        token = session.scalars(select(Token).order_by(Token.id.desc())).first()
    assert token.attempts == 5
    assert redeem(CHARLIE, BOB.email, code) is None


def test_of_a_hundred_right_ones_one_links(app):
    ask(CHARLIE, BOB.email)

    got = crowd.guess(app, CHARLIE, BOB.email, code_for(CHARLIE, BOB.email), 5, PROCESSES)

    assert sum(let_in for _looked_at, let_in in got) == 1 and len(linked()) == 1


# --- again, and ending -----------------------------------------------------------------------------------------


def test_a_new_agreement_takes_the_place_of_the_old(app):
    link(CHARLIE, BOB.email, Consent.LICENSES)
    later(seconds=61)
    link(CHARLIE, BOB.email, Consent.ORDERS)

    old, new = linked()
    assert old.ended_by is EndedBy.AGREEMENT and new.ended_at is None
    assert new.consents == [Consent.VIEW, Consent.ORDERS]
    tell()
    assert not ends_told_to(BOB)


def ends_told_to(person):
    """The mails about an end, in either language."""
    subjects = {"Alpenwerk no longer manages Küstenfunk", "Alpenwerk betreut Küstenfunk nicht mehr"}
    return [message for message in messages_to(person) if message.subject in subjects]


def tell():
    with unscoped("the clockwork"):
        relationships.note_ended()


@pytest.mark.parametrize(("ender", "told"), [(BOB, CHARLIE), (CHARLIE, BOB)], ids=["the client", "the partner"])
def test_both_sides_can_end_it_and_the_other_is_told_once(app, ender, told):
    link(CHARLIE, BOB.email)
    with acting_as(ender) as by:
        relationships.end(db.session.scalars(select(Relationship)).one(), by=by)

    tell(), tell()

    (ended,) = linked()
    assert ended.ended_by is (EndedBy.CLIENT if ender is BOB else EndedBy.PARTNER)
    assert len(ends_told_to(told)) == 1 and not ends_told_to(ender)
    assert history().count("relationship.ended") == 2


def test_what_has_ended_cannot_be_ended_again(app):
    link(CHARLIE, BOB.email)
    for _n in range(2):
        with acting_as(BOB) as bob:
            agreed = db.session.scalars(select(Relationship)).one()
            if agreed.ended_at is None:
                relationships.end(agreed, by=bob)
            else:
                with pytest.raises(Refused, match="ended already"):
                    relationships.end(agreed, by=bob)


def test_it_ends_by_itself_on_its_day_where_the_client_is_and_both_are_told(app):
    link(CHARLIE, BOB.email, ends_on=clock.today() + timedelta(days=3))
    tell()
    assert linked()[0].ended_at is None

    later(days=4)
    tell(), tell()

    (ended,) = linked()
    assert ended.ended_by is EndedBy.DATE and ended.ended_at == ended.ends_at
    for person in (BOB, CHARLIE):
        assert len(ends_told_to(person)) == 1
    assert history().count("relationship.expired") == 2


def test_neither_side_reads_of_it_in_anybody_elses_history(app):
    link(CHARLIE, BOB.email)

    with acting_as(ALICE):
        seen = db.session.scalars(select(LogEntry.action)).all()
    assert "relationship.linked" not in seen
    for person in (BOB, CHARLIE):
        with acting_as(person):
            assert "relationship.linked" in db.session.scalars(select(LogEntry.action)).all()


def test_the_code_is_not_in_the_partners_outbox(app):
    ask(CHARLIE, BOB.email)

    with acting_as(CHARLIE):
        assert db.session.scalar(select(func.count()).select_from(Message)) == 0
        assert db.session.scalars(select(LinkRequest)).all() == []
    with acting_as(BOB):
        assert db.session.scalar(select(func.count()).select_from(Message)) == 1


def test_requests_long_past_are_cleared_away(app):
    ask(CHARLIE, NOBODY)
    later(days=31)

    with unscoped("a night's work"):
        assert relationships.forget_old(100) == 1
        assert tokens.forget_old(100) == 1

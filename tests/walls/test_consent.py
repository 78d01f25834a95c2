"""What a client's consent lets a partner see: exactly what was agreed, of that one account, not a row more (L-4)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, inspect, select, text, update

from app import clock
from app.errors import OutsideScope
from app.extensions import db
from app.models import (
    Account,
    ByConsent,
    Consent,
    Holding,
    License,
    LicenseMovement,
    LogEntry,
    Member,
    Relationship,
    Role,
)
from app.services import accounts, licenses, relationships
from app.tenancy import _walled_classes, acting, may_change, scope_for, unscoped
from tests import stock
from tests.cast import ALICE, BOB, CHARLIE, DORA, FRIDA, account_called, account_id, acting_as, browse, hire
from tests.linking import link

CLASSES = {Consent.VIEW: {Account}, Consent.LICENSES: {License, Holding, LicenseMovement}}
BY_CONSENT = [cls for cls in _walled_classes() if issubclass(cls, ByConsent) and cls.consent]


@pytest.fixture(autouse=True)
def _furnished(app):
    """Küstenfunk has a license with some use, and Bergen Sensor, which nobody is let into, too."""
    for slug in ("kuestenfunk", "bergen"):
        number = stock.license_of(slug)
        stock.give(stock.article(f"ART-{slug}"), slug)
        with acting_as(DORA) as dora:
            licenses.consume(db.session.get(License, number), reference="x", by=dora)


def seen_of(slug, person):
    """The classes of which the person sees rows of that account; people and catalogue aside."""
    number = account_id(slug)
    with acting_as(person):
        found = set()
        for cls in _walled_classes():
            mapper = inspect(cls)
            key = "id" if cls is Account else "account_id"
            if key in mapper.columns and db.session.scalars(select(cls).where(getattr(cls, key) == number)).first():
                found.add(cls)
        return found - {Relationship}


def test_without_consent_nothing_is_seen():
    assert seen_of("kuestenfunk", CHARLIE) == set()


@pytest.mark.parametrize("consent", Consent)
def test_each_consent_shows_its_classes_and_no_others(consent):
    link(CHARLIE, BOB.email, consent)

    assert seen_of("kuestenfunk", CHARLIE) == CLASSES[Consent.VIEW] | CLASSES.get(consent, set())


def test_no_other_account_is_seen_by_it():
    """Not the one above the client, none beside it, none beneath it; and nobody else sees the client."""
    with acting_as(ALICE) as alice:
        accounts.open_account("Zweigstelle", parent=account_called("kuestenfunk"), by=alice, slug="zweigstelle")
    link(CHARLIE, BOB.email, *Consent)

    with acting_as(CHARLIE):
        assert set(db.session.scalars(select(Account.slug))) == {"alpenwerk", "gletscherbau", "kuestenfunk"}
        assert set(db.session.scalars(select(License.account_id))) == {account_called("kuestenfunk").id}
    assert seen_of("kuestenfunk", FRIDA) == set()
    assert seen_of("nordlicht", CHARLIE) == seen_of("zweigstelle", CHARLIE) == set()


def test_people_members_and_history_of_the_client_stay_its_own():
    link(CHARLIE, BOB.email, *Consent)
    number = account_id("kuestenfunk")

    with acting_as(CHARLIE):
        for cls in (Member, LogEntry):
            assert db.session.scalar(select(func.count()).select_from(cls).where(cls.account_id == number)) == 0


@pytest.mark.parametrize("way", ["the client ends it", "the partner ends it", "its day has come", "it is archived"])
def test_an_end_takes_effect_at_once(way):
    link(CHARLIE, BOB.email, Consent.LICENSES, ends_on=clock.today() + timedelta(days=3))
    assert License in seen_of("kuestenfunk", CHARLIE)

    if way == "its day has come":  # and nobody has noted it
        with unscoped("time passes"):
            db.session.scalars(select(Relationship)).one().ends_at = clock.now()
    elif way == "it is archived":
        with acting_as(ALICE) as alice:
            accounts.archive(account_called("kuestenfunk"), by=alice)
    else:
        with acting_as(BOB if way == "the client ends it" else CHARLIE) as by:
            relationships.end(db.session.scalars(select(Relationship)).one(), by=by)

    assert seen_of("kuestenfunk", CHARLIE) == set()


def test_a_partner_that_is_none_any_more_sees_nothing_by_consent():
    link(CHARLIE, BOB.email, Consent.LICENSES)
    with unscoped("partner management is switched off"):
        account_called("alpenwerk").kind = "customer"

    assert seen_of("kuestenfunk", CHARLIE) == set()


def test_a_browser_is_told_404_before_and_after():
    """At the next request, whatever a session remembers."""
    browser, place = browse(CHARLIE), f"/accounts/show/{account_id('kuestenfunk')}"
    assert browser.get(place).status_code == 404
    link(CHARLIE, BOB.email)
    assert browser.get(place).status_code == 200

    with acting_as(BOB) as bob:
        relationships.end(db.session.scalars(select(Relationship)).one(), by=bob)

    assert browser.get(place).status_code == 404


# --- to look at is not to change -------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", [Account, License, Holding])
def test_what_is_seen_by_consent_is_not_changed_by_it(cls):
    link(CHARLIE, BOB.email, Consent.LICENSES)
    theirs = (cls.id if cls is Account else cls.account_id) == account_id("kuestenfunk")
    column = "city" if cls is Account else "note" if cls is Holding else "reason"

    with pytest.raises(OutsideScope), acting_as(CHARLIE):
        row = db.session.scalars(select(cls).where(theirs)).first()
        assert not may_change(row)
        setattr(row, column, "Elsewhere")
    with acting_as(CHARLIE):
        changed = update(cls).where(theirs).values({column: "Elsewhere"})
        assert db.session.execute(changed, execution_options={"synchronize_session": False}).rowcount == 0
    with pytest.raises(OutsideScope), acting_as(CHARLIE):
        db.session.delete(db.session.scalars(select(cls).where(theirs)).first())


def test_nothing_is_added_to_the_client_or_put_beneath_it():
    link(CHARLIE, BOB.email, *Consent)

    with pytest.raises(OutsideScope), acting_as(CHARLIE) as charlie:
        accounts.open_account("Beneath", parent=account_called("kuestenfunk"), by=charlie)
    with pytest.raises(OutsideScope), acting_as(CHARLIE):
        kept = db.session.scalars(select(Holding)).first()
        new = Holding(account=account_called("kuestenfunk"), article_id=kept.article_id, quantity=1)
        new.acquired_on, new.created_at = clock.today(), clock.now()
        db.session.add(new)


@pytest.mark.parametrize("agreed", [True, False])
def test_a_class_can_say_that_the_consent_is_one_to_write(database, monkeypatch, agreed):
    """Orders for a client will; the database says so with `migrations.walls.admit(…, writing=True)`."""
    monkeypatch.setattr(Holding, "consent_writes", True)
    if database == "postgresql":
        with db.engine.begin() as connection:
            rule = "account_id = ANY (string_to_array(current_setting('kontor.by.licenses', true), ',')::int[])"
            connection.execute(text(f"CREATE POLICY consent_adds ON holding FOR INSERT WITH CHECK ({rule})"))
            connection.execute(text(f"CREATE POLICY consent_changes ON holding FOR UPDATE USING ({rule})"))
    link(CHARLIE, BOB.email, Consent.LICENSES if agreed else Consent.ORDERS)
    number, article = account_id("kuestenfunk"), stock.article("ART-9")

    def write():
        with acting_as(CHARLIE):
            new = Holding(account_id=number, article_id=article, quantity=1, acquired_on=clock.today())
            new.created_at = clock.now()
            db.session.add(new)
            db.session.flush()
            new.note = "PO 1"

    if agreed:
        write()
        with acting_as(CHARLIE) as charlie:  # who did it reads of it in their own history
            lines = select(LogEntry.account_id).where(LogEntry.action.in_(["holding.created", "holding.updated"]))
            assert set(db.session.scalars(lines)) == {charlie.account_id}
    else:
        with pytest.raises(OutsideScope):
            write()


# --- the second wall -------------------------------------------------------------------------------------------


def test_postgresql_says_the_same_below_python(database, python_down):
    if database == "sqlite":
        pytest.skip("SQLite has no wall of its own")
    link(CHARLIE, BOB.email, Consent.LICENSES)
    number = account_id("kuestenfunk")

    with acting_as(CHARLIE):
        for table, key in [("account", "id"), ("license", "account_id"), ("holding", "account_id")]:
            seen = db.session.execute(text(f"SELECT count(*) FROM {table} WHERE {key} = :pk"), {"pk": number}).scalar()
            assert seen > 0, table
            for deed in (f"UPDATE {table} SET {key} = {key}", f"DELETE FROM {table}"):
                assert db.session.execute(text(f"{deed} WHERE {key} = :pk"), {"pk": number}).rowcount == 0
        hidden = db.session.execute(text("SELECT count(*) FROM member WHERE account_id = :pk"), {"pk": number}).scalar()
        assert hidden == 0
    with acting_as(FRIDA):
        mine = text("SELECT count(*) FROM license WHERE account_id = :pk")
        assert db.session.execute(mine, {"pk": number}).scalar() == 0


def test_both_walls_know_the_same_classes(database, app):
    if database == "sqlite":
        pytest.skip("SQLite has no wall of its own")
    said = text("SELECT tablename, qual FROM pg_policies WHERE policyname = 'consent'")
    with db.engine.connect() as connection:
        rules = dict(connection.execute(said).all())

    assert set(rules) == {inspect(cls).local_table.name for cls in BY_CONSENT}
    for cls in BY_CONSENT:
        assert f"kontor.by.{cls.consent.value}'" in rules[inspect(cls).local_table.name]


def test_who_is_linked_to_nobody_asks_no_more_than_before(app):
    """The member's own row says whether there is anything to ask for; and no criterion grows."""
    with unscoped("finding the test's person", writes=False) as session:
        member = session.scalars(select(Member).where(Member.account_id == account_id("alpenwerk"))).first()
        without = scope_for(member)
    assert without.linked == {} and not member.account.has_links

    with acting(without):
        plain = str(select(Account).options(*without.criteria(frozenset({inspect(Account).local_table}))))
    assert " OR " not in plain


def test_screens_offer_nothing_that_is_not_theirs_to_do():
    link(CHARLIE, BOB.email, Consent.LICENSES)
    hire("vera@alpenwerk.example", "alpenwerk", Role.VIEWER)
    number = account_id("kuestenfunk")
    browser = browse(CHARLIE)

    page = browser.get(f"/accounts/show/{number}").get_data(as_text=True)
    assert "Mit Zustimmung" in page or "By consent" in page
    for verb in ("edit", "hold", "lift", "move"):
        assert f"/accounts/{verb}/{number}" not in page
        assert browser.get(f"/accounts/{verb}/{number}").status_code == 403
    assert "/members/related/" not in page and "/licenses/related/" in page
    assert browser.post("/accounts/action_post", data={"action": "archive", "rowid": number}).status_code == 403
    assert browser.get(f"/invitations/add?account={number}").status_code == 403
    assert "Küstenfunk" in browser.get("/accounts/list/?_flt_0_standing=consent").get_data(as_text=True)

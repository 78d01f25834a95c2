"""What a client's consent lets a partner see: exactly what was agreed, of that one account, not a row more (L-4)."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import delete, func, inspect, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import joinedload

from app import clock
from app.errors import OutsideScope, Refused
from app.extensions import db
from app.models import (
    Account,
    ByConsent,
    Calculation,
    Consent,
    Fulfilment,
    Holding,
    License,
    LicenseMovement,
    LogEntry,
    Member,
    Message,
    Order,
    OrderKind,
    OrderLine,
    OrderStatus,
    Policy,
    ProductType,
    Relationship,
    ResourceGroup,
    Role,
    SearchedText,
    Subscription,
    SubscriptionStatus,
    UpfrontRequest,
    UsageReport,
)
from app.services import (
    accounts,
    catalog,
    licenses,
    offers,
    orders,
    plans,
    relationships,
    resource_groups,
    subscriptions,
    upfront,
    usage,
)
from app.tenancy import _walled_classes, acting, give_to, may_change, scope_for, unscoped
from tests import buying, stock
from tests.cast import ALICE, BOB, CHARLIE, DORA, FRIDA, account_called, account_id, acting_as, browse, hire
from tests.linking import link

CLASSES = {
    Consent.VIEW: {Account, SearchedText},
    Consent.LICENSES: {License, Holding, LicenseMovement},
    Consent.SUBSCRIPTIONS: {Subscription, ResourceGroup, UpfrontRequest, UsageReport, Calculation},
    Consent.ORDERS: {Order, OrderLine, Fulfilment, Calculation},
}
BY_CONSENT = [cls for cls in _walled_classes() if issubclass(cls, ByConsent) and cls.opened_by]
AGREED = (Consent.SUBSCRIPTIONS, Consent.ORDERS)


AMOUNTS = {"base": Decimal(49), "upfront": Decimal(500), "infrastructure": Decimal(9)}
PRODUCT = {"name_en": "Cloud", "name_de": "Cloud", "type": "cloud", "locations": ["eu"]}


@pytest.fixture(autouse=True)
def _furnished(app):
    """Küstenfunk has a license with some use, a subscription and an order, and Bergen Sensor, which nobody is let into,
    too. All of it in one go, since every test begins with it."""
    with acting_as(DORA) as dora:
        type_ = catalog.define_license_type("assets", policy=Policy.HARD, by=dora, **stock.NAMES)
        article = catalog.define_article("ART-1", grants=[(type_.id, 100)], by=dora, name_en="Pack", name_de="Paket")
        product = plans.define_product("cloud", by=dora, **PRODUCT)
        names = {"name_en": "Standard", "name_de": "Standard", "period": "monthly"}
        plan = plans.define_plan("plan", product=product, currency="EUR", amounts=AMOUNTS, by=dora, **names)
        for slug in ("kuestenfunk", "bergen"):
            _furnish(account_called(slug), article, plan, dora)


def _furnish(account, article, plan, dora):
    licenses.give(article, 1, to=account, on=clock.today(), by=dora)
    license = db.session.scalars(select(License).where(License.account_id == account.id)).one()
    licenses.consume(license, reference="x", by=dora)
    running = subscriptions.add(account, stock.terms(plan.id), title="Harbour", by=dora)
    resource_groups.add(running, "Hall")
    usage.report(running, 5, by=dora)
    upfront.ask(running, by=dora)
    order = orders.begin(OrderKind.SUBSCRIBE, form_key=account.slug, by=dora, product_type=ProductType.CLOUD)
    orders.answer(order, "plan", buying.terms(plan.id), by=dora)
    orders.answer(order, "customer", {"account_id": account.id}, by=dora)
    facts = buying.instance(f"{account.slug}.example", to_customer=False)
    orders.answer(order, "instance", facts, by=dora)
    orders.place(order, seen=str(offers.of(order, by=dora).amount.gross), by=dora)


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


# --- what may be changed ---------------------------------------------------------------------------------------


@pytest.fixture
def theirs(app):
    """The number of Küstenfunk's running subscription."""
    with unscoped("looking a number up", writes=False) as session:
        of = (Subscription.account_id == account_id("kuestenfunk"), Subscription.status == SubscriptionStatus.ACTIVE)
        return session.scalars(select(Subscription.id).where(*of)).one()


def histories(action):
    """In whose histories that deed stands, and who is named, from which account."""
    with unscoped("looking into every history", writes=False) as session:
        lines = session.scalars(select(LogEntry).options(joinedload(LogEntry.account)).where(LogEntry.action == action))
        return {(line.account.slug, line.actor.partition(" <")[0], line.acting_account) for line in lines}


def test_a_subscription_is_changed_by_consent_and_both_histories_tell(theirs):
    link(CHARLIE, BOB.email, Consent.SUBSCRIPTIONS)

    with acting_as(CHARLIE) as charlie:
        row = db.session.get(Subscription, theirs)
        assert may_change(row)
        subscriptions.edit(row, title="Quay", remark="")
        upfront.withdraw(upfront.open_of(row))
        resource_groups.add(row, "Crane")
        usage.report(row, 6, by=charlie)
        upfront.ask(row, by=charlie)

    assert buying.read(Subscription, theirs).title == "Quay"
    for action in ("subscription.edited", "upfront_request.withdrawn", "resource_group.added", "usage_report.reported"):
        told = {(slug, "Charlie Czerny", "Alpenwerk") for slug in ("kuestenfunk", "alpenwerk")}
        assert histories(action) & told == told, action
    with acting_as(BOB):  # whose people stand in the client's own history
        line = db.session.scalars(select(LogEntry).where(LogEntry.action == "subscription.edited")).one()
        assert line.changes["title"] == ["Harbour", "Quay"] and line.subject_id == theirs


def test_with_both_consents_a_partner_orders_for_the_client(theirs):
    link(CHARLIE, BOB.email, *AGREED)
    plan = buying.read(Subscription, theirs).plan_id

    order = buying.placed(plan, by=CHARLIE, slug="kuestenfunk", domain="quay.example")

    row = buying.read(Order, order)
    assert row.account_id == account_id("kuestenfunk") and row.ordered_by == "Alpenwerk"
    told = {(slug, "Charlie Czerny", "Alpenwerk") for slug in ("kuestenfunk", "alpenwerk")}
    assert histories("order.placed") & told == told
    assert histories("subscription.added") & told == told
    assert buying.subscription_of(buying.fulfilled(order)).status is SubscriptionStatus.ACTIVE
    with acting_as(BOB):
        assert db.session.get(Order, order).lines


@pytest.mark.parametrize("agreed", [[Consent.SUBSCRIPTIONS], [Consent.ORDERS]])
def test_with_one_of_them_nothing_is_ordered(theirs, agreed):
    link(CHARLIE, BOB.email, *agreed)
    plan = buying.read(Subscription, theirs).plan_id

    with pytest.raises(Refused, match=r"has not agreed|hat dem nicht zugestimmt"):
        buying.draft(plan, by=CHARLIE, slug="kuestenfunk", domain="quay.example")
    with pytest.raises((Refused, OutsideScope)), acting_as(CHARLIE) as charlie:
        subscriptions.add(account_called("kuestenfunk"), stock.terms(plan, users=5), title="Quay", by=charlie)


def test_licenses_are_bought_for_the_client_and_renewals_asked_for(theirs):
    link(CHARLIE, BOB.email, *AGREED)
    article = buying.priced("ART-B")

    order = buying.begun(OrderKind.LICENSES, by=CHARLIE)
    lines = {"subscription_id": theirs, "group_id": None, "new_group": "Pier", "lines": [[article, 2]]}
    buying.answer(order, "products", by=CHARLIE, **lines)
    buying.place(order, by=CHARLIE)

    assert buying.read(Order, order).account_id == account_id("kuestenfunk")


def test_only_whoever_placed_an_order_takes_it_back(theirs):
    link(CHARLIE, BOB.email, *AGREED)
    plan = buying.read(Subscription, theirs).plan_id
    own = buying.placed(plan, by=CHARLIE, slug="kuestenfunk", domain="quay.example")

    with acting_as(CHARLIE) as charlie:
        others = db.session.scalars(
            select(Order).where(Order.account_id == account_called("kuestenfunk").id, Order.author != charlie.user.name)
        ).one()
        with pytest.raises(Refused):
            orders.cancel(others, reason="x", by=charlie)
        orders.cancel(db.session.get(Order, own), reason="Changed their mind", by=charlie)

    assert buying.read(Order, own).status is OrderStatus.CANCELLED
    assert {slug for slug, _who, _where in histories("order.cancelled")} == {"kuestenfunk", "alpenwerk"}


@pytest.mark.parametrize("verb", ["cancel", "keep", "suspend"])
def test_what_the_client_did_not_agree_to_is_not_done(theirs, verb):
    link(CHARLIE, BOB.email, *AGREED)
    said = {"cancel": {"reason": "x"}, "keep": {}, "suspend": {"reason": "x"}}[verb]

    with pytest.raises(Refused), acting_as(CHARLIE) as charlie:
        row = db.session.get(Subscription, theirs)
        getattr(subscriptions, verb)(row, **said, **({} if verb == "keep" else {"by": charlie}))


@pytest.mark.parametrize("cls", [Subscription, ResourceGroup, UpfrontRequest, Order, OrderLine, Fulfilment, License])
def test_nothing_is_deleted_by_consent_or_taken_over(cls):
    link(CHARLIE, BOB.email, *Consent)
    here = cls.account_id == account_id("kuestenfunk")

    with acting_as(CHARLIE):
        for statement in (delete(cls).where(here), update(cls).where(here).values(account_id=cls.account_id)):
            assert db.session.execute(statement, execution_options={"synchronize_session": False}).rowcount == 0
    with pytest.raises(OutsideScope), acting_as(CHARLIE):
        db.session.delete(db.session.scalars(select(cls).where(here)).first())
    for taken in (lambda row, home: give_to(row, home), lambda row, home: setattr(row, "account_id", home.id)):
        with pytest.raises(OutsideScope), acting_as(CHARLIE) as charlie:
            taken(db.session.scalars(select(cls).where(here)).first(), charlie.account)


def test_nobody_writes_into_the_history_of_a_stranger(database, python_down):
    """What is done by consent is written down; without consent the database itself says no."""
    if database == "sqlite":
        pytest.skip("SQLite has no wall of its own")
    said = (
        "INSERT INTO log_entry (at, action, inside, changes, account_id, account_path, actor, on_behalf_of, via, "
        "acting_account, subject_type, subject, ip) SELECT at, action, :inside, changes, :pk, :path, actor, "
        "on_behalf_of, via, acting_account, subject_type, subject, ip FROM log_entry LIMIT 1"
    )
    with unscoped("looking a path up", writes=False) as session:
        client = session.scalar(select(Account).where(Account.slug == "kuestenfunk"))
        facts = {"pk": client.id, "path": client.path}

    def write(**more):
        with acting_as(CHARLIE):
            return db.session.execute(text(said), facts | more).rowcount

    with pytest.raises(DBAPIError):
        write(inside=False)
    link(CHARLIE, BOB.email, Consent.SUBSCRIPTIONS)
    assert write(inside=False) == 1
    with pytest.raises(DBAPIError):
        write(inside=True)


def test_by_mail_the_client_is_told_where_it_has_consented(theirs):
    """Its people stay its own: the partner knows the one address that let it in."""
    with unscoped("an account without an address"):
        account_called("kuestenfunk").email = ""
    link(CHARLIE, BOB.email, *AGREED)
    plan = buying.read(Subscription, theirs).plan_id
    buying.placed(plan, by=CHARLIE, slug="kuestenfunk", domain="quay.example", to_customer=False)

    with acting_as(CHARLIE):
        told = db.session.scalars(select(Message.recipient).where(Message.subject.contains("ORD-"))).all()
    assert set(told) == {CHARLIE.email, BOB.email}


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
        said = re.findall(r"kontor\.by\.(\w+)'", rules[inspect(cls).local_table.name])
        assert said == [consent.value for consent in cls.opened_by]


def test_both_walls_let_the_same_classes_be_written(database, app):
    if database == "sqlite":
        pytest.skip("SQLite has no wall of its own")
    with db.engine.connect() as connection:
        for policy in ("consent_adds", "consent_changes"):
            said = text("SELECT tablename FROM pg_policies WHERE policyname = :name AND tablename <> 'log_entry'")
            named = set(connection.scalars(said, {"name": policy}))
            assert named == {inspect(cls).local_table.name for cls in BY_CONSENT if cls.consent_writes}
        deleting = "SELECT count(*) FROM pg_policies WHERE policyname LIKE 'consent%' AND cmd IN ('ALL', 'DELETE')"
        assert connection.scalar(text(deleting)) == 0


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


def test_screens_offer_what_was_agreed_on(theirs):
    link(CHARLIE, BOB.email, *AGREED)
    number, browser = account_id("kuestenfunk"), browse(CHARLIE)

    page = browser.get(f"/accounts/show/{number}").get_data(as_text=True)
    assert "/subscriptions/related/" in page and "/orders/related/" in page and "/licenses/related/" not in page
    assert f"/subscriptions/add?account={number}" in page
    assert browser.get(f"/subscriptions/add?account={number}").status_code == 200
    page = browser.get(f"/subscriptions/show/{theirs}").get_data(as_text=True)
    assert f"/subscriptions/edit/{theirs}" in page and f"/subscriptions/ask_upfront/{theirs}" not in page
    for verb in ("cancel", "suspend"):
        assert f"/subscriptions/{verb}/{theirs}" not in page
    plan = buying.read(Subscription, theirs).plan_id
    order = buying.begun(by=CHARLIE)
    buying.answer(order, "plan", by=CHARLIE, **buying.terms(plan))
    assert "Küstenfunk" in browser.get(f"/orders/customer/{order}").get_data(as_text=True)

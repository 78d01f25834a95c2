"""The catalogue (M-10 … M-13): who writes it, what is refused, and that what is put away stays where it is."""

from __future__ import annotations

import pytest
from sqlalchemy import delete, func, select, update

from app.errors import OutsideScope, Refused
from app.extensions import db
from app.models import Article, Grant, License, LicenseType, LogEntry, Plan, Policy, Product, in_language
from app.services import catalog, licenses
from app.tenancy import unscoped
from tests import stock
from tests.cast import ALICE, BOB, account_called, account_id, acting_as

TYPE = {**stock.NAMES, "policy": "hard", "overage_percent": None}
ARTICLE = {"name_en": "Pack", "name_de": "Paket"}


def last_line() -> LogEntry:
    with unscoped("reading history", writes=False) as session:
        return session.scalars(select(LogEntry).order_by(LogEntry.id.desc()).limit(1)).one()


# --- whose it is -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("person", [ALICE, BOB], ids=["a partner", "a customer"])
def test_everybody_reads_the_catalogue(app, person):
    stock.article(grants={stock.license_type(): 5})

    with acting_as(person):
        article = db.session.scalars(select(Article)).one()
        assert (article.name, article.grants[0].quantity, article.grants[0].type.key) == ("Starter pack", 5, "assets")


@pytest.mark.parametrize("person", [ALICE, BOB], ids=["a partner", "a customer"])
def test_nobody_but_the_operator_adds_to_it(app, person):
    with pytest.raises(OutsideScope), acting_as(person) as by:
        catalog.define_license_type("mine", by=by, **TYPE)


def test_nor_puts_anything_under_the_operators_name(app, alice):
    kontor = account_id("kontor")

    with pytest.raises(OutsideScope), acting_as(alice):
        db.session.add(LicenseType(account_id=kontor, key="mine", policy=Policy.HARD, **stock.NAMES))
        db.session.flush()


def test_the_operator_puts_nothing_of_it_into_another_account(app, dora):
    with pytest.raises(OutsideScope, match="operator's"), acting_as(dora):
        stranger = account_called("nordlicht")
        db.session.add(LicenseType(account=stranger, key="theirs", policy=Policy.HARD, **stock.NAMES))
        db.session.flush()


def test_a_partner_changes_no_article(app, alice):
    number = stock.article()

    with pytest.raises(OutsideScope), acting_as(alice):
        db.session.get(Article, number).name_en = "Mine"
        db.session.flush()


def test_a_partner_deletes_no_article(app, alice):
    number = stock.article()

    with pytest.raises(OutsideScope), acting_as(alice):
        db.session.delete(db.session.get(Article, number))
        db.session.flush()


@pytest.mark.parametrize("statement", [update(Article).values(name_en="x"), delete(Grant)], ids=["update", "delete"])
def test_a_partner_changes_none_by_condition(app, alice, statement):
    stock.article(grants={stock.license_type(): 5})

    with pytest.raises(OutsideScope, match="operator alone"), acting_as(alice):
        db.session.execute(statement)


# --- license types -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["", "Assets", "ass ets", "-assets", "äpfel", "a" + "\x00"])
def test_a_key_is_plain(app, dora, key):
    with acting_as(dora) as by, pytest.raises(Refused) as refusal:
        catalog.define_license_type(key, by=by, **TYPE)

    assert refusal.value.field == "key"


def test_a_key_is_taken_once(app, dora):
    stock.license_type("assets")

    with acting_as(dora) as by, pytest.raises(Refused, match="“assets” is taken"):
        catalog.define_license_type("assets", by=by, **TYPE)


def test_one_language_is_enough(app, dora):
    with acting_as(dora) as by:
        only = catalog.define_license_type("x", by=by, **TYPE | {"name_en": "", "unit_de": ""})

    assert (only.name_en, only.unit_de) == ("Anlagen", "assets")
    assert in_language(only, "name") == "Anlagen"


@pytest.mark.parametrize("facts", [{"name_en": " ", "name_de": ""}, {"unit_en": "", "unit_de": " "}])
def test_none_is_not(app, dora, facts):
    with acting_as(dora) as by, pytest.raises(Refused, match="one language at least"):
        catalog.define_license_type("x", by=by, **TYPE | facts)


@pytest.mark.parametrize("percent", [None, 0, 101, -5])
def test_an_overage_needs_a_percentage(app, dora, percent):
    with acting_as(dora) as by, pytest.raises(Refused) as refusal:
        catalog.define_license_type("x", by=by, **TYPE | {"policy": "overage", "overage_percent": percent})

    assert refusal.value.field == "overage_percent"


def test_a_new_policy_holds_at_once_for_the_licenses_there_are(app, dora):
    number = stock.license_of(quantity=10)

    with acting_as(dora) as by:
        type_ = db.session.get(License, number).type
        catalog.change_license_type(type_, by=by, **TYPE | {"policy": "overage", "overage_percent": 25})

    with acting_as(BOB) as by:
        license = db.session.get(License, number)
        assert licenses.consume(license, 12, reference="x", by=by).allowed
        assert not licenses.consume(license, 1, reference="x", by=by).allowed


def test_a_policy_does_not_become_stricter_than_the_use_there_is(app, dora):
    number = stock.license_of(quantity=10, policy=Policy.SOFT)
    with acting_as(BOB) as by:
        licenses.consume(db.session.get(License, number), 12, reference="x", by=by)

    with pytest.raises(Refused, match="used beyond it: LIC-"), acting_as(dora) as by:
        catalog.change_license_type(db.session.get(License, number).type, by=by, **TYPE)


def test_a_revoked_license_does_not_stand_in_the_way(app, dora):
    number = stock.license_of(quantity=10, policy=Policy.SOFT)
    with acting_as(BOB) as by:
        licenses.consume(db.session.get(License, number), 12, reference="x", by=by)
    with acting_as(dora) as by:
        licenses.revoke(db.session.get(License, number), reason="gone", by=by)

    with acting_as(dora) as by:
        catalog.change_license_type(db.session.get(License, number).type, by=by, **TYPE)


# --- articles ----------------------------------------------------------------------------------------------------


def test_an_article_without_a_number_is_given_one(app, dora):
    with acting_as(dora) as by:
        assert catalog.define_article("", grants=[], by=by, **ARTICLE).number.startswith("ART-")


def test_a_number_is_taken_once(app, dora):
    stock.article("A 1")

    with acting_as(dora) as by, pytest.raises(Refused, match="“A 1” is taken"):
        catalog.define_article(" A  1 ", grants=[], by=by, **ARTICLE)


@pytest.mark.parametrize(
    ("grants", "why"),
    [
        (lambda t: [(t, 1), (t, 2)], "once"),
        (lambda t: [(t, 0)], "whole number"),
        (lambda t: [(t, 10**10)], "whole number"),
        (lambda t: [(t + 99, 1)], "not there"),
    ],
)
def test_a_grant_is_a_type_and_a_quantity(app, dora, grants, why):
    type_ = stock.license_type()

    with acting_as(dora) as by, pytest.raises(Refused, match=why):
        catalog.define_article("A", grants=grants(type_), by=by, **ARTICLE)


def test_what_an_article_grants_can_change_and_the_history_says_how(app, dora):
    assets, users = stock.license_type("assets"), stock.license_type("users")
    number = stock.article("A", grants={assets: 5})

    with acting_as(dora) as by:
        article = db.session.get(Article, number)
        catalog.change_article(article, number="A", grants=[(assets, 7), (users, 1)], by=by, **ARTICLE)

    assert last_line().action == "article.changed"
    assert last_line().changes["grants"] == ["5 × assets", "1 × users, 7 × assets"]
    with unscoped("counting", writes=False) as session:
        assert session.scalar(select(func.count(Grant.id))) == 2


def test_an_archived_type_is_granted_by_no_new_article_and_stays_with_the_old(app, dora):
    type_ = stock.license_type()
    number = stock.article("A", grants={type_: 5})
    with acting_as(dora) as by:
        catalog.archive(db.session.get(LicenseType, type_), by=by)

    with acting_as(dora) as by, pytest.raises(Refused, match="archived"):
        catalog.define_article("B", grants=[(type_, 1)], by=by, **ARTICLE)
    with acting_as(dora) as by:
        catalog.change_article(db.session.get(Article, number), number="A", grants=[(type_, 5)], by=by, **ARTICLE)


# --- putting away ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "make"),
    [(LicenseType, stock.license_type), (Article, stock.article), (Product, stock.product), (Plan, stock.plan)],
    ids=["license_type", "article", "product", "plan"],
)
def test_what_is_archived_can_be_restored_and_both_are_noted(app, dora, model, make):
    number = make()

    for verb, said in [(catalog.archive, "archived"), (catalog.restore, "restored")]:
        with acting_as(dora) as by:
            verb(db.session.get(model, number), by=by)
        assert last_line().action == f"{model.__tablename__}.{said}"
        with acting_as(dora) as by, pytest.raises(Refused):
            verb(db.session.get(model, number), by=by)

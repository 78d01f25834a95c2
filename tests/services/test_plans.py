"""Products, plans and prices (I-1, L-7, M-10): what is refused, and that a price counts from its day on."""

from __future__ import annotations

from decimal import Decimal

import pytest
from sqlalchemy import select

from app.errors import Refused
from app.extensions import db
from app.models import Account, LogEntry, Plan, Product
from app.services import catalog, plans
from app.tenancy import unscoped
from tests import stock
from tests.cast import BOB, account_called, acting_as

PLAN = {"name_en": "Basic", "name_de": "Basis", "period": "yearly"}


def last_line() -> LogEntry:
    with unscoped("reading history", writes=False) as session:
        return session.scalars(select(LogEntry).order_by(LogEntry.id.desc()).limit(1)).one()


def define(dora, currency: str = "EUR", base: str = "19.90", **facts) -> Plan:
    product = stock.product()
    amounts = facts.pop("amounts", {"base": Decimal(base)})
    with acting_as(dora) as by:
        product = db.session.get(Product, product)
        return plans.define_plan("basic", product=product, currency=currency, amounts=amounts, by=by, **PLAN | facts)


# --- prices ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("price", "currency", "units"), [("19.90", "EUR", 1990), ("0", "EUR", 0), ("1200", "JPY", 1200)]
)
def test_a_price_is_kept_exactly(app, dora, price, currency, units):
    (kept,) = define(dora, currency, price).prices

    assert (kept.base_minor, kept.amount("base")) == (units, Decimal(price))


@pytest.mark.parametrize(
    ("price", "currency"),
    [("0.005", "EUR"), ("0.5", "JPY"), ("-1", "EUR"), ("1e14", "EUR"), ("1e308", "EUR"), ("NaN", "EUR")],
)
def test_a_price_is_never_rounded_and_within_reason(app, dora, price, currency):
    with pytest.raises(Refused) as refusal:
        define(dora, currency, price)

    assert refusal.value.field == "base"


def choose(person, slug: str, plan_id: int | None) -> None:
    with acting_as(person) as by:
        plan = db.session.get(Plan, plan_id) if plan_id else None
        plans.choose_plan(account_called(slug), plan, by=by)


def test_a_partner_chooses_the_plan_of_a_customer(app, alice):
    choose(alice, "kuestenfunk", stock.plan("basic"))
    choose(alice, "kuestenfunk", stock.plan("large"))

    assert last_line().action == "account.plan_chosen"
    assert last_line().changes["plan"] == ["basic", "large"]
    with acting_as(BOB) as by:
        assert by.account.plan.key == "large"


def test_nobody_chooses_their_own(app, bob):
    number = stock.plan()

    with pytest.raises(Refused, match="account above"):
        choose(bob, "kuestenfunk", number)


def test_an_archived_one_is_chosen_no_more_and_stays_where_it_was(app, alice, dora):
    number = stock.plan()
    choose(alice, "kuestenfunk", number)
    with acting_as(dora) as by:
        catalog.archive(db.session.get(Plan, number), by=by)

    choose(alice, "kuestenfunk", number)  # no change
    with pytest.raises(Refused, match="archived"):
        choose(alice, "deichbau", number)
    with unscoped("looking", writes=False) as session:
        assert session.scalar(select(Account.plan_id).where(Account.slug == "kuestenfunk")) == number



"""What tests find in the catalogue and in accounts: made by Dora, the operator, through the services."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import select

from app import clock
from app.extensions import db
from app.models import (
    Article,
    DataLocation,
    License,
    LicenseType,
    Meter,
    PaymentMode,
    Plan,
    Policy,
    Product,
    Subscription,
)
from app.services import catalog, licenses, plans, resource_groups, subscriptions
from app.tenancy import unscoped
from tests.cast import DORA, account_called, acting_as

NAMES = {"name_en": "Assets", "name_de": "Anlagen", "unit_en": "assets", "unit_de": "Anlagen"}


def license_type(key: str = "assets", policy: Policy = Policy.HARD, percent: int | None = None) -> int:
    """A license type; its number."""
    with acting_as(DORA) as by:
        return catalog.define_license_type(key, policy=policy, overage_percent=percent, by=by, **NAMES).id


def article(number: str = "ART-1", *, grants: dict[int, int] | None = None) -> int:
    """An article that grants so much of each license type; its number."""
    names = {"name_en": "Starter pack", "name_de": "Startpaket"}
    with acting_as(DORA) as by:
        return catalog.define_article(number, grants=list((grants or {}).items()), by=by, **names).id


def price_article(article_id: int, price: str, *, currency: str = "EUR") -> None:
    """What a piece of an article costs from today on."""
    with acting_as(DORA) as by:
        offer, amounts = db.session.get(Article, article_id), {"unit": Decimal(price)}
        plans.set_price(offer, currency, on=clock.today(by.account.time_zone), amounts=amounts, by=by)


def plan(key: str = "standard", **facts: Any) -> int:
    """A plan of the one product there is; its number."""
    said = {"name_en": "Standard", "name_de": "Standard", "period": "monthly", "currency": "EUR"}
    said |= {"amounts": {"base": Decimal(49)}, "product": facts.pop("product", None) or product()}
    with acting_as(DORA) as by:
        said["product"] = db.session.get(Product, said["product"])
        return plans.define_plan(key, by=by, **said | facts).id


def product(key: str = "monitoring", **facts: Any) -> int:
    """That product; its number."""
    said = {"name_en": "Monitoring", "name_de": "Überwachung", "type": "saas", "locations": ["eu"]}
    with acting_as(DORA) as by:
        known = db.session.scalar(select(Product.id).where(Product.key == key))
        return known or plans.define_product(key, by=by, **said | facts).id


def give(article_id: int, slug: str, quantity: int = 1, *, days: int | None = None, since: int = 0) -> int:
    """An article given to an account `since` days ago, its licenses good for so many days; the holding's number."""
    on = clock.today() - timedelta(days=since)
    until = None if days is None else on + timedelta(days=days)
    with acting_as(DORA) as by:
        to = account_called(slug)
        return licenses.give(db.session.get(Article, article_id), quantity, to=to, on=on, until=until, by=by).id


def license_of(
    slug: str = "kuestenfunk",
    quantity: int = 100,
    *,
    policy: Policy = Policy.HARD,
    percent: int | None = None,
    since: int = 0,
    days: int | None = None,
) -> int:
    """A license of that account over so many, of a type of its own; its number."""
    with unscoped("counting license types", writes=False) as session:
        count = len(session.scalars(select(LicenseType.id)).all())
    type_ = license_type(f"type-{count}", policy, percent)
    on = clock.today() - timedelta(days=since)
    until = None if days is None else on + timedelta(days=days)
    with acting_as(DORA) as by:
        type_ = db.session.get(LicenseType, type_)
        return licenses.issue(type_, quantity, to=account_called(slug), on=on, until=until, by=by).id


def today() -> date:
    return clock.today("Europe/Berlin")


def terms(plan_id: int, **facts: Any) -> subscriptions.Terms:
    """What is agreed on, in the session at hand: a plan, paid beforehand in euros."""
    quantities = {meter: facts.pop(meter.value, 0) for meter in Meter}
    said = {"currency": "EUR", "payment_mode": PaymentMode.PREPAID, "location": DataLocation.EU} | facts
    return subscriptions.Terms(db.session.get(Plan, plan_id), quantities=quantities, **said)


def subscription(plan_id: int, slug: str = "kuestenfunk", title: str = "Harbour", **facts: Any) -> int:
    """A subscription of that account, added by the operator; its number."""
    pending = facts.pop("pending", False)
    with acting_as(DORA) as by:
        account = account_called(slug)
        return subscriptions.add(account, terms(plan_id, **facts), title=title, by=by, pending=pending).id


def licenses_in(subscription_id: int, holding_id: int, group: str = "Site") -> list[int]:
    """The licenses of what was acquired, put into a part of that subscription; their numbers."""
    with acting_as(DORA):
        part = resource_groups.add(db.session.get(Subscription, subscription_id), group)
        theirs = db.session.scalars(select(License).where(License.holding_id == holding_id).order_by(License.id)).all()
        for license in theirs:
            license.resource_group_id = part.id
        return [license.id for license in theirs]

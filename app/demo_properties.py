"""What the demo's three partners know of their accounts: properties of all types, each partner's own."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import select

from . import clock, properties
from .extensions import db
from .models import Account, Member, PropertyType
from .services import properties as verbs

T = PropertyType
Dice = random.Random


class Wish(NamedTuple):
    """A property, how often it is filled in, and with what."""

    type: PropertyType
    label_en: str
    label_de: str
    value: Callable[[Dice, Account, list[int]], Any]
    filled: float = 1.0
    facts: dict[str, Any] = {}


def _choices(*labels: str) -> dict[str, Any]:
    pairs = (label.partition("|") for label in labels)
    return {"choices": [{"label_en": en, "label_de": de or en} for en, _bar, de in pairs]}


def _pick(*keys: str) -> Callable[..., str]:
    return lambda dice, _account, _members: dice.choice(keys)


def _some(*keys: str) -> Callable[..., list[str]]:
    return lambda dice, _account, _members: dice.sample(keys, dice.randint(1, min(3, len(keys))))


def _day(first: int, last: int) -> Callable[..., Any]:
    return lambda dice, _account, _members: clock.today() + timedelta(days=dice.randint(first, last))


def _whole(least: int, most: int, step: int = 1) -> Callable[..., int]:
    return lambda dice, _account, _members: dice.randrange(least, most, step)


def _amount(least: int, most: int, step: int) -> Callable[..., Decimal]:
    return lambda dice, _account, _members: Decimal(dice.randrange(least, most, step))


def _likely(share: float) -> Callable[..., bool]:
    return lambda dice, _account, _members: dice.random() < share


def _member(dice: Dice, _account: Account, members: list[int]) -> int:
    return dice.choice(members)


def _phone(prefix: str) -> Callable[..., str]:
    return lambda dice, _account, _members: f"{prefix} {dice.randrange(100, 999)} {dice.randrange(10_000, 99_999)}"


def _site(_dice: Dice, account: Account, _members: list[int]) -> str:
    return f"https://www.{account.slug}.example"


def _billing(_dice: Dice, account: Account, _members: list[int]) -> str:
    return f"buchhaltung@{account.slug}.example"


OUT_OF_TABLE = {"as_column": False}
NOTES = (
    "Prefers a call in the morning.\nOrders before the season.",
    "Two sites, one contract; the second site is billed apart.",
    "Asked for a training day for new colleagues.",
)

NORDLICHT = [
    Wish(T.CHOICE, "Segment", "Branche", _pick("energy", "shipping", "food", "trades", "public"), 0.95,
         _choices("Energy|Energie", "Shipping|Schifffahrt", "Food|Lebensmittel", "Trades|Handwerk",
                  "Public|Öffentliche Hand")),
    Wish(T.MONEY, "Annual volume", "Jahresumsatz", _amount(1_200, 96_000, 300), 0.9, {"currency": "EUR"}),
    Wish(T.DATE, "Contract until", "Vertrag bis", _day(-40, 700), 0.85),
    Wish(T.MEMBER, "Looked after by", "Betreut von", _member, 0.9),
    Wish(T.INTEGER, "Sites", "Standorte", _whole(1, 14), 0.8, {"minimum": 1}),
    Wish(T.FLAG, "Key account", "Schlüsselkunde", _likely(0.25), 1.0, OUT_OF_TABLE),
    Wish(T.PHONE, "Telephone", "Telefon", _phone("+49 40"), 0.7, OUT_OF_TABLE),
    Wish(T.LONG, "Notes", "Notizen", _pick(*NOTES), 0.4, OUT_OF_TABLE),
]  # fmt: skip
ALPENWERK = [
    Wish(T.CHOICES, "Interests", "Interessen", _some("heat", "power", "sensors", "service"), 0.9,
         _choices("Heat|Wärme", "Power|Strom", "Sensors|Sensorik", "Service|Wartung")),
    Wish(T.DECIMAL, "Altitude in metres", "Seehöhe in Metern", _amount(210, 2_100, 7), 1.0),
    Wish(T.DATE, "Last visit", "Letzter Besuch", _day(-240, -2), 0.8),
    Wish(T.URL, "Website", "Website", _site, 0.8),
    Wish(T.EMAIL, "Invoices to", "Rechnungen an", _billing, 0.6, OUT_OF_TABLE),
    Wish(T.FLAG, "Winter service", "Winterdienst", _likely(0.6)),
]  # fmt: skip
HARBOUR = [
    Wish(T.TEXT, "Customer number", "Kundennummer", lambda dice, *_: f"HC-{dice.randrange(1000, 9999)}", 1.0,
         {"max_length": 12, "visible_to_customer": True}),
    Wish(T.CHOICE, "Tier", "Stufe", _pick("bronze", "silver", "gold"), 1.0, _choices("Bronze", "Silver", "Gold")),
    Wish(T.MONEY, "Credit limit", "Kreditrahmen", _amount(500, 25_000, 500), 0.8, {"currency": "GBP"}),
    Wish(T.INTEGER, "Berths", "Liegeplätze", _whole(2, 60), 0.5),
    Wish(T.DATE, "Review due", "Prüfung fällig", _day(-20, 120), 0.9),
    Wish(T.MEMBER, "Account manager", "Ansprechpartner", _member, 1.0),
]  # fmt: skip


def build(dice: Dice, acting_as: Callable[[str], Any]) -> None:
    """Define them as the partners' own people would, and fill them in."""
    for email, wishes in [
        ("alice@nordlicht.example", NORDLICHT),
        ("charlie@alpenwerk.example", ALPENWERK),
        ("harriet@harbour.example", HARBOUR),
    ]:
        with acting_as(email) as by:
            _fill(dice, by, _define(wishes, by))


def _define(wishes: list[Wish], by: Member) -> list[tuple[Any, Wish]]:
    return [
        (verbs.define(wish.type, by=by, label_en=wish.label_en, label_de=wish.label_de, **wish.facts), wish)
        for wish in wishes
    ]


def _fill(dice: Dice, by: Member, own: list[tuple[Any, Wish]]) -> None:
    members = list(db.session.scalars(select(Member.id).where(Member.account_id == by.account_id).order_by(Member.id)))
    beneath = select(Account).where(Account.id != by.account_id).order_by(Account.id)
    for account in db.session.scalars(beneath).all():
        filled = [(definition, wish) for definition, wish in own if dice.random() < wish.filled]
        properties.write(account, {definition: wish.value(dice, account, members) for definition, wish in filled})

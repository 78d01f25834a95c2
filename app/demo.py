"""The demo company, built by calling the services; a smoke test of them, too (X-13)."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from flask import current_app
from sqlalchemy import select

from . import clock, demo_orders, demo_properties, demo_relationships, demo_subscriptions, demo_webhooks
from .extensions import db
from .models import (
    Account,
    Article,
    HoldKind,
    Invitation,
    License,
    LicenseType,
    Member,
    Plan,
    Policy,
    ResourceGroup,
    Role,
    User,
)
from .services import accounts, catalog, holds, invitations, licenses, members, plans, signin, surrenders
from .tenancy import acting, scope_for, unscoped

FIRST = "Anke Birgit Cem Dirk Elif Femke Gesa Hauke Imke Jonas Katrin Lasse Merle Nils Ole Petra Ruth Silke Uwe".split()
LAST = "Albers Behrens Christiansen Dirks Ehlers Friedrichs Gerdes Harms Ihnen Jansen Kruse Lührs Nissen".split()
NORTH = [
    "Hafenlogistik Elbe", "Windpark Nordstrand", "Deichbau Husum", "Reederei Feddersen", "Marschland Molkerei",
    "Inselfähren Amrum", "Kutterhaus Büsum", "Kälteanlagen Brodersen", "Stadtwerke Tönning", "Sensorik Lübeck",
    "Gewächshaus Vierlande", "Bäckerei Petersen", "Seezeichen Service", "Pellworm Solar", "Klinikum Eiderstedt",
    "Fischmarkt Altona", "Biogas Dithmarschen", "Leuchtturm Optik", "Kaffeerösterei Speicher 9", "Yachtbau Glückstadt",
    "Baumschule Pinneberg", "Strandkorb Sylt", "Kanalschleuse Brunsbüttel", "Werft Rendsburg", "Ostsee Tauchbasis",
]  # fmt: skip
ALPS = [
    "Gletscherbahnen Sölden", "Almkäserei Bregenz", "Hüttenwirt Seilbahnen", "Kraftwerk Drautal", "Skischule Arlberg",
    "Tischlerei Hinterberger", "Weingut Wachau", "Thermenhotel Gastein", "Metallbau Linz", "Obsthof Steiermark",
    "Museum Salzburg", "Brauerei Zillertal",
]  # fmt: skip
SOUTHWEST = [
    "Avon Cold Storage", "Brunel Marine Works", "Clifton Bakery Group", "Dartmoor Water Services", "Exe Valley Dairies",
    "Falmouth Boatyard", "Gower Wind Energy", "Harbourside Clinics", "Mendip Quarries", "Severn Freight",
]  # fmt: skip
FJORD = ["Bergen Sensor", "Lofoten Laks", "Tromsø Havn", "Ålesund Verft", "Sogn Frukt", "Hardanger Kraft"]
DAYS_BACK = 540
PLACES = {  # of a country: what its phone numbers begin with, some of its towns
    "DE": ("+49 40 5555", ["Hamburg", "Husum", "Kiel", "Lübeck", "Flensburg", "Heide"]),
    "AT": ("+43 1 5555", ["Wien", "Linz", "Salzburg", "Graz", "Bregenz"]),
    "GB": ("+44 117 555", ["Bristol", "Bath", "Exeter", "Cardiff"]),
    "NO": ("+47 55 55", ["Bergen", "Tromsø", "Ålesund"]),
}

LICENSE_TYPES = [
    ("assets", "Assets", "Anlagen", "assets", "Anlagen", Policy.HARD, None),
    ("data-loggers", "Data loggers", "Datenlogger", "loggers", "Datenlogger", Policy.OVERAGE, 10),
    ("users", "Users", "Benutzer", "users", "Benutzer", Policy.HARD, None),
    ("data-volume", "Data volume", "Datenvolumen", "GB", "GB", Policy.SOFT, None),
    ("sms-alerts", "SMS alerts", "SMS-Alarme", "messages", "Nachrichten", Policy.OVERAGE, 20),
]  # fmt: skip
ARTICLES = [
    ("MON-START", "Monitoring Starter", "Monitoring Start", {"assets": 25, "data-loggers": 10, "users": 3}),
    ("MON-PRO", "Monitoring Professional", "Monitoring Professional",
     {"assets": 250, "data-loggers": 100, "users": 15, "data-volume": 50}),
    ("LOG-50", "Pack of 50 data loggers", "Paket 50 Datenlogger", {"data-loggers": 50}),
    ("USR-5", "Five more users", "Fünf weitere Benutzer", {"users": 5}),
    ("VOL-100", "Data volume 100 GB", "Datenvolumen 100 GB", {"data-volume": 100}),
    ("ALARM", "Alarm by text message", "Alarm per SMS", {"sms-alerts": 1000}),
    ("SERVICE-DAY", "Commissioning on site, one day", "Inbetriebnahme vor Ort, ein Tag", {}),
]  # fmt: skip
USERS_OF = {  # what takes a license into use: a word and how many there are of it
    "assets": ("Kühlhaus", "Pumpwerk", "Generator", "Silo", "Transformator", "Förderband"),
    "data-loggers": ("DL-2400", "DL-3100", "DL-5000"),
    "users": ("Leitwarte", "Instandhaltung", "Labor", "Außendienst"),
    "data-volume": ("Gateway Nord", "Gateway Süd"),
    "sms-alerts": ("Alarmplan A", "Alarmplan B"),
}
PARTNERS = (
    "alice@nordlicht.example", "frida@fjordline.example", "charlie@alpenwerk.example", "harriet@harbour.example",
)  # fmt: skip


def is_wanted() -> bool:
    """Only an empty database gets the demo."""
    with unscoped("is there anybody yet?", writes=False) as session:
        return session.scalar(select(Account.id).limit(1)) is None


def build() -> None:
    """About sixty accounts on several levels, with their people (design, "The cast"), grown over a year and a half."""
    dice = random.Random(2026)  # noqa: S311 the same demo every time, not a secret
    with clock.back_then(_days_ago(DAYS_BACK + 30)):
        _operator()
    with clock.back_then(_days_ago(DAYS_BACK + 20)), _as("dora@kontor.example") as dora:
        nordlicht = _partner("Nordlicht", dora, contact="Alice Ahrens", email="hallo@nordlicht.example")
        alpenwerk = _partner("Alpenwerk", dora, contact="Charlie Czerny", email="office@alpenwerk.example")
        harbour = _partner("Harbour & Co", dora, slug="harbour", country="GB", currency="GBP")
        nordlicht.country, alpenwerk.country = "DE", "AT"
        nordlicht.street, nordlicht.postal_code, nordlicht.city = "Am Sandtorkai 4", "20457", "Hamburg"
        nordlicht.phone, nordlicht.vat_id = "+49 40 5555100", "DE136695976"
        nordlicht.website = "https://nordlicht.example"
        nordlicht.language = alpenwerk.language = "de"
        alpenwerk.time_zone, harbour.time_zone = "Europe/Vienna", "Europe/London"
        _person("alice@nordlicht.example", "Alice Ahrens", nordlicht, Role.ADMINISTRATOR)
        _person("charlie@alpenwerk.example", "Charlie Czerny", alpenwerk, Role.ADMINISTRATOR)
        _person("harriet@harbour.example", "Harriet Hughes", harbour, Role.ADMINISTRATOR)
    with clock.back_then(_days_ago(DAYS_BACK + 10)), _as("alice@nordlicht.example") as alice:
        _colleagues(alice.account, "nordlicht.example")
        _nordlichts_own(alice)
    _customers(NORTH, "alice@nordlicht.example", dice, country="DE", language="de")
    _customers(FJORD, "frida@fjordline.example", dice, country="NO", language="en", currency="NOK")
    _customers(ALPS, "charlie@alpenwerk.example", dice, country="AT", language="de", time_zone="Europe/Vienna")
    _customers(SOUTHWEST, "harriet@harbour.example", dice, country="GB", language="en", currency="GBP")
    demo_properties.build(dice, _as)
    with _as("alice@nordlicht.example") as alice:
        accounts.archive(_called("Fischmarkt Altona"), by=alice)
    _holds()
    _invitations()
    with clock.back_then(_days_ago(DAYS_BACK + 25)), _as("dora@kontor.example") as dora:
        offers = _catalogue(dora)
    given = _articles_given(offers, dice)
    for email in PARTNERS:
        _licenses_used(given, email, dice)
    _licenses_ended()
    demo_relationships.build(_person)
    demo_subscriptions.build(dice, _as)
    _licenses_given_back(offers)
    demo_webhooks.add(_as)
    demo_orders.build(_as)
    demo_webhooks.tell(_as)


def _operator() -> None:
    with unscoped("the first account of all"):
        kontor = accounts.open_operator(
            "Kontor GmbH", slug="kontor", country="DE", language="de", contact="Dora Dorn", email="info@kontor.example"
        )
        _person("dora@kontor.example", "Dora Dorn", kontor, Role.ADMINISTRATOR)


def _nordlichts_own(alice: Member) -> None:
    kuestenfunk = _customer(
        "Küstenfunk", alice, slug="kuestenfunk", country="DE", language="de", email="info@kuestenfunk.example",
        contact="Bob Brandt", phone="+49 4861 5555200", street="Deichstraße 12", postal_code="25813", city="Husum",
        vat_id="DE129274202", website="https://kuestenfunk.example",
    )  # fmt: skip
    _person("bob@kuestenfunk.example", "Bob Brandt", kuestenfunk, Role.ADMINISTRATOR)
    _person("britta@kuestenfunk.example", "Britta Boysen", kuestenfunk, Role.VIEWER)
    _customer("Deichbau", alice, slug="deichbau", country="DE", language="de", email="kontor@deichbau.example")
    fjordline = _customer(
        "Fjordline", alice, slug="fjordline", country="NO", currency="NOK", contact="Frida Foss",
        email="post@fjordline.example",
    )  # fmt: skip
    accounts.enable_partner(fjordline, by=alice)
    _person("frida@fjordline.example", "Frida Foss", fjordline, Role.ADMINISTRATOR)


def _holds() -> None:
    """One of each kind; and one that is past."""
    papers, money = HoldKind
    with clock.back_then(_days_ago(40)), _as("alice@nordlicht.example") as alice:
        holds.put_on_hold(_called("Windpark Nordstrand"), papers, reason="Handelsregisterauszug fehlt", by=alice)
        holds.put_on_hold(_called("Reederei Feddersen"), papers, reason="Neuer Eigentümer, Vertrag ungeklärt", by=alice)
    with clock.back_then(_days_ago(9)), _as("alice@nordlicht.example") as alice:
        holds.lift(_called("Windpark Nordstrand"), papers, reason="Auszug liegt vor", by=alice)
        holds.put_on_hold(_called("Biogas Dithmarschen"), money, reason="Zwei Rechnungen überfällig", by=alice)


def _invitations() -> None:
    """One of each kind at Nordlicht, and one sent from there to a customer that has nobody of its own yet."""
    with clock.back_then(_days_ago(12)), _as("alice@nordlicht.example") as alice:
        invitations.invite("thees.thomsen@nordlicht.example", role=Role.SUPPORT, account=alice.account, by=alice)
    with clock.back_then(_days_ago(3)), _as("alice@nordlicht.example") as alice:
        mistyped = invitations.invite("nele@nordlihct.example", role=Role.SALES, account=alice.account, by=alice)
    with clock.back_then(_days_ago(2)), _as("alice@nordlicht.example") as alice:
        invitations.withdraw(db.session.get(Invitation, mistyped.id), by=alice)
        invitations.invite("nele@nordlicht.example", role=Role.SALES, account=alice.account, by=alice)
        deichbau = _called("Deichbau")
        invitations.invite("dirk@deichbau.example", role=Role.ADMINISTRATOR, account=deichbau, by=alice)


# --- what is sold, and what is made of it ----------------------------------------------------------------------


def _catalogue(dora: Member) -> dict[str, Article]:
    types = {
        key: catalog.define_license_type(
            key, name_en=en, name_de=de, unit_en=unit_en, unit_de=unit_de, policy=policy, overage_percent=percent,
            by=dora,
        )
        for key, en, de, unit_en, unit_de, policy, percent in LICENSE_TYPES
    }  # fmt: skip
    demo_subscriptions.catalogue(dora)
    offers = {
        number: catalog.define_article(
            number, name_en=en, name_de=de, grants=[(types[key].id, count) for key, count in grants.items()], by=dora
        )
        for number, en, de, grants in ARTICLES
    }
    db.session.flush()
    demo_orders.price(dora)
    return offers


def _articles_given(offers: dict[str, Article], dice: random.Random) -> list[int]:
    """Every customer starts with a package and some have come back for more; the licenses that count."""
    with _as("dora@kontor.example") as dora:
        models = {plan.key: plan for plan in db.session.scalars(select(Plan))}
        for account in db.session.scalars(select(Account).where(Account.parent_id.is_not(None)).order_by(Account.id)):
            if account.is_archived:
                continue
            large = dice.random() < 0.4 or account.slug in {"kuestenfunk", "nordlicht"}
            plans.choose_plan(account, models["professional" if large else "basic"], by=dora)
            numbers = ["MON-PRO" if large else "MON-START", *dice.sample(EXTRAS, dice.choice((0, 0, 1, 2)))]
            for count, number in enumerate(numbers):
                _give(offers[number], account, count, dice, dora)
        return list(db.session.scalars(select(License.id).order_by(License.id)))


EXTRAS = ["LOG-50", "USR-5", "VOL-100", "ALARM", "SERVICE-DAY"]


def _give(article: Article, account: Account, count: int, dice: random.Random, dora: Member) -> None:
    """The package on the account's first day, what came on top some time later; a few only for a while."""
    age = (clock.now() - account.created_at).days
    moment = account.created_at + timedelta(days=count and dice.randrange(age // 2 + 1))
    with clock.back_then(moment):
        on = clock.today(account.time_zone)
        until = on + timedelta(days=365) if count and dice.random() < 0.4 else None
        quantity = dice.choice((1, 1, 2)) if count else 1
        note = dice.choice(("", "", f"PO {dice.randrange(4000, 9000)}"))
        licenses.give(db.session.merge(article), quantity, to=account, on=on, until=until, note=note, by=dora)


def _licenses_used(numbers: list[int], email: str, dice: random.Random) -> None:
    """What the customers of that partner took into use over the last year, some of it released again."""
    with _as(email) as by:
        theirs = select(License).where(License.id.in_(numbers)).join(License.account).order_by(License.id)
        for license in db.session.scalars(theirs.where(Account.parent_id == by.account_id)).all():
            aim = dice.choice(FULLNESS) if license.account.slug != "kuestenfunk" else dice.choice((0.5, 0.86, 1))
            _use(license, round(license.quantity * aim), dice, by)


FULLNESS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.85, 1)


def _use(license: License, aim: int, dice: random.Random, by: Member) -> None:
    """Towards so many in a handful of steps, one of them back."""
    steps = min(aim, 14 if license.account.slug == "kuestenfunk" else dice.randint(1, 3))
    first, last = clock.now() - timedelta(days=360), clock.now() - timedelta(days=1)
    first = max(first, license.created_at + timedelta(days=1))
    if not steps or first >= last:
        return
    moments = sorted(first + (last - first) * dice.random() for _step in range(steps + 1))
    names = USERS_OF[license.type.key]
    for step, moment in enumerate(moments):
        name = f"{names[step % len(names)]} {1 + step // len(names)}"
        share = aim * (step + 1) // steps - aim * step // steps
        with clock.back_then(moment):
            if step < steps:
                licenses.consume(license, share, reference=name, by=by)
            elif aim < license.quantity:
                licenses.release(license, 1, reference=f"{names[0]} 1", by=by)


def _licenses_ended() -> None:
    """One suspended, one revoked, and those whose year is over."""
    with clock.back_then(_days_ago(9)), _as("alice@nordlicht.example") as alice:
        suspended = _license_of("Seezeichen Service", "data-loggers")
        licenses.suspend(suspended, reason="Rechnung 2026-1042 überfällig", by=alice)
    with clock.back_then(_days_ago(40)), _as("dora@kontor.example") as dora:
        licenses.revoke(_license_of("Obsthof Steiermark", "assets"), reason="Vertrag aufgehoben", by=dora)
    with unscoped("some of the demo's licenses have ended"):
        licenses.note_expired()


def _licenses_given_back(offers: dict[str, Article]) -> None:
    """Küstenfunk has bought too many loggers for Pier 4, and has given some of them back."""
    with clock.back_then(_days_ago(90)), _as("dora@kontor.example") as dora:
        to, article = _called("Küstenfunk"), db.session.merge(offers["LOG-50"])
        holding = licenses.give(article, 3, to=to, on=clock.today(to.time_zone), note="PO 4733", by=dora)
        pier = db.session.scalars(select(ResourceGroup).where(ResourceGroup.name == "Pier 4")).one()
        loggers = db.session.scalars(select(License).where(License.holding_id == holding.id)).one()
        loggers.resource_group_id, number = pier.id, loggers.id
    with clock.back_then(_days_ago(40)), _as("bob@kuestenfunk.example") as bob:
        loggers = db.session.get(License, number)
        licenses.consume(loggers, 85, reference="DL-3100 Pier 4", by=bob)
        surrenders.surrender(loggers, 40, by=bob)


def _license_of(account: str, key: str) -> License:
    named = (Account.name == account, LicenseType.key == key)
    theirs = select(License).join(License.account).join(License.type).where(*named).order_by(License.id)
    return db.session.scalars(theirs).first()


@contextmanager
def _as(email: str) -> Iterator[Member]:
    """A unit of work in which that person acts in their own account."""
    with unscoped("finding one of the demo's people", writes=False) as session:
        theirs = select(Member).join(Member.user).where(User.email == email).order_by(Member.id)
        scope = scope_for(session.scalars(theirs).first())
    with acting(scope) as session:
        yield session.get(Member, scope.member_id)


def _days_ago(days: int) -> datetime:
    return clock.now() - timedelta(days=days)


def _partner(name: str, by: Member, slug: str = "", **facts: str) -> Account:
    account = _customer(name, by, slug=slug or name.lower(), **facts)
    accounts.enable_partner(account, by=by)
    return account


def _customer(name: str, by: Member, **facts: str) -> Account:
    return accounts.open_account(name, parent=by.account, by=by, **facts)


def _customers(names: list[str], email: str, dice: random.Random, **facts: str) -> None:
    """One after the other, each on its day."""
    people = itertools.cycle(f"{first} {last}" for first, last in zip(FIRST, itertools.cycle(LAST), strict=False))
    days = sorted((dice.randrange(DAYS_BACK) for _ in names), reverse=True)
    for name, days_back in zip(names, days, strict=True):
        contact = next(people)
        address = f"{contact.split()[0].lower()}@{accounts.plain_letters(name).replace('-', '')}.example"
        prefix, towns = PLACES[facts["country"]]
        where = {"phone": f"{prefix}{dice.randrange(100, 1000)}", "city": dice.choice(towns)}
        with clock.back_then(_days_ago(days_back)), _as(email) as by:
            _customer(name, by, contact=contact, email=address, **where, **facts)


def _colleagues(account: Account, host: str) -> None:
    for name, role in [
        ("Malte Manske", Role.MANAGER), ("Svea Sander", Role.SALES), ("Uli Urban", Role.SUPPORT),
        ("Finja Frey", Role.FINANCE), ("Vera Voss", Role.VIEWER),
    ]:  # fmt: skip
        _person(f"{name.split()[0].lower()}@{host}", name, account, role)


def _person(email: str, name: str, account: Account, role: Role) -> Member:
    """Somebody who has not chosen a language: whoever tries them out reads their own browser's."""
    first, last = name.split(" ", 1)
    user: User = signin.create_user(
        email, first_name=first, last_name=last, password=current_app.config["DEMO_PASSWORD"]
    )
    user.last_account_id = account.id  # where signing in leads them, whatever else they become members of
    return members.join(user, account, role=role)


def _called(name: str) -> Account:
    return db.session.scalars(select(Account).where(Account.name == name)).one()

"""The demo company, built by calling the services; a smoke test of them, too (X-13)."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from flask import current_app
from sqlalchemy import select

from . import clock, demo_properties
from .extensions import db
from .models import Account, HoldKind, Invitation, Member, Role, User
from .services import accounts, holds, invitations, members, signin
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

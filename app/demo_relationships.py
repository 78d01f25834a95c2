"""The demo's clients by consent: each asked, told the code and linked, as it is done in the mail."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import select

from . import clock, tokens
from .extensions import db
from .models import Account, Consent, LinkRequest, Member, Relationship, Role, Token, User
from .services import relationships
from .services.signin import Visitor
from .tenancy import acting, scope_for, unscoped

SOMEWHERE = Visitor(ip="192.0.2.10", device="Firefox, Windows")
MANAGING = (Consent.SUBSCRIPTIONS, Consent.ORDERS)


def build(person: Callable[..., Member]) -> None:
    """Two clients of other partners that Nordlicht manages, one of them for a while; one that has gone; and Küstenfunk,
    which lets Alpenwerk look at its licenses."""
    with unscoped("people who can speak for the demo's clients"):
        person("greta@gletscherbahnen.example", "Greta Gruber", _called("Gletscherbahnen Sölden"), Role.ADMINISTRATOR)
        person("ben@brunel.example", "Ben Barlow", _called("Brunel Marine Works"), Role.ADMINISTRATOR)
        person("arlo@avon.example", "Arlo Ash", _called("Avon Cold Storage"), Role.ADMINISTRATOR)
    alice, charlie = "alice@nordlicht.example", "charlie@alpenwerk.example"
    _link(alice, "greta@gletscherbahnen.example", (*MANAGING, Consent.LICENSES), days_ago=90)
    _link(alice, "ben@brunel.example", MANAGING, days_ago=50, days=80)
    _link(charlie, "bob@kuestenfunk.example", (Consent.LICENSES,), days_ago=20, days=60)
    gone = _link(alice, "arlo@avon.example", MANAGING, days_ago=200)
    _end(gone, "arlo@avon.example", days_ago=30)


def _link(partner: str, client: str, scopes: tuple[Consent, ...], *, days_ago: int, days: int | None = None) -> int:
    """One after the other: asked for, told, linked; the relationship's number."""
    moment = clock.now() - timedelta(days=days_ago)
    with clock.back_then(moment), unscoped("a client of the demo consents"):
        by = _member(partner)
        ends_on = None if days is None else clock.today() + timedelta(days=days)
        relationships.ask(client, scopes=scopes, ends_on=ends_on, by=by, visitor=SOMEWHERE)
        asked = select(Token).join(LinkRequest, LinkRequest.token_id == Token.id).order_by(Token.id.desc())
        code = tokens.code_of(db.session.scalars(asked).first())
        return relationships.link(client, code, by=by, visitor=SOMEWHERE).id


def _end(relationship_id: int, client: str, *, days_ago: int) -> None:
    with clock.back_then(clock.now() - timedelta(days=days_ago)):
        with unscoped("finding one of the demo's people", writes=False):
            scope = scope_for(_member(client))
        with acting(scope) as session:
            relationships.end(session.get(Relationship, relationship_id), by=session.get(Member, scope.member_id))
        with unscoped("the demo's partner is told"):
            relationships.note_ended()


def _member(email: str) -> Member:
    theirs = select(Member).join(Member.user).where(User.email == email).order_by(Member.id)
    return db.session.scalars(theirs).first()


def _called(name: str) -> Account:
    return db.session.scalars(select(Account).where(Account.name == name)).one()

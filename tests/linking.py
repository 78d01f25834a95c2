"""How clients are linked in tests: asked for, told, typed; each in a unit as a request has it."""

from __future__ import annotations

from datetime import date

from sqlalchemy import select

from app import tokens
from app.extensions import db
from app.models import Account, Consent, LinkRequest, Member, Relationship, Token, User
from app.services import relationships
from app.services.signin import normal
from app.tenancy import unscoped
from tests.cast import Person
from tests.signing import HERE


def ask(partner: Person, email: str, *scopes: Consent, ends_on: date | None = None) -> None:
    with unscoped("a partner asks a client"):
        relationships.ask(email, scopes=scopes, ends_on=ends_on, by=_member(partner), visitor=HERE)


def code_for(partner: Person, email: str) -> str:
    """The code of the partner's last request to that address; of nobody's address, too."""
    with unscoped("reading a mail", writes=False) as session:
        own = select(Token).join(LinkRequest, LinkRequest.token_id == Token.id).join(
            Account, Account.id == LinkRequest.account_id
        )
        own = own.where(Account.slug == partner.slug, LinkRequest.email == normal(email)).order_by(Token.id.desc())
        return tokens.code_of(session.scalars(own).first())


def redeem(partner: Person, email: str, code: str) -> str | None:
    """The name of the client, if the code linked it."""
    with unscoped("a partner types a code"):
        agreed = relationships.link(email, code, by=_member(partner), visitor=HERE)
        return agreed.client if agreed else None


def link(partner: Person, email: str, *scopes: Consent, ends_on: date | None = None) -> str | None:
    """All of it; the name of the client."""
    ask(partner, email, *scopes, ends_on=ends_on)
    return redeem(partner, email, code_for(partner, email))


def linked() -> list[Relationship]:
    with unscoped("looking at every relationship", writes=False) as session:
        return list(session.scalars(select(Relationship).order_by(Relationship.id)))


def wrong(code: str) -> str:
    """A code that is as good as any other, and not this one."""
    return f"{(int(code) + 1) % 10**8:08}"


def _member(person: Person) -> Member:
    named = select(Member).join(Member.user).join(Member.account)
    return db.session.scalars(named.where(User.email == person.email, Account.slug == person.slug)).one()

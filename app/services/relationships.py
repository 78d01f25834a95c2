"""The verbs of relationships: asked for by mail, agreed to by a code, ended (L-3, L-4).

A client may stand anywhere in the tree, so asking and linking run unscoped; callers open the unit of work. Before the
client has consented the partner learns nothing: whatever is behind an address, the same is done and the same is said.
The code is consent and never a login: it changes what a partner sees, and opens nothing to whoever holds it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from hmac import compare_digest
from typing import Any
from zoneinfo import ZoneInfo

from flask_babel import force_locale, format_date
from flask_babel import gettext as _
from sqlalchemy import ColumnElement, case, delete, exists, func, literal, select, update
from sqlalchemy.orm import aliased

from .. import clock, limits, outbox, tokens
from ..audit import record
from ..errors import Refused
from ..extensions import db
from ..models import (
    Account,
    Consent,
    EndedBy,
    Kind,
    LinkRequest,
    Member,
    Purpose,
    Relationship,
    RelationshipStatus,
    Role,
    Token,
    User,
)
from . import members
from .invitations import address
from .signin import Visitor

OFFERED = tuple(consent for consent in Consent if consent is not Consent.VIEW)  # what a partner can ask for besides
USUAL = (Consent.SUBSCRIPTIONS, Consent.ORDERS)
WAIT = timedelta(seconds=60)  # between two codes to one address
AT_ONCE = 100  # ends told in one transaction


@dataclass(frozen=True)
class Party:
    """The client behind an address: the account, and the person who can speak for it."""

    account: Account
    person: User


# --- asking ----------------------------------------------------------------------------------------------------


def ask(email: str, *, scopes: Collection[Consent], ends_on: date | None, by: Member, visitor: Visitor) -> None:
    """Send a code to a client's mailbox, with what it would allow; a former one no longer works.

    Raises `Refused` for what anybody can see to be wrong, never for what is or is not behind the address.
    """
    email, wanted = address(email), _ordered(scopes)
    _refuse_past(ends_on, by)
    _hold(by.account)
    _refuse_hurry(email, by)

    party = _party(email, by)
    admitted = limits.count("consent-client", party.account.id if party else email)
    tokens.revoke(Purpose.CONSENT, account_id=by.account_id, email=email)
    token = tokens.issue(Purpose.CONSENT, account_id=by.account_id, email=email)
    db.session.flush()
    asked = LinkRequest(account_id=by.account_id, email=email, scopes=wanted, ends_on=ends_on, token_id=token.id)
    asked.asked_by_id, asked.created_at = by.user_id, clock.now()
    asked.client_id = party.account.id if party else None
    db.session.add(asked)
    record("relationship.asked", account=by.account, email=email, consents=wanted, **_trail(by, visitor))
    db.session.flush()
    _send(asked, token, party if admitted else None, by)


def _ordered(scopes: Collection[Consent]) -> list[str]:
    """What is asked for, as it is kept; the company details are part of everything."""
    return [consent.value for consent in Consent if consent is Consent.VIEW or consent in scopes]


def _refuse_past(ends_on: date | None, by: Member) -> None:
    if ends_on is not None and ends_on <= clock.today(by.account.time_zone):
        raise Refused(_("The end has to be in the future."), field="ends_on")


def _refuse_hurry(email: str, by: Member) -> None:
    """What a partner is told of its own asking; it is the same for every address."""
    asked = select(func.max(LinkRequest.created_at))
    last = db.session.scalar(asked.where(LinkRequest.account_id == by.account_id, LinkRequest.email == email))
    if last is not None and last > clock.now() - WAIT:
        raise Refused(_("You have just asked for a code for this address. Please wait a minute."), field="email")
    own = by.account_id
    if not all([limits.count("consent-address", f"{own} {email}"), limits.count("consent-partner", own)]):
        raise Refused(_("Too many codes have been asked for today. Please go on tomorrow."), field="email")


def _party(email: str, by: Member, client_id: int | None = None) -> Party | None:
    """The client an address speaks for: a customer's account, not beneath the partner, of which the person is
    Administrator. Of several it is the one they acted in last, then the one joined first; the mail names it.

    Whoever is at home above a customer, as partners are that have opened its account, does not speak for it.
    """
    above, home = aliased(Account), aliased(Member)
    from_above = exists().where(
        home.user_id == User.id,
        home.account_id == above.id,
        above.id != Account.id,
        func.substr(Account.path, 1, func.length(above.path)) == above.path,
    )
    speaks = select(Account, User).join(Member, Member.account_id == Account.id).join(User, User.id == Member.user_id)
    speaks = speaks.where(User.email == email, User.active.is_(True), Member.role == Role.ADMINISTRATOR, ~from_above)
    living = speaks.where(Account.archived_at.is_(None), Account.administrative_hold_at.is_(None))
    elsewhere = living.where(Account.kind == Kind.CUSTOMER, ~Account.path.startswith(by.account.path, autoescape=True))
    if client_id is not None:
        elsewhere = elsewhere.where(Account.id == client_id)
    last_first = case((User.last_account_id == Account.id, 0), else_=1)
    found = db.session.execute(elsewhere.order_by(last_first, Member.id).limit(1)).first()
    return Party(*found) if found else None


def _send(asked: LinkRequest, token: Token, party: Party | None, by: Member) -> None:
    """The mail stands inside the client's account. For an address nobody can be reached at, the same mail is written
    and thrown away."""
    with db.session.begin_nested() as draft:
        _write_code(asked, token, party, by)
        if party is None:
            draft.rollback()
            db.session.info["written_messages"][-1] = 0  # the worker finds no such message


def _write_code(asked: LinkRequest, token: Token, party: Party | None, by: Member) -> None:
    account = party.account if party else by.account
    locale = (party.person.locale if party else None) or account.language
    outbox.write(
        "consent_code",
        to=asked.email,
        locale=locale,
        account_id=account.id,
        token=token,
        partner=by.account.name,
        person=by.user.name,
        client=account.name,
        scopes=[Consent(scope) for scope in asked.scopes],
        until=_day(asked.ends_on, locale),
        minutes=int(tokens.LIFETIME[Purpose.CONSENT].total_seconds()) // 60,
        code=outbox.CODE,
    )


# --- linking ---------------------------------------------------------------------------------------------------


def link(email: str, code: str, *, by: Member, visitor: Visitor) -> Relationship | None:
    """Use a code up and link the client; `None` where it is not right, no longer valid, or of somebody else.

    A try is counted before the code is looked at. Raises `Refused` for what cannot be a code at all.
    """
    digits = _digits(code)
    asked, token = _open_request(address(email), by)
    if not tokens.count_attempt(Purpose.CONSENT, tokens.secret_of(token) if token else ""):
        return None
    right = compare_digest(tokens.code_of(token), digits)
    if not right or asked.client_id is None:
        return None
    party = _party(asked.email, by, asked.client_id)
    if party is None or tokens.redeem(Purpose.CONSENT, tokens.secret_of(token)) is None:
        return None
    return _agree(asked, party, by, visitor)


def _digits(code: str) -> str:
    digits = "".join(code.split()).replace("-", "")
    if len(digits) != tokens.CODE_LENGTH or not (digits.isascii() and digits.isdecimal()):
        raise Refused(_("The code has %(count)s digits.", count=tokens.CODE_LENGTH), field="code")
    return digits


def _open_request(email: str, by: Member) -> tuple[LinkRequest | None, Token | None]:
    """The partner's own last request to that address."""
    own = select(LinkRequest, Token).join(Token, Token.id == LinkRequest.token_id)
    own = own.where(LinkRequest.account_id == by.account_id, LinkRequest.email == email)
    found = db.session.execute(own.order_by(LinkRequest.id.desc()).limit(1)).first()
    return tuple(found) if found else (None, None)


def _agree(asked: LinkRequest, party: Party, by: Member, visitor: Visitor) -> Relationship:
    """What was asked for holds from now on, in the place of what the two may have agreed on before."""
    client, partner = party.account, by.account
    _hold(client)
    _supersede(client, partner)
    agreed = Relationship(account=client, partner_id=partner.id, client=client.name, partner=partner.name)
    agreed.email, agreed.scopes, agreed.linked_by = asked.email, asked.scopes, by.user.name[:140]
    agreed.created_at, agreed.ends_on = clock.now(), asked.ends_on
    agreed.ends_at = _first_moment(asked.ends_on, client.time_zone) if asked.ends_on else None
    db.session.add(agreed)
    partner.has_links = True
    for account in (client, partner):
        told = {"consents": agreed.scopes, "ends_on": agreed.ends_on}
        record("relationship.linked", agreed, account=account, inside=True, **told, **_trail(by, visitor))
    db.session.flush()
    for member in members.administrators_of(client.id):
        _tell("consent_given", agreed, member, client, "managers/", consents=agreed.consents)
    return agreed


def _supersede(client: Account, partner: Account) -> None:
    former = (Relationship.partner_id == partner.id, Relationship.account_id == client.id)
    now = clock.now()
    _update(*former, Relationship.ended_at.is_(None), ended_at=now, ended_by=EndedBy.AGREEMENT, told_at=now)


def _first_moment(day: date, zone: str) -> datetime:
    return datetime.combine(day, time.min, ZoneInfo(zone))


# --- ending ----------------------------------------------------------------------------------------------------


def end(relationship: Relationship, *, by: Member) -> None:
    """End it, from either side, from this moment on; the other side is told by the clockwork."""
    db.session.refresh(relationship, with_for_update=True)
    if relationship.status_at(clock.now()) is RelationshipStatus.ENDED:
        raise Refused(_("This relationship has ended already."))

    own_side = EndedBy.PARTNER if relationship.partner_id == by.account_id else EndedBy.CLIENT
    relationship.ended_at, relationship.ended_by = clock.now(), own_side
    relationship.ended_by_name = by.user.name[:140]
    record("relationship.ended", relationship, account=by.account, inside=True)


def note_ended() -> None:
    """Note those whose day has come, then tell of every end that nobody has been told of; unscoped."""
    now = clock.now()
    over = (Relationship.ended_at.is_(None), Relationship.ends_at <= now)
    _update(*over, ended_at=Relationship.ends_at, ended_by=EndedBy.DATE)
    untold = select(Relationship).where(Relationship.ended_at.is_not(None), Relationship.told_at.is_(None))
    untold = untold.order_by(Relationship.id).limit(AT_ONCE).with_for_update(skip_locked=True)
    for relationship in db.session.scalars(untold):
        relationship.told_at = now
        _tell_of_end(relationship)


def _tell_of_end(relationship: Relationship) -> None:
    """A line and a mail for whoever has not ended it themselves; an end by date is news to both."""
    sides = {EndedBy.CLIENT: (relationship.account_id, "managers/")}
    sides[EndedBy.PARTNER] = (relationship.partner_id, "relationships/list/")
    for side, (account_id, page) in sides.items():
        if side is relationship.ended_by:
            continue
        account, word = db.session.get(Account, account_id), _WORDS[relationship.ended_by]
        record(word, relationship, account=account, inside=True, actor=relationship.ended_by_name)
        for member in members.administrators_of(account_id):
            _tell("consent_ended", relationship, member, account, page, side=side)


_WORDS = {
    EndedBy.DATE: "relationship.expired",
    EndedBy.CLIENT: "relationship.ended",
    EndedBy.PARTNER: "relationship.ended",
}


def _tell(template: str, relationship: Relationship, member: Member, account: Account, page: str, **facts: Any) -> None:
    locale = member.user.locale or account.language
    outbox.write(
        template,
        to=member.user.email,
        locale=locale,
        account_id=account.id,
        link_path=f"a/{account.slug}/{page}",
        relationship=relationship,
        until=_day(relationship.ends_on, locale),
        **facts,
    )


# --- looking ---------------------------------------------------------------------------------------------------


def status_column() -> ColumnElement[Any]:
    """`Relationship.status_at(now)` for lists to filter and sort by."""
    type_ = literal(RelationshipStatus.ACTIVE.value).type
    over = Relationship.ended_at.is_not(None) | (Relationship.ends_at <= clock.now())
    return case(
        (over, literal(RelationshipStatus.ENDED.value, type_)),
        else_=literal(RelationshipStatus.ACTIVE.value, type_),
    )


def forget_old(most: int) -> int:
    """Clear away some of the requests long past, answered or not; how many it were (`jobs.py`)."""
    old = select(LinkRequest.id).where(LinkRequest.created_at < clock.now() - tokens.KEPT).limit(most)
    return db.session.execute(
        delete(LinkRequest).where(LinkRequest.id.in_(old)), execution_options={"synchronize_session": False}
    ).rowcount


# --- small things ----------------------------------------------------------------------------------------------


def _hold(account: Account) -> None:
    """Keep others from asking for the same partner, or agreeing with the same client, until this is done."""
    db.session.execute(select(Account.id).where(Account.id == account.id).with_for_update(key_share=True))


def _trail(by: Member, visitor: Visitor) -> dict[str, Any]:
    """Who did it, for history; unscoped work has no scope to say it."""
    return {"actor": f"{by.user.name} <{by.user.email}>", "actor_id": by.user_id, "ip": visitor.ip}


def _day(day: date | None, locale: str) -> str:
    with force_locale(locale):
        return format_date(day, "long", rebase=False) if day else ""


def _update(*conditions: Any, **values: Any) -> int:
    return db.session.execute(
        update(Relationship).where(*conditions).values(**values), execution_options={"synchronize_session": False}
    ).rowcount

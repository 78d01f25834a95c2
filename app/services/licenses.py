"""The verbs of licenses: articles given, licenses issued, used, released, suspended, reinstated, revoked (M-11 … M-13).

Whether something may be used is decided by one conditional UPDATE on the license; what was decided is written down
in the same transaction, and never changed. A caller's key makes a repeated call harmless: it gets the first answer
again. A refusal is not kept under its key, since the next try may be allowed.

The administrators are told when 80 % and when 100 % of the quantity are in use, once each. They are told again only
after the use has fallen below 80 %: a license that swings around its last place does not fill mailboxes.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Any

from flask_babel import force_locale, format_decimal
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import ColumnElement, case, func, literal, or_, select, update
from sqlalchemy.orm import contains_eager, joinedload
from sqlalchemy.orm.attributes import set_committed_value

from .. import clock, outbox
from ..audit import WATCHED, record
from ..errors import Conflict, OutsideScope, Refused
from ..extensions import db
from ..models import (
    LARGEST_QUANTITY,
    Account,
    Article,
    Grant,
    Holding,
    Kind,
    License,
    LicenseMovement,
    LicenseStatus,
    LicenseType,
    LogEntry,
    Member,
    MovementKind,
    OrderLine,
    Policy,
    Source,
    User,
    public_id,
)
from .catalog import LIVING, Offer
from .members import administrators_of

MARKS = (100, 80)  # percent of the quantity in use at which the administrators are told
LONGEST_REFERENCE, LONGEST_KEY, LONGEST_REASON = 200, 120, 300


class Reason(StrEnum):
    """Why something is not allowed; the values are part of the API."""

    FULL = "full"
    UPCOMING = "upcoming"
    SUSPENDED = "suspended"
    EXPIRED = "expired"
    REVOKED = "revoked"
    SURRENDERED = "surrendered"
    ARCHIVED = "account_archived"
    HELD = "account_on_hold"
    NOT_HELD = "not_held"

    @property
    def label(self) -> Any:
        return _REASON_LABELS[self]


_REASON_LABELS = {
    Reason.FULL: _l("As much as is allowed is in use already."),
    Reason.UPCOMING: _l("The license has not started yet."),
    Reason.SUSPENDED: _l("The license is suspended."),
    Reason.EXPIRED: _l("The license has expired."),
    Reason.REVOKED: _l("The license has been revoked."),
    Reason.SURRENDERED: _l("The license has been given back."),
    Reason.ARCHIVED: _l("The account is archived."),
    Reason.HELD: _l("The account is on hold."),
    Reason.NOT_HELD: _l("So much is not in use under this reference."),
}

OVER_QUANTITY = "over_quantity"  # the one warning there is: allowed, though above what was acquired


@dataclass(frozen=True)
class Answer:
    """Allowed or not, with the numbers. After a deed they are those it has left."""

    allowed: bool
    quantity: int
    in_use: int
    available: int  # what is left of the quantity; tolerance is not counted
    limit: int | None  # the most that may be in use; `None`: the policy only warns
    policy: Policy
    warning: str = ""
    reason: Reason | None = None

    def __str__(self) -> str:
        return str(self.reason.label) if self.reason else ""


# --- acquiring -------------------------------------------------------------------------------------------------


def give(
    article: Article,
    quantity: int = 1,
    *,
    to: Account,
    on: date,
    until: date | None = None,
    note: str = "",
    line: OrderLine | None = None,
    by: Member,
) -> Holding:
    """Let an account have an article; what it grants become licenses at once (M-12).

    `until` is the first day on which they count no longer. `line` is that of the order it comes from: what was
    ordered is given, too, when it is offered no longer. Raises `Refused` for what is archived.
    """
    article = _to_be_given(article, quantity, to, on, until, by, owed=line is not None)

    holding = Holding(
        account=to, article=article, quantity=quantity, acquired_on=on, valid_until=until, note=note.strip(),
        source=Source.ORDERED if line else Source.GIVEN, order_line_id=line.id if line else None,
        created_at=clock.now(),
    )  # fmt: skip
    db.session.add(holding)
    record("holding.ordered" if line else "holding.given", holding, article=article.number)
    db.session.flush()
    group_id = line.order.resource_group_id if line else None
    for grant in _grants_of(article):
        license = issue(
            grant.type, grant.quantity * quantity, to=to, on=on, until=until, holding=holding, owed=bool(line), by=by
        )
        license.resource_group_id = group_id
    db.session.flush()
    return holding


def examine(article: Article, quantity: int, *, to: Account, by: Member) -> None:
    """Raises `Refused` for what could not be given now; nothing is written."""
    _only_the_operator(by)
    _refuse_archived(to)
    _refuse_withdrawn(article)
    check_quantity(quantity)
    for grant in article.grants:
        _refuse_withdrawn(grant.type)
        check_quantity(grant.quantity * quantity)


def take_back(holding: Holding, *, by: Member) -> None:
    """Undo a gift nobody has touched: it goes, and its licenses with it.

    Raises `Refused` where something has come of it since: then licenses end by being revoked.
    """
    _only_the_operator(by)
    issued = select(License).where(License.holding_id == holding.id).with_for_update(of=License)
    for license in db.session.scalars(issued.execution_options(populate_existing=True)).all():
        _refuse_touched(license)
        db.session.delete(license)
    _refuse_changed(holding)
    db.session.flush()
    record("holding.taken_back", holding, article=holding.article.number)
    db.session.delete(holding)
    db.session.flush()


def _refuse_touched(license: License) -> None:
    used = db.session.scalar(select(LicenseMovement.id).where(LicenseMovement.license_id == license.id).limit(1))
    if used is not None:
        raise Refused(_("%(license)s has been used since.", license=license))
    _refuse_changed(license)


def _refuse_changed(row: Holding | License) -> None:
    """Whatever happens to one has a line in history; the first is of its beginning."""
    word = WATCHED[type(row)]
    lines = select(func.count(LogEntry.id)).where(LogEntry.subject_type == word, LogEntry.subject_id == row.id)
    if db.session.scalar(lines) > 1:
        raise Refused(_("%(name)s has been changed since.", name=str(row)))


def issue(
    type_: LicenseType,
    quantity: int,
    *,
    to: Account,
    on: date,
    until: date | None = None,
    holding: Holding | None = None,
    owed: bool = False,
    by: Member,
) -> License:
    """A new license over so many, from that day on. Raises `Refused` for what is too much, or archived and not owed."""
    type_ = _to_be_given(type_, quantity, to, on, until, by, owed=owed)

    license = License(
        account=to, type=type_, holding=holding, article=holding.article if holding else None,
        public_id=public_id("LIC"), quantity=quantity, ceiling=type_.ceiling(quantity), in_use=0, told=0,
        valid_from=on, valid_until=until, status=LicenseStatus.ACTIVE, created_at=clock.now(),
    )  # fmt: skip
    db.session.add(license)
    record("license.issued", license, license_type=type_.key)
    db.session.flush()
    return license


def _to_be_given(
    offer: Offer, quantity: int, to: Account, on: date, until: date | None, by: Member, *, owed: bool
) -> Offer:
    """What is on offer, or owed by an order, as it is now, kept so until this is done.

    Raises `Refused` where it cannot be given so.
    """
    _only_the_operator(by)
    _refuse_archived(to)
    offer = _on_offer(offer, owed=owed)
    check_quantity(quantity)
    _check_days(on, until)
    return offer


def _grants_of(article: Article) -> list[Grant]:
    return list(db.session.scalars(select(Grant).where(Grant.article_id == article.id).order_by(Grant.id)))


def _only_the_operator(by: Member) -> None:
    if by.account.kind is not Kind.OPERATOR:
        raise Refused(_("Only the operator gives articles and licenses."))


def _refuse_archived(account: Account) -> None:
    if account.is_archived:
        raise Refused(_("%(name)s is archived; restore it first.", name=account.name))


def _on_offer(offer: Offer, *, owed: bool) -> Offer:
    kept = select(type(offer)).where(type(offer).id == offer.id).with_for_update(read=True)
    found = db.session.scalars(kept.execution_options(populate_existing=True)).one()
    if not owed:
        _refuse_withdrawn(found)
    return found


def _refuse_withdrawn(offer: Offer) -> None:
    if offer.is_archived:
        raise Refused(_("%(name)s is archived and offered no longer.", name=offer.name), field="article_id")


def check_quantity(quantity: int) -> None:
    if type(quantity) is not int or not 1 <= quantity <= LARGEST_QUANTITY:
        raise Refused(_("A quantity is a whole number from 1 to 1,000,000,000."), field="quantity")


def _check_days(on: date, until: date | None) -> None:
    if until is not None and until <= on:
        raise Refused(_("It has to end after it has started."), field="valid_until")


# --- using -----------------------------------------------------------------------------------------------------


def check(license: License, quantity: int = 1) -> Answer:
    """Whether so much more could be taken into use now. Changes nothing and promises nothing."""
    check_quantity(quantity)
    return _verdict(as_it_is(license), quantity)


def _verdict(license: License, quantity: int) -> Answer:
    reason = against(license)
    if reason is None and license.in_use > license.ceiling - quantity:
        reason = Reason.FULL
    return _answer(license, reason, over=license.in_use + quantity > license.quantity)


def consume(license: License, quantity: int = 1, *, reference: str, by: Member, key: str = "") -> Answer:
    """Take so much into use for whatever `reference` names, if the license allows it; all of it or nothing.

    With a `key` a repeated call answers what the first did, without a second effect. Raises `Conflict` when the key
    came with something else before, `Refused` for what cannot be meant.
    """
    license, reference = _begin(license, quantity, reference, key)
    if earlier := _earlier(license, MovementKind.CONSUMED, quantity, reference, key):
        return earlier
    if not _take(license, quantity):
        return _verdict(license, quantity)
    answer = _answer(license, None, over=license.in_use > license.quantity)
    _write_down(license, MovementKind.CONSUMED, quantity, reference, key, answer, by)
    _tell(license, by)
    return answer


def release(license: License, quantity: int = 1, *, reference: str, by: Member, key: str = "") -> Answer:
    """Give so much free again that was in use under that reference; also where nothing more could be taken.

    Not allowed for more than the reference holds. Keys as in `consume`.
    """
    license, reference = _begin(license, quantity, reference, key)
    if earlier := _earlier(license, MovementKind.RELEASED, quantity, reference, key):
        return earlier
    if held_by(license, reference) < quantity or not _put_back(license, quantity):
        return _answer(license, Reason.NOT_HELD)
    answer = _answer(license, None)
    _write_down(license, MovementKind.RELEASED, quantity, reference, key, answer, by)
    _forget_marks(license)
    return answer


def held_by(license: License, reference: str) -> int:
    """How much of a license is in use under that reference."""
    total = select(func.coalesce(func.sum(signed()), 0)).where(
        LicenseMovement.license_id == license.id, LicenseMovement.reference == reference
    )
    return int(db.session.scalar(total))


def signed() -> ColumnElement[int]:
    """What a movement adds to what is in use: below zero where it was released, nothing where it was surrendered."""
    moves = {MovementKind.CONSUMED: LicenseMovement.quantity, MovementKind.RELEASED: -LicenseMovement.quantity}
    return case(*((LicenseMovement.kind == kind, quantity) for kind, quantity in moves.items()), else_=0)


def _begin(license: License, quantity: int, reference: str, key: str) -> tuple[License, str]:
    """The license, held: whoever comes at the same moment waits, and then sees what this one has done."""
    check_quantity(quantity)
    reference = " ".join(reference.replace("\x00", "").split())
    if not reference or len(reference) > LONGEST_REFERENCE:
        raise Refused(_("Name who or what uses it, in up to 200 characters."), field="reference")
    if len(key) > LONGEST_KEY or "\x00" in key:
        raise Refused(_("A key has up to 120 characters."), field="key")
    return as_it_is(license, hold=True), reference


def as_it_is(license: License, *, hold: bool = False) -> License:
    """The license, its type and its account, read anew; held on wish."""
    statement = (
        select(License)
        .join(License.type)
        .join(License.account)
        .options(contains_eager(License.type), contains_eager(License.account))
        .where(License.id == license.id)
    )
    if hold:
        statement = statement.with_for_update(of=License)
    found = db.session.scalars(statement.execution_options(populate_existing=True)).one_or_none()
    if found is None:  # what it came with has been taken back at this moment
        raise OutsideScope("License")
    return found


def _earlier(license: License, kind: MovementKind, quantity: int, reference: str, key: str) -> Answer | None:
    """What was answered when this key came first."""
    if not key:
        return None
    mine = (LicenseMovement.license_id == license.id, LicenseMovement.key == key)
    movement = db.session.scalar(select(LicenseMovement).where(*mine))
    if movement is None:
        return None
    if (movement.kind, movement.quantity, movement.reference) != (kind, quantity, reference):
        raise Conflict(_("This key has come with something else before."), field="key")
    told = movement.answer or {}
    return Answer(**{**told, "policy": Policy(told["policy"])})


def _take(license: License, quantity: int) -> bool:
    """The one statement that decides. Written so that no sum can leave the range of the column."""
    day = today_of(license)
    living = select(Account.id).where(Account.archived_at.is_(None), Account.administrative_hold_at.is_(None))
    return _move(
        license,
        quantity,
        License.status == LicenseStatus.ACTIVE,
        License.valid_from <= day,
        or_(License.valid_until.is_(None), License.valid_until > day),
        License.in_use <= License.ceiling - quantity,
        License.account_id.in_(living),
    )


def _put_back(license: License, quantity: int) -> bool:
    return _move(license, -quantity, License.in_use >= quantity)


def _move(license: License, by: int, *conditions: ColumnElement[bool]) -> bool:
    moved = db.session.execute(
        update(License).where(License.id == license.id, *conditions).values(in_use=License.in_use + by),
        execution_options={"synchronize_session": False},
    )
    if moved.rowcount == 1:
        set_committed_value(license, "in_use", license.in_use + by)  # held, so nobody else has moved it meanwhile
    return moved.rowcount == 1


def _write_down(
    license: License, kind: MovementKind, quantity: int, reference: str, key: str, answer: Answer, by: Member
) -> None:
    movement = LicenseMovement(
        account=license.account, license=license, at=clock.now(), kind=kind, quantity=quantity,
        in_use=license.in_use, reference=reference, actor=by.user.name[:140],
        key=key or None, answer=asdict(answer) if key else None,
    )  # fmt: skip
    db.session.add(movement)
    db.session.flush()


def against(license: License) -> Reason | None:
    """What speaks against using it at all."""
    if license.account.is_archived:
        return Reason.ARCHIVED
    if license.account.is_held:
        return Reason.HELD
    status = license.status_on(today_of(license))
    return None if status is LicenseStatus.ACTIVE else Reason(status.value)


def _answer(license: License, reason: Reason | None, *, over: bool = False) -> Answer:
    return Answer(
        allowed=reason is None,
        quantity=license.quantity,
        in_use=license.in_use,
        available=license.available,
        limit=license.limit,
        policy=license.type.policy,
        warning=OVER_QUANTITY if over and reason is None else "",
        reason=reason,
    )


def today_of(license: License) -> date:
    return clock.today(license.account.time_zone)


# --- telling the administrators --------------------------------------------------------------------------------


def _tell(license: License, by: Member) -> None:
    """Write to the account's administrators when a mark is reached; of two at once one does."""
    mark = next((mark for mark in MARKS if license.in_use * 100 >= license.quantity * mark), 0)
    if not mark or not _claim(license, License.told < mark, mark):
        return
    for member in administrators_of(license.account_id):
        _write(license, member.user, mark, by)


def _forget_marks(license: License) -> None:
    if license.in_use * 100 < license.quantity * min(MARKS):
        _claim(license, License.told > 0, 0)


def _claim(license: License, condition: ColumnElement[bool], mark: int) -> bool:
    claimed = db.session.execute(
        update(License).where(License.id == license.id, condition).values(told=mark),
        execution_options={"synchronize_session": False},
    )
    return claimed.rowcount == 1


def _write(license: License, user: User, mark: int, by: Member) -> None:
    """The mail stands in the outbox of the account in which the license was used."""
    locale = user.locale or license.account.language
    with force_locale(locale):
        numbers = {name: format_decimal(getattr(license, name)) for name in ("in_use", "quantity", "ceiling")}
    outbox.write(
        "license_mark",
        to=user.email,
        locale=locale,
        account_id=by.account_id,
        link_path=f"a/{license.account.slug}/licenses/show/{license.id}",
        license=license,
        account=license.account.name,
        used_up=mark == max(MARKS),
        **numbers,
    )


# --- ending, and coming back -----------------------------------------------------------------------------------


def suspend(license: License, *, reason: str, by: Member) -> None:
    """Stop all use for the time being. What is in use stays noted and can be released."""
    license = _settled(license, by)
    _refuse_unless_it_may(license, LicenseStatus.SUSPENDED)

    license.status, license.reason = LicenseStatus.SUSPENDED, _said(reason)
    license.suspended_by_id = by.account_id
    record("license.suspended", license)
    db.session.flush()


def reinstate(license: License, *, by: Member) -> None:
    """Lift a suspension; only the account that made it does, or one above."""
    license = _settled(license, by)
    if license.status is not LicenseStatus.SUSPENDED:
        raise Refused(_("%(license)s is not suspended.", license=license))
    if db.session.get(Account, license.suspended_by_id) is None:  # beyond the wall, so above
        raise Refused(_("%(license)s was suspended by an account above yours.", license=license))

    license.status, license.reason, license.suspended_by_id = LicenseStatus.ACTIVE, "", None
    record("license.reinstated", license)
    db.session.flush()


def revoke(license: License, *, reason: str, by: Member) -> None:
    """Take a license back for good."""
    license = _settled(license, by)
    _refuse_unless_it_may(license, LicenseStatus.REVOKED)

    license.status, license.reason = LicenseStatus.REVOKED, _said(reason)
    record("license.revoked", license)
    db.session.flush()


def note_expired() -> int:
    """Note which licenses have ended, each in its account's time zone; how many. Can run twice, and twice at once."""
    tomorrow = clock.today() + timedelta(days=1)  # somewhere it is that day already
    ending = (
        select(License)
        .options(joinedload(License.account, innerjoin=True))
        .where(License.status.in_(LIVING), License.valid_until <= tomorrow)
        .order_by(License.id)
        .with_for_update(of=License, skip_locked=True)
    )
    ended = [license for license in db.session.scalars(ending) if license.valid_until <= today_of(license)]
    for license in ended:
        license.status = LicenseStatus.EXPIRED
        record("license.expired", license)
    db.session.flush()
    return len(ended)


def status_column(day: date) -> ColumnElement[Any]:
    """`License.status_on(day)` for lists to filter and sort by."""
    ended = License.status.in_(LIVING) & (License.valid_until <= day)
    upcoming = (License.status == LicenseStatus.ACTIVE) & (License.valid_from > day)
    return case((ended, _status(LicenseStatus.EXPIRED)), (upcoming, _status(LicenseStatus.UPCOMING)),
                else_=License.status)  # fmt: skip


def available_column() -> ColumnElement[int]:
    """`License.available` for lists."""
    return case((License.in_use < License.quantity, License.quantity - License.in_use), else_=0)


def _status(status: LicenseStatus) -> ColumnElement[Any]:
    return literal(status, License.status.type)


def _settled(license: License, by: Member) -> License:
    """The license, held and as it is now; not the own one, unless the operator's."""
    if license.account_id == by.account_id and by.account.kind is not Kind.OPERATOR:
        raise Refused(_("Only accounts above suspend, reinstate and revoke a license."))
    return as_it_is(license, hold=True)


def _refuse_unless_it_may(license: License, status: LicenseStatus) -> None:
    now = license.status_on(today_of(license))
    now = LicenseStatus.ACTIVE if now is LicenseStatus.UPCOMING else now
    if status not in License.MOVES[now]:
        raise Refused(
            _("%(license)s is %(status)s; that cannot be changed any more.", license=license, status=now.label)
            if now is not status
            else _("%(license)s is suspended already.", license=license)
        )


def _said(reason: str) -> str:
    reason = " ".join(reason.split())
    if not reason:
        raise Refused(_("Please give a reason; the account reads it."), field="reason")
    if len(reason) > LONGEST_REASON:
        raise Refused(_("A reason has up to 300 characters."), field="reason")
    return reason

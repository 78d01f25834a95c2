"""The verbs of the catalogue: license types, articles with what they grant (M-11 … M-13); `plans` says the rest.

All of it is the operator's to say; the wall keeps everybody else from writing it (`OfCatalogue`). Put away, a row is
offered no longer; what was made of it stays.
"""

from __future__ import annotations

import re
from typing import Any, TypeVar

from flask_babel import gettext as _
from flask_babel import ngettext
from sqlalchemy import BigInteger, cast, select, update

from .. import clock
from ..audit import record
from ..errors import Refused
from ..extensions import db
from ..models import (
    LARGEST_QUANTITY,
    LARGEST_USE,
    Account,
    Article,
    Grant,
    License,
    LicenseStatus,
    LicenseType,
    Member,
    Plan,
    Policy,
    Product,
    public_id,
)

LIVING = (LicenseStatus.ACTIVE, LicenseStatus.SUSPENDED)  # what is kept of a license that may still be used
NAMED = 3  # licenses told of that stand in the way

Offer = TypeVar("Offer", LicenseType, Article, Product, Plan)


# --- license types ---------------------------------------------------------------------------------------------


def define_license_type(key: str, *, by: Member, **facts: Any) -> LicenseType:
    """A new kind of right. The key is its name in the API and never changes."""
    hold_catalogue(by)
    type_ = LicenseType(account=by.account, key=free_key(LicenseType, key))
    _describe_license_type(type_, facts)
    db.session.add(type_)
    record("license_type.defined", type_)
    db.session.flush()
    return type_


def change_license_type(type_: LicenseType, *, by: Member, **facts: Any) -> None:
    """Change names, unit or policy. The policy holds at once for every license of the type.

    Raises `Refused` when licenses are used beyond what the new policy allows.
    """
    hold_catalogue(by)
    before = type_.policy, type_.overage_percent
    _describe_license_type(type_, facts)
    record("license_type.changed", type_)
    if before != (type_.policy, type_.overage_percent):
        _measure_again(type_)
    db.session.flush()


def _describe_license_type(type_: LicenseType, facts: dict[str, Any]) -> None:
    _name(type_, facts)
    units = [" ".join((facts.get(name) or "").split()) for name in ("unit_en", "unit_de")]
    if not any(units):
        raise Refused(_("Say what it is counted in, in one language at least."), field="unit_en")
    type_.unit_en, type_.unit_de = units[0] or units[1], units[1] or units[0]
    type_.policy = Policy(facts["policy"])
    type_.overage_percent = _percent(type_.policy, facts.get("overage_percent"))


def _percent(policy: Policy, percent: int | None) -> int | None:
    if policy is not Policy.OVERAGE:
        return None
    if percent is None or not 1 <= percent <= 100:
        raise Refused(_("Say how much more is tolerated, from 1 to 100 percent."), field="overage_percent")
    return percent


def _measure_again(type_: LicenseType) -> None:
    """Give the licenses of a type the ceiling its policy now means, unless some are used beyond it."""
    living = (License.type_id == type_.id, License.status.in_(LIVING))
    db.session.execute(select(License.id).where(*living).with_for_update())
    ceiling: Any = LARGEST_USE
    if type_.policy is not Policy.SOFT:
        more = cast(License.quantity, BigInteger) * (type_.overage_percent or 0)
        ceiling = License.quantity + more // 100
    _refuse_overused(select(License.public_id).where(*living, License.in_use > ceiling).order_by(License.id))
    db.session.execute(
        update(License).where(*living).values(ceiling=ceiling), execution_options={"synchronize_session": False}
    )


def _refuse_overused(overused: Any) -> None:
    found = list(db.session.scalars(overused.limit(NAMED + 1)))
    if not found:
        return
    names = ", ".join(found[:NAMED]) + (" …" if len(found) > NAMED else "")
    raise Refused(
        ngettext(
            "The policy cannot be that strict: this license is used beyond it: %(names)s.",
            "The policy cannot be that strict: these licenses are used beyond it: %(names)s.",
            len(found), names=names,
        ),
        field="policy",
    )  # fmt: skip


# --- articles --------------------------------------------------------------------------------------------------


def define_article(number: str = "", *, grants: list[tuple[int, int]], by: Member, **facts: Any) -> Article:
    """A new article, with what it grants: (id of a license type, quantity). Without a number it is given one."""
    hold_catalogue(by)
    article = Article(account=by.account, number=_free_number(number), created_at=clock.now())
    describe(article, facts)
    gives = _grant(article, grants, by)
    db.session.add(article)
    record("article.defined", article, grants=gives)
    db.session.flush()
    return article


def change_article(article: Article, *, number: str, grants: list[tuple[int, int]], by: Member, **facts: Any) -> None:
    """Change an article. What it grants counts from the next time it is acquired; licenses there are stay."""
    hold_catalogue(by)
    before = granted(article)
    after = _grant(article, grants, by)
    article.number = _free_number(number, article)
    describe(article, facts)
    record("article.changed", article, **({} if before == after else {"grants": (before, after)}))
    db.session.flush()


def granted(article: Article) -> str:
    """What an article gives, in the words of history: `100 × assets, 5 × users`, by their keys."""
    return ", ".join(sorted(f"{grant.quantity} × {grant.type.key}" for grant in article.grants))


def _grant(article: Article, wanted: list[tuple[int, int]], by: Member) -> str:
    """Make an article grant just that; answers it in words."""
    types = {type_.id: type_ for type_ in db.session.scalars(select(LicenseType)).all()}
    known = {grant.type_id: grant for grant in article.grants}
    numbers = [number for number, _quantity in wanted]
    if len(set(numbers)) != len(numbers):
        raise Refused(_("Name each license type once."), field="grants")
    for number, quantity in wanted:
        if number not in types:
            raise Refused(_("This license type is not there."), field="grants")
        if number not in known and types[number].is_archived:
            raise Refused(_("%(name)s is archived; restore it first.", name=types[number].name), field="grants")
        _check_quantity(quantity, "grants")
        if number in known:
            known[number].quantity = quantity
        else:
            article.grants.append(Grant(account=by.account, type=types[number], quantity=quantity))
    for number in set(known) - set(numbers):
        article.grants.remove(known[number])
    return granted(article)


# --- all of them -----------------------------------------------------------------------------------------------


def archive(offer: Offer, *, by: Member) -> None:
    """Offer it no longer. Whoever has it keeps it."""
    if offer.is_archived:
        raise Refused(_("%(name)s is archived already.", name=offer.name))

    offer.archived_at = clock.now()
    record(f"{offer.__tablename__}.archived", offer)


def restore(offer: Offer, *, by: Member) -> None:
    """Offer it again."""
    if not offer.is_archived:
        raise Refused(_("%(name)s is not archived.", name=offer.name))

    offer.archived_at = None
    record(f"{offer.__tablename__}.restored", offer)


def hold_catalogue(by: Member) -> None:
    """One writer at a time, so that of two with the same key or number the second is told."""
    db.session.execute(select(Account.id).where(Account.id == by.account_id).with_for_update(key_share=True))


def describe(offer: Article | Plan | Product, facts: dict[str, Any]) -> None:
    _name(offer, facts)
    for name in ("description_en", "description_de"):
        setattr(offer, name, (facts.get(name) or "").strip())


def _name(offer: Offer, facts: dict[str, Any]) -> None:
    """In both languages; one of the two is enough and serves for the other."""
    names = [" ".join((facts.get(name) or "").split()) for name in ("name_en", "name_de")]
    if not any(names):
        raise Refused(_("Give it a name, in one language at least."), field="name_en")
    offer.name_en, offer.name_de = names[0] or names[1], names[1] or names[0]


def free_key(model: type[LicenseType] | type[Product] | type[Plan], key: str) -> str:
    key = key.strip()
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", key):
        raise Refused(_("A key is made of small letters, digits, hyphens, underscores and dots."), field="key")
    if db.session.scalar(select(model.id).where(model.key == key)) is not None:
        raise Refused(_("The key “%(key)s” is taken already.", key=key), field="key")
    return key


def _free_number(number: str, article: Article | None = None) -> str:
    number = " ".join(number.split()) or (article.number if article else public_id("ART"))
    with db.session.no_autoflush:
        taken = db.session.scalar(select(Article.id).where(Article.number == number))
    if taken is not None and (article is None or taken != article.id):
        raise Refused(_("The number “%(number)s” is taken already.", number=number), field="number")
    return number


def _check_quantity(quantity: int, field: str = "quantity") -> None:
    if not 1 <= quantity <= LARGEST_QUANTITY:
        raise Refused(_("A quantity is a whole number from 1 to 1,000,000,000."), field=field)

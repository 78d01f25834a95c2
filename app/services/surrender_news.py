"""Who is told that licenses were given back, in their own language: the account's administrators and its partner."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from flask_babel import force_locale, format_date, format_decimal
from sqlalchemy import select
from sqlalchemy.orm import contains_eager

from .. import outbox, regions
from ..extensions import db
from ..models import Member, Role, User
from .above import office_above

if TYPE_CHECKING:
    from .surrenders import Surrender


def tell(meant: Surrender, by: Member) -> None:
    """Write to all of them. The partner's copy goes to its office: its people stand beyond the account's wall."""
    for address, locale in _readers(meant):
        _write(meant, by, to=address, locale=locale)


def _readers(meant: Surrender) -> Iterator[tuple[str, str]]:
    account = meant.license.account
    administrators = (
        select(Member)
        .join(Member.user)
        .options(contains_eager(Member.user))
        .where(Member.account_id == account.id, Member.role == Role.ADMINISTRATOR, User.active.is_(True))
        .order_by(Member.id)
    )
    for member in db.session.scalars(administrators):
        yield member.user.email, member.user.locale or account.language
    office = office_above(account.id)
    if office and office.email:
        yield office.email, office.language


def _write(meant: Surrender, by: Member, *, to: str, locale: str) -> None:
    license, credit = meant.license, meant.credit
    with force_locale(locale):
        said = {
            "day": format_date(meant.on, "long", rebase=False),
            "quantity": format_decimal(meant.quantity),
            "left": format_decimal(meant.left),
            "credit": regions.amount(-credit.net, credit.currency, locale) if credit else "",
        }
    outbox.write(
        "license_surrendered",
        to=to,
        locale=locale,
        account_id=by.account_id,
        link_path=f"a/{license.account.slug}/licenses/show/{license.id}",
        license=license,
        account=license.account.name,
        who=by.user.name,
        all_of_it=not meant.left,
        nothing=meant.nothing,
        **said,
    )

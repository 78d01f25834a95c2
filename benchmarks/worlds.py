"""The world the benchmarks measure: partners of equal size, eight properties each, and one partner with no account."""

from __future__ import annotations

import os
import random
import runpy
import sys
import tempfile
from pathlib import Path
from typing import Any

from flask import Flask
from flask_migrate import upgrade
from sqlalchemy import select

HERE = Path(__file__).parent.parent
sys.path.insert(0, str(HERE))

from app import create_app  # noqa: E402
from app.extensions import db  # noqa: E402
from app.models import Account, Kind, Property, PropertyType, Role  # noqa: E402
from app.services import accounts, members, properties, signin  # noqa: E402
from app.tenancy import unscoped  # noqa: E402
from benchmarks import crowd  # noqa: E402
from tests import cast  # noqa: E402

T = PropertyType
KINDS = [T.TEXT, T.TEXT, T.INTEGER, T.DECIMAL, T.DATE, T.DATE, T.CHOICE, T.FLAG]
CHOICES = [{"label_en": label, "label_de": label} for label in ("Common", "Usual", "Some", "Few", "Rare")]
PLAIN = ["text", "text", "integer", "double precision", "text", "text", "text", "text"]
SHARE = 100_000  # accounts of one partner, where there are several


def application(url: str) -> Flask:
    folder = Path(os.environ.get("DATA_DIR") or tempfile.mkdtemp(prefix="kontor-bench-"))
    app = create_app(SQLALCHEMY_DATABASE_URI=url, DATA_DIR=folder, SECRET_KEY="b" * 32, PUBLIC_URL="http://localhost")
    app.config.update(TRUSTED_HOSTS=["localhost", "127.0.0.1"], MAIL_SERVER="")
    runpy.run_path(str(HERE / "gunicorn.conf.py"))["post_worker_init"](None)  # measured as it is served
    return app


def manager_of(slug: str) -> cast.Person:
    return cast.Person(f"{slug}@p.example", slug)


def build(app: Flask, size: int) -> None:
    """So many accounts in all, at most `SHARE` for each partner: p, p1, p2 …; and the partner e without any."""
    slugs = ["p", *(f"p{n}" for n in range(1, max(1, size // SHARE)))]
    with app.app_context():
        upgrade()
        with unscoped("building the benchmark"):
            root = accounts.open_operator("Operator", slug="o")
            partners = {slug: _partner(slug, root) for slug in [*slugs, "e"]}
        for slug in partners:
            with cast.acting_as(manager_of(slug)) as by:
                for number, kind in enumerate(KINDS):
                    more: dict[str, Any] = {"choices": CHOICES} if kind.has_choices else {}
                    properties.define(kind, by=by, label_en=f"{kind.value} {number}", **more)
        dice = random.Random(2026)
        with crowd.without_indexes():
            for slug in slugs:
                crowd.settle(partners[slug], size // len(slugs), dice)
        crowd.look_around()


def _partner(slug: str, root: Account) -> int:
    partner = accounts.open_account(slug.upper(), parent=root, by=None, slug=slug)
    partner.kind = Kind.PARTNER
    user = signin.create_user(manager_of(slug).email, first_name=slug, last_name="x", password=cast.PASSWORD)
    return members.join(user, partner, role=Role.ADMINISTRATOR).account_id


def copy_plainly(app: Flask) -> tuple[int, list[int]]:
    """The accounts once more for `plain_fab.py`, with a view that makes columns of the JSON.

    Answers the partner's number and those of its properties.
    """
    columns = "id, parent_id, name, contact, email, phone, city, country, created_at, properties"
    with app.app_context():
        with unscoped("the same rows for plain FAB") as session:
            partner = session.scalar(select(Account.id).where(Account.slug == "p"))
            of_partner = select(Property.id).where(Property.account_id == partner).order_by(Property.position)
            own = list(session.scalars(of_partner))
            connection = session.connection()
            said = "->>'{}'" if connection.dialect.name == "postgresql" else "->>'$.\"{}\"'"
            values = [f"CAST(properties {said.format(n)} AS {t}) AS p{n}" for n, t in zip(own, PLAIN, strict=True)]
            for statement in (
                "DROP VIEW IF EXISTS plain",
                "DROP TABLE IF EXISTS plain_row",
                f"CREATE TABLE plain_row AS SELECT {columns} FROM account WHERE kind = 'customer'",  # noqa: S608
                "CREATE UNIQUE INDEX ix_plain_id ON plain_row (id)",
                "CREATE INDEX ix_plain_parent ON plain_row (parent_id, name)",
                "ANALYZE plain_row",
                f"CREATE VIEW plain AS SELECT {columns}, {', '.join(values)} FROM plain_row",  # noqa: S608
            ):
                connection.exec_driver_sql(statement)
        db.engine.dispose()
    return partner, own

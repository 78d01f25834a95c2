"""Accounts: address, VAT ID, holds; and the copies of an account's path follow it when it moves."""

import sqlalchemy as sa
from alembic import op

from app.extensions import Moment
from migrations.walls import SUBTREE, follow, index_owner, only_add_to_but_follow, owner, protect

# revision identifiers, used by Alembic.
revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TEXTS = {"phone": 40, "website": 200, "vat_id": 20, "street": 200, "postal_code": 20, "city": 100}
MOMENTS = ("administrative_hold_at", "financial_hold_at")
IN_FORCE = sa.text("lifted_at IS NULL")


def upgrade() -> None:
    for name, length in TEXTS.items():
        op.add_column("account", sa.Column(name, sa.String(length=length), nullable=False, server_default=""))
    for name in MOMENTS:
        op.add_column("account", sa.Column(name, Moment(), nullable=True))
    op.create_table(
        "hold",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Enum("administrative", "financial", name="holdkind", native_enum=False, length=24), nullable=False),
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.Column("set_at", Moment(), nullable=False),
        sa.Column("set_by", sa.String(length=140), nullable=False),
        sa.Column("set_by_account_id", sa.Integer(), nullable=False),
        sa.Column("lifted_at", Moment(), nullable=True),
        sa.Column("lifted_by", sa.String(length=140), nullable=False),
        sa.Column("lift_reason", sa.String(length=300), nullable=False),
        *owner(),
        sa.ForeignKeyConstraint(["set_by_account_id"], ["account.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    index_owner("hold")
    op.create_index(
        "uq_hold_in_force", "hold", ["account_id", "kind"], unique=True, sqlite_where=IN_FORCE, postgresql_where=IN_FORCE
    )
    protect("hold", SUBTREE)

    for table in _with_a_path():
        follow(table)
    only_add_to_but_follow("log_entry")


def _with_a_path() -> list[str]:
    """Every table with a copy of the path; the index of properties is led by the services (its own index on the path
    would lead SQLite astray)."""
    there = sa.inspect(op.get_bind())
    tables = set(there.get_table_names()) - {"property_value"}
    return sorted(t for t in tables if "account_path" in {c["name"] for c in there.get_columns(t)})


def downgrade() -> None:
    raise NotImplementedError("history has begun to follow its accounts")

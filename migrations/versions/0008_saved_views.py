"""Saved views of lists, and how each member looks at them."""

import sqlalchemy as sa
from alembic import op

from app.extensions import Moment
from migrations.walls import INSIDE, index_owner, owner, protect

# revision identifiers, used by Alembic.
revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

OWNED, SHARED = sa.text("owner_id IS NOT NULL"), sa.text("owner_id IS NULL")


def upgrade() -> None:
    op.add_column("member", sa.Column("habits", sa.JSON(), nullable=False, server_default="{}"))
    op.create_table(
        "saved_view",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("of_list", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("name_key", sa.String(length=60), nullable=False),
        sa.Column("owner_id", sa.Integer(), nullable=True),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        *owner(),
        sa.ForeignKeyConstraint(["owner_id"], ["ab_user.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    index_owner("saved_view")
    op.create_index("ix_saved_view_owner_id", "saved_view", ["owner_id"])
    _unique("own", ["account_id", "of_list", "owner_id", "name_key"], OWNED)
    _unique("shared", ["account_id", "of_list", "name_key"], SHARED)
    protect("saved_view", INSIDE)


def _unique(name: str, columns: list[str], where: sa.TextClause) -> None:
    """Of names among those the condition leaves."""
    only = {"sqlite_where": where, "postgresql_where": where}
    op.create_index(f"uq_saved_view_{name}", "saved_view", columns, unique=True, **only)


def downgrade() -> None:
    op.drop_table("saved_view")
    op.drop_column("member", "habits")

"""The API: keys for programs, answers given once, and history that says through which key (section 6)."""

import sqlalchemy as sa
from alembic import op

from app.extensions import Moment
from migrations.walls import INSIDE, index_owner, only_add_to_but_follow, owner, protect

# revision identifiers, used by Alembic.
revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("log_entry", sa.Column("via", sa.String(length=80), nullable=False, server_default=""))
    only_add_to_but_follow("log_entry")

    op.create_table(
        "api_key",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("prefix", sa.String(length=16), nullable=False),
        sa.Column("secret_hash", sa.String(length=64), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("created_by_id", sa.Integer(), nullable=False),
        sa.Column("created_by", sa.String(length=140), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("expires_at", Moment(), nullable=False),
        sa.Column("last_used_at", Moment(), nullable=True),
        sa.Column("revoked_at", Moment(), nullable=True),
        *owner(),
        sa.ForeignKeyConstraint(["created_by_id"], ["ab_user.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("secret_hash"),
    )
    op.create_table(
        "api_answer",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("caller", sa.String(length=40), nullable=False),
        sa.Column("route", sa.String(length=200), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("request_hash", sa.String(length=64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("location", sa.String(length=300), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        *owner(),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("account_id", "caller", "route", "key", name="uq_api_answer_key"),
    )
    op.create_index("ix_api_answer_at", "api_answer", ["at"])
    for table in ("api_key", "api_answer"):
        index_owner(table)
        protect(table, INSIDE)


def downgrade() -> None:
    op.drop_table("api_answer")
    op.drop_table("api_key")
    op.drop_column("log_entry", "via")

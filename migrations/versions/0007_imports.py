"""Files that come and go: exports made by the worker, imports of accounts (X-3)."""

import sqlalchemy as sa
from alembic import op

from app.extensions import Moment
from migrations.walls import INSIDE, OWN, owner, protect

# revision identifiers, used by Alembic.
revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

EXPORT = ("waiting", "running", "done", "failed")
IMPORT = ("uploaded", "checked", "importing", "done", "undoing", "undone")


def _maker():
    """The columns of what belongs to an account and was made by a person."""
    return [sa.Column("user_id", sa.Integer(), sa.ForeignKey("ab_user.id"), nullable=False), *owner()]


def upgrade() -> None:
    op.create_table(
        "export",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("view", sa.String(length=60), nullable=False),
        sa.Column("noun", sa.String(length=40), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("title", sa.String(length=120), nullable=False),
        sa.Column("filter", sa.Text(), nullable=False),
        sa.Column("format", sa.String(length=4), nullable=False),
        sa.Column("locale", sa.String(length=5), nullable=False),
        sa.Column("status", sa.Enum(*EXPORT, name="exportstatus", native_enum=False, length=24), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("written", sa.Integer(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("file", sa.String(length=80), nullable=False),
        sa.Column("error", sa.String(length=300), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("lease_until", Moment(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("finished_at", Moment(), nullable=True),
        sa.Column("expires_at", Moment(), nullable=False),
        *_maker(),
    )
    op.create_table(
        "account_import",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("by", sa.String(length=140), nullable=False),
        sa.Column("file_name", sa.String(length=200), nullable=False),
        sa.Column("sheet", sa.String(length=120), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("mapping", sa.JSON(), nullable=False),
        sa.Column("clears", sa.Boolean(), nullable=False),
        sa.Column("overwrites", sa.Boolean(), nullable=False),
        sa.Column("plan", sa.LargeBinary(), nullable=True),
        sa.Column("counts", sa.JSON(), nullable=False),
        sa.Column("status", sa.Enum(*IMPORT, name="importstatus", native_enum=False, length=24), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("locale", sa.String(length=5), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("lease_until", Moment(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("checked_at", Moment(), nullable=True),
        sa.Column("done_at", Moment(), nullable=True),
        *_maker(),
    )
    for table in ("export", "account_import"):
        for column in ("user_id", "account_id", "account_path"):
            op.create_index(f"ix_{table}_{column}", table, [column])
        op.create_index(f"ix_{table}_due", table, ["status", "lease_until"])
    protect("export", f"{INSIDE} AND {OWN}")
    protect("account_import", INSIDE)


def downgrade() -> None:
    op.drop_table("account_import")
    op.drop_table("export")

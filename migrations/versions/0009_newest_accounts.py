"""The newest accounts: an index to list them along, and to count those of a month in."""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_account_created", "account", ["created_at", "id", "path", "archived_at"])


def downgrade() -> None:
    op.drop_index("ix_account_created", table_name="account")

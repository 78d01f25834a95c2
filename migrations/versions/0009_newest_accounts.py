"""The newest accounts, and accounts by city or contact: an index to list along, and one to sort in."""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_account_created", "account", ["created_at", "id", "path", "archived_at"])
    sorted_by = ["city", "contact", "email", "phone", "country", "kind"]
    op.create_index("ix_account_shown", "account", ["path", "archived_at", *sorted_by, "id"])


def downgrade() -> None:
    op.drop_index("ix_account_shown", table_name="account")
    op.drop_index("ix_account_created", table_name="account")

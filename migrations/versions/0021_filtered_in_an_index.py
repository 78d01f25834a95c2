"""Accounts are filtered by their day, their holds and what they stand beneath in the index they are sorted in."""

from alembic import op

# revision identifiers, used by Alembic.
revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

INDEX = "ix_account_shown"
BEFORE = ["path", "archived_at", "city", "contact", "email", "phone", "country", "kind"]
BESIDES = ["created_at", "administrative_hold_at", "financial_hold_at", "parent_id"]


def upgrade() -> None:
    op.drop_index(INDEX, table_name="account")
    op.create_index(INDEX, "account", [*BEFORE, *BESIDES, "id"])


def downgrade() -> None:
    op.drop_index(INDEX, table_name="account")
    op.create_index(INDEX, "account", [*BEFORE, "id"])

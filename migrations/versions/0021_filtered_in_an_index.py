"""Accounts are filtered, and history is counted, by what indexes know, without looking at each row."""

from alembic import op

# revision identifiers, used by Alembic.
revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

SHOWN = ["path", "archived_at", "city", "contact", "email", "phone", "country", "kind"]
BESIDES = ["created_at", "administrative_hold_at", "financial_hold_at", "parent_id"]


def upgrade() -> None:
    _replace("ix_account_shown", "account", [*SHOWN, *BESIDES, "id"])
    _replace("ix_log_entry_at", "log_entry", ["at", "account_path", "inside", "account_id"])
    _replace("ix_log_entry_account_path", "log_entry", ["account_path", "inside", "account_id", "at"])


def downgrade() -> None:
    _replace("ix_account_shown", "account", [*SHOWN, "id"])
    _replace("ix_log_entry_at", "log_entry", ["at"])
    _replace("ix_log_entry_account_path", "log_entry", ["account_path"])


def _replace(name: str, table: str, columns: list[str]) -> None:
    op.drop_index(name, table_name=table)
    op.create_index(name, table, columns)

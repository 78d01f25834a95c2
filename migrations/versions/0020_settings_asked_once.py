"""What is seen of a subtree is asked of the settings once for each statement (decision 0021)."""

from alembic import op

from migrations.walls import SUBTREE

# revision identifiers, used by Alembic.
revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

TABLES = (
    "account", "calculation", "credential", "fulfilment", "hold", "holding", "invitation", "license",
    "license_movement", "log_entry", "member", "order_line", "property", "property_value", "purchase",
    "resource_group", "searched_text", "subscription", "upfront_request", "usage_report",
)  # fmt: skip
FOR_EACH_ROW = (
    "{path} >= current_setting('kontor.low', true) COLLATE \"C\" "
    "AND {path} < current_setting('kontor.high', true) COLLATE \"C\""
)


def upgrade() -> None:
    _ask(SUBTREE)


def downgrade() -> None:
    _ask(FOR_EACH_ROW)


def _ask(rule: str) -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    for table in TABLES:
        asked = rule.format(path="path" if table == "account" else "account_path")
        op.execute(f"ALTER POLICY wall ON {table} USING ({asked}) WITH CHECK ({asked})")

"""Subscriptions and orders, opened by their clients' consent (L-4); whether the operator knows of requests (L-8)."""

import sqlalchemy as sa
from alembic import op

from app.extensions import Moment
from migrations.walls import admit, admit_to_history, open_the_wall

# revision identifiers, used by Alembic.
revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

BY_CONSENT = {
    "subscription": ("subscriptions",),
    "resource_group": ("subscriptions",),
    "upfront_request": ("subscriptions",),
    "purchase": ("orders",),
    "order_line": ("orders",),
    "fulfilment": ("orders",),
    "calculation": ("subscriptions", "orders"),
}


def upgrade() -> None:
    for table, consents in BY_CONSENT.items():
        admit(table, *consents, writing=True)
    admit_to_history()
    op.add_column("upfront_request", sa.Column("told_at", Moment(), nullable=True))
    open_the_wall()
    op.execute("UPDATE upfront_request SET told_at = requested_at")  # nobody is told of what is known


def downgrade() -> None:
    op.drop_column("upfront_request", "told_at")
    if op.get_bind().dialect.name != "postgresql":
        return
    op.execute("DROP POLICY consent_adds ON log_entry")
    for table in BY_CONSENT:
        for policy in ("consent", "consent_adds", "consent_changes"):
            op.execute(f"DROP POLICY {policy} ON {table}")

"""Reported usage of subscriptions, from which post-paid ones are charged (I-4)."""

import sqlalchemy as sa
from alembic import op

from app.extensions import Moment
from migrations.walls import SUBTREE, admit, index_owner, only_add_to, only_add_to_but_follow, owner, protect

# revision identifiers, used by Alembic.
revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "usage_report",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("subscription_id", sa.Integer(), nullable=False),
        sa.Column("users", sa.Integer(), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("source", sa.Enum("api", "by-hand", name="usagesource", native_enum=False, length=24), nullable=False),
        sa.Column("actor", sa.String(length=140), nullable=False),
        *owner(),
        sa.CheckConstraint("users BETWEEN 0 AND 1000000", name="ck_usage_report_users"),
        sa.ForeignKeyConstraint(["account_id", "subscription_id"], ["subscription.account_id", "subscription.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_usage_report_at", "usage_report", ["at"])
    op.create_index("ix_usage_report_subscription", "usage_report", ["subscription_id", "at"])
    index_owner("usage_report")
    protect("usage_report", SUBTREE)
    admit("usage_report", "subscriptions", writing=True)
    only_add_to("usage_report")
    only_add_to_but_follow("usage_report")


def downgrade() -> None:
    op.drop_table("usage_report")

"""Webhooks, what has happened and is still to be told, and the log of what was."""

import sqlalchemy as sa
from alembic import op

from app.extensions import Moment
from migrations.walls import INSIDE, SEALED, index_owner, owner, protect

# revision identifiers, used by Alembic.
revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

EVENTS = (
    "order.placed", "order.in_fulfilment", "order.put_back", "order.line_fulfilled", "order.line_failed",
    "order.completed", "order.failed", "order.cancelled", "webhook.test",
)  # fmt: skip
OUTCOMES = ("ok", "refused", "timeout", "unreachable", "insecure", "internal", "hidden", "off")


def _choice(name: str, *values: str):
    return sa.Enum(*values, name=name, native_enum=False, length=24)


def _text(name: str, length: int):
    return sa.Column(name, sa.String(length=length), nullable=False)


def _moment(name: str, nullable: bool = True):
    return sa.Column(name, Moment(), nullable=nullable)


def _number(name: str, target: str = "", nullable: bool = True):
    return sa.Column(name, sa.Integer(), *([sa.ForeignKey(f"{target}.id")] if target else []), nullable=nullable)


def upgrade() -> None:
    _make_webhooks()
    _make_events()
    _make_deliveries()
    for table in ("webhook", "webhook_delivery"):
        index_owner(table)
        protect(table, INSIDE)
    protect("webhook_event", SEALED, write_rule="true")  # written from anywhere, read by the worker alone


def _make_webhooks() -> None:
    op.create_table(
        "webhook",
        sa.Column("id", sa.Integer(), nullable=False),
        _text("name", 80),
        _text("url", 500),
        sa.Column("events", sa.JSON(), nullable=False),
        sa.Column("status", _choice("webhookstatus", "on", "off", "stopped"), nullable=False),
        _text("nonce", 32),
        sa.Column("former_nonce", sa.String(length=32), nullable=True),
        _moment("former_until"),
        _text("created_by", 140),
        _moment("created_at", nullable=False),
        _moment("delivered_at"),
        _moment("failing_since"),
        *owner(),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("account_id", "id", name="uq_webhook_of_account"),
    )


def _make_events() -> None:
    op.create_table(
        "webhook_event",
        sa.Column("id", sa.String(length=32), nullable=False),
        _number("account_id", "account", nullable=False),
        _number("order_id", "purchase", nullable=False),
        sa.Column("kind", _choice("eventkind", *EVENTS), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        _moment("at", nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    for name in ("account_id", "at"):
        op.create_index(f"ix_webhook_event_{name}", "webhook_event", [name])


def _make_deliveries() -> None:
    op.create_table(
        "webhook_delivery",
        sa.Column("id", sa.Integer(), nullable=False),
        _number("webhook_id", nullable=False),
        _text("message_id", 60),
        sa.Column("event", _choice("eventkind", *EVENTS), nullable=False),
        _number("order_id", "purchase"),
        _text("order_number", 60),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("status", _choice("deliverystatus", "waiting", "sending", "delivered", "failed"), nullable=False),
        _number("attempts", nullable=False),
        _number("round", nullable=False),
        _moment("next_try_at"),
        _moment("created_at", nullable=False),
        _moment("delivered_at"),
        sa.Column("outcome", _choice("outcome", *OUTCOMES), nullable=True),
        _number("code"),
        _number("duration"),
        _text("answer", 1000),
        sa.Column("tries", sa.JSON(), nullable=False),
        *owner(),
        sa.ForeignKeyConstraint(["account_id", "webhook_id"], ["webhook.account_id", "webhook.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("message_id"),
    )
    for name in ("order_id", "created_at"):
        op.create_index(f"ix_webhook_delivery_{name}", "webhook_delivery", [name])
    op.create_index("ix_webhook_delivery_due", "webhook_delivery", ["status", "next_try_at"])
    op.create_index("ix_webhook_delivery_list", "webhook_delivery", ["webhook_id", "id"])


def downgrade() -> None:
    for table in ("webhook_delivery", "webhook_event", "webhook"):
        op.drop_table(table)

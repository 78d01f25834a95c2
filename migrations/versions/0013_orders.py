"""Orders, their lines, the fulfilment of each, and credentials on their way (L-9 … L-12, I-1 … I-10)."""

import sqlalchemy as sa
from alembic import op

from app.extensions import Moment
from migrations.walls import SUBTREE, index_owner, open_the_wall, owner, protect

# revision identifiers, used by Alembic.
revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

TABLES = ("purchase", "order_line", "fulfilment", "credential")
OF_ORDER = (["account_id", "order_id"], ["purchase.account_id", "purchase.id"])


def _choice(name: str, *values: str):
    return sa.Enum(*values, name=name, native_enum=False, length=24)


def _text(name: str, length: int):
    return sa.Column(name, sa.String(length=length), nullable=False)


def _number(name: str, target: str = "", nullable: bool = True):
    return sa.Column(name, sa.Integer(), *([sa.ForeignKey(f"{target}.id")] if target else []), nullable=nullable)


def _moments(*names: str):
    return [sa.Column(name, Moment(), nullable=True) for name in names]


def upgrade() -> None:
    open_the_wall()
    _make_orders()
    _make_lines()
    _make_fulfilment()
    _make_credentials()
    for table in TABLES:
        index_owner(table)
        protect(table, SUBTREE)
    # As SQL: on SQLite Alembic would copy the whole table for the reference.
    op.execute(
        "ALTER TABLE holding ADD COLUMN order_line_id INTEGER "
        "CONSTRAINT fk_holding_order_line REFERENCES order_line (id)"
    )
    op.create_index("uq_holding_order_line", "holding", ["order_line_id"], unique=True)


def _make_orders() -> None:
    statuses = ("draft", "placed", "in-fulfilment", "completed", "failed", "cancelled")
    op.create_table(
        "purchase",
        sa.Column("id", sa.Integer(), nullable=False),
        _number("version", nullable=False),
        _text("public_id", 60),
        _text("form_key", 60),
        sa.Column("kind", _choice("orderkind", "subscribe", "renew", "upgrade", "licenses"), nullable=False),
        sa.Column("product_type", _choice("producttype", "cloud", "saas", "on-premise"), nullable=True),
        sa.Column("status", _choice("orderstatus", *statuses), nullable=False),
        sa.Column("answers", sa.JSON(), nullable=False),
        _text("customer", 120),
        _number("author_id", "ab_user", nullable=False),
        _text("author", 140),
        _number("author_account_id", "account", nullable=False),
        _text("ordered_by", 120),
        _number("plan_id", "plan"),
        _number("subscription_id", "subscription"),
        _number("resource_group_id", "resource_group"),
        _number("previous_id", "purchase"),
        _number("replaces_id", "purchase"),
        sa.Column("payment_mode", _choice("paymentmode", "prepaid", "postpaid"), nullable=True),
        sa.Column("location", _choice("datalocation", "eu", "us"), nullable=True),
        sa.Column("postponed", sa.Boolean(), nullable=False),
        _text("domain", 253),
        sa.Column("claimed_domain", sa.String(length=253), nullable=True),
        _text("administrator", 60),
        sa.Column("credentials_to", sa.JSON(), nullable=False),
        _text("reference", 120),
        _text("remark", 500),
        _text("currency", 3),
        *(sa.Column(f"{name}_minor", sa.BigInteger(), nullable=True) for name in ("net", "gross")),
        _number("calculation_id", "calculation"),
        sa.Column("created_at", Moment(), nullable=False),
        *_moments("placed_at", "started_at", "ended_at"),
        _text("reason", 300),
        sa.Column("delete_on", sa.Date(), nullable=True),
        *owner(),
        sa.CheckConstraint(
            "status = 'draft' OR (placed_at IS NOT NULL AND net_minor IS NOT NULL AND gross_minor IS NOT NULL)",
            name="ck_purchase_placed",
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("public_id"),
        sa.UniqueConstraint("claimed_domain"),
        sa.UniqueConstraint("account_id", "id", name="uq_purchase_of_account"),
        sa.UniqueConstraint("author_account_id", "form_key", name="uq_purchase_key"),
    )
    for name in ("subscription_id", "previous_id", "placed_at"):
        op.create_index(f"ix_purchase_{name}", "purchase", [name])
    op.create_index("ix_purchase_list", "purchase", ["account_path", "status", "id"])
    op.create_index("ix_purchase_due", "purchase", ["status", "delete_on"])


def _make_lines() -> None:
    op.create_table(
        "order_line",
        sa.Column("id", sa.Integer(), nullable=False),
        _number("order_id", nullable=False),
        _number("position", nullable=False),
        _number("article_id", "article"),
        _number("plan_id", "plan"),
        _text("name_en", 120),
        _text("name_de", 120),
        _number("quantity", nullable=False),
        _text("currency", 3),
        sa.Column("unit_minor", sa.BigInteger(), nullable=False),
        sa.Column("net_minor", sa.BigInteger(), nullable=False),
        *owner(),
        sa.CheckConstraint("quantity > 0", name="ck_order_line_quantity"),
        sa.CheckConstraint("(article_id IS NULL) <> (plan_id IS NULL)", name="ck_order_line_what"),
        sa.ForeignKeyConstraint(*OF_ORDER),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("order_id", "position", name="uq_order_line_position"),
        sa.UniqueConstraint("account_id", "id", name="uq_order_line_of_account"),
    )
    op.create_index("ix_order_line_order_id", "order_line", ["order_id"])


def _make_fulfilment() -> None:
    statuses = ("pending", "in-progress", "fulfilled", "failed", "cancelled")
    op.create_table(
        "fulfilment",
        sa.Column("id", sa.Integer(), nullable=False),
        _number("version", nullable=False),
        _number("order_id", nullable=False),
        _number("line_id", nullable=False),
        sa.Column("status", _choice("fulfilmentstatus", *statuses), nullable=False),
        _number("attempts", nullable=False),
        _text("taken_by", 140),
        _number("taken_by_id", "ab_user"),
        *_moments("taken_at", "ended_at"),
        _text("reason", 300),
        _text("address", 300),
        sa.Column("created_at", Moment(), nullable=False),
        *owner(),
        sa.CheckConstraint("status <> 'failed' OR reason <> ''", name="ck_fulfilment_reason"),
        sa.ForeignKeyConstraint(*OF_ORDER),
        sa.ForeignKeyConstraint(["account_id", "line_id"], ["order_line.account_id", "order_line.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("line_id", name="uq_fulfilment_line"),
    )
    op.create_index("ix_fulfilment_order_id", "fulfilment", ["order_id"])
    op.create_index("ix_fulfilment_board", "fulfilment", ["status", "id"])


def _make_credentials() -> None:
    op.create_table(
        "credential",
        sa.Column("id", sa.Integer(), nullable=False),
        _number("order_id", nullable=False),
        _text("email", 320),
        _number("token_id", "token", nullable=False),
        _text("password_hash", 200),
        sa.Column("sent_at", Moment(), nullable=False),
        *_moments("set_at"),
        *owner(),
        sa.ForeignKeyConstraint(*OF_ORDER),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("token_id"),
        sa.UniqueConstraint("order_id", "email", name="uq_credential_recipient"),
    )


def downgrade() -> None:
    raise NotImplementedError("what was ordered cannot be forgotten")

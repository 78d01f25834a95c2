"""Articles, price models and licenses: what is offered, what accounts have of it, what they use (M-10 … M-13)."""

import sqlalchemy as sa
from alembic import op

from app.extensions import Moment
from migrations.walls import (
    SUBTREE,
    index_owner,
    only_add_to,
    only_add_to_but_follow,
    owner,
    protect,
    protect_catalogue,
)

# revision identifiers, used by Alembic.
revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

CATALOGUE = ("article", "license_type", "plan", "article_grant")
OWNED = ("holding", "license", "license_movement")


def _names():
    return [sa.Column(f"name_{language}", sa.String(length=120), nullable=False) for language in ("en", "de")]


def upgrade() -> None:
    op.create_table(
        "article",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("number", sa.String(length=60), nullable=False),
        sa.Column("description_en", sa.Text(), nullable=False),
        sa.Column("description_de", sa.Text(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        *_names(),
        sa.Column("archived_at", Moment(), nullable=True),
        *owner(),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("number"),
    )
    op.create_table(
        "license_type",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=60), nullable=False),
        sa.Column("unit_en", sa.String(length=40), nullable=False),
        sa.Column("unit_de", sa.String(length=40), nullable=False),
        sa.Column("policy", sa.Enum("hard", "soft", "overage", name="policy", native_enum=False, length=24), nullable=False),
        sa.Column("overage_percent", sa.Integer(), nullable=True),
        *_names(),
        sa.Column("archived_at", Moment(), nullable=True),
        *owner(),
        sa.CheckConstraint("(policy = 'overage') = (overage_percent IS NOT NULL)", name="ck_license_type_overage"),
        sa.CheckConstraint("overage_percent BETWEEN 1 AND 100", name="ck_license_type_percent"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("key"),
    )
    op.create_table(
        "plan",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=60), nullable=False),
        sa.Column("description_en", sa.Text(), nullable=False),
        sa.Column("description_de", sa.Text(), nullable=False),
        sa.Column("period", sa.Enum("monthly", "yearly", name="cycle", native_enum=False, length=24), nullable=False),
        sa.Column("price_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        *_names(),
        sa.Column("archived_at", Moment(), nullable=True),
        *owner(),
        sa.CheckConstraint("price_minor >= 0", name="ck_plan_price"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("key"),
    )
    op.create_table(
        "article_grant",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("article_id", sa.Integer(), nullable=False),
        sa.Column("type_id", sa.Integer(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        *owner(),
        sa.CheckConstraint("quantity > 0", name="ck_article_grant_quantity"),
        sa.ForeignKeyConstraint(["article_id"], ["article.id"]),
        sa.ForeignKeyConstraint(["type_id"], ["license_type.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("article_id", "type_id", name="uq_article_grant"),
    )
    op.create_table(
        "holding",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("article_id", sa.Integer(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("acquired_on", sa.Date(), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.Column("note", sa.String(length=200), nullable=False),
        sa.Column("source", sa.Enum("given", name="source", native_enum=False, length=24), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        *owner(),
        sa.CheckConstraint("quantity > 0", name="ck_holding_quantity"),
        sa.CheckConstraint("valid_until > acquired_on", name="ck_holding_days"),
        sa.ForeignKeyConstraint(["article_id"], ["article.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("account_id", "id", name="uq_holding_of_account"),
    )
    op.create_table(
        "license",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_id", sa.String(length=60), nullable=False),
        sa.Column("type_id", sa.Integer(), nullable=False),
        sa.Column("article_id", sa.Integer(), nullable=True),
        sa.Column("holding_id", sa.Integer(), nullable=True),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("ceiling", sa.Integer(), nullable=False),
        sa.Column("in_use", sa.Integer(), nullable=False),
        sa.Column("told", sa.Integer(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.Column("status", sa.Enum("upcoming", "active", "suspended", "expired", "revoked", name="licensestatus", native_enum=False, length=24), nullable=False),
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.Column("suspended_by_id", sa.Integer(), nullable=True),
        sa.Column("created_at", Moment(), nullable=False),
        *owner(),
        sa.CheckConstraint("in_use >= 0 AND in_use <= ceiling", name="ck_license_use"),
        sa.CheckConstraint("quantity > 0 AND ceiling >= quantity", name="ck_license_quantity"),
        sa.CheckConstraint("valid_until > valid_from", name="ck_license_days"),
        sa.ForeignKeyConstraint(["account_id", "holding_id"], ["holding.account_id", "holding.id"]),
        sa.ForeignKeyConstraint(["article_id"], ["article.id"]),
        sa.ForeignKeyConstraint(["suspended_by_id"], ["account.id"]),
        sa.ForeignKeyConstraint(["type_id"], ["license_type.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("account_id", "id", name="uq_license_of_account"),
        sa.UniqueConstraint("public_id"),
    )
    op.create_table(
        "license_movement",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("license_id", sa.Integer(), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("kind", sa.Enum("consumed", "released", name="movementkind", native_enum=False, length=24), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("in_use", sa.Integer(), nullable=False),
        sa.Column("reference", sa.String(length=200), nullable=False),
        sa.Column("actor", sa.String(length=140), nullable=False),
        sa.Column("key", sa.String(length=120), nullable=True),
        sa.Column("answer", sa.JSON(none_as_null=True), nullable=True),
        *owner(),
        sa.CheckConstraint("quantity > 0", name="ck_license_movement_quantity"),
        sa.ForeignKeyConstraint(["account_id", "license_id"], ["license.account_id", "license.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("license_id", "key", name="uq_license_movement_key"),
    )
    op.create_index("ix_article_grant_type_id", "article_grant", ["type_id"])
    op.create_index("ix_holding_article_id", "holding", ["article_id"])
    op.create_index("ix_license_article_id", "license", ["article_id"])
    op.create_index("ix_license_ending", "license", ["status", "valid_until"])
    op.create_index("ix_license_holding_id", "license", ["holding_id"])
    op.create_index("ix_license_type_id", "license", ["type_id"])
    op.create_index("ix_license_movement_at", "license_movement", ["at"])
    op.create_index("ix_license_movement_license", "license_movement", ["license_id", "at"])
    op.create_index("ix_license_movement_reference", "license_movement", ["license_id", "reference"])
    # As SQL: on SQLite Alembic would copy the whole table for the reference.
    op.execute("ALTER TABLE account ADD COLUMN plan_id INTEGER CONSTRAINT fk_account_plan REFERENCES plan (id)")
    op.create_index("ix_account_plan_id", "account", ["plan_id"])

    for table in (*CATALOGUE, *OWNED):
        index_owner(table)
    for table in CATALOGUE:
        protect_catalogue(table)
    for table in OWNED:
        protect(table, SUBTREE)
    only_add_to("license_movement")
    only_add_to_but_follow("license_movement")


def downgrade() -> None:
    op.drop_index("ix_account_plan_id", "account")
    with op.batch_alter_table("account") as batch_op:
        batch_op.drop_column("plan_id")
    for table in (*reversed(OWNED), *reversed(CATALOGUE)):
        op.drop_table(table)

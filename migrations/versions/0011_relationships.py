"""Relationships: clients elsewhere in the tree, linked by their consent, and what partners see by it."""

import sqlalchemy as sa
from alembic import op

from app.extensions import Moment
from migrations.walls import BETWEEN, SEALED, admit, index_owner, owner, protect

# revision identifiers, used by Alembic.
revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

ENDED_BY = ("partner", "client", "date", "agreement")
BY_CONSENT = {"account": "view", "license": "licenses", "holding": "licenses", "license_movement": "licenses"}


def _path():
    return sa.String(length=240, collation="C").with_variant(sa.String(length=240), "sqlite")


def upgrade() -> None:
    op.add_column("account", sa.Column("has_links", sa.Boolean(), nullable=False, server_default=sa.false()))

    op.create_table(
        "relationship",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("client", sa.String(length=120), nullable=False),
        sa.Column("partner", sa.String(length=120), nullable=False),
        sa.Column("email", sa.String(length=320), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("linked_by", sa.String(length=140), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=True),
        sa.Column("ends_at", Moment(), nullable=True),
        sa.Column("ended_at", Moment(), nullable=True),
        sa.Column("ended_by", sa.Enum(*ENDED_BY, name="endedby", native_enum=False, length=24), nullable=True),
        sa.Column("ended_by_name", sa.String(length=140), nullable=False),
        sa.Column("told_at", Moment(), nullable=True),
        *owner(),
        sa.Column("partner_id", sa.Integer(), nullable=False),
        sa.Column("partner_path", _path(), nullable=False),
        sa.ForeignKeyConstraint(["partner_id"], ["account.id"]),
        sa.ForeignKeyConstraint(["partner_path"], ["account.path"], onupdate="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    index_owner("relationship")
    for column in ("partner_id", "partner_path"):
        op.create_index(f"ix_relationship_{column}", "relationship", [column])
    op.create_index("ix_relationship_ending", "relationship", ["ended_at", "ends_at"])
    holds = sa.text("ended_at IS NULL")
    op.create_index(
        "uq_relationship_in_force", "relationship", ["partner_id", "account_id"], unique=True,
        sqlite_where=holds, postgresql_where=holds,
    )  # fmt: skip
    protect("relationship", BETWEEN)

    op.create_table(
        "link_request",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("email", sa.String(length=320), nullable=False),
        sa.Column("client_id", sa.Integer(), nullable=True),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=True),
        sa.Column("token_id", sa.Integer(), nullable=False),
        sa.Column("asked_by_id", sa.Integer(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"]),
        sa.ForeignKeyConstraint(["asked_by_id"], ["ab_user.id"]),
        sa.ForeignKeyConstraint(["client_id"], ["account.id"]),
        sa.ForeignKeyConstraint(["token_id"], ["token.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("token_id"),
    )
    op.create_index("ix_link_request_asked", "link_request", ["account_id", "email", "created_at"])
    op.create_index("ix_link_request_created_at", "link_request", ["created_at"])
    protect("link_request", SEALED)

    for table, consent in BY_CONSENT.items():
        admit(table, consent, key="id" if table == "account" else "account_id")


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for table in BY_CONSENT:
            op.execute(f"DROP POLICY consent ON {table}")
    op.drop_table("link_request")
    op.drop_table("relationship")
    op.drop_column("account", "has_links")

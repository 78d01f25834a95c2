"""Imports of more than accounts: what the rows of a file are to become (X-3)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

KIND = ("account", "invitation", "holding")


def upgrade() -> None:
    kind = sa.Enum(*KIND, name="importkind", native_enum=False, length=24)
    op.add_column("account_import", sa.Column("kind", kind, nullable=False, server_default="account"))


def downgrade() -> None:
    op.drop_column("account_import", "kind")

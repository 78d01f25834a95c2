"""Invitations: who is asked to become a member, in which role, until when."""

import sqlalchemy as sa
from alembic import op

from app.extensions import Moment
from migrations.walls import SUBTREE, protect

# revision identifiers, used by Alembic.
revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ROLES = ("administrator", "manager", "sales", "support", "finance", "viewer")
STATUSES = ("pending", "accepted", "withdrawn", "expired")


def upgrade() -> None:
    op.create_table(
        "invitation",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("email", sa.String(length=320), nullable=False),
        sa.Column("role", sa.Enum(*ROLES, name="role", native_enum=False, length=24), nullable=False),
        sa.Column("locale", sa.String(length=5), nullable=False),
        sa.Column("status", sa.Enum(*STATUSES, name="invitationstatus", native_enum=False, length=24), nullable=False),
        sa.Column("token_id", sa.Integer(), nullable=False),
        sa.Column("inviter_id", sa.Integer(), nullable=False),
        sa.Column("inviter_account_id", sa.Integer(), nullable=False),
        sa.Column("inviter", sa.String(length=140), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("expires_at", Moment(), nullable=False),
        sa.Column("accepted_at", Moment(), nullable=True),
        sa.Column("accepted_by_id", sa.Integer(), nullable=True),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column(
            "account_path",
            sa.String(length=240, collation="C").with_variant(sa.String(length=240), "sqlite"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(["accepted_by_id"], ["ab_user.id"]),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"]),
        sa.ForeignKeyConstraint(["inviter_account_id"], ["account.id"]),
        sa.ForeignKeyConstraint(["inviter_id"], ["ab_user.id"]),
        sa.ForeignKeyConstraint(["token_id"], ["token.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("invitation", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_invitation_account_id"), ["account_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_invitation_account_path"), ["account_path"], unique=False)
        batch_op.create_index(
            "uq_invitation_pending",
            ["account_id", "email"],
            unique=True,
            sqlite_where=sa.text("status = 'pending'"),
            postgresql_where=sa.text("status = 'pending'"),
        )
        batch_op.create_index(batch_op.f("ix_invitation_token_id"), ["token_id"], unique=True)
    protect("invitation", SUBTREE)


def downgrade() -> None:
    op.drop_table("invitation")

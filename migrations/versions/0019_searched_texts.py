"""What the quick search looks through, known by its parts."""

import sqlalchemy as sa
from alembic import op

from migrations.searching import fill_searched_texts, forget_searched_texts, index_parts, keep_searched_texts
from migrations.walls import index_owner, open_the_wall, owner

# revision identifiers, used by Alembic.
revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "searched_text",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("definition_id", sa.Integer(), nullable=True),
        sa.Column("words", sa.Text(), nullable=False),
        *owner(),
        sa.PrimaryKeyConstraint("id"),
    )
    open_the_wall()
    fill_searched_texts()
    index_owner("searched_text")
    index_parts()
    keep_searched_texts()


def downgrade() -> None:
    forget_searched_texts()
    op.drop_table("searched_text")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION parts_of(text)")

"""Licenses given back: the credit of a movement, and how it came about (L-12, X-8)."""

from alembic import op

from migrations.walls import only_add_to_but_follow

# revision identifiers, used by Alembic.
revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # As SQL: on SQLite Alembic would copy the whole table for the reference.
    op.execute(
        "ALTER TABLE license_movement ADD COLUMN calculation_id INTEGER "
        "CONSTRAINT fk_license_movement_calculation REFERENCES calculation (id)"
    )
    only_add_to_but_follow("license_movement")  # the new column, too


def downgrade() -> None:
    raise NotImplementedError("what was credited is kept")

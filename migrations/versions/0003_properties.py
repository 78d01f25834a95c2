"""Properties: what partners want to know of their accounts, as columns of their own (M-8, M-9)."""

import sqlalchemy as sa
from alembic import op

from app.extensions import Moment, Number
from app.models import words_of
from migrations.walls import SUBTREE, open_the_wall, protect

# revision identifiers, used by Alembic.
revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TYPES = [
    "text", "long", "integer", "decimal", "money", "date", "flag", "choice", "choices", "url", "email", "phone",
    "member",
]  # fmt: skip
STATUSES = ["waiting", "running", "failed"]


def _path():
    return sa.String(length=240, collation="C").with_variant(sa.String(length=240), "sqlite")


def upgrade() -> None:
    op.add_column("account", sa.Column("properties", sa.JSON(), nullable=False, server_default="{}"))

    op.create_index("ix_account_live", "account", ["path", "archived_at", "id"])
    archived = sa.text("archived_at IS NOT NULL")
    op.create_index("ix_account_archived", "account", ["path", "id"], sqlite_where=archived, postgresql_where=archived)
    op.drop_index("ix_account_name_sort", "account")
    op.create_index("ix_account_name_sort", "account", ["name_sort", "id", "path", "archived_at"])
    op.add_column("account", sa.Column("words", sa.String(length=400), nullable=False, server_default=""))
    _fill_words()
    op.create_index("ix_account_words", "account", ["path", "words", "id"])

    op.create_table(
        "property",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=60), nullable=False),
        sa.Column("type", sa.Enum(*TYPES, name="propertytype", native_enum=False, length=24), nullable=False),
        sa.Column("label_en", sa.String(length=80), nullable=False),
        sa.Column("label_de", sa.String(length=80), nullable=False),
        sa.Column("label_en_key", sa.String(length=80), nullable=False),
        sa.Column("label_de_key", sa.String(length=80), nullable=False),
        sa.Column("help_en", sa.String(length=300), nullable=False),
        sa.Column("help_de", sa.String(length=300), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("choices", sa.JSON(), nullable=False),
        sa.Column("minimum", sa.String(length=40), nullable=True),
        sa.Column("maximum", sa.String(length=40), nullable=True),
        sa.Column("max_length", sa.Integer(), nullable=True),
        sa.Column("default_value", sa.JSON(), nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("required", sa.Boolean(), nullable=False),
        sa.Column("visible_to_customer", sa.Boolean(), nullable=False),
        sa.Column("as_column", sa.Boolean(), nullable=False),
        sa.Column("conversion", sa.JSON(), nullable=True),
        sa.Column("conversion_status", sa.Enum(*STATUSES, name="conversionstatus", native_enum=False, length=24)),
        sa.Column("conversion_at", Moment(), nullable=True),
        sa.Column("archived_at", Moment(), nullable=True),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("account_path", _path(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("account_id", "key", name="uq_property_key"),
        sa.UniqueConstraint("account_id", "label_en_key", name="uq_property_label_en"),
        sa.UniqueConstraint("account_id", "label_de_key", name="uq_property_label_de"),
    )
    op.create_table(
        "property_value",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("definition_id", sa.Integer(), nullable=False),
        sa.Column(
            "text", sa.String(length=200, collation="C").with_variant(sa.String(length=200), "sqlite"), nullable=True
        ),
        sa.Column("rest", sa.Text(), nullable=True),
        sa.Column("number", Number(), nullable=True),
        sa.Column("date", sa.Date(), nullable=True),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("account_path", _path(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"]),
        sa.ForeignKeyConstraint(["definition_id"], ["property.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("definition_id", "account_id", name="uq_property_value"),
    )
    op.create_index("ix_property_account_id", "property", ["account_id"])
    op.create_index("ix_property_account_path", "property", ["account_path"])
    op.create_index("ix_property_value_account_id", "property_value", ["account_id"])
    for column in ("text", "number", "date"):
        columns = ["definition_id", column, "account_id", "account_path"]
        op.create_index(f"ix_property_value_{column}", "property_value", columns)
    rest = sa.text("rest IS NOT NULL")
    op.create_index(
        "ix_property_value_rest", "property_value", ["definition_id"], sqlite_where=rest, postgresql_where=rest
    )

    for table in ("property", "property_value"):
        protect(table, SUBTREE)


def _fill_words() -> None:
    """What accounts are searched by; from now on the model keeps it."""
    open_the_wall()
    account = sa.table("account", *(sa.column(name) for name in ("id", "name", "contact", "email", "words")))
    connection = op.get_bind()
    for row in connection.execute(sa.select(account)).all():
        words = words_of(row.name, row.contact, row.email)
        connection.execute(account.update().where(account.c.id == row.id).values(words=words))


def downgrade() -> None:
    op.drop_table("property_value")
    op.drop_table("property")
    op.drop_index("ix_account_words", "account")
    op.drop_column("account", "words")
    op.drop_index("ix_account_name_sort", "account")
    op.create_index("ix_account_name_sort", "account", ["name_sort"])
    op.drop_index("ix_account_archived", "account")
    op.drop_index("ix_account_live", "account")
    op.drop_column("account", "properties")

"""Products with plans and their prices by currency and day; subscriptions, resource groups, upfront requests (L, I)."""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

from app.extensions import Moment
from migrations.walls import (
    SUBTREE,
    index_owner,
    only_add_to,
    only_add_to_but_follow,
    open_the_wall,
    owner,
    protect,
    protect_catalogue,
)

# revision identifiers, used by Alembic.
revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

CATALOGUE = ("product", "plan_price", "article_price")
OWNED = ("calculation", "subscription", "resource_group", "upfront_request")
METERS = ("users", "terminals", "disk")
IS_OPEN = sa.text("status IN ('requested', 'called', 'paid', 'sent')")


def _bilingual():
    names = [sa.Column(f"name_{language}", sa.String(length=120), nullable=False) for language in ("en", "de")]
    return [*names, sa.Column("archived_at", Moment(), nullable=True)]


def _choice(name: str, *values: str):
    return sa.Enum(*values, name=name, native_enum=False, length=24)


def upgrade() -> None:
    open_the_wall()
    _make_products()
    _extend_plans()
    _make_prices()
    _make_subscriptions()
    for table in (*CATALOGUE, *OWNED):
        index_owner(table)
    for table in CATALOGUE:
        protect_catalogue(table)
    for table in OWNED:
        protect(table, SUBTREE)
    only_add_to("calculation")
    only_add_to_but_follow("calculation")
    # As SQL: on SQLite Alembic would copy the whole table for the reference.
    op.execute(
        "ALTER TABLE license ADD COLUMN resource_group_id INTEGER "
        "CONSTRAINT fk_license_resource_group REFERENCES resource_group (id)"
    )
    op.create_index("ix_license_resource_group_id", "license", ["resource_group_id"])


def _make_products() -> None:
    """Plans that are there already are plans of one product."""
    op.create_table(
        "product",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=60), nullable=False),
        sa.Column("type", _choice("producttype", "cloud", "saas", "on-premise"), nullable=False),
        sa.Column("description_en", sa.Text(), nullable=False),
        sa.Column("description_de", sa.Text(), nullable=False),
        sa.Column("locations", sa.JSON(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        *_bilingual(),
        *owner(),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("key"),
    )
    plan = sa.table("plan", sa.column("account_id"), sa.column("account_path"))
    home = op.get_bind().execute(sa.select(plan.c.account_id, plan.c.account_path).limit(1)).first()
    if home is not None:
        columns = "key type description_en description_de locations created_at name_en name_de account_id account_path"
        values = ("service", "saas", "", "", "[]", datetime.now(UTC).replace(tzinfo=None), "Service", "Dienst", *home)
        product = sa.table("product", *(sa.column(name) for name in columns.split()))
        op.get_bind().execute(product.insert().values(dict(zip(columns.split(), values, strict=True))))


def _extend_plans() -> None:
    numbers = {**{f"included_{m}": "0" for m in METERS}, "renewal_window": "60", "trial_months": "0"}
    op.add_column("plan", sa.Column("product_id", sa.Integer(), nullable=True))
    op.execute("UPDATE plan SET product_id = (SELECT min(id) FROM product)")
    with op.batch_alter_table("plan") as plan:
        plan.alter_column("product_id", existing_type=sa.Integer(), nullable=False)
        plan.create_foreign_key("fk_plan_product", "product", ["product_id"], ["id"])
        plan.add_column(sa.Column("prepaid", sa.Boolean(), nullable=False, server_default=sa.true()))
        plan.add_column(sa.Column("postpaid", sa.Boolean(), nullable=False, server_default=sa.false()))
        for name, default in numbers.items():
            plan.add_column(sa.Column(name, sa.Integer(), nullable=False, server_default=default))
        for meter in METERS:
            plan.add_column(sa.Column(f"limit_{meter}", sa.Integer(), nullable=True))
        beyond, renewal = _choice("beyond", "refuse", "upgrade"), _choice("renewalrule", "from-end", "from-today", "later")
        plan.add_column(sa.Column("beyond", beyond, nullable=False, server_default="refuse"))
        plan.add_column(sa.Column("renewal", renewal, nullable=False, server_default="from-end"))
        plan.create_check_constraint("ck_plan_payment", "prepaid OR postpaid")
        plan.create_check_constraint("ck_plan_window", "renewal_window BETWEEN 1 AND 366")
        plan.create_check_constraint("ck_plan_trial", "trial_months BETWEEN 0 AND 12")
        for m in METERS:
            within = f"included_{m} >= 0 AND (limit_{m} IS NULL OR limit_{m} >= included_{m})"
            plan.create_check_constraint(f"ck_plan_{m}", within)
    op.create_index("ix_plan_product_id", "plan", ["product_id"])


def _make_prices() -> None:
    """Each plan's only price becomes the first of its prices; it had no day and counts from long ago."""
    amounts = [sa.Column(f"{name}_minor", sa.BigInteger(), nullable=False) for name in ("base", *METERS)]
    op.create_table(
        "plan_price",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("plan_id", sa.Integer(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        *amounts,
        sa.Column("upfront_minor", sa.BigInteger(), nullable=True),
        sa.Column("infrastructure_minor", sa.BigInteger(), nullable=True),
        *owner(),
        sa.CheckConstraint(
            "base_minor >= 0 AND users_minor >= 0 AND terminals_minor >= 0 AND disk_minor >= 0",
            name="ck_plan_price_amounts",
        ),
        sa.CheckConstraint("upfront_minor >= 0 AND infrastructure_minor >= 0", name="ck_plan_price_upfront"),
        sa.CheckConstraint("(upfront_minor IS NULL) = (infrastructure_minor IS NULL)", name="ck_plan_price_both"),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("plan_id", "currency", "valid_from", name="uq_plan_price_day"),
    )
    op.execute(
        "INSERT INTO plan_price (plan_id, currency, valid_from, base_minor, users_minor, terminals_minor, disk_minor, "
        "account_id, account_path) SELECT id, currency, '2000-01-01', price_minor, 0, 0, 0, account_id, account_path "
        "FROM plan"
    )
    with op.batch_alter_table("plan") as plan:
        plan.drop_constraint("ck_plan_price", type_="check")
        plan.drop_column("price_minor")
        plan.drop_column("currency")
    op.create_table(
        "article_price",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("article_id", sa.Integer(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("unit_minor", sa.BigInteger(), nullable=False),
        *owner(),
        sa.CheckConstraint("unit_minor >= 0", name="ck_article_price"),
        sa.ForeignKeyConstraint(["article_id"], ["article.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("article_id", "currency", "valid_from", name="uq_article_price_day"),
    )


def _make_subscriptions() -> None:
    op.create_table(
        "calculation",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("lines", sa.JSON(), nullable=False),
        *(sa.Column(f"{name}_minor", sa.BigInteger(), nullable=False) for name in ("net", "tax", "gross")),
        sa.Column("created_at", Moment(), nullable=False),
        *owner(),
        sa.PrimaryKeyConstraint("id"),
    )
    statuses = ("pending", "trial", "active", "suspended", "expired", "cancelled", "deleted")
    days = ("anchored_on", "starts_on", "ends_on", "billed_from", "trial_ends_on", "upfront_on", "cancelled_on")
    op.create_table(
        "subscription",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("public_id", sa.String(length=60), nullable=False),
        sa.Column("title", sa.String(length=120), nullable=False),
        sa.Column("title_key", sa.String(length=120), nullable=False),
        sa.Column("plan_id", sa.Integer(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("payment_mode", _choice("paymentmode", "prepaid", "postpaid"), nullable=False),
        sa.Column("location", _choice("datalocation", "eu", "us"), nullable=True),
        *(sa.Column(meter, sa.Integer(), nullable=False) for meter in METERS),
        sa.Column("status", _choice("subscriptionstatus", *statuses), nullable=False),
        *(sa.Column(name, sa.Date(), nullable=True) for name in (*days, "delete_on")),
        sa.Column("cause", _choice("suspensioncause", "trial-ended", "by-hand"), nullable=True),
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.Column("suspended_by_id", sa.Integer(), nullable=True),
        sa.Column("reminded", sa.SmallInteger(), nullable=True),
        sa.Column("previous_id", sa.Integer(), nullable=True),
        sa.Column("calculation_id", sa.Integer(), nullable=True),
        sa.Column("remark", sa.String(length=300), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("created_by", sa.String(length=140), nullable=False),
        *owner(),
        sa.CheckConstraint("users >= 0 AND terminals >= 0 AND disk >= 0", name="ck_subscription_quantities"),
        sa.CheckConstraint("ends_on > starts_on", name="ck_subscription_days"),
        sa.CheckConstraint(
            "(starts_on IS NULL) = (ends_on IS NULL) AND (starts_on IS NULL) = (anchored_on IS NULL)",
            name="ck_subscription_term",
        ),
        sa.CheckConstraint(
            "starts_on IS NOT NULL OR status IN ('pending', 'cancelled')", name="ck_subscription_started"
        ),
        sa.CheckConstraint(
            "status NOT IN ('cancelled', 'deleted') OR delete_on IS NOT NULL", name="ck_subscription_delete"
        ),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"]),
        sa.ForeignKeyConstraint(["suspended_by_id"], ["account.id"]),
        sa.ForeignKeyConstraint(["previous_id"], ["subscription.id"]),
        sa.ForeignKeyConstraint(["calculation_id"], ["calculation.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("public_id"),
        sa.UniqueConstraint("account_id", "id", name="uq_subscription_of_account"),
        sa.UniqueConstraint("account_id", "title_key", name="uq_subscription_title"),
    )
    op.create_index("ix_subscription_plan_id", "subscription", ["plan_id"])
    op.create_index("ix_subscription_previous_id", "subscription", ["previous_id"])
    op.create_index("ix_subscription_ending", "subscription", ["status", "ends_on"])
    op.create_index("ix_subscription_list", "subscription", ["account_path", "status", "id"])
    _make_parts()


def _make_parts() -> None:
    of_account = (["account_id", "subscription_id"], ["subscription.account_id", "subscription.id"])
    op.create_table(
        "resource_group",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("subscription_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("name_key", sa.String(length=120), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("archived_at", Moment(), nullable=True),
        *owner(),
        sa.ForeignKeyConstraint(*of_account),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("subscription_id", "name_key", name="uq_resource_group_name"),
    )
    op.create_table(
        "upfront_request",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("subscription_id", sa.Integer(), nullable=False),
        sa.Column(
            "status",
            _choice("upfrontstatus", "requested", "called", "paid", "sent", "active", "withdrawn"),
            nullable=False,
        ),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("calculation_id", sa.Integer(), nullable=False),
        sa.Column("remark", sa.String(length=300), nullable=False),
        sa.Column("requested_at", Moment(), nullable=False),
        sa.Column("requested_by", sa.String(length=140), nullable=False),
        sa.Column("called_at", Moment(), nullable=True),
        sa.Column("called_by", sa.String(length=140), nullable=False),
        sa.Column("call_note", sa.String(length=300), nullable=False),
        sa.Column("paid_on", sa.Date(), nullable=True),
        sa.Column("payment_reference", sa.String(length=120), nullable=False),
        sa.Column("email", sa.String(length=320), nullable=False),
        sa.Column("token_id", sa.Integer(), nullable=True),
        *(
            sa.Column(name, Moment(), nullable=True)
            for name in ("sent_at", "expires_at", "activated_at", "withdrawn_at")
        ),
        *owner(),
        sa.CheckConstraint("amount_minor >= 0", name="ck_upfront_request_amount"),
        sa.ForeignKeyConstraint(*of_account),
        sa.ForeignKeyConstraint(["calculation_id"], ["calculation.id"]),
        sa.ForeignKeyConstraint(["token_id"], ["token.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("token_id"),
    )
    op.create_index("ix_upfront_request_subscription_id", "upfront_request", ["subscription_id"])
    op.create_index(
        "uq_upfront_request_open", "upfront_request", ["subscription_id"], unique=True,
        sqlite_where=IS_OPEN, postgresql_where=IS_OPEN,
    )  # fmt: skip


def downgrade() -> None:
    raise NotImplementedError("a plan has many prices now, and one would have to be chosen")

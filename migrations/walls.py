"""What migrations say to the database besides its tables: the second wall, and that history is only added to.

PostgreSQL's row-level security repeats the wall of `app/tenancy.py` below everything Python does: without the
settings that `tenancy` makes at the start of a transaction, no row is seen and none can be written. FORCE binds
the tables' owner too; a superuser is never bound, so the application must not connect as one (docs/operations.md).
"""

import sqlalchemy as sa
from alembic import op

# The settings are compared as byte strings, as the paths are. An unset one is '' or NULL: no row is below it.
# A SELECT of its own has a setting read once for each statement, not for each row. What it says is not known while
# the way is chosen; PostgreSQL would take a two-hundredth of the rows for what it leaves. That something is not NULL
# it believes of all, and how many rows are really meant it knows from the same range, which Python asks, too.
SUBTREE = (
    "CASE WHEN {path} >= (SELECT current_setting('kontor.low', true)) COLLATE \"C\" "
    "AND {path} < (SELECT current_setting('kontor.high', true)) COLLATE \"C\" THEN true END IS NOT NULL"
)
INSIDE = (
    "{path} >= current_setting('kontor.low', true) COLLATE \"C\" "
    "AND {path} <= current_setting('kontor.inside', true) COLLATE \"C\""
)
# The catalogue stands in the root alone, whose path has one label; written by who acts there, or unscoped.
CATALOGUE = "current_setting('kontor.high', true) <> ''"
CATALOGUE_WRITTEN = (
    "strpos({path}, '/') = length({path}) "
    "AND ({path} = current_setting('kontor.low', true) OR current_setting('kontor.high', true) = '~')"
)
BETWEEN = f"({INSIDE}) OR ({INSIDE.replace('{path}', 'partner_path')})"
SEALED = "current_setting('kontor.high', true) = '~'"  # for work without a scope alone
BY_CONSENT = "{key} = ANY (string_to_array(nullif(current_setting('kontor.by.{consent}', true), ''), ',')::int[])"
OWN = "current_setting('kontor.user', true) IN ('0', user_id::text)"


def owner() -> list[sa.schema.SchemaItem]:
    """The columns that say whose a row is; the copy of the account's path follows it."""
    path = sa.String(length=240, collation="C").with_variant(sa.String(length=240), "sqlite")
    return [
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("account_path", path, nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"]),
        sa.ForeignKeyConstraint(["account_path"], ["account.path"], onupdate="CASCADE"),
    ]


def index_owner(table: str) -> None:
    for column in ("account_id", "account_path"):
        op.create_index(f"ix_{table}_{column}", table, [column])


def protect(table: str, rule: str, path: str = "account_path", write_rule: str = "") -> None:
    """Put row-level security around a table."""
    if op.get_bind().dialect.name != "postgresql":
        return
    seen, written = rule.format(path=path), (write_rule or rule).format(path=path)
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY wall ON {table} USING ({seen}) WITH CHECK ({written})")


def open_the_wall() -> None:
    """For the rest of the migration's transaction: rows of every account are seen and may be written."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute("SELECT set_config('kontor.low', '', true), set_config('kontor.high', '~', true)")


def protect_catalogue(table: str) -> None:
    """The same around a table that every account reads and the operator alone writes.

    Two policies, since one for everything would let a row that is seen be deleted.
    """
    protect(table, CATALOGUE_WRITTEN)
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"CREATE POLICY catalogue ON {table} FOR SELECT USING ({CATALOGUE})")


def admit(table: str, *consents: str, key: str = "account_id", writing: bool = False) -> None:
    """Let partners see the rows of clients that have given one of those consents, and with `writing` add and change
    them.

    A policy of its own beside `wall`, for the accounts that `tenancy` names at the start of a transaction.
    """
    if op.get_bind().dialect.name != "postgresql":
        return
    rule = _by(consents, key)
    op.execute(f"CREATE POLICY consent ON {table} FOR SELECT USING ({rule})")
    if writing:
        op.execute(f"CREATE POLICY consent_adds ON {table} FOR INSERT WITH CHECK ({rule})")
        op.execute(f"CREATE POLICY consent_changes ON {table} FOR UPDATE USING ({rule}) WITH CHECK ({rule})")


def admit_to_history() -> None:
    """Let whoever does something by a client's consent write it down in the client's history; not read there."""
    if op.get_bind().dialect.name == "postgresql":
        rule = f"NOT inside AND {_by(('view',), 'account_id')}"
        op.execute(f"CREATE POLICY consent_adds ON log_entry FOR INSERT WITH CHECK ({rule})")


def _by(consents: tuple[str, ...], key: str) -> str:
    return " OR ".join(BY_CONSENT.format(key=key, consent=consent) for consent in consents)


def only_add_to(table: str) -> None:
    """Let rows be added and read, never changed or deleted."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
            "$$BEGIN RAISE EXCEPTION '% is only added to', TG_TABLE_NAME; END$$"
        )
        op.execute(
            f"CREATE TRIGGER {table}_only_added_to BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
        return
    for deed in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER {table}_no_{deed.lower()} BEFORE {deed} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is only added to'); END"
        )


def follow(table: str) -> None:
    """Let the copies of an account's path follow the account, and refuse any that is no account's path."""
    keys = sa.inspect(op.get_bind()).get_foreign_keys(table)
    if any(key["constrained_columns"] == ["account_path"] for key in keys):
        return
    key = (f"fk_{table}_account_path", "account", ["account_path"], ["path"])
    if op.get_bind().dialect.name == "postgresql":
        op.create_foreign_key(key[0], table, *key[1:], onupdate="CASCADE")
        return
    with op.batch_alter_table(table, recreate="always") as batch:
        batch.create_foreign_key(*key, onupdate="CASCADE")


def only_add_to_but_follow(table: str) -> None:
    """`only_add_to`, but for the path: what has been written down goes with the account it is about."""
    columns = [c["name"] for c in sa.inspect(op.get_bind()).get_columns(table) if c["name"] != "account_path"]
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"DROP TRIGGER {table}_only_added_to ON {table}")
        op.execute(
            f"CREATE TRIGGER {table}_only_added_to BEFORE UPDATE OF {', '.join(columns)} OR DELETE OR TRUNCATE "
            f"ON {table} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
        return
    for name, deed in (("update", f"UPDATE OF {', '.join(columns)}"), ("delete", "DELETE")):
        op.execute(f"DROP TRIGGER IF EXISTS {table}_no_{name}")
        op.execute(
            f"CREATE TRIGGER {table}_no_{name} BEFORE {deed} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is only added to'); END"
        )

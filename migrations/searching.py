"""How the texts of the quick search are kept: `searched_text` by triggers, and the index of their parts.

A part is three letters that follow each other. Each row is known by those of its words and of the account's path, so
what belongs to one partner is found apart from the rest. On SQLite that is an FTS5 table without contents, which tells the
numbers of the rows that have them all; on PostgreSQL a GIN index of arrays, asked by `found_by_parts`.

A migration that makes `account`, `property_value` or `searched_text` anew on SQLite (`batch_alter_table` with
`recreate`) takes their triggers away, and calls `keep_searched_texts` afterwards.
"""

from alembic import op

from migrations.walls import SUBTREE, admit, protect

# Keys of choices are among the texts of values: while one type is made into another, nobody could tell them apart.
ADD_ACCOUNT = "INSERT INTO searched_text (account_id, account_path, words) VALUES (NEW.id, NEW.path, NEW.words)"
ADD_VALUE = (
    "INSERT INTO searched_text (account_id, account_path, definition_id, words) "
    "SELECT NEW.account_id, NEW.account_path, NEW.definition_id, coalesce(NEW.rest, NEW.text) "
    "WHERE NEW.text IS NOT NULL"
)
CHANGE_ACCOUNT = "UPDATE searched_text SET words = NEW.words WHERE account_id = NEW.id AND definition_id IS NULL"
DROP_ACCOUNT = "DELETE FROM searched_text WHERE account_id = OLD.id AND definition_id IS NULL"
DROP_VALUE = "DELETE FROM searched_text WHERE account_id = OLD.account_id AND definition_id = OLD.definition_id"

# table, when, what to do; in the words both databases understand.
FOLLOWING = [
    ("account", "AFTER INSERT", [ADD_ACCOUNT]),
    ("account", "AFTER UPDATE OF words", [CHANGE_ACCOUNT]),
    ("account", "BEFORE DELETE", [DROP_ACCOUNT]),
    ("property_value", "AFTER INSERT", [ADD_VALUE]),
    ("property_value", "AFTER UPDATE OF text, rest", [DROP_VALUE, ADD_VALUE]),
    ("property_value", "BEFORE DELETE", [DROP_VALUE]),
]

PUT_IN = "INSERT INTO searched_text_parts (rowid, parts) VALUES (NEW.id, NEW.words || char(10) || NEW.account_path)"
TAKE_OUT = (
    "INSERT INTO searched_text_parts (searched_text_parts, rowid, parts) "
    "VALUES ('delete', OLD.id, OLD.words || char(10) || OLD.account_path)"
)
IN_PARTS = [
    ("searched_text", "AFTER INSERT", [PUT_IN]),
    ("searched_text", "AFTER UPDATE OF words, account_path", [TAKE_OUT, PUT_IN]),
    ("searched_text", "BEFORE DELETE", [TAKE_OUT]),
]


def fill_searched_texts() -> None:
    """All that is there; with the wall open."""
    op.execute("INSERT INTO searched_text (account_id, account_path, words) SELECT id, path, words FROM account")
    op.execute(
        "INSERT INTO searched_text (account_id, account_path, definition_id, words) "
        "SELECT v.account_id, v.account_path, v.definition_id, coalesce(v.rest, v.text) FROM property_value AS v "
        "WHERE v.text IS NOT NULL"
    )


def keep_searched_texts() -> None:
    """Let the texts follow what they are the texts of."""
    triggers = FOLLOWING if op.get_bind().dialect.name == "postgresql" else FOLLOWING + IN_PARTS
    for table, when, deeds in triggers:
        _let(f"{table}_searched_{when.split()[1].lower()}", table, when, deeds)


def _let(name: str, table: str, when: str, deeds: list[str]) -> None:
    does = "; ".join(deeds)
    if op.get_bind().dialect.name == "postgresql":
        row = "OLD" if when.endswith("DELETE") else "NEW"
        op.execute(
            f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$BEGIN {does}; RETURN {row}; END$$"
        )
        op.execute(f"CREATE TRIGGER {name} {when} ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()")
        return
    op.execute(f"DROP TRIGGER IF EXISTS {name}")
    op.execute(f"CREATE TRIGGER {name} {when} ON {table} BEGIN {does}; END")


def index_parts() -> None:
    if op.get_bind().dialect.name == "postgresql":
        _index_on_postgresql()
        return
    op.execute(
        "CREATE VIRTUAL TABLE searched_text_parts USING fts5"
        "(parts, content = '', tokenize = 'trigram case_sensitive 1', detail = none)"
    )
    op.execute(
        "INSERT INTO searched_text_parts (rowid, parts) SELECT id, words || char(10) || account_path FROM searched_text"
    )


def _index_on_postgresql() -> None:
    """What is asked of an index must be leakproof to be asked below row-level security, and of arrays nothing is. So
    the question stands in a policy of its own. Being restrictive, it takes rows away from those the wall lets through,
    and never adds one; while nobody asks, it takes none.
    """
    op.execute(
        "CREATE FUNCTION parts_of(words text) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 10000 AS "
        "$$SELECT ARRAY(SELECT substr(words, n, 3) FROM generate_series(1, length(words) - 2) AS n)$$"
    )
    parts = "parts_of(words || chr(10) || account_path)"
    op.execute(f"CREATE INDEX ix_searched_text_parts ON searched_text USING gin ({parts})")
    protect("searched_text", SUBTREE)
    admit("searched_text", "view")
    op.execute(
        f"CREATE POLICY sought ON searched_text AS RESTRICTIVE FOR SELECT USING ({parts} "
        "@> coalesce(nullif(current_setting('kontor.sought', true), ''), '{}')::text[])"
    )
    op.execute(
        "CREATE FUNCTION found_by_parts(parts text[], sought text, definitions integer[], most integer) "
        "RETURNS TABLE (key integer) LANGUAGE plpgsql AS $$BEGIN "
        "PERFORM set_config('kontor.sought', parts::text, true); "
        "RETURN QUERY SELECT t.account_id FROM searched_text AS t WHERE strpos(t.words, sought) > 0 "
        "AND (t.definition_id IS NULL OR t.definition_id = ANY (definitions)) LIMIT most; "
        "PERFORM set_config('kontor.sought', '', true); "
        "END$$"
    )


def forget_searched_texts() -> None:
    """Take the triggers and the index away; the table is the caller's."""
    for table, when, _deeds in FOLLOWING:
        name = f"{table}_searched_{when.split()[1].lower()}"
        if op.get_bind().dialect.name == "postgresql":
            op.execute(f"DROP FUNCTION {name}() CASCADE")
        else:
            op.execute(f"DROP TRIGGER {name}")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION found_by_parts(text[], text, integer[], integer)")
    else:
        op.execute("DROP TABLE searched_text_parts")


def is_in_models(name: str | None, _type: str, _parents: object) -> bool:
    """Whether something of the database has its word in the models; the index of parts is told here alone."""
    return not (name or "").removeprefix("ix_").startswith("searched_text_parts")

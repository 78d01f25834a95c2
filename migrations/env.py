"""Runs the migrations on the application's own database, on FAB's metadata, which ours is part of."""

from alembic import context

from app.extensions import db
from migrations.searching import is_in_models


def run() -> None:
    """Every migration in one transaction; SQLite by copying tables, as it cannot alter them.

    While a table is away, what refers to it may: SQLite looks at the foreign keys again at the end.
    """
    engine = db.engine
    with engine.connect() as connection:
        on_sqlite = engine.dialect.name == "sqlite"
        if on_sqlite:
            connection.connection.driver_connection.execute("PRAGMA foreign_keys=OFF")
        context.configure(
            connection=connection,
            target_metadata=db.metadatas[None],
            render_as_batch=on_sqlite,
            include_name=is_in_models,
        )
        with context.begin_transaction():
            context.run_migrations()
            if on_sqlite and connection.exec_driver_sql("PRAGMA foreign_key_check").first():
                raise RuntimeError("rows that refer to what is not there; nothing was changed")
        connection.commit()
        if on_sqlite:
            connection.connection.driver_connection.execute("PRAGMA foreign_keys=ON")


run()

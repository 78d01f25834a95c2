"""Runs the migrations on the application's own database, on FAB's metadata, which ours is part of."""

from alembic import context

from app.extensions import db


def run() -> None:
    """Every migration in one transaction; SQLite by copying tables, as it cannot alter them."""
    engine = db.engine
    with engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=db.metadatas[None],
            render_as_batch=engine.dialect.name == "sqlite",
        )
        with context.begin_transaction():
            context.run_migrations()
        connection.commit()


run()

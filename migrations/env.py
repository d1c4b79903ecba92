"""Alembic's entry: `ringback.postgres.migrate` passes a connection, so that no file is read."""

from __future__ import annotations

from alembic import context

from ringback.tables import metadata


def run() -> None:
    connection = context.config.attributes["connection"]
    context.configure(connection=connection, target_metadata=metadata)
    with context.begin_transaction():
        context.run_migrations()


run()

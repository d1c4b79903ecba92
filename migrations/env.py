"""Alembic's entry: `ringback.migrating` hands over a connection, and nothing is read from a file."""

from __future__ import annotations

from alembic import context
from sqlalchemy import text

from ringback.tables import metadata

# Two processes that migrate at once take turns. The connection holds it, as a migration may commit more than once.
ADVISORY_LOCK = 0x72696E67


def run() -> None:
    connection = context.config.attributes["connection"]
    context.configure(connection=connection, target_metadata=metadata)
    with context.begin_transaction():
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": ADVISORY_LOCK})
        context.run_migrations()


run()

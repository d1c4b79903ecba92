"""Alembic's entry: `ringback.migrating` hands over a connection, and nothing is read from a file."""

from __future__ import annotations

from alembic import context

from ringback.revising import wait_for_turn
from ringback.tables import metadata

# The connection holds it, as a migration commits after each step.
ADVISORY_LOCK = 0x72696E67


def run() -> None:
    connection = context.config.attributes["connection"]
    context.configure(connection=connection, target_metadata=metadata)
    with context.begin_transaction():
        wait_for_turn(connection.connection.driver_connection, ADVISORY_LOCK)
        context.run_migrations()


run()

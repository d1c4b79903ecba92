"""Rows by the hundred thousand: loaded fast, for tests of what they cost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, text

BESIDE_THE_ROWS = """
SELECT format('ALTER TABLE jobs DROP CONSTRAINT %I', conname) AS dropped,
       format('ALTER TABLE jobs ADD CONSTRAINT %I %s', conname, pg_get_constraintdef(oid)) AS made
FROM pg_constraint WHERE conrelid = 'jobs'::regclass AND contype = 'f'
UNION ALL
SELECT format('DROP INDEX %s', indexrelid::regclass), pg_get_indexdef(indexrelid)
FROM pg_index WHERE indrelid IN ('jobs'::regclass, 'sessions'::regclass) AND NOT indisunique
"""


@contextmanager
def without_events(connection: Connection) -> Iterator[None]:
    """Load rows without durability, and without the triggers that write events. Commits at its end."""
    connection.execute(text("SET synchronous_commit = off"))
    connection.execute(text("ALTER TABLE jobs DISABLE TRIGGER USER"))
    yield
    connection.execute(text("ALTER TABLE jobs ENABLE TRIGGER USER"))
    connection.commit()


@contextmanager
def indexed_afterwards(connection: Connection) -> Iterator[None]:
    """Make indexes and foreign keys when the rows are there, in a third of the CPU."""
    beside = connection.execute(text(BESIDE_THE_ROWS)).all()
    for each in beside:
        connection.exec_driver_sql(each.dropped)
    yield
    for each in beside:
        connection.exec_driver_sql(each.made)

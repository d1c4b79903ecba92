"""Steps of a revision on tables that are in use, while processes renew leases and run calls.

A process that cannot renew its lease for two seconds stops itself. So no revision may wait for a lock with others
behind it, or hold one for as long as a large table takes. Each step here is a transaction of its own, about one table:

    change       a change that is instant once the lock is held; it asks for the lock briefly, again and again
    build_index  without a lock that a writer would notice; it first drops what a failed attempt left
    drop_index   the same
    add_check    for new rows at once, then it reads the old ones without blocking writers; add_checks: several
    add_owner    the same, for a foreign key
    forbid_null  the same, for a column
    write_rows   rows, a bounded number in each transaction
    run          changes to no table: functions, roles

A revision may be stopped between two steps, and is run again from its first one: each step must bear being repeated
(`IF NOT EXISTS`, `OR REPLACE`, `IF EXISTS`). docs/how-to/change-the-schema.md has an example.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from time import monotonic, sleep
from typing import cast

import psycopg
from alembic import op
from psycopg import errors

from ringback.errors import ConfigurationError

LOCK_MS = 300
"""How long a step waits for its table. Other statements wait behind it: a renewal may take a second."""
PAUSE_SECONDS = 1.0
"""Pause until the next attempt: the statements that queued up behind the last one are done by then."""
PATIENCE_SECONDS = 1_800.0
"""If a table is in use for so long, its holder will not end by itself."""
TELL_SECONDS = 10.0
"""Interval of log lines that say what the migration waits for."""

IN_THE_WAY = (errors.LockNotAvailable, errors.DeadlockDetected)

HOLDERS = """
SELECT string_agg(format('%s (%s)', activity.pid, coalesce(nullif(application_name, ''), usename)), ', ')
FROM pg_locks JOIN pg_stat_activity AS activity USING (pid)
WHERE relation = to_regclass(%s) AND granted AND pid <> pg_backend_pid()
"""

HAS_COLUMN = "SELECT 1 FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attname = %s AND NOT attisdropped"

log = logging.getLogger(__name__)


def change(table: str, *statements: str) -> None:
    """Change one table, or create it, in one transaction. It locks no other table for longer than an instant.

    Raises:
        ConfigurationError: the table was in use for `PATIENCE_SECONDS` without a gap.
    """

    def attempt() -> None:
        with connection.transaction():
            connection.execute(f"SET LOCAL lock_timeout = {LOCK_MS}")
            for statement in statements:
                _execute(statement)

    connection = _connection()
    _until_free(table, attempt)


def build_index(name: str, on: str, *, unique: bool = False) -> None:
    """Build an index that does not exist yet.

    Args:
        on: the text behind ON: `jobs (queue) WHERE state = 'pending'`.
    """
    kind = "UNIQUE INDEX" if unique else "INDEX"

    def attempt() -> None:
        if _is_valid(name) is False:  # of a stopped attempt: Postgres keeps it up to date, and never uses it
            _execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        if _is_valid(name) is None:
            _execute(f"CREATE {kind} CONCURRENTLY {name} ON {on}")

    _until_free(on.partition(" ")[0], attempt)


def drop_index(*names: str) -> None:
    """Drop each index that exists."""
    for name in names:
        _until_free(name, lambda name=name: _execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}"))  # type: ignore[misc]


def add_check(table: str, name: str, condition: str) -> None:
    """Add a CHECK for every row."""
    add_checks(table, {name: condition})


def add_checks(table: str, conditions: Mapping[str, str]) -> None:
    """Add CHECKs by their names. The old rows are read once for all of them."""
    _add_constraints(table, {name: f"CHECK ({condition})" for name, condition in conditions.items()})


def add_owner(table: str, column: str, owner: str) -> None:
    """Add a foreign key: each row is deleted with the row of `owner` whose id it has."""
    key = f"FOREIGN KEY ({column}) REFERENCES {owner} (id) ON DELETE CASCADE"
    _add_constraints(table, {f"fk_{table}_{column}": key})


def forbid_null(table: str, column: str) -> None:
    """Forbid NULL in a column. Postgres does not read the table if a CHECK already says so."""
    name = f"ck_{table}_{column}_is_there"
    add_check(table, name, f"{column} IS NOT NULL")
    change(table, f"ALTER TABLE {table} ALTER COLUMN {column} SET NOT NULL, DROP CONSTRAINT {name}")


def write_rows(statement: str, *, needs: tuple[str, str] | None = None) -> None:
    """Run a statement that changes rows, each time in a transaction of its own, until it finds none to change.

    Args:
        needs: a table and its column that a later step of this revision drops: if it is gone, the work is done.
    """
    if needs and not _connection().execute(HAS_COLUMN, needs).fetchone():
        return
    while _execute(statement).rowcount > 0:
        pass


def run(statement: str) -> None:
    """Run a statement that changes no table."""
    _execute(statement)


def current_user() -> str:
    """Return the database user that migrates."""
    found = _connection().execute("SELECT current_user").fetchone()
    return str(found[0]) if found else ""


def _add_constraints(table: str, rules: Mapping[str, str]) -> None:
    drop = ", ".join(f"DROP CONSTRAINT IF EXISTS {name}" for name in rules)
    add = ", ".join(f"ADD CONSTRAINT {name} {rule} NOT VALID" for name, rule in rules.items())
    change(table, f"ALTER TABLE {table} {drop}", f"ALTER TABLE {table} {add}")
    validate = ", ".join(f"VALIDATE CONSTRAINT {name}" for name in rules)
    _until_free(table, lambda: _execute(f"ALTER TABLE {table} {validate}"))


def _until_free(table: str, attempt: Callable[[], object]) -> None:
    began = told = monotonic()
    while True:
        try:
            attempt()
        except IN_THE_WAY as problem:
            now = monotonic()
            if now - began > PATIENCE_SECONDS:
                raise ConfigurationError(
                    f"table {table} has been in use for half an hour, by {_holders(table)}: end that, and migrate again"
                ) from problem
            if now - told > TELL_SECONDS:
                told = now
                log.warning("the migration waits for table %s, which is in use by %s", table, _holders(table))
            sleep(PAUSE_SECONDS)
        else:
            return


def _holders(table: str) -> str:
    found = _connection().execute(HOLDERS, (table,)).fetchone()
    return str(found[0] if found and found[0] else "several transactions in turn")


def _is_valid(index: str) -> bool | None:
    """Return whether the index is valid; None if it does not exist."""
    valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)"
    found = _connection().execute(valid, (index,)).fetchone()
    return None if found is None else bool(found[0])


def _execute(statement: str) -> psycopg.Cursor[object]:
    return _connection().execute(statement.encode())


def _connection() -> psycopg.Connection[tuple[object, ...]]:
    """Return the driver's connection, in autocommit: each step says itself what is one transaction."""
    return cast("psycopg.Connection[tuple[object, ...]]", op.get_bind().connection.driver_connection)

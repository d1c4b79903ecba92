"""One database for one test after another: emptied in milliseconds, where a copy takes a sixth of a second of CPU.

Each test is given what it would be given in a copy: migrated tables without a row, sequences at their beginning, no
statistics, and no connection of the test before. Where a test has left anything else behind, such as a column or a
setting, the database is dropped, and the next test has a new copy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from tests.servers import in_dialect, own_database

ROOM_BYTES = 1_024 * 1_024
"""How much all tables together may grow: what was deleted stays in their files, and costs each look at them.

One call with its session takes 230 KiB of an empty database, and to truncate all tables takes forty milliseconds.
"""
PATIENCE_MS = 20_000
CATALOGUES: dict[LiteralString, LiteralString] = {
    "pg_attribute": "attrelid",
    **dict.fromkeys(("pg_attrdef", "pg_class", "pg_constraint", "pg_default_acl", "pg_event_trigger"), "oid"),
    **dict.fromkeys(("pg_extension", "pg_policy", "pg_proc", "pg_rewrite", "pg_trigger", "pg_type"), "oid"),
    "pg_index": "indexrelid",
    "pg_namespace": "16384 + oid::bigint",
}
"""Where each definition has a row, which is written anew when the definition changes; and what is high for ours."""
OTHERS = """
SELECT pg_terminate_backend(pid, %s) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""
DEFINED = sql.SQL(" UNION ALL ").join(
    sql.SQL("SELECT count(*), max(xmin::text::bigint) FROM {} WHERE {} >= 16384").format(
        sql.Identifier(name), sql.SQL(key)
    )
    for name, key in CATALOGUES.items()
)
LEFT = """
SELECT (SELECT array_agg(version_num) FROM alembic_version),
       (SELECT count(*) FROM pg_statistic WHERE starelid >= 16384),
       (SELECT count(*) FROM pg_db_role_setting AS s, pg_database AS d
        WHERE d.oid = s.setdatabase AND d.datname = current_database()),
       (SELECT count(*) FROM pg_prepared_xacts WHERE database = current_database())
"""
"""What no definition tells: revision, statistics, settings, transactions that wait."""
MAY_EMPTY = "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"
TABLES = """
SELECT relname, pg_total_relation_size(oid) FROM pg_class
WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'alembic_version'
"""


class Emptied:
    """A copy of a migrated database, lent to one test at a time.

    The connection stays while a test has it: a new one would spend twenty milliseconds on learning of the tables.
    """

    def __init__(self, server_url: str, template: str) -> None:
        self._server_url, self._template = server_url, template
        self._copy = ExitStack()
        self._connection: psycopg.Connection[Any] | None = None
        self._url: str | None = None
        self._state: Any = None
        self._bytes = 0

    @contextmanager
    def lent(self) -> Iterator[str]:
        """Its URL. The test may do with it what it likes."""
        if self._url is None:
            self._url = self._copy.enter_context(own_database(self._server_url, "ringback_test", self._template))
            connection = self._connected()
            self._state, self._bytes = state(connection), sum(sizes(connection).values())
        try:
            yield self._url
        finally:
            if not self._is_as_new_again():
                self.drop()

    def drop(self) -> None:
        if self._connection:
            self._connection.close()
        self._connection = self._url = None
        self._copy.close()

    def _is_as_new_again(self) -> bool:
        try:
            connection = self._connected()
            connection.execute(OTHERS, (PATIENCE_MS,))
            if state(connection) != self._state:
                return False
            tables = sizes(connection)
            if sum(tables.values()) <= self._bytes + ROOM_BYTES:
                delete_all(connection, tables)
            else:
                truncate_all(connection, tables)
                self._state = state(connection)
            return True
        except psycopg.Error:  # it has another name, or it has no tables
            return False

    def _connected(self) -> psycopg.Connection[Any]:
        """The same as before, unless the test has cut it off."""
        assert self._url
        if self._connection:
            with suppress(psycopg.OperationalError):
                self._connection.execute("SELECT")
                return self._connection
            self._connection.close()
        self._connection = psycopg.connect(in_dialect(self._url, "postgresql"), autocommit=True)
        return self._connection


def state(connection: psycopg.Connection[Any]) -> Any:
    """What must be as it was, rows and sequences apart. Of one who may not see and empty all it is never the same."""
    if connection.execute(MAY_EMPTY).fetchone() != (True,):
        return object()
    return connection.execute(LEFT).fetchone(), connection.execute(DEFINED).fetchall()


def sizes(connection: psycopg.Connection[Any]) -> dict[str, int]:
    """Of each table of ours, in bytes with its indexes."""
    return dict(connection.execute(TABLES).fetchall())


def delete_all(connection: psycopg.Connection[Any], tables: Iterable[str]) -> None:
    deletes = [sql.SQL("DELETE FROM {}").format(sql.Identifier(name)) for name in tables]
    connection.execute("SET session_replication_role = replica")  # neither triggers nor the order of the tables matter
    connection.execute(sql.SQL("; ").join(deletes))
    connection.execute("SELECT setval(seqrelid, seqstart, false) FROM pg_sequence")


def truncate_all(connection: psycopg.Connection[Any], tables: Iterable[str]) -> None:
    """Into new files: twenty times as slow, and nothing stays."""
    names = sql.SQL(", ").join(sql.Identifier(name) for name in tables)
    connection.execute(sql.SQL("TRUNCATE {} RESTART IDENTITY").format(names))

"""Checks of Postgres: reached, its version, encoding, schema, pooler, TLS, clock, rights and connections."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import psycopg

from cli.checks.check import Check, fail, ok, warn
from ringback.errors import first_line
from ringback.postgres.connections import ENCODING, UTF8, Connection, connect, execute, is_pooled
from ringback.postgres.statement import Bound
from ringback.statements.identity.tenant_isolation import ROLE

CONNECT_SECONDS = 5
OLDEST = 150_000
"""PostgreSQL 15, as `server_version_num` has it."""
SKEW_WARN_SECONDS = 2.0
"""Logs and tokens of this machine would tell another time than the rows."""
SKEW_FAIL_SECONDS = 60.0
"""An identity provider's tokens would be refused, or taken too long."""
FULL_SHARE = 0.8
"""Share of the server's connections beyond which the next process may find none."""

VERSION = b"SELECT current_setting('server_version_num')::int AS number, current_setting('server_version') AS name"
CLOCK = b"SELECT extract(epoch FROM clock_timestamp())::float8 AS moment"
TABLES = b"SELECT to_regclass('alembic_version') IS NOT NULL AS has_tables"
REVISION = b"SELECT version_num FROM alembic_version"
RIGHTS = b"""
SELECT (SELECT pg_has_role(current_user, oid, 'MEMBER') FROM pg_roles WHERE rolname = 'ringback_tenant') AS is_member,
       row_security_active('sessions') AS is_walled,
       has_table_privilege('jobs', 'SELECT') AND has_table_privilege('jobs', 'INSERT')
       AND has_table_privilege('jobs', 'UPDATE') AND has_table_privilege('jobs', 'DELETE') AS may_write
"""
CONNECTIONS = b"SELECT count(*)::int AS used, current_setting('max_connections')::int AS most FROM pg_stat_activity"

Read = Callable[[bytes], Sequence[Any]]
"""Runs a statement, and returns its rows."""


def check(url: str) -> Iterator[Check]:
    """Yield the lines of the database at this URL."""
    try:
        connection = connect(url, "ringback-doctor", CONNECT_SECONDS)
    except psycopg.Error as problem:
        said = first_line(problem) or type(problem).__name__
        yield fail("postgres", f"not reached: {said}", "start it, or correct DATABASE_URL")
        return
    with connection:

        def read(statement: bytes) -> Sequence[Any]:
            return execute(connection, Bound(statement, [], is_kept=False)).rows

        yield from _server(read)
        yield from schema(read, newest_revision())
        yield _tls(connection)
        yield _pooler(connection)
        yield clock(read)
        yield _connections(read)


def _server(read: Read) -> Iterator[Check]:
    ((number, name),) = read(VERSION)
    if number < OLDEST:
        yield fail("postgres", f"PostgreSQL {name}", "upgrade it to PostgreSQL 15 or newer")
    else:
        yield ok("postgres", f"PostgreSQL {name}")
    ((encoding,),) = read(ENCODING)
    if encoding == UTF8:
        yield ok("encoding", encoding)
    else:
        do = "make a database with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"
        yield fail("encoding", f"{encoding}: a call with an emoji would be lost", do)


def newest_revision() -> str:
    """Return the newest revision that this program has."""
    from alembic.script import ScriptDirectory

    from ringback.postgres.migrate import migrations_folder

    return str(ScriptDirectory(str(migrations_folder())).get_current_head())


def schema(read: Read, newest: str) -> Iterator[Check]:
    """Yield the lines of the schema, and of this user's rights to it."""
    ((has_tables,),) = read(TABLES)
    found = read(REVISION) if has_tables else []
    if not found:
        yield fail("schema", "no tables of ringback's", "run `ringback migrate`")
        return
    revision = str(found[0][0])
    if revision < newest:
        yield fail("schema", f"revision {revision}; this program needs {newest}", "run `ringback migrate`")
        return
    if revision > newest:
        yield warn("schema", f"revision {revision}, newer than this program's {newest}", "upgrade this program")
    else:
        yield ok("schema", f"revision {revision}")
    yield _rights(read)


def _rights(read: Read) -> Check:
    ((is_member, is_walled, may_write),) = read(RIGHTS)
    if not may_write:
        return fail("rights", "this user may not write to the tables", "connect as the user who ran `ringback migrate`")
    if is_walled:
        do = "connect as their owner, or have an administrator run `ALTER ROLE … BYPASSRLS` for this user"
        return fail("rights", "this user does not own the tables, and would not see their rows", do)
    if not is_member:
        return fail("rights", f"this user may not take on the role {ROLE}", f"have an administrator GRANT {ROLE} TO it")
    return ok("rights", f"owns the tables, and may take on {ROLE}")


def _tls(connection: Connection) -> Check:
    info = connection.info
    if info.pgconn.ssl_in_use:
        return ok("postgres TLS", "on")
    host = info.host or ""
    if host.startswith("/") or host in {"", "localhost", "127.0.0.1", "::1"}:
        return ok("postgres TLS", "off, on this machine")
    return warn("postgres TLS", f"off, to {host}", "add ?sslmode=verify-full to DATABASE_URL, if the network is shared")


def _pooler(connection: Connection) -> Check:
    if is_pooled(connection):
        return ok("pooler", "one stands in between: statements are not prepared, which costs about a millisecond each")
    return ok("pooler", "none: statements are prepared")


def clock(read: Read, now: Callable[[], float] = time.time) -> Check:
    """Return how far this machine's clock is from the database's."""
    before = now()
    ((theirs,),) = read(CLOCK)
    after = now()
    skew = max(before - theirs, theirs - after, 0.0)
    says = f"{skew:.1f} s from the database's" if skew else "as the database's"
    do = "run an NTP client on both machines: the rows have the database's time, logs and tokens this one's"
    if skew > SKEW_FAIL_SECONDS:
        return fail("clock", says, do)
    return warn("clock", says, do) if skew > SKEW_WARN_SECONDS else ok("clock", says)


def _connections(read: Read) -> Check:
    ((used, most),) = read(CONNECTIONS)
    says = f"{used} of {most} in use"
    if used > FULL_SHARE * most:
        return warn("connections", says, "raise max_connections, or put a pooler in between")
    return ok("connections", says)

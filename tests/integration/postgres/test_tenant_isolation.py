"""Two barriers between tenants: each statement names its tenant, and Postgres also hides the rows of all others."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import Column, Executable, Row, Table, insert, select, text, update
from sqlalchemy.engine import make_url
from sqlalchemy.sql.visitors import iterate

from gateway.storage import database as store
from gateway.storage.database import Store, open_pool, prove_wall
from ringback.config.settings import postgres_url
from ringback.errors import ConfigurationError
from ringback.history.pagination import IdRange, JobQuery, SessionQuery
from ringback.postgres import migrate
from ringback.statements import history, usage
from ringback.statements.identity import tenant_isolation
from ringback.tables import items, job_events, jobs, metadata, recordings, responses, sessions, usage_days
from ringback.usage.report import UsageQuery
from tests.integration.statements.statement_rows import connected
from tests.integration.statements.test_history import Line, line_on
from tests.proxy import Proxy, before_postgres
from tests.servers import in_dialect, own_database

READ = (sessions, jobs, job_events, items, responses, usage_days, recordings)
"""Tables that the API reads on a caller's behalf."""
SECRETS = (
    *("token", "hash", "resume_hash", "item_secret", "sealed_arguments", "sealed_result", "claims"),
    *("client_session", "client_session_in_order", "failure"),
)


@pytest.fixture
def line(database: str) -> Iterator[Line]:
    with line_on(database) as line:
        yield line


@pytest.fixture
def both(line: Line) -> tuple[UUID, UUID]:
    """Insert a session with all kinds of rows, of the tenant "default" and of "other"."""
    mine, theirs = line.open(), line.foreign_job()[0]
    line.ask(mine)
    for session, tenant in ((mine, "default"), (theirs, "other")):
        used = {"response_id": "r", "user_id": "u", "agent": "demo", "model": "m", "epoch": 1, "status": "completed"}
        counted = {"input_tokens": 1, "output_tokens": 1, "tokens": {}}
        line.run(insert(responses).values(session_id=session, tenant=tenant, **used, **counted))
        said = {"position": 1, "item_id": "i", "role": "user", "content": [], "epoch": 1}
        line.run(insert(items).values(session_id=session, tenant=tenant, **said))
        heard = {"from_ms": 0, "voice": "caller", "epoch": 1, "ms": 20, "codec": "pcm", "rate": 24_000}
        line.run(insert(recordings).values(session_id=session, tenant=tenant, audio=b"", loudness=b"", **heard))
    return mine, theirs


def behind(database: str, tenant: str, statement: Executable) -> Sequence[Row[Any]]:
    """Return the rows that the gateway gets for this tenant."""

    async def run() -> Sequence[Row[Any]]:
        store = Store(open_pool(postgres_url(database), 1))
        try:
            return await store.rows_of(tenant, statement)
        finally:
            await store.close()

    return asyncio.run(run())


def readable(table: Table) -> list[Column[Any]]:
    return [column for column in table.c if column.name not in (*SECRETS, "credential", "resume_seconds")]


@pytest.mark.parametrize("table", READ, ids=lambda table: table.name)
def test_a_statement_that_names_no_tenant_sees_one_all_the_same(
    table: Table, database: str, line: Line, both: tuple[UUID, UUID]
) -> None:
    everything = select(*readable(table))
    assert {row.tenant for row in line.run(everything)} == {"default", "other"}
    assert {row.tenant for row in behind(database, "other", everything)} == {"other"}
    assert {row.tenant for row in behind(database, "default", everything)} == {"default"}
    assert behind(database, "nobody", everything) == []


def test_a_statement_of_the_history_that_names_the_wrong_tenant_sees_nothing(
    database: str, both: tuple[UUID, UUID]
) -> None:
    asked = {
        "jobs": history.page_of_jobs("other", JobQuery()),
        "sessions": history.page_of_sessions("other", SessionQuery()),
        "session": history.sessions_with_counts("other", IdRange.only(both[1])),
    }
    assert all(behind(database, "other", statement) for statement in asked.values())
    assert not any(behind(database, "default", statement) for statement in asked.values())


@pytest.mark.parametrize("column", [column for table in READ for column in table.c if column.name in SECRETS], ids=str)
def test_what_is_secret_or_sealed_can_not_be_read_there(column: Column[Any], database: str) -> None:
    with pytest.raises(psycopg.ProgrammingError, match="permission denied"):
        behind(database, "default", select(column))


@pytest.mark.parametrize("name", ["api_keys", "client_secrets"])
def test_no_hash_of_a_credential_can_be_read_there(name: str, database: str) -> None:
    with pytest.raises(psycopg.ProgrammingError, match="permission denied"):
        behind(database, "default", select(metadata.tables[name].c.hash))


def test_nothing_can_be_written_there(database: str, both: tuple[UUID, UUID]) -> None:
    with pytest.raises(psycopg.ProgrammingError, match="permission denied"):
        behind(database, "default", update(sessions).values(end_wanted="revoked").returning(sessions.c.id))


def test_the_wall_is_gone_with_the_transaction(database: str, both: tuple[UUID, UUID]) -> None:
    async def run() -> tuple[int, int]:
        store = Store(open_pool(postgres_url(database), 1))
        walled = await store.rows_of("other", select(sessions.c.id))
        free = await store.rows(select(sessions.c.id, sessions.c.resume_hash))
        await store.close()
        return len(walled), len(free)

    assert asyncio.run(run()) == (1, 2)


def test_a_statement_that_fails_behind_the_wall_leaves_it_and_its_connection_is_used_again(
    database: str, both: tuple[UUID, UUID]
) -> None:
    process = text("SELECT pg_backend_pid() AS pid, current_user::text AS who")

    async def run() -> tuple[list[Any], list[Any]]:
        store = Store(open_pool(postgres_url(database), 1))
        before = await store.rows(process)
        with pytest.raises(psycopg.DataError, match="division by zero"):
            await store.rows_of("other", text("SELECT 1 / 0"))
        after = await store.rows(process)
        await store.close()
        return before, after

    before, after = asyncio.run(run())
    assert before == after


def test_without_a_tenant_there_is_nothing_to_see(database: str, both: tuple[UUID, UUID]) -> None:
    assert behind(database, "", select(sessions.c.id)) == []
    with connected(database) as connection:
        connection.execute(text(f"SET ROLE {tenant_isolation.ROLE}"))
        assert connection.execute(select(sessions.c.id)).all() == []


@pytest.mark.parametrize("table", metadata.sorted_tables, ids=lambda table: table.name)
def test_every_table_has_the_wall(table: Table, database: str) -> None:
    with connected(database) as connection:
        walled = text("SELECT relrowsecurity FROM pg_class WHERE oid = to_regclass(:name)")
        assert connection.execute(walled, {"name": table.name}).scalar_one()
        policies = text("SELECT roles::text, qual FROM pg_policies WHERE tablename = :name")
        ((roles, rule),) = connection.execute(policies, {"name": table.name}).all()
    assert roles == f"{{{tenant_isolation.ROLE}}}"
    assert rule == f"(tenant = current_setting('{tenant_isolation.SETTING}'::text, true))"


# — who may build it —


@contextmanager
def plain_user(database: str) -> Iterator[tuple[str, psycopg.Connection]]:
    """Yield the database's URL for a user without rights, and a connection of the administrator."""
    name, password = f"plain_{secrets.token_hex(4)}", secrets.token_hex(8)
    user, tenant = sql.Identifier(name), sql.Identifier(tenant_isolation.ROLE)
    with psycopg.connect(in_dialect(database, "postgresql"), autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(user, sql.Literal(password)))
        try:
            url = make_url(database).set(username=name, password=password)
            yield url.render_as_string(hide_password=False), admin
        finally:
            admin.execute(sql.SQL("REASSIGN OWNED BY {} TO CURRENT_USER").format(user))
            admin.execute(sql.SQL("DROP OWNED BY {}").format(user))
            admin.execute(sql.SQL("REVOKE {} FROM {}").format(tenant, user))
            admin.execute(sql.SQL("DROP ROLE {}").format(user))


@pytest.fixture
def owner(database_url: str, migrated_template: str) -> Iterator[tuple[str, psycopg.Connection]]:
    """Yield a plain user's own empty database, on a server where another user's has created the role."""
    with own_database(database_url, "ringback_plain") as url, plain_user(url) as (own, admin):
        user, name = (sql.Identifier(str(part)) for part in (make_url(own).username, make_url(own).database))
        admin.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(name, user))
        yield own, admin


def allow(admin: psycopg.Connection, url: str, right: str) -> None:
    admin.execute(sql.SQL(right).format(user=sql.Identifier(str(make_url(url).username))))


def prove(url: str) -> None:
    asyncio.run(prove_wall(url))


def test_who_may_not_take_the_role_on_is_told_what_an_administrator_must_run(
    owner: tuple[str, psycopg.Connection],
) -> None:
    url, admin = owner
    role, user = tenant_isolation.ROLE, make_url(url).username
    told = rf'CREATE ROLE {role} NOLOGIN; GRANT {role} TO "{user}"; and migrate again'
    with pytest.raises(ConfigurationError, match=told):
        migrate.upgrade(url)
    allow(admin, url, f"GRANT {tenant_isolation.ROLE} TO {{user}}")
    migrate.upgrade(url)
    prove(url)


def test_a_gateway_whose_user_may_not_go_behind_the_wall_says_so_at_its_start(database: str) -> None:
    with plain_user(database) as (url, _), pytest.raises(ConfigurationError, match="may not take on the role"):
        prove(url)


def test_a_gateway_whose_database_has_no_tables_says_so_at_its_start(
    database_url: str, owner: tuple[str, psycopg.Connection]
) -> None:
    url, admin = owner
    allow(admin, url, f"GRANT {tenant_isolation.ROLE} TO {{user}}")
    with pytest.raises(ConfigurationError, match="run `ringback migrate`"):
        prove(url)


def test_a_gateway_that_the_wall_would_hide_its_own_rows_from_says_so_at_its_start(database: str) -> None:
    with plain_user(database) as (url, admin):
        allow(admin, url, f"GRANT {tenant_isolation.ROLE} TO {{user}}")
        with pytest.raises(ConfigurationError, match="does not own the tables"):
            prove(url)
        allow(admin, url, "ALTER ROLE {user} BYPASSRLS")
        prove(url)


DAYS = UsageQuery()
AS_TENANT = {
    "GET /v1/jobs": history.page_of_jobs("t", JobQuery()),
    "GET /v1/jobs/{id}": history.jobs_with_steps("t", IdRange.only(uuid4())),
    "GET /v1/sessions": history.page_of_sessions("t", SessionQuery()),
    "GET /v1/sessions/{id}": history.sessions_with_counts("t", IdRange.only(uuid4())),
    "GET /v1/usage": usage.groups("t", DAYS),
}
"""What the API reads as the role of tenants."""


@pytest.mark.parametrize("route", AS_TENANT)
def test_every_column_that_the_api_reads_is_granted_to_the_role_of_tenants(route: str, database: str) -> None:
    may = text("SELECT has_column_privilege(:role, :table, :column, 'SELECT')")
    read = {each for each in iterate(AS_TENANT[route]) if isinstance(each, Column) and isinstance(each.table, Table)}
    assert read
    with connected(database) as connection:
        for column, table in ((column.name, column.table.name) for column in read):
            asked = {"role": tenant_isolation.ROLE, "table": table, "column": column}
            assert connection.execute(may, asked).scalar_one(), (
                f"{route} reads {table}.{column}, which {tenant_isolation.ROLE} may not read: run GRANT SELECT "
                f"({column}) ON {table} TO {tenant_isolation.ROLE} in the revision that adds the column, or take the "
                "field out of ringback/history/documents.py"
            )
    assert behind(database, "t", AS_TENANT[route]) is not None, "and Postgres runs it"


class Healing(logging.Handler):
    """Log handler that restores Postgres as soon as the gateway says that it is away."""

    def __init__(self, proxy: Proxy) -> None:
        super().__init__()
        self._proxy = proxy

    def emit(self, _record: logging.LogRecord) -> None:
        self._proxy.heal()


def test_a_gateway_that_starts_before_postgres_says_why_it_waits(
    database: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "AT_START_SECONDS", 0.05)
    with before_postgres(database) as (proxy, url):
        proxy.refuse()
        healing = Healing(proxy)
        store.log.addHandler(healing)
        try:
            prove(url)
        finally:
            store.log.removeHandler(healing)
    told = caplog.records[0].getMessage()
    assert told.startswith("Postgres is not reached: connection failed: ")
    assert told.endswith("; trying again in 0.05 s")

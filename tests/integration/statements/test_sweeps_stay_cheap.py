"""Each process looks twice a second: rows that are over must not make a sweep dearer, however many there are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from psycopg import sql
from psycopg.adapt import PyFormat, Transformer
from sqlalchemy import text

from ringback.postgres.connections import PLANNED_ONCE
from ringback.postgres.statement import bound
from ringback.statements import looks, webhooks
from ringback.statements.identity import credentials
from ringback.statements.jobs import sweeps, transitions
from ringback.statements.sessions import lifecycle
from tests.integration.statements.statement_rows import Rows, world
from tests.servers import execute, explained

MANY_SESSIONS = """
INSERT INTO sessions (id, user_id, agent, state, ended_at, gateway_id)
SELECT gen_random_uuid(), 'ada', 'demo', 'ended', clock_timestamp(), 'gw' FROM generate_series(1, 50000)
"""
MANY_JOBS = """
INSERT INTO jobs (id, session_id, call_id, epoch, tool, queue, arguments, effect, timeout, max_attempts, publish_after,
                  deadline_at, state, delivery, delivered_epoch, started_at, finished_at, worker_id)
SELECT gen_random_uuid(), :session, 'many_' || n, 1, 'order', 'orders', '{}', 'pure', 10, 1, clock_timestamp(),
       clock_timestamp(), 'succeeded', 'acked', 1, clock_timestamp(), clock_timestamp(), 'w'
FROM generate_series(1, 100000) AS n
"""
UNKNOWN = 705
"""Postgres' type of a parameter whose type follows from its place in the statement."""
BUFFERS_AT_MOST = 300
"""Most pages of 8 kB; the table of jobs alone has more than 2,000."""

SWEEPS: dict[str, Any] = {
    "publish_due": sweeps.publish_due(),
    "take_back_lost": sweeps.take_back_lost("w"),
    "time_out_overdue": sweeps.time_out_overdue(),
    "let_go_lost_sessions": sweeps.release_lost_sessions("w"),
    "end_unresumed": sweeps.end_unresumed(),
    "publish_again": sweeps.publish_again(),
    "publish_taken_along": sweeps.publish_taken("orders"),
    "keep_late_answers": sweeps.keep_late_results(),
    "take_due": webhooks.take_due(8),
    "held_sessions": lifecycle.held_sessions("gw"),
    "look": looks.look_of_gateway("gw"),
    "cancelled_on": transitions.cancelled_jobs("w"),
}


@pytest.fixture
def rows(database: str) -> Iterator[Rows]:
    with world(database) as rows:
        yield rows


def plan(rows: Rows, statement: Any) -> str:
    """Return Postgres' plan of the statement, with its costs: of one that is built once, that for all parameters."""
    asked, options = bound(statement), "(ANALYZE, BUFFERS)"
    if not asked.is_kept:
        found = execute(rows.connection, explained(asked, options)).scalars().all()
    else:
        run = rows.connection.exec_driver_sql
        typed = Transformer(rows.connection.connection.driver_connection)
        typed.dump_sequence(asked.parameters, [PyFormat.TEXT] * len(asked.parameters))
        kinds = ", ".join(str(run(f"SELECT {kind or UNKNOWN}::regtype").scalar()) for kind in typed.types or ())
        given = ", ".join(sql.Literal(each).as_string() for each in asked.parameters)
        run(PLANNED_ONCE)
        run(f"PREPARE asked{kinds and f' ({kinds})'} AS {asked.text.decode()}")
        found = run(f"EXPLAIN {options} EXECUTE asked{given and f' ({given})'}").scalars().all()
        run("DEALLOCATE asked")
    rows.connection.rollback()
    return "\n".join(found)


def pages(seen: str) -> int:
    """Return how many pages of 8 kB were read."""
    touched = re.search(r"Buffers: shared (?:hit=(\d+))? ?(?:read=(\d+))?", seen)
    return sum(int(number or 0) for number in touched.groups()) if touched else 0


def test_no_secret_is_made_by_reading_those_that_have_expired(rows: Rows) -> None:
    many = """INSERT INTO client_secrets (id, minted_by, user_id, hash, uses_left, expires_at)
              SELECT gen_random_uuid(), 'key:x', 'ada', uuid_send(gen_random_uuid()), 0,
                     clock_timestamp() - make_interval(secs => n) FROM generate_series(1, 50000) AS n"""
    rows.connection.execute(text(many))
    rows.connection.commit()
    rows.connection.execute(text("ANALYZE client_secrets"))
    rows.connection.commit()
    secret = credentials.mint_secret(
        uuid4(), b"its hash", tenant="default", user="ada", minted_by="key:x", key_id=None, agent="demo", claims={},
        uses=1, seconds_valid=600, limit=10,
    )  # fmt: skip
    seen = plan(rows, secret)
    assert pages(seen) < BUFFERS_AT_MOST, seen


def test_no_sweep_reads_what_is_over(rows: Rows) -> None:
    rows.connection.execute(text("ALTER TABLE jobs DISABLE TRIGGER USER"))
    rows.connection.execute(text(MANY_JOBS), {"session": rows.session})
    rows.connection.execute(text(MANY_SESSIONS))
    rows.connection.execute(text("ALTER TABLE jobs ENABLE TRIGGER USER"))
    rows.connection.commit()
    rows.connection.execute(text("ANALYZE"))
    rows.connection.commit()
    for _ in range(3):
        rows.running()
        rows.asked()

    for name, statement in SWEEPS.items():
        seen = plan(rows, statement)
        assert pages(seen) < BUFFERS_AT_MOST, f"{name}: {seen}"

"""The tables of a run, read when it is over, and the one trigger that a run adds to them."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import IsolationLevel
from psycopg.rows import dict_row

from tests.chaos.evidence import JobRow, JobStep, SessionStep
from tests.servers import in_dialect

CHRONICLE = """
CREATE TABLE chaos_sessions (
    id bigint GENERATED ALWAYS AS IDENTITY, at timestamptz NOT NULL DEFAULT clock_timestamp(),
    session_id uuid NOT NULL, state text NOT NULL, epoch bigint NOT NULL, gateway_id text, upstream_id text);
CREATE FUNCTION chaos_write_session() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO chaos_sessions (session_id, state, epoch, gateway_id, upstream_id)
    VALUES (NEW.id, NEW.state, NEW.epoch, NEW.gateway_id, NEW.upstream_id);
    RETURN NULL;
END $$;
CREATE TRIGGER chaos_write_session AFTER INSERT OR UPDATE ON sessions
    FOR EACH ROW EXECUTE FUNCTION chaos_write_session();
"""
"""What a session was, step by step: the table itself keeps the last only."""

JOBS = """
SELECT id::text, session_id::text, call_id, epoch, tool, arguments, effect, state, delivery, attempt,
       max_attempts AS most_attempts, rescues, effect_started, error, delivered_epoch,
       coalesce(result_in_order, result::json) AS result,
       extract(epoch FROM created_at)::float8 AS created_at, extract(epoch FROM finished_at)::float8 AS finished_at
FROM jobs ORDER BY created_at, id
"""
STEPS = """
SELECT job_id::text, extract(epoch FROM at)::float8 AS at, state, delivery, attempt, epoch FROM job_events ORDER BY id
"""
SESSIONS = """
SELECT session_id::text, extract(epoch FROM at)::float8 AS at, state, epoch, gateway_id, upstream_id
FROM chaos_sessions ORDER BY id
"""
UNSETTLED = """
SELECT (SELECT count(*) FROM jobs WHERE state IN ('pending', 'running')) AS live_jobs,
       (SELECT count(*) FROM jobs JOIN sessions ON sessions.id = session_id
         WHERE delivery IN ('ready', 'sent') AND sessions.state IN ('open', 'draining')) AS undelivered
"""
LIVE_WORKERS = """
SELECT count(DISTINCT worker_id) AS workers FROM worker_tools JOIN processes ON processes.id = worker_id
WHERE lease_until > clock_timestamp() AND ended_at IS NULL
"""
UNENDED = """
SELECT (SELECT count(*) FROM sessions WHERE state <> 'ended') AS sessions,
       (SELECT count(*) FROM jobs WHERE delivery = 'ready') AS late_results
"""
"""A job that ends while its session ends is ready, until a sweeper's next round keeps its result for the history."""


def add_chronicle(database_url: str) -> None:
    """Have every step of a session written down."""
    with psycopg.connect(in_dialect(database_url, "postgresql"), autocommit=True) as connection:
        connection.execute(CHRONICLE.encode())


def read(database_url: str) -> tuple[list[JobRow], list[JobStep], list[SessionStep]]:
    """All of one moment: a run that gave up waiting still changes its rows."""
    with _connected(database_url) as connection:
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        return (
            [JobRow(**row) for row in connection.execute(JOBS)],
            [JobStep(**row) for row in connection.execute(STEPS)],
            [SessionStep(**row) for row in connection.execute(SESSIONS)],
        )


def what_is_left(database_url: str, *, sessions: bool) -> str:
    """What a run that has had its faults still waits for, in words; empty where nothing is left.

    Args:
        sessions: the clients have said goodbye; every session should have ended, and no result be ready any more.
    """
    try:
        (row,) = _rows(database_url, UNENDED if sessions else UNSETTLED)
    except psycopg.OperationalError as problem:
        return f"Postgres ({problem})"
    return ", ".join(f"{count} {what.replace('_', ' ')}" for what, count in row.items() if count)


def live_workers(database_url: str) -> int:
    """Workers that have announced their tools, and are there."""
    return int(_rows(database_url, LIVE_WORKERS)[0]["workers"])


def _rows(database_url: str, statement: str) -> list[dict[str, Any]]:
    with _connected(database_url) as connection:
        return connection.execute(statement.encode()).fetchall()


def _connected(database_url: str) -> psycopg.Connection[dict[str, Any]]:
    return psycopg.connect(in_dialect(database_url, "postgresql"), row_factory=dict_row, connect_timeout=2)

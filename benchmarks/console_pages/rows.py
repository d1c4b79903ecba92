"""Rows of an installation that has run for a while: so many calls, one a second, ten in each talk.

Every third talk is of one busy user and of one busy agent. Cities stand in the arguments: one that is in a third of all
calls, 5,000 others, and none by the name of `ABSENT`.
"""

from __future__ import annotations

from typing import Any

import psycopg

from ringback.postgres.connections import Bounds, connect

CALLS_OF_A_TALK = 10
WAITING, RUNNING = 200, 50
"""Calls that are not over: the newest."""
BUSY, FEW = "ada", "user_17"
"""A user of a third of all talks, and one of a few."""
COMMON, RARE, ABSENT = "London", "city_4321", "Atlantis"
ACTS = 100_000
SECONDS = 3_600.0
"""Bound of a statement: each of these fills a table."""

TALKS = """
INSERT INTO sessions (id, user_id, agent, model, state, created_at, ended_at, end_reason)
SELECT md5('talk ' || n)::uuid, CASE WHEN n % 3 = 0 THEN 'ada' ELSE 'user_' || n % 5000 END,
       CASE WHEN n % 3 = 0 THEN 'demo' WHEN n % 2500 = 1 THEN 'night' ELSE 'agent_' || n % 20 END, 'gpt-realtime',
       CASE WHEN n < 20 THEN 'open' ELSE 'ended' END, now() - make_interval(secs => n * 10 + 10),
       CASE WHEN n < 20 THEN NULL ELSE now() - make_interval(secs => n * 10) END,
       CASE WHEN n < 20 THEN NULL ELSE 'client_left' END
FROM generate_series(0, {talks} - 1) AS n
"""
CALLS = """
INSERT INTO jobs (id, session_id, call_id, epoch, tool, queue, arguments, arguments_in_order, effect, timeout,
                  max_attempts, deadline_at, state, delivery, attempt, token, worker_id, approval, result,
                  delivered_epoch, given_at, spoken_at, heard_at, heard_by, created_at, started_at, finished_at)
SELECT md5('call ' || n)::uuid, md5('talk ' || (n - 1) / 10)::uuid, 'call_' || n, 1, 'tool_' || n % 20,
       'queue_' || n % 5, asked, asked::json, 'idempotent', 10, 2, now() + interval '1 day', state,
       CASE WHEN state IN ('pending', 'running') THEN 'none' WHEN state = 'succeeded' THEN 'heard' ELSE 'acked' END,
       CASE WHEN state = 'pending' THEN 0 ELSE 1 END,
       CASE WHEN state = 'running' THEN gen_random_uuid() END, CASE WHEN state <> 'pending' THEN 'worker_' || n % 4 END,
       CASE WHEN n % 10000 = 5 THEN 'denied' END,
       CASE WHEN state = 'succeeded' THEN '{{"said": "it is done"}}'::jsonb END,
       CASE WHEN state NOT IN ('pending', 'running') THEN 1 END,
       CASE WHEN state = 'succeeded' THEN began + interval '0.6 s' END,
       CASE WHEN state = 'succeeded' THEN began + interval '1.1 s' END,
       CASE WHEN state = 'succeeded' THEN began + interval '2.1 s' END,
       CASE WHEN state = 'succeeded' THEN 'report' END, began,
       CASE WHEN state <> 'pending' THEN began + interval '0.1 s' END,
       CASE WHEN state NOT IN ('pending', 'running') THEN began + make_interval(secs => 0.2 + n % 97 * 0.004) END
FROM (
    SELECT n, now() - make_interval(secs => n) AS began,
           jsonb_build_object('city', CASE WHEN n % 3 = 0 THEN 'London' ELSE 'city_' || n % 5000 END,
                              'at', jsonb_build_object('hour', n % 24), 'order', 'A-' || n) AS asked,
           CASE WHEN n <= {running} THEN 'running' WHEN n <= {running} + {waiting} THEN 'pending'
                WHEN n % 5000 = 7 THEN 'dead' WHEN n % 50 = 3 THEN 'failed' WHEN n % 100 = 9 THEN 'timed_out'
                WHEN n % 200 = 11 THEN 'cancelled' ELSE 'succeeded' END AS state
    FROM generate_series(1, {calls}) AS n
) AS each
"""
STEPS = """
INSERT INTO job_events (job_id, at, state, delivery, attempt)
SELECT id, created_at + make_interval(secs => step * 0.1),
       (ARRAY['pending', 'running', state])[step + 1], CASE WHEN step = 2 THEN delivery ELSE 'none' END, attempt
FROM jobs, generate_series(0, 2) AS step ORDER BY created_at, step
"""
SAID = """
INSERT INTO items (session_id, position, item_id, role, content, epoch, created_at)
SELECT id, place, 'item_' || place, CASE place % 2 WHEN 1 THEN 'user' ELSE 'assistant' END,
       '[{"type": "text", "text": "where is my parcel, and when will it be here"}]', 1,
       created_at + make_interval(secs => place)
FROM sessions, generate_series(1, 4) AS place
"""
MOMENTS = """
INSERT INTO moments (session_id, epoch, number, at, kind, response_id)
SELECT id, 1, place, created_at + make_interval(secs => place),
       (ARRAY['user_began', 'user_ended', 'response_spoke', 'response_ended'])[1 + place % 4],
       CASE WHEN place % 4 >= 2 THEN 'resp_' || place / 4 END
FROM sessions, generate_series(0, 7) AS place
"""
USAGE = """
INSERT INTO usage_days (user_id, day, agent, model, responses, input_tokens, output_tokens, micros)
SELECT user_id, (created_at AT TIME ZONE 'UTC')::date, agent, model, count(*), 900 * count(*), 300 * count(*), 4000
FROM sessions GROUP BY 1, 2, 3, 4
"""
DONE = """
INSERT INTO audit (at, subject, credential, act, target, rows)
SELECT now() - make_interval(secs => n), 'ada', 'token:ada', 'job.cancel', md5('call ' || n), 1
FROM generate_series({acts}, 1, -1) AS n
"""
WORKERS = """
INSERT INTO processes (id, kind, host, pid, queues, slots, lease_until)
SELECT 'worker_' || n, 'worker', 'here', n + 1, '["queue_0", "queue_1", "queue_2", "queue_3", "queue_4"]', 16,
       now() + interval '1 day' FROM generate_series(0, 3) AS n
"""
TOOLS = """
INSERT INTO worker_tools (worker_id, name, description, parameters, queue, timeout, retries, effect, version)
SELECT 'worker_' || worker, 'tool_' || n, 'A tool.', '{"type": "object"}', 'queue_' || n % 5, 10, 1, 'idempotent', '1'
FROM generate_series(0, 3) AS worker, generate_series(0, 19) AS n
"""
FILLED = (SAID, MOMENTS, USAGE, DONE, WORKERS, TOOLS)


def fill(url: str, calls: int) -> None:
    """Write all rows, without the triggers that would write others beside them, and have Postgres look at them."""
    talks = max(1, calls // CALLS_OF_A_TALK)
    filled = connect(url, "benchmark", 5, Bounds(SECONDS))
    try:
        _run(filled, "SET session_replication_role = replica")
        _run(filled, "SET synchronous_commit = off")
        _run(filled, TALKS.format(talks=talks))
        _run(filled, CALLS.format(calls=calls, running=RUNNING, waiting=WAITING))
        _run(filled, STEPS)
        for statement in FILLED:
            _run(filled, statement.replace("{acts}", str(min(calls, ACTS))))
        _run(filled, "VACUUM (ANALYZE)")
    finally:
        filled.close()


def _run(connection: psycopg.Connection[Any], statement: str) -> None:
    connection.execute(statement.encode())

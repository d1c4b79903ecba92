"""What the programs of a floor agree on: the row, its two durable statements, the queue, and the stream of results."""

from __future__ import annotations

import os
from collections.abc import Mapping

TABLE = """
CREATE TABLE IF NOT EXISTS floor_jobs (
    id uuid PRIMARY KEY, call_id text UNIQUE NOT NULL, arguments jsonb NOT NULL, state text NOT NULL DEFAULT 'pending',
    result jsonb, created_at timestamptz NOT NULL DEFAULT now(), finished_at timestamptz
)
"""
ADMIT = "INSERT INTO floor_jobs (id, call_id, arguments) VALUES (%s, %s, %s)"
FINISH = "UPDATE floor_jobs SET state = 'done', result = %s, finished_at = now() WHERE id = %s AND state = 'pending'"
COUNT = "SELECT count(*) FROM floor_jobs WHERE state = 'done'"
QUEUE, RESULTS, KEPT = "floor", "floor:results", 10_000
DATABASE_URL, REDIS_URL = "FLOOR_DATABASE_URL", "FLOOR_REDIS_URL"
AT_ONCE = 16
"""Jobs that a worker runs at once, and connections to Postgres on each side."""
READY = "the floor is ready"


def database_url() -> str:
    return os.environ[DATABASE_URL]


def redis_url() -> str:
    return os.environ[REDIS_URL]


def work(arguments: Mapping[str, object]) -> str:
    """The tool: as little as in each driver of the others."""
    return f"{arguments['name']} is done"

"""`ringback worker`: the same worker as `celery -A workers.app worker`, with Ringback's defaults."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import Literal

from ringback.config.settings import load
from ringback.errors import ConfigurationError
from workers.settings import WorkerSettings

PoolName = Literal["threads", "prefork", "solo"]


def run(
    queues: Sequence[str] | None = None,
    concurrency: int | None = None,
    pool: PoolName = "threads",
    log_level: str = "INFO",
) -> int:
    """Run a worker until a signal stops it.

    Args:
        queues: Celery queues to serve; None: RINGBACK_WORKER_QUEUES, or else all that the tools name.
        concurrency: calls at once; None: RINGBACK_WORKER_CONCURRENCY, or else what fits the pool.
        pool: "threads" for tools that wait; "prefork" for tools that compute, or that may hang.
        log_level: a name of `logging`, such as "INFO".

    Returns:
        The exit code: 0 after a signal, 2 if the settings cannot work (the sentence is on standard error).
    """
    from workers.app import PREFORK, USAGE_EXIT, app, calls_at_once

    try:
        settings = load(WorkerSettings)
    except ConfigurationError as problem:
        sys.stderr.write(f"ringback: {problem}\n")
        return USAGE_EXIT
    worker = app.Worker(
        queues=list(queues) if queues else None,
        concurrency=concurrency or calls_at_once(pool, settings),
        pool_cls=PREFORK if pool == "prefork" else pool,
        loglevel=logging.getLevelName(log_level.upper()),
        quiet=True,
    )
    worker.start()
    return int(worker.exitcode or 0)

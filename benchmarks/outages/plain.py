"""The control: plain Celery, as careful as its documentation advises. One task, which writes a line.

`celery -A benchmarks.outages.plain worker`; REDIS_URL is its broker, RINGBACK_BENCH_FOLDER where the line goes.
"""

from __future__ import annotations

import os
from pathlib import Path

from celery import Celery

from benchmarks.outages.tools import FOLDER, write_down

VISIBILITY_SECONDS = 5
"""Celery's own is an hour; what it would bring back then is to come while we still look."""


def make(redis_url: str) -> Celery:
    app = Celery("plain", broker=redis_url, set_as_current=False)
    app.conf.update(
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        task_ignore_result=True,
        broker_connection_retry_on_startup=True,
        # Looked for every second, not every hundred: a task that is only late must not count as lost.
        broker_transport_options={
            "visibility_timeout": VISIBILITY_SECONDS,
            "unacked_restore_interval": 1,
            "unacked_restore_throttle": 1,
        },
    )
    return app


app = make(os.environ.get("REDIS_URL", "redis://"))


@app.task(name="mark")  # type: ignore[untyped-decorator]
def mark(number: int) -> None:
    """Write down that this was done."""
    write_down(Path(os.environ[FOLDER]), number)

"""The worker of the floor of our shape: Celery in threads; one durable UPDATE, and the result into a stream.

celery -A benchmarks.calls.floor.celery_worker worker
"""

from __future__ import annotations

import json
from typing import Any

from celery import Celery
from celery.signals import worker_ready
from psycopg_pool import ConnectionPool
from redis import BlockingConnectionPool, Redis

from benchmarks.calls.floor.ledger import (
    AT_ONCE,
    FINISH,
    KEPT,
    QUEUE,
    READY,
    RESULTS,
    database_url,
    redis_url,
    work,
)

TASK = "floor.work"
app = Celery("floor", broker=redis_url(), set_as_current=False)
app.conf.update(
    task_ignore_result=True,
    task_default_queue=QUEUE,
    worker_prefetch_multiplier=1,
    worker_send_task_events=False,
    broker_connection_retry_on_startup=True,
    worker_pool="threads",
    worker_concurrency=AT_ONCE,
)
_postgres = ConnectionPool(database_url(), min_size=0, max_size=AT_ONCE, kwargs={"autocommit": True}, open=False)
_redis = Redis(connection_pool=BlockingConnectionPool.from_url(redis_url(), max_connections=AT_ONCE))


@worker_ready.connect  # type: ignore[untyped-decorator]
def _on_ready(**_: Any) -> None:
    _postgres.open()
    print(READY, flush=True)


@app.task(name=TASK)  # type: ignore[untyped-decorator]
def run(job_id: str, arguments: dict[str, Any]) -> None:
    """Do the work, commit the outcome, and tell it."""
    result = work(arguments)
    with _postgres.connection() as connection:
        connection.execute(FINISH, (json.dumps(result), job_id))
    _redis.xadd(RESULTS, {"id": job_id, "result": result}, maxlen=KEPT, approximate=True)

"""The worker of the bare floor: threads that take jobs off a list; one durable UPDATE, and the result into a stream."""

from __future__ import annotations

import json
import threading

import psycopg
from redis import Redis

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


def take() -> None:
    """One thread, with connections of its own."""
    redis = Redis.from_url(redis_url())
    with psycopg.connect(database_url(), autocommit=True) as connection:
        while True:
            _, message = redis.brpop([QUEUE])  # type: ignore[misc]
            job_id, arguments = json.loads(message)
            result = work(arguments)
            connection.execute(FINISH, (json.dumps(result), job_id))
            redis.xadd(RESULTS, {"id": job_id, "result": result}, maxlen=KEPT, approximate=True)


if __name__ == "__main__":
    threads = [threading.Thread(target=take, daemon=True) for _ in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    print(READY, flush=True)
    threads[0].join()

"""Publishes recorded jobs to their queues. The only module of the gateway that uses Celery.

Publishing blocks, so a few threads do it and never the event loop. It has a short bound; if it fails the row is still
there, and a sweeper publishes the job again.
"""

from __future__ import annotations

import asyncio
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

from gateway.storage.redis_client import RedisClient
from ringback.redis.broker import TASK, ignored, make_app

log = logging.getLogger(__name__)

PUBLISHERS = 4
"""Threads. One publish takes 0.4 ms; four carry thousands of calls a second, and a dead Redis stalls no loop."""


class JobPublisher:
    """Publisher of job ids; `redis` is this process's other connection to the same Redis."""

    def __init__(self, redis_url: str) -> None:
        self._celery = make_app(redis_url)
        if said := ignored(os.environ):
            log.warning("%s", said)
        self.redis = RedisClient(redis_url)
        self._threads = ThreadPoolExecutor(PUBLISHERS, thread_name_prefix="publish")

    async def publish(self, job_id: UUID, queue: str) -> bool:
        """Send the job's id to its queue. Return False if the broker did not take it: the job is then only later."""
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._threads, self._send, str(job_id), queue)
        except Exception as problem:  # kombu and redis raise a family of errors with no common parent but this
            log.warning("job %s: publishing failed (%s); a sweeper publishes it", job_id, type(problem).__name__)
            return False
        return True

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._celery.close()

    def _send(self, job_id: str, queue: str) -> None:
        self._celery.send_task(TASK, args=[job_id], queue=queue, ignore_result=True, retry=False)

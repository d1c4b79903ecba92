"""Publishes recorded jobs to their queues. The only module of the gateway that uses Celery.

Celery and kombu write one message when the gateway starts. Each job's message is that one with the job's id and queue
in it, pushed from the event loop: `send_task` takes a thread and six times the CPU (ADR 0059). Publishing has a short
bound. If it fails the row is still there, and a sweeper publishes the job again.
"""

from __future__ import annotations

import json
import logging
import os
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID, uuid4

import kombu
from celery import Celery

from gateway.storage.redis_client import RedisClient
from ringback.redis.broker import TASK, ignored, make_app
from ringback.redis.keyspace import KEY_PREFIX
from ringback.telemetry import metrics

log = logging.getLogger(__name__)
_kombu: Any = kombu  # typed in part

JOB_ID, TASK_ID, QUEUE, BODY = (f"<the {what} of the message>" for what in ("job", "task", "queue", "body"))
"""Places in the prepared message. None needs an escape in JSON."""
HEADERS = '"headers": {'
"""How the headers of the message begin."""


class PreparedMessage:
    """Celery's message of the task, in the form in which kombu's Redis transport pushes it to a list.

    Args:
        celery: the app whose `send_task` writes the message, once, to a broker in memory.
    """

    def __init__(self, celery: Celery) -> None:
        with _kombu.Connection("memory://") as connection:
            sent = {"args": [JOB_ID], "queue": QUEUE, "task_id": TASK_ID, "ignore_result": True, "retry": False}
            celery.send_task(TASK, connection=connection, **sent)
            message = connection.default_channel._get(QUEUE)
        self._body = b64decode(message["body"]).decode()
        message["body"] = BODY
        message["properties"]["delivery_tag"] = TASK_ID  # any unique value
        self._text = json.dumps(message)

    def of(self, job_id: str, queue: str, headers: Mapping[str, str] | None = None) -> str:
        """Return the message of this job; `headers` go beside Celery's own, and need no escape in JSON."""
        body = b64encode(self._body.replace(JOB_ID, job_id).encode()).decode()
        text = self._text.replace(BODY, body).replace(JOB_ID, job_id).replace(TASK_ID, str(uuid4()))
        if headers:
            named = "".join(f'"{name}": "{value}", ' for name, value in headers.items())
            text = text.replace(HEADERS, HEADERS + named, 1)
        return text.replace(QUEUE, json.dumps(queue)[1:-1])


class JobPublisher:
    """Publisher of job ids. `redis` is this process's connection to Redis.

    Args:
        trace: returns the headers by which a job's message continues its trace; None where traces are off.
    """

    def __init__(self, redis_url: str, trace: Callable[[UUID], Mapping[str, str]] | None = None) -> None:
        self._trace = trace
        self._message = PreparedMessage(make_app(redis_url))
        if said := ignored(os.environ):
            log.warning("%s", said)
        self.redis = RedisClient(redis_url)

    async def publish(self, job_id: UUID, queue: str) -> bool:
        """Send the job's id to its queue. Return False if the broker did not take it: the job is then only later."""
        headers = None if self._trace is None else self._trace(job_id)
        push = ("LPUSH", f"{KEY_PREFIX}{queue}", self._message.of(str(job_id), queue, headers))
        if await self.redis.run([push]) is None:
            metrics.PUBLISH_FAILURES.inc()
            log.warning("publishing failed: job %s, Redis did not take it; a sweeper publishes it", job_id)
            return False
        return True

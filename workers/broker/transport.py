"""Kombu's transport over Redis, for workers: it trusts no message that it finds there.

Kombu and Celery take a message as it is. One with a missing property, or a body of another kind, ends the consumer with
a traceback, is put back into the queue, and ends the next one. So only its task, its job's id, and the trace that
follows from the id are read here (`read`); a message that Ringback did not write is dropped, once. A job goes straight
to our pool of threads. For any other pool its message is written anew (`written`), and Celery makes a task of it.

A message is gone once it is taken: kombu keeps no copy until an acknowledgement (ADR 0059). Its copies would come back
after an hour, under a lock whose release is a script, which the Redis user of Ringback may not run. If a worker loses a
message, a sweeper publishes the job again from its row within seconds.
"""

from __future__ import annotations

import json
import logging
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple
from uuid import UUID, uuid4

from kombu.transport import redis

from ringback.redis.broker import TASK
from ringback.telemetry.call_trace import headers_in
from workers.broker.consumer import CANARY
from workers.logs import ThrottledLogger

MAX_BODY_CHARS = 4_000
"""Most characters of a message's body: an id and Celery's own words take 200."""

logger = logging.getLogger(__name__)
_throttled = ThrottledLogger(logger)
_Quality: Any = redis.QoS  # kombu is typed in part
_Channel: Any = redis.Channel
_Transport: Any = redis.Transport


class Quality(_Quality):  # type: ignore[misc]
    """Record of unacknowledged messages, which stays empty. `worker_disable_prefetch` bounds what a worker takes."""

    def append(self, message: Any, delivery_tag: str) -> None:
        """Keep no copy. Kombu calls this hook for each message, and would write two keys."""

    def ack(self, delivery_tag: str) -> None:
        """Delete no copy. Celery calls this hook as a job begins, and kombu would write two keys."""

    def restore_visible(self, start: int = 0, num: int = 10, interval: int = 10) -> None:
        """Look for no copies. Kombu calls this hook every ten seconds, and would lock a key."""


class Channel(_Channel):  # type: ignore[misc]
    QoS = Quality

    def _brpop_read(self, **options: Any) -> Any:
        """Read one message as JSON. Kombu calls this hook; the message has left the queue by then."""
        try:
            return super()._brpop_read(**options)
        except (ValueError, RecursionError):
            _throttled.warning("message dropped: it is not JSON")
            return True


class Job(NamedTuple):
    """What a job's message says."""

    id: UUID
    trace: Mapping[str, str]
    """Headers that continue the call's trace; none where traces are off."""


class Transport(_Transport):  # type: ignore[misc]
    """Transport that `workers.app` names."""

    Channel = Channel
    on_canary: Callable[[], None] = staticmethod(lambda: None)
    """Called when a canary arrives."""
    on_job: Callable[[UUID, Mapping[str, str]], None] | None = None
    """Takes a job, with the headers of its trace; None: Celery does."""

    def _deliver(self, message: Any, queue: str) -> None:
        """Deliver what the message says. Kombu calls this hook."""
        said = read(message)
        if said is None:
            _throttled.warning("message dropped from queue %s: Ringback did not write it", queue)
        elif said == CANARY:
            self.on_canary()
        elif self.on_job is not None:
            self.on_job(*said)
        else:
            super()._deliver(written(said, queue), queue)


def read(message: object) -> Job | Literal["ringback.canary"] | None:
    """Return the job that the message is about, or CANARY; None if Ringback did not write it."""
    try:
        headers, body = message["headers"], message["body"]  # type: ignore[index]
        if headers["task"] == CANARY:
            return CANARY
        if headers["task"] != TASK or not isinstance(body, str) or len(body) > MAX_BODY_CHARS:
            return None
        job_id = UUID(json.loads(b64decode(body, validate=True))[0][0])
        return Job(job_id, headers_in(headers, job_id))
    except (AttributeError, KeyError, IndexError, TypeError, ValueError, RecursionError):
        return None


def written(job: Job, queue: str) -> dict[str, Any]:
    """Return the message of this job for Celery, with nothing else in it."""
    number, words = str(uuid4()), {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
    return {
        "body": b64encode(json.dumps([[str(job.id)], {}, words]).encode()).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"lang": "py", "task": TASK, "id": number, "ignore_result": True, **job.trace},
        "properties": {
            "correlation_id": number,
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": queue},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": number,
        },
    }

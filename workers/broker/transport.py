"""Kombu's transport over Redis, for workers: it trusts no message that it finds there.

Kombu and Celery take a message as it is. One with a missing property, or a body of another kind, ends the consumer with
a traceback, is put back into the queue, and ends the next one. So each message is read here and written anew from its
task, its id, and the trace that follows from the id (`rewritten`); one that Ringback did not write is dropped, once.

A message is gone once it is taken: kombu keeps no copy until an acknowledgement (ADR 0059). Its copies would come back
after an hour, under a lock whose release is a script, which the Redis user of Ringback may not run. If a worker loses a
message, a sweeper publishes the job again from its row within seconds.
"""

from __future__ import annotations

import json
import logging
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any
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


class Transport(_Transport):  # type: ignore[misc]
    """Transport that `workers.app` names."""

    Channel = Channel

    def _deliver(self, message: Any, queue: str) -> None:
        """Deliver the message, written anew. Kombu calls this hook."""
        known = rewritten(message, queue)
        if known is None:
            _throttled.warning("message dropped from queue %s: Ringback did not write it", queue)
            return
        super()._deliver(known, queue)


def rewritten(message: object, queue: str) -> dict[str, Any] | None:
    """Return the message written anew from its task, job id and trace; None if Ringback did not write it."""
    try:
        task, body = message["headers"]["task"], message["body"]  # type: ignore[index]
        if task == CANARY:
            return _written("{}", CANARY, queue)
        if task != TASK or not isinstance(body, str) or len(body) > MAX_BODY_CHARS:
            return None
        job_id = UUID(json.loads(b64decode(body, validate=True))[0][0])
        trace = headers_in(message["headers"], job_id)  # type: ignore[index]
    except (AttributeError, KeyError, IndexError, TypeError, ValueError, RecursionError):
        return None
    words = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
    return _written(json.dumps([[str(job_id)], {}, words]), TASK, queue, trace)


def _written(body: str, task: str, queue: str, trace: Mapping[str, str] | None = None) -> dict[str, Any]:
    number = str(uuid4())
    return {
        "body": b64encode(body.encode()).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"lang": "py", "task": task, "id": number, "ignore_result": True, **(trace or {})},
        "properties": {
            "correlation_id": number,
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": queue},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": number,
        },
    }

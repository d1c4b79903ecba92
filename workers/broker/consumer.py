"""Consumer of a worker: it reconnects quickly, and its canary shows that it receives messages.

`worker_consumer` names this class. Celery's own tries to reconnect after 2, 4, 6 … 30 s. After an outage of a minute it
would notice half a minute late that Redis is back.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, ClassVar

import kombu
from celery import bootsteps
from celery.worker import state
from celery.worker.consumer import Consumer as CelerysConsumer
from celery.worker.consumer.tasks import Tasks

from workers.logs import ThrottledLogger

RECONNECT_SECONDS = 0.25
"""Pause between two attempts to reach Redis: a caller waits, and an attempt costs almost no CPU."""

CANARY = "ringback.canary"
"""Name of the task that a worker sends itself. The consumer handles it at once, without a slot of the pool."""

logger = logging.getLogger(__name__)
_throttled = ThrottledLogger(logger)
_kombu: Any = kombu  # typed in part


def _ignore() -> None:
    """Default of the hooks, until the process sets them."""


def _never() -> bool:
    return False


class Consumer(CelerysConsumer):  # type: ignore[misc]
    """Consumer that reports to the process."""

    on_canary: ClassVar[Callable[[], None]] = _ignore
    """Called when a canary arrives."""
    on_cut: ClassVar[Callable[[], None]] = _ignore
    """Called when the connection broke, which may have lost a message."""
    sheds: ClassVar[Callable[[], bool]] = _never
    """Returns true if this process was held up a moment ago, and takes no message: others may."""

    def ensure_connected(self, conn: Any) -> Any:
        """Connect as Celery does, but with shorter pauses."""

        def tell(problem: Exception, _pause: float) -> None:
            _throttled.warning("Redis connection failed (%s); trying again in %g s", problem, RECONNECT_SECONDS)

        conn = conn.ensure_connection(
            tell,
            max_retries=None,
            interval_start=RECONNECT_SECONDS,
            interval_step=0,
            interval_max=RECONNECT_SECONDS,
            callback=state.maybe_shutdown,
        )
        self.first_connection_attempt = False
        return conn

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Report the cut, after what Celery does. Celery calls this hook."""
        super().on_connection_error_after_connected(exc)
        type(self).on_cut()

    def is_free(self) -> bool:
        """Return true if it takes messages; a full worker does not (`worker_disable_prefetch`), nor one that sheds."""
        if type(self).sheds():
            return False
        limit = getattr(self.controller, "max_concurrency", None) or self.pool.num_processes
        return len(state.reserved_requests) < int(limit)


class Shedding(bootsteps.StartStopStep):  # type: ignore[misc]
    """Celery step that makes each consumed channel ask `Consumer.sheds` too; Celery makes the channel anew."""

    requires = (Tasks,)

    def start(self, parent: Any) -> None:
        """Wrap the new channel's check. Celery calls this hook after each connect."""
        quality = parent.task_consumer.channel.qos
        may_take = quality.can_consume
        quality.can_consume = lambda: not type(parent).sheds() and may_take()


def canary_strategy(_task: Any, _app: Any, consumer: Any) -> Callable[..., None]:
    """Return the canary's strategy: how the consumer handles its messages, where others go to the pool."""

    def handle(*_message: Any) -> None:
        type(consumer).on_canary()

    return handle


def canary_task() -> None:
    """Do nothing: Celery wants a task for the canary, which no worker runs."""


def canary_queue(name: str) -> Any:
    """Return the canary's queue, which the consumer listens to too. It is not declared, so it leaves no key in
    Redis.
    """
    return _kombu.Queue(name, routing_key=name, no_declare=True, no_ack=True)

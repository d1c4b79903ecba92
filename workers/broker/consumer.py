"""The consumer, as a worker of ours has it: quick to come back, and able to say that it hears.

`worker_consumer` names this class. What Celery does otherwise: it tries to reconnect after 2, 4, 6 … 30 s, so that a
Redis that was away for a minute is heard of half a minute late.
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

from workers.logs import Seldom

RECONNECT_SECONDS = 0.25
"""Between two attempts to reach Redis: a caller waits, and an attempt costs next to nothing."""

CANARY = "ringback.canary"
"""The name of the task that a worker sends itself; it is over when the consumer has it, and needs no slot."""

logger = logging.getLogger(__name__)
_seldom = Seldom(logger)
_kombu: Any = kombu  # typed in part


def _nothing() -> None:
    """Until the process says what is to be done."""


def _never() -> bool:
    return False


class Consumer(CelerysConsumer):  # type: ignore[misc]
    """Tells the process what happens to it."""

    on_canary: ClassVar[Callable[[], None]] = _nothing
    """A canary was heard."""
    on_cut: ClassVar[Callable[[], None]] = _nothing
    """The connection broke, and may have taken a message with it."""
    sheds: ClassVar[Callable[[], bool]] = _never
    """This process was held up a moment ago, and takes no message: others may."""

    def ensure_connected(self, conn: Any) -> Any:
        """Celery's own, but for the pauses."""

        def tell(problem: Exception, _pause: float) -> None:
            _seldom.warning("Redis cannot be reached, trying again: %s", problem)

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
        """Celery's own hook."""
        super().on_connection_error_after_connected(exc)
        type(self).on_cut()

    def is_free(self) -> bool:
        """True where it takes messages; a full worker does not (`worker_disable_prefetch`), and one that sheds."""
        if type(self).sheds():
            return False
        limit = getattr(self.controller, "max_concurrency", None) or self.pool.num_processes
        return len(state.reserved_requests) < int(limit)


class Shedding(bootsteps.StartStopStep):  # type: ignore[misc]
    """Has each channel that is consumed from ask `Consumer.sheds` as well; Celery's own step makes it anew."""

    requires = (Tasks,)

    def start(self, parent: Any) -> None:
        """Celery's own hook, after each connect."""
        quality = parent.task_consumer.channel.qos
        may_take = quality.can_consume
        quality.can_consume = lambda: not type(parent).sheds() and may_take()


def hear(_task: Any, _app: Any, consumer: Any) -> Callable[..., None]:
    """The strategy of the canary: what is done with its messages where others are handed to the pool."""

    def handle(*_message: Any) -> None:
        type(consumer).on_canary()

    return handle


def sing() -> None:
    """The canary's task, which Celery wants and nobody runs."""


def canary_queue(name: str) -> Any:
    """What this worker's consumer listens to besides. Nothing is declared, so nothing of it stays in Redis."""
    return _kombu.Queue(name, routing_key=name, no_declare=True, no_ack=True)

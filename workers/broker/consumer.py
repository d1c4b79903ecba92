"""Consumer of a worker: it reconnects quickly, hands jobs to threads, and its canary shows that it receives messages.

`worker_consumer` names this class. Celery's own tries to reconnect after 2, 4, 6 … 30 s. After an outage of a minute it
would notice half a minute late that Redis is back.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, ClassVar, Final
from uuid import UUID

import kombu
from celery import bootsteps
from celery.worker import state
from celery.worker.consumer import Consumer as CelerysConsumer
from celery.worker.consumer.tasks import Tasks

from workers.execution.waiting import Steps
from workers.logs import ThrottledLogger
from workers.thread_pool import TaskPool

RECONNECT_SECONDS = 0.25
"""Pause between two attempts to reach Redis: a caller waits, and an attempt costs almost no CPU."""

CANARY: Final = "ringback.canary"
"""Name of the task that a worker sends itself. The consumer handles it at once, without a slot of the pool."""

logger = logging.getLogger(__name__)
_throttled = ThrottledLogger(logger)
_kombu: Any = kombu  # typed in part


def _ignore() -> None:
    """Default of the hooks, until the process sets them."""


def _never() -> bool:
    return False


def _drop(_job_id: UUID, _trace: Mapping[str, str]) -> Steps[None]:
    """Default of the hook that runs jobs."""
    yield from ()


class Waker:
    """Wakes Celery's loop out of a thread: by itself it looks once a second whether a full worker has room again."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)

    def listen(self, hub: Any) -> None:
        """Have this loop woken; it forgets that when its connection breaks."""
        hub.add_reader(self._read, self._drain)

    def wake(self) -> None:
        """Wake the loop. Called in any thread."""
        with suppress(BlockingIOError):  # full of wakes that it has not seen yet
            os.write(self._write, b".")

    def _drain(self) -> None:
        with suppress(BlockingIOError):
            os.read(self._read, 4_096)


class Consumer(CelerysConsumer):  # type: ignore[misc]
    """Consumer that reports to the process."""

    on_canary: ClassVar[Callable[[], None]] = _ignore
    """Called when a canary arrives."""
    on_cut: ClassVar[Callable[[], None]] = _ignore
    """Called when the connection broke, which may have lost a message."""
    on_job: ClassVar[Callable[[UUID, Mapping[str, str]], Steps[None]]] = _drop
    """Returns the steps of a job, whose message has these headers of its trace."""
    sheds: ClassVar[Callable[[], bool]] = _never
    """Returns true if this process was held up a moment ago, and takes no message: others may."""

    waker: Waker | None = None
    """Of this process's loop, once it has connected."""

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
        return len(state.reserved_requests) + getattr(self.pool, "under_way", 0) < self._limit()

    def note_left(self, under_way: int) -> None:
        """Take the next message at once if a call that is over, in any thread, has made room in a full worker."""
        if under_way == self._limit() - 1 and self.waker is not None:
            self.waker.wake()

    def _limit(self) -> int:
        return int(getattr(self.controller, "max_concurrency", None) or self.pool.num_processes)


class Intake(bootsteps.StartStopStep):  # type: ignore[misc]
    """Celery step that says of each new connection whether it takes messages, and where they go."""

    requires = (Tasks,)

    def start(self, parent: Any) -> None:
        """Join the connection to the consumer, and jobs to our pool of threads. Celery calls this hook after each
        connect.
        """
        channel, consumer, pool = parent.task_consumer.channel, type(parent), parent.pool
        may_take = channel.qos.can_consume
        channel.qos.can_consume = lambda: parent.is_free() and may_take()
        channel.connection.on_canary = consumer.on_canary
        if not isinstance(pool, TaskPool):
            return
        channel.connection.on_job = lambda job_id, trace: pool.carry_out(consumer.on_job(job_id, trace))
        pool.on_left = parent.note_left
        if parent.hub is not None:
            parent.waker = parent.waker or Waker()
            parent.waker.listen(parent.hub)


def canary_queue(name: str) -> Any:
    """Return the canary's queue, which the consumer listens to too. It is not declared, so it leaves no key in
    Redis.
    """
    return _kombu.Queue(name, routing_key=name, no_declare=True, no_ack=True)

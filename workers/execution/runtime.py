"""Runtime of a process that runs jobs. A process that runs none (the parent of a prefork pool) has no runtime."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from threading import Event, Lock
from typing import TYPE_CHECKING, Any

import psycopg

from ringback.jobs.states import LIVE, JobState
from ringback.statements.jobs import transitions
from ringback.telemetry import metrics
from ringback.tools.decorator import Tool
from workers.execution.delayed_publisher import DelayedPublisher
from workers.execution.invoker import ToolInvoker
from workers.execution.passing import Passing
from workers.execution.progress import ProgressReporter
from workers.execution.tool_limits import ToolLimits
from workers.leases.in_flight import InFlightCalls
from workers.leases.lease import FENCED_EXIT, Lease
from workers.leases.sweeper import Publisher, StepRunner, Sweeper
from workers.settings import WorkerSettings
from workers.storage.database import Store, rows
from workers.storage.gateway_keys import GatewayKeys
from workers.storage.outcome_writer import OutcomeWriter
from workers.storage.redis_client import RedisClient

if TYPE_CHECKING:
    from ringback.telemetry.call_spans import CallSpans

FENCE_SECONDS = 0.3
"""Time for async tools to be cancelled: well inside the second that is left before others take over."""

logger = logging.getLogger(__name__)


class WorkerRuntime:
    """Tools, connections, lease and running calls of one process.

    Make it in the process that uses it: neither connections nor threads outlive a fork.

    Args:
        slots: how many calls this process runs at once.
        end: called with the reason if this process cannot go on: it hands back what runs here, and ends.
        spans: tells the spans of the calls; None where traces are off.
        replace: called instead, after an outcome, if stuck tools wear out a child of a pool, which replaces it.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        tools: Mapping[str, Tool],
        queues: Sequence[str],
        publisher: Publisher,
        slots: int = 1,
        end: Callable[[str], None] | None = None,
        replace: Callable[[str], None] | None = None,
        spans: CallSpans | None = None,
    ) -> None:
        self.tools = tools
        self._slots = slots
        self._queues = tuple(queues)
        self.row_privacy = settings.row_privacy
        self.spans = spans
        self.store = Store(settings.database_url, settings.database_connections)
        self.redis = RedisClient(settings.redis_url)
        self.outcomes = OutcomeWriter(self.store.outcomes, self.redis, GatewayKeys(self.store.claims))
        self.running = InFlightCalls()
        self.is_leaving = Event()
        """Set once what runs here is handed back: this process claims no more jobs."""
        self._stopping = Lock()
        self._stopped = False
        self.invoker = ToolInvoker(slots, bears_stuck=replace is None, died=end)
        self._replace = replace or end
        self.progress = ProgressReporter(self.store, self.redis)
        announced = [tool.announcement for tool in served_on(tools.values(), queues)]
        self.lease = Lease(self.store, sorted(queues), announced, self.running, self._end_fenced, slots, settings.lease)
        self.steps = StepRunner(self.store.outcomes, publisher, self.redis)
        self.sweeper = Sweeper(self.steps, self.lease)
        self.delayed = DelayedPublisher(self.steps.publish)
        self.limits = ToolLimits(self.store, tools, self.delayed)
        self._passed_on = DelayedPublisher(self.steps.publish)
        self.passing = Passing(self.store, tools, self._passed_on)

    def start(self) -> None:
        """Register, begin to renew, and take part in the sweeping."""
        metrics.exposition.refreshed_by(self._write_metrics)
        self.lease.start()
        self.sweeper.start()

    def _write_metrics(self) -> None:
        metrics.WORKER_SLOTS.set(self._slots)
        metrics.WORKER_CALLS.set(len(self.running))
        metrics.STUCK_THREADS.set(self.invoker.stuck)
        for name, pool in (("claims", self.store.claims), ("outcomes", self.store.outcomes)):
            metrics.POOL_USED.set(pool.in_use, name)
            metrics.POOL_SIZE.set(pool.size, name)

    def suspect_messages(self) -> None:
        """Have jobs of these queues published again: a message was taken and not served, or may have been."""
        self.sweeper.suspect(self._queues)

    def replace_if_worn(self) -> None:
        """Replace this process if it is worn. Run this after a call's outcome: a handed-back call would wear out the
        next.
        """
        if self._replace and (reason := self.invoker.worn):
            self._replace(reason)

    def sign_off(self) -> None:
        """Retire the lease: others may take what is left here at once, and the process ends."""
        with self._stopping:
            self.lease.stop()
            if self.spans is not None:
                self.spans.close()

    def stop(self) -> None:
        """Sign off and close, once. Calls have ended, or others take them back."""
        self.sweeper.stop()
        self.delayed.stop()
        self._passed_on.stop()
        self.sign_off()
        with self._stopping:
            if not self._stopped:
                self._stopped = True
                self.invoker.loop.stop()
                self.redis.close()
                self.store.close()

    def hand_back(self) -> None:
        """Hand back what runs here. No call may run beside its next attempt, so async tools are stopped first.

        Those in threads end with the process, which must follow at once.
        """
        self.is_leaving.set()
        self.invoker.loop.stop(FENCE_SECONDS)
        handed = self._handed_back()
        for job in handed:
            metrics.count_if_over(job)
            logger.info("job handed back (%s): %s", job.id, job.state)
        if not handed or self.redis.ask((("PING",),)) is None:
            return  # any sweeper publishes them, as soon as Redis is back
        over = [job for job in handed if JobState(job.state) not in LIVE]
        for job in over:
            if job.gateway_id:
                self.redis.notify(job.gateway_id, job.session_id)
        self.steps.publish((job.id, job.queue) for job in handed if job not in over)

    def _handed_back(self) -> list[Any]:
        statement = transitions.hand_back(self.lease.worker_id)
        try:
            return rows(self.store.outcomes, statement)
        except psycopg.Error:  # a connection that had gone stale, or a deadlock: once more
            return rows(self.store.outcomes, statement)

    def _end_fenced(self, reason: str) -> None:
        """End the process: others take over what runs here. It writes no row and cleans up nothing."""
        logger.error("worker fenced: %s; exiting now, others take over %d running calls", reason, len(self.running))
        self.invoker.loop.stop(FENCE_SECONDS)
        os._exit(FENCED_EXIT)


def served_on(tools: Iterable[Tool], queues: Iterable[str]) -> list[Tool]:
    """Return the tools whose jobs arrive on these queues: those that the worker may announce."""
    wanted = set(queues)
    return [tool for tool in tools if tool.announcement.queue in wanted]

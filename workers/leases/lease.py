"""Lease of this process: the row that says that it lives. All calls that it runs depend on it.

The process renews its row every second. If it cannot, others take back what it held, and their attempt must not run
beside its own. So a process that has not renewed in time ends itself, `LeaseTimes.margin` before others may take over:
at once, without a write to Postgres (its tokens are void), and with an exit code that has a supervisor restart it.
There is no other way: a tool in a thread cannot be stopped from outside.

There are two threads, because one can hang: the first renews, the second only looks at the clock. How late that look
comes shows whether this process was held up, and by what.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Sequence
from secrets import token_hex
from threading import Event, Thread
from time import monotonic, process_time
from uuid import UUID

import psycopg

from ringback.errors import database_reason
from ringback.leases.lease import HoldUps, LeaseClock, LeaseTimes
from ringback.leases.renewal import LeaseConnection
from ringback.postgres.statement import Bound
from ringback.statements import processes
from ringback.statements.jobs import transitions
from ringback.telemetry import metrics
from ringback.tools.spec import ToolSpec
from workers.leases.in_flight import InFlightCalls
from workers.logs import ThrottledLogger
from workers.storage.database import LEASE_STATEMENT_SECONDS, Store, count, together

WATCH_SECONDS = 0.25
"""Interval of looks at the clock: small beside the second between this worker's end and the end of the lease."""
FENCED_EXIT = 75
"""EX_TEMPFAIL of sysexits.h: the program is sound, start it again."""
HELD_BY_TOOL = "a tool keeps the interpreter to itself (see docs/how-to/write-a-slow-tool.md)"

logger = logging.getLogger(__name__)
_throttled = ThrottledLogger(logger)


class Lease:
    """Registers this process, renews its row, and passes cancellations on to the calls it runs.

    Args:
        store: opens the connections.
        queues: what this process consumes.
        tools: what it announces: those of its tools whose jobs arrive on these queues.
        running: told which calls are cancelled.
        slots: how many calls this process runs at once.
        fenced: called with the reason when the lease is lost; must not return.
        times: how long the lease is.
    """

    def __init__(
        self,
        store: Store,
        queues: Sequence[str],
        tools: Sequence[ToolSpec],
        running: InFlightCalls,
        fenced: Callable[[str], None],
        slots: int = 1,
        times: LeaseTimes | None = None,
    ) -> None:
        self._store = store
        self._queues = queues
        self._tools = tools
        self._running = running
        self._fenced = fenced
        self._slots = slots
        self._times = times or LeaseTimes()
        self._registered = Event()
        self._ended = Event()
        self._thread = Thread(target=self._renew_until_ended, name="lease", daemon=True)
        self._clock = LeaseClock(monotonic(), self._times)
        self._hold_ups = HoldUps("this worker", HELD_BY_TOOL, WATCH_SECONDS, monotonic(), process_time())
        self._problem = ""
        self.worker_id = ""
        """Id that this worker's claims bear; empty until registered."""

    @property
    def held(self) -> bool:
        """Return true while this process may claim and finish jobs."""
        return self._registered.is_set() and not self._ended.is_set()

    @property
    def sheds(self) -> bool:
        """Return true while this process should take no new messages.

        It was held up a moment ago, or is not registered, and could claim none of their jobs.
        """
        return not self.held or self._hold_ups.sheds(monotonic())

    def start(self) -> None:
        """Begin to register, and keep trying until Postgres replies."""
        self._thread.start()

    def wait(self, seconds: float) -> bool:
        """Wait until registered; False if that took longer."""
        return self._registered.wait(seconds) and self.held

    def stop(self) -> None:
        """Retire the process: others may take what it still holds at once."""
        over = self._ended.is_set()
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(LEASE_STATEMENT_SECONDS)
        if over or not self._registered.is_set():
            return
        try:
            count(self._store.lease, processes.retire(self.worker_id))
        except psycopg.Error as problem:
            logger.warning("sign-off failed: %s; the lease will expire", database_reason(problem))

    def _renew_until_ended(self) -> None:
        connection = LeaseConnection(self._store.connect_lease)
        while not self._ended.is_set() and not self._register(connection):
            self._ended.wait(self._times.renew)
        Thread(target=self._watch_the_clock, name="lease-clock", daemon=True).start()
        renewal = processes.renew(self.worker_id, self._times.seconds)
        cancelled = transitions.cancelled_jobs(self.worker_id)
        asked = monotonic()
        # From one beginning to the next: a slow renewal must not make the next one late.
        while not self._ended.wait(max(0.0, asked + self._times.renew - monotonic())):
            asked = monotonic()
            if self._renew(connection, renewal) and len(self._running):  # without calls, none to cancel
                self._cancel(connection, cancelled)
        connection.close()

    def _register(self, connection: LeaseConnection) -> bool:
        """Register under a new id each time: a registration whose reply was lost must not stand in the way.

        It may take longer than a lease lasts, and nothing is held before its end. So the lease counts from a renewal,
        on the connection that the next ones use: that one statement is short.
        """
        host, pid = socket.gethostname(), os.getpid()
        worker_id = f"worker-{host}-{pid}-{token_hex(4)}"
        seconds, again = self._times.seconds, self._times.renew
        row = processes.register(worker_id, "worker", host, pid, self._queues, self._slots, lease_seconds=seconds)
        try:
            connection.open()
            together(self._store.lease, [row, *processes.announce(worker_id, self._tools)])
            asked = monotonic()
            if not connection.ask(processes.renew(worker_id, seconds)):
                _throttled.warning(
                    "registration failed: it took so long that this worker was declared lost; trying again in %g s",
                    again,
                )
                return False
        except psycopg.Error as problem:
            _throttled.warning("registration failed: %s; trying again in %g s", database_reason(problem), again)
            return False
        self._store.lease.close()  # it is idle until the end
        self.worker_id, self._clock = worker_id, LeaseClock(asked, self._times)
        self._hold_ups.begin(monotonic(), process_time())
        self._registered.set()
        names = ", ".join(tool.name for tool in self._tools)
        logger.info("worker registered (%s): it serves %s: %s", worker_id, ", ".join(self._queues), names)
        return True

    def _renew(self, connection: LeaseConnection, renewal: Bound) -> bool:
        asked = monotonic()  # before the renewal is sent: the lease runs from some moment after it
        try:
            if not connection.ask(renewal) and not self._ended.is_set():
                self._lose(f"this worker was declared lost; {self._why()}")
        except psycopg.Error as problem:
            self._problem = database_reason(problem)
            metrics.LEASE_FAILURES.inc()
            _throttled.warning("lease renewal failed: %s; trying again in %g s", self._problem, self._times.renew)
            return False
        self._clock.renewed(asked)
        self._problem = ""
        return True

    def _cancel(self, connection: LeaseConnection, cancelled: Bound) -> None:
        try:
            self._running.cancel(UUID(job_id) for job_id in connection.ask(cancelled))
        except psycopg.Error as problem:
            _throttled.warning("cancellation poll failed: %s; trying again", database_reason(problem))

    def _watch_the_clock(self) -> None:
        asked = monotonic()
        while not self._ended.wait(WATCH_SECONDS):
            metrics.WORKER_LAG.observe(monotonic() - asked - WATCH_SECONDS)
            metrics.exposition.refresh()
            asked = monotonic()
            if (held_up := self._hold_ups.ticked(monotonic(), process_time())) is not None:
                logger.warning("%s", held_up)
            if self._clock.must_stop(monotonic()):
                age = monotonic() - self._clock.renewed_at
                self._lose(f"the lease was not renewed for {age:.1f} s; {self._why()}")

    def _why(self) -> str:
        """Return what is known of why the lease was not renewed: Postgres, or this process itself."""
        return self._problem or self._hold_ups.since(self._clock.renewed_at) or "Postgres does not answer"

    def _lose(self, reason: str) -> None:
        self._ended.set()  # first of all: no claim or write may follow
        self._fenced(reason)

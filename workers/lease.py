"""The row that says this process lives. All that it runs hangs on it.

The process renews its row every second. When it cannot, others take back what it held, and their attempt must not
run beside ours. So a process that has not renewed for STOP_BEFORE_SECONDS ends itself, a second before anybody may
take over: at once, without a word to Postgres (its tokens are void), and with an exit code that has a supervisor
start it anew. It is the only way: a tool in a thread cannot be stopped from outside.

Two threads, because one can hang: the first renews, the second does nothing but look at the clock.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Sequence
from secrets import token_hex
from threading import Event, Thread
from time import monotonic

from sqlalchemy.exc import SQLAlchemyError

from ringback.lease import LeaseClock
from ringback.settings import RENEW_SECONDS, STOP_BEFORE_SECONDS
from ringback.statements import jobs, processes
from ringback.tools import Announcement
from workers.logs import Seldom
from workers.running import Running
from workers.store import LEASE_STATEMENT_SECONDS, Store, count, rows, together

WATCH_SECONDS = 0.1
"""How often the clock is looked at: small beside the second between our end and the end of the lease."""
FENCED_EXIT = 75
"""EX_TEMPFAIL of sysexits.h: nothing is wrong with this program, start it again."""

logger = logging.getLogger(__name__)
_seldom = Seldom(logger)


class Lease:
    """Registers this process, renews its row, and passes cancellations on to the calls it runs.

    Args:
        store: its `lease` connection is used, and nothing else uses that.
        queues: what this process consumes.
        tools: what it announces: those of its tools whose jobs arrive on these queues.
        running: told which calls nobody waits for any more.
        slots: how many calls this process runs at once.
        fenced: called with the reason when the lease is lost; must not return.
    """

    def __init__(
        self,
        store: Store,
        queues: Sequence[str],
        tools: Sequence[Announcement],
        running: Running,
        fenced: Callable[[str], None],
        slots: int = 1,
    ) -> None:
        self._store = store
        self._queues = queues
        self._tools = tools
        self._running = running
        self._fenced = fenced
        self._slots = slots
        self._registered = Event()
        self._ended = Event()
        self._thread = Thread(target=self._renew_until_ended, name="lease", daemon=True)
        self._clock = LeaseClock(monotonic())
        self.worker_id = ""
        """Whose claims ours are; empty until registered."""

    @property
    def held(self) -> bool:
        """True while this process may claim and finish jobs."""
        return self._registered.is_set() and not self._ended.is_set()

    def start(self) -> None:
        """Begin to register, and keep trying until Postgres answers."""
        self._thread.start()

    def wait(self, seconds: float) -> bool:
        """Wait until registered; False where that took longer."""
        return self._registered.wait(seconds) and self.held

    def stop(self) -> None:
        """End in order: what is still held may be taken at once."""
        over = self._ended.is_set()
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(LEASE_STATEMENT_SECONDS)  # or its connection would be closed under it
        if over or not self._registered.is_set():
            return
        try:
            count(self._store.lease, processes.retire(self.worker_id))
        except SQLAlchemyError as problem:
            logger.warning("could not sign off, the lease will run out: %s", problem)

    def _renew_until_ended(self) -> None:
        while not self._ended.is_set() and not self._register():
            self._ended.wait(RENEW_SECONDS)
        Thread(target=self._watch_the_clock, name="lease-clock", daemon=True).start()
        asked = monotonic()
        # From one beginning to the next: whatever a renewal waits for must not make the next one late.
        while not self._ended.wait(max(0.0, asked + RENEW_SECONDS - monotonic())):
            asked = monotonic()
            self._renew()

    def _register(self) -> bool:
        """Under a new id each time: a registration whose answer was lost must not stand in the way."""
        host, pid = socket.gethostname(), os.getpid()
        worker_id = f"worker-{host}-{pid}-{token_hex(4)}"
        asked = monotonic()
        try:
            together(
                self._store.lease,
                [
                    processes.register(worker_id, "worker", host, pid, self._queues, self._slots),
                    *processes.announce(worker_id, self._tools),
                ],
            )
        except SQLAlchemyError as problem:
            _seldom.warning("could not register, trying again (is the database migrated?): %s", problem)
            return False
        self.worker_id, self._clock = worker_id, LeaseClock(asked)
        self._registered.set()
        logger.info("%s serves %s: %s", worker_id, ", ".join(self._queues), ", ".join(t.name for t in self._tools))
        return True

    def _renew(self) -> None:
        asked = monotonic()  # before the question: the lease runs from some moment after it
        try:
            if count(self._store.lease, processes.renew(self.worker_id)) == 0 and not self._ended.is_set():
                self._lose("this process was declared dead")
            self._clock.renewed(asked)
            self._running.cancel(row.id for row in rows(self._store.lease, jobs.cancelled_on(self.worker_id)))
        except SQLAlchemyError as problem:
            _seldom.warning("could not renew the lease: %s", problem)

    def _watch_the_clock(self) -> None:
        while not self._ended.wait(WATCH_SECONDS):
            if self._clock.must_stop(monotonic()):
                self._lose(f"the lease could not be renewed for {STOP_BEFORE_SECONDS:g} s")

    def _lose(self, reason: str) -> None:
        self._ended.set()  # first of all: nothing may be claimed or written from here on
        self._fenced(reason)

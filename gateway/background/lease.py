"""The lease of this gateway: a thread renews it, and a task shows that the event loop turns.

The thread has a separate connection, and waits for no pool and no event loop. If the lease cannot be renewed, the
gateway keeps its conversations: while Postgres is away no other gateway can take them over. Only live calls it leaves
(`gateway.calls.desk`). If it was silent for so long that others may have taken some, it reads at once which it still
holds (`gateway.background.result_listener`); until then the rows refuse what it writes. If the event loop does not turn
for long, the thread stops renewing: the sessions are then better off on another gateway. Once others have them, it ends
the process (ADR 0108): clients that are connected here would hear silence for ever.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
import traceback
from collections.abc import Callable
from threading import Event, Thread, get_ident
from time import monotonic, process_time
from typing import Any

import psycopg

from gateway.storage.database import Store
from ringback.errors import database_reason
from ringback.leases.lease import HoldUps, LeaseClock, LeaseTimes
from ringback.leases.renewal import ANSWER_SECONDS, LeaseConnection
from ringback.postgres.statement import Bound
from ringback.privacy.encryption import KEY_BYTES
from ringback.statements import processes
from ringback.telemetry import metrics

TURN_SECONDS = 0.25
"""How often the event loop says that it turns: small beside the second that counts as a hold-up."""
VOUCH_SECONDS = 10.0
"""How long the lease is renewed while the event loop does not turn: users hear silence meanwhile."""
FRAMES_TOLD = 8
"""Of what a loop that hangs is in, the innermost first."""
LOOP_HELD = "something in it blocks the event loop"

log = logging.getLogger(__name__)


class Lease:
    """Lease of one gateway. One task, `watch_loop`, until it is cancelled; one thread from `register` to `retire`."""

    def __init__(
        self,
        gateway_id: str,
        store: Store,
        connect: Callable[[], psycopg.Connection[Any]],
        times: LeaseTimes | None = None,
    ) -> None:
        self._gateway_id = gateway_id
        self._store = store
        self._connection = LeaseConnection(connect)
        self._times = times or LeaseTimes()
        self._clock = LeaseClock(monotonic(), self._times)
        self._hold_ups = HoldUps("the gateway", LOOP_HELD, TURN_SECONDS, monotonic(), process_time())
        self._lapsed = asyncio.Event()
        self._ended = Event()
        self._steady_since = ""
        self.doorbell_key = os.urandom(KEY_BYTES)
        """Stands in the gateway's row: workers seal results with it that go along with a doorbell."""
        self._is_watched = False
        """True while the event loop is to say that it turns."""
        self._loop_thread = 0
        self._register = processes.register(
            *(gateway_id, "gateway", socket.gethostname(), os.getpid()),
            lease_seconds=self._times.seconds,
            doorbell_key=self.doorbell_key,
        )

    @property
    def is_current(self) -> bool:
        """False if the lease was not renewed for too long to take new sessions."""
        return not self._clock.must_stop(monotonic())

    def is_silent(self, seconds: float) -> bool:
        """Return True if the lease was not renewed for so many seconds."""
        return self._clock.is_silent(monotonic(), seconds)

    @property
    def sheds(self) -> bool:
        """True while this gateway should take no new sessions, because it was held up a moment ago."""
        return self._hold_ups.sheds(monotonic())

    async def register(self) -> None:
        """Write the gateway's row, and renew its lease from now on."""
        began = monotonic()
        (row,) = await self._store.rows(self._register)
        self._clock.renewed(began)
        self._steady_since = row.steady_since
        self._hold_ups.begin(monotonic(), process_time())
        loop, self._loop_thread = asyncio.get_running_loop(), get_ident()
        self._thread = Thread(target=self._renew_in_thread, args=(loop,), name="lease", daemon=True)
        self._thread.start()

    async def watch_loop(self) -> None:
        """Note four times a second that the event loop turns, and log when it did not. Refresh the metrics as often."""
        self._is_watched = True
        try:
            while True:
                asked = monotonic()
                await asyncio.sleep(TURN_SECONDS)
                metrics.LOOP_LAG.observe(monotonic() - asked - TURN_SECONDS)
                metrics.exposition.refresh()
                held_up = self._hold_ups.ticked(monotonic(), process_time())
                if held_up is not None:
                    log.warning("%s", held_up)
        finally:
            self._is_watched = False

    async def lapse_within(self, seconds: float) -> bool:
        """Wait so long. Return True at once if other gateways may have taken sessions of this one."""
        try:
            async with asyncio.timeout(seconds):
                await self._lapsed.wait()
        except TimeoutError:
            return False
        self._lapsed.clear()
        return True

    async def retire(self) -> None:
        """End the lease in order: other gateways may take the sessions at once."""
        self._ended.set()
        self._thread.join(ANSWER_SECONDS)  # may block the loop: no other task is left
        try:
            await self._store.count(processes.retire(self._gateway_id))
        except (psycopg.Error, OSError) as problem:
            log.warning("sign-off failed: %s; the lease runs out by itself", database_reason(problem))

    def _renew_in_thread(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            self._keep_renewing(loop)
        except Exception:
            log.critical("lease renewal ended by a fault; the process ends", exc_info=True)
            os._exit(70)  # as for a task of the gateway that fails (`gateway.app`)
        finally:
            self._connection.close()

    def _keep_renewing(self, loop: asyncio.AbstractEventLoop) -> None:
        renewal, again = processes.renew(self._gateway_id, self._times.seconds), self._times.renew
        asked, in_vain = monotonic(), 0
        while not self._ended.wait(max(0.0, asked + again - monotonic())):
            asked = monotonic()
            if asked - self._hold_ups.looked > VOUCH_SECONDS:
                in_vain += 1
                self._end_if_hung(in_vain)
                asked += TURN_SECONDS - again  # it may turn again, as after a pause
                continue
            in_vain = 0
            try:
                self._renew(renewal, asked, loop)
            except psycopg.Error as problem:
                metrics.LEASE_FAILURES.inc()
                log.warning("lease renewal failed: %s; trying again in %g s", database_reason(problem), again)

    def _end_if_hung(self, looks: int) -> None:
        """Tell that the loop does not turn. End the process once so many looks in a row took as long as its lease.

        The clock alone would not do: a process that was paused finds itself late, and turns in a moment.
        """
        if looks == 1:
            words = "lease not renewed: the event loop has not turned for %g s; renewing when it turns"
            log.error(words, VOUCH_SECONDS)
        if self._is_watched and looks * TURN_SECONDS > self._times.seconds:
            stack = traceback.extract_stack(sys._current_frames().get(self._loop_thread))[-FRAMES_TOLD:]
            where = ", called by ".join(f"{each.name} ({each.filename}:{each.lineno})" for each in reversed(stack))
            log.critical("the event loop hangs; the process ends, as others take its sessions. It is in %s", where)
            os._exit(70)

    def _renew(self, renewal: Bound, asked: float, loop: asyncio.AbstractEventLoop) -> None:
        (steady_since,) = self._connection.ask(renewal) or [""]
        lapse = "lease had run out, or nearly" if steady_since != self._steady_since else ""
        if not steady_since:
            if self._ended.is_set():
                return
            lapse = "lease row gone, after a long silence; registered again"
            (steady_since,) = self._connection.ask(self._register)
        self._clock.renewed(asked)
        self._steady_since = steady_since
        if lapse:
            # Only now that the row is renewed, and no other process takes sessions any more: the look finds all taken.
            log.warning("%s; reading at once which sessions are still held here", lapse)
            loop.call_soon_threadsafe(self._lapsed.set)

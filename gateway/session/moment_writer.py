"""Writes what the user has heard, and when both sides spoke, behind the talk and never in its way.

What comes within half a second is one batch, with those of all sessions of the process: the results that were spoken or
heard in one statement, the moments in another. A result is first said to be with its conversation
(`delivery_recorder`), then to be heard. While Postgres is away both wait here, within a bound; what is given up, or was
here when the process was killed, is unknown.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from functools import partial
from uuid import UUID

import psycopg

from gateway.conversation.actions import Guarded
from gateway.retry import until_done
from gateway.session.context import GatewayContext, SessionState
from gateway.session.delivery_recorder import DeliveryRecorder
from gateway.small_event import Errand
from gateway.storage.gathered_writes import Run, in_steps, next_beat
from ringback.history.operators import MAX_REASON, ActName
from ringback.moments import MOMENTS_AT_MOST, Moment
from ringback.statements.jobs import deliveries
from ringback.statements.jobs.deliveries import Told
from ringback.statements.operators import audit
from ringback.statements.sessions import moments
from ringback.telemetry import metrics

log = logging.getLogger(__name__)

GATHER_SECONDS = 0.5
"""Between two batches: a turn makes some moments, and no reader needs them sooner."""
AT_ONCE = 200
"""Moments of one statement: after an outage what has gathered is written in steps."""
MAX_WAITING = 1_000
"""Moments, and results, that wait for Postgres: an hour of talk. Beyond it the oldest is given up."""
GUARD = "guard"
"""Who acts, in the audit log."""
AGAIN_SECONDS = 0.5
"""After a failed attempt: a Postgres that restarts is back within seconds."""


class MomentWriter:
    """Moments of one session, and what was heard of its results, that the rows do not hold yet."""

    def __init__(
        self,
        gateway: GatewayContext,
        session: SessionState,
        recorder: DeliveryRecorder,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._gateway = gateway
        self._gathered = gateway.gathered.of(session.session_id)
        self._session = session
        self._recorder = recorder
        self._clock = clock
        self._moments: dict[int, Moment] = {}
        self._told: dict[tuple[UUID, str], Told] = {}
        self._number = 0
        self._is_counted = not session.is_resumed
        """The moments that the session has from earlier connections of its client are counted in `_number`."""
        self._writes = Errand(self._write_heard, session.errands, _next_batch)
        self._flushing = asyncio.Lock()
        """One write at a time: two would both count the moments of earlier connections."""

    def keep(self, happened: Iterable[Moment]) -> None:
        """Have these moments written soon; returns at once."""
        for moment in happened:
            if self._number < MOMENTS_AT_MOST:
                self._number += 1
                self._moments[self._number] = moment
        while len(self._moments) > MAX_WAITING:
            del self._moments[next(iter(self._moments))]
        self._writes.ask()

    def note(self, told: Iterable[Told]) -> None:
        """Have it written soon which results were spoken and heard; returns at once. The newest of each counts."""
        for each in told:
            self._told[each.job_id, each.answer_id] = each
        while len(self._told) > MAX_WAITING:
            del self._told[next(iter(self._told))]
        self._writes.ask()

    async def _write_heard(self) -> None:
        await until_done(partial(self.flush, self._gathered), AGAIN_SECONDS)

    async def flush(self, run: Run | None = None) -> bool:
        """Write all that waits. Return False if it cannot be written now.

        Args:
            run: runs the statements, and what comes meanwhile waits for the next beat; None: at once, without those of
                other sessions, until nothing waits.
        """
        async with self._flushing:
            return await self._flush(run)

    async def _flush(self, run: Run | None) -> bool:
        try:
            return await self._write_told(run or self._gateway.store.rows) and await self._write_moments(run)
        except psycopg.DataError:
            log.exception("moments given up: session %s; Postgres refuses them", self._session.session_id)
            self._moments.clear()
            self._told.clear()
            return True
        except (psycopg.Error, OSError) as problem:
            log.warning(
                "moments not written: session %s (%s); trying again in %g s",
                *(self._session.session_id, type(problem).__name__, AGAIN_SECONDS),
            )
            return False

    async def _write_told(self, run: Run) -> bool:
        """Write what was heard of results. A row that takes none of it knows better, or is another gateway's by now."""
        news = dict(self._told)
        if not news:
            return True
        link = self._session.link
        if link is not None and not await self._recorder.write(link, run, {job_id for job_id, _ in news}):
            return False
        held = self._session.session_id, self._gateway.gateway_id, self._session.epoch
        rows = await run(deliveries.note_told(*held, news.values(), self._clock()))
        for key, told in news.items():
            if self._told.get(key) is told:  # unless more is known meanwhile
                del self._told[key]
        for row in rows:
            if row.is_new:
                self._gateway.on_heard(row.tool, row.queue, float(row.waited))
        return True

    async def _write_moments(self, run: Run | None) -> bool:
        """Write moments, the oldest first. Return False if none was written: another epoch may have begun."""
        if not self._is_counted:
            await self._count_earlier()
        while waiting := list(self._moments.items()):
            for batch in in_steps(waiting, AT_ONCE):
                held = self._session.session_id, self._gateway.gateway_id, self._session.epoch
                rows = await (run or self._gateway.store.rows)(moments.save(*held, batch, self._clock()))
                if not rows:
                    return False
                for number, _ in batch:
                    self._moments.pop(number, None)
            if run is not None:
                break
        return True

    async def _count_earlier(self) -> None:
        (found,) = await self._gateway.store.rows(moments.count(self._session.session_id))
        self._is_counted = True
        room = max(0, MOMENTS_AT_MOST - found.number)
        self._moments = dict(list(self._moments.items())[:room])
        self._number += found.number


async def _next_batch() -> None:
    await next_beat(GATHER_SECONDS)


class GuardAudit:
    """Writer of what the guard of a call has found, into the audit log. It waits for no row, and loses none in order.

    What cannot be written is tried again with the next finding, and as the session leaves.
    """

    def __init__(self, gateway: GatewayContext, session: SessionState) -> None:
        self._gateway = gateway
        self._session = session
        self._waiting: list[Guarded] = []
        self._writing = asyncio.Lock()

    def keep(self, found: Guarded) -> None:
        """Have a finding written; returns at once."""
        session_id = self._session.session_id
        log.warning("call guarded: session %s, %s (%s); %s", session_id, found.what, found.detail, found.did)
        metrics.GUARDED.inc(found.what, found.did)
        self._waiting.append(found)
        del self._waiting[:-MAX_WAITING]
        self._session.tasks.create_task(self.flush())

    async def flush(self) -> None:
        """Write all that waits, each once however many tasks ask for it."""
        async with self._writing:
            await self._write()

    async def _write(self) -> None:
        while self._waiting:
            found = self._waiting[0]
            reason = f"{found.what}: {found.did} ({found.detail})"[:MAX_REASON]
            whose = self._session.principal.tenant, GUARD, f"gateway:{self._gateway.gateway_id}"
            try:
                await self._gateway.store.count(
                    audit.note(*whose, str(ActName.GUARD), str(self._session.session_id), reason)
                )
            except (psycopg.Error, OSError) as problem:
                log.warning("audit not written: session %s (%s)", self._session.session_id, type(problem).__name__)
                return
            if self._waiting and self._waiting[0] is found:
                del self._waiting[0]

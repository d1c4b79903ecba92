"""Reads the results of a session that are ready, and records in their rows how far each one came.

No durable commit stands between a result and its conversation. The process that holds the epoch remembers which results
it has given to the conversation, and writes that down behind the send: once for all that were given and echoed
meanwhile. If the process dies before that, its conversation ends with its connection. The rows still say `ready`, and
the next epoch gets the results (ADR 0052).

The conversation of a call outlives its connection. A result that was lost with one would be missing there for good. So
the row of a call's result says `ready` until the conversation is known to have it: it was echoed, or told (ADR 0109).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence, Set
from typing import Any
from uuid import UUID

import psycopg

from gateway.session.context import GatewayContext, SessionState, UpstreamLink
from gateway.storage.gathered_writes import Run, next_beat
from ringback.statements.jobs import deliveries

log = logging.getLogger(__name__)

ECHO_SECONDS = 0.25
"""How long the record of a result waits for its echo, to write both at once. Most servers echo within 0.1 s."""


class DeliveryRecorder:
    """Recorder of one session's deliveries. Each link has its own memory of what its conversation was given."""

    def __init__(self, gateway: GatewayContext, session: SessionState) -> None:
        self._gateway = gateway
        self._gathered = gateway.gathered.of(session.session_id)
        self._session = session
        self._writing = asyncio.Lock()
        """One write at a time: of two at a beat, the second finds nothing left to write."""

    async def ready(self, link: UpstreamLink) -> Sequence[Any]:
        """Return the rows of results that are ready and that this conversation was not given.

        Raises:
            psycopg.Error, OSError: Postgres does not answer.
        """
        if link.given:  # an earlier record of these may have failed
            self._write_soon(link)
        session_id, reads = self._session.session_id, self._gateway.ready_reads
        ready = deliveries.read_ready(session_id, self._gateway.gateway_id, link.epoch, given=link.given)
        return await reads.rows(session_id, ready)

    def given(self, link: UpstreamLink, job_id: UUID) -> None:
        """Note that the conversation is given this result now; its row hears of it soon."""
        link.given.add(job_id)
        link.all_echoed.clear()
        self._write_soon(link)

    def echoed(self, link: UpstreamLink, job_id: UUID, position: int) -> None:
        """Note that the server has shown this result, when the conversation had come to this position."""
        link.given.add(job_id)
        link.echoed[job_id] = position
        if len(link.echoed) == len(link.given):
            link.all_echoed.set()
        self._write_soon(link)

    async def write(self, link: UpstreamLink, run: Run | None = None, told: Set[UUID] = frozenset()) -> bool:
        """Write into the rows what the conversation has. Return False if Postgres does not take it now.

        Args:
            run: runs the statement; None: at once, without those of other sessions.
            told: jobs whose result a response has told.
        """
        async with self._writing:
            return await self._write(link, run or self._gateway.store.rows, told)

    async def _write(self, link: UpstreamLink, run: Run, told: Set[UUID]) -> bool:
        given, echoed = frozenset(self._known(link, told)), dict(link.echoed)
        if not given:
            return True
        held = self._session.session_id, self._gateway.gateway_id, link.epoch
        position = max(echoed.values(), default=None)
        try:
            await run(deliveries.mark(*held, given, echoed, position))
        except (psycopg.Error, OSError) as problem:
            # The next look or echo, or the end of the session, writes these too.
            log.warning("delivery not recorded: %d jobs (%s); trying again", len(given), type(problem).__name__)
            return False
        for job_id in echoed:
            link.echoed.pop(job_id, None)
        link.given.difference_update(given - link.echoed.keys())  # some may have been echoed meanwhile
        return True

    def _known(self, link: UpstreamLink, told: Set[UUID] = frozenset()) -> Set[UUID]:
        """Return the results of which the rows may say that the conversation has them."""
        if self._session.call is None:
            return link.given
        return link.given & (link.echoed.keys() | told)

    def _write_soon(self, link: UpstreamLink) -> None:
        if self._known(link) and not link.is_marking:  # else the running task takes these along
            link.is_marking = self._session.handle.is_marking = True
            self._session.tasks.create_task(self._write_behind(link))

    async def _write_behind(self, link: UpstreamLink) -> None:
        """Write until the rows say all, at beats: each time once the server has echoed what it was sent, or is late."""
        try:
            is_written = True
            while self._known(link) and is_written:
                await _set_within(link.all_echoed, ECHO_SECONDS)
                await next_beat()
                is_written = await self.write(link, self._gathered)
        finally:
            link.is_marking = self._session.handle.is_marking = False


async def _set_within(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return

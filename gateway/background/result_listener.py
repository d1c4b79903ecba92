"""Listens for finished jobs of this gateway's sessions, and wakes those sessions.

The doorbell, a Redis Stream of this gateway, makes it quick. It may bring a result along, sealed by the worker; else
the session takes that from its row. A poll of the table, once a second, makes it certain.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from itertools import count
from typing import Any
from uuid import UUID

import psycopg
from redis.asyncio import Redis

from gateway.background.lease import Lease
from gateway.live_sessions import SessionRegistry
from gateway.storage.database import Store
from gateway.storage.redis_client import REDIS_TROUBLE
from ringback.errors import database_reason
from ringback.redis.notifications import Ring, heard, stream_of
from ringback.redis.sealed_results import SealedResults
from ringback.statements.sessions import calls, lifecycle

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0
"""A lost doorbell delays a result by at most this, or twice as long if its session records other results just then."""
RARELY = 30
"""Polls of which a gateway without a session makes one, even if no look has found that a row names it."""
LISTEN_MS = 5_000
"""How long one XREAD waits; a dead connection is noticed by then."""
SOCKET_SECONDS = LISTEN_MS / 1_000 + 2
"""Longer than the XREAD that it carries."""
PAUSE_SECONDS = 0.5
"""Between attempts while Redis is away."""


class ResultListener:
    """Two tasks: `listen` and `poll`. Both run until they are cancelled, also while Redis or Postgres is away.

    Args:
        store: for `poll` alone, on a connection that is shared with no other task.
        lease: has the key to what doorbells bring.
        held: set when rows name this gateway as the one that holds them.
    """

    def __init__(
        self,
        redis_url: str,
        store: Store,
        live_sessions: SessionRegistry,
        lease: Lease,
        gateway_id: str,
        held: asyncio.Event | None = None,
    ) -> None:
        self._redis = Redis.from_url(
            redis_url,
            single_connection_client=True,  # One task listens: a pool would cost a fifth of each XREAD.
            decode_responses=True,
            encoding_errors="replace",  # An entry that is none of ours must not end the gateway.
            protocol=2,  # Redis and Valkey answer XREAD in another shape in RESP3.
            socket_connect_timeout=1,
            socket_timeout=SOCKET_SECONDS,
        )
        self._store = store
        self._live_sessions = live_sessions
        self._lease = lease
        self._gateway_id = gateway_id
        self._held = held or asyncio.Event()
        self._sealed_results = SealedResults(lease.doorbell_key)

    async def listen(self) -> None:
        """Wake each session that the doorbell names."""
        stream, last = stream_of(self._gateway_id), "0"
        while True:
            try:
                entries: Any = await self._redis.xread({stream: last}, block=LISTEN_MS, count=100)
            except REDIS_TROUBLE as problem:
                log.warning("doorbell silent (%s: %s); polling the table instead", type(problem).__name__, problem)
                await asyncio.sleep(PAUSE_SECONDS)
                continue
            for _, rings in entries:
                last = rings[-1][0]
                for ring in filter(None, (heard(fields) for _, fields in rings)):
                    self._pass_on(ring)
            await asyncio.sleep(0)  # they read their results before this listens again

    def _pass_on(self, ring: Ring) -> None:
        """Bring the session its result. If none came along, or it may not count any more, wake it to read."""
        result = None
        if ring.sealed is not None and not self._may_have_lost_sessions:
            result = self._sealed_results.open(ring.session_id, ring.sealed)
        if result is None:
            self._live_sessions.wake((ring.session_id,))
        else:
            self._live_sessions.bring(ring.session_id, result)

    @property
    def _may_have_lost_sessions(self) -> bool:
        """True if other gateways may take sessions of this one, or its calls, which they take sooner."""
        return not self._lease.is_current or self._lease.is_silent(calls.SILENT_SECONDS)

    async def poll(self) -> None:
        """Wake each session that has a result ready. End each that another gateway holds, or that must end.

        Once a second; far more rarely if no session is here, and no row names this gateway.
        """
        orphans: set[UUID] = set()
        for number in count():
            is_early = await self._lease.lapse_within(POLL_SECONDS)
            if not (len(self._live_sessions) or orphans or self._held.is_set()) and number % RARELY:
                continue
            self._held.clear()
            before = self._live_sessions.held()
            try:
                mine = await self._store.rows(lifecycle.held_sessions(self._gateway_id))
            except (psycopg.Error, OSError) as problem:
                log.warning("poll for results failed: %s; polling again", database_reason(problem))
                continue
            held = {row.id: row.epoch for row in mine}
            self._live_sessions.terminate_each({row.id: row.end_wanted for row in mine if row.end_wanted})
            for lost in self._live_sessions.terminate_all_but(held, before):
                log.warning("session lost: %s, another gateway holds it now; it ends here", lost)
            self._live_sessions.wake_waiting(row.id for row in mine if row.is_waiting)
            if is_early:
                continue
            # Twice in a row, a second apart: a session that begins or ends just now is no orphan.
            await self._release({each: held[each] for each in orphans & self._live_sessions.orphans(held)})
            orphans = self._live_sessions.orphans(held)

    async def _release(self, orphans: Mapping[UUID, int]) -> None:
        """Release sessions whose beginning or end failed: this gateway would never answer in them."""
        for session_id, epoch in orphans.items():
            log.warning(
                "orphaned session %s: its row names this gateway, which does not hold it; releasing it", session_id
            )
            try:
                if not await self._store.count(lifecycle.detach(session_id, self._gateway_id, epoch)):
                    await self._store.count(lifecycle.end_session(session_id, self._gateway_id, epoch, "gateway_lost"))
            except (psycopg.Error, OSError):
                return  # the next poll finds them again

    async def close(self) -> None:
        await self._redis.aclose()

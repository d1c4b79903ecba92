"""What any process does for all of them: take back, time out, publish again. Any number may sweep at once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Event, Thread
from typing import Any
from uuid import UUID

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from ringback.jobs import LIVE, JobState
from ringback.settings import SWEEP_SECONDS
from ringback.statements import processes, sweeps
from ringback.statements.sessions import owners
from workers.lease import Lease
from workers.logs import Seldom
from workers.store import count, rows

STOP_SECONDS = 2.0
"""How long the end of a round is waited for; it takes milliseconds."""
FORGET_EVERY = 120
"""Sweeps: about once a minute, rows of processes that are long gone are removed."""

Publish = Callable[[UUID, str], None]
"""Publish a job's id to a queue; raises where the broker cannot be reached."""
Ring = Callable[[str, UUID], None]
"""Ring a gateway about a session; never raises."""

logger = logging.getLogger(__name__)
_seldom = Seldom(logger)


def sweep(engine: Engine, sweeper_id: str, publish: Publish, ring: Ring) -> int:
    """One round; returns how many jobs were published. `sweeper_id` is the process that declares others lost.

    Jobs that are taken back come before the publishing, so that the same round sends them out again.
    """
    rows(engine, sweeps.let_go_lost_sessions(sweeper_id))
    lost = rows(engine, sweeps.take_back_lost(sweeper_id))
    overdue = rows(engine, sweeps.time_out_overdue())
    count(engine, sweeps.keep_late_answers())
    for row in [*lost, *overdue]:
        logger.info("job %s swept: %s", row.id, row.state)
    _ring_owners(engine, ring, [row for row in [*lost, *overdue] if JobState(row.state) not in LIVE])
    return _publish_due(engine, publish)


def _ring_owners(engine: Engine, ring: Ring, finished: list[Any]) -> None:
    if finished:
        for session in rows(engine, owners({row.session_id for row in finished})):
            ring(session.gateway_id, session.id)


def _publish_due(engine: Engine, publish: Publish) -> int:
    """A broker that refuses one message refuses them all: the rest is due again in a few seconds."""
    published = 0
    for row in rows(engine, sweeps.publish_due()):
        try:
            publish(row.id, row.queue)
        except Exception as problem:
            _seldom.warning("could not publish, will be tried again: %s: %s", type(problem).__name__, problem)
            break
        published += 1
    return published


class Sweeper:
    """Sweeps twice a second, in a thread, until it is stopped."""

    def __init__(self, engine: Engine, lease: Lease, publish: Publish, ring: Ring) -> None:
        self._engine = engine
        self._lease = lease
        self._publish = publish
        self._ring = ring
        self._ended = Event()
        self._thread = Thread(target=self._sweep_until_ended, name="sweeper", daemon=True)

    def start(self) -> None:
        """Begin, with a first round at once."""
        self._thread.start()

    def stop(self) -> None:
        """No further round begins, and the one under way is over, unless Postgres stands still."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)

    def _sweep_until_ended(self) -> None:
        done = 0
        while not self._ended.is_set():
            try:
                if self._lease.held:
                    sweep(self._engine, self._lease.worker_id, self._publish, self._ring)
                if done % FORGET_EVERY == 0:
                    count(self._engine, processes.forget_old())
            except SQLAlchemyError as problem:
                _seldom.warning("could not sweep: %s", problem)
            done += 1
            self._ended.wait(SWEEP_SECONDS)

"""Writes outcomes, and notifies the gateways that wait for them: those that come at one time in one statement.

An outcome is a durable commit, and costs little more for several rows. So outcomes that come while one is being written
gather in a batch behind it, and the first thread of the batch writes it for the others. An outcome that is alone waits
for nothing. It is the shape of `gateway.storage.gathering`, for threads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Event, Lock
from types import MappingProxyType
from typing import Any
from uuid import UUID

import psycopg
from msgspec import Struct, structs

from ringback.jobs.states import Delivery
from ringback.postgres.connections import is_cut
from ringback.postgres.statement import Bound
from ringback.redis.sealed_results import CarriedResult
from ringback.statements.jobs.finishing import finish_all
from workers.storage.connection_pool import ConnectionPool
from workers.storage.database import first, rows
from workers.storage.gateway_keys import GatewayKeys
from workers.storage.redis_client import RedisClient

OUTCOMES_AT_ONCE = 100
"""Outcomes in one statement: their values travel in one message."""
PATIENCE_SECONDS = 0.25
"""How long a batch waits for the one under way: if Postgres is slow with that one, it may be quick with others."""


class Success(Struct, frozen=True):
    """Result of a call that succeeded, which may go along with the doorbell.

    Args:
        ended_at: when the function ended, in Unix seconds.
    """

    call_id: str
    tool: str
    result: Any
    ended_at: float


@dataclass(slots=True, eq=False)
class Batch:
    """Outcomes by job, each as its own statement, and the rows that were changed once it is over.

    Args:
        successes: of those jobs whose result may go along with the doorbell.
        problem: why Postgres did not answer, or refused an outcome that was alone.
    """

    of: dict[UUID, Bound]
    successes: dict[UUID, Success] = field(default_factory=dict)
    found: dict[UUID, Any] = field(default_factory=dict)
    problem: psycopg.Error | None = None
    over: Event = field(default_factory=Event)

    def takes(self, job_id: UUID, finish: Bound, success: Success | None = None) -> bool:
        """Add the outcome, if there is room and none of this job is in it yet."""
        if job_id in self.of or len(self.of) >= OUTCOMES_AT_ONCE:
            return False
        self.of[job_id] = finish
        if success is not None:
            self.successes[job_id] = success
        return True


NO_SUCCESSES: Mapping[UUID, Success] = MappingProxyType({})


class OutcomeWriter:
    """Writer of the outcomes of one process.

    Args:
        pool: connections whose commits are durable.
        keys: seal the results that go along with a doorbell.
    """

    def __init__(self, pool: ConnectionPool, redis: RedisClient, keys: GatewayKeys) -> None:
        self._pool = pool
        self._redis = redis
        self._keys = keys
        self._lock = Lock()
        self._under_way: Batch | None = None
        self._next: Batch | None = None
        """Waits for the one under way, and takes more until then."""

    def write(self, job_id: UUID, finish: Bound, success: Success | None = None) -> Any | None:
        """Run the statement, together with others if it can be, and notify; return its row, or None if it matched none.

        Args:
            success: the result, if it may go along with the doorbell; None: it is to be read from its row.

        Raises:
            psycopg.Error: as `database.first`.
        """
        batch = self._batch_with(job_id, finish, success)
        if batch.problem is not None:
            raise batch.problem
        if job_id in batch.found or len(batch.of) == 1:
            return batch.found.get(job_id)
        row = first(self._pool, finish)  # the others were refused with one of them, or its row was locked
        self.notify({job_id: row}, batch.successes)
        return row

    def notify(self, written: Mapping[UUID, Any], successes: Mapping[UUID, Success] = NO_SUCCESSES) -> None:
        """Notify the gateways whose conversations wait for these rows, by job."""
        rings = [
            (row.gateway_id, row.session_id, self._sealed(job_id, row, successes.get(job_id)))
            for job_id, row in written.items()
            if row is not None and row.delivery == Delivery.READY and row.gateway_id
        ]
        if rings:
            self._redis.notify_all(rings)

    def _sealed(self, job_id: UUID, row: Any, success: Success | None) -> str | None:
        if success is None:
            return None
        carried = CarriedResult(job_id, row.epoch, *structs.astuple(success))
        return self._keys.seal(row.gateway_id, row.session_id, carried)

    def _batch_with(self, job_id: UUID, finish: Bound, success: Success | None) -> Batch:
        """Return the batch that has this outcome, once it is over."""
        with self._lock:
            batch, before = self._next, self._under_way
            leads = batch is None or not batch.takes(job_id, finish, success)
            if batch is None or leads:
                batch = Batch({})
                batch.takes(job_id, finish, success)
                if before is None:
                    self._under_way = batch
                else:
                    self._next = batch
        if leads:
            self._lead(batch, before)
        else:
            batch.over.wait()
        return batch

    def _lead(self, batch: Batch, before: Batch | None) -> None:
        if before is not None:
            before.over.wait(PATIENCE_SECONDS)
            with self._lock:
                self._under_way = batch
                if self._next is batch:
                    self._next = None
        try:
            self._write(batch)
        finally:
            with self._lock:
                if self._under_way is batch:
                    self._under_way = self._next
            batch.over.set()

    def _write(self, batch: Batch) -> None:
        """Write the outcomes. If Postgres refuses a statement of several, each is to be written alone."""
        runs = list(batch.of.items())
        try:
            if len(runs) == 1:
                job_id, finish = runs[0]
                batch.found = {job_id: first(self._pool, finish)}
            else:
                batch.found = {row.job_id: row for row in rows(self._pool, finish_all([each for _, each in runs]))}
        except psycopg.Error as problem:
            if len(runs) == 1 or is_cut(problem):
                batch.problem = problem
            return
        self.notify(batch.found, batch.successes)

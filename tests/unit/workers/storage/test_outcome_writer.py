"""Outcomes that come at one time are one statement; one that is alone waits for nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.types.json import Json

from ringback.jobs.outcomes import succeeded
from ringback.jobs.states import Delivery
from ringback.postgres.kept import Answer
from ringback.postgres.statement import Bound
from ringback.redis.sealed_results import CarriedResult
from ringback.statements.jobs.transitions import finish
from workers.storage import outcome_writer
from workers.storage.outcome_writer import OutcomeWriter, Success

FIRST, A, B, C = (UUID(int=number) for number in range(1, 5))
SUCCESS = Success("call", "work", "done", 1.0)
PATIENCE = 20.0
"""Seconds until a test says that an expected event did not happen."""


def outcome(job: UUID) -> Bound:
    """The outcome of a job, whose token is its id here."""
    return finish(job, job, succeeded("done"))


def jobs_of(parameters: Sequence[Any]) -> list[UUID]:
    if alone := {each for each in parameters if isinstance(each, UUID)}:
        return list(alone)
    (records,) = (each for each in parameters if isinstance(each, Json))
    return [UUID(record["job_id"]) for record in records.obj]


class Postgres:
    """A pool that notes the jobs of each statement, and holds up those of `FIRST` until it is told to go on.

    Args:
        fails: returns why a statement for these jobs fails.
        leaves_out: jobs without a row.
        left_out_together: jobs without a row in a statement of several.
    """

    def __init__(
        self,
        fails: Callable[[list[UUID]], Exception | None] = lambda _: None,
        leaves_out: Sequence[UUID] = (),
        left_out_together: Sequence[UUID] = (),
    ) -> None:
        self.asked: list[list[UUID]] = []
        self.under_way, self.may_go_on = Event(), Event()
        self._fails, self._leaves_out, self._left_out_together = fails, leaves_out, left_out_together

    @contextmanager
    def connection(self) -> Iterator[Any]:
        yield SimpleNamespace(prepare_threshold=1, kept=SimpleNamespace(run=self._run), wait=lambda answer: answer)

    def _run(self, statement: Bound) -> Answer:
        jobs = jobs_of(statement.parameters)
        self.asked.append(jobs)
        if FIRST in jobs:
            self.under_way.set()
            assert self.may_go_on.wait(PATIENCE)
        if (problem := self._fails(jobs)) is not None:
            raise problem
        out = [*self._leaves_out, *(self._left_out_together if len(jobs) > 1 else ())]
        rows = [_row(job) for job in jobs if job not in out]
        return Answer(rows, len(rows))


def _row(job: UUID) -> Any:
    return SimpleNamespace(job_id=job, session_id=job, delivery=Delivery.READY, gateway_id="gw", epoch=3)


class Doorbells:
    """Redis, as far as it is notified."""

    def __init__(self) -> None:
        self.trips: list[set[UUID]] = []
        self.brings: dict[UUID, str | None] = {}

    def notify_all(self, each: Sequence[tuple[str, UUID, str | None]]) -> None:
        self.trips.append({session for _, session, _ in each})
        self.brings |= {session: sealed for _, session, sealed in each}


class Keys:
    """Seals a result by naming it."""

    def seal(self, gateway_id: str, session_id: UUID, carried: CarriedResult) -> str:
        return f"{gateway_id} {session_id} {carried.job_id} {carried.epoch} {carried.result}"


class Worker:
    """Writer of outcomes, and the threads that have some."""

    def __init__(self, postgres: Postgres, threads: ThreadPoolExecutor) -> None:
        pool: Any = postgres
        redis: Any = Doorbells()
        keys: Any = Keys()
        self.postgres, self._threads = postgres, threads
        self.redis: Doorbells = redis
        self.writer = OutcomeWriter(pool, redis, keys)

    def write(self, job: UUID, success: Success | None = None) -> Future[Any]:
        return self._threads.submit(self.writer.write, job, outcome(job), success)

    def behind_the_first(self, *jobs: UUID) -> list[Future[Any]]:
        """Write these while the outcome of `FIRST` is under way, and let it go on once they wait for it."""
        first = self.write(FIRST)
        assert self.postgres.under_way.wait(PATIENCE)
        written = []
        for number, job in enumerate(jobs, 1):
            written.append(self.write(job))
            self.until_waiting(number)
        self.postgres.may_go_on.set()
        first.result(PATIENCE)
        return written

    def until_waiting(self, number: int) -> None:
        """Return once so many outcomes wait for the one under way."""
        for _ in range(int(PATIENCE / 0.001)):
            if (batch := self.writer._next) is not None and len(batch.of) == number:
                return
            Event().wait(0.001)
        raise AssertionError(f"{number} outcomes do not wait")


@pytest.fixture
def at_work(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Postgres], Worker]]:
    monkeypatch.setattr(outcome_writer, "PATIENCE_SECONDS", PATIENCE)
    with ThreadPoolExecutor(8) as threads:
        yield lambda postgres: Worker(postgres, threads)


At = Callable[[Postgres], Worker]


def ids(written: Sequence[Future[Any]]) -> list[UUID | None]:
    return [row and row.session_id for row in (each.result(PATIENCE) for each in written)]


def test_an_outcome_that_is_alone_is_the_statement_that_it_always_was(at_work: At) -> None:
    worker = at_work(Postgres())
    for job in (A, B):
        assert ids([worker.write(job)]) == [job]
    assert worker.postgres.asked == [[A], [B]]
    assert worker.redis.trips == [{A}, {B}]


def test_those_that_come_while_one_is_under_way_are_one_statement_and_one_trip_to_redis(at_work: At) -> None:
    worker = at_work(Postgres())
    assert ids(worker.behind_the_first(A, B, C)) == [A, B, C]
    assert worker.postgres.asked == [[FIRST], [A, B, C]]
    assert worker.redis.trips == [{FIRST}, {A, B, C}]
    assert ids([worker.write(A)]) == [A], "and what comes later waits for nothing"


def test_a_result_goes_along_with_its_doorbell_if_it_may(at_work: At) -> None:
    worker = at_work(Postgres(leaves_out=[C]))
    first = worker.write(FIRST, Success("call", "work", "one", 1.0))
    assert worker.postgres.under_way.wait(PATIENCE)
    rest = [worker.write(A, Success("call", "work", "two", 1.0)), worker.write(B), worker.write(C, SUCCESS)]
    worker.until_waiting(3)
    worker.postgres.may_go_on.set()
    assert ids([first, *rest]) == [FIRST, A, B, None]
    assert worker.redis.brings == {FIRST: f"gw {FIRST} {FIRST} 3 one", A: f"gw {A} {A} 3 two", B: None}


def test_a_result_goes_along_though_its_outcome_was_left_out_of_a_batch(at_work: At) -> None:
    worker = at_work(Postgres(left_out_together=[B]))
    first = worker.write(FIRST)
    assert worker.postgres.under_way.wait(PATIENCE)
    rest = [worker.write(A), worker.write(B, SUCCESS)]
    worker.until_waiting(2)
    worker.postgres.may_go_on.set()
    assert ids([first, *rest]) == [FIRST, A, B]
    assert worker.redis.brings[B] == f"gw {B} {B} 3 done"


def test_a_batch_is_bounded_and_has_a_job_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcome_writer, "OUTCOMES_AT_ONCE", 2)
    batch = outcome_writer.Batch({A: outcome(A)})
    assert not batch.takes(A, outcome(A))
    assert batch.takes(B, outcome(B))
    assert not batch.takes(C, outcome(C))


def test_one_that_is_left_out_is_written_alone_and_its_gateway_is_notified(at_work: At) -> None:
    worker = at_work(Postgres(left_out_together=[B]))
    assert ids(worker.behind_the_first(A, B)) == [A, B]
    assert worker.postgres.asked == [[FIRST], [A, B], [B]]
    assert worker.redis.trips == [{FIRST}, {A}, {B}]


def test_a_stale_outcome_has_no_row_and_notifies_no_gateway(at_work: At) -> None:
    worker = at_work(Postgres(leaves_out=[B, C]))
    assert ids(worker.behind_the_first(A, B)) == [A, None]
    assert ids([worker.write(C)]) == [None]
    assert worker.redis.trips == [{FIRST}, {A}]


def test_what_postgres_refuses_of_one_is_refused_to_that_one_alone(at_work: At) -> None:
    worker = at_work(Postgres(fails=lambda jobs: psycopg.DataError("a NUL") if B in jobs else None))
    good, bad = worker.behind_the_first(A, B)
    assert ids([good]) == [A]
    with pytest.raises(psycopg.DataError):
        bad.result(PATIENCE)
    assert worker.postgres.asked[:2] == [[FIRST], [A, B]]
    assert sorted(worker.postgres.asked[2:]) == [[A], [B]]


def test_a_connection_that_breaks_is_told_to_each(at_work: At) -> None:
    worker = at_work(Postgres(fails=lambda jobs: psycopg.OperationalError("cut") if len(jobs) > 1 else None))
    for each in worker.behind_the_first(A, B):
        with pytest.raises(psycopg.OperationalError):
            each.result(PATIENCE)
    assert worker.postgres.asked == [[FIRST], [A, B]], "each decides itself whether it writes again"


def test_a_batch_behind_one_that_hangs_goes_on_without_it(at_work: At, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcome_writer, "PATIENCE_SECONDS", 0.0)
    worker = at_work(Postgres())
    hangs = worker.write(FIRST)
    assert worker.postgres.under_way.wait(PATIENCE)
    assert ids([worker.write(A)]) == [A]
    worker.postgres.may_go_on.set()
    assert ids([hangs]) == [FIRST]


def test_a_batch_lets_the_next_go_on_whatever_its_thread_meets(at_work: At) -> None:
    worker = at_work(Postgres(fails=lambda jobs: MemoryError() if FIRST in jobs else None))
    first = worker.write(FIRST)
    assert worker.postgres.under_way.wait(PATIENCE)
    behind = worker.write(A)
    worker.until_waiting(1)
    worker.postgres.may_go_on.set()
    with pytest.raises(MemoryError):
        first.result(PATIENCE)
    assert ids([behind, worker.write(B)]) == [A, B]

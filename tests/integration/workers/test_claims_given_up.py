"""A claim that Postgres executes after its worker has given it up is found, and given back."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from uuid import UUID, uuid4

import pytest

from ringback.config.settings import postgres_url
from ringback.postgres.connections import Bounds, connect
from ringback.postgres.statement import Bound
from ringback.statements.jobs import transitions
from tests.integration.toolbox.line import Line, eventually
from tests.integration.toolbox.runtimes import claimed, errands_runtime, run_job
from tests.proxy import Proxy, before_postgres
from workers.execution.runtime import WorkerRuntime
from workers.storage.connection_pool import ConnectionPool
from workers.storage.database import first

BOUNDS = Bounds(statement_seconds=0.5)
CONNECT_SECONDS = 20


@pytest.fixture
def worker(line: Line) -> Iterator[tuple[Proxy, WorkerRuntime]]:
    """A worker, and what stands between its claims and Postgres; all else that it asks takes another way."""
    with before_postgres(postgres_url(line.database)) as (proxy, url), errands_runtime(line) as runtime:
        opened, others = partial(connect, url, "claims", CONNECT_SECONDS, BOUNDS), runtime.store.claims
        runtime.store.claims = ConnectionPool(opened, 1, BOUNDS, CONNECT_SECONDS)
        assert first(runtime.store.claims, Bound(b"SELECT 1", [])) == (1,), "it is connected"
        yield proxy, runtime
        runtime.store.claims.close()
        others.close()  # by which the keys of gateways are read


def claimed_late(line: Line, worker: tuple[Proxy, WorkerRuntime], tool: str) -> UUID:
    """Have a claim executed after its worker has given it up; return its job."""
    proxy, runtime = worker
    job_id = line.admit(tool, text="x")
    proxy.blackhole()
    assert claimed(runtime, job_id) is None
    assert line.job(job_id).state == "pending"
    proxy.heal()
    line.running(job_id)
    return job_id


def test_a_job_that_no_worker_runs_is_given_back_by_the_one_that_holds_it(
    line: Line, worker: tuple[Proxy, WorkerRuntime]
) -> None:
    job_id = claimed_late(line, worker, "echo")
    _, runtime = worker
    runtime.sweeper.start()
    given_back = eventually(lambda: (row := line.job(job_id)).state == "pending" and row, "the job to be given back")
    assert (given_back.token, given_back.error) == (None, {"code": "handed_back"})
    run_job(runtime, job_id)
    assert (line.job(job_id).state, line.job(job_id).attempt) == ("succeeded", 2)


def test_a_job_that_another_worker_has_claimed_meanwhile_is_left_to_it(
    line: Line, worker: tuple[Proxy, WorkerRuntime]
) -> None:
    proxy, runtime = worker
    job_id = line.admit("echo", text="x")
    proxy.blackhole()
    assert claimed(runtime, job_id) is None
    assert line.run(transitions.claim(job_id, "another")) == 1
    runtime.sweeper.give_up_claims()
    assert (line.job(job_id).state, line.job(job_id).worker_id) == ("running", "another")


def test_of_two_claims_of_one_job_that_were_given_up_the_later_one_is_found_too(
    line: Line, worker: tuple[Proxy, WorkerRuntime]
) -> None:
    """The message of a lost claim is published again, and may meet the same hang."""
    _, runtime = worker
    job_id, tokens = line.admit("echo", text="x"), [uuid4(), uuid4()]
    for token in tokens:
        runtime.sweeper.give_up(job_id, token)
    for token in tokens:
        assert line.run(transitions.claim(job_id, runtime.lease.worker_id, token)) == 1
        runtime.sweeper.give_up_claims()
        assert line.job(job_id).state == "pending"

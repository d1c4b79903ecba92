"""Messages that come before their row: the gateway publishes a call while Postgres writes it."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID, uuid4

import pytest

from ringback.postgres.statement import Bound
from ringback.statements.jobs import gates
from ringback.statements.jobs.admission import EARLY_SECONDS
from tests.integration.toolbox.line import PATIENCE, Line
from tests.integration.toolbox.runtimes import errands_runtime, run_job
from workers.execution import runner
from workers.execution.claim import EARLY_PAUSES
from workers.execution.runtime import WorkerRuntime


@pytest.fixture
def runtime(line: Line) -> Iterator[WorkerRuntime]:
    with errands_runtime(line) as runtime:
        yield runtime


def test_a_message_that_comes_before_its_row_waits_for_it(line: Line, runtime: WorkerRuntime) -> None:
    job_id = uuid4()
    steps = runner.run_job(runtime, job_id)
    assert next(steps).seconds == EARLY_PAUSES[1]
    assert steps.send(False).seconds == EARLY_PAUSES[2]
    line.admit_as(job_id, "echo", text="x")
    for waiting in steps:
        waiting.result(PATIENCE)
    row = line.job(job_id)
    assert (row.state, row.attempt) == ("succeeded", 1), "what came too early is no attempt"


def test_a_row_that_comes_as_its_worker_looks_for_it_is_claimed(
    line: Line, runtime: WorkerRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the claim and the look at why it found nothing."""
    job_id, wanted_tool = uuid4(), gates.wanted_tool

    def commit_and_look(wanted: UUID) -> Bound:
        line.admit_as(job_id, "echo", text="x")
        return wanted_tool(wanted)

    monkeypatch.setattr(gates, "wanted_tool", commit_and_look)
    run_job(runtime, job_id)
    assert line.job(job_id).state == "succeeded"


def test_a_message_without_a_row_is_dropped_once_no_gateway_counts_on_it(runtime: WorkerRuntime) -> None:
    pauses = [waiting.seconds for waiting in runner.run_job(runtime, uuid4())]
    assert pauses == list(EARLY_PAUSES[1:])
    assert sum(pauses) > EARLY_SECONDS * 2


def test_a_worker_that_leaves_waits_for_no_row(runtime: WorkerRuntime) -> None:
    steps = runner.run_job(runtime, uuid4())
    next(steps)
    runtime.is_leaving.set()
    assert list(steps) == []


def test_a_message_of_a_call_that_is_over_is_dropped_at_once(line: Line, runtime: WorkerRuntime) -> None:
    job_id = line.admit("echo", text="x")
    run_job(runtime, job_id)
    assert list(runner.run_job(runtime, job_id)) == []

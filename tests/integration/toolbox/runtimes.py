"""A worker's runtime inside the test, which runs the errands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from uuid import UUID

from ringback.config.settings import load
from tests.integration.toolbox.line import PATIENCE, Line
from workers.execution import runner
from workers.execution.claim import Job, claim
from workers.execution.runtime import WorkerRuntime
from workers.execution.waiting import run_to_end
from workers.settings import WorkerSettings
from workers.tool_registry import load_tools


@contextmanager
def errands_runtime(line: Line) -> Iterator[WorkerRuntime]:
    """Start the lease, and nothing else: its sweeper rests, as these tests sweep themselves."""
    settings = load(WorkerSettings, DATABASE_URL=line.database, REDIS_URL=line.redis_url)
    runtime = WorkerRuntime(settings, load_tools(["tests.integration.toolbox.errands"]), ["errands"], lambda *_: None)
    runtime.lease.start()
    assert runtime.lease.wait(PATIENCE)
    yield runtime
    runtime.stop()


def run_job(runtime: WorkerRuntime, job_id: UUID, headers: Mapping[str, object] = runner.UNTRACED) -> None:
    """Run the job in this thread, as a child of a prefork pool does."""
    run_to_end(runner.run_job(runtime, job_id, headers))


def claimed(runtime: WorkerRuntime, job_id: UUID) -> Job | None:
    """Claim the job in this thread."""
    return run_to_end(claim(runtime, job_id))

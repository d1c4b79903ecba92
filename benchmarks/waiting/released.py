"""The other way, for the comparison alone: an async tool gives its pool thread back while it waits on the loop.

Loaded beside the tools, it takes the place of `run_job`. It is as much as a fair figure needs: what a worker would need
besides (a bound, a shutdown that waits for what no thread holds) is not here.
"""

from __future__ import annotations

import asyncio
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any
from uuid import UUID

from ringback.jobs.outcomes import succeeded
from workers.execution.claim import Job, claim
from workers.execution.results import arguments_for, as_data
from workers.execution.retry_policy import on_problem
from workers.execution.runner import record_outcome
from workers.execution.runtime import WorkerRuntime

SETTLERS = ThreadPoolExecutor(8, "settle")
"""Outcomes are written by a few threads: as many as there are connections for it, and twice that."""


def run_job(runtime: WorkerRuntime, job_id: UUID) -> None:
    """Claim, put it on the loop, and go; whoever is free writes the outcome."""
    job = claim(runtime, job_id)
    if job is None:
        return
    under_way = ExitStack()
    cancellation = under_way.enter_context(runtime.running.started(job.id))
    tool = runtime.tools[job.tool]
    coroutine = tool.function(**arguments_for(tool, job.arguments))
    future = asyncio.run_coroutine_threadsafe(asyncio.wait_for(coroutine, job.seconds), runtime.invoker.loop._started())
    cancellation.on_cancel(future.cancel)
    future.add_done_callback(lambda done: SETTLERS.submit(_settle, runtime, job, done, under_way))


def _settle(runtime: WorkerRuntime, job: Job, done: Future[Any], under_way: ExitStack) -> None:
    with under_way:
        try:
            verdict: Any = succeeded(as_data(done.result()))
        except Exception as problem:
            verdict = on_problem(
                problem, attempt=job.attempt, max_attempts=job.max_attempts, effect=job.effect, first_pause=0.5
            )
        record_outcome(runtime, job, verdict)


sys.modules["workers.app"].run_job = run_job  # type: ignore[attr-defined]

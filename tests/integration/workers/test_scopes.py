"""A worker runs a tool only for users with its scopes, by their session's row, even if a job got past the gateway."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from ringback.tables import jobs, sessions
from tests.integration.toolbox.line import Line
from tests.integration.toolbox.runtimes import errands_runtime, run_job
from workers.execution.runtime import WorkerRuntime


@pytest.fixture
def runtime(line: Line) -> Iterator[WorkerRuntime]:
    with errands_runtime(line) as runtime:
        yield runtime


def held(line: Line, claims: dict[str, Any]) -> None:
    assert line.run(update(sessions).where(sessions.c.id == line.session).values(claims=claims)) == 1


@pytest.mark.parametrize("claims", [{}, {"scopes": []}, {"scopes": ["orders:read"]}, {"scopes": "orders:write"}])
def test_who_does_not_hold_the_scope_is_refused_before_anything_is_done(
    line: Line, runtime: WorkerRuntime, tmp_path: Path, claims: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    held(line, claims)
    job_id = line.admit("write_order", path=str(tmp_path / "order"))
    run_job(runtime, job_id)
    job = line.job(job_id)
    assert (job.state, job.error["code"], job.delivery) == ("failed", "not_allowed", "ready")
    assert "orders:write" not in job.error["message"], "what it takes is not for the model to tell"
    assert not (tmp_path / "order").exists()
    assert "user='ada' lacks orders:write for write_order" in caplog.text


def test_who_holds_the_scope_is_served(line: Line, runtime: WorkerRuntime, tmp_path: Path) -> None:
    held(line, {"scopes": ["orders:write"]})
    job_id = line.admit("write_order", path=str(tmp_path / "order"))
    run_job(runtime, job_id)
    assert (line.job(job_id).state, line.job(job_id).result) == ("succeeded", "written")
    assert (tmp_path / "order").exists()


def test_what_the_tool_asked_for_when_it_was_called_counts_though_this_worker_asks_for_less(
    line: Line, runtime: WorkerRuntime
) -> None:
    job_id = line.admit("echo", text="x")
    line.run(update(jobs).where(jobs.c.id == job_id).values(manners={"scopes": ["orders:write"]}))
    run_job(runtime, job_id)
    assert line.job(job_id).error["code"] == "not_allowed"


def test_what_this_workers_tool_asks_for_counts_though_it_was_called_when_it_asked_for_less(
    line: Line, runtime: WorkerRuntime, tmp_path: Path
) -> None:
    job_id = line.admit("write_order", path=str(tmp_path / "order"))
    line.run(update(jobs).where(jobs.c.id == job_id).values(manners={}))
    run_job(runtime, job_id)
    assert line.job(job_id).error["code"] == "not_allowed"

"""A call is cancelled over HTTP or from the command line, on a bare app and a real Postgres."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from ringback.jobs import outcomes
from tests.integration.cli.test_history import run_on
from tests.integration.statements.test_history import Line, line_on
from tests.integration.toolbox.job_api import JobApi


@pytest.fixture
def line(database: str) -> Iterator[Line]:
    with line_on(database) as line:
        yield line


@pytest.fixture
def api(database: str) -> JobApi:
    return JobApi(database)


def test_a_call_that_nobody_has_begun_is_over_and_its_gateway_is_rung(line: Line, api: JobApi) -> None:
    session = line.open()
    answer = api.post(line.ask(session), "cancel")
    assert answer.status_code == 202
    job = answer.json()
    assert (job["state"], job["error"]["code"]) == ("cancelled", "cancelled")
    assert api.rung == [("gw", session)]


def test_a_running_call_is_its_workers_to_end_and_may_be_cancelled_twice(line: Line, api: JobApi) -> None:
    job = line.ask(line.open())
    line.claim(job)
    for _ in range(2):
        answer = api.post(job, "cancel")
        assert (answer.status_code, answer.json()["state"]) == (202, "running")
    assert api.rung == []


def test_a_call_of_a_session_that_has_ended_rings_nobody_who_is_there(line: Line, api: JobApi) -> None:
    session = line.open()
    job = line.ask(session)
    line.end(session)
    answer = api.post(job, "cancel")
    assert (answer.status_code, answer.json()["delivery"]) == (202, "history_only")


def test_a_call_that_is_cancelled_may_be_cancelled_once_more(line: Line, api: JobApi) -> None:
    """The answer to the first time may have been lost."""
    job = line.ask(line.open())
    assert [(api.post(job, "cancel").status_code, api.post(job, "cancel").json()["state"])] == [(202, "cancelled")]


def test_what_is_over_cannot_be_cancelled(line: Line, api: JobApi) -> None:
    job = line.ask(line.open())
    line.finish(job, line.claim(job), outcomes.succeeded(1))
    answer = api.post(job, "cancel")
    assert answer.status_code == 409
    assert answer.json()["error"] == {
        "message": "The job is over: succeeded.",
        "type": "invalid_request_error",
        "code": "job_over",
        "param": "id",
    }


def test_what_is_not_the_askers_is_not_there(line: Line, api: JobApi) -> None:
    _, foreign = line.foreign_job()
    own = line.ask(line.open())
    for job_id, tenant in ((foreign, "default"), (own, "other"), (uuid4(), "default"), ("no-id", "default")):
        answer = api.post(job_id, "cancel", tenant)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    assert api.post(own, "cancel", "nobody").status_code == 401
    assert api.post(foreign, "cancel", "other").status_code == 202, "nothing had happened to it"


def test_the_command_says_what_became_of_it(line: Line, database: str) -> None:
    session = line.open()
    waiting, running = line.ask(session), line.ask(session)
    line.claim(running)

    result = run_on(database, "jobs", "cancel", str(waiting)[:8])
    assert (result.exit_code, result.stdout) == (0, f"The job {waiting} is cancelled.\n")
    result = run_on(database, "jobs", "cancel", running)
    assert (result.exit_code, result.stdout) == (0, f"The job {running} is running; its worker is told.\n")
    result = run_on(database, "jobs", "cancel", waiting)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"The job {waiting} is over already" in result.stderr
    assert run_on(database, "jobs", "cancel", "ffffff").exit_code == 2

"""A call is approved or denied over HTTP or from the command line, on a bare app and a real Postgres."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest
from sqlalchemy import text

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


def expire(line: Line) -> None:
    line.run(text("UPDATE jobs SET deadline_at = clock_timestamp() - interval '0.01 seconds'"))


def test_a_call_that_is_approved_is_published_at_once_and_its_gateway_hears_of_it(line: Line, api: JobApi) -> None:
    session = line.open()
    job = line.ask(session, "order_status", needs_approval=True)
    answer = api.post(job, "approve")
    assert answer.status_code == 200
    told = answer.json()
    assert (told["state"], told["approval"]) == ("pending", "granted")
    assert [step["approval"] for step in told["transitions"]] == ["requested", "granted"]
    assert (api.published, api.rung) == ([(job, "slow")], [("gw", session)])
    assert line.claim(job)


def test_a_call_that_is_denied_is_over_and_its_gateway_is_rung(line: Line, api: JobApi) -> None:
    session = line.open()
    answer = api.post(line.ask(session, needs_approval=True), "deny")
    assert answer.status_code == 200
    told = answer.json()
    assert (told["state"], told["approval"], told["cancel_reason"]) == ("cancelled", "denied", "denied")
    assert told["error"]["code"] == "approval_denied"
    assert (api.published, api.rung) == ([], [("gw", session)])


@pytest.mark.parametrize("what", ["approve", "deny"])
def test_where_nothing_is_to_be_decided_the_answer_says_why(line: Line, api: JobApi, what: str) -> None:
    session = line.open()
    denied, granted, needs_none = (line.ask(session, needs_approval=needs) for needs in (True, True, False))
    api.post(denied, "deny")
    api.post(granted, "approve")
    decided, same, why = {
        "approve": (denied, granted, "The job is over: cancelled."),
        "deny": (granted, denied, "The job has been approved already."),
    }[what]
    assert api.post(same, what).status_code == 200, "the answer to the first time may have been lost"
    for job, sentence in (
        (decided, why),
        (needs_none, "The job waits for no approval: its tool needs none."),
    ):
        answer = api.post(job, what)
        assert answer.status_code == 409
        assert answer.json()["error"] == {
            "message": sentence,
            "type": "invalid_request_error",
            "code": "nothing_to_decide",
            "param": "id",
        }
    late = line.ask(session, needs_approval=True)
    expire(line)
    assert api.post(late, what).json()["error"]["message"] == "The time to decide about the job has passed."
    assert len(api.published) == 1


def test_what_is_not_the_askers_is_not_there(line: Line, api: JobApi) -> None:
    own = line.ask(line.open(), needs_approval=True)
    for job_id, tenant in ((own, "other"), (uuid4(), "default"), ("no-id", "default")):
        for what in ("approve", "deny"):
            answer = api.post(job_id, what, tenant)
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    assert api.post(own, "approve", "nobody").status_code == 401
    assert api.post(own, "approve").status_code == 200, "nothing had happened to it"


def test_the_commands_say_what_became_of_it(line: Line, database: str) -> None:
    session = line.open()
    line.ask(session)
    wanted, unwanted = (line.ask(session, needs_approval=True) for _ in range(2))
    asking = run_on(database, "jobs", "list", "--state", "pending", "--approval", "requested").stdout.splitlines()[1:]
    assert [row.split()[0] for row in asking] == [str(unwanted)[:8], str(wanted)[:8]]
    result = run_on(database, "jobs", "approve", str(wanted)[:8])
    assert (result.exit_code, result.stdout) == (0, f"The job {wanted} is approved.\n")
    result = run_on(database, "jobs", "deny", unwanted)
    assert (result.exit_code, result.stdout) == (0, f"The job {unwanted} is denied.\n")
    shown = run_on(database, "jobs", "show", unwanted).stdout
    assert "cancelled reason denied" in shown
    assert "approval  denied" in shown
    assert "approval_denied" in shown
    result = run_on(database, "jobs", "approve", wanted)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "The job has been approved already." in result.stderr
    assert run_on(database, "jobs", "deny", "ffffff").exit_code == 2

"""Claim, run, finish, on a real database, in this process: every outcome of a call."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text, update

from ringback.config.settings import load
from ringback.jobs.outcomes import failed, succeeded
from ringback.statements import processes
from ringback.statements.jobs import transitions as statements
from ringback.sweeper import Sweeping
from ringback.tables import DEFAULT_TENANT, sessions
from tests.integration.toolbox.line import PATIENCE, Line, eventually
from tests.integration.toolbox.runtimes import claimed, errands_runtime, run_job
from workers.execution import claim as claims
from workers.execution import runner
from workers.execution.claim import claim
from workers.execution.retry_policy import Retry
from workers.execution.runner import _call, may_begin, record_outcome
from workers.execution.runtime import WorkerRuntime
from workers.execution.waiting import Steps
from workers.leases.sweeper import Publisher, StepRunner
from workers.settings import WorkerSettings
from workers.tool_registry import load_tools


@pytest.fixture
def runtime(line: Line) -> Iterator[WorkerRuntime]:
    with errands_runtime(line) as runtime:
        line.run(text("UPDATE processes SET steady_since = clock_timestamp() - interval '1 minute'"))
        yield runtime


def sweep(runtime: WorkerRuntime, publisher: Publisher) -> bool:
    """Run one round, with the first look at Redis that a process takes; return True if another should follow."""
    hands = StepRunner(runtime.store.outcomes, publisher, runtime.redis)
    return bool(hands.carry_out(Sweeping(runtime.lease.worker_id).round()))


def run(line: Line, runtime: WorkerRuntime, tool: str, **arguments: Any) -> Any:
    """Run one attempt; return the job's row after it."""
    job_id = line.admit(tool, **arguments)
    run_job(runtime, job_id)
    return line.job(job_id)


def run_to_its_end(line: Line, runtime: WorkerRuntime, tool: str, **arguments: Any) -> Any:
    """Run attempt after attempt, as they are published; return the job's row."""
    job_id = line.admit(tool, **arguments)
    run_job(runtime, job_id)

    def over() -> Any:
        sweep(runtime, lambda due, _: run_job(runtime, due))
        row = line.job(job_id)
        return row if row.finished_at else None

    return eventually(over, "the job to end")


@pytest.mark.parametrize(
    ("tool", "arguments", "state", "code"),
    [
        ("echo", {"text": "x"}, "succeeded", None),
        ("echo", {"words": "x"}, "failed", "invalid_arguments"),
        ("no_such_tool", {}, "failed", "tool_not_served"),
        ("refuse", {"retryable": False}, "failed", "not_today"),
        ("oversleep", {}, "timed_out", "timed_out"),
        ("oversleep_async", {}, "timed_out", "timed_out"),
        ("pay_for_ages", {}, "unknown", "outcome_unknown"),
        ("quit_python", {}, "failed", "tool_failed"),
        ("quit_python_async", {}, "failed", "tool_failed"),
        ("close_itself_async", {}, "failed", "tool_failed"),
        ("fail_untellably", {}, "failed", "tool_failed"),
        ("pay_and_fail_untellably", {}, "unknown", "outcome_unknown"),
        ("send_back", {"order": {"number": 0}}, "failed", "tool_failed"),
        ("send_back", {"order": {"number": 1}}, "failed", "bad_result"),
        ("pay_for", {"order": {"number": 0}}, "failed", "tool_failed"),
        ("give", {"kind": "object"}, "failed", "bad_result"),
        ("give", {"kind": "large"}, "failed", "result_too_large"),
        ("give", {"kind": "exits"}, "failed", "bad_result"),
        ("give", {"kind": "no such kind"}, "failed", "tool_failed"),
    ],
)
def test_a_call_ends_in_its_outcome_after_one_attempt(
    line: Line, runtime: WorkerRuntime, tool: str, arguments: dict[str, Any], state: str, code: str | None
) -> None:
    job = run(line, runtime, tool, **arguments)
    assert (job.state, (job.error or {}).get("code"), job.attempt) == (state, code, 1), job.error
    assert job.delivery == "ready"
    assert line.rung() == [str(line.session)]
    assert job.effect_started is (tool.startswith("pay_") and tool != "pay_for"), (
        "the effect of what was not called has not begun"
    )


@pytest.mark.parametrize(
    ("kind", "result"),
    [("date", "2026-01-02T00:00:00Z"), ("none", None), ("nul", {"ab": "cd"}), ("nan", [1.0, None])],
)
def test_what_a_tool_returns_is_kept_as_json(line: Line, runtime: WorkerRuntime, kind: str, result: Any) -> None:
    job = run(line, runtime, "give", kind=kind)
    assert (job.state, job.result) == ("succeeded", result)


def test_a_summary_is_read_as_it_is_told(line: Line, runtime: WorkerRuntime) -> None:
    job = run(line, runtime, "tell_of_a_row", is_read=True)
    assert (job.state, job.result, job.summary) == ("succeeded", "done", "order 7")


def test_a_summary_that_cannot_be_read_fails_where_the_tool_tells_it(line: Line, runtime: WorkerRuntime) -> None:
    job = run_to_its_end(line, runtime, "tell_of_a_row", is_read=False)
    assert (job.state, job.error["code"], job.attempt) == ("failed", "tool_failed", 2)
    assert job.failure["type"] == "LookupError"


def test_wrong_arguments_are_named_in_a_sentence_the_model_can_act_on(line: Line, runtime: WorkerRuntime) -> None:
    error = run(line, runtime, "echo", words="x").error
    assert error["message"] == (
        "The arguments do not fit: text: Field required; words: Extra inputs are not permitted. "
        "Correct them and call the function again."
    )


def test_a_fault_is_retried_later_until_it_passes_and_its_text_stays_in_the_log(
    line: Line, runtime: WorkerRuntime, caplog: pytest.LogCaptureFixture
) -> None:
    job = run(line, runtime, "flaky", good_attempt=3)
    assert (job.state, job.token) == ("pending", None)
    assert job.error == {
        "code": "tool_failed",
        "message": "The function failed (OSError). Say so, and offer to try again later.",
    }
    assert "the secret is 1234" in caplog.text

    job = run_to_its_end(line, runtime, "flaky", good_attempt=3)
    assert (job.state, job.attempt, job.result, job.error) == ("succeeded", 3, 3, None)


def test_a_fault_that_does_not_pass_is_failed_when_the_attempts_are_used_up(line: Line, runtime: WorkerRuntime) -> None:
    job = run_to_its_end(line, runtime, "flaky", good_attempt=9)
    assert (job.state, job.attempt, job.error["code"]) == ("failed", 3, "tool_failed")


def test_a_refusal_is_retried_only_where_the_tool_says_that_it_may_help(line: Line, runtime: WorkerRuntime) -> None:
    assert run_to_its_end(line, runtime, "refuse", retryable=True).attempt == 2


def test_a_second_message_for_one_job_does_nothing(line: Line, runtime: WorkerRuntime) -> None:
    job = run(line, runtime, "echo", text="x")
    run_job(runtime, job.id)
    assert line.job(job.id) == job


def test_a_message_for_no_job_does_nothing(line: Line, runtime: WorkerRuntime) -> None:
    run_job(runtime, uuid4())
    assert line.rung() == []


def test_a_stale_token_changes_nothing_and_is_counted(line: Line, runtime: WorkerRuntime) -> None:
    job_id = line.admit("echo", text="x")
    job = claimed(runtime, job_id)
    assert job is not None
    line.run(text("UPDATE jobs SET token = gen_random_uuid()"))  # another worker has the job now

    assert line.run(statements.finish(job_id, job.token, succeeded("stale"))) == 0
    assert record_outcome(runtime, job, succeeded("stale")) == "fenced"
    assert (line.job(job_id).state, line.job(job_id).result) == ("running", None)
    assert runtime.running.fenced == 1


def test_of_many_progress_notes_the_last_one_stands_in_the_end(line: Line, runtime: WorkerRuntime) -> None:
    job = claimed(runtime, line.admit("echo", text="x"))
    assert job is not None
    for number in range(1_000):
        runtime.progress.note(job.id, job.token, f"row {number}")
    eventually(lambda: line.job(job.id).progress == "row 999", "the last note")
    runtime.progress.note(job.id, uuid4(), "of an attempt that is not ours any more")
    runtime.progress.note(uuid4(), job.token, "of no job")
    runtime.progress.note(job.id, job.token, "\0" * 300 + "\ud800" + "a" * 300)
    eventually(lambda: line.job(job.id).progress == "a" * 200, "what Postgres takes of a note, and then its beginning")
    runtime.progress.note(job.id, job.token, "done")
    eventually(lambda: line.job(job.id).progress == "done", "a later note")


def test_a_note_for_which_the_system_has_no_thread_is_lost_and_the_next_one_is_written(
    line: Line, runtime: WorkerRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_thread: Thread) -> None:
        raise RuntimeError("can't start new thread")

    job = claimed(runtime, line.admit("echo", text="x"))
    assert job is not None
    with monkeypatch.context() as without:
        without.setattr(Thread, "start", refuse)
        runtime.progress.note(job.id, job.token, "lost")
    runtime.progress.note(job.id, job.token, "written")
    eventually(lambda: line.job(job.id).progress == "written", "the next note")


def test_a_tool_hears_what_is_known_of_the_user(line: Line, runtime: WorkerRuntime) -> None:
    line.run(update(sessions).values(claims={"role": "owner"}))
    job = claimed(runtime, line.admit("echo", text="x"))
    assert job is not None
    assert _call(runtime, job, Event(), print).claims == {"role": "owner"}


def test_a_progress_note_stands_in_the_row_and_rings_the_gateway(line: Line, runtime: WorkerRuntime) -> None:
    job_id = line.admit("report", note="halfway")
    thread = Thread(target=run_job, args=(runtime, job_id))
    thread.start()
    eventually(lambda: line.job(job_id).progress == "halfway", "the note")
    eventually(lambda: line.rung() == [str(line.session)], "the doorbell")
    assert line.run(statements.cancel(job_id, DEFAULT_TENANT)) == 1
    thread.join(PATIENCE)


@pytest.mark.parametrize("tool", ["linger", "linger_async"])
def test_a_cancelled_call_is_left_at_once_and_ends_as_cancelled(
    line: Line, runtime: WorkerRuntime, tmp_path: Path, tool: str
) -> None:
    path = tmp_path / "notes"
    job_id = line.admit(tool, path=str(path))
    thread = Thread(target=run_job, args=(runtime, job_id))
    thread.start()
    eventually(path.exists, "the tool to begin")
    assert line.run(statements.cancel(job_id, DEFAULT_TENANT)) == 1
    thread.join(PATIENCE)
    job = line.job(job_id)
    assert (job.state, job.error["code"], job.delivery) == ("cancelled", "cancelled", "ready")
    assert line.rung() == [str(line.session)]
    assert runtime.invoker.stuck == (1 if tool == "linger" else 0)
    assert ("cancelled" in path.read_text()) is (tool == "linger_async")


def test_a_sync_tool_that_asks_is_told_that_nobody_waits(line: Line, runtime: WorkerRuntime) -> None:
    job_id = line.admit("report", note="")
    thread = Thread(target=run_job, args=(runtime, job_id))
    thread.start()
    line.running(job_id)
    line.run(statements.cancel(job_id, DEFAULT_TENANT))
    thread.join(PATIENCE)
    assert line.job(job_id).state == "cancelled"
    eventually(lambda: runtime.invoker.stuck == 0, "the tool to return by itself")


def test_an_effect_that_has_begun_runs_on_and_its_outcome_is_kept(
    line: Line, runtime: WorkerRuntime, tmp_path: Path
) -> None:
    path = tmp_path / "notes"
    job_id = line.admit("pay_until_told", path=str(path))
    thread = Thread(target=run_job, args=(runtime, job_id))
    thread.start()
    eventually(path.exists, "the effect to begin")
    line.run(statements.cancel(job_id, DEFAULT_TENANT))
    told = runtime.running
    eventually(lambda: told.cancelled(job_id), "the worker to hear of it")
    with path.open("a") as file:
        file.write("enough")
    thread.join(PATIENCE)
    assert (line.job(job_id).state, line.job(job_id).result) == ("succeeded", "paid")


def test_an_effect_that_has_not_begun_never_does_once_nobody_waits(
    line: Line, runtime: WorkerRuntime, tmp_path: Path
) -> None:
    path = tmp_path / "notes"
    job = claimed(runtime, line.admit("pay_until_told", path=str(path)))
    assert job is not None
    line.run(statements.cancel(job.id, DEFAULT_TENANT))
    assert not may_begin(runtime, job)
    assert line.job(job.id).state == "cancelled"
    assert not path.exists()


@pytest.mark.parametrize("tool", ["echo", "pay_for_ages"])
def test_a_call_that_is_handed_back_before_its_tool_is_called_is_not_begun(
    line: Line, runtime: WorkerRuntime, tool: str
) -> None:
    job = claimed(runtime, line.admit(tool))
    assert job is not None
    runtime.hand_back()
    assert not may_begin(runtime, job)
    assert (line.job(job.id).state, line.job(job.id).effect_started) == ("pending", False)


def test_an_outcome_is_written_although_postgres_drops_every_connection_meanwhile(
    line: Line, runtime: WorkerRuntime
) -> None:
    job = claimed(runtime, line.admit("echo", text="x"))
    assert job is not None
    line.run(text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'ringback-worker'"))
    assert record_outcome(runtime, job, succeeded("kept")) == "succeeded"
    assert line.job(job.id).result == "kept"


REFUSING = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state = 'succeeded' THEN RAISE EXCEPTION 'no such data' USING ERRCODE = '22000'; END IF;
    IF NEW.state = 'failed' AND {is_locked} THEN RAISE EXCEPTION 'locked' USING ERRCODE = '55P03'; END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER refuse BEFORE UPDATE ON jobs FOR EACH ROW EXECUTE FUNCTION refuse()
"""


@pytest.mark.parametrize("is_locked", [False, True])
def test_a_result_that_postgres_refuses_ends_the_job_as_failed_if_that_can_be_written(
    line: Line, runtime: WorkerRuntime, monkeypatch: pytest.MonkeyPatch, is_locked: bool
) -> None:
    monkeypatch.setattr(claims, "WRITE_SECONDS", 0.0)
    job = claimed(runtime, line.admit("echo", text="x"))
    assert job is not None
    line.run(text(REFUSING.format(is_locked=is_locked)))
    assert record_outcome(runtime, job, succeeded("x")) == ("lost" if is_locked else "failed")
    assert (line.job(job.id).error or {}).get("code") == (None if is_locked else "bad_result")


def test_a_retry_whose_reply_was_lost_is_known_as_written(line: Line, runtime: WorkerRuntime) -> None:
    job = claimed(runtime, line.admit("refuse", retryable=True))
    assert job is not None
    verdict = Retry(failed("not_today", "Not today."), 0.5)
    assert line.run(statements.retry(job.id, job.token, verdict.error, verdict.backoff)) == 1
    assert record_outcome(runtime, job, verdict) == "pending"
    assert (line.job(job.id).state, runtime.running.fenced) == ("pending", 0)


def test_a_call_that_is_claimed_as_the_worker_leaves_is_given_back_and_not_begun(
    line: Line, runtime: WorkerRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def claim_late(*given: Any) -> Steps[Any]:
        job = yield from claim(*given)
        runtime.is_leaving.set()
        return job

    monkeypatch.setattr(runner, "claim", claim_late)
    row = run(line, runtime, "refuse")
    assert (row.state, row.token, row.error) == ("pending", None, {"code": "handed_back"})


def test_a_process_that_was_declared_dead_is_told_to_end_and_claims_nothing_more(line: Line) -> None:
    reasons: list[str] = []
    settings = load(WorkerSettings, DATABASE_URL=line.database, REDIS_URL=line.redis_url)
    runtime = WorkerRuntime(settings, load_tools(["tests.integration.toolbox.errands"]), ["errands"], lambda *_: None)
    runtime.lease._fenced = reasons.append
    runtime.lease.start()
    assert runtime.lease.wait(PATIENCE)
    line.run(processes.retire(runtime.lease.worker_id))
    eventually(lambda: reasons, "the process to notice")
    assert reasons[0].startswith("this worker was declared lost")
    assert claimed(runtime, line.admit("echo", text="x")) is None
    runtime.stop()


def test_what_became_ready_in_a_sweep_rings_its_gateway(line: Line, runtime: WorkerRuntime) -> None:
    job_id = line.admit("pay_for_ages")
    assert line.run(statements.claim(job_id, "worker-that-is-gone")) == 1
    line.run(text("UPDATE jobs SET effect_started = true"))
    sweep(runtime, lambda *_: None)
    assert line.job(job_id).state == "unknown"
    assert line.rung() == [str(line.session)]


def test_a_broker_that_refuses_stops_the_round_and_loses_nothing(line: Line, runtime: WorkerRuntime) -> None:
    job_id = line.admit("echo", text="x")
    line.run(text("UPDATE jobs SET publish_after = clock_timestamp()"))

    def refuse(*_: object) -> None:
        raise ConnectionError("no broker")

    assert sweep(runtime, refuse) is False
    assert (line.job(job_id).state, line.job(job_id).publish_count) == ("pending", 1)

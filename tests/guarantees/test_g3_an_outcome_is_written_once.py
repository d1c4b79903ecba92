"""G3: an outcome is written once. Who comes late or twice, or did not hear that it was written, changes nothing."""

from __future__ import annotations

from uuid import UUID

import pytest
from sqlalchemy import text

from ringback.jobs.outcomes import succeeded
from ringback.statements.jobs import transitions
from tests.guarantees.toolbox.yard import Yard
from tests.integration.toolbox.line import eventually
from tests.proxy import before_postgres

pytestmark = [pytest.mark.long, pytest.mark.timeout(120)]


def ends_of(yard: Yard, job_id: UUID) -> int:
    return yard.outcomes()[job_id]


def test_a_worker_that_was_paused_past_its_lease_changes_nothing_when_it_wakes(yard: Yard) -> None:
    """F4."""
    yard.start_worker("sleeper")
    job_id = yard.ask("reckon", n=1, waits=True)
    yard.begun(job_id)
    token = yard.job(job_id).token
    yard.processes.pause("sleeper")
    yard.start_worker("other")
    yard.begun(job_id, attempt=2)
    yard.let_go()
    before = yard.finished(job_id)
    yard.processes.resume("sleeper")
    eventually(lambda: yard.has_ended("sleeper") or "stale outcome dropped" in yard.log("sleeper"), "it to notice")
    assert yard.run(transitions.finish(job_id, token, succeeded("too late"))) == 0
    after = yard.job(job_id)
    assert (after.state, after.result, after.finished_at) == ("succeeded", {"n": 1, "attempt": 2}, before.finished_at)
    assert ends_of(yard, job_id) == 1


def test_a_worker_that_does_not_hear_that_its_outcome_was_written_writes_no_second_one(
    yard: Yard,
) -> None:
    """F3: the line breaks after the COMMIT was sent, and before its answer."""
    with before_postgres(yard.database) as (proxy, through):
        yard.start_worker("deaf", DATABASE_URL=through)
        job_id = yard.ask("reckon", n=2, waits=True)
        yard.begun(job_id)
        proxy.lose_answer_to(b"result=")
        yard.let_go()
        assert proxy.lost.wait(20), "the outcome was sent"
        job = yard.finished(job_id)
        eventually(lambda: f"job {job_id} tool=reckon attempt=1 ms=" in yard.log("deaf"), "it to find its outcome")
        assert "stale outcome dropped" not in yard.log("deaf")
        assert yard.finished(yard.ask("reckon", n=3)).state == "succeeded", "it works on"
    assert (job.state, job.result, job.attempt) == ("succeeded", {"n": 2, "attempt": 1}, 1)
    assert (ends_of(yard, job_id), yard.done()[job_id]) == (1, 1)


@pytest.mark.parametrize("lost", [b"started_at=", b"effect_started="], ids=["claim", "barrier"])
def test_a_claim_or_barrier_that_nobody_heard_of_holds_no_job_up(yard: Yard, lost: bytes) -> None:
    """F3: the row says that a living worker runs the job, and that worker does not know: it gives the job back."""
    with before_postgres(yard.database) as (proxy, through):
        yard.start_worker("deaf", DATABASE_URL=through)
        proxy.lose_answer_to(lost)
        job_id = yard.ask("pay", n=4)
        assert proxy.lost.wait(20), "it was sent"
        job = yard.finished(job_id)
    assert (job.state, yard.done()[job_id]) == ("succeeded", 1)


def test_an_outcome_is_refused_to_whoever_does_not_hold_the_token(yard: Yard) -> None:
    job_id = yard.admit("reckon")
    assert yard.run(transitions.finish(job_id, UUID(int=0), succeeded(None))) == 0
    with pytest.raises(Exception, match="may not go from"):
        yard.run(text("UPDATE jobs SET state = 'succeeded', finished_at = now()"))

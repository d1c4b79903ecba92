"""G6: a tool that must not run twice does not, and the model is told that nobody knows what happened."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tests.guarantees.toolbox import FOLDER
from tests.guarantees.toolbox.bakery import Bakery
from tests.guarantees.toolbox.yard import Yard
from tests.line import eventually, running_line
from tests.proxy import before_postgres

pytestmark = [pytest.mark.anyio, pytest.mark.long, pytest.mark.timeout(180)]


async def test_a_worker_killed_in_the_middle_of_it_leaves_an_unknown_outcome(bakery: Bakery) -> None:
    """F1."""
    async with bakery.line.call(ringback="jobs") as caller:
        await caller.ask("What is the weather in London UK?")
        await asyncio.to_thread(bakery.begun)
        bakery.line.processes.kill("worker")
        await asyncio.to_thread(bakery.line.processes.restart, "worker")
        bakery.let_go()
        await caller.hear_until(lambda event: event.get("job", {}).get("state") == "acked")
        assert "not known" in await caller.hear_answer()
        (job,) = bakery.line.jobs(caller.session_id)
    assert (job["state"], bakery.attempts()) == ("unknown", 1)


def test_a_worker_killed_before_the_barrier_leaves_the_call_to_another_which_runs_it_once(yard: Yard) -> None:
    """F3: the arguments are read before the barrier, to see whether they fit this version of the tool."""
    yard.start_workers("first", "second")
    job_id = yard.ask("pay", n=1, dies="claimed:pay")
    job = yard.finished(job_id)
    assert (job.state, job.attempt) == ("succeeded", 2)
    assert yard.done()[job_id] == 1


@pytest.mark.parametrize(("place", "effects"), [("begun", 0), ("done", 1)])
def test_a_worker_killed_behind_the_barrier_leaves_an_unknown_outcome_wherever_it_was(
    yard: Yard, place: str, effects: int
) -> None:
    """F3: the barrier is committed before the tool is called; from there on it may have had its effect."""
    yard.start_workers("first", "second")
    job_id = yard.ask("pay", n=1, dies=f"{place}:pay")
    job = yard.finished(job_id)
    yard.publish(job_id, "trade")
    assert yard.finished(yard.ask("reckon", n=2)).state == "succeeded", "a repeated message does nothing"
    assert (job.state, job.error, job.attempt) == ("unknown", {"code": "outcome_unknown"}, 1)
    assert yard.done()[job_id] == effects


def test_a_worker_killed_before_it_heard_that_the_barrier_stands_leaves_an_unknown_outcome(yard: Yard) -> None:
    """F3: the barrier's COMMIT was sent and not answered: nobody else can know that the tool was never called."""
    with before_postgres(yard.database) as (proxy, through):
        yard.start_worker("deaf", DATABASE_URL=through)
        proxy.lose_answer_to(b"effect_started=", silently=True)
        job_id = yard.ask("pay", n=3)
        assert proxy.lost.wait(20), "the barrier was sent"
        yard.processes.kill("deaf")
        yard.start_worker("other")
        job = yard.finished(job_id)
    assert (job.state, yard.done()[job_id]) == ("unknown", 0)


def test_a_worker_that_was_paused_before_its_effect_does_not_have_it_beside_another(yard: Yard) -> None:
    """F4: the outcome is unknown once its lease is gone, and no other worker begins."""
    yard.start_worker("sleeper")
    job_id = yard.ask("pay", n=4, waits=True)
    yard.begun(job_id)
    yard.processes.pause("sleeper")
    yard.start_worker("other")
    job = yard.finished(job_id)
    yard.let_go()
    yard.processes.resume("sleeper")
    assert yard.finished(yard.ask("reckon", n=5)).state == "succeeded"
    eventually(lambda: yard.done()[job_id], "the effect of the worker that was paused")
    assert (job.state, yard.done()[job_id], yard.job(job_id).state) == ("unknown", 1, "unknown")


async def test_a_call_whose_record_is_not_heard_of_for_longer_than_a_call_may_wait_runs_once_and_is_told_as_it_ended(
    database: str, redis_db: str, tmp_path: Path
) -> None:
    """F3: the row is committed and its call runs; the gateway hears nothing, and no model is told to try later."""
    settings = {FOLDER: str(tmp_path), "RINGBACK_CALL_WAIT_SECONDS": "0.5"}
    with (
        before_postgres(database) as (postgres, through),
        running_line(
            database,
            redis_db,
            tmp_path,
            tools="tests.guarantees.toolbox",
            settings=settings,
            gateway_settings={"DATABASE_URL": through},
        ) as line,
    ):
        bakery = Bakery(line, tmp_path)
        async with line.call(ringback="jobs") as caller:
            postgres.lose_answer_to(b"INSERT INTO jobs", silently=True)
            await caller.ask("What is the weather in London UK?")
            await asyncio.to_thread(bakery.begun)
            assert await asyncio.to_thread(postgres.lost.wait, 20), "the row was written"
            bakery.let_go()
            await caller.hear_until(lambda event: event.get("job", {}).get("state") == "acked")
            (job,) = line.jobs(caller.session_id)
        told = [item["output"] for number in line.simulator.heard() for item in line.simulator.outputs(number)]
    assert (job["state"], bakery.attempts(), len(told)) == ("succeeded", 1, 1)
    assert json.loads(told[0])["status"] == "baked"

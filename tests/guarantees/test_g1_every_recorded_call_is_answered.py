"""G1: the model is answered for each call that it made, with a result or with the reason why there is none."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.guarantees.toolbox.bakery import FIRST, Pair, baked, given_once_each, order
from tests.guarantees.toolbox.yard import Yard
from tests.line import eventually

pytestmark = [pytest.mark.anyio, pytest.mark.long, pytest.mark.timeout(120)]

WISHES = "jobs,resume"
AWAY = "temporarily_unavailable"


@pytest.mark.parametrize("fault", ["refuse", "blackhole"])
async def test_a_call_while_postgres_is_away_is_answered_and_the_next_one_is_run_when_it_is_back(
    pair: Pair, fault: str
) -> None:
    """F22, F23: gone, or hung with every connection open. The talk goes on, and the history has both calls."""
    name, later = order(), order()
    async with pair.line.call(on=FIRST, ringback=WISHES) as caller:
        await caller.ask("hello")
        await caller.hear_words("Good day.")
        getattr(pair.postgres, fault)()
        await caller.ask(f"Where is my order {name}?")
        await caller.hear_words("could not look up your order")
        await caller.ask("hello")
        await caller.hear_words("Good day.")
        number = pair.line.simulator.about(name)[-1]
        (output,) = pair.line.simulator.outputs(number)
        assert json.loads(output["output"])["error"]["code"] == AWAY
        pair.postgres.heal()
        await asyncio.to_thread(pair.line.revive)
        call_id = await pair.ask(caller, later)
        await asyncio.to_thread(_begun, pair, later)
        pair.let_go(later)
        await caller.hear_words(baked(later))
        listed = await asyncio.to_thread(
            eventually, lambda: _both(pair, caller.session_id), "both calls in the history"
        )
        assert pair.attempts(name) == 0, "nobody waits for it any more"
    assert {job["call_id"] for job in listed} == {output["call_id"], call_id}
    given_once_each(pair, [output["call_id"], call_id])


def _begun(pair: Pair, name: str) -> None:
    """Wait for an order with workers that end while Postgres is away, and are started again."""

    def look() -> bool:
        pair.line.revive()
        return pair.attempts(name) > 0

    eventually(look, f"order {name} to begin")


def _both(pair: Pair, session_id: str) -> list[dict[str, str]]:
    listed = pair.line.jobs(session_id)
    return listed if len(listed) == 2 else []


async def test_a_call_that_waits_for_a_postgres_that_comes_back_in_time_is_run(pair: Pair) -> None:
    """F22: for less time than a call may wait."""
    name = order()
    async with pair.line.call(on=FIRST, ringback=WISHES) as caller:
        await caller.ask("hello")
        await caller.hear_words("Good day.")
        pair.postgres.refuse()
        await caller.ask(f"Where is my order {name}?")
        await caller.hear_kind("response.done")
        pair.postgres.heal()
        await caller.hear_job("pending")
        await asyncio.to_thread(_begun, pair, name)
        pair.let_go(name)
        await caller.hear_words(baked(name))


async def test_a_result_that_comes_while_redis_is_away_is_told_all_the_same(pair: Pair) -> None:
    """F13: neither the message nor the doorbell gets through; the tables do."""
    running, waiting = order(), order()
    async with pair.line.call(on=FIRST, ringback=WISHES) as caller:
        ids = [await pair.ask(caller, running)]
        await asyncio.to_thread(pair.begun, 1, running)
        pair.redis.refuse()
        pair.let_go(running)
        await caller.hear_words(baked(running))
        ids.append(await pair.ask(caller, waiting))
        await caller.ask("hello")
        await caller.hear_words("Good day.")
        pair.redis.heal()
        await asyncio.to_thread(_begun, pair, waiting)
        pair.let_go(waiting)
        await caller.hear_words(baked(waiting))
    given_once_each(pair, ids)


async def test_a_call_whose_record_nobody_heard_of_is_run_and_answered(pair: Pair) -> None:
    """F3: the line breaks between the COMMIT of the call's row and the word that it is there."""
    name = order()
    async with pair.line.call(on=FIRST, ringback=WISHES) as caller:
        pair.postgres.lose_answer_to(b"order_status")
        await caller.ask(f"Where is my order {name}?")
        assert await asyncio.to_thread(pair.postgres.lost.wait, 20), "the row was written"
        await asyncio.to_thread(pair.begun, 1, name)
        pair.let_go(name)
        await caller.hear_words(baked(name))
        assert pair.attempts(name) == 1
        (job,) = await asyncio.to_thread(pair.line.jobs, caller.session_id)
    assert job["state"] == "succeeded"


def test_a_job_that_nobody_runs_ends_with_its_deadline(yard: Yard) -> None:
    """No worker is there but the one that sweeps, and it serves another queue."""
    yard.start_worker("elsewhere", RINGBACK_WORKER_QUEUES="elsewhere")
    job_id = yard.admit("reckon")
    yard.overdue(job_id)
    job = yard.finished(job_id)
    assert (job.state, job.error, job.delivery) == ("timed_out", {"code": "timed_out"}, "ready")


def test_a_job_that_takes_three_workers_with_it_is_dead_and_not_tried_again(yard: Yard) -> None:
    yard.start_workers("first", "second")
    job_id = yard.ask("poison")
    assert yard.all_finished() == {"dead": 1}
    job = yard.job(job_id)
    assert (job.state, job.error, job.attempt, job.delivery) == ("dead", {"code": "worker_lost"}, 3, "ready")

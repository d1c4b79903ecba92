"""G6: a tool that must not run twice does not, and the model is told that nobody knows what happened."""

from __future__ import annotations

import asyncio

import pytest

from tests.guarantees.conftest import Bakery

pytestmark = [pytest.mark.anyio, pytest.mark.long, pytest.mark.timeout(180)]


async def test_a_worker_killed_in_the_middle_of_it_leaves_an_unknown_outcome(bakery: Bakery) -> None:
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

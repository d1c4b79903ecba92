"""G12: each call's whole life can be looked up afterwards: every attempt, every move, and what became of the answer."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any
from uuid import UUID

import pytest

from ringback.ids import MARKED, job_id_of
from tests.guarantees.toolbox.bakery import FIRST, SECOND, Pair, baked, order
from tests.line import eventually

pytestmark = [pytest.mark.anyio, pytest.mark.long, pytest.mark.timeout(120)]

WISHES = "jobs,resume"


def told(pair: Pair, call_id: str, on: str = SECOND) -> dict[str, Any]:
    """The whole life of a call."""
    listed = pair.line.get("/v1/jobs?limit=100", on=on)["data"]
    (job_id,) = [job["id"] for job in listed if job["call_id"] == call_id]
    job: dict[str, Any] = pair.line.get(f"/v1/jobs/{job_id}", on=on)
    return job


def moves(job: dict[str, Any]) -> list[tuple[str, str]]:
    return [(step["state"], step["delivery"]) for step in job["transitions"]]


async def test_a_job_that_lost_its_worker_and_its_gateway_tells_of_both(pair: Pair) -> None:
    """F1 and F8 on one call."""
    name = order()
    async with AsyncExitStack() as stack:
        old = await stack.enter_async_context(pair.line.call(on=FIRST, ringback=WISHES))
        call_id = await pair.ask(old, name)
        await asyncio.to_thread(pair.begun, 1, name)
        pair.line.processes.kill("worker")
        pair.line.processes.kill(FIRST)
        await asyncio.to_thread(pair.line.restart, "worker")
        await asyncio.to_thread(pair.begun, 2, name)
        await asyncio.to_thread(pair.finish, name, call_id)
        new = await stack.enter_async_context(pair.line.call(on=SECOND, resume=old.token, ringback=WISHES))
        await new.hear_words(baked(name))
        session_id = new.session_id
    job = await asyncio.to_thread(told, pair, call_id)
    first, second = job["attempts"]
    assert (first["ended"], second["ended"], first["error"]["code"]) == ("lost", "succeeded", "worker_lost")
    assert first["worker_id"] != second["worker_id"]
    assert moves(job)[:6] == [
        ("pending", "none"),
        ("running", "none"),
        ("pending", "none"),
        ("running", "none"),
        ("succeeded", "ready"),
        ("succeeded", "replayed"),
    ]
    assert {delivery for _, delivery in moves(job)[6:]} <= {"spoken", "heard"}
    assert (job["epoch"], job["delivered_epoch"], job["session_id"]) == (1, 2, session_id)
    assert (UUID(session_id).version, UUID(job["id"])) == (MARKED, job_id_of(UUID(session_id), call_id))
    session = await asyncio.to_thread(pair.line.get, f"/v1/sessions/{session_id}", on=SECOND)
    assert (session["epoch"], session["counts"]) == (2, {"succeeded": 1})


async def test_an_answer_that_came_after_its_session_is_in_the_history(pair: Pair) -> None:
    """F8 without a way back: a client that did not ask to resume."""
    name = order()
    async with pair.line.call(on=FIRST, ringback="jobs") as caller:
        call_id = await pair.ask(caller, name)
        await asyncio.to_thread(pair.begun, 1, name)
        session_id = caller.session_id
        pair.line.processes.kill(FIRST)
        await caller.hear_goodbye()
    await asyncio.to_thread(eventually, lambda: pair.session_state(session_id) == "ended", "the session to end")
    await asyncio.to_thread(pair.finish, name, call_id)
    await asyncio.to_thread(eventually, lambda: pair.delivery(call_id) == "history_only", "the answer to be kept")
    job = await asyncio.to_thread(told, pair, call_id)
    assert job["result"]["status"] == "baked"
    assert pair.line.get(f"/v1/sessions/{session_id}", on=SECOND)["end_reason"] == "gateway_lost"

"""Processes that get too little of a core, or are kept from it by a tool: they are slow, and nothing is lost for it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import psycopg
import pytest

from ringback.leases.lease import LEASE_SECONDS
from tests.guarantees.toolbox.bakery import FIRST, SECOND, Bakery, Pair, baked, order
from tests.guarantees.toolbox.starving import a_fifth_of_a_core
from tests.guarantees.toolbox.yard import Yard
from tests.line import eventually
from tests.servers import in_dialect

pytestmark = [pytest.mark.long, pytest.mark.timeout(240)]

FLAPPING = ("not renewed", "declared lost", "worker lost", "gateway lost", "session lost", "taken back")
"""What a log says of a process that was given up, or gave itself up."""
ROUNDS, TALKS, TOOLS = 3, 4, 16
COMPUTED_SECONDS = LEASE_SECONDS
"""Long enough for a lease to end that is not renewed."""
SUPERSEDED = 4409
LASTING = "UPDATE processes SET lease_until = now() + interval '1 hour' WHERE pid = %d RETURNING id"
ITS_OWN = "SELECT id FROM processes WHERE lease_until < now() + interval '1 minute' AND pid = %d"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def flapped(logs: Iterable[str]) -> list[str]:
    return [line for log in logs for line in log.splitlines() if any(each in line for each in FLAPPING)]


def rows(database: str, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(in_dialect(database, "postgresql")) as connection:
        return connection.execute(query.encode()).fetchall()


def is_said(log: Path, words: str) -> bool:
    return words in log.read_text()


def is_detached(pair: Pair, session_id: str) -> bool:
    return pair.session_state(session_id) == "detached"


@pytest.mark.anyio
async def test_a_gateway_and_a_worker_at_a_fifth_of_a_core_answer_each_call_and_lose_no_session(
    bakery: Bakery,
) -> None:
    pids = bakery.line.pids
    with a_fifth_of_a_core(pids["gateway"], pids["worker"]):
        async with AsyncExitStack() as stack:
            callers = [await stack.enter_async_context(bakery.line.call(ringback="jobs")) for _ in range(TALKS)]
            for _ in range(ROUNDS):
                names = [order() for _ in callers]
                for caller, name in zip(callers, names, strict=True):
                    await caller.ask(f"Where is my order {name}?")
                await asyncio.to_thread(bakery.all_begun, names)
                bakery.let_go(*names)
                for caller, name in zip(callers, names, strict=True):
                    await caller.hear_words(baked(name))
            ended = rows(bakery.line.database, "SELECT state, end_reason FROM sessions WHERE state <> 'open'")
    assert ended == []
    kinds = rows(bakery.line.database, "SELECT kind FROM processes WHERE ended_at IS NULL ORDER BY kind")
    assert kinds == [("gateway",), ("worker",)], "neither came back as another one"
    assert {job["attempt"] for caller in callers for job in bakery.line.jobs(caller.session_id)} == {1}
    assert flapped(bakery.line.logs.joinpath(f"{name}.log").read_text() for name in ("gateway", "worker")) == []


def test_a_worker_at_a_fifth_of_a_core_whose_tools_compute_keeps_its_lease(yard: Yard) -> None:
    yard.start_worker("busy")
    with a_fifth_of_a_core(yard.pids["busy"]):
        jobs = [yard.ask("compute", seconds=COMPUTED_SECONDS) for _ in range(TOOLS)]
        finished = [yard.finished(job_id) for job_id in jobs]
    assert {(job.state, job.attempt) for job in finished} == {("succeeded", 1)}
    assert not yard.has_ended("busy")
    assert flapped([yard.log("busy")]) == []


def test_a_tool_that_keeps_the_interpreter_for_two_seconds_costs_no_lease_and_is_told(yard: Yard) -> None:
    yard.start_worker("held")
    job = yard.finished(yard.ask("hold", seconds=2.0))
    assert (job.state, job.attempt) == ("succeeded", 1)
    eventually(lambda: "this worker was held up for" in yard.log("held"), "it to be told")
    assert not yard.has_ended("held")
    assert flapped([yard.log("held")]) == []


@pytest.mark.anyio
async def test_a_gateway_that_was_paused_lets_go_of_what_others_hold_and_of_nothing_else(pair: Pair) -> None:
    async with AsyncExitStack() as stack:
        taken, kept = [await stack.enter_async_context(pair.line.call(on=FIRST, ringback="resume")) for _ in range(2)]
        for caller in (taken, kept):
            await caller.ask("hello")
            await caller.hear_words("Good day.")
        pair.signal(FIRST, signal.SIGSTOP)
        rows(pair.line.database, LASTING % pair.line.pids[FIRST])  # or a slow machine would outlast it
        after = await stack.enter_async_context(pair.line.call(on=SECOND, ringback="resume", resume=taken.token))
        await after.ask("hello")
        await after.hear_words("Good day.")
        pair.signal(FIRST, signal.SIGCONT)
        assert (await taken.hear_goodbye())[0] == SUPERSEDED
        await after.ask("hello")
        await after.hear_words("Good day.")
        await kept.ask("hello")
        await kept.hear_words("Good day.")
    renewed = partial(rows, pair.line.database, ITS_OWN % pair.line.pids[FIRST])
    await asyncio.to_thread(eventually, renewed, "the gateway to renew its lease itself")


@pytest.mark.anyio
async def test_a_gateway_that_was_paused_past_its_lease_lets_go_at_once_of_what_it_lost(pair: Pair) -> None:
    async with AsyncExitStack() as stack:
        callers = [await stack.enter_async_context(pair.line.call(on=FIRST, ringback="resume")) for _ in range(2)]
        for caller in callers:
            await caller.ask("hello")
            await caller.hear_words("Good day.")
        pair.signal(FIRST, signal.SIGSTOP)
        for caller in callers:
            is_lost = partial(is_detached, pair, caller.session_id)
            await asyncio.to_thread(eventually, is_lost, "the session to be let go by the other gateway")
        pair.signal(FIRST, signal.SIGCONT)
        for caller in callers:
            assert (await caller.hear_goodbye())[0] == SUPERSEDED
            after = await stack.enter_async_context(pair.line.call(on=SECOND, ringback="resume", resume=caller.token))
            await after.ask("hello")
            await after.hear_words("Good day.")
    log = pair.line.logs.joinpath(f"{FIRST}.log")
    for line in ("the gateway was held up for", "reading at once which sessions are still held here"):
        await asyncio.to_thread(eventually, partial(is_said, log, line), f"the log to say {line!r}")

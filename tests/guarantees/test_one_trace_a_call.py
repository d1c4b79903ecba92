"""Each call has one trace, from the end of the user's turn until its result was heard, whatever happened to it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from ringback.telemetry.call_trace import root_id, trace_id
from tests.caller import Caller, Event
from tests.collector import Collector, Told, collecting
from tests.guarantees.toolbox.bakery import HERE
from tests.guarantees.traced_tools import WORDS
from tests.line import Line, eventually, running_line

pytestmark = [pytest.mark.anyio, pytest.mark.long, pytest.mark.timeout(120)]

GATEWAY, WORKER = "ringback-gateway", "ringback-worker"
TOOL = "execute_tool order_status"
OWN = "ask the bakery"
MODEL = "generate_live_content gpt-realtime-2.1"
WAITS = "wait for a worker"
ASKED = ["invoke_agent demo", MODEL, "record", "send slow", WAITS]
TOLD = ["ring", "send result", "wait for the floor", "first audio", MODEL, "heard"]


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


@pytest.fixture
def line(database: str, redis_db: str, tmp_path: Path, collector: Collector) -> Iterator[Line]:
    with running_line(
        database,
        redis_db,
        tmp_path,
        tools="tests.guarantees.traced_tools",
        settings=collector.environment,
        gateway_settings={"RINGBACK_GATEWAY_PROCESSES": "2"},  # each tells its spans after the fork
        scenario=str(HERE / "bakery.yaml"),
    ) as line:
        yield line


def causes(spans: list[Told]) -> list[str]:
    """What happened in a trace, in the order in which it began; whether the gateway or a worker told it."""
    names = [span.name if span.service == GATEWAY else f"worker: {span.name}" for span in spans]
    names[3:5] = sorted(names[3:5])  # the message leaves while Postgres writes the row: either may be first
    return names


def is_whole(spans: list[Told], job: UUID) -> None:
    """One root over all, which ends last; what the tool tells itself stands under its attempt."""
    root, *others = spans
    attempts = {span.id: span for span in others if span.name == TOOL}
    assert (root.name, root.id, root.parent) == ("invoke_agent demo", f"{root_id(job):016x}", "")
    assert {span.parent for span in others if span.name != OWN} == {root.id}
    assert all(attempts[span.parent].service == WORKER for span in others if span.name == OWN)
    assert len({span.id for span in spans}) == len(spans)
    assert all(span.began <= span.ended <= root.ended for span in others)


def names_the_call(span: Told, caller: Caller, job: Event) -> None:
    """An attempt says which call it is, as the conventions say."""
    wanted = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "order_status",
        "gen_ai.tool.type": "function",
        "gen_ai.tool.call.id": job["call_id"],
        "gen_ai.conversation.id": caller.session_id,
        "gen_ai.agent.name": "demo",
        "ringback.job.id": job["id"],
    }
    assert wanted.items() <= span.attributes.items()


def trace_of(job: Event) -> str:
    return f"{trace_id(UUID(job['id'])):032x}"


async def test_an_ordinary_call_a_retry_and_a_killed_worker_are_one_trace_each(
    line: Line, collector: Collector
) -> None:
    twice = [*ASKED, f"worker: {TOOL}", f"worker: {OWN}", WAITS, f"worker: {TOOL}", f"worker: {OWN}", *TOLD]
    killed = [*ASKED, TOOL, WAITS, f"worker: {TOOL}", f"worker: {OWN}", *TOLD]
    once = [*ASKED, f"worker: {TOOL}", f"worker: {OWN}", *TOLD]
    async with line.call(ringback="jobs") as caller:

        async def traced(wanted: list[str]) -> None:
            """The newest call's result is heard, and all processes have sent their spans of it."""
            await asyncio.to_thread(collector.trace, trace_of(line.jobs(caller.session_id)[0]), enough=len(wanted))

        await caller.hear_kind("session.created")
        for order, wanted in (("A-1042", once), ("R-1042", twice)):
            await caller.ask(f"Where is my order {order}?")
            await caller.hear_words(order)
            await traced(wanted)  # a worker that is killed sends no more
        await caller.ask("Where is my order K-1042?")
        await asyncio.to_thread(eventually, lambda: line.has_ended("worker"), "the worker to be killed")
        await asyncio.to_thread(line.restart, "worker")
        await caller.hear_words("K-1042")
        await traced(killed)
    jobs = list(reversed(line.jobs(caller.session_id)))
    ends = [[False], [True, False], [True, False]]
    for job, wanted, errors in zip(jobs, (once, twice, killed), ends, strict=True):
        spans = collector.trace(trace_of(job), enough=len(wanted))
        assert causes(spans) == wanted
        is_whole(spans, UUID(job["id"]))
        attempts = [span for span in spans if span.name == TOOL]
        for span in attempts:
            names_the_call(span, caller, job)
        assert [span.attributes["ringback.attempt"] for span in attempts] == [*range(1, len(attempts) + 1)]
        assert [span.is_error for span in attempts] == errors
        assert spans[0].attributes["ringback.job.state"] == "succeeded"
    assert attempts[0].attributes["error.type"] == "worker_lost"
    line.processes.kill("gateway")
    assert len({span.trace for span in collector.rest()}) == len(jobs), "and nothing else is told"
    sent = b"".join(collector.bodies)
    assert all(word not in sent for word in (WORDS.encode(), b"A-1042", b"R-1042", b"K-1042", b"tester"))

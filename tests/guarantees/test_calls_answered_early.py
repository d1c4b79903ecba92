"""G5, at a server that holds the talk: a call is answered early, something is killed, and its result is told once.

Such a server gets an output at once ("accepted"), and the result as the output of a second call (ADR 0075).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import pytest

from tests.caller import Caller
from tests.guarantees.toolbox.bakery import FIRST, HERE, SECOND, Pair, baked, heard_times, open_pair, order, refusals
from tests.line import OF_A_FILE, PLACED, eventually, redis_number
from tests.servers import own_database, own_redis_db

pytestmark = [pytest.mark.anyio, pytest.mark.long, pytest.mark.timeout(120)]

WISHES = "jobs,resume"


@pytest.fixture(scope="module")
def _held(
    database_url: str, redis_url: str, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pair]:
    folder: Path = tmp_path_factory.mktemp("held")
    with (
        own_database(database_url, "ringback_held", migrated_template) as database,
        own_redis_db(redis_url, redis_number(OF_A_FILE)) as redis,
        open_pair(
            database, redis, folder, scenario=HERE / "held_talk.yaml", REALTIME_PROVIDER="speech_to_speech"
        ) as pair,
    ):
        yield pair


@pytest.fixture
def held(_held: Pair) -> Pair:
    """Two gateways before such a server, whole again whatever the test before has broken."""
    _held.mend()
    return _held


def told_of(pair: Pair, name: str, words: str) -> list[int]:
    """The conversations that were told this of an order, by an output each time."""
    simulator = pair.line.simulator
    told = [(number, str(item["output"])) for number in simulator.about(name) for item in simulator.outputs(number)]
    return [number for number, output in told if words in output]


async def answered_early(pair: Pair, caller: Caller, name: str) -> str:
    """Ask for an order, and wait until its call has its early answer; returns the call's id."""
    call_id = await pair.ask(caller, name)
    await asyncio.to_thread(pair.begun, 1, name)
    await asyncio.to_thread(eventually, partial(told_of, pair, name, "accepted"), "the early answer")
    return call_id


def is_given_once(pair: Pair, name: str, call_id: str) -> None:
    """The conversation that lives has the result once, no other was told it twice, and none refused a thing."""
    numbers = told_of(pair, name, "baked")
    assert len(numbers) == len(set(numbers)), f"given twice to one conversation: {numbers}"
    assert numbers[-1] == pair.line.simulator.about(name)[-1]
    assert pair.delivery(call_id) in PLACED
    for number in pair.line.simulator.about(name):
        assert refusals(pair, number) == []


async def hears_it_once(pair: Pair, callers: list[Caller], name: str, call_id: str) -> None:
    await callers[-1].hear_words(baked(name))
    await callers[-1].ask("hello")
    await callers[-1].hear_words("Good day.")
    assert heard_times(callers, baked(name)) == 1
    await asyncio.to_thread(eventually, lambda: pair.delivery(call_id) in PLACED, "the row to say so")
    is_given_once(pair, name, call_id)


@pytest.mark.parametrize("is_done", [False, True], ids=["runs", "ends"])
async def test_its_gateway_is_killed_and_the_result_that_comes_meanwhile_or_later_is_told_once(
    held: Pair, is_done: bool
) -> None:
    name = order()
    async with AsyncExitStack() as stack:
        old = await stack.enter_async_context(held.line.call(on=FIRST, ringback=WISHES))
        call_id = await answered_early(held, old, name)
        held.line.processes.kill(FIRST)
        if is_done:
            await asyncio.to_thread(held.finish, name, call_id)
        new = await stack.enter_async_context(held.line.call(on=SECOND, resume=old.token, ringback=WISHES))
        await new.hear_kind("session.created")
        if not is_done:
            await new.ask("hello")  # the talk is not held up by a call whose early answer was another conversation's
            await new.hear_words("Good day.")
            held.let_go(name)
        await hears_it_once(held, [old, new], name, call_id)


async def test_its_gateway_is_killed_when_the_result_is_written_and_its_row_does_not_say_so(held: Pair) -> None:
    name = order()
    async with AsyncExitStack() as stack:
        old = await stack.enter_async_context(held.line.call(on=FIRST, ringback=WISHES))
        call_id = await answered_early(held, old, name)
        with held.marks_held(call_id):
            held.let_go(name)
            await asyncio.to_thread(eventually, partial(told_of, held, name, "baked"), "the result to be written")
            assert held.delivery(call_id) == "ready"
            held.line.processes.kill(FIRST)
        new = await stack.enter_async_context(held.line.call(on=SECOND, resume=old.token, ringback=WISHES))
        await new.hear_kind("session.created")  # the old conversation may have told it before the kill, or not

        def has_it() -> bool:
            return told_of(held, name, "baked")[-1] == held.line.simulator.about(name)[-1]

        await asyncio.to_thread(eventually, has_it, "the new conversation to have it")
        assert len(told_of(held, name, "baked")) == 2, "once in each"
    await asyncio.to_thread(eventually, lambda: held.delivery(call_id) in PLACED, "the row to say so")
    is_given_once(held, name, call_id)


async def test_its_worker_is_killed_and_the_result_of_the_second_attempt_is_told_once(held: Pair) -> None:
    name = order()
    async with held.line.call(on=FIRST, ringback=WISHES) as caller:
        call_id = await answered_early(held, caller, name)
        held.line.processes.kill("worker")
        await asyncio.to_thread(held.line.restart, "worker")
        await asyncio.to_thread(held.begun, 2, name)
        held.let_go(name)
        await hears_it_once(held, [caller], name, call_id)
    (output,) = [json.loads(item["output"]) for _, item in held.outputs(call_id)]
    assert output["status"] == "accepted", "the call has one output, and the second call has the result"

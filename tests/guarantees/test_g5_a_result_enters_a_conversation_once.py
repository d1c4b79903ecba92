"""G5: a result enters each upstream conversation once at most, and the living one has it, wherever the fault struck.

The evidence is what the simulator was sent, conversation by conversation.
"""

from __future__ import annotations

import asyncio
import signal
from contextlib import AsyncExitStack
from functools import partial

import pytest

from tests.guarantees.toolbox.bakery import FIRST, SECOND, Pair, baked, given_once_each, heard_times, order
from tests.line import PLACED, eventually

pytestmark = [pytest.mark.anyio, pytest.mark.long, pytest.mark.timeout(120)]

WISHES = "jobs,resume"
TAKEN_IN = PLACED - {"acked"}
"""Deliveries of a result that a rebuilt conversation was told of: it may have been told to the caller since."""
READING = b"jobs.id != ALL"
"""Of `deliveries.read_ready`, and of no other statement."""
MARKING = b"is_echoed"
"""Of `deliveries.mark`, and of no other statement."""


def anew(pair: Pair) -> None:
    """A first gateway that has prepared no statement yet: a prepared one goes over its connection without its text."""
    pair.line.processes.kill(FIRST)
    pair.mend()


async def test_a_gateway_killed_after_it_read_a_result_and_before_it_wrote_it(pair: Pair) -> None:
    """F10: no conversation has it, and the row says so."""
    await asyncio.to_thread(anew, pair)
    name = order()
    async with AsyncExitStack() as stack:
        old = await stack.enter_async_context(pair.line.call(on=FIRST, ringback=WISHES))
        call_id = await pair.ask(old, name)
        await asyncio.to_thread(pair.begun, 1, name)
        pair.postgres.lose_answer_to(READING, silently=True)
        pair.redis.refuse()  # its doorbell would bring the result, and it would not be read
        pair.let_go(name)
        assert await asyncio.to_thread(pair.postgres.lost.wait, 20), "the result was read"
        pair.redis.heal()
        assert pair.delivery(call_id) == "ready"
        pair.line.processes.kill(FIRST)
        assert pair.outputs(call_id) == []
        new = await stack.enter_async_context(pair.line.call(on=SECOND, resume=old.token, ringback=WISHES))
        await new.hear_words(baked(name))
    given_once_each(pair, [call_id])
    assert pair.delivery(call_id) in TAKEN_IN


@pytest.mark.parametrize("statement", [READING, MARKING], ids=["read", "mark"])
async def test_a_gateway_that_does_not_hear_that_it_read_or_marked_a_result_writes_it_once(
    pair: Pair, statement: bytes
) -> None:
    """F10, without the kill: the caller is still there, and waits."""
    await asyncio.to_thread(anew, pair)
    name = order()
    async with pair.line.call(on=FIRST, ringback=WISHES) as caller:
        call_id = await pair.ask(caller, name)
        await asyncio.to_thread(pair.begun, 1, name)
        pair.postgres.lose_answer_to(statement)
        if statement is READING:
            pair.redis.refuse()
        pair.let_go(name)
        assert await asyncio.to_thread(pair.postgres.lost.wait, 20), "the statement was run"
        pair.redis.heal()
        await caller.hear_words(baked(name))
        await asyncio.to_thread(eventually, lambda: pair.delivery(call_id) in PLACED, "the echo to be recorded")
    given_once_each(pair, [call_id])


async def test_a_gateway_killed_after_it_wrote_a_result_and_before_its_row_says_so(pair: Pair) -> None:
    """The row says `ready`. The conversation that has the result ends with its gateway, and the next one is told."""
    name = order()
    async with AsyncExitStack() as stack:
        old = await stack.enter_async_context(pair.line.call(on=FIRST, ringback=WISHES))
        call_id = await pair.ask(old, name)
        await asyncio.to_thread(pair.begun, 1, name)
        with pair.marks_held(call_id):
            pair.let_go(name)
            await asyncio.to_thread(eventually, lambda: pair.outputs(call_id), "the result to be written")
            assert pair.delivery(call_id) == "ready"
            pair.line.processes.kill(FIRST)
        new = await stack.enter_async_context(pair.line.call(on=SECOND, resume=old.token, ringback=WISHES))
        await new.hear_kind("session.created")  # by then it has all of its past
        assert len(pair.outputs(call_id)) == 2, "once in each"
    given_once_each(pair, [call_id])
    assert pair.delivery(call_id) in TAKEN_IN


async def test_a_gateway_paused_before_it_marked_a_result_marks_none_once_another_has_the_session(pair: Pair) -> None:
    """Its late mark names an epoch that is over: the newest conversation keeps the result."""
    name = order()
    async with AsyncExitStack() as stack:
        old = await stack.enter_async_context(pair.line.call(on=FIRST, ringback=WISHES))
        call_id = await pair.ask(old, name)
        await asyncio.to_thread(pair.begun, 1, name)
        with pair.marks_held(call_id) as drop_those_that_wait:
            pair.let_go(name)
            await asyncio.to_thread(eventually, lambda: pair.outputs(call_id), "the result to be written")
            await asyncio.to_thread(eventually, lambda: drop_those_that_wait(FIRST), "its mark to be cut off")
        try:
            new = await stack.enter_async_context(pair.line.call(on=SECOND, resume=old.token, ringback=WISHES))
            await new.hear_kind("session.created")
        finally:
            pair.line.processes.resume(FIRST)
        await old.hear_goodbye()
    given_once_each(pair, [call_id])
    assert pair.delivery(call_id) in TAKEN_IN


async def test_a_gateway_killed_after_it_wrote_a_result_and_before_it_was_echoed(pair: Pair) -> None:
    """F11: the conversation that was given it is over, and the next one is given it as well."""
    name = order()
    async with AsyncExitStack() as stack:
        old = await stack.enter_async_context(pair.line.call(on=FIRST, ringback=WISHES))
        call_id = await pair.ask(old, name)
        await asyncio.to_thread(pair.begun, 1, name)
        pair.line.processes.pause("simulator")
        try:
            pair.let_go(name)
            await asyncio.to_thread(eventually, lambda: pair.delivery(call_id) == "sent", "the result to be recorded")
            await old.hear_job("succeeded")
            pair.line.processes.kill(FIRST)
        finally:
            pair.line.processes.resume("simulator")
        new = await stack.enter_async_context(pair.line.call(on=SECOND, resume=old.token, ringback=WISHES))
        await new.hear_words(baked(name))
        assert heard_times([old, new], baked(name)) == 1
    assert len(pair.outputs(call_id)) == 2, "once in each"
    given_once_each(pair, [call_id])


@pytest.mark.parametrize(
    ("fault", "refusals"),
    [
        ({"do": "drop", "code": 1000}, {}),
        ({"do": "drop", "code": 1001}, {"status": 429, "times": 2}),
        ({"do": "drop", "code": 1006}, {"status": 500, "times": 3}),
        ({"do": "drop", "code": 1011}, {}),
        ({"do": "cut"}, {"status": 503, "times": 1}),
    ],
    ids=["1000", "1001-429", "1006-500", "1011", "in-mid-frame"],
)
async def test_an_upstream_that_goes_away_is_called_again_and_told_everything_once(
    pair: Pair, fault: dict[str, str | int], refusals: dict[str, int]
) -> None:
    """F28: with one result told, one that comes while nobody is connected, and one that comes later."""
    told, missed, late = order(), order(), order()
    async with pair.line.call(on=FIRST, ringback=WISHES) as caller:
        calls = {name: await pair.ask(caller, name) for name in (told, missed, late)}
        pair.let_go(told)
        await caller.hear_words(baked(told))
        if refusals:
            pair.line.simulator.order("refuse", **refusals)
        pair.line.simulator.order(**fault)  # type: ignore[arg-type]
        pair.let_go(missed)
        rebuilt = await caller.hear_kind("ringback.session.rebuilt")
        assert rebuilt["reason"] == "upstream_closed"
        await caller.hear_words(baked(missed))
        pair.let_go(late)
        await caller.hear_words(baked(late))
        assert [heard_times([caller], baked(name)) for name in calls] == [1, 1, 1]
    given_once_each(pair, calls.values())


async def test_an_upstream_that_drops_again_and_again_while_results_come(pair: Pair) -> None:
    """F28."""
    names = [order() for _ in range(5)]
    async with pair.line.call(on=FIRST, ringback=WISHES) as caller:
        calls = [await pair.ask(caller, name) for name in names]
        for name in names:
            pair.let_go(name)
            pair.line.simulator.order("drop", code=1006)
            await caller.hear_kind("ringback.session.rebuilt")
        # Not by what is said: a response that a drop has cut short has told what it had begun to tell.
        await asyncio.to_thread(
            eventually, partial(is_given_all, pair, calls), "each result in the conversation that lives"
        )
        await caller.ask("hello")
        await caller.hear_words("Good day.")
    given_once_each(pair, calls)


def is_given_all(pair: Pair, call_ids: list[str]) -> bool:
    """Whether the newest conversation that knows a call has its result, for each call."""
    newest = {call_id: pair.line.simulator.about(call_id)[-1] for call_id in call_ids}
    return all(number in [given for given, _ in pair.outputs(call_id)] for call_id, number in newest.items())


async def test_an_epoch_whose_beginning_nobody_heard_of_is_followed_by_another(pair: Pair) -> None:
    """F3 and F28: the line to Postgres breaks between the COMMIT of a new epoch and the word that it has begun."""
    name = order()
    async with pair.line.call(on=FIRST, ringback=WISHES) as caller:
        call_id = await pair.ask(caller, name)
        pair.postgres.lose_answer_to(b"COMMIT")
        pair.line.simulator.order("drop", code=1006)
        assert await asyncio.to_thread(pair.postgres.lost.wait, 20), "the epoch was begun"
        await caller.hear_kind("ringback.session.rebuilt")
        pair.let_go(name)
        await caller.hear_words(baked(name))
    given_once_each(pair, [call_id])


async def test_a_gateway_told_to_stop_twice_leaves_nothing_half_done(pair: Pair) -> None:
    """A second SIGTERM ends the draining: what was on its way is in the next conversation."""
    name = order()
    async with AsyncExitStack() as stack:
        old = await stack.enter_async_context(pair.line.call(on=FIRST, ringback=WISHES))
        call_id = await pair.ask(old, name)
        pair.let_go(name)
        pair.signal(FIRST, signal.SIGTERM)
        pair.signal(FIRST, signal.SIGTERM)
        await old.hear_goodbye()
        new = await stack.enter_async_context(pair.line.call(on=SECOND, resume=old.token, ringback=WISHES))
        await new.hear_kind("session.created")
        if not heard_times([old], baked(name)):
            await new.hear_words(baked(name))
    given_once_each(pair, [call_id])

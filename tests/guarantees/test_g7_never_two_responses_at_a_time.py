"""G7: never two responses at a time. Results are told when there is room, and once."""

from __future__ import annotations

import asyncio
import random

import pytest

from tests.caller import Caller, Event
from tests.guarantees.toolbox.bakery import FIRST, Pair, baked, heard_times, refusals

pytestmark = [pytest.mark.anyio, pytest.mark.long, pytest.mark.timeout(120)]

WISHES = "jobs,resume"
SEED = 20261124
COLLISION = "conversation_already_has_active_response"


def most_at_once(said: list[Event]) -> int:
    """The most responses of one conversation that were active at any moment, as the server told of them."""
    active = most = 0
    for event in said:
        active += {"response.created": 1, "response.done": -1}.get(event["type"], 0)
        most = max(most, active)
    return most


@pytest.mark.parametrize("rival_ms", [0, 400], ids=["alone", "with-a-rival"])
async def test_eight_results_in_any_order_are_told_once_each_and_one_response_after_the_other(
    pair: Pair, rival_ms: int
) -> None:
    """F32: after each call the server may begin a response of its own, so that ours is refused at any moment."""
    if rival_ms:
        pair.line.simulator.order("knobs", rival_response_ms=rival_ms, text_delta_ms=5)
    who = "rival" if rival_ms else "alone"
    names = [f"{who.upper()}-{n}" for n in range(1, 9)]
    random.Random(SEED).shuffle(names)
    async with pair.line.call(on=FIRST, ringback=WISHES) as caller:
        await caller.ask(f"Where are the eight orders of {who}?")
        await asyncio.to_thread(pair.all_begun, names)
        for part in (names[:1], names[1:3], names[3:4], names[4:]):
            pair.let_go(*part)
            for name in part:
                await _hear_of(caller, name)
        await caller.ask("hello")
        await caller.hear_words("Good day.")
        assert [heard_times([caller], baked(name)) for name in names] == [1] * 8
        (number,) = pair.line.simulator.about(names[0])
        said = pair.line.simulator.said()[number]
        assert most_at_once(said) == 1
        assert len(pair.line.simulator.outputs(number)) == 8
        collisions = refusals(pair, number)
        assert collisions == [] or (rival_ms and set(collisions) == {COLLISION}), "ours waits for what it knows of"
        assert not [event for event in caller.heard if event["type"] == "error"], "it is ours alone"


async def test_a_client_that_asks_at_the_wrong_moment_is_told_and_nothing_is_lost(pair: Pair) -> None:
    """F32: the client's own response.create may collide with ours; its own it hears of, and every result is told."""
    pair.line.simulator.order("knobs", text_delta_ms=20)
    names = [f"EAGER-{n}" for n in range(1, 9)]
    async with pair.line.call(on=FIRST, ringback=WISHES) as caller:
        await caller.ask("Where are the eight orders of eager?")
        await asyncio.to_thread(pair.all_begun, names)
        for name in names:
            pair.let_go(name)
            await caller.send({"type": "response.create"})
        for name in names:
            await _hear_of(caller, name)
        assert [heard_times([caller], baked(name)) for name in names] == [1] * 8
        (number,) = pair.line.simulator.about(names[0])
        assert most_at_once(pair.line.simulator.said()[number]) == 1


async def _hear_of(caller: Caller, name: str) -> None:
    if not heard_times([caller], baked(name)):
        await caller.hear_words(baked(name))

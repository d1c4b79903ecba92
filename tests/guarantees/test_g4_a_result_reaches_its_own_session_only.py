"""G4: a result reaches the session that asked for it, and no other, however much goes on beside it."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import AsyncExitStack

import pytest

from tests.caller import Caller, Event
from tests.guarantees.toolbox.bakery import FIRST, SECOND, Pair, baked, given_once_each, order
from tests.line import OTHER_TOKEN, TOKEN

pytestmark = [pytest.mark.anyio, pytest.mark.long, pytest.mark.timeout(120)]

WISHES = "jobs,resume"
OVER = ("conversation.item.done", "response.output_item.done")
"""What says that an item is whole; either may be the last that a gateway hears of an upstream."""
NAME = re.compile(r"\bA-\d+\b")


def names_in(text: str) -> set[str]:
    """Each order is asked for by one session: whoever else hears its name has heard too much."""
    return set(NAME.findall(text))


async def hear_result(caller: Caller, name: str) -> None:
    """Until the sentence is over: an upstream that is cut right behind it never says that the response is."""

    def says_it(event: Event) -> bool:
        return event["type"] in OVER and baked(name) in json.dumps(event["item"])

    await caller.hear_until(says_it)


@pytest.mark.parametrize("fault", ["none", "postgres", "upstream", "redis"])
async def test_sessions_of_two_users_on_two_gateways_hear_of_their_own_orders_only(pair: Pair, fault: str) -> None:
    """F21 among others: all results come at once, while connections to one side are cut again and again."""
    names = [order() for _ in range(12)]
    async with AsyncExitStack() as stack:
        callers = [
            await stack.enter_async_context(
                pair.line.call(TOKEN if n % 3 else OTHER_TOKEN, on=FIRST if n % 2 else SECOND, ringback=WISHES)
            )
            for n in range(len(names))
        ]
        calls = [await pair.ask(caller, name) for name, caller in zip(names, callers, strict=True)]
        await asyncio.to_thread(pair.all_begun, names)
        waiting = [asyncio.create_task(hear_result(caller, name)) for name, caller in zip(names, callers, strict=True)]
        for part in (names[:4], names[4:8], names[8:]):
            pair.let_go(*part)
            await asyncio.to_thread(break_, pair, fault)
        await asyncio.gather(*waiting)
        for name, caller in zip(names, callers, strict=True):
            assert names_in(" ".join(caller.frames)) == {name}
    heard = pair.line.simulator.heard()
    for name, call_id in zip(names, calls, strict=True):
        for number in pair.line.simulator.about(call_id):
            assert names_in(json.dumps(heard[number])) == {name}
    given_once_each(pair, calls)


def break_(pair: Pair, fault: str) -> None:
    match fault:
        case "postgres":
            pair.postgres.reset()
        case "redis":
            pair.redis.reset()
        case "upstream":
            pair.line.simulator.order("drop", code=1006)


async def test_two_sessions_that_ask_for_the_same_thing_are_answered_one_by_one(pair: Pair) -> None:
    """The same user, tool and arguments: only the session tells them apart."""
    name = order()
    async with AsyncExitStack() as stack:
        callers = [await stack.enter_async_context(pair.line.call(ringback=WISHES)) for _ in range(2)]
        calls = [await pair.ask(caller, name) for caller in callers]
        pair.let_go(name)
        for caller, own, other in zip(callers, calls, reversed(calls), strict=True):
            await hear_result(caller, name)
            assert own in " ".join(caller.frames)
            assert other not in " ".join(caller.frames)
    assert pair.attempts(name) == 2
    given_once_each(pair, calls)

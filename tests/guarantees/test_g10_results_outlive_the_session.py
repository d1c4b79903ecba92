"""G10: results outlive the connection, and a client resumes on any gateway: what came meanwhile is there, once."""

from __future__ import annotations

import asyncio
import signal
from contextlib import AsyncExitStack
from functools import partial

import pytest
from websockets.exceptions import InvalidStatus

from tests.caller import Caller
from tests.guarantees.toolbox.bakery import FIRST, SECOND, Pair, baked, given_once_each, heard_times, order, refusals
from tests.line import OTHER_TOKEN, TOKEN, eventually

pytestmark = [pytest.mark.anyio, pytest.mark.long, pytest.mark.timeout(120)]

WISHES = "jobs,resume"
SUPERSEDED = 4409
DRAINING = 4012
NOT_FOUND = 404


async def in_a_thread(pair: Pair, do: str, name: str) -> None:
    await asyncio.to_thread(getattr(pair.line.processes, do), name)


async def refused(pair: Pair, resume: str, token: str = TOKEN) -> int:
    """The HTTP status with which a token is not taken from a user."""
    with pytest.raises(InvalidStatus) as refusal:
        async with pair.line.call(token, on=SECOND, resume=resume, ringback=WISHES):
            pass
    return refusal.value.response.status_code


async def test_sessions_of_a_killed_gateway_are_resumed_on_the_other_and_each_result_is_heard_once(pair: Pair) -> None:
    """F8: results that were told before, that came while nobody was there, and that come later."""
    names = [order() for _ in range(6)]
    told, missed, late = names[:2], names[2:4], names[4:]
    async with AsyncExitStack() as stack:
        before = [await stack.enter_async_context(pair.line.call(on=FIRST, ringback=WISHES)) for _ in names]
        calls = {name: await pair.ask(caller, name) for name, caller in zip(names, before, strict=True)}
        pair.let_go(*told)
        for name, caller in zip(told, before, strict=False):
            await caller.hear_words(baked(name))
            await asyncio.to_thread(eventually, partial(pair.is_kept, baked(name)), "what was said to be written down")
        await in_a_thread(pair, "kill", FIRST)
        for name in missed:
            await asyncio.to_thread(pair.finish, name, calls[name])
        after = [await _resumed(stack, pair, caller) for caller in before]
        pair.let_go(*late)
        for name, caller in zip(names, after, strict=True):
            if name not in told:
                await caller.hear_words(baked(name))
            await caller.ask("hello")
            await caller.hear_words("Good day.")
        for name, *both in zip(names, before, after, strict=True):
            assert heard_times(both, baked(name)) == 1
    await asyncio.to_thread(given_once_each, pair, calls.values())


async def _resumed(stack: AsyncExitStack, pair: Pair, caller: Caller, on: str = SECOND) -> Caller:
    """The same session on another gateway."""
    caller.vanish()
    back = await stack.enter_async_context(pair.line.call(on=on, resume=caller.token, ringback=WISHES))
    await back.hear_kind("session.created")
    assert back.session_id == caller.session_id
    assert back.token != caller.token
    return back


async def test_a_paused_gateway_whose_session_was_resumed_elsewhere_is_fenced_when_it_wakes(pair: Pair) -> None:
    """F9."""
    name = order()
    async with AsyncExitStack() as stack:
        old = await stack.enter_async_context(pair.line.call(on=FIRST, ringback=WISHES))
        call_id = await pair.ask(old, name)
        (old_number,) = pair.line.simulator.about(name)
        await in_a_thread(pair, "pause", FIRST)
        new = await stack.enter_async_context(pair.line.call(on=SECOND, resume=old.token, ringback=WISHES))
        await asyncio.to_thread(pair.finish, name, call_id)
        await new.hear_words(baked(name))
        await in_a_thread(pair, "resume", FIRST)
        code, _ = await old.hear_goodbye()
        assert code == SUPERSEDED
        eventually(lambda: old_number not in pair.line.simulator.connections(), "the old conversation to end")
        assert pair.line.simulator.outputs(old_number) == []
        assert heard_times([old], baked(name)) == 0
        await new.ask("hello")
        await new.hear_words("Good day.")
    given_once_each(pair, [call_id])


async def test_both_gateways_restarted_one_after_the_other_lose_no_session_and_no_item(pair: Pair) -> None:
    """F12: each is told to stop, tells its clients, and is started again."""
    names = [order() for _ in range(5)]
    async with AsyncExitStack() as stack:
        callers = [await stack.enter_async_context(pair.line.call(on=FIRST, ringback=WISHES)) for _ in names]
        ids = [await _first_words(caller, pair, name) for name, caller in zip(names, callers, strict=True)]
        for leaving, other in ((FIRST, SECOND), (SECOND, FIRST)):
            pair.signal(leaving, signal.SIGTERM)
            for caller in callers:
                await caller.hear_kind("ringback.session.draining")
                assert (await caller.hear_goodbye())[0] == DRAINING
            callers = [await _resumed(stack, pair, caller, on=other) for caller in callers]
            await asyncio.to_thread(eventually, partial(pair.line.has_ended, leaving), "it to end by itself")
            await asyncio.to_thread(pair.line.restart, leaving)
        pair.let_go(*names)
        for name, caller in zip(names, callers, strict=True):
            await caller.hear_words(baked(name))
            number = pair.line.simulator.about(name)[-1]
            said = [event["item"] for event in pair.line.simulator.heard()[number] if "item" in event]
            texts = [part["text"] for item in said for part in item.get("content", [])]
            assert texts == ["hello", "Good day.", f"Where is my order {name}?"], "every item, in order"
            assert pair.attempts(name) == 1
    given_once_each(pair, ids)


async def _first_words(caller: Caller, pair: Pair, name: str) -> str:
    await caller.ask("hello")
    await caller.hear_words("Good day.")
    return await pair.ask(caller, name)


async def test_a_token_that_is_used_on_both_gateways_at_once_is_taken_by_one(pair: Pair) -> None:
    """F35."""
    name = order()
    async with AsyncExitStack() as stack:
        old = await stack.enter_async_context(pair.line.call(on=FIRST, ringback=WISHES))
        call_id = await pair.ask(old, name)
        old.vanish()
        both = [pair.line.call(on=gateway, resume=old.token, ringback=WISHES) for gateway in (FIRST, SECOND)]
        came = await asyncio.gather(*(stack.enter_async_context(one) for one in both), return_exceptions=True)
        (lost,) = [one for one in came if isinstance(one, InvalidStatus)]
        (won,) = [one for one in came if isinstance(one, Caller)]
        assert lost.response.status_code == NOT_FOUND
        pair.let_go(name)
        await won.hear_words(baked(name))
    given_once_each(pair, [call_id])


async def test_a_token_is_good_once_for_its_own_user_and_while_the_session_lives(pair: Pair) -> None:
    async with pair.line.call(on=FIRST, ringback=WISHES) as first:
        await first.hear_kind("session.created")
        assert await refused(pair, first.token, token=OTHER_TOKEN) == NOT_FOUND
        assert await refused(pair, "rb_resume_no-such-token") == NOT_FOUND
        first.vanish()
        async with pair.line.call(on=SECOND, resume=first.token, ringback=WISHES) as second:
            await second.hear_kind("session.created")
            assert await refused(pair, first.token) == NOT_FOUND
    eventually(lambda: pair.session_state(second.session_id) == "ended", "a goodbye to end the session")
    assert await refused(pair, second.token) == NOT_FOUND


async def test_a_client_that_comes_back_while_it_is_still_connected_supersedes_itself(pair: Pair) -> None:
    async with pair.line.call(on=FIRST, ringback=WISHES) as first:
        await first.hear_kind("session.created")
        async with pair.line.call(on=FIRST, resume=first.token, ringback=WISHES) as second:
            await second.hear_kind("session.created")
            assert (await first.hear_goodbye())[0] == SUPERSEDED
            await second.ask("hello")
            await second.hear_words("Good day.")


async def test_a_conversation_is_moved_between_turns_before_it_expires(pair: Pair) -> None:
    """F31: nobody hears of it, and what is still worked on is told in the next one."""
    name = order()
    pair.line.simulator.order("knobs", lifetime_ms=4000, expire_after_ms=30_000)
    async with pair.line.call(on=FIRST, ringback=WISHES) as caller:
        call_id = await pair.ask(caller, name)
        pair.line.simulator.calm()
        rebuilt = await caller.hear_kind("ringback.session.rebuilt")
        assert (rebuilt["reason"], rebuilt["epoch"]) == ("rotated", 2)
        pair.let_go(name)
        await caller.hear_words(baked(name))
    given_once_each(pair, [call_id])


@pytest.mark.parametrize(
    ("fault", "reason"),
    [("expire", "session_expired"), ("hang", "upstream_hung")],
)
async def test_a_conversation_that_ends_without_warning_is_rebuilt(pair: Pair, fault: str, reason: str) -> None:
    """F31: the longest duration is over, or the server says nothing any more."""
    name = order()
    async with pair.line.call(on=FIRST, ringback=WISHES) as caller:
        call_id = await pair.ask(caller, name)
        await asyncio.to_thread(pair.begun, 1, name)
        pair.line.simulator.order(fault)
        if fault == "hang":
            await caller.ask("hello")
        rebuilt = await caller.hear_kind("ringback.session.rebuilt")
        assert rebuilt["reason"] == reason
        if fault == "hang":
            await caller.hear_words("Good day.")
        pair.let_go(name)
        await caller.hear_words(baked(name))
        (number,) = pair.line.simulator.about(name)[-1:]
        assert refusals(pair, number) == []
    given_once_each(pair, [call_id])

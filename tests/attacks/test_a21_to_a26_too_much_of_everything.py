"""A21–A26: clients that do not listen, do not stop, do not go, do not pay, and all come at once."""

from __future__ import annotations

import asyncio
import base64
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from itertools import count

import psutil
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.attacks.toolbox.crowd import storm
from tests.attacks.toolbox.fort import (
    CROWD_TOKEN,
    FIRST,
    SECOND,
    SESSIONS_PER_GATEWAY,
    SESSIONS_PER_USER,
    Fort,
    in_thread,
    marker,
    order,
)
from tests.attacks.toolbox.gullible import USAGE
from tests.caller import Event
from tests.line import OTHER_TOKEN, TOKEN

pytestmark = [pytest.mark.anyio, pytest.mark.long]

BYTES_PER_SECOND = 48_000
HALF_A_SECOND = {"type": "input_audio_buffer.append", "audio": base64.b64encode(bytes(24_000)).decode()}
PIECES = 4_000
"""Of half a second, 32 KB each: far more than every buffer on the way holds."""
MOST_BYTES = 64 * 1024 * 1024


async def test_a21_whoever_stops_reading_is_hung_up_on_and_nobody_else_notices(fort: Fort) -> None:
    gateway = psutil.Process(fort.line.pids[FIRST])
    before = gateway.memory_info().rss
    async with fort.stranger() as deaf, fort.stranger(OTHER_TOKEN) as other:
        session = deaf.session_id
        deaf.socket.transport.pause_reading()
        await deaf.ask(order(talk=PIECES))
        for number in range(10):
            await other.ask(f"still there {number}?")
            await other.hear_words(f"still there {number}?")
        await in_thread(lambda: ended(fort, session), "the deaf one's session to end")
        assert gateway.memory_info().rss - before < MOST_BYTES
        await other.ask("and now?")
        await other.hear_words("and now?")
        deaf.vanish()
    assert fort.session(session)["end_reason"] == "client_too_slow"


async def test_a22_a_flood_of_audio_is_slowed_down_and_then_hung_up_on(fort: Fort) -> None:
    """What gets through is what the policy gives: two seconds at once, and one and a half in each second."""
    words, sent = marker(), 0
    async with fort.stranger(agent="hasty") as caller:
        await caller.ask(words)
        await caller.hear_words(words)
        began = time.monotonic()
        with suppress(ConnectionClosed):
            for _ in range(10_000):
                await caller.send(HALF_A_SECOND)
                sent += 1
        code, reason = await caller.hear_goodbye()
        seconds = time.monotonic() - began
    assert (code, reason) in ((4029, "too_fast"), (1006, ""))
    row = await in_thread(lambda: ended(fort, caller.session_id), "the session to be over")
    assert row["end_reason"] == "too_fast"
    assert fort.upstream_of(words).audio_bytes() <= (2 + 1.5 * seconds + 1) * BYTES_PER_SECOND


async def test_a23_nobody_stays_for_ever_without_a_word(fort: Fort) -> None:
    async with fort.stranger(agent="idle") as caller:
        assert await caller.hear_goodbye() == (4408, "idle")
    await in_thread(lambda: ended(fort, caller.session_id), "the session to be over")


async def test_a23_audio_of_silence_is_no_word(fort: Fort) -> None:
    async with fort.stranger(agent="idle") as caller:
        saying = asyncio.create_task(say_nothing(caller.socket.send))
        assert await caller.hear_goodbye() == (4408, "idle")
        saying.cancel()


async def say_nothing(send: Callable[[str], Awaitable[None]]) -> None:
    tenth = '{"type":"input_audio_buffer.append","audio":"' + base64.b64encode(bytes(4_800)).decode() + '"}'
    with suppress(ConnectionClosed):
        while True:
            await send(tenth)
            await asyncio.sleep(0.1)


async def test_a23_a_session_lasts_as_long_as_it_may_whatever_is_said(fort: Fort) -> None:
    async with fort.line.call(agent="short", ringback="resume") as caller:
        with suppress(ConnectionClosed):
            for number in count():
                await caller.ask(f"number {number}")
                await caller.hear_words(f"number {number}")
        assert await caller.hear_goodbye() == (4408, "too_long")
    session = caller.resumable["session_id"]
    await in_thread(lambda: ended(fort, session), "the session to be over: there is nothing to come back to")


async def test_a24_of_all_that_one_user_begins_at_once_on_all_gateways_as_many_begin_as_may(fort: Fort) -> None:
    waits: list[str | None] = []
    async with AsyncExitStack() as stack:

        async def begin(gateway: str) -> int:
            try:
                headers = {"Authorization": f"Bearer {CROWD_TOKEN}"}
                await stack.enter_async_context(await fort.line.upgraded(gateway, headers))
            except InvalidStatus as refused:
                waits.append(refused.response.headers.get("Retry-After"))
                return refused.response.status_code
            return 101

        statuses = Counter(await asyncio.gather(*(begin(gateway) for gateway in (FIRST, SECOND) * 25)))
        assert statuses == {101: SESSIONS_PER_USER, 429: 50 - SESSIONS_PER_USER}
        assert None not in waits
        assert await fort.knock(TOKEN) == 101, "others may"
    await in_thread(lambda: fort.open_sessions("crowd") == 0, "all of them to end")
    assert await fort.knock(CROWD_TOKEN) == 101


async def test_a25_two_thousand_at_once_are_told_to_come_later_and_the_live_go_on(fort: Fort) -> None:
    tokens = [fort.secret(f"storm-{number}", uses=1_000) for number in range(6)]
    try:
        async with fort.stranger() as live:
            storming = asyncio.create_task(storm(fort.line.address(), tokens, 2_000))
            asked = 0
            while not storming.done() or asked < 2:
                asked += 1
                await live.ask(f"storm {asked}?")
                await live.hear_words(f"storm {asked}?")
            answers = await storming
    finally:  # those who come later must find a place
        await in_thread(lambda: fort.request("GET", "/readyz").status_code == 200, "the storm to be over")
    told = Counter(answer.status for answer in answers)
    assert sum(told.values()) == 2_000
    assert set(told) <= {101, 429, 503}
    assert told[101] <= SESSIONS_PER_GATEWAY
    assert [answer for answer in answers if answer.status != 101 and not answer.retry_after] == []


async def test_a26_what_is_overdrawn_is_one_response(fort: Fort) -> None:
    """The one that uses up the budget was begun with something left; a next one is cut off as it begins."""
    words, dear = marker(), {**USAGE, "total_tokens": 5_000, "input_tokens": 4_000, "output_tokens": 1_000}
    async with fort.stranger(agent="thrifty", ringback="resume") as caller:
        await caller.ask(order(say=words, usage=dear))
        await caller.hear_words(words)
        for _ in range(3):
            await caller.ask(order(hang=True))  # it would go on for ever
        code, reason = await caller.hear_goodbye()
    assert (code, reason) == (4402, "budget_spent")
    told = [event["error"]["code"] for event in caller.heard if event["type"] == "error"]
    assert "insufficient_quota" in told
    upstream = fort.upstream_of(words)
    assert len(upstream.of_kind("response.cancel")) <= 1
    await in_thread(lambda: not upstream.is_open, "the connection to end, and with it what would go on for ever")
    row = await in_thread(lambda: ended(fort, caller.session_id), "the session to be over")
    assert row["end_reason"] == "budget_spent"
    told_in_vain = 4_000  # the next one was cancelled as it began, and nobody heard what it had used: its input counts
    assert row["tokens"] <= 5_000 + told_in_vain


def ended(fort: Fort, session_id: str) -> Event | None:
    row = fort.session(session_id)
    return row if row["state"] == "ended" else None

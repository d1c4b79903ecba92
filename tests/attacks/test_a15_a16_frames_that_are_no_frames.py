"""A15, A16: JSON that two readers read differently, and JSON that is too much for one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import psutil
import pytest
from websockets.exceptions import ConnectionClosed

from tests.attacks.toolbox.fort import FIRST, Fort, marker, refused
from tests.attacks.toolbox.frames import MARK, ODD, TOO_LARGE, TOO_MUCH
from tests.caller import Event

pytestmark = [pytest.mark.anyio, pytest.mark.long]

MOST_CHARS = 1_000
"""Of the sentence that answers any of them."""
MOST_BYTES = 48 * 1024 * 1024
"""How much a gateway may grow by all of them: it takes in one at a time and keeps none, but malloc keeps some."""


@pytest.mark.parametrize("frame", ODD.values(), ids=ODD.keys())
async def test_a15_a_frame_that_could_be_read_in_two_ways_is_refused(fort: Fort, frame: str | bytes) -> None:
    words = marker()
    async with fort.stranger() as caller:
        error = await refused(caller, frame)
        assert error["type"] == "invalid_request_error"
        assert len(error["message"]) < MOST_CHARS
        await caller.ask(words)
        await caller.hear_words(words)
    assert MARK not in "".join(fort.upstream_of(words).frames)


async def test_a15_what_passes_is_written_anew(fort: Fort) -> None:
    """Spaces, unknown fields, the order of fields, how a character is written: nothing of it is as it came."""
    words = marker()
    frame = (
        '{ "item" : { "unknown": 1, "content": [ {"text" : "%s \\u00e4 \\/", "type":"input_text"} ], '
        '"role":"user","type":"message"}, "type":"conversation.item.create" , "x":{"y":[1]} }'
    )
    async with fort.stranger() as caller:
        await caller.socket.send(frame % words)
        await caller.send({"type": "response.create"})
        await caller.hear_words(words)
    heard = fort.upstream_of(words)
    (event,) = heard.of_kind("conversation.item.create")
    assert set(event) == {"type", "event_id", "item"}
    content = [{"type": "input_text", "text": f"{words} ä /"}]
    assert event["item"] == {"type": "message", "role": "user", "content": content, "id": event["item"]["id"]}
    assert "unknown" not in "".join(heard.frames)


async def test_a16_what_is_too_much_is_refused_and_nothing_is_kept_of_it(fort: Fort) -> None:
    gateway = psutil.Process(fort.line.pids[FIRST])
    words = marker()
    async with fort.stranger() as caller:
        before = gateway.memory_info().rss
        told: dict[str, Event] = {what: await refused(caller, make()) for what, make in TOO_MUCH.items()}
        grown = gateway.memory_info().rss - before
        await caller.ask(words)
        await caller.hear_words(words)
    assert [what for what, error in told.items() if error["type"] != "invalid_request_error"] == []
    assert [what for what, error in told.items() if len(error["message"]) >= MOST_CHARS] == []
    assert max(len(frame) for frame in fort.upstream_of(words).frames) < 20_000
    assert grown < MOST_BYTES


@pytest.mark.parametrize("make", TOO_LARGE.values(), ids=TOO_LARGE.keys())
async def test_a16_a_frame_above_the_limit_ends_the_connection(fort: Fort, make: Callable[[], str]) -> None:
    async with fort.stranger() as caller:
        with suppress(ConnectionClosed):  # in the middle of it, as a rule
            await caller.socket.send(make())
        code, _ = await caller.hear_goodbye()
    assert code == 1009

"""A15, A16: frames that are no events, JSON that two readers read differently, and JSON that is too much for one."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress

import psutil
import pytest
from websockets.exceptions import ConnectionClosed

from tests.attacks.toolbox.fort import FIRST, Fort, marker, refused
from tests.attacks.toolbox.frames import HEARD, MARK, ODD, PASSED_OVER, TOO_LARGE, TOO_MUCH, TWO_READINGS
from tests.caller import Event

pytestmark = [pytest.mark.anyio, pytest.mark.long]

MOST_CHARS = 1_000
"""Of the sentence that answers any of them."""
MOST_BYTES = 48 * 1024 * 1024
"""How much a gateway may grow by all of them: it takes in one at a time and keeps none, but malloc keeps some."""


@pytest.mark.parametrize("frame", ODD.values(), ids=ODD.keys())
async def test_a15_a_frame_that_is_not_an_event_is_refused(fort: Fort, frame: str | bytes) -> None:
    words = marker()
    async with fort.stranger() as caller:
        error = await refused(caller, frame)
        assert error["type"] == "invalid_request_error"
        assert len(error["message"]) < MOST_CHARS
        await caller.ask(words)
        await caller.hear_words(words)
    assert MARK not in "".join(fort.upstream_of(words).frames)


@pytest.mark.parametrize("frame", TWO_READINGS.values(), ids=TWO_READINGS.keys())
async def test_a15_of_two_readings_the_one_that_was_checked_goes_on(fort: Fort, frame: str) -> None:
    words = marker()
    async with fort.stranger() as caller:
        await caller.socket.send(frame.replace(HEARD, words))
        await caller.send({"type": "response.create"})
        await caller.hear_words(words)
    heard = fort.upstream_of(words)
    (event,) = heard.of_kind("conversation.item.create")
    content = [{"type": "input_text", "text": words}]
    assert event["item"] == {"type": "message", "role": "user", "content": content, "id": event["item"]["id"]}
    assert MARK not in "".join(heard.frames)
    for sent in heard.frames:
        json.loads(sent, object_pairs_hook=each_name_once)


def each_name_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    names = [name for name, _ in pairs]
    assert len(names) == len(set(names)), names
    return dict(pairs)


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


async def test_a16_what_no_field_takes_is_passed_over_and_nothing_is_kept_of_it(fort: Fort) -> None:
    gateway = psutil.Process(fort.line.pids[FIRST])
    words = marker()
    async with fort.stranger() as caller:
        before = gateway.memory_info().rss
        for make in PASSED_OVER.values():
            await caller.socket.send(make())
        await caller.ask(words)
        await caller.hear_words(words)
        grown = gateway.memory_info().rss - before
    assert max(len(frame) for frame in fort.upstream_of(words).frames) < 20_000
    assert grown < MOST_BYTES


@pytest.mark.parametrize("make", TOO_LARGE.values(), ids=TOO_LARGE.keys())
async def test_a16_a_frame_above_the_limit_ends_the_connection(fort: Fort, make: Callable[[], str]) -> None:
    async with fort.stranger() as caller:
        with suppress(ConnectionClosed):  # in the middle of it, as a rule
            await caller.socket.send(make())
        code, _ = await caller.hear_goodbye()
    assert code == 1009

"""Knobs over a real socket: from the command line for every connection, from the URL for one, from a later one on."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from simulator.scripting.scenario import load
from simulator.server.server import NO_SPEECH, Simulator

pytestmark = pytest.mark.loopback

# Far above what a connection takes; it only ends a test that would wait for ever.
PATIENCE_S = 20
UPDATE = json.dumps({"type": "session.update", "session": {"type": "realtime"}})


def first_events(count: int, query: str = "", connections: int = 1, **knobs: str) -> list[list[dict[str, Any]]]:
    """The first events of each connection, when each says at once how its session is to be."""

    async def run() -> list[list[dict[str, Any]]]:
        heard = []
        simulator = Simulator(load("demo"), speech=NO_SPEECH, knobs=knobs)
        async with asyncio.timeout(PATIENCE_S), simulator.serving():
            for _ in range(connections):
                async with connect(simulator.url + query) as socket:
                    await socket.send(UPDATE)
                    heard.append([json.loads(await socket.recv()) for _ in range(count)])
        return heard

    return asyncio.run(run())


def test_a_late_first_event_holds_up_what_comes_after_it() -> None:
    [events] = first_events(2, first_event_ms="50")
    assert [event["type"] for event in events] == ["session.created", "session.updated"]


def test_a_connection_is_made_odd_by_its_url() -> None:
    [[event]] = first_events(1, "?session_created=false&type_place=last")
    assert list(event)[-1] == "type"
    assert event["type"] == "session.updated"


def test_a_second_connection_beside_a_usual_one_is_odd() -> None:
    first, second = first_events(2, connections=2, before_updated="server_error", odd_from_connection="2")
    assert [event["type"] for event in first] == ["session.created", "session.updated"]
    assert [event["type"] for event in second] == ["session.created", "error"]


def test_a_url_that_turns_a_knob_too_far_is_refused_with_a_sentence() -> None:
    with pytest.raises(InvalidStatus) as refusal:
        first_events(1, "?item_echo=lost")
    assert refusal.value.response.status_code == 400
    body = json.loads(refusal.value.response.body or b"{}")
    assert "item_echo: Input should be 'as_sent', 'renamed' or 'missing'" in body["error"]["message"]

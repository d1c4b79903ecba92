"""Everything the simulator sends is an event that the official ``openai`` package knows.

A tour of one session provokes each kind of event at least once; each is then validated, field by field, against
the package's own union of server events.
"""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter
from websockets.asyncio.client import ClientConnection, connect

from simulator.scripting.scenario import Scenario, load, parse
from simulator.server.server import NO_SPEECH, Simulator
from simulator.speech import synthesis

ADAPTER: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)
# Far above what the tour takes; it only ends a test that would wait for ever.
PATIENCE_S = 20

TOOLS = [
    {"type": "function", "name": name, "description": name, "parameters": {"type": "object", "properties": {}}}
    for name in ("weather", "quote_of_the_day", "random_number", "order_status")
]


class Tourist:
    """A client that sends an event and reads until the event that answers it."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.received: list[dict[str, Any]] = []

    async def until(self, kind: str) -> dict[str, Any]:
        while True:
            event: dict[str, Any] = json.loads(await self.socket.recv())
            self.received.append(event)
            if event["type"] == kind:
                return event

    async def ask(self, kind: str, answered_by: str, **fields: Any) -> dict[str, Any]:
        await self.socket.send(json.dumps({"type": kind, **fields}))
        return await self.until(answered_by)

    async def type_in(self, text: str) -> dict[str, Any]:
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
        await self.ask("conversation.item.create", "conversation.item.done", item=item)
        return await self.ask("response.create", "response.done")

    async def answer_calls(self, response: dict[str, Any], output: str) -> dict[str, Any]:
        for item in response["response"]["output"]:
            if item["type"] == "function_call":
                answer = {"type": "function_call_output", "call_id": item["call_id"], "output": output}
                await self.ask("conversation.item.create", "conversation.item.done", item=answer)
        return await self.ask("response.create", "response.done")

    async def speak(self) -> dict[str, Any]:
        sound = base64.b64encode(synthesis.chime() + bytes(48_000)).decode()
        return await self.ask("input_audio_buffer.append", "response.done", audio=sound)


async def tour(scenario: Scenario) -> list[dict[str, Any]]:
    """Visit every client event, and provoke refusals on the way."""
    simulator = Simulator(scenario, speech=NO_SPEECH)
    async with asyncio.timeout(PATIENCE_S), simulator.serving(), connect(simulator.url, max_size=None) as socket:
        tourist = Tourist(socket)
        await tourist.until("session.created")
        listening = {"input": {"transcription": {"model": "gpt-realtime-whisper"}}}
        session = {"type": "realtime", "tools": TOOLS, "audio": listening, "output_modalities": ["text"]}
        await tourist.ask("session.update", "session.updated", session=session)
        called = await tourist.type_in("the weather in London and a quote")
        await tourist.answer_calls(called, '{"summary": "Fine."}')
        await tourist.ask(
            "response.create", "response.done", response={"conversation": "none", "metadata": {"topic": "aside"}}
        )
        await tourist.ask(
            "session.update", "session.updated", session={"type": "realtime", "output_modalities": ["audio"]}
        )
        spoken = await tourist.answer_calls(await tourist.speak(), "It is foggy.")
        item_id = spoken["response"]["output"][0]["id"]
        await tourist.ask(
            "conversation.item.truncate",
            "conversation.item.truncated",
            item_id=item_id,
            content_index=0,
            audio_end_ms=10,
        )
        for verb in ("retrieve", "delete"):
            await tourist.ask(f"conversation.item.{verb}", f"conversation.item.{verb}d", item_id=item_id)
        await tourist.ask("input_audio_buffer.clear", "input_audio_buffer.cleared")
        for refused in ("input_audio_buffer.commit", "response.cancel", "no.such.event"):
            await tourist.ask(refused, "error", event_id="mine")
        return tourist.received


KNOBS = {
    "as recorded": "knobs: {audio_speed: 0}",
    "as on azure": "knobs: {audio_speed: 0, content_part_twice: true}",
    "reasoning": "knobs: {audio_speed: 0, rate_limits: always, conversation_created: true}\nmodel: gpt-realtime-2.1",
    "the other side of the unknowns": "knobs: {audio_speed: 0, items_during_response: at_once, error_event_id: 'null'}",
}


@pytest.fixture(params=KNOBS)
def sent(request: pytest.FixtureRequest) -> list[dict[str, Any]]:
    """What the simulator sends on a tour, under several settings."""
    return asyncio.run(tour(parse(f"like: demo\n{KNOBS[request.param]}", request.param, request.param)))


def test_every_event_is_one_that_the_official_package_knows(sent: list[dict[str, Any]]) -> None:
    for event in sent:
        known = ADAPTER.validate_python(event)
        assert known.type == event["type"]


def test_every_required_and_typed_field_has_the_type_of_the_official_package(sent: list[dict[str, Any]]) -> None:
    for event in sent:
        known = ADAPTER.validate_python(event)
        again = known.model_dump(mode="json", exclude_unset=True)
        assert {key: again[key] for key in event} == event


def test_the_tour_visits_every_event_that_the_simulator_can_send(sent: list[dict[str, Any]]) -> None:
    visited = {event["type"] for event in sent}
    assert visited >= {
        *("session.created", "session.updated", "error", "response.created", "response.done"),
        *("conversation.item.added", "conversation.item.done", "conversation.item.deleted"),
        *("conversation.item.retrieved", "conversation.item.truncated", "input_audio_buffer.cleared"),
        *("input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped", "input_audio_buffer.committed"),
        *("response.output_item.added", "response.output_item.done"),
        *("response.content_part.added", "response.content_part.done"),
        *("response.output_text.delta", "response.output_text.done"),
        *("response.output_audio.delta", "response.output_audio.done"),
        *("response.output_audio_transcript.delta", "response.output_audio_transcript.done"),
        *("response.function_call_arguments.delta", "response.function_call_arguments.done"),
        "conversation.item.input_audio_transcription.completed",
    }


@pytest.mark.parametrize("name", ["cancelled", "incomplete", "failed"])
def test_responses_that_do_not_come_to_their_end_are_known_too(name: str) -> None:
    async def asked() -> list[dict[str, Any]]:
        simulator = Simulator(load(name), speech=NO_SPEECH)
        async with asyncio.timeout(PATIENCE_S), simulator.serving(), connect(simulator.url) as socket:
            tourist = Tourist(socket)
            await tourist.until("session.created")
            await tourist.ask("session.update", "session.updated", session={"type": "realtime", "tools": TOOLS})
            await tourist.type_in("the weather in London")
            return tourist.received

    sent = asyncio.run(asked())
    assert ADAPTER.validate_python(sent[-1]).response.status == name
    for event in sent:
        assert ADAPTER.validate_python(event).type == event["type"]

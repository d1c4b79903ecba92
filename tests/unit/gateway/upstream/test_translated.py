"""A model's server of another protocol: its translation is one class, and a conversation does not notice.

The protocol is made up. The server has no responses, items or ids: it says words and voice, calls functions, and falls
silent.

    gateway  {"be": …}  {"hear": …}  {"result": …, "of": …}  {"speak": true}
    server   {"hello": true}  {"ready": true}
             {"words": …}  {"voice": …}  {"call": …, "with": …, "as": …}  {"silent": true}
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from gateway.conversation import Conversation
from gateway.conversation.actions import Action, RecordCall, SendToClient, SendToModel
from gateway.protocol import ClientFrame
from gateway.upstream.connection import Target, Upstream
from gateway.upstream.providers import Provider, translated
from ringback.jobs.outcomes import succeeded
from tests.unit.gateway.conversation.script import SESSION, WEATHER, agent

pytestmark = [pytest.mark.anyio, pytest.mark.loopback]

PATIENCE = 20
VOICE = "AAEC" * 100


class WordsAndVoice:
    """Translation of the protocol above."""

    def __init__(self) -> None:
        self._session: dict[str, Any] = {}
        self._made: list[dict[str, Any]] = []
        """Answers that the server does not give."""
        self._response: dict[str, Any] | None = None
        self._count = 0

    def to_server(self, event: str) -> Iterator[str]:
        said = json.loads(event)
        match said["type"]:
            case "session.update":
                self._session |= said["session"]
                yield json.dumps({"be": self._session["instructions"]})
            case "input_audio_buffer.append":
                yield json.dumps({"hear": said["audio"]})
            case "conversation.item.create":
                self._made.append({"type": "conversation.item.added", "item": said["item"]})
                yield json.dumps({"result": said["item"]["output"], "of": said["item"]["call_id"]})
            case "response.create":
                yield json.dumps({"speak": True})

    def from_server(self, frame: str) -> Iterator[str]:
        made, self._made = self._made, []
        yield from map(self._written, [*made, *self._meant(json.loads(frame))])

    def _meant(self, frame: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if "hello" in frame:
            yield {"type": "session.created", "session": {}}
            return
        if "ready" in frame:
            yield {"type": "session.updated", "session": self._session}
            return
        if self._response is None:
            self._response = {"id": self._new_id("resp"), "status": "in_progress", "output": []}
            yield {"type": "response.created", "response": self._response}
        part = {"response_id": self._response["id"], "item_id": f"item_of_{self._response['id']}"}
        if "words" in frame:
            yield {"type": "response.output_audio_transcript.delta", **part, "delta": frame["words"]}
        elif "voice" in frame:
            yield {"type": "response.output_audio.delta", **part, "delta": frame["voice"]}
        elif "call" in frame:
            asked = {"name": frame["call"], "arguments": json.dumps(frame["with"]), "call_id": frame["as"]}
            item = {"type": "function_call", "id": self._new_id("item"), "status": "completed", **asked}
            yield {"type": "response.output_item.done", **part, "item": item}
        elif "silent" in frame:
            yield {"type": "response.done", "response": {**self._response, "status": "completed"}}
            self._response = None

    def _written(self, event: dict[str, Any]) -> str:
        kind = event.pop("type")
        return json.dumps({"type": kind, "event_id": self._new_id("event"), **event})

    def _new_id(self, of: str) -> str:
        self._count += 1
        return f"{of}_{self._count}"


OTHER = Provider("other", url="ws://127.0.0.1", connect=translated(WordsAndVoice))
"""All that the gateway has to be told of it."""


async def serve_one(connection: ServerConnection) -> None:
    """The server: it is asked for the weather, looks it up, and says it."""
    await connection.send(json.dumps({"hello": True}))
    async for frame in connection:
        match json.loads(frame):
            case {"be": _}:
                answers: list[dict[str, Any]] = [{"ready": True}]
            case {"hear": _}:
                answers = [{"call": "weather", "with": {"city": "Oslo"}, "as": "c1"}, {"silent": True}]
            case {"result": text, "of": "c1"}:
                assert json.loads(text) == {"sky": "clear"}
                answers = []
            case {"speak": True}:
                answers = [{"words": "It is clear."}, {"voice": VOICE}, {"silent": True}]
        for answer in answers:
            await connection.send(json.dumps(answer))


@asynccontextmanager
async def connected() -> AsyncIterator[Upstream]:
    async with serve(serve_one, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        upstream = await OTHER.connect(Target(f"ws://127.0.0.1:{port}", {}), 5.0)
        try:
            yield upstream
        finally:
            await upstream.close()


class Line:
    """What a session does for one conversation, without rows: calls are answered as soon as they are recorded."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self.conversation = Conversation(SESSION, agent(), {"weather": WEATHER})
        self.now = 1_000.0
        self.calls: list[Any] = []
        self.seen: list[dict[str, Any]] = []
        self.passed: list[str] = []

    async def execute(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case SendToModel(event):
                    await self.upstream.send(json.dumps(event))
                case SendToClient(event):
                    self.seen.append(event)
                case RecordCall(job):
                    self.calls.append(job.arguments)
                    await self.execute(self.conversation.recorded(action, self.now))
                    told = job.id, job.call_id, job.name, succeeded({"sky": "clear"})
                    await self.execute(self.conversation.deliver(*told, self.now))

    async def receive(self) -> None:
        event = self.upstream.read(await self.upstream.receive(self._passes))
        await self.execute(self.conversation.receive_model(event, self.now))

    def _passes(self, frame: str) -> bool:
        audio = self.upstream.passing_audio(frame)
        if audio is None:
            return False
        self.passed.append(frame)
        return self.conversation.audio_passed(*audio, self.now)


async def test_a_whole_round_with_a_call_is_the_same_over_another_protocol() -> None:
    async with asyncio.timeout(PATIENCE), connected() as upstream:
        line = Line(upstream)
        while not line.conversation.is_open:
            await line.receive()
        spoken = ClientFrame({"type": "input_audio_buffer.append", "audio": VOICE})
        await line.execute(line.conversation.receive_client(spoken, line.now))
        while [event["type"] for event in line.seen].count("response.done") < 2:
            await line.receive()
    assert line.calls == [{"city": "Oslo"}]
    said = [event["delta"] for event in line.seen if event["type"] == "response.output_audio_transcript.delta"]
    assert said == ["It is clear."]
    [audio] = map(json.loads, line.passed)
    assert (audio["type"], audio["delta"]) == ("response.output_audio.delta", VOICE)
    assert "function_call" not in {event.get("item", {}).get("type") for event in line.seen}

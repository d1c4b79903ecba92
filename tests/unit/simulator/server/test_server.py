"""The server over a real socket, with a bare WebSocket client."""

from __future__ import annotations

import asyncio
import base64
import json
import urllib.request
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.typing import Subprotocol

from simulator.scripting.scenario import load, parse
from simulator.server.server import NO_SPEECH, Simulator, Speech, real_speech
from simulator.speech import sphinx, synthesis
from simulator.speech.ears import Ears
from tests.unit.simulator.rehearsal import silence, sound

pytestmark = pytest.mark.loopback

# Far above what a conversation takes; it only ends a test that would wait for ever.
PATIENCE_S = 20

TOOLS = [{"type": "function", "name": "weather", "parameters": {"type": "object"}}]


class Client:
    """A bare client: sends events, reads until one comes."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.received: list[dict[str, Any]] = []

    async def send(self, kind: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"type": kind, **fields}))

    async def until(self, kind: str) -> dict[str, Any]:
        while True:
            event: dict[str, Any] = json.loads(await self.socket.recv())
            self.received.append(event)
            if event["type"] == kind:
                return event

    async def ask(self, text: str) -> None:
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
        await self.send("conversation.item.create", item=item)
        await self.send("response.create")

    async def begin(self, modality: str = "text") -> None:
        await self.until("session.created")
        session = {"type": "realtime", "tools": TOOLS, "output_modalities": [modality]}
        await self.send("session.update", session=session)
        await self.until("session.updated")

    async def hear(self, pcm: bytes) -> None:
        await self.send("input_audio_buffer.append", audio=base64.b64encode(pcm).decode())


def against(simulator: Simulator, visit: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a visit while the simulator serves."""

    async def run() -> None:
        async with asyncio.timeout(PATIENCE_S), simulator.serving():
            await visit()

    asyncio.run(run())


def quiet(scenario: str = "demo") -> Simulator:
    return Simulator(load(scenario), speech=NO_SPEECH)


async def refused(url: str, **options: Any) -> int:
    with pytest.raises(InvalidStatus) as refusal:
        async with connect(url, **options):
            pass
    assert json.loads(refusal.value.response.body or b"{}")["error"]["message"]
    return refusal.value.response.status_code


def test_a_call_goes_round_and_its_result_is_told() -> None:
    simulator = quiet()

    async def visit() -> None:
        async with connect(simulator.url) as socket:
            client = Client(socket)
            await client.begin()
            await client.ask("weather in London")
            [call] = (await client.until("response.done"))["response"]["output"]
            output = {"type": "function_call_output", "call_id": call["call_id"], "output": '{"summary": "Wet."}'}
            await client.send("conversation.item.create", item=output)
            await client.send("response.create")
            done = await client.until("response.done")
            assert done["response"]["output"][0]["content"][0]["text"] == "Wet."

    against(simulator, visit)


def test_what_is_said_aloud_is_heard_and_answered_aloud() -> None:
    ears = Ears("test", hear=lambda pcm, hints: "where are you" if len(pcm) > 20_000 else "")
    speech = Speech(ears, speak=lambda text: sound(300))
    simulator = Simulator(parse("turns: [{hears: where are you, says: Here.}]", "s", "s"), speech=speech)

    async def visit() -> None:
        async with connect(simulator.url) as socket:
            client = Client(socket)
            await client.until("session.created")
            await client.hear(silence(200) + sound(600) + silence(300))
            done = await client.until("response.done")
            assert done["response"]["output"][0]["content"][0]["transcript"] == "Here."
            slices = [e["delta"] for e in client.received if e["type"] == "response.output_audio.delta"]
            assert b"".join(map(base64.b64decode, slices)) == sound(300)

    against(simulator, visit)


@pytest.mark.skipif(not (synthesis.available() and sphinx.available()), reason="the voice extra is not installed")
def test_a_spoken_question_leads_to_a_call_and_a_spoken_answer() -> None:
    simulator = Simulator(load("demo"), speech=real_speech("sphinx"))

    async def visit() -> None:
        async with connect(simulator.url) as socket:
            client = Client(socket)
            await client.begin("audio")
            await client.hear(silence(300) + synthesis.speak("What is the weather in London UK?") + silence(500))
            [call] = (await client.until("response.done"))["response"]["output"]
            assert (call["name"], json.loads(call["arguments"])) == ("weather", {"city": "London, UK"})
            output = {"type": "function_call_output", "call_id": call["call_id"], "output": '{"summary": "It is wet."}'}
            await client.send("conversation.item.create", item=output)
            await client.send("response.create")
            await client.until("response.done")
            slices = [e["delta"] for e in client.received if e["type"] == "response.output_audio.delta"]
            answer = b"".join(map(base64.b64decode, slices))
            assert answer == synthesis.speak("It is wet.")
            assert sphinx.recognise(answer) == "it is wet"

    against(simulator, visit)


def test_a_slow_answer_is_cancelled_by_speaking_over_it() -> None:
    simulator = quiet("slow")

    async def visit() -> None:
        async with connect(simulator.url) as socket:
            client = Client(socket)
            await client.begin("audio")
            await client.ask("tell me everything")
            await client.until("response.output_audio.delta")
            await client.hear(sound(400))
            await client.until("input_audio_buffer.speech_started")
            response = (await client.until("response.done"))["response"]
            assert response["status_details"] == {"type": "cancelled", "reason": "turn_detected"}

    against(simulator, visit)


@pytest.mark.parametrize(
    ("scenario", "status", "times"), [("refused-401", 401, 1), ("refused-404", 404, 2), ("refused-429", 429, 2)]
)
def test_connections_are_refused_at_the_upgrade_and_then_accepted(scenario: str, status: int, times: int) -> None:
    simulator = quiet(scenario)

    async def visit() -> None:
        assert [await refused(simulator.url) for _ in range(times)] == [status] * times
        async with connect(simulator.url) as socket:
            await Client(socket).until("session.created")

    against(simulator, visit)


def test_a_wrong_key_path_call_or_scenario_is_refused() -> None:
    simulator = Simulator(load("demo"), key="right", speech=NO_SPEECH)
    right: dict[str, Any] = {"additional_headers": {"Authorization": "Bearer right"}}

    async def visit() -> None:
        assert await refused(simulator.url) == 401
        assert await refused(simulator.url, additional_headers={"api-key": "wrong"}) == 401
        assert await refused(f"{simulator.url}?call_id=rtc_1", **right) == 404
        assert await refused(f"{simulator.url}?scenario=nobody", **right) == 400
        assert await refused(simulator.url.replace("/v1/", "/v2/"), **right) == 404
        async with connect(simulator.url.replace("/v1/", "/openai/v1/"), **right) as socket:
            await Client(socket).until("session.created")

    against(simulator, visit)


def test_a_browser_brings_its_key_as_a_subprotocol() -> None:
    simulator = Simulator(load("demo"), key="ek_1", speech=NO_SPEECH)
    offered = [Subprotocol("realtime"), Subprotocol("openai-insecure-api-key.ek_1")]

    async def visit() -> None:
        async with connect(simulator.url, subprotocols=offered) as socket:
            assert socket.subprotocol == "realtime"
            await Client(socket).until("session.created")

    against(simulator, visit)


def test_a_connection_may_choose_its_scenario_and_model() -> None:
    simulator = quiet()

    async def visit() -> None:
        for query, model in (
            ("model=gpt-realtime-1.5", "gpt-realtime-1.5"),
            ("scenario=reasoning", "gpt-realtime-2.1"),
        ):
            async with connect(f"{simulator.url}?{query}") as socket:
                created = await Client(socket).until("session.created")
                assert created["session"]["model"] == model

    against(simulator, visit)


@pytest.mark.parametrize(("scenario", "code"), [("drop", 1006), ("server-error", 1011)])
def test_the_line_goes_dead_once(scenario: str, code: int) -> None:
    simulator = quiet(scenario)

    async def visit() -> None:
        async with connect(simulator.url) as socket:
            client = Client(socket)
            await client.begin()
            await client.ask("weather in London")
            with pytest.raises(ConnectionClosedError):
                await client.until("never")
            assert socket.close_code == code
        async with connect(simulator.url) as socket:
            client = Client(socket)
            await client.begin()
            await client.ask("weather in London")
            await client.until("response.done")

    against(simulator, visit)


def test_a_session_expires_with_an_error_and_close_code_1001() -> None:
    simulator = Simulator(parse("knobs: {expire_after_ms: 50}", "s", "s"), speech=NO_SPEECH)

    async def visit() -> None:
        async with connect(simulator.url) as socket:
            client = Client(socket)
            assert (await client.until("error"))["error"]["code"] == "session_expired"
            await socket.wait_closed()
            assert (socket.close_code, socket.close_reason) == (1001, client.received[-1]["error"]["message"])

    against(simulator, visit)


def test_pings_come_when_the_scenario_says_so() -> None:
    simulator = Simulator(parse("knobs: {ping_ms: 10, conversation_created: true}", "s", "s"), speech=NO_SPEECH)

    async def visit() -> None:
        async with connect(simulator.url) as socket:
            client = Client(socket)
            await client.until("conversation.created")
            await client.until("ping")
            assert client.received[0]["type"] in ("ping", "session.created")

    against(simulator, visit)


def test_every_frame_is_recorded(tmp_path: Path) -> None:
    record = tmp_path / "frames.jsonl"
    simulator = Simulator(load("refused-401"), record=record, speech=NO_SPEECH)

    async def visit() -> None:
        await refused(simulator.url)
        async with connect(simulator.url) as socket:
            client = Client(socket)
            await client.until("session.created")
            await socket.send("not JSON")
            await client.until("error")

    against(simulator, visit)
    entries = [json.loads(line) for line in record.read_text("utf-8").splitlines()]
    assert [(e["connection"], e["direction"]) for e in entries] == [
        *((0, "refused"), (1, "open"), (1, "out"), (1, "in"), (1, "out"), (1, "close")),
    ]
    assert entries[3]["event"] == "'not JSON'"
    assert [e["ms"] for e in entries] == sorted(e["ms"] for e in entries)


def test_a_health_check_is_answered_over_plain_http() -> None:
    simulator = Simulator(load("demo"), key="secret", speech=NO_SPEECH)

    async def visit() -> None:
        url = f"http://127.0.0.1:{simulator.port}/healthz"

        def get() -> tuple[int, bytes]:
            with urllib.request.urlopen(url) as answer:
                return answer.status, answer.read()

        assert await asyncio.to_thread(get) == (200, b"ok\n")

    against(simulator, visit)

"""The callers: one calls the simulator by phone, one calls a toy gateway as Twilio does."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qsl

import httpx
import pytest
from websockets.asyncio.server import ServerConnection, serve

from simulator.__main__ import main
from simulator.callers import phone, twilio
from simulator.callers.sound import to_ulaw, write
from simulator.callers.twilio import TwilioError, signature
from simulator.server.http_connection import Front, HttpAnswer, HttpRequest
from tests.receiver import receiving
from tests.unit.simulator.calls.placing import against, beside, quiet
from tests.unit.simulator.rehearsal import silence, sound

pytestmark = pytest.mark.loopback

SECRET = "whsec_" + base64.b64encode(b"a shared secret of bytes").decode()
TOKEN = "twilio-token"


def test_a_phone_speaks_and_hears_when_its_call_is_accepted() -> None:
    simulator = quiet(scenario="turns: [{hears: ., spoken: 1, says: Hello.}]")

    async def visit(client: httpx.AsyncClient) -> None:
        calling = asyncio.create_task(
            phone.call(
                f"ws://127.0.0.1:{simulator.port}",
                receiver.url,
                SECRET,
                says=silence(300) + sound(400),
                keys="7",
                until=lambda call: len(call.heard) >= len(simulator.speech.speak("")),
            )
        )
        call_id = (await asyncio.to_thread(receiver.next)).event["data"]["call_id"]
        accept = f"/v1/realtime/calls/{call_id}/accept"
        assert (await client.post(accept, json={"type": "realtime"})).status_code == 200
        async with beside(simulator, call_id) as sideband:
            pressed = await sideband.until("input_audio_buffer.dtmf_event_received")
            assert pressed["event"] == "7"
        call = await calling
        assert call.news[0]["type"] == "ringing"
        assert (call.call_id, call.ended_by) == (call_id, "answered")
        assert bytes(call.heard).startswith(simulator.speech.speak("")[:480])

    with receiving() as receiver:
        against(simulator, visit)


def test_a_phone_whose_call_is_rejected_learns_it() -> None:
    simulator = quiet()

    async def visit(client: httpx.AsyncClient) -> None:
        calling = asyncio.create_task(phone.call(f"ws://127.0.0.1:{simulator.port}", receiver.url, SECRET))
        call_id = (await asyncio.to_thread(receiver.next)).event["data"]["call_id"]
        await client.post(f"/v1/realtime/calls/{call_id}/reject", json={"status_code": 486})
        assert (await calling).news[-1] == {"type": "rejected", "status_code": 486}

    with receiving() as receiver:
        against(simulator, visit)


class Gateway:
    """Answers the voice webhook, and serves the stream as a test says."""

    def __init__(self, stream: Callable[[ServerConnection], Any], again: str = "<Hangup/>") -> None:
        self.stream = stream
        self.again = again
        self.events: list[dict[str, Any]] = []
        self.forms: list[dict[str, str]] = []
        self.url = ""

    async def voice(self, request: HttpRequest) -> HttpAnswer:
        form = dict(parse_qsl(request.body.decode()))
        url = f"http{self.url.removeprefix('ws')}{request.target}"
        if request.headers["x-twilio-signature"] != signature(TOKEN, url, form):
            return HttpAnswer(403, "wrong signature")
        self.forms.append(form)
        if request.target.endswith("again"):
            return HttpAnswer(200, f"<Response>{self.again}</Response>", "application/xml")
        stream = f'<Stream url="{self.url}/media"><Parameter name="token" value="t-1"/></Stream>'
        connect = f'<Connect action="/twilio/voice?again">{stream}</Connect>'
        return HttpAnswer(200, f"<Response>{connect}</Response>", "application/xml")

    async def hear(self, socket: ServerConnection, event: str) -> dict[str, Any]:
        async for frame in socket:
            self.events.append(json.loads(frame))
            if self.events[-1]["event"] == event:
                return self.events[-1]
        return {}

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        front = Front(lambda line: "/twilio/voice" in line, self.voice)
        make = cast(type[ServerConnection], front.connection)
        async with serve(self.stream, "127.0.0.1", 0, create_connection=make) as server:
            self.url = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
            async with front.serving():
                yield f"http{self.url.removeprefix('ws')}/twilio/voice"


def media(pcm: bytes) -> str:
    return json.dumps({"event": "media", "media": {"payload": base64.b64encode(to_ulaw(pcm)).decode()}})


def mark(name: str) -> str:
    return json.dumps({"event": "mark", "mark": {"name": name}})


def test_a_stream_carries_the_callers_words_and_marks_tell_what_was_played() -> None:
    async def stream(socket: ServerConnection) -> None:
        start = await gateway.hear(socket, "start")
        assert start["start"]["customParameters"] == {"token": "t-1"}
        assert start["start"]["mediaFormat"]["sampleRate"] == 8000
        await socket.send(media(sound(100)))
        await socket.send(mark("first"))
        assert (await gateway.hear(socket, "mark"))["mark"] == {"name": "first"}
        assert (await gateway.hear(socket, "dtmf"))["dtmf"]["digit"] == "5"
        await gateway.hear(socket, "stop")

    async def run() -> None:
        async with asyncio.timeout(20), gateway.serving() as url:
            call = await twilio.call(
                url, TOKEN, says=sound(100), keys="5", until=lambda call: "first" in call.marks and heard_key()
            )
        assert call.played == to_ulaw(sound(100))
        assert [event["event"] for event in gateway.events[:2]] == ["connected", "start"]
        spoken = [base64.b64decode(e["media"]["payload"]) for e in gateway.events if e["event"] == "media"]
        assert b"".join(spoken).startswith(to_ulaw(sound(100)))
        assert gateway.forms[0]["CallSid"] == call.call_sid

    def heard_key() -> bool:
        return any(event["event"] == "dtmf" for event in gateway.events)

    gateway = Gateway(stream)
    asyncio.run(run())


def test_what_is_cleared_is_not_played_and_its_marks_come_at_once() -> None:
    async def stream(socket: ServerConnection) -> None:
        await gateway.hear(socket, "start")
        await socket.send(media(sound(5000)))
        await socket.send(mark("never played"))
        await gateway.hear(socket, "media")
        await socket.send(json.dumps({"event": "clear"}))
        await gateway.hear(socket, "mark")
        await socket.close()

    async def run() -> None:
        async with asyncio.timeout(20), gateway.serving() as url:
            call = await twilio.call(url, TOKEN)
        assert (call.clears, call.marks) == (1, ["never played"])
        assert len(call.played) < 8000

    gateway = Gateway(stream)
    asyncio.run(run())


def test_when_the_stream_ends_the_action_is_asked_and_followed() -> None:
    async def stream(socket: ServerConnection) -> None:
        await gateway.hear(socket, "start")

    async def run() -> None:
        async with asyncio.timeout(20), gateway.serving() as url:
            call = await twilio.call(url, TOKEN)
        assert call.verbs == [("Connect", ""), ("Dial", "+15550111")]

    gateway = Gateway(stream, again="<Dial>+15550111</Dial>")
    asyncio.run(run())


def test_a_gateway_that_knows_another_token_refuses_the_call() -> None:
    async def stream(socket: ServerConnection) -> None:
        raise AssertionError("no stream begins")

    async def run() -> None:
        async with asyncio.timeout(20), gateway.serving() as url:
            with pytest.raises(TwilioError, match="answered 403: wrong signature"):
                await twilio.call(url, "another")

    gateway = Gateway(stream)
    asyncio.run(run())


def test_a_signature_is_that_of_the_documentation() -> None:
    """The example of Twilio's page on the security of webhooks."""
    form = {
        "Digits": "1234",
        "To": "+18005551212",
        "From": "+14158675310",
        "Caller": "+14158675310",
        "CallSid": "CA1234567890ABCDE",
    }
    url = "https://example.com/myapp.php?foo=1&bar=2"
    assert signature("12345", url, form) == "L/OH5YylLD5NRKLltdqwSvS0BnU="


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["twilio", "--voice", "http://127.0.0.1:9/x", "--token", "t", "--says", "{}/no.wav"], 2, "No such file"),
        (["twilio", "--voice", "http://127.0.0.1:9/x", "--token", "t", "--says", "{}/text.wav"], 2, "no WAV file"),
        (["twilio", "--voice", "http://127.0.0.1:9/x", "--token", "t"], 1, "the call failed"),
        (["phone", "--simulator", "ws://127.0.0.1:9", "--webhook", "http://x", "--secret", "s"], 1, "the call failed"),
    ],
)
def test_a_command_that_cannot_call_says_so_in_a_sentence(
    arguments: list[str], code: int, complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.wav").write_text("hello")
    assert main([each.format(tmp_path) for each in arguments]) == code
    said = capsys.readouterr().err
    assert complaint in said
    assert said.count("\n") == 1


def test_a_command_speaks_a_file_and_writes_what_it_hears(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def stream(socket: ServerConnection) -> None:
        await gateway.hear(socket, "start")
        await socket.send(media(sound(60)))
        await socket.send(mark("said"))
        await gateway.hear(socket, "mark")

    async def run() -> None:
        async with asyncio.timeout(20), gateway.serving() as url:
            write(tmp_path / "says.wav", sound(40))
            files = ["--says", str(tmp_path / "says.wav"), "--hears", str(tmp_path / "hears.wav")]
            assert await asyncio.to_thread(main, ["twilio", "--voice", url, "--token", TOKEN, *files]) == 0

    gateway = Gateway(stream)
    asyncio.run(run())
    told = json.loads(capsys.readouterr().out)
    assert (told["marks"], told["heard_seconds"]) == (["said"], 0.06)
    assert (tmp_path / "hears.wav").stat().st_size > 0.05 * 48_000

"""A call with media over real sockets: the caller is an ``aiortc`` peer in the place of a browser."""

from __future__ import annotations

import asyncio
import json
from array import array
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from simulator.scripting.scenario import parse
from simulator.server import server
from simulator.server.server import NO_SPEECH, Simulator
from simulator.speech.vad import FRAME_BYTES, FRAME_MS, loudness
from tests.unit.simulator.calls.placing import OFFER, SDP, against, beside
from tests.unit.simulator.rehearsal import silence, sound

pytest.importorskip("aiortc", reason="calls have no media: install ringback[webrtc]")

from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from av import AudioResampler

from simulator.calls.webrtc import Voice, bind

pytestmark = pytest.mark.loopback

LOOPBACK = ["127.0.0.1"]
AUDIBLE = 500.0
T = TypeVar("T")


class Caller:
    """A browser's peer: its data channel, its microphone and what comes out of its loudspeaker."""

    def __init__(self) -> None:
        self.peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.seen: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.heard = bytearray()
        self.closed = asyncio.Event()
        self.microphone = Voice()
        self.channel = self.peer.createDataChannel("oai-events")
        self.channel.on("message", lambda text: self.seen.put_nowait(json.loads(text)))
        self.channel.on("close", self.closed.set)
        self.peer.addTrack(self.microphone)
        self.peer.on("track", lambda track: self._begin(track))
        self.listening: asyncio.Task[None] | None = None

    def _begin(self, track: MediaStreamTrack) -> None:
        self.listening = asyncio.ensure_future(self._listen(track))

    async def _listen(self, track: MediaStreamTrack) -> None:
        resampler = AudioResampler(format="s16", layout="mono", rate=24_000)
        try:
            while True:
                for frame in resampler.resample(await track.recv()):  # type: ignore[arg-type]
                    self.heard += bytes(frame.planes[0])[: 2 * frame.samples]
        except MediaStreamError:
            pass

    async def until(self, kind: str) -> dict[str, Any]:
        while True:
            event = await self.seen.get()
            if event["type"] == kind:
                return event

    async def speak(self, pcm: bytes) -> None:
        """Speak in real time, as a microphone does."""
        for start in range(0, len(pcm), FRAME_BYTES):
            self.microphone.play(pcm[start : start + FRAME_BYTES])
            await asyncio.sleep(FRAME_MS / 1000)

    def send(self, kind: str, **fields: Any) -> None:
        self.channel.send(json.dumps({"type": kind, **fields}))

    def ask(self, words: str) -> None:
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": words}]}
        self.send("conversation.item.create", item=item)
        self.send("response.create")

    def loudest(self) -> float:
        """The loudness of the loudest 20 ms that were heard."""
        frames = (self.heard[start : start + FRAME_BYTES] for start in range(0, len(self.heard), FRAME_BYTES))
        return max((loudness(bytes(frame)) for frame in frames), default=0.0)


@asynccontextmanager
async def calling(client: httpx.AsyncClient, only: str | None = None) -> AsyncIterator[tuple[Caller, str]]:
    """A caller that is connected, and the call's id; ``only``: the one codec that is offered."""
    caller = Caller()
    bind(caller.peer, LOOPBACK)
    if only is not None:
        from aiortc.rtcrtpsender import RTCRtpSender

        codecs = [c for c in RTCRtpSender.getCapabilities("audio").codecs if c.mimeType == only]
        caller.peer.getTransceivers()[0].setCodecPreferences(codecs)
    await caller.peer.setLocalDescription(await caller.peer.createOffer())
    answer = await client.post("/v1/realtime/calls", content=caller.peer.localDescription.sdp, headers=SDP)
    assert answer.status_code == 201, answer.text
    await caller.peer.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))
    await caller.until("session.created")
    try:
        yield caller, answer.headers["location"].rpartition("/")[2]
    finally:
        await caller.peer.close()
        if caller.listening is not None:
            await caller.listening


def with_media(scenario: str = "turns: [{hears: ., spoken: 1, says: Hello.}]") -> Simulator:
    return Simulator(parse(scenario, "test", "test.yaml"), speech=NO_SPEECH)


async def soon(wanted: Awaitable[T]) -> T:
    async with asyncio.timeout(10):
        return await wanted


@pytest.mark.parametrize("codec", [None, "audio/PCMU"])
def test_what_is_spoken_is_heard_and_the_answer_is_audible(codec: str | None) -> None:
    simulator = with_media()

    async def visit(client: httpx.AsyncClient) -> None:
        async with calling(client, codec) as (caller, call_id), beside(simulator, call_id) as sideband:
            await caller.speak(silence(300) + sound(400) + silence(500))
            for wait in (caller.until, sideband.until):
                await soon(wait("input_audio_buffer.speech_started"))
                response = await soon(wait("output_audio_buffer.started"))
                assert (await soon(wait("output_audio_buffer.stopped")))["response_id"] == response["response_id"]
            assert caller.loudest() > AUDIBLE

    against(simulator, visit)


def test_who_speaks_over_the_answer_silences_it() -> None:
    long = " ".join(["Hello."] * 3)
    simulator = Simulator(
        parse(f"knobs: {{audio_speed: 0}}\nturns: [{{hears: ., says: {long}}}]", "test", "test.yaml"),
        speech=server.Speech(NO_SPEECH.ears, lambda text: sound(4000)),
    )

    async def visit(client: httpx.AsyncClient) -> None:
        async with calling(client) as (caller, call_id), beside(simulator, call_id) as sideband:
            caller.ask("Hello?")
            await soon(caller.until("output_audio_buffer.started"))
            await caller.speak(silence(200) + sound(300))
            await soon(caller.until("output_audio_buffer.cleared"))
            cut = await soon(sideband.until("conversation.item.truncated"))
            assert 0 < cut["audio_end_ms"] < 4000
            caller.heard.clear()
            await caller.speak(silence(400))
            quiet = array("h", bytes(caller.heard[-FRAME_BYTES * 5 :]))
            assert max(map(abs, quiet), default=0) < AUDIBLE

    against(simulator, visit)


def test_a_call_that_is_hung_up_closes_the_data_channel() -> None:
    simulator = with_media()

    async def visit(client: httpx.AsyncClient) -> None:
        async with calling(client) as (caller, call_id):
            assert (await client.post(f"/v1/realtime/calls/{call_id}/hangup")).status_code == 200
            await soon(caller.closed.wait())

    against(simulator, visit)


def test_a_browser_that_hangs_up_ends_the_call_for_its_sidebands() -> None:
    simulator = with_media()

    async def visit(client: httpx.AsyncClient) -> None:
        async with calling(client) as (caller, call_id), beside(simulator, call_id) as sideband:
            await caller.peer.close()
            with pytest.raises(ConnectionClosed):
                await soon(sideband.socket.recv())
            assert sideband.socket.close_code == 1000
            again = await client.post(f"/v1/realtime/calls/{call_id}/hangup")
            assert again.status_code == 404

    against(simulator, visit)


def test_an_offer_that_cannot_be_answered_is_refused_and_leaves_nothing() -> None:
    simulator = with_media()

    async def visit(client: httpx.AsyncClient) -> None:
        for offer in (OFFER, OFFER.replace("UDP/TLS/RTP/SAVPF 111 0", "UDP/TLS/RTP/SAVPF x")):
            answer = await client.post("/v1/realtime/calls", content=offer, headers=SDP)
            assert answer.json()["error"]["code"] == "invalid_offer"
        assert not simulator.calls.live

    against(simulator, visit)


def test_without_the_extra_a_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    async def visit(client: httpx.AsyncClient) -> None:
        answer = await client.post("/v1/realtime/calls", content=OFFER, headers=SDP)
        assert answer.status_code == 501
        assert "install ringback with the extra `webrtc`" in answer.json()["error"]["message"]

    against(with_media(), visit)

"""The caller's browser over WebRTC: its microphone, its loudspeaker and its data channel, by ``aiortc``.

It needs the extra ``webrtc``. The browser connects to us: our own addresses are in the answer, its candidates are not
looked at, and no STUN server is asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
from collections.abc import Coroutine
from fractions import Fraction
from typing import Any

import ifaddr
from aioice import Candidate
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCDataChannel,
    RTCIceTransport,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame, AudioResampler

from simulator.calls.call import Call
from simulator.speech.vad import SAMPLE_RATE
from simulator.wire import Event, Refused

CONNECT_S = 30.0
"""A browser that has its answer and does not connect in this time has hung up."""
_LOOPBACK = "127.0.0.1"
# A second, as the call plays after a pause of the machine; without a sender, what is older would only be late.
_MAX_WAITING_FRAMES = 50
_FLUSH_S = 0.5
_FLUSH_STEP_S = 0.01


class Voice(MediaStreamTrack):
    """The sound for the caller, as the call plays it."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._frames: asyncio.Queue[bytes] = asyncio.Queue()
        self._played = 0

    def play(self, pcm: bytes) -> None:
        """Queue the next piece, PCM16 mono 24 kHz."""
        if self._frames.qsize() >= _MAX_WAITING_FRAMES:
            self._frames.get_nowait()
        self._frames.put_nowait(pcm)

    async def recv(self) -> AudioFrame:
        """Return the next piece when its time has come."""
        pcm = await self._frames.get()
        frame = AudioFrame(format="s16", layout="mono", samples=len(pcm) // 2)
        frame.planes[0].update(pcm)
        frame.sample_rate = SAMPLE_RATE
        frame.time_base = Fraction(1, SAMPLE_RATE)
        frame.pts = self._played
        self._played += frame.samples
        return frame


class WebRtcLeg:
    """The browser of one call."""

    waits = True
    is_gapless = True

    def __init__(self, call: Call) -> None:
        self._call = call
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._voice = Voice()
        self._channel: RTCDataChannel | None = None
        self._unsent: list[str] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._peer.on("datachannel", self._open_channel)
        self._peer.on("track", lambda track: self._start(self._listen(track)))
        self._peer.on("connectionstatechange", self._follow)

    async def answer(self, offer: str, addresses: list[str]) -> str:
        """Return the answer to an offer, and wait for the browser at these addresses.

        Raises:
            Refused: the offer is not valid.
        """
        try:
            await self._peer.setRemoteDescription(RTCSessionDescription(_without_candidates(offer), "offer"))
            self._peer.addTrack(self._voice)
            bind(self._peer, addresses)
            await self._peer.setLocalDescription(await self._peer.createAnswer())
        except Exception as error:  # of many kinds: the parser asserts, indexes and converts
            await self._peer.close()
            raise Refused("invalid_offer", f"The SDP offer cannot be answered: {error}", "sdp") from error
        self._start(self._hang_up_unless_connected())
        return self._peer.localDescription.sdp

    def play(self, pcm: bytes) -> None:
        """Play a piece of sound."""
        self._voice.play(pcm)

    def send(self, event: Event) -> None:
        """Send an event on the data channel, once it is open."""
        self._unsent.append(json.dumps(event))
        self._flush()

    async def close(self) -> None:
        """Close the connection behind what is queued."""
        for _ in range(int(_FLUSH_S / _FLUSH_STEP_S)):
            if self._channel is None or not self._channel.bufferedAmount:
                break
            await asyncio.sleep(_FLUSH_STEP_S)
        await self._peer.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _open_channel(self, channel: RTCDataChannel) -> None:
        """Take the data channel, whatever its name."""
        self._channel = channel
        channel.on("message", lambda frame: self._call.receive(frame, self))
        self._flush()

    def _flush(self) -> None:
        if self._channel is None or self._channel.readyState != "open":
            return
        for text in self._unsent:
            self._channel.send(text)
        self._unsent.clear()

    def _follow(self) -> None:
        if self._peer.connectionState == "connected":
            self._call.connected()
        elif self._peer.connectionState in ("failed", "closed"):
            self._call.end()

    async def _hang_up_unless_connected(self) -> None:
        await asyncio.sleep(CONNECT_S)
        if not self._call.is_connected:
            self._call.end()

    async def _listen(self, track: Any) -> None:
        """Pass on the microphone's sound, whatever its rate."""
        if track.kind != "audio":
            return
        resampler = AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
        with contextlib.suppress(MediaStreamError):
            while True:
                for frame in resampler.resample(await track.recv()):
                    self._call.listen(bytes(frame.planes[0])[: 2 * frame.samples])

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class Answering:
    """Answers offers at the addresses of a server: those of its host, and this machine's own for every host."""

    def __init__(self, host: str) -> None:
        self._addresses = _addresses(host)

    async def __call__(self, offer: str, call: Call) -> tuple[str, WebRtcLeg]:
        """Return the answer, and the leg of the call."""
        leg = WebRtcLeg(call)
        return await leg.answer(offer, self._addresses), leg


def _addresses(host: str) -> list[str]:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return [_LOOPBACK]
    if not address.is_unspecified:
        return [host]
    found = [ip.ip for adapter in ifaddr.get_adapters() for ip in adapter.ips if isinstance(ip.ip, str)]
    return list(dict.fromkeys([_LOOPBACK, *found]))


def bind(peer: RTCPeerConnection, addresses: list[str]) -> None:
    """Have a peer use these addresses: the library's own choice leaves out the loopback."""
    dtls = [transceiver.sender.transport for transceiver in peer.getTransceivers()]
    if peer.sctp is not None:
        dtls.append(peer.sctp.transport)
    for transport in {each.transport for each in dtls}:
        _gather_at(transport, addresses)


def _gather_at(transport: RTCIceTransport, addresses: list[str]) -> None:
    connection = transport.iceGatherer._connection
    gather = connection.get_component_candidates

    def gather_here(component: int, **_: object) -> Coroutine[Any, Any, list[Candidate]]:
        return gather(component=component, addresses=addresses)

    connection.get_component_candidates = gather_here  # type: ignore[assignment, method-assign]


def _without_candidates(offer: str) -> str:
    """Drop the browser's addresses: names of mDNS that resolve nowhere, or addresses that need no look."""
    lines = offer.splitlines()
    return "\r\n".join(line for line in lines if not line.startswith(("a=candidate:", "a=end-of-candidates"))) + "\r\n"

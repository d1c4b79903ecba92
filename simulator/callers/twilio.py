"""Twilio's place: asks a gateway what to do with a call, and connects the call's media stream.

The webhook is signed with the account's token (X-Twilio-Signature), and its TwiML is followed: ``<Connect><Stream>``
opens a WebSocket that carries µ-law in both directions, 20 ms a frame. What the gateway sends is played in real time.
Its marks are answered when they are played, or when it clears. If the stream ends and ``<Connect>`` has an ``action``,
that is asked next.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urljoin
from xml.etree import ElementTree

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from simulator.callers.media_stream import BYTES_PER_MS, MediaStream
from simulator.callers.sound import ULAW_SILENCE, from_ulaw, to_ulaw

FRAME_MS = 20
FRAME_BYTES = FRAME_MS * BYTES_PER_MS


class TwilioError(Exception):
    """The gateway did not take the call; the message says what it answered."""


@dataclass
class TwilioCall:
    """A call as Twilio knows it.

    ``played`` is what the caller heard, µ-law, without pauses; ``marks`` those that were answered; ``verbs`` those of
    the TwiML that was followed, such as ``Connect``, ``Dial`` or ``Hangup``, with their text.
    """

    call_sid: str = field(default_factory=lambda: f"CA{secrets.token_hex(16)}")
    played: bytearray = field(default_factory=bytearray)
    marks: list[str] = field(default_factory=list)
    clears: int = 0
    verbs: list[tuple[str, str]] = field(default_factory=list)

    @property
    def heard(self) -> bytes:
        """What the caller heard, PCM16 mono 24 kHz."""
        return from_ulaw(bytes(self.played))


def signature(token: str, url: str, form: Mapping[str, str]) -> str:
    """Return the X-Twilio-Signature of a request: its URL and its fields in order, by HMAC-SHA1."""
    content = url + "".join(f"{name}{form[name]}" for name in sorted(form))
    return base64.b64encode(hmac.new(token.encode(), content.encode(), hashlib.sha1).digest()).decode()


async def call(
    url: str,
    token: str,
    *,
    says: bytes = b"",
    keys: str = "",
    form: Mapping[str, str] | None = None,
    until: Callable[[TwilioCall], bool] = lambda call: False,
    longest_s: float = 60.0,
) -> TwilioCall:
    """Place a call, follow the TwiML, and hang up at the end.

    Args:
        url: the voice webhook, at the public address that its signature is made for.
        token: the account's.
        says: the caller's words, PCM16 mono 24 kHz, sent in real time; silence follows.
        keys: pressed when the words are said.
        form: fields of the webhook besides the usual ones, such as ``From``.
        until: hang up as soon as this holds of the call.
        longest_s: hang up after so long in any case.

    Raises:
        TwilioError: a webhook was not answered with TwiML, or a stream was refused.
    """
    result = TwilioCall()
    fields = {
        "CallSid": result.call_sid,
        "AccountSid": f"AC{'0' * 32}",
        "From": "+15550100",
        "To": "+15550199",
        "CallStatus": "ringing",
        "Direction": "inbound",
        **(form or {}),
    }
    line = _Line(result, to_ulaw(says), keys, until)
    try:
        async with asyncio.timeout(longest_s), httpx.AsyncClient(trust_env=False, timeout=longest_s) as client:
            following: str | None = url
            while following is not None:
                twiml = await _ask(client, following, token, fields)
                fields["CallStatus"] = "in-progress"
                action = await _follow(twiml, result, line, token, fields)
                following = urljoin(following, action) if action and not line.hung_up else None
    except TimeoutError:
        pass
    return result


async def _ask(client: httpx.AsyncClient, url: str, token: str, fields: Mapping[str, str]) -> ElementTree.Element:
    headers = {"X-Twilio-Signature": signature(token, url, fields)}
    try:
        answer = await client.post(url, data=dict(fields), headers=headers)
    except httpx.HTTPError as error:
        raise TwilioError(f"{url} cannot be asked: {error or type(error).__name__}") from error
    if not answer.is_success:
        raise TwilioError(f"{url} answered {answer.status_code}: {answer.text[:200]}")
    try:
        return ElementTree.fromstring(answer.text)  # noqa: S314 - of the gateway under test
    except ElementTree.ParseError as error:
        raise TwilioError(f"{url} answered no TwiML: {error}") from error


async def _follow(
    twiml: ElementTree.Element, result: TwilioCall, line: _Line, token: str, fields: Mapping[str, str]
) -> str | None:
    """Do what the TwiML says; return the address that is to be asked next."""
    for verb in twiml:
        result.verbs.append((verb.tag, "".join(verb.itertext()).strip()))
        stream = verb.find("Stream")
        if verb.tag == "Connect" and stream is not None:
            await line.stream(stream, token, fields)
            if verb.get("action"):
                return verb.get("action")
        if verb.tag in ("Hangup", "Reject", "Dial") or line.hung_up:
            return None
    return None


class _Line:
    """One caller's sound, through all streams of a call."""

    def __init__(self, call: TwilioCall, says: bytes, keys: str, until: Callable[[TwilioCall], bool]) -> None:
        self.hung_up = False
        self._call = call
        self._says = says
        self._keys = keys
        self._until = until

    async def stream(self, stream: ElementTree.Element, token: str, fields: Mapping[str, str]) -> None:
        """Connect a media stream, and hold it until either side hangs up."""
        url = stream.get("url", "")
        headers = {"X-Twilio-Signature": signature(token, url, {})}
        given = {str(each.get("name")): str(each.get("value")) for each in stream.findall("Parameter")}
        media = MediaStream(self._call.marks)
        try:
            async with connect(url, additional_headers=headers, max_queue=None, proxy=None) as socket:
                for frame in media.begin(fields["CallSid"], fields["AccountSid"], given):
                    await socket.send(frame)
                reading = asyncio.create_task(self._read(socket, media))
                try:
                    await self._hold(socket, media, reading, fields)
                finally:
                    reading.cancel()
                    await asyncio.wait([reading])
        except ConnectionClosed:
            pass
        except OSError as error:
            raise TwilioError(f"The stream at {url} does not connect: {error}") from error

    async def _hold(
        self, socket: ClientConnection, media: MediaStream, reading: asyncio.Task[None], fields: Mapping[str, str]
    ) -> None:
        """Send and play 20 ms every 20 ms."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while not reading.done():
            frame, self._says = self._says[:FRAME_BYTES].ljust(FRAME_BYTES, ULAW_SILENCE), self._says[FRAME_BYTES:]
            await socket.send(media.says(frame))
            if not self._says:
                keys, self._keys = self._keys, ""
                for key in keys:
                    await socket.send(media.presses(key))
            sound, answers = media.play(FRAME_MS)
            self._call.played += sound
            for answer in answers:
                await socket.send(answer)
            if self._until(self._call):
                self.hung_up = True
                await socket.send(media.stops(fields["CallSid"], fields["AccountSid"]))
                return
            due += FRAME_MS / 1000
            await asyncio.sleep(due - loop.time())

    async def _read(self, socket: ClientConnection, media: MediaStream) -> None:
        async for frame in socket:
            if media.take(frame).get("event") == "clear":
                self._call.clears += 1
                for answer in media.clear():
                    await socket.send(answer)

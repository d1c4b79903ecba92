"""One call: a conversation that the caller holds by sound, and that any number of servers join by its id.

Everybody gets each event, whoever caused it; only an error goes to its author alone. Sound goes to the caller, in real
time. The call ends when the caller hangs up, a server hangs it up, or its session expires; servers come and go.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from typing import Any, Protocol

from simulator.calls.legs import FRAME_MS, Leg, NoLeg
from simulator.calls.output_audio import OutputAudio
from simulator.conversation import Conversation
from simulator.effects import HangUp
from simulator.performer import Performer, Speech
from simulator.speech.telephony import decoded
from simulator.wire import Event, new_id

NORMAL = 1000
"""The close code of a sideband whose call has ended."""
_AUDIO = "response.output_audio.delta"
# Recorded at Azure's with `webrtcfilter=on`: what the browser is still shown.
_SHOWN_IF_FILTERED = (
    *("input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped"),
    *("output_audio_buffer.started", "output_audio_buffer.stopped", "output_audio_buffer.cleared"),
    *("conversation.item.added", "conversation.item.input_audio_transcription.completed"),
    *("response.output_text.delta", "response.output_text.done"),
    *("response.output_audio_transcript.delta", "response.output_audio_transcript.done"),
)


class Sideband(Protocol):
    """A server beside the call."""

    def send(self, event: Event) -> None:
        """Queue an event."""

    def hang_up(self, effect: HangUp) -> None:
        """Close the connection after the queued events."""


class Call:
    """A call from its answer to its end; :meth:`run` holds it.

    Args:
        conversation: of this call alone.
        speech: its ears and its voice.
        filtered: whether the caller's program is shown a few events only.
    """

    def __init__(self, conversation: Conversation, speech: Speech, *, filtered: bool = False) -> None:
        self.id = new_id("rtc_u2")
        self.conversation = conversation
        self.leg: Leg = NoLeg()
        self.is_connected = False
        self._sidebands: list[Sideband] = []
        self.answered_at = time.monotonic()
        self._filtered = filtered
        self._output = OutputAudio()
        self._performer = Performer(conversation, speech, self)
        self._to_play = asyncio.Event()
        self._over = asyncio.Event()
        self._author: Sideband | Leg | None = None

    async def run(self) -> None:
        """Hold the call until it ends; then every sideband is closed."""
        try:
            async with self._performer.performing():
                self._performer.start_clocks()
                self._performer.start(self._play())
                await self._over.wait()
        finally:
            self.end()
            for sideband in self._sidebands:
                sideband.hang_up(HangUp(NORMAL))

    def end(self) -> None:
        """End the call."""
        self._over.set()

    @property
    def is_over(self) -> bool:
        """Whether the call has ended."""
        return self._over.is_set()

    def join(self, sideband: Sideband) -> None:
        """Let a server take part; one that comes too late is sent away at once."""
        if self.is_over:
            sideband.hang_up(HangUp(NORMAL))
        else:
            self._sidebands.append(sideband)

    def leave(self, sideband: Sideband) -> None:
        """Let a server go; the call goes on."""
        if sideband in self._sidebands:
            self._sidebands.remove(sideband)

    # What the caller does, told by the leg.

    def connected(self) -> None:
        """Greet the caller: sound and events can flow."""
        self.is_connected = True
        self._to_play.set()
        for greeting in self.conversation.open():
            event = self.conversation.knobs.shown(greeting.event)
            if event is not None:
                self.leg.send(event)

    def listen(self, pcm: bytes) -> None:
        """Take the caller's sound, PCM16 mono 24 kHz. Who speaks is not spoken to: what was not heard is cut off."""
        effects = self.conversation.listen(pcm)
        self._performer.perform(effects)
        if self.conversation.interrupts(effects):
            self._clear()

    def press(self, key: str) -> None:
        """Take a key of a phone. As documented, this event has no id."""
        self.send({"type": "input_audio_buffer.dtmf_event_received", "event": key, "received_at": int(time.time())})

    # What either side sends.

    def receive(self, frame: str | bytes, author: Sideband | Leg) -> None:
        """Take an event of the caller's program or of a sideband."""
        if _kind_of(frame) == "output_audio_buffer.clear":
            self._clear()
            return
        effects = self.conversation.receive(frame)
        self._author = author
        try:
            self._performer.perform(effects)
        finally:
            self._author = None

    def expire(self) -> None:
        """End the session as after its longest duration."""
        self._performer.perform(self.conversation.expire())

    # The audience of the conversation.

    def send(self, event: Event) -> None:
        """Send an event to everybody, an error to its author, and sound to the caller's ears."""
        kind = event["type"]
        if kind == _AUDIO:
            kind = self.conversation.player.session["audio"]["output"]["format"]["type"]
            pcm = decoded(base64.b64decode(event["delta"]), kind)
            self._output.add(event["response_id"], event["item_id"], event["content_index"], pcm)
            self._to_play.set()
            return
        if kind == "response.done":
            self._output.close(event["response"]["id"])
            self._to_play.set()
        if kind == "error" and self._author is not None:
            self._author.send(event)
            return
        if not self._filtered or kind in _SHOWN_IF_FILTERED:
            self.leg.send(event)
        for sideband in self._sidebands:
            sideband.send(event)

    def hang_up(self, effect: HangUp) -> None:
        """End the call, as the conversation decided: sidebands are closed with its code."""
        for sideband in self._sidebands:
            sideband.hang_up(effect)
        self._sidebands.clear()
        self.end()

    async def drained(self) -> None:
        """Return at once: no party sets the pace for the others."""

    def shown(self) -> dict[str, Any]:
        """Return the session's id, when it expires, and how many sidebands there are."""
        session = self.conversation.player.session
        return {
            "session": session["id"],
            "expires_at": session["expires_at"],
            "connected": self.is_connected,
            "sidebands": len(self._sidebands),
        }

    async def _play(self) -> None:
        """Play what there is, 20 ms every 20 ms."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            while not self._plays():
                self._to_play.clear()
                await self._to_play.wait()
                due = loop.time()
            pcm, events = self._output.take(FRAME_MS)
            for event in events:
                self.send(event)
            self.leg.play(pcm)
            due = max(due + FRAME_MS / 1000, loop.time() - 1)
            await asyncio.sleep(due - loop.time())

    def _plays(self) -> bool:
        if self.leg.waits and not self.is_connected:
            return False
        return self.leg.is_gapless or not self._output.is_silent

    def _clear(self) -> None:
        events, unheard = self._output.clear()
        for event in events:
            self.send(event)
        for cut in unheard:
            truncate = {
                "type": "conversation.item.truncate",
                "item_id": cut.item_id,
                "content_index": cut.content_index,
                "audio_end_ms": cut.heard_ms,
            }
            self._performer.perform(self.conversation.receive(json.dumps(truncate)))


def _kind_of(frame: str | bytes) -> Any:
    try:
        event = json.loads(frame)
    except ValueError:
        return None
    return event.get("type") if isinstance(event, dict) else None

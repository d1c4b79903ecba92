"""One connection: moves frames, time and sound between the socket and the conversation.

It reads the socket, and writes from a queue, so that events leave in the order of the decisions. Each action that takes
time has a task: a track, speech that is recognised or synthesised, a delay. ``conversation`` decides what they mean.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from simulator.conversation import Conversation
from simulator.effects import Effect, HangUp, Hear, Later, Play, Send, Speak, Track
from simulator.faults import DropWatch
from simulator.server.recorder import Recorder
from simulator.speech import synthesis
from simulator.speech.ears import DEAF, Ears
from simulator.wire import Event, server_event

# The close code of a connection that ended without a close frame.
_ABNORMAL = 1006
# The first bytes of a text frame of 4 KiB that never comes.
_HALF_A_FRAME = b'\x81\x7e\x10\x00{"type":"response.out'


@dataclass(frozen=True)
class Speech:
    """The ears and the voice; both are called in a thread, with PCM16 mono 24 kHz."""

    ears: Ears
    speak: Callable[[str], bytes]

    def told(self) -> str:
        """Return what hears and what speaks, as a sentence."""
        voice = "hibari-tts" if self.speak is synthesis.speak and synthesis.available() else "a chime"
        return f"It {self.ears.told()}; it speaks with {voice}."


# No recognition, and a chime: turns are identified by their number, and no model is loaded.
NO_SPEECH = Speech(DEAF, speak=lambda text: synthesis.chime())


class Session:
    """The loop of one connection."""

    def __init__(
        self,
        connection: ServerConnection,
        number: int,
        conversation: Conversation,
        speech: Speech,
        drop_watch: DropWatch,
        recorder: Recorder,
    ) -> None:
        self._connection = connection
        self._number = number
        self._conversation = conversation
        self._speech = speech
        self._drop_watch = drop_watch
        self._recorder = recorder
        self._outbox: asyncio.Queue[Event | HangUp] = asyncio.Queue()
        self._group = asyncio.TaskGroup()
        self._tasks: set[asyncio.Task[None]] = set()
        self._hung = False

    async def run(self) -> None:
        """Serve the connection until either side ends it."""
        async with self._group:
            self._start(self._write())
            self._start_clocks()
            self._perform(self._conversation.open())
            with contextlib.suppress(ConnectionClosed):
                async for frame in self._connection:
                    self._take(frame)
            for task in self._tasks:
                task.cancel()
        self._recorder.note(self._number, "close", self._connection.close_code)

    def drop(self, code: int) -> None:
        """End the connection; queued events are sent first, unless it is cut (1006)."""
        if code == _ABNORMAL:
            self._connection.transport.abort()
        else:
            self._perform([HangUp(code)])

    def cut(self) -> None:
        """End the connection in the middle of a frame."""
        self._connection.transport.write(_HALF_A_FRAME)
        self._connection.transport.close()

    def hang(self) -> None:
        """Answer pings, and send no more events."""
        self._hung = True

    def blackhole(self) -> None:
        """Stop reading, too."""
        self._hung = True
        self._connection.transport.pause_reading()

    def expire(self) -> None:
        """End the session as after its longest duration."""
        self._perform(self._conversation.expire())

    def shown(self) -> dict[str, Any]:
        """Return the session's id, and when it expires."""
        session = self._conversation.player.session
        return {"session": session["id"], "expires_at": session["expires_at"]}

    def _take(self, frame: str | bytes) -> None:
        event = _readable(frame)
        self._recorder.event(self._number, "in", event)
        if self._hung:
            return
        code = self._drop_watch.closes_after(str(event.get("type")) if isinstance(event, dict) else "")
        self._perform([HangUp(code)] if code else self._conversation.receive(frame))

    def _perform(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send():
                    event = self._conversation.knobs.shown(effect.event)
                    if event is not None:
                        self._outbox.put_nowait(event)
                case HangUp():
                    self._outbox.put_nowait(effect)
                case Play():
                    self._start(self._play(effect.track))
                case Hear():
                    self._start(self._hear(effect))
                case Speak():
                    self._start(self._speak(effect))
                case Later():
                    self._start(self._later(effect))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _start_clocks(self) -> None:
        knobs = self._conversation.knobs
        if knobs.expire_after_ms is not None:
            self._start(self._later(Later(knobs.expire_after_ms, self._conversation.expire)))
        if knobs.ping_ms is not None:
            self._start(self._ping(knobs.ping_ms / 1000))

    async def _play(self, track: Track) -> None:
        """Play a track step by step; the wait for the queue lets a slow client set the pace."""
        while (wait_ms := track.wait_ms) is not None:
            await asyncio.sleep(wait_ms / 1000)
            if track.wait_ms is not None:
                self._perform(self._conversation.advance(track))
                await self._outbox.join()

    async def _hear(self, effect: Hear) -> None:
        text = await asyncio.to_thread(self._speech.ears.hear, effect.pcm, effect.hints)
        self._perform(self._conversation.heard(effect.item_id, text))

    async def _speak(self, effect: Speak) -> None:
        voices = {text: await asyncio.to_thread(self._speech.speak, text) for text in effect.texts}
        self._perform(self._conversation.voiced(effect.response_id, voices))

    async def _later(self, effect: Later) -> None:
        await asyncio.sleep(effect.after_ms / 1000)
        self._perform(effect.then())

    async def _ping(self, every_s: float) -> None:
        while True:
            self._outbox.put_nowait(server_event("ping", timestamp=int(asyncio.get_running_loop().time() * 1000)))
            await asyncio.sleep(every_s)

    async def _write(self) -> None:
        """Send queued events, until the connection is closed or a fault closes it."""
        await asyncio.sleep(self._conversation.knobs.first_event_ms / 1000)
        with contextlib.suppress(ConnectionClosed):
            while True:
                entry = await self._outbox.get()
                code = await self._send(entry) if isinstance(entry, dict) else None
                if code is not None:
                    entry = HangUp(code)
                self._outbox.task_done()
                if isinstance(entry, HangUp):
                    await self._hang_up(entry)
                    return

    async def _send(self, event: Event) -> int | None:
        if self._hung:
            return None
        await self._connection.send(json.dumps(event))
        self._recorder.event(self._number, "out", event)
        return self._drop_watch.closes_after(event["type"])

    async def _hang_up(self, effect: HangUp) -> None:
        if effect.code == _ABNORMAL:
            self._connection.transport.abort()
        else:
            await self._connection.close(effect.code, effect.reason)


def _readable(frame: str | bytes) -> Any:
    try:
        return json.loads(frame)
    except ValueError:
        return repr(frame)

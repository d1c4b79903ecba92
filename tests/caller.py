"""The barest client there can be: JSON frames over a WebSocket, a record of all that it heard, and a way back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

PATIENCE = 45.0
"""Seconds until a test says that something will not happen; nothing here takes one on an idle machine."""
RESUMABLE = "ringback.session.resumable"

Event = dict[str, Any]


@dataclass
class Caller:
    """A bare client: what it heard, frame by frame, stays in `frames` as it came."""

    socket: ClientConnection
    frames: list[str] = field(default_factory=list)

    @property
    def heard(self) -> list[Event]:
        return [json.loads(frame) for frame in self.frames]

    @property
    def session_id(self) -> str:
        """As the gateway names this session when it greets."""
        first = next(event for event in self.heard if not event["type"].startswith("ringback."))
        assert first["type"] == "session.created", first
        return str(first["session"]["id"])

    @property
    def resumable(self) -> Event:
        """The newest word on how to come back: `session_id`, `epoch`, `token`, `seconds`."""
        return next(event for event in reversed(self.heard) if event["type"] == RESUMABLE)

    @property
    def token(self) -> str:
        """What resumes this session, once."""
        return str(self.resumable["token"])

    def vanish(self) -> None:
        """Be gone without a word, as a client whose network went away."""
        self.socket.transport.abort()

    async def send(self, event: Event) -> None:
        await self.socket.send(json.dumps(event))

    async def ask(self, text: str) -> None:
        """Type a question and ask for an answer, as the recorded clients do."""
        content = [{"type": "input_text", "text": text}]
        await self.send({"type": "conversation.item.create", "item": message(content)})
        await self.send({"type": "response.create"})

    async def hear(self) -> Event:
        """The next event; raises ConnectionClosed where there is none."""
        async with asyncio.timeout(PATIENCE):
            frame = await self.socket.recv()
        assert isinstance(frame, str), "the gateway speaks JSON text"
        self.frames.append(frame)
        event: Event = json.loads(frame)
        return event

    async def hear_until(self, found: Callable[[Event], bool]) -> Event:
        """The first event from now on that is meant."""
        while not found(event := await self.hear()):
            pass
        return event

    async def hear_kind(self, kind: str) -> Event:
        return await self.hear_until(lambda event: event["type"] == kind)

    async def hear_words(self, words: str) -> Event:
        """The next response that says these words."""
        return await self.hear_until(lambda event: event["type"] == "response.done" and words in spoken(event))

    async def hear_job(self, state: str) -> Event:
        """The next news that a job is in this state."""
        return await self.hear_until(lambda event: event.get("job", {}).get("state") == state)

    async def hear_answer(self) -> str:
        """What the model says in the next response that says anything at all after its functions were run."""
        done = await self.hear_until(lambda event: event["type"] == "response.done" and bool(spoken(event)))
        return spoken(done)

    async def hear_goodbye(self) -> tuple[int, str]:
        """Listen to the end: the close code and reason; 1006 where the gateway hung up without any."""
        try:
            while True:
                await self.hear()
        except ConnectionClosed as closed:
            return (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (1006, "")


def message(content: Sequence[Event], role: str = "user") -> Event:
    return {"type": "message", "role": role, "content": list(content)}


def spoken(response_done: Event) -> str:
    """Text or transcript of a whole response."""
    parts = [part for item in response_done["response"].get("output") or [] for part in item.get("content") or []]
    return " ".join(part.get("transcript") or part.get("text") or "" for part in parts).strip()

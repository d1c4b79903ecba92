"""The client of a session that is a phone call over SIP: what a phone does by itself, while its voice goes elsewhere.

It asks for the greeting, and tells the model which keys were pressed. (Realtime API, `dtmf_event_received`.)
"""

from __future__ import annotations

import asyncio
import json

from gateway.conversation.actions import Event
from gateway.session.client_connection import NoClient, Passes, as_text

PRESSED = "input_audio_buffer.dtmf_event_received"
KEYS = frozenset("0123456789*#ABCD")
DIGITS_SECONDS = 1.5
"""A key that is pressed so much later begins a new message."""
MAX_DIGITS = 32


class PhoneConnection(NoClient):
    """One call.

    Args:
        greets: the model is asked to speak first.
    """

    def __init__(self, *, greets: bool) -> None:
        super().__init__()
        self._greets = greets
        self._digits = ""
        self._timer: asyncio.TimerHandle | None = None
        self._says: asyncio.Queue[Event] = asyncio.Queue()

    async def receive(self, passes: Passes | None = None) -> str | bytes:
        """Return the next event that the phone has caused."""
        return as_text(await self._says.get())

    async def hold(self, event: Event) -> None:
        """Take an event of the session."""
        if event["type"] == "session.created" and self._greets:
            self._greets = False
            self._says.put_nowait({"type": "response.create"})
        elif event["type"] == PRESSED and event.get("event") in KEYS:
            self._press(event["event"])

    def write(self, text: str) -> None:
        """Take an event that passes; keys are among them where the gateway does not know their event."""
        if PRESSED in text[:128]:
            key = json.loads(text).get("event")
            if key in KEYS:
                self._press(key)

    async def hold_text(self, text: str) -> None:
        """Take an event that passes."""
        self.write(text)

    async def close(self, code: int, reason: str) -> None:
        """Forget the keys that were not told."""
        if self._timer is not None:
            self._timer.cancel()

    def _press(self, key: str) -> None:
        self._digits += key
        if self._timer is not None:
            self._timer.cancel()
        if key == "#" or len(self._digits) >= MAX_DIGITS:
            self._tell()
        else:
            self._timer = asyncio.get_running_loop().call_later(DIGITS_SECONDS, self._tell)

    def _tell(self) -> None:
        words = f"(The caller pressed {self._digits} on the phone's keypad.)"
        self._digits = ""
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": words}]}
        self._says.put_nowait({"type": "conversation.item.create", "item": item})
        self._says.put_nowait({"type": "response.create"})

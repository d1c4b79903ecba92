"""Writes down what is said in a session, behind the conversation and never in its way.

A message that changes before it was written (a transcript that comes late, an answer that is cut short) is written
once, as it is by then. While Postgres is away what is said waits here, within a bound. Pictures that come faster than
they may be written are left out: a camera makes many, and few of them are ever told again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any
from uuid import UUID

from sqlalchemy.exc import DataError, SQLAlchemyError

from gateway.conversation.actions import Event
from gateway.storage.database import Store
from ringback.privacy.redaction import Redaction
from ringback.statements.sessions import items, lifecycle
from ringback.statements.sessions.items import PICTURE_CHARS_AT_MOST, Message, without_pictures

log = logging.getLogger(__name__)

AT_ONCE = 50
"""Messages of one statement: after an outage what has gathered is written in steps."""
MAX_WAITING = 500
"""Messages that wait for Postgres: hours of talk; beyond it the oldest is given up."""
PICTURE_CHARS_BURST = PICTURE_CHARS_AT_MOST
"""Of the pictures of one session, written at once: as many as it keeps."""
PICTURE_CHARS_PER_SECOND = 16_384.0
"""After that: a large picture in 16 s, some 60 MB an hour."""
AGAIN_SECONDS = 0.5
"""After a failed attempt: a Postgres that restarts is back within seconds."""


class TranscriptWriter:
    """What one session has said and the rows do not show yet.

    Args:
        epoch: tells the epoch in which the session is now.
        redaction: what is not written down of what was said; it is kept nowhere else, either.
    """

    def __init__(
        self,
        store: Store,
        session_id: UUID,
        gateway_id: str,
        epoch: Callable[[], int],
        redaction: Redaction | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._redaction = redaction or Redaction()
        self._session_id = session_id
        self._gateway_id = gateway_id
        self._epoch = epoch
        self._waiting: dict[str, Message] = {}
        self._settings: Event | None = None
        self._clock = clock
        self._picture_room = float(PICTURE_CHARS_BURST)
        self._picture_room_at = clock()
        self._left_out = 0
        self._news = asyncio.Event()

    def keep(self, messages: Iterable[Message]) -> None:
        """Have these written soon; returns at once."""
        for message in messages:
            self._waiting.pop(message.item_id, None)
            self._waiting[message.item_id] = self._affordable(message)
        while len(self._waiting) > MAX_WAITING:
            given_up = self._waiting.pop(next(iter(self._waiting)))
            log.error("session %s: %s is not kept, Postgres was away for too long", self._session_id, given_up.item_id)
        self._news.set()

    def _affordable(self, message: Message) -> Message:
        """The message, without its pictures where too many were written of late."""
        chars = sum(len(part.get("image_url", "")) for part in message.content)
        if not chars:
            return message
        now = self._clock()
        room = self._picture_room + (now - self._picture_room_at) * PICTURE_CHARS_PER_SECOND
        self._picture_room, self._picture_room_at = min(room, PICTURE_CHARS_BURST), now
        if chars <= self._picture_room:
            self._picture_room -= chars
            return message
        self._left_out += 1
        if self._left_out == 1:
            log.warning("session %s: pictures come faster than they are kept: some are left out", self._session_id)
        return replace(message, content=without_pictures(message.content))

    def keep_settings(self, session: Event) -> None:
        """Have this written soon as what the client has set of its session."""
        self._settings = session
        self._news.set()

    async def write(self) -> None:
        """Write whatever comes, until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            if not await self.flush():
                await asyncio.sleep(AGAIN_SECONDS)
                self._news.set()

    async def flush(self) -> bool:
        """Write all that waits; False where it cannot be written now."""
        try:
            while self._waiting:
                if not await self._write(list(self._waiting.values())[:AT_ONCE]):
                    return False
            if self._settings is not None:
                await self._write_settings(self._settings)
        except (SQLAlchemyError, OSError) as problem:
            log.warning("session %s: what is said must wait (%s)", self._session_id, type(problem).__name__)
            return False
        return True

    async def _write(self, batch: list[Message]) -> bool:
        """False where nothing was written: the session is another's, or in another epoch, which the next try names."""
        try:
            shown = [replace(message, content=self._redacted(message.content)) for message in batch]
            rows = await self._store.rows(items.keep(self._session_id, self._gateway_id, self._epoch(), shown))
        except DataError:
            if len(batch) > 1:
                return all([await self._write([message]) for message in batch])
            log.exception("session %s: Postgres refuses %s", self._session_id, batch[0].item_id)
            self._waiting.pop(batch[0].item_id, None)
            return True
        written = {row.item_id for row in rows}
        for message in batch:  # unless it has changed meanwhile
            if message.item_id in written and self._waiting.get(message.item_id) is message:
                del self._waiting[message.item_id]
        if any(_is_picture(part) for message in shown for part in message.content):
            await self._store.rows(items.leave_out_pictures(self._session_id, self._gateway_id, self._epoch()))
        return bool(written)

    def _redacted(self, content: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """What was said, without what must not be stored. A picture is no text, and takes long to look through."""
        return [part if _is_picture(part) else self._redaction.data(part) for part in content]

    async def _write_settings(self, settings: Event) -> None:
        statement = lifecycle.set_by_client(self._session_id, self._gateway_id, self._epoch(), settings)
        try:
            await self._store.count(statement)
        except DataError:
            log.exception("session %s: Postgres refuses what the client has set", self._session_id)
        if self._settings is settings:  # unless they have changed meanwhile
            self._settings = None


def _is_picture(part: dict[str, Any]) -> bool:
    return bool(part["type"] == "input_image" and part["image_url"].startswith("data:"))

"""Writes what is said in a session into its rows, behind the conversation and never in its way.

It writes at the beat of its process, in one statement with what other sessions have to write then.
If a message changes before it is written (a transcript that comes late, an answer that is cut short), it is written
once, as it is by then. While Postgres is away messages wait here, within a bound. Pictures that come faster than they
may be written are left out: a camera makes many, and few of them are told to a later conversation.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import psycopg
from msgspec import structs

from gateway.conversation.actions import Event
from gateway.retry import until_done
from gateway.session.context import GatewayContext, SessionState
from gateway.small_event import Errand
from gateway.storage.gathered_writes import Run, in_steps, next_beat
from gateway.token_bucket import TokenBucket
from ringback.statements.sessions import items, lifecycle
from ringback.statements.sessions.items import PICTURE_CHARS_AT_MOST, Message, without_pictures

log = logging.getLogger(__name__)

AT_ONCE = 50
"""Messages of one statement: after an outage what has gathered is written in steps."""
MAX_WAITING = 500
"""Messages that wait for Postgres: hours of talk. Beyond it the oldest is given up."""
PICTURE_CHARS_BURST = PICTURE_CHARS_AT_MOST
"""Of the pictures of one session, written at once: as many as it keeps."""
PICTURE_CHARS_PER_SECOND = 16_384.0
"""After that: a large picture in 16 s, some 60 MB an hour."""
AGAIN_SECONDS = 0.5
"""After a failed attempt: a Postgres that restarts is back within seconds."""


class TranscriptWriter:
    """Messages and client settings of one session that its rows do not hold yet.

    Each is redacted as it is written: what is redacted is kept nowhere else.
    """

    def __init__(
        self, gateway: GatewayContext, session: SessionState, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = gateway.store
        self._gathered = gateway.gathered.of(session.session_id)
        self._redaction = gateway.row_privacy.redaction
        self._gateway_id = gateway.gateway_id
        self._session = session
        self._session_id = session.session_id
        self._waiting: dict[str, Message] = {}
        self._settings: Event | None = None
        self._clock = clock
        self._pictures = TokenBucket(PICTURE_CHARS_PER_SECOND, PICTURE_CHARS_BURST)
        self._left_out = 0
        self._writes = Errand(self._write_waiting, session.errands, next_beat)
        self._writing = asyncio.Lock()
        """One write at a time: the older of two would else be the last one."""

    def keep(self, messages: Iterable[Message]) -> None:
        """Have these messages written soon; returns at once."""
        for message in messages:
            self._waiting.pop(message.item_id, None)
            self._waiting[message.item_id] = self._affordable(message)
        while len(self._waiting) > MAX_WAITING:
            given_up = self._waiting.pop(next(iter(self._waiting)))
            log.error(
                "message given up: session %s, %s; Postgres was away for too long", self._session_id, given_up.item_id
            )
        self._writes.ask()

    def _affordable(self, message: Message) -> Message:
        """Return the message, without its pictures if too many were written of late."""
        chars = sum(len(part.get("image_url", "")) for part in message.content)
        if not chars:
            return message
        if self._pictures.takes(self._clock(), chars):
            return message
        self._left_out += 1
        if self._left_out == 1:
            log.warning("pictures left out: session %s sends them faster than they are kept", self._session_id)
        return structs.replace(message, content=without_pictures(message.content))

    def keep_settings(self, session: Event) -> None:
        """Have what the client has set of its session written soon; returns at once."""
        self._settings = session
        self._writes.ask()

    async def _write_waiting(self) -> None:
        await until_done(partial(self.flush, self._gathered), AGAIN_SECONDS)

    async def flush(self, run: Run | None = None) -> bool:
        """Write all that waits. Return False if it cannot be written now.

        Args:
            run: runs the statements that write messages, and what comes meanwhile waits for the next beat; None: at
                once, without those of other sessions, until nothing waits.
        """
        async with self._writing:
            return await self._flush(run)

    async def _flush(self, run: Run | None) -> bool:
        try:
            while waiting := list(self._waiting.values()):
                for batch in in_steps(waiting, AT_ONCE):
                    if not await self._write(batch, run or self._store.rows):
                        return False
                if run is not None:
                    break
            if self._settings is not None:
                await self._write_settings(self._settings)
        except (psycopg.Error, OSError) as problem:
            log.warning(
                "transcript not written: session %s (%s); trying again in %g s",
                *(self._session_id, type(problem).__name__, AGAIN_SECONDS),
            )
            return False
        return True

    async def _write(self, batch: Sequence[Message], run: Run) -> bool:
        """Write some messages. Return False if none was written.

        Then another gateway holds the session, or its epoch has changed: the next attempt names the new one.
        """
        try:
            shown = [structs.replace(message, content=self._redacted(message.content)) for message in batch]
            has_pictures = any(_is_picture(part) for message in shown for part in message.content)
            run = self._store.rows if has_pictures else run  # a hundred sessions' would be a hundred megabytes
            rows = await run(items.save(self._session_id, self._gateway_id, self._session.epoch, shown))
        except psycopg.DataError:
            if len(batch) > 1:
                return all([await self._write([message], run) for message in batch])
            log.exception("message given up: session %s, %s; Postgres refuses it", self._session_id, batch[0].item_id)
            self._waiting.pop(batch[0].item_id, None)
            return True
        written = {row.item_id for row in rows}
        for message in batch:  # unless it has changed meanwhile
            if message.item_id in written and self._waiting.get(message.item_id) is message:
                del self._waiting[message.item_id]
        if has_pictures:
            await self._store.rows(items.drop_old_pictures(self._session_id, self._gateway_id, self._session.epoch))
        return bool(written)

    def _redacted(self, content: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the content without what must not be stored. A picture is no text, and would take long to search."""
        return [part if _is_picture(part) else self._redaction.data(part) for part in content]

    async def _write_settings(self, settings: Event) -> None:
        statement = lifecycle.save_client_session(self._session_id, self._gateway_id, self._session.epoch, settings)
        try:
            await self._store.count(statement)
        except psycopg.DataError:
            log.exception("client settings given up: session %s; Postgres refuses them", self._session_id)
        if self._settings is settings:  # unless they have changed meanwhile
            self._settings = None


def _is_picture(part: dict[str, Any]) -> bool:
    return bool(part["type"] == "input_image" and part["image_url"].startswith("data:"))

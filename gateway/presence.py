"""Which sessions this process holds, and how to wake one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from uuid import UUID


class Presence:
    """A bell for each session: many rings before it looks are one look."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._bells: dict[UUID, asyncio.Event] = {}

    @property
    def is_full(self) -> bool:
        """True where one session more would be heard by all the others."""
        return len(self._bells) >= self._limit

    def __len__(self) -> int:
        return len(self._bells)

    def enter(self, session_id: UUID) -> asyncio.Event:
        """A session begins here; its bell is set whenever it should look for answers."""
        return self._bells.setdefault(session_id, asyncio.Event())

    def leave(self, session_id: UUID) -> None:
        """The session is over."""
        self._bells.pop(session_id, None)

    def ring(self, session_ids: Iterable[UUID]) -> None:
        """Wake those of these sessions that are here."""
        for session_id in session_ids:
            bell = self._bells.get(session_id)
            if bell is not None:
                bell.set()

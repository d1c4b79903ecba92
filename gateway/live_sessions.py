"""Which sessions this process holds, and how to reach one."""

from __future__ import annotations

import asyncio
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from uuid import UUID


@dataclass(slots=True, eq=False)
class SessionHandle:
    """One session here, as the rest of the process reaches it.

    Args:
        bell: set whenever the session should look for answers; many rings before it looks are one look.
        is_recorded: True from the moment when its row says that this gateway holds it.
        why_over: why the session must end at once, once it must (`gateway.close_codes`).
    """

    bell: asyncio.Event = field(default_factory=asyncio.Event)
    is_recorded: bool = False
    why_over: str | None = None
    _leave: asyncio.Event = field(default_factory=asyncio.Event)
    _seconds: float | None = None

    async def told_to_leave(self) -> float | None:
        """Wait until the session must leave: within so many seconds, or at once (None), for the reason `why_over`."""
        await self._leave.wait()
        return self._seconds

    def ask_to_leave(self, seconds: float) -> None:
        """The gateway is about to end."""
        if not self._leave.is_set():
            self._seconds = seconds
            self._leave.set()

    def terminate(self, why: str = "session_superseded") -> None:
        """The session is somebody else's now, or somebody wants it to end."""
        self._seconds, self.why_over = None, self.why_over or why
        self._leave.set()


class SessionRegistry:
    """The places of this process's sessions."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._leaving_within: float | None = None
        self._places: dict[UUID, SessionHandle] = {}
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def is_full(self) -> bool:
        """True where one session more would be heard by all the others."""
        return len(self._places) >= self._limit

    def __len__(self) -> int:
        return len(self._places)

    def enter(self, session_id: UUID) -> SessionHandle:
        """A session begins here. One that was here already, on another connection, is sent away."""
        if session_id in self._places:
            self._places[session_id].terminate()
        handle = self._places[session_id] = SessionHandle()
        self._empty.clear()
        if self._leaving_within is not None:  # it was at the door when the gateway began to end
            handle.ask_to_leave(self._leaving_within)
        return handle

    def leave(self, session_id: UUID, handle: SessionHandle) -> None:
        """The session is over here, unless another connection has taken its place."""
        if self._places.get(session_id) is handle:
            del self._places[session_id]
        if not self._places:
            self._empty.set()

    def ring(self, session_ids: Iterable[UUID]) -> None:
        """Wake those of these sessions that are here."""
        for session_id in session_ids:
            handle = self._places.get(session_id)
            if handle is not None:
                handle.bell.set()

    def send_away_all_but(self, held: Container[UUID], before: Mapping[UUID, SessionHandle]) -> list[UUID]:
        """Send away every session that the rows no longer show as this gateway's, and tell which.

        Args:
            held: those that the rows show.
            before: `recorded` as it was before the rows were asked: of a session that began since they say nothing.
        """
        lost = [session_id for session_id in before if session_id not in held]
        for session_id in lost:
            before[session_id].terminate()
        return lost

    def end(self, wanted: Mapping[UUID, str]) -> None:
        """End those of these sessions that are here, each for its reason."""
        for session_id, why in wanted.items():
            if session_id in self._places:
                self._places[session_id].terminate(why)

    def orphans(self, held: Iterable[UUID]) -> set[UUID]:
        """Of these sessions, which the rows show as this gateway's, those that nobody here knows."""
        return {session_id for session_id in held if session_id not in self._places}

    def ask_all_to_leave(self, seconds: float) -> None:
        """The gateway is about to end: whoever is here, or still comes in, has so long to leave."""
        self._leaving_within = seconds
        for handle in self._places.values():
            handle.ask_to_leave(seconds)

    def recorded(self) -> dict[UUID, SessionHandle]:
        """The places of those sessions whose rows say, by now, that they are here."""
        return {session_id: handle for session_id, handle in self._places.items() if handle.is_recorded}

    async def emptied(self) -> None:
        """Wait until no session is here."""
        await self._empty.wait()

"""Registry of the sessions that this process holds, and the handle by which other tasks reach one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from ringback.redis.sealed_results import CarriedResult


def _not_there() -> None:
    """The session has not begun: it reads its handle as it begins."""


@dataclass(slots=True, eq=False)
class SessionHandle:
    """One session of this process, as the other tasks of the process reach it.

    Args:
        is_held: True while its row says that this gateway holds it: from its beginning until it leaves.
        why_over: why the session must end at once, once it must (`gateway.close_codes`).
        on_wake: is told when the session must look.
        on_leave: is told when it must leave.
    """

    is_held: bool = False
    why_over: str | None = None
    is_marking: bool = False
    """True while results that the session has are marked in their rows, which say until then that they wait."""
    is_passed_over: bool = False
    """True once a poll has not woken it for that: the next one does, as another result may wait."""
    is_awake: bool = False
    """True from `wake` or `bring` until the session looks."""
    must_read: bool = False
    """True from `wake` until the session looks: what it is to deliver stands in its rows alone."""
    brought: dict[UUID, CarriedResult] = field(default_factory=dict)
    """Results that it is to deliver, beside those, by job: a doorbell may ring twice."""
    is_to_leave: bool = False
    leave_within: float | None = None
    """Within how many seconds the session must leave, if it must; None: at once, because of `why_over`."""
    on_wake: Callable[[], None] = _not_there
    on_leave: Callable[[], None] = _not_there

    def wake(self) -> None:
        """Have the session look for results and news. Several calls before it looks are one look."""
        self.is_awake = self.must_read = True
        self.on_wake()

    def bring(self, result: CarriedResult) -> None:
        """Have the session deliver a result that was brought with a doorbell."""
        self.brought[result.job_id] = result
        self.is_awake = True
        self.on_wake()

    def ask_to_leave(self, seconds: float) -> None:
        """Ask the session to leave within so many seconds, because the gateway is about to end."""
        if not self.is_to_leave:
            self.is_to_leave, self.leave_within = True, seconds
            self.on_leave()

    def terminate(self, why: str = "session_superseded") -> None:
        """End the session at once. The first reason counts."""
        self.is_to_leave, self.leave_within, self.why_over = True, None, self.why_over or why
        self.on_leave()


class SessionRegistry:
    """The handles of this process's sessions, by session id."""

    def __init__(self, limit: int) -> None:
        self.over = 0
        """How many sessions have left so far, and how many links sessions went on without: each leaves garbage."""
        self._limit = limit
        self._leaving_within: float | None = None
        self._handles: dict[UUID, SessionHandle] = {}
        self._empty, self._populated = asyncio.Event(), asyncio.Event()
        self._empty.set()

    @property
    def is_full(self) -> bool:
        """True if one more session would slow down all the others."""
        return len(self._handles) >= self._limit

    def __len__(self) -> int:
        return len(self._handles)

    def enter(self, session_id: UUID) -> SessionHandle:
        """Add a session that begins here. If another connection has the session here, end it there."""
        if session_id in self._handles:
            self._handles[session_id].terminate()
        handle = self._handles[session_id] = SessionHandle()
        self._empty.clear()
        self._populated.set()
        if self._leaving_within is not None:  # the gateway began to end while the session was about to begin
            handle.ask_to_leave(self._leaving_within)
        return handle

    def leave(self, session_id: UUID, handle: SessionHandle) -> None:
        """Remove a session that is over here, unless another connection has taken it over."""
        if self._handles.get(session_id) is handle:
            del self._handles[session_id]
        self.over += 1
        if not self._handles:
            self._empty.set()
            self._populated.clear()

    def link_over(self) -> None:
        """Count a link to the Realtime API that its session goes on without."""
        self.over += 1

    def wake(self, session_ids: Iterable[UUID]) -> None:
        """Wake those of these sessions that are here."""
        for session_id in session_ids:
            handle = self._handles.get(session_id)
            if handle is not None:
                handle.wake()

    def bring(self, session_id: UUID, result: CarriedResult) -> None:
        """Bring a result to this session, if it is here."""
        handle = self._handles.get(session_id)
        if handle is not None:
            handle.bring(result)

    def wake_waiting(self, session_ids: Iterable[UUID]) -> None:
        """Wake those of these sessions that are here, whose rows say that a result waits. One that writes into its rows
        which results it has is passed over, but not twice in a row: it may write on and on.
        """
        for handle in filter(None, map(self._handles.get, session_ids)):
            handle.is_passed_over = handle.is_marking and not handle.is_passed_over
            if not handle.is_passed_over:
                handle.wake()

    def terminate_all_but(self, held: Container[UUID], before: Mapping[UUID, SessionHandle]) -> list[UUID]:
        """End each session that the rows no longer show as this gateway's, and return which.

        Args:
            held: the sessions that the rows show.
            before: what `held` returned before the rows were read: they do not say of a session that began since.
                One that left since is not lost: it has written its own end.
        """
        lost = [session_id for session_id, handle in before.items() if handle.is_held and session_id not in held]
        for session_id in lost:
            before[session_id].terminate()
        return lost

    def terminate_each(self, wanted: Mapping[UUID, str]) -> None:
        """End those of these sessions that are here, each for its reason."""
        for session_id, why in wanted.items():
            if session_id in self._handles:
                self._handles[session_id].terminate(why)

    def orphans(self, held: Iterable[UUID]) -> set[UUID]:
        """Of these sessions, which the rows show as this gateway's, return those that are not here."""
        return {session_id for session_id in held if session_id not in self._handles}

    def ask_all_to_leave(self, seconds: float) -> None:
        """Give each session, and each that still begins, so many seconds to leave: the gateway is about to end."""
        self._leaving_within = seconds
        for handle in self._handles.values():
            handle.ask_to_leave(seconds)

    def held(self) -> dict[UUID, SessionHandle]:
        """Return the sessions whose rows say by now that this gateway holds them."""
        return {session_id: handle for session_id, handle in self._handles.items() if handle.is_held}

    async def emptied(self) -> None:
        """Wait until no session is here."""
        await self._empty.wait()

    async def populated(self) -> None:
        """Wait until a session is here."""
        await self._populated.wait()

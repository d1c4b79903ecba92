"""The calls that live, by their id: placed by an offer, joined by sidebands, hung up by name."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from simulator.calls.call import Call
from simulator.calls.legs import Leg
from simulator.calls.sdp import answer_without_media

logger = logging.getLogger(__name__)

Answering = Callable[[str, Call], Awaitable[tuple[str, Leg]]]
"""Answers an offer for a call with media; returns the answer and the caller's leg."""


class PhoneCall(Protocol):
    """A call from a phone, which is accepted or rejected before it is one of ``live``. Each act may raise Refused."""

    def accept(self, session: Mapping[str, Any]) -> None:
        """Answer the call with a session."""

    def reject(self, status: int) -> None:
        """Refuse the call with a SIP status."""

    def refer(self, target: str) -> None:
        """Pass the caller on."""


@dataclass
class Calls:
    """All calls of one server.

    Args:
        answering: how offers are answered; None: by an answer without media.
    """

    answering: Answering | None = None
    live: dict[str, Call] = field(default_factory=dict)
    phones: dict[str, PhoneCall] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @contextlib.asynccontextmanager
    async def holding(self) -> AsyncIterator[None]:
        """Hold calls while the block runs; its end hangs all of them up."""
        try:
            yield
        finally:
            for call in self.live.values():
                call.end()
            if self._tasks:
                await asyncio.wait(self._tasks)

    async def place(self, call: Call, offer: str) -> str:
        """Begin a call with a checked offer, and return the answer to it."""
        if self.answering is None:
            answer = answer_without_media(offer)
        else:
            answer, call.leg = await self.answering(offer, call)
        self.begin(call)
        return answer

    def begin(self, call: Call) -> None:
        """Hold a call that has been answered."""
        call.answered_at = time.monotonic()
        self.live[call.id] = call
        task = asyncio.create_task(self._hold(call))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _hold(self, call: Call) -> None:
        try:
            await call.run()
        except Exception:
            logger.exception("call %s has failed", call.id)
        finally:
            del self.live[call.id]
            await call.leg.close()

    def joinable(self, call_id: str) -> Call | None:
        """Return the call that a sideband may join now; the knobs may keep a new one out for a while."""
        call = self.live.get(call_id)
        if call is None or call.is_over:
            return None
        knobs = call.conversation.knobs
        waited_ms = (time.monotonic() - call.answered_at) * 1000
        if waited_ms < knobs.sideband_after_ms or (knobs.sideband_needs_caller and not call.is_connected):
            return None
        return call

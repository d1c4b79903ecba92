"""The session's clock: it is set once for all that has come from the model's server, however that ends."""

from __future__ import annotations

from collections import deque
from math import inf
from typing import Any, cast

import pytest

from gateway.session.client_connection import NoClient
from gateway.session.context import UpstreamLink
from gateway.session.session import Session
from gateway.upstream.connection import Passes, UpstreamClosed, WebSocketUpstream, takes_none
from tests.session_parts import gateway_context, session_state

pytestmark = pytest.mark.anyio

AUDIO = '{"type":"response.output_audio.delta","item_id":"item","delta":"AAAA"}'
EVENT = '{"type":"rate_limits.updated"}'


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Server:
    """What comes at a time, and then nothing more."""

    read = staticmethod(WebSocketUpstream.read)
    passing_audio = staticmethod(WebSocketUpstream.passing_audio)
    passing_text = staticmethod(WebSocketUpstream.passing_text)
    passing_detail = staticmethod(WebSocketUpstream.passing_detail)

    def __init__(self, *bursts: list[str]) -> None:
        self._bursts = deque(bursts)
        self._there: deque[str] = deque()

    def take(self, passes: Passes = takes_none) -> str | None:
        while self._there:
            frame = self._there.popleft()
            if not passes(frame):
                return frame
        return None

    async def receive(self, passes: Passes = takes_none) -> str:
        while (frame := self.take(passes)) is None:
            if not self._bursts:
                raise UpstreamClosed(1000, "")
            self._there.extend(self._bursts.popleft())
        return frame


class Conversation:
    """Takes everything in, and notes when it is asked for its moment."""

    def __init__(self) -> None:
        self.taken: list[str] = []

    def receive_model(self, event: Any, _now: float) -> list[Any]:
        self.taken.append(event.raw["type"])
        return []

    def audio_passed(self, *_: Any) -> bool:
        self.taken.append("audio")
        return True

    def is_speaking(self, _now: float) -> bool:
        return False

    def wake_at(self, _now: float) -> float:
        self.taken.append("asked")
        return inf


async def test_the_clock_is_set_once_for_all_that_has_come() -> None:
    state, heard = session_state(), Conversation()
    session = Session(gateway_context(), state, NoClient())
    state.link = link = UpstreamLink(1, cast(Any, Server([EVENT, EVENT, AUDIO], [AUDIO, EVENT])), cast(Any, heard))
    with pytest.raises(UpstreamClosed):
        await session._relay(link)
    event = "rate_limits.updated"
    assert heard.taken == [event, event, "audio", "asked", "audio", event, "asked"]

"""How long a Realtime API that drops a session is called again, and how often a conversation moves in time."""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

import pytest

from gateway.live_sessions import SessionRegistry
from gateway.session import upstream_switcher as module
from gateway.session.context import SessionEnded, SessionState, UpstreamLink
from gateway.session.upstream_switcher import (
    JOIN_SECONDS,
    ROTATE_LEAST_SECONDS,
    STEADY_SECONDS,
    SidebandSwitcher,
    UpstreamSwitcher,
)
from gateway.upstream.connection import UpstreamClosed, UpstreamRefused
from tests.session_parts import NONE, gateway_context, session_state
from tests.unit.gateway.conversation.script import Script

pytestmark = pytest.mark.anyio

RETRY_SECONDS, ROTATE_BEFORE_SECONDS = 30.0, 300.0


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Clock:
    """The session's clock, which stands still."""

    now = 1_000.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return 1_800_000_000.0 + self.now


class NoEffects:
    """An executor and a reader where there is neither server nor client."""

    def pause(self) -> None:
        """There is no client."""

    async def execute(self, link: UpstreamLink, actions: Any) -> None:
        """There is no server."""


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def session() -> SessionState:
    return session_state()


@pytest.fixture
def switcher(clock: Clock, session: SessionState, monkeypatch: pytest.MonkeyPatch) -> UpstreamSwitcher:
    """Each new connection can be had at once."""
    gateway = gateway_context(upstream_retry_seconds=RETRY_SECONDS, rotate_before_seconds=ROTATE_BEFORE_SECONDS)
    nothing: Any = NoEffects()

    async def activate(link: UpstreamLink, _reason: str | None) -> None:
        session.link = link

    async def at_once(*_: Any, **__: Any) -> UpstreamLink:
        return a_link()

    switcher = UpstreamSwitcher(gateway, session, nothing, nothing, activate)
    monkeypatch.setattr(switcher, "_open", at_once)
    return switcher


def a_link() -> UpstreamLink:
    return UpstreamLink(1, cast(Any, None), Script().opened().conversation)


async def lose_after(
    seconds: float, switcher: UpstreamSwitcher, session: SessionState, clock: Clock, why: str | None = None
) -> None:
    """The link at work is gone so long after it was opened."""
    assert session.link is not None
    clock.now += seconds
    session.link.why_closed = why
    await switcher.reconnect(session.link, why or "upstream_closed")


async def begun(switcher: UpstreamSwitcher, session: SessionState, clock: Clock) -> None:
    session.link = a_link()
    session.link.opened_at = session.link.heard_at = clock.now


async def test_connections_that_hold_are_followed_by_others_for_ever(
    switcher: UpstreamSwitcher, session: SessionState, clock: Clock
) -> None:
    await begun(switcher, session, clock)
    for _ in range(20):
        await lose_after(STEADY_SECONDS + 1, switcher, session, clock)


@pytest.mark.parametrize(("seconds", "why"), [(1.0, None), (15.0, "upstream_hung")])
async def test_connections_of_which_none_holds_are_one_series_of_failures(
    seconds: float, why: str | None, switcher: UpstreamSwitcher, session: SessionState, clock: Clock
) -> None:
    """A server that takes each connection and then says nothing does not hold, however long that is waited for."""
    await begun(switcher, session, clock)
    await lose_after(seconds, switcher, session, clock, why)
    since = clock.now

    async def lose_again_and_again() -> None:
        while clock.now < since + 2 * RETRY_SECONDS:
            await lose_after(seconds, switcher, session, clock, why)

    with pytest.raises(SessionEnded) as over:
        await lose_again_and_again()
    assert clock.now >= since + RETRY_SECONDS
    assert (over.value.reason, over.value.is_final) == (why or "upstream_closed", False)


class Closes:
    """A connection on which nothing is heard."""

    async def close(self) -> None:
        """It is closed."""


async def test_each_link_that_a_session_goes_on_without_is_counted_as_garbage(
    session: SessionState, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    live_sessions, nothing = SessionRegistry(1), cast(Any, NoEffects())
    gateway = gateway_context(upstream_retry_seconds=RETRY_SECONDS, rotate_before_seconds=ROTATE_BEFORE_SECONDS)
    gateway.on_link_over = live_sessions.link_over
    switcher = UpstreamSwitcher(gateway, session, nothing, nothing, NONE)
    answers = iter([None, UpstreamClosed(1006, "gone"), None, None, UpstreamClosed(1006, "gone")])

    async def dial(*_: Any, **__: Any) -> UpstreamLink:
        return UpstreamLink(1, cast(Any, Closes()), Script().opened().conversation)

    async def configure(_link: UpstreamLink) -> None:
        if (answer := next(answers)) is not None:
            raise answer

    async def replay(_link: UpstreamLink) -> None:
        return

    async def hand_over(link: UpstreamLink, *_: Any) -> None:
        session.link = link

    monkeypatch.setattr(module, "pauses", lambda *_: iter([0.0] * 10))
    for name, part in {"_dial": dial, "_configure": configure, "_hand_over": hand_over, "_replay": replay}.items():
        monkeypatch.setattr(switcher, name, part)
    await switcher.connect()
    assert live_sessions.over == 0
    await switcher.reconnect(_at_work(session), "upstream_closed")
    assert live_sessions.over == 2, "the lost one, and one that did not open"
    await switcher._rotate(_at_work(session))
    assert live_sessions.over == 3, "the one that was left"
    with pytest.raises(UpstreamClosed):
        await switcher._rotate(_at_work(session))
    assert live_sessions.over == 4, "the one that did not open"


def _at_work(session: SessionState) -> UpstreamLink:
    assert session.link is not None
    return session.link


def test_a_conversation_is_left_before_its_end_and_moves_seldom(switcher: UpstreamSwitcher, clock: Clock) -> None:
    link = a_link()
    link.announced_end = clock.time() + 3_600
    switcher._plan_rotation(link)
    assert link.rotates_at == clock.now + 3_600 - ROTATE_BEFORE_SECONDS
    link.announced_end = 2.0
    switcher._plan_rotation(link)
    assert link.rotates_at == clock.now + 1.0
    switcher._moved_at = clock.now
    switcher._plan_rotation(link)
    assert link.rotates_at == clock.now + ROTATE_LEAST_SECONDS


@pytest.mark.parametrize("expires_at", [-60.0, 1_700_000_000.0])
def test_an_end_that_cannot_be_is_told_and_waited_for(
    expires_at: float, switcher: UpstreamSwitcher, caplog: pytest.LogCaptureFixture
) -> None:
    link = a_link()
    link.announced_end = expires_at
    switcher._plan_rotation(link)
    assert (link.rotates_at, link.expires_at) == (None, None)
    assert f"upstream end impossible: session {UUID(int=1)}, {expires_at:.16g}" in caplog.text


DIAL_SECONDS = 5.0


@pytest.mark.parametrize(
    ("age", "was_joined", "attempts"),
    [(0.0, False, 4), (JOIN_SECONDS - 1, False, 1), (JOIN_SECONDS + 1, False, 1), (0.0, True, 1)],
    ids=["new", "old after one attempt", "old", "joined before"],
)
async def test_a_call_that_is_unknown_when_it_is_taken_over_is_over_once_its_browser_had_time_to_connect(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, age: float, was_joined: bool, attempts: int
) -> None:
    session = session_state(is_resumed=True, began_at=clock.now - age)
    nothing: Any = NoEffects()
    switcher = SidebandSwitcher(gateway_context(upstream_retry_seconds=RETRY_SECONDS), session, nothing, nothing, NONE)
    dialled: list[float] = []

    async def refused(*_: Any, **__: Any) -> UpstreamLink:
        dialled.append(clock.now)
        clock.now += DIAL_SECONDS
        raise UpstreamRefused("404", 404)

    monkeypatch.setattr(switcher, "_dial", refused)
    monkeypatch.setattr(switcher, "_pauses", iter([0.0] * 10))
    monkeypatch.setattr(module, "pauses", lambda *_: iter([0.0] * 10))
    session.link = a_link() if was_joined else None
    with pytest.raises(SessionEnded, match="call_over"):
        await (switcher.reconnect(session.link, "upstream_closed") if session.link else switcher.connect())
    assert len(dialled) == attempts

"""Transfers of a phone call: one at a time, and what becomes of each is told by the conversation at work."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from gateway.conversation.actions import TransferCall
from gateway.conversation.speaker import NOT_TRANSFERRED, OTHER_TRANSFER
from gateway.session.client_connection import NoClient
from gateway.session.context import CallControlFailed, PhoneLine, SessionEnded, SessionState, UpstreamLink
from gateway.session.effects import EffectExecutor
from tests.session_parts import NONE, gateway_context, session_state
from tests.unit.gateway.conversation.script import Script

pytestmark = pytest.mark.anyio

SALES, SUPPORT = "tel:+2", "tel:+3"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Carrier:
    """Takes each transfer, and says later what became of it."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._said: list[asyncio.Future[None]] = []

    async def transfer(self, target: str) -> None:
        self.asked.append(target)
        self._said.append(asyncio.get_running_loop().create_future())
        await self._said[-1]

    def fails(self) -> None:
        """The call goes on behind the last transfer."""
        self._said[-1].set_exception(CallControlFailed("30 s later the call goes on"))

    def connects(self) -> None:
        self._said[-1].set_result(None)


class Wire:
    """A connection to the Realtime API; keeps what the model is told of transfers."""

    is_free = True

    def __init__(self) -> None:
        self.told: list[str] = []

    async def send(self, text: str) -> None:
        for words in (NOT_TRANSFERRED, OTHER_TRANSFER):
            if words in text:
                self.told.append(words)


class Line:
    """A session that is a phone call, and its executor."""

    def __init__(self) -> None:
        self.carrier = Carrier()
        self.state: SessionState = session_state(line=PhoneLine(self.carrier))
        self.effects = EffectExecutor(gateway_context(), self.state, NoClient(), NONE)
        self.begins_epoch()

    def begins_epoch(self) -> None:
        """From now on, another connection and conversation are at work."""
        conversation = Script().opened().conversation
        self.state.link = UpstreamLink(self.state.epoch, cast(Any, Wire()), conversation)

    @property
    def told(self) -> list[str]:
        """What the model was told of transfers, by the connection at work."""
        assert self.state.link is not None
        return cast(Wire, self.state.link.upstream).told

    async def asks(self, *targets: str) -> None:
        """The model asks for these transfers, at once."""
        assert self.state.link is not None
        await self.effects.execute(self.state.link, [TransferCall(target) for target in targets])
        await settled()


async def settled() -> None:
    """Let every task run until it waits for the carrier, or for a link."""
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.fixture
async def line() -> Line:
    return Line()


async def test_a_place_that_is_asked_for_again_meanwhile_is_asked_for_once_and_told_of_once(line: Line) -> None:
    async with line.state.tasks:
        await line.asks(SALES, SALES)
        await line.asks(SALES)
        assert line.carrier.asked == [SALES]
        line.carrier.fails()
        await settled()
        assert line.told == [NOT_TRANSFERRED]


async def test_another_place_is_refused_while_a_transfer_is_under_way_and_the_model_is_told(line: Line) -> None:
    async with line.state.tasks:
        await line.asks(SALES, SUPPORT)
        assert (line.carrier.asked, line.told) == ([SALES], [OTHER_TRANSFER])
        line.carrier.fails()
        await settled()
        assert line.told == [OTHER_TRANSFER, NOT_TRANSFERRED]


@pytest.mark.parametrize("target", [SALES, SUPPORT])
async def test_behind_a_transfer_that_failed_the_next_one_counts(line: Line, target: str) -> None:
    with pytest.RaisesGroup(pytest.RaisesExc(SessionEnded, match="call_transferred")):
        async with line.state.tasks:
            await line.asks(SALES)
            line.carrier.fails()
            await settled()
            await line.asks(target)
            assert (line.carrier.asked, line.told) == ([SALES, target], [NOT_TRANSFERRED])
            line.carrier.connects()


async def test_what_failed_is_told_by_the_conversation_that_is_at_work_by_then(line: Line) -> None:
    async with line.state.tasks:
        await line.asks(SALES)
        line.begins_epoch()
        line.carrier.fails()
        await settled()
        assert line.told == [NOT_TRANSFERRED]


async def test_what_failed_while_a_connection_is_lost_is_told_by_the_next(line: Line) -> None:
    async with line.state.tasks:
        await line.asks(SALES)
        async with line.state.switching:
            line.carrier.fails()
            await settled()
            assert not line.told
            line.begins_epoch()
        await settled()
        assert line.told == [NOT_TRANSFERRED]

"""When a call's row and its message leave the gateway."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest

from gateway.conversation.actions import RecordCall
from gateway.session.context import SessionState
from gateway.session.effects import EffectExecutor
from ringback.statements.jobs.admission import NewJob
from ringback.tools.spec import ToolSpec
from tests.session_parts import NONE, gateway_context, session_state

pytestmark = pytest.mark.anyio

ROW, MESSAGE, TOLD = "row sent", "message published", "conversation told"
NEW = [object()]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Deeds:
    """Store, publisher and conversation in one, which note the order of what they are asked."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.committed = asyncio.Event()
        self.session: SessionState = session_state()
        self.gateway = gateway_context(self, publisher=self)
        self.effects = EffectExecutor(self.gateway, self.session, NONE, NONE)
        self.link: Any = SimpleNamespace(conversation=self, epoch=self.session.epoch)

    async def rows(self, _statement: Any) -> list[Any]:
        self.done.append(ROW)
        await self.committed.wait()
        return NEW

    async def publish(self, _job_id: UUID, _queue: str) -> bool:
        self.done.append(MESSAGE)
        return True

    def recorded(self, _record: RecordCall, _now: float) -> list[Any]:
        self.done.append(TOLD)
        return []

    def call(self) -> RecordCall:
        tool = ToolSpec("work", "Work.", {"type": "object"})
        return RecordCall(NewJob(uuid4(), self.session.session_id, f"call_{uuid4()}", None, "work", {}, tool=tool))


@pytest.fixture
async def deeds() -> Deeds:
    return Deeds()


async def test_a_calls_row_is_on_its_way_before_the_next_event_is_decided_on(deeds: Deeds) -> None:
    async with deeds.session.tasks:
        await deeds.effects.execute(deeds.link, [deeds.call()])
        assert deeds.done == [ROW]
        deeds.committed.set()

"""When a call's row and its message leave the gateway: the row first, and the message while Postgres writes it."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest

from gateway.conversation.actions import RecordCall
from gateway.session import effects
from gateway.session.client_connection import NoClient
from gateway.session.context import SessionState
from gateway.session.effects import EffectExecutor
from ringback.jobs.outcomes import failed
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
        self.effects = EffectExecutor(self.gateway, self.session, NoClient(), NONE)
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

    def call(self, outcome: Any = None, **fields: Any) -> RecordCall:
        called = {"tool": ToolSpec("work", "Work.", {"type": "object"}), **fields}
        job = NewJob(uuid4(), self.session.session_id, f"call_{uuid4()}", None, "work", {}, **called)
        return RecordCall(job, outcome)

    async def begin(self, record: RecordCall) -> None:
        """Execute the action, and let every task run until it waits for Postgres."""
        await self.effects.execute(self.link, [record])
        await settled()

    async def commit(self) -> None:
        self.committed.set()
        await settled()


async def settled() -> None:
    for _ in range(8):
        await asyncio.sleep(0)


@pytest.fixture
async def deeds() -> Deeds:
    return Deeds()


async def test_a_calls_row_and_message_are_on_their_way_before_the_next_event_is_decided_on(deeds: Deeds) -> None:
    async with deeds.session.tasks:
        await deeds.effects.execute(deeds.link, [deeds.call()])
        assert deeds.done == [ROW, MESSAGE]
        await deeds.commit()


async def test_a_call_is_published_while_postgres_writes_its_row_and_once(deeds: Deeds) -> None:
    async with deeds.session.tasks:
        await deeds.begin(deeds.call())
        assert deeds.done == [ROW, MESSAGE]
        await deeds.commit()
        assert deeds.done == [ROW, MESSAGE, TOLD]


async def test_a_call_whose_row_waits_for_another_is_published_after_its_commit(deeds: Deeds) -> None:
    async with deeds.session.tasks:
        await deeds.begin(deeds.call())
        await deeds.begin(deeds.call())
        assert deeds.done == [ROW, MESSAGE]
        await deeds.commit()
        assert deeds.done == [ROW, MESSAGE, TOLD, ROW, TOLD, MESSAGE]


async def test_a_call_whose_row_came_late_is_published_again(deeds: Deeds, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that had the first message may have given up looking for the row."""
    monkeypatch.setattr(effects, "EARLY_SECONDS", -1.0)
    async with deeds.session.tasks:
        await deeds.begin(deeds.call())
        await deeds.commit()
        assert deeds.done == [ROW, MESSAGE, TOLD, MESSAGE]


@pytest.mark.parametrize(
    "fields",
    [
        {"needs_approval": True},
        {"joined_to": uuid4()},
        {"tool": None},
        {"outcome": failed("busy", "Try again later.")},
    ],
    ids=["it waits for a yes", "it joins another call", "no worker serves its tool", "it is refused"],
)
async def test_a_call_that_no_worker_may_take_is_not_published(deeds: Deeds, fields: dict[str, Any]) -> None:
    async with deeds.session.tasks:
        await deeds.begin(deeds.call(**fields))
        await deeds.commit()
        assert deeds.done == [ROW, TOLD]

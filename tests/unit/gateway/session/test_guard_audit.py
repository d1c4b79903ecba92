"""What the guard of a call has found is written into the audit log: each once, in order, whatever fails between."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import psycopg
import pytest

from gateway.conversation.actions import Guarded
from gateway.session.moment_writer import GuardAudit
from tests.session_parts import gateway_context, session_state

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class SlowStore:
    """A Postgres that has each other task run before it answers."""

    def __init__(self) -> None:
        self.reasons: list[str] = []
        self.fails = 0

    async def count(self, statement: Any) -> int:
        for _ in range(3):
            await asyncio.sleep(0)
        if self.fails:
            self.fails -= 1
            raise psycopg.OperationalError
        self.reasons.append(next(each for each in statement.parameters if "mended" in str(each)))
        return 1


async def written(store: SlowStore, *whats: str) -> list[str]:
    session = session_state()
    audit = GuardAudit(gateway_context(cast(Any, store)), session)
    async with session.tasks:
        for what in whats:
            audit.keep(Guarded(what, "mended", "x"))
    await audit.flush()
    return store.reasons


async def test_findings_back_to_back_are_written_once_each() -> None:
    assert await written(SlowStore(), "session", "deleted") == ["session: mended (x)", "deleted: mended (x)"]


async def test_what_could_not_be_written_is_written_with_the_next() -> None:
    store = SlowStore()
    store.fails = 1
    assert await written(store, "session", "deleted") == ["session: mended (x)", "deleted: mended (x)"]

"""Calls of many sessions at one time: they are admitted together, and each is told what has come of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update

from gateway.conversation.actions import RecordCall
from gateway.session.call_recorder import CallRecorder, Recorded
from gateway.session.context import GatewayContext
from gateway.storage.database import Store, open_pool
from ringback.config.settings import postgres_url
from ringback.postgres.statement import Bound, Runnable
from ringback.statements.jobs.admission import NewJob
from ringback.statements.sessions import lifecycle
from ringback.tables import sessions
from tests.integration.statements.statement_rows import Rows, connected, new_job, world
from tests.servers import execute
from tests.session_parts import gateway_context, session_state

SESSIONS = 4


class NotingStore(Store):
    """A store that notes how many calls each statement admits."""

    def __init__(self, database: str) -> None:
        super().__init__(open_pool(postgres_url(database), SESSIONS + 1))
        self.sizes: list[int] = []

    async def rows(self, statement: Runnable) -> list[Any]:
        if isinstance(statement, Bound):
            self.sizes.append(len(statement.given.get("calls", "1")))
        return await super().rows(statement)


@pytest.fixture
def rows(database: str) -> Iterator[Rows]:
    with world(database) as rows:
        yield rows


@pytest.fixture
def several(rows: Rows) -> list[UUID]:
    """Sessions of one gateway."""
    return [rows.session, *(rows.another_session() for _ in range(SESSIONS - 1))]


def begun(gateway: GatewayContext, jobs: Sequence[NewJob]) -> list[asyncio.Task[Recorded]]:
    """Begin to record each call, as the session that it is of does."""
    recorders = [CallRecorder(gateway, session_state(job.session_id)) for job in jobs]
    pairs = zip(recorders, jobs, strict=True)
    return [asyncio.create_task(recorder.record(RecordCall(job), 1)) for recorder, job in pairs]


def recorded(database: str, jobs: Sequence[NewJob], wait: float = 10.0) -> tuple[list[Recorded], list[int]]:
    """Record these calls at one time; return what is known of each, and the sizes of the statements."""

    async def run() -> tuple[list[Recorded], list[int]]:
        store = NotingStore(database)
        try:
            known = await asyncio.gather(*begun(gateway_context(store, call_wait_seconds=wait), jobs))
        finally:
            await store.close()
        return known, store.sizes

    return asyncio.run(run())


def test_the_first_call_is_sent_at_once_and_those_of_all_sessions_behind_it_are_one_statement(
    rows: Rows, several: list[UUID], database: str
) -> None:
    jobs = [new_job(session) for session in several]
    assert recorded(database, jobs) == ([Recorded.NEW] * SESSIONS, [1, SESSIONS - 1])
    assert [rows.job(job.id).session_id for job in jobs] == several


def test_calls_of_one_session_are_one_statement_too(rows: Rows, database: str) -> None:
    jobs = [new_job(rows.session) for _ in range(3)]
    assert recorded(database, jobs) == ([Recorded.NEW] * 3, [1, 2])


def test_a_call_that_is_not_new_is_told_so_and_the_others_are_recorded(
    rows: Rows, several: list[UUID], database: str
) -> None:
    rows.count(lifecycle.next_epoch(several[1], "gw", 1))
    rows.asked(call_id="call_1")
    one, other, third, fourth = several
    jobs = [new_job(third), new_job(one, call_id="call_1"), new_job(other), new_job(fourth)]
    known, sizes = recorded(database, jobs)
    assert known == [Recorded.NEW, Recorded.NOT_NEW, Recorded.NOT_NEW, Recorded.NEW]
    assert sizes == [1, SESSIONS - 1, 1, 1], "what is left out is asked for alone"


def test_a_call_that_postgres_refuses_is_told_so_and_the_others_are_recorded(
    rows: Rows, several: list[UUID], database: str
) -> None:
    jobs = [new_job(session) for session in several]
    jobs[2] = new_job(several[2], arguments={"city": "\x00"})
    known, sizes = recorded(database, jobs, wait=0.0)
    assert known == [Recorded.NEW, Recorded.NEW, Recorded.ABSENT, Recorded.NEW]
    assert sizes == [1, SESSIONS - 1, 1, 1, 1]


def test_a_session_that_is_locked_waits_alone(rows: Rows, several: list[UUID], database: str) -> None:
    jobs = [new_job(session) for session in several]

    async def run() -> list[Recorded]:
        store = NotingStore(database)
        tasks = begun(gateway_context(store, call_wait_seconds=10.0), jobs)
        with connected(database) as other, other.begin() as locking:
            execute(other, update(sessions).where(sessions.c.id == several[0]).values(model="busy"))
            others = await asyncio.gather(*tasks[1:])
            assert not tasks[0].done(), "it waits, as the row is locked"
            locking.rollback()
        known = [await tasks[0], *others]
        await store.close()
        return known

    assert asyncio.run(run()) == [Recorded.NEW] * SESSIONS

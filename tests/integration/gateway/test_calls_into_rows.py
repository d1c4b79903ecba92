"""Calls on their way into their rows, where something goes wrong: what the conversation and the rows hear."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest

from gateway.conversation.actions import RecordCall
from gateway.session.call_recorder import CallRecorder
from gateway.session.client_connection import NoClient
from gateway.session.effects import EffectExecutor
from gateway.storage.database import Store, open_pool
from gateway.storage.job_publisher import JobPublisher
from ringback.jobs.outcomes import failed, succeeded
from ringback.jobs.states import CancelReason
from ringback.statements.jobs import admission, gates
from ringback.statements.jobs.admission import NewJob
from tests.integration.statements.statement_rows import WEATHER, Rows, new_job, world
from tests.session_parts import NONE, gateway_context, session_state

PRESENT = 1
"""The epoch that the session is in."""


@pytest.fixture
def rows(database: str) -> Iterator[Rows]:
    with world(database) as rows:
        yield rows


class Postbox(JobPublisher):
    """Keeps what is published."""

    published: list[str]

    async def publish(self, job_id: UUID, queue: str) -> bool:
        self.published.append(str(job_id))
        return True


@dataclass
class Heard:
    """What came of a call."""

    recorded: list[str] = field(default_factory=list)
    """The calls of which the conversation was told that they are in their rows."""
    published: list[str] = field(default_factory=list)
    is_woken: bool = False


async def _record(database: str, redis_db: str, rows: Rows, job: NewJob, epoch: int) -> Heard:
    pool = open_pool(database, 2)
    heard, session = Heard(), session_state(rows.session, epoch=PRESENT)
    publisher = Postbox(redis_db)
    publisher.published = heard.published
    effects = EffectExecutor(gateway_context(Store(pool), publisher=publisher), session, NoClient(), NONE)

    def recorded(record: RecordCall, now: float) -> list[Any]:
        heard.recorded.append(record.job.call_id)
        return []

    link = SimpleNamespace(conversation=SimpleNamespace(recorded=recorded), epoch=epoch)
    try:
        async with session.tasks:
            await effects.execute(cast(Any, link), [RecordCall(job)])
    finally:
        await publisher.redis.close()
        await pool.close()
    heard.is_woken = session.handle.is_awake
    return heard


@pytest.mark.parametrize("needs_approval", [False, True])
def test_a_row_whose_commit_nobody_heard_of_is_a_row(
    rows: Rows, database: str, redis_db: str, needs_approval: bool
) -> None:
    job = new_job(rows.session, needs_approval=needs_approval)
    rows.run(admission.admit(job, "gw", PRESENT))
    heard = asyncio.run(_record(database, redis_db, rows, job, PRESENT))
    assert heard.recorded == [job.call_id], "whoever is to be asked for a yes is asked"
    assert heard.published == ([] if needs_approval else [str(job.id)])


def test_a_call_of_a_conversation_that_is_over_is_none(rows: Rows, database: str, redis_db: str) -> None:
    job = new_job(rows.session)
    heard = asyncio.run(_record(database, redis_db, rows, job, PRESENT + 1))
    assert heard.recorded == []
    assert rows.run(gates.wanted_tool(job.id)) == [], "a worker finds no row, whatever message it had"


@pytest.mark.parametrize("is_over", [False, True])
def test_a_call_that_joins_one_which_is_over_by_now_is_answered_at_once(
    rows: Rows, database: str, redis_db: str, is_over: bool
) -> None:
    first = rows.answered(succeeded("sunny")) if is_over else rows.asked()
    joining = new_job(rows.session, WEATHER, joined_to=first)
    heard = asyncio.run(_record(database, redis_db, rows, joining, PRESENT))
    assert (heard.recorded, heard.published, heard.is_woken) == ([joining.call_id], [], True)
    assert (rows.job(joining.id).state == "succeeded") is is_over


async def _settle_unrecorded(database: str, job: NewJob) -> None:
    pool = open_pool(database, 1)
    try:
        recorder = CallRecorder(gateway_context(Store(pool)), session_state(job.session_id, epoch=PRESENT))
        assert await recorder.settle_unrecorded(RecordCall(job, failed("temporarily_unavailable", "Later.")))
    finally:
        await pool.close()


def test_a_row_that_nobody_heard_of_and_nobody_waits_for_is_cancelled_and_the_history_tells_why(
    rows: Rows, database: str
) -> None:
    job = new_job(rows.session)
    rows.run(admission.admit(job, "gw", PRESENT))
    asyncio.run(_settle_unrecorded(database, job))
    assert (rows.job(job.id).state, rows.job(job.id).cancel_reason) == ("cancelled", CancelReason.UNHEARD)


def test_what_the_user_has_decided_outlives_a_postgres_that_is_away_for_longer_than_a_call_may_wait() -> None:
    recorder = CallRecorder(gateway_context(call_wait_seconds=0.0), session_state())
    answers = iter([OSError, OSError, None])

    async def write() -> str:
        problem = next(answers)
        if problem is not None:
            raise problem
        return "written"

    assert asyncio.run(recorder.retry(write)) == "written"

"""The row first, the message second: when a call's message leaves the gateway, every process can see its row."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

from sqlalchemy import select

from gateway.conversation.actions import RecordCall
from gateway.session.effects import EffectExecutor
from gateway.storage.database import Store, open_pool
from gateway.storage.job_publisher import JobPublisher
from ringback.tables import jobs
from tests.integration.statements.statement_rows import Rows, connected, new_job, world
from tests.session_parts import NONE, gateway_context, session_state


class Watched(JobPublisher):
    """Publisher that looks, on another connection, whether the row exists when the message is sent."""

    database: str
    seen: list[bool]

    async def publish(self, job_id: UUID, queue: str) -> bool:
        with connected(self.database) as connection:
            self.seen.append(bool(connection.execute(select(jobs.c.id).where(jobs.c.id == job_id)).all()))
        return await super().publish(job_id, queue)


async def record(database: str, redis_db: str, rows: Rows) -> list[bool]:
    pool = open_pool(database, 1)
    publisher = Watched(redis_db)
    publisher.database, publisher.seen = database, []
    gateway = gateway_context(Store(pool), publisher=publisher)
    effects = EffectExecutor(gateway, session_state(rows.session), NONE, NONE)
    link = SimpleNamespace(conversation=SimpleNamespace(recorded=lambda call, now: []), epoch=1)
    try:
        await effects._start_job(cast(Any, link), RecordCall(new_job(rows.session)))
    finally:
        await publisher.redis.close()
        await pool.close()
    return publisher.seen


def test_a_call_is_published_after_its_row_is_committed(database: str, redis_db: str) -> None:
    with world(database) as rows:
        assert asyncio.run(record(database, redis_db, rows)) == [True]

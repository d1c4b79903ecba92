"""The row first, the message second: when a call's message leaves the gateway, everybody can see its row."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

from sqlalchemy import select

from gateway.conversation.actions import RecordCall
from gateway.live_sessions import SessionHandle
from gateway.session.effects import EffectExecutor
from gateway.storage.database import Store, open_engine
from gateway.storage.job_publisher import JobPublisher
from ringback.tables import DEFAULT_TENANT, jobs
from tests.integration.statements.statement_rows import Rows, connected, new_job, world


class Watched(JobPublisher):
    """Looks, on a connection of its own, whether the row is there when the message goes out."""

    database: str
    seen: list[bool]

    def _send(self, job_id: str, queue: str) -> None:
        with connected(self.database) as connection:
            self.seen.append(bool(connection.execute(select(jobs.c.id).where(jobs.c.id == UUID(job_id))).all()))
        super()._send(job_id, queue)


async def record(database: str, redis_db: str, rows: Rows) -> list[bool]:
    engine = open_engine(database, 1)
    store = Store(engine)
    publisher = Watched(store, redis_db, "gw")
    publisher.database, publisher.seen = database, []
    settings = SimpleNamespace(call_wait_seconds=5.0, realtime_model="model")
    budgets = SimpleNamespace(account=lambda *_: None)  # nothing is spent here
    line = SimpleNamespace(store=store, publisher=publisher, gateway_id="gw", settings=settings, budgets=budgets)
    caller, switcher = SimpleNamespace(tenant=DEFAULT_TENANT), SimpleNamespace(epoch=1)
    start = SimpleNamespace(session_id=rows.session, place=SessionHandle(), caller=caller, agent=None)
    nobody: Any = None
    effects = EffectExecutor(cast(Any, line), cast(Any, start), nobody, cast(Any, switcher))
    link = SimpleNamespace(conversation=SimpleNamespace(recorded=lambda call, now: []), epoch=1)
    try:
        await effects._record(cast(Any, link), RecordCall(new_job(rows.session)))
    finally:
        publisher.close()
        await engine.dispose()
    return publisher.seen


def test_a_call_is_published_after_its_row_is_committed(database: str, redis_db: str) -> None:
    with world(database) as rows:
        assert asyncio.run(record(database, redis_db, rows)) == [True]

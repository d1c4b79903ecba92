"""Two calls of one response that are one: their rows may come in either order."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import psycopg
import pytest

from gateway.conversation.actions import RecordCall
from gateway.session.call_recorder import CallRecorder, Recorded
from gateway.storage.database import Store, open_pool
from ringback.config.settings import postgres_url
from ringback.statements.jobs import admission
from tests.integration.statements.statement_rows import Rows, new_job, world
from tests.session_parts import gateway_context, session_state


@pytest.fixture
def rows(database: str) -> Iterator[Rows]:
    with world(database) as rows:
        yield rows


def test_a_call_that_joins_one_whose_row_comes_later_waits_for_that_row(database: str, rows: Rows) -> None:
    first = new_job(rows.session)
    second = new_job(rows.session, joined_to=first.id)

    async def run() -> tuple[Recorded, Recorded]:
        store = Store(open_pool(postgres_url(database), 4))
        recorder = CallRecorder(gateway_context(store, call_wait_seconds=10.0), session_state(rows.session))
        try:
            with pytest.raises(psycopg.IntegrityError, match="joins no job of its session"):
                await store.rows(admission.admit(second, "gw", 1))
            late = asyncio.create_task(recorder.record(RecordCall(second), 1))
            return await recorder.record(RecordCall(first), 1), await late
        finally:
            await store.close()

    assert asyncio.run(run()) == (Recorded.NEW, Recorded.NEW)
    assert rows.job(second.id).joined_to == first.id

"""What both sides did is written behind the conversation, at its beats."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.session import moment_writer
from gateway.session.delivery_recorder import DeliveryRecorder
from gateway.session.moment_writer import MomentWriter
from gateway.storage.database import Store, open_pool
from ringback.moments import Moment, MomentKind
from ringback.postgres.statement import Bound, Runnable
from ringback.statements.sessions import moments
from tests.integration.statements.statement_rows import world
from tests.session_parts import gateway_context, session_state


def test_what_happens_while_a_beat_is_written_waits_for_the_next(database: str) -> None:
    """Or a busy gateway would write all the time, a few each. What is written at once is written to the end."""
    written: list[list[int]] = []
    moment = Moment(MomentKind.USER_BEGAN, 1.0, 1)

    class Talking(Store):
        """Store in which another moment comes while some are written."""

        async def rows(self, statement: Runnable) -> list[Any]:
            assert isinstance(statement, Bound)
            written.append([each["number"] for each in statement.given["told"]])
            if len(written) < 4:
                writer.keep([moment])
            return await super().rows(statement)

    pool = open_pool(database, 1)

    async def flushed() -> None:
        writer.keep([moment])
        assert await writer.flush(store.rows)
        assert written == [[1]]
        assert await writer.flush()
        await pool.close()

    with world(database) as rows:
        store, session = Talking(pool), session_state(rows.session)
        gateway = gateway_context(store)
        writer = MomentWriter(gateway, session, DeliveryRecorder(gateway, session))
        asyncio.run(flushed())
        assert written == [[1], [2], [3], [4]]
        assert rows.run(moments.count(rows.session))[0].number == 4


def test_earlier_moments_are_counted_once_however_many_writes_begin_at_one_time(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session that is resumed writes as its epoch begins, and at its beat. Else it would have room for fewer."""
    monkeypatch.setattr(moment_writer, "MOMENTS_AT_MOST", 8)
    pool = open_pool(database, 2)

    async def written(session: Any, number: int, epoch: int) -> None:
        gateway = gateway_context(Store(pool))
        writer = MomentWriter(gateway, session, DeliveryRecorder(gateway, session))
        writer.keep([Moment(MomentKind.USER_BEGAN, 1.0, epoch)] * 2)
        assert all(await asyncio.gather(writer.flush(), writer.flush()))
        writer.keep([Moment(MomentKind.USER_BEGAN, 1.0, epoch)] * number)
        assert await writer.flush()
        await pool.close()

    with world(database) as rows:
        asyncio.run(written(session_state(rows.session), 1, 1))
        asyncio.run(written(session_state(rows.session, is_resumed=True), 3, 2))
        assert rows.run(moments.count(rows.session))[0].number == 8

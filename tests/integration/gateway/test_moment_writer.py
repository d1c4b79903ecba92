"""What both sides did is written behind the conversation, at its beats."""

from __future__ import annotations

import asyncio
from typing import Any

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

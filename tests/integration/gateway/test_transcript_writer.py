"""What is said is written behind the conversation: in the epoch that it is in, and without what Postgres refuses."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.session.transcript_writer import TranscriptWriter
from gateway.storage.database import Store, open_pool
from ringback.postgres.statement import Bound, Runnable
from ringback.statements.sessions import items, lifecycle
from ringback.statements.sessions.items import Message
from tests.integration.statements.statement_rows import Rows, world
from tests.session_parts import gateway_context, session_state


@pytest.fixture
def rows(database: str) -> Iterator[Rows]:
    with world(database) as rows:
        yield rows


def message(position: int, text: str = "hello") -> Message:
    return Message(position, f"item_{position}", "user", [{"type": "input_text", "text": text}])


def kept(rows: Rows) -> list[int]:
    return sorted(row.position for row in rows.run(items.log_of_messages(rows.session)))


async def flush(database: str, rows: Rows, epochs: list[int], *messages: Message, settings: Any = None) -> list[bool]:
    """Flush once for each epoch that the session is said to be in; whether all was written."""
    pool = open_pool(database, 1)
    session = session_state(rows.session, epoch=epochs[0])
    transcript = TranscriptWriter(gateway_context(Store(pool)), session)
    transcript.keep(messages)
    if settings is not None:
        transcript.keep_settings(settings)
    try:
        written = []
        for session.epoch in epochs:
            written.append(await transcript.flush())
        return written
    finally:
        await pool.close()


def test_what_postgres_refuses_takes_nothing_else_along(rows: Rows, database: str) -> None:
    bad = message(2, "a\x00b")
    assert asyncio.run(flush(database, rows, [1], message(1), bad, message(3))) == [True]
    assert kept(rows) == [1, 3]


def test_settings_that_postgres_refuses_are_not_tried_for_ever(rows: Rows, database: str) -> None:
    assert asyncio.run(flush(database, rows, [1], message(1), settings={"x": "\x00"})) == [True]
    assert (kept(rows), rows.session_row().client_session) == ([1], None)


def test_what_was_said_while_an_epoch_began_is_written_in_that_epoch(rows: Rows, database: str) -> None:
    rows.run(lifecycle.next_epoch(rows.session, "gw", 1))
    assert asyncio.run(flush(database, rows, [1, 2], message(1))) == [False, True]
    assert kept(rows) == [1]


def test_messages_are_written_with_those_of_others_and_pictures_by_themselves(rows: Rows, database: str) -> None:
    """A hundred sessions may write in one statement, and a picture may have a megabyte."""

    async def flushed() -> list[Bound]:
        pool = open_pool(database, 1)
        store, together = Store(pool), list[Bound]()

        async def run(statement: Bound) -> list[Any]:
            together.append(statement)
            return await store.rows(statement)

        transcript = TranscriptWriter(gateway_context(store), session_state(rows.session))
        picture = {"type": "input_image", "image_url": "data:image/png;base64,AAAA"}
        try:
            for each in (message(1), Message(2, "item_2", "user", [picture])):
                transcript.keep([each])
                assert await transcript.flush(run)
        finally:
            await pool.close()
        return together

    (with_others,) = asyncio.run(flushed())
    assert [each["item_id"] for each in with_others.given["messages"]] == ["item_1"]
    assert kept(rows) == [1, 2]


def test_what_is_said_while_a_beat_is_written_waits_for_the_next(rows: Rows, database: str) -> None:
    """Or a busy gateway would write all the time, a few each. What is written at once is written to the end."""
    written: list[list[str]] = []

    class Talking(Store):
        """Store in which another message comes while some are written."""

        async def rows(self, statement: Runnable) -> list[Any]:
            assert isinstance(statement, Bound)
            written.append([each["item_id"] for each in statement.given["messages"]])
            if len(written) < 4:
                transcript.keep([message(len(written) + 1)])
            return await super().rows(statement)

    pool = open_pool(database, 1)
    store = Talking(pool)
    transcript = TranscriptWriter(gateway_context(store), session_state(rows.session))

    async def flushed() -> None:
        transcript.keep([message(1)])
        assert await transcript.flush(store.rows)
        assert written == [["item_1"]]
        assert await transcript.flush()
        await pool.close()

    asyncio.run(flushed())
    assert written == [["item_1"], ["item_2"], ["item_3"], ["item_4"]]
    assert kept(rows) == [1, 2, 3, 4]

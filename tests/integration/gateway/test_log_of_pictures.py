"""Pictures in the rows of a session: only those that can be told again are loaded, and what is written is bounded."""

from __future__ import annotations

import asyncio
import base64
import random
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import text

from gateway.conversation.item_log import ItemLog
from gateway.session.transcript_writer import PICTURE_CHARS_PER_SECOND, TranscriptWriter
from gateway.storage.database import Store, open_pool
from gateway.upstream.events import Item, ItemShown
from ringback.privacy.redaction import KINDS, Redaction
from ringback.privacy.row_privacy import RowPrivacy
from ringback.statements.sessions import items
from ringback.statements.sessions.items import IMAGE_LEFT_OUT, LOADED_BYTES, Message
from tests.integration.statements.statement_rows import Rows, world
from tests.session_parts import gateway_context, session_state

BYTES = 180_000
"""Of a picture; 240,022 characters as a data URI."""
NAMED = {"type": "input_text", "text": IMAGE_LEFT_OUT}
RANDOM = random.Random(7)


@pytest.fixture
def rows(database: str) -> Iterator[Rows]:
    with world(database) as rows:
        yield rows


def typed(words: str) -> dict[str, Any]:
    return {"type": "input_text", "text": words}


def camera(number: int) -> ItemShown:
    """What a client with a camera adds to the conversation."""
    picture = "data:image/png;base64," + base64.b64encode(RANDOM.randbytes(BYTES)).decode()
    parts = [typed(f"picture {number}"), {"type": "input_image", "image_url": picture}]
    return ItemShown(raw={}, item=Item(id=f"p{number}", type="message", role="user", content=parts))


def shown(rows: Rows) -> dict[str, list[Any]]:
    """What is loaded of each message: its words, and for a picture "picture"."""
    found = rows.run(items.log_of_messages(rows.session))
    return {row.item_id: [part.get("text", "picture") for part in row.content] for row in reversed(found)}


def stored(rows: Rows) -> int:
    """The characters of the session's pictures that stand in its rows."""
    statement = text("SELECT sum(length(content::text)) FROM items WHERE session_id = :session")
    return int(rows.run(statement.bindparams(session=rows.session))[0][0])


def test_of_too_many_pictures_in_the_rows_the_newest_are_loaded_and_the_others_named(rows: Rows) -> None:
    rows.run(items.save(rows.session, "gw", 1, [Message(1, "first", "user", [typed("hello")])]))
    for number in range(2, 14):  # as they stand in the rows of a session that an earlier version wrote
        (message,) = ItemLog().hear(camera(number))
        rows.run(items.save(rows.session, "gw", 1, [Message(number, message.item_id, "user", message.content)]))
    assert list(shown(rows)) == ["first", *(f"p{number}" for number in range(2, 14))]
    assert shown(rows)["first"] == ["hello"], "a short message is loaded, however old"
    pictured = [name for name, parts in shown(rows).items() if parts[1:] == ["picture"]]
    assert pictured == ["p10", "p11", "p12", "p13"]
    assert shown(rows)["p2"] == ["picture 2", IMAGE_LEFT_OUT], "in the order in which they were said"


def test_the_older_pictures_are_taken_out_of_the_rows_by_the_gateway_that_has_the_session(rows: Rows) -> None:
    for number in range(1, 11):
        (message,) = ItemLog().hear(camera(number))
        rows.run(items.save(rows.session, "gw", 1, [Message(number, message.item_id, "user", message.content)]))
    assert rows.count(items.drop_old_pictures(rows.session, "gw2", 1)) == 0
    assert rows.count(items.drop_old_pictures(rows.session, "gw", 1)) == 6
    assert rows.count(items.drop_old_pictures(rows.session, "gw", 1)) == 0
    assert [parts[1] for parts in shown(rows).values()] == [IMAGE_LEFT_OUT] * 6 + ["picture"] * 4
    assert stored(rows) < LOADED_BYTES + 2_000


def test_a_message_without_parts_is_loaded(rows: Rows) -> None:
    rows.run(items.save(rows.session, "gw", 1, [Message(1, "first", "user", [])]))
    assert shown(rows) == {"first": []}


async def film(database: str, rows: Rows, seconds: int, redaction: Redaction | None = None) -> None:
    """Write what a camera shows, a picture a second."""
    pool, clock = open_pool(database, 1), {"now": 0.0}
    gateway = gateway_context(Store(pool), row_privacy=RowPrivacy(redaction or Redaction()))
    transcript = TranscriptWriter(gateway, session_state(rows.session), clock=lambda: clock["now"])
    log = ItemLog()
    try:
        for number in range(seconds):
            clock["now"] = float(number)
            transcript.keep(log.hear(camera(number)))
            assert await transcript.flush()
    finally:
        await pool.close()


def test_a_camera_writes_few_of_its_pictures_and_leaves_the_newest_in_the_rows(
    rows: Rows, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    asyncio.run(film(database, rows, 60))
    found = shown(rows)
    assert len(found) == 60, "that each was shown is kept"
    assert stored(rows) < LOADED_BYTES + 60 * 200
    pictured = [int(name[1:]) for name, parts in found.items() if parts[1:] == ["picture"]]
    assert len(pictured) == 4
    assert pictured[-1] > 59 - 2 * BYTES * 4 / 3 / PICTURE_CHARS_PER_SECOND
    assert [record.message for record in caplog.records if "pictures" in record.message] == [
        f"pictures left out: session {rows.session} sends them faster than they are kept"
    ]


def test_a_picture_is_not_looked_through_for_what_must_not_be_stored(rows: Rows, database: str) -> None:
    (message,) = ItemLog().hear(camera(1))
    card = [
        {"type": "input_image", "image_url": "data:image/png;base64,4111111111111111"},
        typed("4111 1111 1111 1111"),
    ]

    async def write() -> None:
        pool = open_pool(database, 1)
        gateway = gateway_context(Store(pool), row_privacy=RowPrivacy(Redaction(KINDS)))
        transcript = TranscriptWriter(gateway, session_state(rows.session))
        transcript.keep([message, Message(2, "card", "user", card)])
        assert await transcript.flush()
        await pool.close()

    asyncio.run(write())
    kept = {row.item_id: row.content for row in rows.run(items.log_of_messages(rows.session))}
    assert kept[message.item_id] == message.content
    assert kept["card"] == [card[0], typed("[card removed]")]

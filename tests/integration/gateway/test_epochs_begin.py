"""How an epoch begins in the rows: whole, or not at all; and whose it is when a client came back to its own gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from hashlib import sha256
from typing import Any, cast

import pytest

from gateway.auth.tokens import digest
from gateway.session.context import SessionEnded, UpstreamLink
from gateway.session.upstream_switcher import UpstreamSwitcher
from gateway.storage.database import Store, open_pool
from ringback.jobs.outcomes import succeeded
from ringback.statements.sessions import items, lifecycle
from tests.integration.statements.statement_rows import Rows, world
from tests.session_parts import NONE, gateway_context, session_state
from tests.unit.gateway.conversation.script import Script

TOKEN, NEXT_TOKEN = "rb_resume_one", "rb_resume_two"


@pytest.fixture
def rows(database: str) -> Iterator[Rows]:
    with world(database) as rows:
        rows.set_session(resume_hash=digest(TOKEN), resume_seconds=60.0)
        yield rows


class Settled:
    """An executor of a session whose rows hold all that it has heard."""

    async def settle(self) -> None:
        """There is nothing left to write."""


async def begin_epoch(database: str, rows: Rows, token: str | None = TOKEN, *, times: int = 1) -> int:
    """Begin the next epoch, so many times; returns the one that it is in then."""
    pool = open_pool(database, 1)
    session, settled = session_state(rows.session, resume_token=token), cast(Any, Settled())
    switcher = UpstreamSwitcher(gateway_context(Store(pool)), session, settled, NONE, NONE)
    switcher._is_fresh = False
    link = UpstreamLink(1, NONE, Script().opened().conversation)
    try:
        for _ in range(times):
            await switcher._load_history(link)
    except TimeoutError:
        return session.epoch
    finally:
        await pool.close()
    return session.epoch


def test_an_epoch_begins_with_all_answers_in_it(rows: Rows, database: str) -> None:
    job = rows.answered(succeeded("sunny"))
    assert asyncio.run(begin_epoch(database, rows)) == 2
    assert (rows.session_row().epoch, rows.job(job).delivery, rows.job(job).delivered_epoch) == (2, "replayed", 2)


def test_an_epoch_that_does_not_begin_takes_no_answer_in(rows: Rows, database: str) -> None:
    """The client came back to this very gateway: the answers are its new connection's."""
    job = rows.answered(succeeded("sunny"))
    rows.run(lifecycle.resume(digest(TOKEN), digest(NEXT_TOKEN), user_id="ada", gateway_id="gw"))
    with pytest.raises(SessionEnded, match="session_superseded"):
        asyncio.run(begin_epoch(database, rows))
    assert rows.job(job).delivery == "ready"


def test_an_epoch_that_began_without_our_hearing_of_it_is_found(rows: Rows, database: str) -> None:
    rows.run(lifecycle.next_epoch(rows.session, "gw", 1))
    assert asyncio.run(begin_epoch(database, rows)) == 2


def test_a_session_without_a_token_finds_it_as_well(rows: Rows, database: str) -> None:
    rows.set_session(resume_hash=None, resume_seconds=None)
    rows.run(lifecycle.next_epoch(rows.session, "gw", 1))
    assert asyncio.run(begin_epoch(database, rows, None)) == 2


def test_what_others_hold_is_theirs(rows: Rows, database: str) -> None:
    rows.run(lifecycle.resume(digest(TOKEN), sha256(b"x").digest(), user_id="ada", gateway_id="gw2"))
    with pytest.raises(SessionEnded, match="session_superseded"):
        asyncio.run(begin_epoch(database, rows))


def test_statements_that_go_together_stop_where_the_first_moves_nothing(rows: Rows, database: str) -> None:
    async def go() -> list[list[Any]]:
        pool = open_pool(database, 1)
        try:
            first = lifecycle.next_epoch(rows.session, "gw", 7)
            return await Store(pool).together(first, items.log_of_messages(rows.session))
        finally:
            await pool.close()

    assert asyncio.run(go()) == [[]]

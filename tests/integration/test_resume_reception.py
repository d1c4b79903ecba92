"""A token that is refused must be one that is no good: a gateway that may not take a session says so instead."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gateway.callers import Caller
from gateway.presence import Presence
from gateway.reception import Reception
from gateway.resuming import digest
from gateway.store import Store, open_engine
from tests.integration.statement_rows import Rows, world

TOKEN = "rb_resume_good"


async def resume(database: str, token: str = TOKEN) -> object:
    """What `gw2` makes of a token."""
    engine = open_engine(database, 1)
    line = SimpleNamespace(gateway_id="gw2", store=Store(engine))
    nobody: Any = None
    reception = Reception({}, cast(Any, line), Presence(10), nobody, nobody)
    try:
        return await reception.resume(Caller("ada"), token, frozenset())
    finally:
        await engine.dispose()


@pytest.fixture
def rows(database: str) -> Any:
    with world(database) as rows:
        rows.set_session(resume_hash=digest(TOKEN), resume_seconds=60.0)
        yield rows


def test_an_unknown_token_is_refused_by_a_gateway_that_lives(rows: Rows, database: str) -> None:
    assert asyncio.run(resume(database, "rb_resume_unheard_of")) is None


def test_a_gateway_whose_lease_has_run_out_refuses_no_good_token(rows: Rows, database: str) -> None:
    rows.lose("gw2")
    with pytest.raises(TimeoutError, match="lease"):
        asyncio.run(resume(database))
    assert asyncio.run(resume(database, "rb_resume_unheard_of")) is None
    assert rows.session_row().epoch == 1

"""A token that is refused must be one that is no good: a gateway that may not take a session says so instead."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gateway.callers import Caller
from gateway.presence import Presence
from gateway.reception import Reception
from gateway.store import Store, open_engine
from tests.integration.statement_rows import Rows, world


async def resume(database: str) -> object:
    """What `gw2` makes of a token that nobody has given out."""
    engine = open_engine(database, 1)
    line = SimpleNamespace(gateway_id="gw2", store=Store(engine))
    nobody: Any = None
    reception = Reception({}, cast(Any, line), Presence(10), nobody, nobody)
    try:
        return await reception.resume(Caller("ada"), "rb_resume_unheard_of", frozenset())
    finally:
        await engine.dispose()


@pytest.fixture
def rows(database: str) -> Any:
    with world(database) as rows:
        yield rows


def test_an_unknown_token_is_refused_by_a_gateway_that_lives(rows: Rows, database: str) -> None:
    assert asyncio.run(resume(database)) is None


def test_a_gateway_whose_lease_has_run_out_says_nothing_of_the_token(rows: Rows, database: str) -> None:
    rows.lose("gw2")
    with pytest.raises(TimeoutError, match="lease"):
        asyncio.run(resume(database))

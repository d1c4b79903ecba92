"""While Postgres is away, what asks for it costs the event loop little, however much asks."""

from __future__ import annotations

import asyncio

import pytest

from gateway.storage import connection_pool
from gateway.storage.connection_pool import FAILURES_AT_MOST
from gateway.storage.database import NotSent, Store, open_pool
from ringback.postgres.statement import Bound

pytestmark = [pytest.mark.anyio, pytest.mark.loopback]
ASKING = 100
QUESTION = Bound(b"SELECT 1", [])


@pytest.mark.parametrize(("away_seconds", "attempts"), [(60.0, FAILURES_AT_MOST), (0.0, 1 + ASKING)])
async def test_after_some_attempts_that_failed_the_next_one_is_made_after_a_moment(
    monkeypatch: pytest.MonkeyPatch, away_seconds: float, attempts: int
) -> None:
    tries = 0

    async def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal tries
        tries += 1
        writer.transport.abort()

    monkeypatch.setattr(connection_pool, "AWAY_SECONDS", away_seconds)
    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    store = Store(open_pool(f"postgresql+psycopg://ada@127.0.0.1:{port}/ringback", 1))
    with pytest.raises(NotSent):
        await store.rows(QUESTION)
    of_one = tries
    found = await asyncio.gather(*(store.rows(QUESTION) for _ in range(ASKING)), return_exceptions=True)
    assert {type(each) for each in found} == {NotSent}
    assert tries == attempts * of_one > 0
    server.close()

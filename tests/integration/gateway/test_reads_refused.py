"""A read that Postgres refuses amid what is sent with it: its caller hears why, and the log has no line."""

from __future__ import annotations

import logging

import psycopg
import pytest

from gateway.storage.connection_pool import ConnectionPool
from ringback.config.settings import postgres_url
from ringback.postgres.connections import Bounds

pytestmark = pytest.mark.anyio


async def test_a_refused_read_is_told_once_and_leaves_its_connection_good(
    database: str, caplog: pytest.LogCaptureFixture
) -> None:
    pool = ConnectionPool(postgres_url(database), "test", 1, Bounds(5), connect_seconds=5, wait_seconds=5)

    async def refused() -> None:
        async with pool.transaction_at_once() as connection:
            await connection.execute("SELECT 1 / 0")
            while True:  # until Postgres's answer has come
                await connection.execute("SELECT 1")

    with caplog.at_level(logging.WARNING), pytest.raises(psycopg.errors.DivisionByZero):
        await refused()
    assert caplog.messages == []
    async with pool.transaction_at_once() as connection:
        answer = await connection.execute("SELECT 1")
    assert await answer.fetchall() == [(1,)]
    await pool.close()

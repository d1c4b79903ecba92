"""Postgres, as the gateway uses it: one statement, one transaction, bounded in time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import CursorResult, Executable, Row
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

CONNECT_SECONDS = 2
"""A database that does not answer by then is away; the conversation goes on without it."""
STATEMENT_MS = 5_000
"""Every statement here takes about a millisecond; one that takes seconds waits for something broken."""
POOL_WAIT_SECONDS = 5.0
"""How long a statement waits for a free connection before it is refused."""


def open_engine(database_url: str, pool_size: int) -> AsyncEngine:
    """An engine on psycopg 3. A connection that died is noticed before it is used."""
    return create_async_engine(
        database_url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=POOL_WAIT_SECONDS,
        pool_pre_ping=True,
        connect_args={
            "connect_timeout": CONNECT_SECONDS,
            "options": f"-c statement_timeout={STATEMENT_MS} -c application_name=ringback-gateway",
        },
    )


class Store:
    """Runs statements of `ringback.statements`, each in a transaction of its own."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def rows(self, statement: Executable) -> Sequence[Row[Any]]:
        """Run a statement that returns rows, commit, and give them."""
        async with self._engine.begin() as connection:
            result: CursorResult[Any] = await connection.execute(statement)
            return result.all()

    async def count(self, *statements: Executable) -> int:
        """Run statements in one transaction, commit, and give the row count of the last."""
        async with self._engine.begin() as connection:
            touched = 0
            for statement in statements:
                touched = (await connection.execute(statement)).rowcount
            return touched

    async def close(self) -> None:
        await self._engine.dispose()

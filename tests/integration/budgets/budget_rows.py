"""Places, tokens and money in real rows: what is counted over all gateways, and what is left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import insert

from gateway.auth.authenticator import Principal
from gateway.budgets.budgets import Budgets
from gateway.budgets.session_usage import SessionUsage
from gateway.conversation.actions import RecordUsage
from gateway.errors import ApiError
from gateway.storage.database import Store, open_pool
from ringback.agents.agent import Agent
from ringback.agents.quotas import Quotas
from ringback.config.settings import postgres_url
from ringback.postgres.statement import Bound, Runnable
from ringback.statements.sessions import lifecycle as statements
from ringback.tables import tenants
from ringback.usage.prices import Price, Prices, Rate

MODEL = "gpt-realtime-2.1"
PRICES = Prices(models={MODEL: Price(text=Rate(input=Decimal(4), output=Decimal(24)))})
AGENT = Agent(name="demo", instructions="Hello.", model=MODEL)
ANN, BOB = Principal("ann"), Principal("bob")
TOLD = {"input_tokens": 100, "input_token_details": {"text_tokens": 100}, "output_tokens": 10}


class Metered(SessionUsage):
    """The usage of a session whose budget is checked at each response."""

    async def check(self, epoch: int, response_id: str) -> str | None:
        """Begin a response; return why nothing is left."""
        self.began(epoch, response_id)
        return await self.exceeded_reason()

    async def record(self, epoch: int, used: RecordUsage) -> str | None:
        """End a response; return why nothing is left."""
        self.ended(epoch, used)
        return await self.exceeded_reason()


class World:
    """The budgets of one gateway, and their rows."""

    def __init__(self, store: Store, **defaults: Any) -> None:
        self.store = store
        self.budgets = Budgets(store, PRICES, Quotas(**defaults))

    async def opened(self, caller: Principal = ANN) -> UUID:
        session_id = uuid4()
        await self.budgets.open_session(opening(session_id, caller), caller)
        return session_id

    async def one(self, statement: Runnable) -> Any:
        ((value,),) = await self.store.rows(statement)
        return value

    async def allow(self, tenant: str = "default", **allowances: Any) -> None:
        await self.store.count(insert(tenants).values(tenant=tenant, allowances=allowances))


def opening(session_id: UUID, caller: Principal) -> Bound:
    return statements.open_session(
        session_id,
        user_id=caller.user,
        agent=AGENT.name,
        model=MODEL,
        gateway_id="gw",
        tenant=caller.tenant,
        claims={"plan": "gold", "scopes": ["realtime"]},
        resume_hash=session_id.bytes,
        resume_seconds=60.0,
        credential="key:1",
        policy="trusted",
    )


@asynccontextmanager
async def world(database: str, **defaults: Any) -> AsyncIterator[World]:
    store = Store(open_pool(postgres_url(database), 4))
    try:
        yield World(store, **defaults)
    finally:
        await store.close()


async def refusal(asked: Awaitable[None]) -> ApiError | None:
    """How a session was refused; None if it was not."""
    try:
        await asked
    except ApiError as refused:
        return refused
    return None


Story = Callable[[World], Coroutine[Any, Any, None]]


def tell(database: str, story: Story, **defaults: Any) -> None:
    async def run() -> None:
        async with world(database, **defaults) as here:
            await story(here)

    asyncio.run(run())

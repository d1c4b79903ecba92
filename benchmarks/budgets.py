"""What places and budgets cost: one session that begins, and one response. In milliseconds, on an embedded Postgres.

.venv/bin/python benchmarks/budgets.py --responses 1000 --users 10000
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any
from uuid import uuid4

from sqlalchemy import delete, insert, text

from benchmarks.measuring.bounds import whole
from benchmarks.measuring.receipts import count, insist
from cli.local_stack.embedded_servers import embedded_servers
from gateway.auth.authenticator import Principal
from gateway.budgets.budgets import Budgets, price_table
from gateway.budgets.session_usage import SessionUsage
from gateway.conversation.actions import RecordUsage
from gateway.storage.database import Store, open_pool
from ringback.agents.agent import Agent
from ringback.agents.quotas import Quotas
from ringback.postgres.migrate import upgrade
from ringback.statements.sessions import lifecycle
from ringback.tables import responses as responses_table
from ringback.tables import sessions as sessions_table
from ringback.tables import usage_days

AGENT = Agent(name="demo", instructions="Hello.")
MANY = 10**6
PER_USER = Quotas(sessions_per_user=100)
DEAR = Quotas(sessions=MANY, sessions_per_user=100, cost_per_day=MANY, cost_per_user_per_day=MANY)
ONE_TOKEN = Quotas(tokens_per_day=1)
SESSIONS_OF_A_USER = 50
USAGE = {
    "input_tokens": 789,
    "output_tokens": 32,
    "input_token_details": {"text_tokens": 313, "audio_tokens": 476, "cached_tokens": 256},
    "output_token_details": {"text_tokens": 9, "audio_tokens": 23},
}


async def timed(what: str, number: int, run: Callable[[int], Awaitable[Any]], *, at_once: int = 1) -> None:
    """Run it so often, so many at a time; print how long each took."""
    taken: list[float] = []
    waiting = iter(range(number))

    async def some() -> None:
        for each in waiting:
            began = perf_counter()
            await run(each)
            taken.append(1_000 * (perf_counter() - began))

    began = perf_counter()
    await asyncio.gather(*(some() for _ in range(at_once)))
    rate = number / (perf_counter() - began)
    cuts = statistics.quantiles(taken, n=100)
    print(f"| {what} | {at_once} | {cuts[49]:.2f} | {cuts[94]:.2f} | {cuts[98]:.2f} | {rate:,.0f} |")


async def opened(budgets: Budgets, number: int) -> SessionUsage:
    """One more session: each user has fifty."""
    caller, session_id = Principal(f"ann-{number // SESSIONS_OF_A_USER}"), uuid4()
    opening = lifecycle.open_session(session_id, user_id=caller.user, agent="demo", model=AGENT.model, gateway_id="gw")
    await budgets.open_session(opening, caller)  # raises if the session is refused
    return SessionUsage(budgets, session_id, caller, AGENT, AGENT.model)


async def measure(url: str, responses: int, users: int) -> None:
    """Sessions that begin, and responses, with limits and without."""
    store = Store(open_pool(url, 10))
    free, default, budgets = (Budgets(store, price_table(None), each) for each in (Quotas(), PER_USER, DEAR))
    print("| what | at once | p50 ms | p95 ms | p99 ms | a second |\n| --- | --- | --- | --- | --- | --- |")

    async def begin(what: str, at: Budgets, *, at_once: int = 1) -> None:
        await timed(f"a session begins, {what}", responses, lambda number: opened(at, number), at_once=at_once)
        insist("sessions that have begun", count(url, sessions_table), responses)
        await store.count(delete(sessions_table))

    for at_once in (1, 10):
        await begin("no limit", free, at_once=at_once)
        await begin("a limit of each user (as shipped)", default, at_once=at_once)
        await begin("limits of the user and of the tenant", budgets, at_once=at_once)
    unlimited, usages = await opened(free, 0), [await opened(budgets, number) for number in range(10)]

    async def record(number: int) -> None:
        used = RecordUsage(f"resp_{number}_{uuid4()}", USAGE, "completed")
        usages[number % 10].ended(1, used)
        insist("why nothing is left", await usages[number % 10].exceeded_reason(), None)

    async def record_freely(number: int) -> None:
        unlimited.ended(1, RecordUsage(f"resp_{number}", USAGE, "completed"))

    async def check(_: int) -> None:
        usages[0].began(1, "resp")
        insist("why nothing is left", await usages[0].exceeded_reason(), None)

    await timed("a response is recorded, no budget", responses, record_freely)
    await free.close()
    for at_once in (1, 10):
        await timed("a response is recorded, and the budgets are asked", responses, record, at_once=at_once)
    insist("responses that are recorded", count(url, responses_table), 3 * responses)
    await timed("the budgets are asked", responses, check)
    days = {"day": text("current_date"), "agent": "demo", "model": "m", "responses": 1}
    rows = [{"user_id": f"user-{number}"} for number in range(users)]
    for start in range(0, users, 1_000):
        await store.count(insert(usage_days).values([{**days, **row} for row in rows[start : start + 1_000]]))
    await store.count(text("ANALYZE usage_days"))
    await timed(f"the budgets are asked, {users:,} users of the tenant today", responses, check)
    used_up = SessionUsage(
        Budgets(store, price_table(None), ONE_TOKEN), uuid4(), Principal("ann-0"), AGENT, AGENT.model
    )
    insist("a budget that is used up is noticed", await used_up.exceeded_reason() is not None, True)
    await store.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--responses", type=whole(2), default=1_000)
    parser.add_argument("--users", type=whole(), default=10_000)
    given = parser.parse_args()
    with embedded_servers(durable=True) as servers:
        upgrade(servers.database_url)
        asyncio.run(measure(servers.database_url, given.responses, given.users))


if __name__ == "__main__":
    main()

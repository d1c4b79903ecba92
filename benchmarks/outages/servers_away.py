"""Redis that forgets everything, Redis and Postgres that are away for a while: until the last call is claimed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from contextlib import suppress
from datetime import datetime
from uuid import UUID

import psycopg
import redis

from benchmarks.outages.figures import Counted, Figure, Timed
from benchmarks.outages.guests import visiting
from benchmarks.outages.site import GATEWAYS, SLOTS, WORKERS, Site
from benchmarks.outages.tools import hold, nothing

GOAL = "max <= 3"


def flushed(site: Site, backlog: int, rounds: int) -> list[Figure]:
    """FLUSHALL with a backlog behind workers that are full, which at that moment are not any more.

    Half of the backlog has been published more than once by then, half just now. The same without FLUSHALL says what
    part of the time is only work.
    """
    claimed, never, asked = _claimed_after(site, backlog, rounds, flush=True)
    untouched, _, _ = _claimed_after(site, backlog, 1, flush=False)
    what = f"a backlog of {backlog} -> each of it claimed"
    return [
        Timed(f"Redis flushed ({rounds} times), {what}", claimed, GOAL),
        Timed(f"nothing flushed, for comparison, {what}", untouched),
        Counted("calls never claimed after FLUSHALL", never, asked, "0"),
    ]


def redis_away(site: Site, backlog: int, rounds: int, seconds: float) -> list[Figure]:
    """Calls are recorded while Redis is away; measured from its first answer to PING."""
    taken: list[float] = []
    never = 0
    for _ in range(rounds):
        site.crew.await_up(*WORKERS)
        site.stop("valkey")
        ids = site.desk.record(nothing, backlog)
        time.sleep(seconds)
        site.bring_back("valkey", lambda: _redis_answers(site))
        more, none = _since(site, site.desk.now(), ids)
        taken += more
        never += none
    what = f"Redis back after {seconds:g} s ({rounds} times), {backlog} calls recorded meanwhile -> each claimed"
    return [Timed(what, taken, GOAL), Counted("calls never claimed after Redis was away", never, backlog * rounds, "0")]


def postgres_away(site: Site, sessions: int, rounds: int, seconds: float) -> list[Figure]:
    """Sessions ask while Postgres is away, and their calls wait in the gateways; measured from its first connection."""
    taken: list[float] = []
    never = 0
    for _ in range(rounds):
        more, none = asyncio.run(_asked_without_postgres(site, sessions, seconds))
        taken += more
        never += none
    what = f"Postgres back after {seconds:g} s ({rounds} times), a call of each of {sessions} sessions waiting"
    return [
        Timed(f"{what} -> each claimed", taken, GOAL),
        Counted("waiting calls never claimed after Postgres was away", never, sessions * rounds, "0"),
    ]


def _claimed_after(site: Site, backlog: int, rounds: int, *, flush: bool) -> tuple[list[float], int, int]:
    """Seconds of each, how many never, of how many."""
    taken: list[float] = []
    never = 0
    for number in range(rounds):
        site.crew.await_up(*WORKERS)
        gate = f"flush-{flush}-{number}"
        holding = site.desk.ask(hold, SLOTS * len(WORKERS), gate=gate)
        site.desk.await_claims(holding)
        waiting = site.desk.ask(nothing, backlog // 2)
        site.desk.await_published_again(waiting)
        waiting += site.desk.ask(nothing, backlog - len(waiting))
        began = site.desk.now()
        if flush:
            with redis.Redis.from_url(site.servers.keeper_redis_url) as client:
                client.flushall()
        site.open(gate)
        more, none = _since(site, began, waiting)
        taken += more
        never += none
    return taken, never, backlog * rounds


def _since(site: Site, began: datetime, ids: Collection[UUID]) -> tuple[list[float], int]:
    """Seconds from then to the claim of each, and how many have none."""
    claims = site.desk.await_claims(ids)
    return [(at - began).total_seconds() for at in claims.values()], len(ids) - len(claims)


async def _asked_without_postgres(site: Site, sessions: int, seconds: float) -> tuple[list[float], int]:
    await asyncio.to_thread(site.crew.await_up, *WORKERS, *GATEWAYS)
    half = sessions // 2
    async with visiting(site, (sessions - half, GATEWAYS), (half, GATEWAYS[::-1])) as guests:
        await asyncio.to_thread(site.stop, "postgres")
        orders = [asyncio.create_task(guest.order()) for guest in guests]
        await asyncio.sleep(seconds)
        await asyncio.to_thread(site.bring_back, "postgres", lambda: _postgres_answers(site))
        began = site.desk.now()
        names = await asyncio.gather(*orders)
        jobs = site.desk.orders(names)
        claims = await asyncio.to_thread(site.desk.await_claims, list(jobs.values()))
        site.open(*names)
        return [(at - began).total_seconds() for at in claims.values()], sessions - len(claims)


def _redis_answers(site: Site) -> bool:
    with suppress(redis.RedisError), redis.Redis.from_url(site.servers.keeper_redis_url) as client:
        return bool(client.ping())
    return False


def _postgres_answers(site: Site) -> bool:
    url = site.servers.database_url.replace("postgresql+psycopg", "postgresql")
    with suppress(psycopg.Error), psycopg.connect(url) as connection:
        return connection.execute("SELECT 1").fetchone() is not None
    return False

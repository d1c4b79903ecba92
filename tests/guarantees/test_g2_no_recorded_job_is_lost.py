"""G2: no recorded job is lost, whatever is killed, paused, flushed or cut off, and the answer is heard."""

from __future__ import annotations

import asyncio
import random
import signal
from collections import Counter
from uuid import UUID

import psutil
import pytest
import redis
from sqlalchemy import text

from cli.local_stack.embedded_servers import Servers
from tests.guarantees.toolbox.bakery import Bakery
from tests.guarantees.toolbox.yard import Yard
from tests.integration.toolbox.line import eventually as soon
from tests.line import eventually
from tests.proxy import before_postgres, before_redis
from tests.servers import frozen

pytestmark = [pytest.mark.anyio, pytest.mark.long, pytest.mark.timeout(180)]

KINDS = ("reckon", "book", "pay")
KILLS = 12
SEED = 20261124


def ask_all(yard: Yard, count: int, seconds: float = 0.0) -> list[UUID]:
    """So many jobs of all kinds, recorded and published."""
    return [yard.ask(KINDS[n % len(KINDS)], n=n, seconds=seconds) for n in range(count)]


def more_done(yard: Yard, than: int) -> None:
    """Wait until more jobs had their effect than so many."""

    def look() -> bool:
        yard.revive()
        return len(yard.done()) > than

    soon(look, "work to go on")


def none_is_lost(yard: Yard, recorded: list[UUID]) -> Counter[str]:
    """Every job came to one outcome, and its effects are what its kind allows; how many ended how."""
    states = yard.all_finished()
    assert sum(states.values()) == len(recorded)
    assert yard.outcomes() == Counter(recorded), "one outcome each"
    done = yard.done()
    for job_id in recorded:
        job = yard.job(job_id)
        if job.state == "succeeded":
            assert done[job_id] >= 1
            assert job.result["attempt"] == job.attempt
        elif job.state == "dead":
            assert job.attempt == 3, "a job that took three workers with it is not tried again"
        else:
            assert (job.state, job.effect) == ("unknown", "at_most_once")
        assert job.effect != "at_most_once" or done[job_id] <= 1
    return states


async def test_a_worker_that_is_killed_mid_call_is_replaced_and_the_caller_hears_the_answer(bakery: Bakery) -> None:
    """F1."""
    async with bakery.line.call(ringback="jobs") as caller:
        await caller.ask("Where is my order A-1042?")
        await asyncio.to_thread(bakery.begun)
        bakery.line.processes.kill("worker")
        await asyncio.to_thread(bakery.line.processes.restart, "worker")
        await asyncio.to_thread(bakery.begun, 2)
        bakery.let_go()
        await caller.hear_until(lambda event: event.get("job", {}).get("state") == "acked")
        assert "baked" in await caller.hear_answer()
        (job,) = bakery.line.jobs(caller.session_id)
    attempts = bakery.line.get(f"/v1/jobs/{job['id']}")["attempts"]
    assert [attempt["ended"] for attempt in attempts] == ["lost", "succeeded"]


async def test_redis_that_forgets_everything_costs_a_little_time_and_no_call(bakery: Bakery, redis_db: str) -> None:
    bakery.line.processes.kill("worker")
    async with bakery.line.call(ringback="jobs") as caller:
        await caller.ask("Where is my order A-1042?")
        await caller.hear_kind("ringback.job")
        with redis.Redis.from_url(redis_db) as client:
            eventually(lambda: client.llen("ringback:slow"), "the message is in its queue")
            client.flushdb()
        bakery.let_go()
        await asyncio.to_thread(bakery.line.processes.restart, "worker")
        await caller.hear_until(lambda event: event.get("job", {}).get("state") == "acked")
        assert "baked" in await caller.hear_answer()
    assert bakery.attempts() == 1


@pytest.mark.parametrize("place", ["claimed", "begun", "done"])
def test_a_worker_killed_at_any_point_of_a_job_costs_an_attempt_and_not_the_job(yard: Yard, place: str) -> None:
    """F1, F3: between the claim and the start, before the effect, and between the effect and its outcome."""
    yard.start_workers("first", "second")
    recorded: list[UUID] = []
    for kind in ("reckon", "book"):  # one after the other: a worker that dies takes with it all that it runs
        recorded.append(yard.ask(kind, n=1, dies=f"{place}:{kind}"))
        assert none_is_lost(yard, recorded) == {"succeeded": len(recorded)}
    assert [yard.job(job_id).attempt for job_id in recorded] == [2, 2]
    assert [yard.done()[job_id] for job_id in recorded] == ([2, 2] if place == "done" else [1, 1])


def test_a_run_of_kills_of_whole_workers_loses_nothing(yard: Yard) -> None:
    """F2: Celery by itself loses about 0.4 tasks a kill here."""
    chance = random.Random(SEED)
    yard.start_workers("first", "second", "third")
    recorded: list[UUID] = []
    for _ in range(KILLS):
        before = len(yard.done())
        recorded += ask_all(yard, 24, seconds=0.1)
        more_done(yard, before + 6)
        yard.processes.kill(chance.choice(sorted(yard.pids)))
    states = none_is_lost(yard, recorded)
    assert len(recorded) == 24 * KILLS
    assert states["succeeded"] > len(recorded) * 0.8, states


def test_a_worker_that_is_told_to_stop_finishes_what_is_short_and_hands_on_what_is_long(yard: Yard) -> None:
    """F5: a second, a minute and ten."""
    yard.start_worker("leaving", RINGBACK_WORKER_DRAIN_SECONDS="3")
    short, minute, long = (
        yard.ask("reckon", n=1, seconds=1),
        yard.ask("drudge", seconds=60),
        yard.ask("drudge", seconds=600),
    )
    for job_id in (short, minute, long):
        yard.begun(job_id)
    yard.start_worker("staying")
    yard.signal("leaving", signal.SIGTERM)
    ended = [yard.finished(job_id) for job_id in (short, minute, long)]
    soon(lambda: yard.has_ended("leaving"), "the worker that was told to stop to end")
    assert [(job.state, job.attempt) for job in ended] == [("succeeded", 1), ("succeeded", 2), ("succeeded", 2)]


def test_redis_that_forgets_again_and_again_loses_nothing(yard: Yard) -> None:
    """F14."""
    yard.start_workers("first", "second")
    recorded: list[UUID] = []
    for _ in range(8):
        before = len(yard.done())
        recorded += ask_all(yard, 20)
        yard.redis.flushdb()
        more_done(yard, before)
    assert none_is_lost(yard, recorded) == {"succeeded": len(recorded)}


def test_redis_that_is_gone_for_a_while_loses_nothing(pulled: Yard, plugs: Servers) -> None:
    """F13: killed without saving while jobs are recorded, run and finished."""
    pulled.start_workers("first", "second")
    running = [pulled.ask("book", n=n, waits=True) for n in range(4)]
    for job_id in running:
        pulled.begun(job_id)
    plugs.processes.kill("valkey")
    meanwhile = [pulled.admit(KINDS[n % 3], n=n) for n in range(20)]
    pulled.let_go()
    for job_id in running:
        assert pulled.finished(job_id).attempt == 1, "what runs needs no Redis"
    plugs.processes.restart("valkey")
    assert none_is_lost(pulled, [*running, *meanwhile]) == {"succeeded": 24}


@pytest.mark.parametrize("fault", ["reset", "strand"])
def test_a_line_to_redis_that_breaks_again_and_again_leaves_no_worker_deaf(yard: Yard, fault: str) -> None:
    """F18: RST storms; and connections that are dead while both ends hold them open."""
    with before_redis(yard.redis_url) as (proxy, through):
        yard.start_worker("first", REDIS_URL=through)
        recorded: list[UUID] = []
        for _ in range(10 if fault == "reset" else 1):
            before = len(yard.done())
            getattr(proxy, fault)()
            recorded += ask_all(yard, 3)
            more_done(yard, before)
        assert none_is_lost(yard, recorded) == {"succeeded": len(recorded)}


def test_a_redis_that_hangs_is_left_and_found_again(yard: Yard) -> None:
    """F18: nothing passes, neither on old connections nor on new ones."""
    with before_redis(yard.redis_url) as (proxy, through):
        yard.start_worker("first", REDIS_URL=through)
        proxy.blackhole()
        overdue, *waiting = [yard.admit("book", n=n) for n in range(6)]
        yard.overdue(overdue)
        assert yard.finished(overdue).state == "timed_out", "deadlines do not wait for Redis"
        proxy.heal()
        assert yard.all_finished() == {"timed_out": 1, "succeeded": len(waiting)}


def test_postgres_that_ends_every_connection_again_and_again_loses_nothing(yard: Yard) -> None:
    """F21."""
    yard.start_workers("first", "second")
    recorded: list[UUID] = []
    for _ in range(10):
        before = len(yard.done())
        recorded += ask_all(yard, 6, seconds=0.05)
        yard.cut_off()
        more_done(yard, before)
    none_is_lost(yard, recorded)


def test_lines_to_postgres_that_are_dead_while_both_ends_hold_them_open_leave_no_worker_waiting(yard: Yard) -> None:
    """As behind a pooler that hangs: the worker's lease finds a new line, and so does all that it waits for."""
    with before_postgres(yard.database) as (proxy, through):
        yard.start_worker("first", DATABASE_URL=through)
        running = [yard.ask(kind, n=n, waits=True) for n, kind in enumerate(KINDS)]
        for job_id in running:
            yard.begun(job_id)
        proxy.strand()
        yard.let_go()
        recorded = [*running, *ask_all(yard, 9)]
        assert none_is_lost(yard, recorded) == {"succeeded": len(recorded)}
        assert not yard.has_ended("first")


def test_postgres_that_is_killed_and_comes_back_has_every_job_that_it_took(pulled: Yard, plugs: Servers) -> None:
    """F22: with jobs waiting, running, and finishing while it is away, where commits wait for no disk by default."""
    with pulled.engine.connect() as connection:
        name = connection.engine.url.database
        connection.execute(text(f'ALTER DATABASE "{name}" SET synchronous_commit = off'))
        connection.commit()
    pulled.engine.dispose()
    pulled.start_workers("first", "second")
    running = [pulled.ask(kind, n=n, waits=True) for n, kind in enumerate(KINDS)]
    for job_id in running:
        pulled.begun(job_id)
    waiting = [pulled.admit(KINDS[n % 3], n=n) for n in range(20)]
    plugs.processes.kill("postgres")
    pulled.let_go()
    soon(lambda: _restarted(plugs), "Postgres to start again")
    pulled.engine.dispose()
    none_is_lost(pulled, [*running, *waiting])


def test_postgres_that_hangs_and_wakes_loses_nothing(pulled: Yard, plugs: Servers) -> None:
    """F23: every one of its processes stops, and every connection stays."""
    pulled.start_workers("first", "second")
    running = [pulled.ask(kind, n=n, waits=True) for n, kind in enumerate(KINDS)]
    for job_id in running:
        pulled.begun(job_id)
    waiting = [pulled.admit(KINDS[n % 3], n=n) for n in range(20)]
    with pulled.engine.connect() as connection:
        backend = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        postmaster = psutil.Process(backend).parent()  # while it lives: it ends with the connection
    assert postmaster is not None
    with frozen(postmaster):
        pulled.let_go()
        soon(lambda: all(map(pulled.has_ended, pulled.pids)), "workers that cannot renew to end themselves")
    none_is_lost(pulled, [*running, *waiting])


def test_five_sweepers_at_once_do_everything_once_and_one_less_is_no_harm(yard: Yard) -> None:
    """F41: nothing is published but by them."""
    names = ["first", "second", "third", "fourth", "fifth"]
    yard.start_workers(*names)
    recorded = [yard.admit("reckon", n=n, seconds=0.05) for n in range(150)]
    more_done(yard, 10)
    yard.processes.kill("third")
    states = none_is_lost(yard, recorded)
    assert states == {"succeeded": 150}
    twice = [job_id for job_id, count in yard.done().items() if count > 1]
    assert all(yard.job(job_id).attempt > 1 for job_id in twice), "only what the killed one held"
    assert len(twice) < 50


def _restarted(servers: Servers) -> bool:
    """A Postgres that was killed is not to be had until its last child is gone."""
    try:
        servers.processes.restart("postgres")
    except Exception:  # it says so in many ways
        return False
    return True

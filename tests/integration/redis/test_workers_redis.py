"""Real worker processes and a Redis that forgets, is stopped, or keeps a silent connection."""

from __future__ import annotations

import json
import signal
from base64 import b64decode
from collections.abc import Iterator
from functools import partial
from uuid import UUID

import pytest
from sqlalchemy import text

from cli.local_stack.embedded_servers import Servers, embedded_servers
from ringback.sweeper import MARKER
from tests.integration.toolbox.line import CELERY, PATIENCE, Line, ends_within, eventually
from tests.proxy import before_redis
from tests.servers import OUR_USERS, own_database
from workers.lifecycle.canary import Canary

pytestmark = pytest.mark.long

POOLS = {"threads": CELERY, "prefork": (*CELERY, "-P", "prefork", "-c", "2")}
BACKLOG = 300
"""More calls than one round of a sweep takes."""
ELSEWHERE = (*CELERY[:4], "-Q", "slow")
"""Command of a worker that sweeps, and serves another queue."""

pools = pytest.mark.parametrize("argv", POOLS.values(), ids=POOLS)


def job_ids_in(line: Line, queue: str) -> set[str]:
    """Return the jobs whose messages wait in this list."""
    bodies = (json.loads(message)["body"] for message in line.redis.lrange(queue, 0, -1))
    return {json.loads(b64decode(body))[0][0] for body in bodies}


@pytest.fixture(scope="module")
def plugs() -> Iterator[Servers]:
    """Yield servers that only this module stops."""
    with embedded_servers(durable=False) as servers:
        OUR_USERS[servers.keeper_redis_url] = servers.redis_url
        yield servers


@pytest.fixture
def plugged(plugs: Servers, migrated_template_of_plugs: str) -> Iterator[Line]:
    with own_database(plugs.database_url, "ringback_test", migrated_template_of_plugs) as database:
        line = Line(database, plugs.keeper_redis_url)
        yield line
        line.close()


@pytest.fixture(scope="module")
def migrated_template_of_plugs(plugs: Servers) -> Iterator[str]:
    from ringback.postgres.migrate import upgrade

    with own_database(plugs.database_url, "ringback_template") as url:
        upgrade(url)
        yield url.rpartition("/")[2].partition("?")[0]


NOT_AGAIN = text("UPDATE jobs SET publish_count = 5, publish_after = clock_timestamp() + interval '1 hour'")


def backlog(line: Line, size: int) -> list[UUID]:
    """Record calls whose messages are in Redis, and which no sweep would publish again for an hour."""
    jobs = [line.admit("echo", text=str(number)) for number in range(size)]
    for job_id in jobs:
        line.publish(job_id)
    line.run(NOT_AGAIN)
    return jobs


def is_marked(line: Line) -> bool:
    """Whether a sweep has seen that Redis is as it was."""
    return bool(line.redis.exists(MARKER)) and line.redis.ttl(MARKER) == -1


def states(line: Line, jobs: list[UUID]) -> set[str]:
    return {line.job(job_id).state for job_id in jobs}


def test_a_redis_that_forgot_everything_gets_the_whole_backlog_again(line: Line) -> None:
    with line.worker(*ELSEWHERE):
        eventually(partial(is_marked, line), "the marker to stay")
        jobs = backlog(line, BACKLOG)
        line.redis.flushdb()
        eventually(lambda: line.redis.llen("ringback:errands") >= BACKLOG, "everything to be published again")
        with line.worker():
            eventually(lambda: states(line, jobs) == {"succeeded"}, "all of it to be done")
        assert {line.job(job_id).attempt for job_id in jobs} == {1}


@pools
def test_a_redis_that_restarts_empty_is_found_again_by_consumers_and_sweepers(
    plugs: Servers, plugged: Line, argv: tuple[str, ...]
) -> None:
    with plugged.worker(*argv) as worker:
        assert plugged.finished(plugged.ask("echo", text="before")).state == "succeeded"
        plugs.processes.kill("valkey")
        jobs = [plugged.admit("echo", text="meanwhile") for _ in range(20)]
        plugged.run(text("UPDATE jobs SET publish_after = clock_timestamp() WHERE state = 'pending'"))
        plugged.run(text("SELECT pg_sleep(3)"))  # some rounds without Redis
        published = {plugged.job(job_id).publish_count for job_id in jobs}
        assert published <= {0, 1}, "nobody's pause grows while nobody can hear"
        plugs.processes.restart("valkey")
        eventually(lambda: states(plugged, jobs) == {"succeeded"}, "all of it to be done")
        assert worker.poll() is None


@pools
def test_a_worker_that_is_alive_and_hears_nothing_ends_for_a_new_one(line: Line, argv: tuple[str, ...]) -> None:
    with (
        before_redis(line.redis_url) as (proxy, through),
        line.worker(*argv, REDIS_URL=through) as deaf,
    ):
        assert line.finished(line.ask("echo", text="before")).state == "succeeded"
        long_one = line.ask("nap", seconds=25)
        line.running(long_one)
        proxy.strand()
        assert deaf.wait(PATIENCE) == 75
        assert line.job(long_one).state in ("pending", "running")
        with line.worker():
            assert line.finished(line.ask("echo", text="after")).state == "succeeded"
            line.running(long_one)
            assert line.job(long_one).rescues == 0, "it was handed back"


def test_a_full_worker_hears_nothing_and_is_not_deaf(line: Line) -> None:
    with line.worker(*CELERY, "-c", "1") as worker:
        job_id = line.ask("doze", seconds=12)
        assert line.finished(job_id).state == "succeeded"
        assert worker.poll() is None


@pools
def test_a_worker_that_is_gone_leaves_nothing_of_its_canary_in_redis(line: Line, argv: tuple[str, ...]) -> None:
    with line.worker(*argv[:6], *argv[6:8], "-c", "1") as worker:
        line.running(line.ask("doze", seconds=25))  # a full worker leaves its canaries where they are
        eventually(lambda: canaries(line), "a canary to be seen")
        assert all(0 < line.redis.ttl(key) <= 10 for key in canaries(line))
        worker.kill()
        worker.wait()
    eventually(lambda: not canaries(line), "the last one to expire")
    assert line.redis.keys("ringback:unacked*") == []


@pools
def test_a_worker_takes_a_message_for_each_free_slot_and_leaves_the_others_to_other_workers(
    line: Line, argv: tuple[str, ...]
) -> None:
    slots, waiting = 2, 3
    with line.worker(*argv[:6], *argv[6:8], "-c", str(slots)):
        eventually(partial(is_marked, line), "the marker to stay: then nothing is published again because it is gone")
        jobs = [line.admit("doze", seconds=25) for _ in range(slots + waiting)]
        line.run(NOT_AGAIN)
        for job_id in jobs:
            line.publish(job_id)
        is_full = lambda: [line.job(job_id).state for job_id in jobs].count("running") == slots  # noqa: E731
        eventually(is_full, "the worker to be full")
        eventually(lambda: canaries(line), "it to leave its canary")
        waits = {str(job_id) for job_id in jobs if line.job(job_id).state == "pending"}
        assert job_ids_in(line, "ringback:errands") == waits
        assert len(waits) == waiting
        assert line.redis.keys("ringback:unacked*") == [], "no copy of what it took"
        assert [line.job(job_id).state for job_id in jobs].count("running") == slots


def canaries(line: Line) -> list[str]:
    """Return the lists that hold a canary at this moment."""
    return [str(key) for key in line.redis.keys("*canary*")]


def test_a_canary_expires_by_itself_and_binds_nothing(line: Line) -> None:
    canary = Canary(lambda _: None)
    assert canary.send(line.redis_url)
    assert canary.send(line.redis_url)
    assert line.redis.keys("*") == [f"ringback:{canary.queue}"]
    assert 0 < line.redis.pttl(f"ringback:{canary.queue}") <= 10_000


def test_canaries_share_a_connection_and_one_that_broke_is_replaced_at_once(line: Line) -> None:
    canary = Canary(lambda _: None)
    assert canary.send(line.redis_url)
    opened = int(line.redis.info("stats")["total_connections_received"])
    assert canary.send(line.redis_url)
    assert int(line.redis.info("stats")["total_connections_received"]) == opened
    line.redis.client_kill_filter(_type="normal", skipme=True)
    assert canary.send(line.redis_url), "a broken connection is no Redis that is away"
    assert line.redis.llen(f"ringback:{canary.queue}") == 3


def test_a_canary_says_that_redis_did_not_take_it() -> None:
    assert not Canary(lambda _: None).send("redis://127.0.0.1:1/0")


def test_a_worker_that_stood_still_ends_and_the_outcome_of_the_other_stays(line: Line, tmp_path: object) -> None:
    path = f"{tmp_path}/attempts"
    with line.worker() as stopped:
        job_id = line.ask("linger", path=path)
        line.running(job_id)
        stopped.send_signal(signal.SIGSTOP)
        with line.worker():
            job = line.finished(job_id)
            assert (job.state, job.attempt, job.result) == ("succeeded", 2, 2)
            stopped.send_signal(signal.SIGCONT)
            assert stopped.wait(PATIENCE) == 75
            assert line.job(job_id) == job


def test_a_worker_that_redis_keeps_throwing_out_goes_on(line: Line) -> None:
    with line.worker() as worker:
        jobs = []
        for _ in range(20):
            jobs.append(line.ask("echo", text="x"))
            line.redis.client_kill_filter(_type="normal", skipme=True)
        eventually(lambda: states(line, jobs) == {"succeeded"}, "all of it to be done")
        assert worker.poll() is None


def test_a_stopping_worker_whose_redis_says_nothing_ends_in_time(line: Line) -> None:
    with (
        before_redis(line.redis_url) as (proxy, through),
        line.worker(REDIS_URL=through, RINGBACK_WORKER_DRAIN_SECONDS="1") as worker,
    ):
        job_id = line.ask("nap", seconds=25)
        line.running(job_id)
        proxy.blackhole()
        worker.send_signal(signal.SIGTERM)
        assert ends_within(worker, 6.0) == 0, "it does not wait for Redis"
        proxy.heal()
    assert line.job(job_id).error == {"code": "handed_back"}

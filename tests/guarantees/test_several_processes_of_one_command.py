"""Gateways that share one port, and workers of one command: each process has a lease, and is killed and replaced."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import Iterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import psycopg
import pytest

from cli.local_stack.process_group import Process
from cli.local_stack.stack import our
from tests.caller import Caller
from tests.guarantees.toolbox import FOLDER
from tests.guarantees.toolbox.bakery import HERE, SETTINGS, Bakery, baked, heard_times, order
from tests.line import GATEWAYS, ROOT, eventually, running_line
from tests.servers import as_ours, in_dialect

pytestmark = [pytest.mark.anyio, pytest.mark.long, pytest.mark.timeout(120)]

GATEWAY = GATEWAYS[0]
WISHES = "jobs,resume"
DRAINING = 4012
ENOUGH = 16
"""So many callers on two processes: that all come to one of them happens once in 32,000 times."""


@pytest.fixture
def bakery(database: str, redis_db: str, tmp_path: Path) -> Iterator[Bakery]:
    """A gateway of two processes."""
    ledger = tmp_path / "ledger"
    ledger.mkdir()
    with running_line(
        database,
        redis_db,
        tmp_path,
        tools="tests.guarantees.toolbox",
        settings={**SETTINGS, FOLDER: str(ledger), "REDIS_URL": as_ours(redis_db)},
        gateway_settings={"RINGBACK_GATEWAY_PROCESSES": "2"},
        scenario=str(HERE / "bakery.yaml"),
    ) as line:
        eventually(lambda: len(living(line.database, "gateway")) == 2, "both processes to register")
        yield Bakery(line, ledger)


def living(database: str, kind: str) -> set[int]:
    """The pids of processes that hold a lease and have not signed off."""
    query = "SELECT pid FROM processes WHERE kind = %s AND ended_at IS NULL AND lease_until > now()"
    with psycopg.connect(in_dialect(database, "postgresql")) as connection:
        return {pid for (pid,) in connection.execute(query, (kind,))}


def holder(database: str, session_id: str) -> int:
    """The pid of the gateway that holds a session."""
    query = "SELECT pid FROM sessions JOIN processes ON processes.id = gateway_id WHERE sessions.id = %s"
    with psycopg.connect(in_dialect(database, "postgresql")) as connection:
        row = connection.execute(query, (session_id,)).fetchone()
    assert row is not None
    return int(row[0])


async def callers_on_both(stack: AsyncExitStack, bakery: Bakery) -> list[tuple[Caller, int]]:
    """Callers, each with the pid of the process that has it."""
    callers = [await stack.enter_async_context(bakery.line.call(ringback=WISHES)) for _ in range(ENOUGH)]
    for caller in callers:
        await caller.hear_kind("session.created")
    places = [(caller, holder(bakery.line.database, caller.session_id)) for caller in callers]
    assert {pid for _, pid in places} == living(bakery.line.database, "gateway")
    return places


async def test_sessions_of_a_killed_process_go_on_in_the_other_on_the_same_port(bakery: Bakery) -> None:
    line, name = bakery.line, order()
    async with AsyncExitStack() as stack:
        places = await callers_on_both(stack, bakery)
        asker, killed = places[0]
        (other,) = living(line.database, "gateway") - {killed}
        await asker.ask(f"Where is my order {name}?")
        await asker.hear_job("pending")
        os.kill(killed, signal.SIGKILL)
        await asker.hear_goodbye()
        bakery.let_go(name)
        back = await stack.enter_async_context(line.call(resume=asker.token, ringback=WISHES))
        await back.hear_words(baked(name))
        assert back.session_id == asker.session_id
        assert heard_times([asker, back], baked(name)) == 1
        for caller in (caller for caller, pid in places if pid == other):
            await caller.ask("hello")
            await caller.hear_words("Good day.")
        pids = partial(living, line.database, "gateway")
        await asyncio.to_thread(eventually, lambda: len(pids() - {killed}) == 2, "another process to be started")
        assert other in pids()


async def test_one_signal_drains_the_sessions_of_all_processes(bakery: Bakery) -> None:
    line = bakery.line
    async with AsyncExitStack() as stack:
        places = await callers_on_both(stack, bakery)
        os.kill(line.pids[GATEWAY], signal.SIGTERM)
        for caller, _ in places:
            await caller.hear_kind("ringback.session.draining")
            assert (await caller.hear_goodbye())[0] == DRAINING
    await asyncio.to_thread(eventually, lambda: line.has_ended(GATEWAY), "the parent to end")
    assert living(line.database, "gateway") == set(), "each has signed off"
    log = (line.logs / f"{GATEWAY}.log").read_text()
    for _, pid in places:
        assert re.search(rf"\[{pid}\] .*gateway-\S+-{pid}-\S+ is ready", log), "its lines name it"
        assert re.search(rf"\[{pid}\] .*draining: \d+ sessions", log)


async def test_a_worker_of_two_processes_replaces_one_and_ends_with_both(bakery: Bakery, redis_db: str) -> None:
    line = bakery.line
    pids = partial(living, line.database, "worker")
    (alone,) = pids()
    stores = {"DATABASE_URL": line.database, "REDIS_URL": as_ours(redis_db)}
    env = {**stores, "PYTHONPATH": str(ROOT), "RINGBACK_TOOL_MODULES": "tests.guarantees.toolbox"}
    env[FOLDER] = str(line.logs)
    argv = our("worker", "--processes", "2")
    both = Process("both", argv, env, line.logs / "both.log", ready=lambda: len(pids() - {alone}) == 2)
    await asyncio.to_thread(line.start, both)
    killed, other = pids() - {alone}
    os.kill(killed, signal.SIGKILL)
    await asyncio.to_thread(eventually, lambda: len(pids() - {alone, killed}) == 2, "another one to be started")
    assert other in pids()
    os.kill(line.pids["both"], signal.SIGTERM)
    await asyncio.to_thread(eventually, lambda: line.has_ended("both"), "the parent to end")
    await asyncio.to_thread(eventually, lambda: pids() == {alone}, "both to sign off, or to have no lease any more")

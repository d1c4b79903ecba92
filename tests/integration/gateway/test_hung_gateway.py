"""A gateway process whose event loop hangs ends itself, and one that was only paused goes on: whole processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from sqlalchemy import func, select

from ringback.config.settings import postgres_url
from ringback.statements.clock import now, seconds
from ringback.tables import processes
from tests.forked import popen
from tests.integration.toolbox.line import Line, eventually

ROOT = Path(__file__).parents[3]
HERE = "gateway-that-hangs"
SCRIPT = f"""
import asyncio, sys, time
from gateway.background import lease
from gateway.storage.database import Store, lease_connector, open_pool
from ringback.config import logs
from ringback.leases.lease import LeaseTimes

lease.VOUCH_SECONDS = 0.5
url, what = sys.argv[1:]

async def live():
    times = LeaseTimes(seconds=0.8, renew=0.2, margin=0.2)
    held = lease.Lease({HERE!r}, Store(open_pool(url, 1)), lease_connector(url), times)
    await held.register()
    watching = asyncio.create_task(held.watch_loop())
    print("up", flush=True)
    await asyncio.sleep(0)
    if what == "hang":
        stand_still()
    await watching

def stand_still():
    while True:
        time.sleep(0.1)

logs.configure()
asyncio.run(live())
"""

pytestmark = pytest.mark.timeout(60)


@contextmanager
def gateway(line: Line, what: str) -> Iterator[subprocess.Popen[str]]:
    argv, env = [sys.executable, "-c", SCRIPT, postgres_url(line.database), what], {"PYTHONPATH": str(ROOT)}
    process = popen(argv, env={**os.environ, **env}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout
    try:
        assert process.stdout.readline() == "up\n"
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        process.wait()
        process.stdout.close()


def is_true(line: Line, *conditions: object) -> bool:
    with line.engine.connect() as connection:
        row = select(func.count()).where(processes.c.id == HERE, *conditions)  # type: ignore[arg-type]
        return bool(connection.execute(row).scalar_one())


def test_a_gateway_whose_loop_hangs_ends_once_others_have_its_sessions_and_tells_where_it_stands(line: Line) -> None:
    with gateway(line, "hang") as process:
        assert process.stdout
        told = process.stdout.read()
        assert process.wait() == 70
    assert told.count("lease not renewed: the event loop has not turned for 0.5 s") == 1
    assert "the event loop hangs; the process ends" in told
    assert "It is in stand_still (<string>:24), called by live (<string>:19)" in told
    assert is_true(line, processes.c.lease_until < now())


def test_a_gateway_that_was_paused_for_as_long_goes_on(line: Line) -> None:
    with gateway(line, "live") as process:
        os.kill(process.pid, signal.SIGSTOP)
        eventually(lambda: is_true(line, processes.c.lease_until < now() - seconds(1.5)), "its lease to have run out")
        os.kill(process.pid, signal.SIGCONT)
        with line.engine.connect() as connection:
            later = connection.execute(select(now() + seconds(2.5))).scalar_one()
        eventually(lambda: is_true(line, processes.c.lease_until > later), "the lease to be renewed again and again")
        assert process.poll() is None

"""What a gateway and a worker without work ask Postgres: the renewals of their leases, and their looks."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from time import monotonic

import pytest
from sqlalchemy import select

from cli.local_stack.process_group import Process, ProcessGroup
from cli.local_stack.stack import agents_folder, our
from ringback.tables import processes as processes_table
from tests.forked import popen
from tests.integration.toolbox.line import GATEWAY, Line, eventually
from tests.proxy import Proxy, before_postgres

RENEWALS = 4
"""Renewals of one lease, once a second, for which statements are counted."""
STATEMENTS_A_SECOND = 9
"""Most statements of both processes: each renews once, and looks at most two and a half times. Two more are for the
rounds in which they delete what is old. Each waits between two rounds, so a slow machine makes them fewer.
"""
ROUNDS = 4
"""Of both processes, to renew and to look: one of each may be at the beginning of the time, and another at its end."""
TOKEN = "rb_" + "0" * 32
READY = re.compile(r"is ready: agents|ready\.$")


def renewed(line: Line) -> object:
    """Return until when the gateway holds its lease."""
    is_ours = (processes_table.c.kind == "gateway") & (processes_table.c.id != GATEWAY)
    with line.engine.connect() as connection:
        return connection.execute(select(processes_table.c.lease_until).where(is_ours)).scalar_one()


def is_renewed(line: Line, before: object) -> bool:
    return renewed(line) != before


def wait_for_renewals(line: Line, number: int) -> None:
    for _ in range(number):
        eventually(partial(is_renewed, line, renewed(line)), "the lease to be renewed")


@pytest.mark.long  # it waits for six renewals
def test_an_idle_gateway_and_an_idle_worker_ask_for_little(line: Line, tmp_path: Path) -> None:
    with before_postgres(line.database) as (proxy, url), ProcessGroup(popen) as processes:
        env = {**line.environment(), "DATABASE_URL": url, "PYTHONWARNINGS": "ignore"}
        more = {
            "RINGBACK_TOKENS": f"demo:{TOKEN}",
            "RINGBACK_PORT": "0",
            "RINGBACK_AGENTS": str(agents_folder()),
            "REALTIME_PROVIDER": "simulator",
            "REALTIME_URL": "ws://127.0.0.1:9/v1/realtime",
            "OPENAI_WEBHOOK_SECRET": "whsec_" + "A" * 43 + "=",
        }
        for name, environment in (("gateway", {**env, **more}), ("worker", env)):
            processes.start(Process(name, our(name), environment, tmp_path / f"{name}.log", ready=READY))
        wait_for_renewals(line, 2)
        counted, seconds = statements(line, proxy)
        assert 2 * RENEWALS <= counted <= STATEMENTS_A_SECOND * seconds + ROUNDS
        for name in ("gateway", "worker"):
            processes.kill(name)


def statements(line: Line, proxy: Proxy) -> tuple[int, float]:
    """Return how many statements went through while the gateway's lease was renewed `RENEWALS` times, and how long
    that took.
    """
    before, began = proxy.pieces, monotonic()
    wait_for_renewals(line, RENEWALS)
    return proxy.pieces - before, monotonic() - began

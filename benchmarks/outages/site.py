"""An installation to break: two gateways, four workers, a simulator without a voice, and a supervisor."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

from benchmarks.outages.crew import PATIENCE, Crew, supervised
from benchmarks.outages.desk import Desk, open_desk
from benchmarks.outages.tools import FOLDER
from cli.local_stack.embedded_servers import Servers
from cli.local_stack.process_group import Process, ProcessError, free_port
from cli.local_stack.stack import our
from ringback.postgres.migrate import upgrade
from tests.simulated import Simulated

ROOT = Path(__file__).parents[2]
GATEWAYS = ("gateway-1", "gateway-2")
WORKERS = ("worker-1", "worker-2", "worker-3", "worker-4")
SLOTS = 20
"""Calls that each worker runs at once."""
LOOK_SECONDS = 0.01
"""How often a server that comes back is asked whether it is there."""
AGENT = 'instructions = "Tell where an order is."\ntools = ["order_status"]\n'
SCENARIO = Path(__file__).parent / "orders.yaml"
WORKER_READY = re.compile(r"ready\.$")
"""What Celery logs when it consumes; the worker has registered by then."""


@dataclass(frozen=True)
class Site:
    """What runs, and where. `folder` holds the gates, the logs and the simulator's record."""

    servers: Servers
    crew: Crew
    desk: Desk
    folder: Path
    urls: dict[str, str]
    token: str

    @property
    def simulator(self) -> Simulated:
        return Simulated(self.folder)

    def open(self, *gates: str) -> None:
        """Let go what waits at these gates."""
        for gate in gates:
            (self.folder / gate).touch()

    def address(self, gateway: str) -> str:
        """Where a client that wants to resume connects."""
        return f"{self.urls[gateway].replace('http', 'ws', 1)}/v1/realtime?ringback=jobs,resume"

    def stop(self, server: str) -> None:
        """kill -9 of "postgres" or "valkey"."""
        self.servers.processes.kill(server)

    def bring_back(self, server: str, answers: Callable[[], bool]) -> None:
        """Start it again, and return as soon as it answers."""
        back = Thread(target=self._restart, args=(server,), name=f"start of {server}", daemon=True)
        back.start()
        give_up = time.monotonic() + PATIENCE
        while not answers():
            if time.monotonic() > give_up:
                raise TimeoutError(f"{server} did not answer within {PATIENCE:g} s")
            back.join(LOOK_SECONDS)

    def _restart(self, server: str) -> None:
        while True:  # a Postgres that was killed is not to be had until its last child is gone
            try:
                self.servers.processes.restart(server)
            except ProcessError:
                continue
            return


@contextmanager
def open_site(servers: Servers, folder: Path, call_wait_seconds: float) -> Iterator[Site]:
    """Start everything; takes about ten seconds.

    Args:
        call_wait_seconds: how long a call waits for a Postgres that is away.
    """
    upgrade(servers.database_url)
    (folder / "demo.toml").write_text(AGENT)
    urls = {name: f"http://127.0.0.1:{free_port()}" for name in GATEWAYS}
    token = f"rb_{secrets.token_urlsafe(24)}"
    with open_desk(servers.database_url, servers.redis_url) as desk, supervised() as crew:
        site = Site(servers, crew, desk, folder, urls, token)
        port = site.simulator.choose_port()
        gateway = {
            "RINGBACK_TOKENS": f"bench:{token}",
            "RINGBACK_AGENTS": str(folder),
            "RINGBACK_CALL_WAIT_SECONDS": str(call_wait_seconds),
            "REALTIME_PROVIDER": "simulator",
            "REALTIME_URL": f"ws://127.0.0.1:{port}/v1/realtime",
        }
        crew.start(_simulator(site, port), *(_gateway(site, name, gateway) for name in GATEWAYS))
        crew.start(*(worker(name, environment(servers, folder), folder) for name in WORKERS))
        yield site


def environment(servers: Servers, folder: Path) -> dict[str, str]:
    """What every process of ours is told."""
    return {
        "DATABASE_URL": servers.database_url,
        "REDIS_URL": servers.redis_url,
        "RINGBACK_TOOL_MODULES": "benchmarks.outages.tools",
        "RINGBACK_WORKER_CONCURRENCY": str(SLOTS),
        "PYTHONPATH": str(ROOT),
        FOLDER: str(folder),
    }


def worker(name: str, env: dict[str, str], folder: Path) -> Process:
    return Process(name, our("worker"), env, folder / f"{name}.log", ready=WORKER_READY)


def _gateway(site: Site, name: str, settings: dict[str, str]) -> Process:
    url = site.urls[name]
    env = {**environment(site.servers, site.folder), **settings, "RINGBACK_PORT": url.rpartition(":")[2]}
    return Process(name, our("gateway"), env, site.folder / f"{name}.log", ready=f"{url}/readyz", stop_seconds=30)


def _simulator(site: Site, port: int) -> Process:
    argv = our("simulator", "--port", str(port), "--no-voice", "--control", "--scenario", str(SCENARIO))
    argv += ["--record", str(site.simulator.record)]
    ready = f"http://127.0.0.1:{port}/healthz"
    return Process("simulator", argv, log=site.folder / "simulator.log", ready=ready)

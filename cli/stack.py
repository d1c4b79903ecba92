"""Which processes make the whole of Ringback on one machine, and with which settings each is started."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from cli.embedded import embedded_servers
from cli.processes import Process, ProcessGroup, free_port
from ringback.migrating import upgrade

WORKER_READY_SECONDS = 30.0
PROBE_SECONDS = 2.0


BRIEF = {"RINGBACK_DRAIN_SECONDS": "3", "RINGBACK_WORKER_DRAIN_SECONDS": "3"}
"""A person who presses Ctrl-C waits for no conversation to end; well below what a process is given to end in."""


@dataclass(frozen=True)
class Stack:
    """A running stack: where it listens, and the token that opens it."""

    url: str
    token: str
    database_url: str
    redis_url: str
    simulator_url: str
    processes: ProcessGroup

    @property
    def headers(self) -> dict[str, str]:
        """What a request to the history needs."""
        return {"Authorization": f"Bearer {self.token}"}


def agents_folder() -> Path:
    """The agents that ship: inside the wheel beside this file, in a checkout beside this package."""
    here = Path(__file__).parent
    return next(folder for folder in (here / "agents", here.parent / "agents") if folder.is_dir())


def our(*words: str) -> list[str]:
    """A `ringback` command line, run by this very Python."""
    return [sys.executable, "-m", "cli", *words]


@contextmanager
def running_stack(
    folder: Path | None = None,
    *,
    port: int = 0,
    durable: bool = True,
    logs: Path | None = None,
    settings: Mapping[str, str] | None = None,
    simulate: bool = True,
) -> Iterator[Stack]:
    """Run everything for as long as the context lasts.

    Args:
        folder: keeps the databases between runs; a temporary one goes with the context.
        port: the gateway's; 0 takes a free one.
        durable: False lets the databases skip what only a crash of the machine would need.
        logs: a folder for a log of each process; None shows them on stderr.
        settings: more environment for every process.
        simulate: False leaves the simulator's address to somebody else's Realtime API.
    """
    with embedded_servers(folder, durable=durable) as servers, ProcessGroup() as group:
        upgrade(servers.database_url)
        brief = {name: seconds for name, seconds in BRIEF.items() if name not in os.environ}
        env = {"DATABASE_URL": servers.database_url, "REDIS_URL": servers.redis_url, **brief, **(settings or {})}
        stack = Stack(
            url=f"http://127.0.0.1:{port or free_port()}",
            token=f"rb_{secrets.token_urlsafe(24)}",
            database_url=servers.database_url,
            redis_url=servers.redis_url,
            simulator_url=f"ws://127.0.0.1:{free_port()}/v1/realtime",
            processes=group,
        )
        # Most of a start is Python importing things: two at a time, on the two cores that everybody has.
        with ThreadPoolExecutor(2) as threads:
            simulator = threads.submit(_start_simulator, group, stack, logs) if simulate else None
            _start_gateway(group, stack, env, logs)
            _start_worker(group, stack, env, logs)
            if simulator:
                simulator.result()
        yield stack


def _start_simulator(group: ProcessGroup, stack: Stack, logs: Path | None) -> None:
    address = urlsplit(stack.simulator_url)
    argv = our("simulator", "--host", "127.0.0.1", "--port", str(address.port))
    if find_spec("hibari") is None:
        argv.append("--no-voice")
    ready = f"http://{address.netloc}/healthz"
    group.start(Process("simulator", argv, ready=ready, log=_log(logs, "simulator")))


def _start_gateway(group: ProcessGroup, stack: Stack, env: Mapping[str, str], logs: Path | None) -> None:
    gateway = {
        "RINGBACK_TOKENS": f"demo:{stack.token}",
        "RINGBACK_PORT": stack.url.rpartition(":")[2],
        "RINGBACK_AGENTS": str(agents_folder()),
        **_upstream(stack, env),
        **env,
    }
    group.start(Process("gateway", our("gateway"), env=gateway, ready=f"{stack.url}/readyz", log=_log(logs, "gateway")))


def _upstream(stack: Stack, env: Mapping[str, str]) -> dict[str, str]:
    """The simulator, unless somebody chose a provider: that one keeps its own address."""
    if env.get("REALTIME_PROVIDER", "simulator") != "simulator":
        return {}
    return {"REALTIME_PROVIDER": "simulator", "REALTIME_URL": stack.simulator_url}


def _start_worker(group: ProcessGroup, stack: Stack, env: Mapping[str, str], logs: Path | None) -> None:
    def serves_tools() -> bool:
        answer = httpx.get(f"{stack.url}/v1/tools", headers=stack.headers, timeout=PROBE_SECONDS)
        return bool(answer.json()["data"])

    group.start(
        Process(
            "worker",
            our("worker"),
            env=env,
            ready=serves_tools,
            ready_seconds=WORKER_READY_SECONDS,
            log=_log(logs, "worker"),
        )
    )


def _log(logs: Path | None, name: str) -> Path | None:
    return logs / f"{name}.log" if logs else None

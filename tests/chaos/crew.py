"""The processes of a chaos run, and the supervisor that starts again what ended, as compose would."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx
import psutil
import redis

from cli.local_stack.embedded_servers import Servers
from cli.local_stack.process_group import Process, ProcessError, ProcessGroup
from cli.local_stack.stack import our
from tests.chaos import rows
from tests.chaos.ledger import EFFECTS
from tests.forked import popen
from tests.line import KEY, ROOT, eventually
from tests.local_http import LOCAL
from tests.ports import kept_port
from tests.servers import frozen

RESUME_SECONDS = 20
"""How long a session waits for its client here; a run should not end with two minutes of waiting for those."""
DRAIN_SECONDS = 4
STOP_GRACE_SECONDS = 12.0
"""As compose's stop_grace_period: what was asked to end and still runs then is killed."""
RESTART_TRIES = 20
RESTART_PAUSE_SECONDS = 0.5


@dataclass(frozen=True)
class Away:
    """Somebody was not there, or did nothing, for so long (wall clock)."""

    name: str
    since: float
    until: float


@dataclass
class Crew:
    """Gateways, workers, the fake Realtime API, and the two servers; each has a name that the nemesis uses."""

    servers: Servers
    group: ProcessGroup
    folder: Path
    ports: dict[str, int]
    upstream_port: int
    away: list[Away] = field(default_factory=list)
    crashes: list[float] = field(default_factory=list)
    """When Postgres was killed."""
    ends: Counter[str] = field(default_factory=Counter)
    """How often a process ended, by kind and exit code."""
    _pids: dict[str, int] = field(default_factory=dict)
    _processes: dict[str, Process] = field(default_factory=dict)
    _locks: dict[str, threading.Lock] = field(default_factory=dict)
    _over: threading.Event = field(default_factory=threading.Event)

    @property
    def gateways(self) -> list[str]:
        return sorted(self.ports)

    @property
    def workers(self) -> list[str]:
        return sorted(name for name in self._processes if name.startswith("worker"))

    def hire(self, process: Process) -> None:
        """Start it, and start it again whenever it ends."""
        self._processes[process.name] = process
        self._pids[process.name] = self.group.start(process)

    def supervise(self) -> None:
        """From now on; in a thread of its own, because waiting blocks."""
        threading.Thread(target=self._watch, name="supervisor", daemon=True).start()

    def signal(self, name: str, which: signal.Signals) -> None:
        """To the process that bears this name now, and its children; the supervisor sees it end as any other."""
        with suppress(ProcessLookupError, KeyError):
            os.killpg(self._pids[name], which)

    def kill(self, name: str) -> None:
        now = time.time()
        self.away.append(Away(name, now, now + STOP_GRACE_SECONDS / 2))
        self.signal(name, signal.SIGKILL)

    def ask_to_end(self, name: str) -> None:
        """SIGTERM, and SIGKILL where it was not enough."""
        pid = self._pids.get(name)
        self.signal(name, signal.SIGTERM)
        if not self._over.wait(STOP_GRACE_SECONDS) and pid is not None and self._pids.get(name) == pid:
            self.ends[f"{name.rstrip('0123456789')} did not end in time"] += 1
            self.signal(name, signal.SIGKILL)

    def pause(self, name: str, seconds: float) -> None:
        """It keeps its sockets and does nothing."""
        since = time.time()
        self.signal(name, signal.SIGSTOP)
        self._over.wait(seconds)
        self.signal(name, signal.SIGCONT)  # to its successor, where it was killed meanwhile; that is harmless
        self.away.append(Away(name, since, time.time()))

    def restart_server(self, name: str, down: float) -> None:
        """kill -9 of postgres or valkey, and the same again on the same data."""
        with self._locks.setdefault(name, threading.Lock()):
            since = time.time()
            self.servers.processes.kill(name)
            if name == "postgres":
                self.crashes.append(time.time())
            self._over.wait(down)
            self._start_server(name)
            self.away.append(Away(name, since, time.time()))

    def freeze_redis(self, seconds: float) -> None:
        with self._locks.setdefault("valkey", threading.Lock()):
            self.servers.processes.pause("valkey")
            self._over.wait(seconds)
            self.servers.processes.resume("valkey")

    def freeze_postgres(self, seconds: float) -> None:
        """Every process of it."""
        with self._locks.setdefault("postgres", threading.Lock()):
            since = time.time()
            with ExitStack() as standing:
                for child in psutil.Process().children():
                    if child.name() == "postgres":
                        standing.enter_context(frozen(child))
                self._over.wait(seconds)
            self.away.append(Away("postgres", since, time.time()))

    def freeze(self, process: psutil.Process, seconds: float) -> None:
        """One process, which belongs to none of the crew."""
        process.suspend()
        self._over.wait(seconds)
        process.resume()

    def command_upstream(self, path: str, **query: str | float) -> None:
        with suppress(httpx.HTTPError):
            LOCAL.get(f"http://127.0.0.1:{self.upstream_port}/{path}", params=query, timeout=2)

    def redis(self) -> redis.Redis:
        return redis.Redis.from_url(self.servers.keeper_redis_url, socket_timeout=1, socket_connect_timeout=1)

    def calm(self) -> None:
        """No more faults: those under way end now."""
        self._over.set()

    def _start_server(self, name: str) -> None:
        for last in range(RESTART_TRIES):
            try:
                self.servers.processes.restart(name)
            except ProcessError:  # its predecessor's children may hold its memory for a moment
                if last == RESTART_TRIES - 1:
                    raise
                threading.Event().wait(RESTART_PAUSE_SECONDS)
            else:
                return

    def _watch(self) -> None:
        while True:
            ended = self.group.wait()
            self.ends[f"{ended.name.rstrip('0123456789')} {ended.returncode}"] += 1
            with suppress(ProcessError, ValueError):
                self._pids[ended.name] = self.group.start(self._processes[ended.name])


@contextmanager
def crew_at_work(
    servers: Servers, folder: Path, tokens: Mapping[int, str], *, gateways: int, workers: int, seed: int
) -> Iterator[Crew]:
    """Everything started and ready; ended to the last process when the context ends."""
    effects = folder / "effects.jsonl"
    effects.touch()
    with ProcessGroup(popen) as group:
        ports = {f"gateway{number}": kept_port() for number in range(1, gateways + 1)}
        crew = Crew(servers, group, folder, ports, kept_port())
        stores = {"DATABASE_URL": servers.database_url, "REDIS_URL": servers.redis_url, "PYTHONPATH": str(ROOT)}
        argv: list[str | Path] = [
            sys.executable,
            "-m",
            "tests.chaos.upstream",
            str(crew.upstream_port),
            folder / "wire.jsonl",
            str(seed),
        ]
        group.start(Process("upstream", argv, {"PYTHONPATH": str(ROOT)}, folder / "upstream.log"))
        for number in range(1, workers + 1):
            crew.hire(_worker(f"worker{number}", stores, folder, effects))
        for name in ports:
            crew.hire(_gateway(name, crew, stores, tokens))
        for port in (crew.upstream_port, *ports.values()):
            eventually(partial(_answers, port), f"port {port} answers")
        eventually(lambda: rows.live_workers(servers.database_url) == workers, "every worker has signed on")
        crew.supervise()
        try:
            yield crew
        finally:
            crew.calm()


def _worker(name: str, stores: Mapping[str, str], folder: Path, effects: Path) -> Process:
    env = {
        "RINGBACK_TOOL_MODULES": "tests.chaos.toolbox",
        "RINGBACK_WORKER_DRAIN_SECONDS": str(DRAIN_SECONDS),
        "RINGBACK_WORKER_CONCURRENCY": "24",
        EFFECTS: str(effects),
        **stores,
    }
    return Process(name, our("worker"), env, folder / f"{name}.log")


def _gateway(name: str, crew: Crew, stores: Mapping[str, str], tokens: Mapping[int, str]) -> Process:
    env = {
        "RINGBACK_TOKENS": ",".join(f"client{number}:{token}" for number, token in tokens.items()),
        "RINGBACK_HOST": "127.0.0.1",
        "RINGBACK_PORT": str(crew.ports[name]),
        "RINGBACK_AGENTS": str(ROOT / "tests" / "chaos" / "agents"),
        "RINGBACK_DEFAULT_AGENT": "chaos",
        "RINGBACK_RESUME_SECONDS": str(RESUME_SECONDS),
        "RINGBACK_DRAIN_SECONDS": str(DRAIN_SECONDS),
        "RINGBACK_ROTATE_BEFORE_SECONDS": "5",
        "REALTIME_PROVIDER": "simulator",
        "REALTIME_URL": f"ws://127.0.0.1:{crew.upstream_port}/v1/realtime",
        "REALTIME_API_KEY": KEY,
        **stores,
    }
    return Process(name, our("gateway"), env, crew.folder / f"{name}.log")


def _answers(port: int) -> bool:
    paths = ("healthz", "readyz")
    with suppress(httpx.HTTPError):
        return any(LOCAL.get(f"http://127.0.0.1:{port}/{path}", timeout=2).is_success for path in paths)
    return False

"""The whole line for tests: gateways and a worker as real processes, and callers that talk to them.

`running_line` starts them on a Postgres and a Redis that are there already (fixtures of `tests/conftest.py`), behind
an upstream of the test's choice or, by default, the simulator. Each is to be killed, paused and restarted by its name.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Event as ThreadEvent
from time import monotonic
from typing import Any
from urllib.parse import urlencode

import httpx
import psutil
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from cli.local_stack.process_group import Process, ProcessError, ProcessGroup
from cli.local_stack.stack import agents_folder, our
from tests.caller import PATIENCE, Caller, Event, message, spoken
from tests.forked import popen
from tests.local_http import LOCAL
from tests.ports import kept_port
from tests.servers import as_ours
from tests.simulated import Simulated
from workers.leases.lease import FENCED_EXIT

__all__ = ["PATIENCE", "PLACED", "Caller", "Event", "are_placed", "eventually", "message", "running_line", "spoken"]

ROOT = Path(__file__).parents[1]
LOOK_SECONDS = 0.05
PLACED = frozenset({"acked", "replayed", "spoken", "heard"})
"""Deliveries of a result that its conversation is known to have: a response may tell it at any moment."""
TEST_PROCESSES = 5
"""As many may share one Redis that was given to the tests: it has 16 logical databases, of which each takes three."""
OF_A_FOLDER, OF_A_FILE = 1 + TEST_PROCESSES, 1 + 2 * TEST_PROCESSES
"""The first logical database for what a folder of tests shares, or a file in it; before them are those of one test."""

HELD_UP = b"was held up a moment ago"
"""What a gateway says that had too little of a core, and takes no new session for some seconds."""
TOKEN = "rb_token-of-the-tests-own-client"
OTHER_TOKEN = "rb_token-of-somebody-else-here"
KEY = "sk-key-that-never-leaves-the-server"

# As `ringback gateway` would be with every logger at its most talkative.
DEBUGGING = """
import logging, sys
logging.basicConfig(level=logging.DEBUG)
sys.argv = ["ringback", "gateway"]
from cli.main import main
main()
"""

GATEWAYS = ("gateway", "gateway-2")
"""Names of processes; `url` is that of the first."""


@dataclass(frozen=True)
class Line:
    """Running gateways with a worker behind them. `logs` holds a log of each process, `database` is the rows' URL."""

    url: str
    database: str
    logs: Path
    processes: ProcessGroup
    second_url: str = ""
    pids: dict[str, int] = field(default_factory=dict)
    simulators: list[Simulated] = field(default_factory=list)

    def start(self, process: Process) -> None:
        self.pids[process.name] = supervised(partial(self.processes.start, process))

    def restart(self, name: str) -> None:
        """Start it again, dead or alive."""
        self.pids[name] = supervised(partial(self.processes.restart, name))

    def has_ended(self, name: str) -> bool:
        return not psutil.pid_exists(self.pids[name])

    def revive(self) -> None:
        """Start again whoever has ended, as a supervisor does."""
        for name in [name for name in self.pids if self.has_ended(name)]:
            self.restart(name)

    def make_whole(self) -> None:
        """Revive what ends, one that still drains among it, until every gateway takes sessions.

        A gateway that was held up a moment ago, as by a pause, does not yet.
        """
        eventually(self._is_whole, "every gateway to take sessions")

    def _is_whole(self) -> bool:
        """Start again what has ended, maybe while this asks it."""
        self.revive()
        return all(self._is_ready(name) for name in GATEWAYS if name in self.pids)

    @property
    def simulator(self) -> Simulated:
        """What the gateways talk to, unless the test brought another upstream."""
        (simulator,) = self.simulators
        return simulator

    def url_of(self, gateway: str) -> str:
        return self.url if gateway == GATEWAYS[0] else self.second_url

    def address(self, on: str = GATEWAYS[0], **query: str) -> str:
        """The WebSocket URL, as a client that speaks the bare protocol would use it."""
        return f"{self.url_of(on).replace('http', 'ws', 1)}/v1/realtime?{urlencode(query)}"

    @asynccontextmanager
    async def call(
        self, token: str = TOKEN, *, on: str = GATEWAYS[0], resume: str | None = None, **query: str
    ) -> AsyncIterator[Caller]:
        """A client on the line, from the upgrade to its own goodbye; `resume` is the token that it comes back with."""
        headers = {"Authorization": f"Bearer {token}", **({"Ringback-Resume": resume} if resume else {})}
        async with await self.upgraded(on, headers, **query) as socket:
            yield Caller(socket)

    async def upgraded(
        self,
        on: str = GATEWAYS[0],
        headers: Mapping[str, str] | None = None,
        subprotocols: Sequence[str] | None = None,
        **query: str,
    ) -> ClientConnection:
        """Connect; if the gateway was held up a moment ago, come back as it asks, once it takes sessions again.

        Raises:
            InvalidStatus: it refuses the upgrade for another reason.
        """
        where, offered = self.address(on, **query), [Subprotocol(name) for name in subprotocols or ()]
        # Without a bound on what is not heard yet: a test that stops listening would wait 10 s for its goodbye.
        how: dict[str, Any] = {"max_size": None, "max_queue": None, "open_timeout": PATIENCE}
        while True:
            try:
                return await connect(where, additional_headers=headers, subprotocols=offered or None, **how)
            except InvalidStatus as refused:
                if HELD_UP not in (refused.response.body or b""):
                    raise
            await asyncio.to_thread(eventually, partial(self._is_ready, on), "the gateway to take sessions")

    def _is_ready(self, gateway: str) -> bool:
        """Return False also if it ends, or has ended."""
        try:
            return LOCAL.get(f"{self.url_of(gateway)}/readyz").is_success
        except httpx.TransportError:
            return False

    async def ask_for_the_weather(self) -> None:
        """One call of a shipped tool goes all the way round."""
        async with self.call() as caller:
            await caller.hear_kind("session.created")
            await caller.ask("What is the weather in London UK?")
            await caller.hear_kind("conversation.item.done")
            session_id = caller.session_id
            find = partial(self.get, f"/v1/jobs?session={session_id}&state=succeeded")
            await asyncio.to_thread(eventually, lambda: find()["data"], "the call has succeeded")

    def get(self, path: str, token: str = TOKEN, on: str = GATEWAYS[0]) -> Any:
        """The JSON of a GET to the history."""
        answer = LOCAL.get(f"{self.url_of(on)}{path}", headers={"Authorization": f"Bearer {token}"})
        answer.raise_for_status()
        return answer.json()

    def post(self, path: str, token: str = TOKEN, on: str = GATEWAYS[0]) -> Any:
        """The JSON of a POST to the control routes."""
        answer = LOCAL.post(f"{self.url_of(on)}{path}", headers={"Authorization": f"Bearer {token}"})
        answer.raise_for_status()
        return answer.json()

    def jobs(self, session_id: str) -> list[Event]:
        """The calls of one session, as the history lists them."""
        listed: list[Event] = self.get(f"/v1/jobs?session={session_id}")["data"]
        return listed

    def upstream_frames(self) -> list[Event]:
        """What the gateways have sent to the simulator so far, all sessions together."""
        return [event for events in self.simulator.heard().values() for event in events]


def supervised(start: Callable[[], int]) -> int:
    """Start a process, again if it asks for that: one that gets no core loses its lease before it is ready."""
    while True:
        try:
            return start()
        except ProcessError as problem:
            if f"exited with code {FENCED_EXIT}" not in str(problem):
                raise


def are_placed(jobs: list[dict[str, Any]]) -> bool:
    """Return True if there are jobs, and the conversation has the result of each."""
    return bool(jobs) and all(job["delivery"] in PLACED for job in jobs)


def eventually(look: Callable[[], Any], what: str) -> Any:
    """Look again and again until there is something; returns it."""
    give_up = monotonic() + PATIENCE
    while not (found := look()):
        if monotonic() > give_up:
            raise AssertionError(f"waited {PATIENCE:g} s in vain: {what}")
        ThreadEvent().wait(LOOK_SECONDS)
    return found


@contextmanager
def running_line(
    database: str,
    redis: str,
    logs: Path,
    *,
    upstream: str | None = None,
    tools: str | None = None,
    agents: Path | None = None,
    debug: bool = False,
    settings: Mapping[str, str] | None = None,
    gateway_settings: Mapping[str, str] | None = None,
    second_settings: Mapping[str, str] | None = None,
    gateways: int = 1,
    scenario: str = "demo",
    voice: bool = False,
    ears: str = "sphinx",
) -> Iterator[Line]:
    """Run gateways and a worker for as long as the context lasts.

    Args:
        upstream: the Realtime API's URL; None starts the simulator, which records its frames and takes orders.
        tools: the modules with the worker's tools; None means the ones that ship.
        agents: the folder of agents; None means the ones that ship.
        debug: every logger of the gateway at its most talkative.
        settings: more environment for all of them.
        gateway_settings: more of it for gateways alone.
        second_settings: more of it for the second gateway.
        gateways: one, or two on the same databases.
        scenario: the simulator's, by name or path.
        voice: the simulator hears and speaks; else a chime is all its sound, which costs a hundredth of the CPU.
        ears: what a voice is heard with: sphinx is up at once, and takes little memory.
    """
    with ProcessGroup(popen) as group:
        second_url = f"http://127.0.0.1:{kept_port()}" if gateways > 1 else ""
        line = Line(f"http://127.0.0.1:{kept_port()}", database, logs, group, second_url)
        env = {"DATABASE_URL": database, "REDIS_URL": as_ours(redis), "PYTHONPATH": str(ROOT), **(settings or {})}
        env["RINGBACK_TOOL_MODULES"] = tools or "workers.tools"
        upstream = upstream or _start_simulator(line, scenario, voice, ears)
        with ThreadPoolExecutor(2) as threads:  # most of a start is Python importing things
            given = {**env, **(gateway_settings or {})}
            of_each = (given, {**given, **(second_settings or {})})
            start = partial(start_gateway, line, upstream, agents=agents, debug=debug)
            list(threads.map(lambda name, env: start(env, name=name), GATEWAYS[:gateways], of_each))
        line.start(Process("worker", our("worker"), env, logs / "worker.log", ready=lambda: _serves_tools(line)))
        yield line


def start_gateway(
    line: Line,
    upstream: str,
    env: Mapping[str, str],
    *,
    name: str = GATEWAYS[0],
    agents: Path | None = None,
    debug: bool = False,
) -> None:
    """Start a gateway of a line, and wait until it takes sessions."""
    url = line.url_of(name)
    gateway = {
        "RINGBACK_TOKENS": f"tester:{TOKEN},somebody:{OTHER_TOKEN}",
        "RINGBACK_HOST": "127.0.0.1",
        "RINGBACK_PORT": url.rpartition(":")[2],
        "RINGBACK_AGENTS": str(agents or agents_folder()),
        "REALTIME_PROVIDER": "simulator",
        "REALTIME_URL": upstream,
        "REALTIME_API_KEY": KEY,
        **env,
    }
    argv = [sys.executable, "-c", DEBUGGING] if debug else our("gateway")
    line.start(Process(name, argv, gateway, line.logs / f"{name}.log", ready=f"{url}/readyz"))


def _start_simulator(line: Line, scenario: str, voice: bool, ears: str) -> str:
    line.simulators.append(Simulated(line.logs))
    port = line.simulator.choose_port()
    argv = our("simulator", "--port", str(port), "--key", KEY, "--control", "--scenario", scenario)
    argv += [
        "--record",
        str(line.simulator.record),
        *(["--ears", ears] if voice else ["--no-voice", "--media", "none"]),
    ]
    line.start(Process("simulator", argv, log=line.logs / "simulator.log", ready=f"http://127.0.0.1:{port}/healthz"))
    return f"ws://127.0.0.1:{port}/v1/realtime"


def _serves_tools(line: Line) -> bool:
    """Whoever of the gateways lives may tell; a killed one is not gone at once."""
    for name in GATEWAYS:
        if name in line.pids and not line.has_ended(name):
            with suppress(httpx.TransportError):
                return bool(line.get("/v1/tools", on=name)["data"])
    return False


def redis_number(first: int) -> int:
    """The logical database of this test process for what is shared so widely (`OF_A_FOLDER`)."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
    return first + int(worker.removeprefix("gw")) % TEST_PROCESSES

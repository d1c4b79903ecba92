"""The whole line for tests: a gateway and a worker as real processes, and callers that talk to them.

`running_line` starts them on a Postgres and a Redis that are there already (fixtures of `tests/conftest.py`), behind
an upstream of the test's choice or, by default, the simulator. A `Caller` is the barest client there can be: JSON
frames over a WebSocket, and a record of all that it heard.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event as ThreadEvent
from time import monotonic
from typing import Any
from urllib.parse import urlencode

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from cli.processes import Process, ProcessGroup, free_port
from cli.stack import agents_folder, our

ROOT = Path(__file__).parents[1]
PATIENCE = 45.0
"""Seconds until a test says that something will not happen; nothing here takes one on an idle machine."""
LOOK_SECONDS = 0.05
TEST_PROCESSES = 3
"""As many may share one Redis that was given to the tests: it has 16 databases, and each tier wants its own."""

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

Event = dict[str, Any]


@dataclass(frozen=True)
class Line:
    """A running gateway with a worker behind it. `logs` holds a log of each process, `database` is the rows' URL."""

    url: str
    database: str
    logs: Path
    processes: ProcessGroup

    def address(self, **query: str) -> str:
        """The WebSocket URL, as a client that speaks the bare protocol would use it."""
        return f"{self.url.replace('http', 'ws', 1)}/v1/realtime?{urlencode(query)}"

    @asynccontextmanager
    async def call(self, token: str = TOKEN, **query: str) -> AsyncIterator[Caller]:
        """A client on the line, from the upgrade to its own goodbye."""
        headers = {"Authorization": f"Bearer {token}"}
        async with connect(self.address(**query), additional_headers=headers, max_size=None) as socket:
            yield Caller(socket)

    def get(self, path: str, token: str = TOKEN) -> Any:
        """The JSON of a GET to the history."""
        answer = httpx.get(f"{self.url}{path}", headers={"Authorization": f"Bearer {token}"}, timeout=PATIENCE)
        answer.raise_for_status()
        return answer.json()

    def jobs(self, session_id: str) -> list[Event]:
        """The calls of one session, as the history lists them."""
        listed: list[Event] = self.get(f"/v1/jobs?session={session_id}")["data"]
        return listed

    def upstream_frames(self) -> list[Event]:
        """What the gateway has sent to the simulator so far, all sessions together."""
        lines = (self.logs / "wire.jsonl").read_text(encoding="utf-8").splitlines()
        return [entry["event"] for entry in map(json.loads, lines) if entry["direction"] == "in"]


@dataclass
class Caller:
    """A bare client: what it heard, frame by frame, stays in `frames` as it came."""

    socket: ClientConnection
    frames: list[str] = field(default_factory=list)

    @property
    def heard(self) -> list[Event]:
        return [json.loads(frame) for frame in self.frames]

    @property
    def session_id(self) -> str:
        """As the gateway names this session, in its first event."""
        return str(self.heard[0]["session"]["id"])

    async def send(self, event: Event) -> None:
        await self.socket.send(json.dumps(event))

    async def ask(self, text: str) -> None:
        """Type a question and ask for an answer, as the recorded clients do."""
        content = [{"type": "input_text", "text": text}]
        await self.send({"type": "conversation.item.create", "item": message(content)})
        await self.send({"type": "response.create"})

    async def hear(self) -> Event:
        """The next event; raises ConnectionClosed where there is none."""
        async with asyncio.timeout(PATIENCE):
            frame = await self.socket.recv()
        assert isinstance(frame, str), "the gateway speaks JSON text"
        self.frames.append(frame)
        event: Event = json.loads(frame)
        return event

    async def hear_until(self, found: Callable[[Event], bool]) -> Event:
        """The first event from now on that is meant."""
        while not found(event := await self.hear()):
            pass
        return event

    async def hear_kind(self, kind: str) -> Event:
        return await self.hear_until(lambda event: event["type"] == kind)

    async def hear_answer(self) -> str:
        """What the model says in the next response that says anything at all after its functions were run."""
        done = await self.hear_until(lambda event: event["type"] == "response.done" and bool(spoken(event)))
        return spoken(done)

    async def hear_goodbye(self) -> tuple[int, str]:
        """Listen to the end: the close code and reason; 1006 where the gateway hung up without any."""
        try:
            while True:
                await self.hear()
        except ConnectionClosed as closed:
            return (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (1006, "")


def message(content: Sequence[Event], role: str = "user") -> Event:
    return {"type": "message", "role": role, "content": list(content)}


def spoken(response_done: Event) -> str:
    """Text or transcript of a whole response."""
    parts = [part for item in response_done["response"].get("output") or [] for part in item.get("content") or []]
    return " ".join(part.get("transcript") or part.get("text") or "" for part in parts).strip()


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
) -> Iterator[Line]:
    """Run a gateway and a worker for as long as the context lasts.

    Args:
        upstream: the Realtime API's URL; None starts the simulator, which records its frames.
        tools: the modules with the worker's tools; None means the ones that ship.
        agents: the folder of agents; None means the ones that ship.
        debug: every logger of the gateway at its most talkative.
        settings: more environment for all of them.
    """
    with ProcessGroup() as group:
        line = Line(f"http://127.0.0.1:{free_port()}", database, logs, group)
        env = {"DATABASE_URL": database, "REDIS_URL": redis, "PYTHONPATH": str(ROOT), **(settings or {})}
        env["RINGBACK_TOOL_MODULES"] = tools or "workers.tools"
        start_gateway(line, upstream or _start_simulator(group, logs), env, agents=agents, debug=debug)
        group.start(Process("worker", our("worker"), env, logs / "worker.log", ready=lambda: _serves_tools(line)))
        yield line


def start_gateway(
    line: Line, upstream: str, env: Mapping[str, str], *, agents: Path | None = None, debug: bool = False
) -> None:
    """Start the gateway of a line, and wait until it takes sessions."""
    gateway = {
        "RINGBACK_TOKENS": f"tester:{TOKEN},somebody:{OTHER_TOKEN}",
        "RINGBACK_HOST": "127.0.0.1",
        "RINGBACK_PORT": line.url.rpartition(":")[2],
        "RINGBACK_AGENTS": str(agents or agents_folder()),
        "REALTIME_PROVIDER": "simulator",
        "REALTIME_URL": upstream,
        "REALTIME_API_KEY": KEY,
        **env,
    }
    argv = [sys.executable, "-c", DEBUGGING] if debug else our("gateway")
    line.processes.start(Process("gateway", argv, gateway, line.logs / "gateway.log", ready=f"{line.url}/readyz"))


def _start_simulator(group: ProcessGroup, logs: Path) -> str:
    port = free_port()
    argv = our("simulator", "--port", str(port), "--key", KEY, "--record", str(logs / "wire.jsonl"))
    group.start(Process("simulator", argv, log=logs / "simulator.log", ready=f"http://127.0.0.1:{port}/healthz"))
    return f"ws://127.0.0.1:{port}/v1/realtime"


def _serves_tools(line: Line) -> bool:
    return bool(line.get("/v1/tools")["data"])


def redis_number(first: int) -> int:
    """A logical database for a line that lives as long as the test process: one for each process and tier."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
    return first + int(worker.removeprefix("gw")) % TEST_PROCESSES

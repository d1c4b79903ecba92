"""Starts all processes of Ringback on one machine, each with its settings."""

from __future__ import annotations

import os
import re
import secrets
import ssl
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psycopg

from cli.local_stack.certificate import Certificate, certificate_in
from cli.local_stack.embedded_servers import embedded_servers
from cli.local_stack.process_group import Process, ProcessGroup
from cli.local_stack.saved_stack import SavedStack, is_free
from ringback.agents.agent import Agent, load_agents
from ringback.errors import ConfigurationError
from ringback.postgres.connections import connect, execute
from ringback.postgres.migrate import upgrade
from ringback.postgres.statement import Runnable
from ringback.statements.history import all_processes
from ringback.statements.processes import live_tools
from ringback.tables import DEFAULT_TENANT

WORKER_READY_SECONDS = 30.0
PROBE_SECONDS = 2.0


BRIEF = {"RINGBACK_DRAIN_SECONDS": "3", "RINGBACK_WORKER_DRAIN_SECONDS": "3"}
"""After Ctrl-C no user waits for a conversation to end; well below the stop time of a process."""


@dataclass(frozen=True)
class Stack:
    """A running stack: its addresses and its token."""

    url: str
    token: str
    database_url: str
    redis_url: str
    simulator_url: str
    processes: ProcessGroup
    certificate: Certificate | None = None
    """Of a gateway that speaks TLS itself."""
    page_socket: Path = Path("page.sock")
    """Where `ringback up` answers what the page asks."""
    page_token: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    """Of this start; it is in `page_link`, and nowhere else."""
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Environment of every process of the stack, beside that of this process."""

    @property
    def headers(self) -> dict[str, str]:
        """Headers for a request to the history."""
        return {"Authorization": f"Bearer {self.token}"}

    @property
    def page_link(self) -> str:
        """Address of the page that talks. A browser sends what stands behind the `#` to no server."""
        return f"{self.url}/#demo={self.page_token}"

    def get(self, path: str) -> httpx.Response | None:
        """Send a GET request to the gateway, without a proxy; return None if it does not answer."""
        with suppress(httpx.HTTPError):
            return self._request("GET", path)
        return None

    def console_link(self) -> str:
        """Return the console's address, which signs in once; without the sign-in if the gateway makes no link."""
        path = "/console"
        with suppress(httpx.HTTPError):
            answer = self._request("POST", "/console/links")
            path = answer.json()["path"] if answer.is_success else path
        return f"{self.url}{path}"

    def post(self, path: str, body: Mapping[str, Any]) -> httpx.Response:
        """Send a POST request to the gateway, without a proxy; raise httpx.HTTPError if it does not answer."""
        return self._request("POST", path, json=body)

    def _request(self, method: str, path: str, **more: Any) -> httpx.Response:
        trusted = ssl.create_default_context(cafile=self.certificate.certificate) if self.certificate else False
        with httpx.Client(verify=trusted, trust_env=False, timeout=PROBE_SECONDS) as client:
            return client.request(method, f"{self.url}{path}", headers=self.headers, **more)

    def listed(self, path: str) -> list[dict[str, Any]]:
        """Return the list at this path, such as `/v1/workers`; empty if the gateway does not answer."""
        answer = self.get(path)
        return list(answer.json()["data"]) if answer is not None and answer.is_success else []

    def runs(self, worker: int) -> bool:
        """Return whether the worker with this process id has registered, and its lease holds."""
        rows = self._rows(all_processes(DEFAULT_TENANT))
        return any(row.kind == "worker" and row.alive and row.pid == worker for row in rows)

    def unoffered(self) -> list[str]:
        """Return the tools that a worker serves and no agent allows: no model is offered them."""
        served = {row.name for row in self._rows(live_tools())}
        return sorted(served - {tool["name"] for tool in self.listed("/v1/tools")})

    def _rows(self, statement: Runnable) -> Sequence[Any]:
        """Return the rows of the statement; none while Postgres takes no connection, as when all of them are taken."""
        try:
            with closing(connect(self.database_url, "ringback-up", int(PROBE_SECONDS))) as connection:
                return execute(connection, statement).rows
        except psycopg.OperationalError:
            return ()


def agents_folder() -> Path:
    """Return the folder of the shipped agents: inside the wheel, or beside this package in a checkout."""
    here = Path(__file__).parents[1]
    return next(folder for folder in (here / "agents", here.parent / "agents") if folder.is_dir())


def agents_of(stack: Stack) -> dict[str, Agent]:
    """Return the agents that the stack's gateway offers, as their files are now."""
    return load_agents(Path(stack.env.get("RINGBACK_AGENTS") or agents_folder()))


def our(*words: str) -> list[str]:
    """Return a `ringback` command line for this Python."""
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
    tls: bool = False,
    has_page: bool = False,
) -> Iterator[Stack]:
    """Run the whole stack while the context lasts.

    Args:
        folder: keeps the databases between runs; without one a temporary folder is removed at the end.
        port: the gateway's; 0 takes a free one, which a folder keeps.
        durable: False turns off what protects the databases from a crash of the machine.
        logs: a folder for a log of each process; None shows them on stderr.
        settings: more environment for every process.
        simulate: False starts no simulator.
        tls: the gateway speaks TLS, with a self-signed certificate that stays in the folder.
        has_page: the gateway passes on what its page asks to `page_socket`, where the caller listens.

    Raises:
        ConfigurationError: the port is taken, or the databases cannot be started here.
        ProcessError: a process did not become ready.
    """
    refuse_taken(port)
    with embedded_servers(folder, durable=durable) as servers, ProcessGroup() as group:
        upgrade(servers.database_url)
        brief = {name: seconds for name, seconds in BRIEF.items() if name not in os.environ}
        kept = SavedStack(folder and folder.resolve())
        stack = Stack(
            url=f"{'https' if tls else 'http'}://127.0.0.1:{port or kept.port('gateway')}",
            token=kept.secret("token", prefix="rb_"),
            database_url=servers.database_url,
            redis_url=servers.redis_url,
            simulator_url=f"ws://127.0.0.1:{kept.port('simulator')}/v1/realtime",
            processes=group,
            page_socket=group.make_folder() / "page.sock",
            certificate=certificate_in(folder.resolve() / "tls" if folder else group.make_folder()) if tls else None,
            env={"DATABASE_URL": servers.database_url, "REDIS_URL": servers.redis_url, **brief, **(settings or {})},
        )
        # Most of a start is Python importing modules: two processes at a time use two cores.
        with ThreadPoolExecutor(2) as threads:
            simulator = threads.submit(_start_simulator, group, stack, logs) if simulate else None
            _start_gateway(group, stack, logs, has_page=has_page)
            group.start(worker_of(stack, "worker", logs))
            if simulator:
                simulator.result()
        yield stack


def refuse_taken(port: int) -> None:
    """Raise ConfigurationError if another process listens on this port of loopback; 0 is never taken."""
    if port and not is_free(port):
        raise ConfigurationError(
            f"port {port} is in use, perhaps by another ringback: end what uses it, or give another with --port"
        )


def worker_of(stack: Stack, name: str, logs: Path | None = None, ready: re.Pattern[str] | None = None) -> Process:
    """Return a worker of this stack.

    Args:
        name: of the process.
        logs: a folder for its log; None shows it on stderr.
        ready: a pattern for a log line; None: it is ready once its row says so.
    """

    def has_registered() -> bool:
        return stack.runs(stack.processes.pid(name))

    return Process(
        name,
        our("worker"),
        env=stack.env,
        ready=ready or has_registered,
        ready_seconds=WORKER_READY_SECONDS,
        log=_log(logs, name),
    )


def _start_simulator(group: ProcessGroup, stack: Stack, logs: Path | None) -> None:
    address = urlsplit(stack.simulator_url)
    # With `--control` phones can call it. It has no key either way, and listens on loopback alone.
    argv = our("simulator", "--host", "127.0.0.1", "--port", str(address.port), "--control")
    ready = f"http://{address.netloc}/healthz"
    group.start(Process("simulator", argv, ready=ready, log=_log(logs, "simulator")))


def _start_gateway(group: ProcessGroup, stack: Stack, logs: Path | None, *, has_page: bool) -> None:
    gateway = {
        "RINGBACK_TOKENS": f"demo:{stack.token}:transcripts:recordings",
        "RINGBACK_PORT": stack.url.rpartition(":")[2],
        "RINGBACK_AGENTS": str(agents_folder()),
        **_upstream(stack),
        **stack.env,
    }
    if stack.certificate:
        gateway |= {
            "RINGBACK_TLS_CERTIFICATE": str(stack.certificate.certificate),
            "RINGBACK_TLS_KEY": str(stack.certificate.key),
        }

    def is_ready() -> bool:
        answer = stack.get("/readyz")
        return answer is not None and answer.is_success

    argv = our("gateway", *(("--page-control", str(stack.page_socket)) if has_page else ()))
    group.start(Process("gateway", argv, env=gateway, ready=is_ready, log=_log(logs, "gateway")))


def _upstream(stack: Stack) -> dict[str, str]:
    """Return the simulator's settings, unless the environment names a provider."""
    if stack.env.get("REALTIME_PROVIDER", "simulator") != "simulator":
        return {}
    return {"REALTIME_PROVIDER": "simulator", "REALTIME_URL": stack.simulator_url}


def _log(logs: Path | None, name: str) -> Path | None:
    return logs / f"{name}.log" if logs else None

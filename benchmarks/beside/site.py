"""Our side: a whole stack whose gateway stands beside calls, and the browser that places them."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import psutil
from sqlalchemy import create_engine, func, select
from sqlalchemy.pool import NullPool

from benchmarks.beside.provider import CALLS_AT, OFFER, SDP, Call, Provider, answer_of
from benchmarks.measuring.process_use import stack_processes
from benchmarks.measuring.raw_lines import ROOT
from benchmarks.measuring.receipts import insist
from cli.local_stack.stack import Stack, running_stack
from ringback.config.settings import postgres_url
from ringback.tables import sessions

MENDS, HANGS_UP = "mends", "hangs_up"
AGENT = """
instructions = "Talk about the weather."
tools = ["nothing"]
voice = "marin"
guard = "{guard}"
"""
AGENTS = {MENDS: "mend", HANGS_UP: "hang_up"}
SETTINGS = {
    "RINGBACK_DEFAULT_AGENT": MENDS,
    "RINGBACK_TOOL_MODULES": "benchmarks.talking.tools",
    "RINGBACK_SESSIONS_PER_USER": "10000",
    "RINGBACK_MAX_SESSIONS": "10000",
    "PYTHONPATH": str(ROOT),
}
SECONDS = 30.0
LOOK_SECONDS = 0.05


@dataclass(frozen=True)
class Site:
    """The stack that runs, and the provider behind it."""

    stack: Stack
    provider: Provider
    processes: dict[str, psutil.Process]

    def secret(self) -> str:
        """Return a client secret for one talk."""
        return str(self.stack.post("/v1/realtime/client_secrets", {}).json()["value"])

    def place(self, agent: str, token: str = "") -> tuple[float, Call]:
        """Place a call through the gateway as a browser does; return how many milliseconds the answer took.

        Args:
            token: a client secret; empty: the stack's own token.
        """
        headers = {"Authorization": f"Bearer {token or self.stack.token}"}
        return _timed(self.provider, self.stack.url, f"{CALLS_AT}?agent={agent}", headers)

    def place_directly(self) -> tuple[float, Call]:
        """Place the same call at the provider itself."""
        return _timed(self.provider, self.provider.url, CALLS_AT, {"Authorization": "Bearer x"})

    def insist_on_rows(self, calls: Collection[Call], *states: str) -> None:
        """Each of these calls has a session's row that names it, all in one of these states."""
        engine = create_engine(postgres_url(self.stack.database_url), poolclass=NullPool)
        ids = [call.call_id for call in calls]
        named = sessions.c.call_id.in_(ids), sessions.c.transport == "webrtc", sessions.c.state.in_(states)
        give_up = time.monotonic() + SECONDS
        with engine.connect() as connection:
            while True:
                found = connection.execute(select(func.count()).select_from(sessions).where(*named)).scalar_one()
                connection.rollback()
                if found == len(ids) or time.monotonic() > give_up:
                    break
                time.sleep(LOOK_SECONDS)
        insist(f"sessions of calls by their rows, {' or '.join(states)}", found, len(ids))


@contextmanager
def running_site(provider: Provider, folder: Path) -> Iterator[Site]:
    """Run the stack while the context lasts."""
    for name, guard in AGENTS.items():
        (folder / f"{name}.toml").write_text(AGENT.format(guard=guard))
    settings = {**SETTINGS, "RINGBACK_AGENTS": str(folder), "REALTIME_URL": provider.url}
    with running_stack(logs=folder, settings=settings, simulate=False) as stack:
        yield Site(stack, provider, stack_processes(stack))


def _timed(provider: Provider, url: str, path: str, headers: dict[str, str]) -> tuple[float, Call]:
    """Post the offer over a new connection, as a page does once; the answer is the provider's, to that call."""
    address = urlsplit(url)
    began = time.perf_counter()
    connection = HTTPConnection(address.hostname or "", address.port, timeout=SECONDS)
    connection.request("POST", path, OFFER, {"Content-Type": SDP, **headers})
    answer = connection.getresponse()
    body = answer.read().decode()
    taken = (time.perf_counter() - began) * 1_000
    connection.close()
    insist(f"the status of a call's answer ({body})", answer.status, 201)
    call = provider.calls.get(body.partition("s=")[2].partition("\r\n")[0])
    insist("an answer with the provider's SDP", call is not None and body == answer_of(call.call_id), True)
    assert call is not None
    return taken, call

"""The line under attack: two gateways and a worker, a gullible model behind them, and canaries in every place.

A canary is a value that must not be found anywhere that it does not belong: the provider's key, the clients' tokens,
the agent's instructions.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psycopg
from psycopg import sql
from websockets.exceptions import InvalidStatus

from cli.local_stack.embedded_servers import Servers
from cli.local_stack.stack import our
from ringback.postgres.migrate import upgrade
from tests.attacks.toolbox.functions import FOLDER
from tests.attacks.toolbox.gullible import Event, Gullible, Heard, gullible
from tests.attacks.toolbox.provider import Provider
from tests.caller import PATIENCE, Caller
from tests.forked import run
from tests.line import GATEWAYS, KEY, OTHER_TOKEN, ROOT, TOKEN, Line, eventually, running_line
from tests.local_http import LOCAL
from tests.servers import in_dialect, own_database

FIRST, SECOND = GATEWAYS
PASSWORD = "heliotrope"
"""Stands in the agent's instructions, and nowhere else."""
CARD = "4111 1111 1111 1111"
CROWD_TOKEN = "rb_token-of-a-whole-crowd-of-clients"
SESSIONS_PER_USER = 20
SESSIONS_PER_GATEWAY = 60
SECRETS = (KEY, TOKEN, OTHER_TOKEN, CROWD_TOKEN)
"""What must be in no frame, answer, log line or row."""
SECRETS_PATH = "/v1/realtime/client_secrets"
AGENTS = Path(__file__).parent / "agents"
ORIGIN = "https://app.example.com"
"""The only web page that may talk to the gateways."""
SETTINGS = {
    "RINGBACK_DEFAULT_AGENT": "stranger",
    "RINGBACK_UPSTREAM_RETRY_SECONDS": "0",
    "RINGBACK_ORIGINS": ORIGIN,
    "RINGBACK_TOKENS": f"tester:{TOKEN},somebody:{OTHER_TOKEN},crowd:{CROWD_TOKEN}",
    "RINGBACK_SESSIONS_PER_USER": str(SESSIONS_PER_USER),
    "RINGBACK_MAX_SESSIONS": str(SESSIONS_PER_GATEWAY),
}
_numbers = count(100)


def marker(what: str = "m") -> str:
    """A word that nobody has said yet."""
    return f"{what}-{next(_numbers)}"


@dataclass(frozen=True)
class Fort:
    """`folder` is where functions leave their traces."""

    line: Line
    model: Gullible
    folder: Path
    provider: Provider

    @asynccontextmanager
    async def stranger(self, token: str = TOKEN, **how: Any) -> AsyncIterator[Caller]:
        """A client that has been let in: the session is confirmed."""
        async with self.line.call(token, **how) as caller:
            await caller.hear_kind("session.created")
            yield caller

    def command(self, *words: str) -> str:
        """What a `ringback` command prints, beside the gateways."""
        env = {**os.environ, "DATABASE_URL": self.line.database, "PYTHONPATH": str(ROOT)}
        ended = run(our(*words), env=env, timeout=PATIENCE)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout.strip()

    def key(self, user: str, *, tenant: str = "default", scopes: str = "realtime") -> str:
        """A new API key."""
        return self.command("token", "create", "--user", user, "--tenant", tenant, "--scopes", scopes)

    def secret(self, user: str, token: str = TOKEN, **wishes: Any) -> str:
        """A new client secret, as a backend asks for one."""
        answer = self.request("POST", SECRETS_PATH, token, json={"ringback": {"user": user, **wishes}})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["value"])

    async def knock(self, token: str | None = None, on: str = FIRST, **headers: str) -> int:
        """Ask for an upgrade, and hang up again; returns the HTTP status. Whoever is busy is asked again."""
        given = {**({"Authorization": f"Bearer {token}"} if token else {}), **headers}
        try:
            async with await self.line.upgraded(on, given):
                return 101
        except InvalidStatus as refused:
            return refused.response.status_code

    def connections(self) -> int:
        """How many there were to the Realtime API, once no session goes on that may yet make one."""
        going_on = "SELECT id FROM sessions WHERE state NOT IN ('detached', 'ended')"
        eventually(lambda: self.query(going_on) == [], "every session to be over")
        return len(self.model.connections)

    def says(self, words: str, name: str = "*") -> None:
        """Wait until these words are in the log of some process, or of this one."""
        eventually(lambda: words in self.logs(name), f"a log to say {words!r}")

    def upstream_of(self, words: str) -> Heard:
        """The one connection to the Realtime API on which these words were said; waits for it."""
        (heard,) = eventually(lambda: self.model.about(words), f"{words} to reach the Realtime API")
        return heard  # type: ignore[no-any-return]

    def has_trace(self, name: str) -> bool:
        return (self.folder / name).exists()

    def wait_for_trace(self, name: str) -> None:
        eventually(lambda: self.has_trace(name), name)

    def let_go(self, name: str) -> None:
        """The function `wait` may return."""
        (self.folder / f"go-{name}").touch()

    def logs(self, name: str = "*") -> str:
        """What every process, or this one, has written so far."""
        found = sorted(self.line.logs.glob(f"{name}.log"))
        return "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in found)

    def rows(self) -> str:
        """Every row of every table, as text."""
        with psycopg.connect(in_dialect(self.line.database, "postgresql"), autocommit=True) as connection:
            named = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
            tables = [str(name) for (name,) in connection.execute(named)]
            dumped = []
            for table in tables:
                query = sql.SQL("SELECT to_jsonb(t)::text FROM {} AS t").format(sql.Identifier(table))
                dumped += [f"{table}: {row}" for (row,) in connection.execute(query)]
        return "\n".join(dumped)

    def query(self, text: str, *values: object) -> list[tuple[Any, ...]]:
        """Of the rows, as their owner sees them."""
        with psycopg.connect(in_dialect(self.line.database, "postgresql"), autocommit=True) as connection:
            return connection.execute(text.encode(), values).fetchall()

    def job(self, call_id: str) -> Event:
        """The row of a call, as JSON; waits for it."""
        found = eventually(
            lambda: self.query("SELECT to_jsonb(j) FROM jobs AS j WHERE call_id = %s", call_id), f"a row for {call_id}"
        )
        row: Event = found[0][0]
        return row

    def session(self, session_id: str) -> Event:
        """The row of a session, as JSON."""
        ((row,),) = self.query("SELECT to_jsonb(s) FROM sessions AS s WHERE id = %s", UUID(session_id))
        return dict(row)

    def open_sessions(self, user: str) -> int:
        """How many sessions of a user are not over."""
        ((number,),) = self.query("SELECT count(*) FROM sessions WHERE user_id = %s AND state <> 'ended'", user)
        return int(number)

    def request(self, method: str, path: str, token: str | None = TOKEN, on: str = FIRST, **how: Any) -> httpx.Response:
        """Any HTTP request to a gateway; `token=None` sends none."""
        headers = {**({"Authorization": f"Bearer {token}"} if token else {}), **how.pop("headers", {})}
        url = f"{self.line.url_of(on)}{path}"
        return LOCAL.request(method, url, headers=headers, **how)


def order(**what: Any) -> str:
    """What the model is to do, as the user says it."""
    return json.dumps(what)


def calling(name: str, arguments: object, call_id: str, **more: object) -> str:
    """The model is to call a function: arguments as JSON data, or as text that is taken as it stands."""
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return order(call=[{"name": name, "arguments": text, "call_id": call_id, **more}])


async def answered(fort: Fort, call_id: str) -> Event:
    """The output that the model was given for a call, as JSON data; waits for it."""

    def look() -> list[str]:
        return [
            item["output"]
            for heard in fort.model.about(call_id)
            for item in heard.outputs()
            if item["call_id"] == call_id
        ]

    outputs: list[str] = await asyncio.to_thread(eventually, look, f"an output for {call_id}")
    assert len(outputs) == 1, f"{call_id} was answered {len(outputs)} times"
    output: Event = json.loads(outputs[0])
    return output


async def refused(caller: Caller, frame: str | bytes | Event) -> Event:
    """Send a frame; returns the `error` that it is answered. Behind it goes an update that is always answered."""
    await caller.socket.send(json.dumps(frame) if isinstance(frame, dict) else frame)
    await caller.send({"type": "session.update", "session": {"type": "realtime"}})
    heard = await caller.hear_until(lambda event: event["type"] in ("error", "session.updated"))
    assert heard["type"] == "error", f"it was taken: {str(frame)[:200]}"
    await caller.hear_kind("session.updated")
    error: Event = heard["error"]
    return error


async def in_thread(look: Callable[[], Any], what: str) -> Any:
    """`eventually`, beside whatever else the test listens to."""
    return await asyncio.to_thread(eventually, look, what)


@contextmanager
def open_fort(
    servers: Servers, logs: Path, *, gateways: int = 2, tools: str = "tests.attacks.toolbox.functions", **settings: str
) -> Iterator[Fort]:
    """Start everything; takes a few seconds. Every logger of the gateways is at its most talkative."""
    folder = logs / "traces"
    folder.mkdir()
    provider = Provider(logs)
    with gullible() as model, own_database(servers.database_url, "ringback_attacks") as database:
        upgrade(database)
        with running_line(
            database,
            servers.redis_url,
            logs,
            upstream=model.url,
            tools=tools,
            agents=AGENTS,
            debug=True,
            settings={**SETTINGS, **provider.settings(), FOLDER: str(folder), **settings},
            gateways=gateways,
        ) as line:
            yield Fort(line, model, folder, provider)

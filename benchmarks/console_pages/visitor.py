"""Asks for pages of the console, in this process and on a real Postgres, and says what each cost.

The gateway's application runs without its background tasks, so Postgres works for the page that was asked for, and for
nothing else. How long each statement took there is what Postgres itself writes into its log (`log_duration`).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

import httpx
import psycopg
from pydantic import SecretStr

from benchmarks.console_pages.pages import Asked
from benchmarks.measuring.receipts import insist
from gateway.auth.authenticator import Authenticator, StaticToken
from gateway.storage.database import Store, open_pool
from gateway.web import console
from gateway.web.console.visitors import COOKIE, csrf_of
from ringback.config.settings import postgres_url
from tests.integration.toolbox.small_gateway import app_on, small_gateway

TOKEN, USER = "rb_the-operator-of-the-benchmark", "ada"
CONNECTIONS = 4
DURATION = re.compile(r"duration: ([0-9.]+) ms")
LOG_SECONDS = 30.0


@dataclass(frozen=True)
class Cost:
    """Milliseconds of one page: all of it, and its statements in Postgres, of which one was the slowest."""

    page: float
    database: float
    slowest: float


class Visitor:
    """An operator who is signed in. Use it within `visiting`."""

    def __init__(self, database_url: str, log: Path) -> None:
        self._runner = asyncio.Runner()
        self._store = Store(open_pool(postgres_url(database_url), CONNECTIONS))
        known = {USER: StaticToken(SecretStr(TOKEN))}
        gateway = small_gateway(self._store, authenticator=Authenticator(known, self._store.rows))
        transport = httpx.ASGITransport(app_on(gateway, *console.routers), raise_app_exceptions=False)
        self._client = httpx.AsyncClient(transport=transport, base_url="http://gateway")
        self._log = Log(database_url, log)
        self._csrf = ""

    def sign_in(self) -> None:
        """Get the cookie, and what forms bear."""
        self._ask("POST", "/console/sign-in", data={"token": TOKEN})
        self._csrf = csrf_of(self._client.cookies[COOKIE])

    def ask(self, asked: Asked) -> Cost:
        """Ask for the page, which must be whole."""
        self._log.take()
        began = perf_counter()
        if asked.form is None:
            answer = self._ask("GET", f"/console{asked.path}", params=asked.parameters)
        else:
            answer = self._ask("POST", f"/console{asked.path}", data={"csrf": self._csrf, **asked.form})
        took = 1_000 * (perf_counter() - began)
        insist(f"{asked.title}: status", answer.status_code, 200)
        found = len(re.findall(asked.what, answer.text))
        insist(f"{asked.title}: {found} times {asked.what}", asked.at_least <= found <= asked.at_most, True)
        statements = self._log.take()
        insist(f"{asked.title}: Postgres was asked", bool(statements), True)
        return Cost(took, sum(statements), max(statements))

    def close(self) -> None:
        self._runner.run(self._client.aclose())
        self._runner.run(self._store.close())
        self._runner.close()
        self._log.close()

    def _ask(self, method: str, path: str, **how: Any) -> httpx.Response:
        return self._runner.run(self._client.request(method, path, **how))


class Log:
    """Postgres' log, as far as it tells how long statements took."""

    def __init__(self, database_url: str, path: Path) -> None:
        self._marks = psycopg.connect(database_url.replace("+psycopg", ""), autocommit=True)
        self._marks.execute("SET log_duration = off")
        self._file = path.open(encoding="utf-8")
        self._number = 0
        self.take()

    def take(self) -> list[float]:
        """Return the milliseconds of each statement since the last time."""
        self._number += 1
        mark = f"mark {self._number} of {id(self)}"
        self._marks.execute(f"DO $$ BEGIN RAISE LOG '{mark}'; END $$".encode())
        found, give_up = "", perf_counter() + LOG_SECONDS
        while mark not in found:  # the log comes through a pipe, and a thread
            found += self._file.read()
            insist("the log goes on", perf_counter() < give_up, True)
            sleep(0.001)
        return [float(told) for told in DURATION.findall(found)]

    def close(self) -> None:
        self._marks.close()
        self._file.close()


@contextmanager
def visiting(database_url: str, log: Path) -> Iterator[Visitor]:
    """Sign in, and leave at the end."""
    with psycopg.connect(database_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("ALTER ROLE CURRENT_USER SET log_duration = on")
    visitor = Visitor(database_url, log)
    try:
        visitor.sign_in()
        yield visitor
    finally:
        visitor.close()

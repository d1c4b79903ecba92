"""A visitor of the console on a bare app and a real Postgres: a browser's cookie jar, without the browser."""

from __future__ import annotations

import asyncio
import re
from typing import Any
from uuid import uuid4

import httpx
from pydantic import SecretStr

from gateway.auth.authenticator import Authenticator, StaticToken
from gateway.auth.tokens import Kind, digest, new
from gateway.web import console
from ringback.statements.identity import credentials
from tests.integration.statements.test_history import Line
from tests.integration.toolbox.small_gateway import app_on, small_gateway, store_on

TOKEN = "rb_token-of-an-operator-of-the-tests"
CSRF = re.compile(r'name="csrf" value="([^"]+)"')


class Visitor:
    """Keeps its cookies from one request to the next, and follows no redirect."""

    def __init__(
        self, database: str, tokens: dict[str, str] | None = None, publisher: Any = None, changes: Any = None
    ) -> None:
        store = store_on(database)
        known = {
            user: StaticToken(SecretStr(token), frozenset({"transcripts"}))
            for user, token in (tokens or {"ada": TOKEN}).items()
        }
        self.gateway = small_gateway(
            store, authenticator=Authenticator(known, store.rows), publisher=publisher, changes=changes
        )
        self.app = app_on(self.gateway, *console.routers)
        self.cookies = httpx.Cookies()

    def ask(self, method: str, path: str, **how: Any) -> httpx.Response:
        async def asked() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://gateway", cookies=self.cookies
            ) as client:
                answer = await client.request(method, path, **how)
                self.cookies = client.cookies
                return answer

        return asyncio.run(asked())

    def get(self, path: str, **asked: Any) -> str:
        """Return a page; it must be there."""
        answer = self.ask("GET", path, params=asked or None)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        return answer.text

    def post(self, path: str, **fields: str) -> httpx.Response:
        """Send a form as a page of the console does."""
        (csrf, *_) = CSRF.findall(self.get("/console/jobs"))
        return self.ask("POST", path, data={"csrf": csrf, **fields})

    def sign_in(self, token: str = TOKEN) -> httpx.Response:
        return self.ask("POST", "/console/sign-in", data={"token": token})


def new_key(line: Line, tenant: str = "default", scopes: tuple[str, ...] = ("history",)) -> tuple[Any, str]:
    """Make an API key; return its row's id and the key."""
    key, key_id = new(Kind.KEY), uuid4()
    line.run(credentials.create_key(key_id, digest(key), user="eve", tenant=tenant, scopes=scopes, seconds_valid=None))
    return key_id, key

"""HTTP API: its operations are called at the address that the file gives, and at no other.

The operator chose that address, so it may be one of an internal network; the rules of `workers.egress` are for
addresses that a model chooses.
"""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx

from ringback.config.proxies import ProxyUnusable, is_direct
from ringback.errors import ToolError
from ringback.jobs.states import Effect
from ringback.tools.call import Call
from workers.egress import unpacked
from workers.remote_tools.connection_holder import ConnectionHolder
from workers.remote_tools.environment import substitute, substitute_address
from workers.remote_tools.failures import lost, not_reached, refused
from workers.remote_tools.openapi.answers import MAX_BODY_BYTES, Answer, result_of
from workers.remote_tools.openapi.operations import Operation
from workers.remote_tools.openapi.request import Request, request_for
from workers.remote_tools.tool_files import OpenApiTable

CONNECT_SECONDS = 5.0
"""An API that takes longer is down; a caller waits on the line."""
READ_SECONDS = 300.0
"""Between two chunks of an answer. A call has a deadline of its own, which ends it before."""
MAX_CONNECTIONS = 1_000
"""As many calls as a worker may have at once."""
IDEMPOTENCY_KEY = "Idempotency-Key"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})

logger = logging.getLogger(__name__)


class HttpApi:
    """HTTP API of one table.

    Args:
        name: the table's.
        where: the file and the table, for sentences.
        table: what the file says.
        environment: where `env:NAME` is looked up.

    Raises:
        ConfigurationError: a variable is not set.
    """

    def __init__(self, name: str, where: str, table: OpenApiTable, environment: Mapping[str, str]) -> None:
        self.name = name
        self._address = httpx.URL(substitute_address(f"{where} base_url", table.base_url, environment))
        self._headers = substitute(f"{where} headers", table.headers, environment)
        self._holder = ConnectionHolder(where, partial(_client, str(self._address)))

    async def call(self, operation: Operation, effect: Effect, arguments: dict[str, object], call: Call) -> object:
        """Call the operation and return its result.

        Raises:
            ToolError: the API refused, could not be reached, or cannot be asked so.
            ConnectionLost: it failed during a call that must not run twice.
        """
        asked = request_for(operation, arguments)
        try:
            client = await self._holder.get()
        except ProxyUnusable as problem:
            logger.error("API unusable (%s): %s; its calls fail", self.name, problem)
            raise not_reached(self.name) from problem
        try:
            answer = await self._sent(client, self._request(client, asked, call))
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as problem:
            raise not_reached(self.name) from problem
        except (httpx.LocalProtocolError, httpx.InvalidURL) as problem:
            raise refused(
                "These arguments cannot be sent. Correct them and call again.", "invalid_arguments"
            ) from problem
        except httpx.HTTPError as problem:
            sentence = f"{self.name} broke off amid the call. Say so, and offer to try again later."
            raise lost(effect, sentence, "broke_off") from problem
        return result_of(answer, self.name, effect)

    def _request(self, client: httpx.AsyncClient, asked: Request, call: Call) -> httpx.Request:
        headers = httpx.Headers(asked.headers)
        headers.update(self._headers)
        headers.update({"Accept": "application/json, text/*;q=0.9", "Accept-Encoding": "gzip"})
        if asked.method not in SAFE:
            headers[IDEMPOTENCY_KEY] = call.idempotency_key
        raw_path = self._address.raw_path.rstrip(b"/") + asked.target.encode()
        url = self._address.copy_with(raw_path=raw_path)
        return client.build_request(asked.method, url, headers=headers, content=asked.content)

    async def _sent(self, client: httpx.AsyncClient, request: httpx.Request) -> Answer:
        response = await client.send(request, stream=True)
        try:
            content_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            body, truncated = await self._unpacked(response)
            return Answer(response.status_code, content_type, response.charset_encoding or "utf-8", body, truncated)
        finally:
            await response.aclose()

    async def _unpacked(self, response: httpx.Response) -> tuple[bytes, bool]:
        try:
            return await unpacked(response, MAX_BODY_BYTES)
        except ToolError as problem:  # its words are for a page that was only looked at
            if response.status_code >= 300:
                return b"", False  # the status says enough
            sentence = f"The call was carried out, but what {self.name} answered cannot be unpacked. Do not repeat it."
            raise refused(sentence, "bad_result") from problem


@asynccontextmanager
async def _client(address: str) -> AsyncIterator[httpx.AsyncClient]:
    """Open one client for all calls of a process. It keeps no cookies: one caller's must not reach the next one."""
    try:
        client = httpx.AsyncClient(
            follow_redirects=False,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            headers={"User-Agent": "ringback"},
            timeout=httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS, pool=CONNECT_SECONDS),
            limits=httpx.Limits(max_connections=MAX_CONNECTIONS),
            trust_env=not is_direct(address),
        )
    except (ImportError, ValueError, httpx.InvalidURL) as problem:
        raise ProxyUnusable(os.environ, problem) from None
    async with client:
        yield client

"""Calls at the Realtime API over HTTP: place one for a browser, accept, reject, refer and hang up.

(Realtime API, `POST /v1/realtime/calls`.) What the provider says in an error may repeat what it was sent: the log gets
its status and its code, and no caller gets more than that it failed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import httpx

from gateway.http_client import http_client
from gateway.upstream.call_endpoints import (
    Act,
    Answer,
    CallRefused,
    TakesCalls,
    call_url,
    calls_url,
    offer_of,
    read_answer,
)

PLACE_SECONDS = 15.0
"""A browser waits for its answer; a provider that takes longer has the caller give up."""
STEER_SECONDS = 5.0
"""To accept, reject, refer or hang up."""
KEPT_SECONDS = 50.0
"""How long an idle connection is kept: the next call then waits for no handshake. Less than 60 s, after which load
balancers close by default: one that closes as a call is placed or transferred fails it, and that is not repeated."""
MAX_ANSWER_BYTES = 64 * 1_024
"""Of an SDP answer; a real one is 2 KB."""

_CODE = re.compile(r"[a-z0-9_.]{1,64}")


class CallControl:
    """Client of the provider's calls.

    Args:
        provider: says where its calls are, and in which form it takes an offer (`gateway.upstream.call_endpoints`).
        url: the WebSocket URL that wins over the provider's own.
        headers: returns the headers with the key, for a user.
    """

    def __init__(self, provider: TakesCalls, url: str | None, headers: Callable[[str], dict[str, str]]) -> None:
        self._provider, self._url, self._headers = provider, url, headers
        self._client: httpx.AsyncClient | None = None

    async def place(self, user: str, offer: str, session: dict[str, Any]) -> Answer:
        """Place a browser's call with this session; raises CallRefused."""
        url, body = calls_url(self._provider, url=self._url), offer_of(self._provider, offer, session)
        said = await self._post(url, user, PLACE_SECONDS, files=body.files, json=body.json)
        if len(said.content) > MAX_ANSWER_BYTES:
            raise CallRefused("its answer is too long for SDP", said.status_code)
        return read_answer(self._provider, said.headers.get("location"), said.text)

    async def accept(self, call_id: str, user: str, session: dict[str, Any]) -> None:
        """Accept a telephone call with this session; raises CallRefused."""
        await self._steer(call_id, user, "accept", session)

    async def reject(self, call_id: str, user: str, status_code: int = 603) -> None:
        """Reject a telephone call with a status of SIP; raises CallRefused."""
        await self._steer(call_id, user, "reject", {"status_code": status_code})

    async def refer(self, call_id: str, user: str, target_uri: str) -> None:
        """Transfer a telephone call, to `tel:…` or `sip:…`; raises CallRefused."""
        await self._steer(call_id, user, "refer", {"target_uri": target_uri})

    async def hang_up(self, call_id: str, user: str) -> None:
        """Hang up; raises CallRefused."""
        await self._steer(call_id, user, "hangup", None)

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()

    async def _steer(self, call_id: str, user: str, act: Act, body: dict[str, Any] | None) -> None:
        url = call_url(self._provider, call_id, act, url=self._url)
        await self._post(url, user, STEER_SECONDS, json=body)

    async def _post(self, url: str, user: str, within: float, **body: Any) -> httpx.Response:
        given = {name: value for name, value in body.items() if value is not None}
        try:
            self._client = self._client or http_client(url, PLACE_SECONDS, keeps=KEPT_SECONDS)
            asked = self._client.build_request("POST", url, headers=self._headers(user), timeout=within, **given)
            asked.read()  # it is written in one piece then: a form's parts would be a packet each
            answer = await self._client.send(asked)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as problem:
            raise CallRefused(type(problem).__name__) from None
        if not 200 <= answer.status_code < 300:
            raise CallRefused(f"HTTP {answer.status_code} {_code_in(answer)}".strip(), answer.status_code)
        return answer


def _code_in(answer: httpx.Response) -> str:
    """Return the code of an error's body, if it is a plain word."""
    try:
        code = answer.json()["error"]["code"]
    except (ValueError, LookupError, TypeError):
        return ""
    return code if isinstance(code, str) and _CODE.fullmatch(code) else ""

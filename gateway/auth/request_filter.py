"""What is refused before any route is asked: a token in the URL, two tokens, and a web page that is not ours.

Plain ASGI and no `Request`, because a WebSocket's frames pass here, too: once it is let in, nothing stands between.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.auth.origins import SAFE_METHODS, may_ask, token_in

NOT_IN_URL = (
    "{name}: a token never stands in a URL, where it would be logged; this one should be replaced. "
    'Send `Authorization: Bearer <token>`, or from a browser the subprotocols ["realtime", '
    '"openai-insecure-api-key.<token>"].'
)
FOREIGN_ORIGIN = (
    "Pages of this origin may not talk to this gateway. Name it in RINGBACK_ORIGINS, exactly as it is sent."
)
TWO_TOKENS = "There are two headers with a token, and who is asking must be read in one way only: send one."
MAX_NAME = 64
"""Characters of a parameter's name that the answer repeats."""


class RequestFilter:
    """ASGI middleware.

    Args:
        origins: of the pages that may ask.
        loopback: pages of this machine may ask as well.
    """

    def __init__(self, app: ASGIApp, origins: Collection[str], loopback: bool) -> None:
        self._app = app
        self._origins = frozenset(origins)
        self._loopback = loopback

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = None if scope["type"] == "lifespan" else self._refusal(scope)
        if answer is None:
            return await self._app(scope, receive, send)
        if scope["type"] == "websocket":
            await receive()  # the wish to connect, which must be heard before it is denied
        return await answer(scope, receive, send)

    def _refusal(self, scope: Scope) -> JSONResponse | None:
        name = token_in(scope["query_string"].decode("latin-1"))
        if name is not None:
            message = NOT_IN_URL.format(name=name[:MAX_NAME])
            return refusal(400, "token_in_url", message, param=name[:MAX_NAME])
        # Only a WebSocket's `api-key` is read (gateway.api.realtime).
        named = (b"authorization", b"api-key") if scope["type"] == "websocket" else (b"authorization",)
        if sum(len(_headers(scope, header)) for header in named) > 1:
            return refusal(400, "two_tokens", TWO_TOKENS)
        if scope["type"] == "http" and scope["method"] in SAFE_METHODS:
            return None
        origins = _headers(scope, b"origin")
        if not may_ask(origins, self._origins, loopback=self._loopback):
            return refusal(403, "origin_not_allowed", FOREIGN_ORIGIN)
        return None


def _headers(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for header, value in scope["headers"] if header == name]


def refusal(
    status: int, code: str, message: str, param: str | None = None, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """An answer in the shape of every error here."""
    error = {"message": message, "type": "invalid_request_error", "code": code, "param": param}
    return JSONResponse({"error": error}, status, headers)

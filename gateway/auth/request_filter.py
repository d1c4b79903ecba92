"""Refuses requests before any route: a token in the URL, two tokens, and foreign web pages.

Plain ASGI without `Request`: a WebSocket's frames pass here too, and must not be slowed down.
"""

from __future__ import annotations

from collections.abc import Collection

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.auth.origins import SAFE_METHODS, may_ask, token_in
from gateway.errors import ApiError, BadRequest, PermissionDenied

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
        origins: origins of the pages that may ask.
        loopback: whether pages of this machine may ask.
    """

    def __init__(self, app: ASGIApp, origins: Collection[str], loopback: bool) -> None:
        self._app = app
        self._origins = frozenset(origins)
        self._loopback = loopback

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        error = None if scope["type"] == "lifespan" else self._error(scope)
        if error is None:
            return await self._app(scope, receive, send)
        if scope["type"] == "websocket":
            await receive()  # ASGI: the server's `websocket.connect` comes before the answer to it
        return await JSONResponse(error.body, error.status, error.headers)(scope, receive, send)

    def _error(self, scope: Scope) -> ApiError | None:
        name = token_in(scope["query_string"].decode("latin-1"))
        if name is not None:
            message = NOT_IN_URL.format(name=name[:MAX_NAME])
            return BadRequest(message, code="token_in_url", param=name[:MAX_NAME])
        # Only a WebSocket's `api-key` is read (gateway.api.realtime).
        named = (b"authorization", b"api-key") if scope["type"] == "websocket" else (b"authorization",)
        if sum(len(_headers(scope, header)) for header in named) > 1:
            return BadRequest(TWO_TOKENS, code="two_tokens")
        if scope["type"] == "http" and scope["method"] in SAFE_METHODS:
            return None
        origins = _headers(scope, b"origin")
        if not may_ask(origins, self._origins, loopback=self._loopback):
            return PermissionDenied(FOREIGN_ORIGIN, code="origin_not_allowed")
        return None


def _headers(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for header, value in scope["headers"] if header == name]

"""`POST /demo` in the gateway of `ringback up`: passes a page's request on to it, and its answer back.

A foreign web page can neither send one nor read an answer: the request must come from this machine, be addressed to it
by name (so no other name that was made to point here passes), carry the `Origin` of this very address, and have a
header that a browser lets no foreign page set without asking first, which the gateway refuses.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
from pathlib import Path

from fastapi import APIRouter, FastAPI, Request, Response

from gateway.auth.origins import LOOPBACK
from gateway.errors import BadRequest, PermissionDenied, Unavailable

TOKEN_HEADER = "ringback-demo"  # noqa: S105 — the header's name
ANSWER_SECONDS = 10.0
MAX_ANSWER = 4 * 1_024 * 1_024
"""Bytes of a line: eight calls with their arguments."""
NOT_FROM_HERE = "Only the page of this gateway, opened on this machine, may ask for this."

router = APIRouter(include_in_schema=False)


def add_control(socket: Path, app: FastAPI) -> None:
    """Add the route, which asks `ringback up` at this socket."""
    app.state.page_control = socket
    app.include_router(router)


@router.post("/demo")
async def demo(request: Request) -> Response:
    """Pass on one request, with its token from the header."""
    client = request.client.host if request.client else ""
    if is_foreign(client, request.url.scheme, request.headers.get("host", ""), request.headers.getlist("origin")):
        raise PermissionDenied(NOT_FROM_HERE, code="origin_not_allowed")
    try:
        asked = dict(json.loads(await request.body()))
    except (ValueError, TypeError):
        raise BadRequest("The body is one object in JSON.") from None
    line = json.dumps({**asked, "token": request.headers.get(TOKEN_HEADER, "")}).encode() + b"\n"
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            answer = await _answer(request.app.state.page_control, line)
    except (OSError, TimeoutError, EOFError, asyncio.LimitOverrunError):
        raise Unavailable("`ringback up` does not answer. See its terminal.") from None
    return Response(answer, media_type="application/json", headers={"cache-control": "no-store"})


def is_foreign(client: str, scheme: str, host: str, origins: list[str]) -> bool:
    """Return whether a request comes from elsewhere than a page of this gateway on this machine.

    Args:
        client: the address that the connection comes from.
        scheme: of the request, `http` or `https`.
        host: the header `Host`.
        origins: the headers `Origin`.
    """
    try:
        from_here = ipaddress.ip_address(client).is_loopback
    except ValueError:
        return True
    here = f"{scheme}://{host}"
    return not (from_here and LOOPBACK.fullmatch(here) and origins == [here])


async def _answer(socket: Path, line: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(socket, limit=MAX_ANSWER)
    try:
        writer.write(line)
        await writer.drain()
        return await reader.readuntil(b"\n")
    finally:
        writer.close()

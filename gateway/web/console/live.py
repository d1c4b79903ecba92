"""The stream of the console: one for each page that is open and seen. It says that a page should ask again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Literal

from fastapi import APIRouter, Response
from sse_starlette import EventSourceResponse, ServerSentEvent

from gateway.api.dependencies import TheGateway
from gateway.background.change_feed import PACE_SECONDS, TICK_SECONDS
from gateway.errors import Unavailable
from gateway.web.console.pages import Page
from gateway.web.console.visitors import PATH, Signed

CHANGED = "changed"
"""The event that has a page ask again for what it shows."""
TICK = "tick"
"""The event for parts that are asked for more rarely, such as a chart."""
PING_SECONDS = 15
"""Between two comments on a quiet stream, for proxies that end what is silent."""

router = APIRouter(prefix=PATH, route_class=Page, include_in_schema=False)


@router.get("/live")
async def live(visitor: Signed, gateway: TheGateway, pace: Literal["calls", "talk"] = "calls") -> Response:
    """Stream `changed` when calls have changed, and `tick` from time to time.

    A talk's page asks every two seconds (`pace`): words and voices are no calls.
    """
    changes = gateway.changes
    if changes is None:
        raise Unavailable("This gateway tells no changes: reload the page to see what is new.")
    changes.refuse_crowd()
    seconds = PACE_SECONDS if pace == "talk" else TICK_SECONDS

    async def events() -> AsyncIterator[ServerSentEvent]:
        async for has_changed in changes.follow(visitor.tenant, seconds):
            if has_changed or pace == "talk":
                yield ServerSentEvent("", event=CHANGED)
            else:
                yield ServerSentEvent("", event=TICK)

    return EventSourceResponse(events(), ping=PING_SECONDS, headers={"cache-control": "no-store"})

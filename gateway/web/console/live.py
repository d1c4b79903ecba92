"""The stream of the console: one for each page that is open and seen. It says that a page should ask again.

It carries no row: the page asks with its visitor's rights as they are then. A browser ends the stream while the page's
tab is hidden, and begins another when it is seen again. A stream ends with its visitor's sign-in.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from time import monotonic
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
SIGNED_OUT = "signed-out"
"""The last event of a stream whose sign-in is over: the page leads to the sign-in."""
TICK = "tick"
"""The event for parts that are asked for more rarely, such as a chart."""
Pace = Literal["calls", "talk"]
"""What a page shows: calls, whose changes are events, or a talk, in which words and voices change without one."""
TICKS: Mapping[Pace, float] = {"calls": TICK_SECONDS, "talk": PACE_SECONDS}
"""Seconds between two events of a stream on which no call changes."""
PING_SECONDS = 15
"""Between two comments on a quiet stream, for proxies that end what is silent."""

router = APIRouter(prefix=PATH, route_class=Page, include_in_schema=False)


@router.get("/live")
async def live(visitor: Signed, gateway: TheGateway, pace: Pace = "calls") -> Response:
    """Stream `changed` when calls have changed, and `tick` from time to time; of a talk, `changed` each time.

    Raises:
        Unavailable: as many pages follow this gateway as may.
    """
    changes = gateway.changes
    if changes is None:
        raise Unavailable("This gateway tells no changes: reload the page to see what is new.")
    changes.refuse_crowd()

    async def events() -> AsyncIterator[ServerSentEvent]:
        ticked = monotonic()
        async for has_changed in changes.follow(visitor.tenant, visitor.sign_in, TICKS[pace]):
            if has_changed or pace == "talk":
                yield ServerSentEvent("", event=CHANGED)
            is_due = not has_changed or monotonic() - ticked >= TICK_SECONDS  # also where calls change all the time
            if is_due and pace == "calls":
                ticked = monotonic()
                yield ServerSentEvent("", event=TICK)
        if changes.is_signed_out(visitor.sign_in):
            yield ServerSentEvent("", event=SIGNED_OUT)

    return EventSourceResponse(events(), ping=PING_SECONDS, headers={"cache-control": "no-store"})

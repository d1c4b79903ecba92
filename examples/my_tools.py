"""Tools of your own: a plain function, an async one, a pydantic result, an error that the model can act on.

A worker serves them where its setting names this module, beside the tools that ship or instead of them:

    RINGBACK_TOOL_MODULES=workers.tools,examples.my_tools ringback worker

`examples/try_my_tools.py` has a conversation with them; docs/how-to/add-a-tool.md explains each step.
"""

from __future__ import annotations

import asyncio
from datetime import time
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from ringback import Call, ToolError, tool

Day = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
SEATS = 6


class Table(BaseModel):
    """What the model is told about a table: any pydantic model becomes JSON."""

    guests: int
    at: time
    name: str
    reference: str


@tool
def opening_hours(day: Day) -> str:
    """Tell when the restaurant is open.

    Args:
        day: the day of the week, in English.
    """
    return "closed" if day == "monday" else "from 12 to 23 o'clock"


@tool(queue="bookings", timeout=10, retries=2, effect="idempotent")
async def book_table(guests: Annotated[int, Field(ge=1)], at: time, call: Call) -> Table:
    """Book a table for this evening.

    Args:
        guests: how many will come.
        at: when, such as "19:00".
    """
    if guests > SEATS:
        raise ToolError(f"The largest table has {SEATS} seats; offer two tables.", code="too_many_guests")
    call.progress("asking the book")
    await asyncio.sleep(0.2)  # here a real tool waits for another server
    # The key is the same for each attempt of one call: a booking that is tried again is the same booking.
    return Table(guests=guests, at=at, name=call.user, reference=call.idempotency_key[:6])

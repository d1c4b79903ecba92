"""The functions. A worker finds them by RINGBACK_TOOL_MODULES=tests.conformance.toolbox.functions."""

from __future__ import annotations

import asyncio

from ringback import tool


@tool
def get_weather(city: str) -> str:
    """Look up the weather for a city."""
    return f"It is foggy and 12 degrees in {city}."


@tool(cancellable=False)
async def deliver(parcel: str, seconds: float) -> dict[str, str]:
    """Bring a parcel to the door, after a while."""
    await asyncio.sleep(seconds)
    return {"delivered": parcel}


@tool(effect="at_most_once")
def charge(cents: int) -> str:
    """Take money, which must not happen twice."""
    return f"charged {cents}"

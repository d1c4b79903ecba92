"""The tool of our side. Its body is the same as in each driver of the others."""

from __future__ import annotations

import asyncio

from ringback import tool


@tool(timeout=60)
async def work(name: str, milliseconds: int) -> str:
    """Work on something.

    Args:
        name: what to work on.
        milliseconds: how long it takes.
    """
    await asyncio.sleep(milliseconds / 1000)
    return f"{name} is done"

"""The tool of a measured call, on our side: what it does is as good as nothing, and the same in each driver."""

from __future__ import annotations

from ringback import tool


@tool
async def nothing() -> str:
    """Do nothing."""
    return "done"

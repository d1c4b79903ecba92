"""The tool of the load's model, which calls it at the end of a response."""

from __future__ import annotations

from ringback import tool


@tool
async def nothing() -> str:
    """Do nothing."""
    return "done"

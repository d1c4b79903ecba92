"""Tools that say in which span they run, or fail."""

from __future__ import annotations

from ringback import Call, ToolError, tool
from ringback.telemetry.tracing import current_ids

WORDS = "what nobody is to read"


@tool(queue="errands")
def where(text: str) -> list[str]:
    """Say in which trace and span this thread is."""
    return list(current_ids() or ())


@tool(queue="errands")
async def where_async(text: str) -> list[str]:
    """Say in which trace and span this task is."""
    return list(current_ids() or ())


@tool(queue="errands", retries=1)
def refuse_once(text: str, call: Call) -> str:
    """Refuse the first attempt."""
    if call.attempt == 1:
        raise ToolError(WORDS, code="not_yet", retryable=True)
    return text

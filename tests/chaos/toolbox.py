"""Tools of every kind, each of which writes what it did into the effect ledger before it returns."""

from __future__ import annotations

import asyncio

from ringback import Call, tool
from ringback.errors import ToolError
from tests.chaos.ledger import write_effect

SLOW_SECONDS = 1.5
"""Long enough to be killed, paused or handed back in the middle of it."""


@tool(queue="quick", timeout=5, retries=2)
async def look_up(canary: str, call: Call) -> dict[str, str]:
    """Look something up; pure, on the worker's loop."""
    return _done("look_up", "pure", canary, call)


@tool(queue="quick", timeout=5, retries=2)
def reckon(canary: str, call: Call) -> dict[str, str]:
    """Work something out; pure, in a thread."""
    return _done("reckon", "pure", canary, call)


@tool(queue="quick", timeout=5, retries=2, effect="idempotent")
async def book(canary: str, call: Call) -> dict[str, str]:
    """Book something; idempotent by its key."""
    await asyncio.sleep(0.02)
    return _done("book", "idempotent", canary, call)


@tool(queue="quick", timeout=5, effect="at_most_once")
async def charge(canary: str, call: Call) -> dict[str, str]:
    """Charge somebody; must not happen twice."""
    await asyncio.sleep(0.02)
    done = _done("charge", "at_most_once", canary, call)
    await asyncio.sleep(0.02)
    return done


@tool(queue="quick", timeout=5, effect="at_most_once")
def dispense(canary: str, call: Call) -> dict[str, str]:
    """Hand something out, in a thread; must not happen twice."""
    return _done("dispense", "at_most_once", canary, call)


@tool(queue="quick", timeout=5, retries=2)
async def stumble(canary: str, call: Call) -> dict[str, str]:
    """Fail at the first try, and ask for another."""
    if call.attempt == 1:
        raise ToolError("The other side is busy.", code="busy", retryable=True)
    return _done("stumble", "pure", canary, call)


@tool(queue="slow", timeout=8, retries=2)
async def ponder(canary: str, call: Call) -> dict[str, str]:
    """Take a while."""
    await asyncio.sleep(SLOW_SECONDS)
    return _done("ponder", "pure", canary, call)


@tool(queue="slow", timeout=8, effect="at_most_once")
async def deliver(canary: str, call: Call) -> dict[str, str]:
    """Take a while over something that must not happen twice."""
    await asyncio.sleep(SLOW_SECONDS / 2)
    done = _done("deliver", "at_most_once", canary, call)
    await asyncio.sleep(SLOW_SECONDS / 2)
    return done


def _done(tool_name: str, effect: str, canary: str, call: Call) -> dict[str, str]:
    write_effect(
        {
            "job_id": call.job_id,
            "attempt": call.attempt,
            "effect": effect,
            "tool": tool_name,
            "session": call.session_id,
            "canary": canary,
        }
    )
    return {"canary": canary, "job": call.job_id}

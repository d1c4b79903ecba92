"""Tools for the guarantees: an order that takes as long as a test wants, and writes down that it began."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from ringback import Call, tool

FOLDER = "RINGBACK_TEST_LEDGER"
"""The environment variable with the folder in which an order writes that it began, and waits to be let go."""
GO = "go"
LOOK_SECONDS = 0.05


@tool(queue="slow", timeout=60, retries=2)
async def order_status(order_id: str, call: Call) -> dict[str, str]:
    """Look up where an order is."""
    return await _wait_to_be_let_go(order_id, call)


@tool(queue="default", timeout=60, effect="at_most_once")
async def weather(city: str, call: Call) -> dict[str, str]:
    """Sell umbrellas: an action that must not happen twice."""
    return await _wait_to_be_let_go(city, call)


async def _wait_to_be_let_go(name: str, call: Call) -> dict[str, str]:
    folder = Path(os.environ[FOLDER])
    (folder / f"{call.attempt}-{name}-{call.job_id}").touch()
    while not any((folder / gate).exists() for gate in (GO, f"{GO}{name}")):  # noqa: ASYNC110 — another process says so, with a file
        await asyncio.sleep(LOOK_SECONDS)
    return {"order_id": name, "status": "baked", "eta": "today", "summary": f"attempt {call.attempt}"}

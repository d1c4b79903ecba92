"""Tools that wait, on the loop and in a thread, and one that does not."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from ringback import tool

PATIENT = 900.0
"""Seconds: nothing of this may time out."""
FOLDER = "RINGBACK_BENCH_FOLDER"
"""The environment variable with the folder in which a gate is a file."""

_watched: dict[str, asyncio.Task[None]] = {}
"""One task looks for each gate: thousands that look would be felt by all others."""


@tool(queue="bench", timeout=PATIENT)
async def a_second() -> None:
    """Wait a second."""
    await asyncio.sleep(1.0)


@tool(queue="bench", timeout=PATIENT)
async def hold(gate: str) -> None:
    """Wait until the gate is open, as for a reply from afar: without waking meanwhile."""
    if gate not in _watched:
        _watched[gate] = asyncio.create_task(_opened(gate))
    await asyncio.shield(_watched[gate])


async def _opened(gate: str) -> None:
    """Look for all that wait."""
    while not Path(os.environ[FOLDER], gate).exists():  # noqa: ASYNC110, ASYNC240 - another process opens it
        await asyncio.sleep(0.5)


@tool(queue="bench", timeout=PATIENT)
def hold_a_thread(gate: str) -> None:
    """The same, as a plain function."""
    while not Path(os.environ[FOLDER], gate).exists():
        time.sleep(0.5)


@tool(queue="bench", timeout=PATIENT)
async def nothing() -> str:
    """Do nothing."""
    return "done"

"""What the workers of the benchmark can do: wait for a gate, nothing, look up an order, or write a line."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from ringback import Call, tool

FOLDER = "RINGBACK_BENCH_FOLDER"
"""The environment variable with the folder of the gates, and of the ledger that `mark` writes to."""
LEDGER = "ledger"
LOOK_SECONDS = 0.02
PATIENT = 900.0
"""Seconds: nothing of this may time out."""


@tool(queue="bench", timeout=PATIENT)
async def hold(gate: str, call: Call) -> int:
    """Work until the gate is open, or until the worker is killed: a second attempt is over at once."""
    if call.attempt == 1:
        await _passed(gate)
    return call.attempt


@tool(queue="bench", timeout=PATIENT)
async def nothing() -> str:
    """Do nothing."""
    return "done"


@tool(queue="bench", timeout=PATIENT)
async def order_status(order_id: str) -> dict[str, str]:
    """Look up where an order is."""
    await _passed(order_id)
    return {"order_id": order_id, "status": "baked", "eta": "today"}


@tool(queue="bench", timeout=PATIENT)
def mark(number: int) -> int:
    """Write down that this was done."""
    write_down(Path(os.environ[FOLDER]), number)
    return number


def write_down(folder: Path, number: int) -> None:
    """Append a line, in one piece."""
    ledger = os.open(folder / LEDGER, os.O_APPEND | os.O_CREAT | os.O_WRONLY, 0o600)
    try:
        os.write(ledger, f"{number}\n".encode())
    finally:
        os.close(ledger)


async def _passed(gate: str) -> None:
    path = Path(os.environ[FOLDER]) / gate
    while not path.exists():  # noqa: ASYNC110 - another process opens it
        await asyncio.sleep(LOOK_SECONDS)

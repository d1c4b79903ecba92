"""Tools that harm the process which runs them."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import threading
from pathlib import Path
from typing import Any

from ringback import tool


async def _leave() -> None:
    raise SystemExit(3)


@tool(queue="errands")
async def exit_in_background() -> str:
    """Raise SystemExit in a task of its own, twice."""
    for _ in range(2):
        task = asyncio.create_task(_leave())
        await asyncio.wait([task])
    return "still here"


@tool(queue="errands")
async def stop_loop() -> str:
    """Stop the loop that it runs on."""
    asyncio.get_running_loop().stop()
    await asyncio.sleep(0.01)
    return "still here"


@tool(queue="errands")
async def close_loop() -> None:
    """Close the loop that it runs on."""
    asyncio.get_running_loop().close()


@tool(queue="errands", timeout=30)
async def break_loop() -> None:
    """Take what the loop waits with."""
    loop: Any = asyncio.get_running_loop()
    loop._selector.close()
    await asyncio.sleep(20)


@tool(queue="errands")
def take_signals() -> None:
    """Be the one that hears SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


@tool(queue="errands")
async def take_signals_on_the_loop() -> None:
    """Be the one that hears SIGTERM, by the loop."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, print)


@tool(queue="errands")
def end_thread(thread_name: str) -> str:
    """Raise SystemExit in another thread."""
    (thread,) = (thread for thread in threading.enumerate() if thread.name == thread_name)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(SystemExit))
    return thread_name


@tool(queue="errands", timeout=0.3)
def burn() -> None:
    """Compute for ever, and never let go."""
    while True:
        pass


@tool(queue="errands", timeout=30)
def compute(folder: str, number: int) -> int:
    """Compute until so many processes do; the pid."""
    Path(folder, str(os.getpid())).touch()
    while len(list(Path(folder).iterdir())) < number:
        pass
    return os.getpid()

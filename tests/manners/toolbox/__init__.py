"""Tools whose manners can be heard: each begins when it is asked for, and ends when the test says so."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from ringback import Call, tool

FOLDER = "RINGBACK_TEST_MANNERS"
"""The environment variable with the folder in which a tool writes that it began, and waits to be let go."""
LOOK_SECONDS = 0.05


@tool(timeout=60, say_after=0.5, say="One moment, I am looking.")
async def report(subject: str) -> dict[str, str]:
    """Write a report; it takes a while, and says so."""
    return await _wait_to_be_let_go(subject)


@tool(timeout=60, say_after=0.5)
async def survey(subject: str, call: Call) -> dict[str, str]:
    """Ask around; says what it has done so far."""
    call.progress(f"asked the first of the {subject}")
    return await _wait_to_be_let_go(subject)


@tool(timeout=60)
async def parcel(number: str) -> dict[str, str]:
    """Look for a parcel."""
    return await _wait_to_be_let_go(number)


@tool(timeout=60, late="silent")
async def audit(number: str) -> dict[str, str]:
    """Look something up that is told when it is asked for."""
    return await _wait_to_be_let_go(number)


@tool(timeout=60, on_barge_in="cancel")
async def song(title: str) -> dict[str, str]:
    """Find a song, unless the caller goes on talking."""
    return await _wait_to_be_let_go(title)


@tool(timeout=60, effect="at_most_once", requires_approval=True, approval_seconds=20)
async def close_account(name: str, call: Call) -> dict[str, str]:
    """Close an account for good."""
    call.progress("closing it")
    return await _wait_to_be_let_go(name)


@tool(timeout=60, effect="at_most_once", requires_approval=True, approval_seconds=0.5)
async def delete_photo(name: str) -> dict[str, str]:
    """Delete a photo for good; the question does not stand for long."""
    return await _wait_to_be_let_go(name)


@tool(audience="client")
def chart(subject: str) -> dict[str, str]:
    """Draw a chart for the caller's screen."""
    return {"subject": subject, "secret": "only for the screen"}


async def _wait_to_be_let_go(name: str) -> dict[str, str]:
    folder = Path(os.environ[FOLDER])
    (folder / f"begun-{name}").touch()
    try:
        while not (folder / f"go-{name}").exists():  # noqa: ASYNC110 - another process says so, with a file
            await asyncio.sleep(LOOK_SECONDS)
    except asyncio.CancelledError:
        (folder / f"cancelled-{name}").touch()
        raise
    return {"summary": f"The {name} is found."}

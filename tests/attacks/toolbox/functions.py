"""The functions that the model is talked into calling: RINGBACK_TOOL_MODULES=tests.attacks.toolbox.functions."""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from ringback import Call, tool
from workers.tools.fetch_url import fetch_url  # noqa: F401 — served as it ships

FOLDER = "RINGBACK_TEST_ATTACKS"
"""The environment variable with the folder in which a function writes that it ran."""
LOOK_SECONDS = 0.05


def note(what: str) -> None:
    """Leave a trace that the test can find."""
    (Path(os.environ[FOLDER]) / what).touch()


@tool
def look(what: str, call: Call) -> dict[str, str]:
    """Look at something: harmless; says for whom."""
    note(f"looked-{call.job_id}")
    return {"seen": what, "for": call.user}


@tool(scopes=("accounts:delete",), effect="at_most_once")
def delete_account(user: str) -> str:
    """Delete an account: only for those who may."""
    note(f"deleted-{user}")
    return f"deleted {user}"


@tool(effect="at_most_once")
def transfer_money(to: str) -> str:
    """Send money."""
    note(f"transferred-{to}")
    return f"sent to {to}"


@tool(untrusted=True)
def read_page(words: str) -> str:
    """Read a page of the web: what stands there was written by a stranger."""
    return words


@tool(timeout=60)
async def wait(name: str) -> dict[str, str]:
    """Take as long as the test wants."""
    folder = Path(os.environ[FOLDER])
    note(f"begun-{name}")
    try:
        while not (folder / f"go-{name}").exists():  # noqa: ASYNC110 - another process says so, with a file
            await asyncio.sleep(LOOK_SECONDS)
    except asyncio.CancelledError:
        note(f"cancelled-{name}")
        raise
    return {"waited": name}


@tool
def run_program(argument: str) -> dict[str, Any]:
    """Hand the argument to a program, as a tool should: as a list, behind --, and never to a shell."""
    echo = "import sys; print(sys.argv[1:])"
    ended = subprocess.run(
        [sys.executable, "-c", echo, "--", argument], capture_output=True, text=True, check=False, timeout=10
    )
    return {"got": ended.stdout.strip()}


@tool(timeout=1, effect="pure")
def hang(how: str) -> str:
    """Hang, deaf to everything."""
    note(f"hangs-{how}")
    give_up = time.monotonic() + 4  # long after its time limit; a thread cannot be stopped from outside
    while time.monotonic() < give_up:
        if how == "busy":
            sum(range(1_000))
        else:
            time.sleep(LOOK_SECONDS)
    return "too late"


@tool(timeout=1)
async def hang_async(how: str) -> str:
    """Ignore that it is cancelled."""
    note(f"hangs-{how}")
    give_up = time.monotonic() + 4
    while time.monotonic() < give_up:
        try:
            await asyncio.sleep(LOOK_SECONDS)
        except asyncio.CancelledError:
            note(f"deaf-{how}")
    return "too late"


@tool
def shout(megabytes: int) -> str:
    """Return far too much."""
    return "x" * (megabytes * 1024 * 1024)


@tool
def memory() -> dict[str, int]:
    """How much memory the worker has used at most, in KiB."""
    return {"max_rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}


@tool
def give(kind: str) -> Any:
    """Return something that is no answer."""
    odd = {
        "binary": bytes(range(256)),
        "invalid text": "half \ud83d",
        "nothing like data": object(),
        "no number": float("nan"),
        "nested": _nested(100_000),
        "nul": "a\x00b",
    }
    return odd[kind]


@tool
def stumble(words: str) -> str:
    """Fail by accident, with a stranger's words in the exception."""
    raise ValueError(words)


def _nested(levels: int) -> Any:
    data: Any = []
    for _ in range(levels):
        data = [data]
    return data

"""The sides: Ringback with all that stands behind it, and each framework in its one process."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread

from benchmarks.peers_side_by_side.cases import SEVERAL, SPOKEN
from benchmarks.peers_side_by_side.drivers.orders import INSTRUCTIONS, SILENCE_MS, SPEECH
from benchmarks.peers_side_by_side.drivers.ringback import TOKEN
from benchmarks.peers_side_by_side.driving import ROOT, Driver
from cli.local_stack.stack import Stack, running_stack

SUPERVISOR_SECONDS = 0.1
"""Until a supervisor starts again what has ended: systemd's own pause, for all sides."""
DEFAULT, PROMPT = "default", "prompt"
"""Modes of ours: agents that say the same, but for a line."""
AGENT = f"""
model = "gpt-realtime"
instructions = "{INSTRUCTIONS}"
output_modalities = ["text"]
turn_detection = {{type = "server_vad", silence_duration_ms = {SILENCE_MS}}}
tools = ["work"]
"""


@dataclass(frozen=True)
class Option:
    """What a side can be told beside its defaults.

    Args:
        title: what it is called in the table.
        cases: where it is tried.
        knobs: how the simulator has to be for it.
    """

    title: str
    cases: frozenset[str]
    knobs: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Kind:
    """A side as such: its driver's module, and its options by the driver's mode."""

    name: str
    module: str
    options: dict[str, Option] = field(default_factory=dict)


# The simulator refuses an item placed behind one that it holds back until a response is over; `update` does that.
AT_ONCE = {"items_during_response": "at_once"}
OURS = "ringback"
_KINDS = (
    Kind(OURS, "ringback", {PROMPT: Option("`quiet_seconds = 0`", frozenset({"remark"}))}),
    Kind("openai-agents", "openai_agents"),
    Kind(
        "pipecat-ai",
        "pipecat_ai",
        {
            "async": Option("`cancel_on_interruption=False`", SPOKEN | SEVERAL),
            "reset": Option("`reset_conversation()` at its error", frozenset({"close"})),
        },
    ),
    Kind(
        "livekit-agents",
        "livekit_agents",
        {
            "uninterruptible": Option("`ctx.disallow_interruptions()`", SPOKEN),
            "update": Option("`ctx.update()` and a VAD", SPOKEN | SEVERAL, AT_ONCE),
        },
    ),
)
KINDS = {kind.name: kind for kind in _KINDS}


@dataclass(frozen=True)
class Side:
    """A side that runs. `kill_tools` and `kill_line` kill a process, and see to it that it is started again."""

    name: str
    driver: Callable[[str], Driver]
    kill_tools: Callable[[Driver], None]
    kill_line: Callable[[Driver], None]
    is_one_process: bool


def peer(kind: Kind, python: Path, url: str, speech: Path, logs: Path) -> Side:
    """A framework runs its functions in the process that holds the connection: there is one to kill.

    Args:
        speech: what the user says, for all sides.
    """

    def driver(mode: str) -> Driver:
        return Driver(python, kind.module, (url, mode), {SPEECH: str(speech)}, logs / f"{kind.name}.log")

    def restart(driver: Driver) -> None:
        driver.kill()
        time.sleep(SUPERVISOR_SECONDS)
        driver.start()
        driver.order("connect")

    return Side(kind.name, driver, restart, restart, is_one_process=True)


@contextmanager
def ringback(upstream: str, speech: Path, folder: Path) -> Iterator[Side]:
    """A gateway, a worker, Postgres (durable) and Valkey."""
    (folder / f"{DEFAULT}.toml").write_text(AGENT)
    (folder / f"{PROMPT}.toml").write_text(AGENT + "quiet_seconds = 0\n")
    settings = {
        "REALTIME_URL": upstream,
        "RINGBACK_AGENTS": str(folder),
        "RINGBACK_DEFAULT_AGENT": DEFAULT,
        "RINGBACK_TOOL_MODULES": "benchmarks.peers_side_by_side.tools",
        "PYTHONPATH": str(ROOT),
    }
    with running_stack(logs=folder, settings=settings, simulate=False) as stack:

        def driver(mode: str) -> Driver:
            url = stack.url.replace("http", "ws", 1) + "/v1/realtime"
            env = {TOKEN: stack.token, SPEECH: str(speech)}
            return Driver(Path(sys.executable), "ringback", (url, mode), env, folder / "ringback.log")

        yield Side(
            OURS,
            driver,
            kill_tools=lambda _: _restart(stack, "worker"),
            kill_line=lambda _: _restart(stack, "gateway"),
            is_one_process=False,
        )


def _restart(stack: Stack, name: str) -> None:
    stack.processes.kill(name)
    time.sleep(SUPERVISOR_SECONDS)
    Thread(target=stack.processes.restart, args=(name,), name=f"start of {name}", daemon=True).start()

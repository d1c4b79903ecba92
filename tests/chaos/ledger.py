"""The two ledgers of a chaos run: lines that are only ever appended, outside of the database under test.

    effects   what a tool did to the world, fsynced before the tool returns
    wire      what the fake Realtime API heard and said, conversation by conversation

Times are seconds of the wall clock, which is one for all processes of a run, Postgres among them.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

EFFECTS = "RINGBACK_CHAOS_EFFECTS"
"""The environment variable that tells a worker where the effect ledger is."""

CANARY = re.compile(r"c(\d+)\.(\d+)\.(\d+)")
"""What a client asks for, and the answer must hold: its number, its question, the call's place in it."""


def canary(client: int, ask: int, place: int) -> str:
    """Unique in a run, and tells whose it is."""
    return f"c{client}.{ask}.{place}"


@dataclass(frozen=True, slots=True)
class Effect:
    """A tool ran, in this attempt of this job, and did what it does."""

    at: float
    job_id: str
    attempt: int
    effect: str
    tool: str
    session: str
    canary: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the wire's ledger.

    Args:
        on: the number of the connection; each is a conversation of its own.
        by: "gateway" for what was heard, "model" for what was said, "world" for what happened to the connection.
        kind: an event's type; of the world: opened, closed, refused.
        rest: what the checker needs of it: ids, the item, the code.
    """

    at: float
    on: int
    by: str
    kind: str
    rest: dict[str, Any] = field(default_factory=dict)

    @property
    def item(self) -> dict[str, Any]:
        """The item that the event is about."""
        item: dict[str, Any] = self.rest.get("item") or {}
        return item


def write_effect(line: dict[str, Any]) -> None:
    """Append, and return when it is on the disk."""
    ledger = os.open(os.environ[EFFECTS], os.O_WRONLY | os.O_APPEND)
    try:
        os.write(ledger, (json.dumps({"at": time.time(), **line}) + "\n").encode())
        os.fsync(ledger)
    finally:
        os.close(ledger)


def read_effects(path: Path) -> list[Effect]:
    return [Effect(**line) for line in _lines(path)]


class WireLedger:
    """Where the fake Realtime API writes."""

    def __init__(self, path: Path) -> None:
        self._file: IO[str] = path.open("a", encoding="utf-8")

    def write(self, on: int, by: str, kind: str, **rest: Any) -> None:
        line = {"at": time.time(), "on": on, "by": by, "kind": kind, "rest": rest}
        self._file.write(json.dumps(line, separators=(",", ":")) + "\n")
        self._file.flush()


def read_wire(path: Path) -> list[Entry]:
    return [Entry(**line) for line in _lines(path)]


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text(encoding="utf-8").splitlines():
        yield json.loads(line)

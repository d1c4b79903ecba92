"""Raw lines of a run: one JSON object for each turn of each side, behind a head with the versions and the machine."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
RAW = Path(__file__).parents[1] / "raw"
"""Where a run leaves its lines and plots, unless it is told another folder."""
PACKAGES = ("celery", "fastapi", "psycopg", "redis", "uvicorn", "uvloop", "websockets")


class RawLines:
    """A file of one run, written anew; each line is on disk as soon as it is known.

    Args:
        peers: versions of what is not installed here, by name.
    """

    def __init__(self, folder: Path, name: str, peers: dict[str, str] | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"{name}.jsonl"
        self._path.write_text("", encoding="utf-8")
        self._loads: list[float] = []
        machine = f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}"
        self.head = {
            "command": " ".join(sys.argv),
            "commit": _commit(),
            "began": time.strftime("%Y-%m-%d %H:%M:%S"),
            "load": _load(),
            "machine": f"{machine}, Python {platform.python_version()}",
            "versions": {name: found for name in PACKAGES if (found := _version(name))} | (peers or {}),
        }
        self.add(**self.head)

    def add(self, **line: Any) -> None:
        """Append a line."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def turn(self, **line: Any) -> None:
        """Append what one side took in one turn, with the load of the machine."""
        self._loads.append(_load())
        self.add(**line, load=self._loads[-1])

    def loads(self) -> str:
        """Return the load of the machine as each turn ended: other work on it makes every figure larger."""
        return f"load of the machine: {min(self._loads)} to {max(self._loads)}" if self._loads else ""

    def introduction(self) -> str:
        """The command, the commit, the machine and the versions, as they stand above a table."""
        versions = ", ".join(f"{name} {number}" for name, number in self.head["versions"].items())  # type: ignore[attr-defined]
        return f"$ {self.head['command']}\n{self.head['commit']}; {self.head['machine']}; {versions}\n"


def _commit() -> str:
    """The commit that is measured, marked where files differ from it."""
    words = ["git", "describe", "--always", "--dirty", "--abbrev=7", "--exclude=*"]
    told = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    return f"commit {told.stdout.strip() or 'unknown'}"


def _load() -> float:
    return round(os.getloadavg()[0], 1)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None

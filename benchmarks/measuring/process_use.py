"""What processes use, as the operating system counts it: processor time, resident memory, descriptors."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.peers_side_by_side.venvs import default_folder, pythons
from cli.local_stack.stack import Stack

LINE_NUMBER = re.compile(r":\d+\)$")
FROM_THE_START = 0.75
"""A function that calls others alone, in such a share of the samples, has started the program: it tells little."""
SERVERS = {"postgres": "postgres", "valkey-server": "valkey"}
"""The programs of the embedded servers, and what they are called here."""


def stack_processes(stack: Stack) -> dict[str, psutil.Process]:
    """The processes of a local stack, by name."""
    return {**server_processes(), **{name: psutil.Process(stack.processes.pid(name)) for name in ("gateway", "worker")}}


def server_processes() -> dict[str, psutil.Process]:
    """The embedded servers that this process has started, by name."""
    found = {}
    for child in psutil.Process().children():
        with suppress(psutil.Error):
            if (program := child.name()) in SERVERS:
                found[SERVERS[program]] = child
    return found


def family(process: psutil.Process) -> list[psutil.Process]:
    """The process and all its descendants."""
    return [process, *process.children(recursive=True)]


@dataclass(frozen=True)
class Use:
    """What a family of processes uses at one moment."""

    at: float
    cpu_seconds: float
    rss_kib: float
    descriptors: int
    own_kib: float = 0.0
    """The part of the memory that no other process shares."""

    def cpu_since(self, earlier: Use) -> float:
        """Processor seconds since then."""
        return self.cpu_seconds - earlier.cpu_seconds

    def share_since(self, earlier: Use) -> float:
        """The share of one core since then."""
        return self.cpu_since(earlier) / (self.at - earlier.at)


def use_of(process: psutil.Process) -> Use:
    """Look at the process and its descendants, of which one may just end.

    A page that several of them share is counted once (PSS), and not among their own (USS). The memory of a process
    without children is its RSS.
    """
    cpu, rss, own, descriptors = 0.0, 0.0, 0.0, 0
    members = family(process)
    for one in members:
        with suppress(psutil.NoSuchProcess):
            times = one.cpu_times()
            cpu += times.user + times.system + times.children_user + times.children_system  # of those that have ended
            memory = one.memory_full_info() if len(members) > 1 else None
            rss += (memory.pss if memory else one.memory_info().rss) / 1024
            own += memory.uss / 1024 if memory else 0.0
            descriptors += one.num_fds()
    return Use(time.monotonic(), cpu, rss, descriptors, own or rss)


def uses_of(processes: Mapping[str, psutil.Process]) -> dict[str, Use]:
    return {name: use_of(process) for name, process in processes.items()}


def pin(processes: Iterable[psutil.Process], cores: set[int]) -> None:
    """Bind each process, and all its threads, to these cores, where the system can."""
    if not hasattr(os, "sched_setaffinity"):
        return
    for process in processes:
        for thread in process.threads():
            with suppress(ProcessLookupError):
                os.sched_setaffinity(thread.id, cores)


def cores_apart() -> tuple[set[int], set[int]]:
    """The core of what is measured, and the cores of the load; both all there are on a machine of one core."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
    return ({cores[0]}, set(cores[1:])) if len(cores) > 1 else (set(cores), set(cores))


def profile(process: psutil.Process, seconds: float, path: Path) -> None:
    """Write a profile as text: py-spy, in an environment of its own, looks at the process for some seconds."""
    program = pythons(default_folder(), ["py-spy"])["py-spy"].with_name("py-spy")
    stacks = path.with_suffix(".stacks")
    words = [
        str(program),
        "record",
        "--pid",
        str(process.pid),
        "--duration",
        f"{seconds:.0f}",
        "--rate",
        "100",
        "--nonblocking",
    ]
    told = subprocess.run(
        [*words, "--format", "raw", "--output", str(stacks)], capture_output=True, text=True, check=False
    )
    if told.returncode:
        print(f"no profile of {process.pid}: {told.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
        return
    path.write_text(shares(stacks.read_text(encoding="utf-8").splitlines()), encoding="utf-8")
    stacks.unlink()


def shares(stacks: list[str], rows: int = 40) -> str:
    """Each function's share of the samples, on the stack and at its end."""
    anywhere: dict[str, int] = {}
    at_end: dict[str, int] = {}
    total = 0
    for line in stacks:
        stack, _, number = line.rpartition(" ")
        frames, count = [LINE_NUMBER.sub(")", frame) for frame in stack.split(";")], int(number)
        total += count
        at_end[frames[-1]] = at_end.get(frames[-1], 0) + count
        for frame in dict.fromkeys(frames):
            anywhere[frame] = anywhere.get(frame, 0) + count
    found = (frame for frame, count in anywhere.items() if frame in at_end or count < FROM_THE_START * total)
    ranked = sorted(found, key=lambda frame: anywhere[frame], reverse=True)[:rows]
    told = [f"{total} samples\n\n   on the stack     at its end"]
    told += [f"{anywhere[f] / total:14.1%} {at_end.get(f, 0) / total:14.1%}  {f}" for f in ranked]
    return "\n".join(told) + "\n"

"""Ends a group of processes, and removes its folders, when the process that keeps them is gone.

A shell in a session of its own reads a *will* from a pipe, again and again. When the pipe closes, however its writer
ended, the shell does the last will that it read. Linux' PR_SET_PDEATHSIG was not taken: it fires when the *thread* that
forked ends, is lost when a child changes its user, and spares grandchildren and folders.
"""

from __future__ import annotations

import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, cast

SECONDS = 3.0  # from asking to killing: the keeper is dead, so there is no result to wait for
POLL_SECONDS = 0.05  # between two looks whether a group has ended
LOOKS = round(SECONDS / POLL_SECONDS)

# Deaf to what `systemctl stop` sends to all processes of a unit: it has to go last.
SHELL = 'trap "" INT TERM HUP; while read -r line; do will=$line; done; eval "$will"'


class Lifeline:
    """Shell that does the will; it runs from now until `close`."""

    def __init__(self) -> None:
        pipe, none = subprocess.PIPE, subprocess.DEVNULL
        self._shell = subprocess.Popen(  # noqa: S603 - a constant
            ["/bin/sh", "-c", SHELL], stdin=pipe, stdout=none, stderr=none, start_new_session=True
        )

    def tell(self, groups: Sequence[tuple[int, signal.Signals]], folders: Sequence[Path]) -> None:
        """Rewrite the will: process groups with the signal that asks each to end, and folders to remove.

        If the shell has died itself, the processes go on without it.
        """
        with suppress(BrokenPipeError):
            pipe = cast(IO[bytes], self._shell.stdin)
            pipe.write(will(groups, folders))
            pipe.flush()

    def close(self) -> None:
        """Close the pipe, and wait until the last will is done."""
        self._shell.communicate()


def remove(folder: Path) -> None:
    """Remove it, also where a process that was killed a moment ago still makes a file in it."""
    for _ in range(LOOKS):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(POLL_SECONDS)


def will(groups: Sequence[tuple[int, signal.Signals]], folders: Sequence[Path]) -> bytes:
    """Return one line of shell: all groups at once are asked, awaited and killed; then the folders are removed."""
    ends = [
        f"(kill -s {asking.name.removeprefix('SIG')} -- -{pgid}; kill -s CONT -- -{pgid}; "
        f"for look in $(seq {LOOKS}); do kill -s 0 -- -{pgid} || exit; sleep {POLL_SECONDS}; done; "
        f"kill -s KILL -- -{pgid}) &"
        for pgid, asking in groups
    ]
    return " ".join([*ends, "wait; rm -rf --", *(shlex.quote(str(folder)) for folder in folders)]).encode() + b"\n"

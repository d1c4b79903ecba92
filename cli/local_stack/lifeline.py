"""Ends process groups, and removes their folders, when the process that started them has died.

A shell in a separate session reads clean-up commands from a pipe. When the pipe closes, even after a kill -9, the shell
runs the last commands that it read. Linux' PR_SET_PDEATHSIG is no substitute: it fires when the *thread* that forked
ends, is lost when a child changes its user, and does not reach grandchildren and folders.
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

SECONDS = 3.0  # from the signal to SIGKILL: the starter is dead, so no user waits
POLL_SECONDS = 0.05  # between two checks whether a group has ended
LOOKS = round(SECONDS / POLL_SECONDS)

# It ignores the signals that `systemctl stop` sends to all processes of a unit: it has to end last.
SHELL = 'trap "" INT TERM HUP; while read -r line; do will=$line; done; eval "$will"'


class Lifeline:
    """The clean-up shell, from creation until `close`."""

    def __init__(self) -> None:
        pipe, none = subprocess.PIPE, subprocess.DEVNULL
        self._shell = subprocess.Popen(  # noqa: S603 - a constant
            ["/bin/sh", "-c", SHELL], stdin=pipe, stdout=none, stderr=none, start_new_session=True
        )

    def tell(self, groups: Sequence[tuple[int, signal.Signals]], folders: Sequence[Path]) -> None:
        """Replace the clean-up commands: process groups with their stop signals, and folders to remove.

        If the shell itself has died, the caller goes on without it.
        """
        with suppress(BrokenPipeError):
            pipe = cast(IO[bytes], self._shell.stdin)
            pipe.write(will(groups, folders))
            pipe.flush()

    def let_go(self) -> None:
        """Close the pipe in a forked child, or the shell would wait for the child's end too."""
        with suppress(BrokenPipeError):  # what a shell that has died was not told is still to be written
            cast(IO[bytes], self._shell.stdin).close()

    def close(self) -> None:
        """Close the pipe, and wait until the clean-up is done."""
        self._shell.communicate()


def remove(folder: Path) -> None:
    """Remove a folder, even if a process that was killed a moment ago still creates a file in it."""
    for _ in range(LOOKS):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(POLL_SECONDS)


def will(groups: Sequence[tuple[int, signal.Signals]], folders: Sequence[Path]) -> bytes:
    """Return one line of shell that stops all groups at once, waits, kills them, and removes the folders."""
    ends = [
        f"(kill -s {asking.name.removeprefix('SIG')} -- -{pgid}; kill -s CONT -- -{pgid}; "
        f"for look in $(seq {LOOKS}); do kill -s 0 -- -{pgid} || exit; sleep {POLL_SECONDS}; done; "
        f"kill -s KILL -- -{pgid}) &"
        for pgid, asking in groups
    ]
    return " ".join([*ends, "wait; rm -rf --", *(shlex.quote(str(folder)) for folder in folders)]).encode() + b"\n"

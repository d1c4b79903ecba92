"""Wrapper of a program that must not outlive the worker: `python -I -S child_process.py PARENT PROGRAM …`.

A killed worker cannot end its programs. On Linux the kernel signals this process, which then kills its group: the
program, and all processes that it has started and left in the group. Elsewhere the program sees the end of its input,
as an MCP server does in any case, and is expected to exit. It is a script of its own, so that it starts in
milliseconds.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
"""prctl(2): which signal comes when the parent dies."""
ORPHANED = signal.SIGUSR1
NOT_FOUND = 127
"""Exit code of a shell if there is no such program."""


def signal_on_parent_end(parent: int, number: int) -> None:
    """Have the kernel send that signal when the parent ends; at once, if it already has."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)
        if os.getppid() != parent:
            os.kill(os.getpid(), number)


def main(parent: int, command: list[str]) -> int:
    """Run the command in this process's group; return its exit code."""
    # A whole group is stopped by SIGTERM: the program ends by it, and this process after the program.
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.signal(ORPHANED, lambda *_: os.killpg(0, signal.SIGKILL))
    signal_on_parent_end(parent, ORPHANED)
    here = os.getpid()
    program = os.fork()
    if program == 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(ORPHANED, signal.SIG_DFL)
        signal_on_parent_end(here, signal.SIGKILL)
        try:
            os.execvp(command[0], command)  # noqa: S606 (an operator wrote it into a file)
        except OSError as problem:
            os.write(2, f"{command[0]}: {problem.strerror}\n".encode())
            os._exit(NOT_FOUND)
    os.close(0)
    os.close(1)  # or a reader of the output would wait for this process, and not for the program
    return os.waitstatus_to_exitcode(os.waitpid(program, 0)[1])


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))

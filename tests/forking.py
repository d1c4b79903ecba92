"""`python -m tests.forking SCRIPT ARGUMENTS…`: runs a script of ours whose processes are forked (`tests/forked.py`).

Not for what measures a start; a test of a benchmark looks at what it counts, and not at what it times.
"""

from __future__ import annotations

import os
import runpy
import socket
import sys

from cli.local_stack.process_group import ProcessGroup
from tests import fork_server, forked


def main() -> None:
    fork_server.preload()
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork():
        its.close()
        forked.fork_server = lambda: ours  # type: ignore[assignment]
        # By its default, and not by its name, which modules that are loaded already have bound.
        ProcessGroup.__init__.__defaults__ = (forked.popen,)
        del sys.argv[0]
        runpy.run_path(sys.argv[0], run_name="__main__")
    else:
        ours.close()
        os.setsid()
        if job := fork_server.serve(its.detach()):
            fork_server.become(job)


if __name__ == "__main__":
    main()

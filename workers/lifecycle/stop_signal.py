"""Count of the stop requests to this process, by signals or by the parent of a prefork pool.

The count is the number of bytes in a pipe that no process reads. A signal handler may safely write one byte, and
children that inherit the pipe see the same number. When its last writer is gone, the parent is.
"""

from __future__ import annotations

import fcntl
import os
import select
import struct
import termios

DOT = b"."


class StopSignal:
    """Counter of stop requests. Make it in the process that forks, before it does."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        self._children, self._alive = os.pipe()
        os.set_blocking(self._writer, False)
        self._made_by = os.getpid()
        self._own = 0

    def adopt(self) -> bool:
        """Close the writing ends, in each child: only the parent writes. False: this is no child."""
        if os.getpid() == self._made_by:
            return False
        os.close(self._writer)
        os.close(self._children)
        return True

    def request(self) -> None:
        """Count one more request; safe in a signal handler."""
        self._own += 1
        if os.getpid() == self._made_by:
            os.write(self._writer, DOT)

    @property
    def count(self) -> int:
        """Return how often a stop was requested, here or in the parent; a parent that is gone counts as one."""
        waiting = fcntl.ioctl(self._reader, termios.FIONREAD, struct.pack("i", 0))
        (unread,) = struct.unpack("i", waiting)
        return max(self._own, int(unread), int(_hung_up(self._reader)))

    def wait(self, seconds: float) -> None:
        """Wait until a stop is requested for the first time; in a child, so long at most.

        A child's own requests write no byte, so it has to look.
        """
        select.select([self._reader], [], [], None if os.getpid() == self._made_by else seconds)

    def children_are_gone(self) -> bool:
        """Return true if every child has ended. Called in the parent, once it forks no more."""
        if self._alive >= 0:
            os.close(self._alive)
            self._alive = -1
        return _hung_up(self._children)


def _hung_up(reader: int) -> bool:
    """Return true if no writer is left."""
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    return any(event & select.POLLHUP for _, event in poll.poll(0))

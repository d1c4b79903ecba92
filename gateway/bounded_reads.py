"""Reads for picows (extra `fast`) in pieces that its buffer has room for.

picows doubles a connection's read buffer when a read fills it, and keeps it. What a sender wrote while this process was
held up would be read at once: a stall of a second cost each session some 100 KB, for as long as it lasted.
"""

from __future__ import annotations

import asyncio
from typing import Any

READ_BYTES = 2 * 1_024
"""Of the buffer that a connection begins with: a client's frame of 20 ms fits. There are thousands of connections."""
FREE_SHARE, FREE_BYTES = 10, 256
"""A tenth of a buffer, and more than so many bytes, must stay free, or picows doubles it."""


class BoundedReads(asyncio.BufferedProtocol):
    """Protocol of a transport, in front of picows' own. The buffer grows only for a frame that does not fit.

    Args:
        protocol: a `picows.picows.WSProtocol`.
        begins_with: how many bytes it was given to begin with (`read_buffer_init_size`).
    """

    def __init__(self, protocol: Any, begins_with: int = READ_BYTES) -> None:
        self._room = protocol.get_buffer
        self._size, self._free = begins_with - FREE_BYTES, FREE_BYTES + 1
        """Of the whole buffer, of which picows shows the free part; and what of it must stay free."""
        self._room_to_read = slice(-self._free)
        for name in ("buffer_updated", "connection_lost", "eof_received", "pause_writing", "resume_writing"):
            setattr(self, name, getattr(protocol, name))

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return room for the next read: nearly all of it if a frame fills the buffer, so that picows doubles that."""
        room: memoryview = self._room(sizehint)
        size = len(room)
        while size > self._size:
            self._size *= 2
            self._free = max(FREE_BYTES, self._size // FREE_SHARE) + 1
            self._room_to_read = slice(-self._free)
        if size > self._free:
            return room[self._room_to_read]
        return room[:-1]  # never to the end: a doubled buffer is known by that

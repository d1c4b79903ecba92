"""Ports for servers that are started a moment later, and again after a kill: no other process gets them meanwhile."""

from __future__ import annotations

import atexit
import socket


def kept_port(port: int = 0) -> int:
    """Return this loopback TCP port, or any, which is kept for whoever binds it by its number until this process ends.

    A socket that does not listen keeps it: the kernel gives another one to whoever asks for any. A server that asks for
    this one gets it, as both sockets have SO_REUSEADDR, which a server needs anyway to be started again.
    """
    keeper = socket.socket()
    atexit.register(keeper.close)
    keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    keeper.bind(("127.0.0.1", port))
    return int(keeper.getsockname()[1])

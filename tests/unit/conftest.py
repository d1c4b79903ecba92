"""Unit tests talk to nobody: a connection from one is a mistake, and fails it with the address."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

LOOPBACK = ("127.", "::1", "localhost")


@pytest.fixture(autouse=True)
def _no_connections(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What Python's own sockets can do; `socketpair`, which asyncio wakes itself with, connects nothing."""
    loopback_allowed = request.node.get_closest_marker("loopback") is not None
    for method in ("connect", "connect_ex"):
        guarded = _guarded(getattr(socket.socket, method), loopback_allowed)
        monkeypatch.setattr(socket.socket, method, guarded)


def _guarded(connect: Callable[..., object], loopback_allowed: bool) -> Callable[..., object]:
    def connect_if_allowed(self: socket.socket, address: object) -> object:
        local = self.family == socket.AF_UNIX or str(address).lstrip("('").startswith(LOOPBACK)
        if not (loopback_allowed and local):
            hint = "" if loopback_allowed else " (mark it `loopback` if it serves itself)"
            self.close()  # or its caller, which expects an OSError at most, leaves it open
            pytest.fail(f"a unit test connects to {address!r}: make it an integration test{hint}")
        return connect(self, address)

    return connect_if_allowed

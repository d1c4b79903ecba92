"""Each test of the wire runs with every protocol that can read a client's frames."""

from __future__ import annotations

import pytest

from gateway.server.uvicorn_protocols import WireSocket


@pytest.fixture(params=["websockets", "picows"])
def socket_protocol(request: pytest.FixtureRequest) -> type[WireSocket]:
    """Reads the frames by one of the libraries."""
    if request.param == "websockets":
        return WireSocket
    pytest.importorskip("picows", reason="the extra `fast` is not installed")
    from gateway.server.picows_socket import PicowsSocket

    return PicowsSocket

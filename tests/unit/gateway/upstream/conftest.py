"""Each test of a connection runs with every library that can carry one."""

from __future__ import annotations

import pytest

from gateway.upstream.connection import WebSocketUpstream
from tests.unit.gateway.upstream.serving import Open


@pytest.fixture(params=["websockets", "picows"])
def dial(request: pytest.FixtureRequest) -> Open:
    """Connects by one of the libraries."""
    if request.param == "websockets":
        return WebSocketUpstream.open
    pytest.importorskip("picows", reason="the extra `fast` is not installed")
    from gateway.upstream.picows_connection import PicowsUpstream

    return PicowsUpstream.open

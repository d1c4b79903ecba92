"""The client of the provider's calls: how long it keeps a connection on which nothing is said."""

from __future__ import annotations

import httpx
import pytest

from gateway.upstream import call_control
from gateway.upstream.providers import SIMULATOR

pytestmark = pytest.mark.anyio

LOAD_BALANCER_SECONDS = 60
"""The idle limit that most load balancers have by default."""


async def test_a_connection_is_given_up_before_a_load_balancer_closes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[float] = []

    def client(_url: str, _seconds: float, *, keeps: float) -> httpx.AsyncClient:
        kept.append(keeps)
        return httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200)))

    monkeypatch.setattr(call_control, "http_client", client)
    control = call_control.CallControl(SIMULATOR, None, headers=lambda _: {})
    await control.hang_up("c-1", "ada")
    await control.close()
    assert kept
    assert max(kept) <= LOAD_BALANCER_SECONDS - 10

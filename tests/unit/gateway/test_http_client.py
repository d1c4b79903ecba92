"""What the environment says of proxies: not asked for this machine, and told in a sentence where it cannot be used."""

from __future__ import annotations

import os
from typing import Any

import pytest

from gateway.http_client import http_client
from gateway.upstream.connection import Target, UpstreamRefused, WebSocketUpstream
from ringback.config.proxies import ProxyUnusable, is_direct

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def no_proxy_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("url", "direct"),
    [
        ("ws://127.0.0.1:8090/v1/realtime", True),
        ("http://localhost/x", True),
        ("http://[::1]:80/x", True),
        ("http://127.8.9.10/x", True),
        ("wss://api.openai.com/v1/realtime", False),
        ("http://127.0.0.1.example.com/", False),
        ("http://10.0.0.1/", False),
    ],
)
def test_this_machine_is_reached_directly(url: str, direct: bool) -> None:
    assert is_direct(url) is direct


@pytest.mark.parametrize("proxy", ["socks5://ann:hunter2@127.0.0.1:1", "nonsense://ann:hunter2@127.0.0.1:1"])
async def test_a_proxy_that_cannot_be_used_is_told_without_its_password(
    monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(ProxyUnusable, match="the proxy that ALL_PROXY names cannot be used") as told:
        http_client("https://hooks.example.com/late", 1.0)
    assert "hunter2" not in str(told.value)
    await http_client("http://127.0.0.1:9/late", 1.0).aclose()


async def test_a_realtime_api_behind_such_a_proxy_is_refused_by_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    async def lacks_a_package(*_: Any, **__: Any) -> None:
        raise ImportError("connecting through a SOCKS proxy requires python-socks")

    monkeypatch.setattr("websockets.asyncio.client.connect_socks_proxy", lacks_a_package)
    monkeypatch.setenv("HTTPS_PROXY", "socks5://ann:hunter2@127.0.0.1:1")
    with pytest.raises(UpstreamRefused, match="the proxy that HTTPS_PROXY names cannot be used") as told:
        await WebSocketUpstream.open(Target("wss://voices.example.com/v1/realtime", {}), 1.0)
    assert "hunter2" not in str(told.value)


@pytest.mark.parametrize(
    "address", ["[127.0.0.1", "127.0.0.1:abc", "127.0.0.1:99999", "hunter2\N{ACCOUNT OF}@127.0.0.1:1"]
)
async def test_a_proxy_whose_address_is_none_is_told_likewise(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://ann:hunter2@{address}")
    with pytest.raises(UpstreamRefused, match="the proxy that HTTPS_PROXY names cannot be used: no such proxy") as told:
        await WebSocketUpstream.open(Target("wss://voices.example.com/v1/realtime", {}), 1.0)
    assert "hunter2" not in str(told.value)


async def test_a_realtime_api_on_this_machine_is_asked_past_any_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    async def refused(_url: str, **options: Any) -> None:
        asked.append(options["proxy"])
        raise OSError

    monkeypatch.setattr("gateway.upstream.connection._Connect", refused)
    for url in ("ws://127.0.0.1:8090/v1/realtime", "wss://api.openai.com/v1/realtime"):
        with pytest.raises(UpstreamRefused):
            await WebSocketUpstream.open(Target(url, {}), 1.0)
    assert asked == [None, True]

"""Which requests are refused by their head alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.api import MAX_BODY_BYTES
from gateway.server.request_limits import MAX_HEAD_BYTES, MAX_HEADERS, MAX_TARGET_BYTES, complaint

AT = ("/v1/realtime",)
HOST = (b"host", b"here")
SOCKET = [HOST, (b"connection", b"Upgrade"), (b"upgrade", b"websocket")]

TAKEN = [
    (b"GET", b"/", [HOST]),
    (b"GET", b"/" + b"a" * (MAX_TARGET_BYTES - 1), [HOST]),
    (b"POST", b"/v1", [HOST, (b"content-length", str(MAX_BODY_BYTES).encode())]),
    (b"POST", b"/v1", [HOST, (b"transfer-encoding", b"chunked")]),
    (b"GET", b"/", [HOST] * MAX_HEADERS),
    (b"GET", b"/", [HOST, (b"authorization", b"Bearer " + b"x" * 7_900)]),
    (b"GET", b"/v1/realtime", SOCKET),
    (b"GET", b"/v1/realtime?model=m", [*SOCKET, (b"content-length", b"0")]),
    (b"GET", b"/v1/realtime", [HOST, (b"connection", b"Upgrade"), (b"upgrade", b" WebSocket")]),
]

REFUSED = [
    (b"GET", b"/", [HOST] * (MAX_HEADERS + 1), 431, "Send at most 100 headers."),
    (b"GET", b"/", [HOST, (b"cookie", b"x" * 8_000)], 431, "Send no header longer than 8000 bytes."),
    (b"GET", b"/", [(b"a", b"x" * 6_000)] * 3, 431, "Send at most 16384 bytes of headers."),
    (b"GET", b"/" + b"a" * MAX_TARGET_BYTES, [HOST], 414, "Send an address of at most 4096 bytes."),
    (b"GET", b"http://elsewhere/", [HOST], 400, "it is no proxy"),
    (b"CONNECT", b"elsewhere:443", [HOST], 400, "it is no proxy"),
    (b"OPTIONS", b"*", [HOST], 400, "it is no proxy"),
    (b"POST", b"/", [(b"content-length", b"3"), (b"transfer-encoding", b"chunked")], 400, "and not both"),
    (b"POST", b"/", [(b"transfer-encoding", b"chunked"), (b"transfer-encoding", b"identity")], 400, "Say once"),
    (b"POST", b"/", [(b"content-length", b"3"), (b"content-length", b"4")], 400, "Say once"),
    (b"POST", b"/", [(b"content-length", b"+3")], 400, "that is a number"),
    (b"POST", b"/", [(b"content-length", b"")], 400, "that is a number"),
    (b"POST", b"/", [(b"content-length", str(MAX_BODY_BYTES + 1).encode())], 413, "a body of at most"),
    (b"POST", b"/", [(b"content-length", b"9" * 5_000)], 413, "a body of at most"),
    (b"GET", b"/v1/realtime", [(b"connection", b"Upgrade"), (b"upgrade", b"h2c")], 400, "leave out the Upgrade"),
    (b"GET", b"/v1/realtime", [(b"upgrade", b"h2c"), (b"upgrade", b"websocket")], 400, "leave out the Upgrade"),
    (b"GET", b"/v1/realtime", [(b"upgrade", b"websocket, h2c")], 400, "leave out the Upgrade"),
    (b"GET", b"/v1/jobs", SOCKET, 400, "There is no WebSocket here; it is at /v1/realtime."),
    (b"GET", b"/v1/realtime/", SOCKET, 400, "There is no WebSocket here"),
    (b"GET", b"/healthz?/v1/realtime", SOCKET, 400, "There is no WebSocket here"),
    (b"GET", b"/v1/realtime", [*SOCKET, (b"content-length", b"5")], 400, "Send no body"),
    (b"GET", b"/v1/realtime", [*SOCKET, (b"transfer-encoding", b"chunked")], 400, "Send no body"),
]

Head = list[tuple[bytes, bytes]]


@pytest.mark.parametrize(("method", "target", "headers"), TAKEN)
def test_what_clients_send_is_taken(method: bytes, target: bytes, headers: Head) -> None:
    assert complaint(method, target, headers, AT) is None


@pytest.mark.parametrize(("method", "target", "headers", "status", "sentence"), REFUSED)
def test_what_can_be_read_in_two_ways_or_costs_too_much_is_refused(
    method: bytes, target: bytes, headers: Head, status: int, sentence: str
) -> None:
    said = complaint(method, target, headers, AT)
    assert said is not None
    assert said.status == status
    assert sentence in said.sentence


def test_the_page_for_operators_tells_the_limits_that_hold() -> None:
    page = (Path(__file__).parents[4] / "docs" / "how-to" / "deploy.md").read_text(encoding="utf-8")
    for limit, of in ((MAX_HEAD_BYTES, "headers"), (MAX_BODY_BYTES, "body")):
        assert f"{limit // 1_024} KiB of {of}" in page

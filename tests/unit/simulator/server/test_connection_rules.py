"""Who is let in: keys in three places, faults at the door and on the line."""

from __future__ import annotations

import json

import pytest

from simulator.behavior import Drop, Knobs, Refusal
from simulator.faults import DropWatch, FaultCounts
from simulator.server.connection_rules import ConnectionRequest, key_of, refusal_body


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ({"Authorization": "Bearer sk-1"}, "sk-1"),
        ({"api-key": "azure-1"}, "azure-1"),
        ({"Sec-WebSocket-Protocol": "realtime, openai-insecure-api-key.ek_1"}, "ek_1"),
        ({"Sec-WebSocket-Protocol": "realtime"}, None),
        ({"Authorization": "Basic abc"}, None),
        ({}, None),
    ],
)
def test_a_key_is_found_wherever_clients_put_it(headers: dict[str, str], key: str | None) -> None:
    assert key_of(headers) == key


def test_a_wish_is_read_from_the_url() -> None:
    wanted = ConnectionRequest.of("/openai/v1/realtime?model=gpt-realtime&scenario=slow&call_id=rtc_1")
    assert wanted == ConnectionRequest("/openai/v1/realtime", "gpt-realtime", "slow", "rtc_1")
    assert ConnectionRequest.of("/v1/realtime") == ConnectionRequest("/v1/realtime")
    assert ConnectionRequest.of("/v1/realtime?item_echo=renamed&strange=1").knobs == {"item_echo": "renamed"}


@pytest.mark.parametrize(
    ("status", "code"), [(401, "invalid_api_key"), (429, "rate_limit_exceeded"), (503, "service_unavailable")]
)
def test_a_refusal_has_the_apis_shape_of_errors(status: int, code: str) -> None:
    assert json.loads(refusal_body(status))["error"]["code"] == code


def test_a_refusal_happens_so_many_times_and_no_more() -> None:
    counts, knobs = FaultCounts(), Knobs(refuse=Refusal(status=429, times=2))
    assert [bool(counts.refusal("a", knobs)) for _ in range(3)] == [True, True, False]
    assert counts.refusal("b", knobs) is not None
    assert counts.refusal("a", Knobs()) is None


def test_the_line_goes_dead_after_the_nth_event_of_so_many_connections() -> None:
    counts, drop = FaultCounts(), Drop(after="response.done", nth=2, times=1, code=1011)
    blown = []
    for _ in range(2):
        watch = DropWatch("a", drop, counts)
        blown.append(
            [watch.closes_after(kind) for kind in ("response.done", "error", "response.done", "response.done")]
        )
    assert blown == [[None, None, 1011, None], [None, None, None, None]]

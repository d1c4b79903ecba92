"""The first few thousand of the frames of `make fuzz`, and that it finds what it looks for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway import protocol
from gateway.protocol import ClientFrame
from gateway.upstream import realtime_events
from gateway.upstream.events import Item, Response
from ringback.agents.client_policy import ClientPolicy
from tests.fuzz.oracle import strays
from tests.fuzz.run import run
from tests.fuzz.seeds import EVERY_FIELD, MESSAGE, TOOL

FRAMES = 2_000


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_no_frame_of_either_side_does_what_no_frame_may_do(seed: int) -> None:
    report = run(FRAMES, seed)
    assert report.wrong == []
    assert report.frames == FRAMES


def test_the_frames_reach_every_rule() -> None:
    seen = run(4 * FRAMES, 1).counts
    rare = {"too_large"}  # It needs a long frame.
    assert {f"client {rule}" for rule in protocol.RULES if rule not in rare} <= set(seen)
    assert min(seen["client passed"], seen["model read"], seen["model malformed"]) > FRAMES // 10


def forwards_raw(frame: str | bytes, _policy: ClientPolicy) -> ClientFrame:
    return ClientFrame(json.loads(frame) if frame else {"type": "input_audio_buffer.clear"})


def lets_instructions_pass(frame: str | bytes, allowed: ClientPolicy) -> Any:
    opened = allowed.model_copy(update={"session": (*allowed.session, "instructions")})
    return READ(frame, opened)


def unchecked(event: dict[str, Any]) -> Any:
    """The parts of an event, whatever they hold."""
    parts: dict[str, Any] = {name: event.get(name) for name in realtime_events.ServerEvent.__struct_fields__}
    for name, kind in (("item", Item), ("response", Response)):
        if isinstance(parts[name], dict):
            parts[name] = kind(**{field: parts[name].get(field) for field in kind.__struct_fields__})
    return realtime_events.ServerEvent(**parts)


READ = protocol.read


@pytest.mark.parametrize("reader", [forwards_raw, lets_instructions_pass])
def test_a_decoder_of_clients_that_lets_too_much_pass_is_found(monkeypatch: pytest.MonkeyPatch, reader: Any) -> None:
    monkeypatch.setattr(protocol, "read", reader)
    assert run(FRAMES, 1).wrong


def test_a_decoder_of_the_model_that_checks_no_shape_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(realtime_events, "shape_of", unchecked)
    assert run(FRAMES, 1).wrong


def test_the_second_list_of_fields_knows_a_browsers_from_a_backends() -> None:
    session = {name: value for name, value in EVERY_FIELD.items() if name not in ("model", "prompt", "tracing")}
    assert strays({"type": "session.update", "session": session}, "browser") == [
        *("session.instructions", "session.truncation", "session.max_output_tokens", "session.tool_choice"),
        *("session.include", "session.include.*", "session.audio.output.voice"),
    ]
    tools = {"type": "session.update", "session": {"tools": [TOOL]}}
    assert strays(tools, "trusted") == []
    assert "session.tools.*.name" in strays(tools, "browser")
    assert strays({"type": "conversation.item.create", "previous_item_id": "root", "item": MESSAGE}, "browser") == [
        "previous_item_id"
    ]

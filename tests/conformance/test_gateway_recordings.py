"""Recorded traffic of real servers, played to a real gateway with a real worker behind it.

Whoever plays the recording again with the gateway as its client gets one answer for each call and one request to
speak of it, in an order that the server takes; and the person's client sees the conversation and nothing else.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.conformance.conftest import Stage
from tests.conformance.player.recordings import Player, Recording, after_confirmation, hides, load
from tests.conformance.player.wire import Event, Told, Wire
from tests.line import PLACED, Caller, are_placed, eventually

ROUNDS = ("openai-tool-call-round", "openai-reasoning-model-tool-round", "azure-tool-call-round")
TURNS = ("openai-text-in-audio-out", "xai-text-in-audio-out", "azure-audio-in-server-vad")


async def replay(stage: Stage, recording: Recording, *, to_the_letter: bool = False) -> tuple[Wire, Caller, Player]:
    """The whole recording: the upstream plays it, a client says what the recorded person's client said."""
    player = Player(recording, to_the_letter)
    async with stage.upstream(player.play) as upstream, stage.line.call() as caller:
        await caller.hear_kind("session.created")
        for frame in recording.client_frames():
            await caller.send(frame)
        responses = sum(event["type"] == "response.done" for way, event in recording.messages if way == "received")
        for _ in range(responses):
            await caller.hear_kind("response.done")
    return upstream.wire, caller, player


@pytest.fixture(scope="module", params=ROUNDS)
def round_trip(request: pytest.FixtureRequest, stage: Stage) -> tuple[Wire, Caller, Player]:
    return asyncio.run(replay(stage, load(request.param)))


Round = tuple[Wire, Caller, Player]


def test_each_recorded_call_is_answered_once_with_what_the_function_returned(round_trip: Round) -> None:
    wire, _, player = round_trip
    asked = [(call["call_id"], json.loads(call["arguments"])["city"]) for call in player.recording.calls()]
    answered = [(item["call_id"], item["output"]) for item in wire.outputs()]
    assert answered == [(call_id, f"It is foggy and 12 degrees in {city}.") for call_id, city in asked]


def test_the_model_is_asked_to_speak_once_and_only_after_the_response_with_the_call(round_trip: Round) -> None:
    wire, _, player = round_trip
    creates = wire.by_gateway("response.create")
    assert len(creates) == 1 + len(player.recording.calls()), "the client's own, and one for each round"
    kinds = [(told.by, told.event["type"]) for told in wire.story]
    done = kinds.index(("server", "response.done"))
    (second,) = [at for at, kind in enumerate(kinds) if kind == ("gateway", "response.create")][1:]
    assert done < second
    assert answers_before(wire.story, second) == len(player.recording.calls())


def answers_before(story: list[Told], place: int) -> int:
    said = [told.event for told in story[:place] if told.by == "gateway"]
    return sum(event.get("item", {}).get("type") == "function_call_output" for event in said)


@pytest.mark.parametrize("name", ROUNDS)
def test_a_recording_played_to_the_letter_gets_the_same_answers(name: str, stage: Stage) -> None:
    wire, caller, player = asyncio.run(replay(stage, load(name), to_the_letter=True))
    calls = player.recording.calls()
    assert [item["call_id"] for item in wire.outputs()] == [call["call_id"] for call in calls]
    assert len(wire.by_gateway("response.create")) == 1 + len(calls)
    eventually(lambda: are_placed(stage.line.jobs(caller.session_id)), "the echo counts")


def test_what_the_gateway_sends_is_named_and_fits_the_protocol(round_trip: Round) -> None:
    wire, _, _ = round_trip
    frames = [told.event for told in wire.story if told.by == "gateway"]
    names = [frame["event_id"] for frame in frames]
    assert len(set(names)) == len(names), "each frame has an event_id of its own"
    assert all(len(item["id"]) <= 32 for item in wire.outputs()), "the Realtime API refuses longer ids"
    assert all(isinstance(item["output"], str) for item in wire.outputs())


def test_the_client_sees_the_answer_and_nothing_of_the_call(round_trip: Round) -> None:
    _, caller, player = round_trip
    visible = [outline(event) for event in after_confirmation(player.played) if not hides(event)]
    # The server's confirmation of our configuration opens the client's session.
    expected = [("session.created", *visible[0][1:]), *visible[1:]]
    assert [outline(event) for event in caller.heard] == expected


def test_nothing_that_belongs_to_the_server_is_in_any_frame_of_the_client(round_trip: Round) -> None:
    wire, caller, player = round_trip
    hidden_items = {event["item"]["id"] for event in player.played if hides(event) and "item" in event}
    calls = {call["call_id"] for call in player.recording.calls()}
    secrets = hidden_items | calls | {"heliotrope", "get_weather", "function_call", wire.outputs()[0]["id"]}
    text = "\n".join(caller.frames)
    assert {secret for secret in secrets if secret in text} == set()


def test_the_history_holds_the_call_as_acknowledged(round_trip: Round, stage: Stage) -> None:
    _, caller, player = round_trip

    def told() -> list[tuple[str, str, bool]]:
        jobs = stage.line.jobs(caller.session_id)
        return [(job["call_id"], job["state"], job["delivery"] in PLACED) for job in jobs]

    expected = [(call["call_id"], "succeeded", True) for call in player.recording.calls()]
    eventually(lambda: told() == expected, f"the history to say {expected}; it says {told()}")


@pytest.mark.parametrize("name", TURNS)
def test_a_turn_without_a_call_reaches_the_client_as_recorded(name: str, stage: Stage) -> None:
    wire, caller, player = asyncio.run(replay(stage, load(name)))
    expected = [outline(event) for event in after_confirmation(player.played) if not hides(event)]
    assert [outline(event) for event in caller.heard] == [("session.created", *expected[0][1:]), *expected[1:]]
    spoken_by_client = [frame["type"] for frame in player.recording.client_frames()]
    relayed = [told.event for told in wire.story if told.by == "gateway" and told.event["type"] != "session.update"]
    assert [event["type"] for event in relayed] == spoken_by_client


@pytest.mark.parametrize("name", TURNS)
def test_the_audio_of_both_sides_arrives_byte_for_byte(name: str, stage: Stage) -> None:
    wire, caller, player = asyncio.run(replay(stage, load(name)))
    sent = [frame["audio"] for frame in player.recording.client_frames() if "audio" in frame]
    assert [event["audio"] for event in wire.by_gateway("input_audio_buffer.append")] == sent
    assert audio(caller.heard) == audio(player.played)


def audio(events: list[Event]) -> list[str]:
    return [event["delta"] for event in events if event["type"] == "response.output_audio.delta"]


def outline(event: Event) -> tuple[Any, ...]:
    """What must be the same on both sides of the gateway: everything but the session's own and what is hidden."""
    kind = event["type"]
    if kind.startswith("session."):
        return (kind,)
    left_out = {"previous_item_id", "response"}
    kept = {key: value for key, value in event.items() if key not in left_out}
    response = event.get("response") or {}
    visible = [item["id"] for item in response.get("output") or [] if item["type"] != "function_call"]
    return kind, json.dumps(kept, sort_keys=True), response.get("id"), response.get("status"), tuple(visible)

"""What a client sends is held to its pace by the audio format that is in force, whatever it asks for meanwhile."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from typing import Any, cast
from uuid import UUID

import pytest

from gateway.protocol import ClientFrame
from gateway.session.client_connection import ClientConnection, ClientGone, Passes
from gateway.session.client_reader import ClientReader
from gateway.session.context import SessionEnded, UpstreamLink
from tests.session_parts import session_state
from tests.unit.gateway.conversation.script import Script

G711 = {"audio": {"input": {"format": {"type": "audio/pcmu"}}}}
PCM = {"audio": {"input": {"format": {"type": "audio/pcm", "rate": 24000}}}}
AS_PCM = {"type": "session.update", "session": PCM}
MINUTE_OF_G711 = {"type": "input_audio_buffer.append", "audio": base64.b64encode(bytes(60 * 8_000)).decode()}
"""Or ten seconds of PCM."""


SOUND = {"type": "input_audio_buffer.append", "event_id": "mine", "audio": "AB==", "instructions": "Obey."}


class Model:
    """The model's server, as far as audio that passes sees it."""

    def __init__(self) -> None:
        self.is_free = True
        self.wrote: list[str] = []

    def write(self, event: str) -> None:
        self.wrote.append(event)


@pytest.mark.parametrize(
    ("is_open", "is_free", "frame", "passes"),
    [
        (True, True, SOUND, True),
        (False, True, SOUND, False),
        (True, False, SOUND, False),
        (True, True, {**SOUND, "event_id": "rb_mine"}, False),
        (True, True, {"type": "input_audio_buffer.commit"}, False),
    ],
    ids=["audio", "before the conversation", "a model that is not free", "a name of the gateway's", "no audio"],
)
def test_audio_passes_written_anew_and_all_else_is_read(
    is_open: bool, is_free: bool, frame: dict[str, Any], passes: bool
) -> None:
    read: list[dict[str, Any]] = []

    async def hear(frame: ClientFrame) -> None:
        read.append(frame.event)

    async def run() -> None:
        if is_open:
            await reader.resume()
        with pytest.raises(ClientGone):
            await reader.run()
        await reader.resume()

    model, state = Model(), session_state()
    model.is_free = is_free
    state.link = UpstreamLink(1, cast(Any, model), Script().opened().conversation)
    reader = ClientReader(cast(ClientConnection, Frames(frame, told=[])), state, hear)
    asyncio.run(run())
    written = [{**SOUND, "audio": "AA=="}] if passes else []
    for event in written:
        del event["instructions"]
    assert [json.loads(event) for event in model.wrote] == written
    assert bool(read) is (not passes and not frame.get("event_id", "").startswith("rb_"))


def test_audio_waits_while_the_next_conversation_is_opened() -> None:
    first, second, state = Model(), Model(), session_state()
    state.link = UpstreamLink(1, cast(Any, first), Script().opened().conversation)
    reader = ClientReader(cast(ClientConnection, Frames()), state, cast(Any, None))
    asyncio.run(reader.resume())
    assert reader._pass_audio(json.dumps(SOUND))
    reader.pause()
    assert not reader._pass_audio(json.dumps(SOUND)), "the first one is over"
    state.link = UpstreamLink(2, cast(Any, second), Script().opened().conversation)
    assert not reader._pass_audio(json.dumps(SOUND)), "what was kept goes first"
    asyncio.run(reader.resume())
    assert reader._pass_audio(json.dumps(SOUND))
    assert [len(model.wrote) for model in (first, second)] == [1, 1]


def test_audio_that_comes_too_fast_does_not_pass_and_is_counted_once() -> None:
    model, state = Model(), session_state(client_session=G711)
    state.link = UpstreamLink(1, cast(Any, model), Script().opened().conversation)
    reader = ClientReader(cast(ClientConnection, Frames()), state, cast(Any, None))
    asyncio.run(reader.resume())
    ten_seconds = json.dumps({**SOUND, "audio": base64.b64encode(bytes(10 * 8_000)).decode()})
    passed = [reader._pass_audio(ten_seconds) for _ in range(20)]
    assert passed == sorted(passed, reverse=True), "once it does not pass, no more of it does"
    assert len(model.wrote) == passed.count(True) < 20


class Frames:
    """A client that sends these and hangs up. It keeps the types of what it is sent."""

    def __init__(self, *frames: dict[str, Any], told: list[str] | None = None) -> None:
        self._frames: Iterator[dict[str, Any]] = iter(frames)
        self._told = told

    async def receive(self, passes: Passes) -> str:
        for frame in self._frames:
            if not passes(json.dumps(frame)):
                return json.dumps(frame)
        raise ClientGone("client_closed_1000")

    async def send(self, event: dict[str, Any]) -> None:
        assert self._told is not None, event
        self._told.append(event["type"])


def what_becomes_of(*frames: dict[str, Any], before: dict[str, Any], confirmed: bool = False) -> str:
    """How the client's part ends, as the reason that stands in the history."""

    async def hear(frame: ClientFrame) -> None:
        if confirmed and frame.event["type"] == "session.update":
            reader.heard_as(frame.event["session"])

    async def run() -> str:
        await reader.resume()
        with pytest.raises((SessionEnded, ClientGone)) as over:
            await reader.run()
        return str(over.value)

    reader = ClientReader(cast(ClientConnection, Frames(*frames)), session_state(client_session=before), hear)
    return asyncio.run(run())


MODEL = {"type": "session.update", "event_id": "mine", "session": {"model": "x", "instructions": "Obey."}}
FORBIDDEN = {"type": "conversation.item.delete", "item_id": "i"}


def told_to(*frames: dict[str, Any], asks: tuple[str, ...] = ()) -> list[str]:
    """What happens, in order, as the frames come before the conversation is open, and it opens then."""
    happened: list[str] = []

    async def hear(frame: ClientFrame) -> None:
        happened.append(f"heard {frame.event['type']}")

    async def run() -> None:
        with pytest.raises(ClientGone):
            await reader.run()
        happened.append("session.created")
        await reader.resume()

    client = cast(ClientConnection, Frames(*frames, told=happened))
    reader = ClientReader(client, session_state(wants=frozenset(asks)), hear)
    asyncio.run(run())
    return happened


def test_what_is_left_out_is_told_in_the_log_once_and_to_a_client_that_asks(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    assert told_to(MODEL, MODEL) == ["session.created", "heard session.update", "heard session.update"]
    [line] = caplog.messages
    said = "fields left out of a client event, as its policy forbids them: model, instructions"
    assert line == f"session {UUID(int=1)}: {said}"
    assert told_to(MODEL, asks=("left_out",)) == ["session.created", "ringback.left_out", "heard session.update"]


def test_no_refusal_is_told_before_the_conversation_is_open() -> None:
    assert told_to(FORBIDDEN, MODEL) == ["session.created", "error", "heard session.update"]


def test_fields_that_are_left_out_are_no_refusals_however_many() -> None:
    assert told_to(*[MODEL] * 50).count("heard session.update") == 50


def test_ten_seconds_at_once_are_what_a_recording_is() -> None:
    assert what_becomes_of(MINUTE_OF_G711, before={}) == "client_closed_1000"


def test_in_the_format_that_an_earlier_connection_has_set_they_are_a_minute() -> None:
    assert what_becomes_of(MINUTE_OF_G711, before=G711) == "too_fast"


@pytest.mark.parametrize(("confirmed", "outcome"), [(False, "too_fast"), (True, "client_closed_1000")])
def test_another_format_counts_once_the_server_has_taken_it(confirmed: bool, outcome: str) -> None:
    assert what_becomes_of(AS_PCM, MINUTE_OF_G711, before=G711, confirmed=confirmed) == outcome

"""A client's audio has a short way through the decoder. It takes what the long way takes, and comes out the same."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.protocol import MAX_PLAIN_CHARS, ClientFrame, read, read_audio, write_audio
from ringback.agents.client_policy import BROWSER, ClientPolicy

MUTE = ClientPolicy(name="browser", events=frozenset({"response.create"}))
APPEND: dict[str, Any] = {"type": "input_audio_buffer.append", "audio": "AAEC"}


def taken(frame: str, allowed: ClientPolicy = BROWSER) -> dict[str, Any] | None:
    """What goes on by the short way; it is what goes on by the long way."""
    append, long_way = read_audio(frame, allowed.events), read(frame, allowed)
    if append is None:
        return None
    if append.event_id is None:
        append.event_id = msgspec.UNSET  # the conversation names it
    event = json.loads(msgspec.json.encode(append))
    assert isinstance(long_way, ClientFrame)
    assert event == long_way.event
    assert len(append.audio) == long_way.audio_bytes
    return dict(event)


@pytest.mark.parametrize(
    "frame",
    [
        json.dumps(APPEND),
        json.dumps(APPEND, separators=(",", ":")),
        json.dumps({"event_id": "event_" + "x" * 40, **APPEND}),
        json.dumps({**APPEND, "event_id": None}),
        json.dumps({**APPEND, "audio": ""}),
        json.dumps({**APPEND, "more": {"than": ["asked"]}}),
        json.dumps({**APPEND, "audio": "+/Aa"}).replace("/", "\\/"),
        '{"type": "input_audio_buffer.append", "audio": "AAEC", "audio": "BBBB"}',
        '{"type": "input_audio_buffer.append", "audio": "AB=="}',
    ],
)
def test_audio_takes_the_short_way(frame: str) -> None:
    assert taken(frame) is not None


def test_what_goes_on_is_written_anew_from_what_was_decoded() -> None:
    frame = json.dumps({**APPEND, "event_id": "mine", "instructions": "Obey me.", "audio": "AB=="})
    assert taken(frame) == {**APPEND, "event_id": "mine", "audio": "AA=="}


COMPACT = '{"type":"input_audio_buffer.append","audio":"'
BASE64 = st.text(st.sampled_from("AB/+=\\\\u0041 \n"), max_size=16)
"""Audio, and what may stand in its place."""


@given(
    front=st.sampled_from((COMPACT, COMPACT + 'AAEC","audio":"', '{"event_id":"mine",' + COMPACT[1:], COMPACT + " ")),
    audio=st.one_of(BASE64, st.binary(max_size=48).map(lambda sound: b64encode(sound).decode())),
    end=st.sampled_from(('"}', '" }', '"} ', '","event_id":"mine"}', '","audio":"AAEC"}', '","x":"AAEC"}', '"')),
)
@example(front=COMPACT, audio="AAEC", end='"}')
@example(front=COMPACT, audio="AAEC", end='","x":"AAEC"}')
@example(front='{"audio":"AAEC","type":"input_audio_buffer.append', audio="", end='"}')
@example(front=COMPACT, audio="AB==", end='"}')
def test_audio_is_written_as_the_encoder_writes_it_whatever_it_was_read_from(front: str, audio: str, end: str) -> None:
    append = read_audio(front + audio + end)
    if append is None:
        return
    if not isinstance(append.event_id, str):
        append.event_id = "rb_client_1_1"
    assert write_audio(append, front + audio + end) == msgspec.json.encode(append).decode()


@pytest.mark.parametrize(
    "frame",
    [
        json.dumps({"type": "input_audio_buffer.commit"}),
        json.dumps({"audio": "A" * 400, "type": "input_audio_buffer.append"}),
        json.dumps({**APPEND, "audio": "A" * MAX_PLAIN_CHARS}),
        json.dumps({**APPEND, "event_id": "rb_mine"}),
        json.dumps({**APPEND, "event_id": "x" * 513}),
        json.dumps({**APPEND, "event_id": "\0"}),
        json.dumps({**APPEND, "more": "\0"}),
        json.dumps({**APPEND, "audio": "A"}),
        json.dumps({**APPEND, "audio": 7}),
        json.dumps({"type": "response.cancel", "input_audio_buffer.append": 1, "audio": "AAEC"}),
        json.dumps({"type": "input_audio_buffer.append"}),
        json.dumps({"event_id": "input_audio_buffer.append", "audio": "AAEC"}),
        json.dumps([APPEND]),
        '{"type": "input_audio_buffer.append", "audio": "AAEC"',
        '{"type": "input_audio_buffer.append", "type": "response.cancel", "audio": "AAEC"}',
    ],
)
def test_all_else_takes_the_long_way(frame: str) -> None:
    assert read_audio(frame) is None


def test_so_does_audio_of_a_client_that_may_not_send_it() -> None:
    assert taken(json.dumps(APPEND), MUTE) is None

"""The formats of the telephone network: codes of the standard, and a conversation in each of them."""

from __future__ import annotations

import base64
from array import array

import pytest

from simulator.speech.telephony import ALAW, ULAW, decoded, encoded
from simulator.speech.vad import loudness
from tests.unit.simulator.rehearsal import Rehearsal, silence, sound

HELLO = "turns: [{hears: ., spoken: 1, says: Hello.}]"


@pytest.mark.parametrize(
    ("kind", "sample", "code"),
    [
        *((ULAW, 32_767, 0x80), (ULAW, -32_768, 0x00), (ULAW, 1_000, 0xCE), (ULAW, -1_000, 0x4E), (ULAW, -24, 0x7C)),
        *((ALAW, 0, 0xD5), (ALAW, -1, 0x55), (ALAW, 32_767, 0xAA), (ALAW, -32_768, 0x2A), (ALAW, 1_000, 0xFA)),
    ],
)
def test_samples_have_the_codes_of_the_standard(kind: str, sample: int, code: int) -> None:
    assert encoded(array("h", [sample] * 3).tobytes(), kind) == bytes([code])


@pytest.mark.parametrize("kind", [ULAW, ALAW])
def test_speech_keeps_its_length_and_loudness(kind: str) -> None:
    back = decoded(encoded(sound(200), kind), kind)
    assert len(back) == len(sound(200))
    assert loudness(back) == pytest.approx(loudness(sound(200)), rel=0.05)


def test_pcm_stays_as_it_is() -> None:
    assert encoded(b"abc", "audio/pcm") == decoded(b"abc", "audio/pcm") == b"abc"


@pytest.mark.parametrize("kind", [ULAW, ALAW])
def test_a_conversation_is_heard_and_spoken_in_the_sessions_format(kind: str) -> None:
    talk = Rehearsal(HELLO)
    audio = {"input": {"format": {"type": kind}}, "output": {"format": {"type": kind}}}
    talk.send("session.update", session={"type": "realtime", "audio": audio})
    spoken = encoded(silence(300) + sound(400) + silence(600), kind)
    talk.send("input_audio_buffer.append", audio=base64.b64encode(spoken).decode())
    talk.play_out()
    kinds = [event["type"] for event in talk.sent]
    assert "input_audio_buffer.speech_stopped" in kinds
    deltas = [base64.b64decode(e["delta"]) for e in talk.sent if e["type"] == "response.output_audio.delta"]
    assert sum(map(len, deltas)) == 300 * 8  # milliseconds, at 8 bytes each

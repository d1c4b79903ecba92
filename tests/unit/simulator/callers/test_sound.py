"""The law of the telephone network, and files of sound."""

from __future__ import annotations

import wave
from array import array
from pathlib import Path

import pytest

from simulator.callers.sound import ULAW_SILENCE, SoundError, from_ulaw, read, to_ulaw, write
from simulator.speech.vad import loudness
from tests.unit.simulator.rehearsal import silence, sound


@pytest.mark.parametrize(
    ("sample", "code"), [(0, 0xFF), (32_767, 0x80), (-32_768, 0x00), (1_000, 0xCE), (-1_000, 0x4E)]
)
def test_samples_have_the_codes_of_the_standard(sample: int, code: int) -> None:
    assert to_ulaw(array("h", [sample] * 3).tobytes()) == bytes([code])


def test_every_code_comes_back_from_its_own_sample() -> None:
    codes = bytes(range(256))
    ends = array("h", from_ulaw(codes))[2::3]  # a line of three samples leads to each
    again = to_ulaw(array("h", [value for value in ends for _ in range(3)]).tobytes())
    assert again.replace(b"\x7f", b"\xff") == codes.replace(b"\x7f", b"\xff")  # there are two zeros


def test_speech_keeps_its_length_and_loudness() -> None:
    tone = sound(200)
    back = from_ulaw(to_ulaw(tone))
    assert len(back) == len(tone)
    assert loudness(back) == pytest.approx(loudness(tone), rel=0.05)
    assert to_ulaw(silence(20)) == ULAW_SILENCE * 160


def test_a_file_that_is_written_is_read(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", sound(100))
    assert read(tmp_path / "a.wav") == sound(100)


def test_a_file_of_another_form_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("hello")
    with wave.open(str(tmp_path / "eight.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8_000)
        file.writeframes(b"")
    for name, complaint in (("text.wav", "no WAV file"), ("eight.wav", "expected one channel of 16 bits at 24000 Hz")):
        with pytest.raises(SoundError, match=f"{name}: {complaint}"):
            read(tmp_path / name)

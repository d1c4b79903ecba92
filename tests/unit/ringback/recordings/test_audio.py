"""Pieces in each format: how long they are, how loud, and which samples they mean."""

from __future__ import annotations

from array import array

import pytest

from ringback.recordings.audio import LOUDEST, SILENT, Codec, Format, is_silent, loudness, samples

LOUD, QUIET = 0x4000, 0x20
MU_LAW_ZERO, A_LAW_SMALLEST = 0xFF, 0xD5
"""The codes of a silent line (ITU-T G.711)."""


def pcm(*values: int, times: int = 1) -> bytes:
    return array("h", [*values] * times).tobytes()


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000])
def test_each_rate_of_the_realtime_api_has_whole_frames(rate: int) -> None:
    assert Format(Codec.PCM, rate).ms(Format(Codec.PCM, rate).frame_bytes) == 20


@pytest.mark.parametrize("value", [0x0100, LOUD, 0x7FFF, -0x0101, -LOUD, -0x8000])
def test_a_frames_loudness_is_its_largest_sample(value: int) -> None:
    quiet, form = pcm(0, times=480), Format()
    loud = pcm(0, 0, value, value, value, value, *[0] * 474)
    assert loudness(form, quiet + loud + quiet) == bytes([0, min(LOUDEST, abs(value) - (value < 0) >> 8), 0])


@pytest.mark.parametrize(("codec", "loudest"), [(Codec.PCMU, 125), (Codec.PCMA, 126)])
def test_the_loudness_of_a_telephone_line_is_on_the_same_scale(codec: Codec, loudest: int) -> None:
    full = {Codec.PCMU: 0x80, Codec.PCMA: 0xAA}[codec]
    assert loudness(Format(codec, 8_000), bytes([full]) * 160) == bytes([loudest])


def test_a_piece_that_is_no_whole_frame_has_a_loudness_too() -> None:
    assert len(loudness(Format(), pcm(LOUD, times=481))) == 2
    assert loudness(Format(), b"") == b""


@pytest.mark.parametrize(
    ("form", "audio", "silent"),
    [
        (Format(), pcm(0, times=960), True),
        (Format(), pcm(SILENT, -SILENT, times=480), True),
        (Format(), pcm(SILENT + 1, times=480), False),
        (Format(), pcm(-SILENT - 1, times=480), False),
        (Format(), pcm(LOUD, times=480), False),
        (Format(Codec.PCMU, 8_000), bytes([MU_LAW_ZERO]) * 160, True),
        (Format(Codec.PCMA, 8_000), bytes([A_LAW_SMALLEST]) * 160, True),
        (Format(Codec.PCMU, 8_000), bytes([0x80]) * 160, False),
    ],
)
def test_what_can_be_heard_is_not_silent(form: Format, audio: bytes, silent: bool) -> None:
    assert is_silent(form, audio, loudness(form, audio)) is silent


@pytest.mark.parametrize(
    ("codec", "code", "sample"),
    [
        (Codec.PCMU, 0xFF, 0),
        (Codec.PCMU, 0x7F, 0),
        (Codec.PCMU, 0x80, 32_124),
        (Codec.PCMU, 0x00, -32_124),
        (Codec.PCMU, 0xF0, 120),
        (Codec.PCMA, 0xD5, 8),
        (Codec.PCMA, 0x55, -8),
        (Codec.PCMA, 0xAA, 32_256),
        (Codec.PCMA, 0x2A, -32_256),
    ],
)
def test_the_codes_of_a_telephone_line_mean_these_samples(codec: Codec, code: int, sample: int) -> None:
    assert list(samples(codec, bytes([code, code]))) == [sample, sample]


def test_half_a_sample_is_left_out() -> None:
    assert list(samples(Codec.PCM, pcm(1, 2) + b"\x03")) == [1, 2]

"""How much one second of audio takes, in every form in which a server or a file may name a format."""

from __future__ import annotations

import pytest

from gateway.protocol.audio_formats import bytes_per_second


@pytest.mark.parametrize(
    ("audio_format", "expected"),
    [
        ({"type": "audio/pcm", "rate": 24_000}, 48_000),
        ({"type": "audio/pcm"}, 48_000),
        ({"type": "audio/pcm", "rate": 16_000}, 32_000),
        ({"type": "audio/pcm", "rate": 44_100}, 88_200),
        ({"type": "audio/pcm", "rate": 0}, 48_000),
        ({"type": "audio/pcm", "rate": "24000"}, 48_000),
        ({"type": "audio/pcm", "rate": 10**9}, 48_000),
        ({"type": "audio/pcmu"}, 8_000),
        ({"type": "audio/pcma", "rate": 8_000}, 8_000),
        ("audio/pcmu", 8_000),
        ({"type": "audio/opus"}, None),
        ({"type": ["audio/pcm"]}, None),
        ({}, None),
        (None, None),
    ],
)
def test_a_second_of_audio_takes_so_many_bytes(audio_format: object, expected: int | None) -> None:
    assert bytes_per_second(audio_format) == expected

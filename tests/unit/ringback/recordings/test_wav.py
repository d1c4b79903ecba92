"""A recording as a file: each part of it is the same as that part of the whole."""

from __future__ import annotations

import io
import wave
from array import array

import pytest

from ringback.recordings.audio import Codec, Piece, Voice
from ringback.recordings.wav import HEADER_BYTES, Sound, asked_range, blocks, header, made

RATE = 8_000
SOUND = Sound(RATE, 12_000)
"""Three blocks, the last of which is short."""


def piece(voice: Voice, from_ms: int, values: list[int], rate: int = RATE, codec: Codec = Codec.PCM) -> Piece:
    audio = bytes(values) if codec is not Codec.PCM else array("h", values).tobytes()
    return Piece(voice, 1, from_ms, len(values) * 1_000 // rate, codec, rate, audio, b"")


PIECES = [
    piece(Voice.CALLER, 0, list(range(1, 801))),
    piece(Voice.MODEL, 4_990, list(range(1_000, 2_600))),
    piece(Voice.CALLER, 11_900, [7] * 800),
]


def part(begin: int, end: int, pieces: list[Piece] = PIECES, sound: Sound = SOUND) -> bytes:
    return header(sound)[begin:end] + b"".join(made(sound, block, pieces) for block in blocks(sound, begin, end))


def sides(whole: bytes) -> tuple[array[int], array[int]]:
    both = array("h", whole[HEADER_BYTES:])
    return both[0::2], both[1::2]


def test_it_is_a_wav_file_of_two_channels() -> None:
    with wave.open(io.BytesIO(part(0, SOUND.size))) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, RATE)
        assert file.getnframes() == 12 * RATE
    assert len(part(0, SOUND.size)) == SOUND.size


def test_each_voice_is_on_its_side_at_its_time_and_between_is_silence() -> None:
    left, right = sides(part(0, SOUND.size))
    assert list(left[:801]) == [*range(1, 801), 0]
    assert list(right[4_990 * 8 - 1 : 4_990 * 8 + 1_601]) == [0, *range(1_000, 2_600), 0]
    assert list(left[11_900 * 8 :]) == [7] * 800
    assert sum(map(abs, left)) == sum(range(1, 801)) + 7 * 800


@pytest.mark.parametrize(
    ("begin", "end"),
    [(0, 10), (0, 44), (44, 48), (40, 50), (45, 47), (160_041, 160_049), (159_000, 330_000), (384_000, 384_044)],
)
def test_any_part_is_what_stands_there_in_the_whole(begin: int, end: int) -> None:
    assert part(begin, end) == part(0, SOUND.size)[begin:end]


def test_a_block_names_the_time_of_its_pieces() -> None:
    assert [block.times(RATE) for block in blocks(SOUND, 0, SOUND.size)] == [
        (0, 5_000),
        (5_000, 10_000),
        (10_000, 12_000),
    ]


@pytest.mark.parametrize(
    ("rate", "values", "heard"),
    [(8_000, [1, 2], [1, 1, 1, 2, 2, 2]), (16_000, [1, 2, 3, 4], [1, 1, 2, 3, 3, 4]), (24_000, [5, 6], [5, 6])],
)
def test_a_voice_of_another_rate_lasts_as_long(rate: int, values: list[int], heard: list[int]) -> None:
    sound = Sound(24_000, 10)
    left, _ = sides(part(0, sound.size, [piece(Voice.CALLER, 0, values, rate)], sound))
    assert list(left[: len(heard) + 1]) == [*heard, 0]


def test_a_telephone_lines_codes_become_samples_and_what_was_lost_is_silence() -> None:
    lost = Piece(Voice.MODEL, 1, 0, 1_000, Codec.LOST, 0, b"", b"")
    left, right = sides(part(0, SOUND.size, [piece(Voice.CALLER, 0, [0x80], codec=Codec.PCMU), lost]))
    assert (left[0], any(right)) == (32_124, False)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (None, (0, 100)),
        ("bytes=0-", (0, 100)),
        ("bytes=10-19", (10, 20)),
        ("bytes=10-500", (10, 100)),
        ("bytes=-30", (70, 100)),
        ("bytes=-500", (0, 100)),
        ("bytes=0-4, 10-14", (0, 100)),
        ("lines=1-2", (0, 100)),
        ("bytes=-", (0, 100)),
        ("bytes=0-" + "9" * 15, (0, 100)),
        ("bytes=" + "9" * 15 + "-", None),
        ("bytes=0-" + "9" * 4_301, (0, 100)),
        ("bytes=-" + "9" * 4_301, (0, 100)),
        ("bytes=1-\u0662", (0, 100)),
        ("bytes=100-", None),
        ("bytes=20-10", None),
        ("bytes=-0", None),
    ],
)
def test_a_range_is_read_as_http_says(asked: str | None, found: tuple[int, int] | None) -> None:
    assert asked_range(100, asked) == found

"""Sound of callers: WAV files, and µ-law, the telephone network's 8 kHz with 8 bits. All else is PCM16 mono 24 kHz."""

from __future__ import annotations

import wave
from pathlib import Path

from simulator.speech.telephony import ULAW, decoded, encoded
from simulator.speech.vad import SAMPLE_RATE

ULAW_SILENCE = b"\xff"


class SoundError(ValueError):
    """The file is no sound that a caller can speak; the message says which is."""


def read(path: Path) -> bytes:
    """Return a file's sound.

    Raises:
        SoundError: it is no WAV file, or of another form.
    """
    try:
        with wave.open(str(path), "rb") as file:
            form = (file.getnchannels(), file.getsampwidth(), file.getframerate())
            if form != (1, 2, SAMPLE_RATE):
                raise SoundError(f"{path}: expected one channel of 16 bits at {SAMPLE_RATE} Hz, not {form}.")
            return file.readframes(file.getnframes())
    except (wave.Error, EOFError) as error:
        raise SoundError(f"{path}: no WAV file: {error}.") from error


def write(path: Path, pcm: bytes) -> None:
    """Write a WAV file."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(pcm)


def to_ulaw(pcm: bytes) -> bytes:
    """Return sound as the telephone network carries it."""
    return encoded(pcm, ULAW)


def from_ulaw(ulaw: bytes) -> bytes:
    """Return sound from the telephone network."""
    return decoded(ulaw, ULAW)

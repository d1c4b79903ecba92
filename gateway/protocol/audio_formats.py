"""How long audio lasts: seconds are counted in bytes, of the client's speech and of the model's."""

from __future__ import annotations

from typing import Any

PCM = "audio/pcm"
PCM_RATE = 24_000
"""Samples in a second, unless the format says otherwise (Realtime API, audio formats)."""
MAX_RATE = 192_000
"""Beyond it no sound card plays, and what a server says is a mistake."""
PCM_BYTES = 2
"""Of one sample: 16 bits, one channel."""
G711_BYTES_PER_SECOND = 8_000
DEFAULT_BYTES_PER_SECOND = PCM_RATE * PCM_BYTES


def bytes_per_second(audio_format: Any) -> int | None:
    """Return how much one second of audio takes in this `format` of a session; None where it names none that is known.

    Args:
        audio_format: a table with a `type`, and for PCM perhaps a `rate`; some servers echo the type alone.
    """
    table = audio_format if isinstance(audio_format, dict) else {"type": audio_format}
    if table.get("type") in ("audio/pcmu", "audio/pcma"):
        return G711_BYTES_PER_SECOND
    if table.get("type") != PCM:
        return None
    rate = table.get("rate")
    if isinstance(rate, int) and 0 < rate <= MAX_RATE:
        return rate * PCM_BYTES
    return DEFAULT_BYTES_PER_SECOND

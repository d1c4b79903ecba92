"""How long audio lasts: seconds are counted in bytes, of the client's speech and of the model's."""

from __future__ import annotations

from typing import Any

PCM = "audio/pcm"
G711 = ("audio/pcmu", "audio/pcma")
PCM_RATE = 24_000
"""Samples in a second, unless the format says otherwise (Realtime API, audio formats)."""
MAX_RATE = 192_000
"""Beyond it no sound card plays, and what a server says is a mistake."""
PCM_BYTES = 2
"""Of one sample: 16 bits, one channel."""
G711_RATE = 8_000
DEFAULT_BYTES_PER_SECOND = PCM_RATE * PCM_BYTES


def format_of(audio_format: Any) -> tuple[str, int] | None:
    """Return the type and the rate of this `format` of a session; None where it names none that is known.

    Args:
        audio_format: a table with a `type`, and for PCM perhaps a `rate`; some servers echo the type alone.
    """
    table = audio_format if isinstance(audio_format, dict) else {"type": audio_format}
    kind, rate = table.get("type"), table.get("rate")
    if kind in G711:
        return kind, G711_RATE
    if kind != PCM:
        return None
    return PCM, rate if isinstance(rate, int) and 0 < rate <= MAX_RATE else PCM_RATE


def bytes_per_second(audio_format: Any) -> int | None:
    """Return how much one second of audio takes in this `format` of a session; None where it names none."""
    known = format_of(audio_format)
    if known is None:
        return None
    kind, rate = known
    return rate * (PCM_BYTES if kind == PCM else 1)

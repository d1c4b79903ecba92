"""A plan as a list of steps: what is opened, said, sounded and closed, and in which order.

Order of the recordings: one output after the other; but a 2.x model opens its first function call before it
closes the commentary beside it. Transcript deltas run a little ahead of the sound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Literal

from simulator.behavior import Knobs
from simulator.scripting.scenario import Cut
from simulator.scripting.script import Call, Plan, Say
from simulator.speech.chunking import AUDIO_DELTA_MS, pieces_of_arguments, pieces_of_audio, pieces_of_text

# Transcript deltas run ahead of the sound; recorded are two to three words for one slice of audio.
_WORDS_PER_SLICE = 2


@dataclass(frozen=True)
class Token:
    """One step of a performance: open or close an output, send a piece of it, or cut the response off."""

    kind: Literal["open", "piece", "sound", "close", "cut"]
    output: int = 0
    piece: str = ""
    pcm: bytes = b""
    wait_ms: float = 0.0
    cut: Cut | None = None


def tokens_of(plan: Plan, voices: dict[str, bytes], *, audio: bool, limit: int | None, knobs: Knobs) -> list[Token]:
    """Return the steps of a plan, in the order of the recordings.

    Args:
        plan: what is said and called.
        voices: PCM16 audio by text, for audio responses.
        audio: whether messages are spoken.
        limit: ``max_output_tokens``, or None for no limit.
        knobs: the pace.
    """
    parts = [_tokens_of_output(i, of, voices, audio, knobs) for i, of in enumerate(plan.outputs)]
    if len(parts) > 1 and isinstance(plan.outputs[0], Say) and plan.outputs[0].phase == "commentary":
        # Recorded on 2.1: the call starts before the commentary ends.
        message, call = parts[0], parts[1]
        parts[:2] = [[*message[:-1], *call[:-1], message[-1], call[-1]]]
    tokens = [token for part in parts for token in part]
    tokens = _cut_short(tokens, plan.cut) if plan.cut else _limited(tokens, limit)
    return [replace(tokens[0], wait_ms=tokens[0].wait_ms + knobs.think_ms), *tokens[1:]] if tokens else []


def _tokens_of_output(index: int, of: Say | Call, voices: dict[str, bytes], audio: bool, knobs: Knobs) -> list[Token]:
    text = of.arguments if isinstance(of, Call) else of.text
    cut = pieces_of_arguments(text) if isinstance(of, Call) else pieces_of_text(text)
    pieces = [Token("piece", index, piece, wait_ms=knobs.text_delta_ms) for piece in cut]
    if audio and isinstance(of, Say):
        wait = AUDIO_DELTA_MS / knobs.audio_speed if knobs.audio_speed else 0.0
        slices = [Token("sound", index, pcm=pcm, wait_ms=wait) for pcm in pieces_of_audio(voices.get(text, b""))]
        pieces = _interleaved(pieces, slices)
    return [Token("open", index), *pieces, Token("close", index)]


def _interleaved(words: list[Token], slices: list[Token]) -> list[Token]:
    runs = [words[i : i + _WORDS_PER_SLICE] for i in range(0, len(words), _WORDS_PER_SLICE)]
    mixed: list[Token] = []
    for run, sound in zip_longest(runs, slices):
        mixed += [*(run or []), *([sound] if sound else [])]
    return mixed


def _cut_short(tokens: Sequence[Token], cut: Cut) -> list[Token]:
    """Keep everything before the last output, and the first few deltas of that one."""
    if cut.status == "failed":
        return [Token("cut", cut=cut)]
    last = max((token.output for token in tokens), default=0)
    kept, deltas = [], 0
    for token in tokens:
        if token.output == last and token.kind in ("piece", "sound"):
            deltas += 1
            if deltas > cut.after_deltas:
                break
        kept.append(token)
    kept = [token for token in kept if not (token.output == last and token.kind == "close")]
    return [*kept, Token("cut", cut=cut)]


def _limited(tokens: list[Token], limit: int | None) -> list[Token]:
    pieces = [i for i, token in enumerate(tokens) if token.kind == "piece"]
    if limit is None or len(pieces) <= limit:
        return tokens
    return [*tokens[: pieces[limit]], Token("cut", cut=Cut(status="incomplete", reason="max_output_tokens"))]

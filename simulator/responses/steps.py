"""Turns a plan into a list of steps: which output is opened, spoken and closed, in which order.

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
class Step:
    """One step of a response: open or close an output, send a piece of it, or cut the response off."""

    kind: Literal["open", "piece", "sound", "close", "cut"]
    output: int = 0
    piece: str = ""
    pcm: bytes = b""
    wait_ms: float = 0.0
    cut: Cut | None = None


def steps_of(plan: Plan, voices: dict[str, bytes], *, audio: bool, limit: int | None, knobs: Knobs) -> list[Step]:
    """Return the steps of a plan, in the order of the recordings.

    Args:
        plan: what is said and called.
        voices: PCM16 audio by text, for audio responses.
        audio: whether messages are spoken.
        limit: ``max_output_tokens``, or None for no limit.
        knobs: the pace.
    """
    parts = [_steps_of_output(i, of, voices, audio, knobs) for i, of in enumerate(plan.outputs)]
    if len(parts) > 1 and isinstance(plan.outputs[0], Say) and plan.outputs[0].phase == "commentary":
        # Recorded on 2.1: the call starts before the commentary ends.
        message, call = parts[0], parts[1]
        parts[:2] = [[*message[:-1], *call[:-1], message[-1], call[-1]]]
    steps = [step for part in parts for step in part]
    steps = _cut_short(steps, plan.cut) if plan.cut else _limited(steps, limit)
    return [replace(steps[0], wait_ms=steps[0].wait_ms + knobs.think_ms), *steps[1:]] if steps else []


def _steps_of_output(index: int, of: Say | Call, voices: dict[str, bytes], audio: bool, knobs: Knobs) -> list[Step]:
    text = of.arguments if isinstance(of, Call) else of.text
    cut = pieces_of_arguments(text) if isinstance(of, Call) else pieces_of_text(text)
    pieces = [Step("piece", index, piece, wait_ms=knobs.text_delta_ms) for piece in cut]
    if audio and isinstance(of, Say):
        wait = AUDIO_DELTA_MS / knobs.audio_speed if knobs.audio_speed else 0.0
        slices = [Step("sound", index, pcm=pcm, wait_ms=wait) for pcm in pieces_of_audio(voices.get(text, b""))]
        pieces = _interleaved(pieces, slices)
    return [Step("open", index), *pieces, Step("close", index)]


def _interleaved(words: list[Step], slices: list[Step]) -> list[Step]:
    runs = [words[i : i + _WORDS_PER_SLICE] for i in range(0, len(words), _WORDS_PER_SLICE)]
    mixed: list[Step] = []
    for run, sound in zip_longest(runs, slices):
        mixed += [*(run or []), *([sound] if sound else [])]
    return mixed


def _cut_short(steps: Sequence[Step], cut: Cut) -> list[Step]:
    """Keep everything before the last output, and the first few deltas of that one."""
    if cut.status == "failed":
        return [Step("cut", cut=cut)]
    last = max((step.output for step in steps), default=0)
    kept, deltas = [], 0
    for step in steps:
        if step.output == last and step.kind in ("piece", "sound"):
            deltas += 1
            if deltas > cut.after_deltas:
                break
        kept.append(step)
    kept = [step for step in kept if not (step.output == last and step.kind == "close")]
    return [*kept, Step("cut", cut=cut)]


def _limited(steps: list[Step], limit: int | None) -> list[Step]:
    pieces = [i for i, step in enumerate(steps) if step.kind == "piece"]
    if limit is None or len(pieces) <= limit:
        return steps
    return [*steps[: pieces[limit]], Step("cut", cut=Cut(status="incomplete", reason="max_output_tokens"))]

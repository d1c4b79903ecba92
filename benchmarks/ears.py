"""How well the simulator's ears hear: word error and processor time, by voice and by noise.

Each sentence is spoken by three voices: the simulator's own (hibari-tts), espeak-ng, and one of Piper, which is
installed into an environment of its own the first time. Each is heard as it is, under white noise, and under the babble
of six other speakers. The ears get the hints that a session with the demo's scenario and the tools below gives them.
Their settings were chosen by the sentences of the set `tuned`; `held_out` judges them.

    .venv/bin/python benchmarks/ears.py                                  # both ears: about 35 minutes of one core
    .venv/bin/python benchmarks/ears.py --set tuned
    .venv/bin/python benchmarks/ears.py --ears whisper --sentences 10
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.hearing.noise import Samples, babble, mixed, open_microphone, pcm16, white
from benchmarks.hearing.sentences import HELD_OUT, SETS
from benchmarks.hearing.voices import RATE, VOICES, spoken
from benchmarks.hearing.words import errors
from benchmarks.measuring.bounds import whole
from benchmarks.measuring.raw_lines import RAW, RawLines
from simulator.scripting.scenario import load
from simulator.speech import ears as simulators
from simulator.speech.hints import hints

CLEAN = "none"
NOISES: dict[str, tuple[str, float]] = {
    CLEAN: ("", 0.0),
    "white, 20 dB": ("white", 20.0),
    "white, 10 dB": ("white", 10.0),
    "babble, 20 dB": ("babble", 20.0),
    "babble, 10 dB": ("babble", 10.0),
}
COLUMNS = ("ears", "voice", *(f"noise: {name}" for name in NOISES), "CPU to audio")
HEAD = f"| {' | '.join(COLUMNS)} |\n|{' --- |' * len(COLUMNS)}"
TOOLS = [
    {
        "type": "function",
        "name": "lookup_invoice",
        "description": "Look up an invoice.",
        "parameters": {
            "type": "object",
            "properties": {"number": {"type": "string", "description": 'the number on it, such as "INV-17"'}},
        },
    },
    {
        "type": "function",
        "name": "order_status",
        "description": "Look up where an order is and when it arrives.",
        "parameters": {
            "type": "object",
            "properties": {"order_id": {"type": "string", "description": 'the number on the receipt: "A-1042"'}},
        },
    },
]


@dataclass
class Heard:
    """What one pair of ears made of one voice under one noise."""

    wrong: int = 0
    said: int = 0
    cpu_seconds: float = 0.0
    audio_seconds: float = 0.0
    misheard: list[str] = field(default_factory=list)

    @property
    def word_error(self) -> float:
        """Wrong words to words said."""
        return self.wrong / self.said


def hear(
    ears: simulators.Ears, sentences: Sequence[str], sounds: Sequence[Samples], others: Sequence[Samples], noise: str
) -> Heard:
    """Have each sentence heard under one noise."""
    told = hints([turn.hears for turn in load("demo").turns if turn.hears], TOOLS)
    heard = Heard()
    for number, (sentence, speech) in enumerate(zip(sentences, sounds, strict=True)):
        pcm = _under(noise, speech, others, number)
        began = time.process_time()
        text = ears.hear(pcm, told)
        heard.cpu_seconds += time.process_time() - began
        heard.audio_seconds += len(pcm) / 2 / RATE
        wrong, said = errors(sentence, text)
        heard.wrong, heard.said = heard.wrong + wrong, heard.said + said
        if wrong:
            heard.misheard.append(f"{sentence} → {text}")
    return heard


def _under(noise: str, speech: Samples, others: Sequence[Samples], seed: int) -> bytes:
    kind, decibels = NOISES[noise]
    length = open_microphone(speech, RATE)
    if kind == "white":
        return pcm16(mixed(speech, white(length, seed), decibels))
    if kind == "babble":
        return pcm16(mixed(speech, babble(length, others, seed), decibels))
    return pcm16(mixed(speech, np.full(length, 1e-6, np.float32), 90.0))


def rows(asked: argparse.Namespace, sounds: dict[str, list[Samples]], lines: RawLines) -> Iterator[str]:
    """Yield a row of the table for each pair of ears and each voice, and write a raw line for each noise."""
    sentences = SETS[asked.set][: asked.sentences]
    for name in asked.ears:
        ears = simulators.ears(name)
        ears.warm_up()
        for voice in sounds:
            others = [sound for other in sounds if other != voice or len(sounds) == 1 for sound in sounds[other]]
            found = {}
            for noise in asked.noises:
                found[noise] = heard = hear(ears, sentences, sounds[voice], others, noise)
                lines.turn(
                    ears=name,
                    voice=voice,
                    noise=noise,
                    sentences=asked.set,
                    words=heard.said,
                    wrong=heard.wrong,
                    cpu_seconds=round(heard.cpu_seconds, 2),
                    audio_seconds=round(heard.audio_seconds, 2),
                    misheard=heard.misheard,
                )
                print(f"  {name}, {voice}, {noise}: {heard.word_error:.1%}", file=sys.stderr, flush=True)
            cost = sum(each.cpu_seconds for each in found.values()) / sum(each.audio_seconds for each in found.values())
            cells = [f"{found[noise].word_error:.1%}" if noise in found else "-" for noise in NOISES]
            yield f"| {name} | {voice} | {' | '.join(cells)} | {cost:.2f} |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ears", nargs="+", default=simulators.available(), choices=simulators.available())
    parser.add_argument("--voices", nargs="+", default=VOICES, choices=VOICES)
    parser.add_argument("--noises", nargs="+", default=list(NOISES), choices=list(NOISES))
    parser.add_argument("--set", default="held_out", choices=SETS, help="which sentences (default: %(default)s)")
    parser.add_argument("--sentences", type=whole(), default=len(HELD_OUT), help="only the first so many")
    parser.add_argument("--raw", type=Path, default=RAW, help="folder for the raw lines")
    asked = parser.parse_args()
    sounds = {voice: list(spoken(voice, SETS[asked.set][: asked.sentences])) for voice in asked.voices}
    lines = RawLines(asked.raw, "ears")
    print(lines.introduction())
    print(HEAD)
    for row in rows(asked, sounds, lines):
        print(row, flush=True)
    print(lines.loads())
    return 0


if __name__ == "__main__":
    sys.exit(main())

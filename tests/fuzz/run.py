"""A run: so many frames from one seed, over one conversation after the other."""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import dataclass, field

from tests.fuzz.line import FuzzedLine
from tests.fuzz.mutating import mutated
from tests.fuzz.seeds import CLIENT, MODEL

FRAMES_PER_LINE = 150


@dataclass(slots=True)
class Report:
    """What came of a run; `wrong` holds the first faults with the frames that caused them."""

    frames: int = 0
    seconds: float = 0.0
    slowest_ms: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


def run(frames: int, seed: int, most_wrong: int = 1) -> Report:
    """Frames of both sides in turns; it stops at so many faults."""
    rng, report, began = random.Random(seed), Report(), time.monotonic()
    line: FuzzedLine | None = None
    while report.frames < frames and len(report.wrong) < most_wrong:
        line = FuzzedLine(rng, report.counts) if line is None or report.frames % FRAMES_PER_LINE == 0 else line
        report.frames += 1
        is_clients = rng.random() < 0.5
        frame = mutated(CLIENT if is_clients else MODEL, rng)
        before = time.thread_time()
        try:
            _send(line, frame, rng, is_clients=is_clients)
        except Exception as problem:  # whatever it is: that is what is looked for
            who = "client" if is_clients else "model"
            report.wrong.append(f"frame {report.frames} of seed {seed}, {who}: {problem!r}\n{frame[:2_000]!r}")
            line = None
        report.slowest_ms = max(report.slowest_ms, (time.thread_time() - before) * 1_000)
    report.seconds = time.monotonic() - began
    return report


def _send(line: FuzzedLine, frame: str, rng: random.Random, *, is_clients: bool) -> None:
    if is_clients:
        line.from_client(frame.encode("utf-8", "surrogatepass") if rng.random() < 0.2 else frame)
    else:
        line.from_model(frame)
    if rng.random() < 0.1:
        line.pass_time()
    if rng.random() < 0.01:
        line.next_epoch()

"""Layout of a timeline: spans and marks on lanes become boxes with places, in per cent of the width. Pure.

A drawing is wider when it is zoomed, and its boxes keep their places: all times are in milliseconds from its beginning.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ringback.recordings.audio import LOUDEST, Voice
from ringback.recordings.waveform import Waveform

ROW = 26
"""Height of one row of boxes, in pixels."""
BOX = 18
"""Height of a box in it."""
GAP = 10
"""Between two lanes."""
VOICE = 56
"""For a waveform, with the gap above it."""
AXIS = 24
"""Height of the times, at the top."""
NARROWEST = 0.15
"""Per cent: a shorter span is drawn so wide, to be seen and hit."""
STEPS = (100, 200, 500, 1_000, 2_000, 5_000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000, 600_000, 1_800_000)
"""Milliseconds between two times of the axis; above them, hours."""
TIMES = 8
"""At most so many times at zoom 1."""


class Span(NamedTuple):
    """What lasts. Spans of one `key` are drawn in one row, as the parts of one life.

    Args:
        end: None: it lasts still.
        kind: decides the colour.
        link: the address that the box leads to; "" if to none.
    """

    lane: str
    start: float
    end: float | None
    kind: str
    label: str
    link: str = ""
    key: str = ""


class Mark(NamedTuple):
    """What happens at one moment. `key`: in the row of the spans of that key."""

    lane: str
    at: float
    kind: str
    label: str
    key: str = ""


class Box(NamedTuple):
    """A span in its place: `x` and `width` in per cent, `y` in pixels."""

    x: float
    y: int
    width: float
    kind: str
    label: str
    link: str


class Dot(NamedTuple):
    """A mark in its place."""

    x: float
    y: int
    kind: str
    label: str


class Lane(NamedTuple):
    """A lane with its name: from `y`, so high."""

    name: str
    y: int
    height: int


class Tick(NamedTuple):
    """A time on the axis."""

    x: float
    text: str


class Picture(NamedTuple):
    """A whole timeline. `height` is in pixels; `now`: where the present is, in a talk that goes on."""

    height: int
    lanes: list[Lane]
    boxes: list[Box]
    dots: list[Dot]
    ticks: list[Tick]
    now: float | None


def layout(
    lanes: Sequence[str],
    spans: Sequence[Span],
    marks: Sequence[Mark],
    length: float,
    *,
    zoom: int = 1,
    is_live: bool = False,
) -> Picture:
    """Return the picture.

    Args:
        lanes: their names, from top to bottom; a lane without spans and marks is one empty row.
        length: milliseconds from the beginning to the end, or until now.
        zoom: how many times wider than the page it is: there are so many more times on the axis.
    """
    length = max(length, 1.0)
    placed: list[Lane] = []
    boxes: list[Box] = []
    dots: list[Dot] = []
    y = AXIS
    for name in lanes:
        mine = [span for span in spans if span.lane == name]
        rows, count = _rows(mine, length)
        ordered = sorted(mine, key=lambda span: span.start)
        boxes += [_box(span, y + ROW * rows[_key(span)], length) for span in ordered]
        for mark in (mark for mark in marks if mark.lane == name):
            at = y + ROW * rows.get(mark.key, 0) + ROW // 2
            dots.append(Dot(_share(mark.at, length), at, mark.kind, mark.label))
        placed.append(Lane(name, y, ROW * count))
        y += ROW * count + GAP
    return Picture(y, placed, boxes, dots, ticks(length, TIMES * zoom), 100.0 if is_live else None)


class Outline(NamedTuple):
    """The waveform of one voice, in a box of 1,000 by 100: its line, and the times lost, from and how long."""

    voice: Voice
    line: str
    lost: list[tuple[float, float]]


def outlines(found: Waveform, length: float) -> list[Outline]:
    """Return the waveforms of both voices on a timeline that is `length` milliseconds long."""
    scale = 1_000 / max(length, 1.0)
    step = found.point_ms * scale
    return [
        Outline(
            voice,
            _line(numbers, step),
            [(round(x.from_ms * scale, 2), round(x.ms * scale, 2)) for x in found.lost if x.voice is voice],
        )
        for voice, numbers in ((Voice.CALLER, found.caller), (Voice.MODEL, found.model))
    ]


def _line(numbers: Sequence[int], step: float) -> str:
    """Return the path of a waveform, as SVG writes it: each stretch of sound is a band around the middle."""
    parts, at = [], 0
    while at < len(numbers):
        end = at
        while end < len(numbers) and numbers[end]:
            end += 1
        if end > at:
            heights = [max(2, round(50 * (number / LOUDEST) ** 0.5)) for number in numbers[at:end]]
            above = "".join(f"V{50 - height}H{(at + i + 1) * step:.2f}" for i, height in enumerate(heights))
            below = "".join(f"V{50 + height}H{(end - i - 1) * step:.2f}" for i, height in enumerate(reversed(heights)))
            parts.append(f"M{at * step:.2f} 50{above}{below}Z")
        at = end + 1
    return "".join(parts)


def ticks(length: float, most: int) -> list[Tick]:
    """Return the times of an axis, at most so many, at round distances."""
    step = next((step for step in STEPS if length / step <= most), None)
    step = step or math.ceil(length / most / 3_600_000) * 3_600_000
    return [Tick(_share(at, length), clock(at, step)) for at in range(0, int(length) + 1, step)]


def clock(ms: float, step: float = 1_000) -> str:
    """Return a time from the beginning: `0:07`, `1:02:03`; with tenths if the step is shorter than a second."""
    tenths = int(ms // 100)
    seconds, tenth = divmod(tenths, 10)
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    text = f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"
    return f"{text}.{tenth}" if step < 1_000 else text


def _rows(spans: Sequence[Span], length: float) -> tuple[dict[str, int], int]:
    """Return the row of each key, the first that is free, and the number of rows."""
    ends: list[float] = []
    rows: dict[str, int] = {}
    for key, start, end in sorted(_lives(spans, length), key=lambda life: (life[1], life[2])):
        row = next((row for row, busy in enumerate(ends) if busy <= start), len(ends))
        ends[row : row + 1] = [max(end, start + length * NARROWEST / 100)]
        rows[key] = row
    return rows, max(1, len(ends))


def _lives(spans: Iterable[Span], length: float) -> list[tuple[str, float, float]]:
    """Return each key with the beginning and the end of its spans together."""
    lives: dict[str, tuple[float, float]] = {}
    for span in spans:
        end = length if span.end is None else span.end
        start, so_far = lives.get(_key(span), (span.start, end))
        lives[_key(span)] = min(start, span.start), max(so_far, end)
    return [(key, start, end) for key, (start, end) in lives.items()]


def _key(span: Span) -> str:
    return span.key or f"{span.start} {span.label}"


def _box(span: Span, y: int, length: float) -> Box:
    x = _share(span.start, length)
    end = 100.0 if span.end is None else _share(span.end, length)
    width = max(end - x, NARROWEST)
    return Box(min(x, 100 - NARROWEST), y + (ROW - BOX) // 2, round(width, 3), span.kind, span.label, span.link)


def _share(ms: float, length: float) -> float:
    return round(min(max(ms / length, 0.0), 1.0) * 100, 3)

"""The timeline's layout: each span in its place, overlapping lives in rows of their own, round times on the axis."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.web.console.timeline import AXIS, GAP, NARROWEST, ROW, Mark, Picture, Span, clock, layout, outlines, ticks
from ringback.recordings.audio import Voice
from ringback.recordings.waveform import Loss, Waveform

LANES = ("Caller", "Calls")


def drawn(*spans: Span, marks: tuple[Mark, ...] = (), length: float = 10_000, **how: int | bool) -> Picture:
    return layout(LANES, spans, marks, length, **how)  # type: ignore[arg-type]


def call(start: float, end: float | None, key: str, kind: str = "running") -> Span:
    return Span("Calls", start, end, kind, key, key=key)


def test_a_span_is_where_its_time_is() -> None:
    (box,) = drawn(Span("Caller", 2_500, 5_000, "caller", "hello", "#t-1")).boxes
    assert (box.x, box.width, box.link) == (25.0, 25.0, "#t-1")
    assert AXIS <= box.y < AXIS + ROW


def test_a_span_that_lasts_ends_now() -> None:
    picture = drawn(call(4_000, None, "a"), is_live=True)
    assert (picture.boxes[0].x, picture.boxes[0].width, picture.now) == (40.0, 60.0, 100.0)


ROWS = {
    "one after the other share a row": ([(0, 1_000), (1_000, 2_000)], [0, 0]),
    "two at once have two rows": ([(0, 1_000), (500, 2_000)], [0, 1]),
    "the third takes the row that is free first": ([(0, 1_000), (500, 3_000), (1_500, 2_000)], [0, 1, 0]),
    "one that lasts keeps its row": ([(0, None), (5_000, 6_000)], [0, 1]),
}


@pytest.mark.parametrize(("times", "rows"), ROWS.values(), ids=ROWS)
def test_lives_that_overlap_have_rows_of_their_own(times: list[tuple[float, float | None]], rows: list[int]) -> None:
    picture = drawn(*(call(start, end, str(number)) for number, (start, end) in enumerate(times)))
    first = AXIS + ROW + GAP
    by_label = {box.label: (box.y - first) // ROW for box in picture.boxes}
    assert [by_label[str(number)] for number in range(len(times))] == rows
    assert picture.lanes[1].height == ROW * (max(rows) + 1)


def test_the_parts_of_one_life_are_in_one_row_with_its_marks() -> None:
    parts = [call(0, 1_000, "a", "queued"), call(1_000, 4_000, "a"), call(500, 900, "b")]
    picture = drawn(*parts, marks=(Mark("Calls", 6_000, "heard", "heard", "a"),))
    assert len({box.y for box in picture.boxes if box.label == "a"}) == 1
    (dot,) = picture.dots
    assert (dot.x, picture.boxes[0].y <= dot.y <= picture.boxes[0].y + ROW) == (60.0, True)


def test_an_empty_lane_is_one_row() -> None:
    picture = drawn()
    assert [lane.height for lane in picture.lanes] == [ROW, ROW]
    assert (picture.boxes, picture.now) == ([], None)


TIMES = [
    (10_000, 8, ["0:00", "0:02", "0:04", "0:06", "0:08", "0:10"]),
    (2_000, 8, ["0:00.0", "0:00.5", "0:01.0", "0:01.5", "0:02.0"]),
    (3_600_000, 8, ["0:00", "10:00", "20:00", "30:00", "40:00", "50:00", "1:00:00"]),
    (
        86_400_000,
        8,
        ["0:00", "3:00:00", "6:00:00", "9:00:00", "12:00:00", "15:00:00", "18:00:00", "21:00:00", "24:00:00"],
    ),
]


@pytest.mark.parametrize(("length", "most", "texts"), TIMES)
def test_the_axis_has_round_times(length: float, most: int, texts: list[str]) -> None:
    assert [tick.text for tick in ticks(length, most)] == texts


def test_a_clock_tells_tenths_where_they_count() -> None:
    assert (clock(7_460), clock(7_460, 500), clock(3_723_000)) == ("0:07", "0:07.4", "1:02:03")


_times = st.floats(0, 20_000)


@given(st.lists(st.tuples(_times, _times), max_size=12), st.floats(0, 20_000))
def test_all_is_inside_the_picture_and_no_two_lives_overlap(times: list[tuple[float, float]], length: float) -> None:
    spans = [call(min(pair), max(pair), str(number)) for number, pair in enumerate(times)]
    picture = drawn(*spans, length=max([length, *(max(pair) for pair in times)]))
    assert all(box.x >= 0 and box.x + box.width <= 100 + 2 * NARROWEST for box in picture.boxes)
    for y in {box.y for box in picture.boxes}:
        row = sorted(box for box in picture.boxes if box.y == y)
        assert all(before.x + before.width <= after.x + NARROWEST + 0.01 for before, after in pairwise(row))


def test_a_waveform_is_a_band_around_the_middle_wherever_there_is_sound() -> None:
    lost = Loss(voice=Voice.MODEL, from_ms=500, ms=250)
    found = Waveform(session_id="s", length_ms=1_000, point_ms=250, caller=[0, 127, 32, 0], model=[0] * 4, lost=[lost])
    caller, model = outlines(found, 2_000)
    assert caller.line == "M125.00 50V0H250.00V25H375.00V75H250.00V100H125.00Z"
    assert (caller.lost, model.line, model.lost) == ([], "", [(250.0, 125.0)])

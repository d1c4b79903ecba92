"""The story of a talk: who spoke when, what each call did, and why the caller waited."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from gateway.web.console.story import CALLER, CALLS, LINE, MODEL, parts_of, story
from gateway.web.console.timeline import Mark, Span
from ringback.history.documents import ShownMoment, Timeline

BEGAN = datetime(2026, 1, 31, 12, tzinfo=UTC)
JOB = UUID(int=7)


def at(ms: float) -> datetime:
    return BEGAN + timedelta(milliseconds=ms)


def moment(
    ms: float,
    kind: str,
    detail: str | None = None,
    *,
    response: str | None = None,
    length: float | None = None,
    epoch: int = 1,
) -> ShownMoment:
    return ShownMoment(at=at(ms), kind=kind, epoch=epoch, response_id=response, ms=length, detail=detail)


def job(
    asked: float,
    began: float | None = None,
    ended: float | None = None,
    heard: float | None = None,
    state: str = "succeeded",
) -> Any:
    times = {"created_at": asked, "started_at": began, "finished_at": ended, "heard_at": heard, "spoken_at": heard}
    moments = {name: None if ms is None else at(ms) for name, ms in times.items()}
    return SimpleNamespace(id=JOB, tool="search", state=state, **moments)


def told(*moments: ShownMoment, jobs: tuple[Any, ...] = (), lines: tuple[Any, ...] = ()) -> Any:
    return story(BEGAN, moments, jobs, lines)


def spans(lane: str, *moments: ShownMoment) -> list[tuple[float, float | None, str]]:
    return [(span.start, span.end, span.kind) for span in told(*moments).spans if span.lane == lane]


SPOKE = moment(5_000, "response_spoke", "audio", response="r")
VOICES = {
    "the caller's turn": (
        CALLER,
        [moment(1_000, "user_began"), moment(2_000, "user_ended", "heard")],
        [(1_000, 2_000, "caller")],
    ),
    "a cough is no turn": (CALLER, [moment(1_000, "user_began"), moment(2_000, "user_ended", "silent")], []),
    "a turn that goes on": (CALLER, [moment(1_000, "user_began")], [(1_000, None, "caller")]),
    "what was played counts": (
        MODEL,
        [
            SPOKE,
            moment(6_000, "response_ended", "completed", response="r", length=3_000),
            moment(8_400, "response_played", "report", response="r", length=3_000),
        ],
        [(5_000, 8_400, "model")],
    ),
    "else its length": (
        MODEL,
        [SPOKE, moment(6_000, "response_ended", "completed", response="r", length=3_000)],
        [(5_000, 8_000, "model")],
    ),
    "what was cut off": (
        MODEL,
        [SPOKE, moment(6_000, "response_ended", "cancelled", response="r", length=500)],
        [(5_000, 5_500, "cut")],
    ),
    "its length, if the client did not report": (
        MODEL,
        [
            SPOKE,
            moment(6_000, "response_ended", "completed", response="r", length=3_000),
            moment(19_000, "response_played", "unknown", response="r"),
        ],
        [(5_000, 8_000, "model")],
    ),
    "one is played after the other": (
        MODEL,
        [
            SPOKE,
            moment(5_200, "response_ended", "completed", response="r", length=3_000),
            moment(5_400, "response_spoke", "audio", response="s"),
            moment(5_900, "response_ended", "completed", response="s", length=2_000),
        ],
        [(5_000, 8_000, "model"), (8_000, 10_000, "model")],
    ),
    "a voice that goes on": (MODEL, [SPOKE], [(5_000, None, "model")]),
    "two epochs": (
        LINE,
        [
            moment(0, "epoch_began", "first"),
            moment(4_000, "epoch_ended", "upstream_lost"),
            moment(5_000, "epoch_began", epoch=2),
        ],
        [(0, 4_000, "epoch"), (5_000, None, "epoch")],
    ),
    "a caller whose gateway was killed as they spoke": (
        CALLER,
        [
            moment(1_000, "user_began"),
            moment(2_000, "response_ended"),
            moment(6_000, "epoch_began", epoch=2),
            moment(7_000, "user_began", epoch=2),
        ],
        [(1_000, 2_000, "caller"), (7_000, None, "caller")],
    ),
    "a voice whose gateway was killed": (
        MODEL,
        [SPOKE, moment(6_000, "user_began"), moment(9_000, "epoch_began", epoch=2)],
        [(5_000, 6_000, "model")],
    ),
    "an epoch whose gateway was killed": (
        LINE,
        [
            moment(0, "epoch_began", "first"),
            moment(3_000, "user_ended", "heard"),
            moment(6_000, "epoch_began", "gateway_lost", epoch=2),
            moment(9_000, "epoch_ended", epoch=2),
        ],
        [(0, 3_000, "epoch"), (3_000, 6_000, "unknown"), (6_000, 9_000, "epoch")],
    ),
}


@pytest.mark.parametrize(("lane", "moments", "expected"), VOICES.values(), ids=VOICES)
def test_moments_become_spans(lane: str, moments: list[ShownMoment], expected: list[Any]) -> None:
    assert spans(lane, *moments) == expected


LIVES = {
    "waits": (job(100, state="pending"), [(100, None, "queued")]),
    "runs": (job(100, 300, state="running"), [(100, 300, "queued"), (300, None, "run-running")]),
    "never ran": (job(100, None, 900, state="timed_out"), [(100, 900, "queued")]),
    "heard": (
        job(100, 300, 900, 4_000),
        [(100, 300, "queued"), (300, 900, "run-succeeded"), (900, 4_000, "delivered")],
    ),
}


@pytest.mark.parametrize(("asked", "expected"), LIVES.values(), ids=LIVES)
def test_a_call_is_one_life(asked: Any, expected: list[Any]) -> None:
    found = told(jobs=(asked,)).spans
    assert [(span.start, span.end, span.kind) for span in found] == expected
    assert {span.key for span in found} == {str(JOB)}


def test_the_moment_when_a_result_was_heard_is_marked() -> None:
    (mark,) = told(jobs=(job(0, 1, 2, 3_000),)).marks
    assert mark == Mark(CALLS, 3_000, "heard", "search: heard", str(JOB))


def test_a_silence_is_explained_by_the_calls_that_ran_in_it() -> None:
    heard = [moment(1_000, "user_ended", "heard"), moment(15_000, "response_spoke", "audio", response="r")]
    silence, *_ = told(*heard, jobs=(job(1_400, 1_500, 14_500),)).waits
    assert (silence.at, silence.ms, silence.what) == (1_000, 14_000, "silence after the caller spoke")
    assert (silence.why, silence.job_id) == ("search took 13.1 s of it", str(JOB))


def test_a_silence_without_a_call_is_the_models() -> None:
    (silence,) = told(moment(0, "user_ended", "heard"), moment(900, "response_spoke", response="r")).waits
    assert (silence.why, silence.job_id) == ("no call was running: the model took this long", "")


def test_an_answer_at_once_is_no_wait() -> None:
    assert told(moment(0, "user_ended", "heard"), moment(600, "response_spoke", response="r")).waits == []


def test_a_call_says_what_its_result_waited_for() -> None:
    (wait,) = told(jobs=(job(0, 2_000, 5_000, 9_000),)).waits
    assert wait.why == "2.0 s in the queue, 3.0 s running, 4.0 s until it was heard"


def test_a_turn_leads_to_its_line_and_without_moments_lines_are_drawn() -> None:
    line = SimpleNamespace(who="user", at=at(2_050), text="hello")
    other = SimpleNamespace(who="user", at=at(60_000), text="bye")
    turn = (moment(1_000, "user_began"), moment(2_000, "user_ended", "heard"))
    assert told(*turn, lines=(line, other)).spans[0].link == "#t-0"
    assert told(lines=(other,)).spans == [Span(CALLER, 60_000, 60_000, "said", "said", "#t-0")]


def test_the_parts_of_a_wait_add_up() -> None:
    times = {
        "waited_ms": 100.0,
        "ran_ms": 600.0,
        "rang_ms": 10.0,
        "floor_ms": None,
        "voice_ms": 90.0,
        "heard_ms": 200.0,
    }
    parts = parts_of(SimpleNamespace(timeline=Timeline(**times, delivered_ms=1.0, acked_ms=1.0)))  # type: ignore[arg-type]
    assert [part.kind for part in parts] == ["queued", "running", "delivered", "voice", "heard"]
    assert (parts[1].x, parts[1].share) == (10.0, 60.0)
    assert sum(part.share for part in parts) == pytest.approx(100)

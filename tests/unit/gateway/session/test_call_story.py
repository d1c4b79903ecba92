"""The spans of a call's story: what began when, and what the rows add of other processes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from gateway.session.call_story import CallStory, ResponseLife, Setting, root_of, spans_of
from ringback.jobs.states import HeardBy
from ringback.telemetry import names
from ringback.telemetry.call_trace import Span, attempt_id

JOB, OTHER = UUID(int=7), UUID(int=8)
OFFSET = 1_000.0
"""Unix time less the session's clock: the moments of stories are below 100, those of steps are above 1,000."""


@dataclass
class Row:
    at: float
    state: str
    attempt: int = 0
    code: str | None = None
    approval: str | None = None
    worker_id: str | None = None


def life(began: float, ended: float | None, status: str | None = "completed", **fields: Any) -> ResponseLife:
    return ResponseLife(f"resp_{began:g}", began, ended=ended, status=status, **fields)


def story(**fields: Any) -> CallStory:
    """A call that was asked for at 12, recorded at 13, and published at 14."""
    given: dict[str, Any] = {
        "setting": Setting("session", "demo", "openai", "gpt"),
        "queue": "slow",
        "turn_ended": 10.0,
        "asks": life(11.0, 15.0),
        "recorded": 13.0,
        "published": (13.0, 14.0),
    }
    return CallStory(job_id=JOB, tool="weather", call_id="call_1", asked=12.0, **{**given, **fields})


TOLD = {"given": 21.0, "echoed": 22.0, "tells": life(23.0, 26.0, sounded=24.0)}
HEARD = {**TOLD, "heard": 25.0, "heard_by": HeardBy.REPORT}
RAN = [Row(1_013.0, "pending"), Row(1_016.0, "running", 1), Row(1_020.0, "succeeded", 1)]
ASKING = [("generate_live_content gpt", 11, 15), ("record", 12, 13), ("send slow", 13, 14)]
TELLING = [
    ("ring", 20, 21),
    ("send result", 21, 22),
    ("wait for the floor", 21, 23),
    ("generate_live_content gpt", 23, 26),
    ("first audio", 23, 24),
]


def short(spans: list[Span]) -> list[tuple[str, int, int]]:
    return [(span.name, round(span.began - OFFSET), round(span.ended - OFFSET)) for span in spans]


CASES: dict[str, tuple[CallStory, list[Row], list[tuple[str, int, int]]]] = {
    "an ordinary call": (story(**TOLD), RAN, [*ASKING, ("wait for a worker", 13, 16), *TELLING]),
    "a call whose result was heard": (
        story(**HEARD),
        RAN,
        [*ASKING, ("wait for a worker", 13, 16), *TELLING, ("heard", 24, 25)],
    ),
    "nothing is known of other processes": (story(**TOLD), [], [*ASKING, *TELLING[1:]]),
    "a retry": (
        story(**TOLD),
        [*RAN[:2], Row(1_017.0, "pending", 1, "tool_failed"), Row(1_018.0, "running", 2), RAN[2]],
        [*ASKING, ("wait for a worker", 13, 16), ("wait for a worker", 17, 18), *TELLING],
    ),
    "a killed worker": (
        story(**TOLD),
        [*RAN[:2], Row(1_018.0, "pending", 1, "worker_lost"), Row(1_019.0, "running", 2), RAN[2]],
        [
            *ASKING,
            ("wait for a worker", 13, 16),
            ("execute_tool weather", 16, 18),
            ("wait for a worker", 18, 19),
            *TELLING,
        ],
    ),
    "a call that was the end of three workers": (
        story(**TOLD),
        [*RAN[:2], Row(1_020.0, "dead", 1, "worker_lost")],
        [*ASKING, ("wait for a worker", 13, 16), ("execute_tool weather", 16, 20), *TELLING],
    ),
    "an approval": (
        story(published=None, **TOLD),
        [
            Row(1_013.0, "pending", approval="requested"),
            Row(1_015.0, "pending", approval="granted"),
            Row(1_016.0, "running", 1, approval="granted"),
            Row(1_020.0, "succeeded", 1, approval="granted"),
        ],
        [*ASKING[:2], ("wait for approval", 13, 15), ("wait for a worker", 15, 16), *TELLING],
    ),
    "refused by the gateway": (
        story(queue=None, published=None, **TOLD),
        [Row(1_020.0, "failed", code="unknown_tool")],
        [*ASKING[:2], *TELLING],
    ),
    "the user hangs up meanwhile": (story(), RAN[:2], [*ASKING, ("wait for a worker", 13, 16)]),
    "its response was not heard to begin": (story(asks=None), [], ASKING[1:]),
    "its row was never committed": (story(recorded=None, published=None), [], ASKING[:1]),
    "its response goes on": (
        story(asks=life(11.0, None, None), recorded=None, published=None),
        [],
        [("generate_live_content gpt", 11, 12)],
    ),
}


@pytest.mark.parametrize(("told", "steps", "wanted"), CASES.values(), ids=CASES)
def test_a_storys_spans_stand_in_the_order_in_which_they_began(
    told: CallStory, steps: list[Row], wanted: list[tuple[str, int, int]]
) -> None:
    assert short(spans_of(told, steps, OFFSET)) == wanted


def test_a_span_says_how_it_is_known_what_was_heard() -> None:
    (span,) = [span for span in spans_of(story(**HEARD), RAN, OFFSET) if span.name == "heard"]
    assert span.attributes == {names.HEARD_BY: "report"}


def test_an_attempt_that_no_worker_can_tell_is_told_as_that_worker_would() -> None:
    lost = [RAN[0], Row(1_016.0, "running", 2, worker_id="worker-9"), Row(1_018.0, "pending", 2, "worker_lost")]
    (span,) = [span for span in spans_of(story(), lost, OFFSET) if span.name == "execute_tool weather"]
    assert (span.span_id, span.error) == (attempt_id(JOB, 2), "worker_lost")
    assert span.attributes == {
        names.OPERATION: "execute_tool",
        names.TOOL: "weather",
        names.TOOL_TYPE: "function",
        names.TOOL_CALL: "call_1",
        names.CONVERSATION: "session",
        names.AGENT: "demo",
        names.PROVIDER: "openai",
        names.JOB: str(JOB),
        names.ATTEMPT: 2,
        names.JOB_STATE: "pending",
        names.WORKER: "worker-9",
    }


def test_the_root_lasts_from_the_end_of_the_users_turn_until_the_result_is_told() -> None:
    root = root_of(story(joined_to=OTHER, **HEARD), RAN, OFFSET, 99.0)
    assert short([root]) == [("invoke_agent demo", 10, 26)]
    assert (root.error, root.joined_to) == (None, OTHER)
    assert root.attributes == {
        names.OPERATION: "invoke_agent",
        names.AGENT: "demo",
        names.CONVERSATION: "session",
        names.PROVIDER: "openai",
        names.MODEL: "gpt",
        names.TOOL: "weather",
        names.TOOL_CALL: "call_1",
        names.JOB: str(JOB),
        names.EPOCH: 1,
        names.QUEUE: "slow",
        names.JOB_STATE: "succeeded",
        names.END_REASON: "completed",
        names.RESULT_WAIT: 5.0,
    }


FAILED = [*RAN[:2], Row(1_020.0, "timed_out", 1, "timed_out")]
ROOTS: dict[str, tuple[CallStory, list[Row], tuple[int, int], str, str | None]] = {
    "the user hangs up": (story(), RAN[:2], (10, 99), "not_told", None),
    "told, and the session ends meanwhile": (
        story(given=21.0, tells=life(23.0, None, None, sounded=24.0)),
        RAN,
        (10, 24),
        "session_ended",
        None,
    ),
    "the user talks over it": (
        story(given=21.0, tells=life(23.0, 25.0, "cancelled")),
        RAN,
        (10, 25),
        "interrupted",
        None,
    ),
    "heard after its response has ended": (story(**{**HEARD, "heard": 30.0}), RAN, (10, 30), "completed", None),
    "a tool that failed": (story(**TOLD), FAILED, (10, 26), "completed", "timed_out"),
    "no speech was heard": (story(turn_ended=None, **TOLD), RAN, (11, 26), "completed", None),
    "taken up by another gateway": (
        story(turn_ended=None, asks=None, is_adopted=True, **TOLD),
        [Row(1_003.0, "pending"), *RAN],
        (3, 26),
        "completed",
        None,
    ),
}


@pytest.mark.parametrize(("told", "steps", "lasts", "why", "error"), ROOTS.values(), ids=ROOTS)
def test_a_root_says_how_the_story_ended(
    told: CallStory, steps: list[Row], lasts: tuple[int, int], why: str, error: str | None
) -> None:
    root = root_of(told, steps, OFFSET, 99.0)
    assert short([root]) == [("invoke_agent demo", *lasts)]
    assert (root.attributes[names.END_REASON], root.error) == (why, error)


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        (
            {"input_tokens": 9, "output_tokens": 8, "input_token_details": {"audio_tokens": 7}},
            {names.INPUT_TOKENS: 9, names.OUTPUT_TOKENS: 8, names.INPUT_AUDIO_TOKENS: 7},
        ),
        ({"output_token_details": {"audio_tokens": 3}}, {names.OUTPUT_AUDIO_TOKENS: 3}),
        ({"input_tokens": "nine", "input_token_details": [1]}, {}),
        (["nine"], {}),
        (None, {}),
    ],
)
def test_tokens_are_counted_as_far_as_a_server_says_them(usage: Any, counted: dict[str, int]) -> None:
    span, *_ = spans_of(story(asks=life(11.0, 15.0, usage=usage)), [], OFFSET)
    assert {name: value for name, value in span.attributes.items() if "usage" in name} == counted

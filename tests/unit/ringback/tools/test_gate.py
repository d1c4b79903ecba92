"""Whether one more call of a limited tool may begin, and what the end of a call shows of the tool."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ringback.tools.behavior import Limits
from ringback.tools.gate import (
    LOOK_AGAIN_MAX_SECONDS,
    LOOK_AGAIN_SECONDS,
    Ended,
    Gate,
    Go,
    Load,
    Refuse,
    TooLong,
    Wait,
    after,
    decide,
)

NOW = 1_000.0
TIMEOUT = 15.0
CALM = Gate(tokens=1.0, refilled_at=NOW)
TWO = Limits(concurrency=2)
RATE = Limits(rate=2.0, burst=4)
BREAKER = Limits(breaker_failures=3, breaker_seconds=20.0)
OPEN = Gate(tokens=1.0, refilled_at=NOW, failures=3, open_until=NOW + 5)
OVER = replace(OPEN, open_until=NOW - 1)
PROBED = replace(OVER, probe_until=NOW + 9)


def ask(gate: Gate, limits: Limits, load: Load, now: float = NOW, seconds_left: float = 3_600.0) -> object:
    return decide(gate, limits, load, now, timeout=TIMEOUT, seconds_left=seconds_left)


@pytest.mark.parametrize(
    ("limits", "load", "answer"),
    [
        (TWO, Load(0), Go(CALM)),
        (TWO, Load(1), Go(CALM)),
        (TWO, Load(2), Wait(LOOK_AGAIN_SECONDS)),
        (TWO, Load(3), Wait(LOOK_AGAIN_SECONDS)),
        (TWO, Load(1, ahead=1), Wait(LOOK_AGAIN_SECONDS)),
        (TWO, Load(0, ahead=1), Go(CALM)),
        (TWO, Load(0, ahead=2), Wait(2 * LOOK_AGAIN_SECONDS)),
        (TWO, Load(2, ahead=100), Wait(LOOK_AGAIN_MAX_SECONDS)),
        (Limits(breaker_failures=1), Load(1_000, ahead=1_000), Go(CALM)),
    ],
)
def test_as_many_run_as_may_and_who_came_first_goes_first(limits: Limits, load: Load, answer: object) -> None:
    assert ask(CALM, limits, load) == answer


@pytest.mark.parametrize(
    ("tokens", "seconds_ago", "ahead", "left"),
    [
        (4.0, 0.0, 0, 3.0),
        (1.0, 0.0, 0, 0.0),
        (0.0, 0.5, 0, 0.0),  # half a second at two a second
        (0.0, 3_600.0, 0, 3.0),  # never more than the burst
        (4.0, 0.5, 1, 3.5),  # the token of a call in line, whose message is late, is still there
        (3.0, -60.0, 0, 2.0),  # a clock that was set back takes no token away
        (4.0, 0.0, 3, 3.0),
    ],
)
def test_a_call_takes_a_token_and_they_come_back_with_time(
    tokens: float, seconds_ago: float, ahead: int, left: float
) -> None:
    gate = Gate(tokens, NOW - seconds_ago)
    assert ask(gate, RATE, Load(ahead=ahead)) == Go(Gate(left, NOW))


@pytest.mark.parametrize(
    ("tokens", "seconds_ago", "ahead", "seconds"),
    [
        (0.0, 0.0, 0, 0.5),
        (0.5, 0.0, 0, 0.25),
        (0.0, 0.25, 0, 0.25),
        (0.0, 0.0, 3, 2.0),
        (1.0, 0.0, 1, 0.5),
        (4.0, 0.0, 4, 0.5),
    ],
)
def test_without_a_token_it_waits_until_it_is_its_turn(
    tokens: float, seconds_ago: float, ahead: int, seconds: float
) -> None:
    gate = Gate(tokens, NOW - seconds_ago)
    assert ask(gate, RATE, Load(ahead=ahead)) == Wait(seconds)


@pytest.mark.parametrize(("late", "left"), [(0.0, 0.0), (0.05, 1.0), (0.1, 2.0), (3.0, 5.0), (-1.0, 0.0)])
def test_what_a_late_message_has_missed_is_made_up_for_within_a_bound(late: float, left: float) -> None:
    gate = Gate(0.0, NOW - 3_600)
    assert ask(gate, Limits(rate=20.0), Load(late=late)) == Go(Gate(pytest.approx(left), NOW))  # type: ignore[arg-type]


def test_a_line_that_nobody_served_for_long_does_not_begin_all_at_once() -> None:
    gate, limits = Gate(0.0, NOW - 3_600), Limits(rate=20.0)
    assert isinstance(ask(gate, limits, Load(ahead=5)), Go)
    assert isinstance(ask(gate, limits, Load(ahead=6)), Wait)


@pytest.mark.parametrize(("seconds_left", "answer"), [(2.1, Wait(2.0)), (2.0, TooLong(2.0)), (-1.0, TooLong(2.0))])
def test_a_turn_that_comes_after_the_deadline_is_not_waited_for(seconds_left: float, answer: object) -> None:
    assert ask(Gate(0.0, NOW), RATE, Load(ahead=3), seconds_left=seconds_left) == answer


def test_at_its_turn_it_goes_whatever_arithmetic_lacks_of_a_token() -> None:
    limits = Limits(rate=500 / 3_600)
    wait = ask(Gate(0.1, NOW), limits, Load())
    assert isinstance(wait, Wait)
    assert isinstance(ask(Gate(0.1, NOW), limits, Load(), NOW + wait.seconds), Go)


@pytest.mark.parametrize(
    ("gate", "answer"),
    [
        (replace(CALM, failures=2), Go(replace(CALM, failures=2))),
        (OPEN, Refuse(5.0)),
        (OVER, Go(replace(OVER, probe_until=NOW + TIMEOUT + 2), is_probe=True)),
        (PROBED, Refuse(9.0)),
        (
            replace(PROBED, probe_until=NOW - 1),
            Go(replace(OVER, probe_until=NOW + TIMEOUT + 2), is_probe=True),
        ),
    ],
    ids=["failing", "open", "its time is over", "a probe is under way", "the probe was never heard of again"],
)
def test_an_open_breaker_refuses_and_then_lets_one_probe_through(gate: Gate, answer: object) -> None:
    assert ask(gate, BREAKER, Load()) == answer


def test_a_tool_without_a_breaker_is_not_left_alone_for_what_another_version_had() -> None:
    assert ask(OPEN, TWO, Load()) == Go(OPEN)


def test_a_probe_waits_for_a_place_like_any_other_call_and_probes_nothing_meanwhile() -> None:
    both = replace(BREAKER, concurrency=1)
    assert ask(OVER, both, Load(1)) == Wait(LOOK_AGAIN_SECONDS)


AGAIN = NOW + 20


@pytest.mark.parametrize(
    ("gate", "end", "is_probe", "changed"),
    [
        (replace(CALM, failures=2), Ended.ANSWERED, False, CALM),
        (CALM, Ended.FAILED, False, replace(CALM, failures=1)),
        (replace(CALM, failures=1), Ended.FAILED, False, replace(CALM, failures=2)),
        (replace(CALM, failures=2), Ended.FAILED, False, replace(CALM, failures=3, open_until=AGAIN)),
        (replace(CALM, failures=2), Ended.LEFT, False, replace(CALM, failures=2)),
        (OPEN, Ended.ANSWERED, False, OPEN),
        (OPEN, Ended.FAILED, False, OPEN),
        (PROBED, Ended.ANSWERED, True, CALM),
        (PROBED, Ended.FAILED, True, replace(OPEN, failures=4, open_until=AGAIN)),
        (PROBED, Ended.LEFT, True, OVER),
        (PROBED, Ended.FAILED, False, PROBED),
        (CALM, Ended.FAILED, True, replace(CALM, failures=1)),
    ],
    ids=[
        "an answer ends the row",
        "first failure",
        "second failure",
        "third failure opens",
        "a cancelled call says nothing",
        "an answer to a call from before it was open",
        "a failure from before it was open",
        "the probe was answered: closed",
        "the probe failed: open again",
        "the probe was cancelled: another may go",
        "another call's failure while one probes",
        "a probe that is late: another one has closed it",
    ],
)
def test_the_end_of_a_call_and_the_breaker(gate: Gate, end: Ended, is_probe: bool, changed: Gate) -> None:
    assert after(gate, BREAKER, end, is_probe=is_probe, now=NOW) == changed


def test_without_a_breaker_no_failure_is_counted() -> None:
    assert after(CALM, TWO, Ended.FAILED, is_probe=False, now=NOW) == CALM

"""Rounds of a sweep, played without Postgres or Redis: their steps, in order, after each reply."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest

from ringback.postgres.statement import Runnable, bound
from ringback.statements.jobs import sweeps
from ringback.sweeper import BACK, BATCHES, FORGET_EVERY, MARKER, Ask, Log, Notify, Publish, Run, Step, Sweeping

SIGNS = {
    "turn": "SET swept_at=",
    "let go": "SET state=CASE WHEN (sessions.resume_seconds IS NULL",
    "lose workers": "UPDATE processes SET ended_at",
    "take back": "rescues=",
    "time out": "jobs.deadline_at <",
    "owners": "sessions.gateway_id IS NOT NULL",
    "end unresumed": "end_reason=",
    "keep late": "SET delivery=",
    "forget": "DELETE FROM processes",
    "along": "jobs.publish_count > ",
    "again": "jobs.publish_after > statement_timestamp()",
    "due": "publish_count=(jobs.publish_count +",
}
"""Text that identifies each statement."""

REDIS_IS_THERE: Mapping[str, Any] = {"set": [None]}
REDIS_FORGOT: Mapping[str, Any] = {"set": [True], "keep": [True]}
Answers = Mapping[str, Any]


def name_of(statement: Runnable) -> str:
    text = bound(statement).text.decode()
    return next(name for name, sign in SIGNS.items() if sign in text)


def play(sweeping: Sweeping, answers: Answers, *, look: bool = False) -> tuple[list[str], list[Step], Any]:
    """Play one round, or look. Returns the names of its statements and commands in order, its steps, and its result."""
    names, steps, answer = [], [], None
    turn: Any = sweeping.look() if look else sweeping.round()
    try:
        while True:
            step = turn.send(answer)
            steps.append(step)
            name, answer = _answer(step, answers)
            if name:
                names.append(name)
    except StopIteration as over:
        return names, steps, over.value


def _answer(step: Step, answers: Answers) -> tuple[str, Any]:
    match step:
        case Run(statement):
            return name_of(statement), answers.get(name_of(statement), [])
        case Ask(commands):
            word = "keep" if commands[0][-1] == "XX" else str(commands[0][0]).lower()
            return word, answers.get(word, [None] * len(commands))
        case Publish(jobs):
            return "publish", answers.get("publish", len(jobs))
    return "", None


def job(state: str = "pending") -> Any:
    return SimpleNamespace(id=uuid4(), session_id=UUID(int=1), queue="q", state=state)


def asked(steps: list[Step]) -> list[list[str | int]]:
    """Return the keys that each SET was for."""
    return [[c[1] for c in step.commands] for step in steps if isinstance(step, Ask) and step.commands[0][-1] != "XX"]


def test_a_round_takes_back_before_it_publishes() -> None:
    names, _, more = play(Sweeping("me"), {"due": [job()]})
    assert names == [
        *("let go", "lose workers", "take back", "time out", "end unresumed", "keep late", "forget"),
        *("set", "due", "publish"),
    ]
    assert not more


def test_the_long_gone_are_forgotten_seldom() -> None:
    sweeping = Sweeping("me")
    rounds = ["forget" in play(sweeping, {})[0] for _ in range(FORGET_EVERY + 1)]
    assert [number for number, forgot in enumerate(rounds) if forgot] == [0, FORGET_EVERY]


@pytest.mark.parametrize(
    ("answers", "rung"),
    [
        ({"take back": [job("unknown")]}, True),
        ({"time out": [job("timed_out")]}, True),
        ({"take back": [job("pending")]}, False),
        ({}, False),
    ],
)
def test_whoever_waits_for_what_the_sweep_finished_is_rung(answers: Answers, rung: bool) -> None:
    owner = SimpleNamespace(id=UUID(int=1), gateway_id="gw")
    _, steps, _ = play(Sweeping("me"), {"owners": [owner], **answers})
    assert [step for step in steps if isinstance(step, Notify)] == ([Notify("gw", UUID(int=1))] if rung else [])


@pytest.mark.parametrize("name", ["let go", "take back", "time out", "end unresumed", "due"])
@pytest.mark.parametrize(("number", "expected"), [(sweeps.AT_ONCE, True), (sweeps.AT_ONCE - 1, False)])
def test_a_full_batch_means_another_round_at_once(name: str, number: int, expected: bool) -> None:
    assert play(Sweeping("me"), {name: [job()] * number})[2] is expected


@pytest.mark.parametrize("name", [*SIGNS, "nothing"])
def test_a_statement_that_lost_a_deadlock_leaves_the_round_going(name: str) -> None:
    names, _, more = play(Sweeping("me"), {name: None, "set": [True] if name == "again" else [None]})
    assert names[:7] == ["let go", "lose workers", "take back", "time out", "end unresumed", "keep late", "forget"]
    assert more is (name == "again")


def test_where_redis_does_not_answer_nothing_is_published_and_it_is_told_once() -> None:
    sweeping = Sweeping("me")
    for told in (1, 0, 0):
        names, steps, more = play(sweeping, {"set": None, "due": [job()]})
        assert "due" not in names
        assert not more
        assert len([step for step in steps if isinstance(step, Log)]) == told


def test_a_redis_that_forgot_gets_everything_again_in_the_same_round_and_only_then_the_marker_for_good() -> None:
    names, steps, _ = play(Sweeping("me"), {**REDIS_FORGOT, "due": [job()]})
    assert names[-5:] == ["set", "again", "keep", "due", "publish"]
    assert asked(steps) == [[MARKER]]


def test_a_redis_that_was_away_and_remembers_gets_everything_again_from_one_process() -> None:
    first, second = Sweeping("first"), Sweeping("second")
    for sweeping in (first, second):
        play(sweeping, {"set": None})
    names, steps, _ = play(first, {"set": [None, True]})
    assert "again" in names
    assert asked(steps) == [[MARKER, BACK]]
    assert "again" not in play(second, {"set": [None, None]})[0]
    for sweeping in (first, second):
        assert asked(play(sweeping, REDIS_IS_THERE)[1]) == [[MARKER]], "it is over"


def test_what_could_not_be_made_due_again_is_tried_in_the_next_round() -> None:
    sweeping = Sweeping("me")
    names, _, more = play(sweeping, {"set": [True], "again": None, "due": [job()]})
    assert names[-4:] == ["set", "again", "due", "publish"]
    assert more
    assert "again" in play(sweeping, {**REDIS_IS_THERE, "keep": [True]})[0]
    assert "again" not in play(sweeping, REDIS_IS_THERE)[0], "it is over"


def test_a_redis_that_forgets_once_more_meanwhile_gets_everything_again_once_more() -> None:
    sweeping = Sweeping("me")
    assert "keep" in play(sweeping, {"set": [True], "keep": [None]})[0]
    assert "again" in play(sweeping, {**REDIS_IS_THERE, "keep": [True]})[0]


def test_a_long_backlog_is_made_due_again_in_batches_and_the_round_goes_on() -> None:
    sweeping, full = Sweeping("me"), [job()] * sweeps.AGAIN_AT_ONCE
    names, _, more = play(sweeping, {**REDIS_FORGOT, "again": full, "due": [job()]})
    assert names.count("again") == BATCHES
    assert names[-2:] == ["due", "publish"]
    assert "keep" not in names
    assert more


def test_a_broker_that_refuses_is_looked_at_like_one_that_was_away() -> None:
    sweeping = Sweeping("me")
    _, _, more = play(sweeping, {"due": [job()] * sweeps.AT_ONCE, "publish": 3})
    assert not more
    assert asked(play(sweeping, {"set": [None, True]})[1]) == [[MARKER, BACK]]


@pytest.mark.parametrize(
    "suspicion",
    [
        lambda _: {"lose workers": [SimpleNamespace(id="w", queues=["q", "r"])]},
        lambda sweeping: sweeping.suspect(["r", "q"]) or {},
    ],
    ids=["a lost worker", "a connection that was cut"],
)
def test_queues_whose_messages_may_be_gone_are_published_again_once(suspicion: Callable[[Sweeping], Answers]) -> None:
    sweeping = Sweeping("me")
    names, steps, _ = play(sweeping, {**suspicion(sweeping), "due": [job()]})
    assert names[-5:] == ["set", "along", "along", "due", "publish"]
    along = [step for step in steps if isinstance(step, Run) and name_of(step.statement) == "along"]
    queues = [{"q", "r"}.intersection(map(str, bound(step.statement).parameters)) for step in along]
    assert queues == [{"q"}, {"r"}]
    assert "along" not in play(sweeping, {})[0]


def test_queues_stay_suspect_while_redis_is_away() -> None:
    sweeping = Sweeping("me")
    sweeping.suspect(["q"])
    assert "along" not in play(sweeping, {"set": None})[0]
    assert "along" in play(sweeping, {"set": [None, None]})[0]

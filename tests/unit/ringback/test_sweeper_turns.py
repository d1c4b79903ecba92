"""The turn to sweep for all: many processes, played on a clock that stands still between two looks."""

from __future__ import annotations

from collections.abc import Collection
from heapq import heappop, heappush
from itertools import pairwise
from random import Random
from types import SimpleNamespace

import pytest

from ringback.statements.jobs import sweeps
from ringback.statements.processes import TURN_SECONDS
from ringback.sweeper import ENDINGS, MAX_PAUSE_SECONDS, STEPS, TASKS, Run, Sweeping, Wake
from tests.unit.ringback.test_sweeper import REDIS_IS_THERE, Answers, job, play

SECONDS = 20.0


STEP_OF = {
    "lost_sessions": "let go",
    "lost_workers": "lose workers",
    "lost_jobs": "take back",
    "overdue_jobs": "time out",
    "unresumed_sessions": "end unresumed",
    "late_results": "keep late",
    "due_jobs": "due",
}


def turn(is_ours: bool, living: int = 1, *, work: Collection[str] = ()) -> Answers:
    """The reply to a look: whose turn it is, how many live, and the flags that are true."""
    flags = {name: name in work for name in STEPS | TASKS}
    return {"turn": [SimpleNamespace(is_ours=is_ours, living=living, **flags)], **REDIS_IS_THERE}


def steady(low: float, high: float) -> float:
    return (low + high) / 2


def after_the_first(sweeping: Sweeping) -> Sweeping:
    """Play the first round, which also forgets old processes."""
    play(sweeping, turn(True), look=True)
    return sweeping


def test_a_process_with_the_turn_takes_the_steps_that_have_work_and_the_others_take_none() -> None:
    assert set(STEP_OF) == STEPS
    for flag, step in STEP_OF.items():
        names = play(after_the_first(Sweeping("me")), turn(True, work=[flag]), look=True)[0]
        kept = ["keep late"] if flag in ENDINGS else []
        assert names == list(dict.fromkeys(["turn", *([step] if step != "due" else []), *kept, "set", "due"]))
        assert play(Sweeping("me"), turn(False, work=[flag]), look=True)[0] == ["turn"]


def test_a_look_that_finds_no_work_is_one_statement_and_one_question_to_redis() -> None:
    assert play(after_the_first(Sweeping("me")), turn(True), look=True)[0] == ["turn", "set"]


@pytest.mark.parametrize("is_ours", [True, False])
def test_the_gateway_s_own_tasks_are_woken_whose_turn_it_may_be(is_ours: bool) -> None:
    sweeping = after_the_first(Sweeping("me", is_gateway=True))
    steps = play(sweeping, turn(is_ours, work=["due_webhooks", "held_sessions"]), look=True)[1]
    assert [step for step in steps if isinstance(step, Wake)] == [Wake(frozenset({"due_webhooks", "held_sessions"}))]
    assert not any(isinstance(step, Wake) for step in play(sweeping, turn(is_ours), look=True)[1])


def test_a_round_that_was_not_enough_is_followed_by_a_whole_one_whosever_turn_it_is() -> None:
    sweeping = after_the_first(Sweeping("me"))
    full = {"take back": [job()] * sweeps.AT_ONCE}
    assert play(sweeping, {**turn(True, work=["lost_jobs"]), **full}, look=True)[2] == 0
    names, _, pause = play(sweeping, turn(False), look=True)
    assert names == ["turn", *(step for step in STEP_OF.values() if step != "due"), "set", "due"]
    assert pause > 0
    assert play(sweeping, turn(False), look=True)[0] == ["turn"]


@pytest.mark.parametrize(("living", "pause"), [(0, 0.5), (1, 0.5), (12, 0.5), (50, 2.0), (100, 4.0), (5_000, 4.0)])
def test_the_more_processes_live_the_more_seldom_each_looks(living: int, pause: float) -> None:
    assert play(Sweeping("me", steady), turn(False, living), look=True)[2] == pytest.approx(pause)


def test_no_two_processes_keep_in_step() -> None:
    sweeping = Sweeping("me")
    pauses = {play(sweeping, turn(False), look=True)[2] for _ in range(10)}
    assert len(pauses) == 10
    assert min(pauses) >= TURN_SECONDS, "a process that is alone finds the turn free at each look"


def test_what_no_other_process_knows_of_is_seen_to_without_the_turn() -> None:
    suspicious, away = Sweeping("suspicious"), Sweeping("away")
    suspicious.suspect(["q"])
    assert play(suspicious, turn(False), look=True)[0] == ["turn", "set", "along", "due"]
    play(away, {**turn(True), "set": None}, look=True)
    assert play(away, {**turn(False), "set": [None, True]}, look=True)[0] == ["turn", "set", "again", "keep", "due"]


def test_where_the_turn_cannot_be_asked_for_nothing_is_done() -> None:
    assert play(Sweeping("me"), {"turn": None}, look=True)[0] == ["turn"]


class Idle:
    """Processes without work, each at its own time, as Postgres would tell them whose turn it is."""

    def __init__(self, number: int) -> None:
        random = Random(number)
        self.now, self.statements = 0.0, 0
        self.swept: list[float] = []
        self._looks: list[tuple[float, int]] = []
        self._all = [Sweeping(f"w{name}", random.uniform) for name in range(number)]
        for name in range(number):
            heappush(self._looks, (random.uniform(0, 0.5), name))

    def run(self, until: float) -> None:
        while self._looks[0][0] < until:
            self.now, name = heappop(self._looks)
            heappush(self._looks, (self.now + self._look(self._all[name], len(self._looks) + 1), name))

    def _look(self, sweeping: Sweeping, living: int) -> float:
        is_ours = not self.swept or self.now - self.swept[-1] > TURN_SECONDS
        self.swept += [self.now] * is_ours
        look, answer = sweeping.look(), None
        try:
            while True:
                step = look.send(answer)
                self.statements += isinstance(step, Run)
                answer = turn(is_ours, living)["turn"] if isinstance(step, Run) and "turn" in step.name else []
        except StopIteration as over:
            return float(over.value)

    def kill_all_but_one(self) -> None:
        self._looks = [max(self._looks)]

    @property
    def longest_rest(self) -> float:
        return max(later - earlier for earlier, later in pairwise(self.swept))


@pytest.fixture(params=[1, 2, 12, 100], ids=lambda number: f"{number} processes")
def idle(request: pytest.FixtureRequest) -> Idle:
    return Idle(request.param)


def test_the_database_hears_at_most_fifty_statements_a_second_of_processes_that_idle(idle: Idle) -> None:
    idle.run(until=SECONDS)
    assert idle.statements / SECONDS <= 50


def test_no_second_passes_without_a_sweep(idle: Idle) -> None:
    idle.run(until=SECONDS)
    assert idle.longest_rest < 1


def test_the_last_of_a_hundred_goes_on_for_all() -> None:
    idle = Idle(100)
    idle.run(until=SECONDS)
    idle.kill_all_but_one()
    idle.run(until=2 * SECONDS)
    assert idle.longest_rest <= 2 * MAX_PAUSE_SECONDS

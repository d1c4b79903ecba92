"""Pool of threads: a call that waits holds its place, and no thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextvars import ContextVar
from math import inf
from threading import Event, Thread, get_ident
from threading import enumerate as enumerate_threads
from time import monotonic, sleep

import pytest

from workers import thread_pool
from workers.execution.waiting import Steps, Waiting, run_to_end
from workers.thread_pool import TaskPool

AGES = 3_000.0
PATIENCE = 10.0
LIMIT = 1_000
whose: ContextVar[str] = ContextVar("whose")


class Calls:
    """Calls in a pool, and how many of them are over."""

    def __init__(self, pool: TaskPool) -> None:
        self.use(pool)
        self.over = 0
        self.wanted = 1
        self.all_over = Event()

    def use(self, pool: TaskPool) -> None:
        self.pool = pool
        pool.on_left = self.ended

    def ended(self, under_way: int) -> None:
        self.over += 1
        if self.over == self.wanted:
            self.all_over.set()

    def begin(self, steps: Callable[[], Steps[None]], wanted: int = 1) -> None:
        self.wanted = wanted
        self.pool.carry_out(steps())


def eventually(condition: Callable[[], bool], what: str) -> None:
    end = monotonic() + PATIENCE
    while not condition():
        assert monotonic() < end, f"waited in vain for {what}"
        sleep(0.001)


@pytest.fixture
def pool() -> Iterator[TaskPool]:
    pool = TaskPool(LIMIT)
    yield pool
    pool.executor.shutdown(wait=False)  # not `on_stop`: a call that a failed test has left would never end


@pytest.fixture
def calls(pool: TaskPool) -> Calls:
    return Calls(pool)


def test_thousand_calls_that_wait_hold_a_place_each_and_hardly_a_thread(
    calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thread_pool, "MAX_THREADS", 4)
    pool = TaskPool(LIMIT)
    calls.use(pool)
    waits, begun, finished = [Waiting(AGES) for _ in range(LIMIT)], Event(), []

    def wait(number: int) -> Steps[None]:
        if number == LIMIT - 1:
            begun.set()
        assert (yield waits[number])
        finished.append(number)

    for number in range(LIMIT):
        calls.begin(lambda number=number: wait(number), LIMIT)  # type: ignore[misc]
    assert begun.wait(PATIENCE)
    assert (calls.over, pool.under_way) == (0, LIMIT)
    assert len([thread for thread in enumerate_threads() if thread.name.startswith("call-steps")]) <= 4
    for waiting in waits:
        waiting.over()
    assert calls.all_over.wait(PATIENCE)
    assert sorted(finished) == list(range(LIMIT))
    assert (calls.over, pool.under_way) == (LIMIT, 0)
    pool.on_stop()


def test_the_steps_of_a_call_share_a_context_of_its_own_whatever_thread_they_run_in(calls: Calls) -> None:
    seen: list[str] = []
    waits = {name: Waiting(AGES) for name in ("ada", "bob")}

    def say(name: str) -> Steps[None]:
        token = whose.set(name)
        yield waits[name]
        seen.append(whose.get())
        whose.reset(token)

    for name in waits:
        calls.begin(lambda name=name: say(name), 2)  # type: ignore[misc]
    for waiting in waits.values():
        waiting.over()
    assert calls.all_over.wait(PATIENCE)
    assert sorted(seen) == ["ada", "bob"]
    assert whose.get("") == ""


def test_a_wait_whose_time_is_over_ends_so(calls: Calls) -> None:
    came: list[bool] = []

    def wait() -> Steps[None]:
        came.append((yield Waiting(0.01)))
        came.append((yield Waiting(-1)))

    calls.begin(wait)
    assert calls.all_over.wait(PATIENCE)
    assert came == [False, False]


def test_the_clock_that_sleeps_for_a_long_wait_wakes_for_a_shorter_one(calls: Calls, pool: TaskPool) -> None:
    long, soon, short = Waiting(AGES), Waiting(0.01), Event()

    def wait_for_ages() -> Steps[None]:
        yield long

    def wait() -> Steps[None]:
        assert not (yield soon)
        short.set()

    calls.begin(wait_for_ages, 2)
    eventually(lambda: 0 < pool.deadlines.next_look < inf, "the clock to sleep")
    calls.begin(wait, 2)
    came = short.wait(PATIENCE)
    for waiting in (long, soon):
        waiting.over()
    assert came
    assert calls.all_over.wait(PATIENCE)


def test_a_clock_that_could_not_start_loses_no_call_and_starts_with_the_next(
    calls: Calls, pool: TaskPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, begun = Waiting(AGES), Event()

    def refuse(*_: object, **__: object) -> Thread:
        begun.set()
        raise RuntimeError("can't start new thread")

    def wait(waiting: Waiting) -> Steps[None]:
        yield waiting

    with monkeypatch.context() as without:
        without.setattr(thread_pool, "Thread", refuse)
        calls.begin(lambda: wait(first), 2)
        assert begun.wait(PATIENCE)
    calls.begin(lambda: wait(Waiting(0.01)), 2)
    first.over()
    assert calls.all_over.wait(PATIENCE)
    assert (pool.under_way, len(pool.deadlines)) == (0, 0)


def test_a_call_for_which_the_system_has_no_thread_waits_for_one_of_the_pool(
    calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on, is_held, places = Event(), Event(), list[int]()

    def hold() -> Steps[None]:
        places.append(get_ident())
        is_held.set()
        goes_on.wait(PATIENCE)
        yield from ()

    def follow() -> Steps[None]:
        places.append(get_ident())
        yield from ()

    def refuse(_thread: Thread) -> None:
        raise RuntimeError("can't start new thread")

    calls.begin(hold, wanted=2)
    assert is_held.wait(PATIENCE)
    monkeypatch.setattr(Thread, "start", refuse)
    calls.begin(follow, wanted=2)
    goes_on.set()
    assert calls.all_over.wait(PATIENCE)
    assert places[0] == places[1]


def test_what_came_in_time_leaves_nothing_with_the_clock(calls: Calls, pool: TaskPool) -> None:
    def wait() -> Steps[None]:
        waiting = Waiting(AGES)
        waiting.over()
        yield waiting

    calls.begin(wait)
    assert calls.all_over.wait(PATIENCE)
    assert len(pool.deadlines) == 0


def test_only_the_first_end_of_a_wait_counts() -> None:
    waiting = Waiting(AGES)
    waiting.over(came=False)
    waiting.over()
    assert waiting.result() is False


@pytest.mark.parametrize("problem", [RuntimeError, SystemExit])
def test_a_step_that_fails_ends_its_call_and_frees_its_place(
    calls: Calls, pool: TaskPool, problem: type[BaseException]
) -> None:
    def fail() -> Steps[None]:
        waiting = Waiting(AGES)
        waiting.over()
        yield waiting
        raise problem

    calls.begin(fail)
    assert calls.all_over.wait(PATIENCE)
    pool.on_stop()  # which waits for all places


def test_a_pool_that_stops_waits_for_calls_that_hold_no_thread_and_begins_no_other(
    calls: Calls, pool: TaskPool
) -> None:
    waiting, begun, stopped, ends = Waiting(AGES), Event(), Event(), list[bool]()

    def wait() -> Steps[None]:
        begun.set()
        ends.append((yield waiting))

    calls.begin(wait)
    assert begun.wait(PATIENCE)

    def stop() -> None:
        pool.on_stop()
        stopped.set()

    stopping = Thread(target=stop)
    stopping.start()
    eventually(lambda: pool.is_stopping, "the pool to stop")
    calls.begin(wait, 2)
    assert not stopped.is_set()
    waiting.over()
    assert stopped.wait(PATIENCE)
    stopping.join(PATIENCE)
    assert (calls.over, ends) == (2, [True]), "the second was not begun"


def test_elsewhere_the_steps_are_carried_out_to_the_end_where_they_begin() -> None:
    threads: list[int] = []

    def steps() -> Steps[None]:
        threads.append(get_ident())
        assert not (yield Waiting(0.001))
        threads.append(get_ident())

    run_to_end(steps())
    assert threads == [get_ident()] * 2

"""A worker takes no message while it was held up or is full, and gives those that it takes to its pool."""

from __future__ import annotations

import select
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from workers.broker.consumer import Consumer, Shedding, Waker, job_strategy
from workers.execution.waiting import Steps, Waiting
from workers.thread_pool import TaskPool

PATIENCE = 10.0


class Quality:
    """Quality of service that a channel asks before it waits for a message."""

    takes = True

    def can_consume(self) -> bool:
        return self.takes


class Held:
    """Consumer whose process may be held up, with its channel."""

    is_held_up: ClassVar[bool] = False

    def __init__(self) -> None:
        self.quality = Quality()
        self.task_consumer = SimpleNamespace(channel=SimpleNamespace(qos=self.quality))

    @classmethod
    def is_free(cls) -> bool:
        return not cls.is_held_up


@pytest.mark.parametrize(
    ("held_up", "takes", "consumes"), [(False, True, True), (True, True, False), (False, False, False)]
)
def test_a_channel_waits_for_messages_while_its_process_is_neither_full_nor_held_up(
    monkeypatch: pytest.MonkeyPatch, held_up: bool, takes: bool, consumes: bool
) -> None:
    consumer = Held()
    Shedding(consumer).start(consumer)
    monkeypatch.setattr(Held, "is_held_up", held_up)
    consumer.quality.takes = takes
    assert consumer.quality.can_consume() is consumes


def test_a_consumer_that_sheds_need_not_hear_its_canary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Consumer, "sheds", lambda: True)
    assert not Consumer.is_free(object.__new__(Consumer))


class Loop:
    """Celery's loop, as far as a reader is added to it."""

    def add_reader(self, descriptor: int, drain: Callable[[], None]) -> None:
        self.descriptor, self.drain = descriptor, drain

    def is_woken(self) -> bool:
        """Return whether it would run the reader now, and run it."""
        woken, _, _ = select.select([self.descriptor], [], [], 0)
        self.drain()
        return bool(woken)


def wait_in_thread(message: Any) -> Steps[None]:
    yield Ours.may_end
    Ours.came.append((message.payload[0], message.headers))
    if message.payload[0] == ["bad"]:
        raise SystemExit


class Ours(Consumer):
    """Consumer with a pool of two places, and no broker."""

    on_job: ClassVar[Callable[[Any], Steps[None]]] = wait_in_thread
    came: ClassVar[list[Any]] = []
    acknowledged: ClassVar[list[str]] = []
    may_end: ClassVar[Waiting]
    controller = None

    def __init__(self, pool: Any) -> None:
        self.pool, self.hub = pool, Loop()


@pytest.fixture
def ours() -> Iterator[Ours]:
    Ours.may_end, Ours.came[:], Ours.acknowledged[:] = Waiting(PATIENCE), [], []
    ours = Ours(TaskPool(2))
    yield ours
    Ours.may_end.over()
    ours.pool.on_stop()


def message(name: str) -> Any:
    headers = {"task": "ringback.run_job", "of": name}
    return SimpleNamespace(payload=([name], {}, {}), headers=headers, ack=lambda: Ours.acknowledged.append(name))


def test_a_job_has_a_place_in_the_pool_until_it_is_over(ours: Ours) -> None:
    handle = job_strategy(None, None, ours)
    handle(message("one"), None, None, None, None)
    assert ours.is_free()
    handle(message("bad"), None, None, None, None)
    assert not ours.is_free()
    assert Ours.acknowledged == ["one", "bad"], "before they run"
    Ours.may_end.over()
    ours.pool.on_stop()
    assert ours.is_free()
    assert ours.hub.is_woken(), "a full worker has room again"
    assert not ours.hub.is_woken()
    assert sorted(arguments for arguments, _ in Ours.came) == [["bad"], ["one"]]
    assert {headers["of"] for _, headers in Ours.came} == {"one", "bad"}


def test_the_end_of_a_job_wakes_no_loop_that_waits_for_messages_already(ours: Ours) -> None:
    job_strategy(None, None, ours)(message("one"), None, None, None, None)
    Ours.may_end.over()
    ours.pool.on_stop()
    assert (ours.pool.under_way, ours.hub.is_woken()) == (0, False)


@pytest.mark.parametrize(("under_way", "wakes"), [(0, False), (1, True), (2, False)])
def test_of_calls_that_end_at_one_time_one_has_made_room(ours: Ours, under_way: int, wakes: bool) -> None:
    job_strategy(None, None, ours)
    ours.note_left(under_way)
    assert ours.hub.is_woken() is wakes


def test_a_loop_that_is_woken_again_and_again_holds_up_no_thread() -> None:
    waker, loop = Waker(), Loop()
    waker.listen(loop)
    for _ in range(100_000):
        waker.wake()
    assert loop.is_woken()


def test_another_pool_gets_its_jobs_by_celerys_own_strategy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.broker.consumer.default", lambda task, app, consumer: ("celery's own", task, app))
    found: Any = job_strategy("task", "app", Ours(SimpleNamespace()))
    assert found == ("celery's own", "task", "app")

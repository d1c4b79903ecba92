"""A worker takes no message while it was held up or is full, and gives those that it takes to its pool."""

from __future__ import annotations

import select
from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any, ClassVar
from uuid import UUID

import pytest

from workers.broker.consumer import Consumer, Intake, Waker
from workers.execution.waiting import Steps, Waiting
from workers.thread_pool import TaskPool

PATIENCE = 10.0
GOOD, BAD = UUID(int=1), UUID(int=2)


class Quality:
    """Quality of service that a channel asks before it waits for a message."""

    takes = True

    def can_consume(self) -> bool:
        return self.takes


class Held:
    """Consumer whose process may be held up, with its channel."""

    is_held_up: ClassVar[bool] = False
    on_canary: ClassVar[Callable[[], None]] = Consumer.on_canary
    pool = None

    def __init__(self) -> None:
        self.quality = Quality()
        self.task_consumer = consumed(self.quality)

    @classmethod
    def is_free(cls) -> bool:
        return not cls.is_held_up


def consumed(quality: Quality) -> Any:
    """Return what consumes over a new connection."""
    return SimpleNamespace(channel=SimpleNamespace(qos=quality, connection=SimpleNamespace(on_job=None)))


@pytest.mark.parametrize(
    ("held_up", "takes", "consumes"), [(False, True, True), (True, True, False), (False, False, False)]
)
def test_a_channel_waits_for_messages_while_its_process_is_neither_full_nor_held_up(
    monkeypatch: pytest.MonkeyPatch, held_up: bool, takes: bool, consumes: bool
) -> None:
    consumer = Held()
    Intake(consumer).start(consumer)
    monkeypatch.setattr(Held, "is_held_up", held_up)
    consumer.quality.takes = takes
    assert consumer.quality.can_consume() is consumes


def test_another_pool_gets_its_jobs_from_celery_and_no_canary(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []
    monkeypatch.setattr(Held, "on_canary", lambda: heard.append("canary"))
    consumer = Held()
    Intake(consumer).start(consumer)
    connection = consumer.task_consumer.channel.connection
    connection.on_canary()
    assert (connection.on_job, heard) == (None, ["canary"])


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


def wait_in_thread(job_id: UUID, trace: Mapping[str, str]) -> Steps[None]:
    yield Ours.may_end
    Ours.came.append((job_id, trace))
    if job_id == BAD:
        raise SystemExit


class Ours(Consumer):
    """Consumer with a pool of two places, and no broker."""

    on_job: ClassVar[Callable[[UUID, Mapping[str, str]], Steps[None]]] = wait_in_thread
    came: ClassVar[list[Any]] = []
    may_end: ClassVar[Waiting]
    controller = None

    def __init__(self, pool: Any) -> None:
        self.pool, self.hub = pool, Loop()
        self.task_consumer = consumed(Quality())
        Intake(self).start(self)

    def take(self, job_id: UUID) -> None:
        """Take a message of this job."""
        self.task_consumer.channel.connection.on_job(job_id, {"of": str(job_id)})


@pytest.fixture
def ours() -> Iterator[Ours]:
    Ours.may_end, Ours.came[:] = Waiting(PATIENCE), []
    ours = Ours(TaskPool(2))
    yield ours
    Ours.may_end.over()
    ours.pool.on_stop()


def test_a_job_has_a_place_in_the_pool_until_it_is_over(ours: Ours) -> None:
    ours.take(GOOD)
    assert ours.is_free()
    ours.take(BAD)
    assert not ours.is_free()
    Ours.may_end.over()
    ours.pool.on_stop()
    assert ours.is_free()
    assert ours.hub.is_woken(), "a full worker has room again"
    assert not ours.hub.is_woken()
    assert sorted(Ours.came) == [(each, {"of": str(each)}) for each in (GOOD, BAD)]


def test_the_end_of_a_job_wakes_no_loop_that_waits_for_messages_already(ours: Ours) -> None:
    ours.take(GOOD)
    Ours.may_end.over()
    ours.pool.on_stop()
    assert (ours.pool.under_way, ours.hub.is_woken()) == (0, False)


@pytest.mark.parametrize(("under_way", "wakes"), [(0, False), (1, True), (2, False)])
def test_of_calls_that_end_at_one_time_one_has_made_room(ours: Ours, under_way: int, wakes: bool) -> None:
    ours.note_left(under_way)
    assert ours.hub.is_woken() is wakes


def test_a_loop_that_is_woken_again_and_again_holds_up_no_thread() -> None:
    waker, loop = Waker(), Loop()
    waker.listen(loop)
    for _ in range(100_000):
        waker.wake()
    assert loop.is_woken()

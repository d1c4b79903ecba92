"""Messages that are published at a later moment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from queue import Empty, Queue
from threading import Thread
from uuid import UUID, uuid4

import pytest

from workers.execution import delayed_publisher as module
from workers.execution.delayed_publisher import DelayedPublisher

PATIENCE = 10.0
AGES = 3_000.0
ONE, TWO, THREE = (uuid4() for _ in range(3))


class Sent:
    """Recorder of what was published, in order."""

    def __init__(self) -> None:
        self._queue: Queue[UUID] = Queue()

    def __call__(self, jobs: Iterable[tuple[UUID, str]]) -> None:
        for job_id, queue in jobs:
            assert queue == "default"
            self._queue.put(job_id)

    def next(self) -> UUID:
        return self._queue.get(timeout=PATIENCE)

    def nothing(self) -> bool:
        try:
            self._queue.get_nowait()
        except Empty:
            return True
        return False


@pytest.fixture
def sent() -> Sent:
    return Sent()


@pytest.fixture
def later(sent: Sent) -> Iterator[DelayedPublisher]:
    later = DelayedPublisher(sent)
    yield later
    later.stop()


def test_what_is_due_first_is_published_first_whenever_it_was_said(later: DelayedPublisher, sent: Sent) -> None:
    later.publish(ONE, "default", AGES)
    later.publish(TWO, "default", 0.02)
    later.publish(THREE, "default")
    assert (sent.next(), sent.next()) == (THREE, TWO)
    assert sent.nothing()


def test_the_last_word_counts_for_a_job(later: DelayedPublisher, sent: Sent) -> None:
    later.publish(ONE, "default", 0.02)
    later.publish(ONE, "default", AGES)
    later.publish(TWO, "default", 0.04)
    assert sent.next() == TWO, "and not ONE at its first time"
    later.publish(ONE, "default")
    assert sent.next() == ONE


def test_what_waits_at_the_end_is_left_to_others(later: DelayedPublisher, sent: Sent) -> None:
    later.publish(ONE, "default", AGES)
    later.stop()
    thread = later._thread
    assert thread is not None
    thread.join(PATIENCE)
    assert not thread.is_alive()
    later.publish(TWO, "default")
    assert sent.nothing()


def test_a_line_that_is_too_long_is_left_to_others(
    later: DelayedPublisher, sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 2)
    for job_id in (ONE, TWO, THREE):
        later.publish(job_id, "default", 0.02)
    assert {sent.next(), sent.next()} == {ONE, TWO}
    later.publish(THREE, "default")
    assert sent.next() == THREE, "there is room again"


def test_what_waits_while_the_system_has_no_thread_is_published_once_it_has(
    later: DelayedPublisher, sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_thread: Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as without:
        without.setattr(Thread, "start", refuse)
        later.publish(ONE, "default")
    later.publish(TWO, "default")
    assert {sent.next(), sent.next()} == {ONE, TWO}

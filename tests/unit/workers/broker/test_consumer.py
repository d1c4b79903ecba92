"""A worker that was held up takes no message, and its missing canary is excused."""

from __future__ import annotations

from types import SimpleNamespace
from typing import ClassVar

import pytest

from workers.broker.consumer import Consumer, Shedding


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
    def sheds(cls) -> bool:
        return cls.is_held_up


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

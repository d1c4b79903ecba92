"""A worker takes only a message's task, id and trace, or drops the message."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from typing import Any
from uuid import UUID

import pytest

from ringback.redis.broker import TASK
from workers.broker.consumer import CANARY
from workers.broker.transport import MAX_BODY_CHARS, Job, Transport, read, written

JOB = "0192d4e1-77aa-7c3e-9b1f-0123456789ab"


def message(body: object, task: object = TASK, **more: Any) -> dict[str, Any]:
    text = body if isinstance(body, str) else json.dumps(body)
    return {"body": b64encode(text.encode()).decode(), "headers": {"task": task}, **more}


def body_of(written: dict[str, Any]) -> Any:
    return json.loads(b64decode(written["body"]))


@pytest.mark.parametrize(
    "taken",
    [
        message([[JOB], {}, {}]),
        message([[JOB, "more", {"tool": "x"}], {"arguments": {"a": 1}}, {"chord": {"x": 1}, "callbacks": ["x"]}]),
        message([[JOB], {}, {}], properties={"delivery_tag": "x", "reply_to": "elsewhere"}),
        message([[JOB.upper()]]),
    ],
)
def test_of_a_message_of_ours_only_the_id_is_read(taken: dict[str, Any]) -> None:
    taken["headers"] |= {"eta": "9999-01-01", "expires": "x", "timelimit": [1, 1], "group": "x", "id": "x"}
    assert read(taken) == Job(UUID(JOB), {})


def test_celery_gets_a_message_with_nothing_else_in_it() -> None:
    one, other = (written(Job(UUID(JOB), {"traceparent": "x"}), "orders") for _ in range(2))
    arguments, named, words = body_of(one)
    assert (arguments, named, set(words.values())) == ([JOB], {}, {None})
    assert set(one["headers"]) == {"lang", "task", "id", "ignore_result", "traceparent"}
    assert one["properties"]["delivery_info"] == {"exchange": "", "routing_key": "orders"}
    assert "reply_to" not in one["properties"]
    assert one["headers"]["id"] != other["headers"]["id"]


def test_a_canary_says_nothing_else() -> None:
    assert read(message([["x"]], CANARY)) == CANARY


class Broker(Transport):
    """Transport without a connection, and what kombu and the worker got from it."""

    def __init__(self) -> None:
        self.for_celery: list[dict[str, Any]] = []
        self.canaries: list[None] = []
        self.jobs: list[Job] = []
        self._callbacks = {"orders": self.for_celery.append}
        self.on_canary = lambda: self.canaries.append(None)

    def deliver(self, *messages: object) -> None:
        for each in messages:
            self._deliver(each, "orders")


def test_a_job_goes_to_our_pool_past_celery(caplog: pytest.LogCaptureFixture) -> None:
    broker = Broker()
    broker.on_job = lambda *said: broker.jobs.append(Job(*said))
    broker.deliver(message([[JOB], {}, {}]), message([["x"]], CANARY), {"body": "none of ours"})
    assert (broker.jobs, broker.canaries, broker.for_celery) == ([Job(UUID(JOB), {})], [None], [])
    assert "message dropped from queue orders: Ringback did not write it" in caplog.text


def test_for_any_other_pool_celery_makes_a_task_of_it() -> None:
    broker = Broker()
    broker.deliver(message([[JOB], {}, {}]), message([["x"]], CANARY), {"body": "none of ours"})
    assert [body_of(each)[0] for each in broker.for_celery] == [[JOB]]
    assert broker.canaries == [None]


@pytest.mark.parametrize(
    "taken",
    [
        None,
        1,
        "text",
        [],
        {},
        {"headers": None, "body": ""},
        {"headers": {"task": TASK}},
        {"headers": ["task"], "body": ""},
        {"headers": {"task": TASK}, "body": None},
        {"headers": {"task": TASK}, "body": "%%%"},
        {"headers": {"task": {"a": 1}}, "body": ""},
        message([[JOB], {}, {}], "os.system"),
        message([[JOB], {}, {}], None),
        message("{not json"),
        message("[" * 900 + "]" * 900),
        message({}),
        message([]),
        message([[]]),
        message([["no id"]]),
        message([[{"a": 1}]]),
        message([[7]]),
        message({"0": [JOB]}),
        message([[JOB, "x" * MAX_BODY_CHARS]]),
        {"headers": {"task": TASK}, "body": b64encode(b"\xff\xfe").decode()},
        {"headers": {"task": TASK}, "body": "é"},
    ],
    ids=range(25),
)
def test_whatever_else_is_there_is_none_of_ours(taken: object) -> None:
    assert read(taken) is None

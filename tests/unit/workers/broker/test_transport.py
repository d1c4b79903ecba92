"""A worker takes only a message's task and id, or drops the message."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from typing import Any

import pytest

from ringback.redis.broker import TASK
from workers.broker.consumer import CANARY
from workers.broker.transport import MAX_BODY_CHARS, rewritten

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
def test_a_message_of_ours_is_written_anew_from_its_id(taken: dict[str, Any]) -> None:
    taken["headers"] |= {"eta": "9999-01-01", "expires": "x", "timelimit": [1, 1], "group": "x", "id": "x"}
    written = rewritten(taken, "orders")
    assert written is not None
    arguments, named, words = body_of(written)
    assert (arguments, named, set(words.values())) == ([JOB], {}, {None})
    assert set(written["headers"]) == {"lang", "task", "id", "ignore_result"}
    assert written["properties"]["delivery_info"] == {"exchange": "", "routing_key": "orders"}
    assert "x" not in (written["headers"]["id"], written["properties"]["delivery_tag"])
    assert "reply_to" not in written["properties"]


def test_a_canary_is_let_through_with_nothing_in_it() -> None:
    written = rewritten(message([["x"]], CANARY), "q")
    assert written is not None
    assert (written["headers"]["task"], body_of(written)) == (CANARY, {})


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
    assert rewritten(taken, "q") is None

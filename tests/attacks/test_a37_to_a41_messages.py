"""A37–A41: messages of somebody who reaches Redis. One brings an id, and everything else is in the row."""

from __future__ import annotations

import base64
import json
import os
import pickle
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import redis
from celery import Celery

from cli.local_stack.embedded_servers import Servers
from ringback.redis.broker import TASK
from ringback.redis.keyspace import KEY_PREFIX
from tests.attacks.toolbox.fort import Fort, answered, calling, in_thread, marker
from tests.attacks.toolbox.queues import QUEUE, all_taken, forge, still_works

pytestmark = [pytest.mark.anyio, pytest.mark.long]

HUNDRED_MEGABYTES = 100 * 1024 * 1024


# — A37, A38: messages for jobs —


async def test_a37_what_a_message_says_beside_the_id_is_not_read(fort: Fort, broker: Celery) -> None:
    call_id, name = marker("call"), marker("wait")
    async with fort.stranger() as caller:
        await caller.ask(calling("wait", {"name": name}, call_id))
        await in_thread(lambda: fort.has_trace(f"begun-{name}"), "the call to begin")
        job = fort.job(call_id)
        for _ in range(3):
            forge(broker, job["id"], "look", {"what": "stolen"}, tool="look", arguments={"name": "stolen"})
        fort.let_go(name)
        assert await answered(fort, call_id) == {"waited": name}
    job = fort.job(call_id)
    assert (job["arguments"], job["attempt"], job["tool"]) == ({"name": name}, 1, "wait")
    assert not fort.has_trace("begun-stolen")
    assert not fort.has_trace(f"looked-{job['id']}")


async def test_a37_a_message_does_not_say_yes_for_the_user(fort: Fort, broker: Celery) -> None:
    page, stolen = marker("call"), marker("call")
    async with fort.stranger() as caller:
        await caller.ask(calling("read_page", {"words": calling("transfer_money", {"to": stolen}, stolen)}, page))
        await answered(fort, page)
        job = await in_thread(lambda: fort.job(stolen), "the call that waits for a yes")
        for _ in range(3):
            forge(broker, job["id"])
        await still_works(fort, fort.line.pids["worker"])
    assert (fort.job(stolen)["attempt"], fort.has_trace(f"transferred-{stolen}")) == (0, False)


async def test_a37_a_message_gives_nobody_a_right_that_they_have_not(fort: Fort, broker: Celery) -> None:
    """Not even for a row that no gateway has written."""
    call_id, victim = marker("call"), marker("victim")
    async with fort.stranger() as caller:
        await caller.ask(calling("look", {"what": "x"}, call_id))
        await answered(fort, call_id)
        forged = marker("call")
        row = {
            **dict.fromkeys(
                (
                    "token",
                    "worker_id",
                    "result",
                    "finished_at",
                    "started_at",
                    "progress",
                    "delivered_epoch",
                    "answer_position",
                )
            ),
            "id": str(uuid4()),
            "call_id": forged,
            "state": "pending",
            "delivery": "none",
            "attempt": 0,
            "tool": "delete_account",
            "effect": "at_most_once",
            "arguments": {"user": victim},
            "deadline_at": (datetime.now(UTC) + timedelta(minutes=1)).isoformat(),
        }
        copy = "SELECT (jsonb_populate_record(NULL::jobs, to_jsonb(j) || %s::jsonb)).* FROM jobs AS j WHERE id = %s"
        fort.query(f"INSERT INTO jobs {copy} RETURNING id", json.dumps(row), fort.job(call_id)["id"])
        forge(broker, row["id"])
        ended = await in_thread(lambda: fort.job(forged)["finished_at"] and fort.job(forged), "the call to end")
    assert (ended["state"], ended["error"]["code"]) == ("failed", "not_allowed")
    assert not fort.has_trace(f"deleted-{victim}")
    fort.says(f"job {row['id']} user='tester' lacks accounts:delete for delete_account")


def by_worker(job: dict[str, Any]) -> dict[str, Any]:
    """What a worker writes of a job; a gateway goes on to write what was heard of its answer."""
    written = ("state", "attempt", "token", "worker_id", "started_at", "finished_at", "result", "error", "rescues")
    return {name: job[name] for name in written}


async def test_a38_a_message_for_a_job_that_is_over_or_unknown_is_dropped(
    fort: Fort, broker: Celery, keeper: redis.Redis
) -> None:
    call_id = marker("call")
    async with fort.stranger() as caller:
        await caller.ask(calling("look", {"what": "once"}, call_id))
        await answered(fort, call_id)
    job = fort.job(call_id)
    unknown = str(uuid4())
    for target in (job["id"], unknown, job["session_id"]):
        forge(broker, target)
    await all_taken(keeper)
    await still_works(fort, fort.line.pids["worker"])
    assert by_worker(fort.job(call_id)) == by_worker(job)
    assert fort.query("SELECT 1 FROM jobs WHERE id = %s", unknown) == []
    fort.says(f"message ignored (job {unknown})")


# — A39, A40: messages that are none —


class Bomb:
    """Whoever unpickles it runs a program."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.path}",)


def envelope(content: bytes | str, content_type: str = "application/json", **more: Any) -> str:
    """A message as kombu writes it into Redis."""
    data = content if isinstance(content, bytes) else content.encode()
    message: dict[str, Any] = {
        "body": base64.b64encode(data).decode(),
        "content-encoding": "utf-8",
        "content-type": content_type,
        "headers": {"lang": "py", "task": TASK, "id": str(uuid4())},
        "properties": {
            "correlation_id": str(uuid4()),
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": "default"},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": str(uuid4()),
        },
    }
    return json.dumps({**message, **more})


async def test_a39_a_message_that_would_run_code_is_not_read(fort: Fort, keeper: redis.Redis, tmp_path: Path) -> None:
    trap, pid = tmp_path / "run", fort.line.pids["worker"]
    bomb = pickle.dumps(((str(uuid4()), Bomb(trap)), {}, {}))
    yaml = f"!!python/object/apply:os.system ['touch {trap}']"
    binary = {"content-encoding": "binary"}
    keeper.lpush(
        QUEUE,
        envelope(bomb, "application/x-python-serialize", **binary),
        envelope(bomb, "application/data", **binary),
        envelope(yaml, "application/x-yaml"),
        envelope(yaml, "application/yaml"),
        envelope(bomb, **binary),
    )
    await all_taken(keeper)
    await still_works(fort, pid)
    assert not trap.exists()


POISON: dict[str, Any] = {
    "nothing": "",
    "no JSON": "{not json",
    "a number": "1",
    "a list": "[]",
    "an empty object": "{}",
    "no properties": json.dumps({"body": "", "headers": {}}),
    "null everywhere": envelope("null", headers=None, properties=None),
    "no headers": envelope("[[], {}, {}]", headers={}),
    "headers of another kind": envelope("[[], {}, {}]", headers=["task"]),
    "a tag of another kind": envelope("[[], {}, {}]", properties={"delivery_tag": {"a": []}, "delivery_info": 1}),
    "a body that is no JSON": envelope("{not json"),
    "a body of another shape": envelope('{"a": 1}'),
    "bytes that are no text": envelope(b"\xff\xfe\xfa"),
    "a body that is no base64": envelope("", body="%%%"),
    "an unknown encoding": envelope("[[], {}, {}]", **{"content-encoding": "rot13"}),
    "deep JSON": envelope("[" * 50_000 + "]" * 50_000),
    "no end": envelope("[[], {}, {}]")[:-10],
    "bytes": b"\x00\xff\x80" * 100,
    "an unknown task": envelope("[[], {}, {}]", headers={"task": "os.system", "id": str(uuid4()), "lang": "py"}),
    "a far day": envelope("[[], {}, {}]", headers={"task": TASK, "id": "x", "eta": "9999-99-99", "expires": "no"}),
    "a group": envelope('[[], {}, {"callbacks": [{"task": "x"}], "chord": {"a": 1}}]'),
}


@pytest.mark.parametrize("poison", POISON.values(), ids=POISON.keys())
async def test_a40_a_message_that_cannot_be_read_is_taken_once_and_forgotten(
    fort: Fort, keeper: redis.Redis, poison: Any
) -> None:
    pid = fort.line.pids["worker"]
    keeper.lpush(QUEUE, poison)
    await all_taken(keeper)
    await still_works(fort, pid)
    assert keeper.llen(QUEUE) == 0


async def test_a40_a_hundred_megabytes_are_taken_once_and_forgotten(fort: Fort, keeper: redis.Redis) -> None:
    pid = fort.line.pids["worker"]
    keeper.lpush(QUEUE, envelope(json.dumps([[str(uuid4()), "x" * HUNDRED_MEGABYTES], {}, {}])))
    await all_taken(keeper)
    await still_works(fort, pid)


# — A41: orders for workers —


@pytest.mark.parametrize("prefix", ["", KEY_PREFIX])
async def test_a41_nobody_in_redis_tells_a_worker_what_to_do(
    fort: Fort, servers: Servers, keeper: redis.Redis, prefix: str
) -> None:
    pid = fort.line.pids["worker"]
    app = Celery("foreign", broker=servers.keeper_redis_url, set_as_current=False)
    app.conf.broker_transport_options = {"global_keyprefix": prefix}
    orders: dict[str, dict[str, Any]] = {
        "shutdown": {},
        "pool_restart": {},
        "pool_shrink": {"n": 500},
        "rate_limit": {"task_name": TASK, "rate_limit": "1/h"},
        "cancel_consumer": {"queue": "default"},
        "revoke": {"task_id": str(uuid4()), "terminate": True},
        "time_limit": {"task_name": TASK, "hard": 1},
    }
    for order, arguments in orders.items():
        app.control.broadcast(order, arguments=arguments, reply=False)
        for member in (f"celery@{os.uname().nodename}.celery.pidbox", "celery.pidbox", "default.celery.pidbox"):
            note = json.dumps({"method": order, "arguments": arguments, "destination": None})
            keeper.lpush(f"{prefix}{member}", envelope(note))
            keeper.delete(f"{prefix}{member}")
    app.close()
    await still_works(fort, pid)

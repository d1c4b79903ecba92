"""A37–A43: somebody who reaches Redis. A message brings an id, and everything else is in the row."""

from __future__ import annotations

import base64
import json
import os
import pickle
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import pytest
import redis
from celery import Celery

from cli.embedded import Servers, _installed
from cli.processes import Process, ProcessGroup, free_port
from cli.stack import our
from ringback.broker import TASK, make_app
from ringback.keyspace import KEY_PREFIX
from tests.attacks.toolbox.fort import Fort, answered, calling, in_thread, marker
from tests.line import TOKEN

pytestmark = [pytest.mark.anyio, pytest.mark.long]

QUEUE = f"{KEY_PREFIX}default"
HUNDRED_MEGABYTES = 100 * 1024 * 1024


@pytest.fixture
def broker(servers: Servers) -> Iterator[Celery]:
    """Whoever has the password that our processes have."""
    app = make_app(servers.redis_url)
    yield app
    app.close()


@pytest.fixture
def keeper(servers: Servers) -> Iterator[redis.Redis]:
    """Whoever may do everything in Redis."""
    with redis.Redis.from_url(servers.keeper_redis_url) as client:
        yield client


async def still_works(fort: Fort, pid: int) -> None:
    """The same worker as before answers a call."""
    call_id = marker("call")
    async with fort.stranger() as caller:
        await caller.ask(calling("look", {"what": call_id}, call_id))
        assert (await answered(fort, call_id))["seen"] == call_id
    assert fort.line.pids["worker"] == pid
    assert psutil.pid_exists(pid)


async def all_taken(keeper: redis.Redis) -> None:
    await in_thread(lambda: keeper.llen(QUEUE) == 0, "the messages to be taken")


def forge(broker: Celery, *arguments: object, **named: object) -> None:
    broker.send_task(TASK, args=list(arguments), kwargs=named, queue="default", ignore_result=True, retry=False)


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
    assert f"job {row['id']} user='tester' lacks accounts:delete for delete_account" in fort.logs()


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
    assert fort.job(call_id) == job
    assert fort.query("SELECT 1 FROM jobs WHERE id = %s", unknown) == []
    assert f"job {unknown} is not to be had" in fort.logs()


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


# — A42, A43: who is let into Redis, and what they may do there —


def test_a42_whoever_has_no_password_is_not_let_in(fort: Fort, servers: Servers) -> None:
    address = servers.redis_url.rpartition("@")[2]
    for who in ("", "default:@", ":guess@", "ringback:ringback@"):
        refused = (redis.AuthenticationError, redis.exceptions.ResponseError)
        with redis.Redis.from_url(f"redis://{who}{address}") as stranger, pytest.raises(refused):
            stranger.ping()


@pytest.mark.parametrize("what", ["gateway", "worker"])
def test_a42_production_does_not_start_on_a_redis_that_lets_in_anybody(what: str, tmp_path: Path) -> None:
    port, (_, binary) = free_port(), _installed()
    argv: list[str | Path] = [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    env = {
        "RINGBACK_MODE": "production",
        "DATABASE_URL": "postgresql://ringback:a-password-of-our-own@127.0.0.1:1/none",
        "REDIS_URL": f"redis://ringback:another-one@127.0.0.1:{port}/0",
        "RINGBACK_TOKENS": f"me:{TOKEN}",
        "REALTIME_PROVIDER": "openai",
        "REALTIME_API_KEY": "sk-key-of-nobody-at-all",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    log = tmp_path / "started.log"
    with ProcessGroup() as group:
        group.start(Process("open", argv, log=tmp_path / "redis.log", ready=re.compile("Ready to accept")))
        ended = _run([*our(what)], env, log)
    said = log.read_text(encoding="utf-8")
    assert ended == 2, said
    assert "The Redis at REDIS_URL lets in whoever gives no password" in said
    assert "sk-key-of-nobody" not in said
    assert len([line for line in said.splitlines() if line.strip()]) == 1, "one line, and no traceback"


def _run(argv: list[str], env: dict[str, str], log: Path) -> int:
    with log.open("w") as out:
        how: dict[str, Any] = {"stdout": out, "stderr": subprocess.STDOUT, "cwd": log.parent, "timeout": 60}
        return subprocess.run(argv, env={**os.environ, **env}, check=False, **how).returncode


FORBIDDEN = (
    *("FLUSHALL", "FLUSHDB", "CONFIG SET dir /tmp", "CONFIG GET *", "EVAL return{} 0", "KEYS *", "SCAN 0", "INFO"),
    *("MONITOR", "CLIENT LIST", "ACL LIST", "SHUTDOWN NOSAVE", "REPLICAOF elsewhere 1", "SCRIPT LOAD return{}"),
    *("GET ringback:remembers", "DUMP ringback:default", "LRANGE ringback:default 0 -1", "SET other x", "SAVE"),
    *("PUBLISH ringback:x y", "SUBSCRIBE ringback:x", "LPUSH celery x", "DEL ringback:default"),
)


async def test_a43_our_own_user_in_redis_may_do_what_it_needs_and_nothing_else(
    fort: Fort, servers: Servers, keeper: redis.Redis
) -> None:
    await still_works(fort, fort.line.pids["worker"])
    attempted = {word for command in FORBIDDEN for word in command.lower().split()}
    missed = [entry for entry in keeper.acl_log() if entry["username"] == "ringback"]
    refused = {str(entry["object"]).partition("|")[0] for entry in missed if entry["reason"] != "auth"}
    assert refused <= attempted, "what our processes need, they may do"
    with redis.Redis.from_url(servers.redis_url) as ours:
        for command in FORBIDDEN:
            with pytest.raises(redis.exceptions.NoPermissionError):
                ours.execute_command(*command.split())
    await still_works(fort, fort.line.pids["worker"])

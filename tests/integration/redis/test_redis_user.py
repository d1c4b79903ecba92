"""Redis user of Ringback's processes, on a server that is started as docker-compose.yml says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
import yaml

from cli.local_stack.embedded_servers import _installed
from cli.local_stack.process_group import Process, ProcessGroup
from ringback.redis import check
from ringback.redis.keyspace import USER, USER_RULES
from tests.ports import kept_port

ROOT = Path(__file__).parents[3]
PASSWORD = "letters1and2digits3"

FORBIDDEN = (
    "FLUSHALL",
    "FLUSHDB",
    "CONFIG GET *",
    "CONFIG SET dir /tmp",
    "EVAL return{} 0",
    "EVALSHA 0000000000000000000000000000000000000000 0",
    "SCRIPT LOAD return{}",
    "FUNCTION LIST",
    "KEYS *",
    "SCAN 0",
    "RANDOMKEY",
    "GET ringback:x",
    "LRANGE ringback:default 0 -1",
    "DUMP ringback:x",
    "MIGRATE elsewhere 6379 ringback:x 0 1000",
    "DEL ringback:default",
    "RENAME ringback:x ringback:y",
    "INFO",
    "MONITOR",
    "CLIENT LIST",
    "CLIENT KILL TYPE normal",
    "ACL LIST",
    "ACL SETUSER other",
    "MODULE LIST",
    "REPLICAOF elsewhere 6379",
    "SAVE",
    "SHUTDOWN NOSAVE",
    "SUBSCRIBE ringback:x",
    "PUBLISH ringback:x y",
    "LPUSH other x",
    "SET other x",
    "BRPOP other 1",
)


def command() -> list[str]:
    """Return the command of the Redis container, with another password."""
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    text = re.sub(r"\$\{REDIS_PASSWORD:-[^}]*\}", PASSWORD, text)
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)
    words: list[str] = yaml.safe_load(text)["services"]["redis"]["command"]
    return words


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    port, folder = kept_port(), tmp_path_factory.mktemp("redis")
    _, binary = _installed()
    argv: list[str | Path] = [binary, *command()[1:], "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
    ready = re.compile("Ready to accept connections")
    with ProcessGroup() as group:
        group.start(Process("redis", argv, log=folder / "redis.log", ready=ready))
        yield port


@pytest.fixture
def ours(port: int) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(f"redis://{USER}:{PASSWORD}@127.0.0.1:{port}/0", decode_responses=True) as client:
        yield client


def test_compose_gives_it_the_rules_that_the_embedded_one_has() -> None:
    given = [words for words in command() if words.startswith("--user ")]
    assert given == ["--user default off", f"--user {USER} on >{PASSWORD} {USER_RULES}"]


@pytest.mark.parametrize("words", FORBIDDEN)
def test_it_may_not_do_what_it_has_no_need_of(ours: redis.Redis, words: str) -> None:
    with pytest.raises(redis.exceptions.NoPermissionError):
        ours.execute_command(*words.split())  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("who", ["", "default:@", f":{PASSWORD}@", f"{USER}:ringback@", f"other:{PASSWORD}@"])
def test_nobody_else_is_let_in(port: int, who: str) -> None:
    refused = (redis.exceptions.AuthenticationError, redis.exceptions.ResponseError)
    with redis.Redis.from_url(f"redis://{who}127.0.0.1:{port}/0") as stranger, pytest.raises(refused):
        stranger.ping()


def test_a_process_is_told_whether_redis_is_open_to_clients_without_a_password(port: int) -> None:
    url = f"redis://{USER}:{PASSWORD}@127.0.0.1:{port}/0"
    assert check.is_open(url, redis.Redis.from_url) is False
    assert check.is_open(f"redis://{USER}:x@127.0.0.1:{kept_port()}/0", redis.Redis.from_url) is None


def test_it_may_do_what_carries_a_message(ours: redis.Redis) -> None:
    assert ours.ping()
    assert ours.lpush("ringback:default", "a") == 1
    assert list(ours.brpop(["ringback:default"], timeout=1) or ()) == ["ringback:default", "a"]

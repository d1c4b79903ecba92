"""A42 and A43: who is let into Redis, and what they may do there."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
import redis

from cli.local_stack.embedded_servers import Servers, _installed
from cli.local_stack.process_group import Process, ProcessGroup
from cli.local_stack.stack import our
from tests.attacks.toolbox.fort import Fort
from tests.attacks.toolbox.queues import still_works
from tests.forked import popen
from tests.line import TOKEN
from tests.ports import kept_port

pytestmark = [pytest.mark.anyio, pytest.mark.long]


def test_a42_whoever_has_no_password_is_not_let_in(fort: Fort, servers: Servers) -> None:
    address = servers.redis_url.rpartition("@")[2]
    for who in ("", "default:@", ":guess@", "ringback:ringback@"):
        refused = (redis.AuthenticationError, redis.exceptions.ResponseError)
        with redis.Redis.from_url(f"redis://{who}{address}") as stranger, pytest.raises(refused):
            stranger.ping()


@pytest.mark.parametrize("what", ["gateway", "worker"])
def test_a42_production_does_not_start_on_a_redis_that_lets_in_anybody(what: str, tmp_path: Path) -> None:
    port, (_, binary) = kept_port(), _installed()
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
    assert "The Redis at REDIS_URL lets clients in without a password" in said
    assert "sk-key-of-nobody" not in said
    assert len([line for line in said.splitlines() if line.strip()]) == 1, "one line, and no traceback"


def _run(argv: list[str], env: dict[str, str], log: Path) -> int:
    with log.open("w") as out:
        return popen(argv, env={**os.environ, **env}, stdout=out, stderr=subprocess.STDOUT, cwd=log.parent).wait(60)


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
    refused = {str(entry["object"]) for entry in missed if entry["reason"] != "auth"} - {"client|setinfo"}
    refused = {each.partition("|")[0] for each in refused}
    assert refused <= attempted, "what our processes need, they may do"
    with redis.Redis.from_url(servers.redis_url) as ours:
        for command in FORBIDDEN:
            with pytest.raises(redis.exceptions.NoPermissionError):
                ours.execute_command(*command.split())
    await still_works(fort, fort.line.pids["worker"])

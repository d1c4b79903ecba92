"""Each process that would use a Redis in cluster mode refuses it in one sentence."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from cli.local_stack.embedded_servers import _installed
from cli.local_stack.process_group import Process, ProcessGroup
from cli.local_stack.stack import agents_folder, our
from ringback.redis import check
from tests.forked import run
from tests.ports import kept_port

ROOT = Path(__file__).parents[3]
SECONDS = 30


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the URL of a node of a cluster, without a slot."""
    folder, port = tmp_path_factory.mktemp("cluster"), kept_port()
    cluster = ["--cluster-enabled", "yes", "--cluster-port", str(kept_port()), "--save", "", "--dir", str(folder)]
    argv: list[str | Path] = [_installed()[1], "--bind", "127.0.0.1", "--port", str(port), *cluster]
    ready = re.compile("Ready to accept connections")
    with ProcessGroup() as group:
        group.start(Process("valkey", argv, log=folder / "log", ready=ready, stop_signal=signal.SIGTERM))
        yield f"redis://127.0.0.1:{port}/0"


@pytest.mark.parametrize("command", ["gateway", "worker", "check"])
def test_a_cluster_is_refused_at_start_by_one_sentence(cluster: str, database_url: str, command: str) -> None:
    env = {**os.environ, "DATABASE_URL": database_url, "REDIS_URL": cluster, "RINGBACK_AGENTS": str(agents_folder())}
    ended = run(our(command), env=env, cwd=ROOT, timeout=SECONDS)
    assert ended.returncode == 2
    (sentence,) = ended.stderr.splitlines()
    assert sentence.startswith("ringback: the Redis at REDIS_URL runs in cluster mode")


def test_a_redis_without_a_password_is_open_to_any_client(cluster: str) -> None:
    assert check.is_open(cluster.replace("//", "//ringback:a-password@"), Redis.from_url) is True

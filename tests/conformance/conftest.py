"""A gateway whose upstream each test plays, with a worker behind it; one for the whole test session."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conformance.player.wire import Script, Upstream
from tests.line import OF_A_FOLDER, Line, redis_number, running_line
from tests.scraped import TOKEN as METRICS_TOKEN
from tests.servers import own_database, own_redis_db

TOOLBOX = Path(__file__).parent / "toolbox"
HOSTED_TOKEN = "token-of-the-docs-server"
BOUND_SECONDS = "4"
"""For a silent upstream: long for a loopback, short for a test."""


@dataclass(frozen=True)
class Stage:
    """A line, and the address of its upstream: each test brings the server that listens there."""

    line: Line
    listener: socket.socket

    def upstream(self, script: Script, *, refusal: int | None = None) -> Upstream:
        """The Realtime API, for as long as the context lasts."""
        return Upstream(self.listener, script, refusal=refusal)


@pytest.fixture(scope="package")
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


@pytest.fixture(scope="package")
def stage(
    database_url: str,
    redis_url: str,
    migrated_template: str,
    listener: socket.socket,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stage]:
    """The gateway's every logger is at its most talkative: what must not be in its log, is not there even then."""
    with (
        own_database(database_url, "ringback_conformance", migrated_template) as database,
        own_redis_db(redis_url, redis_number(OF_A_FOLDER)) as redis,
        running_line(
            database,
            redis,
            tmp_path_factory.mktemp("conformance"),
            upstream=f"ws://127.0.0.1:{listener.getsockname()[1]}/v1/realtime",
            tools="tests.conformance.toolbox.functions",
            agents=TOOLBOX / "agents",
            debug=True,
            settings={
                "RINGBACK_DEFAULT_AGENT": "recorded",
                "RINGBACK_METRICS_TOKEN": METRICS_TOKEN,
                "DOCS_TOKEN": HOSTED_TOKEN,
                "RINGBACK_UPSTREAM_CONNECT_SECONDS": BOUND_SECONDS,
                "RINGBACK_UPSTREAM_RETRY_SECONDS": "0",  # a script that ends hangs up, and is not played twice
            },
        ) as line,
    ):
        yield Stage(line, listener)

"""What is attacked: a whole line of real processes, on a Postgres and a Valkey of its own, for all of these tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
from celery import Celery

from cli.local_stack.embedded_servers import Servers, embedded_servers
from ringback.redis.broker import make_app
from tests.attacks.toolbox.fort import Fort, open_fort


@pytest.fixture
def anyio_backend() -> str:
    """The loop that the product runs on."""
    return "asyncio"


@pytest.fixture(scope="package")
def servers() -> Iterator[Servers]:
    """Ours alone: an attack may empty them, and may look into every row."""
    with embedded_servers(durable=False) as started:
        yield started


@pytest.fixture(scope="package")
def fort(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fort]:
    with open_fort(servers, tmp_path_factory.mktemp("attacks")) as fort:
        yield fort


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

"""What every test can ask for: real servers, and a database of its own.

Where the servers come from, first match:
  1. the environment: `DATABASE_URL`, `REDIS_URL` (each for itself);
  2. `--containers`: testcontainers; images by `RINGBACK_TEST_POSTGRES_IMAGE` (postgres:17) and
     `RINGBACK_TEST_REDIS_IMAGE` (redis:7); where testcontainers' own Ryuk image cannot be pulled, set
     `TESTCONTAINERS_RYUK_DISABLED=true` (the containers are removed all the same, unless pytest is killed);
  3. the embedded PostgreSQL and Valkey, not durable, once per session: nothing to set up. With `-n 4` each of the
     four has its own.

Fixtures, of the session:
  database_url   a PostgreSQL server, as `postgresql+psycopg://…`; do not write into its database
  redis_url      a Redis or Valkey server; do not write into its database 0
Fixtures, of one test:
  database       the URL of a migrated database without rows, which no other test uses meanwhile
  redis_db       the URL of an empty logical database, flushed afterwards
  open_folder    a folder that the embedded servers' account can enter

Markers:
  loopback       this unit test may open sockets on this machine; without it a unit test that connects fails
  long           the long tier, seconds to minutes each (registered in pyproject.toml)
"""

from __future__ import annotations

import gc
import os
from collections.abc import Generator, Iterator
from functools import cache
from pathlib import Path

import pytest

from cli.local_stack.embedded_servers import Servers, embedded_servers
from tests.emptied import Emptied
from tests.servers import (
    OUR_USERS,
    folder_for_servers,
    in_dialect,
    own_database,
    own_redis_db,
    postgres_container,
    redis_container,
)

PATIENT = "patient"
"""The profile of the whole suite: Hypothesis' own, without its clock."""
SAMPLE = "sample"
"""The profile of `make check`: a fifth of the examples that the whole suite tries."""
HERE = Path(__file__).parent
LONGEST = (
    "benchmarks/test_benchmarks.py",
    "browser/test_talk.py",
    "browser/test_console.py",
    "browser/test_console_recording.py",
    "browser",
    "clients/test_frameworks.py",
    "clients",
    "examples/test_examples.py",
    "integration/cli/test_up.py",
    "integration/workers/test_remote_tools.py",
    "integration/cli/test_demo.py",
    "integration/statements/test_state_machine.py",
    "integration/postgres/test_migrations_in_use.py",
    "chaos",
    "benchmarks",
    "integration/statements/test_interleavings.py",
    "integration/statements/test_plans.py",
    "integration/postgres/test_pooler.py",
    "integration/redis/test_workers_redis.py",
    "integration/workers/test_stop.py",
    "guarantees/test_g2_no_recorded_job_is_lost.py",
    "guarantees/test_calls_over_sip.py",
    "guarantees",
    "attacks/test_a60_requests_and_frames_at_random.py",
    "attacks/test_a01_to_a09_at_the_door.py",
    "attacks",
    "calls",
    "examples",
)
"""Files and folders, by how long their longest file takes (`--durations=0`), half a minute or more of each. A folder
whose tests share a line stays together.
"""
LONG = "mark.long"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--containers", action="store_true", help="PostgreSQL and Redis in containers, not embedded")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    from hypothesis import HealthCheck, settings

    # How long an example takes to make or to try says only how busy the machine is.
    patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.register_profile(PATIENT, patient)
    settings.register_profile(SAMPLE, patient, max_examples=20)
    settings.load_profile(PATIENT)
    config.addinivalue_line("markers", "loopback: this unit test may open sockets on this machine")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With `-m long`, import no file that marks no test so: all of them together take seconds, in each process."""
    if config.getoption("markexpr") == "long" and collection_path.name.startswith("test_"):
        return (LONG not in collection_path.read_text(encoding="utf-8")) or None
    return None


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Collecting leaves hundreds of thousands of objects that stay: no use in looking for garbage among them."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first, so that side by side no process is left alone with one of them at the end."""

    places = [HERE / place for place in LONGEST]

    @cache
    def turn(path: Path) -> int:
        return next((number for number, place in enumerate(places) if path.is_relative_to(place)), len(places))

    items.sort(key=lambda item: turn(item.path))


@pytest.fixture(scope="session")
def embedded() -> Iterator[Servers]:
    """Asked for only by the two fixtures below: a test that pulls plugs starts its own `embedded_servers`."""
    with embedded_servers(durable=False) as servers:
        OUR_USERS[servers.keeper_redis_url] = servers.redis_url
        yield servers


@pytest.fixture(scope="session")
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    if given := os.environ.get("DATABASE_URL"):
        yield in_dialect(given)
    elif request.config.getoption("--containers"):
        with postgres_container() as url:
            yield url
    else:
        yield request.getfixturevalue("embedded").database_url


@pytest.fixture(scope="session")
def redis_url(request: pytest.FixtureRequest) -> Iterator[str]:
    if given := os.environ.get("REDIS_URL"):
        yield given
    elif request.config.getoption("--containers"):
        with redis_container() as url:
            yield url
    else:
        yield request.getfixturevalue("embedded").keeper_redis_url


@pytest.fixture(scope="session")
def migrated_template(database_url: str) -> Iterator[str]:
    """The name of a database that is migrated once, for `database` to copy."""
    from ringback.postgres.migrate import upgrade

    with own_database(database_url, "ringback_template") as url:
        upgrade(url)
        yield url.rpartition("/")[2].partition("?")[0]


@pytest.fixture(scope="session")
def _emptied(database_url: str, migrated_template: str) -> Iterator[Emptied]:
    emptied = Emptied(database_url, migrated_template)
    yield emptied
    emptied.drop()


@pytest.fixture
def database(_emptied: Emptied) -> Iterator[str]:
    with _emptied.lent() as url:
        yield url


@pytest.fixture
def redis_db(redis_url: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """One number per test worker, so that workers which share a server do not flush each other's."""
    worker = getattr(request.config, "workerinput", {}).get("workerid", "gw0")
    with own_redis_db(redis_url, 1 + int(worker.removeprefix("gw"))) as url:
        yield url


@pytest.fixture
def open_folder() -> Iterator[Path]:
    with folder_for_servers() as folder:
        yield folder

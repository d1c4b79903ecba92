"""Two gateways and a worker behind a Realtime API that each test plays; one stack for the folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.scripting.scenario import load
from tests.calls.toolbox.desk import CallLine
from tests.guarantees.toolbox import FOLDER
from tests.line import OF_A_FOLDER, redis_number, running_line
from tests.played import Provider, played
from tests.proxy import before_postgres
from tests.servers import own_database, own_redis_db

SCENARIO = Path(__file__).parent / "toolbox" / "bakery_on_a_call.yaml"
AGENTS = Path(__file__).parent / "toolbox" / "agents"


@pytest.fixture
def anyio_backend() -> str:
    """The loop that the product runs on."""
    return "asyncio"


@pytest.fixture(scope="package")
def provider() -> Iterator[Provider]:
    with played(load(str(SCENARIO))) as serving:
        yield serving


@pytest.fixture(scope="package")
def _stack(
    provider: Provider,
    database_url: str,
    redis_url: str,
    migrated_template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[CallLine]:
    folder = tmp_path_factory.mktemp("calls")
    ledger = folder / "ledger"
    ledger.mkdir()
    with (
        own_database(database_url, "ringback_calls", migrated_template) as database,
        own_redis_db(redis_url, redis_number(OF_A_FOLDER)) as redis,
        before_postgres(database) as (postgres, through),
        running_line(
            database,
            redis,
            folder,
            upstream=provider.url,
            tools="tests.guarantees.toolbox",
            agents=AGENTS,
            gateways=2,
            settings={FOLDER: str(ledger), "RINGBACK_DRAIN_SECONDS": "5"},
            gateway_settings={"RINGBACK_DEFAULT_AGENT": "mends"},
            second_settings={"DATABASE_URL": through},
        ) as line,
    ):
        yield CallLine(line, ledger, provider, postgres)


@pytest.fixture
def stack(_stack: CallLine) -> CallLine:
    """The stack, whole again whatever the test before has broken."""
    _stack.mend()
    return _stack

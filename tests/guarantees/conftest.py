"""What the guarantees are tried on: a line per test where it is broken for good, and servers to pull the plugs of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.local_stack.embedded_servers import Servers, embedded_servers
from ringback.postgres.migrate import upgrade
from tests.attacks.toolbox.fort import Fort, open_fort
from tests.guarantees.toolbox import FOLDER
from tests.guarantees.toolbox.bakery import Bakery, Pair, open_pair
from tests.guarantees.toolbox.yard import Yard, open_yard
from tests.line import OF_A_FOLDER, redis_number, running_line
from tests.servers import OUR_USERS, own_database, own_redis_db


@pytest.fixture
def anyio_backend() -> str:
    """The loop that the product runs on."""
    return "asyncio"


@pytest.fixture
def bakery(database: str, redis_db: str, tmp_path: Path) -> Iterator[Bakery]:
    ledger = tmp_path / "ledger"
    ledger.mkdir()
    with running_line(
        database, redis_db, tmp_path, tools="tests.guarantees.toolbox", settings={FOLDER: str(ledger)}
    ) as line:
        yield Bakery(line, ledger)


@pytest.fixture
def yard(database: str, redis_db: str, tmp_path: Path) -> Iterator[Yard]:
    """Workers to be started, and no gateway."""
    with open_yard(database, redis_db, tmp_path) as yard:
        yield yard


@pytest.fixture(scope="package")
def plugs() -> Iterator[Servers]:
    """A Postgres and a Redis of our own, to be killed, stopped and started again; in order between two tests."""
    with embedded_servers(durable=False) as servers:
        OUR_USERS[servers.keeper_redis_url] = servers.redis_url
        yield servers


@pytest.fixture
def pulled(plugs: Servers, tmp_path: Path) -> Iterator[Yard]:
    """A yard on servers whose plugs may be pulled."""
    with own_database(plugs.database_url, "ringback_pulled") as database:
        upgrade(database)
        with open_yard(database, plugs.keeper_redis_url, tmp_path) as yard:
            yard.redis.flushdb()
            yield yard


@pytest.fixture(scope="package")
def _pair(
    database_url: str, redis_url: str, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pair]:
    with (
        own_database(database_url, "ringback_pair", migrated_template) as database,
        own_redis_db(redis_url, redis_number(OF_A_FOLDER)) as redis,
        open_pair(database, redis, tmp_path_factory.mktemp("pair")) as pair,
    ):
        yield pair


@pytest.fixture
def pair(_pair: Pair) -> Pair:
    """Two gateways on one database, whole again whatever the test before has broken."""
    _pair.mend()
    return _pair


@pytest.fixture(scope="module")
def fort(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fort]:
    """A line to be attacked, on servers of its own: its rows are looked through for what must not be there."""
    with (
        embedded_servers(durable=False) as servers,
        open_fort(servers, tmp_path_factory.mktemp("fort"), gateways=1) as fort,
    ):
        yield fort

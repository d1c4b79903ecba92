"""What the guarantees are tried on: a line per test where it is broken for good, and servers to pull the plugs of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cli.embedded import Servers, embedded_servers
from ringback.migrating import upgrade
from tests.guarantees.toolbox import FOLDER, GO
from tests.guarantees.toolbox.yard import Yard, open_yard
from tests.line import Line, eventually, running_line
from tests.servers import own_database


@dataclass(frozen=True)
class Bakery:
    """A line whose orders begin when they are asked for, and end when the test says so."""

    line: Line
    folder: Path

    def begun(self, attempt: int = 1) -> None:
        """Wait until an order is being worked on for the n-th time."""
        eventually(lambda: list(self.folder.glob(f"{attempt}-*")), f"attempt {attempt} of an order begins")

    def attempts(self) -> int:
        """How often any order was begun."""
        return len(list(self.folder.glob("[0-9]*-*")))

    def let_go(self) -> None:
        """Every order may end."""
        (self.folder / GO).touch()


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


@pytest.fixture(scope="session")
def plugs() -> Iterator[Servers]:
    """A Postgres and a Redis of our own, to be killed, stopped and started again; in order between two tests."""
    with embedded_servers(durable=False) as servers:
        yield servers


@pytest.fixture
def pulled(plugs: Servers, tmp_path: Path) -> Iterator[Yard]:
    """A yard on servers whose plugs may be pulled."""
    with own_database(plugs.database_url, "ringback_pulled") as database:
        upgrade(database)
        with open_yard(database, plugs.redis_url, tmp_path) as yard:
            yard.redis.flushdb()
            yield yard

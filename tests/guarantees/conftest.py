"""One line per test, because each test here kills something in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.guarantees.toolbox import FOLDER, GO
from tests.line import Line, eventually, running_line


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

"""What the tests of the console share: rows that a test writes, and an operator who is signed in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.console.visitor import Visitor
from tests.integration.statements.test_history import Line, line_on


@pytest.fixture
def line(database: str) -> Iterator[Line]:
    with line_on(database) as line:
        yield line


@pytest.fixture
def visitor(line: Line, database: str) -> Visitor:
    visitor = Visitor(database)
    visitor.sign_in()
    return visitor

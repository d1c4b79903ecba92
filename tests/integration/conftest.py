"""What many integration tests begin with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.toolbox.line import Line


@pytest.fixture
def line(database: str, redis_db: str) -> Iterator[Line]:
    """Session of a live gateway, to ask for calls; no worker."""
    line = Line(database, redis_db)
    yield line
    line.close()

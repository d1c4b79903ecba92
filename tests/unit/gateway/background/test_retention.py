"""How often old rows are deleted, if a deletion fails."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from gateway.background.retention import RETAIN_EVERY, Retention

NO_STORE: Any = None


class Failing(Retention):
    """A table whose old rows cannot be deleted."""

    tried = 0

    async def _erase_marked(self) -> bool:
        return False

    async def _delete_over(self) -> bool:
        self.tried += 1
        raise OSError("the statement took too long")


def test_a_deletion_that_fails_waits_for_its_turn() -> None:
    retention = Failing(NO_STORE, 30)
    for _ in range(RETAIN_EVERY):
        with suppress(OSError):
            asyncio.run(retention._delete_due())
    assert retention.tried == 1
    with pytest.raises(OSError, match="took too long"):
        asyncio.run(retention._delete_due())

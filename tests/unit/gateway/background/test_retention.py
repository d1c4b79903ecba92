"""How often old rows are deleted, if a deletion fails."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.background.retention import RETAIN_SECONDS, Retention

NO_STORE: Any = None


class Failing(Retention):
    """A table whose old rows cannot be deleted."""

    tried = 0

    async def _delete_over(self) -> bool:
        self.tried += 1
        raise OSError("the statement took too long")


def test_a_deletion_that_fails_waits_for_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            raise asyncio.CancelledError

    monkeypatch.setattr("gateway.retry.asyncio.sleep", sleep)
    retention = Failing(NO_STORE, 30)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(retention.forget())
    assert retention.tried == 2
    assert pauses == [RETAIN_SECONDS, RETAIN_SECONDS]

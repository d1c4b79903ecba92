"""The loops of a gateway end with it."""

from __future__ import annotations

import asyncio

import pytest

from gateway import app

pytestmark = pytest.mark.anyio


async def test_a_loop_that_loses_a_cancellation_is_cancelled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "CANCEL_AGAIN_SECONDS", 0.01)
    lost = asyncio.Event()

    async def loop() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            lost.set()
        await asyncio.Event().wait()

    async with app.kept_going(loop):
        await asyncio.sleep(0)
    assert lost.is_set()

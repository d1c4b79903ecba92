"""What a conversation of the simulator does by itself ends with it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from simulator.performer import Performer

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_what_is_asked_for_after_the_end_is_not_begun() -> None:
    nothing: Any = None
    performer, done = Performer(nothing, nothing, nothing), []

    async def work() -> None:
        done.append("begun")

    async with performer.performing():
        performer.start(work())
        await asyncio.sleep(0)
    performer.start(work())
    assert done == ["begun"]

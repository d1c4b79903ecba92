"""The callers of our side: each asks for a first response, then hears all that its session says until it is killed.

callers.py URL SESSIONS; the gateway's token is in the environment.
"""

from __future__ import annotations

import asyncio
import os
import sys
from http import HTTPStatus
from typing import Any

from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

TOKEN = "BENCH_TOKEN"
AGAIN_SECONDS = 1.0


async def converse(url: str) -> None:
    """Talk, and come back where the gateway takes nothing new for a moment: one that gave up would end all others."""
    while True:
        try:
            await _talk(url)
        except InvalidStatus as refused:
            if refused.response.status_code != HTTPStatus.SERVICE_UNAVAILABLE:
                raise
            await asyncio.sleep(AGAIN_SECONDS)
        else:
            return


async def _talk(url: str) -> None:
    headers = {"Authorization": f"Bearer {os.environ[TOKEN]}"}
    patient: dict[str, Any] = {"open_timeout": None, "ping_interval": None}  # however busy the machine is
    async with connect(
        url, additional_headers=headers, max_size=None, proxy=None, compression=None, **patient
    ) as session:
        await session.send('{"type":"response.create"}')
        async for _ in session:
            pass


async def main() -> None:
    await asyncio.gather(*(converse(sys.argv[1]) for _ in range(int(sys.argv[2]))))


if __name__ == "__main__":
    asyncio.run(main())

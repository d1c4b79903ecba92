"""The callers of our side: each asks for a first response, then hears all that its session says until it is killed.

callers.py URL SESSIONS; the gateway's token is in the environment.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

from websockets.asyncio.client import connect

TOKEN = "BENCH_TOKEN"


async def converse(url: str) -> None:
    headers = {"Authorization": f"Bearer {os.environ[TOKEN]}"}
    # However long it takes on a busy machine: one that gave up would end all the others.
    patient: dict[str, Any] = {"open_timeout": None, "ping_interval": None}
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

"""Viewers who follow the jobs page while calls go on, as its own script does, and what they cost the gateway.

A program of its own, so that the gateway's processor time is the gateway's alone:

    python -m benchmarks.console_pages.viewers http://127.0.0.1:8000 20 30
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections import Counter

import httpx

TOKEN = "BENCHMARK_TOKEN"
CHANGED, TICK = "event: changed", "event: tick"
ROW = '<tr id="job-'


async def main() -> None:
    """Follow for so many seconds; print what the viewers were told, and how many rows they got."""
    url, viewers, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=url, limits=limits, timeout=30, trust_env=False) as client:
        await client.post("/console/sign-in", data={"token": os.environ[TOKEN]})
        told: Counter[str] = Counter()
        until = time.monotonic() + seconds
        following = [asyncio.create_task(follow(client, told, until)) for _ in range(viewers)]
        await asyncio.gather(*following)
    print(json.dumps(told))


async def follow(client: httpx.AsyncClient, told: Counter[str], until: float) -> None:
    """Ask for the rows at each change, and for the chart as well at each tick, until the time is over."""
    try:
        async with asyncio.timeout(until - time.monotonic()):
            async with client.stream("GET", "/console/live", params={"pace": "calls"}) as stream:
                stream.raise_for_status()
                async for line in stream.aiter_lines():
                    if line in (CHANGED, TICK):
                        told[line] += 1
                        await show(client, told, part="rows")
                    if line == TICK:
                        await show(client, told)
    except TimeoutError:
        pass


async def show(client: httpx.AsyncClient, told: Counter[str], **parameters: str) -> None:
    """Ask for the page, or a part of it."""
    page = await client.get("/console/jobs", params=parameters)
    page.raise_for_status()
    told["pages"] += 1
    told["rows"] += page.text.count(ROW)


if __name__ == "__main__":
    asyncio.run(main())

"""Clients that come back at once, to whichever gateway lives, and remember what they heard."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from benchmarks.outages.crew import PATIENCE
from benchmarks.outages.site import Site

JITTER_SECONDS = 0.1
"""A client waits up to so long before it comes back, so that not all come in the same millisecond."""
NOT_FOUND = 404
_numbers = count(101)

Event = dict[str, Any]


@dataclass
class Guest:
    """One session. Times are the machine's clock, which is the embedded database's as well."""

    site: Site
    gateways: Sequence[str]
    """Where it is, and where it goes when that ends."""
    arrivals: list[float] = field(default_factory=list)
    """When each `session.created` came."""
    goodbyes: list[tuple[float, int]] = field(default_factory=list)
    """When each connection ended, and with which close code; 1006 is without a word."""
    said: Counter[str] = field(default_factory=Counter)
    """What it was told, and in how many responses."""
    recorded: int = 0
    """Calls that it was told are recorded."""
    resumable: int = 0
    """How often it was given a token to come back with."""
    leaving: bool = False
    lost: bool = False
    """Its token was not taken: the session is gone."""
    resume: str = ""
    expected: list[str] = field(default_factory=list)
    """What was said in its conversation, by whom ever."""
    _socket: ClientConnection | None = None
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def live(self) -> None:
        """Be connected until it leaves, or the session is lost."""
        while not (self.lost or self.leaving):
            try:
                await self._one_connection()
            except InvalidStatus as refused:
                self.lost = bool(self.resume) and refused.response.status_code == NOT_FOUND
            except (OSError, WebSocketException, TimeoutError):
                pass  # nobody there yet, or gone in the middle of the greeting
            self.gateways = self.gateways[::-1]
            self._news.set()
            await asyncio.sleep(random.uniform(0, JITTER_SECONDS))

    async def until(self, true: Callable[[], bool], what: str) -> bool:
        """Wait until it is true; False where the session was lost meanwhile."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not true() and not self.lost:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise TimeoutError(f"a client waited {PATIENCE:g} s for {what}; it heard {dict(self.said)}") from None
        return not self.lost

    async def arrived(self, more_than: int) -> bool:
        """Wait until it has come to a gateway so many times and once more, and may resume."""
        return await self.until(lambda: self.resumable > more_than, "its session")

    async def ask(self, words: str) -> None:
        """Type something, and ask for an answer."""
        self.expected.append(words)
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": words}]}
        assert self._socket
        await self._socket.send(json.dumps({"type": "conversation.item.create", "item": item}))
        await self._socket.send(json.dumps({"type": "response.create"}))

    async def order(self) -> str:
        """Ask for an order of its own, and wait until the call is recorded; returns its name."""
        name, before = f"A-{next(_numbers)}", self.recorded
        await self.ask(f"Where is my order {name}?")
        await self.until(lambda: self.recorded > before, f"the call for {name} to be recorded")
        return name

    async def hear(self, words: str) -> bool:
        """Wait for a response that says this; False where the session was lost."""
        return await self.until(lambda: self.told(words) > 0, words)

    def told(self, words: str) -> int:
        """In how many responses it was told this."""
        return sum(times for said, times in self.said.items() if words in said)

    async def leave(self) -> None:
        """Say goodbye: the session ends."""
        self.leaving = True
        if self._socket:
            await self._socket.close()

    async def _one_connection(self) -> None:
        headers = {"Authorization": f"Bearer {self.site.token}"}
        if self.resume:
            headers["Ringback-Resume"] = self.resume
        address = self.site.address(self.gateways[0])
        async with connect(address, additional_headers=headers, max_size=None, proxy=None) as socket:
            self._socket = socket
            try:
                while True:
                    self._hear(json.loads(await socket.recv()))
            except ConnectionClosed as closed:
                self.goodbyes.append((time.time(), closed.rcvd.code if closed.rcvd else 1006))

    def _hear(self, event: Event) -> None:
        match event["type"]:
            case "session.created":
                self.arrivals.append(time.time())
                self.resumable += 1
            case "ringback.session.resumable":
                self.resume = event["token"]
            case "ringback.job":
                self.recorded += event["job"]["state"] == "pending"
            case "response.done":
                self.said[_spoken(event)] += 1
            case _:
                return
        self._news.set()


def baked(name: str) -> str:
    """What is said of an order once it is looked up."""
    return f"Your order {name} is baked."


def _spoken(done: Event) -> str:
    parts = [part for item in done["response"].get("output") or [] for part in item.get("content") or []]
    return " ".join(part.get("transcript") or part.get("text") or "" for part in parts).strip()


@asynccontextmanager
async def visiting(site: Site, *groups: tuple[int, Sequence[str]]) -> AsyncIterator[list[Guest]]:
    """So many guests with these gateways, all of them connected and resumable."""
    guests = [Guest(site, gateways) for number, gateways in groups for _ in range(number)]
    living = [asyncio.create_task(guest.live()) for guest in guests]
    try:
        for guest in guests:
            await guest.arrived(0)
        yield guests
        await asyncio.gather(*(guest.leave() for guest in guests))
    finally:
        for task in living:
            task.cancel()
        await asyncio.gather(*living, return_exceptions=True)

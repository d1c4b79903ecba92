"""One virtual client: it asks for calls, and comes back with its token whenever the line ends."""

from __future__ import annotations

import asyncio
import json
import random
from contextlib import suppress

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, InvalidStatus

from tests.chaos.story import Story

ASKS_IN_A_LIFE = (3, 16)
"""After so many questions a client says goodbye and begins anew: sessions end in a run as well, and their past stays
short enough for a rebuilt conversation to hold all of it."""
IMPATIENT = 0.08
"""The share of questions that come while the last one is not answered."""
PATIENCE_SECONDS = 5.0
"""How long an answer is awaited before the next question is asked; a slow tool alone takes two."""
FIRST_BACKOFF_SECONDS = 0.2
LAST_BACKOFF_SECONDS = 2.0
NOT_FOUND = 404
CREATE = json.dumps({"type": "response.create"})


class VirtualClient:
    """Keeps one conversation going.

    Args:
        addresses: `ws://…/v1/realtime` of each gateway.
        pause: mean seconds between an answer and the next question.
    """

    def __init__(self, story: Story, token: str, addresses: list[str], seed: int, pause: float) -> None:
        self.story = story
        self._token = token
        self._addresses = addresses
        self._chance = random.Random(seed)
        self._pause = pause
        self._socket: ClientConnection | None = None
        self._news = asyncio.Event()
        self._calm = asyncio.Event()
        self._asks_left = 0
        self._in_vain = 0
        """Tries to come in since the last that succeeded."""
        self._over = False
        self.twice = False
        """The next resumption is tried at two gateways at once."""

    async def run(self) -> None:
        """Until `end`."""
        while not self._over:
            socket = await self._come_in()
            if socket is not None:
                await self._converse(socket)

    def hang_up(self, *, twice: bool = False) -> None:
        """Lose the connection without a goodbye."""
        self.twice = twice
        if self._socket is not None:
            self._socket.transport.abort()

    async def last_question(self, within: float) -> None:
        """In the calm: ask once more, and see whether it is answered; no other question follows."""
        self._calm.set()
        self._news.set()
        self.story.last_words = False
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                while not self.story.last_words:
                    await self._ask_and_wait()

    async def say_goodbye(self) -> None:
        """Name the session in its last conversation, for the checker, and end it."""
        if self._socket is not None and self.story.is_in:
            with suppress(ConnectionClosed):
                await self._socket.send(json.dumps(self.story.words(goodbye=self.story.sessions[-1])))
        await asyncio.sleep(1.0)

    async def end(self) -> None:
        """A goodbye for good."""
        self._over = True
        if self._socket is not None:
            await self._leave(self._socket)

    async def _leave(self, socket: ClientConnection) -> None:
        """A close code of 1000 ends the session, and its token with it."""
        self.story.token = None
        with suppress(ConnectionClosed):
            await socket.close(1000)

    async def _ask_and_wait(self) -> None:
        socket = self._socket
        if socket is None:
            await asyncio.sleep(0.1)
            return
        with suppress(ConnectionClosed, TimeoutError):
            await self._ask(socket)
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._answered(socket)
            self.story.last_words = True

    async def _converse(self, socket: ClientConnection) -> None:
        self._socket = socket
        asking = asyncio.create_task(self._ask_on(socket))
        try:
            while True:
                frame = await socket.recv(decode=True)
                heard = self.story.hear(frame)
                self._news.set()
                if heard["type"] == "response.done" and self.story.is_owed:
                    self.story.is_owed = False
                    await socket.send(CREATE)
        except ConnectionClosed as closed:
            code = closed.rcvd.code if closed.rcvd else 1006
            self.story.closed(code)
        finally:
            self._socket = None
            self._news.set()
            asking.cancel()

    async def _ask_on(self, socket: ClientConnection) -> None:
        with suppress(ConnectionClosed):
            while not self._calm.is_set():
                if self._asks_left <= 0:
                    await self._leave(socket)
                    return
                self._asks_left -= 1
                await self._ask(socket)
                if self._chance.random() >= IMPATIENT:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(PATIENCE_SECONDS):
                            await self._answered(socket)
                await asyncio.sleep(self._chance.expovariate(1 / self._pause))

    async def _ask(self, socket: ClientConnection) -> None:
        await socket.send(json.dumps(self.story.ask(self._chance)))
        await socket.send(CREATE)

    async def _answered(self, socket: ClientConnection) -> None:
        while self.story.waiting and self._socket is socket:
            self._news.clear()
            await self._news.wait()

    async def _come_in(self) -> ClientConnection | None:
        """Come back with the token, or begin anew; None where nobody took us, after a pause."""
        token, twice, self.twice = self.story.token, self.twice, False
        tries = [self._open(address, token) for address in self._chance.sample(self._addresses, 2 if twice else 1)]
        results = await asyncio.gather(*tries, return_exceptions=True)
        sockets = [result for result in results if isinstance(result, ClientConnection)]
        for other in sockets[1:]:
            await self._compare(other)
        if sockets:
            self._in_vain = 0
            self._came_in(token)
            return sockets[0]
        if any(isinstance(result, InvalidStatus) and result.response.status_code == NOT_FOUND for result in results):
            self.story.token_refused()
        self._in_vain += 1
        await asyncio.sleep(
            self._chance.uniform(0, min(FIRST_BACKOFF_SECONDS * 2**self._in_vain, LAST_BACKOFF_SECONDS))
        )
        return None

    async def _compare(self, other: ClientConnection) -> None:
        """A second gateway took us in for the one token: as somebody new, or is it the same session twice?"""
        with suppress(ConnectionClosed, TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                first = json.loads(await other.recv())
            if first.get("session", {}).get("id") in self.story.sessions[-1:]:
                self.story.double.append(self.story.sessions[-1])
        other.transport.abort()

    def _came_in(self, token: str | None) -> None:
        if token is None:
            self.story.begun += 1
            self._asks_left = self._chance.randint(*ASKS_IN_A_LIFE)
        else:
            self.story.resumed += 1

    async def _open(self, address: str, resume: str | None) -> ClientConnection:
        headers = {"Authorization": f"Bearer {self._token}"}
        if resume is not None:
            headers["Ringback-Resume"] = resume
        try:
            return await connect(
                f"{address}?ringback=jobs,resume",
                additional_headers=headers,
                max_size=None,
                open_timeout=5,
                close_timeout=1,
                ping_interval=3,
                ping_timeout=6,
                compression=None,
            )
        except (OSError, TimeoutError, InvalidHandshake, InvalidMessage, ConnectionClosed) as problem:
            if isinstance(problem, InvalidStatus):
                raise
            raise ConnectionError(str(problem)) from None

"""A TCP proxy that breaks on request, to stand between any two that talk: slow, half open, cut, reset.

It runs in a thread of its own, so that tests of any kind can command it. What it does to bytes it does to all of them:
it knows no protocol, except that `lose_answer_to` finds a few bytes in what a client sends.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

from sqlalchemy.engine import make_url

READ_BYTES = 65_536
COMMAND_SECONDS = 10.0
"""A command takes microseconds; this only ends a test that would wait for ever."""
LINGER_ZERO = struct.pack("ii", 1, 0)
"""Closing such a socket sends RST instead of FIN."""

T = TypeVar("T")
Address = str | tuple[str, int]
"""A Unix socket's path, or a host and port."""


@dataclass(eq=False)
class _Pair:
    """A client's connection and ours to the target."""

    client: asyncio.StreamWriter
    target: asyncio.StreamWriter
    loses_the_answer: bool = False
    is_stranded: bool = False

    def end(self, *, reset: bool) -> None:
        for writer in (self.client, self.target):
            if reset:
                with suppress(OSError):
                    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_ZERO)
            writer.transport.abort()


class Proxy:
    """Listens on a free loopback port while the context lasts, and passes everything on until told otherwise."""

    def __init__(self, target: Address) -> None:
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._pairs: set[_Pair] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._flows = asyncio.Event()
        self._refuses = False
        self._pattern, self._loses = b"", 0
        self._silently = False
        self.latency = 0.0
        """Seconds that each piece is held up, both ways."""
        self.lost = threading.Event()
        """Set once an answer was lost."""
        self.pieces = 0
        """Pieces that clients have sent: to Postgres, each statement is one."""
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._command(self._open)
        return self

    def __exit__(self, *_: object) -> None:
        self._command(self._close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(COMMAND_SECONDS)
        self._loop.close()

    def blackhole(self) -> None:
        """Nothing passes any more, not even an end; what is open stays open, and new connections are taken."""
        self._do(self._flows.clear)

    def strand(self) -> None:
        """What is open stays open and says nothing ever again, as behind a router that forgot it; new ones work."""
        self._do(self._strand_all)

    def heal(self) -> None:
        """Everything passes again, also what was held up."""
        self.latency = 0.0
        self._refuses = False
        self._do(self._flows.set)

    def reset(self) -> None:
        """All connections end with RST."""
        self._do(lambda: self._end_all(reset=True))

    def cut(self) -> None:
        """All connections end with FIN."""
        self._do(lambda: self._end_all(reset=False))

    def refuse(self) -> None:
        """All connections end, and new ones are reset, until healed."""
        self._refuses = True
        self.reset()

    def lose_answer_to(self, pattern: bytes, *, silently: bool = False, times: int = 1) -> None:
        """The next clients that send this have their words passed on, and are cut off as the target answers.

        As if the line broke between the COMMIT and the word that it was done. `lost` tells that it happened.
        `silently`: it is not cut off but left to wait. `times`: how often.
        """
        self.lost.clear()
        self._silently = silently
        self._pattern, self._loses = pattern, times

    def _do(self, change: Callable[[], None]) -> None:
        async def now() -> None:
            change()

        self._command(now)

    def _command(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        return asyncio.run_coroutine_threadsafe(work(), self._loop).result(COMMAND_SECONDS)

    async def _open(self) -> None:
        self._flows.set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        self._server.close()
        await asyncio.sleep(0)  # each connection that was accepted has its task now
        self._end_all(reset=True)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _end_all(self, *, reset: bool) -> None:
        for pair in self._pairs:
            pair.end(reset=reset)

    def _strand_all(self) -> None:
        for pair in self._pairs:
            pair.is_stranded = True

    async def _serve(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            answers, target = await self._connect()
        except (OSError, asyncio.CancelledError):
            client.transport.abort()
            return
        pair = _Pair(client, target)
        self._pairs.add(pair)
        try:
            with suppress(asyncio.CancelledError):  # asyncio's streams complain about a task that was cancelled
                if not self._refuses:
                    await self._pass_both_ways(pair, reader, answers)
        finally:
            self._pairs.discard(pair)
            pair.end(reset=self._refuses)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self._target, str):
            return await asyncio.open_unix_connection(self._target)
        return await asyncio.open_connection(*self._target)

    async def _pass_both_ways(
        self, pair: _Pair, questions: asyncio.StreamReader, answers: asyncio.StreamReader
    ) -> None:
        """Until either side ends: then both do."""
        ways = [self._upward(pair, questions), self._downward(pair, answers)]
        tasks = [asyncio.ensure_future(way) for way in ways]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _upward(self, pair: _Pair, questions: asyncio.StreamReader) -> None:
        while piece := await self._next(pair, questions):
            if self._loses and self._pattern in piece:
                self._loses, pair.loses_the_answer = self._loses - 1, True
            self.pieces += 1
            pair.target.write(piece)
            await pair.target.drain()

    async def _downward(self, pair: _Pair, answers: asyncio.StreamReader) -> None:
        while piece := await self._next(pair, answers):
            if pair.loses_the_answer:
                self.lost.set()
                if self._silently:
                    await asyncio.get_running_loop().create_future()
                return
            pair.client.write(piece)
            await pair.client.drain()

    async def _next(self, pair: _Pair, reader: asyncio.StreamReader) -> bytes:
        """The next piece, when it may pass; an end counts as one."""
        try:
            piece = await reader.read(READ_BYTES)
        except OSError:
            piece = b""
        await asyncio.sleep(self.latency)
        await self._flows.wait()
        if pair.is_stranded:
            await asyncio.get_running_loop().create_future()
        return piece


@contextmanager
def before_postgres(url: str) -> Iterator[tuple[Proxy, str]]:
    """A proxy in front of this Postgres, and the URL that leads through it."""
    parsed = make_url(url)
    folder = parsed.query.get("host") or parsed.host or "localhost"
    port = int(str(parsed.query.get("port") or parsed.port or 5432))
    target = f"{folder}/.s.PGSQL.{port}" if str(folder).startswith("/") else (str(folder), port)
    rest = {name: value for name, value in parsed.query.items() if name not in ("host", "port")}
    with Proxy(target) as proxy:
        through = parsed.set(host="127.0.0.1", port=proxy.port, query=rest)
        yield proxy, through.render_as_string(hide_password=False)


@contextmanager
def before_redis(url: str) -> Iterator[tuple[Proxy, str]]:
    """A proxy in front of this Redis, and the URL that leads through it."""
    parsed = urlsplit(url)
    credentials = parsed.netloc.rpartition("@")[0]
    with Proxy((parsed.hostname or "localhost", parsed.port or 6379)) as proxy:
        netloc = f"{credentials}@127.0.0.1:{proxy.port}" if credentials else f"127.0.0.1:{proxy.port}"
        yield proxy, parsed._replace(netloc=netloc).geturl()

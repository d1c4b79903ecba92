"""The fake Realtime API as a process: `python -m tests.chaos.upstream PORT LEDGER SEED`.

Every conversation is a `tests.chaos.model.Model`; everything heard and said goes into the ledger before it goes out.
The nemesis commands it by plain HTTP on the same port:

    GET /healthz                     it is there
    GET /drop?how=1011&share=0.3     end that share of the connections: 1006 (no goodbye), 1011, or "expired"
    GET /refuse?status=429&seconds=2 refuse every new connection
    GET /hang?seconds=2              say nothing for a while, everywhere
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from tests.chaos.ledger import WireLedger
from tests.chaos.model import LIFE_SECONDS, Event, Model

SHORT_LIVES = 0.1
"""The share of conversations that may last for seconds only, so that some are rotated or expire."""
SHORT_LIFE_SECONDS = (12.0, 40.0)
STEP_SECONDS = 0.01
"""Up to so long between two items of a response; long enough to be caught in the middle of it."""
EXPIRED = (1001, "Your session hit the maximum duration of 60 minutes.")
GONE = 1006


@dataclass
class World:
    """All connections, and what has befallen them."""

    ledger: WireLedger
    chance: random.Random
    numbers: Any = field(default_factory=lambda: count(1))
    lines: dict[int, Line] = field(default_factory=dict)
    refused_until: float = 0.0
    refuse_with: int = 429
    silent_until: float = 0.0

    async def serve(self, connection: ServerConnection) -> None:
        """One connection, from its opening to its end, however it comes."""
        number = next(self.numbers)
        life = self.chance.uniform(*SHORT_LIFE_SECONDS) if self.chance.random() < SHORT_LIVES else LIFE_SECONDS
        line = self.lines[number] = Line(self, connection, Model(number, time.time() + life))
        self.ledger.write(number, "world", "opened")
        expiry = asyncio.get_running_loop().call_later(life, lambda: asyncio.ensure_future(line.expire()))
        try:
            await line.run()
        except ConnectionClosed:
            pass
        finally:
            expiry.cancel()
            del self.lines[number]
            self.ledger.write(number, "world", "closed", code=connection.close_code)

    def greet(self, connection: ServerConnection, request: Request) -> Response | None:
        """An HTTP request of the nemesis, an upgrade that is refused, or None for one that is taken."""
        path = urlsplit(request.path)
        command: Callable[..., None] | None = self._commands().get(path.path)
        if command is not None:
            command(**dict(parse_qsl(path.query)))
            return connection.respond(HTTPStatus.OK, "done\n")
        if time.time() < self.refused_until:
            self.ledger.write(0, "world", "refused", status=self.refuse_with)
            return connection.respond(HTTPStatus(self.refuse_with), '{"error": {"message": "not now"}}')
        return None

    async def awake(self) -> None:
        """Until the silence is over."""
        await asyncio.sleep(max(0.0, self.silent_until - time.time()))

    def _commands(self) -> dict[str, Callable[..., None]]:
        return {"/healthz": lambda: None, "/drop": self._drop, "/refuse": self._refuse, "/hang": self._hang}

    def _drop(self, how: str, share: str) -> None:
        for line in [line for _, line in sorted(self.lines.items()) if self.chance.random() < float(share)]:
            asyncio.ensure_future(line.expire() if how == "expired" else line.drop(int(how)))  # noqa: RUF006

    def _refuse(self, status: str, seconds: str) -> None:
        self.refuse_with, self.refused_until = int(status), time.time() + float(seconds)

    def _hang(self, seconds: str) -> None:
        self.silent_until = time.time() + float(seconds)


@dataclass
class Line:
    """One connection and its conversation."""

    world: World
    connection: ServerConnection
    model: Model
    _playing: set[asyncio.Task[None]] = field(default_factory=set)

    async def run(self) -> None:
        await self._say(self.model.open())
        try:
            async for frame in self.connection:
                await self.world.awake()
                event = json.loads(frame)
                self._write("gateway", event)
                was = self.model.active
                await self._say(self.model.receive(event))
                if self.model.active not in (None, was):
                    self._play()
        finally:
            for task in self._playing:
                task.cancel()

    async def expire(self) -> None:
        """As the Realtime API ends a session that has lasted as long as it may."""
        try:
            error = {"type": "invalid_request_error", "code": "session_expired", "message": EXPIRED[1]}
            await self._say([{"type": "error", "event_id": "event_expired", "error": error}])
            await self.connection.close(*EXPIRED)
        except ConnectionClosed:
            return

    async def drop(self, code: int) -> None:
        if code == GONE:
            self.connection.transport.abort()
        else:
            await self.connection.close(code, "chaos")

    def _play(self) -> None:
        task = asyncio.create_task(self._speak())
        self._playing.add(task)
        task.add_done_callback(self._playing.discard)

    async def _speak(self) -> None:
        try:
            for events in self.model.play():
                await asyncio.sleep(self.world.chance.uniform(0, STEP_SECONDS))
                await self.world.awake()
                await self._say(events)
        except ConnectionClosed:
            return

    async def _say(self, events: list[Event]) -> None:
        for event in events:
            self._write("model", event)
            await self.connection.send(json.dumps(event))

    def _write(self, by: str, event: Event) -> None:
        """What the checker asks about; a session.update says little, and is long."""
        rest: dict[str, Any] = {key: event[key] for key in ("event_id", "item", "previous_item_id") if key in event}
        if "response" in event:
            rest["response"] = event["response"].get("id")
        if "error" in event:
            rest |= {"code": event["error"]["code"], "about": event["error"].get("event_id")}
        self.world.ledger.write(self.model.number, by, str(event.get("type")), **rest)


async def main(port: int, ledger: Path, seed: int) -> None:
    """Serve until a signal ends the process."""
    world = World(WireLedger(ledger), random.Random(seed))
    async with serve(
        world.serve, "127.0.0.1", port, process_request=world.greet, compression=None, max_size=None, ping_interval=None
    ) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])))
